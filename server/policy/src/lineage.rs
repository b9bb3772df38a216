//! Walks the lineage: every input of the model and of the models it descends from, each with one way in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sekisho_domain::lineage::{Input, InputKind, LineageFile};

use crate::facts::{Facts, Registered, references, relative_to, resolve};

/// How an input's influence reached the model: in its weights, only through text that another model wrote, or only
/// through a model that judged. The last such step of a way decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Through {
    Weights,
    Outputs,
    Judge,
}

/// One input somewhere in the lineage, on its shortest way in.
#[derive(Debug)]
pub(crate) struct Usage<'a> {
    pub(crate) input: &'a Input,
    /// Its id, else the path of its lineage file, else its kind.
    pub(crate) name: &'a str,
    pub(crate) through: Through,
    /// The synthetic input whose generator's lineage this is part of.
    pub(crate) output: Option<&'a str>,
    /// What the registry says of it.
    pub(crate) registered: Option<&'a Registered>,
    /// Its level as it counts: the registry's word, else the claim. Where there is a registry, text outside of it has none.
    pub(crate) level: Option<&'a str>,
    /// Its licence as it counts: the registry's word, else the claim. The next two likewise.
    pub(crate) license: Option<&'a str>,
    pub(crate) generator: Option<&'a str>,
    pub(crate) generator_license: Option<&'a str>,
    way: String,
}

impl<'a> Usage<'a> {
    fn new(facts: &'a Facts, visit: &Visit<'a>, input: &'a Input) -> Self {
        let name = name(input);
        let edge = input.stage.map_or(input.kind.as_str(), |stage| stage.as_str());
        let leveled = is_text(input.kind) || input.level.is_some();
        let registry = facts.registry.as_ref().filter(|_| leveled);
        let registered = registry.and_then(|registry| registry.get(input.id.as_ref()?));
        let level =
            if registry.is_some() { registered.map(|known| &known.level) } else { Some(&input.level) };
        let word = |registered: Option<&'a Option<String>>, claimed: &'a Option<String>| {
            registered.and_then(Option::as_deref).or(claimed.as_deref())
        };
        let registered_text = registered.filter(|_| is_text(input.kind));
        let generator = word(registered_text.map(|known| &known.generator), &input.generator);
        // The licence of another generator than the registered one says nothing.
        let same_generator = input.generator.as_deref().is_none_or(|claimed| {
            generator.is_some_and(|known| known.trim().eq_ignore_ascii_case(claimed.trim()))
        });
        let claimed = if same_generator { &input.generator_license } else { &None };
        Self {
            input,
            name,
            through: visit.through,
            output: visit.output,
            registered: registered_text,
            level: level.and_then(Option::as_deref),
            license: word(registered_text.map(|known| &known.license), &input.license),
            generator,
            generator_license: word(registered_text.map(|known| &known.generator_license), claimed),
            way: format!("{} \"{name}\" → {edge} → {}", input.kind, visit.way),
        }
    }

    /// `corpus "web-ja" → continual → "Child-8B" → rule`.
    pub(crate) fn derivation(&self, rule: &str) -> String {
        format!("{} → {rule}", self.way)
    }

    /// Whether it is text, whose release level matters.
    pub(crate) const fn is_text(&self) -> bool {
        is_text(self.input.kind)
    }
}

const fn is_text(kind: InputKind) -> bool {
    matches!(kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference)
}

/// The outcome of the walk; independent of the order of inputs.
#[derive(Debug, Default)]
pub(crate) struct Walked<'a> {
    pub(crate) usages: Vec<Usage<'a>>,
    /// Cycles of lineage files, as paths relative to the judged one, the first repeated at the end.
    pub(crate) cycles: BTreeSet<Vec<String>>,
    /// What has no known lineage, with its derivation.
    pub(crate) missing: BTreeSet<(String, String)>,
}

/// One lineage file to be visited.
struct Visit<'a> {
    path: String,
    file: &'a LineageFile,
    through: Through,
    output: Option<&'a str>,
    /// From this model to the judged one.
    way: String,
}

/// Breadth first and in the order of the ways' texts, so that each file is reached on one shortest way, for each text written under it,
/// whatever the order of inputs.
pub(crate) fn walk(facts: &Facts) -> Walked<'_> {
    let mut walked = Walked { cycles: cycles(facts), ..Walked::default() };
    let mut seen = BTreeSet::new();
    let mut ring = vec![Visit {
        path: facts.path.clone(),
        file: &facts.lineage,
        through: Through::Weights,
        output: None,
        way: format!("\"{}\"", facts.lineage.model.name),
    }];
    while !ring.is_empty() {
        // Two inputs may lead to one file on ways of the same words; then the name of what was written decides.
        let key = |visit: &Visit<'_>| {
            (visit.way.clone(), visit.path.clone(), visit.through, visit.output.map(str::to_owned))
        };
        ring.sort_by_cached_key(key);
        let mut next = Vec::new();
        for visit in ring {
            // Each text that a generator wrote is credited, however many generators share a lineage file.
            if seen.insert((visit.path.clone(), visit.through, visit.output)) {
                next.extend(enter(facts, &visit, &mut walked));
            }
        }
        ring = next;
    }
    walked
}

/// Records a file's inputs and returns the lineage files below it.
fn enter<'a>(facts: &'a Facts, visit: &Visit<'a>, walked: &mut Walked<'a>) -> Vec<Visit<'a>> {
    let mut below = Vec::new();
    if visit.file.inputs.is_empty() {
        let why = format!("{} → lineage: no inputs", visit.way);
        walked.missing.insert((visit.file.model.name.clone(), why));
    }
    for input in &visit.file.inputs {
        let edge = input.stage.map_or(input.kind.as_str(), |stage| stage.as_str());
        let usage = Usage::new(facts, visit, input);
        let name = usage.name;
        if let Some(relative) = &input.lineage {
            let path = resolve(&visit.path, relative);
            match facts.parents.get(&path) {
                Some(file) => below.push(Visit {
                    file,
                    path,
                    through: visit.through.max(step(input.kind)),
                    output: visit.output.or((step(input.kind) == Through::Outputs).then_some(name)),
                    way: format!("\"{}\" → {edge} → {}", file.model.name, visit.way),
                }),
                None if path == facts.path => {}
                None => {
                    walked.missing.insert((name.to_owned(), usage.derivation("lineage: file not found")));
                }
            }
        } else if is_unknown(&usage) {
            walked.missing.insert((name.to_owned(), usage.derivation("lineage: none given")));
        }
        walked.usages.push(usage);
    }
    below
}

/// An input without a lineage file is known by its id and, for models, its licence; for synthetic text, by its generator.
fn is_unknown(usage: &Usage<'_>) -> bool {
    let input = usage.input;
    input.id.is_none()
        || match input.kind {
            InputKind::BaseModel | InputKind::Merge | InputKind::Reward => input.license.is_none(),
            InputKind::Synthetic => usage.generator.is_none(),
            InputKind::Corpus | InputKind::Preference | InputKind::Tokenizer => false,
        }
}

fn name(input: &Input) -> &str {
    input.id.as_deref().or(input.lineage.as_deref()).unwrap_or(input.kind.as_str())
}

const fn step(kind: InputKind) -> Through {
    match kind {
        InputKind::Synthetic | InputKind::Preference => Through::Outputs,
        InputKind::Reward => Through::Judge,
        InputKind::BaseModel | InputKind::Corpus | InputKind::Tokenizer | InputKind::Merge => {
            Through::Weights
        }
    }
}

/// For every file on a cycle the shortest one through it, beginning at its smallest path.
fn cycles(facts: &Facts) -> BTreeSet<Vec<String>> {
    let files = std::iter::once((&facts.path, &facts.lineage)).chain(&facts.parents);
    let graph: BTreeMap<&String, BTreeSet<String>> =
        files.map(|(path, file)| (path, references(path, file).map(|(_, to)| to).collect())).collect();
    graph.keys().filter_map(|start| shortest_cycle(&graph, start)).map(|cycle| shown(facts, cycle)).collect()
}

fn shortest_cycle(graph: &BTreeMap<&String, BTreeSet<String>>, start: &String) -> Option<Vec<String>> {
    let mut from: BTreeMap<&String, &String> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(path) = open.pop_front() {
        for to in graph.get(path)? {
            if to == start {
                let mut cycle = vec![path.clone()];
                while let Some(before) = from.get(cycle.last()?) {
                    cycle.push((*before).clone());
                }
                cycle.reverse();
                return Some(cycle);
            }
            if graph.contains_key(to) && !from.contains_key(to) {
                from.insert(to, path);
                open.push_back(to);
            }
        }
    }
    None
}

fn shown(facts: &Facts, mut cycle: Vec<String>) -> Vec<String> {
    let first = cycle.iter().enumerate().min_by_key(|(_, path)| *path).map_or(0, |(i, _)| i);
    cycle.rotate_left(first);
    cycle.push(cycle[0].clone());
    cycle.iter().map(|path| relative_to(&facts.path, path)).collect()
}
