//! The places of a condition variable, and its notices: none is spent on the dead.
//!
//! Each waiter has a place of its own. The lock that the waiters release is left out: notices are
//! given without it, too. A waiter probes for notices of the dead whenever there are some.

use super::{Machine, explore};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Word {
    Free,
    Waiting { waiter: usize },
    Notified { waiter: usize },
    Handing { finder: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    word: Word,
    order: u8,
    bound: u8,
}

/// What comes behind giving notices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Then {
    End,
    /// Frees the place whose notice was handed on, and waits on.
    FreeAndWait {
        place: usize,
        word: Word,
    },
    /// The same, and is gone.
    FreeAndEnd {
        place: usize,
        word: Word,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// A notifier: once all early waiters wait, or are dead.
    Start,
    /// A late waiter begins once the notifier has ended.
    Claim,
    Asleep,
    /// It has found the notice of a dead process.
    TakeOver {
        place: usize,
        word: Word,
    },
    /// Relocked, with a notice or without.
    Leave,
    GiveUp,
    Pick {
        left: u8,
        before: u8,
        then: Then,
    },
    Probe {
        place: usize,
        word: Word,
        left: u8,
        before: u8,
        then: Then,
    },
    FreeDead {
        place: usize,
        word: Word,
        left: u8,
        before: u8,
        then: Then,
    },
    Bound {
        place: usize,
        word: Word,
        left: u8,
        before: u8,
        then: Then,
    },
    Give {
        place: usize,
        word: Word,
        left: u8,
        before: u8,
        then: Then,
    },
    Behind {
        then: Then,
    },
    Returned {
        noticed: bool,
    },
    GaveUp,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Waits,
    /// Its time may be up.
    MayTimeOut,
    /// Its stop may be set.
    MayGiveUp,
    /// Begins after the notifier.
    WaitsLate,
    Notifies {
        count: u8,
    },
}

/// Which rule is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Flaw {
    None,
    /// Notices of the dead are not handed on.
    HandsNothingOn,
    /// The place of the dead is free before its notice is given to another.
    FreesFirst,
    /// A notice of the dead goes to any waiter.
    NoBound,
    /// A notifier gives notice to the dead, and does not know.
    NoProbe,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    steps: Vec<(Kind, Step)>,
    places: Vec<Place>,
    orders: u8,
    /// Processes that died while they handed a notice on: it may be given twice.
    doubled: u8,
    flaw: Flaw,
}

impl State {
    fn new(kinds: &[Kind], flaw: Flaw) -> State {
        let first = |kind| if matches!(kind, Kind::Notifies { .. }) { Step::Start } else { Step::Claim };
        State {
            steps: kinds.iter().map(|&kind| (kind, first(kind))).collect(),
            places: vec![Place { word: Word::Free, order: 0, bound: 0 }; kinds.len()],
            orders: 0,
            doubled: 0,
            flaw,
        }
    }

    fn is_dead(&self, i: usize) -> bool {
        self.steps[i].1 == Step::Dead
    }

    fn notifier_is_done(&self) -> bool {
        self.steps.iter().all(|(kind, step)| !matches!(kind, Kind::Notifies { .. }) || matches!(step, Step::GaveUp | Step::Dead))
    }

    /// The oldest that waits, of those before `before`.
    fn oldest(&self, before: u8) -> Option<(usize, Word)> {
        let waits = |place: &Place| matches!(place.word, Word::Waiting { .. });
        let candidates = (0..self.places.len()).filter(|&i| waits(&self.places[i]) && self.places[i].order < before);
        candidates.min_by_key(|&i| self.places[i].order).map(|i| (i, self.places[i].word))
    }

    fn next_of_waiter(&self, i: usize, kind: Kind) -> Vec<State> {
        let go = |step| {
            let mut next = self.clone();
            next.steps[i].1 = step;
            next
        };
        let mut all = Vec::new();
        if self.places[i].word != (Word::Waiting { waiter: i }) {
            all.push(go(Step::Leave));
        }
        match kind {
            Kind::MayTimeOut => all.push(go(Step::Leave)),
            Kind::MayGiveUp => all.push(go(Step::GiveUp)),
            _ => {}
        }
        for (place, found) in self.places.iter().enumerate() {
            let (Word::Notified { waiter: owner } | Word::Handing { finder: owner }) = found.word else { continue };
            if self.is_dead(owner) && self.flaw != Flaw::HandsNothingOn {
                all.push(go(Step::TakeOver { place, word: found.word }));
            }
        }
        all
    }

    fn step(&self, i: usize) -> Vec<State> {
        let mut next = self.clone();
        let (kind, step) = self.steps[i];
        let limit = |bound| if self.flaw == Flaw::NoBound { u8::MAX } else { bound };
        next.steps[i].1 = match step {
            Step::Start => {
                let waits =
                    |&(kind, step): &(Kind, Step)| matches!(kind, Kind::WaitsLate | Kind::Notifies { .. }) || step != Step::Claim;
                let Kind::Notifies { count } = kind else { return Vec::new() };
                if !self.steps.iter().all(waits) {
                    return Vec::new();
                }
                Step::Pick { left: count, before: self.orders, then: Then::End }
            }
            Step::Claim if kind == Kind::WaitsLate && !self.notifier_is_done() => return Vec::new(),
            Step::Claim => {
                next.places[i] = Place { word: Word::Waiting { waiter: i }, order: self.orders, bound: 0 };
                next.orders += 1;
                Step::Asleep
            }
            Step::Asleep => return self.next_of_waiter(i, kind),
            Step::TakeOver { place, word } if self.places[place].word != word => Step::Asleep,
            Step::TakeOver { place, .. } => {
                let word = if self.flaw == Flaw::FreesFirst { Word::Free } else { Word::Handing { finder: i } };
                next.places[place].word = word;
                let then = Then::FreeAndWait { place, word };
                Step::Pick { left: 1, before: limit(self.places[place].bound), then }
            }
            Step::Leave => {
                let noticed = self.places[i].word != (Word::Waiting { waiter: i });
                next.places[i].word = Word::Free;
                Step::Returned { noticed }
            }
            Step::GiveUp if self.places[i].word == (Word::Waiting { waiter: i }) => {
                next.places[i].word = Word::Free;
                Step::GaveUp
            }
            Step::GiveUp => {
                let (place, word) = (i, self.places[i].word);
                Step::Pick { left: 1, before: limit(self.places[i].bound), then: Then::FreeAndEnd { place, word } }
            }
            Step::Pick { left: 0, then, .. } => Step::Behind { then },
            Step::Pick { left, before, then } => match self.oldest(before) {
                None => Step::Behind { then },
                Some((place, word)) => Step::Probe { place, word, left, before, then },
            },
            Step::Probe { place, word, left, before, then } => {
                let Word::Waiting { waiter } = word else { unreachable!("only waiters are picked") };
                if self.is_dead(waiter) && self.flaw != Flaw::NoProbe {
                    Step::FreeDead { place, word, left, before, then }
                } else {
                    Step::Bound { place, word, left, before, then }
                }
            }
            Step::FreeDead { place, word, left, before, then } => {
                if self.places[place].word == word {
                    next.places[place].word = Word::Free;
                }
                Step::Pick { left, before, then }
            }
            Step::Bound { place, word, left, before, then } => {
                next.places[place].bound = before.max(self.places[place].bound);
                Step::Give { place, word, left, before, then }
            }
            Step::Give { place, word, left, before, then } => {
                let given = self.places[place].word == word;
                if let (true, Word::Waiting { waiter }) = (given, word) {
                    next.places[place].word = Word::Notified { waiter };
                }
                Step::Pick { left: left - u8::from(given), before, then }
            }
            Step::Behind { then: Then::End } => Step::GaveUp,
            Step::Behind { then: Then::FreeAndWait { place, word } | Then::FreeAndEnd { place, word } } => {
                if self.places[place].word == word {
                    next.places[place].word = Word::Free;
                }
                if kind != Kind::MayGiveUp || place != i { Step::Asleep } else { Step::GaveUp }
            }
            Step::Returned { .. } | Step::GaveUp | Step::Dead => return Vec::new(),
        };
        vec![next]
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        (0..self.steps.len()).flat_map(|i| self.step(i)).collect()
    }

    fn kills(&self) -> Vec<State> {
        let is_over = |step| matches!(step, Step::Returned { .. } | Step::GaveUp | Step::Dead);
        let alive = (0..self.steps.len()).filter(|&i| !is_over(self.steps[i].1));
        // The notifier's own death ends its call: what it had not given is not owed.
        let killed = alive.filter(|&i| !matches!(self.steps[i].0, Kind::Notifies { .. })).map(|i| {
            let mut next = self.clone();
            next.steps[i].1 = Step::Dead;
            let then = match self.steps[i].1 {
                Step::Pick { then, .. }
                | Step::Probe { then, .. }
                | Step::FreeDead { then, .. }
                | Step::Bound { then, .. }
                | Step::Give { then, .. }
                | Step::Behind { then } => then,
                _ => Then::End,
            };
            next.doubled += u8::from(then != Then::End);
            next
        });
        killed.collect()
    }

    fn end_slices(&self) -> Option<State> {
        None
    }

    fn check_rest(&self, _: bool) {
        let count: u8 = self.steps.iter().map(|(kind, _)| if let Kind::Notifies { count } = kind { *count } else { 0 }).sum();
        let of = |late: bool, wanted: Step| {
            let is_one = |&&(kind, step): &&(Kind, Step)| (kind == Kind::WaitsLate) == late && step == wanted;
            self.steps.iter().filter(is_one).count() as u8
        };
        let noticed = of(false, Step::Returned { noticed: true });
        assert!(noticed >= count || of(false, Step::Asleep) == 0, "a notice was lost beside a live waiter: {self:?}");
        assert!(noticed <= count + self.doubled, "more were woken than there were notices: {self:?}");
        assert_eq!(of(true, Step::Returned { noticed: true }), 0, "a later waiter had the notice: {self:?}");
    }
}

#[test]
fn no_notice_is_lost_or_given_to_the_dead() {
    use Kind::{MayGiveUp, MayTimeOut, Notifies, Waits, WaitsLate};
    let mut states = 0;
    for (kinds, kills) in [
        (&[Waits, Waits, Waits, Notifies { count: 1 }][..], 2),
        (&[Waits, Waits, Waits, Notifies { count: 2 }], 2),
        (&[Waits, Waits, Notifies { count: 1 }, Notifies { count: 1 }], 2),
        (&[Waits, MayTimeOut, Waits, Notifies { count: 1 }], 2),
        (&[Waits, MayGiveUp, Waits, Notifies { count: 1 }], 2),
        (&[Waits, MayGiveUp, MayTimeOut, Notifies { count: 2 }], 1),
        (&[Waits, Waits, WaitsLate, Notifies { count: 1 }], 2),
        (&[Waits, MayGiveUp, WaitsLate, Notifies { count: 2 }], 2),
    ] {
        states += explore(State::new(kinds, Flaw::None), kills);
    }
    println!("{states} states");
    assert!(states > 10_000, "{states} states are not all");
}

#[test]
#[should_panic(expected = "a notice was lost")]
fn a_notice_that_is_not_handed_on_dies_with_its_waiter() {
    explore(State::new(&[Kind::Waits, Kind::Waits, Kind::Notifies { count: 1 }], Flaw::HandsNothingOn), 1);
}

#[test]
#[should_panic(expected = "a notice was lost")]
fn a_place_that_is_freed_first_loses_the_notice_with_a_second_death() {
    explore(State::new(&[Kind::Waits, Kind::Waits, Kind::Waits, Kind::Notifies { count: 1 }], Flaw::FreesFirst), 2);
}

#[test]
#[should_panic(expected = "a later waiter had the notice")]
fn a_notice_without_a_bound_goes_to_a_later_waiter() {
    explore(State::new(&[Kind::Waits, Kind::WaitsLate, Kind::Notifies { count: 1 }], Flaw::NoBound), 1);
}

#[test]
fn a_notifier_that_does_not_probe_only_delays() {
    let states = explore(State::new(&[Kind::Waits, Kind::Waits, Kind::Waits, Kind::Notifies { count: 1 }], Flaw::NoProbe), 1);
    assert!(states > 100, "{states} states are not all");
}
