//! Handing a sender over, dropping it and scanning, as a state machine: every order of steps, and a
//! kill at every step.
//!
//! A step is one access to a shared word, or one question to the kernel. A has the only sender at
//! first. It hands it over to B: in person (B makes its own, and A drops its own when it has heard
//! of that), or by a ticket, and drops its own at once. Each scans when it has dropped its own, and
//! a waiting receiver scans all the while.

use crate::lock::model::{Machine, explore};

const A: usize = 0;
const B: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Way {
    InPerson,
    ByTicket,
}

/// What the tests that must fail do otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fault {
    None,
    /// A scan does not compare the numbers of changes.
    IgnoresChanges,
    /// The number is raised before the bit is shown.
    RaisesFirst,
    /// The ticket is ended before the bit is shown.
    EndsTicketFirst,
    /// A drop is followed by no scan.
    DropsOnly,
    /// A scan believes the bits of the dead.
    TrustsTheDead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// A only: for a hand-over by ticket.
    TakeSlot,
    Send,
    /// A waits for B to have its own, B for what A sends.
    Wait,
    ShowBit,
    Raise,
    EndTicket,
    Has,
    HideBit,
    Scan(Scan),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Scan {
    /// The next word to read.
    at: At,
    changes: u8,
    /// Scans that may follow this one.
    left: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Changes,
    Entry(u8),
    /// Its bit was shown: is it alive?
    Probe(u8),
    Slot,
    ProbeSlot,
    Decide,
}

const SCAN: Scan = Scan { at: At::Changes, changes: 0, left: 1 };

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    way: Way,
    fault: Fault,
    /// Which of the two has the first entry of the table.
    first: usize,
    step: [Step; 2],
    waiter: Option<Scan>,
    dead: [bool; 2],
    bit: [bool; 2],
    /// In A's name.
    slot: bool,
    changes: u8,
    closed: bool,
    sent: bool,
    b_has: bool,
    /// Has A's handle, and B's, been dropped?
    dropped: [bool; 2],
    /// Has there been an instant without any sender?
    gap: bool,
    sliced: bool,
}

impl State {
    fn new(way: Way, first: usize, fault: Fault) -> State {
        let start = if way == Way::InPerson { Step::Send } else { Step::TakeSlot };
        State {
            way,
            fault,
            first,
            step: [start, Step::Wait],
            waiter: Some(SCAN),
            dead: [false; 2],
            bit: [true, false],
            slot: false,
            changes: 0,
            closed: false,
            sent: false,
            b_has: false,
            dropped: [false; 2],
            gap: false,
            sliced: false,
        }
    }

    /// Is there a sender: one that a caller has, or that is on its way in the name of a live A? One
    /// that arrived at a B that died is gone, and one that B died without is on its way for ever.
    fn has_sender(&self) -> bool {
        let on_its_way = self.way == Way::ByTicket && !self.b_has && (self.slot || !self.dead[B]);
        let of_a = !self.dropped[A] || on_its_way;
        let of_b = self.b_has && !self.dropped[B];
        (of_a && !self.dead[A]) || (of_b && !self.dead[B])
    }

    fn note(mut self) -> State {
        self.gap |= !self.has_sender();
        self
    }

    /// Order of B's steps when it has heard of the sender.
    fn arrival(&self) -> [Step; 4] {
        match self.fault {
            Fault::RaisesFirst => [Step::Raise, Step::ShowBit, Step::EndTicket, Step::Has],
            Fault::EndsTicketFirst => [Step::EndTicket, Step::ShowBit, Step::Raise, Step::Has],
            _ => [Step::ShowBit, Step::Raise, Step::EndTicket, Step::Has],
        }
    }

    fn step_of(&self, who: usize) -> Option<State> {
        let mut next = self.clone();
        next.step[who] = match self.step[who] {
            Step::TakeSlot => {
                next.slot = true;
                Step::Raise
            }
            Step::Send => {
                next.sent = true;
                match self.way {
                    Way::InPerson => Step::Wait,
                    Way::ByTicket => Step::HideBit,
                }
            }
            Step::Wait if who == A && self.b_has => Step::HideBit,
            Step::Wait if who == B && self.sent => self.arrival()[0],
            Step::Wait => return None,
            Step::Has => {
                next.b_has = true;
                Step::HideBit
            }
            Step::HideBit => {
                next.bit[who] = false;
                next.dropped[who] = true;
                if self.fault == Fault::DropsOnly { Step::Gone } else { Step::Scan(SCAN) }
            }
            Step::Scan(scan) => next.scan(scan).map_or(Step::Gone, Step::Scan),
            Step::Gone => return None,
            step @ (Step::ShowBit | Step::Raise | Step::EndTicket) => {
                match step {
                    Step::ShowBit => next.bit[who] = true,
                    Step::Raise => next.changes += 1,
                    _ => next.slot = false,
                }
                if who == A {
                    Step::Send
                } else {
                    let order = self.arrival();
                    order[order.iter().position(|&other| other == step)? + 1]
                }
            }
        };
        Some(next.note())
    }

    /// One step of a scan; `None`: it is over.
    fn scan(&mut self, scan: Scan) -> Option<Scan> {
        let entry = |number: u8| if number == 0 { self.first } else { 1 - self.first };
        let after = |number: u8| if number == 0 { At::Entry(1) } else { At::Slot };
        let at = match scan.at {
            At::Changes => return Some(Scan { at: At::Entry(0), changes: self.changes, ..scan }),
            At::Entry(number) if self.bit[entry(number)] => At::Probe(number),
            At::Entry(number) => after(number),
            At::Probe(number) if !self.dead[entry(number)] || self.fault == Fault::TrustsTheDead => return None,
            At::Probe(number) => after(number),
            At::Slot => {
                if self.slot {
                    At::ProbeSlot
                } else {
                    At::Decide
                }
            }
            At::ProbeSlot if !self.dead[A] => return None,
            At::ProbeSlot => At::Decide,
            At::Decide if self.changes == scan.changes || self.fault == Fault::IgnoresChanges => {
                assert!(self.closed || self.gap, "closed, and there was a sender all the time: {self:?}");
                self.closed = true;
                return None;
            }
            At::Decide if scan.left == 0 => return None,
            At::Decide => return Some(Scan { left: scan.left - 1, ..SCAN }),
        };
        Some(Scan { at, ..scan })
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let mut next: Vec<State> = (A..=B).filter(|&who| !self.dead[who]).filter_map(|who| self.step_of(who)).collect();
        if let Some(scan) = self.waiter {
            let mut scanned = self.clone();
            scanned.waiter = scanned.scan(scan);
            next.push(scanned);
        }
        next
    }

    fn kills(&self) -> Vec<State> {
        let killed = |who: usize| {
            let mut next = self.clone();
            next.dead[who] = true;
            // There is always one more slice.
            next.sliced = false;
            next.note()
        };
        (A..=B).filter(|&who| !self.dead[who]).map(killed).collect()
    }

    fn end_slices(&self) -> Option<State> {
        (!self.closed && !self.sliced).then(|| State { waiter: Some(SCAN), sliced: true, ..self.clone() })
    }

    fn check_rest(&self, was_killed: bool) {
        if !was_killed || self.sliced {
            assert!(self.closed || self.has_sender(), "no sender is left, and the queue is open: {self:?}");
        }
    }
}

fn run(way: Way, fault: Fault) -> usize {
    [A, B].map(|first| explore(State::new(way, first, fault).note(), 2)).iter().sum()
}

#[test]
fn a_queue_closes_once_no_sender_is_left_and_never_before() {
    let states = [Way::InPerson, Way::ByTicket].map(|way| run(way, Fault::None));
    assert!(states.iter().all(|&states| states > 1_000), "{states:?}");
}

macro_rules! fails {
    ($($name:ident: $way:ident, $fault:ident, $message:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            run(Way::$way, Fault::$fault);
        }
    )*};
}

fails! {
    a_scan_that_ignores_changes_closes_falsely: InPerson, IgnoresChanges, "there was a sender all the time";
    a_change_that_is_announced_too_soon_is_missed: InPerson, RaisesFirst, "there was a sender all the time";
    a_ticket_that_ends_before_its_handle_counts_leaves_a_gap: ByTicket, EndsTicketFirst, "there was a sender all the time";
    a_drop_without_a_scan_leaves_the_queue_open: ByTicket, DropsOnly, "the queue is open";
    the_dead_keep_nothing_open: InPerson, TrustsTheDead, "the queue is open";
}
