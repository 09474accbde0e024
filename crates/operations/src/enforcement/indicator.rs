//! Step 5, aggregation of indicators: what a change of a guarded value means.

use model::Expectation;

/// How much worse a value became, in parts per million of the device's own value before; negative
/// when it became better.
///
/// What a guard limits from below is worse when it falls, and what it limits from above when it
/// rises. Of a value with limits on both sides any change is for the worse. A value below one in
/// size counts as one, so that a count of errors that was zero can be seen to grow.
pub(crate) fn worsening(expect: &Expectation, before: i64, after: i64) -> i64 {
    let has_least = expect.min.is_some() || expect.min_percent_of_baseline.is_some();
    let has_most = expect.max.is_some() || expect.max_percent_of_baseline.is_some();
    let (before, after) = (i128::from(before), i128::from(after));
    let risen = (after - before) * MILLION / before.abs().max(1);
    let worse = match (has_least, has_most) {
        (true, false) => -risen,
        (false, _) => risen,
        (true, true) => risen.abs(),
    };
    i64::try_from(worse.clamp(-WORSE_MAX, WORSE_MAX)).unwrap_or(i64::MAX)
}

const MILLION: i128 = 1_000_000;

/// A thousand times the value before. The comparison takes the value itself for its bound.
const WORSE_MAX: i128 = 1_000 * MILLION;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_is_what_the_guard_is_against() {
        let least = Expectation { min: Some(10), ..Expectation::default() };
        let least_share =
            Expectation { min_percent_of_baseline: Some(90), ..Expectation::default() };
        let most = Expectation { max: Some(10), ..Expectation::default() };
        let most_share =
            Expectation { max_percent_of_baseline: Some(110), ..Expectation::default() };
        let both = Expectation { min: Some(1), max: Some(10), ..Expectation::default() };
        let check = |expect: Expectation, before, after, millionths| {
            assert_eq!(worsening(&expect, before, after), millionths, "{before} to {after}");
        };
        check(least, 100, 90, 100_000);
        check(least_share, 100, 110, -100_000);
        check(most, 100, 110, 100_000);
        check(most_share, 3, 2, -333_333);
        check(both, 100, 110, 100_000);
        check(both, 100, 90, 100_000);
        // Signal strength in dBm: nearer to zero is better.
        check(least, -80, -100, 250_000);
        check(most, 0, 5, 5_000_000);
        check(most, 0, 0, 0);
        check(most, i64::MIN, i64::MAX, 1_999_999);
        check(most, 1, i64::MAX, 1_000_000_000);
        check(least, 1, i64::MAX, -1_000_000_000);
    }
}
