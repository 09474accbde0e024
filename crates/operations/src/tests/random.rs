//! Random fleets, faults, losses, orders and crashes; the invariants hold after every step.

use model::{DeviceId, OperationState, Origin, Policy, Presence, Scope};

use super::invariants;
use super::world::{Nature, World};
use super::{config, firmware, fleet, observed, policy};
use crate::{Config, OpenRequest};

/// Runs one seed to its end; the seed is in the thread's panic message.
pub(super) fn run(seed: u64, policy: &Policy) -> World {
    let natures = match seed % 4 {
        0 => vec![Nature::Good],
        1 => vec![Nature::Good, Nature::Good, Nature::Flaky(1), Nature::Flaky(5)],
        2 => [vec![Nature::Good; 12], vec![Nature::Bricks, Nature::Lies, Nature::Stalls]].concat(),
        _ => vec![Nature::Good, Nature::Refuses, Nature::Bricks, Nature::ImageFault],
    };
    let count = 20 + seed % 60;
    let config =
        Config { parallel_max: if seed.is_multiple_of(3) { 4 } else { 1_000 }, ..config() };
    let mut world = World::new(seed, config, fleet(count, "1.0.0"), &natures);
    world.losses = [0, 5, 20][(seed / 4 % 3) as usize];
    let middle = firmware("sensor", "1.1.0", "");
    // Half of the runs go over two hops.
    let edge = if seed.is_multiple_of(2) { "1.1.0" } else { "*" };
    let goal = firmware(
        "sensor",
        "2.0.0",
        &format!(
            "[[upgrade]]\nfrom = \"{edge}\"\n[confirm]\nwithin = \"60s\"\nsoak = \"{}s\"",
            seed % 5
        ),
    );
    world.loops.publish(middle, "test", None, &world.fleet, seed, world.now).unwrap();
    let (release, _) = world
        .loops
        .publish(goal, "test", Some(policy.clone()), &world.fleet, seed, world.now)
        .unwrap();
    disturb(&mut world, count);
    world.turn(false);
    let mut steps = 0;
    while steps < 6_000 {
        let crash = world.below(150) == 0;
        if !world.step(crash) {
            break;
        }
        invariants::check(&world);
        if steps % 97 == 0 {
            assert_idempotent(&mut world);
        }
        if world.below(200) == 0 {
            order(&mut world, release);
        }
        steps += 1;
    }
    world
}

fn disturb(world: &mut World, count: u64) {
    for _ in 0..count / 5 {
        let device = DeviceId(1 + world.below(count));
        let leaves = world.below(200);
        world.schedule_presence(device, leaves, Presence::Offline);
        let back = leaves + 1 + world.below(300);
        world.schedule_presence(device, back, Presence::Online);
    }
    for _ in 0..world.below(10) {
        let delay = world.below(4_000);
        world.schedule_arrival(delay);
    }
    let low = DeviceId(1 + world.below(count));
    let now = world.now;
    if let Some(device) = world.fleet.device_mut(low) {
        device.datamodel.battery_percent = observed(5, now);
    }
}

/// Somebody gives an order.
fn order(world: &mut World, release: model::ReleaseId) {
    let open: Vec<_> = world
        .loops
        .operations()
        .filter(|operation| !operation.state.is_final())
        .map(|operation| (operation.id, operation.state))
        .collect();
    let now = world.now;
    match (world.below(6), open.first()) {
        (0 | 1, Some((id, OperationState::Paused))) | (2, Some((id, OperationState::Paused))) => {
            world.loops.resume(*id, "test", "go on", now).unwrap();
        }
        (0 | 1, Some((id, _))) => world.loops.pause(*id, "test", "wait", now).unwrap(),
        (2, Some((id, _))) if world.seed % 5 == 4 => {
            world.loops.abort(*id, "test", "enough", now).unwrap();
        }
        (3, _) => {
            let device = DeviceId(1 + world.below(world.fleet.len() as u64));
            let request = OpenRequest {
                release,
                scope: Scope::Picked { devices: vec![device] },
                policy: policy(),
                origin: Origin::Manual { by: "test".to_owned() },
                agreement: None,
            };
            let seed = world.seed;
            world.loops.open(request, &world.fleet, seed, now).unwrap();
        }
        _ => {}
    }
    world.turn(false);
    invariants::check(world);
}

/// Deciding again on an unchanged state changes nothing (rule 6).
fn assert_idempotent(world: &mut World) {
    world.loops.activate(&world.fleet, world.now);
    assert_eq!(world.loops.poll_output(), None, "activating again changes something");
}

#[test]
fn invariants_hold_in_random_runs() {
    let mut finished = 0;
    let mut aborted = 0;
    let mut restarts = 0;
    for seed in 0..SEEDS {
        let result = std::panic::catch_unwind(|| run(seed, &policy()));
        let world = result.unwrap_or_else(|panic| {
            let words =
                panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "see above".to_owned());
            panic!("seed {seed}: {words}")
        });
        restarts += world.restarts;
        for operation in world.loops.operations() {
            match operation.state {
                OperationState::Finished => finished += 1,
                OperationState::Aborted => aborted += 1,
                // Nothing but an operator's pause leaves an operation open for ever.
                state => assert_eq!(state, OperationState::Paused, "seed {seed}: {operation:?}"),
            }
        }
    }
    // The runs are worth something only when all of it happens.
    assert!(finished > 20 && aborted > 20 && restarts > 60, "{finished} {aborted} {restarts}");
}

/// Runs in one test; each is a few thousand steps with every invariant checked after each.
const SEEDS: u64 = 72;
