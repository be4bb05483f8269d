//! Repeatable random numbers, the same for every peer.

/// Marsaglia's xorshift64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, which is below 2^32.
    #[inline(always)]
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (((self.next() >> 32) * limit as u64) >> 32) as usize
    }

    /// A number from `low` to `high`, every power of two equally likely.
    pub(crate) fn log_uniform(&mut self, low: usize, high: usize) -> usize {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let (low, high) = (low as f64, high as f64 + 1.0);
        (low * (high / low).powf(unit)) as usize
    }

    /// 4,096 log-uniform sizes: the workloads pick one with twelve random bits.
    pub(crate) fn sizes(&mut self, low: usize, high: usize) -> Box<[u32; 4096]> {
        let mut sizes = Box::new([0; 4096]);
        for size in sizes.iter_mut() {
            *size = self.log_uniform(low, high).clamp(low, high) as u32;
        }
        sizes
    }
}
