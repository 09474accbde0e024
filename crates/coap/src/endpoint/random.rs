/// Makes numbers from a seed that do not betray each other: a peer that sees some of them (its
/// tokens) learns nothing about those of other peers (RFC 7252 section 5.3.1).
///
/// The n-th number is SipHash-2-4 of n, with the seed as key.
#[derive(Debug)]
pub(super) struct Random {
    keys: [u64; 2],
    count: u64,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        // The second half only separates this use from others of the same seed.
        Self { keys: [seed, 0x636f_6170_2d72_6e64], count: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        siphash_2_4(self.keys, self.count)
    }

    /// Returns a number from 0 to `bound`, both included.
    pub(super) fn up_to(&mut self, bound: u64) -> u64 {
        let range = u128::from(bound) + 1;
        ((u128::from(self.next()) * range) >> 64) as u64
    }
}

/// Computes SipHash-2-4 of one word in little-endian order (Aumasson and Bernstein 2012).
fn siphash_2_4(keys: [u64; 2], word: u64) -> u64 {
    let mut state = [
        keys[0] ^ 0x736f_6d65_7073_6575,
        keys[1] ^ 0x646f_7261_6e64_6f6d,
        keys[0] ^ 0x6c79_6765_6e65_7261,
        keys[1] ^ 0x7465_6462_7974_6573,
    ];
    // The last block holds the length, 8 bytes, in its upper byte.
    for block in [word, 8 << 56] {
        state[3] ^= block;
        rounds(&mut state, 2);
        state[0] ^= block;
    }
    state[2] ^= 0xff;
    rounds(&mut state, 4);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn rounds(state: &mut [u64; 4], count: usize) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..count {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference vector of eight bytes 00 to 07 under key 00 to 0f.
    #[test]
    fn reference_vector() {
        let keys = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash_2_4(keys, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn up_to_stays_in_bounds_and_reaches_them() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..1000).map(|_| random.up_to(3)).collect();
        assert!((0..=3).all(|value| drawn.contains(&value)));
        assert!(drawn.iter().all(|value| *value <= 3));
        assert_eq!(random.up_to(0), 0);
        random.up_to(u64::MAX);
    }
}
