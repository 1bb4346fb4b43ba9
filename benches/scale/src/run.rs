//! The simulation: cores, the actors that share them, and time.
//!
//! ```text
//!   core   idle --wake--> runs an actor --its time slice ends, it yields--> the next of its queue
//!            ^                   | it sleeps or ends, and no other waits
//!            +-------------------+
//! ```
//!
//! One event is a core that goes on at a time; events of one time are ordered by their number, so a
//! run with the same seed is the same run.

use crate::lines::{Costs, Lines, Ps};
use crate::protocol::{Actor, Fate, Protocol, SLEEP, Step};
use crate::random::Random;
use crate::ring::Side;
use crate::shape::Shape;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How long an actor keeps a core that others want.
const SLICE: Ps = 3_000_000_000;
const SEED: u64 = 15;

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub shape: Shape,
    pub costs: Costs,
    pub cores: usize,
    pub putters: usize,
    pub getters: usize,
    /// The run ends then, or when so many messages were taken.
    pub until: Ps,
    pub most: u64,
}

/// What a run made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub put: u64,
    pub taken: u64,
    /// Put, and not taken.
    pub left: u64,
    /// Messages a microsecond, after the first fifth of the run.
    pub rate: f64,
    pub lines_moved: u64,
    pub ended: Ps,
}

#[derive(Debug, Default)]
struct Core {
    running: Option<usize>,
    queue: VecDeque<usize>,
    since: Ps,
    /// Stores on their way: when each is visible. The last is the latest.
    stores: VecDeque<Ps>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Core(usize),
    Wake(usize),
}

struct Run {
    costs: Costs,
    lines: Lines,
    protocol: Protocol,
    actors: Vec<Actor>,
    cores: Vec<Core>,
    events: BinaryHeap<Reverse<(Ps, u64, Event)>>,
    number: u64,
    random: Random,
}

/// Actor `n` runs on core `n` modulo their number: putters first, then getters.
pub fn run(setting: Setting) -> Outcome {
    let Setting { shape, costs, cores, putters, getters, until, most } = setting;
    let protocol = Protocol::new(shape, putters);
    let mut random = Random::new(SEED);
    let actor = |id: usize| {
        let (side, nth) = if id < putters { (Side::Put, id) } else { (Side::Get, id - putters) };
        Actor::new(id, id % cores, side, nth % shape.lanes, random.below(1_000_000))
    };
    let actors: Vec<Actor> = (0..putters + getters).map(actor).collect();
    let mut run = Run {
        costs,
        lines: Lines::new(protocol.lines(), cores, costs),
        protocol,
        actors,
        cores: (0..cores).map(|_| Core::default()).collect(),
        events: BinaryHeap::new(),
        number: 0,
        random,
    };
    for id in 0..putters + getters {
        run.at(0, Event::Wake(id));
    }
    let mut before = None;
    let mut now = 0;
    while let Some(Reverse((time, _, event))) = run.events.pop() {
        if time > until || run.protocol.copied >= most {
            now = time.min(until);
            break;
        }
        now = time;
        if before.is_none() && (now >= until / 5 || run.protocol.copied >= most / 5) {
            before = Some((now, run.protocol.copied));
        }
        match event {
            Event::Wake(id) => run.wake(id, now),
            Event::Core(core) => run.advance(core, now),
        }
    }
    let (put, taken) =
        (run.protocol.rings.iter().map(|ring| ring.tail).sum(), run.protocol.rings.iter().map(|ring| ring.head).sum());
    let (from, taken_before) = before.unwrap_or((0, 0));
    let rate = run.protocol.copied.saturating_sub(taken_before) as f64 / (now - from).max(1) as f64 * 1e6;
    Outcome { put, taken, left: put - taken, rate, lines_moved: run.lines.moved, ended: now }
}

impl Run {
    fn at(&mut self, time: Ps, event: Event) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, event)));
    }

    fn wake(&mut self, id: usize, now: Ps) {
        let core = self.actors[id].core;
        self.cores[core].queue.push_back(id);
        if self.cores[core].running.is_none() {
            self.switch(core, now);
        }
    }

    /// The next actor of the core's queue, if there is one, goes on at `now`.
    fn switch(&mut self, core: usize, now: Ps) {
        let it = &mut self.cores[core];
        it.running = it.queue.pop_front();
        it.since = now;
        if it.running.is_some() {
            self.at(now, Event::Core(core));
        }
    }

    /// Runs the core's actor for one step of time, and the acts that follow it.
    fn advance(&mut self, core: usize, now: Ps) {
        let id = self.cores[core].running.expect("an idle core has no event");
        let mut time = now;
        while time == now {
            let step = self.actors[id].steps.pop_front().expect("an actor has always a next step");
            match step {
                Step::Act(act) => {
                    let fate = self.protocol.act(&mut self.actors[id], act, now);
                    for woken in std::mem::take(&mut self.protocol.woken) {
                        self.at(now + SLEEP, Event::Wake(woken));
                    }
                    if fate != Fate::Runs {
                        return self.switch(core, now);
                    }
                }
                Step::Yield(cost) => {
                    time = now + cost;
                    if !self.cores[core].queue.is_empty() {
                        self.cores[core].queue.push_back(id);
                        return self.switch(core, time);
                    }
                }
                step => time = self.step(id, step, now),
            }
        }
        if time - self.cores[core].since > SLICE && !self.cores[core].queue.is_empty() {
            self.cores[core].queue.push_back(id);
            return self.switch(core, time);
        }
        self.at(time, Event::Core(core));
    }

    /// Does one step of an actor, and returns when the next one begins.
    fn step(&mut self, id: usize, step: Step, now: Ps) -> Ps {
        let (core, lane) = (self.actors[id].core, self.actors[id].lane);
        match step {
            // No two calls take exactly as long: otherwise actors would march in step.
            Step::Work(cost) => now + cost + self.random.below(cost / 8 + 1),
            Step::Load(line) => self.lines.read(core, line, now),
            Step::Fetch(line, side) => {
                match side {
                    Side::Put => self.lines.own(core, line, now),
                    Side::Get => self.lines.read(core, line, now),
                };
                now + self.costs.hit
            }
            Step::Store(line) => self.store(core, line, now).0,
            Step::Atomic(line) => {
                // A locked instruction waits until all earlier stores are visible.
                let start = self.cores[core].stores.drain(..).next_back().map_or(now, |visible| visible.max(now));
                self.lines.own(core, line, start) + self.costs.atomic
            }
            Step::Ready(position, message) => {
                let lines = self.protocol.rings[lane].record_lines(position);
                let (mut time, mut visible) = (now, now);
                for line in lines.rev() {
                    (time, visible) = self.store(core, line, time);
                }
                self.protocol.rings[lane].set_ready(position, message, visible);
                time
            }
            Step::Done(position) => {
                let line = self.protocol.rings[lane].header_line(position);
                let (time, visible) = self.store(core, line, now);
                self.protocol.rings[lane].set_done(position, visible);
                time
            }
            Step::Tail(count) => {
                let line = self.protocol.rings[lane].side_line(Side::Put);
                let (time, visible) = self.store(core, line, now);
                self.protocol.rings[lane].move_tail(count, visible);
                time
            }
            Step::Head(count) => {
                let line = self.protocol.rings[lane].side_line(Side::Get);
                let (time, visible) = self.store(core, line, now);
                self.protocol.rings[lane].move_head(count, visible);
                time
            }
            Step::Act(_) | Step::Yield(_) => unreachable!("`advance` does these"),
        }
    }

    /// A store waits in the core's buffer until it owns the line and all earlier ones are visible.
    /// Returns when the core goes on, and when the store is visible.
    fn store(&mut self, core: usize, line: usize, now: Ps) -> (Ps, Ps) {
        let stores = &mut self.cores[core].stores;
        while stores.front().is_some_and(|visible| *visible <= now) {
            stores.pop_front();
        }
        let start = if stores.len() < self.costs.store_buffer { now } else { stores.pop_front().unwrap_or(now) };
        let visible = self.lines.own(core, line, start).max(stores.back().copied().unwrap_or(0));
        stores.push_back(visible);
        (start + self.costs.hit, visible)
    }
}
