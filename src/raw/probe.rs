//! Probing for dead owners, however busy the queue is: when a call probes, and how it avoids
//! delaying other processes.
//!
//! | call | probes |
//! |---|---|
//! | lease, batch, call without a message at once | first, if a slice has passed since the last |
//! | get by copy | before it takes each 64th message of the queue, if a slice has passed |
//! | get by a `Consumer`, spsc path | at a refill (64 messages or fewer), if a slice has passed |
//! | a call that waits | at the end of each slice of its sleep |
//!
//! So a dead holder's message is back, before newer ones, after two slices and one more call (64 by
//! copy) of any getter.
//!
//! Invariants:
//! 1. Each process keeps its own time of its last probe: a process that dies during a probe, or
//!    never reaches one, delays no other process.
//! 2. Each probe asks the kernel once for each owner, before it enters the side: the slow checks
//!    run beforehand. Under the side, only owners found dead are checked again, and at most
//!    [`FREED_AT_ONCE`] records are freed before other processes have a turn.

use super::{Mapped, RawQueue, Wait, add};
use crate::error::GetError;
use crate::ring::{Owner, Repaired, Ring, Upto};
use crate::shm::participant::Id;
use crate::wait::ProbeTimer;
use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Messages by copy, of all getters together, between two reads of the clock.
const COPIES_PER_CLOCK: u64 = 64;
/// Most records that one walk finds: the next walk finds the rest.
const FOUND_AT_ONCE: usize = 4096;
/// Most records freed under the side before it is released: a few microseconds.
pub(super) const FREED_AT_ONCE: usize = 256;

/// Times of the last probes of this process, and the part of the ring that need not be walked
/// again.
#[derive(Debug, Default)]
pub(super) struct ProbeTimes {
    /// Getters and putters have one timer each: a probe by one does not replace a probe by the
    /// other.
    of_getters: ProbeTimer,
    of_putters: ProbeTimer,
    /// All records before this position are done (`ring::dead_owners`, Invariant 2).
    settled: crate::atomic::AtomicU64,
}

/// Answers of the kernel for each owner during one probe (Invariant 2). A dead owner stays dead; a
/// live one counts as alive until the next probe.
pub(super) struct Probes<'a> {
    raw: &'a RawQueue,
    me: Id,
    /// By entry: the last owner asked for, as `generation << 2 | is_dead << 1 | 1`.
    answers: [Cell<u32>; Owner::ENTRIES],
}

impl<'a> Probes<'a> {
    pub fn new(raw: &'a RawQueue, me: Id) -> Probes<'a> {
        Probes { raw, me, answers: [const { Cell::new(0) }; Owner::ENTRIES] }
    }

    pub fn is_dead(&self, owner: Owner) -> bool {
        let answer = &self.answers[owner.entry() as usize];
        let asked = owner.generation_low() << 2 | 1;
        if answer.get() & !2 != asked {
            let dead = self.raw.is_dead(owner, self.me);
            answer.set(asked | u32::from(dead) << 1);
        }
        answer.get() & 2 != 0
    }
}

impl RawQueue {
    /// The position before which this process knows all records to be done.
    pub(super) fn settled(&self) -> &crate::atomic::AtomicU64 {
        &self.probe_times.settled
    }

    /// Has no getter of this process probed for dead owners for a slice?
    #[inline]
    pub(super) fn is_probe_due(&self) -> bool {
        self.probe_times.of_getters.is_due()
    }

    /// As `is_probe_due`, but if it is due, restarts the timer: the caller probes now.
    #[cold]
    pub(super) fn is_time_to_probe(&self) -> bool {
        self.is_time(&self.probe_times.of_getters)
    }

    /// As `is_time_to_probe`, for putters, which probe the owner of the record that stops them.
    #[cold]
    pub(super) fn is_time_to_probe_for_room(&self) -> bool {
        self.is_time(&self.probe_times.of_putters)
    }

    fn is_time(&self, timer: &ProbeTimer) -> bool {
        let is_ours = timer.take();
        if is_ours {
            self.segment().report_if_nameless();
        }
        is_ours
    }

    /// Must a getter by copy, inside the get side, leave it and probe before it takes the message
    /// at head? Two instructions, except for each message whose number is a multiple of
    /// [`COPIES_PER_CLOCK`].
    #[inline(always)]
    pub(super) fn must_probe_first(&self, ring: &Ring<Mapped>) -> bool {
        ring.memory.head().get.copies.load(Relaxed) % COPIES_PER_CLOCK == 0 && self.is_probe_due_for_leases()
    }

    #[cold]
    #[inline(never)]
    pub(super) fn is_probe_due_for_leases(&self) -> bool {
        self.may_hold_leases() && self.is_probe_due()
    }

    /// A lease is counted before its record is visible: if the count is 0, there is nothing to find
    /// behind head.
    #[inline]
    pub(super) fn may_hold_leases(&self) -> bool {
        self.head().get.leases.load(Acquire) != 0
    }

    /// Brings back records that dead owners leased. Enters the get side only if there is something
    /// to free.
    #[cold]
    pub(super) fn probe_for_the_dead<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<Repaired, GetError> {
        self.probe_times.of_getters.note();
        if !self.may_hold_leases() {
            return Ok(Repaired::default());
        }
        self.free_the_dead_upto::<OWNED>(Upto::Head, me, wait)
    }

    /// Frees records that dead owners leased or had views of, and with [`Upto::Tail`] also those
    /// that they claimed.
    #[cold]
    pub(super) fn free_the_dead_upto<const OWNED: bool>(&self, upto: Upto, me: Id, wait: Wait) -> Result<Repaired, GetError> {
        // Messages for a queue for dead letters come back first, and are given up from there.
        let is_worn_out = |header| self.is_dropped(header);
        let mut freed = Repaired::default();
        // Each round but the last frees a record, or another process did: more rounds than cells
        // mean that another process undoes them.
        for _ in 0..=self.geometry().cells {
            let probes = Probes::new(self, me);
            let is_dead = |owner| probes.is_dead(owner);
            let found = self.ring.find_the_dead(upto, self.settled(), is_dead, is_worn_out, FOUND_AT_ONCE);
            // Garbage is reported by the call that reads it.
            let found = found.unwrap_or_default();
            let (viewed, held): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.is_viewed());
            for part in held.chunks(FREED_AT_ONCE) {
                // Checked again under the side: this process may have been stopped for long, and
                // another process may have the entry by now.
                let probes = Probes::new(self, me);
                self.enter_get::<OWNED>(me, wait)?;
                let repaired = self.ring.free_found(part, |owner| probes.is_dead(owner), is_worn_out, self.discard());
                self.report_freed(repaired);
                self.exit_get::<OWNED>(me)?;
                freed.redelivered += repaired.redelivered;
                freed.aborted += repaired.aborted;
                freed.given_up += repaired.given_up;
            }
            // They are only room: a getter does not wait for the put side's lock.
            let ended = self.end_found_views(&viewed, me, Wait::AtOnce);
            freed.views += ended.as_ref().unwrap_or(&0);
            if found.len() < FOUND_AT_ONCE || ended.is_err() {
                break;
            }
        }
        Ok(freed)
    }

    /// Needs the get side.
    pub(super) fn report_freed(&self, repaired: Repaired) {
        if repaired.given_up != 0 {
            add(&self.head().get.given_up, repaired.given_up);
            self.notify_not_full(u32::MAX);
            self.notify_all_done();
        }
        if repaired != Repaired::default() {
            self.count(repaired);
            self.notify_not_empty(u32::MAX);
        }
    }

    /// Frees everything that dead owners claimed or leased, in one pass: for a caller that has just
    /// taken the side over from a dead holder. Needs the get side.
    #[cold]
    pub(super) fn free_the_dead(&self, me: Id) -> Repaired {
        let probes = Probes::new(self, me);
        let is_worn_out = |header| self.is_dropped(header);
        let repaired = self.ring.free_the_dead(|owner| probes.is_dead(owner), is_worn_out, self.discard()).unwrap_or_default();
        self.report_freed(repaired);
        repaired
    }
}
