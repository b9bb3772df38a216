//! What the figures of a comparison share: the names, colours and dashes of runs.

use sekisho_store::Run;
use serde_json::Value;

use crate::web::charts::paint::{self, Kind, Role};
use crate::web::format;

/// `v4-8b-exp2 (8B)`.
pub(super) fn named(run: &Run, parameters: Option<u64>) -> String {
    match parameters {
        Some(parameters) => format!("{} ({})", run.name, format::short(parameters)),
        None => run.name.clone(),
    }
}

/// The number of a run's line: its place among the sizes, the smallest first, so that no two lines are alike.
pub(super) fn ramp_of(sizes: &[Option<u64>], number: usize, kind: Kind) -> usize {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| (sizes[*i], *i));
    let place = order.iter().position(|i| *i == number).unwrap_or(0);
    // Few lines are spread over the whole ramp.
    let shade = if sizes.len() > 1 { place * (paint::SHADES - 1) / (sizes.len() - 1).max(1) } else { 2 };
    paint::ramp(shade, kind)
}

/// What kind of model a run trains, as its specification says.
pub(super) fn kind(run: &Run) -> Kind {
    let spec = run.spec.as_ref();
    let experts = spec.and_then(|spec| spec.pointer("/model/num_local_experts")?.as_u64());
    match experts {
        Some(experts) if experts > 1 => Kind::MixtureOfExperts,
        _ if role(run).0 == Role::Decay => Kind::Decay,
        _ => Kind::Stable,
    }
}

/// The role of a run in a figure of schedules, and the key of its word: a cosine schedule, a branch that only decays (a child run whose
/// decay takes all of its own steps, or that is linear), anything else stable.
pub(super) fn role(run: &Run) -> (Role, &'static str) {
    let text = |path: &str| run.spec.as_ref().and_then(|spec| spec.pointer(path)?.as_str());
    let number = |path: &str| run.spec.as_ref().and_then(|spec| spec.pointer(path).and_then(Value::as_u64));
    let is_child = run.spec.as_ref().is_some_and(|spec| spec["parent"].is_object());
    let begin = number("/parent/step").unwrap_or(0);
    let own = number("/schedule/total_steps")
        .or_else(|| number("/stop/steps"))
        .map(|end| end.saturating_sub(begin));
    let decays_all =
        number("/schedule/decay_steps").zip(own).is_some_and(|(decay, own)| decay > 0 && decay >= own);
    match text("/schedule/kind") {
        Some("cosine") => (Role::Cosine, "schedule_role.cosine"),
        Some("linear") if is_child => (Role::Decay, "schedule_role.decay"),
        Some("wsd") if is_child && decays_all => (Role::Decay, "schedule_role.decay"),
        _ => (Role::Stable, "schedule_role.stable"),
    }
}

/// The key of the word for what a run is, as its specification says: pre-training, or what goes on from weights that were there.
pub(super) fn stage(run: &Run) -> &'static str {
    let spec = run.spec.as_ref();
    let parent = spec.map(|spec| &spec["parent"]).filter(|parent| parent.is_object());
    match parent {
        Some(_) if role(run).0 == Role::Decay && parent.is_some_and(|parent| parent["data"] != "restart") => {
            "branch_kind.decay"
        }
        Some(parent) if parent["state"] == "full" && parent["data"] == "restart" => "branch_kind.midtrain",
        Some(_) => "branch_kind.continual",
        None if spec.is_some_and(|spec| spec["init"]["from"].is_string()) => "branch_kind.continual",
        None => "lineage_stage.pretrain",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn roles_come_from_the_schedule() {
        let run = |spec: Value| Run { spec: Some(spec), ..fixtures::run() };
        let of = |spec| role(&run(spec)).0;
        assert_eq!(of(json!({ "schedule": { "kind": "cosine" } })), Role::Cosine);
        let wsd = json!({ "schedule": { "kind": "wsd", "decay_steps": 200, "total_steps": 1000 } });
        assert_eq!(of(wsd), Role::Stable, "a run with its own decay at its end");
        let branch = json!({ "parent": { "run": "a", "step": 800 },
            "schedule": { "kind": "wsd", "decay_steps": 200, "total_steps": 1000 } });
        assert_eq!(of(branch.clone()), Role::Decay);
        let named = |spec| stage(&run(spec));
        assert_eq!(named(branch.clone()), "branch_kind.decay");
        assert_eq!(named(json!({ "model": {} })), "lineage_stage.pretrain");
        assert_eq!(named(json!({ "init": { "from": "hf" } })), "branch_kind.continual");
        let middle = json!({ "parent": { "run": "a", "state": "full", "data": "restart" }, "schedule": { "kind": "linear" } });
        assert_eq!(named(middle), "branch_kind.midtrain");
        assert_eq!(kind(&run(branch)), Kind::Decay);
        assert_eq!(kind(&run(json!({ "model": { "num_local_experts": 8 } }))), Kind::MixtureOfExperts);
        assert_eq!(kind(&Run { spec: None, ..fixtures::run() }), Kind::Stable);
    }

    #[test]
    fn no_two_lines_are_alike() {
        let sizes = [Some(8), None, Some(1), Some(8), Some(70), Some(13)];
        let numbers: std::collections::BTreeSet<usize> =
            (0..6).map(|i| ramp_of(&sizes, i, Kind::Stable)).collect();
        assert_eq!(numbers.len(), 6);
        assert!(ramp_of(&sizes, 2, Kind::Stable) < ramp_of(&sizes, 4, Kind::Stable), "by size");
    }
}
