use proptest::prelude::*;

use super::{feed, fixture};
use crate::tensorboard::{self, File};
use crate::{LogReader, megatron, wandb, warnings};

const LOGS: [&str; 4] = ["megatron.log", "megatron-forks.log", "torchtitan.log", "nanotron.log"];

fn rows(bytes: &[u8]) -> usize {
    let mut reader = LogReader::new("log", None, None);
    feed(&mut reader, bytes);
    reader.all_rows().len()
}

#[test]
fn encodings_and_zero_bytes_cost_their_line_at_most() {
    let mut bytes = b"\x8a\x77\x8f\x4b\xff step: 1  loss:  1.0  memory: 1.0GiB(1%)\n".to_vec();
    bytes.extend(b"\0\0\0\0step: 2  loss:  0.5  memory: 1.0GiB(1%)\r\n");
    bytes.extend("学習 step: 3  loss:  0.25  memory: 1.0GiB(1%)\n".as_bytes());
    let mut reader = LogReader::new("mixed.log", None, Some(1));
    feed(&mut reader, &bytes);
    let losses: Vec<f64> = reader.all_rows().iter().map(|row| row.metrics["loss"]).collect();
    assert_eq!(losses, [1.0, 0.5, 0.25]);
    let notes = reader.notes();
    assert!(
        notes.len() == 1 && notes[0].starts_with("mixed.log, line 2") && notes[0].contains("zero bytes"),
        "{notes:?}"
    );
    assert_eq!(rows(b""), 0);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_fail(at in 0_usize..100_000, byte: u8, cut in 0_usize..100_000) {
        for name in LOGS {
            let mut bytes = fixture(name);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut % length);
            prop_assert!(rows(&bytes) < 30);
        }
        for name in ["tensorboard/events.out.tfevents.1764500100.host.second", "tensorboard/events.out.tfevents.1764500000.host.first"] {
            let mut bytes = fixture(name);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut % length);
            let _ = tensorboard::read(&[File { name, folder: "", bytes: &bytes }]);
        }
        for name in ["wandb-chart.csv", "wandb-history.csv", "wandb-history.jsonl"] {
            let mut bytes = fixture(name);
            let length = bytes.len();
            bytes[at % length] = byte;
            let _ = wandb::read(name, &bytes, Some("baseline"));
        }
        let mut script = fixture("launch.sh");
        let length = script.len();
        script[at % length] = byte;
        if let Ok(args) = megatron::arguments("launch.sh", &String::from_utf8_lossy(&script)) {
            let spec = megatron::specification(&args);
            prop_assert!(warnings(&spec, Some(1)).len() < 6);
        }
    }

    #[test]
    fn variables_that_hold_themselves_end(name in "[A-C]", other in "[A-C]") {
        let text = format!("{name}=\"${other} ${name} --lr 1 ${{{other}}}\"\n{other}=\"${name} ${name} ${name}\"\n--lr ${name} ${other}");
        let _ = megatron::arguments("script", &text);
    }
}
