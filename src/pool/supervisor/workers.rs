//! The worker processes of a supervisor: started, replaced when they die, ended and reaped. The
//! invariants are those of the parent module.

use super::SLICE_MS;
use super::outbox::Outbox;
use crate::os::{Parent, Pid, close_number, die_at_end_of, die_with, give_back, poll, reap};
use crate::pool::message::kind;
use crate::pool::report::{Call, End, Refusal, Report};
use crate::pool::settings::PoolSettings;
use crate::pool::worker::{word, work};
use crate::process::run_child;
use crate::process::supervision::ForkedChild;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long a supervisor waits for the end of a worker that it may not signal.
const UNSIGNALLED: Duration = Duration::from_secs(1);

/// Why the pool has failed.
pub(super) enum Failure {
    /// The program has had a report of it.
    Reported,
    /// As what ([`kind`]), and why.
    ToReport(u32, String),
}

pub(super) struct Worker {
    pub child: ForkedChild,
    /// Its place on the board, which no other worker that runs has.
    pub seat: u32,
    /// What it reports, to be read when it has ended. It is killed when this is closed (Invariant
    /// 2).
    pub words: Option<File>,
    /// It was killed, or is about to be, as its chunk was ended (Invariant 5).
    pub is_condemned: bool,
}

pub(super) struct Workers<'s> {
    pub settings: &'s PoolSettings,
    pub running: Vec<Worker>,
    /// Workers that there should be: fewer once the tasks are over.
    wanted: usize,
    /// Workers that have ended and were not reaped, and since when.
    zombies: VecDeque<(Pid, Instant)>,
    /// Workers in a row that died before they were ready (Invariant 4).
    unready: u32,
}

impl<'s> Workers<'s> {
    pub fn new(settings: &'s PoolSettings) -> Self {
        let wanted = settings.workers as usize;
        Workers { settings, running: Vec::new(), wanted, zombies: VecDeque::new(), unready: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether there are fewer than there should be.
    pub fn is_short(&self) -> bool {
        self.running.len() < self.wanted
    }

    pub fn missing(&self) -> u32 {
        self.wanted.saturating_sub(self.running.len()) as u32
    }

    /// Whether the tasks are over, and all workers have ended.
    pub fn are_done(&self) -> bool {
        self.wanted == 0 && self.running.is_empty()
    }

    pub fn has_zombies(&self) -> bool {
        !self.zombies.is_empty()
    }

    pub fn children(&self) -> impl Iterator<Item = &ForkedChild> + Clone {
        self.running.iter().map(|worker| &worker.child)
    }

    /// In a child: closes what belongs to the supervisor.
    pub fn forget(&mut self) {
        self.running.clear();
    }

    /// Starts one worker, which closes the `own` descriptors of the supervisor and forgets its
    /// standby and its reports.
    pub fn start(&mut self, own: &[RawFd], standby: &mut Option<ForkedChild>, outbox: &mut Outbox<'_>) -> Result<(), Refusal> {
        let (words, supervisor) = line().map_err(|error| Refusal::of(Call::Pipe, &error))?;
        let this = Parent::here();
        let seat = self.free_seat();
        self.settings.board.clear_seat(seat);
        // SAFETY: this process has one thread (Invariant 1).
        match unsafe { ForkedChild::fork() }.map_err(|error| Refusal::of(Call::Fork, &error))? {
            Some(child) => {
                outbox.push(Report::Started { pid: child.pid as u32 });
                self.running.push(Worker { child, seat, words: Some(words), is_condemned: false });
                Ok(())
            }
            None => {
                drop(words);
                self.forget();
                *standby = None;
                outbox.clear();
                for &fd in own {
                    // SAFETY: open, and no code of this process uses it from now on (Invariant 3):
                    // the worker ends in `run_child`.
                    unsafe { close_number(fd) };
                }
                // First: `die_with` notices a supervisor that has died by now.
                die_at_end_of(&supervisor);
                die_with(&this);
                give_back(self.settings.recipient(), None);
                run_child(|| work(self.settings, seat, supervisor, this))
            }
        }
    }

    /// A place on the board that none of those that run has.
    fn free_seat(&self) -> u32 {
        let mut is_taken = vec![false; self.settings.workers as usize];
        self.running.iter().for_each(|worker| is_taken[worker.seat as usize] = true);
        // Fewer run than there should be, so there is one.
        is_taken.iter().position(|taken| !taken).unwrap_or_default() as u32
    }

    /// Takes the statuses of those that have ended, and draws the consequences. An error: the pool
    /// has failed.
    pub fn take_ended(&mut self, outbox: &mut Outbox<'_>) -> Result<(), Failure> {
        let mut index = 0;
        let mut died = false;
        let mut failure = None;
        while index < self.running.len() {
            let Some(status) = self.running[index].child.peek_status() else {
                index += 1;
                continue;
            };
            let worker = self.running.swap_remove(index);
            self.zombies.push_back((worker.child.pid, Instant::now()));
            let pid = worker.child.pid as u32;
            let end = WorkerEnd::read(worker.words);
            let how = match end.is_announced() {
                true => End::Announced,
                false if worker.is_condemned || self.settings.board.has_ended_itself(worker.seat, pid) => End::Killed,
                false => End::Died,
            };
            outbox.push(Report::Ended { pid, status, how });
            died |= how != End::Announced;
            failure = self.conclude(&end, status).or(failure);
        }
        if died {
            self.settings.recover_queues();
        }
        failure.map_or(Ok(()), Err)
    }

    /// What the end of a worker means for the pool: its failure, perhaps.
    fn conclude(&mut self, end: &WorkerEnd, status: ExitStatus) -> Option<Failure> {
        if end.was_ready && end.lost.is_none() {
            self.unready = 0;
        }
        if let Some(why) = &end.lost {
            let failure = |count| format!("{count} workers in a row cannot get tasks: {why}");
            return self.count_unready().map(|count| Failure::ToReport(kind::BROKEN, failure(count)));
        }
        match end.last {
            Some(word::CLOSED) => self.wanted = self.wanted.saturating_sub(1),
            Some(word::FAILED) => return Some(Failure::Reported),
            Some(_) => {}
            None => {
                let failure = |count| format!("{count} workers in a row died before they were ready, the last with {status}");
                return self.count_unready().map(|count| Failure::ToReport(kind::FAILED, failure(count)));
            }
        }
        None
    }

    /// One more died before it was ready. `Some`: too many in a row (Invariant 4), so many.
    fn count_unready(&mut self) -> Option<u32> {
        self.unready += 1;
        (self.unready > 10 + 3 * self.settings.workers).then_some(self.unready)
    }

    /// Reaps workers that have ended so long ago.
    pub fn reap_older_than(&mut self, age: Duration) {
        while let Some(&(pid, _)) = self.zombies.front().filter(|(_, since)| since.elapsed() >= age) {
            self.zombies.pop_front();
            reap(pid);
        }
    }

    /// Kills and reaps all, and the standby.
    pub fn end_all(&mut self, standby: Option<ForkedChild>) {
        self.reap_older_than(Duration::ZERO);
        // Closes their sockets, too.
        let all = self.running.drain(..).map(|worker| worker.child).chain(standby);
        let all: Vec<ForkedChild> = all.collect();
        let (killed, others): (Vec<_>, Vec<_>) = all.into_iter().partition(ForkedChild::kill);
        killed.iter().for_each(ForkedChild::reap);
        // A worker that has become another user's, which we may not signal. The kernel has done so
        // when its socket was closed; if not, nothing here can end it, and this process does not
        // wait.
        let begun = Instant::now();
        for child in &others {
            while child.take_status().is_none() && begun.elapsed() < UNSIGNALLED {
                poll(&child.number().into_iter().collect::<Vec<_>>(), SLICE_MS);
            }
        }
    }
}

/// What a worker reported before it ended.
struct WorkerEnd {
    was_ready: bool,
    /// The last word, if there is any.
    last: Option<u8>,
    /// Why it could not get tasks.
    lost: Option<String>,
}

impl WorkerEnd {
    fn read(words: Option<File>) -> WorkerEnd {
        let Some(mut words) = words else {
            // Closed to end it, in the middle of a task.
            return WorkerEnd { was_ready: true, last: Some(word::READY), lost: None };
        };
        let mut all = Vec::new();
        // A socket whose other end is closed, or will be when a child of the worker's ends; it does
        // not block.
        let _ = words.read_to_end(&mut all);
        let lost = all.iter().position(|&word| word == word::LOST).map(|at| all.split_off(at));
        WorkerEnd {
            was_ready: all.contains(&word::READY),
            last: all.last().copied(),
            lost: lost.map(|text| String::from_utf8_lossy(&text[1..]).into_owned()),
        }
    }

    /// It reported that it was about to end, so it did not die.
    fn is_announced(&self) -> bool {
        matches!(self.last, Some(word::CLOSED | word::RETIRED | word::FAILED))
    }
}

/// The supervisor's end and the worker's, neither of which blocks.
fn line() -> io::Result<(File, File)> {
    let (supervisor, worker) = UnixStream::pair()?;
    supervisor.set_nonblocking(true)?;
    worker.set_nonblocking(true)?;
    Ok((OwnedFd::from(supervisor).into(), OwnedFd::from(worker).into()))
}
