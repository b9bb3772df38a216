//! The rules of ARCHITECTURE.md that a machine can check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Who may depend on whom, besides `sekisho-domain`, which everybody may use.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("sekisho-domain", &[]),
    ("sekisho-bench", &[]),
    ("sekisho-policy", &["sekisho-bench"]),
    ("sekisho-foreign", &[]),
    ("sekisho-weights", &[]),
    ("sekisho-convert", &["sekisho-weights"]),
    ("sekisho-model", &["sekisho-weights"]),
    ("sekisho-trainer", &["sekisho-model", "sekisho-weights"]),
    ("sekisho-evaluator", &["sekisho-bench", "sekisho-model", "sekisho-weights"]),
    ("sekisho-store", &[]),
    ("sekisho-hub", &["sekisho-weights"]),
    (
        "sekisho-server",
        &[
            "sekisho-bench",
            "sekisho-foreign",
            "sekisho-hub",
            "sekisho-policy",
            "sekisho-store",
            "sekisho-weights",
        ],
    ),
];

/// Crates that compute with tensors: the server library must not reach any of them.
const TENSOR_CRATES: &[&str] =
    &["gemm", "candle-core", "candle-nn", "candle-transformers", "cudarc", "tokenizers", "sekisho-model"];

/// Crates that do no I/O: what they may not name.
const PURE: &[&str] = &["server/domain", "server/policy", "evaluator/bench", "trainer/foreign"];

/// Longest file and function, in lines that are neither blank nor comment, tests apart.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// Functions over budget, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[(
    "tests/support/checkpoints.rs",
    "hostile",
    "a table with one entry for each kind of broken checkpoint",
)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
}

#[test]
fn crates_depend_only_in_the_allowed_directions() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = DIRECTIONS.iter().copied().collect();
    let mut seen = 0;
    for package in metadata.workspace_packages() {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            assert!(
                ["sekisho", "tests"].contains(&package.name.as_str()),
                "{} has no row in DIRECTIONS",
                package.name
            );
            continue;
        };
        seen += 1;
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let ours = dependency.name == "sekisho" || dependency.name.starts_with("sekisho-");
            let fine =
                !ours || dependency.name == "sekisho-domain" || allowed.contains(&dependency.name.as_str());
            assert!(fine, "{} must not depend on {}", package.name, dependency.name);
        }
    }
    assert_eq!(seen, DIRECTIONS.len(), "a crate of DIRECTIONS is gone");
}

#[test]
fn the_server_library_links_no_tensor_library() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("resolved");
    let name = |id: &cargo_metadata::PackageId| metadata[id].name.to_string();
    let start = metadata.packages.iter().find(|p| p.name.as_str() == "sekisho-server").expect("server");
    let mut open = vec![start.id.clone()];
    let mut reached = std::collections::BTreeSet::new();
    while let Some(id) = open.pop() {
        if !reached.insert(name(&id)) {
            continue;
        }
        let node = resolve.nodes.iter().find(|n| n.id == id).expect("node");
        let normal =
            |d: &&cargo_metadata::NodeDep| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
        open.extend(node.deps.iter().filter(normal).map(|d| d.pkg.clone()));
    }
    assert!(reached.contains("axum"), "the walk went nowhere");
    for tensor in TENSOR_CRATES {
        assert!(!reached.contains(*tensor), "sekisho-server reaches {tensor}");
    }
}

#[test]
fn pure_crates_read_no_clock_no_files_no_environment() {
    for folder in PURE {
        let sources = rust_files(&root().join(folder).join("src"));
        for file in sources.into_iter().filter(|file| !file.display().to_string().contains("/src/tests")) {
            let text = fs_err::read_to_string(&file).expect("source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            for forbidden in [
                "std::fs",
                "fs_err",
                "std::env::",
                "SystemTime",
                "Instant::now",
                "tokio",
                "std::net",
                "getrandom",
            ] {
                assert!(!text.contains(forbidden), "{} names {forbidden}", file.display());
            }
        }
    }
}

#[test]
fn only_the_store_holds_sql() {
    for file in all_sources() {
        if file.starts_with(root().join("server/store")) || file.starts_with(root().join("tests")) {
            continue;
        }
        let text = fs_err::read_to_string(&file).expect("source");
        assert!(!text.contains("sqlx::"), "{} names sqlx", file.display());
    }
}

#[test]
fn files_and_functions_fit_their_budgets() {
    let mut over = Vec::new();
    for file in all_sources() {
        let name = file.strip_prefix(root()).expect("below the root").display().to_string();
        let text = fs_err::read_to_string(&file).expect("source");
        let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines = body.lines().filter(|line| is_code(line)).count();
        if lines > FILE_LINES && !name.contains("/tests") {
            over.push(format!("{name}: {lines} lines of code, more than {FILE_LINES}"));
        }
        for (function, lines) in functions(body) {
            let excused = LONG_FUNCTIONS.iter().any(|(file, long, _)| (*file, *long) == (&*name, &*function));
            if lines > FUNCTION_LINES && !excused {
                over.push(format!("{name}: fn {function} has {lines} lines, more than {FUNCTION_LINES}"));
            }
        }
    }
    assert!(over.is_empty(), "over budget:\n{}", over.join("\n"));
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let mut members = 0;
    for package in metadata().workspace_packages() {
        let manifest = fs_err::read_to_string(&package.manifest_path).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{} has no [lints] workspace = true",
            package.name
        );
        members += 1;
    }
    assert!(members > 10, "the walk went nowhere");
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_no_machine_is_named() {
    for folder in ["templates", "static", "server", "trainer", "evaluator", "docs"] {
        for file in files(&root().join(folder), &["html", "css", "js", "toml", "rs", "md"]) {
            let text = fs_err::read_to_string(&file).expect("source");
            for forbidden in ["cdn.", "unpkg.com", "/root/", "/home/", "googleapis"] {
                assert!(!text.contains(forbidden), "{} names {forbidden}", file.display());
            }
        }
    }
}

#[test]
fn dependencies_have_allowed_licences() {
    let deny = fs_err::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Table = deny.parse().expect("TOML");
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().expect("list").iter().filter_map(toml::Value::as_str).collect();
    let metadata = metadata();
    for package in &metadata.packages {
        let Some(license) = &package.license else {
            assert!(package.license_file.is_some(), "{} declares no licence", package.name);
            continue;
        };
        let expression = license.replace('/', " OR ");
        let fine = expression.split(" AND ").all(|part| {
            part.trim_matches(['(', ')'])
                .split(" OR ")
                .any(|id| allowed.contains(&id.trim().trim_matches(['(', ')'])))
        });
        assert!(fine, "{} is under {license}, which deny.toml does not allow", package.name);
    }
}

#[test]
fn every_subcommand_is_documented() {
    let args = fs_err::read_to_string(root().join("server/cli/src/args.rs")).expect("args.rs");
    let docs = fs_err::read_to_string(root().join("docs/commands.md")).expect("docs/commands.md");
    let variants = args.split("pub(crate) enum Command {").nth(1).expect("enum").lines();
    let names = variants.filter_map(|line| line.trim().split_once('(').map(|(name, _)| name.to_lowercase()));
    let mut count = 0;
    for name in names.filter(|n| !n.starts_with('#')) {
        count += 1;
        assert!(
            docs.contains(&format!("sekisho {name}")),
            "docs/commands.md does not mention `sekisho {name}`"
        );
    }
    assert!(count > 10, "the enum was not read");
}

#[test]
fn tests_that_the_readme_names_exist() {
    let readme = fs_err::read_to_string(root().join("tests/README.md")).expect("tests/README.md");
    let named = readme.split('`').filter_map(|word| word.split_once("::"));
    let mut count = 0;
    for (file, test) in named {
        count += 1;
        let text = fs_err::read_to_string(root().join(format!("tests/it/{file}.rs"))).expect("the file");
        assert!(text.contains(&format!("fn {test}()")), "tests/it/{file}.rs has no test {test}");
    }
    assert!(count > 30, "the table was not read");
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

/// Functions with their length, by indentation: rustfmt puts the closing brace under the `fn`.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((_, rest)) = line.split_once("fn ") else { continue };
        let declares = line.trim_start().split("fn ").next().is_some_and(|head| {
            head.split_whitespace()
                .all(|w| w.starts_with("pub") || ["async", "const", "unsafe", "extern"].contains(&w))
        });
        if !declares || line.trim_end().ends_with(';') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let end = lines[start..].iter().position(|l| *l == close);
        let length = end.map_or(1, |end| lines[start..=start + end].iter().filter(|l| is_code(l)).count());
        found.push((rest.split(['(', '<']).next().unwrap_or_default().to_owned(), length));
    }
    found
}

fn all_sources() -> Vec<PathBuf> {
    ["server", "trainer", "evaluator", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs_err::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
