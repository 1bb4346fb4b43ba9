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
//! 2. Workers die with the keeper that forked them: it is their death signal's thread, and alone has its end of what they say, at
//!    whose end the kernel kills them, whatever user a task has become. Keepers end when the program ends (a pidfd
//!    tells) or shuts its half of the socket down, which a successor still sees: so nothing outlives the program.
//! 3. The program's end of the socket is at its end when no keeper and no standby is left: workers do not have it.
//! 4. Nothing forks for ever: a number of workers in a row that die before they are ready fail the pool. Nor does it wait for ever
//!    for what the system refuses: a keeper that has no worker and can start none for a while gives up.

mod shortage;

use super::message::{ResultHead, kind};
use super::report::{Call, Refusal, Report};
use super::worker::{word, work};
use crate::attachment::{self, Leaving};
use crate::object::{Codec, MessagePack};
use crate::os::{Parent, Recipient, die_at_end_of, die_with, give_back, has_no_process, open_pidfd};
use crate::process::{child_ended, end_parent, poll, run_child, take_handed_over, tell_stderr};
use crate::queue::Queue;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How often a keeper looks around where it has no descriptor to poll, or something to try again.
const SLICE_MS: libc::c_int = 20;
/// How long a worker that has ended keeps its pid, which the program was told and may look up just now: no other process has it.
const PID_KEPT: Duration = Duration::from_millis(100);
/// How long a keeper may take to end when all is over, which takes it no time unless it was stopped.
const GRACE: Duration = Duration::from_secs(5);
/// How long a keeper waits for the end of a worker that it may not signal.
const UNSIGNALLED: Duration = Duration::from_secs(1);
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
    /// Do workers have the program's dispositions of what ends it?
    pub program_signals: bool,
}

/// A function and its argument.
#[derive(Serialize, Deserialize)]
pub(super) struct Initializer {
    pub distance: i64,
    pub argument: Vec<u8>,
}

impl Settings {
    fn recipient(&self) -> Recipient {
        if self.program_signals { Recipient::Process { keep_handlers: false } } else { Recipient::Worker }
    }

    /// Tells the program that the pool has failed, by its initializer or otherwise ([`kind`]).
    pub fn fail(&self, kind: u32, why: &str) {
        let head = ResultHead { nonce: self.nonce, job: 0, first: 0, count: 0, attempt: 0, kind };
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
    crate::shm::segment::keep_no_names();
    let mut handed_over = take_handed_over().into_iter();
    let (socket, program) = (handed_over.next(), handed_over.next());
    match (MessagePack::decode::<Settings>(&mut argument), socket) {
        (Ok(settings), Some(socket)) => keep(&settings, &socket, program.as_ref()),
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
    /// What it says, to be read when it has ended. It is killed when this is closed (Invariant 2).
    says: File,
}

struct Keeper<'s> {
    settings: &'s Settings,
    socket: &'s OwnedFd,
    /// A pidfd of the program. `None`: the kernel has none.
    program: Option<&'s OwnedFd>,
    workers: Vec<Worker>,
    standby: Option<Forked>,
    /// Workers that there should be: fewer once the tasks are over.
    wanted: usize,
    /// Workers that have ended and were not reaped, and since when.
    ended: VecDeque<(libc::pid_t, Instant)>,
    /// Workers in a row that died before they were ready (Invariant 4).
    unready: u32,
    reports: VecDeque<Report>,
    /// What the program was told of workers that cannot be started.
    short: Option<(u32, Refusal)>,
    /// Since when there is no worker, and none can be started.
    refused_since: Option<Instant>,
    /// All were started, or refused, for the first time.
    is_ready: bool,
    /// Was it the standby of another?
    is_successor: bool,
}

/// Why the pool has failed.
enum Failure {
    /// The program was told.
    Told,
    /// As what ([`kind`]), and why.
    ToTell(u32, String),
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
fn keep(settings: &Settings, socket: &OwnedFd, program: Option<&OwnedFd>) -> i32 {
    let mut is_successor = false;
    loop {
        let mut keeper = Keeper {
            settings,
            socket,
            program,
            workers: Vec::new(),
            standby: None,
            wanted: settings.workers as usize,
            ended: VecDeque::new(),
            unready: 0,
            reports: VecDeque::new(),
            short: None,
            refused_since: None,
            is_ready: false,
            is_successor,
        };
        keeper.reports.push_back(Report::Began { pid: std::process::id() });
        match keeper.run() {
            Some(code) => return code,
            // We are the standby, and the keeper is dead: what its workers had comes back.
            None => {
                is_successor = true;
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
            if let Err(failure) = self.reap() {
                self.send_reports();
                self.end_all();
                if let Failure::ToTell(kind, why) = failure {
                    self.settings.fail(kind, &why);
                }
                return Some(1);
            }
            if self.wanted == 0 && self.workers.is_empty() {
                self.end_all();
                return Some(0);
            }
            let mut again = self.send_reports();
            let mut refusal = None;
            // The first worker comes before the standby: where there is room for one process only, that is of more use.
            if self.workers.is_empty() && self.wanted > 0 {
                refusal = self.start_worker().err();
            }
            if self.standby.is_none() {
                // Known before the fork: the child may be an orphan by the time it asks.
                let keeper = std::process::id() as libc::pid_t;
                // SAFETY: Invariant 1.
                match unsafe { fork() } {
                    Ok(Side::Parent(forked)) => {
                        self.reports.push_back(Report::Standby { pid: forked.pid as u32 });
                        self.standby = Some(forked);
                    }
                    Ok(Side::Child) => {
                        if let Some(code) = self.stand_by(keeper) {
                            return Some(code);
                        }
                        return None;
                    }
                    Err(_) => again = true,
                }
            }
            while refusal.is_none() && self.workers.len() < self.wanted {
                refusal = self.start_worker().err();
            }
            if refusal.is_some() && !self.ended.is_empty() {
                // What has ended may count, too.
                self.reap_older_than(Duration::ZERO);
                continue;
            }
            // No processes or no memory, for now.
            again |= refusal.is_some();
            if let Some(why) = self.note_shortage(refusal) {
                self.reports.push_back(Report::GaveUp { why });
                self.send_last_reports();
                self.end_all();
                return Some(1);
            }
            if !self.is_ready && (refusal.is_none() || !self.workers.is_empty()) {
                self.is_ready = true;
                self.reports.push_back(Report::Ready);
            }
            again |= self.send_reports();
            if self.reports.is_empty() {
                self.reap_older_than(PID_KEPT);
            }
            self.wait(again);
        }
    }

    /// Is the program gone, or does it want an end?
    fn is_over(&self) -> bool {
        let mut byte = [0u8; 1];
        // SAFETY: room for a byte.
        let got =
            unsafe { libc::recv(self.socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT | libc::MSG_PEEK) };
        let gone = match self.program {
            Some(pidfd) => poll(&[pidfd.as_raw_fd()], 0) == [true],
            None => has_no_process(self.settings.program as libc::pid_t),
        };
        got == 0 || gone
    }

    fn wait(&self, again: bool) {
        let forked = self.workers.iter().map(|worker| &worker.forked).chain(&self.standby);
        let mut fds = vec![self.socket.as_raw_fd()];
        fds.extend(self.program.map(AsRawFd::as_raw_fd));
        let known = fds.len();
        fds.extend(forked.clone().filter_map(|forked| forked.pidfd.as_ref().map(AsRawFd::as_raw_fd)));
        let blind = self.program.is_none() || fds.len() - known < forked.count();
        let timeout_ms = match again || blind {
            true => SLICE_MS,
            false if self.ended.is_empty() => -1,
            false => PID_KEPT.as_millis() as libc::c_int,
        };
        poll(&fds, timeout_ms);
    }

    /// Takes the statuses of those that have ended, and draws the consequences. An error: the pool has failed.
    fn reap(&mut self) -> Result<(), Failure> {
        let mut place = 0;
        let mut died = false;
        let mut failure = None;
        while place < self.workers.len() {
            let Some(status) = ended(self.workers[place].forked.pid, libc::WNOWAIT) else {
                place += 1;
                continue;
            };
            let mut worker = self.workers.swap_remove(place);
            self.ended.push_back((worker.forked.pid, Instant::now()));
            let mut said = Vec::new();
            // A socket whose other end is closed, or will be when a child of the worker's ends; it does not block.
            let _ = worker.says.read_to_end(&mut said);
            let lost = said.iter().position(|&said| said == word::LOST).map(|place| said.split_off(place));
            if said.contains(&word::READY) && lost.is_none() {
                self.unready = 0;
            }
            let pid = worker.forked.pid as u32;
            let has_said_so = matches!(said.last(), Some(&(word::CLOSED | word::RETIRED | word::FAILED)));
            self.reports.push_back(Report::Ended { pid, status, died: !has_said_so });
            if let Some(why) = &lost {
                died = true;
                self.unready += 1;
                if self.unready > self.most_unready() {
                    let why = String::from_utf8_lossy(&why[1..]);
                    let text = format!("{} workers in a row cannot get tasks: {why}", self.unready);
                    failure = Some(Failure::ToTell(kind::BROKEN, text));
                }
                continue;
            }
            match said.last() {
                Some(&word::CLOSED) => self.wanted = self.wanted.saturating_sub(1),
                Some(&word::RETIRED) => {}
                Some(&word::FAILED) => failure = Some(Failure::Told),
                Some(_) => died = true,
                None => {
                    died = true;
                    self.unready += 1;
                    if self.unready > self.most_unready() {
                        let text =
                            format!("{} workers in a row died before they were ready, the last with {}", self.unready, status);
                        failure = Some(Failure::ToTell(kind::FAILED, text));
                    }
                }
            }
        }
        if died {
            // What they had is taken by others at once, not at their next look around.
            self.settings.tasks.recover();
            self.settings.results.recover();
        }
        if self.standby.as_ref().is_some_and(|standby| ended(standby.pid, 0).is_some()) {
            self.standby = None;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Reaps workers that have ended so long ago.
    fn reap_older_than(&mut self, age: Duration) {
        while let Some(&(pid, _)) = self.ended.front().filter(|(_, since)| since.elapsed() >= age) {
            self.ended.pop_front();
            // SAFETY: our own child, which has ended; its status was taken.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
    }

    /// Workers in a row that may die before they are ready (Invariant 4).
    fn most_unready(&self) -> u32 {
        10 + 3 * self.settings.workers
    }

    fn start_worker(&mut self) -> Result<(), Refusal> {
        let (says, keeper) = line().map_err(|error| Refusal::of(Call::Pipe, &error))?;
        let this = Parent::here();
        // SAFETY: Invariant 1.
        match unsafe { fork() }.map_err(|error| Refusal::of(Call::Fork, &error))? {
            Side::Parent(forked) => {
                self.reports.push_back(Report::Started { pid: forked.pid as u32 });
                self.workers.push(Worker { forked, says });
            }
            Side::Child => {
                drop(says);
                self.forget();
                for fd in [Some(self.socket), self.program].into_iter().flatten() {
                    // SAFETY: open, and used by no code of this process any more (Invariant 3).
                    unsafe { libc::close(fd.as_raw_fd()) };
                }
                // First: `die_with` notices a keeper that has died by now.
                die_at_end_of(&keeper);
                die_with(&this);
                give_back(self.settings.recipient(), None);
                run_child(|| work(self.settings, keeper, this))
            }
        }
        Ok(())
    }

    /// In a child: closes what belongs to the keeper.
    fn forget(&mut self) {
        self.workers.clear();
        self.standby = None;
        self.reports.clear();
    }

    /// The standby's life: `None` when the keeper has died and the program has not. When all is over the
    /// keeper ends its standby; one that is stopped, and its workers with it, is ended by the standby.
    fn stand_by(&mut self, keeper: libc::pid_t) -> Option<i32> {
        // SAFETY: getppid has no preconditions.
        let parent = || unsafe { libc::getppid() };
        self.workers.clear();
        let watched = open_pidfd(keeper);
        while parent() == keeper {
            let fds: Vec<RawFd> = watched.iter().chain(self.program).map(AsRawFd::as_raw_fd).collect();
            poll(&fds, if fds.len() < 2 { SLICE_MS } else { -1 });
            if self.is_over() {
                let begun = Instant::now();
                while parent() == keeper && begun.elapsed() < GRACE {
                    poll(&watched.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), SLICE_MS);
                }
                end_parent(keeper, watched.as_ref());
                return Some(0);
            }
        }
        if self.is_over() { Some(0) } else { None }
    }

    /// Sends what there is room for. `true`: try again later.
    fn send_reports(&mut self) -> bool {
        while let Some(&report) = self.reports.front() {
            let about = match report {
                Report::Began { .. } => open_pidfd(std::process::id() as libc::pid_t),
                Report::Standby { pid } => {
                    let standby = self.standby.as_ref().filter(|standby| standby.pid as u32 == pid);
                    standby.and_then(|standby| standby.pidfd.as_ref()?.try_clone().ok())
                }
                _ => None,
            };
            if let Err(error) = report.send(self.socket, about.as_ref().map(AsRawFd::as_raw_fd)) {
                return error.kind() == io::ErrorKind::WouldBlock;
            }
            self.reports.pop_front();
        }
        false
    }

    /// Sends all that there is, as far as the program takes it in time.
    fn send_last_reports(&mut self) {
        let begun = Instant::now();
        while self.send_reports() && !self.is_over() && begun.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(SLICE_MS as u64));
        }
    }

    /// Kills and reaps all.
    fn end_all(&mut self) {
        self.reap_older_than(Duration::ZERO);
        let all = self.workers.drain(..).map(|worker| worker.forked).chain(self.standby.take());
        let all: Vec<Forked> = all.collect();
        // SAFETY: our own child, not reaped.
        let kill = |forked: &Forked| unsafe { libc::kill(forked.pid, libc::SIGKILL) } == 0;
        let (killed, others): (Vec<Forked>, Vec<Forked>) = all.into_iter().partition(kill);
        for forked in &killed {
            // SAFETY: our own child; nobody wants its status.
            unsafe { libc::waitpid(forked.pid, std::ptr::null_mut(), 0) };
        }
        // A worker that has become another user, whom we may not signal. The kernel has done so when its
        // line was closed; if not, nothing here can end it, and nobody waits for it.
        let begun = Instant::now();
        for forked in &others {
            while ended(forked.pid, 0).is_none() && begun.elapsed() < UNSIGNALLED {
                poll(&forked.pidfd.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), SLICE_MS);
            }
        }
    }
}

/// The keeper's end and the worker's, neither of which blocks.
fn line() -> io::Result<(File, File)> {
    let (says, keeper) = UnixStream::pair()?;
    says.set_nonblocking(true)?;
    keeper.set_nonblocking(true)?;
    Ok((OwnedFd::from(says).into(), OwnedFd::from(keeper).into()))
}

/// Has the child ended? It is reaped, unless `more` is `WNOWAIT`.
fn ended(pid: libc::pid_t, more: libc::c_int) -> Option<ExitStatus> {
    // One that other code has reaped has ended, too.
    child_ended(libc::P_PID, pid as libc::id_t, more).map_or(Some(ExitStatus::default()), |ended| ended.map(|(_, status)| status))
}
