use super::{fixture, row};
use crate::wandb::read;

#[test]
fn a_charts_columns_belong_to_runs() {
    let bytes = fixture("wandb-chart.csv");
    let error = read("chart.csv", &bytes, None).expect_err("two runs").to_string();
    assert!(
        error.contains("chart.csv, line 1") && error.contains("--wandb-run: baseline, v4-8b - exp2"),
        "{error}"
    );
    let error = read("chart.csv", &bytes, Some("nobody")).expect_err("no such run").to_string();
    assert!(error.contains("none is called \"nobody\""), "{error}");
    let history = read("chart.csv", &bytes, Some("v4-8b - exp2")).expect("read");
    let read_rows: Vec<_> = history.rows.iter().map(|row| (row.step, row.metrics["loss"])).collect();
    assert_eq!(read_rows, [(1, 11.25), (3, 9.25)], "the extremes are left out, and so is an empty cell");
    assert!(
        history.notes[0].contains("line 5") && history.notes[0].contains("cut off"),
        "{:?}",
        history.notes
    );
    let baseline = read("chart.csv", &bytes, Some("baseline")).expect("read");
    assert!(baseline.rows[2].metrics["loss"].is_nan() && baseline.rows[2].to_json().get("loss").is_none());
}

#[test]
fn a_history_counts_updates_where_it_can() {
    let history = read("history.csv", &fixture("wandb-history.csv"), None).expect("read");
    let steps: Vec<u64> = history.rows.iter().map(|row| row.step).collect();
    assert_eq!(steps, [10, 20, 30]);
    let twentieth = row(&history.rows, 20);
    assert_eq!(twentieth.tokens, Some(163_840));
    let metrics: Vec<_> = twentieth.metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(
        metrics,
        [("eval/loss", 10.25), ("loss", 10.5), ("lr", 2e-5)],
        "two lines of one step are one row"
    );
    assert!(history.notes[0].contains("train/global_step"), "{:?}", history.notes);
}

#[test]
fn json_lines_are_read_as_python_writes_them() {
    let history = read("history.jsonl", &fixture("wandb-history.jsonl"), None).expect("read");
    assert_eq!(history.rows.len(), 3);
    assert_eq!(history.rows[0].metrics["time.data"], 0.25);
    assert!(history.rows[1].metrics["loss"].is_nan() && history.rows[2].metrics["lr"].is_nan());
    assert!(
        history.notes[0].contains("line 4") && history.notes[0].contains("cut off"),
        "{:?}",
        history.notes
    );
}

#[test]
fn no_more_names_are_kept_than_a_run_may_have() {
    let names: String = (0..300).map(|n| format!(",\"system/{n:03}\":1")).collect();
    let line = format!("{{\"_step\": 1, \"loss\": 2.0{names}}}\n");
    let history = read("h", line.as_bytes(), None).expect("read");
    assert_eq!((history.rows[0].metrics.len(), history.rows[0].metrics["loss"]), (201, 2.0));
    assert!(
        history.notes[0].contains("system/299") && !history.notes[0].contains("system/199"),
        "{:?}",
        history.notes
    );
}

#[test]
fn what_a_spreadsheet_makes_of_it_is_read_or_refused_by_line() {
    let text = "\u{feff}\"Step\",\"a - loss\"\r\n1,2.5\r\n";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes(), &wide] {
        assert_eq!(read("s.csv", bytes, None).expect("read").rows[0].metrics["loss"], 2.5);
    }
    for (bytes, says) in [
        (&b""[..], "is empty"),
        (b" \n", "is empty"),
        (b"Step,a - loss\n1,\x82\xa0\n", "line 2: is not UTF-8"),
        (b"a,b\n1,2\n", "\"run - metric\""),
        (b"Relative Time (Wall),a - loss\n1,2\n", "horizontal axis"),
        (b"Step,a - loss\n", "no line with a step and a number"),
        (b"{\"loss\": 1}\n", "no column that counts steps"),
        (b"{\"_step\": 1}\n{oops\n{\"_step\": 2}\n", "line 2: is no JSON object"),
    ] {
        let error = read("s.csv", bytes, None).expect_err(says).to_string();
        assert!(error.starts_with("s.csv") && error.contains(says), "{error}");
    }
}
