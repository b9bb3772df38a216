//! Hyperparameters, compute and the learning curve.

use sekisho_domain::Language;
use sekisho_domain::run::Devices;
use serde_json::Value;

use super::figures::{exact, score, small};
use super::markdown::{Cell, code, list_of_values, table};
use super::{Card, CardCompute, CardCurve, CardCurvePoint, Section};

/// Checkpoints that the table of the curve shows at most.
const SHOWN_POINTS: usize = 40;

impl Card<'_> {
    /// What the run specification says, in the names of its keys' meanings, and what people add.
    pub(super) fn training(&self) -> String {
        let checkpoint = &self.facts.checkpoint;
        let spec = |pointer: &str| self.facts.spec.as_ref().and_then(|spec| spec.pointer(pointer));
        let number = |pointer: &str| spec(pointer).and_then(Value::as_f64).map(small);
        let shown = |pointer: &str| number(pointer).map(Cell::from);
        let text = |pointer: &str| spec(pointer).and_then(Value::as_str);
        let whole = |pointer: &str| spec(pointer).and_then(Value::as_u64);
        let scheduler = text("/schedule/kind").map(|kind| if kind == "wsd" { "WSD" } else { kind });
        let per_step =
            whole("/batch/sequences").zip(whole("/data/sequence_length")).map(|(sequences, length)| {
                format!(
                    "{} × {} = {}",
                    exact(sequences),
                    exact(length),
                    exact(sequences.saturating_mul(length))
                )
            });
        let betas =
            number("/optimizer/betas/0").zip(number("/optimizer/betas/1")).map(|(a, b)| format!("{a}, {b}"));
        let parent = text("/parent/run").map(|run| match whole("/parent/step") {
            Some(step) => format!("{run}{}{}", self.say(", step ", "、ステップ"), exact(step)),
            None => run.to_owned(),
        });
        let rows = vec![
            (self.say("Run", "実験"), Some(Cell::from(&checkpoint.run))),
            (self.say("Step", "ステップ"), Some(exact(checkpoint.step.0).into())),
            (self.say("Branched from", "分岐元"), parent.map(Cell::from)),
            (self.say("LR scheduler", "学習率スケジューラー"), scheduler.map(Cell::from)),
            (self.say("Peak learning rate", "最大学習率"), shown("/optimizer/lr")),
            (self.say("Global batch size", "グローバルバッチサイズ"), per_step.map(Cell::from)),
            (self.say("AdamW β", "AdamWのβ"), betas.map(Cell::from)),
            (self.say("AdamW ε", "AdamWのε"), shown("/optimizer/eps")),
            (self.say("Weight decay", "重み減衰"), shown("/optimizer/weight_decay")),
            (self.say("Precision", "精度"), text("/precision/forward").map(Cell::from)),
            (self.say("Compute", "計算資源"), self.compute().map(Cell::from)),
        ];
        let mut parts = vec![list_of_values(self.item_and_value(), rows)];
        parts.extend(self.edit(Section::Training));
        parts.join("\n\n")
    }

    fn compute(&self) -> Option<String> {
        let all: Vec<String> =
            self.facts.extras.compute.iter().map(|compute| self.computed(compute)).collect();
        (!all.is_empty()).then(|| all.join(self.say("; ", "；")))
    }

    /// GPUs with GPU time, threads of a CPU with wall time.
    fn computed(&self, compute: &CardCompute) -> String {
        let Devices { count, name } = &compute.devices;
        let (is_cpu, n) = (compute.devices.is_cpu(), exact(*count));
        #[expect(clippy::cast_precision_loss, reason = "no lab has 2^53 devices")]
        let hours = compute.hours.max(0.0) * if is_cpu { 1.0 } else { *count as f64 };
        let (unit_en, unit_ja) = if is_cpu { ("", "") } else { ("GPU-", " GPU") };
        let time = match (hours, self.language) {
            (hours, Language::En) if hours >= 24.0 => {
                format!("about {} {unit_en}days", rounded(hours / 24.0))
            }
            (hours, Language::Ja) if hours >= 24.0 => format!("約{}{unit_ja}日", rounded(hours / 24.0)),
            (hours, Language::En) if hours >= 1.0 => format!("about {} {unit_en}hours", rounded(hours)),
            (hours, Language::Ja) if hours >= 1.0 => format!("約{}{unit_ja}時間", rounded(hours)),
            (hours, Language::En) if hours >= 1.0 / 60.0 => {
                format!("about {} {unit_en}minutes", rounded(hours * 60.0))
            }
            (hours, Language::Ja) if hours >= 1.0 / 60.0 => format!("約{}{unit_ja}分", rounded(hours * 60.0)),
            (_, Language::En) => format!("less than 1 {unit_en}minute"),
            (_, Language::Ja) if is_cpu => "1分未満".to_owned(),
            (_, Language::Ja) => "1 GPU分未満".to_owned(),
        };
        match (is_cpu, self.language) {
            (true, Language::En) if *count == 1 => format!("1 CPU thread, {time}"),
            (true, Language::En) => format!("{n} CPU threads, {time}"),
            (true, Language::Ja) => format!("CPU {n}スレッド、{time}"),
            (false, Language::En) => format!("{n} × {name}, {time}"),
            (false, Language::Ja) => format!("{name} {n}基、{time}"),
        }
    }

    /// Mean over trained tokens: the figure, if it is among the files, and its numbers.
    pub(super) fn learning_curve(&self) -> Option<String> {
        let curve = self.facts.extras.curve.as_ref().filter(|curve| !curve.points.is_empty())?;
        let mut parts = Vec::new();
        if let Some(figure) = curve.figure.as_deref().filter(|path| is_plain_path(path)) {
            let said = Section::LearningCurve.title(self.language);
            parts.push(format!("![{said}]({figure})"));
        }
        parts.push(self.curve_table(curve));
        let suite = code(&curve.suite);
        parts.push(match self.language {
            Language::En => format!("Suite {suite}, mean over its tasks with 95% intervals."),
            Language::Ja => format!("評価セット{suite}、タスクの平均と95%信頼区間"),
        });
        let (all, shown) = (curve.points.len(), thinned(&curve.points).len());
        if shown < all {
            parts.push(match self.language {
                Language::En => format!("{shown} of {all} checkpoints are shown."),
                Language::Ja => format!("{all}件のチェックポイントのうち{shown}件を示しています。"),
            });
        }
        Some(parts.join("\n\n"))
    }

    fn curve_table(&self, curve: &CardCurve) -> String {
        let header = [
            self.say("Trained tokens", "学習トークン数"),
            self.say("Average of subtask scores", "サブタスクスコアの平均"),
            self.say("95% interval", "95%信頼区間"),
            "n",
        ];
        let row = |point: &CardCurvePoint| {
            let (mean, range) = score(point.mean, point.low, point.high, false);
            vec![exact(point.tokens.0).into(), mean.into(), Cell::plain(&range), exact(point.n).into()]
        };
        table(&header, &thinned(&curve.points).into_iter().map(row).collect::<Vec<_>>())
    }
}

/// `4,480`, and `1.5` below ten.
fn rounded(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below zero, and rounded"
    )]
    let whole = value.round() as u64;
    if value < 9.95 { format!("{value:.1}") } else { exact(whole) }
}

/// The first, the last, and evenly many between them.
fn thinned(points: &[CardCurvePoint]) -> Vec<&CardCurvePoint> {
    let last = points.len().saturating_sub(1);
    if points.len() <= SHOWN_POINTS {
        return points.iter().collect();
    }
    (0..SHOWN_POINTS).filter_map(|at| points.get(at * last / (SHOWN_POINTS - 1))).collect()
}

/// A file of the release that can stand in a link as it is.
fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    !path.starts_with('/') && !path.contains("..") && path.chars().all(plain)
}
