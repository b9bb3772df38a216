//! The flat arrays in a machine's memory. Every tensor begins at a multiple of 256 bytes there, whatever the sizes of those before it:
//! kernels and libraries read whole words.

use half::bf16;
use pulp::bytemuck;

use super::dtype_of;
use crate::backend::{Array, Format};
use crate::cuda::CudaError;
use crate::cuda::machine::{Dtype, Machine, Memory, Ptr};
use crate::train::{Layout, Settings};

/// Places of tensors are multiples of so many values.
const ALIGN: usize = 128;

/// Parameters, gradients, moments, and the copy of the parameters that is computed with.
pub(super) struct Flat {
    /// In the order of [`Array::ALL`].
    arrays: [Memory; 4],
    /// bf16; none where the parameters themselves are computed with.
    working: Option<Memory>,
    moments: Dtype,
    /// Each tensor's first value on the host, how many it has, and its first value here.
    places: Vec<(usize, usize, usize)>,
    length: usize,
}

/// Where each tensor begins, and how many values there are with what lies between.
fn places(layout: &Layout) -> (Vec<(usize, usize, usize)>, usize) {
    let mut length = 0;
    let place = |tensor: &crate::train::Tensor| {
        let start = length;
        length += tensor.range.len().next_multiple_of(ALIGN);
        (tensor.range.start, tensor.range.len(), start)
    };
    let places = layout.tensors().iter().map(place).collect();
    (places, length)
}

/// Bytes of parameters and of gradients, of each of the moments, and of the working copy.
pub(super) fn bytes(layout: &Layout, settings: Settings) -> [usize; 3] {
    let (_, length) = places(layout);
    let working = if settings.format == Format::Bf16 { length * Dtype::Bf16.size() } else { 0 };
    [length * size_of::<f32>(), length * dtype_of(settings.moments).size(), working]
}

impl Flat {
    /// Memory, whose content is anything.
    pub(super) fn new(machine: &dyn Machine, layout: &Layout, settings: Settings) -> Result<Self, CudaError> {
        let (places, length) = places(layout);
        let [array, moment, copy] = bytes(layout, settings);
        let [a, b, c, d] = [array, array, moment, moment].map(|bytes| machine.reserve(bytes));
        let working = (settings.format == Format::Bf16).then(|| machine.reserve(copy)).transpose()?;
        Ok(Self { arrays: [a?, b?, c?, d?], working, moments: dtype_of(settings.moments), places, length })
    }

    /// The type of an array.
    pub(super) const fn dtype(&self, array: Array) -> Dtype {
        match array {
            Array::Parameters | Array::Gradients => Dtype::F32,
            Array::FirstMoments | Array::SecondMoments => self.moments,
        }
    }

    /// A value of an array.
    pub(super) fn at(&self, array: Array, place: usize) -> Ptr {
        self.start(array).plus(place * self.dtype(array).size())
    }

    /// Values of an array, with what lies between tensors.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.arrays.iter().chain(&self.working).map(Memory::bytes).sum()
    }

    /// An array.
    pub(super) fn start(&self, array: Array) -> Ptr {
        let number = Array::ALL.iter().position(|other| *other == array).expect("one of all");
        self.arrays[number].start()
    }

    /// The working copy.
    pub(super) fn working(&self) -> Option<Ptr> {
        self.working.as_ref().map(Memory::start)
    }

    /// The place of the tensor that begins at this value on the host.
    ///
    /// # Panics
    /// Where none does.
    pub(super) fn place(&self, start: usize) -> usize {
        // Of tensors without values the last.
        let behind = self.places.partition_point(|(first, ..)| *first <= start);
        let (first, _, place) = self.places[behind.checked_sub(1).expect("the first begins at 0")];
        assert_eq!(first, start, "a whole tensor of the layout");
        place
    }

    /// Replaces an array; moments of 16 bits are rounded to nearest.
    ///
    /// # Panics
    /// When it has another length.
    pub(super) fn upload(
        &self,
        machine: &dyn Machine,
        array: Array,
        values: &[f32],
    ) -> Result<(), CudaError> {
        self.check(values.len());
        let size = self.dtype(array).size();
        // What lies between tensors is summed up with them.
        let none = [0_u8; ALIGN * size_of::<f32>()];
        for &(first, count, place) in &self.places {
            let (at, values) = (self.at(array, place), &values[first..first + count]);
            if size == size_of::<f32>() {
                machine.write(at, bytemuck::cast_slice(values))?;
            } else {
                let narrow: Vec<u16> = values.iter().map(|value| bf16::from_f32(*value).to_bits()).collect();
                machine.write(at, bytemuck::cast_slice(&narrow))?;
            }
            let gap = count.next_multiple_of(ALIGN) - count;
            machine.write(at.plus(count * size), &none[..gap * size])?;
        }
        Ok(())
    }

    /// Copies an array out.
    ///
    /// # Panics
    /// When `out` has another length.
    pub(super) fn download(
        &self,
        machine: &dyn Machine,
        array: Array,
        out: &mut [f32],
    ) -> Result<(), CudaError> {
        self.check(out.len());
        self.places.iter().try_for_each(|&(first, count, place)| {
            let (from, out) = (self.at(array, place), &mut out[first..first + count]);
            if self.dtype(array) == Dtype::F32 {
                return machine.read(from, bytemuck::cast_slice_mut(out));
            }
            let mut narrow = vec![0_u16; count];
            machine.read(from, bytemuck::cast_slice_mut(&mut narrow))?;
            out.iter_mut().zip(narrow).for_each(|(out, bits)| *out = bf16::from_bits(bits).to_f32());
            Ok(())
        })
    }

    fn check(&self, length: usize) {
        let own = self.places.last().map_or(0, |(first, count, _)| first + count);
        assert_eq!(length, own, "an array of this layout");
    }
}
