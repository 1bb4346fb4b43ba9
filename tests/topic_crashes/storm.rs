//! A storm of kills and stops over a topic, and a ledger of what was published.
//!
//! ```text
//!   publishers    note a number, publish it, note that it is out         killed, stopped, replaced
//!   subscribers   gating: each number after the one before it, of each publisher, from the join on
//!                 lossy: numbers that rise; received + missed = published   killed, stopped, leave
//!   auditors      two that gate from the first message on, only stopped: each message once, in one
//!                 order for both; one lossy one, from the first message on
//! ```

use crate::letters::{BOUND, Letter, OneSize, tag_of};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Child, fork, shared_words};
use crate::support::{PATIENCE, Rng};
use shmq::{GetError, PutError, Start, Subscriber, Topic};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_storm_over_publishers_by_lock,
        a_storm_over_publishers_by_lock_of_slices,
        a_storm_over_an_endpoint,
        a_storm_over_an_endpoint_of_slices,
        a_storm_with_evictions,
    ]
}

/// How long each storm lasts, in an ordinary run and with `--ignored`.
const EVERY_DAY_S: u64 = 2;
const WHOLE_S: u64 = 60;
/// After this time, a storm starts over with a new topic and an empty ledger.
const ROUND: Duration = Duration::from_secs(4);
/// Publishers of a round, one after the other.
const PUBLISHERS: usize = 8000;
const CAPACITY: usize = 24;
/// A tag: the publisher, and the number of the message.
const NUMBER_BITS: u32 = 40;

/// In memory that all processes share.
#[derive(Clone, Copy)]
struct Ledger {
    /// Numbers that each publisher may have published, and has published.
    attempted: &'static [AtomicU64],
    committed: &'static [AtomicU64],
    /// The number of publishers so far.
    publishers: &'static AtomicU64,
    /// 1: publishers end. 2: subscribers read what is left, and end.
    ends: &'static AtomicU64,
    /// Of each auditor: a hash of all that it read, and how many there were.
    audits: &'static [AtomicU64],
    received: &'static AtomicU64,
    missed: &'static AtomicU64,
    evicted: &'static AtomicU64,
}

impl Ledger {
    fn new() -> Ledger {
        let words = shared_words(2 * PUBLISHERS + 16);
        let (attempted, rest) = words.split_at(PUBLISHERS);
        let (committed, rest) = rest.split_at(PUBLISHERS);
        Ledger {
            attempted,
            committed,
            publishers: &rest[0],
            ends: &rest[1],
            received: &rest[2],
            missed: &rest[3],
            evicted: &rest[4],
            audits: &rest[8..],
        }
    }

    fn clear(self) {
        for words in [self.attempted, self.committed, self.audits] {
            words.iter().for_each(|word| word.store(0, Relaxed));
        }
        [self.publishers, self.ends].into_iter().for_each(|word| word.store(0, SeqCst));
    }

    fn ids(self) -> std::ops::Range<usize> {
        0..self.publishers.load(SeqCst) as usize
    }

    fn committed_by_all(self) -> Vec<u64> {
        self.committed.iter().map(|word| word.load(SeqCst)).collect()
    }
}

/// How publishers publish, and whether subscribers are evicted.
#[derive(Clone, Copy)]
struct Weather {
    by_endpoint: bool,
    evicts: bool,
}

fn a_storm_over_publishers_by_lock() {
    rage::<OneSize>("by lock", Weather { by_endpoint: false, evicts: false });
}

fn a_storm_over_publishers_by_lock_of_slices() {
    rage::<[u64]>("by lock, slices", Weather { by_endpoint: false, evicts: false });
}

fn a_storm_over_an_endpoint() {
    rage::<OneSize>("endpoint", Weather { by_endpoint: true, evicts: false });
}

fn a_storm_over_an_endpoint_of_slices() {
    rage::<[u64]>("endpoint, slices", Weather { by_endpoint: true, evicts: false });
}

fn a_storm_with_evictions() {
    rage::<OneSize>("evictions", Weather { by_endpoint: false, evicts: true });
}

/// Publishes until the ledger ends it.
fn publish_all<T: Letter + ?Sized>(topic: &Topic<T>, ledger: Ledger, id: usize, weather: Weather, mut rng: Rng) {
    let (attempted, committed) = (&ledger.attempted[id], &ledger.committed[id]);
    let tag = |number: u64| (id as u64 + 1) << NUMBER_BITS | number;
    let mut number = 0;
    let mut publisher = None;
    while ledger.ends.load(Acquire) == 0 {
        if weather.by_endpoint && publisher.is_none() {
            publisher = match topic.publisher() {
                Ok(publisher) => Some(publisher),
                // The one before it is dead, or about to be killed.
                Err(PutError::Held { .. } | PutError::Busy) => {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                Err(error) => panic!("{error:?}, {topic:?}"),
            };
        }
        let begun = Instant::now();
        attempted.store(number + 3, SeqCst);
        let published = match &mut publisher {
            Some(publisher) if rng.chance(20) => T::loan_of(publisher, tag(number + 1)).map(|()| 1),
            Some(publisher) => T::with(tag(number + 1), |message| publisher.publish_timeout(message, BOUND)).map(|()| 1),
            None => match rng.below(10) {
                0 => T::loan(topic, tag(number + 1), true).map(|()| 1),
                1 => T::loan(topic, tag(number + 1), false).map(|()| 0),
                2 | 3 => T::batch(topic, tag(number + 1)),
                _ => T::with(tag(number + 1), |message| topic.publish_timeout(message, BOUND)).map(|()| 1),
            },
        };
        number += published.unwrap_or_else(|error| panic!("{error:?} after {:?}, {topic:?}", begun.elapsed()));
        committed.store(number, SeqCst);
        attempted.store(number, SeqCst);
        if rng.chance(1) {
            std::thread::sleep(rng.duration_below(Duration::from_millis(2)));
        }
        if weather.by_endpoint && rng.chance(1) && rng.chance(20) {
            publisher = None;
        }
    }
}

/// What a subscriber knows of the publishers.
struct Books {
    /// The last number of each publisher that it has seen.
    seen: HashMap<usize, u64>,
    /// Numbers that were out before it joined, and soon after.
    before: Vec<u64>,
    after: Vec<u64>,
    /// No number may be missing.
    misses_nothing: bool,
    hash: u64,
    count: u64,
}

impl Books {
    fn new(before: Vec<u64>, after: Vec<u64>, misses_nothing: bool) -> Books {
        Books { seen: HashMap::new(), before, after, misses_nothing, hash: 0, count: 0 }
    }

    fn enter(&mut self, ledger: Ledger, words: &[u64]) {
        let tag = tag_of(words);
        let (id, number) = ((tag >> NUMBER_BITS) as usize - 1, tag & ((1 << NUMBER_BITS) - 1));
        self.hash = (self.hash ^ tag).wrapping_mul(0x100_0000_01b3).rotate_left(7);
        self.count += 1;
        assert!(number <= ledger.attempted[id].load(SeqCst), "{number} of publisher {id} was never published");
        let last = self.seen.insert(id, number);
        match last {
            Some(last) if self.misses_nothing => assert_eq!(number, last + 1, "after {last} of publisher {id}"),
            Some(last) => assert!(number > last, "{number} after {last} of publisher {id}"),
            None => {
                assert!(number > self.before[id], "{number} of publisher {id} was out before the join: {}", self.before[id]);
                // What was being published during the join may have been before or behind it.
                let latest = self.after[id] + 4;
                assert!(!self.misses_nothing || number <= latest, "first {number} of publisher {id}, {latest} at the latest");
            }
        }
    }

    /// Everything was read.
    fn close(&self, ledger: Ledger, what: &dyn Fn() -> String) {
        if !self.misses_nothing {
            return;
        }
        for id in ledger.ids() {
            let (committed, attempted) = (ledger.committed[id].load(SeqCst), ledger.attempted[id].load(SeqCst));
            match self.seen.get(&id) {
                Some(last) => {
                    assert!(
                        (committed..=attempted).contains(last),
                        "publisher {id}: {last}, {committed} to {attempted}, {}",
                        what()
                    )
                }
                None => assert!(committed <= self.after[id] + 3, "publisher {id}: nothing, {committed} are out, {}", what()),
            }
        }
    }
}

/// Which subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gating,
    Lossy,
    /// From the first message on; its number.
    Auditor(usize),
    LossyAuditor,
}

/// Reads until the ledger ends it; leaves and joins again now and then.
fn read_all<T: Letter + ?Sized>(topic: &Topic<T>, ledger: Ledger, kind: Kind, mut rng: Rng) {
    let gates = matches!(kind, Kind::Gating | Kind::Auditor(_));
    let is_auditor = matches!(kind, Kind::Auditor(_) | Kind::LossyAuditor);
    loop {
        let (before, published_before) = (ledger.committed_by_all(), topic.stats().published);
        let subscribed = if gates { topic.subscribe_from(Start::Now) } else { topic.subscribe_lossy() };
        let mut subscriber = subscribed.unwrap_or_else(|error| panic!("{error}, {topic:?}"));
        let (after, published_after) = (ledger.committed_by_all(), topic.stats().published);
        let mut books = Books::new(before, after, gates);
        let leaves_after = if is_auditor { u64::MAX } else { 1 + rng.below(20_000) };
        let mut lagged = 0;
        let is_over = loop {
            if books.count >= leaves_after {
                break false;
            }
            if !read_some(&mut subscriber, ledger, &mut books, &mut lagged, &mut rng) && ledger.ends.load(Acquire) == 2 {
                // What the dead left is aborted, and then there is nothing more.
                topic.recover();
                while read_some(&mut subscriber, ledger, &mut books, &mut lagged, &mut rng) {}
                break true;
            }
        };
        ledger.received.fetch_add(subscriber.received(), Relaxed);
        ledger.missed.fetch_add(subscriber.missed(), Relaxed);
        assert_eq!(subscriber.received(), books.count, "{subscriber:?}");
        assert!(lagged <= subscriber.missed(), "{lagged}, {subscriber:?}");
        if is_over {
            let describe = || format!("{kind:?}, {subscriber:?}, {topic:?}, {:#?}", topic.subscribers());
            books.close(ledger, &describe);
            let (passed, published) = (subscriber.received() + subscriber.missed(), topic.stats().published);
            let joined_at = published.wrapping_sub(passed);
            assert!(
                (published_before..=published_after).contains(&joined_at),
                "{passed} received and missed of {published}, joined at {published_before} to {published_after}, {}",
                describe()
            );
            if let Kind::Auditor(number) = kind {
                ledger.audits[2 * number].store(books.hash, SeqCst);
                ledger.audits[2 * number + 1].store(books.count, SeqCst);
            }
            return;
        }
    }
}

/// One call. `false`: there is nothing now.
fn read_some<T: Letter + ?Sized>(
    subscriber: &mut Subscriber<T>,
    ledger: Ledger,
    books: &mut Books,
    lagged: &mut u64,
    rng: &mut Rng,
) -> bool {
    let in_place = subscriber.is_gating() && rng.chance(20);
    let outcome = if in_place {
        T::read_in_place(subscriber, |words| {
            books.enter(ledger, words);
            if rng.chance(2) {
                std::thread::sleep(rng.duration_below(Duration::from_micros(300)));
            }
            // Still the same after all this time.
            tag_of(words);
        })
    } else {
        let message = match rng.below(20) {
            0 if !books.misses_nothing => subscriber.latest(),
            1..=5 => subscriber.next_timeout(Duration::from_millis(5)),
            _ => subscriber.try_next(),
        };
        message.map(|message| books.enter(ledger, T::owned(&message)))
    };
    match outcome {
        Ok(()) => true,
        Err(GetError::Lagged { missed }) => {
            assert!(missed > 0 && !books.misses_nothing, "{missed}, {subscriber:?}");
            *lagged += missed;
            true
        }
        Err(GetError::Evicted) => {
            assert!(std::mem::take(&mut books.misses_nothing), "evicted twice, {subscriber:?}");
            ledger.evicted.fetch_add(1, Relaxed);
            true
        }
        Err(GetError::Empty | GetError::Timeout) => false,
        Err(error) => panic!("{error:?}, {subscriber:?}"),
    }
}

/// A process of the storm.
struct Running {
    child: Child,
    stopped_until: Option<Instant>,
}

/// What a process does; publishers and killed subscribers are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Publishes,
    Reads(Kind),
}

const ROLES: [Role; 10] = [
    Role::Reads(Kind::Auditor(0)),
    Role::Reads(Kind::Auditor(1)),
    Role::Reads(Kind::LossyAuditor),
    Role::Publishes,
    Role::Publishes,
    Role::Publishes,
    Role::Reads(Kind::Gating),
    Role::Reads(Kind::Gating),
    Role::Reads(Kind::Lossy),
    Role::Reads(Kind::Lossy),
];

#[derive(Default, Debug)]
struct Toll {
    kills: u64,
    stops: u64,
    evictions: u64,
    published: u64,
}

impl Toll {
    fn is_a_storm(&self) -> bool {
        self.kills > 20 && self.stops > 5 && self.published > 1000
    }
}

/// Storms over new topics, one after the other, until the time is up.
fn rage<T: Letter + ?Sized>(what: &'static str, weather: Weather) {
    let mut rng = Rng::new(what);
    let ledger = Ledger::new();
    let seconds = if asks_for_ignored() { WHOLE_S } else { EVERY_DAY_S };
    let seconds = std::env::var("SHMQ_TEST_STORM_S").map_or(seconds, |text| text.parse().expect("a number of seconds"));
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let mut toll = Toll::default();
    // On a starved machine it goes on until there were enough kills.
    while Instant::now() < end || (!toll.is_a_storm() && started.elapsed() < PATIENCE) {
        ledger.clear();
        let topic = T::topic(CAPACITY);
        storm(&topic, ledger, weather, &mut rng, (Instant::now() + ROUND).min(end.max(Instant::now() + ROUND / 8)), &mut toll);
        expect_whole(&topic);
    }
    let [received, missed, evicted] = [ledger.received, ledger.missed, ledger.evicted].map(|word| word.load(Relaxed));
    println!("{what}: {toll:?}, received {received}, missed {missed}, learned of evictions {evicted}, {:?}", started.elapsed());
    assert!(toll.is_a_storm(), "no storm: {toll:?}");
    assert!(!weather.evicts || evicted > 0, "no subscriber was evicted");
    assert!(missed > 0, "no lossy subscriber was lapped");
}

fn storm<T: Letter + ?Sized>(topic: &Topic<T>, ledger: Ledger, weather: Weather, rng: &mut Rng, end: Instant, toll: &mut Toll) {
    let start = |role: Role, rng: &mut Rng| {
        let rng = rng.split();
        let id = match role {
            Role::Publishes => ledger.publishers.fetch_add(1, SeqCst) as usize,
            Role::Reads(_) => 0,
        };
        let child = fork(if role == Role::Publishes { "a publisher" } else { "a subscriber" }, move || match role {
            Role::Publishes => publish_all(topic, ledger, id, weather, rng),
            Role::Reads(kind) => read_all(topic, ledger, kind, rng),
        });
        Running { child, stopped_until: None }
    };
    // The auditors come first, and are there when the first message is published.
    let mut all: Vec<Running> = ROLES[..3].iter().map(|&role| start(role, rng)).collect();
    crate::support::wait_until("the auditors", || topic.subscribers().len() == 3, || format!("{:?}", topic.subscribers()));
    all.extend(ROLES[3..].iter().map(|&role| start(role, rng)));
    while Instant::now() < end && ledger.ids().len() < PUBLISHERS - 1 {
        let most_ms = if rng.chance(4) { 40 } else { 4 };
        std::thread::sleep(rng.duration_below(Duration::from_millis(most_ms)));
        let now = Instant::now();
        for one in all.iter_mut().filter(|one| one.stopped_until.is_some_and(|until| until <= now)) {
            one.child.go_on();
            one.stopped_until = None;
        }
        // One that fails is seen at once.
        for (one, role) in all.iter_mut().zip(ROLES) {
            assert!(!one.child.has_ended(), "{role:?} ended: {:?}, {topic:?}, {:#?}", one.child.wait(), topic.subscribers());
        }
        if weather.evicts && rng.chance(30) {
            toll.evictions += u64::from(evict_one(topic, &all, rng));
        }
        let place = rng.below(ROLES.len() as u64) as usize;
        let victim = &mut all[place];
        let is_auditor = place < 3;
        if victim.stopped_until.is_some() && is_auditor {
            continue;
        }
        if (is_auditor || rng.chance(30)) && victim.stopped_until.is_none() {
            victim.child.stop();
            let most = Duration::from_millis(if rng.chance(10) { 300 } else { 15 });
            victim.stopped_until = Some(now + rng.duration_below(most));
            toll.stops += 1;
            continue;
        }
        // Stopped processes are killed too.
        let successor = start(ROLES[place], rng);
        std::mem::replace(&mut all[place], successor).child.kill();
        toll.kills += 1;
    }
    all.iter().filter(|one| one.stopped_until.is_some()).for_each(|one| one.child.go_on());
    ledger.ends.store(1, SeqCst);
    let (publishers, subscribers): (Vec<_>, Vec<_>) = all.into_iter().zip(ROLES).partition(|(_, role)| *role == Role::Publishes);
    publishers.into_iter().for_each(|(one, _)| one.child.expect_success());
    // A claim of the dead, which any of them may find last.
    topic.recover();
    ledger.ends.store(2, SeqCst);
    subscribers.into_iter().for_each(|(one, _)| one.child.expect_success());
    let audit = |number: usize| [0, 1].map(|word| ledger.audits[2 * number + word].load(SeqCst));
    let [hash, count] = audit(0);
    assert_eq!([hash, count], audit(1), "two gating subscribers saw different messages, or another order: {topic:?}");
    let [committed, attempted] =
        [ledger.committed, ledger.attempted].map(|words| words.iter().map(|word| word.load(SeqCst)).sum::<u64>());
    assert!((committed..=attempted).contains(&count), "{count} read, {committed} to {attempted} published, {topic:?}");
    toll.published += count;
}

/// Evicts a subscriber that is not an auditor.
fn evict_one<T: Letter + ?Sized>(topic: &Topic<T>, all: &[Running], rng: &mut Rng) -> bool {
    let auditors: Vec<u32> = all[..3].iter().map(|one| one.child.pid()).collect();
    let gating = |one: &shmq::SubscriberInfo| one.kind == shmq::SubscriberKind::Gating && !auditors.contains(&one.pid);
    let victims: Vec<shmq::SubscriberInfo> = topic.subscribers().into_iter().filter(gating).collect();
    if victims.is_empty() {
        return false;
    }
    let victim = &victims[rng.below(victims.len() as u64) as usize];
    topic.evict(victim.id).unwrap_or_else(|error| panic!("{error}, {topic:?}"))
}

/// No process is left: no line is taken, and all the room is there.
fn expect_whole<T: Letter + ?Sized>(topic: &Topic<T>) {
    topic.recover();
    let again = topic.recover();
    assert_eq!((again.dead_participants, again.aborted), (0, 0), "{again:?}, {topic:?}");
    assert!(topic.subscribers().is_empty(), "{:?}", topic.subscribers());
    let subscriber = topic.subscribe_from(Start::Now).unwrap();
    let mut published = 0;
    let refused = loop {
        match T::with(1000 + published, |message| topic.try_publish(message)) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        assert!(published < 1000, "takes more than its capacity, {topic:?}");
    };
    assert!(matches!(refused, PutError::Gated { lag, .. } if lag == published), "{refused:?}, {topic:?}");
    let is_sized = T::length(0) == T::length(1);
    assert!(published == CAPACITY as u64 || !is_sized && published > 10, "{published}, {topic:?}");
    (0..published).for_each(|number| assert_eq!(tag_of(T::owned(&subscriber.try_next().unwrap())), 1000 + number));
    assert!(matches!(subscriber.try_next(), Err(GetError::Empty)));
}
