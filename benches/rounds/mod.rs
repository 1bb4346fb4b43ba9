//! Contestants that run one after the other, group after group, and all of it again and again.
//!
//! A virtual machine changes its speed by factors during a run, most of all when its processors move
//! apart. So a ratio is taken within one repetition, and the table shows the median of these ratios
//! with the lowest and the highest. Before and after each group the bare cache-line round trip is
//! measured: a repetition in which it changed is left out of that group's ratios, and repetitions at
//! different distances of the processors are kept apart.

use crate::flows::Contestant;
use crate::forked::{Case, Placement, Workers};
use crate::ping_pong::bare_cache_line;
use crate::report::{Group, Report, Row, Unit};
use std::{env, time::Duration};

/// How long and how often: a full run, `--quick`, and the smoke run that `cargo test --benches`
/// makes.
#[derive(Clone, Copy)]
pub struct Effort {
    pub repetitions: usize,
    pub sample: Duration,
}

impl Effort {
    pub const SMOKE: Effort = Effort { repetitions: 1, sample: Duration::ZERO };

    /// Cargo passes --bench to a bench; without it, or with --test, this is a test run, as in
    /// criterion.
    pub fn chosen(flags: &Flags, full: Effort, quick: Effort) -> Effort {
        match (flags.has("--bench") && !flags.has("--test"), flags.has("--quick")) {
            (false, _) => Effort::SMOKE,
            (true, true) => quick,
            (true, false) => full,
        }
    }
}

/// What the bench was called with.
pub struct Flags(Vec<String>);

impl Flags {
    pub fn given() -> Flags {
        Flags(env::args().skip(1).collect())
    }

    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|given| given == flag)
    }

    /// Is a group of this title wanted? A part of a title leaves the other groups out.
    pub fn want(&self, title: &str) -> bool {
        self.0.iter().all(|given| given.starts_with("--") || title.contains(given.as_str()))
    }
}

/// The cases of all groups; the first of them is the bare cache line, which also serves as the
/// probe.
pub struct Plan {
    pub groups: Vec<Group>,
    cases: Vec<Box<dyn Case>>,
}

const PROBE: usize = 0;
const PROBE_TURNS: u64 = 10_000;

impl Plan {
    pub fn new() -> Plan {
        Plan { groups: Vec::new(), cases: vec![bare_cache_line().1] }
    }

    /// Adds a group; the first contestant is what the others are compared with.
    pub fn group(
        &mut self,
        title: &'static str,
        party: (u32, u32),
        placement: Placement,
        unit: Unit,
        contestants: Vec<(Contestant, Option<f64>)>,
    ) -> &mut Group {
        let mut rows = Vec::new();
        for ((name, case), target) in contestants {
            rows.push(Row::new(name, self.cases.len(), target));
            self.cases.push(case);
        }
        let at = self.groups.len();
        self.groups.push(Group { title, party, placement, unit, shows_switches: false, rows, probes: Vec::new() });
        &mut self.groups[at]
    }

    /// Measures all groups in turn, as often as the effort says. `None` where there is one core:
    /// spinning contestants would measure the scheduler.
    pub fn measure(self, effort: Effort) -> Option<Report> {
        let Plan { mut groups, cases } = self;
        let mut workers = Workers::fork(cases);
        let cores = workers.cores().to_vec();
        if cores.len() < 2 {
            workers.dismiss();
            return None;
        }
        for _ in 0..effort.repetitions {
            for group in &mut groups {
                let before = probe(&mut workers);
                for at in 0..group.rows.len() {
                    let (nanos, switches) = sample(&mut workers, group, at, effort.sample);
                    group.rows[at].nanos.push(nanos);
                    group.rows[at].switches.push(switches);
                }
                group.probes.push((before, probe(&mut workers)));
            }
        }
        workers.dismiss();
        Some(Report::new(groups, &cores, effort.repetitions))
    }
}

/// Seats the party of a row and measures it once: the time of a message, and the switches of threads
/// for it. The first runs find out how many messages fill a sample, and warm up.
fn sample(workers: &mut Workers, group: &Group, row: usize, sample: Duration) -> (f64, f64) {
    workers.seat(group.rows[row].case, group.party.0, group.party.1, group.placement);
    let (mut messages, mut elapsed) = workers.run(256);
    while elapsed < sample / 8 {
        (messages, elapsed) = workers.run(messages * 4);
    }
    if !sample.is_zero() {
        let fill = sample.as_secs_f64() / elapsed.as_secs_f64();
        (messages, elapsed) = workers.run((messages as f64 * fill) as u64);
    }
    let switches = workers.switches() as f64 / messages as f64;
    workers.clear();
    (elapsed.as_secs_f64() * 1e9 / messages as f64, switches)
}

/// The bare cache-line round trip at this moment, in nanoseconds.
fn probe(workers: &mut Workers) -> f64 {
    workers.seat(PROBE, 1, 1, Placement::Pinned);
    workers.run(PROBE_TURNS / 10);
    let (turns, elapsed) = workers.run(PROBE_TURNS);
    workers.clear();
    elapsed.as_secs_f64() * 1e9 / turns as f64
}
