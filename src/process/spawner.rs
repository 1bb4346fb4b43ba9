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
use super::guardian::{ANSWER_BYTES, REQUEST_BYTES, live};
use super::travel::{Entry, distance};
use super::{Process, SpawnError, wire};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often a call is made whose spawner dies of it, or beside it.
const TRIES: u32 = 5;

static SPAWNER: Mutex<Option<Spawner>> = Mutex::new(None);

/// The program's end.
pub(super) struct Spawner {
    /// The program that called `init`: a forked copy has none.
    owner: u32,
    requests: OwnedFd,
    /// The guardian.
    process: Process,
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
/// was called. It ends with the program, however that ends. A second call does nothing.
///
/// **If the spawner is killed**, another takes its place: a second process stands by for that, and is itself replaced. Calls that were under way
/// are made again, and run once. Processes that it forked go on, and are joined as ever; daemons among them die with it.
///
/// # Errors
///
/// [`SpawnError::Threaded`] if the program has threads already, [`SpawnError::Os`] if the system makes no process.
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if std::env::var_os("RUST_TEST_THREADS").is_some() { return Ok(()) }
///     shmq::process::init()?; // before any thread is started
///     let thread = std::thread::spawn(|| {
///         let mut child = shmq::Process::call(|text: String| println!("{text}"), "hello".to_string())?;
///         assert!(child.join().is_ok_and(|status| status.success()));
///         Ok::<(), shmq::SpawnError>(())
///     });
///     thread.join().unwrap()?;
///     Ok(())
/// }
/// ```
pub fn init() -> Result<(), SpawnError> {
    if lock().as_ref().is_some_and(|spawner| spawner.owner == std::process::id()) {
        return Ok(());
    }
    let (requests, theirs) = wire::packet_pair().map_err(os("socketpair"))?;
    let program = std::process::id();
    let ours = requests.as_raw_fd();
    let process = Process::spawn(move || {
        // SAFETY: the copy of the program's end, which nobody in this process uses.
        unsafe { libc::close(ours) };
        live(theirs, program)
    })?;
    *lock() = Some(Spawner { owner: program, requests, process });
    Ok(())
}

fn os(call: &'static str) -> impl FnOnce(io::Error) -> SpawnError {
    move |source| SpawnError::Os { call, source }
}

/// Does this program (not a parent of it) have a spawner?
pub(super) fn is_there() -> bool {
    lock().as_ref().is_some_and(|spawner| spawner.owner == std::process::id())
}

/// Has the spawner run `entry` in a child.
pub(super) fn request(entry: Entry<i32>, argument: &[u8], fds: &[RawFd], dies_with_us: bool) -> Result<Child, SpawnError> {
    let mut slot = lock();
    let Some(spawner) = slot.as_mut() else { return Err(SpawnError::Threaded { threads: 0 }) };
    // A guardian that has died, and was replaced, stays no zombie.
    let _ = spawner.process.exit_status();
    let mut request = [0; REQUEST_BYTES];
    request[..8].copy_from_slice(&distance(entry).to_ne_bytes());
    request[8..16].copy_from_slice(&(argument.len() as u64).to_ne_bytes());
    request[16..24].copy_from_slice(&u64::from(dies_with_us).to_ne_bytes());
    for _ in 0..TRIES {
        if let Some(child) = spawner.ask(&request, argument, fds)? {
            return Ok(child);
        }
    }
    Err(spawner.died())
}

impl Spawner {
    fn died(&self) -> SpawnError {
        SpawnError::SpawnerDied { pid: self.process.pid() }
    }

    /// `None`: the spawner died before it answered, and nothing was begun.
    fn ask(&self, request: &[u8], argument: &[u8], fds: &[RawFd]) -> Result<Option<Child>, SpawnError> {
        let (call, their_call) = UnixStream::pair().map_err(os("socketpair"))?;
        let (line, their_line) = UnixStream::pair().map_err(os("socketpair"))?;
        let all: Vec<RawFd> = [&their_call, &their_line].map(AsRawFd::as_raw_fd).into_iter().chain(fds.iter().copied()).collect();
        wire::send(&self.requests, &[0], &all).map_err(|error| match error.raw_os_error() {
            Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => self.died(),
            _ => os("sendmsg")(error),
        })?;
        drop((their_call, their_line));
        let mut answer = [0; ANSWER_BYTES];
        let answered = wire::send(&call, request, &[])
            .and_then(|()| if argument.is_empty() { Ok(()) } else { wire::send(&call, argument, &[]) })
            .and_then(|()| wire::receive(&call, &mut answer));
        let Ok(mut answered) = answered else { return Ok(None) };
        let [pid, error] = [0, 4].map(|at| i32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]));
        if pid <= 0 {
            return Err(os("fork in the spawner")(io::Error::from_raw_os_error(error)));
        }
        line.set_nonblocking(true).map_err(os("fcntl"))?;
        // One that died before it began has a status like any other.
        let _ = wire::send(&line, &[0], &[]);
        Ok(Some(Child::distant(pid, answered.pop(), line.into())))
    }
}

/// Waits until one of the descriptors can be read or is at its end, or for so long: which can. A signal ends it too.
pub(crate) fn poll(fds: &[RawFd], timeout_ms: libc::c_int) -> Vec<bool> {
    let mut polled: Vec<_> = fds.iter().map(|&fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: as many pollfds as told.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) };
    polled.iter().map(|fd| fd.revents != 0).collect()
}

/// A terminal's interrupt goes to the whole group: it is the program's to say what it means.
pub(crate) fn ignore_interrupts() {
    // SAFETY: signal takes two numbers; ignoring runs no code.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

/// In a child of a spawner.
pub(crate) fn restore_interrupts() {
    // SAFETY: as above; the default runs no code of ours.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
}
