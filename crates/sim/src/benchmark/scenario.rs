//! Scenarios: what a fleet, a release and a network are like, as data.

use std::fmt;
use std::time::Duration;

use model::{Rate, Span, StratumName};
use serde::{Deserialize, Serialize};

use super::times::Times;

/// A fleet, a change that it is given, and what happens meanwhile.
///
/// Written in TOML; every field but `name`, `title`, `devices` and `contact` has a default.
/// Shares are percentages such as `"0.5 %"`, times are spans such as `"30m"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, such as `B7`; letters, digits, `-` and `_`.
    pub name: String,
    /// What it is about, in a few words.
    pub title: String,
    /// Devices at the start.
    pub devices: u64,
    /// Gaps between the contacts of a device.
    pub contact: Times,
    /// Devices that cannot be reached.
    #[serde(default)]
    pub offline: Offline,
    /// Time from the order to the report of the new version.
    #[serde(default = "Scenario::install")]
    pub install: Times,
    /// Time from the order to the report of a failure; without it that of `install`.
    #[serde(default)]
    pub failing: Option<Times>,
    /// What happens to devices whatever they run.
    #[serde(default)]
    pub benign: Benign,
    /// How `benign` changes with the time of day and from day to day.
    #[serde(default)]
    pub drift: Drift,
    /// Silence after which an updated device counts as failed, and the shortest silence that is
    /// an event. Without it the deadline is learned from the gaps, as the product does.
    #[serde(default)]
    pub silence_after: Option<Span>,
    /// Earlier installations the fleet remembers; without it as many as there are devices.
    #[serde(default)]
    pub history: Option<u64>,
    /// Earlier installations as they were, by hardware; goes before `history`.
    #[serde(default, rename = "installed")]
    pub installed: Vec<Installed>,
    /// Newcomers an hour.
    #[serde(default)]
    pub arrivals_per_hour: f64,
    /// The server that answers.
    #[serde(default)]
    pub server: Server,
    /// A value that devices report, such as the load of their processor.
    #[serde(default)]
    pub indicator: Option<Indicator>,
    /// Time of day at the start, in hours.
    #[serde(default)]
    pub start_hour: f64,
    /// Time until an operator agrees to an undo that the product proposes.
    #[serde(default = "Scenario::operator")]
    pub operator: Span,
    /// Time after which a run is cut off.
    #[serde(default = "Scenario::horizon")]
    pub horizon: Span,
    /// Shortest time that is told apart; the network is looked at so often.
    #[serde(default = "Scenario::step")]
    pub step: Span,
    /// Parts of the fleet; without any, all devices are alike.
    #[serde(default, rename = "stratum")]
    pub strata: Vec<Stratum>,
    /// What the change does to devices; without any it is a good one.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// Networks that fail for a while.
    #[serde(default, rename = "outage")]
    pub outages: Vec<Outage>,
    /// Changes of the server's response time.
    #[serde(default, rename = "latency")]
    pub latencies: Vec<LatencyChange>,
    /// Operations that run at the same time on the same devices, at most three; without any, one.
    #[serde(default, rename = "operation")]
    pub operations: Vec<OperationName>,
}

/// Devices that cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Offline {
    /// Share of the devices at the start.
    pub share: Rate,
    /// Mean time until one returns.
    pub returns: Span,
    /// Whether others leave in turn, so that the share stays.
    pub steady: bool,
}

impl Default for Offline {
    fn default() -> Self {
        Self { share: Rate::ZERO, returns: Span::secs(24 * 3_600), steady: false }
    }
}

impl Offline {
    fn problem(&self) -> Option<String> {
        let wrong = self.share > Rate::WHOLE || (self.steady && self.share == Rate::WHOLE);
        if wrong {
            return Some("needs a share of at most 100 %, below that when steady".to_owned());
        }
        self.returns
            .0
            .is_zero()
            .then(|| "returns after 0; write e.g. `returns = \"1d\"`".to_owned())
    }
}

/// What happens to devices whatever they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Benign {
    /// Share of installations that fail and say so.
    pub failures: Rate,
    /// Share of tries that break off and can be tried again.
    pub passing: Rate,
    /// Share of the devices that fall silent for good in an hour.
    pub silence_per_hour: Rate,
    /// Share of the devices that crash or reboot by themselves in an hour.
    pub crashes_per_hour: Rate,
}

impl Benign {
    fn problem(&self) -> Option<String> {
        let shares = [self.failures, self.passing, self.silence_per_hour, self.crashes_per_hour];
        let wrong = shares.into_iter().any(|share| share > Rate::WHOLE);
        wrong.then(|| "has a share above 100 %".to_owned())
    }
}

/// How what is benign changes: all of it is multiplied by
/// (1 + daily · cos(2π (hour − peak_hour) ÷ 24)) · (1 + per_day · days).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Swing between day and night, 0 to 1.
    pub daily: f64,
    /// Hour of the day at which it is highest.
    pub peak_hour: f64,
    /// Growth from day to day, −0.1 to 1.
    pub per_day: f64,
}

/// The server that answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Usual time to answer.
    pub response: Span,
    /// Standard deviation of its logarithm.
    pub jitter: f64,
    /// Installations it carries at the same time; the time to answer grows as 1 ÷ (1 − load).
    pub capacity: Option<u64>,
}

impl Default for Server {
    fn default() -> Self {
        Self { response: Span::millis(40), jitter: 0.1, capacity: None }
    }
}

/// A value that devices report, as the change against their own baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Standard deviation of the change without any cause, 0.15 for 15 %.
    pub noise: f64,
    /// Age since the update at which the value is taken.
    pub after: Span,
}

impl Indicator {
    fn problem(&self) -> Option<String> {
        let wrong = !self.noise.is_finite() || self.noise < 0.0;
        wrong.then(|| "needs noise of at least 0".to_owned())
    }
}

/// A part of the fleet; what it leaves out is as in the scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stratum {
    /// Share of the devices; all shares add up to 100 %.
    pub share: Rate,
    /// Devices at the start, instead of `share`, where a share is too coarse; given for all strata
    /// or for none, and adding up to those of the scenario.
    pub devices: Option<u64>,
    /// Hardware revision.
    pub hardware: String,
    /// Version before.
    pub version: String,
    /// Where the devices are.
    pub site: String,
    /// Gaps between contacts.
    pub contact: Option<Times>,
    /// Devices that cannot be reached.
    pub offline: Option<Offline>,
    /// Time an installation takes.
    pub install: Option<Times>,
    /// What happens whatever they run.
    pub benign: Option<Benign>,
    /// Silence after which a device counts as lost.
    pub silence_after: Option<Span>,
}

/// Earlier installations on one hardware.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Installed {
    /// Hardware revision.
    pub hardware: String,
    /// Installations that ended.
    pub attempts: u64,
    /// Of these, failed ones.
    pub failures: u64,
}

impl Stratum {
    /// What its devices have in common.
    #[must_use]
    pub fn name(&self) -> StratumName {
        StratumName {
            hardware: self.hardware.clone(),
            version: self.version.clone(),
            site: self.site.clone(),
        }
    }
}

/// Something the change does to a share of the devices that get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Share of the devices it hits.
    pub rate: Rate,
    /// Time from the installation until it shows; for the kinds that are late.
    #[serde(default)]
    pub latency: Option<Times>,
    /// Shift of the indicator, 0.15 for 15 %; for `indicator`.
    #[serde(default)]
    pub shift: f64,
    /// Factor of the usual rate of crashes; for `reboots`.
    #[serde(default)]
    pub factor: f64,
    /// Only devices of this hardware revision.
    #[serde(default)]
    pub hardware: Option<String>,
    /// Only devices that ran this version before.
    #[serde(default)]
    pub version: Option<String>,
    /// Only devices at this site.
    #[serde(default)]
    pub site: Option<String>,
    /// Only in the operation of this name; without it in the first one.
    #[serde(default)]
    pub operation: Option<String>,
}

impl Fault {
    /// A fault that hits any device.
    pub(super) const fn plain(kind: FaultKind, rate: Rate) -> Self {
        Self {
            kind,
            rate,
            latency: None,
            shift: 0.0,
            factor: 0.0,
            hardware: None,
            version: None,
            site: None,
            operation: None,
        }
    }
}

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The installation fails, and the device says so.
    Failure,
    /// The device never comes back from the installation.
    Brick,
    /// It comes back, and falls silent for good later.
    LatentSilence,
    /// It comes back, and crashes later.
    LatentCrash,
    /// Its indicator is shifted.
    Indicator,
    /// It crashes more often than before.
    Reboots,
}

/// A network that fails for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// When it begins, from the start.
    pub from: Span,
    /// When it ends.
    pub to: Span,
    /// Share of the online devices that fall silent in that time.
    pub share: Rate,
    /// Only at this site.
    #[serde(default)]
    pub site: Option<String>,
}

/// A change of the server's response time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyChange {
    /// Share of the targets that are through when it begins; or `after`.
    #[serde(default)]
    pub at: Option<Rate>,
    /// When it begins, from the start.
    #[serde(default)]
    pub after: Option<Span>,
    /// How long it lasts; without it to the end.
    #[serde(default)]
    pub lasts: Option<Span>,
    /// Factor of the response time, 0.1 to 100.
    pub factor: f64,
}

/// One of several operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationName {
    /// Its name, which faults refer to.
    pub name: String,
}

/// Why a text is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// It is no TOML, or a field is unknown, missing or of the wrong kind.
    #[error("{0}")]
    Unreadable(String),
    /// A field has a value that makes no sense.
    #[error("line {line}: `{field}` {problem}")]
    Senseless {
        /// Line of the field, or of its table when it is left out; 1 when it is not written.
        line: usize,
        /// The field.
        field: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
}

impl Scenario {
    /// Devices a scenario may have.
    pub const DEVICES_MAX: u64 = 10_000_000;
    /// Strata a scenario may have.
    pub const STRATA_MAX: usize = 64;
    /// Operations a scenario may have.
    pub const OPERATIONS_MAX: usize = 3;

    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] names the line and the field.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self = toml::from_str(text)
            .map_err(|error| ScenarioError::Unreadable(error.to_string().trim_end().to_owned()))?;
        if scenario.strata.is_empty() {
            scenario.strata.push(Stratum { share: Rate::WHOLE, ..Stratum::default() });
        }
        if scenario.operations.is_empty() {
            scenario.operations.push(OperationName { name: "change".to_owned() });
        }
        match scenario.problem() {
            None => Ok(scenario),
            Some(Problem { table, field, problem }) => Err(ScenarioError::Senseless {
                line: line_of(text, table, field),
                field: match table {
                    Some((table, _)) => format!("{table}.{field}"),
                    None => field.to_owned(),
                },
                problem,
            }),
        }
    }

    /// Writes it as a file that [`Scenario::from_toml`] reads.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tested to be writable with every field set")
    }

    /// A scenario with nothing in it but what every field has by default.
    pub(super) fn plain(name: &str, title: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            devices: 1,
            contact: Times::Exponential(Span::secs(1_800)),
            offline: Offline::default(),
            install: Self::install(),
            failing: None,
            benign: Benign::default(),
            drift: Drift::default(),
            silence_after: None,
            history: None,
            installed: Vec::new(),
            arrivals_per_hour: 0.0,
            server: Server::default(),
            indicator: None,
            operator: Self::operator(),
            start_hour: 0.0,
            horizon: Self::horizon(),
            step: Self::step(),
            strata: Vec::new(),
            faults: Vec::new(),
            outages: Vec::new(),
            latencies: Vec::new(),
            operations: vec![OperationName { name: "change".to_owned() }],
        }
    }

    /// Devices of each stratum at the start.
    #[must_use]
    pub fn targets(&self) -> Vec<u64> {
        let mut left = self.devices;
        let mut shares = u64::from(Rate::WHOLE.as_basis_points());
        let devices = self.strata.iter().map(|stratum| {
            if let Some(devices) = stratum.devices {
                return devices;
            }
            let share = u64::from(stratum.share.as_basis_points());
            // Rounding is made up for by the strata that follow.
            let devices = (left * share + shares / 2).checked_div(shares).unwrap_or(0);
            left -= devices;
            shares -= share;
            devices
        });
        devices.collect()
    }

    /// Whether the change does no harm to anyone.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether a fault of an operation can hit a stratum.
    #[must_use]
    pub fn is_hit(&self, operation: usize, stratum: usize) -> bool {
        self.faults.iter().any(|fault| self.hits(fault, operation, stratum))
    }

    /// Whether that fault can.
    pub(super) fn hits(&self, fault: &Fault, operation: usize, stratum: usize) -> bool {
        let Some(stratum) = self.strata.get(stratum) else { return false };
        let same = |filter: &Option<String>, value: &str| {
            filter.as_deref().is_none_or(|filter| filter == value)
        };
        let named = match &fault.operation {
            Some(name) => self.operations.get(operation).is_some_and(|it| it.name == *name),
            None => operation == 0,
        };
        named
            && same(&fault.hardware, &stratum.hardware)
            && same(&fault.version, &stratum.version)
            && same(&fault.site, &stratum.site)
    }

    fn install() -> Times {
        Times::Lognormal { median: Span::secs(600), sigma: 0.25 }
    }

    const fn operator() -> Span {
        Span::secs(3_600)
    }

    const fn horizon() -> Span {
        Span::secs(40 * 86_400)
    }

    const fn step() -> Span {
        Span::secs(60)
    }

    /// The first field that makes no sense.
    fn problem(&self) -> Option<Problem> {
        self.general_problem()
            .or_else(|| self.strata_problem())
            .or_else(|| self.faults_problem())
            .or_else(|| self.events_problem())
    }

    fn general_problem(&self) -> Option<Problem> {
        let whole = |field, problem: String| Some(Problem { table: None, field, problem });
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || !self.name.chars().all(is_plain) {
            return whole("name", "must be letters, digits, `-` and `_`".to_owned());
        }
        if !(1..=Self::DEVICES_MAX).contains(&self.devices) {
            let max = Self::DEVICES_MAX;
            return whole("devices", format!("is {}; it must be 1 to {max}", self.devices));
        }
        let failing = self.failing.as_ref().unwrap_or(&self.install);
        for (field, times) in
            [("contact", &self.contact), ("install", &self.install), ("failing", failing)]
        {
            if let Some(problem) = times.problem() {
                return whole(field, problem);
            }
        }
        let second = Duration::from_secs(1);
        if !(second..=Duration::from_secs(3_600)).contains(&self.step.0) {
            return whole("step", format!("is {}; it must be 1s to 1h", self.step));
        }
        if self.horizon.0 < self.step.0 || self.horizon.0 > Duration::from_secs(366 * 86_400) {
            return whole("horizon", format!("is {}; it must be `step` to 366d", self.horizon));
        }
        if !(0.0..=1e6).contains(&self.arrivals_per_hour) {
            return whole("arrivals_per_hour", "must be 0 to 1000000".to_owned());
        }
        if !(0.0..=24.0).contains(&self.start_hour) {
            return whole("start_hour", "must be 0 to 24".to_owned());
        }
        for (field, problem) in [
            ("offline", self.offline.problem()),
            ("benign", self.benign.problem()),
            ("indicator", self.indicator.and_then(|it| it.problem())),
        ] {
            if let Some(problem) = problem {
                return whole(field, problem);
            }
        }
        let drift = &self.drift;
        if !(0.0..=1.0).contains(&drift.daily) || !(-0.1..=1.0).contains(&drift.per_day) {
            return whole("drift", "needs daily 0 to 1 and per_day -0.1 to 1".to_owned());
        }
        if !(0.0..=2.0).contains(&self.server.jitter) || self.server.response.0.is_zero() {
            return whole("server", "needs a response above 0 and jitter 0 to 2".to_owned());
        }
        if self.server.capacity == Some(0) {
            return whole("server", "has capacity 0; leave it out for no limit".to_owned());
        }
        None
    }

    fn strata_problem(&self) -> Option<Problem> {
        if self.strata.len() > Self::STRATA_MAX {
            let problem = format!("is there more than {} times", Self::STRATA_MAX);
            return Some(Problem { table: None, field: "stratum", problem });
        }
        if let Some(problem) = self.sizes_problem() {
            return Some(problem);
        }
        if self.installed.iter().any(|it| it.failures > it.attempts) {
            let problem = "has more failures than attempts".to_owned();
            return Some(Problem { table: None, field: "installed", problem });
        }
        for (at, stratum) in self.strata.iter().enumerate() {
            for (field, times) in [("contact", &stratum.contact), ("install", &stratum.install)] {
                if let Some(problem) = times.as_ref().and_then(Times::problem) {
                    return Some(Problem { table: Some(("stratum", at)), field, problem });
                }
            }
            let offline = stratum.offline.and_then(|it| it.problem());
            let benign = stratum.benign.and_then(|it| it.problem());
            for (field, problem) in [("offline", offline), ("benign", benign)] {
                if let Some(problem) = problem {
                    return Some(Problem { table: Some(("stratum", at)), field, problem });
                }
            }
            if self.strata[..at].iter().any(|other| other.name() == stratum.name()) {
                let problem =
                    "with `version` and `site` is that of a stratum that is there already";
                let problem = problem.to_owned();
                return Some(Problem { table: Some(("stratum", at)), field: "hardware", problem });
            }
        }
        None
    }

    fn sizes_problem(&self) -> Option<Problem> {
        let wrong = |field, problem| Some(Problem { table: Some(("stratum", 0)), field, problem });
        let counted = self.strata.iter().filter(|it| it.devices.is_some()).count();
        if counted > 0 {
            let all: u64 =
                self.strata.iter().filter_map(|it| it.devices).fold(0, u64::saturating_add);
            if counted < self.strata.len() || self.strata.iter().any(|it| it.share != Rate::ZERO) {
                let problem = "is for all strata or for none, and without `share`".to_owned();
                return wrong("devices", problem);
            }
            if all != self.devices {
                let devices = self.devices;
                let problem = format!("adds up to {all} over all strata; it must be {devices}");
                return wrong("devices", problem);
            }
            return None;
        }
        let all: u64 = self.strata.iter().map(|it| u64::from(it.share.as_basis_points())).sum();
        if all != u64::from(Rate::WHOLE.as_basis_points()) {
            let all = Rate::basis_points(u32::try_from(all).unwrap_or(u32::MAX));
            let problem = format!("adds up to {all} over all strata; it must be 100 %");
            return wrong("share", problem);
        }
        None
    }

    fn faults_problem(&self) -> Option<Problem> {
        for (at, fault) in self.faults.iter().enumerate() {
            let wrong = |field, problem: &str| {
                let problem = problem.to_owned();
                Some(Problem { table: Some(("fault", at)), field, problem })
            };
            if fault.rate == Rate::ZERO || fault.rate > Rate::WHOLE {
                return wrong("rate", "must be above 0 % and at most 100 %");
            }
            let is_late = matches!(fault.kind, FaultKind::LatentSilence | FaultKind::LatentCrash);
            match &fault.latency {
                None if is_late => return wrong("latency", "is missing; this kind shows late"),
                Some(_) if !is_late => return wrong("latency", "is only for kinds that show late"),
                Some(times) => {
                    if let Some(problem) = times.problem() {
                        return wrong("latency", &problem);
                    }
                }
                None => {}
            }
            if fault.kind == FaultKind::Indicator && self.indicator.is_none() {
                return wrong("kind", "needs the scenario's `indicator`");
            }
            if fault.kind == FaultKind::Indicator && fault.shift == 0.0 {
                return wrong("shift", "is missing or 0; write e.g. 0.15 for 15 % more");
            }
            if fault.kind == FaultKind::Reboots && fault.factor <= 1.0 {
                return wrong("factor", "must be above 1");
            }
            if let Some(operation) = &fault.operation
                && self.operations.iter().all(|it| it.name != *operation)
            {
                return wrong("operation", "names no `[[operation]]` of this file");
            }
            if !(0..self.operations.len())
                .any(|op| (0..self.strata.len()).any(|stratum| self.hits(fault, op, stratum)))
            {
                return wrong(self.misses(fault), "is that of no device it could hit");
            }
        }
        None
    }

    /// Which filter of a fault that can hit no device fits no stratum; the first one where only all
    /// of them together fit none.
    fn misses(&self, fault: &Fault) -> &'static str {
        let any = |fits: &dyn Fn(&Stratum) -> bool| self.strata.iter().any(fits);
        let filters = [
            ("hardware", &fault.hardware, any(&|it| fault.hardware.as_ref() == Some(&it.hardware))),
            ("version", &fault.version, any(&|it| fault.version.as_ref() == Some(&it.version))),
            ("site", &fault.site, any(&|it| fault.site.as_ref() == Some(&it.site))),
        ];
        let given = || filters.iter().filter(|(_, filter, _)| filter.is_some());
        let missed = given().find(|(_, _, fits)| !fits).or_else(|| given().next());
        missed.map_or("kind", |(field, ..)| field)
    }

    fn events_problem(&self) -> Option<Problem> {
        for (at, outage) in self.outages.iter().enumerate() {
            let wrong = |field, problem: &str| {
                let problem = problem.to_owned();
                Some(Problem { table: Some(("outage", at)), field, problem })
            };
            if outage.from >= outage.to {
                return wrong("to", "must be after `from`");
            }
            if outage.share > Rate::WHOLE || outage.share == Rate::ZERO {
                return wrong("share", "must be above 0 % and at most 100 %");
            }
            let unknown = |site: &String| self.strata.iter().all(|it| it.site != *site);
            if outage.site.as_ref().is_some_and(unknown) {
                return wrong("site", "names the site of no stratum");
            }
        }
        for (at, change) in self.latencies.iter().enumerate() {
            let wrong = |field, problem: &str| {
                let problem = problem.to_owned();
                Some(Problem { table: Some(("latency", at)), field, problem })
            };
            if change.at.is_some() == change.after.is_some() {
                return wrong("at", "or `after` is needed, and not both");
            }
            if !(0.1..=100.0).contains(&change.factor) {
                return wrong("factor", "must be 0.1 to 100");
            }
            if change.lasts.is_some_and(|lasts| lasts.0.is_zero()) {
                return wrong("lasts", "is 0; leave it out for a change that stays");
            }
        }
        if self.operations.len() > Self::OPERATIONS_MAX {
            let problem = format!("is there more than {} times", Self::OPERATIONS_MAX);
            return Some(Problem { table: None, field: "operation", problem });
        }
        for (at, operation) in self.operations.iter().enumerate() {
            if self.operations[..at].iter().any(|other| other.name == operation.name) {
                let problem = "is that of an operation that is there already".to_owned();
                return Some(Problem { table: Some(("operation", at)), field: "name", problem });
            }
        }
        None
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.title)
    }
}

/// A field that makes no sense.
struct Problem {
    /// Table and its number, from 0.
    table: Option<(&'static str, usize)>,
    field: &'static str,
    problem: String,
}

/// The line a field is written in, from 1; that of its table when it is left out.
fn line_of(text: &str, table: Option<(&str, usize)>, field: &str) -> usize {
    let header = table.map(|(table, _)| format!("[[{table}]]"));
    let mut left = table.map_or(0, |(_, at)| at + 1);
    let mut found = 1;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.starts_with('[') {
            let is_own = match &header {
                Some(header) => line.starts_with(header.as_str()),
                None => line.trim_matches(['[', ']']) == field,
            };
            match (is_own, &header) {
                (true, None) => return number,
                (true, Some(_)) => {
                    left = left.wrapping_sub(1);
                    if left == 0 {
                        found = number;
                    }
                }
                (false, _) if left == 0 && header.is_none() => left = usize::MAX,
                (false, _) => {}
            }
            continue;
        }
        let is_field = line.strip_prefix(field).is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with('=') || rest.starts_with('.')
        });
        if left == 0 && is_field {
            return number;
        }
    }
    found
}
