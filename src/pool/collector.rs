//! The collector: the one thread of a pool in the program. It takes results, feeds the backlog, calls hooks and callbacks, and notices
//! when the keepers are gone.
//!
//! ```text
//!   submit ──(room)──> tasks          results ──> collector ──> jobs ──> whoever waits
//!      \──(full)──> backlog ──feed──> tasks <───────┘
//! ```
//!
//! A backlog means that the tasks' ring is full, so results will come, so the collector will wake and feed. It never waits for room.

use super::error::TaskError;
use super::job::Job;
use super::keeper::{BEGAN, ENDED, REPORT_BYTES, STARTED};
use super::message::{ResultHead, kind};
use super::worker::text_of;
use crate::error::{GetError, PutError};
use crate::os::Home;
use crate::process::background::Presence;
use crate::process::{Process, poll};
use crate::queue::Queue;
use std::collections::{BTreeSet, HashMap, VecDeque};
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
/// How long keepers have to end when they are asked to, before one is killed.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No more tasks; those that there are will be done.
    Closed,
    /// Nothing will be done any more.
    Terminated,
    /// No process of the pool is left.
    Over,
}

pub(super) struct State {
    jobs: HashMap<u64, Arc<Job>>,
    next_job: u64,
    backlog: VecDeque<Vec<u8>>,
    pub phase: Phase,
    /// Why the pool does not work any more.
    pub failure: Option<TaskError>,
    /// Workers that run, as far as the keeper has told.
    pub workers: BTreeSet<u32>,
    pub deaths: u64,
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
            failure: None,
            workers: BTreeSet::new(),
            deaths: 0,
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
        match state.phase {
            Phase::Open => {}
            Phase::Closed => return Err(TaskError::Closed),
            Phase::Terminated | Phase::Over => return Err(TaskError::Terminated),
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
            if matches!(state.phase, Phase::Terminated | Phase::Over) {
                return Err(TaskError::Terminated);
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
        if matches!(state.phase, Phase::Open | Phase::Closed) {
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
        let expected = state.phase != Phase::Open && state.jobs.is_empty();
        if expected {
            return;
        }
        let broken = || TaskError::Broken { why: "its processes were killed, the keeper and its standby at once".to_owned() };
        let failure = state.failure.get_or_insert_with(broken).clone();
        drop(state);
        self.fail_all(&failure);
    }

    /// Waits until no process of the pool is left.
    pub fn wait_until_over(&self) {
        let mut state = self.lock();
        while state.phase != Phase::Over {
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
            kind::FAILED => self.fail(TaskError::Initializer { message: String::from_utf8_lossy(rest).into_owned() }),
            _ => {
                let job = self.lock().jobs.get(&head.job).map(Arc::clone);
                let Some(job) = job else { return };
                let accepted = job.accept(head, rest);
                if accepted.over {
                    self.forget(head.job);
                }
                if accepted.wanted {
                    woken.push(job);
                }
            }
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

    /// Reads what the keeper tells. `false`: no keeper is left.
    pub fn hear(&self) -> bool {
        loop {
            let mut report = [0u8; REPORT_BYTES];
            let flags = libc::MSG_DONTWAIT;
            // SAFETY: room for a report.
            let got = unsafe { libc::recv(self.socket.as_raw_fd(), report.as_mut_ptr().cast(), report.len(), flags) };
            if got <= 0 {
                let error = std::io::Error::last_os_error();
                return got < 0 && matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted);
            }
            let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| report[at + byte]));
            let mut state = self.lock();
            match word(0) {
                BEGAN => state.workers.clear(),
                STARTED => drop(state.workers.insert(word(4))),
                ENDED => {
                    state.workers.remove(&word(4));
                    state.deaths += u64::from(word(8) != 0);
                }
                _ => {}
            }
        }
    }

    /// Hears the keepers out until none is left, or for as long as they have to end.
    fn hear_the_end(&self) {
        let begun = Instant::now();
        while self.hear() && begun.elapsed() < GRACE {
            poll(&[self.socket.as_raw_fd()], IDLE.as_millis() as libc::c_int);
        }
    }

    fn is_eager(&self) -> bool {
        let state = self.lock();
        !state.backlog.is_empty() || (state.phase != Phase::Open && state.jobs.is_empty()) || state.failure.is_some()
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
        go_on(|| shared.hear_the_end());
    }
    go_on(|| shared.fail_the_rest());
    go_on(|| drop(keeper.kill())); // it has ended; if it lives without its socket, it does not live on
    go_on(|| drop(keeper.join()));
    let mut state = shared.lock();
    state.workers.clear();
    state.phase = Phase::Over;
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
        if idle || heard.elapsed() >= IDLE || shared.lock().phase != Phase::Open {
            heard = Instant::now();
            if !shared.hear() {
                // Everything was put before they ended.
                while let Err(GetError::TooSmall { needed, .. }) = take_more(shared, &mut buffer, &mut woken) {
                    buffer.resize(needed, 0);
                }
                woken.drain(..).for_each(|job| job.wake());
                return;
            }
            // Reaped here, so that it does not stay a zombie when its standby has taken over.
            let _ = keeper.exit_status();
        }
        let must_end = shared.lock().phase == Phase::Terminated || shared.lock().failure.is_some();
        if must_end && ending.get_or_insert_with(Instant::now).elapsed() >= GRACE {
            // Stopped, perhaps. A standby takes over and sees the same end.
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

/// Polls the keepers' end of the socket, for tests and waits of a moment.
pub(super) fn hear_soon(shared: &Shared, timeout: Duration) {
    poll(&[shared.socket.as_raw_fd()], timeout.as_millis() as libc::c_int);
    shared.hear();
}
