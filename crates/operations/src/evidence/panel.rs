//! The running evidence of one operation: looks, folded in their order.

use std::collections::VecDeque;
use std::time::Duration;

use libm::log;
use model::{
    Arm, Evidence as Rule, EvidencePlan, Exact, HealthEvents, Look, Rate, StratumInputs,
    StratumLook, Time, Tolerance,
};

use super::bernoulli::InstallConfig;
use super::bound::{BoundConfig, Exposure, Latency, expected_events, fault_bound};
use super::budget::certainty;
use super::combine::{CombineConfig, Stratum, weigh};
use super::growth::{GrowthConfig, growth};
use super::logrank::{HealthConfig, WindowEvents};
use super::means::IndicatorConfig;
use super::numeric::{number, whole};
use super::state::{Evidence, TestsConfig};

/// All that the looks of an operation say together. Strata are known by their names. The same looks
/// in the same order give the same bits, so that nothing of it need be stored.
///
/// *What it does not know.* Decisions: it folds looks alone. That a stratum is stopped it knows
/// where that follows from the looks, once the closed e-value of that stratum has reached the limit
/// (`condemned`, for good). A stratum that an alarm stopped when it had settled has not reached it:
/// that is known to the decision only ([`StratumInputs`], `stopped`), which grants it nothing. For
/// the growth of the others it goes on to count here as one that is not stopped, so that
/// ([`super::against`]) its evidence slows them as part of the evidence of all, not as the known
/// fault of another that is likely theirs too. Whom it stops, a decision knows for good.
///
/// *Silence* is compared contact by contact. Each look has, for both arms, the devices that were
/// in contact in its time; a device that is silent was in contact for the last time in one of
/// them. Given that one of those contacts was the last, it was an updated device's with
/// probability θ(ρ), with the contacts around that look as the risk sets ([`super::Logrank`]). A
/// device is updated while it is in contact, so a comparison per hour would find the updated ones
/// in contact more often and hence, just after the update, falling silent more often; the
/// comparison per contact does not (rollout-engines: "randomise at contact").
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    tests: TestsConfig,
    bound: BoundConfig,
    plan: EvidencePlan,
    growth: GrowthConfig,
    combine: CombineConfig,
    strata: Vec<StratumPanel>,
    looks: u64,
    at: Time,
}

#[derive(Debug, Clone, PartialEq)]
struct StratumPanel {
    last: StratumLook,
    evidence: Evidence,
    exposure: Exposure,
    // Of the exposure, what had matured at the last look.
    matured: f64,
    updated: u64,
    // Seconds that devices were away to install in all, and their number.
    away_s: u64,
    returned: u64,
    // Around the newest looks, the newest last: updated devices in contact by window, and control.
    contacts: VecDeque<Contacts>,
    // Updated devices by the time of their look, the newest last, that silence may still find.
    fresh: VecDeque<(Time, u64)>,
    // Updated devices whose silence would have been found.
    seasoned: u64,
    // Devices that may be granted by what had time to show.
    reach: f64,
    // Its own evidence has reached the limit: the others may have the same fault. Not set where
    // an alarm that settled stopped it.
    condemned: bool,
    // Of updated and of control devices.
    events: [u64; 2],
    // Events the updated devices would have had anyway.
    expected: f64,
}

/// The contacts of one look, or of some looks one after the other where few devices call in each:
/// a risk set of one device would say nothing about which arm an event comes from.
#[derive(Debug, Clone, PartialEq, Default)]
struct Contacts {
    // The first look, and the time of the last.
    look: u64,
    at: Time,
    // Time that they cover, in seconds.
    covers_s: f64,
    // By window of age, and those told to install among the youngest.
    updated: Vec<u64>,
    told: u64,
    control: u64,
    // Seconds for which control devices were followed, in all.
    followed_s: f64,
    // Updated devices for each control device, at the last look and on average over the contacts.
    odds: f64,
    odds_sum: f64,
}

impl Contacts {
    fn of(look: &Look, stratum: &StratumLook, updated: u64, elapsed: Duration) -> Self {
        // Who was granted since is among the contacts only.
        let followed = stratum.control.max(stratum.control_contacts);
        let odds = number(updated) / number(followed.max(1));
        Self {
            look: look.number,
            at: look.at,
            covers_s: elapsed.as_secs_f64(),
            updated: stratum.updated_contacts.clone(),
            told: stratum.updated,
            control: stratum.control_contacts,
            followed_s: elapsed.as_secs_f64() * number(followed),
            odds,
            odds_sum: odds * number(stratum.control_contacts),
        }
    }

    /// Whether later contacts begin anew. A device may count more than once before, in either arm
    /// alike: it is contacts that are compared.
    fn is_full(&self, deadline_s: u64) -> bool {
        self.control >= RISK_SET || self.covers_s * 2.0 >= number(deadline_s)
    }

    fn join(&mut self, later: &Self) {
        self.at = later.at;
        self.odds = later.odds;
        self.odds_sum += later.odds_sum;
        self.covers_s += later.covers_s;
        self.told += later.told;
        self.control += later.control;
        self.followed_s += later.followed_s;
        if self.updated.len() < later.updated.len() {
            self.updated.resize(later.updated.len(), 0);
        }
        for (sum, more) in self.updated.iter_mut().zip(&later.updated) {
            *sum += more;
        }
    }

    /// By how much more of the devices are updated ones at the end than on average: an event of
    /// the end would seem rarer among the contacts than it is among the devices. 1 for one look.
    fn shift(&self) -> f64 {
        let usual = self.odds_sum / number(self.control.max(1));
        // What rounding may make of equal ones is no shift.
        if usual > 0.0 && self.odds > usual * (1.0 + 1e-9) { self.odds / usual } else { 1.0 }
    }

    /// Time between two contacts of a control device that are counted, in seconds.
    fn gap_s(&self) -> f64 {
        self.followed_s / number(self.control.max(1))
    }
}

impl Panel {
    /// Starts without a look.
    #[must_use]
    pub fn new(rule: &Rule, plan: &EvidencePlan) -> Self {
        Self {
            tests: tests_config(rule, plan.indicators),
            bound: bound_config(rule),
            plan: plan.clone(),
            growth: growth_config(rule),
            combine: combine_config(rule, plan.strata.len()),
            strata: Vec::new(),
            looks: 0,
            at: Time::default(),
        }
    }

    /// Longest time in which silence is found in a stratum.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let deadlines = self.strata.iter().map(|stratum| stratum.last.deadline_s);
        Duration::from_secs(deadlines.max().unwrap_or(0))
    }

    /// Number of the last look, 0 before the first.
    #[must_use]
    pub const fn looks(&self) -> u64 {
        self.looks
    }

    /// When the last look was taken.
    #[must_use]
    pub const fn at(&self) -> Time {
        self.at
    }

    /// What the operation is held against.
    #[must_use]
    pub const fn plan(&self) -> &EvidencePlan {
        &self.plan
    }

    /// Takes in the next look. One that was taken in before changes nothing.
    pub fn observe(&mut self, look: &Look) {
        if look.number <= self.looks {
            return;
        }
        let before = (self.looks > 0).then_some(self.at);
        self.looks = look.number;
        self.at = look.at;
        let elapsed = before.map_or(Duration::ZERO, |before| look.at.since(before));
        for stratum in &look.strata {
            let at = self.strata.iter().position(|known| known.last.name == stratum.name);
            let at = at.unwrap_or_else(|| {
                let tolerance = tolerance_of(&self.plan, stratum);
                self.strata.push(StratumPanel::new(tolerance, &self.tests));
                self.strata.len() - 1
            });
            self.strata[at].observe(look, stratum, elapsed, &self.tests, &self.bound);
        }
        self.extend(elapsed);
    }

    /// Lets each stratum grow, the slower the more there is against it.
    fn extend(&mut self, elapsed: Duration) {
        for stratum in &mut self.strata {
            let deadline_s = stratum.last.deadline_s;
            stratum.matured = stratum.exposure.matured(seconds(self.at), deadline_s, &self.bound);
        }
        let tests = &self.tests;
        let strata: Vec<Stratum> = self
            .strata
            .iter()
            .map(|stratum| stratum.evidence.stratum(stratum.matured, stratum.condemned, tests))
            .collect();
        let (evidence, against) = weigh(&strata, &self.combine);
        let limit = log(1.0 / self.combine.alpha);
        for (at, stratum) in self.strata.iter_mut().enumerate() {
            stratum.condemned |= evidence.closed[at] >= limit;
            let matured = strata[at].matured;
            let rate_upper = fault_bound(0, 0.0, matured, &self.bound).rate_upper;
            let growth = growth(against[at], certainty(rate_upper), &self.growth);
            stratum.extend(self.at, elapsed, growth);
        }
    }

    /// What a decision knows of each stratum; `stopped` is the decision's own business and
    /// left empty.
    #[must_use]
    pub fn strata(&self) -> Vec<StratumInputs> {
        self.strata
            .iter()
            .map(|stratum| StratumInputs {
                indicators: stratum.evidence.indicators(&self.plan.indicator_names, &self.tests),
                ..stratum.inputs(&self.tests)
            })
            .collect()
    }
}

impl StratumPanel {
    fn new(tolerance: Tolerance, tests: &TestsConfig) -> Self {
        Self {
            last: StratumLook::default(),
            evidence: Evidence::new(tolerance, tests),
            exposure: Exposure::default(),
            matured: 0.0,
            updated: 0,
            away_s: 0,
            returned: 0,
            contacts: VecDeque::new(),
            fresh: VecDeque::new(),
            seasoned: 0,
            reach: 0.0,
            condemned: false,
            events: [0, 0],
            expected: 0.0,
        }
    }

    fn observe(
        &mut self,
        look: &Look,
        new: &StratumLook,
        elapsed: Duration,
        tests: &TestsConfig,
        bound: &BoundConfig,
    ) {
        self.last = StratumLook { events: Vec::new(), indicators: Vec::new(), ..new.clone() };
        self.evidence.installs.observe(new.failures, new.successes, new.installing);
        let at_s = seconds(look.at);
        self.exposure.add(at_s, new.updated, bound);
        self.exposure.settle(at_s, new.deadline_s, bound);
        self.updated += new.updated;
        self.fresh.push_back((look.at, new.updated));
        let contacts = Contacts::of(look, new, self.updated, elapsed);
        match self.contacts.back_mut().filter(|last| !last.is_full(new.deadline_s)) {
            Some(last) => last.join(&contacts),
            None => self.contacts.push_back(contacts),
        }
        self.away_s += new.away_s;
        self.returned += new.returned;
        let mut events: Vec<&HealthEvents> = new.events.iter().collect();
        events.sort_by_key(|one| (one.look, one.window, one.arm, one.kind));
        for group in events.chunk_by(|one, next| one.look == next.look) {
            self.compare(group, tests);
        }
        for (indicator, (state, config)) in
            new.indicators.iter().zip(self.evidence.indicators.iter_mut().zip(&tests.indicators))
        {
            for (arm, changes) in
                [(Arm::Updated, &indicator.updated), (Arm::Control, &indicator.control)]
            {
                for change in changes {
                    state.observe(arm, at_s, Some(millionths(*change)), config);
                }
            }
        }
        self.forget(look.at);
    }

    /// Events whose last contact fell into the same look, against the contacts around that look.
    fn compare(&mut self, group: &[&HealthEvents], tests: &TestsConfig) {
        let Some(of) = group.first().map(|first| first.look) else { return };
        // What is older than anything remembered is held against the oldest remembered.
        let at = self.contacts.partition_point(|contacts| contacts.look <= of).saturating_sub(1);
        let Some(mut contacts) = self.contacts.get(at).cloned() else { return };
        // Those of now have only begun to gather.
        if let Some(before) = at.checked_sub(1).and_then(|before| self.contacts.get(before))
            && !contacts.is_full(self.last.deadline_s)
        {
            let begun = std::mem::replace(&mut contacts, before.clone());
            contacts.join(&begun);
        }
        let all = tests.health.windows() - 1;
        let at_risk = self.at_risk(&contacts, all);
        let mut windows = vec![WindowEvents::default(); all + 1];
        for (window, at_risk) in windows.iter_mut().zip(at_risk) {
            window.control_at_risk = contacts.control;
            window.treated_at_risk = at_risk;
        }
        let (updated, control) = (number(windows[all].treated_at_risk), number(contacts.control));
        for one in group {
            match one.arm {
                Arm::Updated => {
                    for window in windows_of(usize::from(one.window), all) {
                        windows[window].treated_events += one.devices;
                    }
                    self.events[0] += one.devices;
                }
                Arm::Control => {
                    windows.iter_mut().for_each(|window| window.control_events += one.devices);
                    self.events[1] += one.devices;
                    self.expected += expected_events(one.devices, control, updated);
                }
            }
        }
        self.evidence.health.observe(&windows, &tests.health);
    }

    /// Updated devices at risk in each window, by the contacts around a look.
    ///
    /// A contact is a risk for the time until the next one would have come. That of the order to
    /// install is followed by the installation, over which nobody calls: where control devices
    /// call more often than that, it weighs as many of their contacts. How long installations
    /// last is taken as it is known when the silence is found.
    ///
    /// Over several looks devices go from the control to the updated ones. They are held against
    /// the shares at the end, which is on the safe side.
    fn at_risk(&self, contacts: &Contacts, all: usize) -> Vec<u64> {
        let mut windows = vec![0; all + 1];
        for (age, devices) in contacts.updated.iter().enumerate() {
            for window in windows_of(age, all) {
                windows[window] += devices;
            }
        }
        let away_s = number(self.away_s) / number(self.returned.max(1));
        let gap_s = contacts.gap_s();
        let longer = if gap_s > 0.0 { away_s / gap_s - 1.0 } else { 0.0 };
        let more = whole(libm::ceil(number(contacts.told) * longer.max(0.0)));
        for window in windows_of(0, all) {
            windows[window] += more;
        }
        let shift = contacts.shift();
        if shift > 1.0 {
            windows.iter_mut().for_each(|at_risk| {
                *at_risk = whole(libm::ceil(number(*at_risk) * shift));
            });
        }
        windows
    }

    /// Lets the stratum grow by `growth` devices for each seasoned one in the time in which
    /// silence is found. The devices updated before that time are the ones of which anything is
    /// known; what the growth is measured by is therefore a delay and not a size: whatever the
    /// fault, when its first silences are found the operation has grown by no more than that.
    fn extend(&mut self, now: Time, elapsed: Duration, growth: f64) {
        let deadline = Duration::from_secs(self.last.deadline_s.max(1));
        while let Some((at, devices)) = self.fresh.front().copied()
            && now.since(at) >= deadline
        {
            self.seasoned += devices;
            self.fresh.pop_front();
        }
        let part = elapsed.as_secs_f64() / deadline.as_secs_f64();
        self.reach += growth * number(self.seasoned) * part;
    }

    /// Forgets contacts so old that no silence can go back to them.
    fn forget(&mut self, now: Time) {
        let deadline = Duration::from_secs(self.last.deadline_s);
        while let Some(oldest) = self.contacts.front() {
            let old = now.since(oldest.at) >= deadline.saturating_mul(2);
            // The last look is kept in any case, for events of this very moment.
            let idle = self.contacts.len() > 1 && (old || self.contacts.len() > CONTACTS_MAX);
            if !idle {
                break;
            }
            self.contacts.pop_front();
        }
    }

    fn inputs(&self, tests: &TestsConfig) -> StratumInputs {
        let stratum = self.evidence.stratum(0.0, false, tests);
        StratumInputs {
            name: self.last.name.clone(),
            targets: self.last.targets,
            granted: self.last.granted,
            pending: self.last.pending,
            ready: self.last.ready,
            updated: self.updated,
            matured: Exact::new(self.matured),
            reach: Exact::new(self.reach),
            failures: self.evidence.installs.failures,
            successes: self.evidence.installs.successes,
            tolerated: self.evidence.tolerance.rate,
            events: self.events[0],
            control_events: self.events[1],
            expected: Exact::new(self.expected),
            tests: stratum
                .tests
                .iter()
                .map(|test| test.iter().copied().map(Exact::new).collect())
                .collect(),
            indicators: Vec::new(),
            stopped: false,
        }
    }
}

/// The windows that an age belongs to: its own, and that of all ages.
fn windows_of(age: usize, all: usize) -> [usize; 2] {
    [age.min(all - 1), all]
}

/// The tests that a rule asks for.
#[must_use]
pub fn tests_config(rule: &Rule, indicators: u32) -> TestsConfig {
    TestsConfig {
        install: install_config(rule),
        health: HealthConfig {
            age_limits_s: rule.ages.iter().map(|age| age.0.as_secs()).collect(),
            ..HealthConfig::default()
        },
        indicators: (0..indicators).map(|_| IndicatorConfig::default()).collect(),
    }
}

/// How the evidence of so many strata is combined under a rule.
#[must_use]
pub fn combine_config(rule: &Rule, strata: usize) -> CombineConfig {
    CombineConfig {
        alpha: share(rule.alpha),
        strata_planned: strata.max(1),
        weights: tests_config(rule, 0).weights(),
        ..CombineConfig::default()
    }
}

/// How growth follows what is known under a rule.
fn growth_config(rule: &Rule) -> GrowthConfig {
    GrowthConfig { growth_max: f64::from(rule.growth_max), ..GrowthConfig::default() }
}

/// How failures of installations are judged under a rule.
#[must_use]
pub fn install_config(rule: &Rule) -> InstallConfig {
    InstallConfig {
        tolerated_min: share(rule.tolerated_min),
        factor: share(rule.tolerated_factor),
        ..InstallConfig::default()
    }
}

/// How exposure matures under a rule.
#[must_use]
pub fn bound_config(rule: &Rule) -> BoundConfig {
    let default = BoundConfig::default();
    let latencies: Vec<Latency> = rule
        .latencies
        .iter()
        .map(|one| Latency { mean_s: one.mean.0.as_secs().max(1), weight: share(one.share) })
        .collect();
    let longest_s = latencies.iter().map(|one| one.mean_s).max().unwrap_or(1);
    BoundConfig {
        latencies,
        bucket_s: rule.look.0.as_secs().clamp(1, default.bucket_s),
        // After seven mean times less than one in a thousand is still to come.
        matured_s: longest_s.saturating_mul(7),
        ..default
    }
}

/// A share as a fraction.
#[must_use]
pub fn share(rate: Rate) -> f64 {
    f64::from(rate.as_basis_points()) / 10_000.0
}

fn tolerance_of(plan: &EvidencePlan, stratum: &StratumLook) -> Tolerance {
    let known = plan.strata.iter().find(|known| known.name == stratum.name);
    known.map_or(plan.others, |known| known.tolerance)
}

fn seconds(at: Time) -> u64 {
    at.as_micros() / 1_000_000
}

#[expect(clippy::cast_precision_loss, reason = "a change of nine million times is a change")]
fn millionths(change: i64) -> f64 {
    change as f64 / 1e6
}

/// Groups of looks whose contacts are remembered: with enough devices in each of five minutes, two
/// weeks.
const CONTACTS_MAX: usize = 4_096;
/// Contacts of control devices that are enough to be compared with.
const RISK_SET: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    /// The order to install is the last that is heard of a device for as long as it installs. Of
    /// devices that call all the time, more would fall silent after that contact than after any
    /// other, whatever they install.
    #[test]
    fn the_contact_at_the_order_weighs_as_much_as_the_installation_lasts() {
        let check = |control: u64, contacts: u64, away_s: u64, at_risk: [u64; 3]| {
            let rule = Rule { ages: vec![model::Span::secs(300)], ..Rule::default() };
            let tests = tests_config(&rule, 0);
            let mut panel = StratumPanel::new(Tolerance::default(), &tests);
            let look = |number: u64| Look {
                operation: model::OperationId(1),
                number,
                at: Time::from_secs(300 * number),
                strata: Vec::new(),
                left: Vec::new(),
            };
            let stratum = StratumLook {
                updated: 10,
                returned: 10,
                updated_contacts: vec![10, 40],
                control_contacts: contacts,
                control,
                away_s,
                ..StratumLook::default()
            };
            let bound = bound_config(&rule);
            panel.observe(&look(1), &stratum, Duration::from_secs(300), &tests, &bound);
            let contacts = panel.contacts.back().expect("a look was taken");
            assert_eq!(panel.at_risk(contacts, 2), at_risk);
        };
        // Everyone calls in every look of five minutes; 20 minutes are four such gaps.
        check(1_000, 1_000, 10 * 1_200, [40, 40, 80]);
        // Half of them do: the gaps are ten minutes.
        check(1_000, 500, 10 * 1_200, [20, 40, 60]);
        // Who calls less often than an installation takes is not away for longer than usual.
        check(1_000, 100, 10 * 1_200, [10, 40, 50]);
        check(1_000, 1_000, 0, [10, 40, 50]);
    }

    /// Where a control device calls once in two looks, one look is no risk set: the device that
    /// fell silent would be compared with itself.
    #[test]
    fn few_contacts_are_gathered_over_looks() {
        let rule = Rule::default();
        let tests = tests_config(&rule, 0);
        let log_e = |silent_at: u64, looks: u64, control_contacts: fn(u64) -> u64| {
            let mut panel = StratumPanel::new(Tolerance::default(), &tests);
            for number in 1..=looks {
                let silent = HealthEvents {
                    arm: Arm::Updated,
                    look: silent_at,
                    window: 0,
                    kind: model::HealthEventKind::Silence,
                    devices: 1,
                };
                let stratum = StratumLook {
                    updated_contacts: vec![u64::from(number.is_multiple_of(10))],
                    control_contacts: control_contacts(number),
                    control: 150,
                    deadline_s: 259_200,
                    events: if number == looks { vec![silent] } else { Vec::new() },
                    ..StratumLook::default()
                };
                let look = Look {
                    operation: model::OperationId(1),
                    number,
                    at: Time::from_secs(300 * number),
                    strata: Vec::new(),
                    left: Vec::new(),
                };
                let elapsed = Duration::from_secs(300);
                panel.observe(&look, &stratum, elapsed, &tests, &bound_config(&rule));
            }
            panel.evidence.health.log_components().into_iter().fold(0.0, f64::max)
        };
        let sometimes = |number: u64| u64::from(number.is_multiple_of(2));
        // Found later, of this very moment, and in a set that has only begun: each against as
        // many contacts as there were around it.
        let (later, now, begun) =
            (log_e(10, 400, sometimes), log_e(100, 100, sometimes), log_e(110, 110, sometimes));
        assert!([later, now, begun].iter().all(|log_e| *log_e > 1.5), "{later} {now} {begun}");
        assert!(log_e(10, 400, |_| 0).abs() < 1e-12, "without a control nothing is evidence");
    }
}
