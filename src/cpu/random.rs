//! The random numbers of 0.3, bit for bit: MT19937 and the samplers on it (spec T-100 to T-111).
//!
//! Every sampler hands out one value at a time; callers fill in logical row-major order, so that
//! a seed means the same numbers whatever the strides.

use crate::error::Result;
use crate::fail;
use crate::tensor::DType;
use std::f64::consts::PI;
use std::hash::{BuildHasher, Hasher, RandomState};

const N: usize = 624;
const M: usize = 397;

/// Bytes of the state that `get_state` hands out.
pub const STATE_BYTES: usize = 5048;
/// Bytes of the state that later versions write: the same, then a float of their own.
const LATER_BYTES: usize = 5056;

/// Added to a uniform draw's 24 and 53 bits to make them fractions.
const TWO_POW_MINUS_24: f32 = 1.0 / (1u64 << 24) as f32;
const TWO_POW_MINUS_53: f64 = 1.0 / (1u64 << 53) as f64;

/// A stream of random numbers: MT19937, and the second half of the last pair of normal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Generator {
    seed: u64,
    left: i32,
    next: u32,
    state: [u32; N],
    normal_x: f64,
    normal_y: f64,
    normal_rho: f64,
    normal_waits: bool,
}

impl Default for Generator {
    /// A generator seeded from the operating system.
    fn default() -> Generator {
        Generator::new(fresh_seed())
    }
}

/// Sixty-four bits from the operating system, different at every call.
pub fn fresh_seed() -> u64 {
    // The keys of std's hash maps come from the system's own source.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

impl Generator {
    /// The stream of `seed`, of which the low 32 bits count.
    pub fn new(seed: u64) -> Generator {
        let mut state = [0u32; N];
        state[0] = seed as u32;
        for i in 1..N {
            let last = state[i - 1];
            state[i] = 1812433253u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(i as u32);
        }
        Generator {
            seed,
            left: 1,
            next: 0,
            state,
            normal_x: 0.0,
            normal_y: 0.0,
            normal_rho: 0.0,
            normal_waits: false,
        }
    }

    /// Starts over with `seed`; a waiting normal value is forgotten.
    pub fn manual_seed(&mut self, seed: u64) {
        *self = Generator::new(seed);
    }

    /// Starts over with a seed from the operating system, and returns it.
    pub fn seed(&mut self) -> u64 {
        self.manual_seed(fresh_seed());
        self.seed
    }

    /// The seed that the stream started from.
    pub fn initial_seed(&self) -> u64 {
        self.seed
    }

    /// The whole state, in the 5048 bytes that 0.3 wrote.
    pub fn get_state(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STATE_BYTES);
        out.extend(self.seed.to_le_bytes());
        out.extend(self.left.to_le_bytes());
        out.extend(1i32.to_le_bytes());
        out.extend(u64::from(self.next).to_le_bytes());
        for word in self.state {
            out.extend(u64::from(word).to_le_bytes());
        }
        for part in [self.normal_x, self.normal_y, self.normal_rho] {
            out.extend(part.to_le_bytes());
        }
        out.extend(i32::from(self.normal_waits).to_le_bytes());
        out.extend([0; 4]);
        out
    }

    /// Takes over a state that [`Generator::get_state`], 0.3 or a later version made.
    ///
    /// # Errors
    /// Another length, or counters that no stream can have.
    pub fn set_state(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() != STATE_BYTES && bytes.len() != LATER_BYTES {
            fail!(
                Runtime,
                "set_state: a generator state has {STATE_BYTES} bytes; got {}",
                bytes.len()
            );
        }
        let (words, _) = bytes.as_chunks::<8>();
        let long = |i: usize| u64::from_le_bytes(words[i]);
        let (left, seeded, next) = (long(1) as u32 as i32, (long(1) >> 32) as i32, long(2));
        let state_is_32_bit = (3..3 + N).all(|i| long(i) <= u64::from(u32::MAX));
        if seeded != 1 || !(1..=N as i32).contains(&left) || next > N as u64 || !state_is_32_bit {
            fail!(
                Runtime,
                "set_state: these bytes are not the state of a generator"
            );
        }
        // A refill comes exactly when the words are used up; anything else would read past them.
        if left > 1 && next + left as u64 > N as u64 + 1 {
            fail!(
                Runtime,
                "set_state: the counters of this state contradict each other"
            );
        }
        self.seed = long(0);
        self.left = left;
        self.next = next as u32;
        for (i, word) in self.state.iter_mut().enumerate() {
            *word = long(3 + i) as u32;
        }
        let part = |i: usize| f64::from_bits(long(3 + N + i));
        (self.normal_x, self.normal_y, self.normal_rho) = (part(0), part(1), part(2));
        self.normal_waits = long(6 + N) as u32 != 0;
        if bytes.len() == LATER_BYTES && self.normal_waits {
            // There the value itself waits, as y; this is the pair that makes it.
            (self.normal_x, self.normal_rho) = (0.25, self.normal_y);
        }
        Ok(())
    }

    #[cold]
    fn refill(&mut self) {
        let s = &mut self.state;
        let twist = |a: u32, b: u32| {
            (((a & 0x8000_0000) | (b & 0x7fff_ffff)) >> 1)
                ^ (if b & 1 == 1 { 0x9908_b0df } else { 0 })
        };
        for i in 0..N {
            s[i] = s[(i + M) % N] ^ twist(s[i], s[(i + 1) % N]);
        }
        self.left = N as i32;
        self.next = 0;
    }

    /// Thirty-two random bits.
    #[inline]
    pub fn raw32(&mut self) -> u32 {
        self.left -= 1;
        if self.left <= 0 || self.next as usize >= N {
            self.refill();
        }
        let mut y = self.state[self.next as usize];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Sixty-four random bits: two draws, the first one high.
    #[inline]
    pub fn raw64(&mut self) -> u64 {
        let high = u64::from(self.raw32());
        (high << 32) | u64::from(self.raw32())
    }

    /// A float in [0, 1), of 24 bits.
    #[inline]
    pub fn unit_f32(&mut self) -> f32 {
        (self.raw32() & 0xff_ffff) as f32 * TWO_POW_MINUS_24
    }

    /// A double in [0, 1), of 53 bits.
    #[inline]
    pub fn unit_f64(&mut self) -> f64 {
        (self.raw64() & ((1 << 53) - 1)) as f64 * TWO_POW_MINUS_53
    }

    /// A float between `a` and `b`, computed in floats.
    #[inline]
    pub fn uniform_f32(&mut self, a: f32, b: f32) -> f32 {
        self.unit_f32() * (b - a) + a
    }

    /// A double between `a` and `b`.
    #[inline]
    pub fn uniform_f64(&mut self, a: f64, b: f64) -> f64 {
        self.unit_f64() * (b - a) + a
    }

    /// A normal value. They come in pairs: the second one waits in the generator.
    #[inline]
    pub fn normal(&mut self, mean: f64, std: f64) -> f64 {
        if self.normal_waits {
            self.normal_waits = false;
            return self.normal_rho * (2.0 * PI * self.normal_x).sin() * std + mean;
        }
        self.normal_x = self.unit_f64();
        self.normal_y = self.unit_f64();
        self.normal_rho = (-2.0 * (1.0 - self.normal_y).ln()).sqrt();
        self.normal_waits = true;
        self.normal_rho * (2.0 * PI * self.normal_x).cos() * std + mean
    }

    /// An integer over the whole range that `random_()` has for `dtype`, as a long.
    #[inline]
    pub fn random(&mut self, dtype: DType) -> i64 {
        match dtype {
            DType::U8 => i64::from(self.raw32() % (1 << 8)),
            DType::I8 => i64::from(self.raw32() % (1 << 7)),
            DType::I16 => i64::from(self.raw32() % (1 << 15)),
            DType::I32 => i64::from(self.raw32() % (1 << 31)),
            DType::I64 => (self.raw64() % (1 << 63)) as i64,
            DType::F32 => i64::from(self.raw32() % ((1 << 24) + 1)),
            DType::F16 => crate::tensor::dtype::refuse_half(),
            DType::F64 => (self.raw64() % ((1 << 53) + 1)) as i64,
        }
    }

    /// An integer from `a` up to but not `b`, which is larger, for an element of `dtype`.
    #[inline]
    pub fn random_between(&mut self, dtype: DType, a: i64, b: i64) -> i64 {
        let span = (b.wrapping_sub(a) as u64).max(1);
        let wide = span >= 1 << 32 && matches!(dtype, DType::I64 | DType::F32 | DType::F64);
        let draw = if wide {
            self.raw64() % span
        } else {
            let span = u32::try_from(span).unwrap_or(u32::MAX);
            u64::from(self.raw32() % span)
        };
        a.wrapping_add(draw as i64)
    }

    /// True with probability `p`.
    #[inline]
    pub fn bernoulli(&mut self, p: f64) -> bool {
        self.unit_f64() <= p
    }

    /// An exponential value with rate `lambda`.
    #[inline]
    pub fn exponential(&mut self, lambda: f64) -> f64 {
        -1.0 / lambda * (1.0 - self.unit_f64()).ln()
    }

    /// A Cauchy value.
    #[inline]
    pub fn cauchy(&mut self, median: f64, sigma: f64) -> f64 {
        median + sigma * (PI * (self.unit_f64() - 0.5)).tan()
    }

    /// The exponential of a normal value.
    #[inline]
    pub fn log_normal(&mut self, mean: f64, std: f64) -> f64 {
        self.normal(mean, std).exp()
    }

    /// How often to try until the first success, of probability `1 - p` above 0 and below 1.
    #[inline]
    pub fn geometric(&mut self, p: f64) -> i64 {
        ((1.0 - self.unit_f64()).ln() / p.ln()) as i64 + 1
    }

    /// Puts a random order of 0 to `out.len() - 1` into `out`.
    pub fn permutation(&mut self, out: &mut [i64]) {
        let n = out.len();
        for (i, slot) in out.iter_mut().enumerate() {
            *slot = i as i64;
        }
        for i in 0..n.saturating_sub(1) {
            let j = i + self.raw32() as usize % (n - i);
            out.swap(i, j);
        }
    }

    /// Draws `out.len()` positions of one row of `weights`, each as likely as its weight.
    ///
    /// # Errors
    /// No draw asked for, more than there are without replacement, a weight that is negative or
    /// not finite, or no weight above zero (without replacement: not enough of them).
    pub fn multinomial(
        &mut self,
        weights: &[f64],
        replacement: bool,
        out: &mut [i64],
    ) -> Result<()> {
        let (n, wanted) = (weights.len(), out.len());
        if wanted == 0 {
            fail!(Runtime, "multinomial: cannot sample n_sample <= 0 samples");
        }
        if !replacement && wanted > n {
            fail!(
                Runtime,
                "multinomial: cannot sample {wanted} times without replacement from {n} categories"
            );
        }
        if let Some(bad) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            fail!(
                Runtime,
                "multinomial: a weight must be finite and not negative; got {bad}"
            );
        }
        let positive = weights.iter().filter(|w| **w > 0.0).count();
        if positive == 0 {
            fail!(
                Runtime,
                "multinomial: the sum of the weights must be above 0"
            );
        }
        if !replacement && wanted > positive {
            fail!(
                Runtime,
                "multinomial: cannot sample {wanted} times without replacement when only {positive} weights are above 0"
            );
        }
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = weights
            .iter()
            .map(|w| {
                sum += w;
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|c| *c /= sum);
        cumulated[n - 1] = 1.0;
        let mut open: Vec<bool> = weights.iter().map(|w| *w > 0.0).collect();
        for slot in out {
            let u = self.unit_f64();
            let mut i = cumulated.partition_point(|c| *c < u) % n;
            // Rounding can point at a category without mass, once in 1e15 draws.
            while !open[i] {
                i = (i + 1) % n;
            }
            *slot = i as i64;
            if !replacement {
                open[i] = false;
                let below = if i == 0 { 0.0 } else { cumulated[i - 1] };
                let mass = cumulated[i] - below;
                for (k, c) in cumulated.iter_mut().enumerate() {
                    *c = (*c - if k >= i { mass } else { 0.0 }) / (1.0 - mass);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
