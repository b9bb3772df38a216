//! Named checks 2, 3, 5 and 6 through the whole service: a Hub that loses answers, that is written to by somebody else, that stores
//! other bytes, or that shows what should be hidden. The publisher alone is tested in `release_hub_*`.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions};
use tests::service::text;
use tokio::runtime::Runtime;

use crate::lab::{Lab, REPO, lineage};

/// Calls that carry anything of a file.
const CARRY: [Call; 5] = [Call::Preupload, Call::LfsPut, Call::LfsBatch, Call::XetToken, Call::Commit];

fn stage(options: HubOptions) -> (HubDouble, Lab, String) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
    let hub = runtime.block_on(HubDouble::start(options));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    (hub, lab, id)
}

/// Publishes in vain; answers the release, and what its page says in Japanese.
fn stopped(lab: &Lab, id: &str) -> (Value, String) {
    lab.release(&["publish", "--wait", id]).exits(1).says(&["The publication stopped"]);
    let page = lab.service.visitor().get(&format!("/releases/{id}?lang=ja")).has(200).text;
    (lab.show(id), page)
}

/// The step that failed, and its sentence.
fn failed(release: &Value) -> (&str, &str) {
    let steps = release["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["state"] == "failed").unwrap_or_else(|| panic!("{release:#}"));
    (text(&step["name"]), text(&step["detail"]["en"]))
}

#[test]
fn a_lost_answer_ends_published_with_one_commit_and_no_error() {
    for xet in [false, true] {
        let (hub, lab, id) = stage(HubOptions { xet, ..HubOptions::default() });
        for call in [Call::Create, Call::Commit, Call::Tag, Call::Settings] {
            hub.inject(call, Fault::LostResponse);
        }
        lab.release(&["publish", "--wait", &id]).exits(0);
        let release = lab.show(&id);
        assert_eq!(release["state"], "published");
        assert_eq!((hub.count(Call::Commit), hub.commits(REPO, "main").len()), (1, 2), "sent once, one more");
        assert_eq!(hub.tags(REPO), [(format!("release-{id}"), text(&release["commit"]).to_owned())]);
        assert!(!lab.audit(&id).iter().any(|line| line.3 == "failed"), "{:?}", lab.audit(&id));
    }
}

#[test]
fn a_foreign_commit_stops_it_and_people_see_which() {
    for xet in [false, true] {
        let (hub, lab, id) = stage(HubOptions { xet, ..HubOptions::default() });
        hub.inject(Call::Commit, Fault::ForeignCommit(REPO.to_owned()));
        let (release, page) = stopped(&lab, &id);
        let foreign = hub.commits(REPO, "main")[0].clone();
        assert!(hub.log().iter().any(|logged| logged.call == Call::Commit && logged.status == 412));
        assert_eq!(hub.paths(REPO, "main"), [".gitattributes", "foreign.txt"], "nothing was overwritten");
        assert_eq!((hub.tags(REPO).len(), hub.is_private(REPO)), (0, Some(true)));
        let (step, says) = failed(&release);
        assert!(step == "commit" && says.contains(&foreign), "{step}: {says}");
        assert!(page.contains(&foreign), "the page names the foreign commit");
        // Asked for again it does not write over somebody else's files either.
        let (release, _) = stopped(&lab, &id);
        assert!(failed(&release).1.contains("foreign.txt"), "{release:#}");
        assert_eq!(hub.commits(REPO, "main")[0], foreign);
    }
}

#[test]
fn a_stored_object_that_was_changed_is_found_and_stays_private() {
    for (xet, path) in [(false, "model.safetensors"), (true, "model.safetensors"), (false, "config.json")] {
        let (hub, lab, id) = stage(HubOptions { xet, ..HubOptions::default() });
        hub.inject(Call::Commit, Fault::Corrupt(REPO.to_owned(), path.to_owned()));
        let (release, page) = stopped(&lab, &id);
        let (step, says) = failed(&release);
        assert!(step == "compare" && says.contains(path), "{step}: {says}");
        assert!(page.contains(path));
        assert_eq!((hub.tags(REPO).len(), hub.is_private(REPO)), (0, Some(true)));
    }
}

#[test]
fn what_might_be_seen_by_everybody_gets_no_byte() {
    let traps: [(&str, HubOptions, fn(&HubDouble)); 4] = [
        ("there and public", HubOptions::default(), |hub| hub.add_repo(REPO, false, None)),
        ("made public", HubOptions { ignores_private: true, ..HubOptions::default() }, |_| {}),
        (
            "made public, Xet",
            HubOptions { ignores_private: true, xet: true, ..HubOptions::default() },
            |_| {},
        ),
        ("somebody else's", HubOptions::default(), |hub| hub.inject(Call::Create, Fault::Status(409))),
    ];
    for (what, options, set) in traps {
        let (hub, lab, id) = stage(options);
        set(&hub);
        let (release, _) = stopped(&lab, &id);
        assert_eq!(failed(&release).0, "create", "{what}: {release:#}");
        for call in CARRY {
            assert_eq!(hub.count(call), 0, "{what}: {call:?}");
        }
        assert_eq!(hub.stored_objects(), 0, "{what}");
        assert_eq!(json!([release["state"], release["commit"]]), json!(["publishing", null]), "{what}");
    }
}
