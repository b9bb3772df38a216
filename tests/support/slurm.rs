//! A Slurm of a test's own: Debian's `slurm-wlm` and `munge` on this machine, one node, own ports, sockets and files.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err::OpenOptions;

use crate::process::Process;
use crate::wait::until;

/// Where Debian puts the daemons.
const DAEMONS: [&str; 3] = ["/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd"];

/// A controller and a node. They and their jobs end when this is dropped.
pub struct Slurm {
    root: tempfile::TempDir,
    controller: Option<Process>,
    node: Option<Process>,
    _munge: Process,
}

impl Slurm {
    /// Starts one, where the packages are installed and this is root; says otherwise why not.
    ///
    /// # Panics
    /// When it does not start, or when the packages are missing on a machine where the tools are said to be installed.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a skipped test says why")]
    pub fn start() -> Option<Self> {
        let missing: Vec<&str> = DAEMONS.into_iter().filter(|daemon| !Path::new(daemon).is_file()).collect();
        if !missing.is_empty() || !rustix::process::geteuid().is_root() {
            let why = format!("Slurm needs root and {}", DAEMONS.join(", "));
            assert!(std::env::var_os("SEKISHO_TOOLS_INSTALLED").is_none(), "{why}; missing: {missing:?}");
            println!("skipped: {why}");
            return None;
        }
        let root = tempfile::tempdir().expect("a temporary folder");
        for folder in ["state", "spool"] {
            fs_err::create_dir(root.path().join(folder)).expect("a folder");
        }
        fs_err::write(root.path().join("munge.key"), key()).expect("written");
        private(&root.path().join("munge.key"));
        fs_err::write(root.path().join("slurm.conf"), configuration(root.path())).expect("written");
        let munge = munge(root.path());
        until("munge", 20, || root.path().join("munge.sock").exists().then_some(()));
        let mut slurm = Self { root, controller: None, node: None, _munge: munge };
        slurm.start_controller();
        slurm.node = Some(slurm.daemon(DAEMONS[2]));
        until("the node", 40, || {
            slurm.ask("sinfo", &["--noheader", "--format=%T"]).contains("idle").then_some(())
        });
        Some(slurm)
    }

    /// `slurm.conf`.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.root.path().join("slurm.conf")
    }

    /// Starts the controller again.
    pub fn start_controller(&mut self) {
        self.controller = Some(self.daemon(DAEMONS[1]));
    }

    /// Stops the controller; jobs that run go on.
    ///
    /// # Panics
    /// When it is not there.
    pub fn stop_controller(&mut self) {
        self.controller.take().expect("a controller").terminate();
    }

    /// What one of its commands prints; nothing when it fails.
    ///
    /// # Panics
    /// When there is no such command.
    #[must_use]
    pub fn ask(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(name);
        let output = command.args(arguments).env("SLURM_CONF", self.conf()).output();
        let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn daemon(&self, path: &str) -> Process {
        let name = Path::new(path).file_name().expect("a name").to_string_lossy().into_owned();
        let log = log(self.root.path(), &name);
        let mut command = Command::new(path);
        command.args(["-D", "-f"]).arg(self.conf()).stdout(Stdio::null()).stderr(log);
        Process::spawn(&mut command)
    }
}

impl Drop for Slurm {
    #[expect(clippy::print_stderr, reason = "the logs of a Slurm whose test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["munged", "slurmctld", "slurmd"] {
                let file = self.root.path().join(format!("{name}.log"));
                let text = fs_err::read_to_string(&file).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("{name}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
        // Tasks are no children of the daemons.
        if self.controller.is_some() {
            let _ = self.ask("scancel", &["--full", "--user=root"]);
            let running = || self.ask("squeue", &["--noheader", "--format=%A"]);
            for _ in 0..100 {
                if running().trim().is_empty() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
}

fn munge(root: &Path) -> Process {
    let path = |name: &str| root.join(name).display().to_string();
    let mut command = Command::new(DAEMONS[0]);
    command.args([
        "--force",
        "--foreground",
        "--key-file",
        &path("munge.key"),
        "--socket",
        &path("munge.sock"),
    ]);
    command.args(["--pid-file", &path("munge.pid"), "--seed-file", &path("munge.seed")]);
    command.args(["--log-file", &path("munged.log")]);
    Process::spawn(command.stdout(Stdio::null()).stderr(log(root, "munged-said")))
}

fn log(root: &Path, name: &str) -> Stdio {
    let file = root.join(format!("{name}.log"));
    OpenOptions::new().create(true).append(true).open(file).expect("a log").into_file().into()
}

/// 1024 bits that only this cluster knows.
fn key() -> Vec<u8> {
    let bytes = fs_err::File::open("/dev/urandom").map(|file| std::io::Read::take(file, 128));
    let mut key = Vec::new();
    std::io::Read::read_to_end(&mut bytes.expect("random bytes"), &mut key).expect("random bytes");
    key
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
}

/// A free port. Somebody else may take it before the daemon does; a test that is as unlucky fails at its start.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn configuration(root: &Path) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = host.split('.').next().unwrap_or_default();
    let root = root.display();
    let (controller, node) = (port(), port());
    format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MaxArraySize=2
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MpiDefault=none
MessageTimeout=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"
    )
}
