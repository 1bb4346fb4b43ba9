//! How to spend a miss before sleeping: spin, yield, and learn whether spinning for longer pays.
//!
//! Measured (64 B ping-pong of pinned processes; a sleep and its wake take 30 us and about as much
//! processor time, a pause 33 ns, a yield 0.7 us; round trip without the work, as a multiple of
//! the better of `Spin` and `Block`): a waiter that always sleeps after some 9 us has 3.2 where
//! each side works for 5 us. With [`AdaptiveSpin`] it has 0.7 - 1.3, and what `Block` has where
//! the work outlasts the spinning. The price: messages that come every 50 us, at the edge of the
//! long spin, cost their receiver 1.5 times the processor time.
//!
//! ```text
//!   MOST --slept--> -2 .. 0 --more misses outlast their spins--> -1 .. -TRIAL: spins for long
//!    ^                                                             | ready        | slept
//!    +--ready while awake: +1 <--------------- FEW <---------------+              +--> 0
//! ```
//!
//! Competitive spinning: a waiter that spins for as long as a sleep costs never pays more than
//! twice the least. Once it has learnt that its waits are long it stops even that, and tries again
//! each 64th time: its waits may be shorter by now, which it cannot see from its sleeps, since
//! they last as long as a wake takes.
//!
//! Invariants:
//! 1. Nothing but speed rests on [`AdaptiveSpin`]: threads that wait at once may lose each other's
//!    counts.
//! 2. Only a wait that outlasted the first spins teaches anything. A shorter one never comes here.
//! 3. Credit is lost faster than it is won: two of three waits must end awake for the long spin to
//!    pay, as a long spin that fails costs a little more than a sleep does.

use crate::os::{Deadline, now_ns};
use crossbeam_utils::Backoff as CrossbeamBackoff;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

/// Checks of a spinning waiter between two reads of the clock.
const SPINS_PER_CLOCK: u32 = 64;

/// Rounds of spinning before the first yield: of 1, 2, 4 .. 64 pauses (all that
/// `crossbeam_utils::Backoff` has). In a long spin each round is one pause: an answer would wait
/// 2 us in a round of 64 (measured: 5 us of work on each side, 2.5 times the round trip of `Spin`).
const SPIN_ROUNDS: u32 = 7;
const LONG_SPIN_ROUNDS: u32 = 127;
const YIELDS: u32 = 4;
/// From its first yield on, a long spin lasts this long: about what a sleep costs.
const LONG_SPIN_NS: u64 = 40_000;
/// A yield that lasted longer (measured: 0.7 us alone, 99.9 % within 1.6 - 5) gave the core to a
/// thread that needed it.
const LONG_YIELD_NS: u64 = 3_000;
/// From yield to yield of a long spin: an answer that comes during a yield waits for its end.
const YIELD_EVERY_NS: u64 = 10_000;
/// Checks of a long spin between two reads of the clock.
const CHECKS_PER_CLOCK: u32 = 8;
/// Within this time of its deadline a waiter sleeps rather than yields: a yield on a loaded
/// machine may last several scheduler slices, while the futex keeps a deadline to microseconds.
pub(crate) const YIELD_RISK_NS: u64 = 5_000_000;

/// A bounded series of misses: some spins, then some yields.
#[derive(Debug)]
pub(crate) struct Backoff {
    misses: u32,
    spins: u32,
    yields: u32,
}

impl Backoff {
    /// Nothing missed yet.
    pub const fn new(spins: u32, yields: u32) -> Backoff {
        Backoff { misses: 0, spins, yields }
    }

    /// Are there spins left?
    pub fn may_spin(&self) -> bool {
        self.misses < self.spins
    }

    /// Are there yields left?
    pub fn may_yield(&self) -> bool {
        self.misses < self.spins.saturating_add(self.yields)
    }

    /// Spends a miss with as many pauses as there were misses, but no more than `longest`.
    pub fn spin(&mut self, longest: u32) {
        self.misses += 1;
        (0..self.misses.min(longest)).for_each(|_| std::hint::spin_loop());
    }

    /// Spends a miss by giving the core to another thread.
    pub fn yield_now(&mut self) {
        self.misses += 1;
        std::thread::yield_now();
    }

    /// Spends all misses, of one pause each, or fewer close to the deadline. `false`: still not
    /// ready.
    pub fn spend(mut self, deadline: Deadline, ready: &mut dyn FnMut() -> bool) -> bool {
        while self.may_yield() {
            if ready() {
                return true;
            }
            let reads_clock = !self.may_spin() || self.misses % SPINS_PER_CLOCK == SPINS_PER_CLOCK - 1;
            if reads_clock && deadline.is_within(YIELD_RISK_NS) {
                break;
            }
            if self.may_spin() { self.spin(1) } else { self.yield_now() }
        }
        ready()
    }
}

/// Spins until it is time to read the clock. `false`: still not ready.
pub(crate) fn spin(ready: &mut dyn FnMut() -> bool) -> bool {
    for _ in 0..SPINS_PER_CLOCK {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

/// Spins, then yields, and for longer where `adaptive` says that it pays. `false`: it is time to
/// sleep.
pub(crate) fn spin_then_yield(adaptive: Option<&AdaptiveSpin>, deadline: Deadline, ready: &mut dyn FnMut() -> bool) -> bool {
    let long = adaptive.is_some_and(AdaptiveSpin::should_spin);
    let backoff = CrossbeamBackoff::new();
    for _ in 0..if long { LONG_SPIN_ROUNDS } else { SPIN_ROUNDS } {
        if ready() {
            return true;
        }
        if long { std::hint::spin_loop() } else { backoff.spin() }
    }
    if ready() {
        return true;
    }
    if deadline.is_within(YIELD_RISK_NS) {
        return false;
    }
    let mut was_alone = true;
    let came = spin_between_yields(long, deadline, &mut was_alone, ready);
    if let Some(adaptive) = adaptive {
        adaptive.learn(long, came && was_alone);
    }
    came
}

/// In a long spin, and while no other thread needs the core, a yield is followed by many checks
/// and is not counted: it only asks whether the core is still free. Where processes outnumber the
/// cores (`was_alone` is cleared) a long spin does what a short one does.
fn spin_between_yields(long: bool, deadline: Deadline, was_alone: &mut bool, ready: &mut dyn FnMut() -> bool) -> bool {
    let mut before = now_ns();
    let long_until_ns = if long { before + LONG_SPIN_NS } else { 0 };
    let mut yields = 0;
    while yields < YIELDS {
        std::thread::yield_now();
        let mut now = now_ns();
        let is_alone = now - before < LONG_YIELD_NS;
        *was_alone &= is_alone;
        let spin_until_ns = if is_alone { long_until_ns.min(now + YIELD_EVERY_NS) } else { 0 };
        if now >= spin_until_ns {
            yields += 1;
        }
        if ready() {
            return true;
        }
        while now < spin_until_ns {
            for _ in 0..CHECKS_PER_CLOCK {
                std::hint::spin_loop();
                if ready() {
                    return true;
                }
            }
            now = now_ns();
        }
        if deadline.is_within(YIELD_RISK_NS) {
            break;
        }
        before = now;
    }
    false
}

/// Four long waits in a row, and a handle waits as one that never spun for long.
const MOST: i32 = 8;
/// What a trial that went well is worth: one long wait undoes it.
const FEW: i32 = 2;
/// What a long wait costs.
const PRICE: i32 = 2;
/// After so many waits without credit one spins for long: some 0.7 us a wait.
const TRIAL: i32 = 64;

/// Whether a handle should spin for long before it sleeps, learnt from its recent waits.
///
/// Positive: credit. Otherwise the waits since it was lost, negated.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin(AtomicI32);

impl AdaptiveSpin {
    /// With full credit: a new handle may be in the middle of a quick exchange.
    pub(crate) const fn new() -> AdaptiveSpin {
        AdaptiveSpin(AtomicI32::new(MOST))
    }

    /// Should the wait that has outlasted its first spins spin for long?
    pub(crate) fn should_spin(&self) -> bool {
        let credit = self.0.load(Relaxed);
        credit > 0 || credit <= -TRIAL
    }

    /// A wait that outlasted its first spins has ended, or goes to sleep.
    fn learn(&self, long: bool, came: bool) {
        self.0.store(next(self.0.load(Relaxed), long, came), Relaxed);
    }
}

fn next(credit: i32, long: bool, came: bool) -> i32 {
    match (long, came) {
        (true, true) if credit > 0 => (credit + 1).min(MOST),
        (true, true) => FEW,
        (true, false) => (credit - PRICE).max(0),
        // Another thread may have won credit meanwhile.
        (false, _) if credit > 0 => credit,
        (false, _) => (credit - 1).max(-TRIAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits that end after `length_us`: how many of them spun for long.
    fn long_of(adaptive: &AdaptiveSpin, count: u32, length_us: impl Fn(u32) -> u32) -> u32 {
        const BUDGET_US: u32 = 40;
        (0..count).fold(0, |spun, wait| {
            let long = adaptive.should_spin();
            adaptive.learn(long, length_us(wait) <= if long { BUDGET_US } else { 2 });
            spun + u32::from(long)
        })
    }

    #[test]
    fn short_waits_keep_credit() {
        let adaptive = AdaptiveSpin::new();
        assert_eq!(long_of(&adaptive, 1000, |_| 10), 1000);
        // A long one now and then does not lose it.
        assert_eq!(long_of(&adaptive, 1000, |wait| if wait % 8 == 0 { 10_000 } else { 10 }), 1000);
    }

    #[test]
    fn long_waits_lose_it_quickly() {
        let adaptive = AdaptiveSpin::new();
        assert_eq!(long_of(&adaptive, 10, |_| 1000), (MOST / PRICE) as u32);
        assert!(!adaptive.should_spin());
    }

    #[test]
    fn long_waits_try_rarely() {
        let adaptive = AdaptiveSpin::new();
        long_of(&adaptive, 10, |_| 1000);
        let spun = long_of(&adaptive, 65 * 100, |_| 1000);
        assert!((99..=101).contains(&spun), "{spun}");
    }

    #[test]
    fn one_trial_that_goes_well_brings_it_back() {
        let adaptive = AdaptiveSpin::new();
        long_of(&adaptive, 10, |_| 1000);
        assert!(long_of(&adaptive, 100, |_| 10) > 30);
        assert_eq!(long_of(&adaptive, 100, |_| 10), 100);
        assert_eq!(adaptive.0.load(Relaxed), MOST);
    }

    /// Messages that come in pairs are mostly waited for without a long spin.
    #[test]
    fn every_other_long_wait_is_not_worth_it() {
        let adaptive = AdaptiveSpin::new();
        long_of(&adaptive, 100, |_| 1000);
        let spun = long_of(&adaptive, 6400, |wait| if wait % 2 == 0 { 1000 } else { 2 });
        assert!(spun < 400, "{spun}");
    }

    /// Invariant 1: whatever is lost between threads, it stays in its bounds, and a trial comes.
    #[test]
    fn stays_in_bounds() {
        for credit in -TRIAL..=MOST {
            for (long, came) in [(false, false), (false, true), (true, false), (true, true)] {
                assert!((-TRIAL..=MOST).contains(&next(credit, long, came)), "{credit} {long} {came}");
            }
        }
    }

    #[test]
    fn a_backoff_spends_its_spins_then_its_yields_and_no_more() {
        let mut checks = 0;
        let mut ready = || {
            checks += 1;
            false
        };
        assert!(!Backoff::new(5, 3).spend(Deadline::NEVER, &mut ready));
        assert_eq!(checks, 5 + 3 + 1);
    }

    #[test]
    fn a_backoff_does_not_yield_close_to_its_deadline() {
        let mut checks = 0;
        let mut ready = || {
            checks += 1;
            false
        };
        assert!(!Backoff::new(0, 1000).spend(Deadline::PASSED, &mut ready));
        assert_eq!(checks, 2);
    }
}
