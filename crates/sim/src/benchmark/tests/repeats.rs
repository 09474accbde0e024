//! The same seed gives the same results, whoever computes them.

use std::num::NonZeroUsize;

use crate::benchmark::{Benchmark, Cell, Contestant, scenario};

fn small(name: &str) -> crate::benchmark::Scenario {
    let mut scenario = scenario(name).unwrap();
    scenario.devices = 3_000;
    scenario
}

/// Cells without the time that decisions took, which is the machine's.
fn cells(threads: usize, seed: u64) -> Vec<Cell> {
    let benchmark = Benchmark {
        scenarios: vec![small("G2"), small("B7"), small("B10")],
        contestants: ["evidence-200", "paper-a", "aws-jobs", "hawkbit", "flagger"]
            .into_iter()
            .flat_map(Contestant::named)
            .collect(),
        runs: 3,
        seed,
        threads: NonZeroUsize::new(threads),
    };
    let mut cells = benchmark.run(&|_, _| {}).cells;
    for cell in &mut cells {
        cell.decision_us = 0.0;
        cell.device_ns = 0.0;
    }
    cells
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let one = cells(1, 5);
    assert_eq!(one, cells(1, 5));
    assert_eq!(one, cells(3, 5));
    assert_ne!(one, cells(3, 6));
}
