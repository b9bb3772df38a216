use sekisho_domain::user::Scope;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token for an account; it is shown this once and can never approve
    Add {
        /// Name of the account
        user: String,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// read, ingest, evaluate, release, publish, admin
        #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPE")]
        scope: Vec<Scope>,
        /// Days until it expires
        #[arg(long)]
        days: Option<i64>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// The tokens of an account, without their texts
    List {
        /// Name of the account
        user: String,
        #[command(flatten)]
        server: ServerArgs,
        /// JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Make a token invalid
    Revoke {
        /// Name of the account
        user: String,
        /// Id of the token, as `list` shows it
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Add { user, label, scope, days, server } => {
            let body = json!({ "label": label, "scopes": scope, "days": days });
            let answer: Value = Client::new(server)?.post(&tokens(user), &body)?;
            printer.data(answer["token"].as_str().unwrap_or_default())?;
        }
        Command::List { user, server, json: true } => {
            printer.json(&Client::new(server)?.list::<Value>(&tokens(user))?)?;
        }
        Command::List { user, server, json: false } => {
            let found: Vec<Value> = Client::new(server)?.list(&tokens(user))?;
            let rows: Vec<_> = found.iter().map(row).collect();
            printer.table(&["label", "scopes", "created", "expires", "id"], &rows)?;
        }
        Command::Revoke { user, id, server } => {
            Client::new(server)?.delete(&format!("{}/{}", tokens(user), encode(id)))?;
            printer.say(&format!("Token {id} of {user} works no longer."));
        }
    }
    Ok(ExitStatus::Ok)
}

fn tokens(user: &str) -> String {
    format!("/users/{}/tokens", encode(user))
}

fn row(token: &Value) -> Vec<String> {
    let scopes: Vec<&str> =
        token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text = |key: &str| token[key].as_str().unwrap_or("—").to_owned();
    vec![text("label"), scopes.join(", "), text("created"), text("expires"), text("id")]
}
