//! How fast data is opened and read: figures for docs/performance.md, and no verdicts. Ignored unless asked for:
//!
//! ```text
//! SEKISHO_BENCH_DIR=DIR cargo nextest run --release -p sekisho-trainer --run-ignored only --no-capture -E 'test(=data::bench::everything)'
//! ```
//!
//! What was made in `DIR` (2 GB) is used again. Text is that of `SEKISHO_TEST_DATA`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sekisho_domain::Sha256;
use sekisho_model::Tokenizer;

use super::indexed::Element;
use super::store::Growing;
use super::writer::PairWriter;
use super::{Cache, Data};
use crate::spec::Spec;

const TOKENS: u64 = 1_000_000_000;
const VOCABULARY: usize = 65_536;
const SEQUENCES: usize = 256;

fn say(what: &str, figures: std::fmt::Arguments<'_>) {
    // Straight to the terminal: the figures are what this is run for.
    let _ = writeln!(std::io::stdout().lock(), "{what:<58} {figures}");
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("SEKISHO_BENCH_DIR").expect("SEKISHO_BENCH_DIR names a folder"))
}

/// A corpus of [`TOKENS`] tokens whose documents are as long as those of the web: half of them below 350 tokens, some of 100,000.
fn corpus(folder: &Path) {
    if folder.join("made-up.idx").is_file() {
        return;
    }
    let file = |name: &str| Growing::file(&folder.join(name)).expect("a new file");
    let mut pair = PairWriter::new(file("made-up.bin"), file("growing"), Element::U16).expect("a pair");
    let mut state = 1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut left = TOKENS;
    while left > 0 {
        // Twelve draws make a normal one (Irwin and Hall); its exponential is a length.
        let normal: f64 = (0..12).map(|_| (random() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0;
        let length = ((350.0 * (1.1 * normal).exp()) as u64).clamp(8, 100_000).min(left);
        let tokens: Vec<u32> = (0..length).map(|_| (random() >> 48) as u32).collect();
        pair.document(&tokens).expect("a document");
        left -= length;
    }
    let written = pair.finish().expect("a pair");
    fs_err::rename(folder.join("growing"), folder.join("made-up.idx")).expect("whole");
    say("documents of the corpus", format_args!("{}", written.documents));
}

fn spec(folder: &Path, order: &str, mix: &str) -> Spec {
    let text = format!(
        "name = \"bench\"\n[model]\nvocab_size = {VOCABULARY}\nhidden_size = 8\nnum_hidden_layers = 1\nnum_attention_heads = 1
intermediate_size = 8\nrope_theta = 1e4\nrms_norm_eps = 1e-5\nmax_position_embeddings = 4096\n[data]\nsequence_length = 4096
order = \"{order}\"\n[[data.mix]]\nname = \"x\"\npath = \"{mix}\"\n[batch]\nsequences = {SEQUENCES}\n[optimizer]\nlr = 1e-3
[schedule]\nkind = \"constant\"\n[stop]\nsteps = 1000\n"
    );
    Spec::parse("spec.toml", &text, folder).expect("a valid specification")
}

fn open(order: &str) -> Data {
    let folder = folder();
    let cache = Cache::at(Some(&folder.join("cache")));
    Data::open(&spec(&folder, order, "made-up"), VOCABULARY, None, &cache, &mut |_| {}).expect("data")
}

#[test]
#[ignore = "minutes, gigabytes and two quiet cores"]
fn everything() {
    fs_err::create_dir_all(folder()).expect("a folder");
    corpus(&folder());
    let bytes_per_token = tokenising();
    for order in ["sequential", "permutation", "megatron"] {
        // The first start hashes and scans; the second is the one that is measured.
        for _ in 0..2 {
            let mut start = Command::new(std::env::current_exe().expect("this test"));
            start.args(["--ignored", "--exact", "--nocapture", "data::bench::start"]);
            let ended = start.env("SEKISHO_BENCH_ORDER", order).output().expect("a process");
            assert!(ended.status.success(), "{ended:?}");
            let said = String::from_utf8(ended.stdout).expect("text");
            said.lines().filter(|line| line.starts_with("start")).for_each(|l| say(l, format_args!("")));
        }
        reading(order, bytes_per_token);
    }
}

/// A start in a process of its own, up to the first batch.
#[test]
#[ignore = "a process of `everything`"]
fn start() {
    let Ok(order) = std::env::var("SEKISHO_BENCH_ORDER") else { return };
    let begun = Instant::now();
    let mut data = open(&order);
    data.next_batch(SEQUENCES).expect("tokens").expect("samples");
    let seconds = begun.elapsed().as_secs_f64();
    let status = fs_err::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of it").trim();
    say(&format!("start, {order}"), format_args!("{seconds:.3} s, at most {peak}"));
}

fn reading(order: &str, bytes_per_token: f64) {
    let mut data = open(order);
    let rate = |tokens: usize, begun: Instant| tokens as f64 / begun.elapsed().as_secs_f64();
    let megabytes = |rate: f64| rate * bytes_per_token / 1e6;
    let (begun, mut tokens) = (Instant::now(), 0);
    for _ in 0..100 {
        tokens += data.next_batch(SEQUENCES).expect("tokens").expect("samples").inputs.len();
    }
    let threads = rayon::current_num_threads();
    let fast = rate(tokens, begun);
    say(
        &format!("batches, {order}, {threads} threads"),
        format_args!("{:.1} million tokens/s, {:.0} MB/s of text", fast / 1e6, megabytes(fast)),
    );
    let (begun, mut tokens, mut digest) = (Instant::now(), 0, Sha256::of(""));
    for _ in 0..50 {
        let (place, batch) = data.corpora.draw_one_by_one(data.position.clone(), SEQUENCES);
        let batch = batch.expect("tokens").expect("samples");
        digest = batch.chained(digest);
        (data.position, tokens) = (place, tokens + batch.inputs.len());
    }
    let slow = rate(tokens, begun);
    say(
        &format!("batches, {order}, one thread, with their digest"),
        format_args!("{:.1} million tokens/s, {:.0} MB/s of text", slow / 1e6, megabytes(slow)),
    );
}

/// Tokenises real text, cold and warm. Gives bytes of text a token.
fn tokenising() -> f64 {
    let data =
        PathBuf::from(std::env::var_os("SEKISHO_TEST_DATA").expect("SEKISHO_TEST_DATA names real text"));
    let tokenizer = Tokenizer::load(&data.join("tokenizers/llm-jp-v3.0b2")).expect("a tokenizer");
    let text = super::jsonl::Text::new(&tokenizer).expect("it ends documents");
    let root = tempfile::tempdir_in(folder()).expect("a folder");
    let cache = Cache::at(Some(root.path()));
    let (mut bytes, mut tokens) = (0_usize, 0);
    for name in ["aozora_ja", "standardebooks_en"] {
        let file = data.join("corpora").join(name).join("train.jsonl");
        let mut measured = [0.0; 2];
        for seconds in &mut measured {
            let begun = Instant::now();
            let sha256 = cache.sha256(&file).expect("hashed");
            let stored = cache.tokens(&file, sha256, &text, &mut |_| {}).expect("tokens");
            *seconds = begun.elapsed().as_secs_f64();
            tokens = stored.tokens();
        }
        let texts = super::Texts::open(&file).expect("a text").map(|text| text.expect("a document").len());
        bytes = texts.sum();
        say(
            &format!("tokenising {name}"),
            format_args!(
                "{:.1} MB/s, {:.2} bytes a token; warm in {:.1} ms",
                bytes as f64 / 1e6 / measured[0],
                bytes as f64 / tokens as f64,
                measured[1] * 1e3
            ),
        );
    }
    bytes as f64 / tokens as f64
}
