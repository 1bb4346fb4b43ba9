//! Which rows are measured, in which groups.

use crate::{
    arguments::Arguments,
    crowd,
    figures::{Family, Group, Row, Unit},
    first_message::{ByName, OneHandle, first_message},
    flows::{self, flow},
    forked::Case,
    idle,
    lab::{self, Measure, PROBE},
    limits, ping_pong, python,
    rally::{self, Turns, rally, sleeping_rally},
    records::Records,
    rivals::{
        boost::{self, BoostMq},
        bytes::Words,
        iceoryx::{FirstSample, Iceoryx},
        ipc::IpcChannel,
        mq::{self, PosixMq},
        pipe::Pipe,
        ring::PlainRing,
        seqpacket::{FirstPair, SeqPacket},
    },
    shmq_ways::{ADAPTIVE, BLOCK, ByEndpoints, ByQueue, SPIN},
    threads,
};
use Family::{Limit, Peer, Shmq, Threads};

pub const KINDS: [&str; 6] = ["throughput", "latency", "waiting", "creation", "idle", "growth"];

/// Words of a 64-byte message.
const LINE: usize = 8;
/// From here on, messages are large: moved in place where one can, and owned by pointers between threads.
const LARGE_WORDS: usize = 8192;
/// Each side of a ping-pong with work between computes this long, in microseconds.
pub const WORK_MICROS: [u64; 4] = [0, 1, 2, 5];
pub const CAPACITIES: [usize; 5] = [16, 256, 4096, 65_536, 1 << 20];
/// Attached processes: the one that made the queue, the two that use it, and bystanders.
pub const ATTACHED: [usize; 4] = [3, 8, 24, 64];

pub struct Plan {
    /// The first is the probe.
    pub cases: Vec<Box<dyn Case>>,
    pub groups: Vec<Group>,
    pub notes: Vec<String>,
}

struct Planner {
    plan: Plan,
    times: &'static Turns,
    python: Vec<(&'static str, &'static str)>,
    only: Vec<String>,
}

impl Planner {
    fn wants(&self, kind: &str, title: &str) -> bool {
        let wanted = |what: &String| kind.contains(what.as_str()) || title.to_lowercase().contains(what.as_str());
        self.only.is_empty() || self.only.iter().any(wanted)
    }

    fn case(&mut self, case: Box<dyn Case>) -> usize {
        self.plan.cases.push(case);
        self.plan.cases.len() - 1
    }

    fn push(&mut self, kind: &'static str, title: impl Into<String>, unit: Unit, rows: Vec<Row>) {
        self.plan.groups.push(Group { kind, title: title.into(), unit, rows });
    }

    /// A row for what moves messages between processes.
    fn flow(&mut self, name: &str, family: Family, case: Box<dyn Case>, sides: u32) -> Row {
        Row::new(name, family, lab::flow(self.case(case), sides))
    }

    fn rally(&mut self, name: &str, family: Family, case: Box<dyn Case>, sleeps: bool) -> Row {
        Row::new(name, family, lab::rally(self.case(case), sleeps, self.times))
    }

    fn first(&mut self, name: &str, family: Family, case: Box<dyn Case>) -> Row {
        Row::new(name, family, lab::timed(self.case(case), 20, self.times))
    }

    fn with_python(&self, rows: &mut Vec<Row>, measure: impl Fn(&'static str) -> Measure) {
        rows.extend(self.python.iter().map(|&(kind, name)| Row::new(name, Peer, measure(kind))));
    }

    /// Messages of `W` words.
    fn throughput<const W: usize>(&mut self, size: &str, sides: u32, python: bool) {
        let title = format!("{size}, {sides}x{sides}");
        if !self.wants("throughput", &title) {
            return;
        }
        let bytes = W * 8;
        let mut rows = vec![self.flow("Queue", Shmq, flows::copy::<W>().1, sides)];
        if W < LARGE_WORDS {
            rows.push(self.flow("Queue, 32 a call", Shmq, flows::batch::<W>().1, sides));
        } else {
            rows.push(self.flow("Queue, in place", Shmq, flows::in_place::<W>().1, sides));
        }
        if sides == 1 {
            rows.push(self.flow("Producer/Consumer", Shmq, flows::endpoints_copy::<W>().1, sides));
            if W < LARGE_WORDS {
                rows.push(self.flow("Producer/Consumer, 32 a call", Shmq, flows::endpoints_batch::<W>().1, sides));
            } else {
                rows.push(self.flow("Producer/Consumer, in place", Shmq, flows::endpoints_in_place::<W>().1, sides));
            }
            rows.push(self.flow("iceoryx2", Peer, flow::<Iceoryx<W, false>>(), sides));
            rows.push(self.flow("ipc-channel", Peer, flow::<IpcChannel<W>>(), sides));
        }
        rows.push(self.flow("shared_memory + raw_sync ring", Peer, flows::baseline::<W>().1, sides));
        if boost::BUILT {
            rows.push(self.flow("boost message_queue", Peer, flow::<Words<BoostMq, W>>(), sides));
        }
        if self.has_mq(bytes) {
            rows.push(self.flow("POSIX mq", Peer, flow::<Words<PosixMq, W>>(), sides));
        }
        if sides == 1 || bytes <= libc::PIPE_BUF {
            rows.push(self.flow("pipe", Peer, flow::<Words<Pipe, W>>(), sides));
        }
        if sides == 1 && bytes < 1 << 20 {
            rows.push(self.flow("SOCK_SEQPACKET", Peer, flow::<Words<SeqPacket, W>>(), sides));
        }
        if python {
            self.with_python(&mut rows, |kind| python::flow(kind, bytes, sides));
        }
        rows.extend(if W < LARGE_WORDS { between_threads::<W>(sides) } else { large_between_threads::<W>() });
        if W >= LARGE_WORDS {
            rows.push(Row::new("memcpy", Limit, limits::memcpy::<W>()));
            rows.push(self.flow("bare buffers handed over", Limit, limits::bare_buffers::<W>(), sides));
        } else if sides == 1 {
            rows.push(self.flow("bare records", Limit, flow::<Records<W>>(), sides));
        }
        self.push("throughput", title, Unit::Rate { bytes }, rows);
    }

    fn has_mq(&mut self, bytes: usize) -> bool {
        let made = mq::create(&format!("{}-probe", std::process::id()), 1024, bytes);
        let note = match made {
            Ok(queue) => {
                crate::forked::Host::unlink(&queue);
                return true;
            }
            Err(problem) => format!("POSIX mq of {bytes} B messages: skipped, {problem} (see /proc/sys/fs/mqueue)"),
        };
        if !self.plan.notes.contains(&note) {
            self.plan.notes.push(note);
        }
        false
    }

    fn latency(&mut self) {
        let times = self.times;
        if self.wants("latency", "ping-pong 64 B, spinning") {
            let mut rows = vec![
                self.rally("Queue", Shmq, rally::<ByQueue<LINE, SPIN>>(times, 0), false),
                self.rally("Producer/Consumer", Shmq, rally::<ByEndpoints<LINE, SPIN>>(times, 0), false),
                self.rally("iceoryx2, polled", Peer, rally::<Iceoryx<LINE, false>>(times, 0), false),
            ];
            rows.push(Row::new("rtrb", Threads, threads::rally::<threads::Rtrb<LINE>>(false)));
            rows.push(Row::new("crossbeam-channel, polled", Threads, threads::rally::<threads::CrossbeamSpinning<LINE>>(false)));
            rows.push(Row::new("crossbeam ArrayQueue", Threads, threads::rally::<threads::Array<LINE>>(false)));
            rows.push(self.rally("bare records", Limit, rally::<Records<LINE>>(times, 0), false));
            rows.push(self.rally("bare cache line", Limit, rally::cache_line(times), false));
            self.push("latency", "ping-pong 64 B, spinning", Unit::Nanos, rows);
        }
        if self.wants("latency", "ping-pong 64 B, blocking") {
            let mut rows = vec![
                self.rally("Queue", Shmq, sleeping_rally::<ByQueue<LINE, BLOCK>>(times), true),
                self.rally("Producer/Consumer", Shmq, sleeping_rally::<ByEndpoints<LINE, BLOCK>>(times), true),
                self.rally("iceoryx2, event", Peer, sleeping_rally::<Iceoryx<LINE, true>>(times), true),
                self.rally("ipc-channel", Peer, sleeping_rally::<IpcChannel<LINE>>(times), true),
                self.rally("shared_memory + raw_sync ring", Peer, sleeping_rally::<PlainRing<LINE>>(times), true),
            ];
            if boost::BUILT {
                rows.push(self.rally("boost message_queue", Peer, sleeping_rally::<Words<BoostMq, LINE>>(times), true));
            }
            if self.has_mq(LINE * 8) {
                rows.push(self.rally("POSIX mq", Peer, sleeping_rally::<Words<PosixMq, LINE>>(times), true));
            }
            rows.push(self.rally("pipe", Peer, sleeping_rally::<Words<Pipe, LINE>>(times), true));
            rows.push(self.rally("SOCK_SEQPACKET", Peer, sleeping_rally::<Words<SeqPacket, LINE>>(times), true));
            self.with_python(&mut rows, python::rally);
            rows.push(Row::new("crossbeam-channel", Threads, threads::rally::<threads::Crossbeam<LINE>>(true)));
            rows.push(Row::new("std sync_channel", Threads, threads::rally::<threads::StdSync<LINE>>(true)));
            rows.push(Row::new("kanal", Threads, threads::rally::<threads::Kanal<LINE>>(true)));
            rows.push(self.rally("bare futex", Limit, rally::futex(times), true));
            self.push("latency", "ping-pong 64 B, blocking", Unit::Nanos, rows);
        }
    }

    fn waiting(&mut self) {
        for micros in WORK_MICROS {
            let title = waiting_title(micros);
            if self.wants("waiting", &title) {
                let nanos = micros * 1000;
                let times = self.times;
                let mut row = |name: &str, case| Row::new(name, Shmq, lab::short_rally(self.case(case), times));
                let rows = vec![
                    row("Queue, default", rally::<ByQueue<LINE, ADAPTIVE>>(times, nanos)),
                    row("Queue, Spin", rally::<ByQueue<LINE, SPIN>>(times, nanos)),
                    row("Queue, Block", rally::<ByQueue<LINE, BLOCK>>(times, nanos)),
                ];
                self.push("waiting", title, Unit::Nanos, rows);
            }
        }
    }

    fn creation(&mut self) {
        if !self.wants("creation", "creation to first message") {
            return;
        }
        let times = self.times;
        let mut rows = vec![
            self.first("Queue", Shmq, first_message::<ByName<ByQueue<LINE, ADAPTIVE>>>(times)),
            self.first("Queue, one handle", Shmq, first_message::<OneHandle>(times)),
            self.first("iceoryx2", Peer, first_message::<FirstSample<true>>(times)),
            self.first("iceoryx2, one node", Peer, first_message::<FirstSample<false>>(times)),
            self.first("shared_memory + raw_sync ring", Peer, first_message::<ByName<PlainRing<LINE>>>(times)),
        ];
        if boost::BUILT {
            rows.push(self.first("boost message_queue", Peer, first_message::<ByName<Words<BoostMq, LINE>>>(times)));
        }
        if self.has_mq(LINE * 8) {
            rows.push(self.first("POSIX mq", Peer, first_message::<ByName<Words<PosixMq, LINE>>>(times)));
        }
        rows.push(self.first("pipe", Peer, first_message::<ByName<Words<Pipe, LINE>>>(times)));
        rows.push(self.first("SOCK_SEQPACKET pair", Peer, first_message::<FirstPair>(times)));
        self.with_python(&mut rows, python::first);
        self.push("creation", "creation to first message", Unit::Nanos, rows);
    }

    fn idle(&mut self, lasts: std::time::Duration) {
        if !self.wants("idle", "CPU of a blocked receiver") {
            return;
        }
        let mut rows = Vec::new();
        let mut row = |name: &str, family, case| rows.push(Row::new(name, family, lab::idle(self.case(case))));
        row("Queue, default", Shmq, idle::idle::<ByQueue<LINE, ADAPTIVE>>(lasts));
        row("Queue, Block", Shmq, idle::idle::<ByQueue<LINE, BLOCK>>(lasts));
        row("iceoryx2, event", Peer, idle::idle::<Iceoryx<LINE, true>>(lasts));
        row("iceoryx2, polled", Peer, idle::idle::<Iceoryx<LINE, false>>(lasts));
        row("shared_memory + raw_sync ring", Peer, idle::idle::<PlainRing<LINE>>(lasts));
        if boost::BUILT {
            row("boost message_queue", Peer, idle::idle::<Words<BoostMq, LINE>>(lasts));
        }
        row("pipe", Peer, idle::idle::<Words<Pipe, LINE>>(lasts));
        self.with_python(&mut rows, python::idle);
        self.push("idle", "CPU of a blocked receiver", Unit::IdleMicros, rows);
    }

    fn growth(&mut self, rivals: bool) {
        let unit = Unit::Rate { bytes: LINE * 8 };
        if self.wants("growth", GROWTH_CAPACITY) {
            let mut rows = Vec::new();
            for capacity in CAPACITIES {
                rows.push(self.flow(&format!("Queue, {capacity}"), Shmq, flows::flow_through::<Ours>(capacity), 1));
            }
            for capacity in CAPACITIES.into_iter().filter(|_| rivals) {
                rows.push(Row::new(format!("rtrb, {capacity}"), Threads, threads::flow::<threads::Rtrb<LINE>>(capacity, 1)));
            }
            for capacity in CAPACITIES.into_iter().filter(|_| rivals) {
                let measure = threads::flow::<threads::Crossbeam<LINE>>(capacity, 1);
                rows.push(Row::new(format!("crossbeam-channel, {capacity}"), Threads, measure));
            }
            self.push("growth", GROWTH_CAPACITY, unit, rows);
        }
        if self.wants("growth", GROWTH_CAPACITY_ALONE) {
            let alone = |capacity| crowd::alone(capacity, 0);
            let rows = CAPACITIES.map(|capacity| self.flow(&format!("Queue, {capacity}"), Shmq, alone(capacity), 1)).into();
            self.push("growth", GROWTH_CAPACITY_ALONE, unit, rows);
        }
        if self.wants("growth", GROWTH_ATTACHED) {
            let case = |attached: usize| crowd::crowd(1024, attached - 3);
            let rows = ATTACHED.map(|attached| self.flow(&format!("Queue, {attached}"), Shmq, case(attached), 1)).into();
            self.push("growth", GROWTH_ATTACHED, unit, rows);
        }
        if self.wants("growth", GROWTH_ATTACHED_ALONE) {
            let case = |attached: usize| crowd::alone(1024, attached - 3);
            let rows = ATTACHED.map(|attached| self.flow(&format!("Queue, {attached}"), Shmq, case(attached), 1)).into();
            self.push("growth", GROWTH_ATTACHED_ALONE, unit, rows);
        }
    }
}

type Ours = ByQueue<LINE, ADAPTIVE>;

pub const GROWTH_CAPACITY: &str = "capacity, 64 B, 1x1";
pub const GROWTH_CAPACITY_ALONE: &str = "capacity, 64 B, put and get by one process";
pub const GROWTH_ATTACHED: &str = "attached processes, 64 B, 1x1";
pub const GROWTH_ATTACHED_ALONE: &str = "attached processes, 64 B, put and get by one process";

pub fn waiting_title(micros: u64) -> String {
    format!("ping-pong 64 B, {micros} us of work on each side")
}

fn between_threads<const W: usize>(sides: u32) -> Vec<Row> {
    let capacity = flows::capacity(W);
    let mut rows = vec![
        Row::new("crossbeam-channel", Threads, threads::flow::<threads::Crossbeam<W>>(capacity, sides)),
        Row::new("crossbeam ArrayQueue", Threads, threads::flow::<threads::Array<W>>(capacity, sides)),
        Row::new("kanal", Threads, threads::flow::<threads::Kanal<W>>(capacity, sides)),
    ];
    if sides == 1 {
        rows.push(Row::new("std sync_channel", Threads, threads::flow::<threads::StdSync<W>>(capacity, sides)));
        rows.push(Row::new("rtrb", Threads, threads::flow::<threads::Rtrb<W>>(capacity, sides)));
        rows.push(Row::new("rtrb, 32 a call", Threads, threads::flow::<threads::RtrbChunks<W>>(capacity, sides)));
    }
    rows
}

fn large_between_threads<const W: usize>() -> Vec<Row> {
    let capacity = flows::capacity(W);
    vec![Row::new("crossbeam-channel of boxes", Threads, threads::flow::<threads::CrossbeamBoxes<W>>(capacity, 1))]
}

pub fn plan(arguments: &Arguments) -> Plan {
    let mut notes = Vec::new();
    let python = if arguments.python { python::kinds(&mut notes) } else { Vec::new() };
    if !boost::BUILT {
        notes.push("boost message_queue: skipped, built without its headers (Debian: libboost-dev, then cargo clean)".into());
    }
    let plan = Plan { cases: vec![ping_pong::bare_cache_line().1], groups: Vec::new(), notes };
    assert_eq!(plan.cases.len() - 1, PROBE);
    let mut planner = Planner { plan, times: Turns::share(), python, only: arguments.only.clone() };
    let full = !arguments.quick;
    planner.throughput::<1>("8 B", 1, full);
    planner.throughput::<LINE>("64 B", 1, true);
    if full {
        planner.throughput::<128>("1 KiB", 1, full);
    }
    planner.throughput::<LARGE_WORDS>("64 KiB", 1, full);
    planner.throughput::<{ 128 << 10 }>("1 MiB", 1, full);
    planner.throughput::<LINE>("64 B", 2, full);
    planner.throughput::<LINE>("64 B", 4, full);
    planner.latency();
    planner.waiting();
    planner.creation();
    planner.idle(arguments.effort().idle);
    planner.growth(full);
    planner.plan
}
