//! A server on free loopback ports, used through its public HTTP interface only.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::client::{Client, ClientError};
use api::{DeviceDetail, DeviceQuery, Plan, PlanRequest, PublishRequest, Value};
use server::{Server, Settings};
use sha2::Digest;
use tokio::runtime::Runtime;

/// Longest wait for something a peer does; a request to it is repeated after 2, 6 and 14 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running server with a data folder that is gone after the test.
pub(crate) struct Place {
    runtime: Runtime,
    server: Option<Server>,
    data: PathBuf,
    pub(crate) client: Client,
    pub(crate) coap: SocketAddr,
}

impl Place {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-interop-{}-{number}", std::process::id());
        let data = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&data));
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings =
            Settings { data: data.clone(), http: free, coap: free, ..Settings::default() };
        let runtime = Runtime::new().expect("threads");
        let server = runtime.block_on(Server::start(settings)).expect("the server starts");
        let client = Client::new(&format!("http://{}", server.http())).expect("an address");
        let coap = server.coap();
        Self { runtime, server: Some(server), data, client, coap }
    }

    /// Waits until the device is in the list and says who it is.
    pub(crate) fn identified(&self, endpoint: &str) -> DeviceDetail {
        eventually(endpoint, || {
            let query = DeviceQuery { q: Some(endpoint.to_owned()), ..DeviceQuery::default() };
            let page = self.client.devices(&query).expect("a list");
            let listed = page.items.iter().find(|device| device.endpoint == endpoint)?;
            listed.version.as_ref()?;
            Some(self.client.device(endpoint).expect("a device"))
        })
    }

    /// Reads one value from the device now.
    pub(crate) fn read(&self, endpoint: &str, path: &str) -> Value {
        let answer = self.client.read(endpoint, path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let found = answer.values.into_iter().find(|value| value.path == path);
        found.and_then(|found| found.value).unwrap_or_else(|| panic!("{path} has no value"))
    }

    /// What the device refuses or cannot do, in one sentence.
    pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
        result.expect_err("the device refuses").to_string()
    }

    /// Uploads an image and publishes a release of it for a model, without an operation.
    pub(crate) fn publish(&self, target: Target<'_>, version: &str, image: &[u8]) -> String {
        let sha256 = model::Sha256(sha2::Sha256::digest(image).into()).to_string();
        let receipt = self.client.upload(&sha256, image.len() as u64, image).expect("an upload");
        assert_eq!(receipt.size, image.len() as u64);
        let Target { manufacturer, model } = target;
        let manifest = format!(
            r#"manifest = 1
[release]
name = "interop"
version = "{version}"
class = "minor"
[[target]]
manufacturer = "{manufacturer}"
model = "{model}"
[[artifact]]
size = {}
sha256 = "{sha256}"
file = "image.bin"
"#,
            image.len()
        );
        let request = PublishRequest {
            manifest,
            format: api::ManifestFormat::Toml,
            start: false,
            policy: None,
            by: None,
        };
        let published = self.client.publish(&request).expect("a release");
        // The path under which devices are told to fetch the image.
        assert_eq!(published.release.version, version);
        format!("/fw/{}", &sha256[..16])
    }

    /// What an operation for the newest release would do.
    pub(crate) fn plan(&self) -> Plan {
        let request = PlanRequest { release: Some("interop".to_owned()), ..PlanRequest::default() };
        self.client.plan(&request).expect("a plan")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
        drop(std::fs::remove_dir_all(&self.data));
    }
}

/// The devices a release is for.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) manufacturer: &'a str,
    pub(crate) model: &'a str,
}

/// Waits until something is there.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: nothing after {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}
