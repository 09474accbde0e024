//! One judgement from many tests: within a stratum, over all strata, and which strata it is.

use libm::log;
use model::StratumScope;
use serde::{Deserialize, Serialize};

use super::numeric::{count, log_add, log_mean_exp, log_sum_exp, sum_sorted};

/// How evidence is combined and where the limits are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CombineConfig {
    /// Probability of ever stopping an operation, or a stratum, that does no harm. Half is for
    /// the stop of all, half for single strata.
    pub alpha: f64,
    /// Strata the operation was planned with. Fewer present ones are filled up with strata of
    /// no evidence, so that a stratum that appears later does not change the limits of others.
    pub strata_planned: usize,
    /// Share of the product in the test of a set of strata (0 to 1), the rest being the mean.
    /// With 0 no stratum ever needs more evidence than 2K/α. More helps where many strata have
    /// no evidence yet, and costs up to a factor 1/(1 − share) elsewhere.
    pub product_share: f64,
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
            product_share: 0.0,
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
    /// The mean of `common` and `subsets`.
    pub global: f64,
}

/// The judgement over an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The e-values it is made from.
    pub evidence: Combined,
    /// ln of the limit that a stratum's `closed` value and the global one are held against: 2/α.
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
/// - *Global*: E = ½E_c + ½∏, over the strata not stopped. The set of those follows from the
///   data. If none of them is harmed and no harmless stratum was stopped, it can only be the set
///   of all harmless strata, which no data decide: the bound of that one test then adds to those
///   of the closed values. Where an alarm that has settled stopped a harmless stratum, this
///   argument ends, see [`judge`].
/// - *Scope by closed testing* (Marcus, Peritz, Gabriel, Biometrika 63, 1976; with e-values:
///   Vovk and Wang, Annals of Statistics 49, 2021, arXiv:1912.06116): "s is harmless" is
///   rejected when for every set S that contains s the e-value
///   E_S = (1 − π)·mean_(t∈S) E_t + π·∏_(t∈S) (1 + E_t)/2 reaches the limit, π being
///   `product_share`. Both terms grow with each E_t, so for each size the worst set takes the
///   smallest others, and K sets per stratum are enough for all 2^(K−1). With π = 0 the result
///   is at least E_s/K: never less powerful than the limit 2K/α of the union bound.
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
/// - A stratum *stops* when its `closed` value reaches 2/α. With `product_share` 0 that is the
///   case at the latest at E_s ≥ 2K/α. With probability at least 1 − α/2 no harmless stratum is
///   ever stopped in this way, whichever others are harmed.
/// - The operation is *alarmed* when the global value of the others reaches 2/α; if none of them
///   is harmed that happens ever with probability at most α/2. Then strata with E_s ≥
///   `suspect_e` are suspect, those with E_s < 1 after `cleared_devices` matured devices are
///   free, the others are held. An alarm says that something is wrong, not where: suspicion is
///   a pause, and the evidence of devices already updated settles it.
/// - All stop when none is left that is free or held.
///
/// Together: the probability of ever stopping or pausing anything in an operation that harms
/// nobody is at most α. A caller that finds an alarm too slow to wait for may stop all at the
/// alarm, with the same bound for operations that harm nobody; regulation does so with suspects
/// and held strata once the alarm has settled.
///
/// Not bounded is what such an end of an alarm does where somebody *is* harmed: a harmless
/// stratum may be stopped with the harmful ones, as often as its devices fail to speak against
/// the same fault ([`likeness`]), which is measured and not proved. Nor is the global test of
/// those that go on after it: they were chosen for the little there is against them. That choice
/// can only be expected to delay a later alarm; no bound is claimed for it.
#[must_use]
pub fn judge(strata: &[Stratum], config: &CombineConfig) -> Judgement {
    let evidence = combine(strata, config);
    let log_limit = log(2.0 / config.alpha);
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
        let going = |at: usize| {
            let each = strata.iter().zip(&components).filter(|(stratum, _)| !stratum.stopped);
            sum_sorted(each.map(|(_, components)| components[at]).collect())
        };
        let going = (0..cells.len()).map(going).collect();
        Self { strata, weights, components, log_e, going }
    }

    fn combined(&self, config: &CombineConfig) -> Combined {
        let common = mixed(&self.going, &self.weights);
        let halves = self
            .strata
            .iter()
            .zip(&self.log_e)
            .filter(|(stratum, _)| !stratum.stopped)
            .map(|(_, log_e)| log_half(*log_e));
        let subsets = sum_sorted(halves.collect());
        Combined {
            closed: closed(&self.log_e, config),
            common,
            subsets,
            global: log_mean_exp(&[common.min(subsets), common.max(subsets)]),
            strata: self.log_e.clone(),
        }
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

/// ln((1 + E)/2).
fn log_half(log_e: f64) -> f64 {
    log_add(0.0, log_e) - core::f64::consts::LN_2
}

/// For each stratum, ln of the smallest e-value of the sets that contain it.
fn closed(log_e: &[f64], config: &CombineConfig) -> Vec<f64> {
    let mut sorted = log_e.to_vec();
    sorted.resize(log_e.len().max(config.strata_planned), 0.0);
    sorted.sort_by(f64::total_cmp);
    let share = config.product_share.clamp(0.0, 1.0);
    // Of the smallest 0, 1, … strata: the sum and the product of halves.
    let (mut sums, mut products) = (vec![f64::NEG_INFINITY], vec![0.0]);
    for (index, value) in sorted.iter().enumerate() {
        sums.push(log_add(sums[index], *value));
        products.push(products[index] + if share > 0.0 { log_half(*value) } else { 0.0 });
    }
    let (of_mean, of_product) = (log(1.0 - share), log(share));
    let sizes: Vec<f64> = (1..=sorted.len()).map(|size| of_mean - log(count(size))).collect();
    let local = |sum: f64, product: f64, others: usize| {
        let mean = sum + sizes[others];
        if share > 0.0 { log_add(mean, of_product + product) } else { mean }
    };
    // With more others than there are below it, a stratum is among the smallest itself: those
    // sets are the same for all.
    let mut shared = vec![f64::INFINITY; sorted.len() + 1];
    for others in (0..sorted.len()).rev() {
        let value = local(sums[others + 1], products[others + 1], others);
        shared[others] = shared[others + 1].min(value);
    }
    let smallest_set = |own: f64| {
        let rank = sorted.partition_point(|value| value.total_cmp(&own).is_lt());
        let half = if share > 0.0 { log_half(own) } else { 0.0 };
        (0..=rank)
            .map(|others| local(log_add(sums[others], own), products[others] + half, others))
            .fold(shared[rank + 1], f64::min)
    };
    log_e.iter().map(|own| smallest_set(*own)).collect()
}
