//! Kills an operation at its instructions, one child for each place, and checks what each leaves
//! behind.

use crate::stepped::tracee::{Killed, Place, Trace, kill_at, trace};
use crate::support::Rng;
use crate::support::harness::{asks_for_ignored, skip};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Instant;

/// Places of a sample, for each operation; and where another thread runs beside it, which makes
/// most of the way single steps (of a debug build, many).
const SAMPLED_PLACES: u64 = 100;
const SAMPLED_PLACES_BESIDE: u64 = if cfg!(debug_assertions) { 20 } else { 60 };
/// Of 100 operations of a sample, the number whose recovery is killed as well. Recoveries have much
/// in common, and tracing one costs more than killing it.
const SAMPLED_PERCENT: u64 = 20;
/// Places from which the recovery is killed as well, and places of each recovery.
const SAMPLED_RECOVERIES: (u64, u64) = (1, 24);
/// The same of a whole sweep.
const ALL_RECOVERIES: (u64, u64) = (6, 250);
/// Traces of an operation that sleeps: for a sample, and for a whole sweep.
const TRACES: [usize; 2] = [2, 3];
/// How many failures of a sweep are printed one by one.
const REPORTED: usize = 5;

/// The result of checking the survivors' world.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// How far the dead process had come, in commit points, if the check can determine it. Later
    /// places have come at least as far.
    pub stage: Option<usize>,
    /// Something had to be repaired.
    pub repaired: bool,
}

/// A finding with that stage. It was repaired unless the child was done.
pub fn found(stage: usize, killed: Killed) -> Finding {
    Finding { stage: Some(stage), repaired: !killed.done }
}

/// What a child does with the world. Stepping starts where it calls its second argument.
type ChildOf<'a, W> = &'a dyn Fn(&W, &dyn Fn());

/// An operation, and what it works on.
pub struct Operation<'a, W> {
    pub what: &'static str,
    /// Makes what the operation works on, anew for each child.
    pub world: &'a dyn Fn() -> W,
    /// What the child does; it is killed there.
    pub body: ChildOf<'a, W>,
    /// Wakes the child when it sleeps.
    pub wake: Option<&'a dyn Fn(&W)>,
    /// What another child does after the death of the first; it is killed there as well.
    pub recovery: Option<ChildOf<'a, W>>,
    /// Checks the world after a death (after the deaths of both), in one of several orders.
    pub check: &'a dyn Fn(&W, Killed, u64) -> Finding,
}

/// The results of a sweep.
#[derive(Default)]
struct Tally {
    places: u64,
    /// Children that stopped at another instruction than planned.
    inexact: u64,
    recoveries: u64,
    failures: Vec<String>,
}

impl<W> Operation<'_, W> {
    /// Kills children at places of the operation, at all of them if the whole sweep was asked for.
    pub fn sweep(&self) {
        self.sweep_every(1);
    }

    /// The same at every `stride`th place: for an operation of many instructions, most of which
    /// belong to other operations. A debug build takes a sample of it in one run of two, as the
    /// seed draws, since its trace takes seconds there; a release build in each run.
    pub fn sweep_every(&self, stride: usize) {
        let started = Instant::now();
        let mut rng = Rng::new(self.what);
        let mut tally = Tally::default();
        let whole = asks_for_ignored();
        if stride > 1 && cfg!(debug_assertions) && !whole && rng.chance(50) {
            skip("not drawn: a long operation is sampled in every other debug run");
        }
        let trace = self.trace();
        let end = trace.len();
        let all: Vec<usize> = (0..end).filter(|&steps| !trace.is_amid_a_copy(steps)).collect();
        let places: BTreeSet<usize> = match whole {
            true => all.into_iter().skip(rng.below(stride as u64) as usize).step_by(stride).chain([0, end - 1]).collect(),
            false => (0..if trace.is_alone() { SAMPLED_PLACES } else { SAMPLED_PLACES_BESIDE })
                .map(|_| all[rng.below(all.len() as u64) as usize])
                .chain([0, end - 1])
                .collect(),
        };
        let mut repaired_at = Vec::new();
        let mut stage = 0;
        for steps in places {
            let Some((killed, finding)) = self.try_at(&trace, Place::After(steps), &mut tally) else { continue };
            if finding.repaired {
                repaired_at.push(steps);
            }
            let Some(now) = finding.stage.filter(|_| killed.certain) else { continue };
            if now < stage {
                tally.failures.push(format!("after {steps} instructions it had come to stage {now}, before that to {stage}"));
            }
            stage = stage.max(now);
        }
        if self.wake.is_some() {
            self.try_at(&trace, Place::Asleep, &mut tally);
        }
        let (from, within) = if whole { ALL_RECOVERIES } else { SAMPLED_RECOVERIES };
        let has_recoveries = self.recovery.is_some() && !repaired_at.is_empty() && (whole || rng.chance(SAMPLED_PERCENT));
        for _ in 0..if has_recoveries { from } else { 0 } {
            let steps = repaired_at[rng.below(repaired_at.len() as u64) as usize];
            self.kill_recoveries(&trace, steps, within, &mut rng, &mut tally);
        }
        report(self.what, end, &tally, started);
        let shown = tally.failures.iter().take(REPORTED).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(tally.failures.is_empty(), "{}: {} failures, the first:\n{shown}", self.what, tally.failures.len());
    }

    /// The shortest of several traces: single steps may be so slow that a time runs out that
    /// otherwise does not.
    fn trace(&self) -> Trace {
        let traces = (0..if self.wake.is_some() { TRACES[usize::from(asks_for_ignored())] } else { 1 }).map(|_| {
            let world = (self.world)();
            let wake = self.wake.map(|wake| || wake(&world));
            trace(&|begin| (self.body)(&world, begin), wake.as_ref().map(|wake| wake as &dyn Fn()))
        });
        traces.min_by_key(Trace::len).expect("one trace at least")
    }

    /// One child, killed at `place`.
    fn kill(&self, world: &W, trace: &Trace, place: Place) -> Killed {
        let wake = self.wake.map(|wake| || wake(world));
        kill_at(&|begin| (self.body)(world, begin), trace, place, wake.as_ref().map(|wake| wake as &dyn Fn()))
    }

    fn try_at(&self, trace: &Trace, place: Place, tally: &mut Tally) -> Option<(Killed, Finding)> {
        tally.places += 1;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let world = (self.world)();
            let killed = self.kill(&world, trace, place);
            // Neighbouring places leave the same state behind, so each state is checked in each
            // order.
            (killed, (self.check)(&world, killed, tally.places))
        }));
        match outcome {
            Ok((killed, finding)) => {
                tally.inexact += u64::from(!killed.exact);
                Some((killed, finding))
            }
            Err(panic) => {
                tally.failures.push(format!("killed at {place:?}: {}", said(&*panic)));
                None
            }
        }
    }

    /// Kills the recovery from one place at many of its own.
    fn kill_recoveries(&self, trace: &Trace, steps: usize, count: u64, rng: &mut Rng, tally: &mut Tally) {
        let Some(recovery) = self.recovery else { return };
        let again = {
            let world = (self.world)();
            self.kill(&world, trace, Place::After(steps));
            crate::stepped::tracee::trace(&|begin| recovery(&world, begin), None)
        };
        for _ in 0..count {
            let place = Place::After(rng.below(again.len() as u64) as usize);
            tally.recoveries += 1;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let world = (self.world)();
                let killed = self.kill(&world, trace, Place::After(steps));
                kill_at(&|begin| recovery(&world, begin), &again, place, None);
                (self.check)(&world, killed, tally.recoveries);
            }));
            if let Err(panic) = outcome {
                tally.failures.push(format!("killed after {steps}, its recovery at {place:?}: {}", said(&*panic)));
            }
        }
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".to_string())
}

/// Report lines of all sweeps, each of which runs in a process of its own.
static REPORT: OnceLock<File> = OnceLock::new();

/// Sets the file for the reports. To be called before the first sweep.
pub fn collect_reports(file: File) {
    assert!(REPORT.set(file).is_ok(), "reports are collected once");
}

fn report(what: &str, instructions: usize, tally: &Tally, started: Instant) {
    let Tally { places, inexact, recoveries, failures } = tally;
    let milliseconds = started.elapsed().as_millis();
    let line = format!("{what}\t{instructions}\t{places}\t{inexact}\t{recoveries}\t{}\t{milliseconds}\n", failures.len());
    REPORT.get().expect("main collects reports").write_all(line.as_bytes()).expect("a file takes a line");
}

/// Prints what all sweeps reported.
pub fn print_reports() {
    let mut text = String::new();
    let mut file = REPORT.get().expect("main collects reports");
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).expect("reports can be read back");
    let mut totals = [0u64; 6];
    println!(
        "{:36} {:>12} {:>9} {:>8} {:>10} {:>8} {:>9}",
        "operation", "instructions", "kills", "inexact", "recoveries", "failures", "ms"
    );
    let print = |what: &str, numbers: &[u64]| {
        let [instructions, places, inexact, recoveries, failures, ms] = numbers else { panic!("six numbers a line") };
        println!("{what:36} {instructions:12} {places:9} {inexact:8} {recoveries:10} {failures:8} {ms:9}");
    };
    for line in text.lines() {
        let mut fields = line.split('\t');
        let what = fields.next().unwrap_or_default();
        let numbers: Vec<u64> = fields.map(|field| field.parse().expect("a number")).collect();
        totals.iter_mut().zip(&numbers).for_each(|(total, number)| *total += number);
        print(what, &numbers);
    }
    print("all", &totals);
    let kills = totals[1] + 2 * totals[3];
    println!(
        "kill points: {}, kills {kills}, failures: {}, kills a second: {}\n",
        totals[1] + totals[3],
        totals[4],
        kills * 1000 / totals[5].max(1)
    );
}
