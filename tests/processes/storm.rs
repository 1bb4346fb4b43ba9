//! Random deaths for a few seconds: producers and consumers are killed and forked anew, and the ledger must balance.
//!
//! `SHMQ_TEST_STORM_S` sets how long each storm lasts.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, shared_words};
use crate::support::{PATIENCE, Rng, matches_pattern, pattern};
use shmq::{GetError, Message, PutError, Queue};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_storm_of_kills_loses_no_message,
        a_storm_of_kills_loses_no_slice,
        a_storm_of_kills_over_endpoints_loses_no_message,
        a_storm_of_kills_over_copies_delivers_at_most_once,
    ]
}

/// Messages that a ledger has room for.
const LEDGER: usize = 4_000_000;

/// Who put and who finished what, in words that survive everybody.
#[derive(Clone, Copy)]
struct Ledger {
    /// Bit 0: the put returned Ok. Above: how often the message was finished.
    entries: &'static [AtomicU64],
    next: &'static AtomicU64,
    stop: &'static AtomicU64,
}

/// The number of messages that nobody counts.
const UNCOUNTED: u64 = u64::MAX;
const PUT: u64 = 1;
const FINISHED: u64 = 2;

impl Ledger {
    fn new() -> Ledger {
        Ledger { entries: shared_words(LEDGER), next: shared_word(), stop: shared_word() }
    }

    /// A number that nobody else has.
    fn draw(&self) -> Option<u64> {
        let drawn = self.next.fetch_add(1, Relaxed);
        (drawn < LEDGER as u64 && self.stop.load(Acquire) == 0).then_some(drawn)
    }

    fn put(&self, number: u64) {
        self.entries[number as usize].fetch_or(PUT, Relaxed);
    }

    fn finished(&self, number: u64) {
        if number == UNCOUNTED {
            return;
        }
        self.entries[number as usize].fetch_add(FINISHED, Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Acquire) != 0
    }
}

/// A message that carries a number, whatever its type.
trait Numbered: Message + zerocopy::FromBytes {
    fn number(message: &Self) -> u64;
    fn put(queue: &Queue<Self>, number: u64, rng: &mut Rng) -> Result<(), PutError>;
    fn put_in_place(queue: &Queue<Self>, number: u64, rng: &mut Rng) -> Result<(), PutError>;
}

impl Numbered for u64 {
    fn number(message: &u64) -> u64 {
        *message
    }

    fn put(queue: &Queue<u64>, number: u64, _: &mut Rng) -> Result<(), PutError> {
        queue.put_timeout(&number, SHORT)
    }

    fn put_in_place(queue: &Queue<u64>, number: u64, rng: &mut Rng) -> Result<(), PutError> {
        let mut loan = queue.loan_timeout(SHORT)?;
        linger(rng);
        *loan = number;
        loan.commit()
    }
}

fn slice_message(number: u64, rng: &mut Rng) -> Vec<u8> {
    // A few of them beyond what is copied under a lock.
    let length = if rng.chance(3) { 4_000 + rng.below(2_000) } else { rng.below(200) };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend(pattern(number, length as usize));
    bytes
}

impl Numbered for [u8] {
    fn number(message: &[u8]) -> u64 {
        let number = u64::from_le_bytes(message[..8].try_into().unwrap());
        assert!(matches_pattern(number, &message[8..]), "message {number} is torn");
        number
    }

    fn put(queue: &Queue<[u8]>, number: u64, rng: &mut Rng) -> Result<(), PutError> {
        queue.put_timeout(&slice_message(number, rng), SHORT)
    }

    fn put_in_place(queue: &Queue<[u8]>, number: u64, rng: &mut Rng) -> Result<(), PutError> {
        let message = slice_message(number, rng);
        let mut loan = queue.loan_len_timeout(message.len() + rng.below(100) as usize, SHORT)?;
        linger(rng);
        loan[..message.len()].copy_from_slice(&message);
        loan.commit_len(message.len())
    }
}

/// A wait after which everybody looks around.
const SHORT: Duration = Duration::from_millis(20);

/// Sometimes a little longer, so that death finds guards open.
fn linger(rng: &mut Rng) {
    if rng.chance(5) {
        std::thread::sleep(rng.duration_below(Duration::from_micros(300)));
    }
}

fn put_until_stopped<T: Numbered + ?Sized>(queue: &Queue<T>, ledger: Ledger, rng: &mut Rng) {
    while let Some(number) = ledger.draw() {
        let result = match rng.below(5) {
            0..=2 => T::put(queue, number, rng).map(|()| ledger.put(number)),
            3 => T::put_in_place(queue, number, rng).map(|()| ledger.put(number)),
            _ => T::put_in_place(queue, UNCOUNTED, rng),
        };
        match result {
            Ok(()) => {}
            Err(PutError::Timeout | PutError::Held { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn finish_until_stopped<T: Numbered + ?Sized>(queue: &Queue<T>, ledger: Ledger, rng: &mut Rng) {
    while !ledger.stopped() {
        match queue.lease_timeout(SHORT) {
            Ok(lease) => {
                let number = T::number(&lease);
                linger(rng);
                if rng.chance(10) {
                    lease.give_back();
                    continue;
                }
                ledger.finished(number);
                lease.release();
            }
            Err(GetError::Timeout | GetError::Held { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

type Role<'a> = (&'static str, &'a dyn Fn(&mut Rng));

/// Kills and replaces one after the other. How many of each role were killed.
fn storm(ledger: Ledger, roles: &[Role<'_>], purpose: &str) -> Vec<u64> {
    let mut rng = Rng::new(purpose);
    let seconds = std::env::var("SHMQ_TEST_STORM_S").map_or(2, |text| text.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut killed = vec![0; roles.len()];
    let start = |role: usize, rng: &mut Rng| {
        let mut rng = rng.split();
        fork(roles[role].0, move || roles[role].1(&mut rng))
    };
    let mut children: Vec<Child> = (0..roles.len()).map(|role| start(role, &mut rng)).collect();
    while Instant::now() < end {
        std::thread::sleep(rng.duration_below(Duration::from_millis(3)));
        let role = rng.below(roles.len() as u64) as usize;
        let next = start(role, &mut rng);
        std::mem::replace(&mut children[role], next).kill();
        killed[role] += 1;
    }
    ledger.stop.store(1, Release);
    children.into_iter().for_each(Child::expect_success);
    eprintln!("{purpose}: killed {killed:?}, {} numbers drawn", ledger.next.load(Relaxed));
    killed
}

/// Finishes what is left, with nobody else alive.
fn drain<T: Numbered + ?Sized>(queue: &Queue<T>, ledger: Ledger) {
    for _ in 0..2 {
        loop {
            match queue.try_lease() {
                Ok(lease) => {
                    ledger.finished(T::number(&lease));
                    lease.release();
                }
                Err(GetError::Empty) => break,
                Err(error) => panic!("{error:?}, {queue:?}"),
            }
        }
        queue.recover();
    }
    assert_eq!((queue.len(), queue.is_full()), (0, false), "{queue:?}");
    queue.join_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}, {queue:?}"));
}

/// Every message that was put was finished; no more than one message a dead consumer was finished twice.
fn expect_balance(ledger: Ledger, consumers_killed: u64) {
    let (mut lost, mut twice, mut put) = (Vec::new(), 0, 0);
    for (number, entry) in ledger.entries.iter().enumerate().take(ledger.next.load(Relaxed) as usize) {
        let entry = entry.load(Relaxed);
        let finished = entry / FINISHED;
        put += entry & PUT;
        twice += finished.saturating_sub(1);
        if entry & PUT != 0 && finished == 0 {
            lost.push(number);
        }
    }
    eprintln!("{put} put, {twice} finished again after a death");
    assert!(lost.is_empty(), "{} of {put} lost, first {:?}", lost.len(), &lost[..lost.len().min(20)]);
    assert!(twice <= consumers_killed, "{twice} finished twice, {consumers_killed} consumers were killed");
    assert!(put > 100, "only {put} put");
}

fn a_storm_of_kills_loses_no_message() {
    let queue = Queue::<u64>::builder().capacity(7).max_participants(12).create().unwrap();
    storm_of(&queue, "storm of messages");
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 7);
}

fn a_storm_of_kills_loses_no_slice() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(16_000).max_participants(12).create().unwrap();
    storm_of(&queue, "storm of slices");
    for _ in 0..3 {
        queue.try_put(&vec![1; queue.max_len()]).unwrap();
        assert_eq!(queue.try_get().unwrap().len(), queue.max_len());
    }
}

fn storm_of<T: Numbered + ?Sized>(queue: &Queue<T>, purpose: &str) {
    let ledger = Ledger::new();
    let put = |rng: &mut Rng| put_until_stopped(queue, ledger, rng);
    let finish = |rng: &mut Rng| finish_until_stopped(queue, ledger, rng);
    let roles: [Role<'_>; 4] = [("a producer", &put), ("a producer", &put), ("a consumer", &finish), ("a consumer", &finish)];
    let killed = storm(ledger, &roles, purpose);
    drain(queue, ledger);
    expect_balance(ledger, killed[2] + killed[3]);
}

fn a_storm_of_kills_over_endpoints_loses_no_message() {
    let queue = Queue::<u64>::builder().capacity(7).max_participants(12).create().unwrap();
    let ledger = Ledger::new();
    let put_owning = |rng: &mut Rng| {
        while !ledger.stopped() {
            let producer = match queue.producer() {
                Ok(producer) => producer,
                Err(PutError::Held { .. } | PutError::Busy) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            };
            for _ in 0..rng.below(300) {
                let Some(number) = ledger.draw() else { return };
                let result = if rng.chance(20) {
                    producer.loan_timeout(SHORT).and_then(|mut loan| {
                        *loan = number;
                        linger(rng);
                        loan.commit()
                    })
                } else {
                    producer.put_timeout(&number, SHORT)
                };
                match result {
                    Ok(()) => ledger.put(number),
                    Err(error) => assert!(matches!(error, PutError::Timeout), "{error:?}"),
                }
            }
        }
    };
    let finish_owning = |rng: &mut Rng| {
        while !ledger.stopped() {
            let consumer = match queue.consumer() {
                Ok(consumer) => consumer,
                Err(GetError::Held { .. } | GetError::Busy) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            };
            for _ in 0..rng.below(300) {
                match consumer.lease_timeout(SHORT) {
                    Ok(lease) => {
                        linger(rng);
                        if rng.chance(10) {
                            lease.give_back();
                            continue;
                        }
                        ledger.finished(*lease);
                        lease.release();
                    }
                    Err(error) => assert!(matches!(error, GetError::Timeout), "{error:?}"),
                }
            }
        }
    };
    let put = |rng: &mut Rng| put_until_stopped(&queue, ledger, rng);
    let roles: [Role<'_>; 4] = [
        ("a producer's owner", &put_owning),
        ("a putter by lock", &put),
        ("a consumer's owner", &finish_owning),
        ("another", &finish_owning),
    ];
    let killed = storm(ledger, &roles, "storm over endpoints");
    drain(&queue, ledger);
    expect_balance(ledger, killed[2] + killed[3]);
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 7);
}

fn a_storm_of_kills_over_copies_delivers_at_most_once() {
    let queue = Queue::<u64>::builder().capacity(7).max_participants(12).create().unwrap();
    let ledger = Ledger::new();
    let put = |rng: &mut Rng| {
        while let Some(number) = ledger.draw() {
            let result = if rng.chance(70) {
                queue.put_timeout(&number, SHORT).map(|()| 1)
            } else {
                let more: Vec<u64> = std::iter::once(number).chain((0..rng.below(6)).map_while(|_| ledger.draw())).collect();
                let moved = queue.put_slice_timeout(&more, SHORT);
                if let Ok(count) = moved {
                    more[1..count].iter().for_each(|&number| ledger.put(number));
                }
                moved
            };
            match result {
                Ok(_) => ledger.put(number),
                Err(error) => assert!(matches!(error, PutError::Timeout), "{error:?}"),
            }
        }
    };
    let get = |rng: &mut Rng| {
        let mut buffer = [0; 4];
        while !ledger.stopped() {
            let room = 1 + rng.below(4) as usize;
            match queue.get_slice_timeout(&mut buffer[..room], SHORT) {
                Ok(count) => buffer[..count].iter().for_each(|&number| ledger.finished(number)),
                Err(error) => assert!(matches!(error, GetError::Timeout), "{error:?}"),
            }
        }
    };
    let roles: [Role<'_>; 4] = [("a producer", &put), ("a producer", &put), ("a getter", &get), ("a getter", &get)];
    let killed = storm(ledger, &roles, "storm over copies");
    loop {
        match queue.try_get() {
            Ok(number) => ledger.finished(number),
            Err(error) => break assert!(matches!(error, GetError::Empty), "{error:?}"),
        }
    }
    let drawn = ledger.entries.iter().take(ledger.next.load(Relaxed) as usize).map(|entry| entry.load(Relaxed));
    let (mut lost, mut twice) = (0, 0);
    for entry in drawn {
        lost += u64::from(entry & PUT != 0 && entry < FINISHED);
        twice += u64::from(entry >= 2 * FINISHED);
    }
    // A getter that dies takes what it has got with it: four messages at most. Nothing comes twice.
    assert_eq!(twice, 0);
    assert!(lost <= 4 * (killed[2] + killed[3]), "{lost} lost, {killed:?} killed");
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 7);
}
