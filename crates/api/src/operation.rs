//! Operations, their decisions and their devices.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{DeviceRef, EvidenceView, OperationRef, ReasonCount, ReleaseRef, Share, Timestamp};

/// An operation in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationSummary {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `op-1`.
    #[schema(example = "op-1")]
    pub name: String,
    /// The release it brings.
    pub release: ReleaseRef,
    /// Paper A's criticality of the release.
    pub class: String,
    /// Whether the release fixes a vulnerability.
    pub security: bool,
    /// Why it exists, in words.
    pub origin: String,
    /// The operation that it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<OperationRef>,
    /// The operation that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<OperationRef>,
    /// How many devices were picked by hand; none when it is for the whole fleet.
    pub picked: Option<u64>,
    /// Where it stands.
    pub state: OperationState,
    /// Its phase.
    pub phase: Phase,
    /// Size of the current or last element, in devices; none under the rule `evidence`, where each
    /// look says how many follow.
    pub speed: Option<u32>,
    /// Number of the element in progress.
    pub element: Option<u64>,
    /// Its devices in numbers.
    pub counts: CountsView,
    /// Share of the targets whose attempt is over.
    pub progress: Share,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The last decision in one sentence; empty before the first.
    pub last_decision: String,
    /// The stable reason code of the last decision; empty before the first.
    pub last_reason: String,
    /// While it is paused because evidence stopped a release that it rests on: the operation
    /// that was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_by: Option<OperationRef>,
}

impl OperationSummary {
    /// An operation with what the rest of the server knows of it.
    #[must_use]
    pub fn new(
        operation: &model::Operation,
        release: &model::Release,
        counts: &model::Counts,
        last_decision: Option<&model::Decision>,
    ) -> Self {
        Self {
            id: operation.id.0,
            name: operation.id.to_string(),
            release: release.into(),
            class: release.manifest.release.class.to_string(),
            security: release.manifest.release.security,
            origin: origin_words(&operation.origin),
            undoes: match operation.origin {
                model::Origin::Undo { reverts } => Some(reverts.into()),
                _ => None,
            },
            undone_by: None,
            picked: match &operation.scope {
                model::Scope::Fleet => None,
                model::Scope::Picked { devices } => Some(devices.len() as u64),
            },
            state: operation.state.into(),
            phase: operation.phase.into(),
            speed: element_size(operation),
            element: operation.element,
            counts: counts.into(),
            progress: counts.progress().into(),
            opened: operation.opened.into(),
            ended: operation.ended.map(Into::into),
            last_decision: last_decision.map(ToString::to_string).unwrap_or_default(),
            last_reason: last_decision
                .map(|decision| decision.reason.code().to_owned())
                .unwrap_or_default(),
            frozen_by: operation.frozen_by().map(Into::into),
        }
    }

    /// The operation's names alone.
    #[must_use]
    pub fn reference(&self) -> OperationRef {
        OperationRef { id: self.id, name: self.name.clone() }
    }
}

/// Why an operation exists, in words.
#[must_use]
pub fn origin_words(origin: &model::Origin) -> String {
    match origin {
        model::Origin::Release => "release published".to_owned(),
        model::Origin::Manual { by } => format!("started by {by}"),
        model::Origin::Compliance { after } => format!("devices that turned up after {after}"),
        model::Origin::Undo { reverts } => format!("undoes {reverts}"),
    }
}

/// Size of an operation's current or last element, where its rule has elements of a size.
#[must_use]
pub fn element_size(operation: &model::Operation) -> Option<u32> {
    operation.policy.rule.evidence().is_none().then_some(operation.speed)
}

/// Paper A's states, and paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Not started.
    Pending,
    /// Being processed.
    Ongoing,
    /// Stopped by an operator until resumed; devices in flight complete.
    Paused,
    /// Stopped for good.
    Aborted,
    /// Successfully executed.
    Finished,
}

impl OperationState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ongoing => "ongoing",
            Self::Paused => "paused",
            Self::Aborted => "aborted",
            Self::Finished => "finished",
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Aborted | Self::Finished)
    }
}

impl From<model::OperationState> for OperationState {
    fn from(state: model::OperationState) -> Self {
        match state {
            model::OperationState::Pending => Self::Pending,
            model::OperationState::Ongoing => Self::Ongoing,
            model::OperationState::Paused => Self::Paused,
            model::OperationState::Aborted => Self::Aborted,
            model::OperationState::Finished => Self::Finished,
        }
    }
}

/// Paper A's phases, by share of the targets processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The beginning; strictest.
    Test,
    /// More devices, moderate speed.
    Cautious,
    /// As many as possible.
    Generalization,
}

impl Phase {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Cautious => "cautious",
            Self::Generalization => "generalization",
        }
    }
}

impl From<model::Phase> for Phase {
    fn from(phase: model::Phase) -> Self {
        match phase {
            model::Phase::Test => Self::Test,
            model::Phase::Cautious => Self::Cautious,
            model::Phase::Generalization => Self::Generalization,
        }
    }
}

/// An operation's devices in numbers; every target is in exactly one of the first five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct CountsView {
    /// Proved updated.
    pub succeeded: u64,
    /// Failed or silent.
    pub failed: u64,
    /// Granted and unresolved.
    pub in_flight: u64,
    /// Targets not granted yet: eligible, waiting or to be retried.
    pub waiting: u64,
    /// Targets taken back by an abort before anything was sent.
    pub cancelled: u64,
    /// Of `waiting`, how many could be granted now.
    pub eligible: u64,
    /// Devices that are no target.
    pub excluded: u64,
    /// All targets: the first five together.
    pub targets: u64,
}

impl From<&model::Counts> for CountsView {
    fn from(counts: &model::Counts) -> Self {
        Self {
            succeeded: counts.succeeded,
            failed: counts.failed,
            in_flight: counts.in_flight,
            waiting: counts.waiting,
            cancelled: counts.cancelled,
            eligible: counts.eligible,
            excluded: counts.excluded,
            targets: counts.targets(),
        }
    }
}

/// Everything about an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationDetail {
    /// As in lists.
    #[serde(flatten)]
    pub summary: OperationSummary,
    /// Net favourable iterations so far.
    pub favourable: i32,
    /// Measures of the last finished element.
    pub rates: Option<RatesView>,
    /// Error rate above which the operation is aborted in its phase.
    pub tolerated_errors: Share,
    /// Warning rate above which the operation is slowed in its phase.
    pub tolerated_warnings: Share,
    /// Devices left out or waiting, by reason, most first.
    pub exclusions: Vec<ReasonCount>,
    /// Granted devices by state of their attempt.
    pub states: Vec<StateCount>,
    /// The chart of element sizes over progress; the points are the elements in their order.
    pub chart: ChartView,
    /// What the evidence says, under the rule `evidence` and from its first look on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceView>,
    /// The newest decisions, newest first; at most 100, the rest by
    /// `GET /api/v1/operations/{operation}/decisions`.
    pub decisions: Vec<DecisionView>,
    /// The policy in force, in the form it is written in.
    #[schema(value_type = Object)]
    pub policy: serde_json::Value,
}

/// Granted devices in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCount {
    /// The state of the attempt.
    pub state: AttemptState,
    /// How many.
    pub devices: u64,
}

/// Element sizes over progress, as in figure 5 of paper A.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ChartView {
    /// One point for each element.
    pub points: Vec<ElementPoint>,
    /// Where the phases lie.
    pub bands: Vec<PhaseBand>,
    /// Size of an element of the fixed plan that paper A compares with, 6.25 % of the targets.
    pub reference_devices: f64,
}

impl ChartView {
    /// The chart of an operation that stands there. Its phases are shares of the targets; under
    /// evidence they follow from what is known, and are those of the elements.
    #[must_use]
    pub fn new(
        points: Vec<ElementPoint>,
        policy: &model::Policy,
        targets: u64,
        progress: &Share,
    ) -> Self {
        let bands = match policy.rule.evidence() {
            Some(_) => Self::bands_of(&points, progress.percent),
            None => Self::bands_by_share(&policy.phases),
        };
        #[expect(clippy::cast_precision_loss, reason = "fleets stay far below 2^52 devices")]
        let targets = targets as f64;
        Self { points, bands, reference_devices: targets * 0.0625 }
    }

    fn bands_by_share(phases: &model::Phases) -> Vec<PhaseBand> {
        let cautious: Share = phases.cautious_from.into();
        let generalization: Share = phases.generalization_from.into();
        let band = |phase, from_percent, to_percent| PhaseBand { phase, from_percent, to_percent };
        vec![
            band(Phase::Test, 0.0, cautious.percent),
            band(Phase::Cautious, cautious.percent, generalization.percent),
            band(Phase::Generalization, generalization.percent, 100.0),
        ]
    }

    /// A band for each run of elements in the same phase; the last one goes as far as the
    /// operation has come.
    fn bands_of(points: &[ElementPoint], progress_percent: f64) -> Vec<PhaseBand> {
        let mut bands: Vec<PhaseBand> = Vec::new();
        for point in points {
            let at = point.progress_percent;
            if let Some(last) = bands.last_mut() {
                last.to_percent = at.max(last.from_percent);
                if last.phase == point.phase {
                    continue;
                }
            }
            bands.push(PhaseBand { phase: point.phase, from_percent: at, to_percent: at });
        }
        if let Some(last) = bands.last_mut() {
            last.to_percent = progress_percent.max(last.to_percent);
        }
        bands
    }
}

/// One element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ElementPoint {
    /// Its number, from 1.
    pub element: u64,
    /// Share of the targets whose attempt was over when it was granted, in percent.
    pub progress_percent: f64,
    /// Its size in devices.
    pub devices: u64,
    /// The phase it was granted in.
    pub phase: Phase,
    /// When it was granted.
    pub at: Timestamp,
    /// The decision that set its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// That decision's verdict, e.g. `continue`; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verdict: String,
    /// That decision in one sentence; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sentence: String,
}

/// Where a phase lies on the axis of progress.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PhaseBand {
    /// The phase.
    pub phase: Phase,
    /// Where it begins, in percent.
    pub from_percent: f64,
    /// Where it ends, in percent.
    pub to_percent: f64,
}

/// A decision with its reason and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// The operation.
    pub operation: OperationRef,
    /// Its number, dense from 1 within the operation.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What was decided: `start`, `continue`, `allow`, `hold`, `abort`, `finish`, `pause` or
    /// `resume`.
    pub verdict: String,
    /// The stable reason code, e.g. `abort.errors`.
    #[schema(example = "speed.improved")]
    pub code: String,
    /// Verdict and reason in one sentence.
    pub sentence: String,
    /// The reason alone.
    pub reason: String,
    /// Phase of the next element, when one follows.
    pub phase: Option<Phase>,
    /// Size of the last element, in devices; none where a rule has no elements of a size.
    pub speed_before: Option<u32>,
    /// Size of the next element, in devices, likewise.
    pub speed_after: Option<u32>,
    /// Devices that may be granted in all from now on, where a rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_max: Option<u64>,
    /// What it was made from; none for an operator's order.
    pub inputs: Option<InputsView>,
    /// The judgement behind it, under the rule `evidence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceView>,
    /// Version of the deciding code.
    pub code_version: String,
}

impl From<&model::Decision> for DecisionView {
    fn from(decision: &model::Decision) -> Self {
        // Under evidence the size of an element is what is granted at a look; the speed is only
        // a limit.
        let has_sizes =
            decision.inputs.as_ref().is_none_or(|inputs| inputs.policy.rule.evidence().is_none());
        let (phase, speed_after) = match decision.verdict {
            model::Verdict::Start { speed } => (Some(Phase::Test), Some(speed)),
            model::Verdict::Continue { phase, speed, .. }
            | model::Verdict::Allow { phase, speed, .. } => (Some(phase.into()), Some(speed)),
            _ => (None, None),
        };
        let granted_max = match decision.verdict {
            model::Verdict::Allow { devices_max, .. } => devices_max,
            _ => None,
        };
        Self {
            operation: decision.operation.into(),
            seq: decision.seq,
            at: decision.at.into(),
            verdict: decision.verdict.as_str().to_owned(),
            code: decision.reason.code().to_owned(),
            sentence: decision.to_string(),
            reason: decision.reason.to_string(),
            phase,
            speed_before: decision
                .inputs
                .as_ref()
                .map(|inputs| inputs.speed)
                .filter(|speed| has_sizes && *speed > 0),
            speed_after: speed_after.filter(|_| has_sizes),
            granted_max,
            inputs: decision.inputs.as_ref().map(Into::into),
            evidence: EvidenceView::of_decision(decision),
            code_version: decision.code_version.clone(),
        }
    }
}

/// What a decision was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InputsView {
    /// Where the operation stood.
    pub counts: CountsView,
    /// Its phase before the decision.
    pub phase: Phase,
    /// Size of the last element, in devices.
    pub speed: u32,
    /// Net favourable iterations before the decision.
    pub favourable: i32,
    /// Measures of the element before the last.
    pub before: Option<RatesView>,
    /// Measures of the last element.
    pub after: Option<RatesView>,
    /// Measures of the last elements joined until they hold enough devices to be judged.
    pub window: Option<RatesView>,
    /// Whether a device reported a fault that lies in the image itself.
    pub artifact_fault: bool,
    /// Error rate tolerated in the phase.
    pub tolerated_errors: Share,
    /// Warning rate tolerated in the phase.
    pub tolerated_warnings: Share,
}

impl From<&model::Inputs> for InputsView {
    fn from(inputs: &model::Inputs) -> Self {
        Self {
            counts: (&inputs.counts).into(),
            phase: inputs.phase.into(),
            speed: inputs.speed,
            favourable: inputs.favourable,
            before: inputs.before.as_ref().map(Into::into),
            after: inputs.after.as_ref().map(Into::into),
            window: inputs.window.as_ref().map(Into::into),
            artifact_fault: inputs.artifact_fault,
            tolerated_errors: inputs.policy.tolerated_errors.of(inputs.phase).into(),
            tolerated_warnings: inputs.policy.tolerated_warnings.of(inputs.phase).into(),
        }
    }
}

/// What was measured over one or more elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RatesView {
    /// Devices judged.
    pub attempted: u64,
    /// Devices that failed or stayed silent.
    pub failed: u64,
    /// Devices with a warning.
    pub warned: u64,
    /// `failed` of `attempted`.
    pub errors: Share,
    /// `warned` of `attempted`.
    pub warnings: Share,
    /// Median time from a request of the server to its answer, in milliseconds.
    pub response_time_ms: Option<f64>,
}

impl From<&model::ReportedRates> for RatesView {
    fn from(rates: &model::ReportedRates) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "response times stay far below 2^52 µs")]
        let millis = |us: u64| us as f64 / 1_000.0;
        Self {
            attempted: rates.attempted,
            failed: rates.failed,
            warned: rates.warned,
            errors: rates.errors.into(),
            warnings: rates.warnings.into(),
            response_time_ms: rates.response_time_us.map(millis),
        }
    }
}

/// One device in an operation, from its grant on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssignmentView {
    /// The operation.
    pub operation: OperationRef,
    /// The device.
    pub device: DeviceRef,
    /// The element that granted it.
    pub element: u64,
    /// Tries so far, from 1.
    pub attempt: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// What went wrong, for a failed or deferred attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultView>,
    /// When a deferred attempt is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Version before the operation.
    pub version_before: Option<String>,
    /// Hops of the migration path that are still to be made.
    pub hops_left: u64,
    /// Warnings so far.
    pub warnings: u32,
    /// When the state was entered.
    pub since: Timestamp,
}

impl AssignmentView {
    /// An assignment with the name of its device.
    #[must_use]
    pub fn new(assignment: &model::Assignment, device: DeviceRef) -> Self {
        let (fault, until) = match &assignment.state {
            model::AttemptState::Failed { fault } => (Some(fault.into()), None),
            model::AttemptState::Deferred { until, fault } => {
                (Some(fault.into()), Some((*until).into()))
            }
            _ => (None, None),
        };
        Self {
            operation: assignment.operation.into(),
            device,
            element: assignment.element,
            attempt: assignment.attempt,
            state: (&assignment.state).into(),
            fault,
            until,
            version_before: assignment.version_before.as_ref().map(ToString::to_string),
            hops_left: assignment.path.len() as u64,
            warnings: assignment.warnings,
            since: assignment.since.into(),
        }
    }
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Granted; nothing sent.
    Granted,
    /// The first request that changes it was sent.
    Sent,
    /// The device took the order; it transfers.
    Accepted,
    /// The image is on the device, unverified.
    Transferred,
    /// It was told to install, or claims to have.
    Claimed,
    /// It answers again; its version is being read.
    Verifying,
    /// The new version runs; soak time.
    Soaking,
    /// Proved by the device after its reboot.
    Succeeded,
    /// It failed.
    Failed,
    /// No answer after the change, and none to a probe.
    Silent,
    /// Will be tried again.
    Deferred,
    /// Taken back before anything was sent.
    Cancelled,
}

impl AttemptState {
    /// All states, in the order an attempt passes them.
    pub const ALL: [Self; 12] = [
        Self::Granted,
        Self::Sent,
        Self::Accepted,
        Self::Transferred,
        Self::Claimed,
        Self::Verifying,
        Self::Soaking,
        Self::Succeeded,
        Self::Failed,
        Self::Silent,
        Self::Deferred,
        Self::Cancelled,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Transferred => "transferred",
            Self::Claimed => "claimed",
            Self::Verifying => "verifying",
            Self::Soaking => "soaking",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Silent => "silent",
            Self::Deferred => "deferred",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<&model::AttemptState> for AttemptState {
    fn from(state: &model::AttemptState) -> Self {
        match state {
            model::AttemptState::Granted => Self::Granted,
            model::AttemptState::Sent => Self::Sent,
            model::AttemptState::Accepted => Self::Accepted,
            model::AttemptState::Transferred => Self::Transferred,
            model::AttemptState::Claimed => Self::Claimed,
            model::AttemptState::Verifying => Self::Verifying,
            model::AttemptState::Soaking => Self::Soaking,
            model::AttemptState::Succeeded => Self::Succeeded,
            model::AttemptState::Failed { .. } => Self::Failed,
            model::AttemptState::Silent => Self::Silent,
            model::AttemptState::Deferred { .. } => Self::Deferred,
            model::AttemptState::Cancelled => Self::Cancelled,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultView {
    /// What kind, in words.
    pub kind: String,
    /// The device's or the protocol's own words.
    pub detail: String,
}

impl From<&model::Fault> for FaultView {
    fn from(fault: &model::Fault) -> Self {
        Self { kind: fault.kind.as_str().to_owned(), detail: fault.detail.clone() }
    }
}

/// What to plan: a release that exists or the manifest of one that does not yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRequest {
    /// A release: `rel-2`, `NAME@VERSION`, or `NAME` for its newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// A manifest's text instead of a release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Devices picked by hand, by number or endpoint name; none means the whole fleet.
    pub devices: Vec<String>,
    /// How the operation would be regulated; missing fields take their defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub policy: Option<model::Policy>,
}

/// What an operation would do now. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Name and version of the release, e.g. `ws200-firmware 1.1.0`.
    pub release: String,
    /// Devices that would be targets: eligible and waiting.
    pub targets: u64,
    /// Devices that could be updated now.
    pub eligible: u64,
    /// Targets that would wait.
    pub waiting: u64,
    /// Devices that would be no targets.
    pub excluded: u64,
    /// Why devices would wait or be left out, most first.
    pub reasons: Vec<ReasonCount>,
    /// Ways to the goal, by version run now.
    pub paths: Vec<PathCount>,
    /// Devices granted first.
    pub first_speed: u32,
    /// Whether these are devices a minute, as under AWS IoT Jobs' rule.
    #[serde(default)]
    pub first_per_minute: bool,
    /// Most devices in an element; under the rule `evidence`, most at a time.
    pub speed_max: u64,
    /// Devices that may be harmed before a stop; only under the rule `evidence`, which decides by
    /// it how many follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Open operations on the same devices.
    pub conflicts: Vec<OperationRef>,
    /// Remarks on the release and the policy.
    pub remarks: Vec<String>,
}

/// Devices that would go the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct PathCount {
    /// The version they run.
    pub from: String,
    /// Versions they would go through, in order; the last is the goal.
    pub through: Vec<String>,
    /// How many devices.
    pub devices: u64,
}

/// An operation to start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StartRequest {
    /// A release: `rel-2`, `NAME@VERSION`, or `NAME` for its newest version.
    pub release: String,
    /// Devices picked by hand, by number or endpoint name; none means the whole fleet.
    pub devices: Vec<String>,
    /// How the operation is regulated; missing fields take their defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub policy: Option<model::Policy>,
    /// Who starts it; `api` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What the list of an operation's devices is narrowed down to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AssignmentQuery {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Items on the page, 1 to 1000; 100 when absent.
    pub limit: Option<u32>,
    /// Only attempts in this state.
    pub state: Option<AttemptState>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Under evidence the phases follow from what is known, not from a share of the targets.
    #[test]
    fn bands_are_those_of_the_rule() {
        let point = |progress_percent, phase| ElementPoint {
            element: 1,
            progress_percent,
            devices: 1,
            phase,
            at: Timestamp::default(),
            decision: None,
            verdict: String::new(),
            sentence: String::new(),
        };
        let points = vec![
            point(0.0, Phase::Test),
            point(20.0, Phase::Test),
            point(40.0, Phase::Cautious),
            point(90.0, Phase::Cautious),
        ];
        let check = |policy: &model::Policy, expected: &[(Phase, f64, f64)]| {
            let progress = model::Rate::percent(95).into();
            let chart = ChartView::new(points.clone(), policy, 100, &progress);
            let bands: Vec<(Phase, f64, f64)> = chart
                .bands
                .iter()
                .map(|band| (band.phase, band.from_percent, band.to_percent))
                .collect();
            assert_eq!(bands, expected);
        };
        check(
            &model::Policy::default(),
            &[(Phase::Test, 0.0, 40.0), (Phase::Cautious, 40.0, 95.0)],
        );
        let phases = &model::Policy::threshold();
        let (cautious, rest) = (phases.phases.cautious_from, phases.phases.generalization_from);
        let (cautious, rest) = (Share::from(cautious).percent, Share::from(rest).percent);
        check(
            phases,
            &[
                (Phase::Test, 0.0, cautious),
                (Phase::Cautious, cautious, rest),
                (Phase::Generalization, rest, 100.0),
            ],
        );
    }
}
