//! Which rows are measured, in which groups: those of shmq and the limits of the machine here, the
//! rivals from their registry.

use crate::{
    arguments::Arguments,
    bare_ring::BareRing,
    broadcasts::{Batches, ByPublisher, ByTopic, InPlace, lossy},
    bystanders,
    first_message::{ByName, OneHandle, first_message},
    flows,
    forked::Case,
    idle::idle,
    killed, limits,
    objects::{self, ByObjectEndpoints, ByObjectQueue, Object, Order, Prices},
    ping_pong::{self, Turns, ping_pong, sleeping_ping_pong},
    results::{Family, Unit},
    rivals::registry::{How, LARGE_WORDS, Registry, Rival},
    runner::{self, Measure, PROBE, PlannedGroup, PlannedRow},
    shmq_ways::{ADAPTIVE, BLOCK, ByEndpoints, ByQueue, InSlices, SPIN},
    untimed_ping_pong,
};
use Family::{Limit, Shmq};

pub const KINDS: [&str; 8] = ["throughput", "broadcast", "latency", "waiting", "creation", "idle", "growth", "killed"];

/// Words of a 64-byte message, and of a frame.
const LINE: usize = 8;
const FRAME: usize = 128 << 10;
/// Each side of a ping-pong with work between computes this long, in microseconds.
pub const WORK_MICROS: [u64; 4] = [0, 1, 2, 5];
pub const CAPACITIES: [usize; 5] = [16, 256, 4096, 65_536, 1 << 20];
/// Attached processes: the creator of the queue, the two that use it, and bystanders.
pub const ATTACHED: [usize; 4] = [3, 8, 24, 64];

/// Between processes as between threads, both sides on one core.
pub const ONE_CORE: &str = "64 B, 1x1 on one core";
pub const STRUCTS: &str = "a struct of 64 B, 1x1";
pub const MAPS: &str = "a map of 1 KiB, 1x1";
pub const SPINNING: &str = "ping-pong 64 B, spinning";
const BLOCKING: &str = "ping-pong 64 B, blocking";
const CREATION: &str = "creation to first message";
const IDLE: &str = "CPU of a blocked receiver";
pub const GROWTH_CAPACITY: &str = "capacity, 64 B, 1x1";
pub const GROWTH_CAPACITY_ALONE: &str = "capacity, 64 B, put and get by one process";
pub const GROWTH_ATTACHED: &str = "attached processes, 64 B, 1x1";
pub const GROWTH_ATTACHED_ALONE: &str = "attached processes, 64 B, put and get by one process";

/// Of the groups of broadcasts.
pub const TOPIC: &str = "Topic, Publisher";
pub const TOPIC_BATCHES: &str = "Topic, 32 a call";
pub const TOPIC_IN_PLACE: &str = "Topic, in place";

pub fn broadcast_title(size: &str, consumers: usize) -> String {
    format!("broadcast {size}, 1 to {consumers}")
}

pub fn waiting_title(micros: u64) -> String {
    format!("ping-pong 64 B, {micros} us of work on each side")
}

pub struct Plan {
    /// The first is the probe.
    pub cases: Vec<Box<dyn Case>>,
    pub groups: Vec<PlannedGroup>,
    /// Rivals whose processes are killed.
    pub kills: Vec<killed::Rival>,
    /// Rivals that are left out, and why.
    pub notes: Vec<String>,
}

struct Planner {
    cases: Vec<Box<dyn Case>>,
    groups: Vec<PlannedGroup>,
    rivals: Registry,
    times: &'static Turns,
    only: Vec<String>,
}

impl Planner {
    fn wants(&self, kind: &str, title: &str) -> bool {
        let wanted = |what: &String| kind.contains(what.as_str()) || title.to_lowercase().contains(what.as_str());
        self.only.is_empty() || self.only.iter().any(wanted)
    }

    fn case(&mut self, case: Box<dyn Case>) -> usize {
        self.cases.push(case);
        self.cases.len() - 1
    }

    fn push(&mut self, kind: &'static str, title: impl Into<String>, unit: Unit, rows: Vec<PlannedRow>) {
        self.groups.push(PlannedGroup { kind, title: title.into(), unit, rows });
    }

    /// Rows of rivals. `measure` says how to measure a case between processes.
    fn rivals(&mut self, rivals: Vec<Rival>, measure: impl Fn(usize) -> Measure) -> Vec<PlannedRow> {
        let row = |Rival { name, how }| match how {
            How::Processes(case) => PlannedRow::new(name, Family::Processes, measure(self.case(case))),
            How::Python(measure) => PlannedRow::new(name, Family::Processes, measure),
            How::InThreads(measure) => PlannedRow::new(name, Family::Threads, measure),
        };
        rivals.into_iter().map(row).collect()
    }

    /// A row of a topic, whose messages go to that many consumers.
    fn topic(&mut self, name: &str, case: Box<dyn Case>, consumers: u32) -> PlannedRow {
        PlannedRow::new(name, Shmq, runner::flow_to(self.case(case), consumers))
    }

    /// A row for messages as fast as they go between processes.
    fn flow(&mut self, name: &str, family: Family, case: Box<dyn Case>, sides: u32) -> PlannedRow {
        PlannedRow::new(name, family, runner::flow(self.case(case), sides))
    }

    fn ping_pong(&mut self, name: &str, family: Family, case: Box<dyn Case>, sleeps: bool) -> PlannedRow {
        PlannedRow::new(name, family, runner::ping_pong(self.case(case), sleeps, self.times))
    }

    fn first(&mut self, name: &str, family: Family, case: Box<dyn Case>) -> PlannedRow {
        PlannedRow::new(name, family, runner::timed(self.case(case), FIRST_ROUNDS, self.times))
    }

    /// Messages of `W` words.
    fn throughput<const W: usize>(&mut self, size: &str, sides: u32, with_python: bool) {
        let title = format!("{size}, {sides}x{sides}");
        if !self.wants("throughput", &title) {
            return;
        }
        let mut rows = vec![self.flow("Queue", Shmq, flows::copy::<W>().1, sides)];
        if const { W < LARGE_WORDS } {
            rows.push(self.flow("Queue, 32 a call", Shmq, flows::batch::<W>().1, sides));
        } else {
            rows.push(self.flow("Queue, in place", Shmq, flows::in_place::<W>().1, sides));
        }
        if sides == 1 {
            rows.push(self.flow("Producer/Consumer", Shmq, flows::endpoints_copy::<W>().1, sides));
            if const { W < LARGE_WORDS } {
                rows.push(self.flow("Producer/Consumer, 32 a call", Shmq, flows::endpoints_batch::<W>().1, sides));
                if const { W == 1 } {
                    rows.push(self.flow("Producer/Consumer, 32 values a message", Shmq, flows::flow::<InSlices>(), sides));
                }
            } else {
                rows.push(self.flow("Producer/Consumer, in place", Shmq, flows::endpoints_in_place::<W>().1, sides));
            }
        }
        let rivals = self.rivals.throughput::<W>(sides, with_python);
        rows.extend(self.rivals(rivals, |case| runner::flow(case, sides)));
        if W >= LARGE_WORDS {
            rows.push(PlannedRow::new("memcpy", Limit, limits::memcpy::<W>()));
            rows.push(self.flow("bare buffers handed over", Limit, limits::bare_buffers::<W>(), sides));
        } else if sides == 1 {
            rows.push(self.flow("bare ring", Limit, flows::flow::<BareRing<W>>(), sides));
        }
        self.push("throughput", title, Unit::Rate { bytes: W * 8 }, rows);
    }

    fn topics<const W: usize>(&mut self, consumers: u32) -> Vec<PlannedRow> {
        if const { W >= LARGE_WORDS } {
            return vec![self.topic(TOPIC_IN_PLACE, flows::flow_to_all::<InPlace<W>>(), consumers)];
        }
        vec![
            self.topic(TOPIC, flows::flow_to_all::<ByPublisher<W>>(), consumers),
            self.topic("Topic, by lock", flows::flow_to_all::<ByTopic<W>>(), consumers),
            self.topic(TOPIC_BATCHES, flows::flow_to_all::<Batches<W>>(), consumers),
            self.topic(TOPIC_IN_PLACE, flows::flow_to_all::<InPlace<W>>(), consumers),
            self.topic("Topic, to a lossy subscriber", lossy::<W>(), consumers),
        ]
    }

    /// Messages of `W` words, one to one, beside a queue's endpoints; each process has a core.
    fn broadcast_to_one<const W: usize>(&mut self, size: &str) {
        let title = broadcast_title(size, 1);
        if !self.wants("broadcast", &title) {
            return;
        }
        let mut rows = vec![
            self.flow("Producer/Consumer", Shmq, flows::endpoints_copy::<W>().1, 1),
            self.flow("Producer/Consumer, 32 a call", Shmq, flows::endpoints_batch::<W>().1, 1),
        ];
        rows.extend(self.topics::<W>(1));
        let rivals = self.rivals.broadcast_to_one::<W>();
        rows.extend(self.rivals(rivals, |case| runner::flow_to(case, 1)));
        self.push("broadcast", title, Unit::Rate { bytes: W * 8 }, rows);
    }

    /// Messages of `W` words, each to three consumers: some processes share a core, so all give
    /// way.
    fn broadcast_to_three<const W: usize>(&mut self, size: &str) {
        let title = broadcast_title(size, 3);
        if !self.wants("broadcast", &title) {
            return;
        }
        let mut rows = self.topics::<W>(3);
        let rivals = self.rivals.broadcast_to_three::<W>();
        rows.extend(self.rivals(rivals, |case| runner::flow_to(case, 3)));
        self.push("broadcast", title, Unit::Rate { bytes: W * 8 }, rows);
    }

    /// Both sides on one core: whoever waits must give way.
    fn one_core(&mut self) {
        if !self.wants("throughput", ONE_CORE) {
            return;
        }
        let mut row = |name: &str, case| PlannedRow::new(name, Shmq, runner::flow_on_one_core(self.case(case)));
        let mut rows = vec![row("Queue", flows::copy::<LINE>().1), row("Producer/Consumer", flows::endpoints_copy::<LINE>().1)];
        let rivals = self.rivals.one_core();
        rows.extend(self.rivals(rivals, runner::flow_on_one_core));
        self.push("throughput", ONE_CORE, Unit::Rate { bytes: LINE * 8 }, rows);
    }

    /// Objects of `W` words, beside a queue of as many bytes.
    fn objects<T: Object, const W: usize>(&mut self, title: &str) {
        if !self.wants("throughput", title) {
            return;
        }
        let rows = vec![
            self.flow("Queue of the same bytes", Shmq, flows::copy::<W>().1, 1),
            self.flow("Producer/Consumer of the same bytes", Shmq, flows::endpoints_copy::<W>().1, 1),
            self.flow("ObjectQueue", Shmq, flows::flow::<ByObjectQueue<T, objects::Default>>(), 1),
            self.flow("ObjectQueue, Postcard", Shmq, flows::flow::<ByObjectQueue<T, objects::Compact>>(), 1),
            self.flow("ObjectProducer/ObjectConsumer", Shmq, flows::flow::<ByObjectEndpoints<T, objects::Default>>(), 1),
            self.flow(
                "ObjectProducer/ObjectConsumer, Postcard",
                Shmq,
                flows::flow::<ByObjectEndpoints<T, objects::Compact>>(),
                1,
            ),
        ];
        self.push("throughput", title, Unit::Rate { bytes: W * 8 }, rows);
    }

    fn latency(&mut self) {
        let times = self.times;
        if self.wants("latency", SPINNING) {
            let mut rows = vec![
                self.ping_pong("Queue", Shmq, ping_pong::<ByQueue<LINE, SPIN>>(times, 0), false),
                self.ping_pong("Producer/Consumer", Shmq, ping_pong::<ByEndpoints<LINE, SPIN>>(times, 0), false),
            ];
            let rivals = self.rivals.spinning(times);
            rows.extend(self.rivals(rivals, |case| runner::ping_pong(case, false, times)));
            rows.push(self.ping_pong("bare ring", Limit, ping_pong::<BareRing<LINE>>(times, 0), false));
            rows.push(self.ping_pong("bare cache lines, a ring of them", Limit, ping_pong::cache_lines(times), false));
            rows.push(self.ping_pong("bare cache line", Limit, ping_pong::cache_line(times), false));
            self.push("latency", SPINNING, Unit::Nanos, rows);
        }
        if self.wants("latency", BLOCKING) {
            let mut rows = vec![
                self.ping_pong("Queue", Shmq, sleeping_ping_pong::<ByQueue<LINE, BLOCK>>(times), true),
                self.ping_pong("Producer/Consumer", Shmq, sleeping_ping_pong::<ByEndpoints<LINE, BLOCK>>(times), true),
            ];
            let rivals = self.rivals.blocking(times);
            rows.extend(self.rivals(rivals, |case| runner::ping_pong(case, true, times)));
            rows.push(self.ping_pong("bare futex", Limit, ping_pong::futex(times), true));
            self.push("latency", BLOCKING, Unit::Nanos, rows);
        }
    }

    fn waiting(&mut self) {
        for micros in WORK_MICROS {
            let title = waiting_title(micros);
            if self.wants("waiting", &title) {
                let nanos = micros * 1000;
                let times = self.times;
                let mut row = |name: &str, case| PlannedRow::new(name, Shmq, runner::short_ping_pong(self.case(case), times));
                let rows = vec![
                    row("Queue, default", ping_pong::<ByQueue<LINE, ADAPTIVE>>(times, nanos)),
                    row("Queue, Spin", ping_pong::<ByQueue<LINE, SPIN>>(times, nanos)),
                    row("Queue, Block", ping_pong::<ByQueue<LINE, BLOCK>>(times, nanos)),
                ];
                self.push("waiting", title, Unit::Nanos, rows);
            }
        }
    }

    fn creation(&mut self) {
        if !self.wants("creation", CREATION) {
            return;
        }
        let times = self.times;
        let mut rows = vec![
            self.first("Queue", Shmq, first_message::<ByName<ByQueue<LINE, ADAPTIVE>>>(times)),
            self.first("Queue, one handle", Shmq, first_message::<OneHandle>(times)),
        ];
        let rivals = self.rivals.creation(times);
        rows.extend(self.rivals(rivals, |case| runner::timed(case, FIRST_ROUNDS, times)));
        self.push("creation", CREATION, Unit::Nanos, rows);
    }

    fn idle(&mut self, lasts: std::time::Duration) {
        if !self.wants("idle", IDLE) {
            return;
        }
        let mut row = |name: &str, case| PlannedRow::new(name, Shmq, runner::idle(self.case(case)));
        let mut rows = vec![
            row("Queue, default", idle::<ByQueue<LINE, ADAPTIVE>>(lasts)),
            row("Queue, Block", idle::<ByQueue<LINE, BLOCK>>(lasts)),
        ];
        let rivals = self.rivals.idle(lasts);
        rows.extend(self.rivals(rivals, runner::idle));
        self.push("idle", IDLE, Unit::IdleMicros, rows);
    }

    fn growth(&mut self, with_rivals: bool) {
        let unit = Unit::Rate { bytes: LINE * 8 };
        if self.wants("growth", GROWTH_CAPACITY) {
            let through = |capacity| flows::flow_through::<ByQueue<LINE, ADAPTIVE>>(capacity);
            let mut rows: Vec<PlannedRow> =
                CAPACITIES.map(|capacity| self.flow(&format!("Queue, {capacity}"), Shmq, through(capacity), 1)).into();
            let rivals = if with_rivals { self.rivals.growth(&CAPACITIES) } else { Vec::new() };
            rows.extend(self.rivals(rivals, |case| runner::flow(case, 1)));
            self.push("growth", GROWTH_CAPACITY, unit, rows);
        }
        if self.wants("growth", GROWTH_CAPACITY_ALONE) {
            let alone = |capacity| bystanders::alone(capacity, 0);
            let rows = CAPACITIES.map(|capacity| self.flow(&format!("Queue, {capacity}"), Shmq, alone(capacity), 1)).into();
            self.push("growth", GROWTH_CAPACITY_ALONE, unit, rows);
        }
        if self.wants("growth", GROWTH_ATTACHED) {
            let case = |attached: usize| bystanders::flow_beside(1024, attached - 3);
            let rows = ATTACHED.map(|attached| self.flow(&format!("Queue, {attached}"), Shmq, case(attached), 1)).into();
            self.push("growth", GROWTH_ATTACHED, unit, rows);
        }
        if self.wants("growth", GROWTH_ATTACHED_ALONE) {
            let case = |attached: usize| bystanders::alone(1024, attached - 3);
            let rows = ATTACHED.map(|attached| self.flow(&format!("Queue, {attached}"), Shmq, case(attached), 1)).into();
            self.push("growth", GROWTH_ATTACHED_ALONE, unit, rows);
        }
    }
}

/// How often a channel is created in a sample.
const FIRST_ROUNDS: u64 = 20;

pub fn plan(arguments: &Arguments) -> Plan {
    let cases = vec![untimed_ping_pong::bare_cache_line().1];
    assert_eq!(cases.len() - 1, PROBE);
    let rivals = Registry::new(arguments.python);
    let mut planner = Planner { cases, groups: Vec::new(), rivals, times: Turns::share(), only: arguments.only.clone() };
    let full = !arguments.quick;
    planner.throughput::<1>("8 B", 1, full);
    planner.throughput::<LINE>("64 B", 1, true);
    if full {
        planner.throughput::<128>("1 KiB", 1, full);
    }
    planner.throughput::<LARGE_WORDS>("64 KiB", 1, full);
    planner.throughput::<FRAME>("1 MiB", 1, full);
    planner.throughput::<LINE>("64 B", 2, full);
    planner.throughput::<LINE>("64 B", 4, full);
    if full {
        planner.throughput::<1>("8 B", 2, false);
        planner.throughput::<1>("8 B", 4, false);
        planner.throughput::<LARGE_WORDS>("64 KiB", 2, false);
    }
    planner.broadcast_to_one::<1>("8 B");
    planner.broadcast_to_one::<LINE>("64 B");
    planner.broadcast_to_three::<1>("8 B");
    planner.broadcast_to_three::<LINE>("64 B");
    planner.broadcast_to_three::<FRAME>("1 MiB");
    planner.one_core();
    planner.objects::<Order, LINE>(STRUCTS);
    planner.objects::<Prices, 128>(MAPS);
    planner.latency();
    planner.waiting();
    planner.creation();
    planner.idle(arguments.effort().idle);
    planner.growth(full);
    // Not among the core rows.
    let kills = if full || !arguments.only.is_empty() { killed::rivals(&arguments.kills()) } else { Vec::new() };
    Plan { cases: planner.cases, groups: planner.groups, kills, notes: planner.rivals.notes }
}
