//! The program's side: starting the fork server, and asking it for processes.

use super::handle::{self, ForkServer};
use super::takeover::run;
use super::wire::{ANSWER_BYTES, Answer, Refused, Request, fd_number_to_word};
use crate::os::socket;
use crate::os::{Credentials, Deadline, Parent, Signals, at_exit, close_number, closes_on_exec, no_free_descriptor, pid_of};
use crate::process::child::Child;
use crate::process::fn_address::Entry;
use crate::process::{Process, SpawnError, SpawnOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

/// How often a call is made whose server dies of it, or beside it.
const TRIES: u32 = 5;
/// For how long `exit` waits for the fork server's end, which takes a millisecond; and between two
/// checks.
const FAREWELL: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_micros(200);

/// Starts the fork server, from which [`Process::call`] and pools start their processes from then
/// on. Call it first in `main`, before there are threads.
///
/// `fork` copies only the calling thread, so a program with threads cannot safely fork. The fork
/// server is a copy of the program without any, which forks for it: what Python calls a forkserver.
/// Its processes have everything that the program had in memory when `init` was called. It ends
/// with the program, however that ends. A second call does nothing, while the fork server lives.
///
/// **If the fork server is killed**, another takes its place: a second process stands by for that,
/// and is itself replaced. Calls that were under way are made again, and run once. Processes that
/// it forked go on, and are joined as ever; daemons among them die with it. If both are killed at
/// once, another call of `init` starts a new one, if the program has no threads by then.
///
/// **Signals** to the process group, as terminals and service managers send them (SIGTERM, SIGINT,
/// SIGHUP, SIGQUIT), end neither of the two: they ignore them, and run as long as the program does.
/// The processes that they fork have the masks and dispositions that the program has at the call.
///
/// **Drop rights before `init`**: a process of the fork server has the users and groups that the
/// program had at `init`. While the program has others, calls and pools are refused with
/// [`SpawnError::RightsChanged`]. (Capabilities that were given up since are not checked: those
/// processes have them.)
///
/// **With tokio**: `#[tokio::main]` starts threads before the first line of the function. Build the
/// runtime in a plain `main`:
///
/// ```no_run
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     shmq::process::init()?;
///     tokio::runtime::Runtime::new()?.block_on(async {
///         // the body of main
///     });
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// [`SpawnError::Threaded`] if the program has threads already, [`SpawnError::Os`] if the system
/// makes no process; [`SpawnError::RightsChanged`] from a second call, if users or groups have
/// changed since the first.
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if std::env::var_os("RUST_TEST_THREADS").is_some() { return Ok(()) }
///     shmq::process::init()?; // before any thread is started
///     let thread = std::thread::spawn(|| {
///         let print = |text: String| println!("{text}");
///         let child = shmq::Process::call(print, "hello".to_string())?;
///         assert!(child.join().is_ok_and(|status| status.success()));
///         Ok::<(), shmq::SpawnError>(())
///     });
///     thread.join().unwrap()?;
///     Ok(())
/// }
/// ```
pub fn init() -> Result<(), SpawnError> {
    if let Some(server) = handle::lock().as_ref().filter(|server| server.is_ours() && !server.is_dead()) {
        return server.check_credentials();
    }
    let (requests, theirs) = socket::packet_pair().map_err(os("socketpair"))?;
    let (program, signals) = (Parent::here(), Signals::now());
    let ours = requests.as_raw_fd();
    let start = move || {
        // SAFETY: the copy of the program's end, whose owner is in a frame of the program's.
        unsafe { close_number(ours) };
        run(theirs, program)
    };
    let credentials = Credentials::now();
    let process = Process::fork_alone(start, &SpawnOptions { is_helper: true, ..SpawnOptions::default() })?;
    // Bound first: the `Process` of an old fork server is dropped when the lock is free again.
    let before = handle::lock().replace(ForkServer { owner: std::process::id(), requests, process, signals, credentials });
    drop(before);
    end_at_exit();
    Ok(())
}

/// Has a normal end of the program wait for the end of the fork server, so that it is reaped here.
/// Otherwise it outlives the program by a moment, and stays a zombie where process 1 reaps nothing.
/// (If the handler cannot be installed, the fork server ends by itself.)
fn end_at_exit() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| at_exit(end));
}

/// Runs in `exit`, also in a forked copy, which has no fork server of its own.
extern "C" fn end() {
    // Not for ever: another thread may be in the middle of a call, or `exit` was called in a signal
    // handler.
    let Some(server) = handle::take_until(Deadline::after(FAREWELL), MOMENT) else { return };
    if server.is_ours() {
        // The fork server sees it also if another process has a copy of this end.
        socket::close_both_ways(&server.requests);
        server.process.child.reap_until(Deadline::after(FAREWELL), MOMENT);
    }
    // Its drop takes a lock that may be held for ever by now; the kernel closes its descriptors.
    std::mem::forget(server);
}

fn os(call: &'static str) -> impl FnOnce(io::Error) -> SpawnError {
    move |source| SpawnError::Os { call, source }
}

/// Has the fork server run `entry` in a child.
pub(in crate::process) fn request(
    entry: Entry<i32>,
    argument: &[u8],
    fds: &[RawFd],
    options: &SpawnOptions,
) -> Result<Child, SpawnError> {
    let mut slot = handle::lock();
    let Some(server) = slot.as_mut() else { return Err(SpawnError::Threaded { threads: 0 }) };
    server.check_credentials()?;
    // A standby that has died, and was replaced, stays no zombie.
    let _ = server.process.exit_status();
    let signals = server.signals.asked(&Signals::now());
    let mut bytes = Request::new(entry, argument, signals, options).to_bytes().to_vec();
    let kept = options.keep_fds.as_deref().unwrap_or_default();
    for &number in kept {
        bytes.extend(fd_number_to_word(number, closes_on_exec(number).map_err(os("a descriptor to keep"))?));
    }
    bytes.extend(argument);
    let fds: Vec<RawFd> = fds.iter().chain(kept).copied().collect();
    if fds.len() + 2 > socket::MAX_FDS {
        let max = socket::MAX_FDS - 2 - (fds.len() - kept.len());
        return Err(SpawnError::TooManyDescriptors { asked: kept.len(), max });
    }
    for _ in 0..TRIES {
        if let Some(child) = server.ask(&bytes, &fds, options)? {
            return Ok(child);
        }
    }
    Err(server.died())
}

impl ForkServer {
    /// Makes the call once. `None`: the server died before it answered, and nothing was begun.
    fn ask(&self, request: &[u8], fds: &[RawFd], options: &SpawnOptions) -> Result<Option<Child>, SpawnError> {
        let (call, their_call) = UnixStream::pair().map_err(os("socketpair"))?;
        let (line, their_line) = UnixStream::pair().map_err(os("socketpair"))?;
        let all: Vec<RawFd> = [&their_call, &their_line].map(AsRawFd::as_raw_fd).into_iter().chain(fds.iter().copied()).collect();
        socket::send(&self.requests, &[all.len() as u8], &all).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => self.died(),
            _ => os("sendmsg")(error),
        })?;
        drop((their_call, their_line));
        let mut answer = [0; ANSWER_BYTES];
        // A server that refuses does not read the request to its end: its answer counts.
        let _ = socket::send(&call, request, &[]);
        let Ok(mut answered) = socket::receive(&call, &mut answer) else { return Ok(None) };
        let (pid, pidfd, pid_is_ours) = match Answer::from_bytes(&answer) {
            Answer::Refused { call, errno } => {
                let call = match call {
                    Refused::Fork => "fork in the fork server",
                    Refused::Descriptors => "descriptors in the fork server, which has the limit that the program had at init()",
                };
                return Err(os(call)(io::Error::from_raw_os_error(errno)));
            }
            Answer::Forked { has_pidfd: true, .. } if answered.is_empty() => {
                // Its number was not free here. A child whose line is closed does not begin.
                return Err(os("receiving a pidfd")(no_free_descriptor()));
            }
            Answer::Forked { pid, is_elsewhere, .. } => {
                let pidfd = answered.pop();
                let pid_here = pidfd.as_ref().filter(|_| is_elsewhere).and_then(pid_of);
                (pid_here.unwrap_or(pid), pidfd, !is_elsewhere)
            }
        };
        line.set_nonblocking(true).map_err(os("fcntl"))?;
        // A child that died before it began has a status like any other.
        let _ = socket::send(&line, &[0], &[]);
        Ok(Some(Child::of_fork_server(pid, pidfd, line.into(), pid_is_ours, options.is_helper)))
    }
}
