//! Putters and takers of objects in files of their own are killed at any point, and replaced. A
//! ledger that survives all of them must balance, and no file may be left.

use crate::ledger::{Audit, Ledger};
use crate::objects::{Before, FIRST_HUGE, FIRST_LARGE, FIRST_SMALL, Object, RING_BYTES, sweep};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Child, fork};
use crate::support::{PATIENCE, Rng, unique_name};
use shmq::{DeadLetters, GetError, MessagePack, ObjectAckLease, ObjectLease, ObjectQueue, PutError};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_storm_of_kills_over_spilled_objects_loses_none_and_leaves_no_file,
        a_storm_of_kills_over_spilling_endpoints_loses_none_and_leaves_no_file,
        a_storm_of_kills_over_spilled_letters_loses_none_and_leaves_no_file,
    ]
}

/// How long each storm lasts in an ordinary run, and how many kills it has with `--ignored`.
const EVERY_DAY_S: u64 = 4;
const WHOLE_KILLS: u64 = 10_000;
/// After this time, a storm starts over with a new queue and an empty ledger.
const ROUND: Duration = Duration::from_secs(8);
/// Bytes of files: a few large objects, and one huge one beside them.
const BOUND: u64 = 25 * 4096;
/// A wait that ends without a result.
const WAIT: Duration = Duration::from_millis(3);
/// The time between two kills, at most.
const PAUSE: Duration = Duration::from_millis(3);
/// Most leases that a process holds at once.
const HELD: usize = 3;

struct Worker {
    ledger: Ledger,
    /// Where in the ledger it notes the message that it is finishing.
    place: usize,
    rng: Rng,
}

/// Of eight objects one is small, one huge.
fn object_of(number: u64) -> Object {
    let first = match number % 8 {
        0 => FIRST_SMALL,
        1 => FIRST_HUGE,
        _ => FIRST_LARGE,
    };
    Object::new(first + number)
}

fn number_of(object: &Object) -> u64 {
    let firsts = [FIRST_SMALL, FIRST_HUGE, FIRST_LARGE];
    let first = firsts.into_iter().find(|&first| first <= object.number).expect("one of the storm's");
    object.number - first
}

enum Held<'q> {
    Lease(ObjectLease<'q, Object>),
    Ack(ObjectAckLease<'q, Object>),
}

impl Held<'_> {
    fn release(self) {
        match self {
            Held::Lease(lease) => lease.release(),
            Held::Ack(lease) => lease.ack().unwrap(),
        }
    }

    fn give_back(self) {
        match self {
            Held::Lease(lease) => lease.give_back(),
            Held::Ack(lease) => lease.give_back(),
        }
    }

    fn object(&self) -> &Object {
        match self {
            Held::Lease(lease) => lease,
            Held::Ack(lease) => lease,
        }
    }

    fn deliveries(&self) -> u32 {
        match self {
            Held::Lease(lease) => lease.deliveries(),
            Held::Ack(lease) => lease.deliveries(),
        }
    }
}

impl Worker {
    fn expect_refusal(&mut self, error: PutError) {
        match error {
            PutError::Timeout => {}
            PutError::Held { .. } | PutError::Busy => std::thread::sleep(WAIT / 10),
            error => panic!("{error:?}"),
        }
    }

    fn expect_nothing(&mut self, error: GetError) {
        match error {
            GetError::Timeout => {}
            GetError::Empty | GetError::Held { .. } | GetError::Busy => std::thread::sleep(WAIT / 10),
            error => panic!("{error:?}"),
        }
    }

    fn put(&mut self, put: impl Fn(&Object) -> Result<(), PutError>) {
        let Some(number) = self.ledger.draw(1).map(|numbers| numbers[0]) else { return };
        match put(&object_of(number)) {
            Ok(()) => self.ledger.put(number),
            Err(error) => {
                self.ledger.refused(number);
                self.expect_refusal(error);
            }
        }
    }

    /// Takes objects on lease and ends the leases, in any order.
    fn lease_some<'q>(&mut self, rounds: u64, lease: impl Fn() -> Result<Held<'q>, GetError>) {
        let mut all = Vec::new();
        for _ in 0..rounds {
            if self.ledger.is_stopped() {
                break;
            }
            if all.is_empty() || (all.len() < HELD && self.rng.chance(30)) {
                match lease() {
                    Ok(held) => {
                        let number = number_of(held.object());
                        self.ledger.leased(number, held.deliveries());
                        all.push((number, held));
                    }
                    Err(error) => self.expect_nothing(error),
                }
                continue;
            }
            let (number, held) = all.swap_remove(self.rng.below(all.len() as u64) as usize);
            if self.rng.chance(15) {
                self.ledger.giving_back();
                held.give_back();
            } else {
                self.ledger.finish(self.place, number, || held.release());
            }
        }
        for (number, held) in all {
            self.ledger.finish(self.place, number, || held.release());
        }
    }

    /// Finishes the rest. No other process may be alive.
    fn drain(&mut self, queue: &ObjectQueue<Object>) {
        loop {
            match queue.try_lease() {
                Ok(lease) => {
                    let number = number_of(&lease);
                    self.ledger.leased(number, lease.deliveries());
                    self.ledger.finish(self.place, number, || lease.release());
                }
                Err(GetError::Empty) => break,
                Err(error) => panic!("{error:?}, {queue:?}"),
            }
        }
    }
}

type Work = fn(&ObjectQueue<Object>, &mut Worker);

fn put_by_lock(queue: &ObjectQueue<Object>, worker: &mut Worker) {
    while !worker.ledger.is_stopped() {
        worker.put(|object| queue.put_timeout(object, WAIT));
        if worker.rng.chance(1) {
            queue.recover();
        }
    }
}

fn put_by_endpoint(queue: &ObjectQueue<Object>, worker: &mut Worker) {
    while !worker.ledger.is_stopped() {
        match queue.producer() {
            Ok(producer) => {
                for _ in 0..worker.rng.below(50) {
                    worker.put(|object| producer.put_timeout(object, WAIT));
                }
            }
            Err(error) => worker.expect_refusal(error),
        }
    }
}

/// Attaches and leaves again and again.
fn put_and_leave(queue: &ObjectQueue<Object>, worker: &mut Worker) {
    while !worker.ledger.is_stopped() {
        match ObjectQueue::<Object>::open(queue.name()) {
            Ok(queue) => worker.put(|object| queue.put_timeout(object, WAIT)),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn lease_by_lock(queue: &ObjectQueue<Object>, worker: &mut Worker) {
    while !worker.ledger.is_stopped() {
        worker.lease_some(50, || queue.lease_timeout(WAIT).map(Held::Lease));
        worker.lease_some(50, || queue.lease_ack_timeout(WAIT).map(Held::Ack));
        if worker.rng.chance(20) {
            queue.recover();
        }
    }
}

fn lease_by_endpoint(queue: &ObjectQueue<Object>, worker: &mut Worker) {
    while !worker.ledger.is_stopped() {
        match queue.consumer() {
            Ok(consumer) => {
                let rounds = worker.rng.below(50);
                worker.lease_some(rounds, || consumer.lease_timeout(WAIT).map(Held::Lease));
            }
            Err(error) => worker.expect_nothing(error),
        }
    }
}

fn a_storm_of_kills_over_spilled_objects_loses_none_and_leaves_no_file() {
    let cast: [(&'static str, Work); 5] = [
        ("a putter", put_by_lock),
        ("another putter", put_by_lock),
        ("one that comes and goes", put_and_leave),
        ("a taker", lease_by_lock),
        ("another taker", lease_by_lock),
    ];
    rage("spilled objects", &cast, None);
}

fn a_storm_of_kills_over_spilling_endpoints_loses_none_and_leaves_no_file() {
    let cast: [(&'static str, Work); 5] = [
        ("a producer's owner", put_by_endpoint),
        ("a putter by lock", put_by_lock),
        ("a consumer's owner", lease_by_endpoint),
        ("another", lease_by_endpoint),
        ("a taker by lock", lease_by_lock),
    ];
    rage("spilled objects, endpoints", &cast, None);
}

/// Objects that were delivered twice to processes that died become letters, in files of their own,
/// too.
fn a_storm_of_kills_over_spilled_letters_loses_none_and_leaves_no_file() {
    let cast: [(&'static str, Work); 4] = [
        ("a putter", put_by_lock),
        ("one that comes and goes", put_and_leave),
        ("a taker", lease_by_lock),
        ("another taker", lease_by_lock),
    ];
    rage("spilled letters", &cast, Some(2));
}

/// The letters of a storm: which objects they carry.
struct Letters {
    queue: DeadLetters,
    numbers: RefCell<BTreeSet<usize>>,
}

impl Letters {
    fn new() -> Letters {
        let queue = DeadLetters::create(unique_name("letters"), 4 * RING_BYTES).unwrap();
        Letters { queue, numbers: RefCell::default() }
    }

    /// Takes those that are there. The process that calls it is not killed.
    fn take(&self) {
        loop {
            match self.queue.try_get() {
                Ok(letter) => {
                    let object = letter.decode::<Object, MessagePack>().unwrap();
                    self.numbers.borrow_mut().insert(number_of(&object) as usize);
                }
                Err(GetError::Empty | GetError::Busy) => return,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        let _ = DeadLetters::unlink(self.queue.name());
    }
}

/// What the storm did.
#[derive(Default, Debug)]
struct Toll {
    kills: u64,
    stops: u64,
    put: u64,
    finished: u64,
    redelivered: u64,
    in_doubt: u64,
    letters: u64,
}

struct Running {
    child: Child,
    place: usize,
    stopped_until: Option<Instant>,
}

/// Storms over new queues, one after the other, until there were enough kills.
fn rage(what: &'static str, cast: &[(&'static str, Work)], max_deliveries: Option<u32>) {
    let mut rng = Rng::new(what);
    let ledger = Ledger::new(2 * cast.len() + 1);
    let seconds = std::env::var("SHMQ_TEST_STORM_S").map_or(EVERY_DAY_S, |text| text.parse().expect("a number of seconds"));
    let least = if asks_for_ignored() { WHOLE_KILLS } else { 50 };
    let (started, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let mut toll = Toll::default();
    while Instant::now() < end || toll.kills < least {
        ledger.clear();
        let before = Before::now();
        let builder = ObjectQueue::builder().name(unique_name("storm")).capacity_bytes(RING_BYTES).max_spilled_bytes(BOUND);
        let letters = max_deliveries.map(|_| Letters::new());
        let builder = match (&letters, max_deliveries) {
            (Some(letters), Some(most)) => builder.max_deliveries(most).dead_letters(letters.queue.name()),
            _ => builder,
        };
        let queue = builder.max_participants(16).create().unwrap();
        let until = if asks_for_ignored() { Instant::now() + ROUND } else { end.min(Instant::now() + ROUND) };
        one_round(&queue, letters.as_ref(), ledger, cast, &mut rng, until, &mut toll);
        let mut last = Worker { ledger, place: 2 * cast.len(), rng: rng.split() };
        last.drain(&queue);
        for _ in 0..3 {
            // Letters that found no room are posted as soon as there is some.
            queue.recover();
            letters.iter().for_each(Letters::take);
        }
        last.drain(&queue);
        let report = queue.recover();
        assert_eq!((report.dead_participants, report.redelivered, report.aborted), (0, 0, 0), "{report:?}, {queue:?}");
        queue.join_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}, {queue:?}"));
        expect_balance(&ledger.audit(), letters.as_ref(), &mut toll);
        expect_whole(&queue, &before);
        drop((queue, letters));
        sweep();
        before.expect_none_left();
    }
    println!("{what}: {:.1} s, {toll:?}", started.elapsed().as_secs_f64());
    assert!(toll.put > 100 && toll.stops > 5, "no storm: {toll:?}");
    assert!(max_deliveries.is_none() || toll.letters > 0, "no letter: {toll:?}");
}

fn one_round(
    queue: &ObjectQueue<Object>,
    letters: Option<&Letters>,
    ledger: Ledger,
    cast: &[(&'static str, Work)],
    rng: &mut Rng,
    until: Instant,
    toll: &mut Toll,
) {
    let start = |role: usize, place: usize, rng: &mut Rng| {
        let mut worker = Worker { ledger, place, rng: rng.split() };
        let child = fork(cast[role].0, || (cast[role].1)(queue, &mut worker));
        Running { child, place, stopped_until: None }
    };
    let mut all: Vec<Running> = (0..cast.len()).map(|role| start(role, 2 * role, rng)).collect();
    while Instant::now() < until && !ledger.is_nearly_full() {
        std::thread::sleep(rng.duration_below(PAUSE));
        letters.iter().for_each(|letters| letters.take());
        let now = Instant::now();
        for one in all.iter_mut().filter(|one| one.stopped_until.is_some_and(|until| until <= now)) {
            one.child.go_on();
            one.stopped_until = None;
        }
        let role = rng.below(cast.len() as u64) as usize;
        if rng.chance(10) && all[role].stopped_until.is_none() {
            all[role].child.stop();
            let most_ms = if rng.chance(10) { 300 } else { 10 };
            all[role].stopped_until = Some(now + rng.duration_below(Duration::from_millis(most_ms)));
            toll.stops += 1;
            continue;
        }
        // Stopped processes are killed too.
        let successor = start(role, all[role].place ^ 1, rng);
        let victim = std::mem::replace(&mut all[role], successor);
        victim.child.kill();
        ledger.settle_for_the_dead(victim.place);
        toll.kills += 1;
    }
    all.iter().filter(|one| one.stopped_until.is_some()).for_each(|one| one.child.go_on());
    ledger.stop();
    all.into_iter().for_each(|one| one.child.expect_success());
}

/// Every object that was put is finished once, or a letter. A process killed between release and note may have
/// finished it instead.
fn expect_balance(audit: &Audit, letters: Option<&Letters>, toll: &mut Toll) {
    let Audit { lost, twice, invented, .. } = audit;
    let is_letter = |number: &&usize| letters.is_some_and(|letters| letters.numbers.borrow().contains(number));
    let lost: Vec<usize> = lost.iter().filter(|number| !is_letter(number)).copied().collect();
    toll.letters += letters.map_or(0, |letters| letters.numbers.borrow().len() as u64);
    assert!(lost.is_empty(), "{} lost, first {:?}", lost.len(), &lost[..lost.len().min(20)]);
    assert!(twice.is_empty(), "{} finished twice, first {:?}", twice.len(), &twice[..twice.len().min(20)]);
    assert!(invented.is_empty(), "{} came though refused, first {:?}", invented.len(), &invented[..invented.len().min(20)]);
    toll.put += audit.put;
    toll.finished += audit.finished;
    toll.redelivered += audit.redelivered;
    toll.in_doubt += audit.in_doubt;
}

/// Has the queue no file, and room for as many as there should be?
fn expect_whole(queue: &ObjectQueue<Object>, before: &Before) {
    assert_eq!(before.objects_since(), [""; 0], "{queue:?}");
    assert_eq!((queue.len(), queue.is_full()), (0, false), "{queue:?}");
    let objects = BOUND / 4096;
    let mut taken = 0;
    for number in 0..objects {
        // The ring may be short of room before the bound is reached.
        while let Err(error) = queue.try_put(&Object::new(FIRST_LARGE + number)) {
            assert!(matches!(error, PutError::Full) && number > 0, "{number}: {error:?}, {queue:?}, {:?}", queue.stats());
            assert_eq!(queue.try_get().unwrap().number, FIRST_LARGE + taken);
            taken += 1;
        }
    }
    for number in taken..objects {
        assert_eq!(queue.try_get().unwrap().number, FIRST_LARGE + number);
    }
    // The bytes are right at the latest when they are counted anew.
    queue.try_put(&Object::new(FIRST_HUGE)).unwrap();
    assert_eq!(queue.try_get().unwrap().number, FIRST_HUGE);
    assert_eq!(before.objects_since(), [""; 0], "{queue:?}");
}
