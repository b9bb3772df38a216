use sekisho_weights::config::ModelConfig;

use super::forward::{List, Shape};
use super::parts::Parts;
use super::{Batch, Layout, Measured, Objective, Settings, TrainingStep};
use crate::backend::{Arena, Array, CpuOps, Op, Ops};
use crate::cuda::CudaError;
use crate::ops::rope::Rope;
use crate::ops::{adamw, moments};

pub use super::forward::is_trained;

/// The training step of the Llama family on a backend.
pub struct Program<O> {
    config: ModelConfig,
    layout: Layout,
    parts: Parts,
    settings: Settings,
    pub(super) ops: O,
    /// Positions and positions of a sequence that the list is for.
    shape: (usize, usize),
    pub(super) list: Vec<Op>,
}

/// The training step on the CPU.
pub type CpuProgram = Program<CpuOps>;

impl Program<CpuOps> {
    /// A program for these dimensions, with default [`Settings`]; `parameters` are laid out as [`Layout::new`] says.
    ///
    /// # Panics
    /// When the parameters do not fit the configuration, or it [is not trained](is_trained).
    #[must_use]
    pub fn new(config: ModelConfig, parameters: Vec<f32>) -> Self {
        Self::on_cpu(config, Settings::default(), parameters)
    }

    /// [`Self::new`] with settings.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn on_cpu(config: ModelConfig, settings: Settings, parameters: Vec<f32>) -> Self {
        let rope = Rope::new(config.head_dim, config.rope_theta, config.rope_scaling.as_ref());
        let length = parameters.len();
        let program = Self::over(CpuOps::new(parameters, rope, settings.format), config, settings);
        assert_eq!(length, program.layout.length, "parameters of this configuration");
        program
    }

    /// All parameters.
    #[must_use]
    pub fn parameters(&self) -> &[f32] {
        &self.ops.parameters
    }

    /// The gradients added up since [`TrainingStep::zero_gradients`].
    #[must_use]
    pub fn gradients(&self) -> &[f32] {
        &self.ops.gradients
    }
}

impl<O: Ops> Program<O> {
    /// A program on a backend that has the parameters.
    ///
    /// # Panics
    /// When the configuration [is not trained](is_trained).
    #[must_use]
    pub fn over(ops: O, config: ModelConfig, settings: Settings) -> Self {
        assert!(is_trained(&config), "a family that is trained");
        let layout = Layout::new(&config);
        let parts = Parts::new(&config, &layout);
        Self { config, layout, parts, settings, ops, shape: (0, 0), list: Vec::new() }
    }

    /// The list and its memory for batches of this shape, unless they are there already.
    pub(super) fn prepare(&mut self, batch: &Batch<'_>) {
        let rows = batch.inputs.len();
        assert!(rows.is_multiple_of(batch.length), "whole sequences");
        assert!(
            batch.targets.len() == rows && batch.starts.len() == rows,
            "a target and a start for every input"
        );
        let shape = (rows, batch.length);
        if self.shape != shape {
            let (keeping, recompute) = (self.ops.keeping(), self.settings.recompute);
            let of = Shape { rows, length: batch.length };
            let (list, extents) = List::new(&self.config, &self.parts, of, recompute, keeping).finish();
            self.ops.reserve(&Arena::plan(&extents, &list, keeping), &list);
            (self.shape, self.list) = (shape, list);
        }
    }

    /// Every tensor's constants with its place.
    fn pieces<'a>(
        layout: &'a Layout,
        constants: &'a [adamw::Constants],
    ) -> impl Iterator<Item = (std::ops::Range<usize>, adamw::Constants)> + 'a {
        assert_eq!(constants.len(), layout.tensors().len(), "constants of every tensor");
        layout.tensors().iter().map(|tensor| tensor.range.clone()).zip(constants.iter().copied())
    }
}

impl<O: Ops> TrainingStep for Program<O> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn zero_gradients(&mut self) {
        self.ops.zero_gradients();
    }

    fn accumulate(&mut self, batch: &Batch<'_>, objective: &Objective) {
        self.prepare(batch);
        self.ops.load(batch, objective);
        self.ops.run_all(&self.list);
    }

    fn measure(&mut self) -> Result<Measured, CudaError> {
        self.ops.measure()
    }

    fn update(&mut self, constants: &[adamw::Constants]) {
        for (part, constants) in Self::pieces(&self.layout, constants) {
            self.ops.adamw(part, &constants);
        }
    }

    fn moment_statistics(
        &mut self,
        constants: &[adamw::Constants],
    ) -> Result<Vec<moments::Statistics>, CudaError> {
        self.ops.moment_statistics(&Self::pieces(&self.layout, constants).collect::<Vec<_>>())
    }

    fn upload(&mut self, array: Array, values: Vec<f32>) -> Result<(), CudaError> {
        self.ops.upload(array, values)
    }

    fn download(&self, array: Array, out: &mut [f32]) -> Result<(), CudaError> {
        self.ops.download(array, out)
    }
}
