//! The lineage of a checkpoint or a release: a drawing, and the table that says the same.

use sekisho_domain::Language;
use sekisho_policy::{LineageGraph, Standing};

use crate::web::charts::lineage;
use crate::web::i18n::Words as _;

/// For `_partials/lineage.html`.
#[derive(Clone, Debug)]
pub(super) struct LineageView {
    pub(super) svg: String,
    pub(super) summary: String,
    pub(super) rows: Vec<LineageRow>,
}

#[derive(Clone, Debug)]
pub(super) struct LineageRow {
    pub(super) name: String,
    pub(super) facts: String,
    /// Into what, at which stage.
    pub(super) into: String,
    /// `clear`, `barred` or `unknown`.
    pub(super) standing: &'static str,
}

pub(super) fn view(lang: Language, graph: &LineageGraph) -> LineageView {
    let row = |(at, node): (usize, &sekisho_policy::LineageNode)| {
        let edges = graph.edges.iter().filter(|edge| edge.from == at);
        let into: Vec<String> = edges
            .map(|edge| {
                let (to, stage) = (&graph.nodes[edge.to].name, lineage::stage_word(lang, &edge.stage));
                if lang == Language::Ja { format!("{to}（{stage}）") } else { format!("{to} ({stage})") }
            })
            .collect();
        LineageRow {
            name: node.name.clone(),
            facts: lineage::facts(node, lang),
            into: into.join(lang.t("common.comma")),
            standing: match node.standing {
                Standing::Clear => "clear",
                Standing::Barred => "barred",
                Standing::Unknown => "unknown",
            },
        }
    };
    let values: [(&str, &dyn std::fmt::Display); 2] =
        [("nodes", &graph.nodes.len()), ("edges", &graph.edges.len())];
    LineageView {
        svg: lineage::draw(graph, lang),
        summary: lang.fill("lineage.summary", &values),
        rows: graph.nodes.iter().enumerate().map(row).collect(),
    }
}
