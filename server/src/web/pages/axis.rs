//! What a run's curves are drawn against.

use sekisho_domain::run::{MetricRow, Segment, segment_of};
use sekisho_domain::{Language, Step, Tokens};

use crate::web::charts::{Axis, Numbers, Scale};
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// What curves are drawn against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Against {
    /// Training targets, logarithmic: learning curves are read over orders of magnitude.
    #[default]
    TokensLog,
    /// Training targets, linear.
    Tokens,
    /// Updates, linear.
    Steps,
    /// Floating-point operations, logarithmic: six for each parameter and target (Kaplan et al. 2020, §2.1).
    Flops,
    /// Hours since the first report, with what restarts lost.
    Hours,
}

impl Against {
    /// All, in the order in which they are offered.
    pub(super) const ALL: [Self; 5] = [Self::TokensLog, Self::Tokens, Self::Steps, Self::Flops, Self::Hours];

    /// Those on which several runs can lie together: they need nothing but a step and its tokens.
    pub(super) const SHARED: [Self; 3] = [Self::TokensLog, Self::Tokens, Self::Steps];

    /// Where a step or a checkpoint lies on an axis that runs share.
    pub(super) fn shared_x(self, step: Step, tokens: Tokens) -> f64 {
        Ground::default().x(self, step, tokens)
    }

    /// For URLs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::TokensLog => "tokens-log",
            Self::Tokens => "tokens",
            Self::Steps => "steps",
            Self::Flops => "flops",
            Self::Hours => "hours",
        }
    }

    /// Reads a code; the default for anything else.
    pub(super) fn of(code: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|a| Some(a.code()) == code).unwrap_or_default()
    }

    /// Name of the choice.
    pub(super) fn label(self, lang: Language) -> &'static str {
        match self {
            Self::TokensLog => lang.t("run.x_tokens_log"),
            Self::Tokens => lang.t("run.x_tokens"),
            Self::Steps => lang.t("run.x_steps"),
            Self::Flops => lang.t("run.x_flops"),
            Self::Hours => lang.t("run.x_hours"),
        }
    }

    /// The axis for a run that has come so far.
    pub(super) fn axis(self, lang: Language, furthest: Tokens, range: Option<(f64, f64)>) -> Axis {
        match self {
            Self::TokensLog => Axis::tokens(lang, Scale::Log, furthest, range),
            Self::Tokens => Axis::tokens(lang, Scale::Linear, furthest, range),
            Self::Steps => other(lang.t("axis.steps"), Scale::Linear, Numbers::Short, range),
            Self::Flops => other(lang.t("axis.flops"), Scale::Log, Numbers::Scientific, range),
            Self::Hours => other(lang.t("axis.hours"), Scale::Linear, Numbers::Plain, range),
        }
    }
}

fn other(title: &str, scale: Scale, numbers: Numbers, range: Option<(f64, f64)>) -> Axis {
    Axis { title: title.to_owned(), scale, numbers, range }
}

/// What the address calls the two ends of a part that is looked at close up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

impl Ends {
    /// Of the figures over the page's axis, in its unit.
    pub(super) const SHARED: Self = Self { from: "from", to: "to" };
    /// Of figures over steps on a page of another axis.
    pub(super) const STEPS: Self = Self { from: "step_from", to: "step_to" };

    /// The part that the address names; none where its ends are none.
    pub(super) fn of(self, frame: &Frame) -> Option<(f64, f64)> {
        let end =
            |name: &str| frame.param(name)?.parse::<f64>().ok().filter(|end| end.is_finite() && *end >= 0.0);
        end(self.from).zip(end(self.to)).filter(|(from, to)| from < to)
    }

    /// The page of the whole axis.
    pub(super) fn without(self, frame: &Frame) -> Frame {
        let is_end = |name: &str| [self.from, self.to].contains(&name);
        let query = frame.query.iter().filter(|(name, _)| !is_end(name)).cloned().collect();
        Frame { query, ..frame.clone() }
    }
}

/// What says where an update of a run lies on each axis.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// Parameters of the model, where that is known.
    parameters: Option<u64>,
    /// Hours since the first report, by update.
    hours: Vec<(Step, f64)>,
    /// The first update of each process that is shown, after the first.
    breaks: Vec<Step>,
    /// Tokens and updates of the stages before, where they are to count.
    before: (Tokens, Step),
}

impl Ground {
    /// From the rows that are shown and the processes that reported them.
    pub(super) fn of(rows: &[MetricRow], segments: &[Segment], parameters: Option<u64>) -> Self {
        let mut ground = Self { parameters, ..Self::default() };
        let (mut seconds, mut last): (f64, Option<&Segment>) = (0.0, None);
        for row in rows {
            let segment = segment_of(segments, row.step);
            if let (Some(before), Some(now)) = (last, segment)
                && before.number != now.number
            {
                ground.breaks.push(row.step);
                seconds += now.first_at.seconds_since(before.last_at).max(0.0);
            }
            last = segment;
            seconds += row.seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0).unwrap_or(0.0);
            ground.hours.push((row.step, seconds / 3600.0));
        }
        ground
    }

    /// The same with what was trained before this stage.
    pub(super) fn after(self, tokens: Tokens, step: Step) -> Self {
        Self { before: (tokens, step), ..self }
    }

    /// Which axes it has what they need for.
    pub(super) fn offers(&self, against: Against) -> bool {
        match against {
            Against::Flops => self.parameters.is_some(),
            Against::Hours => self.hours.last().is_some_and(|(_, hours)| *hours > 0.0),
            _ => true,
        }
    }

    /// Where a row or a checkpoint lies.
    pub(super) fn x(&self, against: Against, step: Step, tokens: Tokens) -> f64 {
        match against {
            Against::Steps => (self.before.1.0 + step.0) as f64,
            Against::TokensLog | Against::Tokens => (self.before.0.0 + tokens.0) as f64,
            Against::Flops => {
                6.0 * self.parameters.unwrap_or_default() as f64 * (self.before.0.0 + tokens.0) as f64
            }
            Against::Hours => {
                let at = self.hours.partition_point(|(known, _)| *known <= step);
                at.checked_sub(1).map_or(0.0, |at| self.hours[at].1)
            }
        }
    }

    /// Which of the processes reported an update, counted from nought: lines are broken between them.
    pub(super) fn group(&self, step: Step) -> usize {
        self.breaks.partition_point(|begun| *begun <= step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_of_the_fields_figures() {
        let title = |lang, against: Against, tokens| against.axis(lang, Tokens(tokens), None).title;
        let (far, near) = (500_000_000_000, 51_200);
        assert_eq!(title(Language::Ja, Against::default(), far), "学習トークン数 [B]（対数）");
        assert_eq!(title(Language::En, Against::default(), far), "Trained tokens [billion, log]");
        assert_eq!(title(Language::Ja, Against::default(), near), "学習トークン数 [M]（対数）");
        assert_eq!(title(Language::En, Against::default(), near), "Trained tokens [million, log]");
        assert_eq!(title(Language::En, Against::Tokens, far), "Trained tokens [billion]");
        assert_eq!(Against::of(None).axis(Language::En, Tokens(near), None).scale, Scale::Log);
        assert_eq!(Language::Ja.t("axis.mean"), "サブタスクスコアの平均");
        assert_eq!(Language::En.t("axis.mean"), "Average of subtask scores");
    }

    #[test]
    fn each_axis_knows_where_an_update_lies() {
        let at = |seconds: i64| sekisho_domain::Timestamp::from_unix_ms(seconds * 1000);
        let segment = |number, first: u64, last: u64, begun: i64, ended: i64| Segment {
            number,
            writer: String::new(),
            host: String::new(),
            first_step: Step(first),
            last_step: Step(last),
            first_at: at(begun),
            last_at: at(ended),
            batches: 1,
            last_seq: 0,
        };
        let segments = [segment(1, 1, 4, 0, 4 * 3600), segment(2, 4, 6, 6 * 3600, 8 * 3600)];
        let row = |step: u64| MetricRow {
            step: Step(step),
            tokens: Tokens(10 * step),
            seconds: Some(3600.0),
            ..MetricRow::default()
        };
        let rows: Vec<MetricRow> = (1..=6).map(row).collect();
        let ground = Ground::of(&rows, &segments, Some(7));
        let x = |against, step: u64| ground.x(against, Step(step), Tokens(10 * step));
        assert_eq!(
            [x(Against::Steps, 3), x(Against::Tokens, 3), x(Against::Flops, 3)],
            [3.0, 30.0, 6.0 * 7.0 * 30.0]
        );
        assert_eq!(
            [x(Against::Hours, 0), x(Against::Hours, 3), x(Against::Hours, 4)],
            [0.0, 3.0, 6.0],
            "two hours lost"
        );
        assert_eq!([ground.group(Step(3)), ground.group(Step(4)), ground.group(Step(6))], [0, 1, 1]);
        assert!(ground.offers(Against::Hours) && ground.offers(Against::Flops));
        let bare = Ground::of(&rows[..0], &[], None);
        assert!(!bare.offers(Against::Hours) && !bare.offers(Against::Flops) && bare.offers(Against::Tokens));
    }
}
