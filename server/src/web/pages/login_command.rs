//! `/login/command`: a person confirms the sign-in that a command line asks for.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::parts;
use crate::service::logins;
use crate::web::frame::{Frame, OpenFrame, encode};
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "login/command.html")]
struct CommandPage {
    frame: Frame,
    standing: Standing,
}

/// What the page says.
enum Standing {
    /// A request waits: its code, who asks, and where a stranger signs in.
    Asked { code: String, origin: String, sign_in: String },
    /// There is no such request.
    Gone,
    /// It was confirmed just now.
    Confirmed,
    /// It was denied just now.
    Denied,
}

/// What the buttons send.
#[derive(Deserialize)]
pub(crate) struct Answer {
    csrf: String,
    code: String,
    answer: String,
}

/// `GET /login/command?code=…`.
pub(crate) async fn show(State(app): State<App>, OpenFrame(frame): OpenFrame) -> Result<Response, WebError> {
    let code = frame.param("code").unwrap_or_default().to_owned();
    let standing = match logins::find(&app, &code).await {
        Ok(request) => asked(request.code, request.origin),
        Err(error) if error.status.is_client_error() => Standing::Gone,
        Err(error) => return Err(error),
    };
    parts::page(&CommandPage { frame, standing })
}

fn asked(code: String, origin: String) -> Standing {
    let back = format!("/login/command?code={code}");
    Standing::Asked { code, origin, sign_in: format!("/login?next={}", encode(&back)) }
}

/// `POST /login/command`.
pub(crate) async fn answer(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Form(form): Form<Answer>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let standing = if form.answer == "confirm" {
        logins::confirm(&app, actor, &form.code).await?;
        Standing::Confirmed
    } else {
        logins::deny(&app, actor, &form.code).await?;
        Standing::Denied
    };
    parts::page(&CommandPage { frame, standing })
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let asked = || asked("WXDF-BQTZ".to_owned(), "ueda@<login01>".to_owned());
    let user = fixtures::user("ueda", fixtures::id("ueda"), &[sekisho_domain::user::Role::Approver]);
    let signed_in = Frame { user: Some(user), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let page =
        |frame: &Frame, standing| CommandPage { frame: frame.clone(), standing }.render().expect("renders");
    vec![
        page(frame, asked()),
        page(&signed_in, asked()),
        page(&signed_in, Standing::Confirmed),
        page(&signed_in, Standing::Denied),
        page(frame, Standing::Gone),
    ]
}
