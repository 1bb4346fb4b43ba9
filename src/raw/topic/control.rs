//! Seeing the subscribers of a topic, evicting them, and waiting for them.

use super::subscriber::{id_of, is_of};
use crate::attachment::Attached;
use crate::error::{PutError, SubscriberId, WaitSubscribersError};
use crate::raw::RawQueue;
use crate::raw::stats::Verb;
use crate::ring::topic::{LineWord, Standing};
use crate::shm::layout::SubscriberLine;
use crate::shm::participant::{self, Id};
use crate::wait::{Step, Wait};
use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

/// Does the publisher wait for a subscriber?
///
/// ```
/// use shmq::{SubscriberKind, Topic};
///
/// let topic = Topic::<u64>::new(4)?;
/// let (_every, _live) = (topic.subscribe()?, topic.subscribe_lossy()?);
/// let kinds: Vec<_> = topic.subscribers().iter().map(|subscriber| subscriber.kind).collect();
/// assert_eq!(kinds, [SubscriberKind::Gating, SubscriberKind::Lossy]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriberKind {
    /// It misses nothing: the publisher waits for it when it is a whole capacity behind.
    Gating,
    /// It is never waited for.
    Lossy,
    /// It was evicted: it is not waited for, unless it reads in place. It learns of it at its next call.
    Evicted,
}

impl fmt::Display for SubscriberKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            SubscriberKind::Gating => "gating",
            SubscriberKind::Lossy => "lossy",
            SubscriberKind::Evicted => "evicted",
        })
    }
}

/// A subscriber, as [`Topic::subscribers`](crate::Topic::subscribers) found it.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(4)?;
/// let mut every = topic.subscribe()?;
/// topic.publish_slice(&[1, 2, 3])?;
/// every.next()?;
/// let seen = &topic.subscribers()[0];
/// assert_eq!((seen.pid, seen.lag, seen.received, seen.missed), (std::process::id(), 2, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// Which one it is, for [`Topic::evict`](crate::Topic::evict).
    pub id: SubscriberId,
    /// Its process, as that process saw itself.
    pub pid: u32,
    /// Is that process attached still? A dead one's subscriber is freed by the next publisher that
    /// waits, or by [`Topic::recover`](crate::Topic::recover).
    pub is_alive: bool,
    /// What it stands for.
    pub kind: SubscriberKind,
    /// Places that were published and that it has not passed.
    pub lag: u64,
    /// Places that it passed without a message: lapped, skipped by `latest`, or aborted loans.
    pub missed: u64,
    /// Messages that it received.
    pub received: u64,
    /// Does it read a message in place now?
    pub has_sample: bool,
}

/// Counters of a topic since its creation, as [`Topic::stats`](crate::Topic::stats) found them.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(4)?;
/// topic.publish(&1)?;
/// drop(topic.loan()?);
/// let stats = topic.stats();
/// assert_eq!((stats.published, stats.aborted), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// Places that were published: messages, and loans that were aborted.
    pub published: u64,
    /// Loans dropped without commit, or whose owner died.
    pub aborted: u64,
    /// Subscribers that were evicted, by a call or because they lagged too far.
    pub evictions: u64,
    /// Repairs after a death: of the put side, and subscribers that were freed.
    pub recoveries: u64,
    /// Publishers that went to sleep at a full gate, and have gone on since.
    pub blocked_publishes: u64,
    /// Total time that they waited, from their first sleep on.
    pub blocked_publish_time: Duration,
    /// Subscribers that went to sleep because there was no message, and have gone on since.
    pub blocked_reads: u64,
    /// Publishes that found no room and did not wait.
    pub refused_publishes: u64,
    /// Publishes that ended at their deadline.
    pub publish_timeouts: u64,
    /// Reads that ended at their deadline.
    pub read_timeouts: u64,
    /// System calls made to wake sleepers.
    pub wakes: u64,
}

impl RawQueue {
    pub(crate) fn topic_stats(&self) -> TopicStats {
        let rare = self.rare();
        TopicStats {
            published: self.as_topic().published(),
            aborted: rare.aborted.load(Relaxed),
            evictions: self.as_topic().words.evictions.load(Relaxed),
            recoveries: rare.recoveries.load(Relaxed),
            blocked_publishes: rare.blocked_puts.load(Relaxed),
            blocked_publish_time: Duration::from_nanos(rare.blocked_put_ns.load(Relaxed)),
            blocked_reads: rare.blocked_gets.load(Relaxed),
            refused_publishes: self.head().put.refused.load(Relaxed),
            publish_timeouts: rare.put_timeouts.load(Relaxed),
            read_timeouts: rare.get_timeouts.load(Relaxed),
            wakes: rare.wakes.load(Relaxed),
        }
    }

    /// Messages that a new subscriber begins back.
    pub(crate) fn history(&self) -> u64 {
        self.as_topic().limits.history
    }

    /// What a line shows of its subscriber. `None`: it has none.
    fn subscriber_at(&self, index: usize, line: &SubscriberLine, is_dead: impl Fn(u32) -> bool) -> Option<SubscriberInfo> {
        let word = LineWord::from_bits(line.state.load(Acquire));
        let kind = match word.standing()? {
            Standing::Free | Standing::Joining => return None,
            Standing::Gating => SubscriberKind::Gating,
            Standing::Lossy => SubscriberKind::Lossy,
            Standing::Evicting | Standing::Evicted => SubscriberKind::Evicted,
        };
        let number = self.number_of(line);
        let missed = line.missed.load(Relaxed);
        let is_alive = !is_dead(word.participant());
        Some(SubscriberInfo {
            id: id_of(index, word),
            pid: Id::from_bits(word.participant()).map_or(0, |id| participant::pid_of(self.segment(), id)),
            is_alive,
            kind,
            lag: self.as_topic().published().saturating_sub(number),
            missed,
            received: number.wrapping_sub(line.start.load(Relaxed)).wrapping_sub(missed),
            has_sample: line.pin.load(Relaxed) != 0,
        })
    }

    fn number_of(&self, line: &SubscriberLine) -> u64 {
        if !self.geometry().sized {
            return line.number.load(Relaxed);
        }
        self.as_topic().number_at(line.cursor.load(Acquire)).unwrap_or(0)
    }

    pub(super) fn lag_of(&self, line: &SubscriberLine) -> u64 {
        self.as_topic().published().saturating_sub(self.number_of(line))
    }

    /// All subscribers, in the order of their lines.
    pub(crate) fn subscribers(&self) -> Vec<SubscriberInfo> {
        // In a child that never attached, and cannot, all look dead but none is.
        let me = self.me().ok();
        let is_dead = |participant| match me {
            Some(me) => Id::from_bits(participant).is_none_or(|id| !self.is_alive(id, me)),
            None => false,
        };
        let lines = self.as_topic().lines.iter().enumerate();
        lines.filter_map(|(index, line)| self.subscriber_at(index, line, is_dead)).collect()
    }

    /// Evicts a gating subscriber. `false`: there is no such one.
    pub(crate) fn evict(&self, id: SubscriberId) -> Result<bool, PutError> {
        self.me()?;
        let topic = self.as_topic();
        let Some(line) = topic.lines.get(id.line as usize) else { return Ok(false) };
        let word = LineWord::from_bits(line.state.load(Acquire));
        let evicted = is_of(id, word) && topic.evict(id.line as usize, word);
        if evicted {
            self.notify_not_full(u32::MAX);
            // It may sleep, and has to learn of it.
            self.notify_not_empty(u32::MAX);
        }
        Ok(evicted)
    }

    /// Live gating subscribers.
    fn gating_subscribers(&self) -> usize {
        self.subscribers().iter().filter(|seen| seen.kind == SubscriberKind::Gating && seen.is_alive).count()
    }

    /// Waits until there are `count` live gating subscribers.
    pub(crate) fn wait_subscribers(&self, count: usize, wait: Wait) -> Result<(), WaitSubscribersError> {
        self.me()?;
        let mut waiter = self.waiter(wait, Verb::Join);
        loop {
            let found = self.gating_subscribers();
            if self.is_poisoned() {
                return Err(WaitSubscribersError::Poisoned);
            }
            if found >= count {
                return Ok(());
            }
            if self.is_closed() {
                return Err(WaitSubscribersError::Closed);
            }
            let mut ready = || self.is_closed() || self.gating_subscribers() >= count;
            match waiter.next(&mut ready) {
                Step::Interrupted => return Err(WaitSubscribersError::Interrupted),
                Step::GiveUp => return Err(WaitSubscribersError::Timeout { found, wanted: count }),
                Step::CheckAgain | Step::Probe => {}
            }
        }
    }

    /// Pid of the process in that entry.
    pub(super) fn pid_of_entry(&self, entry: u32) -> u32 {
        self.segment().entries().get(entry as usize).map_or(0, |slot| slot.pid.load(Relaxed))
    }
}
