//! All interleavings of a caller with a check, a second caller, one that publishes a message, and a
//! process that holds the lock for a while: that no wake is lost with a call that its check ends, that
//! no check runs with the lock held, and that no deadline is reported over a message. There are no
//! slices: what only the end of a slice would mend is a fault here. Each rule of `check.rs` can be left
//! out, and is shown to be needed.

use std::collections::HashSet;

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    /// Invariant 1: the check is asked outside the lock.
    holds_nothing: bool,
    /// Invariant 2: it tries between its sleep and the check.
    tries_first: bool,
    /// Invariant 2: a call that ends by its check without a try passes the wake on.
    passes_on: bool,
    /// Invariant 3: it tries between the check and the deadline.
    tries_after: bool,
    /// Invariant 1: it is not counted as a sleeper while the check runs.
    deregisters: bool,
}

const ALL: Rules = Rules { holds_nothing: true, tries_first: true, passes_on: true, tries_after: true, deregisters: true };

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Try,
    Register,
    CheckAgain,
    Asleep,
    /// Out of its sleep: what follows is a try, and before that the check if a signal came.
    Woken,
    WaitForLock,
    /// In the check, on its way from the ring or from the lock.
    Checking,
    AfterCheck,
    PassOn,
    Got,
    Ended,
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    message: bool,
    /// Who sleeps or is about to, as the notifier sees them: the sequence that they will compare.
    sequence: u8,
    seen: [u8; 2],
    counted: [bool; 2],
    asleep: [bool; 2],
    callers: [Caller; 2],
    /// Of the first caller, which has the check: a signal that it has not answered.
    signal: bool,
    signals_left: u8,
    /// It is in the check while it holds the lock.
    holds: bool,
    /// The clock has passed its deadline. `late_message`: there was one before.
    is_late: bool,
    message_before_deadline: bool,
    /// A third process: holds the lock, or has had it.
    other_holds: bool,
    other_left: u8,
    /// 0: not yet; 1: published; 2: woke; 3: done.
    putter: u8,
}

const FIRST: usize = 0;

impl World {
    fn new() -> World {
        World {
            message: false,
            sequence: 0,
            seen: [0; 2],
            counted: [false; 2],
            asleep: [false; 2],
            callers: [Caller::Try; 2],
            signal: false,
            signals_left: 1,
            holds: false,
            is_late: false,
            message_before_deadline: false,
            other_holds: false,
            other_left: 1,
            putter: 0,
        }
    }

    /// Wakes one sleeper: one world for each that it may be. With none asleep, those that are counted
    /// do not fall asleep (`lock/futex.rs`, a new epoch).
    fn wake_one(mut self) -> Vec<World> {
        if !self.counted.contains(&true) {
            return vec![self];
        }
        self.sequence += 1;
        let sleepers: Vec<usize> = (0..2).filter(|&at| self.asleep[at]).collect();
        if sleepers.is_empty() {
            return vec![self];
        }
        let woken = |at: usize| {
            let mut world = self;
            world.asleep[at] = false;
            world.callers[at] = Caller::Woken;
            world
        };
        sleepers.into_iter().map(woken).collect()
    }

    fn with(mut self, at: usize, next: Caller) -> World {
        self.callers[at] = next;
        self
    }

    fn try_to_take(mut self, at: usize) -> World {
        if self.message && self.other_holds {
            return self.with(at, Caller::WaitForLock);
        }
        if self.message {
            self.message = false;
            return self.with(at, Caller::Got);
        }
        self.with(at, if at == FIRST && self.signal { Caller::Checking } else { Caller::Register })
    }

    fn caller_steps(mut self, at: usize, rules: Rules) -> Result<Vec<World>, &'static str> {
        Ok(match self.callers[at] {
            // The deadline is reported after a try only.
            Caller::Try if at == FIRST && self.is_late && !self.message => vec![self.with(at, Caller::TimedOut)],
            Caller::Try => vec![self.try_to_take(at)],
            Caller::Register => {
                self.seen[at] = self.sequence;
                self.counted[at] = true;
                vec![self.with(at, Caller::CheckAgain)]
            }
            Caller::CheckAgain if self.message => {
                self.counted[at] = false;
                vec![self.with(at, Caller::Try)]
            }
            // The kernel compares the sequence.
            Caller::CheckAgain if self.sequence != self.seen[at] => vec![self.with(at, Caller::Woken)],
            Caller::CheckAgain => {
                self.asleep[at] = true;
                vec![self.with(at, Caller::Asleep)]
            }
            Caller::Asleep if at == FIRST && self.signals_left > 0 => {
                // EINTR: no wake was for it.
                self.signals_left -= 1;
                self.signal = true;
                self.asleep[at] = false;
                vec![self.with(at, Caller::Woken)]
            }
            Caller::Asleep => vec![],
            Caller::Woken => {
                let leaves_count = at == FIRST && self.signal && !rules.deregisters;
                self.counted[at] = leaves_count;
                let asks_at_once = at == FIRST && self.signals_left > 0 && !rules.tries_first;
                if asks_at_once {
                    // A wake and then a signal: the check before the try.
                    self.signals_left -= 1;
                    self.signal = true;
                }
                vec![self.with(at, if asks_at_once { Caller::Checking } else { Caller::Try })]
            }
            Caller::WaitForLock if !self.other_holds => vec![self.with(at, Caller::Try)],
            Caller::WaitForLock if at == FIRST && (self.signal || self.signals_left > 0) => {
                if !self.signal {
                    self.signals_left -= 1;
                }
                self.signal = true;
                vec![self.with(at, Caller::Checking)]
            }
            Caller::WaitForLock => vec![],
            Caller::Checking => {
                self.signal = false;
                if !rules.holds_nothing && !self.holds {
                    self.holds = true;
                    return Ok(vec![self]);
                }
                // The check puts into the same queue.
                if self.holds {
                    return Err("the check waits for a lock that its own call holds");
                }
                let ended = if rules.passes_on { Caller::PassOn } else { Caller::Ended };
                vec![self.with(at, Caller::AfterCheck), self.with(at, ended)]
            }
            Caller::AfterCheck if rules.tries_after => vec![self.with(at, Caller::Try)],
            Caller::AfterCheck if self.is_late => vec![self.with(at, Caller::TimedOut)],
            Caller::AfterCheck => vec![self.with(at, Caller::Try)],
            Caller::PassOn => {
                let left = self.with(at, Caller::Ended);
                if left.message { left.wake_one() } else { vec![left] }
            }
            Caller::TimedOut if self.message_before_deadline && self.message => {
                return Err("a deadline is reported over a message that came before it");
            }
            Caller::Got | Caller::Ended | Caller::TimedOut => vec![],
        })
    }

    fn other_steps(self) -> Vec<World> {
        let mut worlds = Vec::new();
        if self.other_holds {
            worlds.push(World { other_holds: false, ..self });
        } else if self.other_left > 0 {
            worlds.push(World { other_holds: true, other_left: self.other_left - 1, ..self });
        }
        if !self.is_late {
            worlds.push(World { is_late: true, message_before_deadline: self.message, ..self });
        }
        match self.putter {
            0 => worlds.push(World { message: true, putter: 1, ..self }),
            1 => worlds.extend(World { putter: 2, ..self }.wake_one()),
            _ => {}
        }
        worlds
    }

    /// A world in which nothing more happens.
    fn check_at_rest(&self) -> Result<(), &'static str> {
        if self.message && self.asleep.contains(&true) {
            return Err("a caller sleeps beside a message");
        }
        if self.callers[FIRST] == Caller::Ended && self.counted[FIRST] {
            return Err("a call that has ended counts as a sleeper");
        }
        Ok(())
    }
}

/// Visits every state. `Err`: what went wrong in one.
fn explore(rules: Rules) -> Result<usize, &'static str> {
    let mut seen = HashSet::new();
    let mut left = vec![World::new()];
    while let Some(world) = left.pop() {
        if !seen.insert(world) {
            continue;
        }
        let mut next = world.other_steps();
        for at in 0..2 {
            next.extend(world.caller_steps(at, rules)?);
        }
        // A signal need not come: a caller that could be woken by one only is at rest.
        let rests = World { signals_left: 0, ..world };
        if rests.other_steps().is_empty() && rests.caller_steps(0, rules)?.is_empty() && rests.caller_steps(1, rules)?.is_empty()
        {
            world.check_at_rest()?;
        }
        left.extend(next);
    }
    Ok(seen.len())
}

#[test]
fn no_wake_is_lost_with_a_call_that_its_check_ends() {
    let states = explore(ALL).unwrap();
    assert!(states > 500, "{states}");
}

#[test]
fn each_rule_is_needed() {
    for (without, fault) in [
        (Rules { holds_nothing: false, ..ALL }, "the check waits for a lock that its own call holds"),
        (Rules { tries_first: false, passes_on: false, ..ALL }, "a caller sleeps beside a message"),
        (Rules { passes_on: false, ..ALL }, "a caller sleeps beside a message"),
        (Rules { tries_after: false, ..ALL }, "a deadline is reported over a message that came before it"),
        (Rules { deregisters: false, ..ALL }, "a call that has ended counts as a sleeper"),
    ] {
        assert_eq!(explore(without), Err(fault), "{without:?}");
    }
}
