//! The barrier.

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
            assert!(passed == 0 || usize::from(passed) + dead >= self.parties, "phase {phase} was passed by too few: {self:?}");
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
