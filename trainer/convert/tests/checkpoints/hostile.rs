//! Checkpoints that want something else than to be read.

use std::path::{Path, PathBuf};

use crate::support::{copy, fixture};
use proptest::prelude::*;
use sekisho_convert::{ConvertError, Options, convert};

const RANK: &str = "iter_0012000/mp_rank_00/model_optim_rng.pt";

/// Converts a copy of a fixture after it was changed; the folder stays empty but for it.
fn changed(name: &str, change: impl FnOnce(&Path)) -> Result<(), ConvertError> {
    let root = tempfile::tempdir().expect("a folder");
    let from = root.path().join("from");
    copy(&fixture(name), &from);
    change(&from);
    let to = root.path().join("to");
    let result = convert(&Options { from: latest(&from), to, ..Options::default() }, &mut |_, _| true);
    let left = fs_err::read_dir(root.path()).expect("a folder").count();
    assert_eq!(left, if result.is_ok() { 2 } else { 1 }, "nothing half-written is left");
    result.map(drop)
}

fn latest(from: &Path) -> PathBuf {
    let iteration = from.join("iter_0012000");
    if iteration.is_dir() { iteration } else { from.to_owned() }
}

fn edit(file: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs_err::read(file).expect("a file");
    edit(&mut bytes);
    fs_err::write(file, bytes).expect("written");
}

/// Replaces bytes by as many others, everywhere.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old).map(|(i, _)| i).collect();
    for at in &places {
        bytes[*at..*at + old.len()].copy_from_slice(new);
    }
    places.len()
}

fn told(result: Result<(), ConvertError>, words: &[&str]) {
    let told = result.expect_err("it must be refused").to_string();
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

#[test]
fn a_name_that_would_run_code_is_refused_in_each_kind_of_file() {
    let harmless = changed("legacy-1-1", |_| {});
    assert!(harmless.is_ok());
    let run = |file: &'static str, old: &'static [u8], new: &'static [u8]| {
        move |from: &Path| edit(&from.join(file), |bytes| assert!(replace(bytes, old, new) > 0))
    };
    let legacy = run(RANK, b"cargparse\nNamespace\n", b"cos......\nsystem...\n");
    told(changed("legacy-1-1", legacy), &[RANK.trim_start_matches("iter_0012000/"), "os.......system..."]);
    let common = run("iter_0012000/common.pt", b"cargparse\nNamespace\n", b"cbuiltins\nexec.....\n");
    told(changed("dist-1-1", common), &["common.pt", "builtins.exec"]);
    let metadata = run("iter_0012000/.metadata", b"\x0c_StorageInfo", b"\x0csystem......");
    told(changed("dist-1-1", metadata), &[".metadata", "system"]);
}

#[test]
fn a_file_outside_of_the_folder_is_not_opened() {
    let metadata = "iter_0012000/.metadata";
    let outside = |from: &Path| {
        edit(&from.join(metadata), |bytes| {
            assert!(replace(bytes, b"__0_0.distcp", b"../etc/passw") > 0);
        });
    };
    told(changed("dist-1-1", outside), &["no plain name"]);
    let linked = |from: &Path| {
        let file = from.join("iter_0012000/__0_0.distcp");
        let elsewhere =
            tempfile::NamedTempFile::new().expect("a file").into_temp_path().keep().expect("kept");
        fs_err::rename(&file, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    };
    told(changed("dist-1-1", linked), &["__0_0.distcp"]);
    // A member of the archive that wants to be written somewhere.
    let climbing = |from: &Path| {
        edit(&from.join(RANK), |bytes| {
            assert!(replace(bytes, b"model_optim_rng/data/0", b"../../../../../../tmp0") > 0);
        });
    };
    told(changed("legacy-1-1", climbing), &["member with the name"]);
}

#[test]
fn a_checkpoint_that_lacks_a_part_is_refused() {
    let short = |from: &Path| edit(&from.join(RANK), |bytes| bytes.truncate(bytes.len() / 2));
    told(changed("legacy-1-1", short), &["cut off"]);
    let rank = |from: &Path| {
        fs_err::remove_dir_all(from.join("iter_0012000/mp_rank_01_001")).expect("removed");
    };
    told(changed("legacy-2-2", rank), &["mp_rank_01_001"]);
    let cut = |from: &Path| {
        edit(&from.join("iter_0012000/__1_0.distcp"), |bytes| bytes.truncate(bytes.len() / 2));
    };
    told(changed("dist-2-1", cut), &["__1_0.distcp"]);
    let gone = |from: &Path| fs_err::remove_file(from.join("iter_0012000/__1_0.distcp")).expect("removed");
    told(changed("dist-2-1", gone), &["__1_0.distcp"]);
}

#[test]
fn another_model_is_refused_by_what_makes_it_one() {
    let renamed = |old: &'static [u8], new: &'static [u8]| {
        move |from: &Path| edit(&from.join(RANK), |bytes| assert!(replace(bytes, old, new) > 0))
    };
    told(changed("legacy-1-1", renamed(b"RMSNorm", b"LayerNm")), &["normalization", "RMSNorm"]);
    told(
        changed("legacy-1-1", renamed(b"final_layernorm", b"final_layerxxxx")),
        &["final_layernorm", "model.norm.weight"],
    );
    told(changed("legacy-1-1", renamed(b"rotary_base", b"rotary_bbbb")), &["rotary_base", "not set"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any byte may be another one: it is refused or read, and nothing is left of what was refused.
    #[test]
    fn no_changed_bytes_are_too_much(
        file in 0_usize..4,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (name, file) = [
            ("legacy-1-1", RANK),
            ("dist-1-1", "iter_0012000/.metadata"),
            ("dist-1-1", "iter_0012000/common.pt"),
            ("dist-1-1", "iter_0012000/__0_0.distcp"),
        ][file];
        let _ = changed(name, |from| {
            edit(&from.join(file), |bytes| {
                for (at, value) in &edits {
                    *at.get_mut(bytes.as_mut_slice()) = *value;
                }
                if let Some(cut) = cut {
                    bytes.truncate(cut.index(bytes.len()));
                }
            });
        });
    }
}
