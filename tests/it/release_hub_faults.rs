//! A Hub that misbehaves: that refuses at every call and with every status, that hangs, that trickles, that floods, that says one
//! thing and does another. Whatever it does: nothing is public before the last step that acts, nothing is overwritten, what went
//! wrong is said without a secret, and asking again finishes with one commit and one tag.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sekisho_domain::lineage::Visibility;
use sekisho_hub::{Patience, PublishError, Published};
use tests::hub_double::{
    Call, FINE_ELSEWHERE, FINE_READER, FINE_WRITER, Fault, HubDouble, HubOptions, WRITER,
};
use tests::publication::{REPO, Recorder, Release, no_progress};

/// Every call of a publication through LFS, in their order.
const CALLS: &[Call] = &[
    Call::WhoAmI,
    Call::ValidateCard,
    Call::Info,
    Call::Create,
    Call::Tree,
    Call::Refs,
    Call::Preupload,
    Call::LfsBatch,
    Call::LfsPut,
    Call::LfsVerify,
    Call::Commit,
    Call::Tag,
    Call::Settings,
    Call::Download,
];

const PATIENT: Patience = Patience { call: Duration::from_secs(30), upload: Duration::from_secs(30) };
const IMPATIENT: Patience = Patience { call: Duration::from_millis(400), upload: Duration::from_millis(400) };

/// As often as any call is repeated, `hf-hub`'s included.
const OFTEN: usize = 8;

async fn attempt(hub: &HubDouble, release: &Release) -> Result<Published, PublishError> {
    let publisher = release.publisher(hub, WRITER).with_patience(PATIENT);
    publisher.publish(&release.bundle, &Recorder::default(), no_progress()).await
}

/// What must hold however a publication stopped.
fn sound(hub: &HubDouble, call: Call, what: &str, error: &PublishError) {
    let (en, ja) = (error.to_string(), error.ja());
    for secret in ["hf_double", "signature=", "xet-write"] {
        assert!(!en.contains(secret) && !ja.contains(secret), "{call:?} {what}: {en}");
        assert!(!format!("{error:?}").contains(secret), "{call:?} {what}: {error:?}");
    }
    let japanese = ja.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c));
    assert!(
        en != ja && japanese && en.ends_with(['.', '?']) && ja.ends_with('。'),
        "{call:?} {what}: {en} / {ja}"
    );
    if call != Call::Download {
        assert_ne!(hub.is_private(REPO), Some(false), "{call:?} {what}: {en}");
    }
}

/// Mended, the Hub gets the same publication to its end.
async fn finishes(hub: &HubDouble, release: &Release, call: Call, what: &str) {
    hub.heal();
    let published =
        release.publish(hub, WRITER).await.unwrap_or_else(|error| panic!("{call:?} {what}: {error}"));
    let commits = hub.commits(REPO, "main");
    assert_eq!((commits.len(), &commits[0]), (2, &published.commit), "{call:?} {what}: one commit");
    assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), published.commit)], "{call:?} {what}: one tag");
    assert_eq!(hub.is_private(REPO), Some(false), "{call:?} {what}");
}

/// One kind of fault at one call, as often as it is asked; then the Hub is mended. Answers what was not as it should be.
async fn suffers(
    call: Call,
    fault: &Fault,
    patience: Patience,
    expected: &[&str],
    harmless: bool,
) -> Option<String> {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    (0..OFTEN).for_each(|_| hub.inject(call, fault.clone()));
    let (what, began) = (format!("{fault:?}"), Instant::now());
    let publisher = release.publisher(&hub, WRITER).with_patience(patience);
    let wrong = match publisher.publish(&release.bundle, &Recorder::default(), no_progress()).await {
        Ok(_) => (!harmless).then(|| format!("{call:?} {what}: published")),
        Err(error) => {
            sound(&hub, call, &what, &error);
            let known = expected.contains(&error.code());
            (!known).then(|| format!("{call:?} {what}: {}: {error}", error.code()))
        }
    };
    assert!(began.elapsed() < Duration::from_secs(90), "{call:?} {what}: {:?}", began.elapsed());
    finishes(&hub, &release, call, &what).await;
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_at_every_call_stops_soundly_and_is_finished_later() {
    let mut wrong: Vec<String> = Vec::new();
    for statuses in [[400, 401, 403], [404, 409, 412], [429, 500, 503]] {
        let all = statuses.iter().flat_map(|&status| CALLS.iter().map(move |&call| (call, status)));
        let all = all.map(|(call, status)| async move {
            let expected = [expected(call, status)];
            suffers(call, &Fault::Status(status), PATIENT, &expected, harmless(call, status)).await
        });
        wrong.extend(join_all(all).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn harmless(call: Call, status: u16) -> bool {
    match call {
        Call::ValidateCard => status == 404,
        Call::Download => !matches!(status, 401 | 403 | 404),
        _ => false,
    }
}

/// The code of the sentence.
fn expected(call: Call, status: u16) -> &'static str {
    let before_upload = CALLS.iter().take_while(|&&one| one != Call::LfsPut).any(|&one| one == call);
    match (call, status) {
        (Call::ValidateCard, 400) => "hub-card",
        (Call::Download, 401 | 403 | 404) => "hub-not-public",
        (Call::LfsPut | Call::LfsVerify, _) => "hub-object",
        (_, 401) if before_upload => "hub-token",
        (_, 403) if before_upload => "hub-forbidden",
        // Not to be seen after it was made, or taken for there already: it is somebody else's.
        (Call::Info, 404) | (Call::Create, 409) => "hub-forbidden",
        // Taken for there already, and then not found.
        (Call::Tag, 409) => "hub-tag",
        _ => "hub-answer",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_hangs_trickles_or_floods_is_left_and_finished_later() {
    // What was made or set and not answered is looked for, and not found.
    const LOST: &[&str] =
        &["hub-unreachable", "hub-malformed", "hub-object", "hub-tag", "hub-setting", "hub-forbidden"];
    let one = |call: Call, fault: Fault| async move {
        // Where the status says it all the body is not read, and the last look is only told.
        let harmless = call == Call::Download || (!matches!(fault, Fault::Hang) && said_by_status(call));
        suffers(call, &fault, IMPATIENT, LOST, harmless).await
    };
    let mut wrong: Vec<String> = Vec::new();
    for fault in [Fault::Hang, Fault::Trickle] {
        let all = CALLS.iter().map(|&call| one(call, fault.clone()));
        wrong.extend(join_all(all).await.into_iter().flatten());
    }
    for call in [Call::WhoAmI, Call::Tree, Call::Commit] {
        wrong.extend(one(call, Fault::Flood).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn said_by_status(call: Call) -> bool {
    matches!(call, Call::LfsVerify)
}

/// Everything happens, and the line breaks in the middle of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_is_no_failure_of_what_it_was_about() {
    for call in [Call::Commit, Call::Tag, Call::Settings, Call::LfsPut] {
        let hub = HubDouble::start(HubOptions::default()).await;
        hub.inject(call, Fault::Cut);
        let release = Release::new();
        let published =
            release.publish(&hub, WRITER).await.unwrap_or_else(|error| panic!("{call:?}: {error}"));
        assert_eq!(hub.commits(REPO, "main")[0], published.commit, "{call:?}");
        assert_eq!(hub.count(Call::Commit), 1, "{call:?}: not sent again");
    }
}

/// A Hub that wants to be left alone for an hour is: nobody waits that long in the middle of a publication.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_wish_for_quiet_is_passed_on() {
    let hub = HubDouble::start(HubOptions::default()).await;
    hub.inject(Call::Preupload, Fault::Busy(3600));
    let release = Release::new();
    let began = Instant::now();
    let error = attempt(&hub, &release).await.expect_err("busy");
    assert_eq!(error.code(), "hub-answer");
    assert!(error.to_string().contains("429") && began.elapsed() < Duration::from_secs(10), "{error}");
    finishes(&hub, &release, Call::Preupload, "busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_only_says_so_is_found_out() {
    let hub = HubDouble::start(HubOptions { ignores_settings: true, ..HubOptions::default() }).await;
    let error = attempt(&hub, &Release::new()).await.expect_err("found out");
    assert_eq!(error.code(), "hub-setting");
    assert_eq!(hub.is_private(REPO), Some(true));

    let hub = HubDouble::start(HubOptions { keeps_hidden: true, ..HubOptions::default() }).await;
    let error = attempt(&hub, &Release::new()).await.expect_err("found out");
    assert_eq!(error.code(), "hub-not-public");
    assert_eq!(
        error.to_string(),
        "README.md of lab/mini cannot be read without a token: the Hub answers 401, although it calls the repository public. Everything is published. Look at the repository's settings on the Hub, then resume."
    );
}

/// The last look: asked for where everybody may, told where it could not be done, an error where something else is served.
#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_sees_is_looked_at_once_it_is_public() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let journal = Recorder::default();
    release
        .publisher(&hub, WRITER)
        .publish(&release.bundle, &journal, no_progress())
        .await
        .expect("published");
    let last = journal.lines().pop().expect("recorded");
    assert_eq!(last, "done anonymous: README.md and model.safetensors can be read without a token");
    let looks: Vec<_> = hub.log().into_iter().filter(|logged| logged.call == Call::Download).collect();
    assert_eq!(looks.len(), 2);
    assert!(looks.iter().all(|look| !look.token && look.status == 200), "{looks:?}");

    let hub = HubDouble::start(HubOptions::default()).await;
    (0..OFTEN).for_each(|_| hub.inject(Call::Download, Fault::Status(503)));
    let journal = Recorder::default();
    release
        .publisher(&hub, WRITER)
        .publish(&release.bundle, &journal, no_progress())
        .await
        .expect("published");
    let last = journal.lines().pop().expect("recorded");
    assert!(last.contains("warning") && last.contains("503"), "{last}");

    let hub = HubDouble::start(HubOptions::default()).await;
    hub.inject(Call::Settings, Fault::Corrupt(REPO.to_owned(), "README.md".to_owned()));
    let error = attempt(&hub, &release).await.expect_err("other bytes");
    assert_eq!(error.code(), "hub-served-differs");
    assert!(error.to_string().contains("README.md"), "{error}");

    let hub = HubDouble::start(HubOptions::default()).await;
    let mut private = Release::new();
    private.bundle.visibility = Visibility::Private;
    private.publish(&hub, WRITER).await.expect("published");
    assert_eq!(hub.count(Call::Download), 0, "nothing to see for everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fine_grained_token_is_judged_before_anything_is_sent() {
    for token in [FINE_READER, FINE_ELSEWHERE] {
        let hub = HubDouble::start(HubOptions::default()).await;
        let error = Release::new().publish(&hub, token).await.expect_err("too few rights");
        assert_eq!(error.code(), "hub-forbidden", "{token}");
        let calls: Vec<Call> = hub.log().into_iter().map(|logged| logged.call).collect();
        assert_eq!(calls, [Call::WhoAmI], "{token}");
    }
    let hub = HubDouble::start(HubOptions::default()).await;
    Release::new().publish(&hub, FINE_WRITER).await.expect("published");
}
