//! A torn copy never becomes a value: a writer laps lossy readers on purpose, by copy and in place,
//! with payloads of 8 B to 64 KiB whose words look like headers of records.
//!
//! An ordinary run makes a sample of the ten million reads that `-- --ignored` makes.

use crate::letters::{fill, tag_of, word};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Child, fork, shared_words};
use crate::support::{PATIENCE, unique_name};
use shmq::{GetError, Subscriber, Topic};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        values_of_8_bytes_are_not_torn,
        values_of_64_bytes_are_not_torn,
        values_of_1_kib_are_not_torn,
        values_of_64_kib_are_not_torn,
        slices_are_not_torn,
        slices_of_loans_are_not_torn,
        large_slices_are_not_torn,
        slices_beside_a_reader_in_one_process_are_not_torn,
        values_beside_a_reader_in_one_process_are_not_torn,
    ]
}

/// Reads of the whole and, of each million of them, those of a sample.
const SAMPLED_OF_A_MILLION: u64 = if cfg!(debug_assertions) { 5_000 } else { 40_000 };

fn reads(whole: u64) -> u64 {
    if asks_for_ignored() { whole } else { (whole * SAMPLED_OF_A_MILLION / 1_000_000).max(200) }
}

/// What a writer is told, and what readers have found.
#[derive(Clone, Copy)]
struct Shared(&'static [AtomicU64]);

impl Shared {
    fn new() -> Shared {
        Shared(shared_words(4))
    }

    fn is_over(self) -> bool {
        self.0[0].load(Acquire) != 0
    }

    fn end(self) {
        self.0[0].store(1, Release);
    }
}

/// A value of one size; the tag of its words is the first of them.
fn value<const W: usize>(tag: u64) -> [u64; W] {
    let mut words = [0; W];
    if W == 1 {
        // A checksum in the one word that there is.
        words[0] = tag << 32 | word(tag, 0) & 0xffff_ffff;
    } else {
        fill(tag, &mut words);
    }
    words
}

fn check<const W: usize>(words: &[u64]) -> u64 {
    if W == 1 {
        let tag = words[0] >> 32;
        assert_eq!(words[0], value::<1>(tag)[0], "torn");
        tag
    } else {
        tag_of(words)
    }
}

/// Reads so many values, which rise; what was missed is counted.
#[derive(Default)]
struct Tally {
    values: u64,
    lagged: u64,
    last: u64,
    reads: u64,
}

impl Tally {
    fn enter(&mut self, tag: u64) {
        assert!(tag > self.last, "{tag} after {}", self.last);
        self.last = tag;
        self.values += 1;
    }

    fn report(&self, what: &str, started: Instant) {
        let Tally { values, lagged, reads, .. } = self;
        println!("{what}: {reads} reads, {values} values, {lagged} times lapped, {:?}", started.elapsed());
    }
}

/// Waits until its writer has lapped it: where nothing else runs, a reader may be as fast as that.
fn fall_behind<T: ?Sized>(subscriber: &Subscriber<T>) {
    let begun = Instant::now();
    while subscriber.lag() < 300 && begun.elapsed() < Duration::from_millis(200) {
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Reads through every verb in turn until there were so many reads, and so many laps.
fn read_on<T: shmq::Message + ?Sized>(
    what: &str,
    subscriber: &mut Subscriber<T>,
    wanted: u64,
    mut check: impl FnMut(&T::Owned) -> u64,
) -> Tally {
    let (mut tally, started) = (Tally::default(), Instant::now());
    while tally.reads < wanted || tally.lagged < 20 {
        tally.reads += 1;
        // Before a `try_next`, since `latest` is never lapped.
        if tally.reads % 32 == 2 && tally.lagged < 20 {
            fall_behind(subscriber);
        }
        let read = match tally.reads % 16 {
            0 => subscriber.latest(),
            1 => subscriber.next_timeout(PATIENCE),
            _ => subscriber.try_next(),
        };
        match read {
            Ok(message) => tally.enter(check(&message)),
            Err(GetError::Lagged { missed }) => {
                assert!(missed > 0);
                tally.lagged += 1;
            }
            Err(GetError::Empty) => {}
            Err(error) => panic!("{what}: {error:?}, {subscriber:?}"),
        }
        assert!(started.elapsed() < 5 * PATIENCE, "{what}: {} reads, {} laps, {subscriber:?}", tally.reads, tally.lagged);
    }
    assert_eq!(subscriber.received(), tally.values, "{subscriber:?}");
    assert!(tally.values > 0, "{what}: each copy was torn: {subscriber:?}");
    tally.report(what, started);
    tally
}

/// A process that publishes without a pause, as the endpoint or by lock.
fn writer<T: shmq::Plain + ?Sized>(
    topic: &Topic<T>,
    shared: Shared,
    publish: impl Fn(&mut shmq::Publisher<T>, u64) -> Result<(), shmq::PutError>,
) -> Child {
    fork("a writer", || {
        let mut publisher = topic.publisher().unwrap();
        for tag in 1.. {
            if shared.is_over() {
                return;
            }
            publish(&mut publisher, tag).unwrap();
        }
    })
}

fn values<const W: usize>(whole: u64)
where
    [u64; W]: shmq::Plain + shmq::Message<Owned = [u64; W]>,
{
    for capacity in [2, 8, 100] {
        let topic = Topic::<[u64; W]>::create(unique_name("torn"), capacity).unwrap();
        let shared = Shared::new();
        let what = format!("{} B, {capacity} places", W * 8);
        let mut subscriber = topic.subscribe_lossy().unwrap();
        // Loans and copies in turn: the reader is in another process.
        let child = writer(&topic, shared, |publisher, tag| match tag % 4 {
            0 => {
                let mut loan = publisher.try_loan()?;
                *loan = value(tag);
                loan.commit()
            }
            _ => publisher.try_publish(&value(tag)),
        });
        read_on(&what, &mut subscriber, reads(whole / 3), |words| check::<W>(words));
        let (passed, published) = (subscriber.received() + subscriber.missed(), topic.stats().published);
        assert!(passed <= published, "{passed} of {published}");
        shared.end();
        child.expect_success();
        while !matches!(subscriber.try_next(), Err(GetError::Empty)) {}
        assert_eq!(subscriber.received() + subscriber.missed(), topic.stats().published, "{subscriber:?}");
    }
}

fn values_of_8_bytes_are_not_torn() {
    values::<1>(3_000_000);
}

fn values_of_64_bytes_are_not_torn() {
    values::<8>(3_000_000);
}

fn values_of_1_kib_are_not_torn() {
    values::<128>(600_000);
}

fn values_of_64_kib_are_not_torn() {
    values::<8192>(30_000);
}

/// Lengths change with the tag, so that records begin where there were payloads before.
fn length_of(tag: u64, most: usize) -> usize {
    1 + (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % most
}

fn slice_of(tag: u64, most: usize) -> Vec<u64> {
    let mut words = vec![0; length_of(tag, most)];
    fill(tag, &mut words);
    words
}

fn check_slice(words: &[u64], most: usize) -> u64 {
    let tag = tag_of(words);
    assert_eq!(words.len(), length_of(tag, most), "cut off or too long, {tag}");
    tag
}

fn slices(whole: u64, most: usize, bytes: usize, in_place: bool) {
    let topic = Topic::<[u64]>::builder().name(unique_name("torn")).capacity_bytes(bytes).create().unwrap();
    let shared = Shared::new();
    let what = format!("slices of up to {} B, {bytes} B{}", most * 8, if in_place { ", loans" } else { "" });
    let mut subscriber = topic.subscribe_lossy().unwrap();
    let child = writer(&topic, shared, |publisher, tag| {
        if in_place {
            let mut loan = publisher.try_loan_len(length_of(tag, most))?;
            fill(tag, &mut loan);
            loan.commit()
        } else {
            publisher.try_publish(&slice_of(tag, most))
        }
    });
    read_on(&what, &mut subscriber, reads(whole), |words| check_slice(words, most));
    shared.end();
    child.expect_success();
    while !matches!(subscriber.try_next(), Err(GetError::Empty)) {}
    assert_eq!(subscriber.received() + subscriber.missed(), topic.stats().published, "{subscriber:?}");
}

fn slices_are_not_torn() {
    slices(800_000, 4, 1024, false);
    slices(600_000, 40, 4096, false);
    slices(400_000, 40, 65_536, false);
}

fn slices_of_loans_are_not_torn() {
    slices(400_000, 40, 4096, true);
    slices(40_000, 2000, 64 << 10, true);
}

fn large_slices_are_not_torn() {
    slices(30_000, 8192, 256 << 10, false);
}

/// A thread that publishes by copy beside a lossy reader of the same process.
fn beside<T: shmq::Plain + ?Sized>(
    what: &str,
    topic: &Topic<T>,
    whole: u64,
    publish: impl Fn(&Topic<T>, u64) + Send + Sync,
    check: impl Fn(&T::Owned) -> u64,
) {
    let (is_over, tags, order) = (AtomicU64::new(0), AtomicU64::new(1), std::sync::Mutex::new(()));
    let mut subscriber = topic.subscribe_lossy().unwrap();
    std::thread::scope(|scope| {
        // By lock, from two threads: one writes into what the other has reclaimed.
        for _ in 0..2 {
            let (topic, publish, is_over, tags, order) = (topic.clone(), &publish, &is_over, &tags, &order);
            scope.spawn(move || {
                while is_over.load(Relaxed) == 0 {
                    // Tags rise in the order of the records.
                    let _in_order = order.lock().expect("no thread panics");
                    publish(&topic, tags.fetch_add(1, Relaxed));
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            read_on(what, &mut subscriber, reads(whole), check);
        }));
        is_over.store(1, Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn slices_beside_a_reader_in_one_process_are_not_torn() {
    let topic = Topic::<[u64]>::builder().name(unique_name("torn")).capacity_bytes(4096).create().unwrap();
    let publish = |topic: &Topic<[u64]>, tag: u64| topic.try_publish(&slice_of(tag, 40)).unwrap();
    beside("slices, one process", &topic, 500_000, publish, |words| check_slice(words, 40));
}

fn values_beside_a_reader_in_one_process_are_not_torn() {
    let topic = Topic::<[u64; 32]>::create(unique_name("torn"), 4).unwrap();
    let publish = |topic: &Topic<[u64; 32]>, tag: u64| topic.try_publish(&value(tag)).unwrap();
    beside("256 B, one process", &topic, 600_000, publish, |words| check::<32>(words));
}
