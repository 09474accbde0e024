//! The settings of other systems that are tried to find the best one with hindsight.
//!
//! Data: for each system its axes, and how one value of each makes a policy. Axes that decide how
//! fast a good release goes come first; they are tried alone, so that the settings that are
//! nowhere near the speed asked for cost little.

use model::{
    AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, BatchGrowth, CheckedSteps, Edgehog,
    HawkBit, HawkBitGroup, Mender, MenderPhase, Nebraska, NervesHub, NervesHubStep, NodeWright,
    PerPhase, Policy, Rate, Rule, Span, Stage, Strategy,
};

use super::policies::{Choice, Contestant, policy, reach_of};

/// The settings of one system that are tried.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// The system.
    pub family: &'static str,
    /// What is varied; every combination is tried.
    pub axes: &'static [Axis],
    make: fn(&[u32]) -> Policy,
}

/// One setting with the values that are tried.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Its name.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
    /// What it decides on.
    pub decides: Decides,
    /// The values; of a limit the loosest one comes last.
    pub values: &'static [u32],
}

/// What the values of an axis count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Pieces.
    Count,
    /// Hundredths of a percent.
    Points,
    /// Minutes.
    Minutes,
}

/// What an axis decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decides {
    /// How fast a release goes that nothing stops.
    Speed,
    /// Only what stops it.
    Stop,
}

impl Grid {
    /// The grids of all systems, paper A's rule and the legacy schedule among them.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        GRIDS
    }

    /// The setting of that name, such as `hawkbit[8 300% 90% 2%]`, as tables of the best settings
    /// give it.
    pub(super) fn named(name: &str) -> Option<Contestant> {
        let (family, _) = name.split_once('[')?;
        let grid = Self::all().iter().find(|grid| grid.family == family)?;
        let at = grid.combinations().into_iter().find(|at| grid.name(at) == name)?;
        Some(grid.contestant(&at))
    }

    /// Combinations of all axes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every speed, with the loosest limits.
    pub(super) fn speeds(&self) -> Vec<Contestant> {
        let all = self.combinations();
        all.iter().filter(|at| self.is_loosest(at)).map(|at| self.contestant(at)).collect()
    }

    /// Every setting that goes at one of these speeds, whatever its limits.
    pub(super) fn limits_of(&self, speeds: &[Contestant]) -> Vec<Contestant> {
        let names: Vec<&str> = speeds.iter().map(|it| it.name.as_str()).collect();
        let is_among = |at: &Vec<usize>| {
            let loosest = self.axes.iter().zip(at).map(|(axis, at)| match axis.decides {
                Decides::Speed => *at,
                Decides::Stop => axis.values.len() - 1,
            });
            names.contains(&self.name(&loosest.collect::<Vec<_>>()).as_str())
        };
        let all = self.combinations().into_iter().filter(is_among);
        all.map(|at| self.contestant(&at)).collect()
    }

    fn is_loosest(&self, at: &[usize]) -> bool {
        self.axes
            .iter()
            .zip(at)
            .all(|(axis, at)| axis.decides == Decides::Speed || at + 1 == axis.values.len())
    }

    /// Positions on the axes, the last axis running fastest.
    fn combinations(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for axis in self.axes {
            all = all
                .into_iter()
                .flat_map(|before: Vec<usize>| {
                    (0..axis.values.len()).map(move |at| [before.as_slice(), &[at]].concat())
                })
                .collect();
        }
        all
    }

    fn name(&self, at: &[usize]) -> String {
        let values = self.axes.iter().zip(at).map(|(axis, at)| axis.unit.short(axis.values[*at]));
        format!("{}[{}]", self.family, values.collect::<Vec<_>>().join(" "))
    }

    fn contestant(&self, at: &[usize]) -> Contestant {
        let values: Vec<u32> =
            self.axes.iter().zip(at).map(|(axis, at)| axis.values[*at]).collect();
        let words = self.axes.iter().zip(&values).map(|(axis, value)| axis.words(*value));
        let policy = (self.make)(&values);
        Contestant {
            name: self.name(at),
            family: self.family.to_owned(),
            about: words.collect::<Vec<_>>().join("; "),
            reach: reach_of(&policy.rule),
            policy,
            choice: Choice::Grid,
        }
    }
}

impl Axis {
    /// All its values, for people.
    #[must_use]
    pub fn range(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| self.unit.long(*value)).collect();
        values.join(", ")
    }

    fn words(&self, value: u32) -> String {
        format!("{} {}", self.name, self.unit.long(value))
    }
}

impl Unit {
    fn short(self, value: u32) -> String {
        match self {
            Self::Count => value.to_string(),
            Self::Points => format!("{}%", f64::from(value) / 100.0),
            Self::Minutes => format!("{value}m"),
        }
    }

    fn long(self, value: u32) -> String {
        match self {
            Self::Count => value.to_string(),
            Self::Points => format!("{} %", f64::from(value) / 100.0),
            Self::Minutes => format!("{value} min"),
        }
    }
}

const fn speed(name: &'static str, unit: Unit, values: &'static [u32]) -> Axis {
    Axis { name, unit, decides: Decides::Speed, values }
}

const fn stop(name: &'static str, unit: Unit, values: &'static [u32]) -> Axis {
    Axis { name, unit, decides: Decides::Stop, values }
}

const GRIDS: &[Grid] = &[
    Grid {
        family: "paper-a",
        axes: &[
            speed("first element", Unit::Count, &[1, 5, 20, 100]),
            speed("growth of a good element", Unit::Points, &[12_000, 15_000, 20_000, 30_000]),
            speed("largest element", Unit::Points, &[50, 100, 200, 625, 2_500]),
            stop(
                "tolerated in Test; twice that in Cautious, five times after",
                Unit::Points,
                &[50, 100, 200, 400, 800],
            ),
        ],
        make: paper_a,
    },
    Grid {
        family: "legacy",
        axes: &[
            speed("times as fast", Unit::Count, &[1, 4, 12, 20, 24, 36, 48, 60, 72, 96, 144]),
            stop("tolerated", Unit::Points, &[100, 200, 300, 500]),
        ],
        make: legacy,
    },
    Grid {
        family: "aws-jobs",
        axes: &[
            speed("base a minute", Unit::Count, &[1, 2, 3, 5, 8, 12, 20, 50]),
            speed("growth", Unit::Points, &[15_000, 20_000]),
            speed("succeeded for one growth", Unit::Count, &[1_000, 4_000]),
            stop("failed", Unit::Points, &[100, 200, 500]),
            stop("timed out", Unit::Points, &[20, 40, 80, 200]),
            stop("of at least", Unit::Count, &[100, 200, 1_000]),
        ],
        make: aws_jobs,
    },
    Grid {
        family: "hawkbit",
        axes: &[
            speed("groups", Unit::Count, &[3, 5, 8, 12, 20, 40]),
            speed("growth of a group", Unit::Points, &[10_000, 15_000, 20_000, 30_000]),
            speed("success", Unit::Points, &[5_000, 8_000, 9_000, 9_500]),
            stop("error", Unit::Points, &[20, 50, 100, 200, 500]),
        ],
        make: hawkbit,
    },
    Grid {
        family: "mender",
        axes: &[
            speed("phases", Unit::Count, &[2, 3, 4, 6, 10]),
            speed("growth of a phase", Unit::Points, &[10_000, 20_000, 40_000, 100_000]),
            speed(
                "a phase every",
                Unit::Minutes,
                &[30, 60, 90, 120, 180, 240, 300, 480, 720, 1_440],
            ),
        ],
        make: mender,
    },
    Grid {
        family: "edgehog",
        axes: &[
            speed(
                "at a time",
                Unit::Count,
                &[100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 4_000, 6_000, 10_000],
            ),
            stop("failed of all", Unit::Points, &[2, 5, 10, 20, 50, 100, 500]),
        ],
        make: edgehog,
    },
    Grid {
        family: "nerves-hub",
        axes: &[
            speed("steps", Unit::Count, &[1, 2, 3, 4]),
            speed("at a time", Unit::Count, &[100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 5_000]),
            stop("failures tolerated in a step", Unit::Points, &[60, 100, 150, 200, 500]),
        ],
        make: nerves_hub,
    },
    Grid {
        family: "nebraska",
        axes: &[
            speed(
                "a period",
                Unit::Count,
                &[50, 100, 200, 350, 500, 700, 1_000, 1_500, 2_500, 5_000, 10_000],
            ),
            speed("period", Unit::Minutes, &[5, 15, 60]),
            stop("safe mode", Unit::Count, &[1, 0]),
        ],
        make: nebraska,
    },
    Grid {
        family: "nodewright",
        axes: &[
            speed("first batch", Unit::Count, &[1, 10, 50, 200]),
            speed(
                "growth: 1 fixed, to 4 a factor, else added",
                Unit::Count,
                &[1, 2, 3, 4, 20, 100, 400],
            ),
            speed("of a batch must succeed", Unit::Points, &[8_000, 9_000, 9_500, 9_800, 9_900]),
            stop("failed batches in a row", Unit::Count, &[1, 2, 3]),
            stop("nothing stops it from", Unit::Points, &[10_000, 5_000]),
        ],
        make: nodewright,
    },
    Grid {
        family: "flagger",
        axes: &[
            speed("checks", Unit::Count, &[4, 7, 10, 15, 20]),
            speed("growth of a step", Unit::Points, &[10_000, 15_000, 20_000]),
            speed("a check every", Unit::Minutes, &[5, 15, 30, 45, 60, 90, 120]),
            stop("errors", Unit::Points, &[60, 100, 150, 200, 500]),
            stop("failed checks", Unit::Count, &[1, 2, 5]),
        ],
        make: flagger,
    },
];

/// Points of the targets up to each of `parts` parts, each `growth` times the one before, as
/// cumulated shares that end at 100 % and grow by at least 0.01 %.
fn cumulated(parts: u32, growth: u32) -> Vec<u32> {
    let growth = f64::from(growth) / 10_000.0;
    let sizes: Vec<f64> = (0..parts).map(|part| growth.powi(part as i32)).collect();
    let all: f64 = sizes.iter().sum();
    let (mut sum, mut last, mut shares) = (0.0, 0, Vec::new());
    for size in sizes {
        sum += size;
        last = ((sum / all * 10_000.0).round() as u32).max(last + 1);
        shares.push(last);
    }
    shares
}

fn paper_a(at: &[u32]) -> Policy {
    let [first, growth, most, tolerated] = at else { return Policy::threshold() };
    Policy {
        first_speed: *first,
        strategy: Strategy::Exponential { factor: Rate::basis_points(*growth) },
        speed_max: Rate::basis_points(*most),
        tolerated_errors: PerPhase {
            test: Rate::basis_points(*tolerated),
            cautious: Rate::basis_points(tolerated * 2),
            generalization: Rate::basis_points(tolerated * 5),
        },
        ..policy(Rule::Threshold)
    }
}

fn legacy(at: &[u32]) -> Policy {
    let [divisor, tolerated] = at else { return Policy::threshold() };
    let stage = |points, hours: u64| Stage {
        share: Rate::basis_points(points),
        wait: Span::secs(hours * 3_600 / u64::from(*divisor)),
    };
    let tolerated = Rate::basis_points(*tolerated);
    Policy {
        tolerated_errors: PerPhase {
            test: tolerated,
            cautious: tolerated,
            generalization: tolerated,
        },
        ..policy(Rule::Plan { stages: vec![stage(1, 48), stage(300, 240), stage(625, 24)] })
    }
}

fn aws_jobs(at: &[u32]) -> Policy {
    let [base, factor, devices, failed, timed_out, executed_min] = at else {
        return policy(Rule::AwsJobs(AwsJobs::default()));
    };
    let criterion = |failure, points: u32| AwsAbort {
        failure,
        threshold: Rate::basis_points(points),
        executed_min: *executed_min,
    };
    policy(Rule::AwsJobs(AwsJobs {
        per_minute_max: 1_000,
        growth: Some(AwsGrowth {
            base_per_minute: *base,
            factor: Rate::basis_points(*factor),
            count: AwsCount::Succeeded,
            devices: *devices,
        }),
        abort: vec![
            criterion(AwsFailure::Failed, *failed),
            criterion(AwsFailure::TimedOut, *timed_out),
        ],
    }))
}

fn hawkbit(at: &[u32]) -> Policy {
    let [groups, growth, success, errors] = at else {
        return policy(Rule::HawkBit(HawkBit { groups: vec![HawkBitGroup::default()] }));
    };
    let mut before = 0;
    let groups = cumulated(*groups, *growth).into_iter().map(|upto| {
        let share = (upto - before) * 10_000 / (10_000 - before).max(1);
        before = upto;
        HawkBitGroup {
            share: Some(Rate::basis_points(share.max(1))),
            success: Rate::basis_points(*success),
            errors: Rate::basis_points(*errors),
            approval_after: false,
        }
    });
    policy(Rule::HawkBit(HawkBit { groups: groups.collect() }))
}

fn mender(at: &[u32]) -> Policy {
    let [phases, growth, minutes] = at else {
        return policy(Rule::Mender(Mender { phases: Vec::new() }));
    };
    let (mut before, mut number) = (0, 0);
    let phases = cumulated(*phases, *growth).into_iter().map(|upto| {
        let share = (upto < 10_000).then(|| Rate::basis_points(upto - before));
        let after = Span::secs(u64::from(number * minutes) * 60);
        (before, number) = (upto, number + 1);
        MenderPhase { share, after }
    });
    policy(Rule::Mender(Mender { phases: phases.collect() }))
}

fn edgehog(at: &[u32]) -> Policy {
    let (slots, points) = (at.first().copied().unwrap_or(1), at.get(1).copied().unwrap_or(0));
    let failed_max = Rate::basis_points(points);
    policy(Rule::Edgehog(Edgehog { in_progress_max: slots, failed_max }))
}

fn nerves_hub(at: &[u32]) -> Policy {
    let [steps, slots, points] = at else {
        return policy(Rule::NervesHub(NervesHub { steps: Vec::new() }));
    };
    // Tolerances are counts; that of the rest is reckoned for a hundred thousand devices.
    let tolerated = |devices: u32| Some((devices / 100 * points / 100).max(1));
    let canaries = [50, 1_000, 10_000];
    let mut all: Vec<NervesHubStep> = canaries
        .iter()
        .take(steps.saturating_sub(1) as usize)
        .map(|devices| NervesHubStep {
            devices: Some(*devices),
            in_progress_max: (*slots).min(*devices),
            failed_max: tolerated((*devices).max(100)),
            approval: false,
        })
        .collect();
    all.push(NervesHubStep {
        devices: None,
        in_progress_max: *slots,
        failed_max: tolerated(100_000),
        approval: false,
    });
    policy(Rule::NervesHub(NervesHub { steps: all }))
}

fn nebraska(at: &[u32]) -> Policy {
    let value = |number: usize| at.get(number).copied().unwrap_or(1);
    policy(Rule::Nebraska(Nebraska {
        devices_max: value(0),
        period: Span::secs(u64::from(value(1)) * 60),
        safe_mode: value(2) == 1,
        office_hours: None,
    }))
}

fn nodewright(at: &[u32]) -> Policy {
    let [first, growth, success, failed, limit] = at else {
        return policy(Rule::NodeWright(NodeWright::default()));
    };
    policy(Rule::NodeWright(NodeWright {
        first: *first,
        growth: match *growth {
            1 => BatchGrowth::Fixed,
            factor @ 2..=4 => BatchGrowth::Exponential { factor },
            delta => BatchGrowth::Linear { delta },
        },
        success: Rate::basis_points(*success),
        failed_batches_max: Some(*failed),
        safety_limit: Rate::basis_points(*limit),
    }))
}

fn flagger(at: &[u32]) -> Policy {
    let [checks, growth, minutes, errors, strikes] = at else {
        return Policy::default();
    };
    policy(Rule::CheckedSteps(CheckedSteps {
        interval: Span::secs(u64::from(*minutes) * 60),
        weights: cumulated(*checks, *growth).into_iter().map(Rate::basis_points).collect(),
        errors_max: Rate::basis_points(*errors),
        response_time_us_max: None,
        failed_checks_max: *strikes,
        missing_fails: false,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_is_usable_and_has_a_name_of_its_own() {
        for grid in Grid::all() {
            let speeds = grid.speeds();
            let all = grid.limits_of(&speeds);
            assert_eq!(all.len(), grid.len(), "{}", grid.family);
            let names: BTreeSet<_> = all.iter().map(|it| it.name.clone()).collect();
            assert_eq!(names.len(), all.len(), "{}", grid.family);
            for setting in all {
                let name = &setting.name;
                assert!(setting.policy.clone().validated().is_ok(), "{name}");
                assert!(!name.contains(','), "{name} is a field of a table");
                assert!(Contestant::named(&setting.family).len() == 1, "{name}");
            }
            let last = &grid.contestant(&grid.combinations()[grid.len() - 1]);
            assert_eq!(Contestant::named(&last.name), std::slice::from_ref(last));
            let one = grid.limits_of(&speeds[..1]);
            assert_eq!(one.len() * speeds.len(), grid.len(), "{}", grid.family);
        }
    }

    #[test]
    fn parts_add_up() {
        assert_eq!(cumulated(4, 10_000), [2_500, 5_000, 7_500, 10_000]);
        assert_eq!(cumulated(3, 100_000), [90, 991, 10_000]);
    }
}
