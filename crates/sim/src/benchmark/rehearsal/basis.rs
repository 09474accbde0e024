//! From what a server knows of its fleet to a scenario of it.

use std::time::Duration;

use model::{FleetFacts, Rate, Span, StratumFacts, TimesFacts};
use operations::evidence::{History, InstallConfig, tolerated};
use serde::Serialize;

use super::super::scenario::{Benign, Installed, Offline, Scenario, Server, Stratum};
use super::super::times::Times;

/// A fleet ready to be rehearsed on, and what of it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The fleet, with a change that does no harm.
    pub scenario: Scenario,
    /// What the scenario was made from, figure by figure.
    pub figures: Vec<Figure>,
    /// Targets that are left out, because they are held or in quarantine.
    pub held: u64,
    /// Strata that were put together, because there are too many.
    pub joined: u64,
}

/// One figure of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What it is.
    pub what: What,
    /// The stratum; empty for all devices.
    pub stratum: String,
    /// Its value, with its unit.
    pub value: String,
    /// How many times it was measured; none when it is assumed.
    pub measured: Option<u64>,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Median time between contacts.
    Gaps,
    /// Median time of an installation.
    Install,
    /// Usual share of failed installations.
    Failures,
    /// Share of the devices that fall silent in an hour.
    Silence,
    /// Mean time until an absent device returns.
    Returns,
    /// The server's usual response time.
    Response,
}

impl Basis {
    /// The fleet of these facts; none without a target that could be updated.
    ///
    /// Sleeping devices call by themselves. Devices whose registration has ended, and those that
    /// wait for something that can pass, are absent and return one by one. Held ones are left out.
    #[must_use]
    pub fn of(facts: &FleetFacts) -> Option<Self> {
        let mut figures = Vec::new();
        let known: Vec<&StratumFacts> =
            facts.strata.iter().filter(|stratum| present(stratum) > 0).collect();
        let devices: u64 = known.iter().copied().map(present).sum();
        if devices == 0 {
            return None;
        }
        let strata: Vec<Stratum> =
            known.iter().map(|stratum| stratum_of(stratum, facts, &mut figures)).collect();
        let returns = Offline::default().returns;
        if known.iter().any(|stratum| stratum.offline + stratum.blocked > 0) {
            figures.push(Figure::fleet(What::Returns, returns.to_string(), None));
        }
        let mut server = Server::default();
        if let Some(known) = facts.response {
            server.response = known.max(Span::millis(1));
        }
        let measured = facts.response.map(|_| 1);
        figures.push(Figure::fleet(What::Response, server.response.to_string(), measured));
        let step = step_of(facts, &strata);
        let contact = strata[0].contact.unwrap_or(Times::Exponential(CONTACT));
        let installed = facts.installed.iter().map(|known| Installed {
            hardware: known.hardware.clone(),
            attempts: known.attempts,
            failures: known.failures,
        });
        let scenario = Scenario {
            devices,
            contact,
            server,
            step,
            horizon: horizon_of(facts, step),
            history: Some(0),
            installed: installed.collect(),
            strata,
            ..Scenario::plain("good", "a release without a fault")
        };
        let held = facts.strata.iter().map(|stratum| stratum.held).sum();
        Some(Self { scenario, figures, held, joined: facts.joined })
    }
}

impl Figure {
    fn fleet(what: What, value: String, measured: Option<u64>) -> Self {
        Self { what, stratum: String::new(), value, measured }
    }
}

const fn present(stratum: &StratumFacts) -> u64 {
    stratum.targets() - stratum.held
}

fn stratum_of(known: &StratumFacts, facts: &FleetFacts, figures: &mut Vec<Figure>) -> Stratum {
    let name = known.name.to_string();
    let mut note = |what, value: String, measured: Option<u64>| {
        figures.push(Figure { what, stratum: name.clone(), value, measured });
    };
    let contact = match &known.gaps {
        Some(gaps) => spread(gaps, 1),
        // A registration is renewed before it ends.
        None => Times::Exponential(Span(known.lifetime.0 / 2).max(Span::secs(1))),
    };
    note(What::Gaps, typical(&contact), known.gaps.map(|gaps| gaps.count));
    let hops = known.hops.max(1);
    let install = match &known.install {
        Some(times) => spread(times, hops),
        None => scaled(INSTALL, hops),
    };
    note(What::Install, typical(&install), known.install.map(|times| times.count));
    let (failures, attempts) = usual_failures(known, facts);
    note(What::Failures, failures.to_string(), (attempts > 0).then_some(attempts));
    let health = &known.health;
    let hours = health.watched_s / 3_600;
    // A single silence in a short time is no rate.
    let is_known = hours >= HOURS_MIN || health.silences >= SILENCES_MIN;
    let silence_per_hour =
        if is_known { hourly(health.silences, health.watched_s) } else { SILENCE };
    note(What::Silence, silence_per_hour.to_string(), is_known.then_some(hours.max(1)));
    let devices = present(known);
    Stratum {
        devices: Some(devices),
        hardware: known.name.hardware.clone(),
        version: known.name.version.clone(),
        site: known.name.site.clone(),
        contact: Some(contact),
        offline: Some(Offline {
            share: Rate::of(known.offline + known.blocked, devices),
            ..Offline::default()
        }),
        install: Some(install),
        benign: Some(Benign {
            failures,
            silence_per_hour,
            crashes_per_hour: hourly(health.crashes, health.watched_s),
            ..Benign::default()
        }),
        silence_after: Some(known.silence_after.max(Span::secs(1))),
        ..Stratum::default()
    }
}

/// What the product itself believes of failures without a fault, and the installations that
/// belief rests on.
fn usual_failures(known: &StratumFacts, facts: &FleetFacts) -> (Rate, u64) {
    let (mut fleet, mut own) = (History::default(), History::default());
    for installed in &facts.installed {
        let is_own = installed.hardware == known.name.hardware;
        for history in [Some(&mut fleet), is_own.then_some(&mut own)].into_iter().flatten() {
            history.attempts += installed.attempts;
            history.failures += installed.failures;
        }
    }
    let learned = tolerated(&[fleet, own], &InstallConfig::default()).learned.value();
    (Rate::basis_points((learned * 1e4).round() as u32), fleet.attempts)
}

/// Many devices, few long gaps: a lognormal distribution through the median and the ninth decile.
fn spread(times: &TimesFacts, factor: u32) -> Times {
    let median = times.median.0.max(Duration::from_secs(1));
    let sigma = (times.p90.0.as_secs_f64() / median.as_secs_f64()).max(1.0).ln() / Z_90;
    scaled(Times::Lognormal { median: Span(median), sigma: sigma.min(SIGMA_MAX) }, factor)
}

fn scaled(times: Times, factor: u32) -> Times {
    match times {
        Times::Lognormal { median, sigma } => {
            Times::Lognormal { median: Span(median.0 * factor), sigma }
        }
        Times::Fixed(span) => Times::Fixed(Span(span.0 * factor)),
        Times::Exponential(mean) => Times::Exponential(Span(mean.0 * factor)),
    }
}

/// The median.
fn typical(times: &Times) -> String {
    let span = match times {
        Times::Fixed(span) | Times::Lognormal { median: span, .. } => span.0,
        Times::Exponential(mean) => mean.0.mul_f64(std::f64::consts::LN_2),
    };
    Span::secs(span.as_secs_f64().round().max(1.0) as u64).to_string()
}

/// Share of the devices that something happens to in an hour, from events in device-seconds.
fn hourly(events: u64, watched_s: u64) -> Rate {
    if events == 0 || watched_s == 0 {
        return Rate::ZERO;
    }
    let share = events as f64 * 3_600.0 / watched_s as f64;
    Rate::basis_points((share * 1e4).round().clamp(1.0, 1e4) as u32)
}

/// Short enough for the looks and for the contacts of the quickest stratum.
fn step_of(facts: &FleetFacts, strata: &[Stratum]) -> Span {
    let contacts = strata.iter().filter_map(|stratum| stratum.contact.as_ref());
    let quickest = contacts.map(Times::mean_s).fold(f64::INFINITY, f64::min);
    let look = facts.policy.rule.evidence().map_or(f64::INFINITY, |rule| rule.look.0.as_secs_f64());
    Span::secs((quickest / 4.0).min(look / 4.0).clamp(1.0, STEP_MAX_S) as u64)
}

/// Long enough for the slow; as many steps as memory for what is due may hold.
fn horizon_of(facts: &FleetFacts, step: Span) -> Span {
    let watch = facts.policy.rule.evidence().map_or(0, |rule| rule.watch.0.as_secs());
    let waits_s = (facts.policy.linger.0.as_secs() + watch).saturating_mul(2);
    let steps_s = step.0.as_secs().saturating_mul(STEPS_MAX);
    Span::secs(HORIZON_S.min(steps_s).max(waits_s).min(HORIZON_MAX_S))
}

/// 90 % quantile of the standard normal distribution.
const Z_90: f64 = 1.281_551_565_544_6;
/// Largest spread a scenario may have.
const SIGMA_MAX: f64 = 3.0;
/// Time between contacts where nothing at all is known.
const CONTACT: Span = Span::secs(1_800);
/// Time of an installation that was never measured: a small image over a slow network.
const INSTALL: Times = Times::Lognormal { median: Span::secs(600), sigma: 0.25 };
/// Share that falls silent in an hour where it was never measured: that of the benchmark.
const SILENCE: Rate = Rate::basis_points(5);
/// Device-hours without a silence that say more than the assumption does.
const HOURS_MIN: u64 = 2_000;
/// Silences that say more than the assumption does, however short the time.
const SILENCES_MIN: u64 = 10;
const STEP_MAX_S: f64 = 60.0;
const STEPS_MAX: u64 = 400_000;
const HORIZON_S: u64 = 60 * 86_400;
const HORIZON_MAX_S: u64 = 366 * 86_400;
