//! The dry run: it looks at everything and touches nothing.

use sekisho_domain::lineage::Gating;
use sekisho_hub::{BundleFile, Existing, Plan, RepositoryNow, What};
use tests::hub_double::{Call, FINE_READER, HubDouble, HubOptions, READER, WRITER};
use tests::publication::{REPO, Release};

async fn plan(hub: &HubDouble, release: &Release) -> Plan {
    let before = hub.log().len();
    let plan = release.publisher(hub, WRITER).plan(&release.bundle).await.expect("planned");
    for request in hub.log().into_iter().skip(before) {
        assert!(request.method == "GET" && request.body == 0, "{request:?}");
    }
    for line in plan.lines() {
        assert!(!line.en.is_empty() && !line.ja.is_empty(), "{line:?}");
    }
    plan
}

fn paths(plan: &Plan, what: What) -> Vec<&str> {
    plan.files.iter().filter(|file| file.what == what).map(|file| file.path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_is_foreseen() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let plan = plan(&hub, &release).await;
    assert_eq!(hub.is_private(REPO), None, "not made");
    assert_eq!((plan.account.as_str(), plan.token.as_deref()), ("sekisho-bot", Some("write")));
    assert_eq!(plan.repository, RepositoryNow::Absent);
    assert_eq!(paths(&plan, What::New).len(), release.bundle.files.len());
    assert_eq!(plan.bytes_to_send(), release.bundle.files.iter().map(|file| file.size).sum::<u64>());
    let settings: Vec<_> = plan.settings.iter().map(|change| (change.setting, change.to.as_str())).collect();
    assert_eq!(settings, [("visibility", "public")]);
    assert!(plan.tag.as_ref().is_some_and(|tag| tag.commit.is_none()));
    assert_eq!(plan.objections, []);
    let json = serde_json::to_value(&plan).expect("JSON");
    assert_eq!(json["repository"]["state"], "absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_foreseen_and_what_is_done_needs_nothing() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let mut release = Release::new();
    let first = release.publish(&hub, WRITER).await.expect("published");
    let done = plan(&hub, &release).await;
    assert_eq!((done.bytes_to_send(), done.settings.len(), done.removed.len()), (0, 0, 0));
    assert_eq!(done.objections, [], "the tag is at that very commit");

    release.bundle.existing = Existing::Update;
    release.bundle.gating = Gating::Manual;
    release.bundle.tag = Some("v1.1".to_owned());
    release.bundle.files.retain(|file| file.path != "evals/ja/結果.json");
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    release.bundle.files.push(BundleFile::memory("NOTICE", *b"n"));
    let update = plan(&hub, &release).await;
    assert_eq!(
        (paths(&update, What::New), paths(&update, What::Changed)),
        (vec!["NOTICE"], vec!["config.json"])
    );
    assert_eq!(update.removed, ["evals/ja/結果.json"]);
    assert_eq!(update.bytes_to_send(), 4);
    let RepositoryNow::Present { private, head, .. } = &update.repository else { panic!("{update:?}") };
    assert_eq!((*private, head.as_ref()), (false, Some(&first.commit)));
    assert_eq!(update.settings[0].to, "manual");
    assert_eq!(update.objections, []);

    // And it comes as it was foreseen.
    release.publish(&hub, WRITER).await.expect("published");
    assert_eq!(plan(&hub, &release).await.bytes_to_send(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stop_it_is_said() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let mut release = Release::new();
    release.publish(&hub, WRITER).await.expect("published");
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    let codes = |plan: &Plan| plan.objections.iter().map(|objection| objection.code).collect::<Vec<_>>();
    assert_eq!(codes(&plan(&hub, &release).await), ["hub-already-public", "hub-tag"]);
    release.bundle.revision = "beta".to_owned();
    release.bundle.existing = Existing::Beside;
    release.bundle.tag = None;
    let beside = plan(&hub, &release).await;
    assert_eq!(codes(&beside), [""; 0]);
    let RepositoryNow::Present { head, .. } = &beside.repository else { panic!("{beside:?}") };
    assert_eq!(*head, None, "the branch would be made from main");
    assert_eq!(hub.count(Call::Branch), 0);

    let hub = HubDouble::start(HubOptions::default()).await;
    hub.add_repo(REPO, true, Some(("notes.md", b"mine\n")));
    let foreign = plan(&hub, &Release::new()).await;
    assert_eq!(codes(&foreign), ["hub-foreign-files"]);
    assert!(foreign.lines().iter().any(|line| line.en.contains("notes.md")));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_rights_and_changed_files_are_errors_at_once() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    for (token, code) in
        [(READER, "hub-forbidden"), (FINE_READER, "hub-forbidden"), ("hf_unknown", "hub-token")]
    {
        let error = release.publisher(&hub, token).plan(&release.bundle).await.expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
    }
    fs_err::write(release.weights(), b"other").expect("written");
    let error = release.publisher(&hub, WRITER).plan(&release.bundle).await.expect_err("refused");
    assert_eq!(error.code(), "hub-file-changed");
}
