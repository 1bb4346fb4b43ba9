//! What an observer sees of a topic, whether it is attached or has mapped the segment read-only:
//! its subscribers and its counters. Only loads; whatever the words hold, a value comes out.

use super::subscriber::id_of;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::error::SubscriberId;
use crate::os::now_ns;
use crate::raw::Mapped;
use crate::ring::Memory;
use crate::ring::topic::{LineWord, Standing, TopicRing};
use crate::shm::layout::{Entry, Rare, SubscriberLine};
use crate::shm::participant::Id;
use std::fmt;
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
    /// It was evicted: it is not waited for, unless it reads in place. It learns of it at its next
    /// call.
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
/// let every = topic.subscribe()?;
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
    /// Its process, as that process saw itself; 0 if it is not known any more.
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
    /// How long ago it subscribed.
    pub age: Duration,
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
    /// Payload bytes of `published`; a loan counts as long as it was lent.
    pub bytes_published: u64,
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
    /// Total time that they waited, from their first sleep on.
    pub blocked_read_time: Duration,
    /// Publishes that found no room and did not wait.
    pub refused_publishes: u64,
    /// Publishes that ended at their deadline.
    pub publish_timeouts: u64,
    /// Reads that ended at their deadline.
    pub read_timeouts: u64,
    /// System calls made to wake sleepers.
    pub wakes: u64,
}

impl TopicStats {
    pub(crate) fn read(topic: &TopicRing<'_, Mapped>, rare: &Rare) -> TopicStats {
        let (put, geometry) = (topic.ring.memory.put_side(), &topic.ring.geometry);
        let published = topic.published();
        let sized = geometry.sized.then_some(geometry.message_bytes);
        TopicStats {
            published,
            bytes_published: sized.map_or_else(|| put.bytes_put.load(Relaxed), |bytes| published.saturating_mul(bytes)),
            aborted: rare.aborted.load(Relaxed),
            evictions: topic.words.evictions.load(Relaxed),
            recoveries: rare.recoveries.load(Relaxed),
            blocked_publishes: rare.blocked_puts.load(Relaxed),
            blocked_publish_time: Duration::from_nanos(rare.blocked_put_ns.load(Relaxed)),
            blocked_reads: rare.blocked_gets.load(Relaxed),
            blocked_read_time: Duration::from_nanos(rare.blocked_get_ns.load(Relaxed)),
            refused_publishes: put.refused.load(Relaxed),
            publish_timeouts: rare.put_timeouts.load(Relaxed),
            read_timeouts: rare.get_timeouts.load(Relaxed),
            wakes: rare.wakes.load(Relaxed),
        }
    }
}

/// What a line shows of its subscriber. `None`: it has none, or its word is garbage. `process`
/// finds the pid of a participant, and whether it is alive.
pub(crate) fn subscriber_at(
    topic: &TopicRing<'_, Mapped>,
    index: usize,
    line: &SubscriberLine,
    process: impl Fn(u32) -> (u32, bool),
) -> Option<SubscriberInfo> {
    let word = LineWord::from_bits(line.state.load(Acquire));
    let kind = match word.standing()? {
        Standing::Free | Standing::Joining => return None,
        Standing::Gating => SubscriberKind::Gating,
        Standing::Lossy => SubscriberKind::Lossy,
        Standing::Evicting | Standing::Evicted => SubscriberKind::Evicted,
    };
    let number = number_of(topic, line);
    let missed = line.missed.load(Relaxed);
    let (pid, is_alive) = process(word.participant());
    Some(SubscriberInfo {
        id: id_of(index, word),
        pid,
        is_alive,
        kind,
        lag: lag_of(topic, line),
        missed,
        // The words of one that is joining, or of garbage, may not go together.
        received: number.saturating_sub(line.start.load(Relaxed)).saturating_sub(missed),
        has_sample: line.pin.load(Relaxed) != 0,
        age: Duration::from_nanos(now_ns().saturating_sub(line.joined_ns.load(Relaxed))),
    })
}

/// Process id of a participant as that process saw it; 0 if its entry is another's by now.
pub(crate) fn pid_of(entries: &[Entry], participant: u32) -> u32 {
    let entry = Id::from_bits(participant).and_then(|id| Some((id, entries.get(id.entry() as usize)?)));
    let its = entry.filter(|(id, entry)| entry.generation.load(Acquire) == id.generation());
    its.map_or(0, |(_, entry)| entry.pid.load(Relaxed))
}

/// Number of the record at its cursor.
fn number_of(topic: &TopicRing<'_, Mapped>, line: &SubscriberLine) -> u64 {
    if !topic.ring.geometry.sized {
        return line.number.load(Relaxed);
    }
    topic.number_at(line.cursor.load(Acquire)).unwrap_or(0)
}

/// Places that were published and that it has not passed.
pub(crate) fn lag_of(topic: &TopicRing<'_, Mapped>, line: &SubscriberLine) -> u64 {
    let number = number_of(topic, line);
    topic.published().saturating_sub(number)
}
