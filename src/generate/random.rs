//! A small random generator whose numbers are the same on every machine and in every release of every crate.
//!
//! SplitMix64: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
//! <https://doi.org/10.1145/2714064.2660195>; constants as in S. Vigna's reference code. Bounded numbers by multiplication:
//! D. Lemire, "Fast random integer generation in an interval", 2019, without its rejection step (the bias is below 2⁻³²).

/// One stream of numbers. Each table draws from a stream of its own, so that a change to one leaves the others as they were.
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream called `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let state = name.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)));
        Self { state }
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A whole number from 0 up to, not including, `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 up to, not including, 1, with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len() as u64) as usize]
    }

    /// An index into `cumulative`, whose steps are the weights; it must not be empty and must end above 0.
    pub fn weighted(&mut self, cumulative: &[u64]) -> usize {
        let total = cumulative.last().copied().unwrap_or(1);
        let drawn = self.below(total);
        cumulative.partition_point(|&edge| edge <= drawn)
    }
}

/// SplitMix64's finalizer: a bijection of 64 bits that looks random.
pub fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
