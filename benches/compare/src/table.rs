//! The tables.

use crate::{
    machine_state::Column,
    results::{Group, Measurement, Row, Spread, Unit, brief},
    run::Run,
};
use std::fmt;

/// From this size on, rates are in gigabytes a second.
pub const LARGE_BYTES: usize = 4096;

pub struct Table<'r>(pub &'r Run);

/// A sample's main value, in the unit of its group.
pub fn value(unit: Unit, values: &Measurement) -> f64 {
    match unit {
        Unit::Rate { bytes } if bytes >= LARGE_BYTES => bytes as f64 / values.nanos,
        Unit::Rate { .. } => 1e3 / values.nanos,
        Unit::Nanos => values.percentiles.map_or(values.nanos, |[p50, ..]| p50),
        Unit::IdleMicros => values.nanos / 1e3,
    }
}

pub fn unit_name(group: &Group) -> &'static str {
    match group.unit {
        Unit::Rate { bytes } if bytes >= LARGE_BYTES => "GB/s",
        Unit::Rate { .. } => "M messages/s",
        Unit::Nanos if group.kind == "creation" => "ns",
        Unit::Nanos => "ns, p50",
        Unit::IdleMicros => "us of CPU a second",
    }
}

/// What is shown beside the main value: CPU for each message, or the upper percentiles.
fn extra(group: &Group, row: &Row, column: Column<'_>) -> String {
    match group.unit {
        Unit::Rate { .. } => {
            let cpu = column.spread(row, |values| values.cpu_nanos);
            cpu.map_or(String::new(), |cpu| brief(cpu.median / 1e3))
        }
        Unit::Nanos => {
            let upper = |at: usize| column.spread(row, |values| values.percentiles.map(|all| all[at]));
            match (upper(1), upper(2)) {
                (Some(p99), Some(p999)) => format!("{} / {}", brief(p99.median), brief(p999.median)),
                _ => String::new(),
            }
        }
        Unit::IdleMicros => String::new(),
    }
}

fn extra_name(group: &Group) -> &'static str {
    match group.unit {
        Unit::Rate { .. } => "CPU s/M msg",
        Unit::Nanos if group.kind != "creation" => "p99 / p99.9",
        _ => "",
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.0;
        writeln!(f, "{}, Linux {}", run.machine, run.kernel)?;
        writeln!(f, "{} repetitions in {:.0} s; median [lowest..highest] (samples)", run.repetitions, run.took.as_secs_f64())?;
        if let Some(probes) = Spread::of(run.states.probes.iter().copied()) {
            writeln!(f, "bare cache line there and back, ns: {}", probes.to_string().trim())?;
        }
        for state in &run.states.states {
            writeln!(f, "  {}: {:.0} ns, {} samples", state.name, state.probe_nanos, state.samples)?;
        }
        writeln!(f, "  in no comparison, since the processors moved meanwhile: {} samples", run.states.moved)?;
        for note in &run.notes {
            writeln!(f, "note: {note}")?;
        }
        let columns = run.states.columns();
        for group in &run.groups {
            write!(f, "\n{:<52}", format!("{}: {}", group.kind, group.title))?;
            for &column in &columns {
                write!(f, " | {:<28}{:<20}", format!("{}, {}", column.name(), unit_name(group)), extra_name(group))?;
            }
            writeln!(f)?;
            for row in &group.rows {
                write!(f, "  {:<40}{:<10}", row.name, row.family.name())?;
                for &column in &columns {
                    let spread = column.spread(row, |values| Some(value(group.unit, values)));
                    let shown = spread.map_or("      -".into(), |spread| format!("{spread} ({})", spread.count));
                    write!(f, " | {shown:<28}{:<20}", extra(group, row, column))?;
                }
                if let Some(fault) = &row.fault {
                    write!(f, " FAULT: {fault}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
