//! The order of devices as a function of the operation's seed.

/// Mixes a seed and a number into a value that looks drawn at random.
///
/// Each step is invertible (a multiplication by an odd constant, a shifted exclusive or), so no
/// two numbers share a value under one seed; the constants spread every bit over the word. It
/// only shuffles: it keeps nothing secret.
#[must_use]
pub(crate) const fn mix(seed: u64, number: u64) -> u64 {
    let mut word = number.wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word ^= seed.rotate_left(32);
    let mut round = 0;
    while round < 3 {
        word ^= word >> 31;
        word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
        word ^= word >> 29;
        round += 1;
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_devices_share_a_place_and_seeds_shuffle_differently() {
        let places: BTreeSet<u64> = (1..=10_000).map(|n| mix(7, n)).collect();
        assert_eq!(places.len(), 10_000);
        let order = |seed| {
            let mut devices: Vec<u64> = (1..=100).collect();
            devices.sort_by_key(|n| mix(seed, *n));
            devices
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn the_order_favours_no_part_of_the_fleet() {
        // Of the first 1 000 of 10 000 places about a tenth come from each tenth of the numbers.
        let mut devices: Vec<u64> = (1..=10_000).collect();
        devices.sort_by_key(|n| mix(42, *n));
        for tenth in 0..10 {
            let from = tenth * 1_000;
            let count =
                devices[..1_000].iter().filter(|n| (from..from + 1_000).contains(*n)).count();
            assert!((60..=140).contains(&count), "tenth {tenth}: {count}");
        }
    }
}
