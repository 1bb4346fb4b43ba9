//! The ring of a topic: every subscriber reads every record, and the put side knows how far it may
//! go. No system call, no lock, no payload.
//!
//! ```text
//!      reclaim    gate          cursors of subscribers     tail
//!         v         v             v      v        v          v
//!   ..----+---------+-------------+------+--------+----------+------------------------..
//!    free | lossy readers find    | gating subscribers are   | free up to gate + capacity
//!         | these, until they go  | nowhere before the gate  | (as the bound says)
//!   ..----+---------+-------------+------+--------+----------+------------------------..
//!
//!   a line:  FREE -> JOINING -> GATING -> FREE
//!                          \--> LOSSY --> FREE
//!            GATING -> EVICTING -> EVICTED -> LOSSY      of a dead owner: any -> FREE
//! ```
//!
//! | question | file |
//! |---|---|
//! | the bits of a line's state word | `line.rs` |
//! | how far the put side may go: the gate, reclaim, the bound | `gate.rs` |
//! | how a subscriber joins, leaves, is evicted, and is freed after its death | `join.rs` |
//! | which record a subscriber reads next, and whether what it read counts | `read.rs` |
//! | which records there are | `walk.rs` |
//!
//! The put side is the queue's: FREE ahead, claims, commits, repair (Ring, Invariants 1, 3 and 5).
//! There is no get side. Records stay READY until they are overwritten. Positions begin at the
//! ring's second lap, so that there is always a lap before.
//!
//! Invariants:
//! 1. *Bound.* `PutSide::reclaim` of a topic is the bound: a record may end at `next` if `next`
//!    lies before the bound's next lap. It is the lower one of the topic's `reclaim` and of `gate`
//!    less the [slack](crate::shm::geometry::Geometry::slack), so that the paths of the queue's put
//!    side need nothing else. It is stored last: a put side that dies before has changed nothing
//!    that a successor relies on.
//! 2. *Gate.* No gating subscriber's cursor is before `gate`, and `gate` is not behind tail. The
//!    put side stores a gate, runs the light barrier, and believes it if `joins` is what it was
//!    before the scan; a subscriber that joins makes its line gate, raises `joins`, runs the heavy
//!    barrier, and then takes a cursor at or behind `gate` (Dekker). So the put side sees the line,
//!    or the subscriber sees the gate. While `joins_seen` is [`MUST_SCAN`], no gate is believed.
//! 3. *Reclaim.* It is the start of a record, never behind `gate`, and never passes a CLAIMED
//!    record. It is stored with Release, and a release fence follows before a byte of what it
//!    passed is overwritten.
//! 4. *Lossy reads.* Whatever a lossy subscriber reads at a position, header and sequence included,
//!    counts only if `reclaim`, loaded after it and after an acquire fence, is not behind that
//!    position: a byte that was overwritten brings the reclaim that allowed it. Payload that may
//!    tear is read, and by copy written, in whole words with relaxed atomics.
//! 5. *Gating reads.* While its line gates, no record from its cursor on is overwritten. By copy,
//!    it loads its own state after the copy and an acquire fence: still GATING, and no publisher
//!    had left it out when it copied; otherwise Invariant 4 decides.
//! 6. *Pins.* A subscriber that reads in place stores `pin`, runs the light barrier, and reads only
//!    if it still gates. A publisher that would leave an evicted line out of the gate runs the
//!    heavy barrier between the load of its state and that of its pin, and leaves it out only if
//!    that is
//!    0. Where the heavy barrier is refused, no line of a live subscriber is left out.
//! 7. *Lines.* A state word changes by compare-and-swap only; each subscriber has a generation of
//!    its own. The other words of a line are its subscriber's.
//! 8. *Numbers.* Each record but a filler has a number, one more than that of the record before it.
//!    A subscriber passes every number from its first one on: with a message, or as missed.

mod gate;
mod join;
mod line;
mod read;
mod walk;

pub(crate) use gate::Hold;
pub(crate) use join::Start;
pub(crate) use line::{LineWord, Standing};
pub(crate) use read::{Newest, Place, Seen};
pub(crate) use walk::Walked;

use super::{Corrupted, Memory, Ring};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::shm::layout::{SubscriberLine, TopicWords};

/// Value of `joins_seen` while no gate is believed (Invariant 2).
pub(crate) const MUST_SCAN: u64 = u64::MAX;

/// Value of a line's `start` while its subscriber has no place yet.
pub(crate) const NOT_YET: u64 = u64::MAX;

/// The two halves of the barrier.
pub(crate) trait Fences {
    fn light(&self);
    /// `false`: the system refused it.
    fn heavy(&self) -> bool;
}

/// What a topic's creator chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Messages that a new subscriber begins back.
    pub history: u64,
    /// Gating subscribers that lag so many messages are evicted; 0: none are.
    pub max_lag: u64,
}

/// A ring, and what a topic has beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicRing<'a, M> {
    pub ring: &'a Ring<M>,
    pub words: &'a TopicWords,
    /// All lines, used or not.
    pub lines: &'a [SubscriberLine],
    pub limits: Limits,
}

impl<M: Memory> TopicRing<'_, M> {
    /// Makes the FREE word at tail and all positions. Before publication only.
    pub fn initialise(&self) {
        self.ring.initialise();
        let first = self.first();
        let put = self.ring.memory.put_side();
        let (words, put_words) = (self.words, [&put.tail, &put.newest]);
        let own = [&words.reclaim, &words.middle, &words.marks[0], &words.marks[1], &words.gate, &words.wake_at];
        put_words.into_iter().chain(own).for_each(|word| word.store(first, Relaxed));
        // What a scan would find: no line was ever used.
        words.others.store(u64::MAX, Relaxed);
        let geometry = &self.ring.geometry;
        put.reclaim.store(geometry.position(self.linear(first).saturating_sub(geometry.slack())), Relaxed);
    }

    /// Position of the first record that was ever put.
    pub fn first(&self) -> u64 {
        self.ring.geometry.next_lap(0)
    }

    pub fn tail(&self) -> u64 {
        self.ring.memory.put_side().tail.load(Acquire)
    }

    pub fn linear(&self, position: u64) -> u64 {
        self.ring.geometry.linear(position)
    }

    /// The lines that were ever used.
    pub fn used_lines(&self) -> &[SubscriberLine] {
        let used = (self.words.lines_end.load(Acquire) as usize).min(self.lines.len());
        &self.lines[..used]
    }

    /// What is at `position` still what was put there (Invariant 4)? For values that the caller has
    /// loaded before.
    #[inline(always)]
    pub fn is_intact(&self, position: u64) -> bool {
        fence(Acquire);
        self.words.reclaim.load(Relaxed) <= position
    }

    /// Number of the record at a position that is the start of one, or tail. In a topic of slices
    /// it counts only if the position [is intact](TopicRing::is_intact).
    pub fn number_at(&self, position: u64) -> Result<u64, Corrupted> {
        let geometry = &self.ring.geometry;
        if geometry.sized {
            return Ok(self.linear(position).wrapping_sub(geometry.cells));
        }
        Ok(self.ring.memory.sequence(self.ring.cell(position)?).load(Acquire))
    }

    /// Places that were published, aborted loans included.
    pub fn published(&self) -> u64 {
        for _ in 0..ATTEMPTS {
            let tail = self.tail();
            let number = self.number_at(tail);
            if self.is_intact(tail) && self.tail() == tail {
                return number.unwrap_or(0);
            }
        }
        self.number_at(self.tail()).unwrap_or(0)
    }
}

/// Before a publisher writes into what another one may have reclaimed (Invariant 3). On x86-64 it
/// is no instruction.
#[inline(always)]
pub(crate) fn order_reclaimed() {
    fence(Release);
}

/// Attempts before giving up: tail may move faster than it can be read.
const ATTEMPTS: u32 = 16;
