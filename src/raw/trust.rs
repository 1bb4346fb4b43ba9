//! Whether it pays to wait awake for longer: learnt from the recent waits of a handle.
//!
//! ```text
//!   MOST --slept--> -2 .. 0 --another wait outlasted its spins--> -1, -2 .. -TRIAL: this one is patient
//!    ^                      |                                        | it came          | slept
//!    +---came while awake: +1 <----------------- FEW <---------------+                  +--> 0
//! ```
//!
//! The one who waits for long pays for looking, the one who sleeps pays for the sleep: whoever looks for as long as a sleep costs never
//! pays more than twice the least. One who has learnt that its waits are long stops even that, and tries again each 64th time: what it waits
//! for may come sooner by now, which it cannot see from its sleeps, since they last as long as a wake takes.
//!
//! Invariants:
//! 1. Nothing but speed rests on this: threads that wait at once may lose each other's counts.
//! 2. Only a wait that outlasted the spins says anything. Who is served sooner never comes here.
//! 3. Distrust grows faster than trust: two of three waits must end awake for it to pay, as a patient wait that fails costs a little
//!    more than a sleep does.

use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

/// Four long waits in a row, and a handle waits as one that never was patient.
const MOST: i32 = 8;
/// What a trial that went well is worth: one long wait undoes it.
const FEW: i32 = 2;
/// What a long wait costs.
const PRICE: i32 = 2;
/// Every so many waits without trust one is patient: some 0.7 us a wait.
const TRIAL: i32 = 64;

/// Positive: trust. Else: waits since it went, negated.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin(AtomicI32);

impl AdaptiveSpin {
    /// With all trust: a handle that has seen nothing yet may be in the middle of a quick exchange.
    pub(crate) const fn new() -> AdaptiveSpin {
        AdaptiveSpin(AtomicI32::new(MOST))
    }

    /// Is the wait that has outlasted its spins now to be patient?
    pub(crate) fn should_spin(&self) -> bool {
        let trust = self.0.load(Relaxed);
        trust > 0 || trust <= -TRIAL
    }

    /// A wait that outlasted its spins has ended, or goes to sleep.
    pub(crate) fn learn(&self, patient: bool, came: bool) {
        self.0.store(next(self.0.load(Relaxed), patient, came), Relaxed);
    }
}

fn next(trust: i32, patient: bool, came: bool) -> i32 {
    match (patient, came) {
        (true, true) if trust > 0 => (trust + 1).min(MOST),
        (true, true) => FEW,
        (true, false) => (trust - PRICE).max(0),
        // Another thread may have won trust meanwhile.
        (false, _) if trust > 0 => trust,
        (false, _) => (trust - 1).max(-TRIAL),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Waits that end after `length_us`; how many of them were patient.
    fn patient_of(trust: &AdaptiveSpin, count: u32, length_us: impl Fn(u32) -> u32) -> u32 {
        const BUDGET_US: u32 = 40;
        (0..count).fold(0, |patients, wait| {
            let patient = trust.should_spin();
            trust.learn(patient, length_us(wait) <= if patient { BUDGET_US } else { 2 });
            patients + u32::from(patient)
        })
    }

    #[test]
    fn short_waits_keep_trust() {
        let trust = AdaptiveSpin::new();
        assert_eq!(patient_of(&trust, 1000, |_| 10), 1000);
        // A long one now and then does not shake it.
        assert_eq!(patient_of(&trust, 1000, |wait| if wait % 8 == 0 { 10_000 } else { 10 }), 1000);
    }

    #[test]
    fn long_waits_lose_it_quickly() {
        let trust = AdaptiveSpin::new();
        assert_eq!(patient_of(&trust, 10, |_| 1000), (MOST / PRICE) as u32);
        assert!(!trust.should_spin());
    }

    #[test]
    fn long_waits_try_rarely() {
        let trust = AdaptiveSpin::new();
        patient_of(&trust, 10, |_| 1000);
        let patients = patient_of(&trust, 65 * 100, |_| 1000);
        assert!((99..=101).contains(&patients), "{patients}");
    }

    #[test]
    fn one_trial_that_goes_well_brings_it_back() {
        let trust = AdaptiveSpin::new();
        patient_of(&trust, 10, |_| 1000);
        assert!(patient_of(&trust, 100, |_| 10) > 30);
        assert_eq!(patient_of(&trust, 100, |_| 10), 100);
        assert_eq!(trust.0.load(Relaxed), MOST);
    }

    /// Whoever comes in pairs is mostly waited for without wait.
    #[test]
    fn every_other_long_wait_is_not_worth_it() {
        let trust = AdaptiveSpin::new();
        patient_of(&trust, 100, |_| 1000);
        let patients = patient_of(&trust, 6400, |wait| if wait % 2 == 0 { 1000 } else { 2 });
        assert!(patients < 400, "{patients}");
    }

    /// Invariant 1: whatever is lost between threads, it stays in its bounds, and a trial comes.
    #[test]
    fn stays_in_bounds() {
        for trust in -TRIAL..=MOST {
            for (patient, came) in [(false, false), (false, true), (true, false), (true, true)] {
                assert!((-TRIAL..=MOST).contains(&next(trust, patient, came)), "{trust} {patient} {came}");
            }
        }
    }
}
