//! Nouns of the product: devices, releases, operations, decisions; identifiers and time.
//!
//! Owns the words that every other room speaks, and their text and stored forms. Refuses to know
//! any protocol, database, clock or network. Shares are whole basis points ([`Rate`]), points in
//! time are values ([`Time`]); nothing here decides anything.
//!
//! Start from [`Operation`] and [`Device`]; [`Record`] is what becomes durable, [`Decision`] what
//! is explained.

mod course;
mod criticality;
mod decision;
mod device;
mod eligibility;
mod evalue;
mod exact;
mod facts;
mod habit;
mod id;
mod look;
mod manifest;
mod operation;
mod policy;
mod rate;
mod record;
mod time;
mod version;

pub use course::{Course, CourseStage, EvidenceCourse, FailedShare, Standing, Tally};
pub use criticality::Criticality;
pub use decision::{Decision, Inputs, Measure, Reason, ReportedRates, Variation, Verdict};
pub use device::{Consented, Datamodel, Device, Fleet, Hold, Observed, Presence, Scalar};
pub use eligibility::{Check, Eligibility, Exclusion};
pub use evalue::EValue;
pub use exact::Exact;
pub use facts::{FleetFacts, HealthFacts, InstalledFacts, StratumFacts, TimesFacts};
pub use habit::{Habit, class_longest_s, gap_class};
pub use id::{BadEndpointName, DeviceId, EndpointName, OperationId, ReleaseId, UnknownId};
pub use look::{
    Arm, EvidenceInputs, EvidencePlan, Gate, HealthEventKind, HealthEvents, IndicatorEvidence,
    IndicatorLook, Judged, Look, Signal, StratumInputs, StratumLook, StratumName, StratumPlan,
    StratumRuling, StratumScope, Tolerance,
};
pub use manifest::{
    Artifact, ArtifactFormat, BatteryRequirement, Confirm, Delivery, Expectation, FormatVersion,
    Guard, GuardLevel, LinkRequirement, Manifest, ManifestError, ReleaseName, ReleaseSection,
    Requires, ResourcePath, ResourceWrite, Sha256, Target, Unknown, Upgrade,
};
pub use operation::{
    Agreement, Assignment, AttemptState, Change, Counts, Fault, FaultClass, FaultKind,
    FirmwareChange, Freeze, Grant, Intent, Operation, OperationState, Origin, Outcome, Phase,
    Progress, Release, Scope, Step,
};
pub use policy::{
    Approval, AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, BatchGrowth, CheckedSteps,
    Consent, Edgehog, Evidence, HawkBit, HawkBitGroup, ImportError, Latency, Mender, MenderPhase,
    Nebraska, NervesHub, NervesHubStep, NodeWright, OfficeHours, Opening, PerPhase, Phases, Policy,
    Retry, Rule, Spread, SpreadBy, Stage, Strategy, StratumBy, TimeOfDay, Undo, Weekday, Window,
    opening,
};
pub use rate::{BadRate, Rate};
pub use record::{Record, Registration, Snapshot};
pub use time::{BadSpan, Span, Time};
pub use version::{BadVersionRange, Version, VersionRange};
