//! Runs the command, with a bound on its time.

use crate::support::wait_until;
use shmq::Queue;
use shmq::inspect::{Owners, unlink_of};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The command as cargo built it.
pub fn shmq(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shmq"));
    command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    // Signals are not ignored, even if these tests run under `nohup`. SAFETY: the closure runs
    // between fork and exec, and only makes system calls (async-signal-safe).
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
    command
}

/// How a run ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "out: {:?}\nerr: {}", String::from_utf8_lossy(&self.out), self.err);
        self
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("text")
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }
}

/// Runs it to its end, without input.
#[track_caller]
pub fn run(arguments: &[&str]) -> Ran {
    run_with(shmq(arguments), b"")
}

/// Runs it to its end with that input.
#[track_caller]
pub fn feed(arguments: &[&str], input: &[u8]) -> Ran {
    run_with(shmq(arguments), input)
}

#[track_caller]
pub fn run_with(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (mut to, mut from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut complaints = child.stderr.take().expect("piped");
    let mut running = Running::of(child);
    std::thread::scope(|scope| {
        // A command that ends without reading all of its input is judged by its exit code.
        scope.spawn(move || drop(to.write_all(input)));
        let out = scope.spawn(move || read_all(&mut from));
        let err = scope.spawn(move || read_all(&mut complaints));
        let status = running.wait();
        let err = String::from_utf8(err.join().expect("read")).expect("text");
        Ran { code: status.code().unwrap_or(-1), out: out.join().expect("read"), err }
    })
}

fn read_all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("it can be read");
    bytes
}

/// A process of this test, killed at the latest when the test ends.
pub struct Running {
    pub child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    pub fn of(child: Child) -> Running {
        Running { child, status: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn send(&self, signal: i32) {
        assert!(self.status.is_none(), "it has ended");
        // SAFETY: kill takes two numbers; the process is our child and was not waited for.
        assert_eq!(unsafe { libc::kill(self.pid() as i32, signal) }, 0);
    }

    pub fn has_ended(&mut self) -> bool {
        self.status = self.status.or_else(|| self.child.try_wait().expect("our child"));
        self.status.is_some()
    }

    /// Waits for its end, which must come within the bound of all tests.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let pid = self.pid();
        wait_until("the end of a process", || self.has_ended(), || crate::support::process::describe_process(pid as i32));
        self.status.expect("it has ended")
    }

    #[track_caller]
    pub fn expect(mut self, code: i32) {
        assert_eq!(self.wait().code(), Some(code));
    }

    /// Kills it with SIGKILL.
    #[track_caller]
    pub fn kill(mut self) {
        assert!(!self.has_ended(), "it ended by itself: {:?}", self.status);
        self.send(libc::SIGKILL);
        self.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A queue name that is unlinked when the test ends.
pub struct Name(pub String);

impl Name {
    pub fn new(what: &str) -> Name {
        crate::support::threads::watch_for_hangs();
        Name(crate::support::unique_name(what))
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Of any user: some tests give the segment to another one.
        let _ = unlink_of(&self.0, &Owners::default().allow_any_owner());
    }
}

/// A queue of bytes in this process.
pub fn bytes(name: &str, capacity_bytes: usize) -> Queue<[u8]> {
    Queue::<[u8]>::builder().name(name).capacity_bytes(capacity_bytes).create().expect("created")
}

/// Waits until `met`, and shows what `shmq stat` says if it does not come.
#[track_caller]
pub fn wait_for(name: &str, what: &str, met: impl FnMut() -> bool) {
    wait_until(what, met, || run(&["stat", name]).text().to_owned());
}
