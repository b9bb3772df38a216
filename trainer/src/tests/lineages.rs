//! What a run says of what its weights are made from.

use std::path::Path;

use sekisho_domain::Tokens;
use sekisho_domain::lineage::{InputKind, InputStage, LineageFile};
use sekisho_domain::parse_toml;

use super::Bench;

pub(super) fn lineage(folder: &Path) -> LineageFile {
    let text = fs_err::read_to_string(folder.join("lineage.toml")).expect("a lineage file");
    parse_toml("lineage.toml", &text).expect("a lineage file that the policy reads")
}

/// English first, then Japanese on its weights: the example of docs/training.md.
const LEVELS: (&str, &str) = ("weight = 1.0", "weight = 1.0\nlevel = \"L3\"\nlicense = \"CC-BY-4.0\"");
const ENGLISH: (&str, &str) = ("name = \"made-up\"", "name = \"web-en\"");
const JAPANESE: (&str, &str) =
    ("name = \"made-up\"\npath = \"made-up\"", "name = \"web-ja\"\npath = \"japanese\"");
const SECOND: (&str, &str) = (
    "[model]",
    "[parent]\nrun = \"english\"\nstep = 12\nstate = \"weights\"\ndata = \"restart\"\nreset_steps = true\n[model]",
);

#[test]
fn english_then_japanese_is_two_stages_with_one_lineage() {
    let bench = Bench::new();
    bench.train("english", &[ENGLISH, LEVELS]).expect("the first stage");
    bench.write_corpus(2);
    for end in ["bin", "idx"] {
        fs_err::rename(bench.path(&format!("made-up.{end}")), bench.path(&format!("japanese.{end}")))
            .expect("another corpus");
    }
    let rewarm = (
        "warmup_steps = 3\ndecay_steps = 4\ntotal_steps = 12",
        "warmup_steps = 4\nwarmup_init = \"parent\"\ndecay_steps = 4\ntotal_steps = 8",
    );
    let end = ("steps = 12\n[checkpoint]", "steps = 8\n[checkpoint]");
    let spread = ("skip_sigma = 0.5", "skip_sigma = 50.0");
    bench.train("japanese", &[SECOND, JAPANESE, rewarm, end, spread]).expect("the second stage");
    let rates: Vec<f64> = super::log(&bench.path("japanese")).iter().filter_map(|row| row.lr).collect();
    // The parent had come down to 0, from where the warm-up goes up again.
    assert!((rates[0] - 2.5e-3).abs() < 1e-12 && (rates[3] - 1e-2).abs() < 1e-12, "{rates:?}");
    let first = lineage(&bench.path("english"));
    let tokens = Some(Tokens(12 * 4 * 8));
    assert_eq!(first.model.name, "tiny");
    assert_eq!(first.inputs.len(), 1);
    let corpus = &first.inputs[0];
    assert_eq!(
        (corpus.kind, corpus.id.as_deref(), corpus.tokens),
        (InputKind::Corpus, Some("web-en"), tokens)
    );
    assert_eq!((corpus.level.as_deref(), corpus.license.as_deref()), (Some("L3"), Some("CC-BY-4.0")));
    assert_eq!(corpus.stage, Some(InputStage::Pretrain));
    let second = lineage(&bench.path("japanese"));
    let base = &second.inputs[0];
    assert_eq!((base.kind, base.lineage.as_deref()), (InputKind::BaseModel, Some("../english/lineage.toml")));
    let corpus = &second.inputs[1];
    assert_eq!((corpus.stage, corpus.tokens), (Some(InputStage::Continual), Some(Tokens(8 * 4 * 8))));
    assert_eq!((corpus.level.as_deref(), corpus.license.as_deref()), (None, None), "unknown is not said");
}

#[test]
fn a_lineage_counts_what_the_checkpoint_has_seen_and_a_branch_only_its_own() {
    let bench = Bench::new();
    bench.train("run", &[("steps = 12\n[checkpoint]", "steps = 8\n[checkpoint]")]).expect("eight updates");
    assert_eq!(lineage(&bench.path("run")).inputs[0].tokens, Some(Tokens(8 * 4 * 8)));
    bench.resume("run", &[]).expect("the rest");
    assert_eq!(lineage(&bench.path("run")).inputs[0].tokens, Some(Tokens(12 * 4 * 8)));
    let child = ("[model]", "[parent]\nrun = \"run\"\nstep = 8\n[model]");
    bench.train("child", &[child]).expect("a branch");
    let branch = lineage(&bench.path("child"));
    assert_eq!(branch.inputs[1].tokens, Some(Tokens(4 * 4 * 8)));
    assert_eq!(branch.inputs[1].stage, Some(InputStage::Pretrain), "it goes on in the same data");
    // The parent is gone: the link stays what it was.
    fs_err::rename(bench.path("run"), bench.path("elsewhere")).expect("moved");
    let longer = ("total_steps = 12", "total_steps = 12");
    bench.resume("child", &[child, longer]).expect("nothing left to do");
    assert_eq!(lineage(&bench.path("child")).inputs[0].lineage.as_deref(), Some("../run/lineage.toml"));
}

#[test]
fn weights_from_elsewhere_are_named_with_their_licence_or_by_their_own_file() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a model");
    let model =
        super::SPEC.split("[data]").next().expect("a head").split("seed = 7").nth(1).expect("a model");
    let from = |keys: &str| format!("\n[init]\nfrom = \"run/step-000012\"\n{keys}");
    bench.train("found", &[(model, &from(""))]).expect("a continual run");
    let found = lineage(&bench.path("found"));
    assert_eq!(found.inputs[0].lineage.as_deref(), Some("../run/lineage.toml"));
    assert_eq!(found.inputs[1].stage, Some(InputStage::Continual));
    // The file goes, and what the run began at stays what it was.
    fs_err::remove_file(bench.path("run/lineage.toml")).expect("removed");
    bench.resume("found", &[(model, &from(""))]).expect("nothing left to do");
    assert_eq!(lineage(&bench.path("found")).inputs[0].lineage.as_deref(), Some("../run/lineage.toml"));
    let named = from("id = \"lab/llama\"\nlicense = \"llama3.1\"\n");
    bench.train("named", &[(model, &named)]).expect("a continual run");
    let base = &lineage(&bench.path("named")).inputs[0];
    assert_eq!((base.id.as_deref(), base.license.as_deref()), (Some("lab/llama"), Some("llama3.1")));
}

#[test]
fn a_name_does_not_hide_where_weights_come_from() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a model");
    crate::surgery::soup(
        &["step-000008", "step-000012"].map(|step| bench.path("run").join(step)),
        &[],
        &bench.path("soup"),
    )
    .expect("a mean");
    let of: Vec<_> = lineage(&bench.path("soup")).inputs.into_iter().map(|input| input.lineage).collect();
    assert_eq!(of, vec![Some("../run/lineage.toml".to_owned()); 2]);
    let model =
        super::SPEC.split("[data]").next().expect("a head").split("seed = 7").nth(1).expect("a model");
    let named = "\n[init]\nfrom = \"soup\"\nid = \"lab/llama\"\nlicense = \"llama3.1\"\n";
    bench.train("named", &[(model, named)]).expect("a continual run");
    let base = &lineage(&bench.path("named")).inputs[0];
    assert_eq!((base.lineage.as_deref(), base.id.as_deref()), (Some("../soup/lineage.toml"), None));
}
