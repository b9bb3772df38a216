//! What is known of a model beside its scores: what filters look at and columns show.

use sekisho_domain::lineage::{InputStage, LineageFile};
use sekisho_domain::{Timestamp, parse_toml};
use sekisho_store::Standing;
use serde_json::Value;

use super::board::Model;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) name: String,
    /// `llama`, `mixtral`: the family that the configuration names.
    pub(super) family: Option<String>,
    pub(super) stage: Option<InputStage>,
    pub(super) parameters: Option<u64>,
    /// Parameters that a token meets, where that is fewer.
    pub(super) active: Option<u64>,
    pub(super) tokens: Option<u64>,
    /// Of the published model, where there is one.
    pub(super) license: Option<String>,
    /// The last change of a score; when it was published.
    pub(super) day: Timestamp,
}

impl Facts {
    pub(super) fn of(model: &Model) -> Self {
        match model {
            Model::Ours(standing) => ours(standing),
            Model::Reported(row) => Self {
                name: row.model.clone(),
                family: row.family.clone(),
                stage: None,
                parameters: row.parameters,
                active: row.active,
                tokens: row.tokens.map(|tokens| tokens.0),
                license: row.model_license.clone(),
                day: start_of(row.day),
            },
        }
    }

    /// The class of sizes.
    pub(super) fn size(&self) -> Option<Size> {
        self.parameters.map(Size::of)
    }
}

/// The beginning of a day, UTC.
pub(super) fn start_of(day: jiff::civil::Date) -> Timestamp {
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond());
    Timestamp::from_unix_ms(start)
}

fn ours(standing: &Standing) -> Facts {
    let config = standing.config.as_ref();
    Facts {
        name: standing.run_name.clone(),
        family: config.and_then(|config| config["model_type"].as_str()).map(ToOwned::to_owned),
        stage: standing
            .is_continued
            .map(|continued| if continued { InputStage::Continual } else { InputStage::Pretrain }),
        parameters: standing.parameters,
        active: config.zip(standing.parameters).and_then(|(config, all)| active(config, all)),
        tokens: Some(standing.tokens.0),
        license: standing.released.as_deref().and_then(license),
        day: standing
            .work
            .iter()
            .filter(|work| work.score.is_some())
            .map(|work| work.updated)
            .max()
            .unwrap_or(Timestamp::from_unix_ms(0)),
    }
}

/// The licence that a published release declares.
fn license(lineage: &str) -> Option<String> {
    let file: LineageFile = parse_toml("lineage.toml", lineage).ok()?;
    let licenses = file.release?.license;
    (!licenses.is_empty()).then(|| licenses.join(" AND "))
}

/// Parameters that a token meets: all but those of the experts that it is not sent to. Each expert has three matrices.
fn active(config: &Value, all: u64) -> Option<u64> {
    let number = |key: &str| config[key].as_u64();
    let (experts, met) = (number("num_local_experts")?, number("num_experts_per_tok")?);
    let of_one = 3 * number("hidden_size")? * number("intermediate_size")? * number("num_hidden_layers")?;
    let idle = experts.checked_sub(met)?.checked_mul(of_one)?;
    all.checked_sub(idle).filter(|_| idle > 0)
}

/// Classes of sizes, as Swallow's leaderboard has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// Below 5B.
    Tiny,
    /// 5B to 15B.
    Small,
    /// 15B to 100B.
    Medium,
    /// From 100B on.
    Large,
}

impl Size {
    pub(super) const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Medium, Self::Large];

    const fn of(parameters: u64) -> Self {
        match parameters {
            0..5_000_000_000 => Self::Tiny,
            5_000_000_000..15_000_000_000 => Self::Small,
            15_000_000_000..100_000_000_000 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// In URLs and as the end of catalogue keys.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mixture_of_experts_has_fewer_active_parameters() {
        // Mixtral 8x7B: 46.7B, of which a token meets 12.9B.
        let config = json!({ "num_local_experts": 8, "num_experts_per_tok": 2, "hidden_size": 4096,
            "intermediate_size": 14336, "num_hidden_layers": 32 });
        assert_eq!(active(&config, 46_702_792_704), Some(12_879_925_248));
        assert_eq!(active(&json!({ "hidden_size": 4096 }), 8_030_261_248), None);
    }

    #[test]
    fn classes_of_sizes_begin_where_they_say() {
        let b = 1_000_000_000;
        let of = [5 * b - 1, 5 * b, 15 * b - 1, 15 * b, 100 * b - 1, 100 * b].map(Size::of);
        assert_eq!(of, [Size::Tiny, Size::Small, Size::Small, Size::Medium, Size::Medium, Size::Large]);
    }

    #[test]
    fn the_licence_is_that_of_the_release() {
        let lineage = "[model]\nname = \"m\"\n[release]\nrepo = \"lab/m\"\nlicense = [\"apache-2.0\"]\n";
        assert_eq!(license(lineage).as_deref(), Some("apache-2.0"));
        assert_eq!(license("not TOML ["), None);
    }
}
