use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sekisho_server::{Config, Server, bind, take};
use tokio::sync::watch;

use crate::demo::{input, road, summary};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::signals::Signals;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the demo keeps its data; a second start finds it again
    #[arg(long, default_value = "sekisho-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 7070, value_name = "P")]
    port: u16,
    /// End after the pipeline and print one JSON summary
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let dir = std::path::absolute(&args.dir)?;
    tokio::runtime::Runtime::new()?.block_on(walk(args, dir, printer))
}

async fn walk(args: &Args, dir: PathBuf, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await.map_err(Failed::user)?;
    let lock = take(&dir).map_err(Failed::user)?;
    printer.say(&format!("Sekisho demo in {}", dir.display()));
    input::write(&dir, printer).map_err(Failed::on_disk)?;
    let mut config = Config::defaults(&dir)?;
    config.set_listen(listener.local_addr()?);
    config.data_dir = dir.join(input::DATA);
    config.tasks_dir = dir.join(input::TASKS);
    config.suite = input::SUITE.to_owned();
    let program = std::env::current_exe()?;
    let server = Server::open(config, listener, lock, Some(program)).await.map_err(Failed::user)?;
    let app = server.app.clone();
    let people = road::people(&app).await?;
    let mut signals = Signals::catch()?;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.run(stopped));
    let arrived = tokio::select! {
        arrived = road::walk(&app, &people, printer) => arrived.map(|()| None),
        status = signals.next() => Ok(Some(status)),
    };
    let status = match arrived {
        Ok(None) => {
            let summary = summary::collect(&app).await?;
            if args.once {
                printer.json(&summary)?;
                ExitStatus::Ok
            } else {
                summary.say(printer);
                people.say_links(&app, printer).await?;
                printer.say("Ctrl-C ends it; the data stays.");
                signals.next().await
            }
        }
        Ok(Some(status)) => {
            printer.say("Interrupted; the same command goes on from here.");
            status
        }
        Err(error) if args.once => {
            stop.send_replace(true);
            serving.await??;
            return Err(error);
        }
        Err(error) => {
            let status = printer.failure(&error);
            printer.say("The pages stay up to look at; Ctrl-C ends it, and the same command tries again.");
            signals.next().await;
            status
        }
    };
    stop.send_replace(true);
    serving.await??;
    Ok(status)
}
