//! The sets that come with Sekisho, each with the cases beside it.

/// Name, text, cases. `base` holds no house rules; the others are examples after published guidelines.
pub(super) const BUILT_IN: &[(&str, &str, &str)] = &[
    ("base", include_str!("../../sets/base.toml"), include_str!("../../sets/base.tests.toml")),
    (
        "llm-jp-2025",
        include_str!("../../sets/llm-jp-2025.toml"),
        include_str!("../../sets/llm-jp-2025.tests.toml"),
    ),
    ("swallow", include_str!("../../sets/swallow.toml"), include_str!("../../sets/swallow.tests.toml")),
    ("strict", include_str!("../../sets/strict.toml"), include_str!("../../sets/strict.tests.toml")),
];

/// The full text of a licence, where Sekisho itself carries it: Apache-2.0. Other texts come with the model they bind.
#[must_use]
pub fn license_text(id: &str) -> Option<&'static str> {
    id.eq_ignore_ascii_case("apache-2.0").then_some(include_str!("../../../../LICENSE"))
}
