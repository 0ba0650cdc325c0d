//! Numbers that look random and are the same in every run.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, 2014,
//! figure 17). Zipf keys follow Hörmann and Derflinger, *Rejection-inversion to generate variates from
//! monotone discrete distributions*, 1996: no table, so ten million keys cost no memory.

/// A seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The generator of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for one purpose: what one draws does not shift what another gets.
    pub(crate) fn fork(&self, purpose: u64) -> Self {
        let mut own = Self { state: self.state ^ mix(purpose.wrapping_add(1)) };
        own.next();
        own
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`, all equally likely (up to a bias below 2^-32 for bounds below 2^32).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `share` of all cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }
}

/// The finalizer of SplitMix64: spreads every bit of `value` over all bits.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// How often which of many keys is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// All equally often.
    Uniform,
    /// The k-th with a frequency proportional to 1/k.
    Zipf,
}

impl Keys {
    /// The word in ids and tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    /// A key below `count`.
    pub(crate) fn pick(self, random: &mut Random, count: u64) -> u64 {
        match self {
            Self::Uniform => random.below(count),
            Self::Zipf => zipf(random, count),
        }
    }
}

/// A number below `count`: k with a probability proportional to 1/(k + 1).
fn zipf(random: &mut Random, count: u64) -> u64 {
    // H(x) = ln x is the integral of the hat 1/x; step names as in the paper, for exponent 1.
    let h_start = 1.5_f64.ln() - 1.0;
    let h_end = (count as f64 + 0.5).ln();
    loop {
        let u = h_end + random.unit() * (h_start - h_end);
        let x = u.exp();
        let k = x.round().clamp(1.0, count as f64);
        if u >= (k + 0.5).ln() - 1.0 / k {
            return k as u64 - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (mut one, mut two) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| one.next() == two.next()));
        assert_ne!(Random::new(7).fork(1).next(), Random::new(7).fork(2).next());
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as the paper's authors publish them.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn uniform_keys_are_spread_evenly() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[Keys::Uniform.pick(&mut random, 10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn zipf_keys_follow_one_over_k() {
        for count in [1_u64, 2, 10, 1000] {
            let mut random = Random::new(2);
            let mut counts = vec![0_u32; count as usize];
            let draws = 200_000;
            for _ in 0..draws {
                counts[Keys::Zipf.pick(&mut random, count) as usize] += 1;
            }
            let harmonic: f64 = (1..=count).map(|k| 1.0 / k as f64).sum();
            for k in [1, 2, 3, 10].into_iter().filter(|k| *k <= count) {
                let expected = f64::from(draws) / harmonic / k as f64;
                let found = f64::from(counts[k as usize - 1]);
                assert!(
                    (found - expected).abs() < 5.0 * expected.sqrt() + 1.0,
                    "{k} of {count}: {found}, not {expected}"
                );
            }
        }
    }
}
