use crate::client::{Client, DEFAULT_SERVER};
use crate::exit::ExitStatus;
use crate::logins;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the service
    #[arg(long, env = "SEKISHO_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    // Forgotten here first: a service that does not answer ends the sign-in by itself soon.
    let Some(login) = logins::forget(&args.server)? else {
        printer.say(&format!("Nobody is signed in at {}.", args.server));
        return Ok(ExitStatus::Ok);
    };
    Client::with(&args.server, Some(login.secret))?.delete("/login-requests")?;
    printer.say(&format!("{} is signed out of {}.", login.user, args.server));
    Ok(ExitStatus::Ok)
}
