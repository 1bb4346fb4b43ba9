//! Where rows are measured: forked workers for what runs between processes, probes of the machine's state around every sample.

use crate::{
    arguments::Effort,
    clock,
    figures::{Figures, Group, Row, Sample},
    forked::{Case, Crew, Fault, Placement},
    rally::Turns,
};
use hdrhistogram::Histogram;
use std::{cell::Cell, time::Duration};

/// The case that all plans begin with: the bare cache line.
pub const PROBE: usize = 0;
const PROBE_TURNS: u64 = 5_000;
/// Nobody waits longer for the first messages of a slow rival.
const FIRST_MESSAGES: u64 = 64;

/// Takes one sample of a row.
pub type Measure = Box<dyn Fn(&mut Lab) -> Result<Figures, String>>;

pub struct Lab {
    crew: Option<Crew>,
    pub effort: Effort,
}

impl Lab {
    /// Forks the workers. The process must still have one thread.
    pub fn open(cases: Vec<Box<dyn Case>>, effort: Effort) -> Lab {
        Lab { crew: Some(Crew::fork(cases)), effort }
    }

    pub fn close(self) {
        if let Some(crew) = self.crew {
            crew.dismiss();
        }
    }

    pub fn cores(&self) -> &[usize] {
        self.crew.as_ref().map_or(&[], Crew::cores)
    }

    fn crew(&mut self) -> &mut Crew {
        self.crew.as_mut().expect("there is a crew between calls")
    }

    /// One sample of each row, with a probe before and after. Every other repetition goes backwards, so that a drift of the machine
    /// favours nobody.
    pub fn measure(&mut self, group: &mut Group, repetition: usize) {
        let mut before = self.probe();
        let mut rows: Vec<&mut Row> = group.rows.iter_mut().filter(|row| row.fault.is_none()).collect();
        if repetition % 2 == 1 {
            rows.reverse();
        }
        for row in rows {
            let figures = (row.measure)(self);
            let after = self.probe();
            match figures {
                Ok(figures) => row.samples.push(Sample { repetition, probes: (before, after), figures }),
                Err(why) => row.fault = Some(why),
            }
            before = after;
        }
    }

    /// The bare cache-line round trip in nanoseconds, right now.
    fn probe(&mut self) -> f64 {
        let crew = self.crew();
        crew.seat(PROBE, 1, 1, Placement::Pinned);
        crew.run(PROBE_TURNS / 10);
        let (turns, elapsed) = crew.run(PROBE_TURNS);
        crew.clear();
        elapsed.as_secs_f64() * 1e9 / turns as f64
    }

    /// After a fault: other workers. The hung ones are killed.
    fn renew(&mut self, fault: Fault) -> String {
        let cases = self.crew.take().map(Crew::abandon).unwrap_or_default();
        self.crew = Some(Crew::fork(cases));
        // Noted after each stretch of messages, so a little less than what was done.
        format!("{} (noted as sent: {}, as received: {})", fault.why, fault.sent, fault.received)
    }

    fn with_party<R>(
        &mut self,
        case: usize,
        sides: u32,
        placement: Placement,
        body: impl FnOnce(&mut Crew) -> Result<R, Fault>,
    ) -> Result<R, String> {
        let crew = self.crew();
        let result = crew.try_seat(case, sides, sides, placement).and_then(|()| body(crew)).and_then(|result| {
            crew.try_clear()?;
            Ok(result)
        });
        result.map_err(|fault| self.renew(fault))
    }

    /// Messages as fast as they go. `pace` keeps how many fill a sample, from one repetition to the next.
    fn flow(&mut self, case: usize, sides: u32, placement: Placement, pace: &Cell<u64>) -> Result<Figures, String> {
        let sample = self.effort.sample;
        self.with_party(case, sides, placement, |crew| {
            let (count, elapsed, cpu) = fill(sample, pace, |messages| {
                let (count, elapsed) = crew.try_run(messages)?;
                Ok((count, elapsed, crew.cpu_nanos().iter().sum()))
            })?;
            Ok(per_message(count, elapsed, cpu))
        })
    }

    fn rally(&mut self, case: usize, turns: u64, times: &Turns) -> Result<Figures, String> {
        self.with_party(case, 1, Placement::Pinned, |crew| {
            crew.try_run(turns / 10)?;
            let (count, elapsed) = crew.try_run(turns)?;
            let cpu = crew.cpu_nanos().iter().sum();
            let percentiles = Some(percentiles(times.read(count)));
            Ok(Figures { percentiles, ..per_message(count, elapsed, cpu) })
        })
    }

    /// The median of what member 0 timed, once a share.
    fn times(&mut self, case: usize, shares: u64, times: &Turns) -> Result<Figures, String> {
        self.with_party(case, 1, Placement::Pinned, |crew| {
            let (count, _) = crew.try_run(shares)?;
            let [nanos, ..] = percentiles(times.read(count));
            Ok(Figures { nanos, percentiles: None, cpu_nanos: None })
        })
    }

    fn idle(&mut self, case: usize) -> Result<Figures, String> {
        self.with_party(case, 1, Placement::Pinned, |crew| {
            let (_, elapsed) = crew.try_run(1)?;
            let waiter = crew.cpu_nanos()[1] as f64;
            let seconds = elapsed.as_secs_f64();
            Ok(Figures { nanos: waiter / seconds, percentiles: None, cpu_nanos: Some(waiter / seconds) })
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

pub fn per_message(count: u64, elapsed: Duration, cpu_nanos: u64) -> Figures {
    let nanos = elapsed.as_secs_f64() * 1e9 / count as f64;
    Figures { nanos, percentiles: None, cpu_nanos: Some(cpu_nanos as f64 / count as f64) }
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
    Box::new(move |lab| lab.flow(case, sides, placement, &pace))
}

/// How to measure a rally; a sleeping one has fewer turns.
pub fn rally(case: usize, sleeps: bool, times: &'static Turns) -> Measure {
    Box::new(move |lab| {
        let turns = if sleeps { lab.effort.sleeping_turns } else { lab.effort.turns };
        lab.rally(case, turns, times)
    })
}

/// As [`rally`], where only the mean counts and some sleep and some do not.
pub fn short_rally(case: usize, times: &'static Turns) -> Measure {
    Box::new(move |lab| {
        let turns = lab.effort.sleeping_turns;
        lab.rally(case, turns, times)
    })
}

/// How to measure what is timed inside the case, `shares` times a sample.
pub fn timed(case: usize, shares: u64, times: &'static Turns) -> Measure {
    Box::new(move |lab| lab.times(case, shares, times))
}

pub fn idle(case: usize) -> Measure {
    Box::new(move |lab| lab.idle(case))
}

/// Ticks of a sample as nanoseconds.
pub fn nanos(ticks: u32) -> f64 {
    clock::nanos_between(0, u64::from(ticks))
}
