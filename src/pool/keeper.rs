//! The keeper: a single-threaded process that forks a pool's workers, replaces those that die, and ends them. And its standby,
//! which does nothing until the keeper dies, and then takes its place.
//!
//! ```text
//!   program ──socket── keeper ──forks── workers (die with the keeper)
//!                        └────forks──── standby ──(keeper died)──> keeper: forks a standby and workers of its own
//! ```
//!
//! Invariants:
//! 1. Keeper and standby never have a second thread, so what they fork lacks none.
//! 2. Workers die with the keeper that forked them, which is its death signal's thread. Keepers end when the program ends (a pidfd
//!    tells) or shuts its half of the socket down, which a successor still sees: so nothing outlives the program.
//! 3. The program's end of the socket is at its end when no keeper and no standby is left: workers do not have it.
//! 4. Nothing forks for ever: a number of workers in a row that die before they are ready fail the pool.

use super::message::{ResultHead, kind};
use super::worker::{word, work};
use crate::attachment::{self, Leaving};
use crate::object::{Codec, MessagePack};
use crate::process::{
    die_with, ignore_interrupts, open_pidfd, poll, restore_interrupts, run_child, take_handed_over, tell_stderr,
};
use crate::queue::Queue;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// Bytes of a report to the program: what happened, to which process, with which status.
pub(super) const REPORT_BYTES: usize = 12;
/// A worker was forked.
pub(super) const STARTED: u32 = 1;
/// A worker was reaped.
pub(super) const ENDED: u32 = 2;

/// A keeper begins: workers that others started are gone, or about to be.
pub(super) const BEGAN: u32 = 3;

/// How often a keeper looks around where it has no descriptor to poll, or something to try again.
const SLICE_MS: libc::c_int = 20;
/// How long a keeper tries to tell the program why it gives up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What keepers and workers know. Travels encoded, so that they may also be forks of the program's spawner.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Tells this pool's messages from any others.
    pub nonce: u64,
    /// Process id of the program.
    pub program: u32,
    pub workers: u32,
    pub max_tasks: Option<u32>,
    pub retries: u32,
    pub tasks: Queue<[u8]>,
    pub results: Queue<[u8]>,
    pub initializer: Option<Initializer>,
}

/// A function and its argument.
#[derive(Serialize, Deserialize)]
pub(super) struct Initializer {
    pub distance: i64,
    pub argument: Vec<u8>,
}

impl Settings {
    /// Tells the program that the pool has failed.
    pub fn fail(&self, why: &str) {
        let head = ResultHead { nonce: self.nonce, job: 0, first: 0, count: 0, attempt: 0, kind: kind::FAILED };
        let mut message = Vec::new();
        head.write(&mut message);
        let mut end = why.len().min(self.results.max_len() - message.len());
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        message.extend(&why.as_bytes()[..end]);
        // If this fails, the program finds the keeper gone and says that the pool is broken.
        let _ = self.results.put_timeout(&message, LAST_WORDS);
    }
}

/// Where a keeper's process starts.
pub(super) fn entry(mut argument: &[u8]) -> i32 {
    // The pool's own queues are attached below; the program's others are its own affair.
    // First: the program may have dropped a handle meanwhile, and left the name to this process.
    attachment::leave_all(Leaving::Alone);
    crate::segment::keep_no_names();
    let socket = take_handed_over().pop();
    match (MessagePack::decode::<Settings>(&mut argument), socket) {
        (Ok(settings), Some(socket)) => {
            ignore_interrupts();
            keep(&settings, &socket)
        }
        (Err(error), _) => {
            tell_stderr(format_args!("a pool's settings did not arrive: {error}"));
            1
        }
        (_, None) => 1,
    }
}

/// A child of the keeper.
struct Forked {
    pid: libc::pid_t,
    pidfd: Option<OwnedFd>,
}

struct Worker {
    forked: Forked,
    /// What it says, to be read when it has ended.
    says: File,
}

struct Keeper<'s> {
    settings: &'s Settings,
    socket: &'s OwnedFd,
    program: Option<OwnedFd>,
    workers: Vec<Worker>,
    standby: Option<Forked>,
    /// Workers that there should be: fewer once the tasks are over.
    wanted: usize,
    /// Workers in a row that died before they were ready (Invariant 4).
    unready: u32,
    reports: VecDeque<[u8; REPORT_BYTES]>,
}

/// Which process this is after a fork.
enum Side {
    Parent(Forked),
    Child,
}

/// # Safety
/// The process has one thread.
unsafe fn fork() -> io::Result<Side> {
    // SAFETY: the caller's word.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(Forked { pid, pidfd: open_pidfd(pid) })),
    }
}

/// A keeper's life, and that of the standby that takes its place: the exit code.
fn keep(settings: &Settings, socket: &OwnedFd) -> i32 {
    loop {
        let mut keeper = Keeper {
            settings,
            socket,
            program: open_pidfd(settings.program as libc::pid_t),
            workers: Vec::new(),
            standby: None,
            wanted: settings.workers as usize,
            unready: 0,
            reports: VecDeque::new(),
        };
        keeper.report(BEGAN, std::process::id() as libc::pid_t, 0);
        match keeper.run() {
            Some(code) => return code,
            // We are the standby, and the keeper is dead: what its workers had comes back.
            None => {
                settings.tasks.recover();
                settings.results.recover();
            }
        }
    }
}

impl Keeper<'_> {
    /// `None`: this process was the standby, and is the keeper now.
    fn run(&mut self) -> Option<i32> {
        loop {
            if self.is_over() {
                self.end_all();
                return Some(0);
            }
            if let Err(why) = self.reap() {
                self.end_all();
                if !why.is_empty() {
                    self.settings.fail(&why);
                }
                return Some(1);
            }
            if self.wanted == 0 && self.workers.is_empty() {
                self.end_all();
                return Some(0);
            }
            let mut again = self.send_reports();
            if self.standby.is_none() {
                // Known before the fork: the child may be an orphan by the time it asks.
                let keeper = std::process::id() as libc::pid_t;
                // SAFETY: Invariant 1.
                match unsafe { fork() } {
                    Ok(Side::Parent(forked)) => self.standby = Some(forked),
                    Ok(Side::Child) => {
                        if let Some(code) = self.stand_by(keeper) {
                            return Some(code);
                        }
                        return None;
                    }
                    Err(_) => again = true,
                }
            }
            while self.workers.len() < self.wanted {
                if self.start_worker().is_err() {
                    // No processes or no memory, for now.
                    again = true;
                    break;
                }
            }
            again |= self.send_reports();
            self.wait(again);
        }
    }

    /// Is the program gone, or does it want an end?
    fn is_over(&self) -> bool {
        let mut byte = [0u8; 1];
        // SAFETY: room for a byte.
        let got =
            unsafe { libc::recv(self.socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT | libc::MSG_PEEK) };
        let gone = match &self.program {
            Some(pidfd) => poll(&[pidfd.as_raw_fd()], 0) == [true],
            // SAFETY: signal 0 asks whether there is such a process.
            None => unsafe { libc::kill(self.settings.program as libc::pid_t, 0) == -1 },
        };
        got == 0 || gone
    }

    fn wait(&self, again: bool) {
        let forked = self.workers.iter().map(|worker| &worker.forked).chain(&self.standby);
        let mut fds = vec![self.socket.as_raw_fd()];
        fds.extend(self.program.iter().map(AsRawFd::as_raw_fd));
        let known = fds.len();
        fds.extend(forked.clone().filter_map(|forked| forked.pidfd.as_ref().map(AsRawFd::as_raw_fd)));
        let blind = self.program.is_none() || fds.len() - known < forked.count();
        poll(&fds, if again || blind { SLICE_MS } else { -1 });
    }

    /// Takes the statuses of those that have ended, and draws the consequences. An error: the pool has failed.
    fn reap(&mut self) -> Result<(), String> {
        let mut place = 0;
        let mut died = false;
        let mut failure = None;
        while place < self.workers.len() {
            let Some(status) = ended(self.workers[place].forked.pid) else {
                place += 1;
                continue;
            };
            let mut worker = self.workers.swap_remove(place);
            self.report(ENDED, worker.forked.pid, status);
            let mut said = Vec::new();
            // A pipe whose other end is closed, or will be when a child of the worker's ends; it does not block.
            let _ = worker.says.read_to_end(&mut said);
            if said.contains(&word::READY) {
                self.unready = 0;
            }
            match said.last() {
                Some(&word::CLOSED) => self.wanted = self.wanted.saturating_sub(1),
                Some(&word::RETIRED) => {}
                Some(&word::FAILED) => failure = Some(String::new()),
                Some(_) => died = true,
                None => {
                    died = true;
                    self.unready += 1;
                    if self.unready > 10 + 3 * self.settings.workers {
                        failure = Some(format!(
                            "{} workers in a row died before they were ready, the last with {}",
                            self.unready,
                            in_words(status)
                        ));
                    }
                }
            }
        }
        if died {
            // What they had is taken by others at once, not at their next look around.
            self.settings.tasks.recover();
            self.settings.results.recover();
        }
        if self.standby.as_ref().is_some_and(|standby| ended(standby.pid).is_some()) {
            self.standby = None;
        }
        failure.map_or(Ok(()), Err)
    }

    fn start_worker(&mut self) -> io::Result<()> {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: descriptors that the kernel has just made for us.
        let (says, keeper) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        let parent = std::process::id();
        // SAFETY: Invariant 1.
        match unsafe { fork() }? {
            Side::Parent(forked) => {
                self.report(STARTED, forked.pid, 0);
                self.workers.push(Worker { forked, says });
            }
            Side::Child => {
                drop(says);
                self.forget();
                // SAFETY: open, and used by nobody in this process any more (Invariant 3).
                unsafe { libc::close(self.socket.as_raw_fd()) };
                restore_interrupts();
                die_with(parent);
                run_child(|| work(self.settings, keeper))
            }
        }
        Ok(())
    }

    /// In a child: closes what belongs to the keeper.
    fn forget(&mut self) {
        self.workers.clear();
        self.standby = None;
        self.program = None;
        self.reports.clear();
    }

    /// The standby's life: `None` when the keeper has died and the program has not.
    fn stand_by(&mut self, keeper: libc::pid_t) -> Option<i32> {
        // SAFETY: getppid has no preconditions.
        let parent = || unsafe { libc::getppid() };
        self.workers.clear();
        let watched = open_pidfd(keeper);
        while parent() == keeper {
            let fds: Vec<RawFd> = watched.iter().chain(&self.program).map(AsRawFd::as_raw_fd).collect();
            poll(&fds, if fds.len() < 2 { SLICE_MS } else { -1 });
            if self.is_over() {
                return Some(0);
            }
        }
        if self.is_over() { Some(0) } else { None }
    }

    fn report(&mut self, what: u32, pid: libc::pid_t, status: i32) {
        let mut bytes = [0; REPORT_BYTES];
        bytes[..4].copy_from_slice(&what.to_ne_bytes());
        bytes[4..8].copy_from_slice(&pid.to_ne_bytes());
        bytes[8..].copy_from_slice(&status.to_ne_bytes());
        self.reports.push_back(bytes);
    }

    /// Sends what there is room for. `true`: try again later.
    fn send_reports(&mut self) -> bool {
        while let Some(report) = self.reports.front() {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: the report is readable for its length.
            let sent = unsafe { libc::send(self.socket.as_raw_fd(), report.as_ptr().cast(), report.len(), flags) };
            if sent == -1 {
                return io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock;
            }
            self.reports.pop_front();
        }
        false
    }

    /// Kills and reaps all.
    fn end_all(&mut self) {
        let all = self.workers.drain(..).map(|worker| worker.forked).chain(self.standby.take());
        let all: Vec<Forked> = all.collect();
        for forked in &all {
            // SAFETY: our own child, not reaped.
            unsafe { libc::kill(forked.pid, libc::SIGKILL) };
        }
        for forked in &all {
            // SAFETY: our own child; nobody wants its status.
            unsafe { libc::waitpid(forked.pid, std::ptr::null_mut(), 0) };
        }
    }
}

/// Has the child ended? It is reaped.
fn ended(pid: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write; the child is ours.
    let found = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    (found != 0).then_some(status)
}

fn in_words(status: i32) -> String {
    ExitStatus::from_raw(status).to_string()
}
