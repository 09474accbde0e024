//! What is brought back after a stop.

use model::{Policy, Rate, Rule, Span, Undo};

use crate::benchmark::{Benchmark, Cell, Contestant, Fault, FaultKind, Times, scenario};

/// Half of 3000 devices that are never offline get a fault of that kind, and evidence stops it.
fn cell(kind: FaultKind, latency: Option<Times>, undo: Undo) -> Cell {
    let mut scenario = scenario("G1").unwrap();
    scenario.devices = 3_000;
    scenario.offline.share = Rate::ZERO;
    let rate = Rate::percent(50);
    let fault = Fault {
        kind,
        rate,
        latency,
        shift: 0.0,
        factor: 0.0,
        hardware: None,
        version: None,
        site: None,
        operation: None,
    };
    scenario.faults = vec![fault];
    let mut contestant = Contestant::named("evidence-20").remove(0);
    let Policy { rule: Rule::Evidence(rule), .. } = &mut contestant.policy else { panic!() };
    rule.undo = undo;
    let benchmark = Benchmark {
        scenarios: vec![scenario],
        contestants: vec![contestant],
        runs: 3,
        seed: 4,
        threads: None,
    };
    benchmark.run(&|_, _| {}).cells.remove(0)
}

#[test]
fn a_device_that_is_silent_for_good_cannot_be_undone() {
    let cell = cell(FaultKind::Brick, None, Undo::Automatic);
    assert_eq!(cell.stopped.hits, 3, "{cell:?}");
    let (undone, recovered) = (cell.undone.unwrap(), cell.recovered.unwrap());
    assert!(recovered.max < 0.5, "{recovered:?}");
    assert!(undone.mean > 0.0, "the others that run the change are brought back: {undone:?}");
    assert_eq!(cell.net_harmed, cell.harmed);
}

#[test]
fn who_lives_on_with_the_fault_is_brought_back() {
    let latency = Some(Times::Exponential(Span::secs(1_800)));
    let cell = cell(FaultKind::LatentCrash, latency, Undo::Automatic);
    let (harmed, recovered) = (cell.harmed.unwrap(), cell.recovered.unwrap());
    assert!(recovered.mean > 0.8 * harmed.mean, "{recovered:?} of {harmed:?}");
    assert!(cell.net_harmed.unwrap().mean < 0.2 * harmed.mean, "{cell:?}");
    assert!(cell.undo_hours.unwrap().mean > 0.0 && cell.undo_stopped.hits == 0, "{cell:?}");
}

#[test]
fn an_undo_in_time_saves_those_whose_fault_has_not_shown() {
    let latency = || Some(Times::Exponential(Span::secs(12 * 3_600)));
    let automatic = cell(FaultKind::LatentSilence, latency(), Undo::Automatic);
    let (harmed, recovered) = (automatic.harmed.unwrap(), automatic.recovered.unwrap());
    assert!(recovered.mean > 0.0 && recovered.mean < harmed.mean, "{recovered:?} of {harmed:?}");
    // What is measured of the operation itself does not depend on its undoing.
    let off = cell(FaultKind::LatentSilence, latency(), Undo::Off);
    assert_eq!((off.harmed, off.hours_to_90), (automatic.harmed, automatic.hours_to_90));
    assert_eq!((off.undone, off.recovered, off.net_harmed), (None, None, off.harmed));
    // An operator takes an hour.
    let proposed = cell(FaultKind::LatentSilence, latency(), Undo::Propose);
    let hours = |cell: &Cell| cell.undo_hours.unwrap().mean;
    assert!(hours(&proposed) > hours(&automatic) + 0.4, "{proposed:?}");
}
