//! Runs the measurements: forked workers for what runs between processes, and a probe of the
//! machine's state before and after each sample.

use crate::{
    arguments::Effort,
    forked::{Case, Fault, Placement, Workers},
    ping_pong::Turns,
    results::{Family, Group, Measurement, Row, Sample, Unit},
};
use hdrhistogram::Histogram;
use std::{cell::Cell, time::Duration};

/// The case that all plans begin with: the bare cache line.
pub const PROBE: usize = 0;
const PROBE_TURNS: u64 = 5_000;
/// The first run has this many messages, so that a slow rival does not take long.
const FIRST_MESSAGES: u64 = 64;

/// Producers and consumers.
type Party = (u32, u32);

/// Takes one sample of a row.
pub type Measure = Box<dyn Fn(&mut Runner) -> Result<Measurement, String>>;

/// A row, and how it is measured.
pub struct PlannedRow {
    pub row: Row,
    measure: Measure,
}

impl PlannedRow {
    pub fn new(name: impl Into<String>, family: Family, measure: Measure) -> PlannedRow {
        PlannedRow { row: Row::new(name, family), measure }
    }
}

/// A group that is to be measured.
pub struct PlannedGroup {
    /// One of `plan::KINDS`.
    pub kind: &'static str,
    pub title: String,
    pub unit: Unit,
    pub rows: Vec<PlannedRow>,
}

impl PlannedGroup {
    /// The group with the samples that were taken.
    pub fn into_results(self) -> Group {
        let rows = self.rows.into_iter().map(|planned| planned.row).collect();
        Group { kind: self.kind, title: self.title, unit: self.unit, rows }
    }
}

pub struct Runner {
    workers: Option<Workers>,
    pub effort: Effort,
}

impl Runner {
    /// Forks the workers. The process must still have one thread.
    pub fn open(cases: Vec<Box<dyn Case>>, effort: Effort) -> Runner {
        Runner { workers: Some(Workers::fork(cases)), effort }
    }

    pub fn close(self) {
        if let Some(workers) = self.workers {
            workers.dismiss();
        }
    }

    pub fn cores(&self) -> &[usize] {
        self.workers.as_ref().map_or(&[], Workers::cores)
    }

    fn workers(&mut self) -> &mut Workers {
        self.workers.as_mut().expect("there are workers between calls")
    }

    /// One sample of each row, with a probe before and after. Every other repetition goes
    /// backwards, so that a drift of the machine favours no row.
    pub fn measure(&mut self, group: &mut PlannedGroup, repetition: usize) {
        let mut before = self.probe();
        let mut rows: Vec<&mut PlannedRow> = group.rows.iter_mut().filter(|planned| planned.row.fault.is_none()).collect();
        if repetition % 2 == 1 {
            rows.reverse();
        }
        for PlannedRow { row, measure } in rows {
            let measured = measure(self);
            let after = self.probe();
            match measured {
                Ok(measurement) => row.samples.push(Sample { repetition, probes: (before, after), measurement }),
                Err(why) => row.fault = Some(why),
            }
            before = after;
        }
    }

    /// The bare cache-line round trip at this moment, in nanoseconds.
    fn probe(&mut self) -> f64 {
        let workers = self.workers();
        workers.seat(PROBE, 1, 1, Placement::Pinned);
        workers.run(PROBE_TURNS / 10);
        let (turns, elapsed) = workers.run(PROBE_TURNS);
        workers.clear();
        elapsed.as_secs_f64() * 1e9 / turns as f64
    }

    /// After a fault: forks new workers. The hung ones are killed.
    fn renew(&mut self, fault: Fault) -> String {
        let cases = self.workers.take().map(Workers::abandon).unwrap_or_default();
        self.workers = Some(Workers::fork(cases));
        // Noted after each stretch of messages, so a little less than what was done.
        format!("{} (noted as sent: {}, as received: {})", fault.why, fault.sent, fault.received)
    }

    fn with_party<R>(
        &mut self,
        case: usize,
        (producers, consumers): Party,
        placement: Placement,
        body: impl FnOnce(&mut Workers) -> Result<R, Fault>,
    ) -> Result<R, String> {
        let workers = self.workers();
        let result = workers.try_seat(case, producers, consumers, placement).and_then(|()| body(workers)).and_then(|result| {
            workers.try_clear()?;
            Ok(result)
        });
        result.map_err(|fault| self.renew(fault))
    }

    /// Messages as fast as they go. `pace` keeps how many fill a sample, from one repetition to the
    /// next.
    fn flow(&mut self, case: usize, party: Party, placement: Placement, pace: &Cell<u64>) -> Result<Measurement, String> {
        let sample = self.effort.sample;
        self.with_party(case, party, placement, |workers| {
            let (count, elapsed, cpu) = fill(sample, pace, |messages| {
                let (count, elapsed) = workers.try_run(messages)?;
                Ok((count, elapsed, workers.cpu_nanos().iter().sum()))
            })?;
            Ok(per_message(count, elapsed, cpu))
        })
    }

    fn ping_pong(&mut self, case: usize, turns: u64, times: &Turns) -> Result<Measurement, String> {
        self.with_party(case, (1, 1), Placement::Pinned, |workers| {
            workers.try_run(turns / 10)?;
            let (count, elapsed) = workers.try_run(turns)?;
            let cpu = workers.cpu_nanos().iter().sum();
            let percentiles = Some(percentiles(times.read(count)));
            Ok(Measurement { percentiles, ..per_message(count, elapsed, cpu) })
        })
    }

    /// The median of what member 0 timed, once a share.
    fn times(&mut self, case: usize, shares: u64, times: &Turns) -> Result<Measurement, String> {
        self.with_party(case, (1, 1), Placement::Pinned, |workers| {
            let (count, _) = workers.try_run(shares)?;
            let [nanos, ..] = percentiles(times.read(count));
            Ok(Measurement { nanos, percentiles: None, cpu_nanos: None })
        })
    }

    fn idle(&mut self, case: usize) -> Result<Measurement, String> {
        self.with_party(case, (1, 1), Placement::Pinned, |workers| {
            let (_, elapsed) = workers.try_run(1)?;
            let waiter = workers.cpu_nanos()[1] as f64;
            let seconds = elapsed.as_secs_f64();
            Ok(Measurement { nanos: waiter / seconds, percentiles: None, cpu_nanos: Some(waiter / seconds) })
        })
    }
}

/// Runs until a run fills a sample; that run's result.
pub fn fill<E>(
    sample: Duration,
    pace: &Cell<u64>,
    mut run: impl FnMut(u64) -> Result<(u64, Duration, u64), E>,
) -> Result<(u64, Duration, u64), E> {
    let known = pace.get();
    let (mut messages, mut elapsed, mut cpu) = run(if known == 0 { FIRST_MESSAGES } else { known / 4 })?; // also a warm-up
    while elapsed < sample / 8 {
        (messages, elapsed, cpu) = run(messages * 4)?;
    }
    if elapsed < sample || known != 0 {
        let wanted = messages as f64 * sample.as_secs_f64() / elapsed.as_secs_f64();
        (messages, elapsed, cpu) = run((wanted as u64).max(1))?;
    }
    pace.set((messages as f64 * sample.as_secs_f64() / elapsed.as_secs_f64()) as u64);
    Ok((messages, elapsed, cpu))
}

pub fn per_message(count: u64, elapsed: Duration, cpu_nanos: u64) -> Measurement {
    let nanos = elapsed.as_secs_f64() * 1e9 / count as f64;
    Measurement { nanos, percentiles: None, cpu_nanos: Some(cpu_nanos as f64 / count as f64) }
}

/// p50, p99, p99.9.
pub fn percentiles(nanos: impl Iterator<Item = f64>) -> [f64; 3] {
    // Tenths of a nanosecond up to 10 s, to three digits.
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 100_000_000_000, 3).expect("constant bounds are valid");
    nanos.for_each(|nanos| histogram.saturating_record(((nanos * 10.0) as u64).max(1)));
    [0.5, 0.99, 0.999].map(|quantile| histogram.value_at_quantile(quantile) as f64 / 10.0)
}

/// How to measure the flow of a case.
pub fn flow(case: usize, sides: u32) -> Measure {
    let placement = if sides == 1 { Placement::Pinned } else { Placement::Free };
    let pace = Cell::new(0);
    Box::new(move |runner| runner.flow(case, (sides, sides), placement, &pace))
}

/// How to measure a broadcast to that many consumers.
pub fn flow_to(case: usize, consumers: u32) -> Measure {
    let placement = if consumers == 1 { Placement::Pinned } else { Placement::Free };
    let pace = Cell::new(0);
    Box::new(move |runner| runner.flow(case, (1, consumers), placement, &pace))
}

/// As [`flow`], one to one, both processes on one core.
pub fn flow_on_one_core(case: usize) -> Measure {
    let pace = Cell::new(0);
    Box::new(move |runner| runner.flow(case, (1, 1), Placement::OneCore, &pace))
}

/// How to measure a ping-pong; a sleeping one has fewer turns.
pub fn ping_pong(case: usize, sleeps: bool, times: &'static Turns) -> Measure {
    Box::new(move |runner| {
        let turns = if sleeps { runner.effort.sleeping_turns } else { runner.effort.turns };
        runner.ping_pong(case, turns, times)
    })
}

/// As [`ping_pong`], where only the mean counts and some sleep and some do not.
pub fn short_ping_pong(case: usize, times: &'static Turns) -> Measure {
    Box::new(move |runner| {
        let turns = runner.effort.sleeping_turns;
        runner.ping_pong(case, turns, times)
    })
}

/// How to measure what is timed inside the case, `shares` times a sample.
pub fn timed(case: usize, shares: u64, times: &'static Turns) -> Measure {
    Box::new(move |runner| runner.times(case, shares, times))
}

pub fn idle(case: usize) -> Measure {
    Box::new(move |runner| runner.idle(case))
}
