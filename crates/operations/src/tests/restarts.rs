//! A restart changes nothing: the same state, and the same decisions afterwards.

use model::{Presence, Record};

use super::world::{Call, Nature, World};
use super::{config, firmware, fleet, policy};
use crate::{Loops, Output};

fn world(seed: u64, policy: model::Policy) -> World {
    let natures = [
        vec![Nature::Good; 10],
        vec![Nature::Flaky(1), Nature::Flaky(5), Nature::Bricks, Nature::Refuses],
    ]
    .concat();
    let mut world = World::new(seed, config(), fleet(30 + seed % 40, "1.0.0"), &natures);
    let middle = firmware("sensor", "1.1.0", "");
    let goal = firmware(
        "sensor",
        "2.0.0",
        "[[upgrade]]\nfrom = \"1.1.0\"\n[confirm]\nwithin = \"60s\"\nsoak = \"3s\"",
    );
    world.loops.publish(middle, "test", None, &world.fleet, seed, world.now).unwrap();
    // Tolerant enough to go on to the end in spite of the faults.
    let mut policy = policy;
    policy.tolerated_errors = model::PerPhase {
        test: model::Rate::percent(60),
        cautious: model::Rate::percent(40),
        generalization: model::Rate::percent(25),
    };
    world.loops.publish(goal, "test", Some(policy), &world.fleet, seed, world.now).unwrap();
    for at in 0..6 {
        let device = model::DeviceId(1 + world.below(30));
        world.schedule_presence(device, 5 + at * 7, Presence::Offline);
        world.schedule_presence(device, 60 + at * 31, Presence::Online);
        world.schedule_arrival(at * 50);
    }
    world.turn(false);
    world
}

fn restored(world: &World) -> Loops {
    let snapshot = world.durable.snapshot();
    Loops::restore(config(), &snapshot, &world.fleet, world.now)
}

#[test]
fn a_restart_restores_what_was_there() {
    for seed in 0..12 {
        let mut world = world(seed, policy());
        let mut steps = 0;
        while world.step(false) {
            steps += 1;
            if steps % 23 != 0 {
                continue;
            }
            let after = restored(&world);
            let before = &world.loops;
            assert!(after.operations().eq(before.operations()), "seed {seed} step {steps}");
            assert!(after.releases().eq(before.releases()), "seed {seed} step {steps}");
            for operation in before.operations() {
                let id = operation.id;
                assert!(after.assignments(id).eq(before.assignments(id)), "seed {seed}");
                assert_eq!(after.counts(id), before.counts(id), "seed {seed} step {steps}");
                let codes = |loops: &Loops| loops.exclusions(id, &world.fleet, world.now);
                assert_eq!(codes(&after), codes(before), "seed {seed} step {steps}");
            }
        }
    }
}

#[test]
fn a_restart_does_not_change_what_is_decided_afterwards() {
    let compared: usize = (0..40).map(|seed| compare(seed, policy())).sum();
    assert!(compared > 5_000, "{compared}");
}

/// Forks a run at some step, lets a restarted server take the same calls, and compares what both
/// make durable; says how many records that were.
pub(super) fn compare(seed: u64, policy: model::Policy) -> usize {
    let mut world = world(seed, policy);
    let fork = 10 + world.below(300);
    for _ in 0..fork {
        world.step(false);
    }
    while (world.is_probing() || world.is_transferring()) && world.step(false) {}
    let mut fleet = world.fleet.clone();
    let mut twin = restored(&world);
    while twin.poll_output().is_some() {}
    world.calls.clear();
    world.records.clear();
    while world.step(false) {}

    let mut records: Vec<Record> = Vec::new();
    for (now, call) in &world.calls {
        match call {
            Call::Known(device) => fleet.insert((**device).clone()),
            Call::Report(operation, device, attempt, progress) => {
                twin.report(*operation, *device, *attempt, progress.clone(), &fleet, *now);
            }
            Call::Changed(device) => twin.device_changed(*device, &fleet, *now),
            Call::Activate => twin.activate(&fleet, *now),
        }
        while let Some(output) = twin.poll_output() {
            if let Output::Record(record) = output {
                records.push(record);
            }
        }
    }
    for (at, (mine, its)) in world.records.iter().zip(&records).enumerate() {
        assert_eq!(mine, its, "seed {seed}: record {at} after the fork at step {fork}");
    }
    assert_eq!(world.records.len(), records.len(), "seed {seed}");
    records.len()
}

/// I17: devices whose time ran out while the server was away had nobody to prove themselves to.
#[test]
fn a_long_stop_of_the_server_is_no_silence_of_its_devices() {
    let mut world = World::new(1, config(), fleet(5, "1.0.0"), &[Nature::Bricks]);
    let release = firmware("sensor", "2.0.0", "[confirm]\nwithin = \"600s\"");
    world.loops.publish(release, "test", Some(policy()), &world.fleet, 1, world.now).unwrap();
    world.turn(false);
    let claimed = |loops: &Loops| {
        let all = loops.assignments(model::OperationId(1));
        all.filter(|known| known.state == model::AttemptState::Claimed).count()
    };
    while claimed(&world.loops) == 0 {
        assert!(world.step(false));
    }
    world.now = world.now + std::time::Duration::from_secs(24 * 3_600);
    let mut after = restored(&world);
    after.activate(&world.fleet, world.now);
    let probes = std::iter::from_fn(|| after.poll_output())
        .filter(|output| matches!(output, Output::Probe { .. }))
        .count();
    assert_eq!((probes, claimed(&after)), (0, 1));
    let again = world.now + std::time::Duration::from_secs(600);
    assert_eq!(after.poll_timeout(), Some(again));
    after.activate(&world.fleet, again);
    assert!(std::iter::from_fn(|| after.poll_output()).any(|o| matches!(o, Output::Probe { .. })));
}
