//! The table of `ratios`: medians with the lowest and the highest, ratios within repetitions,
//! verdicts.

use crate::forked::Placement;
use serde_json::{Value, json};
use std::{fmt, fs};

/// Two probes of one group differ by more than this: the processors moved meanwhile.
const MOVED: f64 = 1.4;
/// Repetitions whose probes lie within this factor were measured at the same distance of the
/// processors.
const SAME_DISTANCE: f64 = 1.7;
/// Distances that the table has room for: those with the most repetitions.
const COLUMNS: usize = 2;
/// The slowest probe is this many times the fastest: more than any move of processors explains, so
/// others used these cores.
const DISTURBED: f64 = 10.0;

#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    /// More is better; a ratio is how many times the first row's.
    MillionsPerSecond,
    /// Less is better; a ratio is how many times the first row's, too.
    Nanos,
}

/// One contestant, with the time of a message (a round trip) in each repetition.
pub struct Row {
    pub name: &'static str,
    pub case: usize,
    pub target: Option<f64>,
    pub nanos: Vec<f64>,
    /// Switches of threads for a message.
    pub switches: Vec<f64>,
}

impl Row {
    pub fn new(name: &'static str, case: usize, target: Option<f64>) -> Row {
        Row { name, case, target, nanos: Vec::new(), switches: Vec::new() }
    }
}

/// Contestants that are compared with the first of them, and the cache-line probes before and after
/// each repetition.
pub struct Group {
    pub title: &'static str,
    /// Producers and consumers.
    pub party: (u32, u32),
    pub placement: Placement,
    pub unit: Unit,
    /// Are switches of threads worth a column?
    pub shows_switches: bool,
    pub rows: Vec<Row>,
    pub probes: Vec<(f64, f64)>,
}

/// Median, lowest, highest.
struct Spread {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (values[0], values[values.len() - 1]);
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        Spread { median, lowest, highest }
    }

    fn json(&self) -> Value {
        json!({ "median": self.median, "lowest": self.lowest, "highest": self.highest })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 10.0 {
            2
        } else if self.median < 100.0 {
            1
        } else {
            0
        };
        write!(f, "{:>8.digits$} [{:.digits$}..{:.digits$}]", self.median, self.lowest, self.highest)
    }
}

/// Repetitions at one distance of the processors, and their median probe.
struct Distance {
    probe_nanos: f64,
    repetitions: Vec<usize>,
}

impl Group {
    /// The repetitions in which the processors did not move, by distance, nearest first; all as
    /// one, if there is none.
    fn distances(&self) -> Vec<Distance> {
        let steady = |&(before, after): &(f64, f64)| before.max(after) < MOVED * before.min(after);
        let probe = |at: usize| (self.probes[at].0 + self.probes[at].1) / 2.0;
        let mut order: Vec<usize> = (0..self.probes.len()).filter(|&at| steady(&self.probes[at])).collect();
        order.sort_by(|&a, &b| probe(a).total_cmp(&probe(b)));
        let mut found: Vec<Vec<usize>> = Vec::new();
        for at in order {
            match found.last_mut() {
                Some(near) if probe(at) < SAME_DISTANCE * probe(near[0]) => near.push(at),
                _ => found.push(vec![at]),
            }
        }
        if found.is_empty() {
            found.push((0..self.probes.len()).collect());
        }
        found.sort_by_key(|repetitions| std::cmp::Reverse(repetitions.len()));
        found.truncate(COLUMNS);
        found.sort_by(|a, b| probe(a[0]).total_cmp(&probe(b[0])));
        let distance = |repetitions: Vec<usize>| Distance {
            probe_nanos: Spread::of(repetitions.iter().map(|&at| probe(at))).median,
            repetitions,
        };
        found.into_iter().map(distance).collect()
    }

    fn value(&self, row: &Row) -> Spread {
        Spread::of(row.nanos.iter().map(|nanos| if self.unit == Unit::Nanos { *nanos } else { 1e3 / nanos }))
    }

    fn ratio(&self, row: &Row, distance: &Distance) -> Spread {
        let first = &self.rows[0].nanos;
        let ratio = |at: usize| if self.unit == Unit::Nanos { row.nanos[at] / first[at] } else { first[at] / row.nanos[at] };
        Spread::of(distance.repetitions.iter().map(|&at| ratio(at)))
    }

    fn met(&self, row: &Row, distance: &Distance) -> Option<bool> {
        let ratio = self.ratio(row, distance).median;
        row.target.map(|target| if self.unit == Unit::Nanos { ratio <= target } else { ratio >= target })
    }

    /// Was the target missed at every distance?
    fn missed(&self, row: &Row) -> bool {
        self.distances().iter().all(|distance| self.met(row, distance) == Some(false))
    }
}

pub struct Report {
    machine: String,
    repetitions: usize,
    groups: Vec<Group>,
}

impl Report {
    pub fn new(groups: Vec<Group>, cores: &[usize], repetitions: usize) -> Report {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name| cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(": "));
        let model = field("model name").map_or("unknown processor", |(_, model)| model.trim());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let used: Vec<String> = cores.iter().take(2).map(usize::to_string).collect();
        let machine = format!("{model}, {} cores, 1x1 on {}, Linux {}", cores.len(), used.join(" and "), kernel.trim());
        Report { machine, repetitions, groups }
    }

    pub fn misses(&self) -> usize {
        self.groups.iter().flat_map(|group| group.rows.iter().filter(|row| group.missed(row))).count()
    }

    fn probes(&self) -> Spread {
        Spread::of(self.groups.iter().flat_map(|group| &group.probes).flat_map(|&(before, after)| [before, after]))
    }

    fn disturbed(&self) -> bool {
        let probes = self.probes();
        probes.highest > DISTURBED * probes.lowest
    }

    pub fn json(&self) -> Value {
        let ratio = |group: &Group, row: &Row, distance: &Distance| {
            json!({
                "ratio": group.ratio(row, distance).json(), "met": group.met(row, distance),
                "repetitions": distance.repetitions.len(), "cache_line_nanos": distance.probe_nanos,
            })
        };
        let row = |group: &Group, row: &Row| {
            let ratios: Vec<Value> = group.distances().iter().map(|distance| ratio(group, row, distance)).collect();
            let value = group.value(row).json();
            let switches = &row.switches;
            json!({
                "name": row.name, "figure": value, "ratios": ratios, "target": row.target, "nanos": row.nanos, "switches": switches,
            })
        };
        let group = |group: &Group| {
            let rows: Vec<Value> = group.rows.iter().map(|each| row(group, each)).collect();
            let unit = if group.unit == Unit::Nanos { "ns" } else { "M msg/s" };
            json!({ "title": group.title, "unit": unit, "cache_line_nanos": group.probes, "rows": rows })
        };
        json!({
            "machine": self.machine, "repetitions": self.repetitions, "disturbed": self.disturbed(),
            "cache_line_nanos": self.probes().json(), "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{} repetitions, median [lowest..highest]", self.machine, self.repetitions)?;
        writeln!(f, "bare cache-line round trip, ns: {}", self.probes().to_string().trim())?;
        if self.disturbed() {
            writeln!(f, "DISTURBED: other programs used these cores meanwhile; measure again on an idle machine")?;
        }
        for group in &self.groups {
            let (unit, sign) = if group.unit == Unit::Nanos { ("ns", "<=") } else { ("M msg/s", ">=") };
            let distances = group.distances();
            write!(f, "\n{:<56}", format!("{}, {unit}", group.title))?;
            for Distance { probe_nanos, repetitions } in &distances {
                write!(f, " | {:<38}", format!("ratio, a line taking {probe_nanos:.0} ns ({} x)", repetitions.len()))?;
            }
            writeln!(f, "{}", if group.shows_switches { " | switches of threads" } else { "" })?;
            for row in &group.rows {
                write!(f, "  {:<24}{:<30}", row.name, group.value(row).to_string())?;
                for distance in &distances {
                    if row.case == group.rows[0].case {
                        write!(f, "{:41}", if group.shows_switches { " |" } else { "" })?;
                        continue;
                    }
                    let verdict = match (row.target, group.met(row, distance)) {
                        (Some(target), Some(true)) => format!("{sign} {target}: met"),
                        (Some(target), _) => format!("{sign} {target}: MISSED"),
                        _ => String::new(),
                    };
                    write!(f, " | {:<24}{verdict:<14}", group.ratio(row, distance).to_string())?;
                }
                if group.shows_switches {
                    write!(f, " | {}", Spread::of(row.switches.iter().copied()).to_string().trim())?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
