//! The lineage as a drawing: what went in on the left, the model on the right, an arrow for each edge.

use sekisho_domain::Language;
use sekisho_domain::lineage::InputKind;
use sekisho_policy::{LineageGraph, LineageNode, Standing};

use unicode_width::UnicodeWidthChar as _;

use super::svg::escape;
use crate::web::i18n::Words as _;

const WIDTH: usize = 190;
const HEIGHT: usize = 44;
const GAP_X: usize = 96;
const GAP_Y: usize = 14;
const MARGIN: usize = 8;
/// Letters of a name that fit a box; a full-width one counts as two.
const LETTERS: usize = 24;

/// SVG of the graph; every node and edge is also in the table beside it.
pub(crate) fn draw(graph: &LineageGraph, lang: Language) -> String {
    let depth = depths(graph);
    let deepest = depth.iter().copied().max().unwrap_or(0);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); deepest + 1];
    for (node, depth) in depth.iter().enumerate() {
        columns[deepest - depth].push(node);
    }
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(1);
    let height = 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y;
    let width = 2 * MARGIN + columns.len() * (WIDTH + GAP_X) - GAP_X;
    let mut place = vec![(0, 0); graph.nodes.len()];
    for (column, nodes) in columns.iter().enumerate() {
        let free = height - 2 * MARGIN - (nodes.len() * (HEIGHT + GAP_Y)).saturating_sub(GAP_Y);
        for (row, node) in nodes.iter().enumerate() {
            place[*node] = (MARGIN + column * (WIDTH + GAP_X), MARGIN + free / 2 + row * (HEIGHT + GAP_Y));
        }
    }
    let label = lang.fill("lineage.summary", &[("nodes", &graph.nodes.len()), ("edges", &graph.edges.len())]);
    let mut svg = format!(
        "<svg class=\"lineage\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">",
        escape(&label)
    );
    for edge in &graph.edges {
        svg.push_str(&arrow(place[edge.from], place[edge.to]));
    }
    for (node, at) in place.iter().enumerate() {
        svg.push_str(&stages(graph, node, *at, lang));
    }
    for (node, at) in graph.nodes.iter().zip(&place) {
        svg.push_str(&boxed(node, *at, lang));
    }
    svg + "</svg>"
}

/// Steps to the model, on the longest way; a cycle is cut where it is met again.
fn depths(graph: &LineageGraph) -> Vec<usize> {
    let mut depth = vec![0; graph.nodes.len()];
    for _ in 0..graph.nodes.len() {
        let mut moved = false;
        for edge in graph.edges.iter().filter(|edge| edge.from != 0) {
            let wanted = (depth[edge.to] + 1).min(graph.nodes.len() - 1);
            if depth[edge.from] < wanted {
                (depth[edge.from], moved) = (wanted, true);
            }
        }
        if !moved {
            break;
        }
    }
    // A cycle pushes its nodes as far as they go; no column is left empty between them.
    let mut used: Vec<usize> = depth.clone();
    used.sort_unstable();
    used.dedup();
    depth.iter().map(|d| used.iter().position(|u| u == d).unwrap_or(0)).collect()
}

fn arrow(from: (usize, usize), to: (usize, usize)) -> String {
    let (x1, y1) = (from.0 + WIDTH, from.1 + HEIGHT / 2);
    let (x2, y2) = (to.0, to.1 + HEIGHT / 2);
    let bend = (x1 + x2) / 2;
    format!("<path class=\"edge\" d=\"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}\"/>")
}

/// The stages at which a node went into others, where its edges begin: one label, however many edges there are.
fn stages(graph: &LineageGraph, node: usize, (x, y): (usize, usize), lang: Language) -> String {
    let mut words: Vec<&str> = Vec::new();
    for edge in graph.edges.iter().filter(|edge| edge.from == node) {
        let word = stage_word(lang, &edge.stage);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        return String::new();
    }
    format!(
        "<text class=\"edge-label\" x=\"{}\" y=\"{}\">{}</text>",
        x + WIDTH + 6,
        y + HEIGHT / 2 - 5,
        escape(&words.join(lang.t("common.comma")))
    )
}

fn boxed(node: &LineageNode, (x, y): (usize, usize), lang: Language) -> String {
    let class = match node.standing {
        Standing::Clear => "clear",
        Standing::Barred => "barred",
        Standing::Unknown => "unknown",
    };
    let facts = facts(node, lang);
    let (name, sub) = (short(&node.name), short(&facts));
    let standing = lang.t(&format!("standing.{class}"));
    let whole = format!("{} · {facts} · {standing}", node.name);
    format!(
        "<g class=\"node {class}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"4\"/><text x=\"{}\" y=\"{}\">{}</text><text class=\"sub\" x=\"{}\" y=\"{}\">{}</text></g>",
        escape(&whole),
        x + 10,
        y + 18,
        escape(&name),
        x + 10,
        y + 34,
        escape(&sub)
    )
}

/// `コーパス · L3 · LicenseRef-crawl`.
pub(crate) fn facts(node: &LineageNode, lang: Language) -> String {
    let kind = node.kind.map_or_else(|| "model".to_owned(), |kind| kind.to_string());
    let mut words = vec![lang.t(&format!("lineage_kind.{kind}")).to_owned()];
    words.extend(node.level.clone());
    if node.level.is_none() && node.standing == Standing::Unknown {
        // A text has a level or is not registered; a model has none, and something else about it is not known.
        let is_text =
            matches!(node.kind, Some(InputKind::Corpus | InputKind::Synthetic | InputKind::Preference));
        words.push(lang.t(if is_text { "lineage.unknown" } else { "lineage.not_known" }).to_owned());
    }
    words.extend(node.license.clone());
    words.extend(node.generator.as_ref().map(|model| lang.fill("lineage.generator", &[("model", model)])));
    words.join(" · ")
}

/// A stage in the reader's language; one that is new here as it is written.
pub(crate) fn stage_word(lang: Language, stage: &str) -> &str {
    lang.find(&format!("lineage_stage.{stage}")).unwrap_or(stage)
}

fn short(text: &str) -> String {
    let mut width = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            width += c.width().unwrap_or_default();
            width <= LETTERS
        })
        .collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: Option<InputKind>, standing: Standing) -> LineageNode {
        LineageNode { name: name.to_owned(), kind, level: None, license: None, generator: None, standing }
    }

    #[test]
    fn what_went_in_earlier_stands_further_left() {
        let mut graph = LineageGraph::of(node("child", None, Standing::Clear));
        let parent = graph.add(node("parent", None, Standing::Clear), 0, "continual");
        let shared = node("<web>", Some(InputKind::Corpus), Standing::Barred);
        graph.add(shared.clone(), 0, "continual");
        graph.add(shared, parent, "pretrain");
        assert_eq!(depths(&graph), [0, 1, 2], "a subset of parent and child stands before both");
        let svg = draw(&graph, Language::Ja);
        assert_eq!((svg.matches("<rect").count(), svg.matches("<path").count()), (3, 3));
        assert!(
            svg.contains("node barred") && svg.contains("&lt;web&gt;") && svg.contains("継続事前学習"),
            "{svg}"
        );
    }

    #[test]
    fn a_long_name_is_cut_by_the_width_of_its_letters() {
        assert_eq!(short(&"あ".repeat(12)), "あ".repeat(12));
        assert_eq!(short(&"あ".repeat(13)), format!("{}…", "あ".repeat(12)));
        assert_eq!(short(&"a".repeat(24)), "a".repeat(24));
        assert_eq!(short(&"→".repeat(25)), format!("{}…", "→".repeat(24)), "an arrow is one letter wide");
    }

    #[test]
    fn a_node_that_went_in_twice_has_one_label_and_says_all_that_is_known_of_it() {
        let mut graph = LineageGraph::of(node("child", None, Standing::Clear));
        let parent = graph.add(node("parent", None, Standing::Clear), 0, "continual");
        let mut text = node("qa", Some(InputKind::Synthetic), Standing::Unknown);
        text.generator = Some("google/gemma-2-27b-it".to_owned());
        graph.add(text.clone(), 0, "sft");
        graph.add(text, parent, "pretrain");
        let svg = draw(&graph, Language::Ja);
        let labels: Vec<&str> = svg.split("class=\"edge-label\"").skip(1).collect();
        assert_eq!(labels.len(), 2, "{svg}");
        let both = ["事前学習、教師ありファインチューニング", "教師ありファインチューニング、事前学習"];
        assert!(labels.iter().any(|label| both.iter().any(|both| label.contains(both))), "{svg}");
        let title =
            "<title>qa · 合成データ · 未登録 · 生成：google/gemma-2-27b-it · 不明のため公開不可</title>";
        assert!(svg.contains(title), "{svg}");
        let base = node("base", Some(InputKind::BaseModel), Standing::Unknown);
        assert_eq!(facts(&base, Language::Ja), "ベースモデル · 不明");
    }

    #[test]
    fn a_cycle_is_drawn_too() {
        let mut graph = LineageGraph::of(node("a", None, Standing::Clear));
        let b = graph.add(node("b", None, Standing::Clear), 0, "merge");
        let c = graph.add(node("c", None, Standing::Clear), b, "merge");
        graph.add(node("b", None, Standing::Clear), c, "merge");
        assert!(depths(&graph).iter().all(|depth| *depth < graph.nodes.len()));
        assert!(draw(&graph, Language::En).ends_with("</svg>"));
    }
}
