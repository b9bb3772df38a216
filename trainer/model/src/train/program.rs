use std::sync::Arc;

use sekisho_weights::config::ModelConfig;

use super::forward::{List, Shape};
use super::parts::Parts;
use super::{Batch, Layout, Measured, MicroBatch, Objective, Settings, TrainingStep};
use crate::backend::{Arena, Array, CpuOps, Op, Ops};
use crate::cuda::{self, CudaError, CudaOps, Machine};
use crate::ops::rope::Rope;
use crate::ops::{adamw, moments};

pub use super::forward::is_trained;

/// The training step of the Llama family on a backend.
pub struct Program<O> {
    config: ModelConfig,
    layout: Layout,
    parts: Parts,
    settings: Settings,
    pub(crate) ops: O,
    /// What the list is for.
    shape: Option<MicroBatch>,
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
        let program = Self::over(
            CpuOps::new(parameters, rope, settings.format).with_moments(settings.moments),
            config,
            settings,
        );
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

/// Widest head that GPUs train.
const WIDEST_HEAD: usize = 256;

impl Program<CudaOps> {
    /// A program on a machine for CUDA, with all the memory that micro-batches of this shape need.
    ///
    /// # Errors
    /// [`CudaError::TooLarge`], [`CudaError::WideHeads`], or what the machine refuses.
    ///
    /// # Panics
    /// As [`Program::new`].
    pub(crate) fn on_machine(
        machine: Arc<dyn Machine>,
        config: ModelConfig,
        settings: Settings,
        micro: MicroBatch,
        parameters: &[f32],
    ) -> Result<Self, CudaError> {
        if config.head_dim > WIDEST_HEAD {
            return Err(CudaError::WideHeads { dim: config.head_dim, most: WIDEST_HEAD });
        }
        assert!(is_trained(&config), "a family that is trained");
        cuda::check_memory(&*machine, &config, settings, micro)?;
        let rope = Rope::new(config.head_dim, config.rope_theta, config.rope_scaling.as_ref());
        let ops = CudaOps::new(machine, &Layout::new(&config), parameters, rope, settings)?;
        let mut program = Self::over(ops, config, settings);
        program.reserve(micro);
        // Where that failed, this says so.
        program.ops.measure()?;
        Ok(program)
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
        Self { config, layout, parts, settings, ops, shape: None, list: Vec::new() }
    }

    /// The list and its memory for batches of this shape, unless they are there already.
    pub(super) fn prepare(&mut self, batch: &Batch<'_>) {
        let rows = batch.inputs.len();
        assert!(rows.is_multiple_of(batch.length), "whole sequences");
        assert!(
            batch.targets.len() == rows && batch.starts.len() == rows,
            "a target and a start for every input"
        );
        self.reserve(MicroBatch { sequences: rows / batch.length, length: batch.length });
    }

    fn reserve(&mut self, micro: MicroBatch) {
        if self.shape == Some(micro) {
            return;
        }
        let (keeping, recompute) = (self.ops.keeping(), self.settings.recompute);
        let of = Shape { rows: micro.sequences * micro.length, length: micro.length };
        let (list, extents) = List::new(&self.config, &self.parts, of, recompute, keeping).finish();
        self.ops.reserve(&Arena::plan(&extents, &list, keeping), &list);
        (self.shape, self.list) = (Some(micro), list);
    }

    /// [`TrainingStep::accumulate`], each operation asked for by itself.
    #[cfg(test)]
    pub(crate) fn accumulate_singly(&mut self, batch: &Batch<'_>, objective: &Objective) {
        self.prepare(batch);
        self.ops.load(batch, objective);
        self.list.iter().for_each(|op| self.ops.run(op));
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
