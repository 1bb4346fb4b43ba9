//! [`Waiter`]: the one loop of a call that waits, seen from its caller.

use super::{Answer, SLICE_NS, Wait, WaitStrategy};
use crate::backoff::{self, AdaptiveSpin, Backoff};
use crate::os::{Deadline, take_ended_by_signal};
use std::time::Duration;

/// First nap of a caller that is ready and cannot go on; it doubles a few times.
const NAP_US: u64 = 10;

/// What a caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Check once more.
    CheckAgain,
    /// Probe for dead processes, then check once more.
    Probe,
    /// It does not wait, or its time is over.
    GiveUp,
    /// Its stop is set.
    Interrupted,
}

/// Where a call sleeps, and what else differs from one kind of call to the other.
pub(crate) trait Sleeper {
    fn strategy(&mut self) -> WaitStrategy {
        WaitStrategy::Adaptive
    }

    fn adaptive_spin(&self) -> &AdaptiveSpin;

    /// Sleeps until woken or `until`, unless `ready` after it has registered. May return early.
    fn sleep(&mut self, until: Deadline, ready: &mut dyn FnMut() -> bool);

    /// The call is a long one: before each sleep, and after each slice without one.
    fn note_blocked(&mut self) {}

    /// A slice has passed.
    fn note_slice(&mut self) {}

    /// Is this the one to probe for dead processes before it gives up?
    fn is_time_to_probe(&mut self) -> bool {
        false
    }

    /// Is the stop of its handle set?
    fn is_interrupted(&self) -> bool {
        false
    }

    /// Runs the check of that stop. The call holds nothing (`stop/check.rs`, Invariant 1).
    fn ask(&mut self) -> Answer {
        Answer::NoCheck
    }
}

/// One call that waits.
pub(crate) struct Waiter<S> {
    sleeper: S,
    wait: Wait,
    slice_ends: Option<Deadline>,
    /// A call that has slept is a long one: it neither spins for long after each slice nor teaches
    /// again.
    has_slept: bool,
    has_probed: bool,
}

impl<S: Sleeper> Waiter<S> {
    pub fn new(wait: Wait, sleeper: S) -> Waiter<S> {
        Waiter { sleeper, wait, slice_ends: None, has_slept: false, has_probed: false }
    }

    /// For a caller that begins with a probe, or does not.
    pub fn has_probed(self, has_probed: bool) -> Waiter<S> {
        Waiter { has_probed, ..self }
    }

    /// Has it slept, so that a wake may have come to it?
    pub fn has_slept(&self) -> bool {
        self.has_slept
    }

    /// Waits until `ready`, a wake, the end of the slice or the deadline.
    pub fn next(&mut self, ready: &mut dyn FnMut() -> bool) -> Step {
        if let Wait::Until(deadline) = self.wait {
            if self.sleeper.is_interrupted() {
                return Step::Interrupted;
            }
            // A call that need not wait asks no check, also if an earlier one met a signal.
            if (self.has_slept || !deadline.has_passed()) && take_ended_by_signal() {
                match self.sleeper.ask() {
                    Answer::End => return Step::Interrupted,
                    // Time has passed in it (Invariant 2).
                    Answer::GoOn => return Step::CheckAgain,
                    Answer::NoCheck => {}
                }
            }
        }
        let deadline = match self.wait {
            Wait::Until(deadline) | Wait::Briefly(deadline) if !deadline.has_passed() => deadline,
            _ => return self.give_up(),
        };
        if self.slice_ends.is_some_and(Deadline::has_passed) {
            self.slice_ends = None;
            self.has_probed = true;
            self.sleeper.note_blocked();
            self.sleeper.note_slice();
            let asks = matches!(self.wait, Wait::Until(_));
            return if asks && self.sleeper.ask() == Answer::End { Step::Interrupted } else { Step::Probe };
        }
        self.has_probed = false;
        let strategy = self.sleeper.strategy();
        if self.spin(strategy, deadline, ready) {
            return Step::CheckAgain;
        }
        let slice_ends = *self.slice_ends.get_or_insert_with(|| Deadline::in_ns(SLICE_NS));
        if strategy != WaitStrategy::Spin {
            self.sleeper.note_blocked();
            self.has_slept = true;
            self.sleeper.sleep(deadline.min(slice_ends), ready);
        }
        Step::CheckAgain
    }

    fn give_up(&mut self) -> Step {
        if self.has_probed || !self.sleeper.is_time_to_probe() {
            return Step::GiveUp;
        }
        self.has_probed = true;
        Step::Probe
    }

    /// Checks without sleeping, as the strategy says.
    fn spin(&self, strategy: WaitStrategy, deadline: Deadline, ready: &mut dyn FnMut() -> bool) -> bool {
        match strategy {
            WaitStrategy::Block => ready(),
            WaitStrategy::Adaptive => {
                backoff::spin_then_yield((!self.has_slept).then(|| self.sleeper.adaptive_spin()), deadline, ready)
            }
            WaitStrategy::Custom { spins, yields } => Backoff::new(spins, yields).spend(deadline, ready),
            WaitStrategy::Spin => backoff::spin(ready),
        }
    }

    /// For a caller that was ready `misses` times in a row and could not go on: nothing wakes it,
    /// so it naps rather than spins.
    pub fn nap(&mut self, misses: u32) {
        if misses > 2 {
            // Its slices pass too: it probes, and asks its check.
            self.slice_ends.get_or_insert_with(|| Deadline::in_ns(SLICE_NS));
            std::thread::sleep(Duration::from_micros(NAP_US << misses.min(7)).min(self.wait.deadline().left()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Probed {
        strategy: WaitStrategy,
        probes: u32,
        sleeps: u32,
        adaptive_spin: AdaptiveSpin,
    }

    impl Sleeper for &mut Probed {
        fn strategy(&mut self) -> WaitStrategy {
            self.strategy
        }

        fn adaptive_spin(&self) -> &AdaptiveSpin {
            &self.adaptive_spin
        }

        fn sleep(&mut self, until: Deadline, _: &mut dyn FnMut() -> bool) {
            self.sleeps += 1;
            assert!(until.left() <= Duration::from_nanos(SLICE_NS));
            std::thread::sleep(until.left());
        }

        fn is_time_to_probe(&mut self) -> bool {
            self.probes += 1;
            true
        }
    }

    fn sleeper(strategy: WaitStrategy) -> Probed {
        Probed { strategy, probes: 0, sleeps: 0, adaptive_spin: AdaptiveSpin::new() }
    }

    /// The steps of a call for which nothing ever comes.
    fn steps_of(wait: Wait, sleeper: &mut Probed) -> Vec<Step> {
        let mut waiter = Waiter::new(wait, sleeper);
        let mut steps = Vec::new();
        while steps.last() != Some(&Step::GiveUp) {
            let step = waiter.next(&mut || false);
            // A waiter that only spins checks again very often.
            if step != Step::CheckAgain || steps.last() != Some(&step) {
                steps.push(step);
            }
        }
        steps
    }

    #[test]
    fn a_call_that_does_not_wait_probes_once_and_gives_up() {
        for wait in [Wait::Never, Wait::Until(Deadline::PASSED)] {
            let mut sleeper = sleeper(WaitStrategy::Adaptive);
            assert_eq!(steps_of(wait, &mut sleeper), [Step::Probe, Step::GiveUp]);
            assert_eq!((sleeper.probes, sleeper.sleeps), (1, 0));
        }
    }

    #[test]
    fn a_call_that_began_with_a_probe_gives_up_at_once() {
        let mut sleeper = sleeper(WaitStrategy::Adaptive);
        let mut waiter = Waiter::new(Wait::Never, &mut sleeper).has_probed(true);
        assert_eq!(waiter.next(&mut || false), Step::GiveUp);
    }

    #[test]
    fn a_long_call_probes_after_each_slice() {
        for strategy in [WaitStrategy::Block, WaitStrategy::Adaptive, WaitStrategy::Spin] {
            let mut sleeper = sleeper(strategy);
            let mut waiter = Waiter::new(Wait::FOREVER, &mut sleeper);
            for _ in 0..2 {
                let began = std::time::Instant::now();
                let mut checks = 0;
                while waiter.next(&mut || false) == Step::CheckAgain {
                    checks += 1;
                    assert!(began.elapsed() < Duration::from_secs(60), "{strategy:?}: no probe");
                }
                assert!(checks > 0 && waiter.has_probed, "{strategy:?}");
                assert!(began.elapsed() >= Duration::from_nanos(SLICE_NS), "{strategy:?}");
            }
            assert_eq!(sleeper.sleeps, if strategy == WaitStrategy::Spin { 0 } else { 2 });
            assert_eq!(sleeper.probes, 0, "{strategy:?}: it did not give up");
        }
    }

    #[test]
    fn a_call_that_slept_until_its_deadline_checks_and_probes_before_it_gives_up() {
        for strategy in [WaitStrategy::Block, WaitStrategy::Adaptive, WaitStrategy::Spin] {
            let mut sleeper = sleeper(strategy);
            // Within the first slice; far enough that the first step comes before it.
            let steps = steps_of(Wait::for_ns(SLICE_NS * 9 / 10), &mut sleeper);
            assert!(steps.ends_with(&[Step::Probe, Step::GiveUp]), "{strategy:?}: {steps:?}");
            assert_eq!(steps.iter().filter(|step| **step == Step::GiveUp).count(), 1);
            if strategy != WaitStrategy::Spin && sleeper.sleeps > 0 {
                assert_eq!(steps[0], Step::CheckAgain, "{strategy:?}");
            }
        }
    }

    #[test]
    fn what_comes_while_it_spins_is_not_slept_for() {
        let mut sleeper = sleeper(WaitStrategy::Adaptive);
        let mut checks = 0;
        let mut ready = || {
            checks += 1;
            checks > 3
        };
        assert_eq!(Waiter::new(Wait::FOREVER, &mut sleeper).next(&mut ready), Step::CheckAgain);
        assert_eq!(sleeper.sleeps, 0);
    }
}
