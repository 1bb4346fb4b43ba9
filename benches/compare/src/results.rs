//! Results: groups of rows, a row's samples, and the measurement of a sample.

use std::fmt;

/// What a row stands for; decides its colour and the order in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Shmq,
    /// Between processes.
    Processes,
    /// Between threads of one process: an upper bound.
    Threads,
    /// What the machine allows.
    Limit,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Family::Shmq => "shmq",
            Family::Processes => "processes",
            Family::Threads => "threads",
            Family::Limit => "limit",
        }
    }
}

/// The unit of a group's results.
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
pub struct Measurement {
    pub nanos: f64,
    /// p50, p99, p99.9.
    pub percentiles: Option<[f64; 3]>,
    /// On processors, in all processes (threads) together, for one message; in idle groups, for a
    /// second.
    pub cpu_nanos: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub repetition: usize,
    /// The bare cache-line round trip before and after, in nanoseconds.
    pub probes: (f64, f64),
    pub measurement: Measurement,
}

pub struct Row {
    pub name: String,
    pub family: Family,
    pub samples: Vec<Sample>,
    /// Why there are no (more) samples: messages were lost, or it hung.
    pub fault: Option<String>,
}

impl Row {
    pub fn new(name: impl Into<String>, family: Family) -> Row {
        Row { name: name.into(), family, samples: Vec::new(), fault: None }
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

/// Median, lowest, highest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
    pub count: usize,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&lowest, &highest) = (values.first()?, values.last()?);
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        Some(Spread { median, lowest, highest, count: values.len() })
    }
}

/// A number with about three digits.
pub fn brief(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 || size == 0.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:>7} [{}..{}]", brief(self.median), brief(self.lowest), brief(self.highest)))
    }
}
