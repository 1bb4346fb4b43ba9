//! Two deaths in verbs of a topic. The survivor has a gating subscriber, which misses nothing, a
//! lossy one, whose counts are exact, and one that may be evicted.
//!
//! `SHMQ_TOPIC_DEATHS` repeats the one trial that it describes, in the format that a failure
//! prints:
//! `cargo test --test two_deaths topic_trial_asked_for`.

mod carries;

use super::trial::{Forked, Found, TRIAL_BOUND_S, said, stand_still};
use crate::support::Rng;
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Exit, fork_with_code, shared_words};
use carries::Carries;
use shmq::{GetError, PutError, Start, Subscriber, Topic};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let mut cases = crate::cases![
        topic_publish,
        topic_publish_of_slices,
        topic_loan,
        topic_loan_of_slices,
        topic_publisher,
        topic_publisher_of_slices,
        topic_subscribe,
        topic_subscribe_to_slices,
        topic_recover,
    ];
    if std::env::var("SHMQ_TOPIC_DEATHS").is_ok() {
        cases = crate::cases![topic_trial_asked_for];
    }
    cases
}

/// Trials of a sample, in each case.
const SAMPLED: u64 = 200;
const WHOLE: u64 = 40_000;
const REPORTED: u64 = 3;
const NEVER: u64 = 1 << 40;
const CAPACITY: u64 = 3;
const LINES: usize = 6;
/// Values of a process begin at its number times this.
const VALUES: u64 = 1000;
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(3);

/// What a process does until it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Publish,
    PublishAll,
    Loan,
    LoanDropped,
    Publisher,
    PublisherAll,
    Next,
    Read,
    LossyNext,
    Latest,
    Evict,
    Recover,
}

const VERBS: [Verb; 12] = {
    use Verb::*;
    [Publish, PublishAll, Loan, LoanDropped, Publisher, PublisherAll, Next, Read, LossyNext, Latest, Evict, Recover]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The first dies, then the second begins, and dies.
    BothDie,
    /// The first stops, the second dies meanwhile, then the first dies where it stopped.
    DiesStopped,
    /// The first stops, the second dies, the survivor works beside them, and the first goes on.
    GoesOn,
}

const FATES: [Fate; 3] = [Fate::BothDie, Fate::DiesStopped, Fate::GoesOn];

/// What the survivor does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Recover,
    Read,
    Publish,
    Endpoint,
}

const ORDERS: [Order; 4] = [Order::Recover, Order::Read, Order::Publish, Order::Endpoint];

#[derive(Clone, Copy, Debug)]
struct Trial {
    is_sized: bool,
    verbs: [Verb; 2],
    fate: Fate,
    order: Order,
    /// Messages that all have read before.
    before: u64,
    /// And that none has.
    unread: u64,
    at: [u64; 2],
}

impl Trial {
    fn in_words(&self) -> String {
        let Trial { is_sized, verbs: [first, second], fate, order, before, unread, at: [i, j] } = self;
        format!("SHMQ_TOPIC_DEATHS=\"{is_sized} {first:?} {second:?} {fate:?} {order:?} {before} {unread} {i} {j}\"")
    }
}

/// What each process may have published, and has published: numbers up to this.
#[derive(Clone, Copy)]
struct Ledger(&'static [AtomicU64]);

impl Ledger {
    fn attempts(self, role: usize) -> &'static AtomicU64 {
        &self.0[2 * role]
    }

    fn out(self, role: usize) -> &'static AtomicU64 {
        &self.0[2 * role + 1]
    }

    fn writes(self, role: usize) -> &'static AtomicU64 {
        &self.0[8 + role]
    }

    /// Publishes through `act` up to `count` values of a process, none of which are there yet.
    fn publish(self, role: usize, count: u64, act: impl FnOnce(&[u64]) -> Result<u64, PutError>) {
        let done = self.out(role).load(SeqCst);
        let values: Vec<u64> = (1..=count).map(|i| role as u64 * VALUES + done + i).collect();
        self.attempts(role).store(done + count, SeqCst);
        let published = match act(&values) {
            Ok(published) => published,
            Err(error) => {
                let is_ordinary =
                    error.is_full() || matches!(error, PutError::Busy | PutError::Held { .. } | PutError::LossyHere);
                assert!(is_ordinary || error.is_timeout(), "{error:?}");
                0
            }
        };
        self.out(role).store(done + published, SeqCst);
        self.attempts(role).store(done + published, SeqCst);
    }
}

/// What the survivor has.
struct Survivors<T: Carries + ?Sized> {
    topic: Topic<T>,
    every: Subscriber<T>,
    live: Subscriber<T>,
    /// May be evicted.
    extra: Subscriber<T>,
}

fn run_verb<T: Carries + ?Sized>(verb: Verb, topic: &Topic<T>, extra: shmq::SubscriberId, ledger: Ledger, role: usize) {
    let one = |values: &[u64]| T::with(values[0], |message| topic.try_publish(message)).map(|()| 1);
    match verb {
        Verb::Publish => (0..2).for_each(|_| ledger.publish(role, 1, one)),
        Verb::PublishAll => ledger.publish(role, 2, |values| T::all(topic, values)),
        Verb::Loan => ledger.publish(role, 1, |values| T::loan(topic, values[0], true).map(|()| 1)),
        Verb::LoanDropped => ledger.publish(role, 1, |values| T::loan(topic, values[0], false).map(|()| 0)),
        Verb::Publisher | Verb::PublisherAll => {
            let mut publisher = match topic.publisher() {
                Ok(publisher) => publisher,
                Err(PutError::Busy | PutError::Held { .. }) => return,
                Err(error) => panic!("{error:?}"),
            };
            if verb == Verb::Publisher {
                let one = |values: &[u64]| T::with(values[0], |message| publisher.try_publish(message)).map(|()| 1);
                (0..2).for_each(|_| ledger.publish(role, 1, one));
            } else {
                ledger.publish(role, 2, |values| T::all_by(&mut publisher, values));
            }
        }
        Verb::Next | Verb::Read => {
            let mut subscriber = topic.subscribe_from(Start::Oldest).expect("a line");
            for _ in 0..2 {
                let read = match verb {
                    Verb::Next => subscriber.try_next().map(T::value),
                    _ => T::read(&mut subscriber),
                };
                assert!(matches!(read, Ok(_) | Err(GetError::Empty | GetError::Busy)), "{read:?}");
            }
        }
        Verb::LossyNext | Verb::Latest => {
            let subscriber = topic.subscribe_lossy_from(Start::Oldest).expect("a line");
            let read = if verb == Verb::Latest { subscriber.latest() } else { subscriber.try_next() };
            match read {
                Ok(message) => drop(T::value(message)),
                Err(GetError::Empty | GetError::Busy | GetError::Lagged { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        Verb::Evict => drop(topic.evict(extra)),
        Verb::Recover => drop(topic.recover()),
    }
}

/// Runs a trial. `Err` describes the failure.
fn run<T: Carries + ?Sized>(trial: Trial, ledger: Ledger) -> Result<([Option<u64>; 2], u64, u64), String> {
    // SAFETY: alarm takes a number.
    unsafe { libc::alarm(TRIAL_BOUND_S) };
    ledger.0.iter().for_each(|word| word.store(0, SeqCst));
    let topic = T::topic();
    let outcome = catch_unwind(AssertUnwindSafe(|| run_on(trial, ledger, &topic)));
    let describe = || format!("{}\n{topic:?}\n{:#?}", trial.in_words(), topic.subscribers());
    outcome.map_err(|panic| format!("{}\n{}", said(&*panic), describe()))
}

fn run_on<T: Carries + ?Sized>(trial: Trial, ledger: Ledger, topic: &Topic<T>) -> ([Option<u64>; 2], u64, u64) {
    let subscribe = || topic.subscribe().expect("a line");
    let mut survivors = Survivors {
        topic: topic.clone(),
        every: subscribe(),
        live: topic.subscribe_lossy().expect("a line"),
        extra: subscribe(),
    };
    let one = |values: &[u64]| T::with(values[0], |message| topic.try_publish(message)).map(|()| 1);
    for _ in 0..trial.before {
        ledger.publish(0, 1, one);
        let Survivors { every, live, extra, .. } = &mut survivors;
        [every, live, extra].into_iter().for_each(|one| assert!(one.try_next().is_ok()));
    }
    (0..trial.unread).for_each(|_| ledger.publish(0, 1, one));
    let read_before = trial.before;
    let signals = [if trial.fate == Fate::BothDie { libc::SIGKILL } else { libc::SIGSTOP }, libc::SIGKILL];
    let extra = survivors.extra.id();
    let start = |number: usize| {
        Forked::start(["first", "second"][number], || {
            // It attaches, whatever it does later.
            topic.recover();
            if number == 1 {
                stand_still();
            }
            shmq::counted::arm(trial.at[number], signals[number]);
            run_verb(trial.verbs[number], topic, extra, ledger, number + 1);
            ledger.writes(number).store(shmq::counted::disarm(), Relaxed);
        })
    };
    let mut second = start(1);
    assert_eq!(second.wait(), Found::Stopped, "the second, attached");
    let mut first = start(0);
    let found = [first.wait(), second.go_on()];
    let ended = [0, 1].map(|number| (found[number] == Found::Ended).then(|| ledger.writes(number).load(Relaxed)));
    let (mut kills, mut stops) = (found.iter().filter(|found| **found == Found::Killed).count() as u64, 0);
    if found[0] == Found::Stopped {
        stops = 1;
        if trial.fate == Fate::GoesOn {
            work_beside(&mut survivors, ledger);
            assert_eq!(first.go_on(), Found::Ended, "the first, which went on");
        } else {
            first.kill();
            kills += 1;
        }
    }
    survive(survivors, ledger, trial, read_before);
    (ended, kills, stops)
}

/// Any result is accepted that means that another process is in the way.
fn work_beside<T: Carries + ?Sized>(survivors: &mut Survivors<T>, ledger: Ledger) {
    let Survivors { topic, live, .. } = survivors;
    ledger.publish(3, 1, |values| T::with(values[0], |message| topic.publish_timeout(message, SHORT)).map(|()| 1));
    let _ = topic.recover();
    match live.next_timeout(SHORT) {
        Ok(message) => drop(T::value(message)),
        Err(GetError::Timeout | GetError::Empty | GetError::Busy | GetError::Lagged { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
    topic.subscribe().expect("a line");
}

fn drain<T: Carries + ?Sized>(subscriber: &mut Subscriber<T>, found: &mut Vec<u64>, evictions: &mut u64) {
    loop {
        match subscriber.try_next() {
            Ok(message) => found.push(T::value(message)),
            Err(GetError::Evicted) => *evictions += 1,
            Err(GetError::Lagged { .. }) => assert!(!subscriber.is_gating()),
            Err(GetError::Empty) => return,
            Err(error) => panic!("{error:?}, {subscriber:?}"),
        }
    }
}

/// No other process is alive.
fn survive<T: Carries + ?Sized>(survivors: Survivors<T>, ledger: Ledger, trial: Trial, read_before: u64) {
    let Survivors { topic, mut every, mut live, mut extra } = survivors;
    let (mut found, mut seen, mut by_extra) = (Vec::new(), Vec::new(), Vec::new());
    let (mut none, mut evictions) = (0, 0);
    let begun = Instant::now();
    let publish = |found: &mut Vec<u64>, every: &mut Subscriber<T>, extra: &mut Subscriber<T>| {
        // Their own room first.
        drain(every, found, &mut 0);
        drain(extra, &mut Vec::new(), &mut 0);
        ledger.publish(3, 1, |values| T::with(values[0], |message| topic.publish_timeout(message, LONG)).map(|()| 1));
    };
    match trial.order {
        Order::Recover => {}
        Order::Read => drain(&mut every, &mut found, &mut none),
        Order::Publish => {
            drain(&mut extra, &mut by_extra, &mut evictions);
            publish(&mut found, &mut every, &mut extra);
        }
        Order::Endpoint => {
            drain(&mut extra, &mut by_extra, &mut evictions);
            let publisher = topic.publisher().expect("a dead publisher makes place");
            drain(&mut every, &mut found, &mut none);
            ledger.publish(3, 1, |values| T::with(values[0], |message| publisher.publish_timeout(message, LONG)).map(|()| 1));
        }
    }
    topic.recover();
    let again = topic.recover();
    assert_eq!((again.dead_participants, again.aborted), (0, 0), "{again:?}");
    drain(&mut every, &mut found, &mut none);
    drain(&mut live, &mut seen, &mut none);
    drain(&mut extra, &mut by_extra, &mut evictions);
    assert!(begun.elapsed() < LONG / 4, "held up for {:?}", begun.elapsed());
    assert!(none == 0 && evictions <= 1, "{evictions}");
    for role in 0..4 {
        let values: Vec<u64> = found.iter().filter(|value| **value / VALUES == role as u64).map(|value| value % VALUES).collect();
        let first = if role == 0 { read_before + 1 } else { 1 };
        let last = values.last().copied().unwrap_or(first - 1);
        assert!(values.iter().copied().eq(first..=last), "of process {role}: {values:?}");
        let (out, attempts) = (ledger.out(role).load(SeqCst), ledger.attempts(role).load(SeqCst));
        assert!((out..=attempts).contains(&last), "of process {role}: {last}, {out} to {attempts} were published");
    }
    let passed = |subscriber: &Subscriber<T>| subscriber.received() + subscriber.missed();
    assert_eq!((passed(&every), passed(&live), passed(&extra)), (topic.stats().published, passed(&every), passed(&every)));
    assert_eq!(topic.subscribers().len(), 3, "lines of the dead");
    assert_eq!(extra.is_gating(), evictions == 0);
    // All its room, and all its lines.
    drop(extra);
    let mut published = 0;
    let refused = loop {
        match T::with(9000 + 4 * published, |message| topic.try_publish(message)) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        assert!(published < 100, "takes more than its capacity");
    };
    assert!(matches!(&refused, PutError::Gated { subscriber, .. } if *subscriber == every.id()), "{published}, {refused:?}");
    assert!(published == CAPACITY || !trial.is_sized && published > CAPACITY, "{published}");
    (0..published).for_each(|number| assert_eq!(T::value(every.try_next().expect("a message")), 9000 + 4 * number));
    let more: Vec<_> = (2..LINES).map(|_| topic.subscribe().expect("a line")).collect();
    assert!(topic.subscribe().is_err());
    drop(more);
}

fn sample(first: &[Verb], is_sized: bool, ledger: Ledger, rng: &mut Rng) -> Option<(u64, u64)> {
    let pick = |all: &[Verb], rng: &mut Rng| all[rng.below(all.len() as u64) as usize];
    let verbs = [pick(first, rng), pick(&VERBS, rng)];
    let (fate, order) = (FATES[rng.below(3) as usize], ORDERS[rng.below(4) as usize]);
    let trial = Trial { is_sized, verbs, fate, order, before: rng.below(9), unread: rng.below(CAPACITY), at: [NEVER, NEVER] };
    let run = |trial: Trial| {
        let outcome = if is_sized { run::<u64>(trial, ledger) } else { run::<[u8]>(trial, ledger) };
        outcome.map_err(|said| eprintln!("{said}\n")).ok()
    };
    // First the number of writes without a death, then the place of the first process, which
    // decides how many writes the second has.
    let whole = run(trial)?;
    let i = 1 + rng.below(whole.0[0].expect("it was not stopped") + 1);
    let one = run(Trial { at: [i, NEVER], ..trial })?;
    let j = 1 + rng.below(one.0[1].expect("it was not stopped").clamp(1, 500));
    let both = run(Trial { at: [i, j], ..trial })?;
    Some((one.1 + both.1, one.2 + both.2))
}

fn try_some(what: &'static str, first: &'static [Verb], is_sized: bool) {
    let started = Instant::now();
    let words = shared_words(4);
    let workers = 4;
    let count = if asks_for_ignored() { WHOLE } else { SAMPLED } / workers;
    let children: Vec<_> = (0..workers)
        .map(|worker| {
            fork_with_code("a worker", || {
                let (mut rng, ledger) = (Rng::new(&format!("{what} {worker}")), Ledger(shared_words(16)));
                for _ in 0..count {
                    words[0].fetch_add(3, Relaxed);
                    match sample(first, is_sized, ledger, &mut rng) {
                        Some((kills, stops)) => {
                            words[1].fetch_add(kills, Relaxed);
                            words[2].fetch_add(stops, Relaxed);
                        }
                        None if words[3].fetch_add(1, Relaxed) >= REPORTED => panic!("and so on"),
                        None => {}
                    }
                }
                0
            })
        })
        .collect();
    let ends: Vec<Exit> = children.into_iter().map(|mut child| child.wait_at_most(super::WHOLE_BOUND)).collect();
    let numbers = [0, 1, 2, 3].map(|word: usize| words[word].load(Relaxed));
    super::report_numbers(what, numbers, started);
    assert!(ends.iter().all(|end| *end == Exit::Code(0)) && numbers[3] == 0, "{} failures, workers: {ends:?}", numbers[3]);
}

fn topic_publish() {
    try_some("topic_publish", &[Verb::Publish, Verb::PublishAll], true);
}

fn topic_publish_of_slices() {
    try_some("topic_publish_of_slices", &[Verb::Publish, Verb::PublishAll], false);
}

fn topic_loan() {
    try_some("topic_loan", &[Verb::Loan, Verb::LoanDropped], true);
}

fn topic_loan_of_slices() {
    try_some("topic_loan_of_slices", &[Verb::Loan, Verb::LoanDropped], false);
}

fn topic_publisher() {
    try_some("topic_publisher", &[Verb::Publisher, Verb::PublisherAll], true);
}

fn topic_publisher_of_slices() {
    try_some("topic_publisher_of_slices", &[Verb::Publisher, Verb::PublisherAll], false);
}

const READS: &[Verb] = &[Verb::Next, Verb::Read, Verb::LossyNext, Verb::Latest];

fn topic_subscribe() {
    try_some("topic_subscribe", READS, true);
}

fn topic_subscribe_to_slices() {
    try_some("topic_subscribe_to_slices", READS, false);
}

fn topic_recover() {
    try_some("topic_recover", &[Verb::Recover, Verb::Evict], true);
}

fn topic_trial_asked_for() {
    let text = std::env::var("SHMQ_TOPIC_DEATHS").expect("it is set");
    let words: Vec<&str> = text.split_whitespace().collect();
    let [kind, first, second, fate, order, before, unread, i, j] = words[..] else { panic!("nine words: {text}") };
    fn pick<X: Copy + std::fmt::Debug>(all: &[X], word: &str) -> X {
        *all.iter().find(|one| format!("{one:?}") == word).unwrap_or_else(|| panic!("{word} is none of {all:?}"))
    }
    let [before, unread, i, j] = [before, unread, i, j].map(|number| number.parse().expect("a number"));
    let (verbs, at) = ([pick(&VERBS, first), pick(&VERBS, second)], [i, j]);
    let is_sized = kind == "true";
    let trial = Trial { is_sized, verbs, fate: pick(&FATES, fate), order: pick(&ORDERS, order), before, unread, at };
    let ledger = Ledger(shared_words(16));
    let outcome = if is_sized { run::<u64>(trial, ledger) } else { run::<[u8]>(trial, ledger) };
    match outcome {
        Ok(outcome) => println!("{outcome:?}"),
        Err(said) => panic!("{said}"),
    }
}
