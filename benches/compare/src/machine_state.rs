//! States of the machine (near, far): a virtual machine's processors change their distance during a
//! run, and every result changes with it.
//!
//! The bare cache-line round trip is measured before and after each sample. A sample whose two
//! probes differ was disturbed and is in no comparison; the others are grouped by their probes into
//! states, and results are compared only within a repetition and a state.

use crate::results::{Group, Measurement, Row, Sample, Spread};

/// Two probes of a sample differ by more than this: the processors moved meanwhile.
const MOVED: f64 = 1.4;
/// Probes within this factor of the state's lowest belong to it.
const SAME: f64 = 1.7;
/// MachineStates with fewer samples than this share of all are too thin to show.
const THIN: f64 = 0.03;

#[derive(Clone, Debug)]
pub struct MachineState {
    pub name: String,
    /// Median of the probes, in nanoseconds.
    pub probe_nanos: f64,
    /// Samples in it.
    pub samples: usize,
    range: (f64, f64),
}

/// Nearest first.
#[derive(Clone, Debug, Default)]
pub struct MachineStates {
    pub states: Vec<MachineState>,
    /// Samples during which the processors moved.
    pub moved: usize,
    /// All probes.
    pub probes: Vec<f64>,
}

fn probe(sample: &Sample) -> Option<f64> {
    let (before, after) = sample.probes;
    (before.max(after) < MOVED * before.min(after)).then_some((before + after) / 2.0)
}

impl MachineStates {
    pub fn of(groups: &[Group]) -> MachineStates {
        let samples = || groups.iter().flat_map(|group| &group.rows).flat_map(|row| &row.samples);
        let probes = samples().flat_map(|sample| [sample.probes.0, sample.probes.1]).collect();
        let mut steady: Vec<f64> = samples().filter_map(probe).collect();
        steady.sort_by(f64::total_cmp);
        let mut clusters: Vec<Vec<f64>> = Vec::new();
        for &nanos in &steady {
            match clusters.last_mut() {
                Some(cluster) if nanos < SAME * cluster[0] => cluster.push(nanos),
                _ => clusters.push(vec![nanos]),
            }
        }
        let enough = (steady.len() as f64 * THIN) as usize;
        clusters.retain(|cluster| cluster.len() > enough);
        let names: &[&str] = match clusters.len() {
            0 | 1 => &["steady"],
            2 => &["near", "far"],
            _ => &["near", "middle", "far", "farther", "farthest"],
        };
        let state = |(at, cluster): (usize, &Vec<f64>)| MachineState {
            name: names.get(at).map_or_else(|| format!("distance {at}"), ToString::to_string),
            probe_nanos: cluster[cluster.len() / 2],
            samples: cluster.len(),
            range: (cluster[0], cluster[cluster.len() - 1]),
        };
        let states = clusters.iter().enumerate().map(state).collect();
        MachineStates { states, moved: samples().count() - steady.len(), probes }
    }

    /// The two states with the most samples, nearest first, and all.
    pub fn columns(&self) -> Vec<Column<'_>> {
        let mut states: Vec<&MachineState> = self.states.iter().collect();
        states.sort_by_key(|state| std::cmp::Reverse(state.samples));
        states.truncate(2);
        states.sort_by(|a, b| a.probe_nanos.total_cmp(&b.probe_nanos));
        states.into_iter().map(Column::One).chain([Column::All(self)]).collect()
    }
}

impl MachineState {
    fn has(&self, sample: &Sample) -> bool {
        probe(sample).is_some_and(|nanos| (self.range.0..=self.range.1).contains(&nanos))
    }
}

/// Samples that may be compared: those of one state, or those of every state, each within its own.
#[derive(Clone, Copy)]
pub enum Column<'s> {
    One(&'s MachineState),
    All(&'s MachineStates),
}

impl Column<'_> {
    pub fn name(&self) -> &str {
        match self {
            Column::One(state) => &state.name,
            Column::All(_) => "all",
        }
    }

    /// The spread of one value over a row's samples.
    pub fn spread(&self, row: &Row, of: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        let samples = row.samples.iter().filter(|sample| match self {
            Column::One(state) => state.has(sample),
            Column::All(_) => true,
        });
        Spread::of(samples.filter_map(|sample| of(&sample.measurement)))
    }

    /// One value of several rows, by repetition: those repetitions in which all rows were measured
    /// in the same state.
    pub fn together<const N: usize>(&self, rows: [&Row; N], of: impl Fn(&Measurement) -> Option<f64>) -> Vec<[f64; N]> {
        let last = rows.iter().flat_map(|row| &row.samples).map(|sample| sample.repetition).max().unwrap_or(0);
        let in_state = |state: &MachineState, repetition| {
            let mut values = [0.0; N];
            for (value, row) in values.iter_mut().zip(rows) {
                let sample = row.samples.iter().find(|sample| sample.repetition == repetition && state.has(sample))?;
                *value = of(&sample.measurement)?;
            }
            Some(values)
        };
        let in_column = |repetition| match self {
            Column::One(state) => in_state(state, repetition),
            Column::All(states) => states.states.iter().find_map(|state| in_state(state, repetition)),
        };
        (0..=last).filter_map(in_column).collect()
    }

    /// A row's value divided by another's, within repetitions.
    pub fn ratio(&self, row: &Row, by: &Row, of: impl Fn(&Measurement) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.together([row, by], of).into_iter().map(|[ours, theirs]| ours / theirs))
    }
}
