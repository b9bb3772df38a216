//! `sekisho surgery` as a person calls it; what it computes is held in `trainer/src/surgery/tests.rs`.

use std::path::Path;

use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::Service;

use crate::bad_input::names;

fn surgery(arguments: &[&str], folders: &[&Path]) -> cli::Ended {
    cli::run(cli::command(["surgery"]).args(arguments).args(folders))
}

#[test]
fn seeds_are_averaged_into_a_checkpoint_that_the_service_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = [1, 2, 3].map(|seed| folder.path().join(format!("seed-{seed}")));
    for (seed, model) in (1..).zip(&models) {
        Recipe { seed, ..Recipe::default() }.write(model);
    }
    let to = folder.path().join("soup");
    let made = surgery(&["soup", "--json"], &[&models[0], &models[1], &models[2], &to]).exits(0).json();
    assert_eq!(made["of"].as_array().map(Vec::len), Some(3));
    let service = Service::start();
    let checkpoint = service.ingest(&to, "soup", 1, 10);
    assert_eq!(checkpoint["weights"], made["weights"]);
    let again = surgery(&["soup"], &[&models[0], &models[1], &to]).exits(4);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(names(folder.path()), ["seed-1", "seed-2", "seed-3", "soup"]);
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, to) = (folder.path().join("model"), folder.path().join("to"));
    Recipe::default().write(&model);
    let told = surgery(&["fold"], &[&folder.path().join("nowhere"), &to]).exits(1).stderr;
    assert!(told.contains("nowhere"), "{told}");
    let own = model.display().to_string();
    let told = surgery(&["expand-vocab", "--tokenizer", &own], &[&model, &to]).exits(1).stderr;
    assert!(told.contains("there is nothing to add"), "{told}");
    let told = surgery(&["soup", "--weights", "0.5,0.4"], &[&model, &model, &to]).exits(1).stderr;
    assert!(told.contains("add up to 0.9"), "{told}");
    assert_eq!(names(folder.path()), ["model"]);
    let told = surgery(&["fold"], &[&model, &to]).exits(0).stderr;
    assert!(told.contains("was rounded") && told.contains("a tensor of its own"), "{told}");
}
