//! Every sample as a file, for other programs: `results.csv` and `results.json`.

use crate::{
    results::{Group, Row, Sample},
    run::Run,
    targets::Verdict,
};
use serde_json::{Value, json};
use std::{fmt::Write as _, fs, io, path::Path};

fn sample(sample: &Sample) -> Value {
    json!({
        "repetition": sample.repetition, "cache_line_nanos": [sample.probes.0, sample.probes.1],
        "nanos": sample.measurement.nanos, "percentiles_nanos": sample.measurement.percentiles, "cpu_nanos": sample.measurement.cpu_nanos,
    })
}

fn row(row: &Row) -> Value {
    let samples: Vec<Value> = row.samples.iter().map(sample).collect();
    json!({ "name": row.name, "family": row.family.name(), "fault": row.fault, "samples": samples })
}

fn group(group: &Group) -> Value {
    json!({ "kind": group.kind, "title": group.title, "rows": group.rows.iter().map(row).collect::<Vec<_>>() })
}

fn verdict(verdict: &Verdict) -> Value {
    let ratio = |(state, ratio): &(String, crate::results::Spread)| {
        json!({
            "state": state, "median": ratio.median, "lowest": ratio.lowest, "highest": ratio.highest,
            "samples": ratio.count, "met": verdict.is_met(ratio),
        })
    };
    json!({
        "work": verdict.work, "against": verdict.against, "bound": verdict.bound, "at_least": verdict.at_least,
        "ahead": verdict.ahead,
        "ratios": verdict.ratios.iter().map(ratio).collect::<Vec<_>>(),
    })
}

pub fn json(run: &Run, verdicts: &[Verdict]) -> Value {
    let state = |state: &crate::machine_state::MachineState| json!({ "name": state.name, "cache_line_nanos": state.probe_nanos, "samples": state.samples });
    json!({
        "machine": run.machine, "kernel": run.kernel, "repetitions": run.repetitions, "seconds": run.took.as_secs_f64(),
        "states": run.states.states.iter().map(state).collect::<Vec<_>>(), "samples_left_out": run.states.moved,
        "notes": run.notes, "groups": run.groups.iter().map(group).collect::<Vec<_>>(),
        "killed": crate::killed::json(&run.killed),
        "targets": verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn csv(run: &Run) -> String {
    let mut text =
        String::from("kind,title,row,family,repetition,line_before_ns,line_after_ns,ns,p50_ns,p99_ns,p999_ns,cpu_ns\n");
    for group in &run.groups {
        for row in &group.rows {
            for sample in &row.samples {
                let values = &sample.measurement;
                let percentiles = values.percentiles.map_or(",,".to_owned(), |[p50, p99, p999]| format!("{p50},{p99},{p999}"));
                let cpu = values.cpu_nanos.map_or(String::new(), |cpu| cpu.to_string());
                let (before, after) = sample.probes;
                let (kind, title, name, family) = (group.kind, &group.title, &row.name, row.family.name());
                let (repetition, nanos) = (sample.repetition, values.nanos);
                let _infallible = writeln!(
                    text,
                    "{kind},\"{title}\",\"{name}\",{family},{repetition},{before},{after},{nanos},{percentiles},{cpu}"
                );
            }
        }
    }
    text
}

pub fn write(run: &Run, verdicts: &[Verdict], directory: &Path) -> io::Result<()> {
    fs::write(directory.join("results.json"), format!("{:#}\n", json(run, verdicts)))?;
    fs::write(directory.join("results.csv"), csv(run))?;
    fs::write(directory.join("killed.csv"), crate::killed::csv(&run.killed))
}
