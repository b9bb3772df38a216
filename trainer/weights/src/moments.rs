use crate::Dtype;

/// Range and moments of a tensor's finite values, and how many are not finite.
///
/// Deterministic: values are added in the order of their bytes in sixteen lanes, part by part of 1 MiB, on however many threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Values that are NaN or infinite.
    pub not_finite: u64,
    /// Smallest; 0 for a tensor without finite values.
    pub min: f32,
    /// Largest; 0 for a tensor without finite values.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the population.
    pub std: f64,
}

const LANES: usize = 16;

/// Bytes whose values are added up by themselves; whole elements of every type in every lane.
pub(crate) const PART: usize = 1 << 20;

/// Takes the bytes of one tensor, or of a part of it that [`Accumulator::absorb`] adds to the parts before: both are whole elements.
pub(crate) struct Accumulator {
    dtype: Dtype,
    not_finite: u64,
    count: u64,
    min: [f32; LANES],
    max: [f32; LANES],
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl Accumulator {
    pub(crate) fn new(dtype: Dtype) -> Self {
        Self {
            dtype,
            not_finite: 0,
            count: 0,
            min: [f32::INFINITY; LANES],
            max: [f32::NEG_INFINITY; LANES],
            sum: [0.0; LANES],
            squares: [0.0; LANES],
        }
    }

    /// What is known of one part.
    pub(crate) fn of(dtype: Dtype, bytes: &[u8]) -> Self {
        let mut part = Self::new(dtype);
        part.add(bytes);
        part
    }

    fn add(&mut self, bytes: &[u8]) {
        match self.dtype {
            Dtype::F32 => self.add_all(bytes, f32::from_le_bytes),
            Dtype::BF16 => self.add_all(bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
            Dtype::F16 => self.add_all(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            #[expect(clippy::cast_possible_truncation, reason = "a double is looked at as a single")]
            Dtype::F64 => self.add_all(bytes, |b| f64::from_le_bytes(b) as f32),
            // Whole numbers (a tolerated extra tensor) have no moments to look at.
            _ => {}
        }
    }

    fn add_all<const N: usize>(&mut self, bytes: &[u8], value: impl Fn([u8; N]) -> f32) {
        let elements = bytes.as_chunks::<N>().0;
        let (blocks, rest) = elements.as_chunks::<LANES>();
        for block in blocks {
            self.add_block(&block.map(&value));
        }
        for (lane, element) in rest.iter().enumerate() {
            self.add_value(lane, value(*element));
        }
        self.count += elements.len() as u64;
    }

    /// Adds the next part of the tensor.
    pub(crate) fn absorb(&mut self, part: &Self) {
        self.not_finite += part.not_finite;
        self.count += part.count;
        for lane in 0..LANES {
            self.min[lane] = self.min[lane].min(part.min[lane]);
            self.max[lane] = self.max[lane].max(part.max[lane]);
            self.sum[lane] += part.sum[lane];
            self.squares[lane] += part.squares[lane];
        }
    }

    /// The usual case without a branch per value: non-finite values are rare, and their exponents betray them.
    fn add_block(&mut self, block: &[f32; LANES]) {
        const EXPONENT: u32 = 0x7f80_0000;
        let beyond = block.iter().fold(false, |any, value| any | (value.to_bits() & EXPONENT == EXPONENT));
        if beyond {
            for (lane, value) in block.iter().enumerate() {
                self.add_value(lane, *value);
            }
            return;
        }
        for (lane, value) in block.iter().enumerate() {
            self.add_finite(lane, *value);
        }
    }

    fn add_value(&mut self, lane: usize, value: f32) {
        if value.is_finite() {
            self.add_finite(lane, value);
        } else {
            self.not_finite += 1;
        }
    }

    #[inline]
    fn add_finite(&mut self, lane: usize, value: f32) {
        // Comparisons and not `min` and `max`, which also order NaN: these are one instruction for all lanes.
        self.min[lane] = if value < self.min[lane] { value } else { self.min[lane] };
        self.max[lane] = if value > self.max[lane] { value } else { self.max[lane] };
        let wide = f64::from(value);
        self.sum[lane] += wide;
        self.squares[lane] += wide * wide;
    }

    pub(crate) fn finish(self) -> Moments {
        let finite = self.count - self.not_finite;
        if finite == 0 {
            return Moments { not_finite: self.not_finite, min: 0.0, max: 0.0, mean: 0.0, std: 0.0 };
        }
        #[expect(clippy::cast_precision_loss, reason = "a tensor has fewer than 2^53 elements")]
        let n = finite as f64;
        let mean = self.sum.iter().sum::<f64>() / n;
        let variance = self.squares.iter().sum::<f64>() / n - mean * mean;
        Moments {
            not_finite: self.not_finite,
            min: self.min.into_iter().fold(f32::INFINITY, f32::min),
            max: self.max.into_iter().fold(f32::NEG_INFINITY, f32::max),
            mean,
            std: variance.max(0.0).sqrt(),
        }
    }
}
