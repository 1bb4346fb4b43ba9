//! Waiting: look, spin, yield, sleep in slices, until the deadline.
//!
//! Measured (64 B ping-pong of pinned processes, a sleep and its wake take 30 us and about as much processor time, a pause 33 ns, a
//! yield 0.7 us; round trip without the work, as a multiple of the better of `Spin` and `Block`): an adaptive waiter that always sleeps
//! after some 9 us has 3.2 where each side works for 5 us; a patient one (`trust`) 0.7 - 1.3, and what `Block` has where the work outlasts its
//! wait. The price: messages that come every 50 us, at the edge of the wait, cost their receiver 1.5 times the processor time.

use super::stats::{Blocked, Verb};
use super::trust::AdaptiveSpin;
use super::{Failure, RawQueue};
use crate::lock::{Condvar, Locked, Mutex};
use crate::os::{Barrier, FOREVER_NS, ONE_TRY_NS, now_ns};
use crate::shm::participant::Id;
use crate::wait::strategy::WaitStrategy;
use crossbeam_utils::Backoff as CrossbeamBackoff;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Every sleep is cut here: a process can die between its commit and its wake. Whoever wakes also looks after the dead.
pub(crate) const SLICE_NS: u64 = 100_000_000;
/// How long `try_` puts up with a contended lock before it is Busy.
pub(super) const TRY_LOCK_NS: u64 = 1_000_000;
/// Looks of a spinning waiter between two looks at the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// An adaptive waiter spins 1, 2, 4 .. 64 times between its looks (all rounds of `CrossbeamBackoff`), then yields between them.
/// A patient one looks after each spin: in 64 of them, 2 us here, an answer waits (measured: 5 us of work on each side, 2.5 times the
/// round trip of `Spin`).
const SPIN_ROUNDS: u32 = 7;
const PATIENT_ROUNDS: u32 = 127;
const YIELDS: u32 = 4;
/// From its first yield on, a patient one (`AdaptiveSpin`) stays awake this long: about what a sleep costs.
const PATIENCE_NS: u64 = 40_000;
/// A yield that lasted longer (measured: 0.7 us alone, 99.9 % within 1.6 - 5) gave the core to somebody who needed it.
const LONG_YIELD_NS: u64 = 3_000;
/// From yield to yield of a patient waiter: an answer that comes during one waits for its end.
const YIELD_EVERY_NS: u64 = 10_000;
/// Its looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 8;
/// Within this time of its deadline a waiter sleeps rather than yields.
const YIELD_RISK_NS: u64 = 5_000_000;

/// Looks of a spinning getter in its fast path: a microsecond or so.
const EARLY_LOOKS: u32 = 64;

/// Longest pause of a getter that has caught up with a stream, in spins: what matters is that several cache lines fill meanwhile. Where
/// putters take a lock for each message, it also depends on the bytes of a cell (measured: some 80 spins are best for messages of 8 bytes,
/// 200 for 64).
const GATHER_SPINS: u64 = 200;
const GATHER_SPINS_PER_BYTE: u64 = 3;
const LEAST_GATHER_SPINS: u64 = 80;

/// How long a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: Full or Empty.
    Never,
    /// Until that monotonic instant (or for ever): Timeout.
    Until(u64),
}

impl Wait {
    pub const FOREVER: Wait = Wait::Until(FOREVER_NS);

    /// Until when to wait: a moment that has passed, for one who does not.
    pub(crate) fn deadline_ns(self) -> u64 {
        match self {
            Wait::Never => 0,
            Wait::Until(deadline_ns) => deadline_ns,
        }
    }

    /// Until when to wait for a lock, and whether to sleep on it.
    pub(crate) fn for_lock(self) -> (u64, bool) {
        match self {
            Wait::Never => (now_ns() + TRY_LOCK_NS, false),
            Wait::Until(deadline_ns) => (deadline_ns, true),
        }
    }
}

/// What a pause ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    LookAgain,
    /// A whole slice passed: look after the dead as well.
    SliceOver,
    TimedOut,
}

impl RawQueue {
    /// Looks for a while at the word at head, before a getter that found it FREE (or CLAIMED) takes the slow path: a message that is on
    /// its way arrives sooner here. `false`: none came, or the strategy is not one that spins.
    ///
    /// A getter that has caught up with a stream of messages lets some gather first: it would follow the putter from word to word,
    /// and each would take the cache line from the other (measured: 64 B between two cores 15 -> 55 M/s). It pauses for as many
    /// spins as it took messages since it last caught up: after a single message it looks at once.
    #[inline(never)]
    pub(super) fn await_message<const OWNED: bool>(&self, wait: Wait) -> bool {
        if !self.looks_early(wait) {
            return false;
        }
        let side = &self.head().get;
        let taken = side.copies.load(Relaxed).wrapping_add(side.leases.load(Relaxed));
        let run = taken.wrapping_sub(self.caught_up_at.load(Relaxed));
        self.caught_up_at.store(taken, Relaxed);
        if run > 1 {
            let by_size =
                self.geometry().cell_bytes.saturating_mul(GATHER_SPINS_PER_BYTE).clamp(LEAST_GATHER_SPINS, GATHER_SPINS);
            let longest = if OWNED { GATHER_SPINS } else { by_size };
            (0..run.min(longest)).for_each(|_| std::hint::spin_loop());
            if OWNED && self.geometry().sized {
                self.ring.fetch_ahead(&self.tail_seen);
            }
        }
        for _ in 0..EARLY_LOOKS {
            if !self.ring.head_is_pending() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// From now on, whoever waits for a message, for room or for a lock gives up, as if at a deadline that is not counted, soon after
    /// `flag` is set: at once if a signal handler sets it that interrupts the sleep, and within a slice anyhow. The first flag stays.
    pub(crate) fn interrupt_by(&self, flag: &'static AtomicBool) {
        let _ = self.interrupt.set(flag);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.get().is_some_and(|flag| flag.load(Relaxed))
    }

    /// Waits for a side's lock that was not free at once.
    #[cold]
    pub(super) fn wait_for_lock(&self, lock: Mutex<'_>, me: Id, wait: Wait) -> Result<Locked, Failure> {
        let (deadline_ns, sleep) = wait.for_lock();
        loop {
            // A lock knows of no interruption: it is asked for in slices where there may be one.
            let until_ns = match self.interrupt.get() {
                Some(_) => deadline_ns.min(now_ns().saturating_add(SLICE_NS)),
                None => deadline_ns,
            };
            if let Some(locked) = lock.lock(&self.segment, me, until_ns, sleep) {
                return Ok(locked);
            }
            if until_ns == deadline_ns || self.is_interrupted() {
                return Err(if wait == Wait::Never { Failure::Busy } else { Failure::Timeout });
            }
        }
    }

    /// Looks for a while whether getters free a whole stretch of a full ring, before a putter takes the slow path: one that follows them from
    /// record to record, and looks at head besides, takes from them the cache lines that they work in. Where there is room for
    /// the message already, no longer than a getter needs that comes on quickly (measured, 8 B through a full ring: 98 -> 122 M/s).
    #[cold]
    #[inline(never)]
    pub(super) fn await_room(&self, wait: Wait) {
        let full = self.geometry().sized && self.ring.room_reclaimed() == 0;
        if !full || !self.looks_early(wait) || self.is_closed() || self.is_poisoned() {
            return;
        }
        let looks = if self.ring.oldest_is_done() { EARLY_LOOKS / 2 } else { EARLY_LOOKS };
        for _ in 0..looks {
            if self.ring.stretch_is_done() {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Is this a caller who waits, by a strategy that spins?
    fn looks_early(&self, wait: Wait) -> bool {
        !matches!(wait, Wait::Never | Wait::Until(ONE_TRY_NS))
            && matches!(self.strategy, WaitStrategy::Spin | WaitStrategy::Adaptive)
    }
}

/// One blocked call of a queue.
pub(super) struct Waiter<'a> {
    pauses: Backoff,
    verb: Verb,
    /// From the first sleep on, until the call ends.
    blocked: Option<Blocked<'a>>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(deadline_ns: u64, verb: Verb) -> Waiter<'a> {
        Waiter { pauses: Backoff::new(deadline_ns), verb, blocked: None }
    }

    /// Until the deadline.
    pub fn time_left(&self) -> Duration {
        Duration::from_nanos(self.pauses.deadline_ns.saturating_sub(now_ns()))
    }

    /// One of the [`Backoff`], seen by others from the first sleep on.
    pub fn pause(&mut self, raw: &'a RawQueue, condvar: Condvar<'_>, ready: &mut dyn FnMut() -> bool) -> Step {
        if raw.is_interrupted() {
            return Step::TimedOut;
        }
        let (verb, blocked) = (self.verb, &mut self.blocked);
        let mut falls_asleep = || {
            blocked.get_or_insert_with(|| Blocked::start(raw, verb));
        };
        let pause = self.pauses.pause(raw.strategy, &raw.trust, &raw.barrier, condvar, ready, &mut falls_asleep);
        if pause == Step::SliceOver {
            raw.segment.report_if_nameless();
        }
        pause
    }
}

/// The pauses of one blocked call, until its deadline.
pub(crate) struct Backoff {
    deadline_ns: u64,
    slice_ends_ns: u64,
    /// A call that has slept is a long one: it neither is patient after each slice nor counts again.
    has_slept: bool,
}

impl Backoff {
    pub(crate) fn new(deadline_ns: u64) -> Backoff {
        Backoff { deadline_ns, slice_ends_ns: 0, has_slept: false }
    }

    /// Waits until `ready`, a wake, the end of the slice or the deadline. The deadline is reported on the next call, after the caller
    /// has looked once more: a wake may have come with it. So a deadline is never early, and a zero timeout is one try.
    /// `falls_asleep` is called before each sleep, and where one that only spins has done so for a slice.
    pub fn pause(
        &mut self,
        strategy: WaitStrategy,
        trust: &AdaptiveSpin,
        barrier: &Barrier,
        condvar: Condvar<'_>,
        ready: &mut dyn FnMut() -> bool,
        falls_asleep: &mut dyn FnMut(),
    ) -> Step {
        if self.deadline_ns != FOREVER_NS && now_ns() >= self.deadline_ns {
            return Step::TimedOut;
        }
        if self.slice_ends_ns != 0 && now_ns() >= self.slice_ends_ns {
            self.slice_ends_ns = 0;
            falls_asleep();
            return Step::SliceOver;
        }
        if self.look(strategy, trust, ready) {
            return Step::LookAgain;
        }
        if self.slice_ends_ns == 0 {
            self.slice_ends_ns = now_ns() + SLICE_NS;
        }
        if strategy != WaitStrategy::Spin {
            falls_asleep();
            self.has_slept = true;
            condvar.wait(barrier, self.deadline_ns.min(self.slice_ends_ns), ready);
        }
        Step::LookAgain
    }

    /// Looks without sleeping, as the strategy says.
    fn look(&self, strategy: WaitStrategy, trust: &AdaptiveSpin, ready: &mut dyn FnMut() -> bool) -> bool {
        match strategy {
            WaitStrategy::Block => ready(),
            WaitStrategy::Adaptive => spin_then_yield((!self.has_slept).then_some(trust), self.deadline_ns, ready),
            WaitStrategy::Custom { spins, yields } => {
                for round in 0..spins.saturating_add(yields) {
                    if ready() {
                        return true;
                    }
                    if (round >= spins || round % SPINS_PER_CLOCK == SPINS_PER_CLOCK - 1) && is_near(self.deadline_ns) {
                        break;
                    }
                    if round < spins { std::hint::spin_loop() } else { std::thread::yield_now() }
                }
                ready()
            }
            WaitStrategy::Spin => {
                for _ in 0..SPINS_PER_CLOCK {
                    if ready() {
                        return true;
                    }
                    std::hint::spin_loop();
                }
                false
            }
        }
    }
}

/// A yield on a loaded machine may last several scheduler slices; the futex keeps a deadline to some microseconds.
fn is_near(deadline_ns: u64) -> bool {
    deadline_ns != FOREVER_NS && now_ns().saturating_add(YIELD_RISK_NS) >= deadline_ns
}

/// How one that waits adaptively looks before it sleeps, without wait where there is no trust to ask; `false`: it is to sleep now.
pub(crate) fn spin_then_yield(trust: Option<&AdaptiveSpin>, deadline_ns: u64, ready: &mut dyn FnMut() -> bool) -> bool {
    let patient = trust.is_some_and(AdaptiveSpin::should_spin);
    let backoff = CrossbeamBackoff::new();
    for _ in 0..if patient { PATIENT_ROUNDS } else { SPIN_ROUNDS } {
        if ready() {
            return true;
        }
        if patient { std::hint::spin_loop() } else { backoff.spin() }
    }
    if ready() {
        return true;
    }
    if is_near(deadline_ns) {
        return false;
    }
    let mut was_alone = true;
    let came = look_between_yields(patient, deadline_ns, &mut was_alone, ready);
    if let Some(trust) = trust {
        trust.learn(patient, came && was_alone);
    }
    came
}

/// With wait, and while nobody else needs the core, a yield is followed by many looks and is not counted: it only asks whether that
/// still holds. Where processes outnumber the cores (`was_alone` is cleared) all is as without wait.
fn look_between_yields(patient: bool, deadline_ns: u64, was_alone: &mut bool, ready: &mut dyn FnMut() -> bool) -> bool {
    let mut before = now_ns();
    let patient_until_ns = if patient { before + PATIENCE_NS } else { 0 };
    let mut yields = 0;
    while yields < YIELDS {
        std::thread::yield_now();
        let mut now = now_ns();
        let is_alone = now - before < LONG_YIELD_NS;
        *was_alone &= is_alone;
        let looks_until_ns = if is_alone { patient_until_ns.min(now + YIELD_EVERY_NS) } else { 0 };
        if now >= looks_until_ns {
            yields += 1;
        }
        if ready() {
            return true;
        }
        while now < looks_until_ns {
            for _ in 0..LOOKS_PER_CLOCK {
                std::hint::spin_loop();
                if ready() {
                    return true;
                }
            }
            now = now_ns();
        }
        if is_near(deadline_ns) {
            break;
        }
        before = now;
    }
    false
}
