//! Figure 5 of paper A: element size against progress, when the platform's response time changes.
//!
//! Runs the production code in virtual time on the paper's fleet of 150 devices (§IV-B): scenario
//! 1 with a response time that worsens near 35 % and 65 % for one element each, scenario 2 with
//! one that improves at 27 %, 55 % and 90 %, and the legacy schedule the paper compares with
//! (§IV-A). Returns plain data; drawing is somebody else's work.

use std::fmt::Write as _;
use std::time::Duration;

use model::{Phases, Policy, Rate, Rule, Span, Stage, Strategy, Verdict};

use crate::device::Profile;
use crate::image::{Image, digest};
use crate::random::{Random, mix};
use crate::scenario::SAMPLE_VERSION;
use crate::world::{Order, Plan, RunReport, ServerDelay, Violation, run_plan};

/// The data of the figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure5 {
    /// Devices to update.
    pub targets: u64,
    /// Where the phases lie.
    pub phases: Phases,
    /// The reference line: the legacy schedule's peak, 6.25 % of the fleet per iteration.
    pub reference: Rate,
    /// Scenario 1, scenario 2 and the legacy schedule.
    pub curves: Vec<Curve>,
}

/// One line of the figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// Its name.
    pub name: &'static str,
    /// Where the response time changed, and how.
    pub marks: Vec<Mark>,
    /// One point for each element, in order.
    pub points: Vec<ElementPoint>,
    /// Time from the publication to the last element.
    pub time: Duration,
}

/// A change of the response time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// At which share of the targets processed.
    pub progress: Rate,
    /// What happened.
    pub label: &'static str,
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementPoint {
    /// Its number, from 1.
    pub element: u64,
    /// Share of the targets processed when it was granted.
    pub progress: Rate,
    /// Devices in it.
    pub devices: u64,
    /// Size that the decision before it allowed, which is what the figure draws; the last element
    /// is smaller when fewer devices are left.
    pub speed: u32,
    /// Median response time of the element before it, in microseconds.
    pub response_time_us: Option<u64>,
    /// The decision that gave it its size, in one sentence.
    pub decision: String,
}

impl Figure5 {
    /// Runs the three experiments; the same seed gives the same figure.
    ///
    /// # Errors
    /// [`Violation`] when a run breaks an invariant, which is a mistake in the product.
    pub fn run(seed: u64) -> Result<Self, Violation> {
        let curves =
            [scenario_1(seed), scenario_2(seed), baseline(seed)].map(|experiment| experiment.run());
        Ok(Self {
            targets: DEVICES as u64,
            phases: Phases::default(),
            reference: LEGACY_PEAK,
            curves: curves.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// Devices at the reference line, rounded down as the legacy schedule does.
    #[must_use]
    pub fn reference_devices(&self) -> u64 {
        self.reference.apply(self.targets)
    }

    /// The data as CSV (RFC 4180), one line for each element of each curve.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv =
            "curve,element,progress_percent,devices,size,response_time_ms,decision\r\n".to_owned();
        for curve in &self.curves {
            for point in &curve.points {
                let progress = point.progress.as_basis_points();
                let response = point
                    .response_time_us
                    .map_or_else(String::new, |us| format!("{}.{:03}", us / 1_000, us % 1_000));
                let decision = point.decision.replace('"', "\"\"");
                // Writing to a string cannot fail.
                let _written = write!(
                    csv,
                    "{},{},{}.{:02},{},{},{response},\"{decision}\"\r\n",
                    curve.name,
                    point.element,
                    progress / 100,
                    progress % 100,
                    point.devices,
                    point.speed
                );
            }
        }
        csv
    }
}

/// A run that makes one curve.
struct Experiment {
    name: &'static str,
    marks: Vec<Mark>,
    plan: Plan,
}

impl Experiment {
    fn run(self) -> Result<Curve, Violation> {
        let report = run_plan(self.plan)?;
        let points: Vec<ElementPoint> =
            report.elements.iter().map(|element| point(&report, element)).collect();
        let last = report.elements.last().map_or(Duration::ZERO, |element| element.at);
        Ok(Curve { name: self.name, marks: self.marks, points, time: last })
    }
}

fn point(report: &RunReport, element: &crate::world::ElementReport) -> ElementPoint {
    let decision = report.decisions.iter().find(|decision| {
        decision.operation == element.operation && decision.seq == element.decision
    });
    let speed = decision.map_or(0, |decision| match decision.verdict {
        Verdict::Start { speed } | Verdict::Continue { speed, .. } => speed,
        _ => 0,
    });
    let after = decision.and_then(|decision| decision.inputs.as_ref()?.after);
    ElementPoint {
        element: element.element,
        progress: element.progress,
        devices: element.devices.len() as u64,
        speed,
        response_time_us: after.and_then(|after| after.response_time_us),
        decision: decision.map(ToString::to_string).unwrap_or_default(),
    }
}

/// Negative variation (§IV-B): the size is slightly lower for one iteration, then rises again.
fn scenario_1(seed: u64) -> Experiment {
    let mut plan = plan(seed, policy());
    plan.server_delay = Duration::from_millis(40);
    let change = |percent| ServerDelay {
        from: Rate::percent(percent),
        delay: Duration::from_millis(120),
        one_element: true,
    };
    plan.server_delays = [35, 65].map(change).to_vec();
    let mark = |percent| Mark { progress: Rate::percent(percent), label: "response time worsens" };
    Experiment { name: "scenario 1", marks: [35, 65].map(mark).to_vec(), plan }
}

/// Positive variation (§IV-B): the slope to the next points is steeper.
fn scenario_2(seed: u64) -> Experiment {
    let mut plan = plan(seed, policy());
    plan.server_delay = Duration::from_millis(160);
    let change = |(percent, millis)| ServerDelay {
        from: Rate::percent(percent),
        delay: Duration::from_millis(millis),
        one_element: false,
    };
    plan.server_delays = [(27, 110), (55, 70), (90, 40)].map(change).to_vec();
    let mark = |percent| Mark { progress: Rate::percent(percent), label: "response time improves" };
    Experiment { name: "scenario 2", marks: [27, 55, 90].map(mark).to_vec(), plan }
}

/// The legacy schedule (§IV-A): under 0.01 % for 48 hours, 3 % for 10 days, then 6.25 % a day.
fn baseline(seed: u64) -> Experiment {
    let hour = 3_600;
    let stage = |share, hours| Stage { share, wait: Span::secs(hours * hour) };
    let stages = vec![
        stage(Rate::basis_points(1), 48),
        stage(Rate::percent(3), 10 * 24),
        stage(LEGACY_PEAK, 24),
    ];
    let policy =
        Policy { rule: Rule::Plan { stages }, linger: Span::secs(40 * 24 * hour), ..policy() };
    let mut plan = plan(seed, policy);
    for profile in &mut plan.profiles {
        // A month of registration updates would show nothing.
        profile.lifetime_s = 90 * 24 * 3_600;
    }
    plan.time_max = Duration::from_secs(60 * 24 * hour);
    Experiment { name: "legacy", marks: Vec::new(), plan }
}

/// The policy of the autonomic runs: the strategy of the gentlest slope, so that 150 devices make
/// enough iterations to see each reaction by itself.
fn policy() -> Policy {
    Policy { strategy: Strategy::Linear { add: 1 }, ..Policy::threshold() }
}

/// The paper's fleet: healthy devices of one kind, and one firmware for all of them.
fn plan(seed: u64, policy: Policy) -> Plan {
    let mut random = Random::of(seed, "figure 5");
    let profiles = (0..DEVICES).map(|at| {
        let name = format!("ws200-{:03}", at + 1);
        let mut profile = Profile::new(&name, "1.0.0", mix(seed.wrapping_add(at as u64)));
        profile.lifetime_s = 3_600;
        profile.arrives_after = Duration::from_millis(random.below(900));
        profile.boot_time = random.span(Duration::from_millis(800), Duration::from_millis(1_600));
        profile
    });
    let mut plan = Plan::calm(seed, profiles.collect());
    let image = Image::build(SAMPLE_VERSION, 4_000, seed);
    let manifest = format!(
        "manifest = 1\n[release]\nname = \"ws200-firmware\"\nversion = \"{SAMPLE_VERSION}\"\n\
         class = \"major\"\n[[target]]\nmanufacturer = \"ACME\"\nmodel = \"WS-200\"\n[[artifact]]\n\
         size = {}\nsha256 = \"{}\"\nfile = \"image\"\n[confirm]\nwithin = \"60s\"\n",
        image.len(),
        digest(&image)
    );
    // Long enough for the identification of everybody to be over.
    let order = Order::Publish { manifest, image: Some(image), start: Some(Box::new(policy)) };
    plan.orders.push((Duration::from_secs(20), order));
    plan
}

/// The paper's fleet (§IV-B).
const DEVICES: usize = 150;
/// The legacy schedule's fastest rate (§IV-A).
const LEGACY_PEAK: Rate = Rate::basis_points(625);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_repeats() {
        let curve = scenario_1(1).run().unwrap();
        assert_eq!(curve, scenario_1(1).run().unwrap());
        let devices: u64 = curve.points.iter().map(|point| point.devices).sum();
        assert_eq!(devices, DEVICES as u64);
    }

    #[test]
    fn the_data_reads_as_csv() {
        let point = ElementPoint {
            element: 3,
            progress: Rate::basis_points(205),
            devices: 4,
            speed: 5,
            response_time_us: Some(79_872),
            decision: "Keep at 4: \"steady\"".to_owned(),
        };
        let curve = Curve {
            name: "scenario 1",
            marks: Vec::new(),
            points: vec![point],
            time: Duration::ZERO,
        };
        let phases = Phases::default();
        let figure = Figure5 { targets: 150, phases, reference: LEGACY_PEAK, curves: vec![curve] };
        assert_eq!(figure.reference_devices(), 9);
        assert_eq!(
            figure.csv(),
            "curve,element,progress_percent,devices,size,response_time_ms,decision\r\n\
             scenario 1,3,2.05,4,5,79.872,\"Keep at 4: \"\"steady\"\"\"\r\n"
        );
    }
}
