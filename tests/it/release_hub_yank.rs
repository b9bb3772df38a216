//! A release that is withdrawn, and one that is followed by another: the cards change, the weights and the tag stay.

use sekisho_hub::{BundleFile, CardRevision, Hide, PublishError, Revised, Step, Tombstone, with_new_version};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions, READER, WRITER};
use tests::publication::{Moment, REPO, Recorder, Release};

const STONE: &str = "---\nlicense: apache-2.0\n---\n# mini was withdrawn\n\nCopies that were downloaded cannot be recalled.\n";
const STONE_JA: &str = "# miniは取り下げられました\n";

fn tombstone(hide: Hide) -> Tombstone {
    let files = vec![
        BundleFile::memory("README.md", STONE.as_bytes()),
        BundleFile::memory("README_ja.md", STONE_JA.as_bytes()),
    ];
    let card = CardRevision {
        repo: REPO.to_owned(),
        revision: "main".to_owned(),
        message: "Withdraw v1.0".to_owned(),
        files,
    };
    Tombstone { card, hide }
}

async fn published() -> (HubDouble, Release, String) {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let commit = release.publish(&hub, WRITER).await.expect("published").commit;
    (hub, release, commit)
}

async fn yank(hub: &HubDouble, release: &Release, hide: Hide) -> Result<Revised, PublishError> {
    release.publisher(hub, WRITER).yank(&tombstone(hide), &Recorder::default()).await
}

/// Everything but the cards is as it was published.
fn withdrawn(hub: &HubDouble, release: &Release, at: &str) {
    assert_eq!(hub.bytes(REPO, "main", "README.md").expect("there"), STONE.as_bytes(), "{at}");
    assert_eq!(hub.bytes(REPO, "main", "README_ja.md").expect("there"), STONE_JA.as_bytes(), "{at}");
    for file in release.bundle.files.iter().filter(|file| file.path != "README.md") {
        let there = hub.bytes(REPO, "main", &file.path).expect("still there");
        assert_eq!(sekisho_domain::Sha256::of(there), file.sha256, "{at}: {}", file.path);
    }
    assert_eq!(hub.commits(REPO, "main").len(), 3, "{at}: one commit more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_withdrawn_as_far_as_it_can_be() {
    for (hide, private, gating) in
        [(Hide::Nothing, false, "none"), (Hide::Gate, false, "manual"), (Hide::Private, true, "none")]
    {
        let (hub, release, commit) = published().await;
        let journal = Recorder::default();
        let revised =
            release.publisher(&hub, WRITER).yank(&tombstone(hide), &journal).await.expect("withdrawn");
        withdrawn(&hub, &release, &format!("{hide:?}"));
        assert_eq!(hub.commits(REPO, "main")[0], revised.commit);
        assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), commit)], "the tag stays");
        assert_eq!((hub.is_private(REPO), hub.gating(REPO).as_str()), (Some(private), gating), "{hide:?}");
        assert_eq!(hub.count(Call::LfsPut), 1, "no weights are sent");
        assert!(journal.lines().iter().any(|line| line.starts_with("done commit")));

        assert_eq!(yank(&hub, &release, hide).await.expect("as it is"), revised, "asked again");
        assert_eq!(hub.commits(REPO, "main").len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_cut_off_anywhere_is_finished_by_asking_again() {
    for hide in [Hide::Gate, Hide::Private] {
        for &step in Step::ALL {
            for moment in [Moment::Before, Moment::After] {
                let at = format!("{hide:?}, {moment:?} {step}");
                let (hub, release, _) = published().await;
                let journal = Recorder::stopping_at(step, moment);
                let cut = release.publisher(&hub, WRITER).yank(&tombstone(hide), &journal).await;
                let takes = match step {
                    Step::Gating => hide == Hide::Gate,
                    Step::Visibility => hide == Hide::Private,
                    Step::Tag | Step::Anonymous => false,
                    _ => true,
                };
                assert_eq!(cut.is_err(), takes, "{at}: {cut:?}");
                yank(&hub, &release, hide).await.expect("finished");
                withdrawn(&hub, &release, &at);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_and_a_foreign_commit_stops_it() {
    let (hub, release, _) = published().await;
    hub.inject(Call::Commit, Fault::LostResponse);
    hub.inject(Call::Settings, Fault::LostResponse);
    yank(&hub, &release, Hide::Private).await.expect("found");
    withdrawn(&hub, &release, "lost");
    assert_eq!(hub.is_private(REPO), Some(true));

    let (hub, release, _) = published().await;
    hub.inject(Call::Commit, Fault::ForeignCommit(REPO.to_owned()));
    let error = yank(&hub, &release, Hide::Private).await.expect_err("overtaken");
    assert_eq!(error.code(), "hub-overtaken");
    assert_eq!(hub.is_private(REPO), Some(false), "a person must look first");
    // Looked at, the foreign file stays and the cards are replaced.
    yank(&hub, &release, Hide::Private).await.expect("withdrawn");
    assert!(hub.paths(REPO, "main").contains(&"foreign.txt".to_owned()));
    assert_eq!(hub.bytes(REPO, "main", "README.md").expect("there"), STONE.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_no_card_is_refused() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let error = yank(&hub, &release, Hide::Nothing).await.expect_err("absent");
    assert_eq!(error.code(), "hub-absent");
    assert!(error.ja().contains(REPO) && hub.is_private(REPO).is_none(), "{error}");

    let (hub, release, _) = published().await;
    let mut stone = tombstone(Hide::Private);
    stone.card.revision = "none".to_owned();
    let publisher = release.publisher(&hub, WRITER);
    let error = publisher.yank(&stone, &Recorder::default()).await.expect_err("no branch");
    assert_eq!(error.code(), "hub-absent");
    stone.card.revision = "main".to_owned();
    stone.card.files.push(BundleFile::memory("model.safetensors", *b"x"));
    let error = publisher.yank(&stone, &Recorder::default()).await.expect_err("weights");
    assert_eq!(error.code(), "hub-bundle");
    let reader = release.publisher(&hub, READER);
    let error = reader.yank(&tombstone(Hide::Private), &Recorder::default()).await.expect_err("a reader");
    assert_eq!(error.code(), "hub-forbidden");
    assert_eq!((hub.commits(REPO, "main").len(), hub.is_private(REPO)), (2, Some(false)), "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_is_named_on_the_old_card() {
    let (hub, release, _) = published().await;
    let publisher = release.publisher(&hub, WRITER);
    let old = publisher.read_text(REPO, "main", "README.md").await.expect("read").expect("there");
    let new = with_new_version(&old, "lab/mini-2").expect("a card");
    let card = CardRevision {
        repo: REPO.to_owned(),
        revision: "main".to_owned(),
        message: "Superseded by lab/mini-2".to_owned(),
        files: vec![BundleFile::memory("README.md", new.clone().into_bytes())],
    };
    let revised = publisher.revise(&card, &Recorder::default()).await.expect("revised");
    assert_eq!(publisher.revise(&card, &Recorder::default()).await.expect("as it is"), revised);
    let there = publisher.read_text(REPO, "main", "README.md").await.expect("read");
    assert_eq!(there, Some(new.clone()));
    assert!(new.contains("\nnew_version: lab/mini-2\n---\n# mini"), "{new}");
    assert_eq!(hub.is_private(REPO), Some(false));
    assert_eq!(publisher.read_text(REPO, "main", "none.md").await.expect("read"), None);
}
