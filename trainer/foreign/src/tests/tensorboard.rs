use sekisho_domain::run::EventKind;

use super::{fixture, row};
use crate::tensorboard::{File, read};
use crate::{History, When};

const FIRST: &str = "tensorboard/events.out.tfevents.1764500000.host.first";
const SECOND: &str = "tensorboard/events.out.tfevents.1764500100.host.second";
const OTHER: &str = "tensorboard/validation/events.out.tfevents.1764500000.host.one";

fn of(files: &[(&str, &str, &[u8])]) -> History {
    let files: Vec<File<'_>> =
        files.iter().map(|(name, folder, bytes)| File { name, folder, bytes }).collect();
    read(&files).expect("read")
}

#[test]
fn the_files_of_a_run_are_read_as_tensorboard_shows_them() {
    let (first, second, other) = (fixture(FIRST), fixture(SECOND), fixture(OTHER));
    let history = of(&[(SECOND, "", &second), (OTHER, "validation", &other), (FIRST, "", &first)]);
    let losses: Vec<_> = history.rows.iter().map(|row| (row.step, row.metrics["loss"])).collect();
    let expected = [10.0, 5.0, 10.0 / 3.0, 2.5, 2.0, 20.0 / 6.0, 20.0 / 7.0, 2.5];
    assert_eq!(
        losses.len(),
        expected.len(),
        "the second session begins at step 6 and takes back what was there"
    );
    for ((step, loss), (at, value)) in losses.iter().zip((1..).zip(expected)) {
        assert!(*step == at && (loss - value).abs() < 1e-6, "{losses:?}");
    }
    assert_eq!(row(&history.rows, 8).tokens, Some(65_536), "a tensor of bytes");
    assert_eq!(row(&history.rows, 8).metrics["validation/lm_loss"], 3.5);
    assert!(!row(&history.rows, 6).metrics.contains_key("lr"), "of the first session");
    assert!((row(&history.rows, 5).metrics["lr"] - 5e-4).abs() < 1e-9);
    assert_eq!(history.notes, ["left out, as their steps count samples or tokens: lm_loss_vs_samples"]);
}

#[test]
fn where_no_session_begins_the_later_file_has_the_steps_that_both_have() {
    let first = fixture(FIRST);
    let history = of(&[("a", "", &first), ("b", "", &first)]);
    assert_eq!(history.rows.len(), 10);
    let mark = &history.marks[0];
    assert_eq!((mark.kind, mark.step), (EventKind::Resumed, 1));
    assert_eq!(mark.at, Some(When::UnixMs(1_764_500_001_000)));
}

#[test]
fn a_file_is_read_up_to_where_it_is_cut_or_damaged() {
    let whole = fixture(FIRST);
    for cut in [whole.len() - 1, whole.len() - 200, 700] {
        let history = of(&[("cut", "", &whole[..cut])]);
        assert!(
            history.notes[0].starts_with("cut, byte ") && history.notes[0].contains("cut off"),
            "{:?}",
            history.notes
        );
        assert!(history.rows.len() < 11 && history.rows[0].metrics["loss"] == 10.0);
    }
    let mut damaged = whole.clone();
    damaged[600] ^= 1;
    let history = of(&[("damaged", "", &damaged)]);
    assert!(history.notes[0].contains("checksum"), "{:?}", history.notes);
    assert!(history.rows.len() < 10);
}

#[test]
fn files_without_scalars_are_refused_with_the_way_on() {
    for bytes in [&b""[..], b"no event file", &fixture(FIRST)[..40]] {
        let file = File { name: "events", folder: "", bytes };
        let error = read(&[file]).expect_err("nothing").to_string();
        assert!(error.starts_with("events: ") && error.contains("events.out.tfevents"), "{error}");
    }
}
