//! What a run is planned to take, on its page, and the form that changes it.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::run::{Plan, Planned};
use sekisho_domain::user::Role;
use serde::Deserialize;

use super::parts::When;
use super::run_load::Facts;
use crate::service::plans;
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, Viewer, WebError};

/// The plan as the page shows it.
pub(super) struct PlanView {
    pub(super) end: String,
    pub(super) gpus: String,
    pub(super) budget: String,
    pub(super) price: String,
    /// Newest first: when, who, what, why.
    pub(super) history: Vec<(When, String, String, String)>,
    pub(super) can_change: bool,
}

/// What its form sends.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    #[serde(default)]
    end: String,
    #[serde(default)]
    gpus: String,
    #[serde(default)]
    budget: String,
    #[serde(default)]
    price: String,
    #[serde(default)]
    reason: String,
}

impl PlanView {
    pub(super) fn of(frame: &Frame, facts: &Facts) -> Self {
        let plan = facts.plans.first().map(|planned| planned.plan.clone()).unwrap_or_default();
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let project = &facts.run.project;
        Self {
            end: plan.end.map_or_else(String::new, |end| end.to_string()),
            gpus: plan.gpus.map_or_else(String::new, |gpus| gpus.to_string()),
            budget: text(plan.budget_gpu_days),
            price: text(plan.yen_per_gpu_day),
            history: facts.plans.iter().map(|planned| line(frame, planned)).collect(),
            can_change: frame.user.as_ref().is_some_and(|user| user.has_in(project, Role::Contributor)),
        }
    }
}

fn line(frame: &Frame, planned: &Planned) -> (When, String, String, String) {
    (frame.when(planned.at), planned.by.clone(), words(frame, &planned.plan), planned.reason.clone())
}

/// `2026-12-31 · 64 GPU · 4,480 GPU日`.
fn words(frame: &Frame, plan: &Plan) -> String {
    let number = |value: f64| format::count(value.round() as u64);
    let parts = [
        plan.end.map(|end| end.to_string()),
        plan.gpus.map(|gpus| format!("{} GPU", format::count(gpus.into()))),
        plan.budget_gpu_days.map(|days| frame.fill("run.days_of_gpus", "n", number(days))),
        plan.yen_per_gpu_day.map(|yen| frame.fill("run.yen_a_day", "yen", number(yen))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// `POST /runs/{run}/plan`.
pub(crate) async fn change(
    State(app): State<App>,
    viewer: Viewer,
    Path(run): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    plans::change(&app, actor, &run, &plan(&fields)?, &fields.reason).await?;
    Ok(Redirect::to(&format!("/runs/{run}#plan")).into_response())
}

fn plan(fields: &Fields) -> Result<Plan, WebError> {
    Ok(Plan {
        end: read(&fields.end)?,
        gpus: read(&fields.gpus)?,
        budget_gpu_days: read(&fields.budget)?,
        yen_per_gpu_day: read(&fields.price)?,
    })
}

/// An empty field says nothing.
pub(super) fn read<T: std::str::FromStr>(text: &str) -> Result<Option<T>, WebError> {
    let text = text.trim().replace(',', "");
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let detail =
            format!("\"{text}\" cannot be read: an end is a day (YYYY-MM-DD), the other fields are numbers.");
        let ja =
            format!("「{text}」を読み取れません。完了予定はYYYY-MM-DD、その他は数値で入力してください。");
        WebError::refused("run-plan", detail).or_ja(ja)
    })
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn a_form_is_read_and_a_plan_said() {
        let field = |text: &str| text.to_owned();
        let mut fields = Fields {
            csrf: String::new(),
            end: field("2026-12-31"),
            gpus: field(" 64 "),
            budget: field("4,480"),
            price: String::new(),
            reason: String::new(),
        };
        let planned = plan(&fields).expect("a plan");
        let frame = fixtures::frame(Language::Ja, "/");
        assert_eq!(words(&frame, &planned), "2026-12-31 · 64 GPU · 4,480 GPU日");
        fields.gpus = field("many");
        assert_eq!(plan(&fields).expect_err("no number").status.as_u16(), 422);
    }
}
