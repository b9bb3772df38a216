use std::net::SocketAddr;
use std::path::PathBuf;

use sekisho_server::service::people;
use sekisho_server::{App, Config, Server, bind, take};
use tokio::sync::watch;

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::signals::Signals;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file
    #[arg(long, value_name = "sekisho.toml")]
    config: Option<PathBuf>,
    /// Where the service keeps its data
    #[arg(long, env = "SEKISHO_DIR", default_value = "sekisho-data", value_name = "DIR")]
    dir: PathBuf,
    /// Database, instead of DIR/sekisho.db
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Address to listen on [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Start no worker on this machine
    #[arg(long)]
    no_local_worker: bool,
    /// Print a one-time sign-in link for this account, made by the service itself
    #[arg(long, value_name = "NAME")]
    link: Option<String>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let config = configure(args).map_err(Failed::user)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let dir = config.dir.clone();
        let listener = bind(config.listen).await.map_err(Failed::user)?;
        let program = std::env::current_exe()?;
        let lock = take(&dir).map_err(Failed::user)?;
        let server = Server::open(config, listener, lock, Some(program)).await.map_err(Failed::user)?;
        // From here on an end is a clean one, and whoever reads that it serves may ask for it.
        let mut signals = Signals::catch()?;
        let link = match &args.link {
            Some(name) => Some(sign_in_link(&server.app, name).await?),
            None => None,
        };
        printer.say(&format!("Sekisho serves at {}", server.app.config.public_url));
        printer.say(&format!("  data   {}", dir.display()));
        printer.say(&format!("  admin  SEKISHO_TOKEN=$(cat {})", dir.join("admin-token").display()));
        if let Some(link) = link {
            printer.say(&format!("  link   {link}  (signs in once, within a day)"));
        }
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server.run(stopped));
        let status = signals.next().await;
        printer.say("Draining: open requests and the worker's present item are finished first.");
        stop.send_replace(true);
        serving.await??;
        Ok(status)
    })
}

/// A link that no token had a part in: who signs in by it may approve.
async fn sign_in_link(app: &App, name: &str) -> anyhow::Result<String> {
    let Some(user) = app.store.user_by_name(name).await? else {
        let text = format!(
            "There is no account \"{name}\" to sign in as. Start without --link, and add it with `sekisho user add {name} --role ROLE`."
        );
        return Err(Failed::with(ExitStatus::NotFound, text));
    };
    Ok(people::login_link(app, &user, None).await?)
}

fn configure(args: &Args) -> Result<Config, sekisho_server::ConfigError> {
    let mut config = match &args.config {
        Some(file) => Config::load(file, &args.dir)?,
        None => Config::defaults(&args.dir)?,
    };
    if let Some(listen) = args.listen {
        config.set_listen(listen);
    }
    if let Some(url) = &args.database_url {
        config.database_url.clone_from(url);
    }
    config.local_worker = !args.no_local_worker;
    Ok(config)
}
