use super::*;

#[test]
fn the_rule_is_that_of_the_specification() {
    let keep = |rules: serde_json::Value| json!({ "checkpoint": { "keep": rules } });
    let rule = of_spec(Some(&keep(json!(["every:500", "best:2"]))));
    assert_eq!(rule, CleanupRule { every: 500, last: 0, best: 2 });
    assert_eq!(words(rule), "every:500, best:2");
    assert_eq!(of_spec(Some(&keep(json!([])))), DEFAULT, "one that keeps all says nothing");
    assert_eq!(of_spec(None), DEFAULT);
}

#[test]
fn a_path_is_one_word_of_a_shell() {
    assert_eq!(shell(&[]), None);
    let line = shell(&["/runs/a b", "/runs/it's; rm -rf ~"]).expect("a line");
    assert_eq!(line, r"rm -r -- '/runs/a b' '/runs/it'\''s; rm -rf ~'");
    let words =
        std::process::Command::new("sh").args(["-c", &line.replacen("rm -r", "printf '%s|'", 1)]).output();
    let words = String::from_utf8(words.expect("a shell").stdout).expect("text");
    assert!(words.ends_with("/runs/a b|/runs/it's; rm -rf ~|"), "{words}");
}
