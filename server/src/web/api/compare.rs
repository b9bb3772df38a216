use axum::Json;
use axum::extract::State;
use sekisho_bench::compare::Comparison;
use sekisho_domain::{CheckpointId, Step, Tokens};
use serde::{Deserialize, Serialize};

use super::query::Query;
use crate::service::comparisons::selection::{self, Align, Column};
use crate::service::comparisons::table::{self, Table, TableCell};
use crate::service::corpora;
use crate::{App, Noun, Viewer, WebError};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Runs (names or ids) and checkpoints, with commas.
    ids: String,
    /// Which of them is the baseline; the first when absent.
    base: Option<String>,
    /// Which checkpoint stands for a run. When absent, runs are compared after as many tokens, and checkpoints as they were named.
    #[param(inline)]
    align: Option<Align>,
}

/// A comparison as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ComparisonTable)]
pub(super) struct ComparisonView {
    base: String,
    align: Align,
    /// Tokens that all have reached with a score.
    reached: Option<Tokens>,
    columns: Vec<ColumnView>,
    /// Ids that name nothing.
    unknown: Vec<String>,
    pairs: Vec<PairView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ComparedColumn)]
struct ColumnView {
    id: String,
    run: String,
    checkpoint: Option<CheckpointId>,
    step: Option<Step>,
    tokens: Option<Tokens>,
}

/// One column against the baseline, in the form of `sekisho compare --json`; without it where no score may be compared.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ComparedPair)]
struct PairView {
    a: String,
    b: String,
    /// A is the baseline. p-values are corrected over all pairs.
    #[serde(flatten)]
    comparison: Option<Comparison>,
    /// Tasks that both have under settings that differ.
    not_comparable: Vec<NotComparable>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct NotComparable {
    profile: String,
    task: String,
    /// Which settings differ.
    settings: Vec<&'static str>,
}

/// Compares two to six runs or checkpoints on the items that they share
#[utoipa::path(
    get,
    path = "/compare",
    operation_id = "show_comparison",
    tag = "evaluations",
    params(Asked),
    responses((status = 200, description = "The answer.", body = ComparisonView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Json<ComparisonView>, WebError> {
    viewer.may_read()?;
    let ids: Vec<String> =
        asked.ids.split(',').map(str::trim).filter(|id| !id.is_empty()).map(Into::into).collect();
    let (named, unknown) = selection::named(&app, &ids).await?;
    if named.len() < 2 {
        if let Some(id) = unknown.first() {
            return Err(WebError::not_found(Noun::Run, id));
        }
        let detail = "A comparison needs two ids at least: ids=A,B, each a run or a checkpoint.";
        let ja =
            "比較には2つ以上のIDが必要です。ids=A,B の形で、実験またはチェックポイントを指定してください。";
        return Err(WebError::bad_request("compare-ids", detail).or_ja(ja));
    }
    for named in &named {
        corpora::may_use(&app, named.run.clone()).await?;
    }
    let align = Align::of(asked.align.map(Align::as_str), &named);
    let base = named.iter().position(|named| asked.base.as_ref() == Some(&named.key)).unwrap_or(0);
    let reached = selection::reached(&named);
    let columns = selection::columns(&app, named, align).await?;
    let table = table::table(&app, &columns, base).await?;
    Ok(Json(ComparisonView {
        base: columns[base].named.key.clone(),
        align,
        reached,
        pairs: pairs(&columns, base, table),
        columns: columns.iter().map(column).collect(),
        unknown,
    }))
}

fn column(column: &Column) -> ColumnView {
    let checkpoint = column.checkpoint.as_ref();
    ColumnView {
        id: column.named.key.clone(),
        run: column.named.run.name.clone(),
        checkpoint: checkpoint.map(|checkpoint| checkpoint.id),
        step: checkpoint.map(|checkpoint| checkpoint.step),
        tokens: checkpoint.map(|checkpoint| checkpoint.tokens),
    }
}

fn pairs(columns: &[Column], base: usize, table: Table) -> Vec<PairView> {
    let key = |number: usize| columns[number].named.key.clone();
    let Table { rows, against } = table;
    let pair = |one: table::Against| {
        let other = |row: &table::TableRow| match row.cells.get(one.column) {
            Some(TableCell::Other(found, settings)) => Some(NotComparable {
                profile: found.run.profile.clone(),
                task: found.run.task.clone(),
                settings: settings.iter().map(|part| part.as_str()).collect(),
            }),
            _ => None,
        };
        PairView {
            a: key(base),
            b: key(one.column),
            not_comparable: rows.iter().filter_map(other).collect(),
            comparison: one
                .found
                .map(|found| Comparison { verdict: one.verdict.unwrap_or(found.verdict), ..found }),
        }
    };
    against.into_iter().map(pair).collect()
}
