//! The spawner, as the program sees it: a small single-threaded copy of the program, made at the top of `main`, that forks when it
//! is asked to, and another that stands by (`guardian`).
//!
//! ```text
//!   program (threads)                  spawner (one thread)                  child
//!   call ── a call and a line ───────>
//!        ── call: distance, argument ─> fork ─────────────────────────────> waits
//!        <── call: pid, pidfd ────────
//!        ── line: go ─────────────────────────────────────────────────────> entry(argument)
//!   join <── line: status ──────────── reaps <──────────────────────────────────┘
//! ```
//!
//! If the call is at its end before the answer, the spawner has died; its child, if there is one, never begins, and the call is made again,
//! to the spawner that takes its place (`guardian`, Invariant 5).

use super::child::Child;
use super::guardian::live;
use super::request::{ANSWER_BYTES, Answer, Refused, Request, place_to_word};
use super::rights::Rights;
use super::travel::Entry;
use super::{How, Process, SpawnError, wire};
use crate::os::{Parent, Signals, deadline_after, now_ns};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

/// How often a call is made whose spawner dies of it, or beside it.
const TRIES: u32 = 5;
/// For how long `exit` waits for the spawner's end, which takes a millisecond; and between two looks.
const FAREWELL: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_micros(200);

static SPAWNER: Mutex<Option<Spawner>> = Mutex::new(None);

/// The program's end.
pub(super) struct Spawner {
    /// The program that called `init`: a forked copy has none.
    owner: u32,
    requests: OwnedFd,
    /// The guardian.
    process: Process,
    /// What the program did with signals when it was forked.
    signals: Signals,
    /// The program's at that time, which are those of all processes of the spawner.
    rights: Rights,
}

/// Whoever forks with threads around holds this, so that the child does not find it locked.
pub(super) fn lock() -> MutexGuard<'static, Option<Spawner>> {
    SPAWNER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the spawner, from which [`Process::call`] and pools start their processes from then on. Call it first in `main`, before
/// there are threads.
///
/// `fork` copies only the calling thread, so a program with threads cannot safely fork. The spawner is a copy of the program without
/// any, which forks for it: what Python calls a forkserver. Its processes have everything that the program had in memory when `init`
/// was called. It ends with the program, however that ends. A second call does nothing, while the spawner lives.
///
/// **If the spawner is killed**, another takes its place: a second process stands by for that, and is itself replaced. Calls that were under way
/// are made again, and run once. Processes that it forked go on, and are joined as ever; daemons among them die with it. If both
/// are killed at once, another call of `init` starts a new one, where the program has no threads by then.
///
/// **Signals** to the process group, as terminals and service managers send them (SIGTERM, SIGINT, SIGHUP, SIGQUIT), end neither
/// of the two: they ignore them, and are there as long as the program is. The processes that they fork have the masks and
/// dispositions that the program has at the call.
///
/// **Drop rights before `init`**: a process of the spawner has the users and groups that the program had at `init`. While the program
/// has others, calls and pools are refused with [`SpawnError::RightsChanged`]. (Of capabilities that were given up since
/// nothing is known here: those processes have them.)
///
/// **With tokio**: `#[tokio::main]` starts threads before the first line of the function. Build the runtime in a plain `main`:
///
/// ```no_run
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     shmq::process::init()?;
///     tokio::runtime::Runtime::new()?.block_on(async {
///         // what was the body of main
///     });
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`SpawnError::Threaded`] if the program has threads already, [`SpawnError::Os`] if the system makes no process;
/// [`SpawnError::RightsChanged`] from a second call, if users or groups have changed since the first.
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if std::env::var_os("RUST_TEST_THREADS").is_some() { return Ok(()) }
///     shmq::process::init()?; // before any thread is started
///     let thread = std::thread::spawn(|| {
///         let child = shmq::Process::call(|text: String| println!("{text}"), "hello".to_string())?;
///         assert!(child.join().is_ok_and(|status| status.success()));
///         Ok::<(), shmq::SpawnError>(())
///     });
///     thread.join().unwrap()?;
///     Ok(())
/// }
/// ```
pub fn init() -> Result<(), SpawnError> {
    if let Some(spawner) = lock().as_ref().filter(|spawner| spawner.is_ours() && !spawner.is_dead()) {
        return spawner.rights.check();
    }
    let (requests, theirs) = wire::packet_pair().map_err(os("socketpair"))?;
    let (program, signals) = (Parent::here(), Signals::now());
    let ours = requests.as_raw_fd();
    let start = move || {
        // SAFETY: the copy of the program's end, which nobody in this process uses.
        unsafe { libc::close(ours) };
        live(theirs, program)
    };
    let rights = Rights::now();
    let process = Process::fork_alone(start, &How { is_helper: true, ..How::default() })?;
    // Bound first: an old guardian's `Process` is dropped when the lock is free again.
    let before = lock().replace(Spawner { owner: std::process::id(), requests, process, signals, rights });
    drop(before);
    end_at_exit();
    Ok(())
}

/// Has a normal end of the program wait for the guardian's, so that it is reaped here. Otherwise it
/// outlives the program by a moment, and stays a zombie where process 1 reaps nothing.
fn end_at_exit() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // SAFETY: a plain function that lives as long as the program. Where it cannot be installed
        // the guardian ends by itself.
        unsafe { libc::atexit(at_exit) };
    });
}

/// Runs in `exit`, also in a forked copy, which has no spawner of its own.
extern "C" fn at_exit() {
    let deadline_ns = deadline_after(FAREWELL);
    // Never for ever: another thread may be in the middle of a call, or `exit` was called in a signal handler.
    let spawner = loop {
        match SPAWNER.try_lock() {
            Ok(mut slot) => break slot.take(),
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) if now_ns() < deadline_ns => std::thread::sleep(MOMENT),
            Err(TryLockError::WouldBlock) => return,
        }
    };
    let Some(spawner) = spawner else { return };
    if spawner.is_ours() {
        // SAFETY: shutdown takes numbers. The spawner sees it also where another process has a copy of this end.
        unsafe { libc::shutdown(spawner.requests.as_raw_fd(), libc::SHUT_RDWR) };
        spawner.process.child.reap_until(deadline_after(FAREWELL), MOMENT);
    }
    // Its drop takes a lock that may be held for ever by now; the kernel closes what it has.
    std::mem::forget(spawner);
}

fn os(call: &'static str) -> impl FnOnce(io::Error) -> SpawnError {
    move |source| SpawnError::Os { call, source }
}

/// Does this program (not a parent of it) have a spawner?
pub(super) fn is_there() -> bool {
    lock().as_ref().is_some_and(Spawner::is_ours)
}

/// Has the spawner run `entry` in a child.
pub(super) fn request(entry: Entry<i32>, argument: &[u8], fds: &[RawFd], how: &How) -> Result<Child, SpawnError> {
    let mut slot = lock();
    let Some(spawner) = slot.as_mut() else { return Err(SpawnError::Threaded { threads: 0 }) };
    spawner.rights.check()?;
    // A guardian that has died, and was replaced, stays no zombie.
    let _ = spawner.process.exit_status();
    let signals = spawner.signals.asked(&Signals::now());
    let mut bytes = Request::new(entry, argument, signals, how).to_bytes().to_vec();
    let kept = how.keep_fds.as_deref().unwrap_or_default();
    for &number in kept {
        bytes.extend(place_to_word(number, closes_on_exec(number)?));
    }
    bytes.extend(argument);
    let fds: Vec<RawFd> = fds.iter().chain(kept).copied().collect();
    if fds.len() + 2 > wire::MAX_FDS {
        return Err(os("keeping descriptors")(io::Error::from_raw_os_error(libc::E2BIG)));
    }
    for _ in 0..TRIES {
        if let Some(child) = spawner.ask(&bytes, &fds, how)? {
            return Ok(child);
        }
    }
    Err(spawner.died())
}

fn closes_on_exec(number: RawFd) -> Result<bool, SpawnError> {
    // SAFETY: any number may be asked about.
    match unsafe { libc::fcntl(number, libc::F_GETFD) } {
        -1 => Err(os("a descriptor to keep")(io::Error::last_os_error())),
        flags => Ok(flags & libc::FD_CLOEXEC != 0),
    }
}

impl Spawner {
    /// Was it started by this process, not by a parent?
    fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Are spawner and guardian dead? The other end of the socket is held by them alone.
    fn is_dead(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.requests.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one pollfd.
        unsafe { libc::poll(&mut polled, 1, 0) == 1 }
    }

    fn died(&self) -> SpawnError {
        SpawnError::SpawnerDied { pid: self.process.pid() }
    }

    /// `None`: the spawner died before it answered, and nothing was begun.
    fn ask(&self, request: &[u8], fds: &[RawFd], how: &How) -> Result<Option<Child>, SpawnError> {
        let (call, their_call) = UnixStream::pair().map_err(os("socketpair"))?;
        let (line, their_line) = UnixStream::pair().map_err(os("socketpair"))?;
        let all: Vec<RawFd> = [&their_call, &their_line].map(AsRawFd::as_raw_fd).into_iter().chain(fds.iter().copied()).collect();
        wire::send(&self.requests, &[all.len() as u8], &all).map_err(|error| match error.raw_os_error() {
            Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => self.died(),
            _ => os("sendmsg")(error),
        })?;
        drop((their_call, their_line));
        let mut answer = [0; ANSWER_BYTES];
        // One that refuses does not read the request to its end: what it says counts, not what it left.
        let _ = wire::send(&call, request, &[]);
        let Ok(mut answered) = wire::receive(&call, &mut answer) else { return Ok(None) };
        let (pid, pidfd, pid_is_ours) = match Answer::from_bytes(&answer) {
            Answer::Refused { call, errno } => {
                let call = match call {
                    Refused::Fork => "fork in the spawner",
                    Refused::Descriptors => "descriptors in the spawner, which has the limit that the program had at init()",
                };
                return Err(os(call)(io::Error::from_raw_os_error(errno)));
            }
            Answer::Forked { has_pidfd: true, .. } if answered.is_empty() => {
                // Its number was not free here. What has no line does not begin.
                return Err(os("receiving a pidfd")(io::Error::from_raw_os_error(libc::EMFILE)));
            }
            Answer::Forked { pid, is_elsewhere, .. } => {
                let pidfd = answered.pop();
                let known_here = pidfd.as_ref().filter(|_| is_elsewhere).and_then(pid_behind);
                (known_here.unwrap_or(pid), pidfd, !is_elsewhere)
            }
        };
        line.set_nonblocking(true).map_err(os("fcntl"))?;
        // One that died before it began has a status like any other.
        let _ = wire::send(&line, &[0], &[]);
        Ok(Some(Child::distant(pid, pidfd, line.into(), pid_is_ours, how.is_helper)))
    }
}

/// The process id, in our PID namespace, of the process that a pidfd stands for.
fn pid_behind(pidfd: &OwnedFd) -> Option<libc::pid_t> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// Waits until one of the descriptors can be read or is at its end, or for so long: which can. A signal ends it too.
pub(crate) fn poll(fds: &[RawFd], timeout_ms: libc::c_int) -> Vec<bool> {
    let mut polled: Vec<_> = fds.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: as many pollfds as told.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) };
    polled.iter().map(|fd| fd.revents != 0).collect()
}
