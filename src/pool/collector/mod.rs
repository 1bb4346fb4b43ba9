//! The collector: the one thread of a pool in the program. It takes results, feeds the backlog, calls hooks and callbacks, and notices
//! when the keepers are gone.
//!
//! ```text
//!   submit ──(room)──> tasks          results ──> collector ──> jobs ──> whoever waits
//!      \──(full)──> backlog ──feed──> tasks <───────┘
//! ```
//!
//! A backlog means that the tasks' ring is full, so results will come, so the collector will wake and feed. It never waits for room.

mod explain;

use self::explain::{EXPLANATION, Unexplained};
use super::error::TaskError;
use super::job::{Accepted, Job};
use super::message::{ResultHead, kind};
use super::report::{Received, try_receive};
use super::roster::{Roster, tell};
use super::worker::text_of;
use crate::error::{GetError, PutError};
use crate::os::Home;
use crate::process::background::Presence;
use crate::process::{Process, poll, send_by_pidfd};
use crate::queue::Queue;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the collector sleeps when nothing comes.
const IDLE: Duration = Duration::from_millis(100);
/// How long at first, when there is a backlog or an end to wait for.
const EAGER: Duration = Duration::from_millis(1);
/// Results that are taken without a look at anything else.
const ROUND: usize = 256;
/// Chunks in the backlog beyond which a call that waits anyway waits for room.
const PATIENT_BACKLOG: usize = 64;
/// How long keepers have to end when they are asked to, before they are killed; and then, before they are given up: one that the
/// kernel does not end (it is frozen, say) ends by itself when it goes on.
const GRACE: Duration = Duration::from_secs(5);
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No more tasks; those that there are will be done.
    Closed,
    /// Nothing will be done any more.
    Terminated,
}

impl Phase {
    /// Why no more is taken.
    fn refusal(self) -> Option<TaskError> {
        match self {
            Phase::Open => None,
            Phase::Closed => Some(TaskError::Closed),
            Phase::Terminated => Some(TaskError::Terminated),
        }
    }
}

pub(super) struct State {
    jobs: HashMap<u64, Arc<Job>>,
    next_job: u64,
    backlog: VecDeque<Vec<u8>>,
    /// What the program asked for.
    pub phase: Phase,
    /// No process of the pool is left.
    pub over: bool,
    /// Why the pool does not work any more.
    pub failure: Option<TaskError>,
    /// The pool's processes, as far as the keeper has reported.
    pub roster: Roster,
    unexplained: Vec<Unexplained>,
}

/// What the pool's handle, its collector and its iterators share.
pub(super) struct Shared {
    /// The program that built the pool.
    pub home: Home,
    pub nonce: u64,
    pub workers: usize,
    pub tasks: Queue<[u8]>,
    pub results: Queue<[u8]>,
    socket: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub fn new(home: Home, nonce: u64, workers: usize, tasks: Queue<[u8]>, results: Queue<[u8]>, socket: OwnedFd) -> Shared {
        let state = State {
            jobs: HashMap::new(),
            next_job: 1,
            backlog: VecDeque::new(),
            phase: Phase::Open,
            over: false,
            failure: None,
            roster: Roster::new(workers),
            unexplained: Vec::new(),
        };
        Shared { home, nonce, workers, tasks, results, socket, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub fn is_ours(&self) -> bool {
        self.home.is_here()
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job of its own for a call.
    pub fn begin(&self, job: &Arc<Job>) -> Result<u64, TaskError> {
        if !self.is_ours() {
            return Err(TaskError::Inherited);
        }
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        if let Some(refusal) = state.phase.refusal() {
            return Err(refusal);
        }
        let number = state.next_job;
        state.next_job += 1;
        state.jobs.insert(number, Arc::clone(job));
        Ok(number)
    }

    /// Nobody waits for the job any more, or it is over.
    pub fn forget(&self, number: u64) {
        // A job may own what takes long to drop.
        let job = self.lock().jobs.remove(&number);
        drop(job);
    }

    /// Sends a chunk, now or when there is room. With `patient`, waits while many wait for room. An error: it was not sent.
    pub fn send(&self, chunk: &[u8], patient: bool) -> Result<(), TaskError> {
        let mut state = self.lock();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            // A chunk of a call from before: what `close` comes before is not begun any more.
            if state.phase == Phase::Terminated || state.over {
                return Err(state.phase.refusal().unwrap_or(TaskError::Terminated));
            }
            if state.backlog.is_empty() {
                match self.tasks.try_put(chunk) {
                    Ok(()) => return Ok(()),
                    Err(PutError::Full | PutError::Busy) => {}
                    Err(PutError::Closed) => return Err(TaskError::Closed),
                    Err(PutError::TooLarge { len, max }) => return Err(TaskError::TooLarge { len, max }),
                    Err(error) => return Err(TaskError::Broken { why: error.to_string() }),
                }
            }
            if !patient || state.backlog.len() < PATIENT_BACKLOG {
                state.backlog.push_back(chunk.to_vec());
                return Ok(());
            }
            state = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// No more tasks. What there is will be done.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
            if state.backlog.is_empty() {
                self.tasks.close();
            }
        }
        drop(state);
        self.wake();
    }

    /// Nothing will be done any more: whoever waits is told.
    pub fn terminate(&self) {
        let mut state = self.lock();
        if !state.over {
            state.phase = Phase::Terminated;
        }
        drop(state);
        self.end_keepers();
        self.fail_all(&TaskError::Terminated);
        self.wake();
    }

    /// The keepers see the end of the socket, and end their workers.
    fn end_keepers(&self) {
        self.tasks.close();
        // SAFETY: shutdown takes numbers; the descriptor is open.
        unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_WR) };
    }

    /// The first reason stays.
    fn note_failure(&self, failure: TaskError) {
        self.lock().failure.get_or_insert(failure);
    }

    /// The pool does not work any more.
    fn fail(&self, failure: TaskError) {
        self.note_failure(failure.clone());
        self.end_keepers();
        self.fail_all(&failure);
    }

    fn fail_all(&self, error: &TaskError) {
        let mut state = self.lock();
        state.backlog.clear();
        let jobs: Vec<Arc<Job>> = state.jobs.drain().map(|(_, job)| job).collect();
        drop(state);
        self.changed.notify_all();
        jobs.iter().for_each(|job| job.fail(error));
    }

    /// No process of the pool is left: what was not done never will be.
    fn fail_the_rest(&self) {
        let mut state = self.lock();
        // All that was sent is done; a call whose input was not read to its end (`imap`) can send no more.
        let all_done = || state.backlog.is_empty() && state.jobs.values().all(|job| !job.has_open_chunks());
        let expected = state.failure.is_none()
            && match state.phase {
                Phase::Open => false,
                Phase::Closed => all_done(),
                Phase::Terminated => true,
            };
        if let Some(refusal) = state.phase.refusal().filter(|_| expected) {
            drop(state);
            return self.fail_all(&refusal);
        }
        let broken = || TaskError::Broken { why: "its processes were killed, the keeper and its standby at once".to_owned() };
        let failure = state.failure.get_or_insert_with(broken).clone();
        drop(state);
        self.fail_all(&failure);
    }

    /// Waits until no process of the pool is left.
    pub fn wait_until_over(&self) {
        let mut state = self.lock();
        while !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the collector look around now.
    fn wake(&self) {
        let head = ResultHead { nonce: self.nonce, job: 0, first: 0, count: 0, attempt: 0, kind: kind::WAKE };
        let mut message = Vec::new();
        head.write(&mut message);
        // No room: it has enough to wake it.
        let _ = self.results.try_put(&message);
    }

    /// What a worker, or somebody else of the pool, put.
    /// Jobs that somebody waits for are noted, to be woken when all that is there was taken: one wake for many pieces.
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
                self.hear();
                self.explain(EXPLANATION, woken);
            }
            kind::BROKEN => self.fail(TaskError::Broken { why: String::from_utf8_lossy(rest).into_owned() }),
            kind::FAILED => self.fail(TaskError::Initializer { message: String::from_utf8_lossy(rest).into_owned() }),
            _ => {
                let job = self.lock().jobs.get(&head.job).map(Arc::clone);
                let Some(job) = job else { return };
                let accepted = job.accept(head, rest);
                self.settle(head.job, job, accepted, woken);
            }
        }
    }

    fn settle(&self, number: u64, job: Arc<Job>, accepted: Accepted, woken: &mut Vec<Arc<Job>>) {
        if accepted.over {
            self.forget(number);
        }
        if accepted.wanted {
            woken.push(job);
        }
    }

    /// Moves what there is room for from the backlog into the ring.
    fn feed(&self) {
        let mut state = self.lock();
        let mut moved = false;
        while let Some(chunk) = state.backlog.front() {
            match self.tasks.try_put(chunk) {
                Ok(()) => {}
                // Closed: by `terminate`, which fails the backlog next.
                Err(PutError::Full | PutError::Busy | PutError::Closed) => break,
                Err(error) => {
                    drop(state);
                    return self.fail(TaskError::Broken { why: error.to_string() });
                }
            }
            state.backlog.pop_front();
            moved = true;
        }
        if state.phase == Phase::Closed && state.backlog.is_empty() && !self.tasks.is_closed() {
            self.tasks.close();
        }
        drop(state);
        if moved {
            self.changed.notify_all();
        }
    }

    /// Receives what the keeper has reported. `false`: no keeper is left.
    pub fn hear(&self) -> bool {
        let mut news = Vec::new();
        // Held from receiving a report until it is applied (roster, Invariant 1).
        let mut state = self.lock();
        let goes_on = loop {
            match try_receive(&self.socket) {
                Received::Report(report, about) => news.extend(state.roster.apply(report, about)),
                Received::Nothing => break true,
                Received::End => break false,
            }
        };
        let gave_up = state.roster.gave_up.filter(|_| state.failure.is_none());
        drop(state);
        tell(&news);
        if let Some(why) = gave_up {
            self.fail(TaskError::Broken { why: format!("no worker can be started: {}: {}", why.call(), why.error()) });
        }
        goes_on
    }

    /// Hears the keepers until that is so, none is left, or for so long.
    pub fn hear_until(&self, wait: Duration, is_enough: impl Fn(&State) -> bool) {
        let begun = Instant::now();
        while self.hear() && !is_enough(&self.lock()) && begun.elapsed() < wait {
            poll(&[self.socket.as_raw_fd()], IDLE.as_millis() as libc::c_int);
        }
    }

    /// Ends the keepers, which may be stopped and see nothing, and with them their workers.
    pub fn kill_keepers(&self) {
        for helper in self.lock().roster.helpers() {
            send_by_pidfd(helper, libc::SIGKILL);
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

/// The collector's life. It does not die quietly: whatever panics in it (a subscriber of events
/// may) fails every job and ends the pool, and callers that wait are told.
pub(super) fn collect(shared: &Shared, mut keeper: Process) {
    let presence = Presence::begin();
    let worked = catch_unwind(AssertUnwindSafe(|| work(shared, &presence, &mut keeper)));
    let at_work = presence.work();
    // Each by itself: one that panics keeps none of the others from being done.
    if let Err(panic) = worked {
        let why = format!("its own thread panicked: {}", text_of(panic));
        go_on(|| shared.note_failure(TaskError::Broken { why }));
        go_on(|| shared.end_keepers());
        go_on(|| shared.hear_until(GRACE, |_| false));
    }
    go_on(|| shared.explain(Duration::ZERO, &mut Vec::new()));
    go_on(|| shared.fail_the_rest());
    // They have ended; one that lives without its socket does not live on.
    go_on(|| shared.kill_keepers());
    go_on(|| drop(keeper.kill()));
    go_on(|| drop(keeper.join_timeout(GRACE)));
    let mut state = shared.lock();
    state.roster.clear();
    state.over = true;
    drop(state);
    shared.changed.notify_all();
    go_on(|| drop(keeper));
    drop(at_work);
}

fn go_on(step: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(step)) {
        std::mem::forget(panic); // its drop might panic
    }
}

/// Until no keeper is left.
fn work(shared: &Shared, presence: &Presence, keeper: &mut Process) {
    let mut buffer = vec![0; 64 << 10];
    let mut woken = Vec::new();
    let mut sleep = IDLE;
    let mut ending: Option<Instant> = None;
    let mut heard = Instant::now();
    loop {
        // Not at work, so only this: a fork may come between (background).
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
        if idle || heard.elapsed() >= IDLE || is_time() {
            heard = Instant::now();
            let is_given_up = ending.is_some_and(|since: Instant| since.elapsed() >= GRACE * 2);
            if !shared.hear() || is_given_up {
                // Everything was put before they ended.
                while let Err(GetError::TooSmall { needed, .. }) = take_more(shared, &mut buffer, &mut woken) {
                    buffer.resize(needed, 0);
                }
                woken.drain(..).for_each(|job| job.wake());
                return;
            }
            shared.explain(EXPLANATION, &mut woken);
            woken.drain(..).for_each(|job| job.wake());
            // Reaped here, so that it does not stay a zombie when its standby has taken over.
            let _ = keeper.exit_status();
        }
        let must_end = shared.lock().phase == Phase::Terminated || shared.lock().failure.is_some();
        if must_end && ending.get_or_insert_with(Instant::now).elapsed() >= GRACE {
            // Stopped, perhaps, and the standby too.
            shared.kill_keepers();
            let _ = keeper.kill();
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

/// Takes what is there, up to a round.
fn take_more(shared: &Shared, buffer: &mut [u8], woken: &mut Vec<Arc<Job>>) -> Result<(), GetError> {
    for _ in 0..ROUND {
        let length = shared.results.try_get_into(buffer)?;
        shared.accept(&buffer[..length], woken);
    }
    Ok(())
}
