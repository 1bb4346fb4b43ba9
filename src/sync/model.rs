//! The protocols of the semaphore and the barrier as state machines: every order of steps, and a
//! kill at every step.
//!
//! A step is one atomic instruction on a shared word, or all that is done under the lock between
//! two of them. The lock itself is modelled in `lock/model.rs`: here it is taken, or taken over
//! from the dead, in one step.

use crate::lock::model::{Machine, explore};

mod semaphore {
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
        total_first: bool,
    }

    impl State {
        fn new(kinds: &[Kind], permits: u8, releases: u8) -> State {
            let takers = kinds.iter().map(|&kind| (kind, Taker::Lock)).collect();
            let table = vec![0; kinds.len()];
            State { takers, releases, total: permits, table, lock: None, made: permits, gone: 0, total_first: false }
        }

        /// What the living hold as guards.
        fn held(&self) -> u8 {
            let alive = |i: &usize| self.takers[*i].1 != Taker::Dead;
            (0..self.table.len()).filter(alive).map(|i| self.table[i]).sum()
        }

        fn check(&self) {
            let held = self.held();
            assert!(held + self.gone <= self.made, "more permits are out than there are: {self:?}");
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
                        next.total += 1;
                        next.gone -= 1;
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
                let total = self.total + 1;
                next.push(State { releases: self.releases - 1, total, made: self.made + 1, ..self.clone() });
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
        println!("{states} states");
        assert!(states > 10_000, "{states} states are not all");
    }

    #[test]
    #[should_panic(expected = "more permits are out")]
    fn a_total_read_before_the_table_would_give_one_twice() {
        explore(State { total_first: true, ..State::new(&[Kind::Forgotten, Kind::Guard], 1, 0) }, 0);
    }
}

mod barrier {
    use super::{Machine, explore};

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Phase {
        Open,
        Broken,
        Ended,
        EndedNextBroken,
    }

    /// What comes behind a change to the next phase.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Then {
        Arrive,
        Leads {
            phase: u8,
        },
        /// It finished the phase of a dead leader, and its own reset comes now.
        Reset,
        Leaves,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Step {
        Lock,
        Arrive,
        Probe,
        End {
            phase: u8,
        },
        Bits {
            then: Then,
        },
        Clear {
            then: Then,
        },
        Advance {
            then: Then,
        },
        Unlock {
            outcome: Option<(u8, bool)>,
            wait: Option<u8>,
        },
        Wait {
            phase: u8,
        },
        /// A reset's part before the next phase.
        Break,
        Gone,
        Dead,
    }

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct State {
        /// Parties, and one that resets, if there is one, behind them.
        steps: Vec<Step>,
        rounds: Vec<u8>,
        parties: usize,
        phase: (u8, Phase),
        broken_bits: Vec<bool>,
        arrived: u8,
        table: Vec<u8>,
        lock: Option<usize>,
        /// What the parties that arrived in a phase learnt of it: how many passed, how many did
        /// not.
        learnt: Vec<(u8, u8)>,
        /// A party was late since the last reset: it will not arrive, and the others must not wait
        /// for it.
        is_missed: bool,
    }

    const PHASES: usize = 5;

    impl State {
        fn new(parties: usize, rounds: u8, resets: bool) -> State {
            let processes = parties + usize::from(resets);
            State {
                steps: vec![Step::Lock; processes],
                rounds: vec![rounds; processes],
                parties,
                phase: (0, Phase::Open),
                broken_bits: vec![false; PHASES],
                arrived: 0,
                table: vec![0; processes],
                lock: None,
                learnt: vec![(0, 0); PHASES],
                is_missed: false,
            }
        }

        fn learn(&mut self, phase: u8, passed: bool) {
            let learnt = &mut self.learnt[phase as usize];
            if passed {
                learnt.0 += 1
            } else {
                learnt.1 += 1
            }
            assert!(learnt.0 == 0 || learnt.1 == 0, "parties of one phase learn different things: {self:?}");
        }

        fn break_open(&mut self, phase: u8) -> bool {
            let breaks = self.phase == (phase, Phase::Open);
            if breaks {
                self.phase.1 = Phase::Broken;
            }
            breaks
        }

        /// Breaks the phase that is open, or the one behind a phase that has ended: by one that is
        /// late, or aborts.
        fn break_or_mark(&mut self) {
            self.phase.1 = match self.phase.1 {
                Phase::Open | Phase::Broken => Phase::Broken,
                Phase::Ended | Phase::EndedNextBroken => Phase::EndedNextBroken,
            };
        }

        fn end_of(&self, phase: u8) -> Option<bool> {
            match self.phase {
                (now, Phase::Open) if now == phase => None,
                (now, state) if now == phase => Some(state != Phase::Broken),
                _ => Some(!self.broken_bits[phase as usize]),
            }
        }

        fn again(&mut self, i: usize, passed: bool) -> Step {
            self.rounds[i] -= 1;
            if passed && self.rounds[i] > 0 { Step::Lock } else { Step::Gone }
        }

        fn step(&self, i: usize) -> Vec<State> {
            let mut next = self.clone();
            let is_resetter = i >= self.parties;
            next.steps[i] = match self.steps[i] {
                Step::Lock => {
                    let mut all = Vec::new();
                    if !is_resetter {
                        // Its time is up before it has the lock.
                        let mut late = self.clone();
                        late.break_or_mark();
                        late.is_missed = true;
                        late.steps[i] = Step::Gone;
                        all.push(late);
                    }
                    let dead = match self.lock {
                        Some(holder) if self.steps[holder] != Step::Dead => return all,
                        holder => holder.is_some(),
                    };
                    next.lock = Some(i);
                    let then = if is_resetter { Step::Break } else { Step::Arrive };
                    next.steps[i] = match self.phase.1 {
                        Phase::Ended | Phase::EndedNextBroken if dead => {
                            Step::Bits { then: if is_resetter { Then::Reset } else { Then::Arrive } }
                        }
                        Phase::Open if dead => {
                            next.phase.1 = Phase::Broken;
                            then
                        }
                        _ => then,
                    };
                    all.push(next);
                    return all;
                }
                Step::Break => {
                    if self.arrived > 0 {
                        next.break_open(self.phase.0);
                    }
                    Step::Bits { then: Then::Leaves }
                }
                Step::Arrive if self.phase.1 != Phase::Open => Step::Unlock { outcome: Some((self.phase.0, false)), wait: None },
                Step::Arrive => {
                    next.table[i] += 1;
                    next.arrived += 1;
                    if usize::from(next.arrived) == self.parties {
                        Step::Probe
                    } else {
                        Step::Unlock { outcome: None, wait: Some(self.phase.0) }
                    }
                }
                Step::Probe => {
                    let died = (0..self.table.len()).any(|j| self.table[j] > 0 && self.steps[j] == Step::Dead);
                    if died {
                        next.break_open(self.phase.0);
                        Step::Unlock { outcome: Some((self.phase.0, false)), wait: None }
                    } else {
                        Step::End { phase: self.phase.0 }
                    }
                }
                Step::End { phase } if self.phase == (phase, Phase::Open) => {
                    next.phase.1 = Phase::Ended;
                    Step::Bits { then: Then::Leads { phase } }
                }
                Step::End { phase } => Step::Unlock { outcome: Some((phase, false)), wait: None },
                Step::Bits { then } => {
                    next.broken_bits[self.phase.0 as usize] = self.phase.1 == Phase::Broken;
                    Step::Clear { then }
                }
                Step::Clear { then } => {
                    next.table.iter_mut().for_each(|count| *count = 0);
                    next.arrived = 0;
                    Step::Advance { then }
                }
                Step::Advance { then } => {
                    let is_broken = self.phase.1 == Phase::EndedNextBroken;
                    next.phase = (self.phase.0 + 1, if is_broken { Phase::Broken } else { Phase::Open });
                    match then {
                        Then::Arrive => Step::Arrive,
                        Then::Leads { phase } => Step::Unlock { outcome: Some((phase, true)), wait: None },
                        Then::Reset => Step::Break,
                        Then::Leaves => {
                            next.is_missed = false;
                            Step::Unlock { outcome: None, wait: None }
                        }
                    }
                }
                Step::Unlock { outcome, wait } => {
                    next.lock = None;
                    match (outcome, wait) {
                        (Some((phase, passed)), _) => {
                            next.learn(phase, passed);
                            next.again(i, passed)
                        }
                        (None, Some(phase)) => Step::Wait { phase },
                        (None, None) => Step::Gone,
                    }
                }
                Step::Wait { phase } => {
                    assert!(
                        !self.is_missed || self.phase != (phase, Phase::Open),
                        "a party was late, and others wait for it: {self:?}"
                    );
                    let (passed, is_over) = match self.end_of(phase) {
                        Some(passed) => (passed, true),
                        // Its time is up, or it finds a dead party.
                        None => (false, next.break_open(phase)),
                    };
                    assert!(is_over, "nothing comes between in one step");
                    next.learn(phase, passed);
                    next.again(i, passed)
                }
                Step::Gone | Step::Dead => return Vec::new(),
            };
            vec![next]
        }
    }

    impl Machine for State {
        fn steps(&self) -> Vec<State> {
            (0..self.steps.len()).flat_map(|i| self.step(i)).collect()
        }

        fn kills(&self) -> Vec<State> {
            let alive = (0..self.steps.len()).filter(|&i| !matches!(self.steps[i], Step::Gone | Step::Dead));
            let killed = alive.map(|i| {
                let mut next = self.clone();
                next.steps[i] = Step::Dead;
                next
            });
            killed.collect()
        }

        fn end_slices(&self) -> Option<State> {
            None
        }

        fn check_rest(&self, _: bool) {
            for (phase, &(passed, _)) in self.learnt.iter().enumerate() {
                let dead = self.steps.iter().filter(|&&step| step == Step::Dead).count();
                assert!(
                    passed == 0 || usize::from(passed) + dead >= self.parties,
                    "phase {phase} was passed by too few: {self:?}"
                );
            }
        }
    }

    #[test]
    fn all_parties_of_a_phase_learn_the_same() {
        for (parties, rounds, resets, kills) in
            [(2, 2, false, 2), (2, 2, true, 1), (3, 1, false, 1), (3, 2, false, 0), (1, 2, true, 2)]
        {
            let states = explore(State::new(parties, rounds, resets), kills);
            println!("{parties} parties, {rounds} rounds, reset {resets}, {kills} kills: {states} states");
            assert!(states > 20, "{states} states are not all");
        }
    }
}
