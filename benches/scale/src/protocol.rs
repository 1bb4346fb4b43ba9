//! What a put and a get touch, in order, as read from the crate: `src/raw/put.rs`, `src/raw/get.rs`,
//! `src/raw/batch.rs`, `src/raw/spsc.rs`, `src/raw/block.rs`, `src/ring/put.rs`, `src/ring/burst.rs`,
//! `src/ring/run.rs`, `src/lock/futex.rs`.
//!
//! ```text
//!   put   Begin --> Try --locked--> Inside --> Reserve --room--> records, tail --> exit --> Begin
//!                    | held            |           | none: reclaim, once; then exit and wait
//!                    +--> Missed --spins, yields, sleeps--> Try
//!   get   Begin --> Try --locked--> Inside --> Found --ready--> records, head --> exit --> Begin
//!                                                | not ready: exit, gather, poll, yield, sleep --> Try
//! ```
//!
//! An act is a decision at one moment: it reads what the actor has just loaded and appends steps.

use crate::lines::Ps;
use crate::ring::{Message, Ring, Side};
use crate::shape::{CAPACITY, Shape, Turn, Way, instructions};
use std::collections::VecDeque;

/// `src/raw/block.rs`, `src/lock/futex.rs`, `src/backoff.rs`.
const EARLY_SPINS: u32 = 64;
const GATHER_SPINS: u64 = 200;
const LOCK_SPINS: u32 = 32;
const LONGEST_LOCK_SPIN: u32 = 8;
const LOCK_YIELDS: u32 = 8;
const SPIN_ROUNDS: u32 = 7;
const IDLE_YIELDS: u32 = 50;
const AHEAD: u64 = 64;
const FETCH_FROM: u64 = 16;
const PAUSE: Ps = 16_000;
const YIELD: Ps = 700_000;
/// A system call that wakes a sleeper (a guess), and from it until the sleeper runs.
const WAKE: Ps = 2_000_000;
pub const SLEEP: Ps = 30_000_000;
/// How far the processor reads ahead of a getter that takes message after message, in records.
const STREAM: u64 = 6;

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Work(Ps),
    /// Work after which another actor of the core may run.
    Yield(Ps),
    Load(usize),
    Store(usize),
    Atomic(usize),
    Fetch(usize, Side),
    /// All lines of a record, READY last.
    Ready(u64, Message),
    Done(u64),
    Tail(u64),
    Head(u64),
    Act(Act),
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    Begin,
    Choose(usize),
    Enter,
    Try,
    Missed,
    Freed,
    SleepOnLock,
    Inside,
    Reserve,
    ReadHead,
    Reclaim,
    Reclaimed(u64),
    ReadTail,
    FetchAhead,
    Found(u64),
    Unlock,
    Notify(u64),
    Poll,
    Wait,
    Sleep,
}

/// A putter or a getter, and where it is in its call.
#[derive(Debug)]
pub struct Actor {
    pub id: usize,
    pub core: usize,
    pub side: Side,
    pub lane: usize,
    home: usize,
    pub steps: VecDeque<Step>,
    /// Moved in this call, and ever.
    in_call: u64,
    pub moved: u64,
    misses: u32,
    polls: u32,
    /// Has reclaimed for this entry; has left the fast path.
    reclaimed: bool,
    slow: bool,
    caught_up: bool,
    caught_up_at: u64,
    tail_seen: u64,
}

impl Actor {
    pub fn new(id: usize, core: usize, side: Side, home: usize, start: Ps) -> Actor {
        Actor {
            id,
            core,
            side,
            lane: home,
            home,
            steps: VecDeque::from([Step::Work(start), Step::Act(Act::Begin)]),
            in_call: 0,
            moved: 0,
            misses: 0,
            polls: 0,
            reclaimed: false,
            slow: false,
            caught_up: false,
            caught_up_at: 0,
            tail_seen: 0,
        }
    }

    fn push(&mut self, steps: impl IntoIterator<Item = Step>) {
        self.steps.extend(steps);
    }
}

/// What becomes of the actor after an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Runs,
    Sleeps,
    /// Has put all its messages.
    Ends,
}

/// The rings, and the rules by which actors use them.
#[derive(Debug)]
pub struct Protocol {
    pub shape: Shape,
    pub rings: Vec<Ring>,
    /// Messages that getters have copied, ever.
    pub copied: u64,
    /// Actors that the last act woke.
    pub woken: Vec<usize>,
}

impl Protocol {
    pub fn new(shape: Shape, putters: usize) -> Protocol {
        let lines = Ring::lines(CAPACITY, shape.message_bytes);
        let ring = |lane| Ring::new(lane * lines, CAPACITY, shape.message_bytes, putters);
        Protocol { shape, rings: (0..shape.lanes).map(ring).collect(), copied: 0, woken: Vec::new() }
    }

    pub fn lines(&self) -> usize {
        self.shape.lanes * Ring::lines(CAPACITY, self.shape.message_bytes)
    }

    pub fn act(&mut self, actor: &mut Actor, act: Act, now: Ps) -> Fate {
        let shape = self.shape;
        let lanes = self.rings.len();
        let side = actor.side;
        let ring = &mut self.rings[actor.lane];
        let side_line = ring.side_line(side);
        let notice_line = ring.notice_line(side);
        let next = match side {
            Side::Put => ring.reclaim,
            Side::Get => ring.head,
        };
        // Something to do, as far as this core can see.
        let is_due = |ring: &Ring, now| match side {
            Side::Put => ring.room() > 0 || ring.is_done(next, now),
            Side::Get => ring.is_ready(next, now),
        };
        match act {
            Act::Begin => {
                if side == Side::Put && actor.moved >= shape.each {
                    return Fate::Ends;
                }
                (actor.in_call, actor.misses, actor.polls, actor.slow) = (0, 0, 0, false);
                let (outside, _) = shape.call(side);
                actor.push([Step::Work(instructions(outside))]);
                if side == Side::Get && lanes > 1 {
                    actor.lane = if shape.turn == Turn::Home { actor.home } else { (actor.lane + 1) % lanes };
                    self.peek(actor, 0);
                } else {
                    actor.push([Step::Act(Act::Enter)]);
                }
            }
            Act::Choose(_) if is_due(ring, now) => actor.push([Step::Act(Act::Enter)]),
            Act::Choose(seen) => {
                actor.lane = (actor.lane + 1) % lanes;
                if seen + 1 < lanes {
                    self.peek(actor, seen + 1);
                } else {
                    actor.misses += 1;
                    let pauses = 1 << actor.misses.min(SPIN_ROUNDS);
                    actor.push([Step::Work(pauses * PAUSE)]);
                    self.peek(actor, 0);
                }
            }
            Act::Enter if shape.way == Way::Queue => actor.push([Step::Atomic(side_line), Step::Act(Act::Try)]),
            Act::Enter => actor.push([Step::Store(side_line), Step::Load(notice_line), Step::Act(Act::Inside)]),
            Act::Try => {
                let gate = ring.gate(side);
                if gate.holder.is_some() {
                    actor.push([Step::Act(Act::Missed)]);
                } else {
                    gate.holder = Some(actor.id);
                    actor.misses = 0;
                    actor.push([Step::Load(notice_line), Step::Act(Act::Inside)]);
                }
            }
            Act::Missed => {
                actor.misses += 1;
                let wait = match actor.misses {
                    1..=LOCK_SPINS => Step::Work(PAUSE * actor.misses.min(LONGEST_LOCK_SPIN) as Ps),
                    _ if actor.misses <= LOCK_SPINS + LOCK_YIELDS => Step::Yield(YIELD),
                    _ => {
                        actor.push([Step::Atomic(side_line), Step::Act(Act::SleepOnLock)]);
                        return Fate::Runs;
                    }
                };
                actor.push([wait, Step::Load(side_line), Step::Act(Act::Freed)]);
            }
            Act::Freed if ring.gate(side).holder.is_none() => actor.push([Step::Act(Act::Enter)]),
            Act::Freed => actor.push([Step::Act(Act::Missed)]),
            Act::SleepOnLock => {
                let gate = ring.gate(side);
                actor.push([Step::Load(side_line), Step::Act(Act::Freed)]);
                if gate.holder.is_some() {
                    gate.lock_sleepers.push_back(actor.id);
                    return Fate::Sleeps;
                }
            }
            Act::Inside => {
                let (_, inside) = shape.call(side);
                actor.push([Step::Work(instructions(inside))]);
                match side {
                    Side::Put => {
                        actor.reclaimed = false;
                        actor.push([Step::Act(Act::Reserve)]);
                    }
                    Side::Get => self.begin_get(actor, now),
                }
            }
            Act::Reserve => {
                let left = shape.batch - actor.in_call;
                let room = ring.room();
                if room >= left || (room > 0 && actor.reclaimed) {
                    self.put_records(actor, room.min(left));
                } else if !actor.reclaimed && (shape.way == Way::Endpoints || shape.batch > 1 || actor.slow) {
                    actor.reclaimed = true;
                    if ring.reclaim >= ring.head_seen {
                        actor.push([Step::Load(ring.side_line(Side::Get)), Step::Act(Act::ReadHead)]);
                    }
                    actor.push([Step::Act(Act::Reclaim)]);
                } else {
                    // Out, and once more by the slow call, after a while.
                    let first = !actor.slow;
                    actor.slow = true;
                    self.exit(actor);
                    let act = if first { Act::Poll } else { Act::Wait };
                    actor.push([Step::Load(side_line), Step::Act(act)]);
                }
            }
            Act::ReadHead => {
                ring.head_seen = ring.load_head(now);
                actor.push([Step::Store(side_line)]);
            }
            Act::Reclaim => {
                let stretch = (ring.head_seen - ring.reclaim).min(ring.to_end(ring.reclaim)).min(AHEAD.max(shape.batch));
                if stretch > 0 {
                    actor.push(ring.stretch_lines(ring.reclaim, stretch).map(|line| Step::Fetch(line, Side::Put)));
                    for position in ring.reclaim..ring.reclaim + stretch {
                        actor.push([Step::Load(ring.header_line(position)), Step::Work(instructions(4))]);
                    }
                }
                actor.push([Step::Act(Act::Reclaimed(stretch))]);
            }
            Act::Reclaimed(stretch) => {
                assert!((ring.reclaim..ring.reclaim + stretch).all(|position| ring.is_done(position, now)));
                ring.reclaim += stretch;
                actor.push([Step::Store(side_line), Step::Act(Act::Reserve)]);
            }
            Act::ReadTail => actor.tail_seen = ring.load_tail(now),
            Act::FetchAhead => {
                let ready = actor.tail_seen.saturating_sub(next).min(ring.to_end(next)).min(AHEAD);
                if ready > 0 {
                    actor.push(ring.stretch_lines(next, ready).map(|line| Step::Fetch(line, Side::Get)));
                }
                actor.push([Step::Load(ring.header_line(next)), Step::Act(Act::Found(0))]);
            }
            Act::Found(nth) => {
                let position = next + nth;
                if ring.is_ready(position, now) {
                    actor.push(ring.record_lines(position).skip(1).map(Step::Load));
                    actor.push([Step::Work(shape.copy())]);
                    if nth + 1 < shape.batch && ring.to_end(position) > 1 {
                        actor.push([Step::Load(ring.header_line(position + 1)), Step::Act(Act::Found(nth + 1))]);
                    } else {
                        self.take_records(actor, nth + 1);
                    }
                } else if nth > 0 {
                    self.take_records(actor, nth);
                } else {
                    self.exit(actor);
                    if lanes > 1 {
                        self.peek(actor, 0);
                        return Fate::Runs;
                    }
                    // Caught up: wait until some lines are full.
                    let run = actor.moved - actor.caught_up_at;
                    (actor.caught_up, actor.caught_up_at) = (run > 1, actor.moved);
                    let gather = if run > 1 { run.min(GATHER_SPINS) } else { 0 };
                    actor.push([Step::Work(gather * PAUSE)]);
                    self.reread(actor, Act::Poll);
                }
            }
            Act::Unlock => {
                let gate = ring.gate(side);
                assert_eq!(gate.holder.take(), Some(actor.id));
                if let Some(sleeper) = gate.lock_sleepers.pop_front() {
                    self.woken.push(sleeper);
                    // Before what the call has still to do.
                    actor.steps.push_front(Step::Work(WAKE));
                }
            }
            Act::Notify(count) => {
                let other = if side == Side::Put { Side::Get } else { Side::Put };
                let sleepers = &mut ring.gate(other).idle_sleepers;
                let woken: Vec<usize> = (0..count).map_while(|_| sleepers.pop_front()).collect();
                if !woken.is_empty() {
                    self.woken.extend(woken);
                    actor.push([Step::Work(WAKE)]);
                }
                actor.push([Step::Work(count * shape.work)]);
                let again = side == Side::Put && actor.in_call < shape.batch;
                actor.push([Step::Act(if again { Act::Enter } else { Act::Begin })]);
            }
            Act::Poll => {
                actor.polls += 1;
                // A putter polls for a whole stretch, a getter for one message.
                let last = if side == Side::Put { next + AHEAD - 1 } else { next };
                let due = if side == Side::Put { ring.is_done(last, now) } else { is_due(ring, now) };
                if due || (side == Side::Put && actor.polls >= EARLY_SPINS) {
                    actor.polls = 0;
                    actor.push([Step::Act(Act::Enter)]);
                } else if actor.polls >= EARLY_SPINS {
                    actor.push([Step::Act(Act::Wait)]);
                } else {
                    let line = ring.header_line(last);
                    actor.push([Step::Work(PAUSE), Step::Load(side_line), Step::Load(line), Step::Act(Act::Poll)]);
                }
            }
            Act::Wait if is_due(ring, now) => {
                (actor.misses, actor.polls) = (0, 0);
                actor.push([Step::Act(Act::Enter)]);
            }
            Act::Wait => {
                actor.misses += 1;
                match actor.misses {
                    1..=SPIN_ROUNDS => actor.push([Step::Work(PAUSE << actor.misses)]),
                    _ if actor.misses <= SPIN_ROUNDS + IDLE_YIELDS => actor.push([Step::Yield(YIELD)]),
                    _ => {
                        // Sleepers of the get side are counted where putters read them, and so on.
                        let other = if side == Side::Put { Side::Get } else { Side::Put };
                        actor.push([Step::Atomic(ring.notice_line(other)), Step::Act(Act::Sleep)]);
                        return Fate::Runs;
                    }
                }
                self.reread(actor, Act::Wait);
            }
            Act::Sleep => {
                // The heavy barrier: it sees each store that a notifier made before its check.
                let sleeps = !is_due(ring, Ps::MAX);
                if sleeps {
                    ring.gate(side).idle_sleepers.push_back(actor.id);
                }
                actor.misses = 0;
                self.reread(actor, Act::Wait);
                return if sleeps { Fate::Sleeps } else { Fate::Runs };
            }
        }
        Fate::Runs
    }

    /// Reads, without the lock, whether there is something to do.
    fn reread(&mut self, actor: &mut Actor, act: Act) {
        let ring = &self.rings[actor.lane];
        let next = if actor.side == Side::Put { ring.reclaim } else { ring.head };
        actor.push([Step::Load(ring.side_line(actor.side)), Step::Load(ring.header_line(next)), Step::Act(act)]);
    }

    fn peek(&mut self, actor: &mut Actor, seen: usize) {
        self.reread(actor, Act::Choose(seen));
    }

    /// Fetches ahead, as it is done by this kind of call, and reads the header at head.
    fn begin_get(&mut self, actor: &mut Actor, now: Ps) {
        let shape = self.shape;
        let ring = &mut self.rings[actor.lane];
        let head = ring.head;
        let caught_up = std::mem::take(&mut actor.caught_up);
        let fetches = match shape.way {
            Way::Endpoints if shape.batch == 1 => caught_up || ring.begins_stretch(head, AHEAD),
            _ => shape.batch >= FETCH_FROM,
        };
        if fetches {
            if actor.tail_seen < head + AHEAD {
                actor.push([Step::Load(ring.side_line(Side::Put)), Step::Act(Act::ReadTail)]);
            }
            actor.push([Step::Act(Act::FetchAhead)]);
            return;
        }
        if shape.way == Way::Queue && shape.batch == 1 && ring.is_ready(head + STREAM, now) {
            actor.push(ring.record_lines(head + STREAM).map(|line| Step::Fetch(line, Side::Get)));
        }
        actor.push([Step::Load(ring.header_line(head)), Step::Act(Act::Found(0))]);
    }

    /// FREE behind them, the records from the last to the first, tail; exit and notice.
    fn put_records(&mut self, actor: &mut Actor, room: u64) {
        let shape = self.shape;
        let ring = &self.rings[actor.lane];
        let tail = ring.tail;
        let count = room.min(ring.to_end(tail));
        actor.push([Step::Store(ring.header_line(tail + count))]);
        for nth in (0..count).rev() {
            let message = Message { putter: actor.id, number: actor.moved + nth };
            actor.push([Step::Work(shape.copy()), Step::Ready(tail + nth, message)]);
        }
        actor.push([Step::Tail(count)]);
        let notice = ring.notice_line(Side::Put);
        actor.in_call += count;
        actor.moved += count;
        let all = actor.in_call == shape.batch || shape.batch == 1;
        if all || self.rings[actor.lane].room() == count {
            self.exit(actor);
            actor.push([Step::Load(notice), Step::Act(Act::Notify(count))]);
        } else {
            // The ring's end: another burst under the same lock.
            actor.push([Step::Act(Act::Reserve)]);
        }
    }

    fn take_records(&mut self, actor: &mut Actor, count: u64) {
        let ring = &mut self.rings[actor.lane];
        let head = ring.head;
        for position in head..head + count {
            ring.take(position);
            actor.push([Step::Done(position)]);
        }
        actor.push([Step::Head(count)]);
        let notice = ring.notice_line(Side::Get);
        actor.moved += count;
        self.copied += count;
        self.exit(actor);
        actor.push([Step::Load(notice), Step::Act(Act::Notify(count))]);
    }

    fn exit(&mut self, actor: &mut Actor) {
        let line = self.rings[actor.lane].side_line(actor.side);
        match self.shape.way {
            Way::Queue => actor.push([Step::Atomic(line), Step::Act(Act::Unlock)]),
            Way::Endpoints => actor.push([Step::Store(line)]),
        }
    }
}
