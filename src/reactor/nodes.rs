//! The nodes of the tasks that wait for one thing, as plain data: who waits, who was notified, who
//! is late. No system call, and no waker is cloned, called or dropped here: callers do so outside
//! the lock that guards this.
//!
//! The states are those of the module above; Invariants 3, 4 and 7 are kept here.

use super::wants::{Available, Fitting, Sizes, Want};
use std::task::Waker;

/// A task's node, until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// A task to notify: call its waker, outside the lock.
#[derive(Debug)]
pub(crate) struct Call {
    pub key: Key,
    /// The node's number of notifications: it may have been removed, and used again, meanwhile.
    pub turn: u32,
    pub waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Absent,
    Waiting,
    Notified,
    Late,
}

#[derive(Debug)]
struct Node {
    standing: Standing,
    want: Want,
    waker: Option<Waker>,
    /// Units that it answers for, where it was notified.
    answers: u64,
    /// The slice in which it was notified.
    notified_in: u32,
    turn: u32,
    before: u32,
    behind: u32,
}

/// No node.
const NONE: u32 = u32::MAX;

/// Nodes in the order in which they came.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl List {
    const EMPTY: List = List { first: NONE, last: NONE };

    fn push(&mut self, nodes: &mut [Node], index: u32) {
        (nodes[index as usize].before, nodes[index as usize].behind) = (self.last, NONE);
        match self.last {
            NONE => self.first = index,
            last => nodes[last as usize].behind = index,
        }
        self.last = index;
    }

    fn remove(&mut self, nodes: &mut [Node], index: u32) {
        let (before, behind) = (nodes[index as usize].before, nodes[index as usize].behind);
        match before {
            NONE => self.first = behind,
            before => nodes[before as usize].behind = behind,
        }
        match behind {
            NONE => self.last = before,
            behind => nodes[behind as usize].before = before,
        }
    }
}

/// What a node left behind.
#[derive(Debug)]
pub(crate) struct Removed {
    /// To be dropped outside the lock.
    pub waker: Option<Waker>,
    /// It answered for what it was notified of (Invariant 3).
    pub answered: bool,
    /// It waited, and was not notified.
    pub waited: bool,
    /// No other node is left.
    pub was_last: bool,
}

/// Waiting tasks that do not fit are stepped over, but not more of them at a time.
const STEPPED_OVER: u32 = 64;
/// Polls in a row of notified tasks that found nothing, until they are held off: what is available
/// cannot be had now, or other processes are always faster.
const FRUITLESS: u32 = 16;
/// For how long tasks are held off at first, and at most.
const HOLD_NS: u64 = 1_000_000;
const LONGEST_HOLD_NS: u64 = 5_000_000;

/// The waiting tasks of one thing.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    free: u32,
    /// Those that wait for much go first.
    waiting_large: List,
    waiting: List,
    notified: List,
    waiting_count: u32,
    count: u32,
    /// Units that notified tasks answer for.
    answering: u64,
    slice: u32,
    /// Polls of notified tasks that found nothing, since one took something.
    fruitless: u32,
    held_until_ns: u64,
    hold_ns: u64,
    /// The side's lock was contended: held off until a task finds it open.
    is_contended: bool,
}

impl Nodes {
    pub fn new() -> Nodes {
        Nodes {
            nodes: Vec::new(),
            free: NONE,
            waiting_large: List::EMPTY,
            waiting: List::EMPTY,
            notified: List::EMPTY,
            waiting_count: 0,
            count: 0,
            answering: 0,
            slice: 0,
            fruitless: 0,
            held_until_ns: 0,
            hold_ns: 0,
            is_contended: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Does a task wait? A notified one does not.
    pub fn has_waiting(&self) -> bool {
        self.waiting_count > 0
    }

    /// Does the task answer for more than one message, permit or cell?
    pub fn answers_for_several(&self, Key(index): Key) -> bool {
        let node = &self.nodes[index as usize];
        node.standing == Standing::Notified && node.answers > 1
    }

    /// The task waits from now on, behind those that wait already. Returns a waker to be dropped
    /// outside the lock.
    pub fn register(&mut self, key: Option<Key>, waker: Waker, want: Want) -> (Key, Option<Waker>) {
        let index = match key {
            Some(Key(index)) => index,
            None => self.insert(),
        };
        let node = &mut self.nodes[index as usize];
        let standing = std::mem::replace(&mut node.standing, Standing::Waiting);
        let answered = std::mem::take(&mut node.answers);
        node.want = want;
        let old = match &node.waker {
            Some(old) if old.will_wake(&waker) => Some(waker),
            _ => node.waker.replace(waker),
        };
        if standing == Standing::Notified {
            self.answering = self.answering.saturating_sub(answered);
            self.notified.remove(&mut self.nodes, index);
            self.fruitless += u32::from(!want.is_large);
        }
        if standing != Standing::Waiting {
            let list = if want.is_large { &mut self.waiting_large } else { &mut self.waiting };
            list.push(&mut self.nodes, index);
            self.waiting_count += 1;
        }
        (Key(index), old)
    }

    fn insert(&mut self) -> u32 {
        self.count += 1;
        if self.free != NONE {
            let index = self.free;
            self.free = self.nodes[index as usize].behind;
            return index;
        }
        let want = Want::ONE;
        let standing = Standing::Absent;
        self.nodes.push(Node { standing, want, waker: None, answers: 0, notified_in: 0, turn: 0, before: NONE, behind: NONE });
        self.nodes.len() as u32 - 1
    }

    /// The task waits no more. `took`: it took something.
    pub fn remove(&mut self, Key(index): Key, took: bool) -> Removed {
        let node = &mut self.nodes[index as usize];
        let standing = std::mem::replace(&mut node.standing, Standing::Absent);
        let waker = node.waker.take();
        let answered = std::mem::take(&mut node.answers);
        match standing {
            Standing::Waiting => self.leave_waiting(index),
            Standing::Notified => {
                self.notified.remove(&mut self.nodes, index);
                self.answering = self.answering.saturating_sub(answered);
            }
            Standing::Late | Standing::Absent => {}
        }
        self.nodes[index as usize].behind = self.free;
        self.free = index;
        self.count -= 1;
        if took {
            self.fruitless = 0;
        }
        Removed {
            waker,
            answered: standing == Standing::Notified,
            waited: standing == Standing::Waiting,
            was_last: self.count == 0,
        }
    }

    /// Notifies waiting tasks, in their order, for what is available and not answered for
    /// (Invariants 3 and 4), `most` at most. Returns whether there is something left that no task
    /// of this process answers for.
    pub fn serve(
        &mut self,
        available: Available,
        fitting: Fitting,
        most: usize,
        now_ns: impl Fn() -> u64,
        calls: &mut Vec<Call>,
    ) -> bool {
        if self.is_held_off() {
            if self.is_contended && now_ns() >= self.held_until_ns {
                self.try_one(available, fitting, calls);
                self.hold_off(now_ns());
            }
            // Others can have what there is meanwhile.
            return available.units > self.answering;
        }
        let mut left = if available.units == u64::MAX { u64::MAX } else { available.units.saturating_sub(self.answering) };
        let (mut at, mut stepped_over, mut called) = (self.first_waiting(), 0, 0);
        while at != NONE && called < most && stepped_over < STEPPED_OVER {
            let want = self.nodes[at as usize].want;
            let behind = self.next_waiting(at);
            let is_refused = available.is_held && want.by_lock;
            if is_refused || (left >= want.units && fitting.allows(want)) {
                called += 1;
                if !is_refused && left != u64::MAX {
                    left = left.saturating_sub(want.units);
                }
                calls.extend(self.notify(at, want.units));
            } else if left == 0 && !available.is_held {
                break;
            } else {
                stepped_over += 1;
            }
            at = behind;
        }
        if called > 0 && self.fruitless >= FRUITLESS {
            self.fruitless = 0;
            self.hold_off(now_ns());
        }
        left > 0 && self.waiting_count == 0
    }

    /// Tasks are held off: one tries for all, the first that could be lucky. If it cannot, it says
    /// so.
    fn try_one(&mut self, available: Available, fitting: Fitting, calls: &mut Vec<Call>) {
        let mut at = self.first_waiting();
        for _ in 0..STEPPED_OVER {
            if at == NONE || available.units >= self.nodes[at as usize].want.units && fitting.allows(self.nodes[at as usize].want)
            {
                break;
            }
            at = self.next_waiting(at);
        }
        let chosen = if at == NONE { self.first_waiting() } else { at };
        if chosen != NONE {
            calls.extend(self.notify(chosen, self.nodes[chosen as usize].want.units));
        }
    }

    fn first_waiting(&self) -> u32 {
        if self.waiting_large.first != NONE { self.waiting_large.first } else { self.waiting.first }
    }

    fn next_waiting(&self, at: u32) -> u32 {
        let node = &self.nodes[at as usize];
        if node.behind == NONE && node.want.is_large { self.waiting.first } else { node.behind }
    }

    fn leave_waiting(&mut self, index: u32) {
        let is_large = self.nodes[index as usize].want.is_large;
        let list = if is_large { &mut self.waiting_large } else { &mut self.waiting };
        list.remove(&mut self.nodes, index);
        self.waiting_count -= 1;
    }

    /// The task answers for so many units.
    fn notify(&mut self, index: u32, answers: u64) -> Option<Call> {
        self.leave_waiting(index);
        self.notified.push(&mut self.nodes, index);
        let slice = self.slice;
        let node = &mut self.nodes[index as usize];
        node.standing = Standing::Notified;
        node.notified_in = slice;
        node.turn = node.turn.wrapping_add(1);
        node.answers = answers;
        self.answering = self.answering.saturating_add(answers);
        let (key, turn) = (Key(index), node.turn);
        node.waker.take().map(|waker| Call { key, turn, waker })
    }

    /// A slice has passed: those that were notified before it began and have not polled are late,
    /// and answer for nothing (Invariant 7). Returns whether there are any.
    pub fn end_slice(&mut self) -> bool {
        let mut found = false;
        while self.notified.first != NONE && self.nodes[self.notified.first as usize].notified_in != self.slice {
            self.be_late(self.notified.first);
            found = true;
        }
        self.slice = self.slice.wrapping_add(1);
        self.fruitless = 0;
        found
    }

    /// The waker of a call has panicked: its task is late at once (Invariant 7).
    pub fn note_panic(&mut self, Key(index): Key, turn: u32) {
        let node = &self.nodes[index as usize];
        if node.standing == Standing::Notified && node.turn == turn {
            self.be_late(index);
        }
    }

    fn be_late(&mut self, index: u32) {
        self.notified.remove(&mut self.nodes, index);
        let node = &mut self.nodes[index as usize];
        node.standing = Standing::Late;
        self.answering = self.answering.saturating_sub(std::mem::take(&mut node.answers));
    }

    /// A task found the side's lock contended: the others do not try before the time is over, and
    /// then one of them does.
    pub fn note_contended(&mut self, now_ns: u64) {
        self.is_contended = true;
        if !self.is_held_off() || now_ns >= self.held_until_ns {
            self.hold_off(now_ns);
        }
    }

    /// Ends a pause of tasks that were not lucky, if its time is over.
    pub fn end_pause(&mut self, now_ns: impl Fn() -> u64) {
        if self.is_held_off() && !self.is_contended && now_ns() >= self.held_until_ns {
            self.release();
        }
    }

    /// A task found the side open. Returns whether tasks were held off for that.
    pub fn note_open(&mut self) -> bool {
        self.is_contended && self.release()
    }

    fn hold_off(&mut self, now_ns: u64) {
        self.hold_ns = (self.hold_ns * 2).clamp(HOLD_NS, LONGEST_HOLD_NS);
        self.held_until_ns = now_ns.saturating_add(self.hold_ns);
    }

    /// Nothing holds tasks off any more. Returns whether something did.
    pub fn release(&mut self) -> bool {
        self.hold_ns = 0;
        self.is_contended = false;
        std::mem::take(&mut self.held_until_ns) != 0
    }

    /// Are tasks held off? Then the reactor is not registered either: others can use the wakes.
    pub fn is_held_off(&self) -> bool {
        self.held_until_ns != 0
    }

    /// Until when waiting tasks are held off, if they are.
    pub fn held_until_ns(&self) -> Option<u64> {
        (self.is_held_off() && self.has_waiting()).then_some(self.held_until_ns)
    }

    /// How much waiting tasks want, for a caller that finds out without the lock which of them fit.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::NONE;
        let mut at = self.first_waiting();
        for _ in 0..STEPPED_OVER {
            if at == NONE {
                break;
            }
            sizes.add(self.nodes[at as usize].want.units);
            at = self.next_waiting(at);
        }
        sizes
    }

    /// Notifies all waiting tasks that may have a ticket, whatever there is: they renew it. They
    /// answer for nothing.
    pub fn remind(&mut self, calls: &mut Vec<Call>) {
        while self.waiting_large.first != NONE {
            calls.extend(self.notify(self.waiting_large.first, 0));
        }
    }
}

/// What the model reads back.
#[cfg(test)]
impl Nodes {
    /// How a node stands, whether it was notified before this slice, and how often.
    pub(super) fn standing(&self, Key(index): Key) -> (Standing, bool, u32) {
        let node = &self.nodes[index as usize];
        (node.standing, node.notified_in != self.slice, node.turn)
    }
}
