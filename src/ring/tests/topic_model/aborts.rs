//! The loan of a dead process in a topic of slices: it is aborted, reclaimed, and overwritten by
//! payload that looks exactly like it, while others are about to abort it.
//!
//! A live endpoint and two subscribers find the loan. Each aborts it with the put side's lock held,
//! which a dead holder leaves to the next. What they must not do is to change that payload.

use crate::lock::model::{Machine, explore};
use std::fmt::Debug;

/// The word where the loan is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Word {
    Claimed,
    Done,
    /// Payload that looks like [`Word::Claimed`].
    Payload,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Flaw {
    None,
    EndpointTakesNoLock,
    SubscriberTakesNoLock,
    NotReadAgain,
    ReclaimNotReadAgain,
    ReclaimReadFirst,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// The endpoint's walk of reclaim; a subscriber's look at its place.
    Look,
    CheckReclaim,
    Lock,
    LookAgain,
    CheckReclaimAgain,
    Abort,
    Unlock,
    Reclaim,
    Overwrite,
    Gone,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    word: Word,
    has_passed: bool,
    /// Number of its holder, from 1 on.
    lock: u8,
    /// The endpoint first.
    steps: [Step; 3],
    flaw: Flaw,
}

impl State {
    fn new(flaw: Flaw) -> State {
        State { word: Word::Claimed, has_passed: false, lock: 0, steps: [Step::Look; 3], flaw }
    }

    fn is_endpoint(i: usize) -> bool {
        i == 0
    }

    fn step(&self, i: usize) -> Option<State> {
        let mut next = *self;
        let has = |flaw| self.flaw == flaw;
        let looks_claimed = self.word != Word::Done;
        let without_lock = if Self::is_endpoint(i) { Flaw::EndpointTakesNoLock } else { Flaw::SubscriberTakesNoLock };
        let to_lock = if has(without_lock) { Step::Abort } else { Step::Lock };
        next.steps[i] = match self.steps[i] {
            Step::Look if Self::is_endpoint(i) => {
                if looks_claimed {
                    to_lock
                } else {
                    Step::Reclaim
                }
            }
            Step::Look if has(Flaw::ReclaimReadFirst) => to_lock,
            Step::Look if looks_claimed => Step::CheckReclaim,
            Step::Look | Step::CheckReclaim if self.has_passed => Step::Gone,
            Step::Look => Step::Gone,
            Step::CheckReclaim => to_lock,
            Step::Lock => {
                let is_held = self.lock != 0 && self.steps[self.lock as usize - 1] != Step::Dead;
                if is_held {
                    return None;
                }
                next.lock = i as u8 + 1;
                match () {
                    () if has(Flaw::NotReadAgain) => Step::Abort,
                    () if has(Flaw::ReclaimReadFirst) => Step::CheckReclaimAgain,
                    () => Step::LookAgain,
                }
            }
            Step::LookAgain if !looks_claimed => Step::Unlock,
            Step::LookAgain if has(Flaw::ReclaimReadFirst) || has(Flaw::ReclaimNotReadAgain) => Step::Abort,
            Step::LookAgain => Step::CheckReclaimAgain,
            Step::CheckReclaimAgain if self.has_passed => Step::Unlock,
            Step::CheckReclaimAgain if has(Flaw::ReclaimReadFirst) => Step::LookAgain,
            Step::CheckReclaimAgain => Step::Abort,
            Step::Abort => {
                assert!(self.word != Word::Payload, "a payload was changed: {self:?}");
                next.word = Word::Done;
                if to_lock == Step::Lock { Step::Unlock } else { self.after_abort(i) }
            }
            Step::Unlock => {
                next.lock = 0;
                self.after_abort(i)
            }
            Step::Reclaim => {
                next.has_passed = true;
                Step::Overwrite
            }
            Step::Overwrite => {
                next.word = Word::Payload;
                Step::Gone
            }
            Step::Gone | Step::Dead => return None,
        };
        Some(next)
    }

    fn after_abort(&self, i: usize) -> Step {
        if Self::is_endpoint(i) { Step::Look } else { Step::Gone }
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        (0..3).filter_map(|i| self.step(i)).collect()
    }

    fn kills(&self) -> Vec<State> {
        let killed = |i: usize| {
            let mut next = *self;
            next.steps[i] = Step::Dead;
            next
        };
        (0..3).filter(|&i| !matches!(self.steps[i], Step::Gone | Step::Dead)).map(killed).collect()
    }

    fn end_slices(&self) -> Option<State> {
        None
    }

    fn check_rest(&self, _: bool) {
        assert!(self.steps.iter().all(|step| matches!(step, Step::Gone | Step::Dead)), "something hangs: {self:?}");
        assert!(self.steps[0] == Step::Dead || self.word == Word::Payload, "the loan stops the endpoint: {self:?}");
    }
}

#[test]
fn a_dead_loan_is_aborted_once_and_no_payload_is_mistaken_for_it() {
    let states = explore(State::new(Flaw::None), 2);
    assert!(states > 100, "{states} states are not all");
}

#[test]
#[should_panic(expected = "a payload was changed")]
fn an_endpoint_that_aborts_without_the_lock_would_let_a_subscriber_change_its_payload() {
    explore(State::new(Flaw::EndpointTakesNoLock), 0);
}

#[test]
#[should_panic(expected = "a payload was changed")]
fn a_subscriber_that_aborts_without_the_lock_would_change_payload() {
    explore(State::new(Flaw::SubscriberTakesNoLock), 0);
}

#[test]
#[should_panic(expected = "a payload was changed")]
fn a_word_that_was_read_before_the_lock_would_be_payload_by_then() {
    explore(State::new(Flaw::NotReadAgain), 0);
}

#[test]
#[should_panic(expected = "a payload was changed")]
fn a_word_that_is_not_checked_against_reclaim_under_the_lock_would_be_payload() {
    explore(State::new(Flaw::ReclaimNotReadAgain), 0);
}

#[test]
#[should_panic(expected = "a payload was changed")]
fn reclaim_that_is_read_before_the_word_would_prove_nothing() {
    explore(State::new(Flaw::ReclaimReadFirst), 0);
}
