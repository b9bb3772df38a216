//! What a proposal holds: by command, by form and by HTTP it is judged as `policy check` judges the folder it was made from.

use serde_json::{Value, json};
use tests::cli;
use tests::database::Database;
use tests::service::text;

use crate::lab::{Lab, REPO, lineage};

/// The licence of this repository, as a release under it must bring it.
const APACHE: &str = include_str!("../../LICENSE");

const PARENT: &str = r#"
model.name = "gate-base"
input = [{ kind = "corpus", id = "reviews", level = "LX", license = "CC0-1.0", tokens = 5, stage = "pretrain" }]
"#;

/// A child of `PARENT` with texts and an announcement beside it.
fn child() -> String {
    lineage("L1").replace(
        "[release]\n",
        "[[input]]\nkind = \"base_model\"\nid = \"gate-base\"\nlineage = \"../base/lineage.toml\"\nstage = \"continual\"\n\
         [release]\nfiles = \"release/\"\nannouncement = \"news.md\"\n",
    )
}

/// The parent on a registered subset of another level.
fn parent(level: &str) -> String {
    PARENT.replace("reviews", &format!("reviews-{level}")).replace("LX", level)
}

fn codes(decision: &Value) -> Vec<&str> {
    let violations = decision["violations"].as_array().expect("a list").iter();
    let mut codes: Vec<&str> = violations.map(|finding| text(&finding["code"])).collect();
    codes.dedup();
    codes
}

#[test]
fn a_folder_is_judged_alike_by_command_and_by_the_service() {
    let lab = Lab::new("");
    let file = lab.write("lab/lineage.toml", &child()).display().to_string();
    lab.write("base/lineage.toml", PARENT);
    lab.write("lab/release/LICENSE", APACHE);
    lab.write("lab/release/README.md", "---\nlicense: apache-2.0\n---\n# gate-mini\n");
    lab.write("lab/release/CITATION.txt", "Cite us.\n");
    lab.write("lab/news.md", "We publish gate-mini and all of its training data.\n");

    let checked = cli::run(&mut cli::command(["policy", "check", "--json", &file])).exits(5).json();
    assert_eq!(codes(&checked), ["level-forbids-training"], "{checked:#}");
    let id = text(&lab.checkpoint["id"]);
    let proposed = lab.release(&["propose", "--json", "--checkpoint", id, "--lineage", &file]).exits(0);
    assert!(proposed.stderr.contains("README.md is not sent"), "{}", proposed.stderr);
    let id = text(&proposed.json()["id"]).to_owned();
    let frozen = lab.release(&["freeze", "--json", &id]).exits(5).json();
    assert_eq!(frozen["decision"], checked, "the same findings, and so the same digest");

    // Both again when the parent and the announcement are mended: claims are looked at on the way.
    lab.write("base/lineage.toml", &parent("L2"));
    lab.write("lab/news.md", "gate-mini is fully open, training data included.\n");
    let checked = cli::run(&mut cli::command(["policy", "check", "--json", &file])).exits(5).json();
    let announced = codes(&checked);
    assert!(announced.iter().all(|code| ["open-claim", "data-claim"].contains(code)), "{announced:?}");
    let draft =
        lab.release(&["propose", "--json", "--checkpoint", text(&lab.checkpoint["id"]), "--lineage", &file]);
    let id = text(&draft.exits(0).json()["id"]).to_owned();
    assert_eq!(lab.release(&["freeze", "--json", &id]).exits(5).json()["decision"], checked);

    lab.write("lab/news.md", "gate-mini is out.\n");
    let checked = cli::run(&mut cli::command(["policy", "check", "--json", &file])).exits(0).json();
    let draft =
        lab.release(&["propose", "--json", "--checkpoint", text(&lab.checkpoint["id"]), "--lineage", &file]);
    let id = text(&draft.exits(0).json()["id"]).to_owned();
    let allowed = lab.release(&["freeze", "--json", &id]).exits(0).json();
    assert_eq!(allowed["decision"]["digest"], checked["digest"]);
    let page = lab.service.visitor().get(&format!("/releases/{id}")).has(200).text;
    assert!(page.contains("CITATION.txt"), "the texts of the folder are to be published");
}

#[test]
fn a_folder_without_texts_is_no_missing_folder_and_each_file_that_stays_is_named() {
    let lab = Lab::new("");
    let named = lineage("L1").replace("[release]\n", "[release]\nfiles = \"release/\"\n");
    let file = lab.write("lab/lineage.toml", &named).display().to_string();
    let judged_alike = || {
        let checked = cli::run(&mut cli::command(["policy", "check", "--json", &file]));
        let id = text(&lab.checkpoint["id"]);
        let proposed = lab.release(&["propose", "--json", "--checkpoint", id, "--lineage", &file]).exits(0);
        let id = text(&proposed.json()["id"]).to_owned();
        let _ = lab.act(&id, "freeze").has(200);
        let both = [checked.json(), lab.show(&id)["decision"].clone()];
        let missing = both.map(|decision| codes(&decision).contains(&"file-missing"));
        assert_eq!(missing[0], missing[1], "by command and by the service");
        (missing[0], checked.stderr, proposed.stderr, id)
    };
    assert!(judged_alike().0, "there is no such folder");

    lab.write("lab/release/readme.md", "---\nlicense: apache-2.0\n---\n# gate-mini\n");
    lab.write("lab/release/model-card.pdf", "%PDF");
    lab.write("lab/release/NOTICE.txt", &"x".repeat(2_000_001));
    let (missing, checked, proposed, id) = judged_alike();
    assert!(!missing, "it is there");
    for (said, word) in [(&checked, "judged"), (&proposed, "sent")] {
        assert!(
            said.contains(&format!("model-card.pdf is not {word}: the texts of a release are named")),
            "{said}"
        );
        assert!(
            said.contains(&format!("NOTICE.txt is not {word}: a text of a release has at most 2 MB")),
            "{said}"
        );
    }
    assert!(proposed.contains("readme.md is not sent: the service writes the model card."), "{proposed}");

    // What was there when it was proposed still is when the author edits it by form.
    let (page, mori) = (format!("/releases/{id}"), lab.service.session("mori"));
    let (csrf, version) = (mori.csrf(&page), lab.show(&id)["version"].to_string());
    let fields = [("csrf", csrf.as_str()), ("version", &version), ("lineage", &named)];
    assert_eq!(mori.post(&format!("{page}/edit"), &fields).status, 303);
    let frozen = lab.act(&id, "freeze").has(200).json();
    assert_eq!(codes(&frozen["decision"]), [""; 0], "{frozen:#}");
    let shown = mori.get(&format!("{page}?lang=ja")).has(200).text;
    assert!(shown.contains("同梱済み"), "Apache's text is added by itself");
}

#[test]
fn what_is_named_and_not_sent_is_refused() {
    let lab = Lab::new("");
    let draft = lab.post(&json!({ "lineage": child() })).has(201).json();
    let frozen = lab.act(text(&draft["id"]), "freeze").has(200).json();
    assert_eq!(codes(&frozen["decision"]), ["lineage-missing", "file-missing"], "{frozen:#}");
    let id = text(&draft["id"]);
    lab.act(id, "request").is_problem(403, "policy-refused");

    // With everything that it names it is judged anew, and other parents are other content.
    let edit = |level: &str| {
        let body = json!({ "version": lab.show(id)["version"], "lineage": child(), "path": "lab/lineage.toml",
            "parents": { "base/lineage.toml": parent(level) }, "files": { "LICENSE": APACHE },
            "announcement": "gate-mini is out." });
        let _ = lab.author.post(&format!("/api/v1/releases/{id}/edit"), &body).has(200);
        lab.act(id, "freeze").has(200).json()
    };
    let (first, second) = (edit("L1"), edit("L3"));
    assert_eq!(
        json!([first["decision"]["verdict"], second["decision"]["verdict"]]),
        json!(["allowed", "allowed"])
    );
    assert_ne!(first["digest"], second["digest"]);
}

#[test]
fn a_release_is_proposed_and_edited_by_form() {
    let lab = Lab::new("");
    let mori = lab.service.session("mori");
    let page = format!("/checkpoints/{}", text(&lab.checkpoint["id"]));
    let form = mori.get(&page).has(200).text;
    for field in ["lineage", "license", "notice", "use_policy", "announcement"] {
        assert!(form.contains(&format!("name=\"{field}\"")), "{field}");
    }
    let csrf = mori.csrf(&page);
    let text_of = |name: &str| {
        lineage("L1").replace("gate-mini\"\n[[input]]", &format!("{name}\"\n[[input]]")).replace('\n', "\r\n")
    };
    let lineage = text_of("gate-mini");
    let fields = |lineage: &str| -> Vec<(String, String)> {
        [
            ("csrf", csrf.as_str()),
            ("lineage", lineage),
            ("license", ""),
            ("notice", "from us"),
            ("use_policy", "be good"),
            ("announcement", "it is out"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    };
    let send = |path: &str, fields: &[(String, String)]| {
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        mori.post(path, &fields)
    };
    let broken = send(&format!("{page}/propose"), &fields("[modle]\n"));
    assert_eq!(broken.status, 422);
    assert!(
        broken.text.contains("be good") && broken.text.contains("did you mean"),
        "what was typed is kept"
    );
    let sent = send(&format!("{page}/propose"), &fields(&lineage)).has(303);
    let release = sent.headers["location"].to_str().expect("a path").to_owned();
    let id = release.rsplit('/').next().expect("an id").to_owned();
    let shown = mori.get(&release).has(200).text;
    for file in ["LICENSE", "NOTICE", "USE_POLICY.md", "README.md", "model.safetensors"] {
        assert!(shown.contains(file), "{file}");
    }
    assert!(shown.contains("it is out"));

    // The licence that was added by itself follows the declared one.
    let with = |licence: &str| {
        let version = ("version".to_owned(), lab.show(&id)["version"].to_string());
        let mut fields = fields(&lineage.replace("apache-2.0", licence));
        fields.push(version);
        assert_eq!(send(&format!("{release}/edit"), &fields).status, 303);
        let _ = lab.act(&id, "freeze").has(200);
        codes(&lab.show(&id)["decision"]).iter().map(|code| (*code).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with("mit"), ["license-file-missing"], "Apache's text is not MIT's");
    assert_eq!(with("apache-2.0"), [""; 0]);
}

#[test]
fn what_cannot_be_published_is_refused_when_it_is_proposed() {
    let lab = Lab::new("");
    let plain = lineage("L1");
    let with_file = |name: &str, text: &str| json!({ "lineage": plain, "files": { name: text } });
    let large = "x".repeat(2_000_001);
    let line = |line: &str| json!({ "lineage": plain.replace(&format!("repo = \"{REPO}\""), line) });
    for (body, code, says) in [
        (json!({ "lineage": plain.replace("level =", "levle =") }), "lineage", "did you mean \"level\"?"),
        (json!({ "lineage": plain.split("[release]").next() }), "lineage", "no [release] section"),
        (json!({ "lineage": plain, "parents": { "p.toml": "[modle]" } }), "lineage", "p.toml:1"),
        (json!({ "lineage": plain, "parents": { "p\u{7}": "" } }), "lineage", "at most 500 bytes"),
        (with_file("config.json", "{}"), "release-file", "belongs to a file of the model"),
        (with_file("model.safetensors", ""), "release-file", "*.md and *.txt"),
        (with_file("README.md", "# x"), "release-file", "writes the model card itself"),
        (with_file("modeling.py", "x"), "release-file", "*.md and *.txt"),
        (with_file("../x.md", "x"), "release-file", "plain name"),
        (with_file("LICENSE", &large), "release-file", "2 MB"),
        (json!({ "lineage": plain, "announcement": large }), "release-file", "2 MB"),
        (line("repo = \"nowhere\""), "release-target", "owner/name"),
        (line("repo = \"lab/a b\""), "release-target", "owner/name"),
        (line(&format!("repo = \"{REPO}\"\nrevision = \"a..b\"")), "release-target", "branch or tag"),
        (line(&format!("repo = \"{REPO}\"\ntag = \"v 1\"")), "release-target", "branch or tag"),
        (json!({ "lineage": plain.replace("apache-2.0", "other") }), "release-file", "LICENSE"),
    ] {
        let answer = lab.post(&body);
        answer.is_problem(422, code);
        let detail = text(&answer.json()["detail"]).to_owned();
        assert!(detail.contains(says), "\"{detail}\" does not say \"{says}\"");
    }
    assert_eq!(lab.author.get("/api/v1/releases").has(200).items(), json!([]), "nothing of it is kept");

    // The same by edit, by command, and on the page in its language.
    let id = lab.propose("L1");
    let body = json!({ "version": 1, "lineage": plain.replace(REPO, "x") });
    lab.author.post(&format!("/api/v1/releases/{id}/edit"), &body).is_problem(422, "release-target");
    let file = lab.write("broken.toml", &plain.replace("level =", "levle =")).display().to_string();
    let checkpoint = text(&lab.checkpoint["id"]);
    let flags = ["propose", "--checkpoint", checkpoint, "--lineage", &file];
    lab.release(&flags).exits(1).says(&["broken.toml:6:1", "did you mean \"level\"?"]);
    cli::run(&mut cli::command(["policy", "check", &file])).exits(1).says(&["broken.toml:6:1"]);
    let mori = lab.service.session("mori");
    let page = format!("/checkpoints/{checkpoint}");
    let csrf = mori.csrf(&page);
    let target = plain.replace(REPO, "x");
    let told =
        mori.post(&format!("{page}/propose?lang=ja"), &[("csrf", &csrf), ("lineage", &target)]).has(422);
    assert!(told.text.contains("「x」はHubで使用できない名前です"), "{}", told.text);
}

#[test]
fn a_release_that_cannot_be_judged_stays_a_draft() {
    let lab = Lab::new("");
    let id = lab.propose("L1");
    Database::open(&lab.service.dir()).execute("UPDATE releases SET files = '{\"LICENSE\":\"gone\"}'");
    let answer = lab.act(&id, "freeze");
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert_eq!(json!([lab.show(&id)["state"], lab.show(&id)["version"]]), json!(["draft", 1]));
    assert_eq!(lab.audit(&id).len(), 1, "it was only proposed");
}

#[test]
fn a_run_that_was_trained_on_more_than_the_lineage_says_is_not_released() {
    let lab = Lab::new("");
    let id = lab.propose("L1");
    let database = Database::open(&lab.service.dir());
    database.execute(
        r#"UPDATE runs SET spec = '{"data":{"mix":[{"name":"aozora-ja","level":"LX"},{"name":"web","level":"L1"}]}}'"#,
    );
    let frozen = lab.act(&id, "freeze").has(200).json();
    assert_eq!(codes(&frozen["decision"]), ["level-mismatch", "lineage-missing"], "{frozen:#}");
    let page = lab.service.visitor().get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(page.contains("系譜に記載されていません"), "{page}");
}
