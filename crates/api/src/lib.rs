//! HTTP types, their OpenAPI document and a typed client.
//!
//! Owns the names and forms of everything that crosses HTTP: what the server answers, what the
//! command line asks and what the console draws. Written by hand apart from `model`'s stored
//! forms, so that either can change without the other; made from `model` by `From` and `new`.
//! Refuses to know the store, the loops and any device protocol, and serves nothing itself.
//!
//! Start from [`OperationDetail`] and [`Event`]; refusals are a [`Problem`]. [`route`] names the
//! paths, [`document`] describes them and `client::Client` (feature `client`) calls them.

#[cfg(feature = "client")]
pub mod client;
mod device;
mod document;
mod event;
mod evidence;
mod operation;
mod policy;
mod problem;
mod reason;
mod rehearsal;
mod release;
mod replay;
pub mod route;
mod service;
mod text;

pub use device::{
    CheckOutcome, CheckView, Compliance, ComplianceCounts, ConfigurationView, ConsentRequest,
    DeviceAnswer, DeviceDetail, DeviceQuery, DeviceSummary, ExecuteRequest, FleetSummary,
    HistoryEntry, HistoryKind, HoldKind, HoldView, ListQuery, ObjectView, OrderRequest, PathQuery,
    Presence, PresenceCounts, ReadResponse, RegistrationView, SignalReceipt, SignalRequest,
    ValueView, VersionCount, WhyQuery, WhyReport, WhyVerdict, WriteRequest,
};
pub use document::document;
pub use event::{Event, EventKind};
pub use evidence::{EvidenceView, GateView, IndicatorView, StratumScope, StratumView, e_value};
pub use operation::{
    AssignmentQuery, AssignmentView, AttemptState, ChartView, CountsView, DecisionView,
    ElementPoint, FaultView, InputsView, OperationDetail, OperationState, OperationSummary,
    PathCount, Phase, PhaseBand, Plan, PlanRequest, RatesView, StartRequest, StateCount,
    element_size, origin_words,
};
pub use policy::{ImportFrom, ImportRequest, ImportedPolicy};
pub use problem::{Problem, ProblemCode};
pub use reason::{ReasonCount, explain};
pub use rehearsal::{HealthFacts, InstalledFacts, RehearsalFacts, StratumFacts, TimesFacts};
pub use release::{
    ArtifactReceipt, ArtifactView, Finding, GuardView, LintReport, LintRequest, ManifestFormat,
    PublishRequest, PublishResponse, ReleaseDetail, ReleaseKind, ReleaseSummary, TargetView,
    UpgradeView, WriteView,
};
pub use replay::{DifferenceView, DifferingDecision, ReplayReport};
pub use service::{Health, HealthCheck, Version};
pub use text::{
    Count, DeviceRef, LIMIT_DEFAULT, LIMIT_MAX, OperationRef, Page, ReleaseRef, Share, Timestamp,
    Value, page_limit,
};

#[cfg(test)]
mod tests;
