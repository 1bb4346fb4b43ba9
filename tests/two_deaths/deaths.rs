//! Cases: a kind of ring and what the first process does in it, with everything that the second may
//! do.

mod kinds;
mod ledger;
mod survivor;
mod topics;
mod trial;
mod verbs;

use crate::support::harness::{Case, Lanes, asks_for_ignored, run, unlinked_file};
use crate::support::process::{Exit, fork_with_code, shared_words};
use crate::support::{Rng, prefix};
use kinds::{Bounded, Kind, Large, OneSize, Slices};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use survivor::{RECOVERIES, Recovery};
use trial::{BEFORES, Before, FATES, Fate, Ground, Outcome, Trial};
use verbs::{VERBS, Verb};

/// Pairs of a sample, in each case.
const SAMPLED: u64 = 320;
/// How long a case may take that tries all pairs.
const WHOLE_BOUND: Duration = Duration::from_secs(3600);
/// How many failures a worker prints before it gives up.
const REPORTED: u64 = 3;
/// Writes of a verb at which it is killed or stopped. A verb with more writes spins at a lock whose
/// holder is stopped, and repeats the same writes.
const MOST_WRITES: u64 = 150;
/// No verb has that many writes.
const NEVER: u64 = 1 << 40;

macro_rules! cases_of {
    ($($kind:ident),*) => {{
        let mut cases = Vec::new();
        $(cases_of!(@ cases, $kind, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28);)*
        cases
    }};
    (@ $cases:ident, $kind:ident, $($verb:literal)*) => {
        $(if $kind::is_first(VERBS[$verb]) {
            $cases.push(Case::new(name_of::<$kind>($verb), try_all_seconds::<$kind, $verb>));
        })*
    };
}

/// `sized_put_all`.
fn name_of<K: Kind>(verb: usize) -> &'static str {
    let mut name = K::NAME.to_string();
    for letter in format!("{:?}", VERBS[verb]).chars() {
        if letter.is_uppercase() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name.leak()
}

pub fn main() -> ExitCode {
    collect_reports(unlinked_file(&format!("deaths-{}-", std::process::id())));
    if std::env::var("SHMQ_TWO_DEATHS").is_ok() {
        return run(Lanes::One, &[Case::new("the_one_asked_for", try_the_one)]);
    }
    const { assert!(VERBS.len() == 29, "the macro lists as many") };
    let mut cases = crate::cases![past_the_stored_tail];
    cases.extend(cases_of!(OneSize, Slices, Bounded, Large));
    cases.extend(topics::cases());
    if asks_for_ignored() {
        // The same cases, which then try all pairs.
        cases = cases.into_iter().map(|case| Case { ignored: true, bound: WHOLE_BOUND, ..case }).collect();
    }
    let code = run(Lanes::One, &cases);
    print_reports();
    code
}

/// The state that the workers of a case share.
struct Totals {
    /// For each setting: places of the first process that were begun, and how many fewer than
    /// [`MOST_WRITES`] there are.
    next: &'static [AtomicU64],
    ends: &'static [AtomicU64],
    trials: &'static AtomicU64,
    kills: &'static AtomicU64,
    stops: &'static AtomicU64,
    failures: &'static AtomicU64,
}

impl Totals {
    fn new() -> Totals {
        let [trials, kills, stops, failures] = shared_words(4) else { panic!("four words") };
        let settings = VERBS.len() * FATES.len();
        Totals { next: shared_words(settings), ends: shared_words(settings), trials, kills, stops, failures }
    }

    /// Runs a trial and counts it. `None`: it failed.
    fn run<K: Kind>(&self, ground: &Ground, trial: Trial) -> Option<Outcome> {
        self.trials.fetch_add(1, Relaxed);
        match ground.run::<K>(trial) {
            Ok(outcome) => {
                self.kills.fetch_add(outcome.kills, Relaxed);
                self.stops.fetch_add(outcome.stops, Relaxed);
                Some(outcome)
            }
            Err(said) => {
                eprintln!("{said}\n");
                if self.failures.fetch_add(1, Relaxed) >= REPORTED {
                    panic!("and so on");
                }
                None
            }
        }
    }
}

fn try_all_seconds<K: Kind, const FIRST: usize>() {
    let started = Instant::now();
    let totals = Totals::new();
    // More than there are processors: they wait for children most of the time.
    let workers = 4 * std::thread::available_parallelism().map_or(1, |count| count.get().min(8));
    let grounds: Vec<Ground> = (0..workers).map(|worker| Ground::new(format!("{}w{worker}", prefix()))).collect();
    let children: Vec<_> = (0..)
        .zip(&grounds)
        .map(|(worker, ground)| {
            fork_with_code("a worker", || {
                if asks_for_ignored() {
                    try_all_pairs::<K>(FIRST, ground, &totals, worker, workers);
                } else {
                    try_some::<K>(FIRST, ground, &totals, worker, workers);
                }
                0
            })
        })
        .collect();
    let ends: Vec<Exit> = children.into_iter().map(|mut child| child.wait_at_most(WHOLE_BOUND)).collect();
    report(name_of::<K>(FIRST), &totals, started);
    for (end, ground) in ends.iter().zip(&grounds).filter(|(end, _)| matches!(end, Exit::Signal(_))) {
        eprintln!("a worker ended with {end:?}: SIGALRM, number 14, means that it hung\n{}", ground.describe());
        let _ = std::fs::remove_file(format!("/dev/shm/shmq.{}", ground.name));
    }
    let failures = totals.failures.load(Relaxed);
    assert!(ends.iter().all(|end| *end == Exit::Code(0)) && failures == 0, "{failures} failures, workers ended with {ends:?}");
}

/// A putter dies, or stands still, at each of its writes: after one of them its record is READY,
/// and the stored tail does not cover it. A getter dies while it holds what it leased, even if it
/// is that record. Every run tries all of these.
fn past_the_stored_tail() {
    let started = Instant::now();
    let totals = Totals::new();
    let ground = Ground::new(format!("{}w0", prefix()));
    for first in [Verb::Put, Verb::Producer, Verb::PutAll] {
        for fate in FATES {
            for recovery in RECOVERIES {
                let trial =
                    Trial { first, second: Verb::LeaseKept, fate, before: Before::Empty, recovery, late: false, at: [0, 0] };
                die_at_each::<OneSize>(&totals, &ground, trial);
                die_at_each::<Slices>(&totals, &ground, trial);
            }
        }
    }
    report("past_the_stored_tail", &totals, started);
    assert_eq!(totals.failures.load(Relaxed), 0);
}

/// The first process dies at each of its writes, the second at its end.
fn die_at_each<K: Kind>(totals: &Totals, ground: &Ground, trial: Trial) {
    for i in 1..MOST_WRITES {
        let outcome = totals.run::<K>(ground, Trial { at: [i, NEVER], ..trial });
        if outcome.is_none_or(|outcome| outcome.ended[0].is_some()) {
            return;
        }
    }
    panic!("a verb without end");
}

/// The settings that a case tries with pairs of writes.
fn settings(first: usize) -> Vec<Trial> {
    let mut all = Vec::new();
    for (number, second) in VERBS.into_iter().enumerate() {
        for fate in FATES {
            for late in [false, true] {
                for before in BEFORES {
                    let recovery = RECOVERIES[(number + all.len()) % RECOVERIES.len()];
                    all.push(Trial { first: VERBS[first], second, fate, before, recovery, late, at: [0, 0] });
                }
            }
        }
    }
    all
}

/// Selects the settings that are tried with all pairs: each verb meets each other in each fate, in
/// one of the states, which take turns. Where both die one after the other, every other verb
/// attaches as a part of what it does.
fn is_tried_wholly(number: usize, trial: &Trial) -> bool {
    let turn = number / (2 * BEFORES.len()) + trial.first as usize;
    let attaches_late = trial.fate == Fate::BothDie && (trial.first as usize + trial.second as usize) % 2 == 1;
    trial.before == BEFORES[turn % BEFORES.len()] && trial.late == attaches_late
}

fn try_all_pairs<K: Kind>(first: usize, ground: &Ground, totals: &Totals, worker: usize, workers: usize) {
    let settings: Vec<Trial> = settings(first)
        .into_iter()
        .enumerate()
        .filter(|(number, trial)| is_tried_wholly(*number, trial))
        .map(|(_, trial)| trial)
        .collect();
    for turn in 0..settings.len() {
        // Workers begin in different places, and help each other at the end.
        let number = (turn + worker * settings.len() / workers) % settings.len();
        let setting = settings[number];
        let (next, end) = (&totals.next[number], &totals.ends[number]);
        loop {
            let i = next.fetch_add(1, Relaxed) + 1;
            if i >= MOST_WRITES - end.load(Relaxed) {
                break;
            }
            if try_all_places_of_the_second::<K>(Trial { at: [i, 0], ..setting }, ground, totals) {
                end.fetch_max(MOST_WRITES - i - 1, Relaxed);
            }
        }
    }
}

/// The first process dies or stops at one place. `true`: it reached its end before that.
fn try_all_places_of_the_second<K: Kind>(setting: Trial, ground: &Ground, totals: &Totals) -> bool {
    let i = setting.at[0];
    let mut first_ended = false;
    for j in 1..MOST_WRITES {
        let recovery = recovery_for(setting, i + j);
        let Some(outcome) = totals.run::<K>(ground, Trial { at: [i, j], recovery, ..setting }) else { break };
        first_ended = outcome.ended[0].is_some();
        if outcome.ended[1].is_some() {
            break;
        }
    }
    first_ended
}

/// The survivor's ways to check take turns. Two of them come less often with a stopped process,
/// since they wait for its lock.
fn recovery_for(setting: Trial, turn: u64) -> Recovery {
    let turn = turn + setting.recovery as u64;
    match setting.fate {
        Fate::BothDie | Fate::DiesStopped => RECOVERIES[turn as usize % RECOVERIES.len()],
        Fate::GoesOn | Fate::BothGoOn => match turn % 16 {
            0 => Recovery::Recover,
            8 => Recovery::Endpoints,
            turn if turn % 2 == 1 => Recovery::Get,
            _ => Recovery::Close,
        },
    }
}

fn try_some<K: Kind>(first: usize, ground: &Ground, totals: &Totals, worker: usize, workers: usize) {
    let mut rng = Rng::new(&format!("{} {worker}", name_of::<K>(first)));
    let settings = settings(first);
    for _ in 0..SAMPLED / workers as u64 {
        let setting =
            Trial { recovery: RECOVERIES[rng.below(4) as usize], ..settings[rng.below(settings.len() as u64) as usize] };
        // First the number of writes without a death, then the place of the first process, which
        // decides how many writes the second has.
        let Some(whole) = totals.run::<K>(ground, Trial { at: [NEVER, NEVER], ..setting }) else { continue };
        let i = 1 + rng.below(whole.ended[0].expect("it was not stopped") + 1);
        let Some(one) = totals.run::<K>(ground, Trial { at: [i, NEVER], ..setting }) else { continue };
        let writes = one.ended[1].expect("it was not stopped");
        let j = 1 + rng.below(writes.clamp(1, MOST_WRITES));
        totals.run::<K>(ground, Trial { at: [i, j], ..setting });
    }
}

/// The trial that `SHMQ_TWO_DEATHS` describes.
fn try_the_one() {
    let text = std::env::var("SHMQ_TWO_DEATHS").expect("it is set");
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, first, second, fate, before, recovery, attached, i, j] = words[..] else { panic!("nine words: {text}") };
    fn pick<X: Copy + std::fmt::Debug>(all: &[X], word: &str) -> X {
        *all.iter().find(|one| format!("{one:?}") == word).unwrap_or_else(|| panic!("{word} is none of {all:?}"))
    }
    let at = [i, j].map(|number| number.parse().expect("a number"));
    let trial = Trial {
        first: pick(&VERBS, first),
        second: pick(&VERBS, second),
        fate: pick(&FATES, fate),
        before: pick::<Before>(&BEFORES, before),
        recovery: pick(&RECOVERIES, recovery),
        late: attached == "Late",
        at,
    };
    let ground = Ground::new(format!("{}w0", prefix()));
    let outcome = match kind {
        "sized" => ground.run::<OneSize>(trial),
        "slices" => ground.run::<Slices>(trial),
        "bounded" => ground.run::<Bounded>(trial),
        "large" => ground.run::<Large>(trial),
        _ => panic!("{kind} is no kind of ring"),
    };
    match outcome {
        Ok(outcome) => println!("{outcome:?}"),
        Err(said) => panic!("{said}"),
    }
}

/// Report lines of all cases, each of which runs in a process of its own.
static REPORT: OnceLock<File> = OnceLock::new();

fn collect_reports(file: File) {
    assert!(REPORT.set(file).is_ok(), "reports are collected once");
}

fn report(what: &str, totals: &Totals, started: Instant) {
    let Totals { trials, kills, stops, failures, .. } = totals;
    report_numbers(what, [trials, kills, stops, failures].map(|word| word.load(Relaxed)), started);
}

fn report_numbers(what: &str, [trials, kills, stops, failures]: [u64; 4], started: Instant) {
    let line = format!("{what}\t{trials}\t{kills}\t{stops}\t{failures}\t{}\n", started.elapsed().as_millis());
    REPORT.get().expect("main collects reports").write_all(line.as_bytes()).expect("a file takes a line");
}

/// Prints what all cases reported.
fn print_reports() {
    let mut text = String::new();
    let mut file = REPORT.get().expect("main collects reports");
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).expect("reports can be read back");
    let mut totals = [0u64; 5];
    println!("{:32} {:>9} {:>9} {:>9} {:>8} {:>9}", "first verb", "pairs", "kills", "stops", "failures", "ms");
    let print = |what: &str, numbers: &[u64]| {
        let [trials, kills, stops, failures, ms] = numbers else { panic!("five numbers a line") };
        println!("{what:32} {trials:9} {kills:9} {stops:9} {failures:8} {ms:9}");
    };
    for line in text.lines() {
        let mut fields = line.split('\t');
        let what = fields.next().unwrap_or_default();
        let numbers: Vec<u64> = fields.map(|field| field.parse().expect("a number")).collect();
        totals.iter_mut().zip(&numbers).for_each(|(total, number)| *total += number);
        print(what, &numbers);
    }
    print("all", &totals);
}
