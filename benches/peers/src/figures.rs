//! What is measured: groups of rows, a row's samples, and the figures of a sample.

use crate::{lab::Measure, states::States};
use std::{fmt, fs, time::Duration};

/// Whom a row stands for; decides its colour and the order in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Shmq,
    /// Between processes.
    Peer,
    /// Between threads of one process: an upper bound.
    Threads,
    /// What the machine allows.
    Limit,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Family::Shmq => "shmq",
            Family::Peer => "processes",
            Family::Threads => "threads",
            Family::Limit => "limit",
        }
    }
}

/// What a group's figures mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Millions of messages a second of that many bytes; more is better.
    Rate { bytes: usize },
    /// Nanoseconds; less is better. With percentiles if the samples have them.
    Nanos,
    /// Microseconds on a processor in a second of waiting.
    IdleMicros,
}

/// One measurement of a row. Nanoseconds of one message, or of one round trip.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub nanos: f64,
    /// p50, p99, p99.9.
    pub percentiles: Option<[f64; 3]>,
    /// On processors, in all processes (threads) together, for one message; in idle groups, for a second.
    pub cpu_nanos: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub repetition: usize,
    /// The bare cache-line round trip before and after, in nanoseconds.
    pub probes: (f64, f64),
    pub figures: Figures,
}

pub struct Row {
    pub name: String,
    pub family: Family,
    pub measure: Measure,
    pub samples: Vec<Sample>,
    /// Why there are no (more) samples: messages were lost, or it hung.
    pub fault: Option<String>,
}

impl Row {
    pub fn new(name: impl Into<String>, family: Family, measure: Measure) -> Row {
        Row { name: name.into(), family, measure, samples: Vec::new(), fault: None }
    }
}

pub struct Group {
    /// One of `plan::KINDS`.
    pub kind: &'static str,
    pub title: String,
    pub unit: Unit,
    pub rows: Vec<Row>,
}

impl Group {
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

/// A whole run of the bench.
pub struct Run {
    pub machine: String,
    pub kernel: String,
    pub repetitions: usize,
    pub took: Duration,
    pub groups: Vec<Group>,
    /// Rivals that were skipped, and why.
    pub notes: Vec<String>,
    pub states: States,
}

impl Run {
    pub fn new(groups: Vec<Group>, notes: Vec<String>, cores: &[usize], repetitions: usize, took: Duration) -> Run {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name| cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(": "));
        let model = field("model name").map_or("unknown processor", |(_, model)| model.trim());
        let virtual_machine = if cpuinfo.contains(" hypervisor") { " (virtual machine)" } else { "" };
        let pair: Vec<String> = cores.iter().take(2).map(usize::to_string).collect();
        let machine = format!("{model}{virtual_machine}, {} cores, 1x1 pinned to {}", cores.len(), pair.join(" and "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Run { machine, kernel, repetitions, took, groups, notes, states: States::default() }
    }

    pub fn group(&self, title: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.title == title)
    }
}

/// Median, lowest, highest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
    pub count: usize,
}

impl Spread {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (&lowest, &highest) = (figures.first()?, figures.last()?);
        let median = (figures[(figures.len() - 1) / 2] + figures[figures.len() / 2]) / 2.0;
        Some(Spread { median, lowest, highest, count: figures.len() })
    }
}

/// Three digits or so.
pub fn brief(figure: f64) -> String {
    match figure.abs() {
        size if size >= 99.95 => format!("{figure:.0}"),
        size if size >= 9.995 => format!("{figure:.1}"),
        size if size >= 0.9995 || size == 0.0 => format!("{figure:.2}"),
        size if size >= 0.1 => format!("{figure:.3}"),
        _ => format!("{figure:.4}"),
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:>7} [{}..{}]", brief(self.median), brief(self.lowest), brief(self.highest)))
    }
}
