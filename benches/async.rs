//! What waiting without a blocked thread costs, beside the same calls that block: one run, one
//! table.
//!
//! `cargo bench --features async --bench async -- [--quick] [--json] [--check] [TITLE]`; `--check`
//! ends with status 1 if a target is missed at every distance (see `rounds`), a part of a group's
//! title leaves the other groups out.
//!
//! All executors have one thread. The reactor's thread runs where its process may: on the core of
//! its member, if members are pinned.

mod baseline;
mod flows;
mod forked;
mod ping_pong;
mod report;
mod rounds;
mod tasks;

use forked::Placement::{Free, OneCore, Pinned};
use report::Unit::{MillionsPerSecond, Nanos};
use rounds::{Effort, Flags, Plan};
use shmq::WaitStrategy::Block;
use std::{process::ExitCode, time::Duration};
use tasks::idle::Idle;
use tasks::{Futures, Tokio, crowd, round_trip, stream, threads};

const FULL: Effort = Effort { repetitions: 21, sample: Duration::from_millis(40) };
const QUICK: Effort = Effort { repetitions: 5, sample: Duration::from_millis(10) };

const IDLE: &str = "idle, and what a wait costs";

fn plan() -> Plan {
    let mut plan = Plan::new();
    let streams = vec![
        (flows::copy::<8>(), None),
        (stream::queue::<8, Futures>("queue, futures"), Some(0.5)),
        (stream::queue::<8, Tokio>("queue, tokio"), Some(0.5)),
        (flows::endpoints_copy::<8>(), None),
        (stream::endpoints::<8, Futures>("endpoints, futures"), None),
        (stream::endpoints::<8, Tokio>("endpoints, tokio"), None),
    ];
    plan.group("busy, 64 B, 1x1", (1, 1), Pinned, MillionsPerSecond, streams);
    for (title, placement) in
        [("round trip, two cores", Pinned), ("round trip, one core", OneCore), ("round trip, as the kernel likes", Free)]
    {
        let turns = vec![
            (ping_pong::queue::<8>("blocking", Block), None),
            (round_trip::tasks::<Futures>("futures"), Some(2.2)),
            (round_trip::tasks::<Tokio>("tokio"), Some(2.2)),
            (round_trip::readiness("readiness, epoll"), Some(2.2)),
        ];
        plan.group(title, (1, 1), placement, Nanos, turns).shows_switches = true;
    }
    let crowds = vec![
        (crowd::answering("1 task", 1, 1), None),
        (crowd::answering("10,000 tasks on it", 10_000, 1), Some(2.0)),
        (crowd::answering("100 queues, a task each", 100, 100), Some(3.0)),
    ];
    plan.group("round trip to a task of many", (1, 1), Pinned, Nanos, crowds).shows_switches = true;
    let streamed = vec![
        (crowd::taking("1 task", 1, 1), None),
        (crowd::taking("10,000 tasks on it", 10_000, 1), Some(2.0)),
        (crowd::taking("100 queues, a task each", 100, 100), Some(3.0)),
    ];
    plan.group("a stream to tasks", (1, 1), Pinned, Nanos, streamed).shows_switches = true;
    let between = |answers| {
        vec![
            (threads::tokio_mpsc(flows::capacity(8), answers), None), //
            (threads::queue(flows::capacity(8), answers), None),
        ]
    };
    plan.group("busy, 64 B, between threads", (1, 0), Free, MillionsPerSecond, between(false));
    plan.group("round trip between threads", (1, 0), Free, Nanos, between(true)).shows_switches = true;
    plan
}

fn main() -> ExitCode {
    let flags = Flags::given();
    let effort = Effort::chosen(&flags, FULL, QUICK);
    let mut plan = plan();
    plan.groups.retain(|group| flags.want(group.title));
    let (has_groups, is_idle_wanted) = (!plan.groups.is_empty(), flags.want(IDLE));
    if !has_groups && !is_idle_wanted {
        println!("no group has that title");
        return ExitCode::FAILURE;
    }
    let report = if has_groups { plan.measure(effort) } else { None };
    if has_groups && report.is_none() {
        println!("one core: the contestants are not compared");
    }
    let length = Duration::from_millis(100) + effort.sample * 100;
    let idle = is_idle_wanted.then(|| Idle::measure(length, 25 * effort.repetitions));
    if flags.has("--json") {
        let reports = (report.as_ref().map(|report| report.json()), idle.as_ref().map(Idle::json));
        println!("{:#}", serde_json::json!({ "contestants": reports.0, "alone": reports.1 }));
    } else {
        report.iter().for_each(|report| print!("{report}"));
        idle.iter().for_each(|idle| print!("{idle}"));
    }
    let misses = report.map_or(0, |report| report.misses()) + idle.map_or(0, |idle| idle.misses());
    ExitCode::from(u8::from(flags.has("--check") && misses > 0))
}
