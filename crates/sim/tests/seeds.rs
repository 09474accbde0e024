//! Runs the whole system in virtual time from many seeds; every failure prints how to replay it.
//!
//! `SEEDS=1000 cargo test -p sim --test seeds` runs more of them, `SEEDS=17..18` a range.

use std::fmt::Write as _;
use std::ops::Range;

/// Seeds run when the environment names none.
const SEEDS: u64 = 200;
/// Lines of the story shown of a failure; `LINES` in the environment overrides it.
const LINES: usize = 40;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return 1..SEEDS + 1 };
    let number = |text: &str| text.trim().parse::<u64>().expect("SEEDS is a number or a range");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 1..number(&text) + 1,
    }
}

#[test]
fn every_seed_keeps_the_invariants() {
    let lines = std::env::var("LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES);
    let mut failures = String::new();
    let (mut count, mut crashes, mut installations) = (0, 0, 0);
    for seed in seeds() {
        match sim::world::run(seed) {
            Ok(report) => {
                count += 1;
                crashes += report.crashes;
                installations += report.installations;
            }
            Err(violation) => {
                let from = violation.story.len().saturating_sub(lines);
                let story = violation.story[from..].join("\n");
                writeln!(failures, "{story}\n{violation}\n").unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
    // Plans that never do anything would prove nothing; a few alone may be quiet.
    if count >= 50 {
        assert!(crashes >= count / 2 && installations >= 5 * count, "{crashes} {installations}");
    }
}
