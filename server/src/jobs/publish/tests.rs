use sekisho_domain::wire::RegisterRun;
use sekisho_domain::{Step as RunStep, Tokens};
use sekisho_store::AuditFilter;
use tempfile::TempDir;

use super::*;
use crate::service::runs;
use crate::web::pages::fixtures;
use crate::{Config, serve};

/// An application with one release in this state.
pub(in crate::jobs) async fn app(folder: &TempDir, state: ReleaseState) -> (App, Release) {
    let config = Config::defaults(folder.path()).expect("a configuration");
    let app = serve::open_app(config).await.expect("an application").0;
    let author = people::add_user(&app, None, "mori", &[]).await.expect("an account");
    let request = RegisterRun { name: "r".to_owned(), ..RegisterRun::default() };
    let (run, _) = runs::register(&app, &request, "mori").await.expect("a run");
    let checkpoint =
        checkpoints::add(&app, &run, RunStep(1), Tokens(1), folder.path(), false).await.expect("added");
    let release = Release { checkpoint: checkpoint.id, author: author.id, state, ..fixtures::release() };
    let audit = entry(&app, release.id, "release.propose", "done", serde_json::Value::Null);
    app.store.add_release(&release, &audit).await.expect("added");
    (app, release)
}

#[tokio::test]
async fn a_panic_stops_one_publication_and_is_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, release) = app(&folder, ReleaseState::Publishing).await;
    let nothing = Text { en: String::new(), ja: String::new() };
    write(&app, release.id, Step::Probe, StepState::Done, &nothing).await.expect("written");
    write(&app, release.id, Step::Preflight, StepState::Intended, &nothing).await.expect("written");
    assert_eq!(interrupted(&app).await.expect("a list"), [release.id], "as a kill leaves it");

    guarded(&app, release.id, async { panic!("no way through") }).await.expect("written down");
    let steps = app.store.steps(release.id).await.expect("steps");
    let last = steps.last().expect("a step");
    assert_eq!((last.name.as_str(), last.state), ("preflight", StepState::Failed));
    assert!(last.detail.en.contains("a fault of Sekisho (no way through)"), "{}", last.detail.en);
    let log = app.store.audit(&AuditFilter::default(), None, 1).await.expect("a log");
    let audit = &log[0].entry;
    assert_eq!((&audit["result"], &audit["detail"]["code"]), (&"failed".into(), &"publish-panic".into()));
    assert_eq!(interrupted(&app).await.expect("a list"), [], "a person asks again");
}
