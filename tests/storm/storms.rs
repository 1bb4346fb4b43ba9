//! The storms, and what must be true after each.

mod killer;
mod ledger;
mod messages;
mod workers;

use crate::support::harness::{Case, Lanes, asks_for_ignored, run, unlinked_file};
use crate::support::{PATIENCE, Rng};
use killer::{Role, Side, Toll, places, storm};
use ledger::{Audit, Ledger};
use messages::{BATCH, Numbered, Triple};
use shmq::{JoinError, Queue};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use workers::{
    Worker, copy_by_endpoint, copy_by_lock, copy_in_batches, lease_by_endpoint, lease_by_lock, put_by_endpoint, put_by_lock,
    put_in_batches,
};

/// How long each storm lasts, in an ordinary run and with `--ignored`.
const EVERY_DAY_S: u64 = 2;
const WHOLE_S: u64 = 40;
/// After this time, a storm starts over with a new queue and an empty ledger.
const ROUND: Duration = Duration::from_secs(4);
/// The last round lasts at least this long.
const LEAST_ROUND: Duration = Duration::from_millis(200);
const WHOLE_BOUND: Duration = Duration::from_secs(900);

pub fn main() -> ExitCode {
    let file = unlinked_file(&format!("storms-{}-", std::process::id()));
    assert!(REPORT.set(file).is_ok(), "reports are collected once");
    let mut cases = crate::cases![
        a_storm_of_kills_loses_no_message,
        a_storm_of_kills_loses_no_slice,
        a_storm_of_kills_over_endpoints_loses_no_message,
        a_storm_of_kills_over_endpoints_loses_no_slice,
        a_storm_of_kills_over_copies_delivers_at_most_once,
        a_storm_of_kills_over_copies_of_slices_delivers_at_most_once,
        a_storm_of_kills_over_large_batches_loses_no_message,
        a_storm_of_kills_over_full_fences_loses_no_message,
    ];
    if asks_for_ignored() {
        // The same, for longer.
        cases = cases.into_iter().map(|case| Case { ignored: true, bound: WHOLE_BOUND, ..case }).collect();
    }
    let code = run(Lanes::One, &cases);
    print_reports();
    code
}

/// Report lines of all storms, each of which runs in a process of its own.
static REPORT: OnceLock<File> = OnceLock::new();

fn print_reports() {
    let mut text = String::new();
    let mut file = REPORT.get().expect("main collects reports");
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).expect("reports can be read back");
    println!(
        "{:20} {:>7} {:>7} {:>6} {:>9} {:>9} {:>11} {:>13} {:>8} {:>6} {:>8} {:>6}\n{text}",
        "storm over",
        "seconds",
        "kills",
        "stops",
        "put",
        "finished",
        "redelivered",
        "from the dead",
        "messages",
        "most",
        "in doubt",
        "gone"
    );
}

fn triples() -> Queue<Triple> {
    Queue::builder().capacity(7).max_participants(16).create().unwrap()
}

fn slices() -> Queue<[u8]> {
    Queue::builder().capacity_bytes(16_000).max_participants(16).create().unwrap()
}

/// What the ledger must show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Each message that was put is delivered to one completed lease.
    ExactlyOnce,
    /// Each is got by copy, or is lost with a getter that is killed.
    AtMostOnce,
}

/// What a putter or taker does with the queue.
type Work<T> = fn(&Queue<T>, &mut Worker);
type Cast<T> = [(&'static str, Side, Work<T>)];

fn a_storm_of_kills_loses_no_message() {
    rage("leases", Promise::ExactlyOnce, triples, &by_lease());
}

fn fenced() -> Queue<Triple> {
    Queue::builder().capacity(7).max_participants(16).full_fence(true).create().unwrap()
}

fn a_storm_of_kills_over_full_fences_loses_no_message() {
    rage("full fences", Promise::ExactlyOnce, fenced, &by_endpoint());
}

fn a_storm_of_kills_loses_no_slice() {
    rage("leases of slices", Promise::ExactlyOnce, slices, &by_lease());
}

fn a_storm_of_kills_over_endpoints_loses_no_message() {
    rage("endpoints", Promise::ExactlyOnce, triples, &by_endpoint());
}

fn a_storm_of_kills_over_endpoints_loses_no_slice() {
    rage("endpoints, slices", Promise::ExactlyOnce, slices, &by_endpoint());
}

fn a_storm_of_kills_over_copies_delivers_at_most_once() {
    rage("copies", Promise::AtMostOnce, triples, &by_copy());
}

fn a_storm_of_kills_over_copies_of_slices_delivers_at_most_once() {
    rage("copies of slices", Promise::AtMostOnce, slices, &by_copy());
}

fn a_storm_of_kills_over_large_batches_loses_no_message() {
    // No taker is killed, so no message may be lost.
    let cast: [(&'static str, Side, Work<Triple>); 5] = [
        ("a producer", Side::Puts, put_in_batches),
        ("another producer", Side::Puts, put_in_batches),
        ("a third producer", Side::Puts, put_in_batches),
        ("a getter", Side::TakesAndLives, copy_in_batches),
        ("another getter", Side::TakesAndLives, copy_in_batches),
    ];
    let create = || Queue::builder().capacity(300).max_participants(16).create().unwrap();
    rage("copies in batches", Promise::AtMostOnce, create, &cast);
}

fn by_lease<T: Numbered + ?Sized>() -> [(&'static str, Side, Work<T>); 4] {
    [
        ("a producer", Side::Puts, put_by_lock),
        ("another producer", Side::Puts, put_by_lock),
        ("a consumer", Side::Takes, lease_by_lock),
        ("another consumer", Side::Takes, lease_by_lock),
    ]
}

fn by_endpoint<T: Numbered + ?Sized>() -> [(&'static str, Side, Work<T>); 5] {
    [
        ("a producer's owner", Side::Puts, put_by_endpoint),
        ("a putter by lock", Side::Puts, put_by_lock),
        ("a consumer's owner", Side::Takes, lease_by_endpoint),
        ("another", Side::Takes, lease_by_endpoint),
        ("a consumer by lock", Side::Takes, lease_by_lock),
    ]
}

/// A taker that dies takes with it what it has got.
fn by_copy<T: Numbered + ?Sized>() -> [(&'static str, Side, Work<T>); 5] {
    [
        ("a producer", Side::Puts, put_by_lock),
        ("a producer's owner", Side::Puts, put_by_endpoint),
        ("a getter", Side::Takes, copy_by_lock),
        ("another getter", Side::Takes, copy_by_lock),
        ("a consumer's owner", Side::Takes, copy_by_endpoint),
    ]
}

/// The sums over all rounds of a storm.
#[derive(Default)]
struct Total {
    kills: u64,
    stops: u64,
    put: u64,
    finished: u64,
    redelivered: u64,
    from_the_dead: u64,
    redelivered_messages: u64,
    most_deliveries: u64,
    in_doubt: u64,
    gone: u64,
}

impl Total {
    fn add(&mut self, toll: &Toll, audit: &Audit) {
        self.kills += toll.putters_killed + toll.takers_killed;
        self.stops += toll.stops;
        self.put += audit.put;
        self.finished += audit.finished;
        self.redelivered += audit.redelivered;
        self.from_the_dead += audit.redelivered - audit.given_back.min(audit.redelivered);
        self.redelivered_messages += audit.redelivered_messages;
        self.most_deliveries = self.most_deliveries.max(audit.most_deliveries);
        self.in_doubt += audit.in_doubt;
        self.gone += audit.lost.len() as u64;
    }

    fn is_a_storm(&self) -> bool {
        self.kills > 20 && self.stops > 5 && self.put > 100
    }

    fn report(&self, what: &str, started: Instant) {
        let seconds = started.elapsed().as_secs_f64();
        let Total { kills, stops, put, finished, redelivered, from_the_dead, redelivered_messages, .. } = self;
        let Total { most_deliveries, in_doubt, gone, .. } = self;
        let head =
            format!("{what:20} {seconds:7.1} {kills:7} {stops:6} {put:9} {finished:9} {redelivered:11} {from_the_dead:13}");
        let line = format!("{head} {redelivered_messages:8} {most_deliveries:6} {in_doubt:8} {gone:6}\n");
        REPORT.get().expect("main collects reports").write_all(line.as_bytes()).expect("a file takes a line");
    }
}

/// Storms over new queues, one after the other, until the time is up.
fn rage<T: Numbered + ?Sized>(what: &'static str, promise: Promise, create: fn() -> Queue<T>, cast: &Cast<T>) {
    let mut rng = Rng::new(what);
    let ledger = Ledger::new(places(cast.len()));
    let by_copy = promise == Promise::AtMostOnce;
    let seconds = if asks_for_ignored() { WHOLE_S } else { EVERY_DAY_S };
    let seconds = std::env::var("SHMQ_TEST_STORM_S").map_or(seconds, |text| text.parse().expect("a number of seconds"));
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let mut total = Total::default();
    // On a starved machine it goes on until there were enough kills.
    while Instant::now() < end || (!total.is_a_storm() && started.elapsed() < PATIENCE) {
        ledger.clear();
        let queue = create();
        let with_queue = |work: Work<T>| {
            let queue = &queue;
            move |worker: &mut Worker| work(queue, worker)
        };
        let work: Vec<_> = cast.iter().map(|&(name, side, work)| (name, side, with_queue(work))).collect();
        let roles: Vec<Role<'_>> = work.iter().map(|(name, side, work)| (*name, *side, work as &dyn Fn(&mut Worker))).collect();
        let toll = storm(ledger, &roles, &mut rng, end.max(Instant::now() + LEAST_ROUND).min(Instant::now() + ROUND));
        drop(roles);
        let mut last = Worker { ledger, place: places(cast.len()) - 1, rng: rng.split() };
        expect_order(&queue, &mut last, by_copy);
        let audit = ledger.audit();
        eprintln!("{toll:?}, put {}, unknown {}, finished {}", audit.put, audit.unknown, audit.finished);
        if by_copy {
            expect_at_most_once(&audit, &toll)
        } else {
            expect_exactly_once(&audit)
        }
        expect_honest_counters(&queue, &audit, &toll, by_copy);
        T::expect_whole_capacity(&queue);
        total.add(&toll, &audit);
    }
    total.report(what, started);
    assert!(total.is_a_storm(), "no storm");
}

/// Takes the rest. Then no process owes anything: a second scan for dead processes finds nothing.
fn expect_order<T: Numbered + ?Sized>(queue: &Queue<T>, last: &mut Worker, by_copy: bool) {
    last.drain(queue);
    queue.recover();
    last.drain(queue);
    let report = queue.recover();
    assert_eq!(
        (report.dead_participants, report.redelivered, report.aborted, report.sides_repaired),
        (0, 0, 0, 2),
        "{report:?}, {queue:?}"
    );
    assert_eq!((queue.len(), queue.is_full(), queue.is_closed()), (0, false, false), "{queue:?}");
    if by_copy {
        let mut done = 0;
        while queue.task_done().is_ok() {
            done += 1;
        }
        assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
        assert!(done <= queue.stats().gets, "{done} done, {queue:?}");
    }
    queue.join_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}, {queue:?}"));
}

fn first(numbers: &[usize]) -> &[usize] {
    &numbers[..numbers.len().min(20)]
}

/// By lease: every message that was put is finished once. A process killed between release and note
/// may have finished it instead.
fn expect_exactly_once(audit: &Audit) {
    let Audit { lost, twice, invented, .. } = audit;
    assert!(lost.is_empty(), "{} lost, first {:?}", lost.len(), first(lost));
    assert!(twice.is_empty(), "{} finished twice, first {:?}", twice.len(), first(twice));
    assert!(invented.is_empty(), "{} came though refused, first {:?}", invented.len(), first(invented));
}

/// By copy: no message comes twice. Lost messages went with killed takers, at most one call's worth
/// each.
fn expect_at_most_once(audit: &Audit, toll: &Toll) {
    let Audit { lost, twice, invented, .. } = audit;
    assert!(twice.is_empty(), "{} finished twice, first {:?}", twice.len(), first(twice));
    assert!(invented.is_empty(), "{} came though refused, first {:?}", invented.len(), first(invented));
    assert!(lost.len() as u64 <= BATCH * toll.takers_killed, "{} lost, {toll:?}, first {:?}", lost.len(), first(lost));
}

/// The queue's counters agree with the ledger, except for what killed processes had not noted in
/// one of them.
fn expect_honest_counters<T: Numbered + ?Sized>(queue: &Queue<T>, audit: &Audit, toll: &Toll, by_copy: bool) {
    let stats = queue.stats();
    let within = |what: &str, value: u64, least: u64, slack: u64| {
        assert!(
            (least..=least + slack).contains(&value),
            "{what}: {value}, not {least} and up to {slack} more; {stats:?}, {audit:?}"
        );
    };
    // The holder of a loan, or the process that aborts it for a dead holder, may be killed before
    // it counts the abort.
    within("messages put", stats.puts - stats.aborted, audit.put, audit.unknown + toll.putters_killed);
    assert_eq!(stats.given_up, 0);
    if by_copy {
        within("copies got", stats.gets, audit.finished, BATCH * toll.takers_killed);
    } else {
        within("leases", stats.gets, audit.leases, toll.takers_killed);
        within("redelivered", stats.redelivered, audit.redelivered, toll.takers_killed);
    }
}
