use sekisho_domain::user::Role;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::fields::cell;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Projects by name
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Add a project
    Add {
        /// Letters, digits, '.', '_' and '-'
        name: String,
        /// What people call it
        #[arg(long, default_value = "", hide_default_value = true)]
        title: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Give an account these roles in a project and no others there; none take it out
    Roles {
        /// Name of the project
        project: String,
        /// Name of the account
        user: String,
        /// viewer, contributor, evaluator, approver, publisher
        #[arg(value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::List { server, json } => {
            let projects: Vec<Value> = Client::new(server)?.list("/projects")?;
            if *json { printer.json(&projects)? } else { table(&projects, printer)? }
        }
        Command::Add { name, title, server } => {
            let body = json!({ "name": name, "title": title });
            let project: Value = Client::new(server)?.post("/projects", &body)?;
            table(&[project], printer)?;
        }
        Command::Roles { project, user, roles, server } => {
            set_roles(&Client::new(server)?, project, user, roles, printer)?;
        }
    }
    Ok(ExitStatus::Ok)
}

/// Sets the roles of an account in one project, and says what holds from now on.
pub(super) fn set_roles(
    client: &Client,
    project: &str,
    user: &str,
    roles: &[Role],
    printer: &Printer,
) -> anyhow::Result<()> {
    let path = format!("/projects/{}/roles", encode(project));
    let _: Value = client.post(&path, &json!({ "user": user, "roles": roles }))?;
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let names = if names.is_empty() { "—".to_owned() } else { names.join(", ") };
    printer.table(&["project", "name", "roles"], &[vec![project.to_owned(), user.to_owned(), names]])
}

fn table(projects: &[Value], printer: &Printer) -> anyhow::Result<()> {
    let row = |project: &Value| ["name", "title", "created"].map(|key| cell(project, key)).to_vec();
    let rows: Vec<_> = projects.iter().map(row).collect();
    printer.table(&["name", "title", "created"], &rows)
}
