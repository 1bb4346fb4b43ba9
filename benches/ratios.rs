//! How many times faster than the plain baseline, and how close to the bare machine: one run, one
//! table.
//!
//! `cargo bench --bench ratios -- [--quick] [--json] [--check] [TITLE]`; `--check` ends with status
//! 1 if a target is missed at every distance (see below), a part of a group's title leaves the
//! other groups out.
//!
//! The contestants of a group run one after the other, group after group, and all of it is
//! repeated: a virtual machine changes its speed by factors during a run, most of all when its
//! processors move apart. So a ratio is taken within one repetition, and the table shows the median
//! of these ratios with the lowest and the highest. Before and after each group the bare cache-line
//! round trip is measured: a repetition in which it changed is left out of that group's ratios, and
//! repetitions at different distances of the processors are kept apart.

mod baseline;
mod flows;
mod forked;
mod ping_pong;
mod report;

use flows::Contestant;
use forked::{Case, Placement, Workers};
use report::{Group, Report, Row, Unit};
use shmq::WaitStrategy::{Adaptive, Block, Spin};
use std::{env, process::ExitCode, time::Duration};

/// How long and how often: a full run, `--quick`, and the smoke run that `cargo test --benches`
/// makes.
#[derive(Clone, Copy)]
struct Effort {
    repetitions: usize,
    sample: Duration,
}

const FULL: Effort = Effort { repetitions: 11, sample: Duration::from_millis(100) };
const QUICK: Effort = Effort { repetitions: 7, sample: Duration::from_millis(20) };
const SMOKE: Effort = Effort { repetitions: 1, sample: Duration::ZERO };

/// The cases of all groups; the first of them is the bare cache line, which also serves as the
/// probe.
struct Plan {
    groups: Vec<Group>,
    cases: Vec<Box<dyn Case>>,
}

const PROBE: usize = 0;
const PROBE_TURNS: u64 = 10_000;

impl Plan {
    /// Adds a group; the first contestant is what the others are compared with.
    fn group(&mut self, title: &'static str, sides: u32, unit: Unit, contestants: Vec<(Contestant, Option<f64>)>) {
        let placement = if sides == 1 { Placement::Pinned } else { Placement::Free };
        let mut rows = Vec::new();
        for ((name, case), target) in contestants {
            rows.push(Row { name, case: self.cases.len(), target, nanos: Vec::new() });
            self.cases.push(case);
        }
        self.groups.push(Group { title, sides, placement, unit, rows, probes: Vec::new() });
    }
}

fn plan() -> Plan {
    use flows::*;
    use ping_pong::{bare_cache_line, bare_futex, endpoints, queue};
    let mut plan = Plan { groups: Vec::new(), cases: vec![bare_cache_line().1] };
    plan.group(
        "1x1, 64 B",
        1,
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
        1,
        Unit::MillionsPerSecond,
        vec![
            (baseline::<1>(), None),
            (copy::<1>(), None),
            (batch::<1>(), None),
            (endpoints_copy::<1>(), None),
            (endpoints_batch::<1>(), None),
        ],
    );
    for (title, sides) in [("2x2, 64 B", 2), ("4x4, 64 B", 4)] {
        let contestants = vec![(baseline::<8>(), None), (copy::<8>(), None), (batch::<8>(), None)];
        plan.group(title, sides, Unit::MillionsPerSecond, contestants);
    }
    plan.group(
        "round trip of 8 B, spinning",
        1,
        Unit::Nanos,
        vec![(bare_cache_line(), None), (queue::<1>("queue", Spin), None), (endpoints::<1>("endpoints", Spin), None)],
    );
    plan.group(
        "round trip of 64 B, spinning",
        1,
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
        1,
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

/// Seats the party of a row and measures it once; the first runs find out how many messages fill a
/// sample, and warm up.
fn measure(workers: &mut Workers, group: &Group, row: &Row, sample: Duration) -> f64 {
    workers.seat(row.case, group.sides, group.sides, group.placement);
    let (mut messages, mut elapsed) = workers.run(256);
    while elapsed < sample / 8 {
        (messages, elapsed) = workers.run(messages * 4);
    }
    if !sample.is_zero() {
        let fill = sample.as_secs_f64() / elapsed.as_secs_f64();
        (messages, elapsed) = workers.run((messages as f64 * fill) as u64);
    }
    workers.clear();
    elapsed.as_secs_f64() * 1e9 / messages as f64
}

/// The bare cache-line round trip at this moment, in nanoseconds.
fn probe(workers: &mut Workers) -> f64 {
    workers.seat(PROBE, 1, 1, Placement::Pinned);
    workers.run(PROBE_TURNS / 10);
    let (turns, elapsed) = workers.run(PROBE_TURNS);
    workers.clear();
    elapsed.as_secs_f64() * 1e9 / turns as f64
}

fn main() -> ExitCode {
    let flags: Vec<String> = env::args().skip(1).collect();
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    // Cargo passes --bench to a bench; without it, or with --test, this is a test run, as in
    // criterion.
    let effort = match (has("--bench") && !has("--test"), has("--quick")) {
        (false, _) => SMOKE,
        (true, true) => QUICK,
        (true, false) => FULL,
    };
    let Plan { mut groups, cases } = plan();
    groups.retain(|group| flags.iter().all(|given| given.starts_with("--") || group.title.contains(given.as_str())));
    if groups.is_empty() {
        println!("no group has that title");
        return ExitCode::FAILURE;
    }
    let mut workers = Workers::fork(cases);
    let cores = workers.cores().to_vec();
    if cores.len() < 2 {
        println!("one core: spinning contestants would measure the scheduler; nothing to compare");
        workers.dismiss();
        return ExitCode::SUCCESS;
    }
    for _ in 0..effort.repetitions {
        for group in &mut groups {
            let before = probe(&mut workers);
            let nanos: Vec<f64> = group.rows.iter().map(|row| measure(&mut workers, group, row, effort.sample)).collect();
            group.rows.iter_mut().zip(nanos).for_each(|(row, nanos)| row.nanos.push(nanos));
            group.probes.push((before, probe(&mut workers)));
        }
    }
    workers.dismiss();
    let report = Report::new(groups, &cores, effort.repetitions);
    if has("--json") {
        println!("{:#}", report.json())
    } else {
        print!("{report}")
    }
    ExitCode::from(u8::from(has("--check") && report.misses() > 0))
}
