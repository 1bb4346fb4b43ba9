//! Blocking: how the calls of a queue spin, wait for a side's lock, and sleep.

use super::stats::{Blocked, Verb};
use super::{Failure, RawQueue};
use crate::backoff::AdaptiveSpin;
use crate::lock::{Condvar, Locked, Mutex};
use crate::os::Deadline;
use crate::shm::participant::Id;
#[cfg(feature = "object")]
use crate::wait::SLICE_NS;
use crate::wait::{self, Answer, NoLock, Sleeper, Stop, Wait, WaitStrategy, Waiter};
use std::sync::atomic::Ordering::Relaxed;
#[cfg(feature = "object")]
use std::time::Duration;

/// Checks of a spinning getter in its fast path: about a microsecond.
const EARLY_SPINS: u32 = 64;

/// Longest pause of a getter that has caught up with a stream, in spins: long enough for several
/// cache lines to fill meanwhile. If putters take a lock for each message, the best pause also
/// depends on the bytes of a cell (measured: about 80 spins are best for messages of 8 bytes, 200
/// for 64).
pub(super) const GATHER_SPINS: u64 = 200;
const GATHER_SPINS_PER_BYTE: u64 = 3;
const LEAST_GATHER_SPINS: u64 = 80;

/// Checks of a spinning publisher before a gate that is shut: a few messages of its laggard.
const GATE_SPINS: u32 = 256;

/// Backs off from a stream, until several messages are ready.
fn pause_after(run: u64, longest: u64) {
    (0..run.min(longest)).for_each(|_| std::hint::spin_loop());
}

impl RawQueue {
    /// Spins on the word at head, before a getter that found it FREE (or CLAIMED) takes the slow
    /// path: a message that is about to be committed is taken sooner here. Returns `false` if none
    /// came, or if the strategy does not spin.
    ///
    /// A getter that has caught up with a stream of messages backs off until several are ready:
    /// otherwise it follows the putter from word to word, and the cache line bounces between them
    /// (measured: 64 B between two cores 15 -> 55 M/s). It pauses for as many spins as it took
    /// messages since it last caught up: after a single message it checks at once.
    #[inline(never)]
    pub(super) fn await_message<const OWNED: bool>(&self, wait: Wait) -> bool {
        if !self.spins_early(wait) {
            return false;
        }
        self.gather::<OWNED>();
        for _ in 0..EARLY_SPINS {
            if !self.ring.head_is_pending() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// The pause of [`await_message`](Self::await_message), by the messages since the last one.
    fn gather<const OWNED: bool>(&self) {
        let side = &self.head().get;
        let taken = side.copies.load(Relaxed).wrapping_add(side.leases.load(Relaxed));
        let run = taken.wrapping_sub(self.caught_up_at.load(Relaxed));
        self.caught_up_at.store(taken, Relaxed);
        if run > 1 {
            let by_size =
                self.geometry().cell_bytes.saturating_mul(GATHER_SPINS_PER_BYTE).clamp(LEAST_GATHER_SPINS, GATHER_SPINS);
            pause_after(run, if OWNED { GATHER_SPINS } else { by_size });
            if OWNED && self.geometry().sized {
                self.ring.fetch_ahead(&self.tail_seen);
            }
        }
    }

    /// [`await_message`](Self::await_message) for a subscriber that took `run` messages since it
    /// last caught up: after as many spins, but no more than `longest`. `fetch` prefetches what
    /// came meanwhile.
    #[inline(always)]
    pub(super) fn await_record(
        &self,
        run: u64,
        longest: u64,
        wait: Wait,
        fetch: impl Fn(),
        is_pending: impl Fn() -> bool,
    ) -> bool {
        if !self.spins_early(wait) {
            return false;
        }
        if run > 1 {
            pause_after(run, longest);
            fetch();
        }
        (0..EARLY_SPINS).any(|_| {
            let is_there = !is_pending();
            if !is_there {
                std::hint::spin_loop();
            }
            is_there
        })
    }

    /// The same for a task whose first try found nothing: before it tries again, and waits.
    #[cfg(feature = "async")]
    pub(crate) fn gather_for_poll(&self, by_lock: bool) {
        if matches!(self.strategy, WaitStrategy::Spin | WaitStrategy::Adaptive) {
            if by_lock { self.gather::<false>() } else { self.gather::<true>() }
        }
    }

    /// The same for a task of a subscriber that took `run` messages since it last caught up.
    #[cfg(feature = "async")]
    pub(super) fn gather_records_for_poll(&self, run: u64, longest: u64) {
        if run > 1 && matches!(self.strategy, WaitStrategy::Spin | WaitStrategy::Adaptive) {
            pause_after(run, longest);
        }
    }

    /// Spins until getters have freed a whole run of records of a full ring, before a putter takes
    /// the slow path: a putter that follows them from record to record, and also reads head, steals
    /// the cache lines that they work in. If there is room for the message already, it waits no
    /// longer than a fast getter needs for its next record (measured, 8 B through a full ring: 98
    /// -> 122 M/s).
    #[cold]
    #[inline(never)]
    pub(super) fn await_room(&self, wait: Wait) {
        if self.spins_early(wait) {
            self.spin_for_room();
        }
    }

    /// The same for a task whose first try found no room.
    #[cfg(feature = "async")]
    pub(crate) fn await_room_for_poll(&self) {
        if matches!(self.strategy, WaitStrategy::Spin | WaitStrategy::Adaptive) {
            self.spin_for_room();
        }
    }

    /// The same at the gate of a topic.
    #[cold]
    #[inline(never)]
    fn spin_for_gate(&self) {
        let topic = self.as_topic();
        let is_full = self.geometry().sized && self.ring.room_reclaimed() == 0;
        if is_full && !self.is_closed() && !self.is_poisoned() {
            let _ = (0..GATE_SPINS).any(|_| {
                let is_opening = topic.is_opening();
                if !is_opening {
                    std::hint::spin_loop();
                }
                is_opening
            });
        }
    }

    fn spin_for_room(&self) {
        if self.topic.is_some() {
            return self.spin_for_gate();
        }
        let full = self.geometry().sized && self.ring.room_reclaimed() == 0;
        if !full || self.is_closed() || self.is_poisoned() {
            return;
        }
        let spins = if self.ring.oldest_is_done() { EARLY_SPINS / 2 } else { EARLY_SPINS };
        for _ in 0..spins {
            if self.ring.stretch_is_done() {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Does this call wait, with a strategy that spins?
    fn spins_early(&self, wait: Wait) -> bool {
        !matches!(wait, Wait::Never | Wait::AtOnce | Wait::Until(Deadline::PASSED))
            && matches!(self.strategy, WaitStrategy::Spin | WaitStrategy::Adaptive)
    }

    /// Checks of a future's poll with a pause between, before it waits: none, unless the program
    /// chose a number.
    #[cfg(feature = "async")]
    pub(crate) fn spins_of_polls(&self) -> u32 {
        if let WaitStrategy::Custom { spins, .. } = self.strategy { spins } else { 0 }
    }

    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Waits for a side's lock that was not free at the first try.
    #[cold]
    pub(super) fn wait_for_lock(&self, lock: Mutex<'_>, me: Id, wait: Wait) -> Result<Locked, Failure> {
        wait::lock(lock, self.segment(), me, wait, self.stop.as_ref()).map_err(|refused| match refused {
            NoLock::Interrupted => Failure::Interrupted,
            NoLock::Late if wait.is_try() => Failure::Busy,
            NoLock::Late => Failure::Timeout,
        })
    }

    /// A call of this queue that waits; it counts as blocked from its first sleep on.
    pub(super) fn waiter(&self, wait: Wait, verb: Verb) -> Waiter<BlockedCall<'_>> {
        Waiter::new(wait, BlockedCall::new(self, verb))
    }

    /// Sleeps until a get would return at once, for one slice at most. Takes no lock, neither of
    /// the queue nor of this process, and calls no subscriber: a thread of the crate that is inside
    /// does not prevent a fork. The get that follows does the rest.
    #[cfg(feature = "object")]
    pub(crate) fn sleep_until_ready(&self, longest: Duration) {
        use crate::wait::Step;

        let longest_ns = u64::try_from(longest.as_nanos()).unwrap_or(SLICE_NS).min(SLICE_NS);
        let call = BlockedCall { is_silent: true, ..BlockedCall::new(self, Verb::Get) };
        let mut waiter = Waiter::new(Wait::for_ns(longest_ns), call);
        let mut ready = || self.is_ready_to_get();
        while !ready() {
            if waiter.next(&mut ready) != Step::CheckAgain {
                return;
            }
        }
    }
}

/// The [`Sleeper`] of a queue.
pub(super) struct BlockedCall<'a> {
    raw: &'a RawQueue,
    verb: Verb,
    condvar: Condvar<'a>,
    /// It only sleeps: no probe for dead processes, no subscriber.
    is_silent: bool,
    /// Blocked from the first sleep on, until the call ends.
    blocked: Option<Blocked<'a>>,
}

impl<'a> BlockedCall<'a> {
    fn new(raw: &'a RawQueue, verb: Verb) -> BlockedCall<'a> {
        let condvar = match verb {
            Verb::Put => raw.not_full(),
            Verb::Get => raw.not_empty(),
            Verb::Join => raw.all_done(),
        };
        BlockedCall { raw, verb, condvar, is_silent: false, blocked: None }
    }
}

impl Sleeper for BlockedCall<'_> {
    fn strategy(&mut self) -> WaitStrategy {
        self.raw.strategy
    }

    fn adaptive_spin(&self) -> &AdaptiveSpin {
        &self.raw.adaptive_spin
    }

    fn sleep(&mut self, until: Deadline, ready: &mut dyn FnMut() -> bool) {
        let _sleeping = self.raw.attachment.note_sleep();
        wait::sleep(self.raw.stop.as_ref(), self.condvar, self.raw.barrier(), until, ready);
    }

    fn note_blocked(&mut self) {
        let (raw, verb, is_silent) = (self.raw, self.verb, self.is_silent);
        let start = || if is_silent { Blocked::start_silently(raw, verb) } else { Blocked::start(raw, verb) };
        self.blocked.get_or_insert_with(start);
    }

    fn note_slice(&mut self) {
        if !self.is_silent {
            self.raw.segment().report_if_nameless();
        }
    }

    fn is_time_to_probe(&mut self) -> bool {
        !self.is_silent
            && match self.verb {
                Verb::Put => self.raw.is_time_to_probe_for_room(),
                Verb::Get => self.raw.is_time_to_probe(),
                Verb::Join => false,
            }
    }

    fn is_interrupted(&self) -> bool {
        self.raw.stop.as_ref().is_some_and(Stop::is_set)
    }

    fn ask(&mut self) -> Answer {
        self.raw.stop.as_ref().map_or(Answer::NoCheck, Stop::ask)
    }
}
