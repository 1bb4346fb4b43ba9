//! A topic in bytes: the put side of a queue, whose room the subscribers' lines decide, and the
//! subscribers.
//!
//! ```text
//!   publish: as put (raw) ---------> room? ring/topic/gate --no--> sleep on `not_full`, 100 ms at most,
//!                                                                  then free the lines of the dead
//!   next:    header at the cursor -> copy -> does it count? -> cursor --nothing--> sleep on `not_empty`
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what a topic has beside a queue's put side; room |
//! | `subscriber.rs` | a subscriber: its place, and what happens to it |
//! | `next.rs` | the verbs by copy, their fast path, and how they wait |
//! | `in_bytes.rs` | the verbs by copy of messages whose layout is known at run time |
//! | `step.rs` | one try of a verb |
//! | `readiness.rs` | what there is, for a caller that waits for several things |
//! | `awaited.rs` | the same for tasks |
//! | `in_place.rs` | records read in place, and what excludes lossy readers |
//! | `control.rs` | seeing subscribers, evicting, waiting for them |
//! | `seen.rs` | what observers see, attached or not: a subscriber's line, the counters |
//!
//! Invariants:
//! 1. A subscriber's line is its own while the line's word names it; a handle is used by one thread
//!    at a time, and not by a forked child.
//! 2. A loan of a dead process is aborted with the put side's *lock* held, also beside a live
//!    endpoint. So its word is aborted by one process only, and no subscriber mistakes payload for
//!    it: reclaim never passes a CLAIMED record, and is loaded after the word.
//! 3. A wake of `not_empty` is for all subscribers: none passes one on.

#[cfg(feature = "async")]
mod awaited;
mod control;
mod in_bytes;
mod in_place;
mod next;
mod readiness;
mod seen;
mod step;
mod subscriber;

pub(crate) use in_place::{InPlace, InPlaceRecord, InPlaceUse};
pub use seen::{SubscriberInfo, SubscriberKind, TopicStats};
pub(crate) use seen::{lag_of, pid_of, subscriber_at};
pub(crate) use subscriber::id_of;
pub use subscriber::{RawSubscriber, Start};

use super::recover::{RECOVER_LOCK_NS, forget_dead};
use super::{Mapped, RawQueue, RecoveryReport, Wait};
use crate::error::PutError;
use crate::lock::Locked;
use crate::os::{Deadline, MemoryBarrier};
use crate::ring::topic::{Fences, Hold, Limits, TopicRing};
use crate::ring::{Header, NoRoom, Slot, State};
use crate::shm::geometry::CellIndex;
use crate::shm::participant::{self, Id};
use crate::shm::segment::{Segment, TopicArea};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// How long the abort of a dead process's loan waits for the put side's lock.
const ABORT_LOCK_NS: u64 = 20_000_000;

/// What the handles of a topic share in a process.
#[derive(Debug)]
pub(crate) struct TopicPart {
    area: TopicArea,
    /// Loans and lossy readers of this process.
    pub(super) in_place: InPlace,
}

// SAFETY: the area leads to atomics in a mapping that the queue keeps (raw, Invariant 2).
unsafe impl Send for TopicPart {}
// SAFETY: as above.
unsafe impl Sync for TopicPart {}

impl TopicPart {
    /// `None` if the segment is no topic.
    pub fn of(segment: &Segment) -> Option<Arc<TopicPart>> {
        segment.topic().map(|area| Arc::new(TopicPart { area, in_place: InPlace::default() }))
    }
}

impl Fences for MemoryBarrier {
    fn light(&self) {
        MemoryBarrier::light(self);
    }

    fn heavy(&self) -> bool {
        MemoryBarrier::heavy(self)
    }
}

/// The ring of a topic whose words and lines are there.
pub(crate) fn topic_ring<'a>(ring: &'a crate::ring::Ring<Mapped>, area: &'a TopicArea) -> TopicRing<'a, Mapped> {
    let shape = area.shape();
    let limits = Limits { history: shape.history, max_lag: shape.max_lag };
    TopicRing { ring, words: area.words(), lines: area.lines(), limits }
}

impl RawQueue {
    /// The topic that it is; `None`: a queue.
    #[inline(always)]
    pub(super) fn topic(&self) -> Option<TopicRing<'_, Mapped>> {
        self.topic.as_deref().map(|part| topic_ring(&self.ring, &part.area))
    }

    /// The same, for calls of a topic only.
    #[inline(always)]
    pub(super) fn topic_part(&self) -> &TopicPart {
        self.topic.as_deref().expect("a handle of a topic has a topic")
    }

    #[inline(always)]
    pub(super) fn as_topic(&self) -> TopicRing<'_, Mapped> {
        topic_ring(&self.ring, &self.topic_part().area)
    }

    /// As [`Ring::make_room`](crate::ring::Ring::make_room), of a queue or a topic. Needs the put
    /// side.
    #[inline]
    pub(super) fn make_room(&self, most: u64) -> bool {
        if self.topic.is_some() { self.make_room_of_topic() } else { self.ring.make_room(most) }
    }

    // Out of line: a queue that makes room pays one test for it.
    #[cold]
    #[inline(never)]
    fn make_room_of_topic(&self) -> bool {
        self.as_topic().make_room(self.barrier())
    }

    /// As [`Ring::reserve`](crate::ring::Ring::reserve). Needs the put side.
    #[cold]
    #[inline(never)]
    pub(super) fn reserve_of_topic(&self, length: u32) -> Result<Slot, NoRoom> {
        self.as_topic().reserve(length, self.barrier())
    }

    /// A check of whether participants are dead that asks the kernel once for consecutive ones.
    pub(super) fn death_check(&self, me: Id) -> impl Fn(u32) -> bool + '_ {
        let asked = Cell::new(None);
        move |participant| match asked.get() {
            Some((last, dead)) if last == participant => dead,
            _ => {
                let dead = Id::from_bits(participant).is_none_or(|id| !self.is_alive(id, me));
                asked.set(Some((participant, dead)));
                dead
            }
        }
    }

    /// Opens the gate where a dead process keeps it shut: by its line, or by a loan. `true`: there
    /// may be room for `length` bytes now. Needs the put side.
    #[cold]
    pub(super) fn free_gate(&self, me: Id, length: u32, by_endpoint: bool) -> bool {
        let topic = self.as_topic();
        let freed = topic.free_the_dead(self.death_check(me));
        self.rare().recoveries.fetch_add(freed, Relaxed);
        self.note_freed(freed, 0);
        let loan = match topic.hold(length, self.leaves_out()) {
            Ok(Some(Hold::Loan(header))) => self.is_dead(header.owner(), me),
            _ => false,
        };
        // A caller by lock holds what an abort needs (Invariant 2).
        let abort = || if by_endpoint { self.abort_dead_loans(me, Deadline::NEVER) } else { self.abort_dead_loans_locked(me) };
        freed > 0 || (loan && abort())
    }

    /// Aborts the loans of dead processes that stand between reclaim and the end of the records
    /// (Invariant 2). Waits for the put side's lock until `deadline`, but not for long.
    pub(super) fn abort_dead_loans(&self, me: Id, deadline: Deadline) -> bool {
        self.with_put_lock(me, deadline, || self.abort_dead_loans_locked(me))
    }

    /// Needs the put side's lock.
    fn abort_dead_loans_locked(&self, me: Id) -> bool {
        let mut aborted = 0;
        self.each_dead_loan(me, |cell, header| aborted += self.ring.abort_claimed(cell, header) as u64);
        self.rare().aborted.fetch_add(aborted, Relaxed);
        self.note_freed(0, aborted);
        aborted > 0
    }

    /// The loans of dead processes between reclaim and the end of the records. Needs the put side,
    /// or its lock.
    fn each_dead_loan(&self, me: Id, mut visit: impl FnMut(CellIndex, Header)) {
        let topic = self.as_topic();
        let mut at = topic.words.reclaim.load(Acquire);
        for _ in 0..=self.geometry().cells {
            let Some(cell) = self.geometry().cell(at) else { break };
            let header = self.ring.load_header(cell);
            // A live endpoint may reclaim meanwhile: up to the first loan at most.
            if !topic.is_intact(at) {
                break;
            }
            match header.state() {
                Some(State::Claimed) if self.is_dead(header.owner(), me) => visit(cell, header),
                Some(State::Free) | None => break,
                _ => {}
            }
            let Some(after) = self.geometry().after(at, self.geometry().record_cells(header.length() as u64)) else { break };
            at = after;
        }
    }

    /// Runs `act` with the put side's lock held, whether or not a live endpoint owns the side.
    /// `false` if the lock cannot be had soon.
    fn with_put_lock(&self, me: Id, deadline: Deadline, act: impl FnOnce() -> bool) -> bool {
        let lock = self.locks().put(self.head());
        let Some(locked) = lock.lock(self.segment(), me, deadline.within(ABORT_LOCK_NS), true) else { return false };
        // A live endpoint's cursors are its own; those of a dead one are repaired by the next that
        // enters by lock.
        let is_owned = self.head().put.owner.load(Relaxed) != 0;
        let sound = is_owned || locked == Locked::Clean || self.repair_put_side(me).is_ok();
        let done = sound && act();
        if lock.unlock(me).is_err() {
            self.poison();
        }
        if done {
            self.notify_not_empty(u32::MAX);
            self.notify_not_full(u32::MAX);
        }
        done
    }

    /// Recovers from all deaths: the put side, the lines, and the loans.
    pub(super) fn recover_topic(&self, me: Id, deadline: Deadline, report: &mut RecoveryReport) {
        let dead = participant::dead(self.segment(), me);
        let aborted_before = self.rare().aborted.load(Relaxed);
        let wait = Wait::Briefly(deadline.within(RECOVER_LOCK_NS));
        let put_side = match self.lock_put(me, wait) {
            Ok(()) => {
                let repaired = self.ring.repair_put_side(|owner| self.is_dead(owner, me), self.discard());
                if let Ok(repaired) = repaired {
                    self.rare().aborted.fetch_add(repaired.aborted, Relaxed);
                    self.note_freed(0, repaired.aborted);
                }
                let _ = self.unlock_put(me);
                repaired.is_ok()
            }
            Err(_) => false,
        };
        let freed = self.as_topic().free_the_dead(self.death_check(me));
        self.rare().recoveries.fetch_add(freed, Relaxed);
        self.note_freed(freed, 0);
        let has_loans = self.head().put.loans.load(Relaxed) != 0;
        if has_loans {
            self.abort_dead_loans(me, deadline);
        }
        if freed > 0 {
            self.notify_not_full(u32::MAX);
            self.notify_all_done();
        }
        report.subscribers = freed;
        report.sides_repaired = put_side as u32;
        report.aborted = self.rare().aborted.load(Relaxed).saturating_sub(aborted_before);
        self.note_the_dead(!dead.is_empty());
        for (entry, pid) in dead {
            report.dead_participants += forget_dead(entry, pid, put_side) as u32;
        }
        self.report_events();
    }

    /// Does a scan of this process leave evicted subscribers out of the gate (ring topic, Invariant
    /// 6)?
    pub(super) fn leaves_out(&self) -> bool {
        self.barrier().is_registered() || self.barrier().has_full_fences()
    }

    /// The error of a publish of `length` bytes, with what it waited for.
    #[cold]
    pub(crate) fn explain(&self, error: PutError, length: usize) -> PutError {
        let timed_out = match error {
            PutError::Full => false,
            PutError::Timeout => true,
            other => return other,
        };
        let topic = self.as_topic();
        match topic.hold(u32::try_from(length).unwrap_or(u32::MAX), self.leaves_out()) {
            Ok(Some(Hold::Subscriber { line, word })) => {
                let pid = pid_of(self.segment().entries(), word.participant());
                let lag = topic.lines.get(line).map_or(0, |line| lag_of(&topic, line));
                PutError::Gated { subscriber: id_of(line, word), pid, lag, timed_out }
            }
            Ok(Some(Hold::Loan(header))) => PutError::BehindLoan { pid: self.pid_of_entry(header.owner().entry()), timed_out },
            _ => error,
        }
    }
}
