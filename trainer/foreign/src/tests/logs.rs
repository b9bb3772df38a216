use sekisho_domain::run::EventKind;
use serde_json::json;

use super::{feed, fixture, log, row};
use crate::{LogReader, Setup, Trainer, When};

#[test]
fn a_megatron_log_with_two_restarts_is_read_whole() {
    let (mut reader, rows) = log("megatron.log", None);
    assert_eq!((reader.trainer(), reader.found()), (Some(Trainer::Megatron), 17));
    let steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10, 9, 10, 11, 12], "the cut line is left out");
    let fifth = row(&rows, 5);
    assert_eq!(fifth.tokens, Some(5 * 1024 * 8192));
    let has = |name: &str| fifth.metrics.get(name).copied();
    assert_eq!(
        (has("loss"), has("lr"), has("seconds")),
        (Some(9.749), Some(7.5e-7), Some(14.4982)),
        "the later one"
    );
    assert_eq!((has("tflops_per_gpu"), has("skipped_iterations")), (Some(412.5), Some(0.0)));
    assert_eq!((has("global_batch_size"), has("loss_scale")), (Some(1024.0), Some(1.0)));
    let validated = &rows[5];
    assert_eq!(validated.metrics["validation/lm_loss"], 9.55, "added to the row of its step");
    assert_eq!(validated.metrics["loss"], 9.5);
    assert!(!row(&rows[..12], 9).metrics.contains_key("loss"), "a NaN is printed by nobody");
    let marks: Vec<_> = reader.marks().into_iter().map(|mark| (mark.kind, mark.step, mark.note)).collect();
    let note = |text: &str| text.to_owned();
    assert_eq!(
        marks,
        [
            (EventKind::Resumed, 5, note("the log goes back to step 5 after step 6")),
            (EventKind::Note, 10, note("the loss is NaN (megatron.log, line 74)")),
            (EventKind::Resumed, 9, note("the log goes back to step 9 after step 10")),
        ]
    );
    let notes = reader.notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("line 74") && notes[1].contains("cut off"), "{notes:?}");
}

#[test]
fn times_are_those_of_the_log() {
    let (mut reader, _) = log("megatron.log", None);
    let first = reader.marks().swap_remove(0);
    assert_eq!(first.at, Some(When::Local("2025-04-13 23:42:45".to_owned())));
}

#[test]
fn every_spelling_of_megatron_and_its_forks_is_read() {
    let (mut reader, rows) = log("megatron-forks.log", Some(Trainer::Megatron));
    let read: Vec<_> = rows
        .iter()
        .map(|row| (row.step, row.metrics["loss"], row.metrics["lr"], row.metrics["seconds"]))
        .collect();
    assert_eq!(
        read,
        [
            (10, 7.399_415, 1.342e-4, 0.5123),
            (20, 6.384_045, 3.787e-6, 104.53),
            (30, 5.25, 4.5e-6, 4.312),
            (40, 4.125, 9.984_82e-6, 13.3728),
            (51, 1.959_154, 2.55e-6, 6.049),
            (60, 1.5, 1e-5, 0.001),
        ]
    );
    assert_eq!(row(&rows, 20).tokens, Some(83_886_080), "as the log counts them");
    assert_eq!(row(&rows, 30).metrics["z_loss"], 0.0125);
    assert_eq!(row(&rows, 40).metrics["tflops_per_gpu"], 567.6);
    assert_eq!(row(&rows, 51).metrics["tokens/sec/gpu"], 10839.5);
    assert_eq!(row(&rows, 10).tokens, None);
    let notes = reader.notes();
    assert!(
        notes.len() == 1 && notes[0].contains("line 1") && notes[0].contains("--tokens-per-step"),
        "{notes:?}"
    );
}

#[test]
fn torchtitan_is_read_through_its_colours() {
    let (mut reader, rows) = log("torchtitan.log", None);
    assert_eq!(reader.trainer(), Some(Trainer::Torchtitan));
    let steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    assert_eq!(steps, [1, 10, 20, 30]);
    let tenth = row(&rows, 10);
    assert_eq!(tenth.tokens, Some(10 * 8 * 8192));
    let has = |name: &str| tenth.metrics.get(name).copied();
    assert_eq!(
        (has("loss"), has("grad_norm"), has("validation/loss")),
        (Some(10.7069), Some(1.25), Some(10.5))
    );
    assert_eq!((has("tokens_per_second_per_gpu"), has("mfu_percent")), (Some(7034.0), Some(41.19)));
    assert_eq!(has("memory_gib"), Some(30.99));
    assert_eq!(row(&rows, 30).metrics["wps"], 6912.0);
    let spec = reader.setup().spec.clone().expect("said at the start");
    assert_eq!((&spec["stop"]["steps"], &spec["schedule"]["warmup_steps"]), (&json!(1000), &json!(200)));
    assert_eq!(reader.marks().len(), 1, "the loss that is no number");
}

#[test]
fn nanotrons_rounded_numbers_are_reckoned_where_they_can_be() {
    let (mut reader, rows) = log("nanotron.log", None);
    assert_eq!(reader.trainer(), Some(Trainer::Nanotron));
    let read: Vec<_> = rows.iter().map(|row| (row.step, row.tokens, row.metrics["seconds"])).collect();
    assert_eq!(
        read,
        [(1, Some(512), 4.71), (3, Some(1536), 11.8 / 1000.0), (5, Some(2560), 8790.0 / 1000.0)]
    );
    assert_eq!(rows[2].metrics["loss"], 2.04);
    assert!(!rows[2].metrics.contains_key("eta") && reader.marks().is_empty());
    let text = String::from_utf8(fixture("nanotron.log")).expect("UTF-8");
    let mut without = LogReader::new("n", None, None);
    feed(&mut without, text.lines().skip(1).collect::<Vec<_>>().join("\n").as_bytes());
    without.line(b"");
    assert_eq!(without.all_rows()[1].tokens, Some(1540), "three digits are all that the log has");
}

#[test]
fn tokens_come_from_outside_where_the_log_has_none() {
    let mut reader = LogReader::new("megatron.log", None, None);
    reader.assume(Setup { sequence_length: Some(4096), ..Setup::default() });
    reader.line(
        b" iteration 7/ 9 | consumed samples: 70 | elapsed time per iteration (ms): 1.0 | lm loss: 2.0E+00 |",
    );
    assert_eq!(reader.all_rows()[0].tokens, Some(70 * 4096));
    let mut reader = LogReader::new("megatron.log", None, Some(100));
    reader.line(
        b" iteration 7/ 9 | consumed samples: 70 | elapsed time per iteration (ms): 1.0 | lm loss: 2.0E+00 |",
    );
    assert_eq!(reader.all_rows()[0].tokens, Some(700));
}

#[test]
fn rows_are_given_out_as_they_become_complete() {
    let mut reader = LogReader::new("log", None, Some(1));
    let line = |step: u64| format!("step: {step}  loss:  1.0  memory: 1.0GiB(1%)");
    reader.line(line(1).as_bytes());
    assert!(reader.rows().is_empty(), "a validation may still add to it");
    reader.line(line(2).as_bytes());
    assert_eq!(reader.rows().iter().map(|row| row.step).collect::<Vec<_>>(), [1]);
    assert_eq!(reader.all_rows().iter().map(|row| row.step).collect::<Vec<_>>(), [2]);
    reader.line(b"validate step: 2  loss:  3.0  memory: 1.0GiB(1%)");
    let again = reader.all_rows();
    assert_eq!((again[0].step, again[0].metrics.len()), (2, 4), "the whole row again");
    reader.line(b"[after training is done] datetime: 2025-12-19 10:49:16");
    assert!(reader.marks().is_empty(), "torchtitan says no such thing");
}
