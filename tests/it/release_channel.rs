//! Automatic publication: what a blanket approval of several people lets out by itself, and what it never does.

use serde_json::{Value, json};
use tests::benchmark::Benchmark;
use tests::cli;
use tests::database::Database;
use tests::hub_double::{HubDouble, HubOptions, WRITER};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, REPO, lineage};

/// A lab that asks for two approvals, evaluates with a small benchmark, and has one private release out.
struct Channels {
    lab: Lab,
    hub: HubDouble,
    reference: String,
    config: String,
    _runtime: tokio::runtime::Runtime,
}

impl Channels {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
        let lab = Lab::new("");
        let token = lab.write("hub-token", WRITER);
        let benchmark = Benchmark::write(&lab.folder.path().join("benchmark"), 4, 60);
        let config = format!(
            "{}[review]\napprovals = 2\n[hub]\nendpoint = \"{1}\"\ntoken_file = {token:?}\nallow = [\"{1}\"]\n",
            benchmark.config(),
            hub.endpoint()
        );
        let lab = lab.reconfigured(&config);
        lab.service.add_user("hayashi", &["approver"]);
        let reference = lab.approved(&private("main"), &["ueda", "hayashi"]);
        lab.release(&["publish", "--wait", &reference]).exits(0);
        Self { lab, hub, reference, config, _runtime: runtime }
    }

    fn proposal(&self) -> Value {
        json!({ "name": "decay", "reference": self.reference, "runs": "decay-*", "takes": "branch_ends", "until": in_days(30) })
    }

    /// Proposed by the author and approved by both others; its id.
    fn active(&self) -> String {
        let body = self.proposal();
        let channel = self.lab.author.post("/api/v1/channels", &body).has(201).json();
        let id = text(&channel["id"]).to_owned();
        for name in ["ueda", "hayashi"] {
            self.approve(&id, name);
        }
        assert_eq!(self.show(&id)["state"], "active");
        id
    }

    fn approve(&self, id: &str, name: &str) {
        let page = format!("/channels/{id}");
        let _ = self.lab.service.session(name).press(&page, &format!("{page}/approve"), "3か月").has(303);
    }

    fn show(&self, id: &str) -> Value {
        self.lab.service.visitor().get(&format!("/api/v1/channels/{id}")).has(200).json()
    }

    /// The end of a branch of that name, trained on this subset.
    fn branch(&self, name: &str, subset: &str) -> Value {
        let checkpoint = self.lab.service.ingest(&self.lab.folder.path().join("model"), name, 20, 2000);
        let spec = json!({
            "name": name, "parent": { "run": "gate-mini", "step": 10 }, "data": { "mix": [{ "name": subset }] },
        });
        let sql = format!("UPDATE runs SET state = 'finished', spec = '{spec}' WHERE name = '{name}'");
        Database::open(&self.lab.service.dir()).execute(sql.leak());
        checkpoint
    }

    /// The release that a channel made of a checkpoint, if it has.
    fn taken(&self, channel: &str, checkpoint: &Value) -> Option<Value> {
        let shown = self.show(channel);
        let all = shown["releases"].as_array().expect("a list");
        let found = all.iter().find(|taken| taken["checkpoint"] == checkpoint["id"])?;
        Some(self.lab.show(text(&found["release"])))
    }

    /// The same, once it stands in that state.
    fn reaches(&self, channel: &str, checkpoint: &Value, state: &str) -> Value {
        until(&format!("a release to be {state}"), 90, || {
            self.taken(channel, checkpoint).filter(|release| release["state"] == state)
        })
    }

    fn last_comment(&self, release: &Value) -> String {
        let page = format!("/releases/{}?lang=ja", text(&release["id"]));
        self.lab.service.visitor().get(&page).has(200).text
    }
}

fn private(revision: &str) -> String {
    lineage("L1")
        .replace("[release]\n", &format!("[release]\nvisibility = \"private\"\nrevision = \"{revision}\"\n"))
}

#[expect(clippy::disallowed_methods, reason = "the service under test goes by the machine's clock")]
fn in_days(days: i64) -> String {
    let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    then.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

#[test]
fn the_end_of_a_branch_goes_to_a_private_repository_by_itself() {
    let mut channels = Channels::new();
    let id = channels.active();
    let end = channels.branch("decay-1", "aozora-ja");
    let page = format!("/channels/{id}?lang=ja");
    until("the page to say what it waits for", 30, || {
        let told = channels.lab.service.visitor().get(&page).has(200).text;
        told.contains("評価の完了を待っています").then_some(())
    });
    assert_eq!(channels.taken(&id, &end), None, "gates look at scores");
    let _worker = channels.lab.service.worker();
    let _ = channels.lab.service.finished_evaluation(&end, 60);
    // A service that dies now finds its work again.
    channels.lab.service.kill9();
    channels.lab.service.restart();
    let release = channels.reaches(&id, &end, "published");
    assert_eq!(channels.hub.is_private(REPO), Some(true));
    let commits = |branch| channels.hub.commits(REPO, branch).len();
    assert_eq!(commits("decay-1"), commits("main") + 1, "one commit on a branch of its own");
    assert_eq!(channels.hub.paths(REPO, "decay-1"), channels.hub.paths(REPO, "main"));
    let audit = channels.lab.audit(text(&release["id"]));
    let admitted = audit.iter().find(|line| line.2 == "release.admit").expect("on record");
    assert_eq!((admitted.0.as_str(), admitted.3.as_str()), ("system", "done"));
    // The same checkpoint is taken once; neither the trunk nor a run of another name is.
    let trunk = channels.branch("trunk", "aozora-ja");
    std::thread::sleep(std::time::Duration::from_secs(6));
    let shown = channels.show(&id);
    assert_eq!(shown["releases"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(channels.taken(&id, &trunk), None);
}

#[test]
fn what_is_new_waits_for_people() {
    let channels = Channels::new();
    let id = channels.active();
    let _worker = channels.lab.service.worker();
    // Trained on text that bars publishing: the policy refuses it, and nothing leaves.
    let barred = channels.branch("decay-lx", "text-LX");
    let refused = channels.reaches(&id, &barred, "policy_checked");
    until("the channel to let go of it", 30, || {
        channels.last_comment(&refused).contains("手本の「gate-mini」にはなかった").then_some(())
    });
    assert_eq!(channels.hub.commits(REPO, "decay-lx"), Vec::<String>::new());
    assert_eq!(channels.lab.show(text(&refused["id"]))["decision"]["verdict"], "refused");

    // One of the two is no approver any more: the blanket approval carries nothing, and people decide.
    let roles = json!({ "roles": ["viewer"] });
    let _ = channels.lab.service.api().post("/api/v1/users/hayashi/roles", &roles).has(200);
    let sound = channels.branch("decay-2", "aozora-ja");
    let waits = channels.reaches(&id, &sound, "in_review");
    assert!(channels.last_comment(&waits).contains("有効な承認は1件です"));
    assert_eq!(channels.hub.commits(REPO, "decay-2"), Vec::<String>::new());

    // An ended channel takes nothing.
    let end = channels.lab.service.command(&["channel", "end", "--json", "-m", "終了", &id]);
    assert_eq!(cli::run(&mut { end }).exits(0).json()["state"], "ended");
    let late = channels.branch("decay-3", "aozora-ja");
    let _ = channels.lab.service.finished_evaluation(&late, 60);
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(channels.taken(&id, &late), None);
}

#[test]
fn a_lab_that_comes_to_ask_for_more_approvals_asks_them_of_channels_too() {
    let mut channels = Channels::new();
    let id = channels.active();
    let _worker = channels.lab.service.worker();
    channels.lab.service.add_user("sato", &["approver"]);
    channels.lab.service.reconfigure(&channels.config.replace("approvals = 2", "approvals = 3"));
    let shown = channels.show(&id);
    assert_eq!(shown["approvals_needed"], 3);
    let page = channels.lab.service.visitor().get(&format!("/channels/{id}?lang=ja")).has(200).text;
    assert!(page.contains("有効な承認が現在の必要数に足りません"), "{page}");
    let end = channels.branch("decay-1", "aozora-ja");
    let waits = channels.reaches(&id, &end, "in_review");
    assert!(channels.last_comment(&waits).contains("有効な承認は2件です（必要数3件）"));
    // The third approval makes it whole again; the next branch goes by itself.
    channels.approve(&id, "sato");
    let next = channels.branch("decay-2", "aozora-ja");
    let _ = channels.reaches(&id, &next, "published");
    assert_eq!(channels.hub.commits(REPO, "decay-1"), Vec::<String>::new());
    let shown = channels.show(&id);
    let path = format!("/channels/{id}");
    let again = channels.lab.service.session("sato").press(&path, &format!("{path}/approve"), "");
    assert_eq!((shown["state"].as_str(), again.status), (Some("active"), 409), "enough is enough");
}

#[test]
fn a_channel_is_private_dated_and_approved_by_others() {
    let channels = Channels::new();
    let (lab, body) = (&channels.lab, channels.proposal());
    let refused = |change: Value, status: u16, code: &str| {
        let mut body = body.clone();
        for (key, value) in change.as_object().expect("fields") {
            body[key] = value.clone();
        }
        lab.author.post("/api/v1/channels", &body).is_problem(status, code);
    };
    refused(json!({ "until": "2020-01-01" }), 422, "channel-until");
    refused(json!({ "until": in_days(400) }), 422, "channel-until");
    refused(json!({ "runs": " " }), 422, "channel-runs");
    refused(json!({ "runs": "*a*b*c*d*e*" }), 422, "channel-runs");
    refused(json!({ "name": "" }), 422, "channel-name");
    refused(json!({ "revision": "decay" }), 422, "channel-revision");
    refused(json!({ "takes": "every" }), 422, "channel-revision");
    refused(json!({ "revision": "{run}..bad" }), 422, "release-target");
    let draft = lab.post(&json!({ "lineage": private("draft") })).has(201).json();
    refused(json!({ "reference": draft["id"] }), 409, "wrong-state");
    let public = lab.approved(&lineage("L1").replace(REPO, "lab/public"), &["ueda", "hayashi"]);
    lab.release(&["publish", "--wait", &public]).exits(0);
    refused(json!({ "reference": public }), 422, "channel-public");

    let flags = ["channel", "propose", "decay", "--reference", &channels.reference, "--runs", "decay-*"];
    let until_day = in_days(30);
    let channel = lab.command(&[&flags[..], &["--until", &until_day, "--json"]].concat()).exits(0).json();
    let id = text(&channel["id"]).to_owned();
    // No stored token approves.
    let approve = format!("/api/v1/channels/{id}/approve");
    lab.service.api().post(&approve, &json!({ "version": 1 })).is_problem(403, "token-cannot-approve");
    lab.author.post(&approve, &json!({})).is_problem(428, "version-missing");
    channels.approve(&id, "ueda");
    let page = format!("/channels/{id}");
    let twice = lab.service.session("ueda").press(&page, &format!("{page}/approve"), "");
    assert_eq!(twice.status, 409, "{}", twice.text);
    assert_eq!(channels.show(&id)["state"], "proposed", "one of two");
    channels.approve(&id, "hayashi");
    let listed = cli::run(&mut lab.service.command(&["channel", "list"])).exits(0);
    assert!(listed.stdout.contains("2 / 2 (ueda, hayashi)"), "{}", listed.stdout);

    let own = lab.author.post("/api/v1/channels", &body).has(201).json();
    let page = format!("/channels/{}", text(&own["id"]));
    let pressed = lab.service.session("mori").press(&page, &format!("{page}/approve"), "");
    assert_eq!(pressed.status, 403, "{}", pressed.text);
    assert!(
        lab.service.session("mori").get(&page).text.contains("自分が申請した")
            || pressed.text.contains("You proposed this")
    );
}
