//! One subscriber: its line, its place, and what happens to it.
//!
//! ```text
//!   join --> gating --evicted, it learns--> lossy --drop--> gone
//!       \--> lossy ------------------------^
//!                    \--(where loans are open in this process)--> ended
//! ```

use super::InPlaceUse;
use crate::attachment::Attached;
use crate::error::{GetError, SubscribeError, SubscriberId};
use crate::os::now_ns;
use crate::raw::RawQueue;
use crate::raw::block::GATHER_SPINS;
use crate::ring::topic;
use crate::ring::topic::{LineWord, Place, Standing};
use crate::shm::geometry::CellRow;
use crate::shm::layout::{SubscriberLine, TopicWords};
use crate::shm::participant::Id;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Far longer than a store stays in any processor's store buffer.
const UNORDERED_SETTLE: Duration = Duration::from_millis(1);

/// Where a new subscriber begins: [`Topic::subscribe_from`](crate::Topic::subscribe_from).
///
/// What lies before the newest messages is best effort: a topic keeps at least
/// [`history`](crate::TopicBuilder::history) messages, or half of its capacity, for one that joins.
///
/// ```
/// use shmq::{Start, Topic};
///
/// let topic = Topic::<u64>::new(16)?;
/// topic.publish_slice(&[1, 2, 3])?;
/// assert_eq!(topic.subscribe_from(Start::Oldest)?.next()?, 1);
/// assert_eq!(topic.subscribe_from(Start::Back(1))?.next()?, 3);
/// assert!(topic.subscribe_from(Start::Now)?.try_next().unwrap_err().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With what is published from now on: exactly.
    Now,
    /// With the oldest message that is left.
    Oldest,
    /// So many messages before the newest, or as many as are left.
    Back(u64),
}

impl Start {
    fn in_ring(self) -> topic::Start {
        match self {
            Start::Now => topic::Start::Now,
            Start::Oldest => topic::Start::Oldest,
            Start::Back(count) => topic::Start::Back(count),
        }
    }
}

/// Names the subscriber that a line's word names.
pub(crate) fn id_of(line: usize, word: LineWord) -> SubscriberId {
    SubscriberId { line: line as u32, generation: word.generation(), participant: word.participant() }
}

/// Is it that subscriber's word?
pub(super) fn is_of(id: SubscriberId, word: LineWord) -> bool {
    (id.generation, id.participant) == (word.generation(), word.participant())
}

/// A subscriber of a topic, in bytes. Its cells keep it to one thread at a time.
pub struct RawSubscriber {
    pub(super) raw: Arc<RawQueue>,
    /// Its line, and the topic's words: in the mapping that `raw` keeps.
    own_line: NonNull<SubscriberLine>,
    words: NonNull<TopicWords>,
    pub(super) line: usize,
    pub(super) me: Id,
    incarnation: u32,
    /// What its line's state should be.
    word: Cell<LineWord>,
    /// The bits of that; 0, which no line shows, once it has ended: then no fast path goes on.
    expected: Cell<u64>,
    pub(super) place: Cell<Place>,
    /// Copies in a row that were torn.
    pub(super) torn: Cell<u32>,
    /// The number at which it last found nothing.
    pub(super) caught_up_at: Cell<u64>,
    /// Longest pause when it has caught up, in spins.
    pub(super) gather_spins: Cell<u64>,
    /// Cells that follow one another, where its next records are, and the position of the first:
    /// with them a call compares one number. Filled where the light barrier is the compiler's.
    pub(super) run: Cell<CellRow>,
    pub(super) run_from: Cell<u64>,
    /// What tail was when it last loaded it.
    pub(super) tail_seen: Cell<u64>,
    /// Does it count as a lossy reader of this process?
    is_counted: Cell<bool>,
    has_ended: Cell<bool>,
}

// SAFETY: the pointers lead to atomics in a mapping that `raw` keeps, from whichever thread.
unsafe impl Send for RawSubscriber {}

impl RawSubscriber {
    pub fn join(raw: Arc<RawQueue>, start: Start, gates: bool) -> Result<RawSubscriber, SubscribeError> {
        let me = raw.me()?;
        if raw.is_poisoned() {
            return Err(SubscribeError::Poisoned);
        }
        let incarnation = raw.incarnation();
        if !gates && !raw.topic_part().in_place.begin(InPlaceUse::LossyReader, incarnation) {
            return Err(SubscribeError::LoansHere);
        }
        let settle = || std::thread::sleep(UNORDERED_SETTLE);
        let joined = raw.as_topic().join(me.bits(), start.in_ring(), gates, raw.death_check(me), raw.barrier(), settle);
        let found = match joined {
            Ok(Some(joined)) => Ok(joined),
            Ok(None) => Err(SubscribeError::TooManySubscribers { max: raw.as_topic().lines.len() as u32 }),
            Err(_) => Err(SubscribeError::Corrupted),
        };
        let joined = found.inspect_err(|_| {
            if !gates {
                raw.topic_part().in_place.end(InPlaceUse::LossyReader, incarnation);
            }
        })?;
        raw.as_topic().lines[joined.line].joined_ns.store(now_ns(), Relaxed);
        // For those that wait for subscribers, and publishers that found it further back while it
        // joined.
        raw.notify_all_done();
        raw.notify_not_full(u32::MAX);
        let place = Place { position: joined.cursor, number: joined.number };
        let topic = raw.as_topic();
        let (own_line, words) = (NonNull::from(&topic.lines[joined.line]), NonNull::from(topic.words));
        Ok(RawSubscriber {
            raw,
            own_line,
            words,
            line: joined.line,
            me,
            incarnation,
            word: Cell::new(joined.word),
            expected: Cell::new(joined.word.bits()),
            place: Cell::new(place),
            torn: Cell::new(0),
            caught_up_at: Cell::new(place.number),
            gather_spins: Cell::new(GATHER_SPINS / 4),
            run: Cell::default(),
            run_from: Cell::new(0),
            tail_seen: Cell::new(0),
            is_counted: Cell::new(!gates),
            has_ended: Cell::new(false),
        })
    }

    pub(crate) fn raw(&self) -> &Arc<RawQueue> {
        &self.raw
    }

    /// The same subscriber, whose waits end once the stop of `raw` is set.
    pub fn with_raw(mut self, raw: Arc<RawQueue>) -> RawSubscriber {
        self.raw = raw;
        self
    }

    pub fn id(&self) -> SubscriberId {
        id_of(self.line, self.word.get())
    }

    /// Was it made before a fork, by the parent?
    #[inline(always)]
    pub fn is_inherited(&self) -> bool {
        self.raw.incarnation() != self.incarnation
    }

    pub(super) fn check(&self) -> Result<(), GetError> {
        if self.is_inherited() { Err(GetError::Inherited) } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn line(&self) -> &SubscriberLine {
        // SAFETY: it lies in the mapping, which `raw` keeps (raw, Invariant 2); a line is atomics.
        unsafe { self.own_line.as_ref() }
    }

    #[inline(always)]
    pub(super) fn words(&self) -> &TopicWords {
        // SAFETY: as for the line.
        unsafe { self.words.as_ref() }
    }

    /// Does the put side wait for it, as far as it knows?
    #[inline(always)]
    pub fn is_gating(&self) -> bool {
        self.word.get().standing() == Some(Standing::Gating)
    }

    /// Does the put side wait for it now? Ordered by the caller.
    #[inline(always)]
    pub(super) fn gates_now(&self) -> bool {
        self.is_gating() && self.is_as_known()
    }

    /// Has nothing happened to its line? Ordered by the caller.
    #[inline(always)]
    pub(super) fn is_as_known(&self) -> bool {
        self.line().state.load(Relaxed) == self.expected.get()
    }

    /// Is it over, for good? It was evicted where it must not be lossy.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// Has its line changed since it last knew?
    pub(super) fn is_changed(&self) -> bool {
        self.line().state.load(Acquire) != self.expected.get()
    }

    /// Learns, once, that it was evicted, and stands for a lossy subscriber from then on; it ends
    /// in a process that has loans open. Not while it reads in place.
    pub(super) fn learn(&self) -> Result<(), GetError> {
        if self.has_ended.get() {
            return Err(GetError::Evicted);
        }
        if !self.is_changed() {
            return Ok(());
        }
        self.end_forgotten_sample();
        let topic = self.raw.as_topic();
        let Some(word) = topic.learn_of_eviction(self.line, self.word.get()) else {
            // The line was taken from it: this process was taken for dead.
            return Err(self.raw.poison().into());
        };
        let may_read = self.raw.topic_part().in_place.begin(InPlaceUse::LossyReader, self.incarnation);
        self.word.set(word);
        self.is_counted.set(may_read);
        self.has_ended.set(!may_read);
        self.expected.set(if may_read { word.bits() } else { 0 });
        // A publisher may have waited for it until now.
        self.raw.notify_not_full(u32::MAX);
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "shmq",
            topic = self.raw.segment().name(),
            subscriber = %self.id(),
            lag = self.lag(),
            "evicted"
        );
        Err(GetError::Evicted)
    }

    /// No sample is open now, since it would borrow the subscriber; one may have been forgotten.
    pub(super) fn end_forgotten_sample(&self) {
        self.line().pin.store(0, Release);
    }

    /// For a subscriber that is about to leave. No sample borrows it, so one that is open was
    /// forgotten, and no reference to its message is left.
    pub(crate) fn raw_to_leave(&self) -> &Arc<RawQueue> {
        if !self.is_inherited() && self.is_as_known() {
            self.end_forgotten_sample();
        }
        &self.raw
    }

    /// Numbers that it passed without a message.
    pub fn missed(&self) -> u64 {
        self.line().missed.load(Relaxed)
    }

    pub fn received(&self) -> u64 {
        let passed = self.place.get().number.wrapping_sub(self.line().start.load(Relaxed));
        passed.wrapping_sub(self.missed())
    }

    /// Places that were published and that it has not passed.
    pub fn lag(&self) -> u64 {
        self.raw.as_topic().published().saturating_sub(self.place.get().number)
    }

    pub(super) fn miss(&self, count: u64) {
        if count != 0 {
            let missed = &self.line().missed;
            missed.store(missed.load(Relaxed).wrapping_add(count), Relaxed);
        }
    }

    /// Goes on at another place, and wakes publishers for which that is room.
    #[inline(always)]
    pub(super) fn move_to(&self, next: Place) {
        let before = self.place.replace(next);
        let line = self.line();
        if !self.raw.geometry().sized {
            line.number.store(next.number, Relaxed);
        }
        // Release: what it read before is read before a publisher that sees this place overwrites
        // it.
        line.cursor.store(next.position, Release);
        if self.is_gating() {
            self.raw.barrier().light();
            if self.raw.not_full().has_waiters() {
                self.wake_publishers(before, next);
            }
        }
    }

    /// The same in a run, where the light barrier is the compiler's.
    #[inline(always)]
    pub(super) fn move_in_run(&self, next: Place) {
        let before = self.place.replace(next);
        self.line().cursor.store(next.position, Release);
        self.raw.barrier().compiler_only();
        if self.raw.not_full().has_waiters() {
            self.wake_publishers(before, next);
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_publishers(&self, before: Place, now: Place) {
        if self.is_gating() && self.raw.as_topic().is_worth_a_wake(before.position, now.position) {
            self.raw.notify_not_full(u32::MAX);
        }
    }

    /// Before it sleeps: it will not move for a while, so what it freed is all there is.
    pub(crate) fn wake_before_sleep(&self) {
        if self.is_gating() {
            self.raw.notify_not_full(u32::MAX);
        }
    }
}

impl Drop for RawSubscriber {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        self.raw.as_topic().leave(self.line, self.word.get());
        if self.is_counted.get() {
            self.raw.topic_part().in_place.end(InPlaceUse::LossyReader, self.incarnation);
        }
        self.raw.notify_not_full(u32::MAX);
        self.raw.notify_all_done();
    }
}

impl fmt::Debug for RawSubscriber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RawSubscriber")
            .field("id", &self.id())
            .field("word", &self.word.get())
            .field("place", &self.place.get())
            .field("missed", &self.missed())
            .field("topic", &self.raw)
            .finish_non_exhaustive()
    }
}
