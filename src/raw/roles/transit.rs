//! Handles that were serialised and have not arrived: so that a process may send one and drop its
//! own at once.
//!
//! ```text
//!   slot 0 --send_off--> id:32 | number:30 | roles:2 --arrived, compare-and-swap--> 0
//!                             \--the sender leaves or dies--> counts for nothing, and is reused
//! ```
//!
//! A slot is in the sender's name: its roles go with it. The ticket, which travels with the handle,
//! is the whole word, so a handle that is deserialised twice ends no ticket but its own.

use super::super::RawQueue;
use super::{BOTH, roles};
use crate::atomic::AtomicU64;
use crate::attachment::Attached;
use crate::shm::layout::{TRANSIT_SLOTS, role};
use crate::shm::participant::Id;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What a serialised handle carries: slot and word. `None` where nothing counts.
pub(crate) type TransitTicket = Option<(u32, u64)>;

/// A handle that counts was serialised for several receivers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForOneReceiver;

impl fmt::Display for ForOneReceiver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "a handle of a queue that closes when unused goes to one receiver, and cannot be published to all subscribers of a \
             topic: send each its own, through a queue",
        )
    }
}

thread_local! {
    /// Is this thread encoding for all subscribers of a topic?
    static IS_TO_ALL: Cell<bool> = const { Cell::new(false) };
}

/// Encodes for all subscribers of a topic. A ticket is for one: the first that arrives would end
/// it, though others are still on their way, and where none arrives, it would count for as long as
/// this process lives. So a handle that counts is refused meanwhile.
#[cfg(feature = "object")]
pub(crate) fn encode_to_all<R>(encode: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_TO_ALL.set(self.0);
        }
    }
    let _restore = Restore(IS_TO_ALL.replace(true));
    encode()
}

const NUMBER_MASK: u32 = (1 << 30) - 1;

fn word_of(sender: Id, number: u32, sent: u32) -> u64 {
    let bits = u32::from(sent & role::SENDER != 0) | (u32::from(sent & role::RECEIVER != 0) << 1);
    (u64::from(sender.bits()) << 32) | u64::from(((number & NUMBER_MASK) << 2) | bits)
}

fn roles_of(word: u64) -> u32 {
    roles(word & 1 != 0, word & 2 != 0)
}

impl RawQueue {
    fn transit_slots(&self) -> &[AtomicU64; TRANSIT_SLOTS] {
        &self.head().in_transit.0
    }

    fn is_sender_alive(&self, word: u64, me: Id) -> bool {
        Id::from_bits((word >> 32) as u32).is_some_and(|sender| self.is_alive(sender, me))
    }

    /// A plain handle is serialised.
    pub(crate) fn send_off_both(&self) -> Result<TransitTicket, ForOneReceiver> {
        self.send_off(BOTH)
    }

    /// A handle of these roles is serialised.
    pub(super) fn send_off(&self, sent: u32) -> Result<TransitTicket, ForOneReceiver> {
        if !self.closes_when_unused() || self.is_closed() {
            return Ok(None);
        }
        if IS_TO_ALL.get() {
            return Err(ForOneReceiver);
        }
        let Ok(me) = self.me() else { return Ok(None) };
        let word = word_of(me, self.roles.sent.fetch_add(1, Relaxed), sent);
        let ticket =
            self.take_slot(word, |word| word == 0).or_else(|| self.take_slot(word, |word| !self.is_sender_alive(word, me)));
        match ticket {
            // After the slot was taken (roles, Invariant 1).
            Some(_) => drop(self.rare().role_changes.fetch_add(1, SeqCst)),
            None => self.count_more(me, |members| members.kept |= sent),
        }
        Ok(ticket)
    }

    fn take_slot(&self, new: u64, is_free: impl Fn(u64) -> bool) -> TransitTicket {
        (0..).zip(self.transit_slots()).find_map(|(number, slot)| {
            let word = slot.load(SeqCst);
            let taken = is_free(word) && slot.compare_exchange(word, new, SeqCst, SeqCst).is_ok();
            taken.then_some((number, new))
        })
    }

    /// A handle has arrived, and counts here.
    pub(crate) fn arrived(&self, ticket: TransitTicket) {
        if let Some((number, word)) = ticket {
            if let Some(slot) = self.transit_slots().get(number as usize).filter(|_| word != 0) {
                let _ = slot.compare_exchange(word, 0, SeqCst, SeqCst);
            }
        }
    }

    /// Which of these roles are on their way.
    pub(super) fn roles_in_transit(&self, asked: u32, me: Id) -> u32 {
        let mut held = 0;
        for slot in self.transit_slots() {
            let word = slot.load(SeqCst);
            let more = roles_of(word) & asked & !held;
            if more != 0 && self.is_sender_alive(word, me) {
                held |= more;
            }
        }
        held
    }
}
