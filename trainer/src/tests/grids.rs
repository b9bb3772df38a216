//! Several seeds and mixtures of one specification.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sekisho_domain::Step;
use sekisho_domain::run::MetricRow;

use super::lineages::lineage;
use super::{Bench, SPEC};
use crate::grid::{Carried, Grid, GridError, carry_out};
use crate::{Progress, TrainOptions};

/// Annealing from a stable checkpoint, linearly to 0, on two mixtures under two seeds.
const GRID: &str = "spec = \"anneal.toml\"\nseeds = [42, 666]\nlr = 5e-3\n[[mixture]]\nname = \"math\"\n[[mixture.mix]]
name = \"math\"\npath = \"made-up\"\nweight = 1.0\n[[mixture]]\nname = \"code\"\nlr = 2e-3\n[[mixture.mix]]\nname = \"code\"
path = \"made-up\"\nweight = 1.0\n";

/// A trained parent, and a grid of its children.
fn bench(grid: &str) -> Bench {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    let parent = "[parent]\nrun = \"run\"\nstep = 8\ndata = \"restart\"\nreset_steps = true\n[model]";
    let anneal = SPEC
        .replace("name = \"tiny\"", "name = \"anneal\"")
        .replace("[model]", parent)
        .replace("total_samples = 200\n", "")
        .replace(
            "warmup_steps = 3\ndecay_steps = 4\ntotal_steps = 12",
            "warmup_steps = 0\ndecay_steps = 4\ndecay_shape = \"linear\"",
        )
        .replace("steps = 12\n[checkpoint]\nevery = 4", "steps = 4\n[checkpoint]\nevery = 2");
    fs_err::write(bench.path("anneal.toml"), anneal).expect("written");
    fs_err::write(bench.path("grid.toml"), grid).expect("written");
    bench
}

fn load(bench: &Bench) -> Result<Grid, GridError> {
    Grid::load(&bench.path("grid.toml"))
}

fn go(
    bench: &Bench,
    out: &str,
    progress: &mut dyn Progress,
    stop: &Arc<AtomicBool>,
) -> Result<Carried, GridError> {
    let options = |folder: &Path| TrainOptions {
        out: folder.to_owned(),
        stop: stop.clone(),
        ..bench.options("unused")
    };
    carry_out(&load(bench)?, &bench.path(out), &options, progress)
}

/// Counts updates, and asks to stop after so many.
struct Stopper {
    left: usize,
    stop: Arc<AtomicBool>,
    notes: Vec<String>,
}

impl Progress for Stopper {
    fn start(&mut self, _done: Step, _total: Step) {}
    fn step(&mut self, _row: &MetricRow, _tokens_per_second: f64, _remaining: Duration) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
    fn checkpoint(&mut self, _path: &Path, _step: Step) {}
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

#[test]
fn a_grid_trains_each_run_and_averages_the_seeds() {
    let bench = bench(GRID);
    let grid = load(&bench).expect("a grid");
    let names: Vec<&str> = grid.cells.iter().map(|cell| cell.spec.name.as_str()).collect();
    assert_eq!(names, ["anneal-math-42", "anneal-math-666", "anneal-code-42", "anneal-code-666"]);
    assert_eq!(grid.cost().tokens, 4 * 4 * 4 * 8);
    let rates: Vec<f64> = grid.cells.iter().map(|cell| cell.spec.optimizer.lr).collect();
    assert_eq!(rates, [5e-3, 5e-3, 2e-3, 2e-3]);
    let stop = Arc::default();
    let carried = go(&bench, "out", &mut (), &stop).expect("trained");
    assert!(!carried.stopped && carried.runs.len() == 4);
    assert!(carried.runs.iter().all(|run| run.step == Step(4) && run.averaged == 4 && run.loss.is_some()));
    let soups: Vec<_> = carried.soups.iter().map(|soup| soup.folder.file_name().expect("a name")).collect();
    assert_eq!(soups, ["math-soup", "code-soup"]);
    // The mean of the two, by the weights themselves.
    let values = |folder: &Path| {
        let model = sekisho_weights::Checkpoint::open(folder).expect("a model");
        model.tensor_f32("model.norm.weight").expect("a tensor")
    };
    let (a, b) = (values(&carried.runs[0].checkpoint), values(&carried.runs[1].checkpoint));
    let mean: Vec<f32> = a.iter().zip(&b).map(|(a, b)| half(f32::midpoint(*a, *b))).collect();
    assert_eq!(values(&carried.soups[0].folder), mean);
    let of = lineage(&carried.soups[0].folder);
    let links: Vec<_> = of.inputs.iter().filter_map(|input| input.lineage.as_deref()).collect();
    assert_eq!(links, ["../anneal-math-42/lineage.toml", "../anneal-math-666/lineage.toml"]);
    for link in links {
        assert!(carried.soups[0].folder.join(link).is_file(), "{link}");
    }
    // Called again, it finds everything.
    let mut watch = Stopper { left: 0, stop: Arc::default(), notes: Vec::new() };
    assert_eq!(go(&bench, "out", &mut watch, &stop).expect("found"), carried);
    assert_eq!(watch.notes.iter().filter(|note| note.ends_with("was finished before")).count(), 4);
}

/// bfloat16, as the weights are exported.
fn half(value: f32) -> f32 {
    let bytes = sekisho_weights::to_bf16_bytes(&[value]);
    f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16)
}

#[test]
fn a_grid_that_was_stopped_goes_on_to_the_same_bits() {
    let bench = bench(GRID);
    go(&bench, "straight", &mut (), &Arc::default()).expect("trained");
    let stop = Arc::new(AtomicBool::new(false));
    let mut stopper = Stopper { left: 7, stop: stop.clone(), notes: Vec::new() };
    let stopped = go(&bench, "parted", &mut stopper, &stop).expect("a part");
    assert!(stopped.stopped && stopped.soups.is_empty());
    assert_eq!(stopped.runs.len(), 1, "the second run was cut short");
    // What a kill leaves of a mean that was being made.
    fs_err::create_dir_all(bench.path("parted/.math-soup.building")).expect("a folder");
    let rest = go(&bench, "parted", &mut (), &Arc::default()).expect("the rest");
    assert_eq!(rest.soups.len(), 2);
    for run in ["anneal-math-42", "anneal-math-666", "anneal-code-666"] {
        super::assert_same(&bench.path("straight").join(run), &bench.path("parted").join(run), "step-000004");
    }
    assert!(!bench.path("parted/.math-soup.building").exists());
}

#[test]
fn what_would_stop_a_late_run_stops_the_grid_before_the_first() {
    for (from, to, expected) in [
        ("seeds = [42, 666]", "seeds = []", "seeds is empty"),
        ("seeds = [42, 666]", "seeds = [42, 42]", "seeds has one seed twice"),
        ("name = \"code\"\nlr", "name = \"math\"\nlr", "names of mixtures must differ"),
        ("name = \"code\"\nlr", "name = \"../code\"\nlr", "becomes a folder's"),
        ("seeds", "seed", "did you mean \"seeds\"?"),
        ("lr = 2e-3", "lr = -1.0", "anneal-code-42: "),
        (
            "path = \"made-up\"\nweight = 1.0\n[[mixture]]",
            "path = \"nothing\"\nweight = 1.0\n[[mixture]]",
            "anneal-math-42: ",
        ),
        ("seeds = [42, 666]", "seeds = [42, 4294967296]", "anneal-math-4294967296: "),
        ("spec = \"anneal.toml\"", "spec = \"none.toml\"", "none.toml"),
    ] {
        assert!(GRID.contains(from), "{from}");
        let bench = bench(&GRID.replacen(from, to, 1));
        let error = go(&bench, "out", &mut (), &Arc::default()).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
        assert!(!bench.path("out").exists(), "{to}: nothing was begun");
    }
    // A branch goes on in its parent's data, so it cannot have another seed.
    let bench = bench("spec = \"anneal.toml\"\nseeds = [7, 8]\n");
    let text = fs_err::read_to_string(bench.path("anneal.toml")).expect("a specification");
    let text = text
        .replace("data = \"restart\"\nreset_steps = true", "")
        .replace("steps = 4\n[ch", "steps = 12\n[ch");
    fs_err::write(bench.path("anneal.toml"), text).expect("written");
    let error = go(&bench, "out", &mut (), &Arc::default()).expect_err("another seed").to_string();
    assert!(error.starts_with("anneal-8: seed is 8, and 7 in the parent"), "{error}");
    assert!(!bench.path("out").exists(), "nothing was begun");
}

#[test]
fn a_mean_of_other_weights_is_not_taken_for_the_mean() {
    let bench = bench("spec = \"anneal.toml\"\nseeds = [1, 2]\n");
    let carried = go(&bench, "out", &mut (), &Arc::default()).expect("trained");
    assert_eq!(carried.soups[0].folder.file_name().expect("a name"), "soup");
    fs_err::remove_file(bench.path("out/soup/soup.json")).expect("removed");
    let error = go(&bench, "out", &mut (), &Arc::default()).expect_err("whose mean?").to_string();
    assert!(error.contains("is not the mean of these checkpoints; move it away"), "{error}");
}
