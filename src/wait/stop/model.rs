//! All interleavings of one that sets a stop and one that sleeps by it: that no set is lost, and
//! that no walk touches what is unmapped. Sequentially consistent, as the fences make it. Each rule
//! of `watch_list.rs` and `mod.rs` can be left out, and is shown to be needed.

use std::collections::HashSet;

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    /// Watched before the sequence is read and the flag is checked.
    watches_first: bool,
    /// The flag is stored before the walk.
    flag_first: bool,
    /// A walk raises the sequence before it wakes.
    raises: bool,
    /// The slot is emptied before `walkers` is read, and walks are waited for.
    awaits_walks: bool,
    /// A walk counts itself before it reads the slot.
    counts_first: bool,
}

const ALL: Rules = Rules { watches_first: true, flag_first: true, raises: true, awaits_walks: true, counts_first: true };

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sleeper {
    Watch,
    ReadSequence,
    CheckFlag,
    LateWatch,
    EnterSleep,
    Asleep,
    Empty,
    AwaitWalks,
    Unmap,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Setter {
    StoreFlag,
    Count,
    ReadSlot,
    Raise,
    Wake,
    Uncount,
    LateFlag,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    flag: bool,
    slot: bool,
    walkers: u8,
    sequence: u8,
    /// What the sleeper read.
    seen: u8,
    mapped: bool,
    /// The walk found the slot taken.
    found: bool,
    sleeper: Sleeper,
    setter: Setter,
}

impl World {
    fn new(rules: Rules) -> World {
        World {
            flag: false,
            slot: false,
            walkers: 0,
            sequence: 0,
            seen: 0,
            mapped: true,
            found: false,
            sleeper: if rules.watches_first { Sleeper::Watch } else { Sleeper::ReadSequence },
            setter: if rules.flag_first { Setter::StoreFlag } else { Setter::Count },
        }
    }

    /// The sleeper's next step. `None`: it cannot go on by itself.
    fn sleeper_steps(mut self, rules: Rules) -> Option<World> {
        self.sleeper = match self.sleeper {
            Sleeper::Watch => {
                self.slot = true;
                Sleeper::ReadSequence
            }
            Sleeper::ReadSequence => {
                self.seen = self.sequence;
                Sleeper::CheckFlag
            }
            Sleeper::CheckFlag if self.flag => Sleeper::Empty,
            Sleeper::CheckFlag if rules.watches_first => Sleeper::EnterSleep,
            Sleeper::CheckFlag => Sleeper::LateWatch,
            Sleeper::LateWatch => {
                self.slot = true;
                Sleeper::EnterSleep
            }
            // The kernel compares the sequence.
            Sleeper::EnterSleep if self.sequence != self.seen => Sleeper::Empty,
            Sleeper::EnterSleep => Sleeper::Asleep,
            Sleeper::Asleep => return None,
            Sleeper::Empty => {
                self.slot = false;
                if rules.awaits_walks { Sleeper::AwaitWalks } else { Sleeper::Unmap }
            }
            Sleeper::AwaitWalks if self.walkers > 0 => return None,
            Sleeper::AwaitWalks => Sleeper::Unmap,
            Sleeper::Unmap => {
                self.mapped = false;
                Sleeper::Gone
            }
            Sleeper::Gone => return None,
        };
        Some(self)
    }

    /// The setter's next step; `Err` if it touches what is unmapped.
    fn setter_steps(mut self, rules: Rules) -> Option<Result<World, &'static str>> {
        self.setter = match self.setter {
            Setter::StoreFlag => {
                self.flag = true;
                if rules.counts_first { Setter::Count } else { Setter::ReadSlot }
            }
            Setter::Count => {
                self.walkers += 1;
                if rules.counts_first { Setter::ReadSlot } else { Setter::Raise }
            }
            Setter::ReadSlot => {
                self.found = self.slot;
                if rules.counts_first { Setter::Raise } else { Setter::Count }
            }
            Setter::Raise if self.found && !self.mapped => return Some(Err("a walk raises an unmapped word")),
            Setter::Raise => {
                self.sequence += u8::from(self.found && rules.raises);
                Setter::Wake
            }
            Setter::Wake if self.found && !self.mapped => return Some(Err("a walk wakes on an unmapped word")),
            Setter::Wake => {
                if self.found && self.sleeper == Sleeper::Asleep {
                    self.sleeper = Sleeper::Empty;
                }
                Setter::Uncount
            }
            Setter::Uncount => {
                self.walkers -= 1;
                if rules.flag_first { Setter::Done } else { Setter::LateFlag }
            }
            Setter::LateFlag => {
                self.flag = true;
                Setter::Done
            }
            Setter::Done => return None,
        };
        Some(Ok(self))
    }
}

/// Visits every state. `Err`: what went wrong in one.
fn explore(rules: Rules) -> Result<usize, &'static str> {
    let mut seen = HashSet::new();
    let mut left = vec![World::new(rules)];
    while let Some(world) = left.pop() {
        if !seen.insert(world) {
            continue;
        }
        let (sleeper, setter) = (world.sleeper_steps(rules), world.setter_steps(rules).transpose()?);
        if sleeper.is_none() && setter.is_none() && world.sleeper != Sleeper::Gone {
            return Err("the stop is set, and the sleeper sleeps on");
        }
        left.extend(sleeper.into_iter().chain(setter));
    }
    Ok(seen.len())
}

#[test]
fn no_set_is_lost_and_nothing_unmapped_is_touched() {
    let states = explore(ALL).unwrap();
    assert!(states > 50, "{states}");
}

#[test]
fn each_rule_is_needed() {
    for without in [
        Rules { watches_first: false, ..ALL },
        Rules { flag_first: false, ..ALL },
        Rules { raises: false, ..ALL },
        Rules { awaits_walks: false, ..ALL },
        Rules { counts_first: false, ..ALL },
    ] {
        assert!(explore(without).is_err(), "{without:?}");
    }
}
