//! How many times faster than the plain baseline, and how close to the bare machine: one run, one
//! table.
//!
//! `cargo bench --bench ratios -- [--quick] [--json] [--check] [TITLE]`; `--check` ends with status
//! 1 if a target is missed at every distance (see below), a part of a group's title leaves the
//! other groups out.
//!
//! How it measures: `rounds`.

mod baseline;
mod flows;
mod forked;
mod ping_pong;
mod report;
mod rounds;

use forked::Placement::{Free, Pinned};
use report::Unit;
use rounds::{Effort, Flags, Plan};
use shmq::WaitStrategy::{Adaptive, Block, Spin};
use std::{process::ExitCode, time::Duration};

const FULL: Effort = Effort { repetitions: 11, sample: Duration::from_millis(100) };
const QUICK: Effort = Effort { repetitions: 7, sample: Duration::from_millis(20) };

fn plan() -> Plan {
    use flows::dynamic::{bytes_copy, bytes_endpoints_copy};
    use flows::*;
    use ping_pong::{bare_cache_line, bare_futex, endpoints, queue};
    let mut plan = Plan::new();
    plan.group(
        "1x1, 64 B",
        (1, 1),
        Pinned,
        Unit::MillionsPerSecond,
        vec![
            (baseline::<8>(), None),
            (copy::<8>(), Some(5.0)),
            (in_place::<8>(), None),
            (batch::<8>(), None),
            (endpoints_copy::<8>(), Some(15.0)),
            (endpoints_in_place::<8>(), None),
            (endpoints_batch::<8>(), None),
        ],
    );
    plan.group(
        "1x1, 8 B",
        (1, 1),
        Pinned,
        Unit::MillionsPerSecond,
        vec![
            (baseline::<1>(), None),
            (copy::<1>(), None),
            (batch::<1>(), None),
            (endpoints_copy::<1>(), None),
            (endpoints_batch::<1>(), None),
        ],
    );
    // The first is what the second is compared with: no more than a tenth slower.
    let by_lock = vec![(copy::<8>(), None), (bytes_copy::<8>(), Some(0.9))];
    plan.group("by bytes, 64 B", (1, 1), Pinned, Unit::MillionsPerSecond, by_lock);
    let by_endpoints = vec![(endpoints_copy::<8>(), None), (bytes_endpoints_copy::<8>(), Some(0.9))];
    plan.group("by bytes and endpoints, 64 B", (1, 1), Pinned, Unit::MillionsPerSecond, by_endpoints);
    for (title, sides) in [("2x2, 64 B", 2), ("4x4, 64 B", 4)] {
        let contestants = vec![(baseline::<8>(), None), (copy::<8>(), None), (batch::<8>(), None)];
        plan.group(title, (sides, sides), Free, Unit::MillionsPerSecond, contestants);
    }
    plan.group(
        "round trip of 8 B, spinning",
        (1, 1),
        Pinned,
        Unit::Nanos,
        vec![(bare_cache_line(), None), (queue::<1>("queue", Spin), None), (endpoints::<1>("endpoints", Spin), None)],
    );
    plan.group(
        "round trip of 64 B, spinning",
        (1, 1),
        Pinned,
        Unit::Nanos,
        vec![
            (bare_cache_line(), None),
            (queue::<8>("queue", Spin), Some(1.5)),
            (endpoints::<8>("endpoints", Spin), Some(1.5)),
            (queue::<8>("queue_default_wait", Adaptive), None),
            (endpoints::<8>("endpoints_default_wait", Adaptive), None),
        ],
    );
    plan.group(
        "round trip of 64 B, sleeping",
        (1, 1),
        Pinned,
        Unit::Nanos,
        vec![
            (bare_futex(), None),
            (queue::<8>("queue", Block), None),
            (endpoints::<8>("endpoints", Block), None),
            (ping_pong::baseline(), None),
        ],
    );
    plan
}

fn main() -> ExitCode {
    let flags = Flags::given();
    let effort = Effort::chosen(&flags, FULL, QUICK);
    let mut plan = plan();
    plan.groups.retain(|group| flags.want(group.title));
    if plan.groups.is_empty() {
        println!("no group has that title");
        return ExitCode::FAILURE;
    }
    let Some(report) = plan.measure(effort) else {
        println!("one core: spinning contestants would measure the scheduler; nothing to compare");
        return ExitCode::SUCCESS;
    };
    if flags.has("--json") {
        println!("{:#}", report.json())
    } else {
        print!("{report}")
    }
    ExitCode::from(u8::from(flags.has("--check") && report.misses() > 0))
}
