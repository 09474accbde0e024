//! Comparison at equal speed: who goes slowly enough harms nobody.

use super::measure::Cell;

/// How fast a policy is on the reference scenario, and what it stops there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Hours to nine tenths of the targets.
    pub(super) hours: f64,
    /// Share of the runs in which it stopped something.
    pub(super) false_stops: f64,
}

/// A setting of another system that is about as fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rival<'a> {
    /// What it came to in the scenario.
    pub(super) cell: &'a Cell,
    /// Its hours on the reference scenario for each of the product's.
    pub(super) hours: f64,
    /// Its false stops there.
    pub(super) false_stops: f64,
}

/// The pace of a policy; none when it lets too few good releases come to nine tenths: who stops
/// them is not fast.
pub(super) fn pace(cells: &[Cell], policy: &str) -> Option<Pace> {
    let found = cells.iter().find(|it| it.scenario == REFERENCE && it.policy == policy)?;
    (found.reached_90.share >= REACHED_MIN).then_some(())?;
    Some(Pace { hours: found.hours_to_90?.mean, false_stops: found.false_stops.share })
}

/// Whether hours are within a window around others.
pub(super) fn is_equal(hours: f64, own: f64, window: f64) -> bool {
    (hours / own - 1.0).abs() <= window
}

/// The settings of a system in a scenario that are about as fast, the least harm first.
pub(super) fn rivals<'a>(
    cells: &'a [Cell],
    own_hours: f64,
    scenario: &str,
    family: &str,
) -> Vec<Rival<'a>> {
    let settings = cells.iter().filter(|it| it.scenario == scenario && it.family == family);
    let mut rivals: Vec<Rival<'a>> = settings
        .filter_map(|cell| {
            let pace = pace(cells, &cell.policy)?;
            is_equal(pace.hours, own_hours, WINDOW).then_some(Rival {
                cell,
                hours: pace.hours / own_hours,
                false_stops: pace.false_stops,
            })
        })
        .collect();
    rivals.sort_by(|one, other| harmed(one.cell).total_cmp(&harmed(other.cell)));
    rivals
}

/// Mean harm of a cell; a policy that harms nobody counts as harming half a device, so that
/// ratios stay finite.
pub(super) fn harmed(cell: &Cell) -> f64 {
    cell.harmed.map_or(f64::INFINITY, |it| it.mean.max(HARMED_MIN))
}

/// The scenario that tells how fast a policy is.
pub(super) const REFERENCE: &str = "G1";
/// Largest difference of hours that counts as equal speed.
pub(super) const WINDOW: f64 = 0.25;
/// Share of the runs on the reference scenario that must come to nine tenths.
const REACHED_MIN: f64 = 0.95;
const HARMED_MIN: f64 = 0.5;
