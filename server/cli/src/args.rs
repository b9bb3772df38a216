use clap::{Parser, Subcommand};

use crate::commands::{
    audit, bundle, channel, checkpoint, compare, completions, contamination, convert, corpus, data, demo,
    doctor, eval, export, gpu, grid, import, ingest, login, logout, policy, presets, project, queue, release,
    replay, run, serve, surgery, tasks, token, train, user, verify, watch, webhook, worker,
};

/// The checkpoint that model checkpoints must pass: verify, evaluate, watch, judge, approve, publish.
#[derive(Parser)]
#[command(name = "sekisho", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Only errors on stderr
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// No progress bars
    #[arg(long, global = true, env = "SEKISHO_NO_PROGRESS", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) no_progress: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 a failure you can mend, 2 usage or unexpected, 3 not found, \
4 conflict or stale, 5 refused by policy, 124 timed out, 130 interrupted.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The whole road on bundled input: train, ingest, evaluate, propose, show
    Demo(demo::Args),
    /// Run the service
    Serve(serve::Args),
    /// Pull evaluation work from a service
    Worker(worker::Args),
    /// What starts workers where work waits: launchers and what they have started
    #[command(subcommand)]
    Queue(queue::Command),
    /// Work for nodes without a network: pack it into a folder, take it back
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Train a model from a specification
    Train(train::Args),
    /// One specification under several seeds and on several mixtures, and the means of the seeds
    Grid(grid::Args),
    /// Published sizes and how they were trained; one as a specification to begin with
    Presets(presets::Args),
    /// What a run was trained on, without weights
    Replay(replay::Args),
    /// Hand a checkpoint over to a service
    Ingest(ingest::Args),
    /// Find, convert and hand over what a trainer writes
    Watch(Box<watch::Args>),
    /// Checkpoints of Megatron-LM and torch DCP as Hugging Face folders
    Convert(convert::Args),
    /// Weights changed without training: a larger vocabulary, the mean of several models, a folded factor
    #[command(subcommand)]
    Surgery(surgery::Command),
    /// Evaluate a model without a service
    Eval(Box<eval::Args>),
    /// Benchmark definitions
    #[command(subcommand)]
    Tasks(tasks::Command),
    /// Benchmark data: build llm-jp-eval's files, check what is there
    #[command(subcommand)]
    Data(data::Command),
    /// Compare two models on the items that both answered
    Compare(compare::Args),
    /// Look for the items of benchmarks in training text
    Contamination(Box<contamination::Args>),
    /// What leaves as files: the leaderboard and the runs as a site that needs no server
    #[command(subcommand)]
    Export(export::Command),
    /// Results of other harnesses as per-item records; histories and logs of other trainers, W&B and TensorBoard
    #[command(subcommand)]
    Import(import::Command),
    /// Licence and release-level policy, without a service
    #[command(subcommand)]
    Policy(policy::Command),
    /// Releases: propose, freeze, request, approve, publish, export, yank …
    #[command(subcommand)]
    Release(release::Command),
    /// What goes out by itself to a private repository, under a blanket approval
    #[command(subcommand)]
    Channel(channel::Command),
    /// Hold a downloaded release, or one on a Hub, against its signature
    Verify(verify::Args),
    /// The audit log: verify it, export it, take its signed head
    #[command(subcommand)]
    Audit(audit::Command),
    /// Runs of a service
    #[command(subcommand)]
    Run(run::Command),
    /// Checkpoints of a service
    #[command(subcommand)]
    Checkpoint(checkpoint::Command),
    /// The registry of corpora: subsets, licences, release levels
    #[command(subcommand)]
    Corpus(corpus::Command),
    /// Projects of a service
    #[command(subcommand)]
    Project(project::Command),
    /// Sign this command line in, confirmed in a browser: what approving takes
    Login(login::Args),
    /// End the sign-in
    Logout(logout::Args),
    /// Accounts of a service
    #[command(subcommand)]
    User(user::Command),
    /// API tokens of a service
    #[command(subcommand)]
    Token(token::Command),
    /// Webhooks of a service: where it tells what happens
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// What this machine offers and what is missing
    Doctor(doctor::Args),
    /// Measure a GPU: its kernels beside what it can reach, or a model on it
    Gpu(gpu::Args),
    /// Shell completions
    Completions(completions::Args),
}
