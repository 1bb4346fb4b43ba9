//! After a death: the recovery of each side, and freeing the records of dead owners.

use super::{Failure, RawQueue, Wait};
use crate::attachment::Attached;
use crate::os::Deadline;
use crate::raw::BY_LOCK;
use crate::ring::{Repaired, Upto};
use crate::shm::layout::Entry;
use crate::shm::participant::{self, Id};
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

/// How long `recover` waits for each side's lock.
pub(super) const RECOVER_LOCK_NS: u64 = 50_000_000;

/// Report of [`Queue::recover`](crate::Queue::recover).
///
/// ```
/// let report = shmq::Queue::<u64>::new(4)?.recover();
/// // No process died.
/// assert_eq!((report.dead_participants, report.redelivered, report.aborted), (0, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Participants that died without detaching, found for the first time.
    pub dead_participants: u32,
    /// Leases of dead owners that will be delivered again.
    pub redelivered: u64,
    /// Loans of dead owners that were aborted: their messages never existed.
    pub aborted: u64,
    /// Finished messages whose room was kept by [views](crate::View) of dead processes: it is free.
    pub views: u64,
    /// Messages that came back after as many deliveries as `max_deliveries` allows: they are
    /// finished, or in the queue for dead letters, and are not delivered again here.
    pub given_up: u64,
    /// Sides (put, get) that this call could check: 2 unless a live endpoint or a stopped process
    /// holds one. A topic has a put side only, which is 1.
    pub sides_repaired: u32,
    /// Subscribers of a topic that died: they keep no publisher waiting any more.
    pub subscribers: u64,
}

/// Counts a dead participant once, and forgets it if nothing of it is left.
pub(super) fn forget_dead(entry: &Entry, pid: u32, is_all_done: bool) -> bool {
    let forget = if is_all_done { 0 } else { pid };
    entry.pid.compare_exchange(pid, forget, AcqRel, Relaxed).is_ok()
}

impl RawQueue {
    /// Restores the put side after its lock holder or its endpoint died. Needs its lock.
    /// Idempotent, and may itself be killed.
    #[cold]
    pub(super) fn repair_put_side(&self, me: Id) -> Result<(), Failure> {
        if let Some(topic) = self.topic() {
            topic.distrust();
        }
        let repaired =
            self.ring.repair_put_side(|owner| self.is_dead(owner, me), self.discard()).map_err(|_| Failure::Corrupted)?;
        let side = &self.head().put;
        // In this order: cursors first, then busy, then the owner, so that a kill in between leaves
        // a side that is still to be repaired.
        side.busy.store(0, Release);
        side.owner.store(0, Release);
        self.count(repaired);
        // The dead process may have committed without waking a getter.
        self.notify_not_empty(u32::MAX);
        Ok(())
    }

    /// Restores the get side after its lock holder or its endpoint died. Needs its lock.
    /// Idempotent, and may itself be killed.
    #[cold]
    pub(super) fn repair_get_side(&self, me: Id) -> Result<Repaired, Failure> {
        self.ring.repair_get_side().map_err(|_| Failure::Corrupted)?;
        let side = &self.head().get;
        side.busy.store(0, Release);
        side.owner.store(0, Release);
        self.head().rare.recoveries.fetch_add(1, Relaxed);
        let freed = self.free_the_dead(me);
        self.notify_not_full(u32::MAX);
        Ok(freed)
    }

    pub(super) fn count(&self, repaired: Repaired) {
        let rare = &self.head().rare;
        rare.aborted.fetch_add(repaired.aborted, Relaxed);
        rare.recoveries.fetch_add(1, Relaxed);
        self.note_repair(repaired);
    }

    /// Frees the record that stops a full put side, if a dead process holds it. Needs the put side.
    #[cold]
    pub(super) fn free_stopper<const OWNED: bool>(&self, me: Id, length: u32) -> bool {
        if self.topic.is_some() {
            return self.free_gate(me, length, OWNED);
        }
        self.ring.free_stopper(|owner| self.is_dead(owner, me)).unwrap_or(false)
    }

    /// Recovers from all deaths now: both sides one after the other, and the participant table.
    pub(crate) fn recover(&self) -> RecoveryReport {
        let report = self.recover_until(Deadline::NEVER);
        if let Some(me) = self.known_me() {
            self.close_if_unused(me);
        }
        report
    }

    /// Recovers in the same way, for a caller with a deadline.
    pub(super) fn recover_until(&self, deadline: Deadline) -> RecoveryReport {
        let mut report = RecoveryReport::default();
        let Ok(me) = self.me() else { return report };
        if self.topic.is_some() {
            self.recover_topic(me, deadline, &mut report);
            return report;
        }
        let dead = participant::dead(self.segment(), me);
        let wait = || Wait::Briefly(deadline.within(RECOVER_LOCK_NS));
        let aborted_before = self.head().rare.aborted.load(Relaxed);
        if self.lock_put(me, wait()).is_ok() {
            // A loan that its owner claimed without moving tail; those behind tail are freed with
            // the get side.
            if let Ok(repaired) = self.ring.repair_put_side(|owner| self.is_dead(owner, me), self.discard()) {
                self.head().rare.aborted.fetch_add(repaired.aborted, Relaxed);
                report.sides_repaired += 1;
            }
            let _ = self.unlock_put(me);
        }
        let ended = self.end_views_of_the_dead(me, wait());
        report.views += ended.as_ref().unwrap_or(&0);
        if let Ok(taken_over) = self.lock_get_and_repair(me, wait()) {
            let _ = self.exit_get::<BY_LOCK>(me);
            (report.redelivered, report.given_up) = (taken_over.redelivered, taken_over.given_up);
            if let Ok(freed) = self.free_the_dead_upto::<BY_LOCK>(Upto::Tail, me, wait()) {
                report.sides_repaired += 1;
                report.redelivered += freed.redelivered;
                report.views += freed.views;
                report.given_up += freed.given_up;
            }
            report.given_up += self.give_up_all_worn_out(me, wait(), deadline);
        } else {
            report.given_up += self.post_again(Wait::Until(deadline));
        }
        self.count_spilled();
        report.aborted = self.head().rare.aborted.load(Relaxed).saturating_sub(aborted_before);
        self.note_the_dead(!dead.is_empty());
        for (entry, pid) in dead {
            // Last, and only if no record of the dead participants is left: until then the process
            // that takes the entry repairs the queue first.
            report.dead_participants += forget_dead(entry, pid, report.sides_repaired == 2 && ended.is_ok()) as u32;
        }
        self.report_events();
        report
    }
}
