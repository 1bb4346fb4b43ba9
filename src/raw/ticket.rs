//! Tickets: keep small messages from starving a large one that waits for room in a slice queue.
//!
//! ```text
//!   none --draw, under the put side--> first in line --room, a deadline--> given back
//!                                            \--not renewed, or its holder dies-->
//!                                               taken away by the next putter
//! ```

use super::{RawQueue, add};
use crate::os::now_ns;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::Relaxed;

/// How long a ticket is respected without renewal. Its holder renews it at every check, at least
/// ten times a second.
const TICKET_NS: u64 = 300_000_000;

/// The right to go before later puts, for a large message that has waited: `id << 32 | serial`.
/// Only fairness depends on it.
#[derive(Debug, Default)]
pub struct Ticket {
    /// 0: none is drawn yet.
    number: u64,
    /// Value of reclaim at that time.
    renewed_at: u64,
}

#[cfg(feature = "async")]
impl RawQueue {
    /// The number of the ticket that goes first, of whichever caller; 0: none, or an expired one.
    pub(super) fn drawn_ticket(&self) -> u64 {
        if Ticket::default().must_wait(self) { self.head().put.ticket.load(Relaxed) } else { 0 }
    }
}

impl Ticket {
    /// Does another process's ticket go first? An expired one does not count.
    pub(super) fn must_wait(&self, raw: &RawQueue) -> bool {
        let side = &raw.head().put;
        let first = side.ticket.load(Relaxed);
        first != 0 && first != self.number && now_ns() < side.ticket_until_ns.load(Relaxed)
    }

    /// Takes away the ticket of a dead holder. Needs the put side.
    pub(super) fn must_wait_for_the_living(&self, raw: &RawQueue, me: Id) -> bool {
        if !self.must_wait(raw) {
            return false;
        }
        let side = &raw.head().put;
        let first = side.ticket.load(Relaxed);
        let alive = Id::from_bits((first >> 32) as u32).is_some_and(|holder| raw.is_alive(holder, me));
        if !alive {
            let _ = side.ticket.compare_exchange(first, 0, Relaxed, Relaxed);
        }
        alive
    }

    /// Needs the put side.
    pub(super) fn draw_or_renew(&mut self, raw: &RawQueue, me: Id) {
        let side = &raw.head().put;
        if self.must_wait(raw) {
            return;
        }
        // Renewed while space becomes free: otherwise a process that holds the space, and must
        // itself put a message first, would wait for this call for ever.
        let reclaim = side.reclaim.load(Relaxed);
        if self.number == 0 {
            add(&side.tickets, 1);
            self.number = (me.bits() as u64) << 32 | side.tickets.load(Relaxed) & u32::MAX as u64;
        } else if self.renewed_at == reclaim {
            return;
        }
        self.renewed_at = reclaim;
        side.ticket_until_ns.store(now_ns() + TICKET_NS, Relaxed);
        side.ticket.store(self.number, Relaxed);
    }

    /// The put has found room, or waits no more.
    pub(super) fn give_back(&mut self, raw: &RawQueue) {
        let side = &raw.head().put;
        let first = side.ticket.load(Relaxed);
        let mine = self.number != 0 && first == self.number;
        let stale = first != 0 && now_ns() >= side.ticket_until_ns.load(Relaxed);
        if (mine || stale) && side.ticket.compare_exchange(first, 0, Relaxed, Relaxed).is_ok() {
            raw.notify_not_full(u32::MAX);
        }
        self.number = 0;
    }

    /// 0: none is drawn, or it was given back.
    #[cfg(feature = "async")]
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Gives it back if one was drawn.
    pub(crate) fn end(&mut self, raw: &RawQueue) {
        if self.number != 0 && raw.known_me().is_some_and(|me| u64::from(me.bits()) == self.number >> 32) {
            self.give_back(raw);
        }
    }
}

/// The ticket of a call that waits: the call's end gives it back, however it ends.
pub(super) struct HeldTicket<'a> {
    pub raw: &'a RawQueue,
    pub ticket: Ticket,
}

impl Drop for HeldTicket<'_> {
    fn drop(&mut self) {
        self.ticket.end(self.raw);
    }
}
