//! The lineage as a picture's nodes and edges: what went into what, at which stage, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::lineage::{Input, InputKind, LineageFile};

use crate::PolicySet;
use crate::facts::{Facts, resolve};
use crate::set::LevelUse;

/// Nodes and edges, in an order that does not depend on the order of inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineageGraph {
    /// The judged model first.
    pub nodes: Vec<LineageNode>,
    /// From what to what, at which stage.
    pub edges: Vec<LineageEdge>,
}

/// Something that went in, or came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageNode {
    /// What it is called.
    pub name: String,
    /// What it is; none for a model with a lineage of its own.
    pub kind: Option<InputKind>,
    /// Release level, of text.
    pub level: Option<String>,
    /// Licence.
    pub license: Option<String>,
    /// Model that wrote it.
    pub generator: Option<String>,
    /// Whether anything derived from it may be published.
    pub standing: Standing,
}

/// What a node means for the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Known, and no hindrance by itself.
    Clear,
    /// Its level forbids publishing.
    Barred,
    /// Level, licence or lineage is not known.
    Unknown,
}

/// One thing went into another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineageEdge {
    /// Index of what went in.
    pub from: usize,
    /// Index of what it went into.
    pub to: usize,
    /// The stage, or the kind where none is given.
    pub stage: String,
}

impl LineageGraph {
    /// A graph of one node.
    #[must_use]
    pub fn of(root: LineageNode) -> Self {
        Self { nodes: vec![root], edges: Vec::new() }
    }

    /// Adds a node that went into another, once.
    pub fn add(&mut self, node: LineageNode, to: usize, stage: &str) -> usize {
        let known = self.nodes.iter().position(|other| *other == node);
        let from = known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        let edge = LineageEdge { from, to, stage: stage.to_owned() };
        if !self.edges.contains(&edge) {
            self.edges.push(edge);
        }
        from
    }
}

/// The graph of everything that the facts know. Files on a cycle are entered once.
#[must_use]
pub fn graph(facts: &Facts, set: &PolicySet) -> LineageGraph {
    let mut graph = LineageGraph::of(model(&facts.lineage));
    let mut open = vec![(facts.path.clone(), &facts.lineage, 0)];
    let mut entered: BTreeMap<String, usize> = BTreeMap::from([(facts.path.clone(), 0)]);
    let mut done = BTreeSet::new();
    while let Some((path, file, at)) = open.pop() {
        if !done.insert(path.clone()) {
            continue;
        }
        let mut inputs: Vec<&Input> = file.inputs.iter().collect();
        inputs.sort_by_key(|input| (input.kind, &input.id, &input.lineage));
        for input in inputs {
            let stage = input.stage.map_or(input.kind.as_str(), |stage| stage.as_str());
            let parent = input.lineage.as_ref().map(|relative| resolve(&path, relative));
            if let Some(&from) = parent.as_ref().and_then(|path| entered.get(path)) {
                graph.edges.push(LineageEdge { from, to: at, stage: stage.to_owned() });
                continue;
            }
            match parent.and_then(|path| facts.parents.get(&path).map(|file| (path, file))) {
                Some((path, file)) => {
                    let from = graph.add(model(file), at, stage);
                    entered.insert(path.clone(), from);
                    open.push((path, file, from));
                }
                None => drop(graph.add(leaf(facts, set, input), at, stage)),
            }
        }
    }
    graph
}

fn model(file: &LineageFile) -> LineageNode {
    LineageNode {
        name: file.model.name.clone(),
        kind: None,
        level: None,
        license: file.release.as_ref().map(|release| release.license.join(", ")).filter(|l| !l.is_empty()),
        generator: None,
        standing: if file.inputs.is_empty() { Standing::Unknown } else { Standing::Clear },
    }
}

fn leaf(facts: &Facts, set: &PolicySet, input: &Input) -> LineageNode {
    let registered = facts.registry.as_ref().zip(input.id.as_ref()).and_then(|(all, id)| all.get(id));
    let or = |registered: Option<&Option<String>>, claimed: &Option<String>| {
        registered.cloned().flatten().or_else(|| claimed.clone())
    };
    let is_text = matches!(input.kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference);
    // With a registry, text that is not in it has no level, whatever is claimed.
    let is_registered = facts.registry.is_none() || registered.is_some() || !is_text;
    let level = or(registered.map(|r| &r.level), &input.level).filter(|_| is_registered);
    let license = or(registered.map(|r| &r.license), &input.license);
    let rule = level.as_ref().and_then(|level| set.level(level));
    let standing = match rule {
        Some(rule) if !LevelUse::Train.permit(rule).allows() || !LevelUse::Use.permit(rule).allows() => {
            Standing::Barred
        }
        None if is_text => Standing::Unknown,
        _ if license.is_none() && input.kind != InputKind::Tokenizer => Standing::Unknown,
        _ => Standing::Clear,
    };
    LineageNode {
        name: input.id.clone().or_else(|| input.lineage.clone()).unwrap_or_else(|| input.kind.to_string()),
        kind: Some(input.kind),
        level,
        license,
        generator: or(registered.map(|r| &r.generator), &input.generator),
        standing,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sekisho_domain::parse_toml;

    use super::{Standing, graph};
    use crate::{Facts, PolicySet, Registered};

    fn facts(inputs: &str) -> Facts {
        let text = format!("model.name = \"Child\"\ninput = [{inputs}]\n");
        Facts::of("lab/lineage.toml", parse_toml("lineage.toml", &text).expect("a lineage file"))
    }

    #[test]
    fn parents_are_entered_once_and_what_stands_in_the_way_is_marked() {
        let set = PolicySet::builtin("base").expect("built in");
        let mut facts = facts(
            r#"{ kind = "base_model", lineage = "p.toml", stage = "continual" },
               { kind = "merge", lineage = "p.toml", stage = "merge" },
               { kind = "corpus", id = "x", level = "LX", license = "CC0-1.0" },
               { kind = "corpus", id = "new", level = "L1", license = "CC0-1.0" },
               { kind = "base_model", lineage = "gone.toml" }"#,
        );
        let parent = r#"model.name = "Parent"
            input = [{ kind = "corpus", id = "x", level = "LX", license = "CC0-1.0", stage = "pretrain" },
                     { kind = "base_model", lineage = "lineage.toml" }]"#;
        facts.add_parent("lab/p.toml", parse_toml("p.toml", parent).expect("a lineage file"));
        let registered = |level: &str| Registered { level: Some(level.to_owned()), ..Registered::default() };
        facts.registry = Some(BTreeMap::from([("x".to_owned(), registered("LX"))]));
        let drawn = graph(&facts, &set);
        let names: Vec<_> = drawn.nodes.iter().map(|node| (node.name.as_str(), node.standing)).collect();
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            [
                ("Child", Standing::Clear),
                ("Parent", Standing::Clear),
                ("gone.toml", Standing::Unknown),
                ("new", Standing::Unknown),
                ("x", Standing::Barred),
            ]
        );
        let at = |name: &str| names.iter().position(|(other, _)| *other == name).expect("a node");
        let edge = |from: &str, to: &str, stage: &str| {
            drawn.edges.iter().any(|e| (e.from, e.to, e.stage.as_str()) == (at(from), at(to), stage))
        };
        assert!(edge("Parent", "Child", "continual") && edge("Parent", "Child", "merge"));
        assert!(edge("x", "Child", "corpus") && edge("x", "Parent", "pretrain"), "one node for one subset");
        assert!(edge("Child", "Parent", "base_model"), "a cycle is drawn and ends");
    }
}
