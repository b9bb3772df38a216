//! Work for nodes without a network: packed into a folder, and taken back from it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;
use sekisho_domain::score::TokenCounts;
use sekisho_domain::wire::{ResultsBatch, WorkBundle, WorkItem};
use sekisho_evaluator::bundle::{self, Finished, Standing};
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

/// Records of one request.
const AT_ONCE: usize = 500;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lease what waits, and pack it into a new folder with its plan, its data and, if asked, its weights
    Make {
        /// The folder, which is made
        folder: PathBuf,
        /// Work items at most
        #[arg(long, default_value_t = 100, value_name = "N")]
        max: u32,
        /// Days for which nobody else answers them
        #[arg(long, default_value_t = 7, value_name = "N")]
        days: u32,
        /// Pool whose work is taken too
        #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
        pool: String,
        /// Copy the weights too, where the node does not see the folders of the checkpoints
        #[arg(long)]
        weights: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Hand in what `sekisho worker --bundle` has finished
    Take {
        /// The folder
        folder: PathBuf,
        /// Let others answer what is not finished
        #[arg(long)]
        give_back: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Make { folder, max, days, pool, weights, server } => {
            let asked = json!({ "max": max, "days": days, "pool": pool });
            make(folder, &asked, *weights, &Client::new(server)?, printer)
        }
        Command::Take { folder, give_back, server } => {
            take(folder, *give_back, &Client::new(server)?, printer)
        }
    }
}

fn make(
    folder: &Path,
    asked: &Value,
    weights: bool,
    client: &Client,
    printer: &Printer,
) -> anyhow::Result<ExitStatus> {
    if folder.exists() {
        let text = format!("{} is there already; name a new folder for the bundle.", folder.display());
        return Err(Failed::with(ExitStatus::Conflict, text));
    }
    fs_err::create_dir_all(folder.join("sources"))?;
    let bundle: WorkBundle = match client.post("/work/bundles", asked) {
        Ok(bundle) => bundle,
        Err(error) => {
            fs_err::remove_dir_all(folder)?;
            return Err(error);
        }
    };
    if let Err(error) = fill(folder, &bundle, weights, client) {
        // Nobody has the bundle, so nobody should wait for it.
        for item in &bundle.items {
            give_back(item, client)?;
        }
        fs_err::remove_dir_all(folder)?;
        return Err(error);
    }
    printer.data(&format!(
        "{} work items in {}, held until {}",
        bundle.items.len(),
        folder.display(),
        bundle.until
    ))?;
    printer.say(&format!(
        "On the node: sekisho worker --bundle {0}; then here: sekisho bundle take {0}",
        folder.display()
    ));
    Ok(ExitStatus::Ok)
}

fn fill(folder: &Path, bundle: &WorkBundle, weights: bool, client: &Client) -> anyhow::Result<()> {
    let sources: BTreeSet<Sha256> =
        bundle.items.iter().flat_map(|item| &item.sources).map(|file| file.sha256).collect();
    for sha256 in sources {
        let mut bytes = Vec::new();
        client.stream(&format!("/work/sources/{}", sha256.hex()))?.read_to_end(&mut bytes)?;
        anyhow::ensure!(
            Sha256::of(&bytes) == sha256,
            "the service sent other bytes for data file {sha256}; try again"
        );
        fs_err::write(bundle::source_path(folder, sha256), bytes)?;
    }
    let models: BTreeSet<(Sha256, &str)> =
        bundle.items.iter().map(|item| (item.digest, item.path.as_str())).collect();
    for (digest, path) in models.into_iter().filter(|_| weights) {
        let to = bundle::model_path(folder, digest);
        fs_err::create_dir_all(&to)?;
        for entry in fs_err::read_dir(path)? {
            let entry = entry?;
            if entry.path().is_file() {
                fs_err::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
    }
    Ok(bundle::write_bundle(folder, bundle)?)
}

/// Takes what is complete; says of the rest what is missing.
fn take(folder: &Path, returns: bool, client: &Client, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let bundle = bundle::read_bundle(folder).map_err(Failed::user)?;
    let (mut taken, mut left) = (0, 0);
    for item in &bundle.items {
        let name = format!("{}/{} of checkpoint {}", item.run.profile, item.run.task, item.checkpoint);
        let reason = match bundle::standing(folder, item)? {
            Standing::Finished(finished, records) => match hand_in(item, &finished, &records, client) {
                Ok(()) => {
                    taken += 1;
                    continue;
                }
                Err(error) => error.to_string(),
            },
            Standing::Begun(answered) => format!(
                "not finished: {answered} items are answered; go on with `sekisho worker --bundle {}`",
                folder.display()
            ),
            Standing::Wrong(reason) => reason,
        };
        left += 1;
        printer.data(&format!("refused: {name}: {reason}"))?;
        // One that went to somebody else is not ours to give back.
        if returns && let Err(error) = give_back(item, client) {
            printer.say(&error.to_string());
        }
    }
    printer.data(&format!("{taken} of {} work items taken", bundle.items.len()))?;
    Ok(if left > 0 { ExitStatus::Failure } else { ExitStatus::Ok })
}

/// Numbered like a worker's, so that a bundle that is handed in twice, or was cut off, counts once.
fn hand_in(item: &WorkItem, finished: &Finished, records: &[Value], client: &Client) -> anyhow::Result<()> {
    let mut parts: Vec<&[Value]> = records.chunks(AT_ONCE).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    for (number, part) in parts.iter().enumerate() {
        let done = number + 1 == parts.len();
        let (seconds, tokens) = if done { (finished.seconds, finished.tokens) } else { Default::default() };
        let batch = ResultsBatch {
            batch: number as u64 + 1,
            records: part.to_vec(),
            total: Some(finished.total),
            done,
            plan: Some(finished.plan),
            seconds,
            tokens,
            environment: if done { finished.environment.clone() } else { Default::default() },
            ..empty(item)
        };
        let _: Value = client.post("/work/results", &batch)?;
    }
    Ok(())
}

fn give_back(item: &WorkItem, client: &Client) -> anyhow::Result<()> {
    let _: Value = client.post("/work/results", &ResultsBatch { give_back: true, ..empty(item) })?;
    Ok(())
}

fn empty(item: &WorkItem) -> ResultsBatch {
    ResultsBatch {
        id: item.id,
        fence: item.fence,
        batch: 0,
        records: Vec::new(),
        total: None,
        done: false,
        failure: None,
        give_back: false,
        plan: None,
        seconds: 0.0,
        tokens: TokenCounts::default(),
        environment: Default::default(),
    }
}
