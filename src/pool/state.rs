//! What the program knows of a pool, shared by its handle, its collector and its iterators: jobs,
//! the backlog of chunks, and whether the pool is open.
//!
//! ```text
//!   submit ──(room)──> tasks          results ──> collector ──> jobs ──> callers that wait
//!      \──(full)──> backlog ──feed──> tasks <───────┘
//! ```
//!
//! Invariants:
//! 1. A backlog means that the tasks' ring is full, or the board: so results will come, so the
//!    collector will wake and feed. It never waits for room.
//! 2. The lock of the state is taken before that of a job, never after it. Callbacks and hooks run
//!    under neither.

use super::board::{Board, Entry};
use super::entries::Entries;
use super::error::TaskError;
use super::job::Job;
use super::message::{ResultHead, kind};
use super::report::{Received, try_receive};
use super::room::Room;
use super::roster::{Roster, emit};
use super::send::Chunk;
use crate::os::{Home, KILL, poll, send_signal_by_pidfd, socket};
#[cfg(feature = "async")]
use crate::process::wakers::Wakers;
use crate::queue::Queue;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the collector sleeps when nothing comes.
pub(super) const IDLE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// No more tasks; those that there are will be done.
    Closed,
    /// No task will be done any more.
    Terminated,
}

impl Phase {
    /// Why no more tasks are taken.
    pub fn refusal(self) -> Option<TaskError> {
        match self {
            Phase::Open => None,
            Phase::Closed => Some(TaskError::Closed),
            Phase::Terminated => Some(TaskError::Terminated),
        }
    }
}

pub(super) struct State {
    pub jobs: HashMap<u64, Arc<Job>>,
    next_job: u64,
    /// Chunks for which there was no room yet.
    pub backlog: VecDeque<Chunk>,
    /// How many of these were cancelled meanwhile, at most: 0 only if none was.
    pub cancelled_in_backlog: usize,
    /// Places of chunks on the board.
    pub entries: Entries,
    /// Room for pending tasks.
    pub room: Room,
    /// Tasks of an executor that wait for room.
    #[cfg(feature = "async")]
    pub room_wakers: Wakers,
    /// What the program asked for.
    pub phase: Phase,
    /// No process of the pool is left.
    pub over: bool,
    /// Why the pool does not work any more.
    pub failure: Option<TaskError>,
    /// The pool's processes, as far as the supervisor has reported.
    pub roster: Roster,
    pub unexplained: Vec<Unexplained>,
}

/// A chunk whose worker died, as another worker has reported, and the supervisor has not yet.
pub(super) struct Unexplained {
    pub head: ResultHead,
    /// 0 if it is not known.
    pub pid: u32,
    pub since: Instant,
}

pub(super) struct Shared {
    /// The program that built the pool.
    pub home: Home,
    pub nonce: u64,
    pub workers: usize,
    pub tasks: Queue<[u8]>,
    pub results: Queue<[u8]>,
    pub board: Board,
    /// Tasks that may be pending at a time.
    pub max_pending: Option<usize>,
    /// The limit in ns of tasks that have no other.
    pub limit_ns: u64,
    pub(super) socket: OwnedFd,
    state: Mutex<State>,
    pub changed: Condvar,
}

/// What the program and its processes share, and what the program was asked for.
pub(super) struct Parts {
    pub nonce: u64,
    pub workers: usize,
    pub tasks: Queue<[u8]>,
    pub results: Queue<[u8]>,
    pub board: Board,
    pub max_pending: Option<usize>,
    pub limit_ns: u64,
}

impl Shared {
    pub fn new(home: Home, parts: Parts, socket: OwnedFd) -> Shared {
        let Parts { nonce, workers, tasks, results, board, max_pending, limit_ns } = parts;
        let state = State {
            jobs: HashMap::new(),
            next_job: 1,
            backlog: VecDeque::new(),
            cancelled_in_backlog: 0,
            entries: Entries::new(),
            room: Room::new(max_pending),
            #[cfg(feature = "async")]
            room_wakers: Wakers::default(),
            phase: Phase::Open,
            over: false,
            failure: None,
            roster: Roster::new(workers),
            unexplained: Vec::new(),
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Shared { home, nonce, workers, tasks, results, board, max_pending, limit_ns, socket, state, changed }
    }

    pub fn is_ours(&self) -> bool {
        self.home.is_here()
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the job of a call, and returns its number.
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

    /// No caller waits for the job any more, or it is over.
    pub fn forget(&self, number: u64) {
        // Dropped without the lock: a job may own what takes long to drop.
        let job = self.lock().jobs.remove(&number);
        drop(job);
    }

    /// No more tasks are taken. Those that were will be done.
    pub fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
            if state.backlog.is_empty() {
                self.tasks.close();
            }
        }
        // Callers that wait for room get the error.
        self.notify_room(state);
        self.wake();
    }

    /// No task will be done any more: callers that wait get the error.
    pub fn terminate(&self) {
        let mut state = self.lock();
        if !state.over {
            state.phase = Phase::Terminated;
        }
        drop(state);
        self.end_supervisors();
        self.fail_all(&TaskError::Terminated);
        self.wake();
    }

    /// The supervisor and its standby see the end of the socket, and end the workers.
    pub fn end_supervisors(&self) {
        self.tasks.close();
        socket::close_sending(&self.socket);
    }

    /// Keeps the first failure.
    pub fn note_failure(&self, failure: TaskError) {
        self.lock().failure.get_or_insert(failure);
    }

    /// The pool does not work any more.
    pub fn fail(&self, failure: TaskError) {
        self.note_failure(failure.clone());
        self.end_supervisors();
        self.fail_all(&failure);
    }

    fn fail_all(&self, error: &TaskError) {
        let mut state = self.lock();
        let backlog = std::mem::take(&mut state.backlog);
        let jobs: Vec<Arc<Job>> = state.jobs.drain().map(|(_, job)| job).collect();
        self.notify_room(state);
        drop(backlog);
        jobs.iter().for_each(|job| job.fail(error));
    }

    /// No process of the pool is left: tasks that were not done never will be.
    pub fn fail_the_rest(&self) {
        let mut state = self.lock();
        // All that was sent is done; a call whose input was not read to its end (`imap`) can send
        // no more.
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
        let broken = || TaskError::Broken { why: "its processes were killed, the supervisor and its standby at once".to_owned() };
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

    /// Has the collector check everything now.
    fn wake(&self) {
        let head =
            ResultHead { nonce: self.nonce, job: 0, first: 0, count: 0, attempt: 0, entry: Entry::default(), kind: kind::WAKE };
        let mut message = Vec::new();
        head.write(&mut message);
        // If there is no room, there are results to wake it.
        let _ = self.results.try_put(&message);
    }

    /// Receives what the supervisor has reported. `false`: neither it nor its standby is left.
    pub fn receive_reports(&self) -> bool {
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
        emit(&news);
        if let Some(why) = gave_up {
            self.fail(TaskError::Broken { why: format!("no worker can be started: {}: {}", why.call(), why.error()) });
        }
        goes_on
    }

    /// Receives reports until they are enough, no supervisor is left, or `wait` has passed.
    pub fn receive_reports_until(&self, wait: Duration, is_enough: impl Fn(&State) -> bool) {
        let begun = Instant::now();
        while self.receive_reports() && !is_enough(&self.lock()) && begun.elapsed() < wait {
            poll(&[self.socket.as_raw_fd()], IDLE.as_millis() as i32);
        }
    }

    /// Kills the supervisor and its standby, which may be stopped and see nothing, and with them
    /// the workers.
    pub fn kill_supervisors(&self) {
        for helper in self.lock().roster.helpers() {
            let _ = send_signal_by_pidfd(helper, KILL);
        }
    }
}
