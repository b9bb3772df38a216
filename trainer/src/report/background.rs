//! The reporter. What it has to say lies in the run's folder already (`log.jsonl`, `events.jsonl`, the checkpoints), so
//! those files are its spool: a server that is away for days costs nothing, and a killed trainer forgets nothing. How far
//! the server has been told is in `report.json`.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::run::{MetricRow, RunEvent};
use sekisho_domain::wire::{AnnounceCheckpoint, MetricsBatch, RegisterRun};
use sekisho_domain::{CheckpointId, RunId, Step};
use sekisho_weights::read_manifest;
use serde::de::DeserializeOwned;

use super::told::Told;
use super::{ReportError, RunClient};
use crate::folder::RunFolder;
use crate::rollback;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long rows may wait for company.
const GATHER: Duration = Duration::from_millis(500);
/// Rows of a batch.
const ROWS: usize = 500;
/// How long the end of a run waits for the server to hear of it.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is reported on.
pub(crate) struct Subject {
    pub(crate) folder: RunFolder,
    pub(crate) register: RegisterRun,
    /// The server copies a checkpoint that the keep rules may remove later.
    pub(crate) copy: Box<dyn Fn(u64) -> bool + Send>,
}

/// The thread that reports.
pub(crate) struct Reporter {
    wake: SyncSender<()>,
    notes: Receiver<String>,
    thread: JoinHandle<()>,
    settled: Settled,
}

/// Updates whose checkpoints the server has verified or refused: it does not read them again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled(Arc<Mutex<BTreeSet<u64>>>);

impl Settled {
    pub(crate) fn contains(&self, step: u64) -> bool {
        self.0.lock().is_ok_and(|steps| steps.contains(&step))
    }

    fn set(&self, steps: BTreeSet<u64>) {
        if let Ok(mut settled) = self.0.lock() {
            *settled = steps;
        }
    }
}

impl Reporter {
    /// Starts reporting. Tries once to reach the server before it returns.
    ///
    /// # Errors
    /// When the server answers and refuses: a wrong token or a taken name is better known before weeks of training.
    pub(crate) fn start(client: RunClient, subject: Subject) -> Result<Self, ReportError> {
        let (wake, woken) = mpsc::sync_channel(1);
        let (say, notes) = mpsc::channel();
        let mut teller = Teller::new(client, subject);
        if let Err(error) = teller.hello() {
            if !error.is_temporary() {
                return Err(error);
            }
            // Without a listener nobody misses the note.
            let _ = say.send(format!("{error}. Training goes on; the server will be told later."));
        }
        let settled = teller.settled.clone();
        let thread = std::thread::spawn(move || teller.run(&woken, &|note| drop(say.send(note))));
        Ok(Self { wake, notes, thread, settled })
    }

    /// There is something new in the folder.
    pub(crate) fn wake(&self) {
        match self.wake.try_send(()) {
            // One wake-up waits already, or the thread has given up and said so.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    /// Whether the server has verified or refused the checkpoint of an update.
    pub(crate) fn is_settled(&self, step: u64) -> bool {
        self.settled.contains(step)
    }

    /// The same, also after the end.
    pub(crate) fn settled(&self) -> Settled {
        self.settled.clone()
    }

    /// What the reporter has to say to people since the last time.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.try_iter().collect()
    }

    /// Tells the server what it does not know yet, for a few seconds at most. Gives back the last notes.
    pub(crate) fn finish(self) -> Vec<String> {
        drop(self.wake);
        // The thread never panics on purpose; if it did, the run is over anyway and nothing is lost.
        let _ = self.thread.join();
        self.notes.try_iter().collect()
    }
}

struct Teller {
    client: RunClient,
    subject: Subject,
    told: Told,
    writer: String,
    seq: u64,
    /// A batch that was sent without an answer, and where it ends in the log: it is repeated as it was.
    unanswered: Option<(MetricsBatch, u64)>,
    /// Checkpoints that the server did not take.
    refusals: Vec<String>,
    settled: Settled,
}

impl Teller {
    fn new(client: RunClient, subject: Subject) -> Self {
        let told = Told::read(&subject.folder);
        let mut random = [0; 8];
        // Without random bytes two writers are still told apart by their batches.
        let _ = getrandom::fill(&mut random);
        Self {
            client,
            subject,
            told,
            writer: hex::encode(random),
            seq: 0,
            unanswered: None,
            refusals: Vec::new(),
            settled: Settled::default(),
        }
    }

    /// The run's id, registering it where that was not done.
    fn find_run(&mut self) -> Result<RunId, ReportError> {
        if let Some(run) = self.told.run {
            return Ok(run);
        }
        let run = self.client.register(&self.subject.register)?.id;
        self.told = Told { run: Some(run), ..Told::default() };
        self.remember()?;
        Ok(run)
    }

    /// The run, and that nobody else writes it: a second training under the name of the first is better known of at once.
    fn hello(&mut self) -> Result<(), ReportError> {
        let run = self.find_run()?;
        let (batch, end) = (self.batch(Vec::new()), self.told.log);
        match self.send(run, batch, end) {
            // Another database than the one that knew the run: nobody writes it there.
            Err(error) if error.status() == Some(404) => {
                self.unanswered = None;
                Ok(())
            }
            other => other,
        }
    }

    fn run(mut self, woken: &Receiver<()>, say: &dyn Fn(String)) {
        let mut pause = GATHER;
        let mut away = self.told.run.is_none();
        let mut deadline: Option<Instant> = None;
        loop {
            let told = self.tell_all();
            self.refusals.drain(..).for_each(say);
            match told {
                Ok(()) => {
                    if std::mem::take(&mut away) {
                        say("The server answers again and has been told everything.".to_owned());
                    }
                    pause = GATHER;
                    let ended = deadline.is_some_and(|deadline| Instant::now() > deadline);
                    if deadline.is_some() && (ended || !self.keeps_copies_waiting()) {
                        return;
                    }
                }
                Err(error) if error.is_temporary() => {
                    if !std::mem::replace(&mut away, true) {
                        say(format!("{error}. Training goes on; the server will be told later."));
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return say(format!("{error}. Nothing more is reported in this session.")),
            }
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return say(
                    "The server was not told everything; start again with --resume to tell it.".to_owned()
                );
            }
            if deadline.is_some() {
                std::thread::sleep(pause.min(Duration::from_secs(1)));
            } else if wait(woken, pause, away) == Waited::Closed {
                deadline = Some(Instant::now() + FAREWELL);
            }
        }
    }

    /// Everything the server does not know yet.
    fn tell_all(&mut self) -> Result<(), ReportError> {
        let run = self.find_run()?;
        let told = self.tell(run);
        if told.as_ref().is_err_and(|error| error.status() == Some(404)) {
            // Another database than the one that knew the run: it is registered anew and told from the beginning.
            (self.told, self.unanswered) = (Told::default(), None);
            let run = self.find_run()?;
            return self.tell(run);
        }
        told
    }

    /// Metrics before the checkpoints they lead to.
    fn tell(&mut self, run: RunId) -> Result<(), ReportError> {
        self.tell_metrics(run)?;
        self.tell_events(run)?;
        self.tell_checkpoints(run)?;
        self.ask_for_verdicts()
    }

    fn tell_metrics(&mut self, run: RunId) -> Result<(), ReportError> {
        if let Some((batch, end)) = self.unanswered.take() {
            self.send(run, batch, end)?;
        }
        for rows in self.rows()?.chunks(ROWS) {
            let end = rows.last().map_or(self.told.log, |(_, end)| *end);
            let rows = rows.iter().map(|(row, _)| row.clone()).collect();
            let batch = self.batch(rows);
            self.send(run, batch, end)?;
        }
        Ok(())
    }

    /// The rows that the server does not have. A run that goes back cuts its log while we read, and notes that before it writes the next
    /// row; to the server, rows that go back begin another segment.
    fn rows(&mut self) -> Result<Vec<(MetricRow, u64)>, ReportError> {
        loop {
            self.told.follow_back(&self.subject.folder)?;
            let rows = lines::<MetricRow>(&self.subject.folder.log(), self.told.log);
            if rollback::read(&self.subject.folder)?.len() == self.told.rollbacks {
                return Ok(rows?);
            }
        }
    }

    /// The next batch. Whoever has this folder has its lock, so the process that wrote from it before is gone.
    fn batch(&self, rows: Vec<MetricRow>) -> MetricsBatch {
        let follows = if self.told.writer == self.writer { String::new() } else { self.told.writer.clone() };
        MetricsBatch { seq: self.seq, writer: self.writer.clone(), host: host(), follows, rows }
    }

    fn send(&mut self, run: RunId, batch: MetricsBatch, end: u64) -> Result<(), ReportError> {
        let has_rows = !batch.rows.is_empty();
        if let Err(error) = self.client.metrics(run, &batch) {
            self.unanswered = Some((batch, end));
            return Err(error);
        }
        self.seq += 1;
        self.told.log = end;
        if has_rows {
            self.told.writer.clone_from(&self.writer);
        }
        self.remember()
    }

    fn tell_events(&mut self, run: RunId) -> Result<(), ReportError> {
        for (event, end) in lines::<RunEvent>(&self.subject.folder.events(), self.told.events)? {
            self.client.event(run, &event)?;
            self.told.events = end;
            self.remember()?;
        }
        Ok(())
    }

    fn tell_checkpoints(&mut self, run: RunId) -> Result<(), ReportError> {
        for step in self.subject.folder.checkpoints()? {
            let path = self.subject.folder.checkpoint(step);
            if self.told.checkpoints.contains(&step) {
                continue;
            }
            // One that the keep rules remove at this moment is no longer to be told of.
            let Ok(manifest) = read_manifest(&path) else { continue };
            let announcement = AnnounceCheckpoint {
                step: Step(step),
                tokens: manifest.tokens,
                path: path.display().to_string(),
                copy: (self.subject.copy)(step),
            };
            match self.client.announce(run, &announcement) {
                Ok(view) => {
                    self.told.unsettled.insert(step, view.id);
                }
                Err(error) if error.is_temporary() || matches!(error.status(), Some(401 | 404) | None) => {
                    return Err(error);
                }
                Err(error) => self.refusals.push(format!("Checkpoint {step}: {error}.")),
            }
            self.told.checkpoints.push(step);
            self.remember()?;
        }
        Ok(())
    }

    /// Asks what came of the checkpoints that were announced.
    fn ask_for_verdicts(&mut self) -> Result<(), ReportError> {
        let open: Vec<(u64, CheckpointId)> =
            self.told.unsettled.iter().map(|(step, id)| (*step, *id)).collect();
        for (step, id) in open {
            let state = self.client.checkpoint(id)?.state;
            if !matches!(state, CheckpointState::Received | CheckpointState::Verifying) {
                self.told.unsettled.remove(&step);
                self.remember()?;
            }
        }
        let told = &self.told;
        let settled = told.checkpoints.iter().filter(|step| !told.unsettled.contains_key(step));
        self.settled.set(settled.copied().collect());
        Ok(())
    }

    /// Whether the server still has to copy a checkpoint that the keep rules may remove.
    fn keeps_copies_waiting(&self) -> bool {
        self.told.unsettled.keys().any(|step| (self.subject.copy)(*step))
    }

    fn remember(&self) -> Result<(), ReportError> {
        Ok(self.told.write(&self.subject.folder)?)
    }
}

/// The name of this machine, for people who look for a process.
fn host() -> String {
    let name = fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().filter(|c| !c.is_control()).take(100).collect()
}

#[derive(PartialEq, Eq)]
enum Waited {
    Enough,
    Closed,
}

/// Waits until there is something to say and a moment longer, or, while the server is away, for the whole pause.
fn wait(woken: &Receiver<()>, pause: Duration, away: bool) -> Waited {
    let until = Instant::now() + pause;
    if !away && woken.recv().is_err() {
        return Waited::Closed;
    }
    loop {
        match woken.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return Waited::Enough,
            Err(RecvTimeoutError::Disconnected) => return Waited::Closed,
        }
    }
}

/// The whole lines of a file from byte `from` on, each with the byte after it. None while the file is missing.
fn lines<T: DeserializeOwned>(path: &Path, from: u64) -> std::io::Result<Vec<(T, u64)>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let mut file = fs_err::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut end = from;
    text.split_inclusive('\n')
        .take_while(|line| line.ends_with('\n'))
        .map(|line| {
            end += line.len() as u64;
            Ok((serde_json::from_str(line)?, end))
        })
        .collect()
}
