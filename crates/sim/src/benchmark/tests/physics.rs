//! What the world does, against closed forms.

use model::{Edgehog, Policy, Rate, Rule, Span};

use crate::benchmark::chance::Chance;
use crate::benchmark::fleet::Fleet;
use crate::benchmark::kinds::kinds;
use crate::benchmark::run::{Run, START_S};
use crate::benchmark::{Benchmark, Cell, Contestant, Scenario, Times, scenario};

/// A policy under a name, as its system would reach devices.
fn contestant(rule: Rule) -> Contestant {
    Contestant::own("policy", Policy { rule, ..Policy::default() })
}

fn shipped(name: &str) -> Contestant {
    Contestant::named(name).remove(0)
}

fn cell(scenario: Scenario, contestant: Contestant, runs: u64) -> Cell {
    let benchmark = Benchmark {
        scenarios: vec![scenario],
        contestants: vec![contestant],
        runs,
        seed: 11,
        threads: None,
    };
    benchmark.run(&|_, _| {}).cells.remove(0)
}

/// Nobody offline, nobody silent, nothing fails.
fn plain(devices: u64) -> Scenario {
    let mut plain = scenario("G1").unwrap();
    plain.devices = devices;
    plain.offline.share = Rate::ZERO;
    plain.benign = crate::benchmark::Benign::default();
    plain
}

#[test]
fn devices_at_rest_fall_silent_at_their_rate() {
    let mut scenario = plain(100_000);
    scenario.benign.silence_per_hour = Rate::percent(1);
    let mut chance = Chance::of(1, "kinds");
    let kinds = kinds(&scenario, &Policy::default(), &mut chance);
    let mut fleet = Fleet::new(&scenario, kinds, chance);
    let mut lost = Vec::new();
    for step in 0..120 {
        fleet.live(f64::from(step) * 300.0, f64::from(step + 1) * 300.0, &mut lost);
    }
    // After ten hours e^(−0.1) of them are left.
    let expected = 100_000.0 * (1.0 - (-0.1_f64).exp());
    let found = lost.len() as f64;
    assert!((found - expected).abs() < 4.0 * expected.sqrt(), "{found} for {expected}");
}

#[test]
fn a_steady_share_stays_offline() {
    let mut scenario = plain(50_000);
    scenario.offline.share = Rate::percent(8);
    scenario.offline.steady = true;
    let mut chance = Chance::of(2, "kinds");
    let kinds = kinds(&scenario, &Policy::default(), &mut chance);
    let mut fleet = Fleet::new(&scenario, kinds, chance);
    for step in 0..1_000 {
        fleet.live(f64::from(step) * 300.0, f64::from(step + 1) * 300.0, &mut Vec::new());
    }
    let away: u64 = (0..fleet.strata()).map(|stratum| fleet.cell(stratum, 0).away).sum();
    assert!((3_700..4_300).contains(&away), "{away}");
}

#[test]
fn mender_harms_every_device_that_the_fault_hits() {
    // B1: its rate on everybody who can be reached, whatever shows on the way.
    let mut scenario = scenario("B1").unwrap();
    scenario.devices = 20_000;
    scenario.offline.share = Rate::ZERO;
    scenario.benign = crate::benchmark::Benign::default();
    let cell = cell(scenario, shipped("mender"), 20);
    let (harmed, expected) = (cell.harmed.unwrap(), 20_000.0 * 0.3);
    let error = (20_000.0 * 0.3 * 0.7 / 20.0_f64).sqrt();
    assert!((harmed.mean - expected).abs() < 4.0 * error, "{harmed:?}");
    assert!(cell.stopped.hits == 0);
}

#[test]
fn a_constant_rate_of_aws_takes_its_time() {
    // 100 a minute: the 9000th of 10 000 is told after 90 minutes, meets the server 30 minutes
    // later on average and installs for 10; waiting smooths the flow by its own distribution.
    let mut scenario = plain(10_000);
    scenario.contact = Times::Fixed(Span::secs(60));
    scenario.install = Times::Fixed(Span::secs(600));
    let rule = model::AwsJobs { per_minute_max: 100, ..model::AwsJobs::default() };
    let cell = cell(scenario, contestant(Rule::AwsJobs(rule)), 5);
    let hours = cell.hours_to_90.unwrap().mean;
    assert!((hours - (90.0 + 10.0 + 0.5) / 60.0).abs() < 2.0 / 60.0, "{hours}");
}

#[test]
fn slots_bound_the_speed_of_edgehog() {
    // Little's law: 50 slots, each taken for a wait of half a gap and an installation.
    let mut scenario = plain(5_000);
    scenario.contact = Times::Fixed(Span::secs(1_200));
    scenario.install = Times::Fixed(Span::secs(600));
    let rule = Edgehog { in_progress_max: 50, failed_max: Rate::percent(5) };
    let cell = cell(scenario, contestant(Rule::Edgehog(rule)), 5);
    let expected = 4_500.0 / 50.0 * (600.0 + 600.0) / 3_600.0;
    let hours = cell.hours_to_90.unwrap().mean;
    assert!((hours / expected - 1.0).abs() < 0.08, "{hours} for {expected}");
    assert!((cell.peak_in_flight.unwrap().max - 50.0).abs() < 1e-9);
}

#[test]
fn devices_that_break_off_are_tried_again() {
    let mut scenario = plain(2_000);
    scenario.benign.passing = Rate::percent(50);
    let cell = cell(scenario, Contestant::ungated(), 5);
    assert!(cell.reached_90.hits == 5, "{cell:?}");
}

#[test]
fn nobody_is_lost_on_the_way() {
    let scenario = scenario("B12").unwrap();
    let mut small = scenario;
    small.devices = 20_000;
    for name in
        ["aws-jobs", "hawkbit-90-5", "paper-a-x4", "nodewright-x2-90", "flagger", "evidence-1000"]
    {
        let contestant = shipped(name);
        let mut run = Run::new(&small, &contestant, 3);
        for _ in 0..3_000 {
            if !run.step() {
                break;
            }
            run.check();
        }
    }
}

#[test]
fn a_look_has_the_contacts_and_the_losses_of_both_arms() {
    // Everybody lost at one percent an hour, told or not; 30 minutes between contacts.
    let mut scenario = plain(40_000);
    scenario.benign.silence_per_hour = Rate::percent(1);
    let contestant = Contestant::named("evidence-1000").remove(0);
    let mut run = Run::new(&scenario, &contestant, 4);
    let mut looks = Vec::new();
    while run.at_s() < 14.0 * 3_600.0 && run.step() {
        looks.append(&mut run.looked);
    }
    let (mut told, mut contacts, mut expected, mut events) = (0, [0.0_f64; 2], 0.0, [0.0_f64; 2]);
    let mut last_s = 0.0;
    for look in &looks {
        let at_s = look.at.since(model::Time::from_secs(START_S)).as_secs_f64();
        for stratum in &look.strata {
            told += stratum.updated;
            contacts[0] += stratum.control_contacts as f64;
            contacts[1] += stratum.updated_contacts.iter().sum::<u64>() as f64;
            expected += stratum.ready as f64 * (1.0 - (-(at_s - last_s) / 1_800.0).exp());
            for event in &stratum.events {
                events[usize::from(event.arm == model::Arm::Updated)] += event.devices as f64;
            }
        }
        last_s = at_s;
    }
    assert!((contacts[0] / expected - 1.0).abs() < 0.01, "{contacts:?} for {expected}");
    assert!(told > 30_000, "{told}");
    // A contact is the last one with the same probability in both arms, but for those that an
    // installation itself adds and for the last two hours, whose silence is not found yet.
    let rate = |arm: usize| events[arm] / contacts[arm];
    assert!(events[0] > 100.0 && events[1] > 100.0, "{events:?}");
    let ratio = rate(1) / rate(0);
    assert!((0.75..1.15).contains(&ratio), "{ratio}: {events:?} of {contacts:?}");
}
