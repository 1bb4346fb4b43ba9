//! The supervisor of a pool: a single-threaded process that forks the workers, replaces those that
//! die, and ends them. And its standby, which does nothing until the supervisor dies, and then
//! takes its place.
//!
//! ```text
//!   program ──socket── supervisor ──forks──> workers (die with the supervisor)
//!                          └────────forks──> standby ──(supervisor died)──> supervisor:
//!                                            forks a standby and workers of its own
//! ```
//!
//! Invariants:
//! 1. Supervisor and standby never have a second thread, so what they fork lacks none
//!    (`process::supervision`).
//! 2. Workers die with the supervisor that forked them: it is the thread of their death signal, and
//!    has the only other end of their socket, at whose end the kernel kills them, whatever user a
//!    task has become. Supervisors end when the program ends (a pidfd reports it) or closes its
//!    half of the socket, which a successor still sees: so nothing outlives the program.
//! 3. The program's end of the socket is at its end when no supervisor and no standby is left:
//!    workers do not have it.
//! 4. Nothing forks for ever: a number of workers in a row that die before they are ready fail the
//!    pool. Nor does a supervisor wait for ever for what the system refuses: one that has no worker
//!    and can start none for a while gives up.
//! 5. A worker is killed on its own account only if its word of the board condemns it (`board`,
//!    Invariant 3), and by this process alone, whose child it is and which has not reaped it: no
//!    other process is hit, and no other task.
//!
//! | question | file |
//! |---|---|
//! | what happens when a worker dies, or cannot be started? | `workers`, `shortage` |
//! | what ends a worker whose task takes too long, or was killed? | `limits` |
//! | what is reported to the program, and when? | `outbox` |

mod limits;
mod outbox;
mod shortage;
mod workers;

use self::outbox::Outbox;
use self::shortage::Shortage;
use self::workers::{Failure, Workers};
use super::report::{Refusal, Report};
use super::settings::PoolSettings;
use crate::object::{Codec, MessagePack};
use crate::os::{Parent, Pid, poll, socket};
use crate::process::supervision::{self, ForkedChild, Predecessor};
use crate::process::{print_error, take_handed_over};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How often a supervisor checks what it has no descriptor to poll for, or tries something again.
const SLICE_MS: i32 = 20;
/// How long a worker that has ended keeps its pid, which was reported to the program and may be
/// looked up just now: no other process has it.
const PID_KEPT: Duration = Duration::from_millis(100);
/// How long a supervisor may take to end when all is over, which takes it no time unless it was
/// stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Where a supervisor's process starts: its exit code.
pub(super) fn entry(mut argument: &[u8]) -> i32 {
    // First: the pool's own queues are attached below.
    supervision::begin();
    let mut handed_over = take_handed_over().into_iter();
    let (socket, program) = (handed_over.next(), handed_over.next());
    match (MessagePack::decode::<PoolSettings>(&mut argument), socket) {
        (Ok(settings), Some(socket)) => {
            let program = Parent::named(settings.program as Pid, program);
            supervise(&settings, &socket, &program)
        }
        (Err(error), _) => {
            print_error(format_args!("a pool's settings did not arrive: {error}"));
            1
        }
        (_, None) => 1,
    }
}

/// A supervisor's life, and that of the standby that takes its place: the exit code.
fn supervise(settings: &PoolSettings, socket: &OwnedFd, program: &Parent) -> i32 {
    let mut is_successor = false;
    loop {
        let mut supervisor = Supervisor {
            settings,
            socket,
            program,
            workers: Workers::new(settings),
            standby: None,
            outbox: Outbox::begin(socket),
            shortage: Shortage::new(is_successor),
            is_ready: false,
        };
        match supervisor.run() {
            Some(code) => return code,
            // This process is the standby, and the supervisor is dead: what its workers held comes
            // back.
            None => {
                is_successor = true;
                settings.recover_queues();
            }
        }
    }
}

struct Supervisor<'s> {
    settings: &'s PoolSettings,
    socket: &'s OwnedFd,
    program: &'s Parent,
    workers: Workers<'s>,
    standby: Option<ForkedChild>,
    outbox: Outbox<'s>,
    shortage: Shortage,
    /// All workers were started, or refused, for the first time.
    is_ready: bool,
}

impl Supervisor<'_> {
    /// `None`: this process was the standby, and is the supervisor now.
    fn run(&mut self) -> Option<i32> {
        loop {
            limits::take_pokes(self.socket);
            if self.is_over() {
                return self.end(0);
            }
            let next_check = self.workers.end_overdue();
            if let Err(failure) = self.workers.take_ended(&mut self.outbox) {
                self.outbox.send();
                self.end(1);
                if let Failure::ToReport(kind, why) = failure {
                    self.settings.report_failure(kind, &why);
                }
                return Some(1);
            }
            if self.standby.as_ref().is_some_and(|standby| standby.take_status().is_some()) {
                self.standby = None;
            }
            if self.workers.are_done() {
                return self.end(0);
            }
            let mut again = self.outbox.send();
            // The first worker comes before the standby: if there is room for one process only, it
            // is of more use.
            let mut refusal = if self.workers.is_short() && self.workers.is_empty() { self.start_worker().err() } else { None };
            if self.standby.is_none() {
                let supervisor = Predecessor::own_pid();
                // SAFETY: this process has one thread (Invariant 1).
                match unsafe { ForkedChild::fork() } {
                    Ok(Some(standby)) => {
                        self.outbox.push_about(Report::Standby { pid: standby.pid as u32 }, standby.pidfd.as_ref());
                        self.standby = Some(standby);
                    }
                    Ok(None) => return self.stand_by(supervisor),
                    Err(_) => again = true,
                }
            }
            while refusal.is_none() && self.workers.is_short() {
                refusal = self.start_worker().err();
            }
            if refusal.is_some() && self.workers.has_zombies() {
                // Zombies may count, too.
                self.workers.reap_older_than(Duration::ZERO);
                continue;
            }
            // No processes or no memory, for now.
            again |= refusal.is_some();
            if let Some(why) = self.note_shortage(refusal) {
                self.outbox.push(Report::GaveUp { why });
                self.outbox.send_last(|| is_over(self.socket, self.program));
                return self.end(1);
            }
            if !self.is_ready && (refusal.is_none() || !self.workers.is_empty()) {
                self.is_ready = true;
                self.outbox.push(Report::Ready);
            }
            again |= self.outbox.send();
            if self.outbox.is_empty() {
                self.workers.reap_older_than(PID_KEPT);
            }
            self.wait(again, next_check);
        }
    }

    /// Whether the program has ended, or wants the pool to end.
    fn is_over(&self) -> bool {
        is_over(self.socket, self.program)
    }

    fn start_worker(&mut self) -> Result<(), Refusal> {
        // What a worker must not have: Invariant 3, and its siblings' sockets.
        let own: Vec<RawFd> = [self.socket.as_raw_fd()].into_iter().chain(self.program.pidfd()).collect();
        self.workers.start(&own, &mut self.standby, &mut self.outbox)
    }

    fn note_shortage(&mut self, refusal: Option<Refusal>) -> Option<Refusal> {
        let (report, gave_up) = self.shortage.note(refusal, self.workers.missing(), self.workers.is_empty(), self.is_ready);
        report.into_iter().for_each(|report| self.outbox.push(report));
        gave_up
    }

    /// Waits for an event, or until something is to be tried `again`; not longer than so many ms.
    fn wait(&self, again: bool, next_check: Option<i32>) {
        let children = self.workers.children().chain(&self.standby);
        let mut fds = vec![self.socket.as_raw_fd()];
        fds.extend(self.program.pidfd());
        let known = fds.len();
        fds.extend(children.clone().filter_map(ForkedChild::number));
        let blind = self.program.pidfd().is_none() || fds.len() - known < children.count();
        let timeout_ms = match again || blind {
            true => SLICE_MS,
            false if self.workers.has_zombies() => PID_KEPT.as_millis() as i32,
            false => -1,
        };
        // -1 is for ever.
        poll(&fds, next_check.map_or(timeout_ms, |ms| if timeout_ms < 0 { ms } else { ms.min(timeout_ms) }));
    }

    /// The standby's life: `None` when the supervisor has died and the program has not. When all is
    /// over the supervisor ends its standby; one that is stopped, and its workers with it, is ended
    /// by the standby.
    fn stand_by(&mut self, supervisor: Pid) -> Option<i32> {
        self.workers.forget();
        self.outbox.clear();
        let supervisor = Predecessor::watch(supervisor);
        while supervisor.is_alive() {
            let fds: Vec<RawFd> = supervisor.number().into_iter().chain(self.program.pidfd()).collect();
            poll(&fds, if fds.len() < 2 { SLICE_MS } else { -1 });
            if self.is_over() {
                supervisor.outlast(GRACE, SLICE_MS);
                return Some(0);
            }
        }
        if self.is_over() { Some(0) } else { None }
    }

    /// Kills and reaps all: then the exit code is this.
    fn end(&mut self, code: i32) -> Option<i32> {
        self.workers.end_all(self.standby.take());
        Some(code)
    }
}

fn is_over(socket: &OwnedFd, program: &Parent) -> bool {
    socket::is_at_end(socket) || program.is_gone()
}
