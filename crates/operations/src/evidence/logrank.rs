//! Health after the update: updated devices against concurrent control devices.

use libm::log;
use model::Exact;
use serde::{Deserialize, Serialize};

use super::numeric::{count, number};

/// How the health of updated devices is compared with the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Limits of the windows of age since the update, growing, in seconds. One window ends at
    /// each limit, one is open, one holds all ages. A window more costs every window its share;
    /// a missing one lets faults of that age drown among healthy older devices.
    pub age_limits_s: Vec<u64>,
    /// Weight of the window before the first limit: what does not survive the update itself.
    pub weight_first: f64,
    /// Weight of the windows between two limits, together.
    pub weight_between: f64,
    /// Weight of the open window.
    pub weight_open: f64,
    /// Weight of the window of all ages.
    pub weight_all: f64,
    /// Hazard ratio of updated to control devices that is still tolerated, at least 1.
    pub hazard_ratio_tolerated: f64,
    /// Alternatives, each above the tolerated hazard ratio, with their weights. Strong faults
    /// are proved by few devices whatever their weight; middling ones need it.
    pub hazard_ratios: Vec<f64>,
    /// Weight of each alternative; those not given weigh nothing.
    pub ratio_weights: Vec<f64>,
}

impl HealthConfig {
    /// Number of windows.
    #[must_use]
    pub const fn windows(&self) -> usize {
        self.age_limits_s.len() + 2
    }

    /// Weight of each component of [`Logrank::log_components`], in its order, of the windows that
    /// there are; they add up to 1 if those of the alternatives do.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let between = self.age_limits_s.len().saturating_sub(1);
        let mut windows = Vec::with_capacity(self.windows());
        if !self.age_limits_s.is_empty() {
            windows.push(self.weight_first);
        }
        windows.extend((0..between).map(|_| self.weight_between / count(between)));
        windows.extend([self.weight_open, self.weight_all]);
        let sum: f64 = windows.iter().sum();
        let ratios = || (0..self.hazard_ratios.len()).map(|at| self.ratio_weights.get(at));
        windows
            .iter()
            .flat_map(|window| ratios().map(move |ratio| window / sum * ratio.unwrap_or(&0.0)))
            .collect()
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            age_limits_s: vec![3_600, 86_400],
            hazard_ratio_tolerated: 1.25,
            hazard_ratios: vec![3.0, 10.0, 30.0, 100.0, 1000.0],
            ratio_weights: vec![0.2, 0.3, 0.2, 0.15, 0.15],
            weight_first: 0.3,
            weight_between: 0.35,
            weight_open: 0.15,
            weight_all: 0.2,
        }
    }
}

/// What happened at one instant in one window of age.
///
/// An event is what a good change does not cause: a missed deadline after the probe, a crash, an
/// unexpected reboot, a signal. The same rule finds it in both arms. It
/// counts in the window of the device's age at the event, and again in the window of all ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WindowEvents {
    /// Updated devices that had an event.
    pub treated_events: u64,
    /// Control devices that had an event.
    pub control_events: u64,
    /// Updated devices of this age at risk just before, those with events among them.
    pub treated_at_risk: u64,
    /// Control devices at risk just before, those with events among them. Where the control has
    /// an age of its own (time since the contact at which it was held back), those of this
    /// window only.
    pub control_at_risk: u64,
}

/// The anytime-valid logrank test of one stratum.
///
/// At an event among R_T updated and R_C control devices at risk, with
/// θ(ρ) = ρ·R_T/(ρ·R_T + R_C), the e-value of the alternative ρ_j is multiplied by
///
/// θ(ρ_j)/θ(ρ_tol) if the device was updated, (1 − θ(ρ_j))/(1 − θ(ρ_tol)) if it was control.
///
/// Given that an event happens, the device is an updated one with probability θ(ρ) if ρ is the
/// true hazard ratio; for ρ ≤ ρ_tol < ρ_j the factor's expectation is at most 1, so each product
/// is a test supermartingale, and so is their mean over ρ_j and windows (ter Schure,
/// Pérez-Ortiz, Ly, Grünwald, New England Journal of Statistics in Data Science 2(2), 2024,
/// arXiv:2011.06931). A shock that multiplies both hazards cancels. Without control (R_C = 0) or
/// without exposure (R_T = 0) every factor is 1: no evidence.
///
/// *Ties.* Events between two looks are multiplied with the risk sets at the first. Drawing
/// devices without replacement spreads the number of updated ones less than these factors
/// assume (Hoeffding 1963, theorem 4, for ρ = 1), so this is on the safe side; the tests
/// enumerate it for 1 ≤ ρ ≤ ρ_tol.
///
/// *Numerics.* Sums of logarithms in the order of observation; risk sets are whole numbers up to
/// 2^53. Adding n terms loses at most about n·10⁻¹⁶ relative.
///
/// *What the caller must keep.* Both arms drawn at random within the stratum, risk sets taken at
/// the last contact and not at the detection, nobody leaves an arm because of an event that is
/// still to be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logrank {
    /// ln of each product, window by window, each with its alternatives.
    log_products: Vec<Exact>,
    /// Events counted, window by window.
    events: Vec<EventCounts>,
}

/// Events counted in one window since the operation opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventCounts {
    /// Among updated devices.
    pub treated: u64,
    /// Among control devices, while there were updated ones at risk in this window.
    pub control: u64,
}

impl Logrank {
    /// Starts without evidence.
    #[must_use]
    pub fn new(config: &HealthConfig) -> Self {
        let windows = config.windows();
        Self {
            log_products: vec![Exact::new(0.0); windows * config.hazard_ratios.len()],
            events: vec![EventCounts::default(); windows],
        }
    }

    /// Takes in what happened at one instant, one entry per window; windows not given had no
    /// event. `config` must be the one the test was started with.
    pub fn observe(&mut self, windows: &[WindowEvents], config: &HealthConfig) {
        let alternatives = config.hazard_ratios.len();
        for (window, (events, counts)) in windows.iter().zip(&mut self.events).enumerate() {
            if events.treated_events == 0 && events.control_events == 0 {
                continue;
            }
            let treated = number(events.treated_at_risk.max(events.treated_events));
            let control = number(events.control_at_risk.max(events.control_events));
            if treated < 1.0 || control < 1.0 {
                counts.treated += events.treated_events;
                continue;
            }
            counts.treated += events.treated_events;
            counts.control += events.control_events;
            let products = self.log_products.iter_mut().skip(window * alternatives);
            for (product, ratio) in products.zip(&config.hazard_ratios) {
                let (of_treated, of_control) =
                    log_factors(treated, control, *ratio, config.hazard_ratio_tolerated);
                let gain = number(events.treated_events) * of_treated
                    + number(events.control_events) * of_control;
                *product = Exact::new(product.value() + gain);
            }
        }
    }

    /// Events counted so far, window by window, the window of all ages last.
    #[must_use]
    pub fn events(&self) -> &[EventCounts] {
        &self.events
    }

    /// ln of the e-value of each window and alternative, window by window.
    #[must_use]
    pub fn log_components(&self) -> Vec<f64> {
        self.log_products.iter().map(|product| product.value()).collect()
    }
}

/// ln of the factors of an event in an updated and in a control device.
///
/// An alternative at or below the tolerated ratio is neutral: as a bet on benefit it would be
/// void for harmless changes.
fn log_factors(treated: f64, control: f64, ratio: f64, tolerated: f64) -> (f64, f64) {
    let tolerated = tolerated.max(1.0);
    let ratio = ratio.max(tolerated);
    let of_control = log((tolerated * treated + control) / (ratio * treated + control));
    (log(ratio / tolerated) + of_control, of_control)
}
