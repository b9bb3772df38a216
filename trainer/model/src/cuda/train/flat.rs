//! The flat arrays in a machine's memory. Every tensor begins at a multiple of 256 bytes there, whatever the sizes of those before it:
//! kernels and libraries read whole words.

use pulp::bytemuck;

use crate::backend::{Array, Format};
use crate::cuda::CudaError;
use crate::cuda::machine::{Dtype, Machine, Memory, Ptr};
use crate::train::Layout;

/// Places of tensors are multiples of so many values.
const ALIGN: usize = 128;

/// Parameters, gradients, moments, and the copy of the parameters that is computed with.
pub(super) struct Flat {
    /// In the order of [`Array::ALL`].
    arrays: [Memory; 4],
    /// bf16; none where the parameters themselves are computed with.
    working: Option<Memory>,
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

/// Bytes of an array, and of the working copy.
pub(super) fn bytes(layout: &Layout, format: Format) -> (usize, usize) {
    let (_, length) = places(layout);
    let working = if format == Format::Bf16 { length * Dtype::Bf16.size() } else { 0 };
    (length * size_of::<f32>(), working)
}

impl Flat {
    /// Memory, whose content is anything.
    pub(super) fn new(machine: &dyn Machine, layout: &Layout, format: Format) -> Result<Self, CudaError> {
        let (places, length) = places(layout);
        let (array, copy) = bytes(layout, format);
        let reserve = |()| machine.reserve(array);
        let [a, b, c, d] = [(); 4].map(reserve);
        let working = (format == Format::Bf16).then(|| machine.reserve(copy)).transpose()?;
        let it = Self { arrays: [a?, b?, c?, d?], working, places, length };
        Ok(it)
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

    /// Replaces an array.
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
        let start = self.start(array);
        // What lies between tensors is summed up with them.
        let none = [0_u8; ALIGN * size_of::<f32>()];
        for &(first, count, place) in &self.places {
            let at = start.plus(place * size_of::<f32>());
            machine.write(at, bytemuck::cast_slice(&values[first..first + count]))?;
            let gap = count.next_multiple_of(ALIGN) - count;
            machine.write(at.plus(count * size_of::<f32>()), &none[..gap * size_of::<f32>()])?;
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
        let start = self.start(array);
        self.places.iter().try_for_each(|&(first, count, place)| {
            let to = bytemuck::cast_slice_mut(&mut out[first..first + count]);
            machine.read(start.plus(place * size_of::<f32>()), to)
        })
    }

    fn check(&self, length: usize) {
        let own = self.places.last().map_or(0, |(first, count, _)| first + count);
        assert_eq!(length, own, "an array of this layout");
    }
}
