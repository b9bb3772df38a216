//! Workers started by a real Slurm on this machine.

use std::path::Path;

use serde_json::Value;
use tests::benchmark::Benchmark;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::{Options, Service, text};
use tests::slurm::Slurm;
use tests::wait::until;

/// Longest time for anything, in seconds.
const PATIENCE: u64 = 80;
const SMALL: Recipe = Recipe { hidden: 32, layers: 1, seed: 3, shards: 1 };
const SLOW: Recipe = Recipe { hidden: 192, layers: 4, seed: 3, shards: 1 };

/// A service whose workers Slurm starts.
struct Cluster {
    service: Service,
    folder: tempfile::TempDir,
    // Jobs end after the service, which would start others.
    slurm: Slurm,
}

impl Cluster {
    fn start(items: u64, length: usize, more: &str) -> Option<Self> {
        let slurm = Slurm::start()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), items, length);
        let launcher = format!(
            "{}[launchers.nodes]\nkind = \"slurm\"\nlimit = 8\nidle = 3\nworker = [\"--threads\", \"1\"]\nconf = {:?}\n{more}",
            benchmark.config(),
            slurm.conf()
        );
        let service = Service::with(Options { config: launcher, ..Options::default() });
        Some(Self { service, folder, slurm })
    }

    /// A checkpoint to evaluate.
    fn ingest(&self, recipe: Recipe, step: u64) -> Value {
        let model = self.folder.path().join(format!("model-{step}"));
        Recipe { seed: u32::try_from(step).expect("few"), ..recipe }.write(&model);
        self.service.ingest(&model, "run", step, 1000 * step)
    }

    fn queue(&self, arguments: &[&str]) -> Value {
        let mut command = self.service.command(&[&["queue"], arguments, &["--json"]].concat());
        cli::run(&mut command).exits(0).json()
    }

    /// What was started, the oldest first.
    fn launches(&self) -> Vec<Value> {
        let mut launches = self.queue(&["launches"]).as_array().expect("a list").clone();
        launches.reverse();
        launches
    }

    /// Waits until a launch is as it should be.
    fn launch(&self, number: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, || self.launches().into_iter().nth(number).filter(|launch| is_so(launch)))
    }

    fn finished(&self, checkpoint: &Value) -> u64 {
        let evaluation = self.service.evaluation(checkpoint).expect("queued");
        evaluation["tasks"][0]["finished"].as_u64().unwrap_or(0)
    }

    /// Waits until some answers are in.
    fn in_the_middle(&self, checkpoint: &Value) -> u64 {
        until("the first answers", PATIENCE, || {
            Some(self.finished(checkpoint)).filter(|finished| *finished > 0)
        })
    }
}

fn tasks(launch: &Value) -> Vec<&str> {
    launch["tasks"].as_array().expect("a list").iter().map(|task| text(&task["state"])).collect()
}

fn is_running(launch: &Value) -> bool {
    tasks(launch) == ["running"]
}

#[test]
fn slurm_starts_just_enough_workers_and_they_end() {
    let Some(cluster) = Cluster::start(8, 40, "throttle = 2\n") else { return };
    cluster.queue(&["pause", "nodes"]);
    let checkpoints: Vec<Value> = (1..=3).map(|step| cluster.ingest(SMALL, step)).collect();
    assert!(cluster.launches().is_empty(), "it is paused");
    cluster.queue(&["resume", "nodes"]);
    for checkpoint in &checkpoints {
        let _ = cluster.service.finished_evaluation(checkpoint, PATIENCE);
    }
    cluster.launch(0, "the first array's end", |launch| launch["state"] == "ended");
    cluster.launch(1, "the second array's end", |launch| launch["state"] == "ended");
    let launches = cluster.launches();
    let workers: Vec<usize> = launches.iter().map(|launch| tasks(launch).len()).collect();
    assert_eq!(workers, [2, 1], "three items, and an array takes two");
    assert_eq!(tasks(&launches[0]), ["ended", "ended"]);
    let folder = Path::new(text(&launches[0]["folder"]));
    let script = fs_err::read_to_string(folder.join("worker.sh")).expect("a script");
    assert!(
        script.contains("#SBATCH --array=0-1%2\n") && script.contains("#SBATCH --signal=B:USR1@120\n"),
        "{script}"
    );
    assert!(!script.contains("sek_"), "no secret stands in it");
    let shown = cluster.queue(&["show", text(&launches[0]["id"]), "--logs"]);
    assert!(text(&shown["papers"]["logs"][1]["text"]).contains("ended"), "{shown:#}");
    // People run it again by hand: nothing waits, so it ends.
    let id = cluster
        .slurm
        .ask("sbatch", &["--parsable", "--wait", &folder.join("worker.sh").display().to_string()]);
    assert!(!id.trim().is_empty(), "sbatch takes the script as it lies there");
}

#[test]
fn a_killed_slurm_task_and_a_cancelled_job_lose_nothing() {
    let Some(cluster) = Cluster::start(160, 400, "") else { return };
    let checkpoint = cluster.ingest(SLOW, 1);
    let before = cluster.in_the_middle(&checkpoint);
    let first = cluster.launch(0, "a running task", is_running);
    let task = format!("{}_0", text(&first["job"]));
    let _ = cluster.slurm.ask("scancel", &["--full", "--signal=KILL", &task]);
    cluster.launch(0, "its end", |launch| launch["state"] == "ended");
    // Its item is free at once: a lease is longer than this test waits.
    let second = cluster.launch(1, "another task", is_running);
    until("more answers", 40, || (cluster.finished(&checkpoint) > before).then_some(()));
    cluster.queue(&["pause", "nodes"]);
    cluster.queue(&["cancel", text(&second["id"])]);
    let second = cluster.launch(1, "the cancelled job's end", |launch| launch["state"] == "ended");
    assert_eq!((tasks(&second), text(&second["asked"])), (vec!["cancelled"], ""));
    cluster.queue(&["requeue", text(&second["id"]), "0"]);
    cluster.launch(1, "the same task once more", |launch| launch["state"] == "active");
    cluster.queue(&["resume", "nodes"]);
    let evaluation = cluster.service.finished_evaluation(&checkpoint, PATIENCE);
    let records = cluster.service.records(&evaluation, tests::benchmark::TASK);
    assert_eq!(records.len(), 160, "every item once");
}

#[test]
fn before_its_time_limit_a_slurm_worker_hands_over_what_it_has() {
    let Some(cluster) = Cluster::start(2000, 400, "flags = [\"--time=1\"]\nsignal = 30\n") else { return };
    let checkpoint = cluster.ingest(SLOW, 1);
    let before = cluster.in_the_middle(&checkpoint);
    let first = cluster.launch(0, "the end before the limit", |launch| launch["state"] == "ended");
    assert_eq!(tasks(&first), ["ended"], "it ended by itself: {first:#}");
    let papers = cluster.queue(&["show", text(&first["id"]), "--logs"]);
    assert!(text(&papers["papers"]["logs"][0]["text"]).contains("drained"), "{papers:#}");
    let after = cluster.finished(&checkpoint);
    assert!(after > before && after < 2000, "{after}");
    cluster.launch(1, "another worker for the rest", is_running);
    let evaluation = cluster.service.evaluation(&checkpoint).expect("queued");
    assert_eq!(evaluation["tasks"][0]["state"], "running");
}

#[test]
fn a_controller_and_a_service_that_are_away_for_a_while_lose_no_job() {
    let Some(mut cluster) = Cluster::start(400, 400, "") else { return };
    let checkpoint = cluster.ingest(SLOW, 1);
    let _ = cluster.in_the_middle(&checkpoint);
    cluster.launch(0, "a running task", is_running);
    cluster.slurm.stop_controller();
    let lost = cluster
        .launch(0, "word of the controller", |launch| text(&launch["message"]).contains("Unable to contact"));
    assert!(is_running(&lost), "nothing else is known: {lost:#}");
    let before = cluster.finished(&checkpoint);
    until("answers meanwhile", 40, || (cluster.finished(&checkpoint) > before).then_some(()));
    cluster.service.terminate();
    cluster.slurm.start_controller();
    cluster.service.restart();
    cluster.launch(0, "the same job", |launch| is_running(launch) && text(&launch["message"]).is_empty());
    let _ = cluster.service.finished_evaluation(&checkpoint, PATIENCE);
    assert_eq!(cluster.launches().len(), 1, "no other worker was needed");
}

#[test]
fn what_a_site_says_to_a_refused_job_is_shown() {
    let Some(cluster) = Cluster::start(8, 40, "flags = [\"--partition=nope\"]\n") else { return };
    let _ = cluster.ingest(SMALL, 1);
    let refused = cluster.launch(0, "a refusal", |launch| launch["state"] == "refused");
    assert!(text(&refused["message"]).contains("invalid partition specified: nope"), "{refused:#}");
    let launcher = &cluster.queue(&["launchers"])[0];
    assert!(
        text(&launcher["message"]).contains("invalid partition") && launcher["again"].is_string(),
        "{launcher:#}"
    );
    assert_eq!(launcher["workers"], 0);
    let page = cluster.service.session("admin").get("/queue").text;
    assert!(page.contains("invalid partition specified: nope"), "the page says it too");
    assert!(
        !cluster.service.visitor().get("/queue").text.contains("invalid partition"),
        "strangers are not told"
    );
}
