//! The typed client: one method for each route, errors as one clear sentence.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http;

use crate::{
    ArtifactReceipt, AssignmentQuery, AssignmentView, ConsentRequest, DecisionView, DeviceAnswer,
    DeviceDetail, DeviceQuery, DeviceSummary, ExecuteRequest, FleetSummary, Health, HistoryEntry,
    ImportRequest, ImportedPolicy, LintReport, LintRequest, ListQuery, OperationDetail,
    OperationSummary, OrderRequest, Page, Plan, PlanRequest, Problem, PublishRequest,
    PublishResponse, ReadResponse, RehearsalFacts, ReleaseDetail, ReleaseSummary, ReplayReport,
    SignalReceipt, SignalRequest, StartRequest, Value, Version, WhyReport, WriteRequest, route,
};

mod error;
mod stream;

pub use error::ClientError;
pub use stream::Events;

/// Limits of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Longest wait for a connection, in milliseconds. A server that is further away needs more.
    pub connect_timeout_ms: u64,
    /// Longest wait for an answer, in milliseconds. Reading from a device over a slow radio takes
    /// as long as the device does.
    pub answer_timeout_ms: u64,
    /// Longest silence on a stream of events before it counts as broken, in milliseconds. The
    /// server sends something at least every 15 s.
    pub event_silence_ms: u64,
    /// Largest answer that is read, in bytes; costs that much memory at most.
    pub answer_bytes_max: u64,
    /// Largest event that is read, in bytes; costs that much memory at most.
    pub event_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            answer_timeout_ms: 60_000,
            event_silence_ms: 45_000,
            answer_bytes_max: 64 * 1024 * 1024,
            event_bytes_max: 1024 * 1024,
        }
    }
}

/// Calls a server over HTTP and waits for its answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    agent: ureq::Agent,
    config: Config,
}

impl Client {
    /// A client of the server at an address such as `http://127.0.0.1:8080`. Connects to nothing
    /// yet.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] when the text is no such address.
    pub fn new(base_url: &str) -> Result<Self, ClientError> {
        Self::with_config(base_url, Config::default())
    }

    /// The same with limits of the caller's choice.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] when the text is no address of an HTTP server.
    pub fn with_config(base_url: &str, config: Config) -> Result<Self, ClientError> {
        let base = base_url.trim().trim_end_matches('/').to_owned();
        let known = base.starts_with("http://") || base.starts_with("https://");
        let valid = base.parse::<http::Uri>().is_ok_and(|uri| {
            uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
        });
        if !known || !valid {
            return Err(ClientError::BadAddress { address: base_url.to_owned() });
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_millis(config.connect_timeout_ms)))
            .timeout_recv_response(Some(Duration::from_millis(config.answer_timeout_ms)))
            .user_agent(concat!("bellwether/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { base, agent, config })
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Whether the server does its work; a sick server answers too.
    ///
    /// # Errors
    /// [`ClientError`] when no server answers there.
    pub fn health(&self) -> Result<Health, ClientError> {
        let mut answer = self.call(self.agent.get(self.url(route::HEALTH)).call())?;
        if answer.status() == http::StatusCode::SERVICE_UNAVAILABLE {
            let body = self.body(&mut answer)?;
            return serde_json::from_slice(&body).map_err(|_| self.refusal(503, &body));
        }
        self.read_answer(answer)
    }

    /// Which server answers.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn version(&self) -> Result<Version, ClientError> {
        self.fetch(route::VERSION, &())
    }

    /// The fleet in numbers.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn fleet(&self) -> Result<FleetSummary, ClientError> {
        self.fetch(route::FLEET, &())
    }

    /// A page of devices.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn devices(&self, query: &DeviceQuery) -> Result<Page<DeviceSummary>, ClientError> {
        self.fetch(route::DEVICES, query)
    }

    /// A device by `dev-7`, its number or its endpoint name.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn device(&self, device: &str) -> Result<DeviceDetail, ClientError> {
        self.fetch(&route::fill(route::DEVICE, &[device]), &())
    }

    /// Reads from a device now.
    ///
    /// # Errors
    /// [`ClientError`]; the device's refusal or silence is a problem with a code of its own.
    pub fn read(&self, device: &str, path: &str) -> Result<ReadResponse, ClientError> {
        self.fetch(&route::fill(route::DEVICE_VALUES, &[device]), &[("path", path)])
    }

    /// Writes a value to a device now.
    ///
    /// # Errors
    /// [`ClientError`]; the device's refusal or silence is a problem with a code of its own.
    pub fn write(
        &self,
        device: &str,
        path: &str,
        value: Value,
    ) -> Result<DeviceAnswer, ClientError> {
        let url = self.url(&route::fill(route::DEVICE_VALUES, &[device]));
        let request = self.agent.put(url).query("path", path);
        self.read_answer(self.call(request.send_json(WriteRequest { value }))?)
    }

    /// Executes a resource of a device now.
    ///
    /// # Errors
    /// [`ClientError`]; the device's refusal or silence is a problem with a code of its own.
    pub fn execute(
        &self,
        device: &str,
        path: &str,
        arguments: &str,
    ) -> Result<DeviceAnswer, ClientError> {
        let url = self.url(&route::fill(route::DEVICE_VALUES, &[device]));
        let request = self.agent.post(url).query("path", path);
        let body = ExecuteRequest { arguments: arguments.to_owned() };
        self.read_answer(self.call(request.send_json(body))?)
    }

    /// Leaves a device alone until it is released.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn hold(&self, device: &str, order: &OrderRequest) -> Result<DeviceSummary, ClientError> {
        self.send(&route::fill(route::DEVICE_HOLD, &[device]), order)
    }

    /// Lets a held or quarantined device be updated again.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn unhold(&self, device: &str, order: &OrderRequest) -> Result<DeviceSummary, ClientError> {
        self.send(&route::fill(route::DEVICE_RELEASE, &[device]), order)
    }

    /// Gives, puts off or withdraws the consent of a device's user or owner to an operation.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn consent(
        &self,
        device: &str,
        consent: &ConsentRequest,
    ) -> Result<WhyReport, ClientError> {
        self.send(&route::fill(route::DEVICE_CONSENT, &[device]), consent)
    }

    /// What happened to a device, newest first.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn history(
        &self,
        device: &str,
        query: &ListQuery,
    ) -> Result<Page<HistoryEntry>, ClientError> {
        self.fetch(&route::fill(route::DEVICE_HISTORY, &[device]), query)
    }

    /// Why a device is a target, or not, or not yet; of one operation, or of all that are open.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn why(
        &self,
        device: &str,
        operation: Option<&str>,
    ) -> Result<Vec<WhyReport>, ClientError> {
        let query: Vec<(&str, &str)> =
            operation.map(|operation| ("operation", operation)).into_iter().collect();
        self.fetch(&route::fill(route::DEVICE_WHY, &[device]), &query)
    }

    /// Uploads an image of a length known beforehand.
    ///
    /// # Errors
    /// [`ClientError`]; a wrong digest is a problem with a code of its own.
    pub fn upload(
        &self,
        sha256: &str,
        size: u64,
        mut image: impl Read,
    ) -> Result<ArtifactReceipt, ClientError> {
        let request = self
            .agent
            .put(self.url(&route::fill(route::ARTIFACT, &[sha256])))
            .content_type("application/octet-stream")
            .header("content-length", size.to_string());
        self.read_answer(self.call(request.send(ureq::SendBody::from_reader(&mut image)))?)
    }

    /// Looks at a manifest without publishing it.
    ///
    /// # Errors
    /// [`ClientError`] as for every call; a bad manifest is an answer, no error.
    pub fn lint(&self, request: &LintRequest) -> Result<LintReport, ClientError> {
        self.send(route::RELEASE_LINT, request)
    }

    /// Publishes a release.
    ///
    /// # Errors
    /// [`ClientError`]; an error in the manifest comes with line and column.
    pub fn publish(&self, request: &PublishRequest) -> Result<PublishResponse, ClientError> {
        self.send(route::RELEASES, request)
    }

    /// A page of releases, newest first.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn releases(&self, query: &ListQuery) -> Result<Page<ReleaseSummary>, ClientError> {
        self.fetch(route::RELEASES, query)
    }

    /// A release by `rel-2`, its number, `NAME@VERSION`, or `NAME` for its newest version.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn release(&self, release: &str) -> Result<ReleaseDetail, ClientError> {
        self.fetch(&route::fill(route::RELEASE, &[release]), &())
    }

    /// What an operation would do now.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn plan(&self, request: &PlanRequest) -> Result<Plan, ClientError> {
        self.send(route::OPERATION_PLAN, request)
    }

    /// What is known of the targets of an operation, for a rehearsal.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn rehearsal(&self, request: &PlanRequest) -> Result<RehearsalFacts, ClientError> {
        self.send(route::OPERATION_REHEARSAL, request)
    }

    /// Opens an operation. The key makes the order safe to repeat; draw a new one for each order.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn start(
        &self,
        request: &StartRequest,
        idempotency_key: Option<&str>,
    ) -> Result<OperationSummary, ClientError> {
        let mut post = self.agent.post(self.url(route::OPERATIONS));
        if let Some(key) = idempotency_key {
            post = post.header(route::IDEMPOTENCY_KEY, key);
        }
        self.read_answer(self.call(post.send_json(request))?)
    }

    /// A page of operations, newest first.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn operations(&self, query: &ListQuery) -> Result<Page<OperationSummary>, ClientError> {
        self.fetch(route::OPERATIONS, query)
    }

    /// An operation by `op-1` or its number.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn operation(&self, operation: &str) -> Result<OperationDetail, ClientError> {
        self.fetch(&route::fill(route::OPERATION, &[operation]), &())
    }

    /// Stops an operation until it is resumed.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn pause(
        &self,
        operation: &str,
        order: &OrderRequest,
    ) -> Result<OperationSummary, ClientError> {
        self.send(&route::fill(route::OPERATION_PAUSE, &[operation]), order)
    }

    /// Lets a paused operation go on.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn resume(
        &self,
        operation: &str,
        order: &OrderRequest,
    ) -> Result<OperationSummary, ClientError> {
        self.send(&route::fill(route::OPERATION_RESUME, &[operation]), order)
    }

    /// Stops an operation for good.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn abort(
        &self,
        operation: &str,
        order: &OrderRequest,
    ) -> Result<OperationSummary, ClientError> {
        self.send(&route::fill(route::OPERATION_ABORT, &[operation]), order)
    }

    /// A page of an operation's decisions, newest first.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn decisions(
        &self,
        operation: &str,
        query: &ListQuery,
    ) -> Result<Page<DecisionView>, ClientError> {
        self.fetch(&route::fill(route::OPERATION_DECISIONS, &[operation]), query)
    }

    /// A page of an operation's granted devices.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn assignments(
        &self,
        operation: &str,
        query: &AssignmentQuery,
    ) -> Result<Page<AssignmentView>, ClientError> {
        self.fetch(&route::fill(route::OPERATION_DEVICES, &[operation]), query)
    }

    /// Makes an operation's stored decisions once more, and says which come out differently.
    ///
    /// # Errors
    /// [`ClientError`] as for every call; a difference is an answer, no error.
    pub fn replay(&self, operation: &str) -> Result<ReplayReport, ClientError> {
        self.fetch(&route::fill(route::OPERATION_REPLAY, &[operation]), &())
    }

    /// Takes over the settings of another system as a policy.
    ///
    /// # Errors
    /// [`ClientError`]; a setting that has no counterpart is named.
    pub fn import(&self, request: &ImportRequest) -> Result<ImportedPolicy, ClientError> {
        self.send(route::POLICY_IMPORT, request)
    }

    /// Hands over a signal of the business about a device.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn signal(&self, signal: &SignalRequest) -> Result<SignalReceipt, ClientError> {
        self.send(route::SIGNALS, signal)
    }

    /// The server's OpenAPI document.
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn document(&self) -> Result<serde_json::Value, ClientError> {
        self.fetch(route::DOCUMENT, &())
    }

    /// Everything that happens from now on, or after an event seen before. The stream ends when
    /// the connection does; go on with [`Events::last_id`].
    ///
    /// # Errors
    /// [`ClientError`] as for every call.
    pub fn events(&self, last_id: Option<u64>) -> Result<Events, ClientError> {
        let mut get = self
            .agent
            .get(self.url(route::EVENTS))
            .header("accept", "text/event-stream")
            .config()
            .timeout_per_read(Some(Duration::from_millis(self.config.event_silence_ms)))
            .build();
        if let Some(id) = last_id {
            get = get.header(route::LAST_EVENT_ID, id.to_string());
        }
        let mut answer = self.call(get.call())?;
        if !answer.status().is_success() {
            let body = self.body(&mut answer)?;
            return Err(self.refusal(answer.status().as_u16(), &body));
        }
        let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Events::new(Box::new(reader), self.base.clone(), last_id, self.config.event_bytes_max))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn fetch<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &(impl Serialize + ?Sized),
    ) -> Result<T, ClientError> {
        let request = self.agent.get(self.url(path)).query_pairs(pairs(query));
        self.read_answer(self.call(request.call())?)
    }

    fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.read_answer(self.call(self.agent.post(self.url(path)).send_json(body))?)
    }

    fn call(
        &self,
        result: Result<http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<http::Response<ureq::Body>, ClientError> {
        result.map_err(|error| ClientError::from_transport(&self.base, &error))
    }

    fn body(&self, answer: &mut http::Response<ureq::Body>) -> Result<Vec<u8>, ClientError> {
        answer
            .body_mut()
            .with_config()
            .limit(self.config.answer_bytes_max)
            .read_to_vec()
            .map_err(|error| ClientError::from_transport(&self.base, &error))
    }

    fn read_answer<T: DeserializeOwned>(
        &self,
        mut answer: http::Response<ureq::Body>,
    ) -> Result<T, ClientError> {
        let status = answer.status();
        let body = self.body(&mut answer)?;
        if !status.is_success() {
            return Err(self.refusal(status.as_u16(), &body));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::NotUnderstood {
            address: self.base.clone(),
            detail: error.to_string(),
        })
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ClientError {
        serde_json::from_slice::<Problem>(body).map_or_else(
            |_| ClientError::NotUnderstood {
                address: self.base.clone(),
                detail: format!("status {status} without a problem document"),
            },
            |problem| ClientError::Refused(Box::new(problem)),
        )
    }
}

/// The members of a query as pairs; absent ones are left out.
fn pairs(query: &(impl Serialize + ?Sized)) -> Vec<(String, String)> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    match serde_json::to_value(query).unwrap_or_default() {
        serde_json::Value::Object(members) => {
            members.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
        }
        serde_json::Value::Array(items) => items
            .into_iter()
            .filter_map(|item| serde_json::from_value::<(String, String)>(item).ok())
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
