//! Looking after the dead, however busy the queue is: when a call does it, and how without holding
//! others up.
//!
//! | call | looks |
//! |---|---|
//! | lease, batch, and every call that does not find its message at once | before it takes anything, if a slice has passed since the last look |
//! | get by copy | before it takes each 64th message of the queue, if a slice has passed |
//! | get by a `Consumer` on the spsc path | where it refills its run, after 64 messages or fewer, if a slice has passed |
//! | a call that waits | at the end of each slice of its sleep |
//!
//! So a dead holder's message is back after two slices and one more call (64 by copy) of any
//! getter, before newer ones.
//!
//! Invariants:
//! 1. Each process remembers for itself when it looked: one that died in the middle of it, or never
//!    came to it, delays no other process.
//! 2. The kernel is asked once for each owner and look, and before the side is entered: what costs
//!    time is found out beforehand. Under the side only what was found dead is asked for again, and
//!    at most [`FREED_AT_ONCE`] records are freed before others have a turn.

use super::{Mapped, RawQueue, Wait, add};
use crate::error::GetError;
use crate::ring::{Owner, Repaired, Ring, Upto};
use crate::shm::participant::Id;
use crate::wait::ProbeTimer;
use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Messages by copy, of all getters together, between two looks at the clock.
const COPIES_PER_CLOCK: u64 = 64;
/// Records that one walk finds, at most: more are left to the next.
const FOUND_AT_ONCE: usize = 4096;
/// Records that are freed under the side before it is left again: a few microseconds.
const FREED_AT_ONCE: usize = 256;

/// When callers of this process last looked, and what they need not walk again.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Of getters, and of putters: one must not probe in the place of the other.
    of_getters: ProbeTimer,
    of_putters: ProbeTimer,
    /// All records before this position are done (`ring::dead`, Invariant 2).
    settled: crate::atomic::AtomicU64,
}

/// What the kernel said of each owner during one look (Invariant 2). Dead it stays; alive it is
/// until the next look.
struct Probes<'a> {
    raw: &'a RawQueue,
    me: Id,
    /// By entry: the last owner asked for, as `generation << 2 | is_dead << 1 | 1`.
    answers: [Cell<u32>; Owner::ENTRIES],
}

impl<'a> Probes<'a> {
    fn new(raw: &'a RawQueue, me: Id) -> Probes<'a> {
        Probes { raw, me, answers: [const { Cell::new(0) }; Owner::ENTRIES] }
    }

    fn is_dead(&self, owner: Owner) -> bool {
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
        &self.looks.settled
    }

    /// Has no getter of this process looked after the dead for a slice?
    #[inline]
    pub(super) fn is_look_due(&self) -> bool {
        self.looks.of_getters.is_due()
    }

    /// The same, and then the caller is the one who looks now.
    #[cold]
    pub(super) fn is_time_to_look(&self) -> bool {
        self.is_time(&self.looks.of_getters)
    }

    /// The same for putters, who look at what stands in their way.
    #[cold]
    pub(super) fn is_time_to_look_for_room(&self) -> bool {
        self.is_time(&self.looks.of_putters)
    }

    fn is_time(&self, timer: &ProbeTimer) -> bool {
        let is_ours = timer.take();
        if is_ours {
            self.segment.report_if_nameless();
        }
        is_ours
    }

    /// Is a getter by copy, inside the get side, to leave it and look before it takes the message
    /// at head? Two instructions, but for each message whose number is a multiple of
    /// [`COPIES_PER_CLOCK`].
    #[inline(always)]
    pub(super) fn is_look_first(&self, ring: &Ring<Mapped>) -> bool {
        ring.memory.head().get.copies.load(Relaxed) % COPIES_PER_CLOCK == 0 && self.is_look_due_for_leases()
    }

    #[cold]
    #[inline(never)]
    pub(super) fn is_look_due_for_leases(&self) -> bool {
        self.may_hold_leases() && self.is_look_due()
    }

    /// Counted before the record of a lease can be seen: without one, nothing is ever to be found
    /// behind head.
    #[inline]
    pub(super) fn may_hold_leases(&self) -> bool {
        self.head().get.leases.load(Acquire) != 0
    }

    /// Brings back what the dead leased. Enters the get side only if there is something to free.
    #[cold]
    pub(super) fn look_for_the_dead<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<Repaired, GetError> {
        self.looks.of_getters.note();
        if !self.may_hold_leases() {
            return Ok(Repaired::default());
        }
        self.free_the_dead_upto::<OWNED>(Upto::Head, me, wait)
    }

    /// Frees what the dead leased, and with [`Upto::Tail`] what they claimed.
    #[cold]
    pub(super) fn free_the_dead_upto<const OWNED: bool>(&self, upto: Upto, me: Id, wait: Wait) -> Result<Repaired, GetError> {
        // Those that a queue for dead letters takes come back first, and are given up from there.
        let is_worn_out = |header| self.is_dropped(header);
        let mut freed = Repaired::default();
        // Each round but the last frees a record, or another process did: more rounds than cells,
        // and somebody undoes them.
        for _ in 0..=self.geometry().cells {
            let probes = Probes::new(self, me);
            let is_dead = |owner| probes.is_dead(owner);
            let found = self.ring.find_the_dead(upto, self.settled(), is_dead, is_worn_out, FOUND_AT_ONCE);
            // Garbage is for those to tell who come to it.
            let found = found.unwrap_or_default();
            for part in found.chunks(FREED_AT_ONCE) {
                // Asked again under the side: this process may have been stopped for long, and
                // another have the entry by now.
                let probes = Probes::new(self, me);
                self.enter_get::<OWNED>(me, wait)?;
                let repaired = self.ring.free_found(part, |owner| probes.is_dead(owner), is_worn_out);
                self.tell_what_was_freed(repaired);
                self.exit_get::<OWNED>(me)?;
                freed.redelivered += repaired.redelivered;
                freed.aborted += repaired.aborted;
                freed.given_up += repaired.given_up;
            }
            if found.len() < FOUND_AT_ONCE {
                break;
            }
        }
        Ok(freed)
    }

    /// Needs the get side.
    pub(super) fn tell_what_was_freed(&self, repaired: Repaired) {
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

    /// Frees what the dead claimed or leased, all of it at once: for one who has just taken the
    /// side over from the dead. Needs the get side.
    #[cold]
    pub(super) fn free_the_dead(&self, me: Id) -> Repaired {
        let probes = Probes::new(self, me);
        let is_worn_out = |header| self.is_dropped(header);
        let repaired = self.ring.free_the_dead(|owner| probes.is_dead(owner), is_worn_out).unwrap_or_default();
        self.tell_what_was_freed(repaired);
        repaired
    }
}
