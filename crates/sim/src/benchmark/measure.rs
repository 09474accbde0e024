//! What is measured: outcomes of runs, and what many of them come to.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::scenario::Scenario;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Outcome {
    pub(super) operations: Vec<OperationScope>,
    /// Devices that got a fault, whether or not it has shown.
    pub(super) harmed: u64,
    pub(super) harmed_before_stop: u64,
    /// What was undone after a stop, if anything was.
    pub(super) undone: Option<Undone>,
    pub(super) told: u64,
    pub(super) stop: Option<Stop>,
    /// Whether something was stopped that does no harm.
    pub(super) false_stop: bool,
    /// Strata stopped; of them harmful ones; harmful ones in all.
    pub(super) scope: Scope,
    pub(super) finished: bool,
    pub(super) first_harm_s: Option<f64>,
    /// Devices whose fault had shown when the holdback was released; none before.
    pub(super) shown_at_release: Option<u64>,
    pub(super) hours_to_50: Option<f64>,
    pub(super) hours_to_90: Option<f64>,
    pub(super) hours: f64,
    pub(super) peak_in_flight: u64,
    /// The server's time to answer that 99 % of the requests of devices in flight stay below.
    pub(super) response_p99_ms: Option<f64>,
    pub(super) decisions: u64,
    /// Times are the only things that are not the same in every run with the same seed.
    pub(super) decision_time: Duration,
    pub(super) regulation_time: Duration,
}

/// What came of undoing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Undone {
    /// Devices brought back to the version before.
    pub(super) devices: u64,
    /// Of these, devices with a fault: one that had not shown, or one they lived on with.
    pub(super) recovered: u64,
    /// From the stop until nine tenths of them were through.
    pub(super) hours: Option<f64>,
    /// Whether the undoing was stopped itself.
    pub(super) stopped: bool,
}

/// Which strata of an operation are at fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OperationScope {
    harmful: BTreeSet<usize>,
}

/// What was stopped, when.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Stop {
    pub(super) at_s: f64,
    pub(super) strata: BTreeSet<usize>,
    /// Whether the whole operation was stopped.
    pub(super) whole: bool,
    pub(super) paused: bool,
}

/// Strata by what was done to them and what they deserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scope {
    pub(super) stopped: u64,
    pub(super) rightly: u64,
    pub(super) harmful: u64,
}

impl Outcome {
    pub(super) fn new(scenario: &Scenario, operation: usize) -> Self {
        let strata = 0..scenario.strata.len();
        let harmful = strata.filter(|stratum| scenario.is_hit(operation, *stratum)).collect();
        Self { operations: vec![OperationScope { harmful }], ..Self::default() }
    }

    /// A fault showed.
    pub(super) fn harm_shows(&mut self, at_s: f64) {
        self.first_harm_s = Some(self.first_harm_s.map_or(at_s, |first| first.min(at_s)));
    }

    /// The operations of a run together: times are those of the slowest, and of the first stop
    /// of a harmful one.
    pub(super) fn joined(outcomes: Vec<Self>) -> Self {
        let mut all = Self { finished: true, ..Self::default() };
        let is_good = |outcome: &Self| outcome.operations.iter().all(|it| it.harmful.is_empty());
        let mut reached: Vec<(Option<f64>, Option<f64>)> = Vec::new();
        for outcome in outcomes {
            let harmful = outcome.operations.first().map(|it| it.harmful.clone());
            let harmful = harmful.unwrap_or_default();
            let stopped = outcome.stop.as_ref().map(|stop| stop.strata.clone()).unwrap_or_default();
            let rightly = stopped.intersection(&harmful).count() as u64;
            all.scope.stopped += stopped.len() as u64;
            all.scope.rightly += rightly;
            all.scope.harmful += harmful.len() as u64;
            all.false_stop |= stopped.len() as u64 > rightly;
            let good = is_good(&outcome);
            if !good || all.stop.is_none() {
                let earlier = |stop: &Stop| {
                    good || all.stop.as_ref().is_none_or(|known| stop.at_s < known.at_s)
                };
                if let Some(stop) = outcome.stop.as_ref().filter(|stop| earlier(stop)) {
                    all.stop = Some(stop.clone());
                }
            }
            all.harmed += outcome.harmed;
            all.harmed_before_stop += outcome.harmed_before_stop;
            all.told += outcome.told;
            all.finished &= outcome.finished;
            all.first_harm_s = match (all.first_harm_s, outcome.first_harm_s) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            all.shown_at_release = match (all.shown_at_release, outcome.shown_at_release) {
                (Some(one), Some(other)) => Some(one + other),
                (one, other) => one.or(other),
            };
            let strata_left = outcome.operations.first().is_some_and(|it| it.harmful.is_empty());
            if strata_left || outcome.hours_to_90.is_some() || outcome.hours_to_50.is_some() {
                reached.push((outcome.hours_to_50, outcome.hours_to_90));
            }
            all.hours = outcome.hours.max(all.hours);
            all.peak_in_flight += outcome.peak_in_flight;
            all.decisions += outcome.decisions;
            all.decision_time += outcome.decision_time;
            all.regulation_time += outcome.regulation_time;
            all.operations.extend(outcome.operations);
        }
        let slowest = |times: Vec<Option<f64>>| {
            let times: Option<Vec<f64>> = times.into_iter().collect();
            times.and_then(|times| times.into_iter().reduce(f64::max))
        };
        all.hours_to_50 = slowest(reached.iter().map(|it| it.0).collect());
        all.hours_to_90 = slowest(reached.iter().map(|it| it.1).collect());
        all
    }
}

/// A measure over the runs that have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Runs that have it.
    pub runs: u64,
    /// Their mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
    /// Half of them are at most this.
    pub p50: f64,
    /// 95 % of them are at most this.
    pub p95: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of those values; none without any.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let (last, runs) = (*values.last()?, values.len() as u64);
        let mean = values.iter().sum::<f64>() / count;
        let variance = if runs > 1 {
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)
        } else {
            0.0
        };
        let at = |share: f64| values[((count * share).ceil() as usize).clamp(1, values.len()) - 1];
        let error = (variance / count).sqrt();
        Some(Self { runs, mean, error, p50: at(0.5), p95: at(0.95), max: last })
    }
}

/// A share of the runs with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Runs counted.
    pub hits: u64,
    /// Of so many.
    pub runs: u64,
    /// `hits` of `runs`, 0 to 1.
    pub share: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

impl Share {
    /// `hits` of `runs`, with the interval of Wilson (*Probable inference, the law of
    /// succession, and statistical inference*, JASA 22, 1927).
    #[must_use]
    pub fn of(hits: u64, runs: u64) -> Self {
        if runs == 0 {
            return Self { hits, runs, share: 0.0, lower: 0.0, upper: 1.0 };
        }
        let (n, share) = (runs as f64, hits as f64 / runs as f64);
        let square = Z_95 * Z_95;
        let centre = (share + square / (2.0 * n)) / (1.0 + square / n);
        let spread = (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        let radius = Z_95 * spread / (1.0 + square / n);
        // At the ends the formula differs from them by rounding alone.
        let lower = if hits == 0 { 0.0 } else { (centre - radius).max(0.0) };
        let upper = if hits == runs { 1.0 } else { (centre + radius).min(1.0) };
        Self { hits, runs, share, lower, upper }
    }
}

/// What one policy came to in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: String,
    /// The policy's name.
    pub policy: String,
    /// The system it comes from.
    pub family: String,
    /// Whether the scenario's change does no harm.
    pub good: bool,
    /// Runs.
    pub runs: u64,
    /// Devices of the scenario.
    pub devices: u64,
    /// Runs in which something was stopped, a pause included.
    pub stopped: Share,
    /// Runs in which the rule paused and did not abort.
    pub paused: Share,
    /// Runs in which the operation came to its end.
    pub finished: Share,
    /// Runs in which something was stopped that does no harm: an operation, or a stratum.
    pub false_stops: Share,
    /// Devices that got a fault, shown or not.
    pub harmed: Option<Spread>,
    /// Devices whose fault had shown when the operation was stopped.
    pub harmed_before_stop: Option<Spread>,
    /// Runs of a bad change in which something harmful was stopped.
    pub detected: Option<Share>,
    /// Devices that an undo brought back to the version before, over the runs that undid.
    pub undone: Option<Spread>,
    /// Of these, harmed ones: their fault had not shown yet, or they lived on with it.
    pub recovered: Option<Spread>,
    /// Devices harmed and not recovered, over all runs.
    pub net_harmed: Option<Spread>,
    /// Hours from the stop until nine tenths of what is undone were through.
    pub undo_hours: Option<Spread>,
    /// Runs that undid, and in which the undo was stopped itself.
    pub undo_stopped: Share,
    /// Hours until half of the healthy targets were through.
    pub hours_to_50: Option<Spread>,
    /// Hours until nine tenths of the healthy targets were through.
    pub hours_to_90: Option<Spread>,
    /// Runs that came so far.
    pub reached_90: Share,
    /// Hours to 90 % as a multiple of what they are without any regulation.
    pub slowdown: Option<f64>,
    /// Hours from the first fault that showed to the stop.
    pub delay_hours: Option<Spread>,
    /// Of the strata stopped, those that are harmful.
    pub precision: Option<f64>,
    /// Of the harmful strata, those stopped.
    pub recall: Option<f64>,
    /// Most devices in flight at the same time.
    pub peak_in_flight: Option<Spread>,
    /// The server's time to answer that 99 % of the requests of devices in flight stay below, in
    /// milliseconds.
    pub response_p99_ms: Option<Spread>,
    /// Decisions in a run, on average.
    pub decisions: f64,
    /// Processor time of a decision, in microseconds.
    pub decision_us: f64,
    /// Processor time of all regulation in a run for each device, in nanoseconds, which is as many
    /// milliseconds for a million devices; also for looks that decide nothing.
    pub device_ns: f64,
}

impl Cell {
    /// Sums runs up.
    pub(super) fn of(scenario: &Scenario, policy: &str, family: &str, runs: &[Outcome]) -> Self {
        let count = |is: &dyn Fn(&Outcome) -> bool| {
            Share::of(runs.iter().filter(|run| is(run)).count() as u64, runs.len() as u64)
        };
        let spread = |value: &dyn Fn(&Outcome) -> Option<f64>| {
            Spread::of(runs.iter().filter_map(value).collect())
        };
        let scope = runs.iter().fold(Scope::default(), |all, run| Scope {
            stopped: all.stopped + run.scope.stopped,
            rightly: all.rightly + run.scope.rightly,
            harmful: all.harmful + run.scope.harmful,
        });
        let part = |of: u64| (of > 0).then(|| scope.rightly as f64 / of as f64);
        let decisions: u64 = runs.iter().map(|run| run.decisions).sum();
        let nanos = |time: &dyn Fn(&Outcome) -> Duration| {
            runs.iter().map(|run| time(run).as_nanos() as f64).sum::<f64>()
        };
        let decided_ns = nanos(&|run| run.decision_time);
        let time_ns = nanos(&|run| run.regulation_time);
        let (count_runs, devices) = (runs.len().max(1) as f64, scenario.devices as f64);
        Self {
            scenario: scenario.name.clone(),
            policy: policy.to_owned(),
            family: family.to_owned(),
            good: scenario.is_good(),
            runs: runs.len() as u64,
            devices: scenario.devices,
            stopped: count(&|run| run.stop.is_some()),
            paused: count(&|run| run.stop.as_ref().is_some_and(|stop| stop.paused)),
            finished: count(&|run| run.finished),
            false_stops: count(&|run| run.false_stop),
            harmed: spread(&|run| Some(run.harmed as f64)),
            harmed_before_stop: spread(&|run| {
                run.stop.as_ref().map(|_| run.harmed_before_stop as f64)
            }),
            detected: (!scenario.is_good()).then(|| count(&|run| run.scope.rightly > 0)),
            undone: spread(&|run| Some(run.undone?.devices as f64)),
            recovered: spread(&|run| Some(run.undone?.recovered as f64)),
            net_harmed: spread(&|run| {
                let recovered = run.undone.map_or(0, |undone| undone.recovered);
                Some(run.harmed.saturating_sub(recovered) as f64)
            }),
            undo_hours: spread(&|run| run.undone?.hours),
            undo_stopped: {
                let undone = || runs.iter().filter_map(|run| run.undone);
                Share::of(undone().filter(|it| it.stopped).count() as u64, undone().count() as u64)
            },
            hours_to_50: spread(&|run| run.hours_to_50),
            hours_to_90: spread(&|run| run.hours_to_90),
            reached_90: count(&|run| run.hours_to_90.is_some()),
            slowdown: None,
            delay_hours: spread(&|run| {
                let (stop, first) = (run.stop.as_ref()?, run.first_harm_s?);
                Some((stop.at_s - first).max(0.0) / 3_600.0)
            }),
            precision: part(scope.stopped),
            recall: part(scope.harmful),
            peak_in_flight: spread(&|run| Some(run.peak_in_flight as f64)),
            response_p99_ms: spread(&|run| run.response_p99_ms),
            decisions: decisions as f64 / count_runs,
            decision_us: decided_ns / 1e3 / decisions.max(1) as f64,
            device_ns: time_ns / count_runs / devices,
        }
    }
}

/// 97.5 % quantile of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_interval_of_wilson() {
        // Reference: Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
        for (hits, runs, lower, upper) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let share = Share::of(hits, runs);
            assert!((share.lower - lower).abs() < 5e-5, "{share:?}");
            assert!((share.upper - upper).abs() < 5e-5, "{share:?}");
        }
    }

    #[test]
    fn a_spread_has_its_quantile_among_its_values() {
        let spread = Spread::of((1..=100).map(f64::from).collect()).unwrap();
        assert!((spread.mean - 50.5).abs() < 1e-9);
        assert!((spread.p50 - 50.0).abs() < 1e-9);
        assert!((spread.p95 - 95.0).abs() < 1e-9);
        assert!((spread.max - 100.0).abs() < 1e-9);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
