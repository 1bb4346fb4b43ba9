//! The targets, each with its measured ratio: met or missed.

use crate::{
    machine_state::Column,
    plan::{
        ATTACHED, CAPACITIES, GROWTH_ATTACHED, GROWTH_ATTACHED_ALONE, GROWTH_CAPACITY, GROWTH_CAPACITY_ALONE, MAPS, ONE_CORE,
        SPINNING, STRUCTS, TOPIC, TOPIC_BATCHES, TOPIC_IN_PLACE, WORK_MICROS, broadcast_title, waiting_title,
    },
    results::{Family, Group, Measurement, Row, Spread, brief},
    run::Run,
};
use std::fmt;

/// One line of the target table.
pub struct Verdict {
    pub work: String,
    pub against: String,
    pub bound: f64,
    /// The ratio is to be at least the bound; else at most.
    pub at_least: bool,
    /// By state, nearest first; only where both were measured.
    pub ratios: Vec<(String, Spread)>,
    /// In a comparison with all rivals: those that are ahead.
    pub ahead: Vec<String>,
}

impl Verdict {
    pub fn is_met(&self, ratio: &Spread) -> bool {
        if self.at_least { ratio.median >= self.bound } else { ratio.median <= self.bound }
    }
}

struct Judge<'r> {
    run: &'r Run,
    verdicts: Vec<Verdict>,
}

fn nanos(values: &Measurement) -> Option<f64> {
    Some(values.nanos)
}

/// A percentile, by its place.
fn percentile(at: usize) -> impl Fn(&Measurement) -> Option<f64> {
    move |values| values.percentiles.map(|all| all[at])
}

impl Judge<'_> {
    fn judge(&mut self, work: &str, against: &str, bound: f64, at_least: bool, ratio: impl Fn(Column<'_>) -> Option<Spread>) {
        let ratios = self.run.states.columns().into_iter().filter_map(|column| Some((column.name().to_owned(), ratio(column)?)));
        let ratios = ratios.collect();
        let verdict = Verdict { work: work.into(), against: against.into(), bound, at_least, ratios, ahead: Vec::new() };
        if !verdict.ratios.is_empty() {
            self.verdicts.push(verdict);
        }
    }

    /// How many times the rate of `by` a row has.
    fn rate(&mut self, title: &str, row: &str, by: &str, bound: f64) {
        let Some(group) = self.run.group(title) else { return };
        let (Some(ours), Some(theirs)) = (group.row(row), group.row(by)) else { return };
        let (work, against) = (format!("{title}: {row}"), format!("{by} ({})", theirs.family.name()));
        self.judge(&work, &against, bound, true, |column| column.ratio(theirs, ours, nanos));
    }

    /// Is the best of our rows ahead of every rival between processes? One verdict for the rows of
    /// a message a call, one for those of several. The ratio is that to the best rival.
    fn ahead_of_all(&mut self, group: &Group) {
        let of = |values: &Measurement| Some(values.percentiles.map_or(values.nanos, |[p50, ..]| p50));
        let what = if group.kind == "latency" { "p50" } else { "one a call" };
        for (what, in_batches) in [(what, false), ("32 a call", true)] {
            // Many values in one message are neither.
            let is_one = |row: &&Row| {
                row.name.ends_with(", 32 a call") == in_batches
                    && !row.name.ends_with("values a message")
                    && !row.samples.is_empty()
            };
            let all = Column::All(&self.run.states);
            let middle = |row: &Row| all.spread(row, of).map_or(f64::MAX, |spread| spread.median);
            let of_family = |family| group.rows.iter().filter(is_one).filter(move |row| row.family == family);
            let best = |family| of_family(family).min_by(|a, b| middle(a).total_cmp(&middle(b)));
            let (Some(ours), Some(theirs)) = (best(Family::Shmq), best(Family::Processes)) else { continue };
            let is_ahead = |row: &&Row| all.ratio(row, ours, of).is_some_and(|ratio| ratio.median < 1.0);
            let ahead = of_family(Family::Processes).filter(is_ahead).map(|row| row.name.clone()).collect();
            let work = format!("{}: {}, {what}", group.title, ours.name.trim_end_matches(", 32 a call"));
            let against = format!("every rival: {}", theirs.name.trim_end_matches(", 32 a call"));
            let judged = self.verdicts.len();
            self.judge(&work, &against, 1.0, true, |column| column.ratio(theirs, ours, of));
            if let Some(verdict) = self.verdicts.get_mut(judged) {
                verdict.ahead = ahead;
            }
        }
    }

    /// Topics beside what else gives every message to every receiver, and beside a queue's
    /// endpoints.
    fn broadcast(&mut self, size: &str) {
        let one = broadcast_title(size, 1);
        self.rate(&one, TOPIC, "Producer/Consumer", 0.9);
        self.rate(&one, TOPIC, "ringfire", if size == "8 B" { 0.9 } else { 3.0 });
        self.rate(&one, TOPIC, "iceoryx2", 10.0);
        self.rate(&one, TOPIC_BATCHES, "shaq broadcast, 32 a call", 1.0);
        self.rate(&broadcast_title(size, 3), TOPIC, "iceoryx2", 3.0);
    }

    fn time(&mut self, title: &str, what: &str, row: &str, by: &str, bound: f64, of: impl Fn(&Measurement) -> Option<f64>) {
        let Some(group) = self.run.group(title) else { return };
        let (Some(ours), Some(theirs)) = (group.row(row), group.row(by)) else { return };
        self.judge(&format!("{title}: {row}, {what}"), by, bound, false, |column| column.ratio(ours, theirs, &of));
    }

    /// The default strategy beside the better of the other two, with and without the work in the
    /// time.
    fn waiting(&mut self, micros: u64) {
        let title = waiting_title(micros);
        let Some(group) = self.run.group(&title) else { return };
        let rows = ["Queue, default", "Queue, Spin", "Queue, Block"].map(|name| group.row(name));
        let [Some(default), Some(spin), Some(block)] = rows else { return };
        let ratio = |without: f64| {
            move |column: Column<'_>| {
                let together = column.together([default, spin, block], nanos).into_iter();
                Spread::of(together.map(|[default, spin, block]| (default - without) / (spin.min(block) - without)))
            }
        };
        self.judge(&format!("{title}: default strategy"), "the better of Spin and Block", 1.2, false, ratio(0.0));
        if micros > 0 {
            let work = format!("{title}: the same without the work");
            self.judge(&work, "the better of Spin and Block", 1.2, false, ratio(2000.0 * micros as f64));
        }
    }

    /// The dearest message of a group's `Queue` rows beside the cheapest, each as its ratio to the
    /// middle row within repetitions.
    fn growth(&mut self, title: &str, sizes: &[usize]) {
        let Some(group) = self.run.group(title) else { return };
        let rows: Option<Vec<&Row>> = sizes.iter().map(|size| group.row(&format!("Queue, {size}"))).collect();
        let Some(rows) = rows else { return };
        let middle = rows[rows.len() / 2];
        let ratio = |column: Column<'_>| {
            let costs = rows.iter().map(|row| Some(column.ratio(row, middle, nanos)?.median)).collect::<Option<Vec<f64>>>()?;
            Spread::of([costs.iter().copied().fold(f64::MIN, f64::max) / costs.iter().copied().fold(f64::MAX, f64::min)])
        };
        self.judge(&format!("{title}: dearest message"), "the cheapest", 1.2, false, ratio);
    }
}

pub fn verdicts(run: &Run) -> Vec<Verdict> {
    let mut judge = Judge { run, verdicts: Vec::new() };
    for (title, chunks, alone) in [("8 B, 1x1", 0.65, 2.0), ("64 B, 1x1", 1.2, 1.0)] {
        judge.rate(title, "Producer/Consumer, 32 a call", "rtrb, 32 a call", chunks);
        judge.rate(title, "Producer/Consumer, 32 a call", "Producer/Consumer", alone);
    }
    for (title, alone) in [("8 B, 1x1", 4.0), ("64 B, 1x1", 1.5)] {
        judge.rate(title, "Queue, 32 a call", "Queue", alone);
        judge.rate(title, "Queue, 32 a call", "shaq mpmc, 32 a call", 1.0);
    }
    for (title, rtrb) in [("8 B, 1x1", 1.0), ("64 B, 1x1", 2.0)] {
        judge.rate(title, "Producer/Consumer", "rtrb", rtrb);
        judge.rate(title, "Producer/Consumer", "ringfire", 1.0);
        judge.rate(title, "Producer/Consumer", "bare ring", 0.9);
        judge.rate(title, "Queue", "crossbeam-channel", 1.0);
    }
    for title in ["64 B, 2x2", "64 B, 4x4"] {
        judge.rate(title, "Queue", "crossbeam-channel", 1.0);
        judge.rate(title, "Queue, 32 a call", "crossbeam-channel", 3.0);
    }
    for title in ["64 KiB, 1x1", "1 MiB, 1x1"] {
        for row in ["Queue, in place", "Producer/Consumer, in place"] {
            judge.rate(title, row, "memcpy", 0.9);
            judge.rate(title, row, "bare buffers handed over", 0.9);
        }
    }
    for row in ["Queue", "Producer/Consumer"] {
        judge.rate(ONE_CORE, row, "crossbeam-channel", 1.0);
    }
    for title in [STRUCTS, MAPS] {
        judge.rate(title, "ObjectQueue", "Queue of the same bytes", 0.5);
        judge.rate(title, "ObjectQueue, Postcard", "Queue of the same bytes", 0.5);
    }
    judge.time(SPINNING, "p50", "Producer/Consumer", "bare cache lines, a ring of them", 1.25, percentile(0));
    judge.time(SPINNING, "p99.9", "Producer/Consumer", "bare cache lines, a ring of them", 1.6, percentile(2));
    for rival in ["shaq spsc", "shaq mpmc", "shaq broadcast", "ringfire"] {
        judge.time(SPINNING, "p50", "Producer/Consumer", rival, 1.0, percentile(0));
        judge.time(SPINNING, "p99.9", "Producer/Consumer", rival, 1.0, percentile(2));
    }
    for size in ["8 B", "64 B"] {
        judge.broadcast(size);
    }
    judge.rate(&broadcast_title("1 MiB", 3), TOPIC_IN_PLACE, "iceoryx2", 1.0);
    for group in &run.groups {
        if matches!(group.kind, "throughput" | "latency") && ![ONE_CORE, STRUCTS, MAPS].contains(&group.title.as_str()) {
            judge.ahead_of_all(group);
        }
    }
    for row in ["Queue", "Producer/Consumer"] {
        judge.time("ping-pong 64 B, blocking", "p50", row, "bare futex", 1.1, percentile(0));
    }
    WORK_MICROS.into_iter().for_each(|micros| judge.waiting(micros));
    if let Some(row) = run.group("CPU of a blocked receiver").and_then(|group| group.row("Queue, default")) {
        let share = |values: &Measurement| Some(values.nanos / 1e9);
        judge
            .judge("CPU of a blocked receiver: Queue, default", "a whole core", 0.001, false, |column| column.spread(row, share));
    }
    judge.time("creation to first message", "median", "Queue", "iceoryx2", 0.1, nanos);
    judge.time("creation to first message", "median", "Queue, one handle", "iceoryx2, one node", 0.1, nanos);
    judge.growth(GROWTH_CAPACITY, &CAPACITIES);
    judge.growth(GROWTH_CAPACITY_ALONE, &CAPACITIES);
    judge.growth(GROWTH_ATTACHED, &ATTACHED);
    judge.growth(GROWTH_ATTACHED_ALONE, &ATTACHED);
    judge.verdicts
}

/// The verdicts as a table.
pub struct Verdicts<'v>(pub &'v [Verdict]);

impl fmt::Display for Verdicts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\ntargets, as ratios within repetitions")?;
        for verdict in self.0 {
            let sign = if verdict.at_least { ">=" } else { "<=" };
            write!(f, "  {:<70}{sign} {:<5} x {:<36}", verdict.work, verdict.bound, verdict.against)?;
            for (state, ratio) in &verdict.ratios {
                let word = if verdict.is_met(ratio) { "met" } else { "MISSED" };
                let shown = format!("{} [{}..{}]", brief(ratio.median), brief(ratio.lowest), brief(ratio.highest));
                write!(f, " | {state}: {shown:<22} {word:<6}")?;
            }
            if !verdict.ahead.is_empty() {
                write!(f, " | ahead: {}", verdict.ahead.join("; "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
