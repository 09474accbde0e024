//! What targets wait for, and that they go on by themselves.

use model::{DeviceId, Eligibility, Progress};

use super::scenes::Bench;
use super::{firmware, fleet, policy};

impl Bench {
    /// The reason code of a device in an operation, as `why` and lists tell it.
    fn code(&self, operation: model::OperationId, device: u64) -> &'static str {
        let device = self.fleet.device(DeviceId(device)).unwrap();
        match self.loops.identify(operation, device, self.now) {
            Eligibility::Eligible { .. } => "eligible",
            Eligibility::Waiting { exclusion } | Eligibility::Excluded { exclusion } => {
                exclusion.code()
            }
        }
    }

    /// The reasons that an operation counts.
    fn counted(&self, operation: model::OperationId) -> Vec<(&'static str, u64)> {
        self.loops.exclusions(operation, &self.fleet, self.now).into_iter().collect()
    }
}

#[test]
fn the_next_step_of_a_path_waits_for_the_one_before() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let now = bench.now;
    let middle = firmware("sensor", "1.1.0", "[confirm]\nsoak = \"60s\"");
    bench.loops.publish(middle, "test", None, &bench.fleet, 7, now).unwrap();
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let id = bench.publish(goal, policy());
    assert_eq!(bench.code(id, 1), "eligible");
    let first = bench.dispatches().remove(0);
    assert_eq!(bench.code(id, 1), "path.step_pending");
    bench.succeed(&first, "1.1.0");
    assert!(bench.dispatches().is_empty(), "it soaks");
    assert_eq!(bench.code(id, 1), "path.step_pending");
    let device = bench.fleet.device(DeviceId(1)).unwrap();
    let checks = bench.loops.explain(id, device, bench.now);
    let step = checks.iter().find(|check| check.name == "step").unwrap();
    assert_eq!(
        step.detail,
        "must prove 1.1.0 first, which op-1 brings, before 2.0.0 (path.step_pending)"
    );
    let second = super::scenes::dispatched(bench.later(60)).remove(0);
    assert_eq!(bench.code(id, 1), "busy.other_operation", "the last step");
    bench.succeed(&second, "2.0.0");
}

#[test]
fn a_step_that_another_operation_brings_is_waited_for() {
    let mut bench = Bench::new(fleet(3, "1.0.0"));
    let mut floor = firmware("sensor", "1.1.0", "");
    floor.release.class = model::Criticality::Critical;
    let first = bench.publish(floor, policy());
    let order = bench.dispatches().remove(0);
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let second = bench.publish(goal, policy());
    // One is being changed by the floor's operation, which has the others next.
    assert_eq!(bench.counted(second), [("path.step_pending", 3)]);
    for device in 1..=3 {
        assert_eq!(bench.code(second, device), "path.step_pending");
    }
    bench.report(&order, Progress::Sent);
    bench.succeed(&order, "1.1.0");
    bench.turn();
    assert_ne!(bench.code(second, order.device.0), "path.step_pending");
    bench.loops.abort(first, "me", "", bench.now).unwrap();
    bench.turn();
    assert!(bench.counted(second).iter().all(|(code, _)| *code != "path.step_pending"));
}
