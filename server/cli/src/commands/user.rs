use sekisho_domain::user::Role;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::commands::project;
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Accounts by name
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Add an account; prints its first sign-in link
    Add {
        /// Name, shown to others
        name: String,
        /// viewer, contributor, evaluator, approver, publisher, admin
        #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE")]
        role: Vec<Role>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Give an account these roles and no others
    Roles {
        /// Name of the account
        name: String,
        /// viewer, contributor, evaluator, approver, publisher, admin
        #[arg(required = true, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
        /// Only in this project; there is no admin of one
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// A new one-time sign-in link
    Link {
        /// Name of the account
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { server, json: true } => {
            printer.json(&Client::new(server)?.list::<Value>("/users")?)?;
        }
        Command::List { server, json: false } => {
            let users: Vec<Value> = Client::new(server)?.list("/users")?;
            let rows: Vec<_> = users.iter().map(row).collect();
            printer.table(&["name", "roles", "id"], &rows)?;
        }
        Command::Add { name, role, server } => {
            let client = Client::new(server)?;
            let _: Value = client.post("/users", &json!({ "name": name, "roles": role }))?;
            link(&client, name, printer)?;
        }
        Command::Roles { name, roles, project: Some(project), server } => {
            project::set_roles(&Client::new(server)?, project, name, roles, printer)?;
        }
        Command::Roles { name, roles, project: None, server } => {
            let path = format!("/users/{}/roles", encode(name));
            let user: Value = Client::new(server)?.post(&path, &json!({ "roles": roles }))?;
            printer.table(&["name", "roles", "id"], &[row(&user)])?;
        }
        Command::Link { name, server } => link(&Client::new(server)?, name, printer)?,
    }
    Ok(ExitStatus::Ok)
}

fn link(client: &Client, name: &str, printer: &Printer) -> anyhow::Result<()> {
    let answer: Value = client.post(&format!("/users/{}/login-link", encode(name)), &json!({}))?;
    printer.say("The link signs in once, within a day:");
    printer.data(answer["url"].as_str().unwrap_or_default())
}

fn row(user: &Value) -> Vec<String> {
    let roles: Vec<&str> = user["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text = |key: &str| user[key].as_str().unwrap_or_default().to_owned();
    vec![text("name"), roles.join(", "), text("id")]
}
