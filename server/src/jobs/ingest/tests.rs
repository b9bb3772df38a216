use sekisho_domain::Tokens;
use sekisho_domain::wire::RegisterRun;
use tempfile::TempDir;

use super::*;
use crate::{Config, serve};

async fn app(folder: &TempDir) -> App {
    let config = Config::defaults(folder.path()).expect("a configuration");
    serve::open_app(config).await.expect("an application").0
}

/// One folder cannot be examined, whatever is tried; the other breaks a rule.
fn examine(path: &Path) -> Result<Inspected, Refusal> {
    assert!(!path.ends_with("hard"), "no way through {}", path.display());
    Err(Refusal::TiedDiffers)
}

#[tokio::test]
async fn a_panic_refuses_one_checkpoint_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = app(&folder).await;
    let request = RegisterRun { name: "r".to_owned(), ..RegisterRun::default() };
    let (run, _) = runs::register(&app, &request, "mori").await.expect("a run");
    let mut ids = Vec::new();
    for (step, name) in [(1, "hard"), (2, "easy")] {
        let path = folder.path().join(name);
        let added = checkpoints::add(&app, &run, Step(step), Tokens(1), &path, false).await.expect("added");
        ids.push(added.id);
    }
    pass(&app, examine).await.expect("a pass");
    let mut reasons = Vec::new();
    for id in ids {
        let found = app.store.checkpoint(id).await.expect("store").expect("there");
        assert_eq!(found.state, CheckpointState::Refused);
        reasons.push(found.refusal.expect("a reason"));
    }
    assert!(reasons[0].en.contains("a fault of Sekisho (no way through "), "{}", reasons[0].en);
    assert_eq!(reasons[1].en, Refusal::TiedDiffers.to_string());
}

#[test]
fn what_could_not_be_kept_names_its_own_way_on() {
    let text = |error: std::io::Error| not_kept(&error).en;
    let full = text(std::io::Error::from(std::io::ErrorKind::StorageFull));
    assert!(full.ends_with("Free some space and hand it over again."), "{full}");
    let denied = text(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    assert!(!denied.contains("space"), "{denied}");
    let changed = text(copies::changed(Path::new("model.safetensors")));
    assert!(changed.starts_with("model.safetensors changed after it was examined. Hand"), "{changed}");
}
