//! What the program knows of its pool's processes: by their supervisor's reports, applied in the
//! order in which they were sent.
//!
//! Invariants:
//! 1. Reports are received and applied under one lock (`state`), so none is applied before an older
//!    one.
//! 2. `helpers` are descriptors of the supervisor and its standby, which name them whatever their
//!    pids are used for. Of workers there are pids only, which are shown and never acted on.

use super::report::{End, Refusal, Report};
use std::collections::{BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::process::ExitStatus;

/// Ends of workers that are remembered: more than can be in question at a time.
const ENDS: usize = 1024;

/// A pool's processes at one moment, see [`Pool::stats`](crate::Pool::stats).
///
/// ```
/// let pool = shmq::Pool::new(2)?;
/// let shmq::PoolStats { asked, running, started, died, .. } = pool.stats();
/// assert_eq!((asked, running, started, died), (2, 2, 2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Workers that the pool was asked for.
    pub asked: usize,
    /// Workers that run, as far as the supervisor has reported.
    pub running: usize,
    /// Workers that were started so far, those that took another's place included.
    pub started: u64,
    /// Workers that died so far: killed, crashed, or ended by a task that called `exit`.
    pub died: u64,
    /// Workers that the pool killed so far: their task [took too
    /// long](crate::PoolBuilder::task_timeout), or was [killed](crate::AsyncResult::kill).
    pub killed: u64,
    /// Why there are fewer workers than were asked for: what the system said when the last was
    /// refused. `None` if none is.
    pub refused: Option<String>,
}

/// A change that is emitted as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "only events use it"))]
pub(super) enum News {
    Died { pid: u32, status: ExitStatus },
    Killed { pid: u32 },
    Short { missing: u32, asked: usize, why: Refusal },
    FullAgain { asked: usize },
    NewSupervisor { pid: u32 },
}

pub(super) struct Roster {
    asked: usize,
    workers: BTreeSet<u32>,
    started: u64,
    died: u64,
    killed: u64,
    missing: u32,
    refused: Option<Refusal>,
    /// The last ends, `None` if the status is not known: a worker that ended with its supervisor.
    ends: VecDeque<(u32, Option<ExitStatus>)>,
    /// Invariant 2.
    helpers: Vec<(u32, OwnedFd)>,
    supervisor: u32,
    /// All workers were started, or refused, for the first time.
    pub is_ready: bool,
    /// The supervisor gave up.
    pub gave_up: Option<Refusal>,
}

impl Roster {
    pub fn new(asked: usize) -> Roster {
        Roster {
            asked,
            workers: BTreeSet::new(),
            started: 0,
            died: 0,
            killed: 0,
            missing: 0,
            refused: None,
            ends: VecDeque::new(),
            helpers: Vec::new(),
            supervisor: 0,
            is_ready: false,
            gave_up: None,
        }
    }

    /// Applies a report, which came with a descriptor of the process that it is about.
    pub fn apply(&mut self, report: Report, about: Option<OwnedFd>) -> Option<News> {
        match report {
            Report::Began { pid } => {
                for worker in std::mem::take(&mut self.workers) {
                    self.remember(worker, None);
                }
                // This one reports anew what it is refused.
                (self.missing, self.refused) = (0, None);
                let is_first = self.supervisor == 0;
                self.supervisor = pid;
                self.helpers = about.map(|about| (pid, about)).into_iter().collect();
                return (!is_first).then_some(News::NewSupervisor { pid });
            }
            Report::Standby { pid } => {
                let supervisor = self.supervisor;
                self.helpers.retain(|(helper, _)| *helper == supervisor);
                self.helpers.extend(about.map(|about| (pid, about)));
            }
            Report::Started { pid } => {
                self.started += 1;
                self.ends.retain(|(ended, _)| *ended != pid);
                self.workers.insert(pid);
            }
            Report::Ended { pid, status, how } => {
                self.workers.remove(&pid);
                self.remember(pid, Some(status));
                self.died += u64::from(how == End::Died);
                self.killed += u64::from(how == End::Killed);
                return match how {
                    End::Announced => None,
                    End::Died => Some(News::Died { pid, status }),
                    End::Killed => Some(News::Killed { pid }),
                };
            }
            Report::Short { missing, why } => {
                self.missing = missing;
                self.refused = (missing > 0).then_some(why);
                let asked = self.asked;
                return Some(if missing > 0 { News::Short { missing, asked, why } } else { News::FullAgain { asked } });
            }
            Report::Ready => self.is_ready = true,
            Report::GaveUp { why } => self.gave_up = Some(why),
        }
        None
    }

    fn remember(&mut self, pid: u32, status: Option<ExitStatus>) {
        if self.ends.len() == ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back((pid, status));
    }

    /// How a worker ended. `None`: that was not reported.
    pub fn end_of(&self, pid: u32) -> Option<Option<ExitStatus>> {
        self.ends.iter().rev().find(|(ended, _)| *ended == pid).map(|(_, status)| *status)
    }

    pub fn workers(&self) -> impl Iterator<Item = u32> + '_ {
        self.workers.iter().copied()
    }

    /// Workers that the pool has, dead ones that are about to be replaced included.
    pub fn strength(&self) -> usize {
        self.asked.saturating_sub(self.missing as usize)
    }

    /// Descriptors of the supervisor and its standby.
    pub fn helpers(&self) -> impl Iterator<Item = &OwnedFd> {
        self.helpers.iter().map(|(_, helper)| helper)
    }

    /// No process is left.
    pub fn clear(&mut self) {
        self.workers.clear();
        self.helpers.clear();
    }

    pub fn died(&self) -> u64 {
        self.died
    }

    pub fn stats(&self) -> PoolStats {
        PoolStats {
            asked: self.asked,
            running: self.workers.len(),
            started: self.started,
            died: self.died,
            killed: self.killed,
            refused: self.refused.map(|why| format!("{}: {}", why.call(), why.error())),
        }
    }
}

/// Emits the events of what was reported; the caller holds no lock.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables, reason = "only events use it"))]
pub(super) fn emit(news: &[News]) {
    #[cfg(feature = "tracing")]
    for piece in news {
        match *piece {
            News::Died { pid, status } => {
                tracing::warn!(target: "shmq", pid, status = %status, "a pool's worker died");
            }
            News::Killed { pid } => {
                tracing::info!(target: "shmq", pid, "a pool's worker was killed: its task took too long, or was killed")
            }
            News::Short { missing, asked, why } => {
                let (call, error) = (why.call(), why.error());
                tracing::warn!(target: "shmq", missing, asked, call, error = %error, "a pool has fewer workers than asked for");
            }
            News::FullAgain { asked } => tracing::info!(target: "shmq", asked, "a pool has as many workers as asked for"),
            News::NewSupervisor { pid } => {
                tracing::warn!(target: "shmq", pid, "a pool's supervisor died, its standby took its place")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Call;
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_worker_that_ended_has_a_status_until_its_pid_is_used_again() {
        let mut roster = Roster::new(2);
        let killed = ExitStatus::from_raw(crate::os::KILL);
        roster.apply(Report::Began { pid: 1 }, None);
        roster.apply(Report::Started { pid: 7 }, None);
        assert_eq!(roster.end_of(7), None);
        let news = roster.apply(Report::Ended { pid: 7, status: killed, how: End::Died }, None);
        assert_eq!(news, Some(News::Died { pid: 7, status: killed }));
        assert_eq!(roster.end_of(7), Some(Some(killed)));
        roster.apply(Report::Started { pid: 7 }, None);
        assert_eq!(roster.end_of(7), None);
        roster.apply(Report::Began { pid: 2 }, None);
        assert_eq!(roster.end_of(7), Some(None), "it ended with its supervisor");
        assert_eq!(roster.workers().count(), 0);
    }

    #[test]
    fn a_shortage_is_reported_until_it_is_over() {
        let mut roster = Roster::new(3);
        let why = Refusal { call: Call::Fork, errno: 11 };
        roster.apply(Report::Short { missing: 2, why }, None);
        assert_eq!(roster.strength(), 1);
        assert!(roster.stats().refused.is_some_and(|why| why.contains("os error 11")));
        roster.apply(Report::Short { missing: 0, why }, None);
        assert_eq!((roster.strength(), roster.stats().refused), (3, None));
    }

    #[test]
    fn a_shortage_of_a_supervisor_ends_with_it() {
        let mut roster = Roster::new(3);
        let why = Refusal { call: Call::Fork, errno: 11 };
        roster.apply(Report::Began { pid: 1 }, None);
        roster.apply(Report::Short { missing: 2, why }, None);
        roster.apply(Report::Began { pid: 2 }, None);
        assert_eq!((roster.strength(), roster.stats().refused), (3, None));
    }
}
