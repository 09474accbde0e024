//! From the engine to the types of the HTTP interface; the only place that does it, for programs
//! and pages alike.

use std::collections::BTreeMap;

use ::operations::{Loops, Planned};
use api::{
    AssignmentView, AttemptState, ChartView, CheckView, Compliance, ConfigurationView,
    DecisionView, DeviceDetail, DeviceRef, DeviceSummary, EvidenceView, HistoryEntry, HistoryKind,
    ObjectView, OperationDetail, OperationSummary, PathCount, Plan, ReasonCount, ReleaseDetail,
    ReleaseRef, ReleaseSummary, StateCount, WhyReport, WhyVerdict, explain,
};
use engine::Engine;
use model::{
    Assignment, Decision, Device, Eligibility, Exclusion, Operation, OperationId, Release,
    ReleaseId, Scope, Step, Time,
};

use super::values::{object_name, stored_views};

/// Looks at the engine at one moment.
pub(super) struct View<'a> {
    pub(super) engine: &'a Engine,
    pub(super) loops: &'a Loops,
    pub(super) now: Time,
    /// Firmware releases, the highest version first.
    firmware: Vec<&'a Release>,
}

impl<'a> View<'a> {
    pub(super) fn new(engine: &'a Engine, now: Time) -> Self {
        let loops = engine.loops();
        let mut firmware: Vec<&Release> =
            loops.releases().filter(|release| release.manifest.is_firmware()).collect();
        firmware.sort_by(|a, b| version(b).cmp(version(a)).then(b.id.cmp(&a.id)));
        Self { engine, loops, now, firmware }
    }

    /// The newest firmware for a device's kind.
    pub(super) fn goal(&self, device: &Device) -> Option<&'a Release> {
        self.firmware.iter().find(|release| fits(release, device)).copied()
    }

    pub(super) fn compliance(&self, device: &Device) -> Compliance {
        if self.engine.operation_on(device.id).is_some() {
            return Compliance::Updating;
        }
        match &device.hold {
            Some(model::Hold::Operator { .. }) => return Compliance::Held,
            Some(model::Hold::System { .. }) => return Compliance::Quarantined,
            None => {}
        }
        let Some(running) = device.version.as_ref().filter(|_| device.is_identified()) else {
            return Compliance::Unknown;
        };
        match self.goal(device) {
            None => Compliance::Untargeted,
            Some(goal) if running >= version(goal) => Compliance::Current,
            Some(_) => Compliance::Outdated,
        }
    }

    pub(super) fn device(&self, device: &Device) -> DeviceSummary {
        let goal = self.goal(device).map(version);
        let operation = self.engine.operation_on(device.id);
        DeviceSummary::new(device, self.compliance(device), goal, operation)
    }

    /// Everything about a device but its history, which the store has.
    pub(super) fn device_detail(&self, device: &Device) -> DeviceDetail {
        let configurations = device.configurations.iter().map(|(release, version)| {
            ConfigurationView { release: release.clone(), version: version.to_string() }
        });
        DeviceDetail {
            summary: self.device(device),
            first_seen: device.first_seen.into(),
            registrations: device.registrations.into(),
            lifetime_s: device.lifetime.as_secs(),
            registration: self.engine.registration(device.id).as_ref().map(Into::into),
            configurations: configurations.collect(),
            objects: self.objects(device),
            updates: self.reports(device),
            history: Vec::new(),
        }
    }

    fn objects(&self, device: &Device) -> Vec<ObjectView> {
        let definitions = self.engine.definitions();
        stored_views(definitions, &device.datamodel.values)
            .into_iter()
            .map(|(instance, values)| ObjectView {
                path: instance.to_string(),
                name: object_name(definitions, instance),
                values,
            })
            .collect()
    }

    /// What a device is to every open operation; to its newest release when none brings it.
    pub(super) fn reports(&self, device: &Device) -> Vec<WhyReport> {
        let open = self.loops.operations().filter(|operation| !operation.state.is_final());
        let mut reports: Vec<WhyReport> =
            open.filter_map(|operation| self.report(device, operation)).collect();
        let Some(goal) = self.goal(device) else { return reports };
        if !reports.iter().any(|report| report.release.id == goal.id.0) {
            // An operation that has ended still says most about why a device is where it is.
            let last = self
                .loops
                .operations()
                .filter(|operation| operation.release == goal.id)
                .last()
                .and_then(|operation| self.report(device, operation));
            reports.extend(last.or_else(|| self.report_on_release(device, goal)));
        }
        reports
    }

    /// What a device is to an operation, and why.
    pub(super) fn report(&self, device: &Device, operation: &Operation) -> Option<WhyReport> {
        let release = self.loops.release(operation.release)?;
        let assignment = self.loops.assignment(operation.id, device.id);
        let mut report = WhyReport {
            device: device.into(),
            operation: Some(operation.id.into()),
            release: release.into(),
            verdict: WhyVerdict::Eligible,
            code: String::new(),
            sentence: String::new(),
            remedy: String::new(),
            observed: None,
            observed_at: None,
            required: None,
            next_check: None,
            path: Vec::new(),
            checks: self
                .loops
                .explain(operation.id, device, self.now)
                .iter()
                .map(CheckView::from)
                .collect(),
            assignment: assignment.map(|assignment| AssignmentView::new(assignment, device.into())),
        };
        if !assignment.is_some_and(|assignment| self.attempted(assignment, release, &mut report)) {
            let eligibility = self.loops.identify(operation.id, device, self.now);
            self.identified(eligibility, &mut report);
        }
        Some(report)
    }

    /// Says what became of a grant. Returns false when the device may be granted again.
    fn attempted(&self, known: &Assignment, release: &Release, report: &mut WhyReport) -> bool {
        use model::AttemptState as State;
        let goal = version(release);
        report.code = known.state.as_str().to_owned();
        report.path = self.releases_named(&known.path);
        match &known.state {
            State::Succeeded => {
                report.verdict = WhyVerdict::Succeeded;
                report.sentence = format!("proved to run {goal}");
                let undo = self.loops.undone_on(known.operation, known.device);
                if let Some(undo) = undo.and_then(|id| self.loops.operation(id)) {
                    report.sentence.push_str(&self.undone(undo, known.device));
                }
            }
            State::Failed { fault } => {
                report.verdict = WhyVerdict::Failed;
                report.sentence = format!("failed: {fault}");
                report.remedy = FAILED_REMEDY.to_owned();
            }
            State::Silent => {
                report.verdict = WhyVerdict::Failed;
                report.sentence = "stayed silent after the change".to_owned();
                report.remedy = FAILED_REMEDY.to_owned();
            }
            State::Deferred { .. } | State::Cancelled => return false,
            state => {
                report.verdict = WhyVerdict::InProgress;
                report.sentence =
                    format!("is being changed: {} since {}", state.as_str(), known.since);
                if let [step, next, ..] = report.path.as_slice() {
                    let pending = format!(
                        "; {} must be proved before {} follows",
                        step.version, next.version
                    );
                    report.sentence.push_str(&pending);
                }
            }
        }
        true
    }

    /// What became of the undoing of a device, after a sentence on the change that is undone.
    fn undone(&self, undo: &Operation, device: model::DeviceId) -> String {
        use model::AttemptState as State;
        let id = undo.id;
        let before = self
            .loops
            .release(undo.release)
            .map_or_else(String::new, |release| format!(" to {}", version(release)));
        match self.loops.assignment(id, device).map(|known| &known.state) {
            Some(State::Succeeded) => format!(", and was taken back{before} by {id}"),
            Some(State::Failed { .. } | State::Silent) => {
                format!("; {id} failed to take it back{before}")
            }
            _ if undo.state.is_final() => format!("; {id} ended without taking it back{before}"),
            _ => format!("; {id} is to take it back{before}"),
        }
    }

    fn identified(&self, eligibility: Eligibility, report: &mut WhyReport) {
        let (verdict, exclusion): (WhyVerdict, Exclusion) = match eligibility {
            Eligibility::Eligible { path } => {
                report.verdict = WhyVerdict::Eligible;
                "eligible".clone_into(&mut report.code);
                "can be updated now and comes in a next element".clone_into(&mut report.sentence);
                report.path = self.releases_named(&path);
                return;
            }
            Eligibility::Waiting { exclusion } => (WhyVerdict::Waiting, exclusion),
            Eligibility::Excluded { exclusion } => (WhyVerdict::Excluded, exclusion),
        };
        report.verdict = verdict;
        report.code = exclusion.code().to_owned();
        report.sentence = exclusion.to_string();
        report.remedy = exclusion.remedy().to_owned();
        report.observed = exclusion.observed();
        report.observed_at = exclusion.observed_at().map(Into::into);
        report.required = exclusion.required();
        report.next_check = exclusion.next_check().map(Into::into);
    }

    /// What a device is to a release that no operation brings: a plan for that device alone.
    fn report_on_release(&self, device: &Device, release: &Release) -> Option<WhyReport> {
        let scope = Scope::Picked { devices: vec![device.id] };
        let policy = model::Policy::default();
        let plan = self
            .loops
            .plan(Planned::Release(release.id), &scope, &policy, self.engine.fleet(), self.now)
            .ok()?;
        let (verdict, code) = match (plan.waiting_by.keys().next(), plan.excluded_by.keys().next())
        {
            _ if plan.eligible > 0 => (WhyVerdict::Eligible, "eligible"),
            (Some(code), _) => (WhyVerdict::Waiting, *code),
            (None, Some(code)) => (WhyVerdict::Excluded, *code),
            (None, None) => return None,
        };
        let (sentence, remedy) = if verdict == WhyVerdict::Eligible {
            ("could be updated, and no operation brings the release", "Start an operation.")
        } else {
            explain(code).unwrap_or((code, ""))
        };
        Some(WhyReport {
            device: device.into(),
            operation: None,
            release: release.into(),
            verdict,
            code: code.to_owned(),
            sentence: sentence.to_owned(),
            remedy: remedy.to_owned(),
            observed: None,
            observed_at: None,
            required: None,
            next_check: None,
            path: Vec::new(),
            checks: Vec::new(),
            assignment: None,
        })
    }

    fn releases_named(&self, ids: &[ReleaseId]) -> Vec<ReleaseRef> {
        ids.iter().filter_map(|id| self.loops.release(*id)).map(Into::into).collect()
    }

    pub(super) fn release(&self, release: &Release) -> ReleaseSummary {
        ReleaseSummary::new(release, self.operations_of(release.id))
    }

    pub(super) fn release_detail(&self, release: &Release) -> ReleaseDetail {
        ReleaseDetail::new(release, self.operations_of(release.id))
    }

    fn operations_of(&self, release: ReleaseId) -> Vec<api::OperationRef> {
        self.loops
            .operations()
            .filter(|operation| operation.release == release)
            .map(|operation| operation.id.into())
            .collect()
    }

    pub(super) fn operation(
        &self,
        operation: &Operation,
        last_decision: Option<&Decision>,
    ) -> Option<OperationSummary> {
        let release = self.loops.release(operation.release)?;
        let counts = self.loops.counts(operation.id)?;
        let undone_by = self.loops.undone_by(operation.id).map(Into::into);
        let summary = OperationSummary::new(operation, release, &counts, last_decision);
        Some(OperationSummary { undone_by, ..summary })
    }

    /// Everything about an operation; `decisions` newest first.
    pub(super) fn operation_detail(
        &self,
        operation: &Operation,
        decisions: &[Decision],
        points: Vec<api::ElementPoint>,
    ) -> Option<OperationDetail> {
        let summary = self.operation(operation, decisions.first())?;
        let policy = &operation.policy;
        let targets = summary.counts.targets;
        Some(OperationDetail {
            favourable: operation.favourable,
            rates: operation.before.as_ref().map(Into::into),
            tolerated_errors: policy.tolerated_errors.of(operation.phase).into(),
            tolerated_warnings: policy.tolerated_warnings.of(operation.phase).into(),
            exclusions: self.exclusions(operation),
            states: self.states(operation.id),
            chart: ChartView::new(points, policy, targets, &summary.progress),
            evidence: EvidenceView::of_operation(operation),
            decisions: decisions.iter().map(DecisionView::from).collect(),
            policy: serde_json::to_value(policy).unwrap_or_default(),
            summary,
        })
    }

    fn exclusions(&self, operation: &Operation) -> Vec<ReasonCount> {
        let skips = self
            .loops
            .release(operation.release)
            .is_some_and(|release| release.manifest.requires.unknown == model::Unknown::Skip);
        let codes = self.loops.exclusions(operation.id, self.engine.fleet(), self.now);
        let waiting = |code: &str| {
            let unknown = matches!(code, "battery.unknown" | "memory.unknown" | "link.unknown");
            !(NO_TARGET.contains(&code) || (unknown && skips))
        };
        let counted =
            codes.into_iter().map(|(code, devices)| ReasonCount::new(code, waiting(code), devices));
        most_first(counted.collect())
    }

    fn states(&self, operation: OperationId) -> Vec<StateCount> {
        let mut counted: BTreeMap<AttemptState, u64> = BTreeMap::new();
        for assignment in self.loops.assignments(operation) {
            *counted.entry((&assignment.state).into()).or_default() += 1;
        }
        counted.into_iter().map(|(state, devices)| StateCount { state, devices }).collect()
    }

    pub(super) fn assignment(&self, assignment: &Assignment) -> AssignmentView {
        AssignmentView::new(assignment, self.device_named(assignment.device))
    }

    pub(super) fn device_named(&self, device: model::DeviceId) -> DeviceRef {
        self.engine.fleet().device(device).map_or_else(
            || DeviceRef { id: device.0, name: device.to_string(), endpoint: String::new() },
            Into::into,
        )
    }

    /// A line of the stored history.
    pub(super) fn history(&self, entry: &store::HistoryEntry) -> HistoryEntry {
        match entry {
            store::HistoryEntry::Intent(intent) => self.intent(intent),
            store::HistoryEntry::Outcome(outcome) => self.outcome(outcome),
        }
    }

    fn intent(&self, intent: &model::Intent) -> HistoryEntry {
        let release = self.loops.release(intent.release);
        let title = title(release, intent.release);
        let sentence = match intent.step {
            Step::Transfer => format!("About to be given the image of {title}"),
            Step::Install => format!("About to be told to install {title}"),
            Step::Configure => format!("About to have the values of {title} written"),
            Step::Reset => "About to have its update object reset".to_owned(),
        };
        HistoryEntry {
            at: intent.at.into(),
            kind: HistoryKind::Intent,
            sentence,
            operation: Some(intent.operation.into()),
            release: release.map(Into::into),
            attempt: Some(intent.attempt),
            version_before: None,
            version_after: None,
        }
    }

    fn outcome(&self, outcome: &model::Outcome) -> HistoryEntry {
        use model::AttemptState as State;
        let release = self.loops.release(outcome.release);
        let title = title(release, outcome.release);
        let (kind, sentence) = match &outcome.state {
            State::Succeeded => (HistoryKind::Succeeded, format!("Proved to run {title}")),
            State::Failed { fault } => (HistoryKind::Failed, format!("Failed at {title}: {fault}")),
            State::Silent => (HistoryKind::Failed, format!("Stayed silent after {title}")),
            State::Deferred { until, fault } => {
                (HistoryKind::Attempt, format!("Put off {title} until {until}: {fault}"))
            }
            State::Cancelled => {
                (HistoryKind::Attempt, format!("{title} was taken back before anything was sent"))
            }
            state => (HistoryKind::Attempt, format!("{title}: {}", state.as_str())),
        };
        HistoryEntry {
            at: outcome.at.into(),
            kind,
            sentence,
            operation: Some(outcome.operation.into()),
            release: release.map(Into::into),
            attempt: Some(outcome.attempt),
            version_before: outcome.version_before.as_ref().map(ToString::to_string),
            version_after: outcome.version_after.as_ref().map(ToString::to_string),
        }
    }
}

/// A plan with the words of the release it is for.
pub(super) fn plan(plan: &::operations::Plan, manifest: &model::Manifest) -> Plan {
    let counted = |by: &BTreeMap<&'static str, u64>, waiting: bool| -> Vec<ReasonCount> {
        by.iter().map(|(code, devices)| ReasonCount::new(code, waiting, *devices)).collect()
    };
    let mut reasons = counted(&plan.waiting_by, true);
    reasons.extend(counted(&plan.excluded_by, false));
    let paths = plan.paths.iter().map(|path| PathCount {
        from: path.from.as_ref().map(ToString::to_string).unwrap_or_default(),
        through: path.through.iter().map(ToString::to_string).collect(),
        devices: path.devices,
    });
    Plan {
        release: format!("{} {}", manifest.release.name, manifest.release.version),
        targets: plan.targets(),
        eligible: plan.eligible,
        waiting: plan.waiting,
        excluded: plan.excluded,
        reasons: most_first(reasons),
        paths: paths.collect(),
        first_speed: plan.first_speed,
        first_per_minute: plan.first_per_minute,
        speed_max: plan.speed_max.into(),
        budget: plan.budget,
        conflicts: plan.conflicts.iter().map(|conflict| conflict.operation.into()).collect(),
        remarks: plan.stopped_by.iter().map(stopped_by).chain(manifest.lint()).collect(),
    }
}

/// What is said before a start of an operation in which evidence stopped the release.
pub(super) fn stopped_by(stopped: &::operations::StoppedBy) -> String {
    let strata: Vec<String> = stopped.strata.iter().map(ToString::to_string).collect();
    format!(
        "evidence stopped this release in {} ({}); if the fault is the release's own, publish a \
         corrected one instead",
        stopped.operation,
        strata.join("; ")
    )
}

/// Whether a release's manifest names a device's kind and hardware.
fn fits(release: &Release, device: &Device) -> bool {
    let is = |observed: &Option<std::sync::Arc<str>>, wanted: &str| {
        observed.as_deref().is_some_and(|observed| same(observed, wanted))
    };
    release.manifest.target.iter().any(|target| {
        is(&device.manufacturer, &target.manufacturer)
            && is(&device.model, &target.model)
            && (target.hardware.is_empty()
                || target.hardware.iter().any(|wanted| is(&device.hardware, wanted)))
    })
}

/// Whether two names of a kind are the same; case and outer white space do not count.
pub(super) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

fn version(release: &Release) -> &model::Version {
    &release.manifest.release.version
}

fn title(release: Option<&Release>, id: ReleaseId) -> String {
    release.map_or_else(|| id.to_string(), |release| ReleaseRef::from(release).title())
}

fn most_first(mut reasons: Vec<ReasonCount>) -> Vec<ReasonCount> {
    reasons.retain(|reason| reason.devices > 0);
    reasons.sort_by(|a, b| b.devices.cmp(&a.devices).then_with(|| a.code.cmp(&b.code)));
    reasons
}

/// Reasons that make a device no target; for every other one it waits.
const NO_TARGET: [&str; 10] = [
    "already_current",
    "newer_version",
    "not_target.model",
    "not_target.hardware",
    "not_target.picked",
    "path.no_edge",
    "path.blocked_edge",
    "stratum.stopped",
    "operation.aborted",
    "retries.exhausted",
];

const FAILED_REMEDY: &str = "Find out why it fails, then start an operation that names it.";
