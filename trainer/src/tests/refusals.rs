use super::Bench;

#[test]
fn a_run_that_is_not_what_it_was_is_refused() {
    let bench = Bench::new();
    let short = ("steps = 12\n[checkpoint]", "steps = 4\n[checkpoint]");
    bench.train("run", &[short]).expect("a run");
    let again = bench.train("run", &[]).expect_err("the folder is taken").to_string();
    assert!(
        again.ends_with("holds a run already; give --resume to go on with it, or another folder"),
        "{again}"
    );
    let changed =
        bench.resume("run", &[("lr = 1e-2", "lr = 2e-2")]).expect_err("another learning rate").to_string();
    assert!(changed.starts_with("optimizer.lr was 0.01 when the run began and is 0.02 now"), "{changed}");
    bench.write_corpus(2);
    let error = bench.resume("run", &[]).expect_err("other data").to_string();
    assert!(error.contains("made-up.bin has changed since the run began: it was sha256:"), "{error}");
    assert_eq!(error.matches("sha256:").count(), 2, "{error}");
    bench.write_corpus(1);
    bench.resume("run", &[]).expect("the old data again");
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name() {
    let bench = Bench::new();
    bench.train("run", &[("steps = 12\n[checkpoint]", "steps = 8\n[checkpoint]")]).expect("a run");
    let file = bench.path("run/step-000008/training_state/moments.safetensors");
    let mut bytes = fs_err::read(&file).expect("moments");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs_err::write(&file, bytes).expect("a flipped bit");
    let error = bench.resume("run", &[]).expect_err("a damaged checkpoint").to_string();
    assert!(error.contains("moments.safetensors is not what the manifest of its checkpoint says"), "{error}");
    fs_err::remove_dir_all(bench.path("run/step-000008")).expect("the way on");
    bench.resume("run", &[]).expect("from the checkpoint before");
}

#[test]
fn nan_stops_the_run_and_names_the_last_good_checkpoint() {
    let bench = Bench::new();
    let error = bench
        .train("run", &[("lr = 1e-2", "lr = 1e25"), ("every = 4", "every = 1")])
        .expect_err("no numbers");
    let text = error.to_string();
    assert!(text.contains("the run was stopped. The last good checkpoint is step "), "{text}");
    let events = fs_err::read_to_string(bench.path("run/events.jsonl")).expect("events");
    assert!(events.lines().last().expect("an event").starts_with("{\"kind\":\"failed\""), "{events}");
}

/// An update whose gradient is finite may still carry a parameter away.
#[test]
fn parameters_that_are_no_numbers_are_never_saved() {
    let bench = Bench::new();
    let short = ("steps = 12\n[checkpoint]", "steps = 4\n[checkpoint]");
    let wild = [short, ("lr = 1e-2", "lr = 1e-2\nclip = 1e30\nbetas = [0.0, 0.0]\nweight_decay = 1e41")];
    let error = bench.train("run", &wild).expect_err("no numbers").to_string();
    assert!(error.contains("NaN") || error.contains("inf"), "{error}");
    assert!(!bench.path("run/step-000004").exists(), "nothing of it is taken for a checkpoint");
}

#[test]
fn weights_with_nan_are_no_beginning() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a run");
    let weights = bench.path("run/step-000012/model.safetensors");
    let mut bytes = fs_err::read(&weights).expect("weights");
    // NaN in BF16, in the last element of the file.
    let last = bytes.len() - 2;
    bytes[last..].copy_from_slice(&0x7fc0_u16.to_le_bytes());
    fs_err::write(&weights, bytes).expect("spoilt");
    let from = [("[data]", "[init]\nfrom = \"run/step-000012\"\n[data]")];
    let error = bench.train("other", &from).expect_err("NaN").to_string();
    assert!(error.contains("holds 1 NaN or Inf values") && error.contains("model.safetensors"), "{error}");
    assert!(!bench.path("other").exists(), "nothing was begun");
}

/// Other tools call their folders so too.
#[test]
fn what_somebody_else_put_into_a_folder_stays() {
    let bench = Bench::new();
    for name in ["run/step-1000", "run/step-000200-hf", "run/step-000200"] {
        fs_err::create_dir_all(bench.path(name)).expect("a folder");
        fs_err::write(bench.path(name).join("weights"), "mine").expect("written");
    }
    fs_err::write(bench.path("run/step-notes.txt"), "mine").expect("written");
    bench.train("run", &[]).expect("a run beside it");
    for name in ["run/step-1000", "run/step-000200-hf", "run/step-000200"] {
        assert!(bench.path(name).join("weights").is_file(), "{name}");
    }
    bench.resume("run", &[]).expect("nothing left to do");
    assert!(bench.path("run/step-000200-hf/weights").is_file() && bench.path("run/step-notes.txt").is_file());
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let bench = Bench::new();
    let short = ("steps = 12\n[checkpoint]", "steps = 4\n[checkpoint]");
    bench.train("run", &[short]).expect("a run");
    let lock = sekisho_weights::FolderLock::take(&bench.path("run")).expect("free");
    let error = bench.resume("run", &[]).expect_err("in use").to_string();
    assert!(error.contains("is in use by process "), "{error}");
    drop(lock);
    bench.resume("run", &[]).expect("free again");
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let bench = Bench::new();
    let options = crate::TrainOptions { device: "tpu".to_owned(), ..bench.options("run") };
    let error = crate::train(&bench.spec(&[]), &options, &mut ()).expect_err("no such device");
    assert!(error.to_string().contains("\"tpu\" is not known"), "{error}");
    assert!(!bench.path("run").exists(), "nothing was begun");
}
