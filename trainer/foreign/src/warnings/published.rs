//! Peak learning rates of published runs. Sources: LLM-jp's launch scripts for v3 and v4 (`llm-jp/scripts`), and Llama 2's paper (arXiv
//! 2307.09288, table 1).

/// A published run.
pub(super) struct Run {
    pub(super) family: &'static str,
    pub(super) size: &'static str,
    parameters: f64,
    experts: bool,
    pub(super) rate: f64,
}

const fn run(family: &'static str, size: &'static str, billions: f64, rate: f64) -> Run {
    Run { family, size, parameters: billions * 1e9, experts: false, rate }
}

const fn experts(family: &'static str, size: &'static str, billions: f64, rate: f64) -> Run {
    Run { family, size, parameters: billions * 1e9, experts: true, rate }
}

const RUNS: &[Run] = &[
    run("LLM-jp-3", "152M", 0.152, 3e-4),
    run("LLM-jp-3", "980M", 0.99, 3e-4),
    run("LLM-jp-3", "1.8B", 1.868, 3e-4),
    run("LLM-jp-3", "3.7B", 3.783, 3e-4),
    run("LLM-jp-3", "7.2B", 7.292, 2.5e-4),
    run("LLM-jp-3", "13B", 13.708, 2e-4),
    run("LLM-jp-3", "172B", 172.0, 8e-5),
    run("LLM-jp-4", "1.3B", 1.314, 3e-4),
    run("LLM-jp-4", "7.7B", 7.7, 3e-4),
    run("LLM-jp-4", "8B", 8.59, 3e-4),
    run("LLM-jp-4", "32B", 32.0, 2e-4),
    run("Llama 2", "7B", 6.738, 3e-4),
    run("Llama 2", "13B", 13.016, 3e-4),
    run("Llama 2", "70B", 68.977, 1.5e-4),
    experts("LLM-jp-3", "8x1.8B", 9.3, 3e-4),
    experts("LLM-jp-4", "32B-A3.8B", 32.0, 4e-4),
    experts("LLM-jp-4", "332B-A31B", 332.0, 4e-4),
    experts("LLM-jp-4", "291B-A27B", 291.0, 4e-4),
];

/// How far a size may be off to be beside another, as a factor.
const NEAR: f64 = 2.0;

/// The published runs beside a size: those of half to twice its parameters, else the next smaller and the next larger; none for a model
/// that is far below or above all of them.
pub(super) fn near(parameters: u64, with_experts: bool) -> Vec<&'static Run> {
    let size = crate::number::float(parameters);
    let kind = || RUNS.iter().filter(move |run| run.experts == with_experts);
    let factor = |run: &Run| (run.parameters / size).max(size / run.parameters);
    let beside: Vec<_> = kind().filter(|run| factor(run) <= NEAR).collect();
    if !beside.is_empty() {
        return beside;
    }
    let below =
        kind().filter(|run| run.parameters < size).max_by(|a, b| a.parameters.total_cmp(&b.parameters));
    let above =
        kind().filter(|run| run.parameters > size).min_by(|a, b| a.parameters.total_cmp(&b.parameters));
    below.zip(above).map_or_else(Vec::new, |(below, above)| vec![below, above])
}
