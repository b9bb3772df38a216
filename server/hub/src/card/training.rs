//! Hyperparameters, compute and the learning curve.

use sekisho_domain::Language;
use serde_json::Value;

use super::figures::{exact, score, small};
use super::markdown::{Cell, code, list_of_values, table};
use super::{Card, CardCurve, CardCurvePoint, Section};

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
        let compute = self.facts.extras.compute.as_ref()?;
        let (gpu, count) = (&compute.gpu, exact(compute.count));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to whole days above"
        )]
        let days = match compute.gpu_days.max(0.0) {
            days if days < 10.0 => format!("{days:.1}"),
            days => exact(days.round() as u64),
        };
        Some(match self.language {
            Language::En => format!("{count} × {gpu}, about {days} GPU-days"),
            Language::Ja => format!("{gpu} {count}基、約{days} GPU日"),
        })
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
