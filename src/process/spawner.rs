//! The spawner: a small single-threaded copy of the program, made at the top of `main`, that forks when it is asked to.
//!
//! ```text
//!   program (threads)                    spawner (one thread)                      child
//!   call ── request: distance, argument,
//!           status pipe ───────────────> fork ───────────────────────────────────> entry(argument)
//!        <── pid, pidfd ───────────────                                              │
//!   join <── status, through the pipe ── reaps <─────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! 1. The spawner never has a second thread, so what it forks lacks none.
//! 2. It ends when the program does (a pidfd tells, however the program ended), or when the socket's other end is closed.
//! 3. Its children have none of its descriptors: the socket, the pidfds and the pipes of their siblings are closed first.

use super::child::{Child, open_pidfd};
use super::travel::{Entry, distance, entry_at};
use super::{Process, SpawnError, die_with, run_child, wire};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a request before its argument, and of an answer.
const REQUEST_BYTES: usize = 24;
const ANSWER_BYTES: usize = 8;
/// How often a spawner looks for ended children where the kernel has no pidfds.
const SLICE_MS: libc::c_int = 10;

static SPAWNER: Mutex<Option<Spawner>> = Mutex::new(None);

/// The program's end.
pub(super) struct Spawner {
    /// The program that called `init`: a forked copy has none.
    owner: u32,
    socket: UnixStream,
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
    let (socket, theirs) = UnixStream::pair().map_err(|source| SpawnError::Os { call: "socketpair", source })?;
    let program = std::process::id();
    let ours = socket.as_raw_fd();
    let process = Process::spawn(move || {
        // SAFETY: the copy of the program's end, which nobody in this process uses.
        unsafe { libc::close(ours) };
        serve(&theirs, program)
    })?;
    *lock() = Some(Spawner { owner: program, socket, process });
    Ok(())
}

/// Does this program (not a parent of it) have a spawner?
pub(super) fn is_there() -> bool {
    lock().as_ref().is_some_and(|spawner| spawner.owner == std::process::id())
}

/// Has the spawner run `entry` in a child.
pub(super) fn request(entry: Entry<i32>, argument: &[u8], fds: &[RawFd], dies_with_us: bool) -> Result<Child, SpawnError> {
    let mut slot = lock();
    let Some(spawner) = slot.as_mut() else { return Err(SpawnError::Threaded { threads: 0 }) };
    let (status, their_end) = status_pipe().map_err(|source| SpawnError::Os { call: "pipe2", source })?;
    let dead = |_| SpawnError::SpawnerDied { pid: spawner.process.pid() };
    let mut request = [0; REQUEST_BYTES];
    request[..8].copy_from_slice(&distance(entry).to_ne_bytes());
    request[8..16].copy_from_slice(&(argument.len() as u64).to_ne_bytes());
    request[16..24].copy_from_slice(&u64::from(dies_with_us).to_ne_bytes());
    let all: Vec<RawFd> = std::iter::once(their_end.as_raw_fd()).chain(fds.iter().copied()).collect();
    wire::send(&spawner.socket, &request, &all).map_err(dead)?;
    if !argument.is_empty() {
        wire::send(&spawner.socket, argument, &[]).map_err(dead)?;
    }
    drop(their_end);
    let mut answer = [0; ANSWER_BYTES];
    let mut fds = wire::receive(&spawner.socket, &mut answer).map_err(dead)?;
    let [pid, error] = [0, 4].map(|at| i32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]));
    if pid <= 0 {
        return Err(SpawnError::Os { call: "fork in the spawner", source: io::Error::from_raw_os_error(error) });
    }
    Ok(Child::distant(pid, fds.pop(), status))
}

/// The reading end does not block; the writing end is written four bytes at most.
fn status_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: descriptors that the kernel has just made for us.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// A child that the spawner has to reap.
struct Served {
    pid: libc::pid_t,
    pidfd: Option<OwnedFd>,
    status: File,
}

/// The spawner's life.
fn serve(socket: &UnixStream, program: u32) -> i32 {
    ignore_interrupts();
    let watch = open_pidfd(program as libc::pid_t);
    let mut children: Vec<Served> = Vec::new();
    loop {
        // SAFETY: getppid has no preconditions.
        if unsafe { libc::getppid() } as u32 != program {
            return 0;
        }
        children.retain_mut(|child| !reap(child));
        let mut polled = vec![socket.as_raw_fd()];
        polled.extend(watch.iter().map(AsRawFd::as_raw_fd));
        polled.extend(children.iter().filter_map(|child| child.pidfd.as_ref().map(AsRawFd::as_raw_fd)));
        let blind = watch.is_none() || children.iter().any(|child| child.pidfd.is_none());
        let ready = poll(&polled, if blind { SLICE_MS } else { -1 });
        if ready.first() == Some(&true) && serve_one(socket, &watch, &mut children).is_err() {
            return 0;
        }
    }
}

/// Serves one request. An error: the program is gone.
fn serve_one(socket: &UnixStream, watch: &Option<OwnedFd>, children: &mut Vec<Served>) -> io::Result<()> {
    let mut request = [0; REQUEST_BYTES];
    let mut fds = wire::receive(socket, &mut request)?;
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| request[at + byte]));
    let mut argument = vec![0; word(8) as usize];
    if !argument.is_empty() {
        wire::receive(socket, &mut argument)?;
    }
    if fds.is_empty() {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let status = File::from(fds.remove(0));
    let spawner = std::process::id();
    // SAFETY: this process has one thread (Invariant 1).
    let (pid, error) = match unsafe { libc::fork() } {
        0 => {
            // Invariant 3. The descriptors of this frame and of those below are closed by number: the frames are never left.
            let others = children
                .iter()
                .flat_map(|child| child.pidfd.as_ref().map(AsRawFd::as_raw_fd).into_iter().chain(Some(child.status.as_raw_fd())));
            let own = watch.as_ref().map(AsRawFd::as_raw_fd).into_iter().chain([socket.as_raw_fd(), status.as_raw_fd()]);
            for fd in others.chain(own) {
                // SAFETY: open, and used by nobody in this process any more.
                unsafe { libc::close(fd) };
            }
            restore_interrupts();
            if word(16) != 0 {
                die_with(spawner);
            }
            // SAFETY: the program sent what `distance` gave for an `Entry<i32>`, and this process is a copy of it (travel, Invariant 1).
            let entry = unsafe { entry_at::<i32>(word(0) as i64) };
            run_child(move || {
                super::call::hand_over(fds);
                entry(&argument)
            })
        }
        -1 => (-1, io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        pid => (pid, 0),
    };
    drop(fds);
    let pidfd = if pid > 0 { open_pidfd(pid) } else { None };
    let mut answer = [0; ANSWER_BYTES];
    answer[..4].copy_from_slice(&pid.to_ne_bytes());
    answer[4..].copy_from_slice(&error.to_ne_bytes());
    let sent: Vec<RawFd> = pidfd.iter().map(AsRawFd::as_raw_fd).collect();
    wire::send(socket, &answer, &sent)?;
    if pid > 0 {
        children.push(Served { pid, pidfd, status });
    }
    Ok(())
}

/// Has it ended? Then its status is on its way.
fn reap(child: &mut Served) -> bool {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write; the child is ours.
    match unsafe { libc::waitpid(child.pid, &mut status, libc::WNOHANG) } {
        0 => false,
        found => {
            if found == child.pid {
                // Nobody waits for it where this fails: the reader is gone.
                let _ = child.status.write_all(&status.to_ne_bytes());
            }
            true
        }
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
