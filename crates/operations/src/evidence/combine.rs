//! One judgement from many tests: within a stratum, over all strata, and which strata it is.

use libm::log;
use model::StratumScope;
use serde::{Deserialize, Serialize};

use super::numeric::{count, log_add, log_mean_exp, log_sum_exp, sum_sorted};

/// How evidence is combined and where the limits are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CombineConfig {
    /// Probability of ever stopping or pausing anything in an operation that does no harm, and of
    /// ever stopping a harmless stratum beside harmful ones.
    pub alpha: f64,
    /// Strata the operation was planned with. Fewer present ones are filled up with strata of
    /// no evidence, so that a stratum that appears later does not change the limits of others.
    pub strata_planned: usize,
    /// Weight of one fault that all strata have alike in the e-value of all strata together.
    pub weight_common: f64,
    /// Weight of a fault that any set of strata has. What is left to 1 is the weight of a fault
    /// that a single stratum has.
    pub weight_subsets: f64,
    /// E-value from which a stratum is suspect once the operation as a whole is alarmed.
    pub suspect_e: f64,
    /// Matured devices without evidence that clear a stratum of an alarm.
    pub cleared_devices: f64,
    /// Part of 1/α at which an approval may be asked for.
    pub warning_share: f64,
    /// What a hint loses for having been chosen among many components, as ln of a factor.
    pub hint_discount: f64,
    /// How much likelier a stratum has the fault of one that was stopped than it has any, as ln
    /// of a factor.
    pub contagion: f64,
    /// In an alarm that has settled, strata go on whose devices speak so clearly against the
    /// fault that the suspects have, as ln of a likelihood ratio.
    pub spared: f64,
    /// Weight of each component of each test, relative to all; without them each test weighs the
    /// same, and in it each component. A weight is what a fault of that kind costs: half of it
    /// needs twice the evidence.
    pub weights: Vec<Vec<f64>>,
}

impl Default for CombineConfig {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            strata_planned: 1,
            weight_common: 0.6,
            weight_subsets: 0.15,
            suspect_e: 3.0,
            cleared_devices: 300.0,
            warning_share: 0.1,
            hint_discount: 1.8,
            contagion: 4.0,
            spared: -3.0,
            weights: Vec::new(),
        }
    }
}

impl CombineConfig {
    /// Whether a stratum has shown that it is well: no evidence against it after enough exposure.
    #[must_use]
    pub fn clears(&self, log_e: f64, matured: f64) -> bool {
        log_e < 0.0 && matured >= self.cleared_devices
    }
}

/// The evidence of one stratum.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Stratum {
    /// ln of the e-values of the components (alternatives, windows, bets) of each test. Tests
    /// and components stand in the same order in every stratum; missing ones are neutral.
    pub tests: Vec<Vec<f64>>,
    /// Matured exposure, in devices.
    pub matured: f64,
    /// Whether the stratum was stopped by an earlier judgement. A stop is for good.
    pub stopped: bool,
}

/// Evidence combined over strata; all values are ln of e-values.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// Each stratum: the weighted mean of its tests.
    pub strata: Vec<f64>,
    /// Each stratum: the smallest e-value of all sets of strata that contain it.
    pub closed: Vec<f64>,
    /// One fault in all strata not stopped: the same component everywhere.
    pub common: f64,
    /// Some strata not stopped: the uniform mixture over all subsets.
    pub subsets: f64,
    /// One stratum not stopped: the mean of their e-values.
    pub single: f64,
    /// The weighted mean of `common`, `subsets` and `single`.
    pub global: f64,
}

/// The judgement over an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The e-values it is made from.
    pub evidence: Combined,
    /// ln of the limit that a stratum's `closed` value and the global one are held against: 1/α.
    pub log_limit: f64,
    /// Whether the strata that are not stopped are harmed somewhere.
    pub alarm: bool,
    /// Whether every stratum is stopped or, in an alarm, suspect: stop all.
    pub stop_all: bool,
    /// Whether the warning level is reached without an alarm.
    pub warning: bool,
    /// Each stratum.
    pub scopes: Vec<StratumScope>,
}

/// Combines the evidence of strata.
///
/// - *Within a stratum* E_s = Σ_j w_j·E_s,j over the components of all tests, with weights that
///   add up to 1: valid however they depend on each other.
/// - *Common effect*: E_c = Σ_j w_j ∏_s E_s,j over components j, with the same weights as in
///   E_s. Each factor is a test supermartingale of its own devices, and the assignment to arms
///   is independent between strata given the past, so the product is one too.
/// - *Subsets*: ∏_s (1 + E_s)/2 = 2^(−K) Σ_S ∏_(s∈S) E_s, the uniform mixture over all sets of
///   affected strata.
/// - *One stratum*: the mean of E_s.
/// - *Global*: the weighted mean of these three over the strata not stopped; E_s where there is
///   only one.
/// - *Scope by closed testing* (Marcus, Peritz, Gabriel, Biometrika 63, 1976; with e-values:
///   Vovk and Wang, Annals of Statistics 49, 2021, arXiv:1912.06116): "s is harmless" is
///   rejected when for every set S that contains s an e-value of S reaches the limit. That of
///   all strata is the global one, with those stopped before; that of a smaller set the mean of
///   its E_t. The mean grows with each E_t, so for each size the worst set takes the smallest
///   others, and K sets per stratum are enough for all 2^(K−1).
///
/// With the global e-value as that of all strata, nothing is stopped in an operation that harms
/// nobody unless it reaches the limit: one test, and one α for stops and alarms together.
///
/// Values are sorted before they are added: the result is the same, to the bit, under any
/// relabelling of strata. Cost K² for the scope, K·log K per component; K ≤ 64 takes well under
/// a millisecond.
#[must_use]
pub fn combine(strata: &[Stratum], config: &CombineConfig) -> Combined {
    Mixture::of(strata, config).combined(config)
}

/// [`combine`] and [`against`], for the cost of one.
#[must_use]
pub fn weigh(strata: &[Stratum], config: &CombineConfig) -> (Combined, Vec<f64>) {
    let mixture = Mixture::of(strata, config);
    (mixture.combined(config), mixture.against(config))
}

/// Judges an operation: which strata stop, whether there is an alarm, who is suspect.
///
/// - A stratum *stops* when its `closed` value reaches 1/α. With probability at least 1 − α no
///   harmless stratum is ever stopped in this way, whichever others are harmed.
/// - The operation is *alarmed* when the global value of the others reaches 1/α. Then strata with
///   E_s ≥ `suspect_e` are suspect, those with E_s < 1 after `cleared_devices` matured devices
///   are free, the others are held. An alarm says that something is wrong, not where: suspicion
///   is a pause, and the evidence of devices already updated settles it.
/// - All stop when none is left that is free or held.
///
/// The probability of ever stopping or pausing anything in an operation that harms nobody is at
/// most α: both ask that the global value of all strata reaches 1/α. Where somebody is harmed and
/// stopped, an alarm of the harmless rest is a test of its own, with its own α. A caller that
/// finds an alarm too slow to wait for may stop all at the alarm, with the same bound for
/// operations that harm nobody; regulation does so with suspects and held strata once the alarm
/// has settled.
///
/// Not bounded is what such an end of an alarm does where somebody *is* harmed: a harmless
/// stratum may be stopped with the harmful ones, as often as its devices fail to speak against
/// the same fault ([`likeness`]), which is measured and not proved. Nor is the global test of
/// those that go on after it: they were chosen for the little there is against them. That choice
/// can only be expected to delay a later alarm; no bound is claimed for it.
#[must_use]
pub fn judge(strata: &[Stratum], config: &CombineConfig) -> Judgement {
    let evidence = combine(strata, config);
    let log_limit = log(1.0 / config.alpha);
    let stops: Vec<bool> = strata
        .iter()
        .zip(&evidence.closed)
        .map(|(stratum, closed)| stratum.stopped || *closed >= log_limit)
        .collect();
    // Strata stopped just now leave the rest to be judged without them.
    let rest: Vec<Stratum> = strata
        .iter()
        .zip(&stops)
        .map(|(stratum, stopped)| Stratum { stopped: *stopped, ..stratum.clone() })
        .collect();
    let fresh = strata.iter().zip(&stops).any(|(stratum, stopped)| *stopped && !stratum.stopped);
    let evidence = if fresh { combine(&rest, config) } else { evidence };
    let alarm = evidence.global >= log_limit;
    let scopes: Vec<StratumScope> = rest
        .iter()
        .zip(&evidence.strata)
        .map(|(stratum, log_e)| scope(stratum, *log_e, alarm, config))
        .collect();
    let stopping =
        |scope: &StratumScope| matches!(scope, StratumScope::Stopped | StratumScope::Suspect);
    // What was stopped has been answered.
    let going = evidence.closed.iter().zip(&stops).filter(|(_, stopped)| !**stopped);
    let highest = going.map(|(closed, _)| *closed).fold(evidence.global, f64::max);
    Judgement {
        log_limit,
        alarm,
        stop_all: !scopes.is_empty() && scopes.iter().all(stopping),
        warning: !alarm && highest >= log(config.warning_share / config.alpha),
        scopes,
        evidence,
    }
}

fn scope(stratum: &Stratum, log_e: f64, alarm: bool, config: &CombineConfig) -> StratumScope {
    if stratum.stopped {
        StratumScope::Stopped
    } else if !alarm {
        StratumScope::Free
    } else if log_e >= log(config.suspect_e) {
        StratumScope::Suspect
    } else if config.clears(log_e, stratum.matured) {
        StratumScope::Free
    } else {
        StratumScope::Held
    }
}

/// Test and number of all components, as the most complete stratum has them.
fn cells(strata: &[Stratum]) -> Vec<(usize, usize)> {
    let tests = strata.iter().map(|stratum| stratum.tests.len()).max().unwrap_or(0);
    let components = |test: usize| {
        strata.iter().filter_map(|stratum| stratum.tests.get(test)).map(Vec::len).max().unwrap_or(0)
    };
    (0..tests).flat_map(|test| (0..components(test)).map(move |index| (test, index))).collect()
}

/// ln of the e-value of a component, neutral where the stratum does not have it.
fn component(stratum: &Stratum, test: usize, index: usize) -> f64 {
    stratum.tests.get(test).and_then(|components| components.get(index)).copied().unwrap_or(0.0)
}

/// Strata with their components in one order, and the weights of these.
#[derive(Debug)]
struct Mixture<'a> {
    strata: &'a [Stratum],
    // ln of the weights, which add up to 1.
    weights: Vec<f64>,
    // Of each stratum its components, and their weighted mean.
    components: Vec<Vec<f64>>,
    log_e: Vec<f64>,
    // Each component, multiplied over the strata not stopped.
    going: Vec<f64>,
}

impl<'a> Mixture<'a> {
    fn of(strata: &'a [Stratum], config: &CombineConfig) -> Self {
        let cells = cells(strata);
        let weights = log_weights(&cells, config);
        let components: Vec<Vec<f64>> = strata
            .iter()
            .map(|stratum| cells.iter().map(|at| component(stratum, at.0, at.1)).collect())
            .collect();
        let log_e = components.iter().map(|components| mixed(components, &weights)).collect();
        let mut mixture = Self { strata, weights, components, log_e, going: Vec::new() };
        mixture.going = mixture.products(|stratum| !stratum.stopped);
        mixture
    }

    fn combined(&self, config: &CombineConfig) -> Combined {
        let going: Vec<f64> = self
            .strata
            .iter()
            .zip(&self.log_e)
            .filter(|(stratum, _)| !stratum.stopped)
            .map(|(_, log_e)| *log_e)
            .collect();
        let planned = self.log_e.len().max(config.strata_planned);
        let stopped = self.log_e.len() - going.len();
        let common = mixed(&self.going, &self.weights);
        let rest = Together::of(common, &going, planned - stopped, config);
        let all = if stopped == 0 {
            rest.whole
        } else {
            let common = mixed(&self.products(|_| true), &self.weights);
            Together::of(common, &self.log_e, planned, config).whole
        };
        Combined {
            closed: closed(&self.log_e, all, config),
            common,
            subsets: rest.subsets,
            single: rest.single,
            global: rest.whole,
            strata: self.log_e.clone(),
        }
    }

    /// Each component, multiplied over some strata.
    fn products(&self, which: impl Fn(&Stratum) -> bool) -> Vec<f64> {
        let product = |at: usize| {
            let each = self.strata.iter().zip(&self.components).filter(|(one, _)| which(one));
            sum_sorted(each.map(|(_, components)| components[at]).collect())
        };
        (0..self.weights.len()).map(product).collect()
    }

    fn against(&self, config: &CombineConfig) -> Vec<f64> {
        let hint = |components: &[f64]| {
            components.iter().copied().fold(f64::NEG_INFINITY, f64::max) - config.hint_discount
        };
        let all = hint(&self.going);
        let stopped: Vec<bool> = self.strata.iter().map(|stratum| stratum.stopped).collect();
        let guilt = self.guilt(&stopped);
        let each = self.strata.iter().zip(&self.components).zip(&self.log_e);
        each.map(|((stratum, components), log_e)| {
            let contagion = guilt
                .as_ref()
                .map_or(f64::NEG_INFINITY, |guilt| mixed(components, guilt) + config.contagion);
            let own = if config.clears(*log_e, stratum.matured) {
                *log_e
            } else {
                hint(components).max(all)
            };
            own.max(contagion)
        })
        .collect()
    }

    /// ln of the part that each component has in the evidence of these strata; none without any.
    fn guilt(&self, guilty: &[bool]) -> Option<Vec<f64>> {
        if !guilty.contains(&true) {
            return None;
        }
        let part = |(at, weight): (usize, &f64)| {
            let of = self.components.iter().zip(guilty).filter(|(_, is)| **is);
            log_sum_exp(&of.map(|(components, _)| components[at]).collect::<Vec<_>>()) + weight
        };
        let parts: Vec<f64> = self.weights.iter().enumerate().map(part).collect();
        let whole = log_sum_exp(&parts);
        Some(parts.into_iter().map(|part| part - whole).collect())
    }
}

/// ln of the weights of all components, which add up to 1.
fn log_weights(cells: &[(usize, usize)], config: &CombineConfig) -> Vec<f64> {
    let weights: Vec<f64> = cells
        .iter()
        .map(|(test, index)| {
            let given = config.weights.get(*test).and_then(|weights| weights.get(*index)).copied();
            let components = cells.iter().filter(|(other, _)| other == test).count();
            given.unwrap_or_else(|| 1.0 / count(components)).max(0.0)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| log(weight / sum)).collect()
}

/// The weighted mean of components; neutral without one.
fn mixed(components: &[f64], log_weights: &[f64]) -> f64 {
    let terms: Vec<f64> =
        components.iter().zip(log_weights).map(|(log_e, weight)| log_e + weight).collect();
    if terms.is_empty() { 0.0 } else { log_sum_exp(&terms) }
}

/// How much there is against the growth of each stratum, as ln of a likelihood ratio.
///
/// It stops nothing and is no e-value: what slows an operation down may be found out sooner than
/// what stops it is proved. The greatest of
///
/// - the strongest component of the stratum, and of all strata not stopped together, less
///   `hint_discount` for the choice among them;
/// - once strata are stopped, how much better the fault they have fits this stratum than none
///   does: Σ_j w_j·E_j with w_j the share of component j in what stopped them, times
///   `contagion`: a fault of one kind of devices is likely one of others too.
///
/// A stratum that is cleared is held back by its own evidence and by the fault of stopped ones
/// only.
#[must_use]
pub fn against(strata: &[Stratum], config: &CombineConfig) -> Vec<f64> {
    Mixture::of(strata, config).against(config)
}

/// How much better the fault of `suspects` fits each stratum than none does, as ln.
#[must_use]
pub fn likeness(strata: &[Stratum], suspects: &[bool], config: &CombineConfig) -> Vec<f64> {
    let mixture = Mixture::of(strata, config);
    let guilt = mixture.guilt(suspects);
    let guilt = guilt.as_ref().unwrap_or(&mixture.weights);
    mixture.components.iter().map(|components| mixed(components, guilt)).collect()
}

/// ln of e-values of a set of strata, by how many of them have the fault.
#[derive(Debug)]
struct Together {
    // Any of them: ∏(1 + E)/2.
    subsets: f64,
    // One: the mean.
    single: f64,
    // The weighted mean of these and of all alike.
    whole: f64,
}

impl Together {
    /// Of a set of `of` strata; the e-values of those not given are 1.
    fn of(common: f64, log_e: &[f64], of: usize, config: &CombineConfig) -> Self {
        let halves = log_e.iter().map(|log_e| log_add(0.0, *log_e) - core::f64::consts::LN_2);
        let subsets = sum_sorted(halves.collect());
        let mut each = log_e.to_vec();
        each.resize(each.len().max(of).max(1), 0.0);
        each.sort_by(f64::total_cmp);
        let single = log_mean_exp(&each);
        let weight_single = 1.0 - config.weight_common - config.weight_subsets;
        let parts = [
            (common, config.weight_common),
            (subsets, config.weight_subsets),
            (single, weight_single.max(0.0)),
        ];
        let mixed = log_sum_exp(&parts.map(|(log_e, weight)| log_e + log(weight)));
        // One stratum has one kind of fault.
        Self { subsets, single, whole: if each.len() == 1 { single } else { mixed } }
    }
}

/// For each stratum, ln of the smallest e-value of the sets that contain it; `all` is that of all.
fn closed(log_e: &[f64], all: f64, config: &CombineConfig) -> Vec<f64> {
    let mut sorted = log_e.to_vec();
    sorted.resize(log_e.len().max(config.strata_planned), 0.0);
    sorted.sort_by(f64::total_cmp);
    // Of the smallest 0, 1, … strata the sum.
    let mut sums = vec![f64::NEG_INFINITY];
    for (index, value) in sorted.iter().enumerate() {
        sums.push(log_add(sums[index], *value));
    }
    let sizes: Vec<f64> = (1..=sorted.len()).map(|size| -log(count(size))).collect();
    // Sets with so many others, less than all of them.
    let most = sorted.len().saturating_sub(2);
    // With more others than there are below it, a stratum is among the smallest itself: those
    // sets are the same for all.
    let mut shared = vec![all; sorted.len() + 1];
    for others in (0..sorted.len().saturating_sub(1)).rev() {
        shared[others] = shared[others + 1].min(sums[others + 1] + sizes[others]);
    }
    let smallest_set = |own: f64| {
        let rank = sorted.partition_point(|value| value.total_cmp(&own).is_lt());
        (0..=rank.min(most))
            .map(|others| log_add(sums[others], own) + sizes[others])
            .fold(shared[rank + 1].min(all), f64::min)
    };
    // A single stratum is all of them.
    log_e.iter().map(|own| if sorted.len() < 2 { all } else { smallest_set(*own) }).collect()
}
