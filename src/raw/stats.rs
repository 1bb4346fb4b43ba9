//! What slow paths record for observers: counters, sleepers and the start of their sleep, events.
//! No decision rests on anything here.
//!
//! Invariants:
//! 1. The fast paths of put and get write none of these words: what is counted here happens beside
//!    a sleep, a wake or a repair.
//! 2. Subscribers of events are called with no side held: an event under a lock is recorded, and
//!    reported after the lock is released.

use super::spilled::counted_bytes;
use super::{Mapped, RawQueue};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::os::now_ns;
use crate::ring::{Memory, Ring};
use crate::shm::layout::{Entry, Rare, role};
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Counters of a queue since its creation, as [`Queue::stats`](crate::Queue::stats) found them.
///
/// Each is written by one side at a time without a lock of its own: a process killed in the middle
/// of an operation may leave one uncounted. Those about waiting are written by slow paths only, so
/// that `put` and `get` do not pay for them. Bytes are those of payloads.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.put(&1)?;
/// queue.lease()?.give_back();
/// queue.get()?;
/// let stats = queue.stats();
/// assert_eq!((stats.puts, stats.gets, stats.redelivered), (1, 2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages put: copies committed and loans begun.
    pub puts: u64,
    /// Messages taken: copies and leases begun, redeliveries included.
    pub gets: u64,
    /// Payload bytes of `puts`; a loan counts as long as it was lent.
    pub bytes_put: u64,
    /// Payload bytes of `gets`.
    pub bytes_got: u64,
    /// Deliveries, by copy or by lease, of messages that came back: part of `gets`.
    pub redelivered: u64,
    /// Loans dropped without commit, or whose owner died.
    pub aborted: u64,
    /// Messages given up after `max_deliveries` and dropped, because the queue has no queue for
    /// dead letters.
    pub given_up: u64,
    /// Messages handed over to the queue for [dead letters](crate::QueueBuilder::dead_letters).
    pub dead_letters: u64,
    /// Failed attempts to hand a message over: the queue for dead letters was missing, full,
    /// closed, too small or of another kind. The message stays on lease.
    pub dead_letters_refused: u64,
    /// Repairs after a death.
    pub recoveries: u64,
    /// Puts (and loans) that went to sleep because there was no room, and have ended since. Those
    /// that only spun are not counted.
    pub blocked_puts: u64,
    /// Gets (and leases) that went to sleep because there was no message, and have ended since.
    pub blocked_gets: u64,
    /// Total time that `blocked_puts` waited, from their first sleep on.
    pub blocked_put_time: Duration,
    /// Total time that `blocked_gets` waited, from their first sleep on.
    pub blocked_get_time: Duration,
    /// Puts (and loans) that were refused with [`PutError::Full`](crate::PutError::Full), because
    /// they found no room and did not wait. A batch counts once, also if a part of it was put.
    pub refused_puts: u64,
    /// Puts (and loans) that ended with [`PutError::Timeout`](crate::PutError::Timeout).
    pub put_timeouts: u64,
    /// Gets (and leases) that ended with [`GetError::Timeout`](crate::GetError::Timeout).
    pub get_timeouts: u64,
    /// System calls made to wake sleepers.
    pub wakes: u64,
    /// Objects that were put into files of their own, since they are larger than the ring.
    pub spilled: u64,
    /// Bytes of such files now. After a death it may be too high until a put needs the room, or
    /// [`recover`](crate::Queue::recover) is called.
    pub spilled_bytes: u64,
    /// Most messages that were ever *seen* waiting. Sampled only when a put goes to sleep (the
    /// queue is full then) and at each call of `stats`: a peak between two samples is not in it.
    pub high_water: u64,
}

/// Attempts before giving up: tail may move back again and again.
const RETREAT_ATTEMPTS: u32 = 16;

impl Stats {
    /// Reads the words of a segment. None is trusted to be more than a number.
    pub(crate) fn read(ring: &Ring<Mapped>, rare: &Rare) -> Stats {
        let (put, get) = (ring.memory.put_side(), ring.memory.get_side());
        // Between two retreats; otherwise records that tail moved back over would count twice.
        let counted = (0..RETREAT_ATTEMPTS).find_map(|_| {
            let retreats = put.retreats.load(Acquire);
            let puts = ring.published().wrapping_add(put.taken_back.load(Acquire));
            (retreats & 1 == 0 && put.retreats.load(Relaxed) == retreats).then_some(puts)
        });
        let puts = counted.unwrap_or_else(|| ring.published().wrapping_add(put.taken_back.load(Relaxed)));
        let gets = get.copies.load(Relaxed).wrapping_add(get.leases.load(Relaxed));
        let sized = ring.geometry.sized.then_some(ring.geometry.message_bytes);
        Stats {
            puts,
            gets,
            bytes_put: sized.map_or_else(|| put.bytes_put.load(Relaxed), |bytes| puts.saturating_mul(bytes)),
            bytes_got: sized.map_or_else(|| get.bytes_got.load(Relaxed), |bytes| gets.saturating_mul(bytes)),
            redelivered: get.redelivered.load(Relaxed),
            aborted: rare.aborted.load(Relaxed),
            given_up: get.given_up.load(Relaxed),
            dead_letters: get.dead_letters.load(Relaxed),
            dead_letters_refused: get.dead_letters_refused.load(Relaxed),
            recoveries: rare.recoveries.load(Relaxed),
            blocked_puts: rare.blocked_puts.load(Relaxed),
            blocked_gets: rare.blocked_gets.load(Relaxed),
            blocked_put_time: Duration::from_nanos(rare.blocked_put_ns.load(Relaxed)),
            blocked_get_time: Duration::from_nanos(rare.blocked_get_ns.load(Relaxed)),
            refused_puts: put.refused.load(Relaxed),
            put_timeouts: rare.put_timeouts.load(Relaxed),
            get_timeouts: rare.get_timeouts.load(Relaxed),
            wakes: rare.wakes.load(Relaxed),
            spilled: ring.memory.head().spilled.objects.load(Relaxed),
            spilled_bytes: counted_bytes(ring.memory.head().spilled.pages.load(Relaxed)),
            high_water: rare.high_water.load(Relaxed),
        }
    }
}

/// The operation that a blocked call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Put,
    Get,
    Join,
}

/// A call that sleeps: visible in its participant's entry until it ends, and then counted.
pub(super) struct Blocked<'a> {
    raw: &'a RawQueue,
    verb: Verb,
    since_ns: u64,
}

impl<'a> Blocked<'a> {
    #[cold]
    pub fn start(raw: &'a RawQueue, verb: Verb) -> Blocked<'a> {
        let blocked = Blocked::start_silently(raw, verb);
        #[cfg(feature = "tracing")]
        raw.report_blocked(verb);
        blocked
    }

    /// Without an event: for a thread that must not run a subscriber's code.
    #[cold]
    pub fn start_silently(raw: &'a RawQueue, verb: Verb) -> Blocked<'a> {
        let since_ns = now_ns();
        // First: a process that sees this call asleep and then takes a message finds the mark of
        // the full queue.
        if verb == Verb::Put && raw.topic().is_none() {
            let high_water = &raw.rare().high_water;
            if raw.ring.ahead() > high_water.load(Relaxed) {
                high_water.fetch_max(raw.ring.len(), Relaxed);
            }
        }
        if let Some((entry, sleepers, asleep_ns)) = words(raw, verb) {
            if sleepers.fetch_add(1, Release) == 0 {
                asleep_ns.store(since_ns, Relaxed);
            }
            note(entry, verb);
        }
        Blocked { raw, verb, since_ns }
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let rare = self.raw.rare();
        let slept_ns = now_ns().saturating_sub(self.since_ns);
        let (count, total_ns) = match self.verb {
            Verb::Put => (&rare.blocked_puts, &rare.blocked_put_ns),
            Verb::Get => (&rare.blocked_gets, &rare.blocked_get_ns),
            Verb::Join => return self.wake_up(),
        };
        count.fetch_add(1, Relaxed);
        total_ns.fetch_add(slept_ns, Relaxed);
        self.wake_up();
    }
}

impl Blocked<'_> {
    fn wake_up(&self) {
        if let Some((_, sleepers, _)) = words(self.raw, self.verb) {
            // Never below 0, even if another process wrote garbage there.
            let _ = sleepers.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
        }
    }
}

type SleepWords<'a> = (&'a Entry, &'a AtomicU32, &'a AtomicU64);

fn words(raw: &RawQueue, verb: Verb) -> Option<SleepWords<'_>> {
    let entry = raw.my_entry(raw.known_me()?)?;
    Some(match verb {
        Verb::Put => (entry, &entry.put_sleepers, &entry.put_asleep_ns),
        Verb::Get => (entry, &entry.get_sleepers, &entry.get_asleep_ns),
        Verb::Join => (entry, &entry.join_sleepers, &entry.get_asleep_ns),
    })
}

fn note(entry: &Entry, verb: Verb) {
    let bit = match verb {
        Verb::Put => role::PUT,
        Verb::Get => role::GET,
        Verb::Join => return,
    };
    if entry.roles.load(Relaxed) & bit == 0 {
        entry.roles.fetch_or(bit, Relaxed);
    }
}

impl Verb {
    #[cfg(feature = "tracing")]
    fn in_words(self, of_topic: bool) -> &'static str {
        match (self, of_topic) {
            (Verb::Put, false) => "put",
            (Verb::Get, false) => "get",
            (Verb::Join, false) => "join",
            (Verb::Put, true) => "publish",
            (Verb::Get, true) => "next",
            (Verb::Join, true) => "wait_subscribers",
        }
    }
}

impl RawQueue {
    /// As [`Segment::preserve_name`](crate::shm::segment::Segment::preserve_name), and shown to
    /// other processes that preserve the name.
    pub(crate) fn leave_name(&self) {
        self.segment().preserve_name();
        if let Some(entry) = self.known_me().and_then(|me| self.my_entry(me)) {
            entry.roles.fetch_or(role::VISITOR, Relaxed);
        }
    }

    /// As [`Segment::be_guest`](crate::shm::segment::Segment::be_guest); in addition, a guest that
    /// found dead participants leaves the name, and shows that to later guests.
    pub(crate) fn be_guest(&self, leaves_name: bool) {
        self.segment().be_guest();
        if leaves_name || self.segment().saw_deaths() {
            self.leave_name();
        }
    }

    /// Called before entries of dead participants are freed.
    pub(super) fn note_the_dead(&self, are_there: bool) {
        if are_there {
            self.segment().note_deaths();
            if self.segment().is_guest() {
                self.leave_name();
            }
        }
    }

    fn my_entry(&self, me: Id) -> Option<&Entry> {
        self.segment().entries().get(me.entry() as usize)
    }

    /// Records in the participant's entry what this process uses the queue for. Only a load if it
    /// is recorded already.
    pub(super) fn note_role(&self, me: Id, verb: Verb) {
        if let Some(entry) = self.my_entry(me) {
            note(entry, verb);
        }
    }

    /// Records when this process became the owner of a side.
    pub(super) fn note_owner(&self, me: Id, verb: Verb) {
        self.note_role(me, verb);
        if let Some(entry) = self.my_entry(me) {
            let since = if verb == Verb::Put { &entry.producer_ns } else { &entry.consumer_ns };
            since.store(now_ns(), Release);
        }
    }

    #[cold]
    pub(super) fn count_timeout(&self, verb: Verb) {
        let counter = if verb == Verb::Put { &self.rare().put_timeouts } else { &self.rare().get_timeouts };
        counter.fetch_add(1, Relaxed);
    }

    /// An atomic addition, since no side is held here.
    #[cold]
    pub(super) fn count_refusal(&self) {
        self.head().put.refused.fetch_add(1, Relaxed);
    }

    /// All counters. Also samples how full the queue is.
    pub(crate) fn stats(&self) -> Stats {
        self.rare().high_water.fetch_max(self.len(), Relaxed);
        Stats::read(&self.ring, self.rare())
    }
}

/// Events that happened under a lock and are reported after it (Invariant 2).
#[cfg(feature = "tracing")]
#[derive(Debug, Default)]
pub(super) struct Unreported {
    repairs: AtomicU64,
    came_back: AtomicU64,
    redelivered: AtomicU64,
    aborted: AtomicU64,
    /// Of a topic: subscribers that were freed.
    subscribers: AtomicU64,
}

#[cfg(feature = "tracing")]
impl RawQueue {
    pub(super) fn note_repair(&self, repaired: crate::ring::Repaired) {
        self.unreported.came_back.fetch_add(repaired.redelivered, Relaxed);
        self.unreported.aborted.fetch_add(repaired.aborted, Relaxed);
        self.unreported.repairs.fetch_add(1, Relaxed);
    }

    pub(super) fn note_redelivery(&self) {
        self.unreported.redelivered.fetch_add(1, Relaxed);
    }

    /// What a topic freed of dead processes, beside a repair of its put side.
    pub(super) fn note_freed(&self, subscribers: u64, aborted: u64) {
        self.unreported.subscribers.fetch_add(subscribers, Relaxed);
        self.unreported.aborted.fetch_add(aborted, Relaxed);
    }

    fn report_blocked(&self, verb: Verb) {
        let (name, is_topic) = (self.segment().name(), self.is_topic());
        let verb = verb.in_words(is_topic);
        if is_topic {
            tracing::debug!(target: "shmq", topic = name, verb, "blocked");
        } else {
            tracing::debug!(target: "shmq", queue = name, verb, "blocked");
        }
    }

    /// Reports the recorded events. The caller must hold no side.
    pub(super) fn report_events(&self) {
        let Unreported { repairs, came_back, redelivered, aborted, subscribers } = &self.unreported;
        let queue = self.segment().name();
        if self.is_topic() {
            if [repairs, aborted, subscribers].iter().any(|count| count.load(Relaxed) != 0) {
                let (repairs, aborted) = (repairs.swap(0, Relaxed), aborted.swap(0, Relaxed));
                let subscribers = subscribers.swap(0, Relaxed);
                tracing::warn!(target: "shmq", topic = queue, repairs, aborted, subscribers, "recovered after a death");
            }
            return;
        }
        if repairs.load(Relaxed) != 0 {
            let (repairs, came_back, aborted) = (repairs.swap(0, Relaxed), came_back.swap(0, Relaxed), aborted.swap(0, Relaxed));
            tracing::warn!(target: "shmq", queue, repairs, came_back, aborted, "recovered after a death");
        }
        if redelivered.load(Relaxed) != 0 {
            tracing::info!(target: "shmq", queue, messages = redelivered.swap(0, Relaxed), "redelivered");
        }
    }
}

#[cfg(not(feature = "tracing"))]
impl RawQueue {
    #[inline(always)]
    pub(super) fn note_repair(&self, _: crate::ring::Repaired) {}

    #[inline(always)]
    pub(super) fn note_redelivery(&self) {}

    #[inline(always)]
    pub(super) fn note_freed(&self, _: u64, _: u64) {}

    #[inline(always)]
    pub(super) fn report_events(&self) {}
}
