//! Bursts under weak memory: against each other, against endpoints along their runs, against
//! callers that take the sides by lock and reads without a side, and with a death before each
//! access.

use super::endpoints::{LENGTH, OWNER, Shared, Worker, check};
use super::mortal::{ALIVE, survives};
use crate::atomic::Ordering::{Relaxed, Release};
use crate::ring::{Memory, Run, State};
use ::loom::sync::Mutex;
use ::loom::thread;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};

impl Worker {
    /// Puts as many of the messages as there is room for, as a Producer does. Returns their number.
    fn try_put_burst(&self, messages: RangeInclusive<u64>) -> u64 {
        let most = messages.clone().count() as u64;
        self.ring.memory.put_side().busy.store(1, Relaxed);
        let mut burst = self.ring.burst_at_tail(most);
        if burst.count() < most && self.ring.make_room(most) {
            burst = self.ring.burst_at_tail(most);
        }
        let write = |nth, cell| self.write(cell, messages.start() + nth as u64);
        self.ring.commit_burst(burst, burst.count(), LENGTH, write);
        self.ring.exit_put();
        burst.count()
    }

    /// All of them, in as many bursts as it takes.
    fn put_all(&self, messages: RangeInclusive<u64>) {
        let mut next = *messages.start();
        while next <= *messages.end() {
            let put = self.try_put_burst(next..=*messages.end());
            next += put;
            if put == 0 {
                thread::yield_now();
            }
        }
    }

    /// Takes up to `most` messages, as a Consumer does. `note` sees each before any is finished.
    fn try_get_burst(&self, most: u64, mut note: impl FnMut(u64)) -> u64 {
        self.ring.memory.get_side().busy.store(1, Relaxed);
        let burst = self.ring.burst_at_head(most);
        let mut count = 0;
        for cell in self.ring.burst_cells(burst).take_while(|&cell| self.ring.is_ready(cell, LENGTH)) {
            note(self.read(cell));
            count += 1;
        }
        self.ring.take_burst(burst, count, LENGTH);
        self.ring.exit_get();
        count
    }

    fn get_all(&self, messages: RangeInclusive<u64>) {
        let mut next = *messages.start();
        while next <= *messages.end() {
            let expected = next;
            let taken = self.try_get_burst(3, |message| {
                assert_eq!(message, next);
                next += 1;
            });
            assert_eq!(taken, next - expected);
            if taken == 0 {
                thread::yield_now();
            }
        }
    }
}

/// How a side moves its messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Burst,
    Run,
}

fn meet(capacity: u64, used: u64, count: u64, puts: Way, gets: Way) {
    check(3, move || {
        let shared = Shared::new(capacity, used);
        let producer = shared.clone();
        let producer = thread::spawn(move || {
            let producer = Worker::of(&producer, Run::of(OWNER), ALIVE);
            match puts {
                Way::Burst => producer.put_all(1..=count),
                Way::Run => (1..=count).for_each(|message| producer.put(message)),
            }
        });
        let consumer = Worker::of(&shared, Run::of(OWNER), ALIVE);
        match gets {
            Way::Burst => consumer.get_all(1..=count),
            Way::Run => (1..=count).for_each(|message| assert_eq!(consumer.get(), message)),
        }
        producer.join().expect("producer");
        assert_eq!((consumer.try_get(), consumer.ring.len()), (None, 0));
    });
}

#[test]
fn bursts_meet_bursts() {
    for used in 0..3 {
        meet(2, used, 4, Way::Burst, Way::Burst);
    }
    meet(1, 0, 3, Way::Burst, Way::Burst);
    meet(3, 2, 3, Way::Burst, Way::Burst);
}

#[test]
fn bursts_meet_runs() {
    for used in 0..3 {
        meet(2, used, 3, Way::Burst, Way::Run);
        meet(2, used, 3, Way::Run, Way::Burst);
    }
}

/// Reads that own no side, while bursts are put and taken over the ring's end.
#[test]
fn bursts_meet_reads_without_a_side() {
    for used in [0, 1] {
        check(2, move || {
            let shared = Shared::new(2, used);
            let producer = shared.clone();
            let producer = thread::spawn(move || Worker::of(&producer, Run::of(OWNER), ALIVE).try_put_burst(1..=2));
            let reader = shared.clone();
            let reader = thread::spawn(move || {
                let reader = Worker::of(&reader, Run::of(OWNER), ALIVE);
                // All of a burst, or nothing of it.
                assert!(matches!(reader.ring.unfinished(), Ok(0..=2)));
                assert!(reader.ring.len() <= 2);
                assert!(reader.ring.has_room(LENGTH, true).is_ok());
                assert!(matches!(reader.ring.nothing_to_take(), None | Some(State::Free)));
            });
            let consumer = Worker::of(&shared, Run::of(OWNER), ALIVE);
            let taken = consumer.try_get_burst(2, |_| ());
            assert!(taken == 0 || taken == 2, "{taken} of a burst of two");
            assert_eq!(producer.join().expect("producer"), 2);
            reader.join().expect("reader");
            assert_eq!(consumer.try_get_burst(2, |_| ()) + taken, 2);
        });
    }
}

/// A Producer that dies after the given number of accesses in a burst, a getter that goes
/// on, and a process that takes the put side over and puts. Returns whether the Producer died.
fn a_producer_dies(accesses: u32, by_lock: bool) -> bool {
    let died = std::sync::Arc::new(AtomicBool::new(false));
    let seen = died.clone();
    check(2, move || {
        let shared = Shared::new(3, 1);
        if by_lock {
            shared.heap.get_side().owner.store(0, Relaxed);
        }
        let (producer, dies) = (shared.clone(), died.clone());
        let producer = thread::spawn(move || {
            let mut put = 0;
            let worker = Worker::of(&producer, Run::of(OWNER), accesses);
            let lived = survives(|| put = worker.try_put_burst(1..=3));
            dies.fetch_or(!lived, Ordering::Relaxed);
            let heir = Worker::of(&producer, Run::of(OWNER), ALIVE);
            heir.ring.repair_put_side(|_| true, |_, _| ()).expect("not corrupted");
            heir.ring.exit_put();
            heir.ring.memory.put_side().owner.store(0, Release);
            (put, lived, heir.try_put_locked(9))
        });
        let getter = Worker::of(&shared, Run::of(OWNER), ALIVE);
        let mut got = Vec::new();
        if by_lock {
            got.extend(getter.try_get_locked());
        } else {
            getter.try_get_burst(2, |message| got.push(message));
        }
        let (put, lived, by_heir) = producer.join().expect("producer");
        got.extend(getter.drain());
        if by_heir {
            assert_eq!(got.pop(), Some(9), "after {got:?}");
        }
        let count = got.len() as u64;
        assert!(got.iter().copied().eq(1..=count), "in order, each once: {got:?}");
        assert!(if lived { count == put } else { count == 0 || count == 3 }, "{got:?}, and {put} were put");
        assert_eq!((getter.ring.len(), getter.ring.has_room(LENGTH, true)), (0, Ok(true)));
    });
    seen.load(Ordering::Relaxed)
}

#[test]
fn producers_die_in_bursts() {
    for by_lock in [false, true] {
        let places = (0..).take_while(|&accesses| a_producer_dies(accesses, by_lock)).count();
        assert!(places > 6, "killed in {places} places only");
    }
}

/// A Consumer that dies after the given number of accesses beside a Producer, and a process that
/// takes the get side over and drains. Returns whether the Consumer died.
fn a_consumer_dies(accesses: u32) -> bool {
    let died = std::sync::Arc::new(AtomicBool::new(false));
    let seen = died.clone();
    check(2, move || {
        let shared = Shared::new(2, 2);
        let filler = Worker::of(&shared, Run::of(OWNER), ALIVE);
        filler.put_all(1..=2);
        let producer = shared.clone();
        let producer = thread::spawn(move || 2 + Worker::of(&producer, Run::of(OWNER), ALIVE).try_put_burst(3..=4));
        let consumer = Worker::of(&shared, Run::of(OWNER), accesses);
        let noted = Mutex::new(Vec::new());
        let lived = survives(|| {
            (0..2).for_each(|_| {
                consumer.try_get_burst(2, |message| noted.lock().expect("lock").push(message));
            });
        });
        died.fetch_or(!lived, Ordering::Relaxed);
        let noted = noted.lock().expect("lock").clone();
        let heir = Worker::of(&shared, Run::of(OWNER), ALIVE);
        heir.ring.repair_get_side().expect("not corrupted");
        heir.ring.exit_get();
        heir.ring.memory.get_side().owner.store(0, Release);
        let mut rest = heir.drain();
        let put = producer.join().expect("producer");
        rest.extend(heir.drain());
        assert!(noted.iter().copied().eq(1..=noted.len() as u64), "in order, each once: {noted:?}");
        // Of the last burst some may not be finished: they come again, in order, and with all that
        // follow.
        let first = rest.first().copied().unwrap_or(put + 1);
        assert!(rest.iter().copied().eq(first..=put), "{rest:?} of {put} after {noted:?}");
        let again = (noted.len() as u64 + 1).checked_sub(first).expect("no message is lost");
        assert!(again <= if lived { 0 } else { 2 }, "{rest:?} after {noted:?}");
    });
    seen.load(Ordering::Relaxed)
}

#[test]
fn consumers_die_in_bursts() {
    let places = (0..).take_while(|&accesses| a_consumer_dies(accesses)).count();
    assert!(places > 12, "killed in {places} places only");
}
