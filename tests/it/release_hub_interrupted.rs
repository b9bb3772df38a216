//! The crash matrix: a publication cut off before or after each step, and asked for again, ends as if nothing had happened.

use sekisho_hub::{PublishError, Step};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions, WRITER};
use tests::publication::{Moment, REPO, Recorder, Release, no_progress};

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_cut_off_anywhere_is_finished_by_asking_again() {
    for xet in [false, true] {
        for &step in Step::ALL {
            for moment in [Moment::Before, Moment::After] {
                cut_off_and_finish(xet, step, moment).await;
            }
        }
    }
}

async fn cut_off_and_finish(xet: bool, step: Step, moment: Moment) {
    let at = format!("xet: {xet}, {moment:?} {step}");
    let hub = HubDouble::start(HubOptions { xet, ..HubOptions::default() }).await;
    let release = Release::new();
    let journal = Recorder::stopping_at(step, moment);
    let cut = release.publisher(&hub, WRITER).publish(&release.bundle, &journal, no_progress()).await;
    assert!(
        matches!(cut, Err(PublishError::Journal { step: stopped, .. }) if stopped == step),
        "{at}: {cut:?}"
    );
    let released = step > Step::Visibility || (step == Step::Visibility && moment == Moment::After);
    assert_eq!(hub.is_private(REPO) == Some(false), released, "{at}: public only by the last step that acts");

    let published = release.publish(&hub, WRITER).await.expect("finished");
    let commits = hub.commits(REPO, "main");
    assert_eq!((commits.len(), &commits[0]), (2, &published.commit), "{at}: one commit");
    assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), published.commit)], "{at}: one tag");
    assert_eq!(hub.is_private(REPO), Some(false), "{at}");
    let uploads = hub.count(Call::LfsPut);
    assert!(uploads <= 1, "{at}: stored bytes are not sent again, but {uploads} times");
}

/// The remote effect of a step happened, its answer was lost, and the service died: nothing but the Hub knows.
#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_nobody_recorded_is_found() {
    for (call, step) in [
        (Call::Create, Step::Create),
        (Call::Commit, Step::Commit),
        (Call::Tag, Step::Tag),
        (Call::Settings, Step::Visibility),
    ] {
        let hub = HubDouble::start(HubOptions::default()).await;
        hub.inject(call, Fault::LostResponse);
        let release = Release::new();
        let journal = Recorder::stopping_at(step, Moment::After);
        let cut = release.publisher(&hub, WRITER).publish(&release.bundle, &journal, no_progress()).await;
        assert!(cut.is_err(), "{call:?}");
        let published = release.publish(&hub, WRITER).await.expect("finished");
        assert_eq!(hub.commits(REPO, "main").len(), 2, "{call:?}");
        assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), published.commit)], "{call:?}");
    }
}

/// Neither the answer to the commit nor the branch could be read: the step is left open, and asking again finds the commit.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_nobody_can_see_is_no_failure() {
    let hub = HubDouble::start(HubOptions::default()).await;
    hub.inject(Call::Commit, Fault::LostFromSight);
    let (release, journal) = (Release::new(), Recorder::default());
    let publisher = release.publisher(&hub, WRITER);
    let error = publisher.publish(&release.bundle, &journal, no_progress()).await.expect_err("lost");
    assert_eq!(error.code(), "hub-outcome", "{error}");
    let last = journal.lines().pop().expect("recorded");
    assert!(
        last.starts_with("unknown commit: Whether lab/mini (main) holds the commit is not known"),
        "{last}"
    );
    release.publish(&hub, WRITER).await.expect("found");
    assert_eq!((hub.count(Call::Commit), hub.commits(REPO, "main").len()), (1, 2), "not sent again");

    // What the Hub refuses in so many words has failed, whatever the branch says.
    let hub = HubDouble::start(HubOptions::default()).await;
    let (release, journal) = (Release::new(), Recorder::default());
    hub.inject(Call::Commit, Fault::Status(403));
    let publisher = release.publisher(&hub, WRITER);
    let error = publisher.publish(&release.bundle, &journal, no_progress()).await.expect_err("refused");
    assert_eq!(error.code(), "hub-answer", "{error}");
    assert!(journal.lines().iter().any(|line| line.starts_with("failed commit")));
}

/// The journal may stop the last step: approvals that no longer hold leave the repository private.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_becomes_public_when_the_journal_says_no() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let journal = Recorder::stopping_at(Step::Visibility, Moment::Before);
    let publisher = release.publisher(&hub, WRITER);
    let error = publisher.publish(&release.bundle, &journal, no_progress()).await.expect_err("stopped");
    assert_eq!(error.code(), "hub-journal");
    assert_eq!(hub.is_private(REPO), Some(true));
    assert_eq!(hub.tags(REPO).len(), 1, "everything else is in place");
}
