//! Workers as processes, and by a command that stands for PBS or Kubernetes.

use serde_json::Value;
use tests::benchmark::Benchmark;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::{Options, Service, text};
use tests::wait::until;

const SMALL: Recipe = Recipe { hidden: 32, layers: 1, seed: 3, shards: 1 };
const PATIENCE: u64 = 60;

/// A service with one launcher, and a checkpoint that is evaluated by its worker.
fn evaluated(launcher: &str) -> (Service, Vec<Value>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 8, 40);
    let launcher = launcher.replace("FOLDER", &folder.path().display().to_string());
    let config = format!("{}[launchers.more]\nidle = 1\n{launcher}", benchmark.config());
    fs_err::write(folder.path().join("qsub"), QSUB).expect("written");
    fs_err::write(folder.path().join("job.toml"), "name = \"{name}\"\ncount = {count}\n").expect("written");
    let service = Service::with(Options { config, ..Options::default() });
    let model = folder.path().join("model");
    SMALL.write(&model);
    let checkpoint = service.ingest(&model, "run", 1, 1000);
    let _ = service.finished_evaluation(&checkpoint, PATIENCE);
    let launches = until("its end", PATIENCE, || {
        let launches = launches(&service);
        launches.iter().all(|launch| launch["state"] == "ended").then_some(launches)
    });
    (service, launches, folder)
}

fn launches(service: &Service) -> Vec<Value> {
    let mut command = service.command(&["queue", "launches", "--json"]);
    cli::run(&mut command).exits(0).json().as_array().expect("a list").clone()
}

/// Stands for a batch system: starts a script apart from who asks, and knows it by its process.
const QSUB: &str = "#!/bin/bash
case $1 in
submit) nohup setsid bash \"$2\" > \"$3/logs/0.log\" 2>&1 < /dev/null & echo \"$!.stand-in\" ;;
stat) kill -0 \"${2%.stand-in}\" 2>/dev/null && echo \"$2 R\" || { echo \"qstat: Unknown Job Id $2\" >&2; exit 153; } ;;
esac
";

#[test]
fn processes_work_and_end() {
    let (service, launches, _folder) = evaluated("kind = \"processes\"\nlimit = 2\n");
    assert_eq!(launches.len(), 1, "one item is one worker");
    assert_eq!(launches[0]["tasks"][0]["state"], "ended");
    let mut show = service.command(&["queue", "show", text(&launches[0]["id"]), "--logs", "--json"]);
    let shown = cli::run(&mut show).exits(0).json();
    assert!(text(&shown["papers"]["logs"][0]["text"]).contains("--max-idle; ended"), "{shown:#}");
}

#[test]
fn a_command_template_starts_workers_of_a_stand_in() {
    let launcher = "kind = \"command\"\nstart = [\"bash\", \"FOLDER/qsub\", \"submit\", \"{script}\", \"{folder}\"]\n\
                    look = [\"bash\", \"FOLDER/qsub\", \"stat\", \"{job}\"]\nalive = [\" R\"]\ngone = [\"Unknown Job Id\"]\ntemplate = \"job.toml\"\n";
    let launcher = launcher.replace("\"job.toml\"", "\"FOLDER/job.toml\"");
    let (service, launches, _folder) = evaluated(&launcher);
    assert_eq!(launches.len(), 1);
    assert!(text(&launches[0]["job"]).ends_with(".stand-in"));
    let file = std::path::Path::new(text(&launches[0]["folder"])).join("job.yaml");
    let filled = fs_err::read_to_string(file).expect("filled in");
    assert_eq!(filled, format!("name = \"sekisho-{}\"\ncount = 1\n", text(&launches[0]["id"])));
    let mut cancel = service.command(&["queue", "cancel", text(&launches[0]["id"])]);
    cli::run(&mut cancel).exits(4);
}

#[test]
fn a_launcher_that_cannot_be_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (launcher, says) in [
        ("kind = \"slurmm\"", "slurmm"),
        ("limit = 2", "name one of processes, slurm, command"),
        ("kind = \"command\"\nstart = [\"qsub\"]", "needs start and look"),
        ("kind = \"slurm\"\nflags = [\"--time=1\\n--account=x\"]", "one line"),
        ("kind = \"slurm\"\nitems = 0", "at least 1"),
    ] {
        let file = folder.path().join("sekisho.toml");
        fs_err::write(&file, format!("[launchers.x]\n{launcher}\n")).expect("written");
        let mut command = cli::command(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--config").arg(&file).arg("--dir").arg(folder.path().join("data"));
        let ended = cli::run(&mut command).exits(1);
        assert!(ended.stderr.contains(says), "{launcher}: {}", ended.stderr);
    }
}
