//! A child process by a command: its output goes to a file, it ends with the case, and its status
//! is read.

use super::end_of;
use crate::support::wait_at_most;
use std::ffi::OsStr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A process that this case started. Dropping it kills it.
pub struct Running {
    child: Child,
    what: String,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

/// The command under test.
pub fn bridge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_shmq-bridge"))
}

impl Running {
    /// Starts it. Output is appended to `WHAT.log` in that folder.
    pub fn start(mut command: Command, what: &str, folder: &Path) -> Running {
        let log = folder.join(format!("{what}.log"));
        let open = || std::fs::File::options().create(true).append(true).open(&log).expect("the case's folder takes a log");
        command.stdin(Stdio::null()).stdout(open()).stderr(open());
        let parent = std::process::id();
        // SAFETY: prctl and getppid are async-signal-safe, and touch no memory.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if libc::getppid() as u32 == parent { Ok(()) } else { Err(std::io::ErrorKind::Interrupted.into()) }
            })
        };
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {what} ({command:?}): {error}"));
        Running { child, what: what.to_string(), log, ended: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of this process is waited for");
        }
        self.ended.is_some()
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        if !self.has_ended() {
            let _ = self.child.kill();
            self.ended = Some(self.child.wait().expect("a child of this process is waited for"));
        }
    }

    /// A signal, if it still runs.
    pub fn signal(&mut self, signal: libc::c_int) {
        if !self.has_ended() {
            // SAFETY: kill takes two numbers. The child was not waited for, so its pid is its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        }
    }

    /// Waits for its end: its exit code.
    #[track_caller]
    pub fn wait(&mut self, bound: Duration) -> i32 {
        let log = self.log.clone();
        let what = format!("the end of {}", self.what);
        wait_at_most(bound, &what, || self.has_ended(), || end_of(&log));
        let status = self.ended.expect("it has ended");
        status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
    }

    /// SIGTERM, and its exit code.
    #[track_caller]
    pub fn terminate(&mut self, bound: Duration) -> i32 {
        self.signal(libc::SIGTERM);
        self.wait(bound)
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed that.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str, bound: Duration) {
        let (log, what) = (self.log.clone(), format!("{text:?} of {}", self.what));
        let met = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).contains(text) || self.has_ended();
        wait_at_most(bound, &what, met, || end_of(&log));
        assert!(self.output().contains(text), "{} ended without {text:?}; {}", self.what, end_of(&self.log));
    }

    pub fn end_of_log(&self) -> String {
        end_of(&self.log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", end_of(&self.log));
        }
    }
}

/// This test's own binary once more, as that role (`roles.rs`), in a machine's namespace or here.
pub fn role(role: &str, prefix: &[String], arguments: &[(&str, String)]) -> Command {
    let own = std::env::current_exe().expect("the path of this binary");
    let mut command = command_after(prefix, own.as_os_str());
    command.env(super::roles::ROLE, role);
    command.envs(arguments.iter().map(|(key, value)| (format!("{}_{}", super::roles::ROLE, key), value)));
    command
}

/// A command that runs `program` behind `prefix` (`nsenter ...`).
pub fn command_after(prefix: &[String], program: &OsStr) -> Command {
    match prefix {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}
