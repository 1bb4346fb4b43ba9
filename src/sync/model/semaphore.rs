//! The semaphore.

use super::{Machine, explore};

/// A process that takes a permit, as a guard or for good, and gives it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Taker {
    Lock,
    /// The table first, then `total`.
    ReadTable,
    ReadTotal {
        held: u8,
    },
    /// The wrong order, for the test that must fail.
    ReadTotalFirst,
    ReadTableLast {
        total: u8,
    },
    Commit {
        available: u8,
    },
    Unlock {
        took: bool,
    },
    /// Outside the lock, with a permit or without.
    Has,
    LowerTotal,
    LowerTable,
    Gone,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// `permit`, and its drop.
    Guard,
    /// `permit`, and `forget`.
    Forgotten,
    /// `acquire`, and `release`.
    ForGood,
    /// `acquire`, and nothing.
    Kept,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    takers: Vec<(Kind, Taker)>,
    /// Releases that are still to come, by callers that hold nothing and take no lock.
    releases: u8,
    total: u8,
    table: Vec<u8>,
    lock: Option<usize>,
    /// Permits that were ever made.
    made: u8,
    /// Permits that went for good: taken so, or forgotten, and not released.
    gone: u8,
    /// No release makes `total` greater.
    bound: u8,
    total_first: bool,
}

impl State {
    fn new(kinds: &[Kind], permits: u8, releases: u8) -> State {
        let takers = kinds.iter().map(|&kind| (kind, Taker::Lock)).collect();
        let table = vec![0; kinds.len()];
        State { takers, releases, total: permits, table, lock: None, made: permits, gone: 0, bound: u8::MAX, total_first: false }
    }

    /// What the living hold as guards.
    fn held(&self) -> u8 {
        let alive = |i: &usize| self.takers[*i].1 != Taker::Dead;
        (0..self.table.len()).filter(alive).map(|i| self.table[i]).sum()
    }

    fn check(&self) {
        let held = self.held();
        assert!(held + self.gone <= self.made, "more permits are out than there are: {self:?}");
        assert!(self.total <= self.bound, "more permits than the semaphore may have: {self:?}");
    }

    fn step_taker(&self, i: usize) -> Option<State> {
        let mut next = self.clone();
        let (kind, taker) = self.takers[i];
        next.takers[i].1 = match taker {
            Taker::Lock => {
                match self.lock {
                    Some(holder) if self.takers[holder].1 != Taker::Dead => return None,
                    // Reaps the dead, as the probe once a slice does.
                    _ => {
                        let dead = |j: usize| self.takers[j].1 == Taker::Dead;
                        (0..self.table.len()).filter(|&j| dead(j)).for_each(|j| next.table[j] = 0);
                    }
                }
                next.lock = Some(i);
                if self.total_first { Taker::ReadTotalFirst } else { Taker::ReadTable }
            }
            Taker::ReadTotalFirst => Taker::ReadTableLast { total: self.total },
            Taker::ReadTableLast { total } => Taker::Commit { available: total.saturating_sub(self.table.iter().sum()) },
            Taker::ReadTable => Taker::ReadTotal { held: self.table.iter().sum() },
            Taker::ReadTotal { held } => Taker::Commit { available: self.total.saturating_sub(held) },
            Taker::Commit { available: 0 } => Taker::Unlock { took: false },
            Taker::Commit { .. } => {
                match kind {
                    Kind::Guard | Kind::Forgotten => next.table[i] += 1,
                    Kind::ForGood | Kind::Kept => {
                        next.total -= 1;
                        next.gone += 1;
                    }
                }
                Taker::Unlock { took: true }
            }
            Taker::Unlock { took } => {
                next.lock = None;
                if took { Taker::Has } else { Taker::Gone }
            }
            Taker::Has => match kind {
                Kind::Guard => Taker::LowerTable,
                Kind::Forgotten => Taker::LowerTotal,
                Kind::ForGood => {
                    // Refused if others have released more than they acquired.
                    if self.total < self.bound {
                        next.total += 1;
                        next.gone -= 1;
                    }
                    Taker::Gone
                }
                Kind::Kept => Taker::Gone,
            },
            Taker::LowerTotal => {
                next.total -= 1;
                Taker::LowerTable
            }
            Taker::LowerTable => {
                next.table[i] -= 1;
                if kind == Kind::Forgotten {
                    next.gone += 1;
                }
                Taker::Gone
            }
            Taker::Gone | Taker::Dead => return None,
        };
        next.check();
        Some(next)
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let mut next: Vec<State> = (0..self.takers.len()).filter_map(|i| self.step_taker(i)).collect();
        if self.releases > 0 {
            let added = u8::from(self.total < self.bound);
            let (total, made) = (self.total + added, self.made + added);
            next.push(State { releases: self.releases - 1, total, made, ..self.clone() });
        }
        next
    }

    fn kills(&self) -> Vec<State> {
        let alive = (0..self.takers.len()).filter(|&i| !matches!(self.takers[i].1, Taker::Gone | Taker::Dead));
        let killed = alive.map(|i| {
            let mut next = self.clone();
            if self.takers[i] == (Kind::Forgotten, Taker::LowerTable) {
                // It had lowered `total`: the permit is gone, and its word goes with its death.
                next.gone += 1;
            }
            next.takers[i].1 = Taker::Dead;
            next
        });
        killed.collect()
    }

    fn end_slices(&self) -> Option<State> {
        None
    }

    fn check_rest(&self, _: bool) {
        assert_eq!(self.held(), 0, "a guard that was dropped is still counted: {self:?}");
        // With the words of the dead, which the next taker reaps.
        assert_eq!(self.total, self.made - self.gone, "permits were lost or made: {self:?}");
    }
}

#[test]
fn no_permit_is_lost_or_given_twice() {
    let all = [Kind::Guard, Kind::Forgotten, Kind::ForGood, Kind::Kept];
    let mut states = 0;
    for first in all {
        for second in all {
            for (permits, releases, kills) in [(0, 1, 2), (1, 0, 2), (1, 1, 1), (2, 0, 1)] {
                states += explore(State::new(&[first, second], permits, releases), kills);
            }
            for third in all {
                states += explore(State::new(&[first, second, third], 1, 1), 1);
            }
        }
    }
    for kinds in [[Kind::ForGood, Kind::ForGood], [Kind::ForGood, Kind::Guard], [Kind::Forgotten, Kind::ForGood]] {
        for permits in 1..=2 {
            states += explore(State { bound: permits, ..State::new(&kinds, permits, 2) }, 2);
        }
    }
    println!("{states} states");
    assert!(states > 10_000, "{states} states are not all");
}

#[test]
#[should_panic(expected = "more permits are out")]
fn a_total_read_before_the_table_would_give_one_twice() {
    explore(State { total_first: true, ..State::new(&[Kind::Forgotten, Kind::Guard], 1, 0) }, 0);
}
