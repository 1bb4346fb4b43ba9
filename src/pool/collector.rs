//! The collector: the one thread of a pool in the program. It takes results, feeds the backlog,
//! calls hooks and callbacks, and notices when the supervisor and its standby are gone.

use super::error::TaskError;
use super::job::{Accepted, Job};
use super::message::{ResultHead, kind};
use super::panic::panic_text;
use super::state::{IDLE, Phase, Shared, Unexplained};
use crate::background::Presence;
use crate::error::GetError;
use crate::process::Process;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the collector sleeps at first, when there is a backlog or an end to wait for.
const EAGER: Duration = Duration::from_millis(1);
/// Results that are taken before anything else is checked.
const ROUND: usize = 256;
/// How long a task that has failed waits for the supervisor's report of how its worker ended.
const EXPLANATION: Duration = Duration::from_secs(5);
/// How long the supervisor and its standby have to end when they are asked to, before they are
/// killed; and then, before they are given up: one that the kernel does not end (it is frozen, say)
/// ends by itself when it goes on.
const GRACE: Duration = Duration::from_secs(5);

/// The collector's life. It does not die quietly: a panic in it (of a subscriber of events, say)
/// fails every job and ends the pool, and callers that wait get the error.
pub(super) fn collect(shared: &Shared, mut supervisor: Process) {
    let presence = Presence::begin();
    let worked = catch_unwind(AssertUnwindSafe(|| work(shared, &presence, &mut supervisor)));
    let at_work = presence.work();
    if let Err(panic) = worked {
        let why = format!("its own thread panicked: {}", panic_text(panic));
        run_step(|| shared.note_failure(TaskError::Broken { why }));
        run_step(|| shared.end_supervisors());
        run_step(|| shared.receive_reports_until(GRACE, |_| false));
    }
    run_step(|| shared.explain(Duration::ZERO, &mut Vec::new()));
    run_step(|| shared.fail_the_rest());
    // They have ended; one that is alive without its socket is killed.
    run_step(|| shared.kill_supervisors());
    run_step(|| drop(supervisor.kill()));
    run_step(|| drop(supervisor.join_timeout(GRACE)));
    let mut state = shared.lock();
    state.roster.clear();
    state.over = true;
    drop(state);
    shared.changed.notify_all();
    run_step(|| drop(supervisor));
    drop(at_work);
}

/// Runs a step of the end: a panic in it does not keep the next one from being done.
fn run_step(step: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
        std::mem::forget(panic); // its drop might panic
    }
}

/// The collector's loop, until no supervisor is left.
fn work(shared: &Shared, presence: &Presence, supervisor: &mut Process) {
    let mut buffer = vec![0; 64 << 10];
    let mut woken = Vec::new();
    let mut sleep = IDLE;
    let mut ending: Option<Instant> = None;
    let mut reports_at = Instant::now();
    loop {
        // Not at work, so it only sleeps: another thread may fork meanwhile (background).
        shared.results.sleep_until_ready(sleep);
        let at_work = presence.work();
        let first = shared.results.try_get_into(&mut buffer);
        let idle = matches!(first, Err(GetError::Empty));
        // The process that has the get side was stopped in the middle of it.
        let busy = matches!(first, Err(GetError::Busy));
        let outcome = first.and_then(|length| {
            shared.accept(&buffer[..length], &mut woken);
            take_more(shared, &mut buffer, &mut woken)
        });
        woken.drain(..).for_each(|job| job.wake());
        match outcome {
            Ok(()) | Err(GetError::Empty | GetError::Timeout | GetError::Busy) => {}
            Err(GetError::TooSmall { needed, .. }) => {
                buffer.resize(needed, 0);
                continue;
            }
            Err(error) => shared.fail(TaskError::Broken { why: error.to_string() }),
        }
        shared.feed();
        let is_time = || {
            let state = shared.lock();
            state.phase != Phase::Open || !state.unexplained.is_empty()
        };
        if idle || reports_at.elapsed() >= IDLE || is_time() {
            reports_at = Instant::now();
            let is_given_up = ending.is_some_and(|since: Instant| since.elapsed() >= GRACE * 2);
            if !shared.receive_reports() || is_given_up {
                // All results were put before they ended.
                while let Err(GetError::TooSmall { needed, .. }) = take_more(shared, &mut buffer, &mut woken) {
                    buffer.resize(needed, 0);
                }
                woken.drain(..).for_each(|job| job.wake());
                return;
            }
            shared.explain(EXPLANATION, &mut woken);
            woken.drain(..).for_each(|job| job.wake());
            // Reaped here, so that it does not stay a zombie when its standby has taken over.
            let _ = supervisor.exit_status();
        }
        let must_end = shared.lock().phase == Phase::Terminated || shared.lock().failure.is_some();
        if must_end && ending.get_or_insert_with(Instant::now).elapsed() >= GRACE {
            // It may be stopped, and the standby too.
            shared.kill_supervisors();
            let _ = supervisor.kill();
        }
        let eager = shared.is_eager();
        sleep = match (eager, idle) {
            (true, true) => (sleep * 2).min(IDLE).min(EAGER * 16),
            (true, false) => EAGER,
            (false, _) => IDLE,
        };
        drop(at_work);
        if busy {
            std::thread::sleep(EAGER);
        }
    }
}

/// Takes the results that are there, up to a round.
fn take_more(shared: &Shared, buffer: &mut [u8], woken: &mut Vec<Arc<Job>>) -> Result<(), GetError> {
    for _ in 0..ROUND {
        let length = shared.results.try_get_into(buffer)?;
        shared.accept(&buffer[..length], woken);
    }
    Ok(())
}

impl Shared {
    /// Takes a message of a worker, or of another process of the pool. Jobs with a caller that
    /// waits are noted in `woken`, to be woken when all that is there was taken: one wake for many
    /// pieces.
    fn accept(&self, message: &[u8], woken: &mut Vec<Arc<Job>>) {
        let Some((head, rest)) = ResultHead::read(message) else { return };
        if head.nonce != self.nonce {
            return;
        }
        match head.kind {
            kind::WAKE => {}
            kind::DIED => {
                let pid = rest.first_chunk().map_or(0, |pid| u32::from_le_bytes(*pid));
                self.lock().unexplained.push(Unexplained { head, pid, since: Instant::now() });
                self.receive_reports();
                self.explain(EXPLANATION, woken);
            }
            kind::BROKEN => self.fail(TaskError::Broken { why: String::from_utf8_lossy(rest).into_owned() }),
            kind::FAILED => self.fail(TaskError::Initializer { message: String::from_utf8_lossy(rest).into_owned() }),
            kind::KILLED => self.end(head, TaskError::Cancelled, woken),
            kind::TIMED_OUT => {
                let (pid, limit) = rest.split_at_checked(4).unwrap_or_default();
                let pid = pid.first_chunk().map(|pid| u32::from_le_bytes(*pid)).filter(|pid| *pid != 0);
                let after = Duration::from_nanos(limit.first_chunk().map_or(0, |limit| u64::from_le_bytes(*limit)));
                self.end(head, TaskError::TimedOut { after, pid }, woken);
            }
            _ => {
                let Some(job) = self.job_of(&head, head.kind == kind::LAST) else { return };
                let accepted = job.accept(head, rest);
                self.settle(head.job, job, accepted, woken);
            }
        }
    }

    /// The job that a message is for, if a caller still waits for it. If it is the `last` one of
    /// its chunk, what the chunk had is given back first: a caller that has the result finds room.
    fn job_of(&self, head: &ResultHead, last: bool) -> Option<Arc<Job>> {
        let mut state = self.lock();
        if last {
            self.give_back(&mut state, head.entry);
        }
        let job = state.jobs.get(&head.job).map(Arc::clone);
        if last && state.has_waiting_for_room() {
            self.notify_room(state);
        }
        job
    }

    /// A chunk ended without results.
    fn end(&self, head: ResultHead, error: TaskError, woken: &mut Vec<Arc<Job>>) {
        let Some(job) = self.job_of(&head, true) else { return };
        let accepted = job.accept_end(head, error);
        self.settle(head.job, job, accepted, woken);
    }

    fn settle(&self, number: u64, job: Arc<Job>, accepted: Accepted, woken: &mut Vec<Arc<Job>>) {
        if accepted.over {
            self.forget(number);
        }
        if accepted.wanted {
            woken.push(job);
        }
    }

    /// Fails the chunks of dead workers whose status is known by now, or has not come for `wait`.
    /// One worker reports that a chunk's worker died, and the supervisor how, in either order.
    fn explain(&self, wait: Duration, woken: &mut Vec<Arc<Job>>) {
        let mut state = self.lock();
        let (settled, rest) = std::mem::take(&mut state.unexplained)
            .into_iter()
            .partition(|death| death.pid == 0 || state.roster.end_of(death.pid).is_some() || death.since.elapsed() >= wait);
        state.unexplained = rest;
        let settled: Vec<Unexplained> = settled;
        let known: Vec<_> = settled.iter().map(|death| state.roster.end_of(death.pid).flatten()).collect();
        drop(state);
        for (death, status) in settled.into_iter().zip(known) {
            let pid = (death.pid != 0).then_some(death.pid);
            self.end(death.head, TaskError::WorkerDied { attempts: death.head.count, pid, status }, woken);
        }
    }

    fn is_eager(&self) -> bool {
        let state = self.lock();
        !state.backlog.is_empty()
            || !state.unexplained.is_empty()
            || (state.phase != Phase::Open && state.jobs.is_empty())
            || state.failure.is_some()
    }
}
