//! The operations of a `Producer` and a `Consumer` under weak memory: [`Run`] and the transitions
//! along it, against each other, against callers that take the sides by lock, and with a death
//! before each access.
//!
//! The payload of a record is a cell that loom checks for races. A Producer that is followed
//! closely prefetches lines for ownership in a ring of 5.

use super::heap::{self, Heap};
use super::mortal::{ALIVE, Mortal, survives};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::ring::SIZED_RING;
use crate::ring::{Front, Memory, Ring, Run};
use crate::shm::geometry::{CellIndex, Geometry};
use ::loom::cell::UnsafeCell;
use ::loom::sync::{Arc, Mutex};
use ::loom::thread;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const OWNER: u32 = 7;
pub(super) const LENGTH: u32 = 8;

/// A heap, and a payload for each cell.
pub(super) struct Shared {
    pub(super) heap: Arc<Heap>,
    geometry: Geometry,
    payloads: Vec<UnsafeCell<u64>>,
    lock: Mutex<()>,
}

/// One running process: it may die.
pub(super) struct Worker {
    shared: Arc<Shared>,
    pub(super) ring: Ring<Mortal>,
    run: Run,
}

impl Shared {
    /// Both sides have their endpoint. The first `used` cells were used before, as a lap of a
    /// ping-pong leaves them.
    pub(super) fn new(capacity: u64, used: u64) -> Arc<Shared> {
        let geometry = Geometry::sized(8, 8, capacity).expect("a small ring");
        let heap = Arc::new(heap::ring(geometry).memory);
        heap.put_side().owner.store(OWNER, Relaxed);
        heap.get_side().owner.store(OWNER, Relaxed);
        let payloads = (0..geometry.cells).map(|_| UnsafeCell::new(0)).collect();
        let shared = Arc::new(Shared { heap, geometry, payloads, lock: Mutex::new(()) });
        let (putter, getter) = (Worker::of(&shared, Run::of(OWNER), ALIVE), Worker::of(&shared, Run::of(OWNER), ALIVE));
        for _ in 0..used {
            assert!(putter.try_put(0));
            assert_eq!(getter.try_get(), Some(0));
        }
        shared
    }
}

impl Worker {
    pub(super) fn of(shared: &Arc<Shared>, run: Run, accesses: u32) -> Worker {
        let memory = Mortal::over(shared.heap.clone(), accesses);
        Worker { shared: shared.clone(), ring: Ring { memory, geometry: shared.geometry }, run }
    }

    pub(super) fn write(&self, cell: CellIndex, message: u64) {
        // SAFETY: the ring gave the record to this worker alone: loom checks exactly that.
        self.shared.payloads[cell.index() as usize].with_mut(|payload| unsafe { *payload = message });
    }

    pub(super) fn read(&self, cell: CellIndex) -> u64 {
        // SAFETY: the ring gave the record to this worker alone, and its writer published it with
        // the store of READY: loom checks exactly that.
        self.shared.payloads[cell.index() as usize].with(|payload| unsafe { *payload })
    }

    /// As a Producer puts: along its run, which it refills if needed, then its slow call, which the
    /// ring's last cell needs.
    fn try_put(&self, message: u64) -> bool {
        let enter = || self.ring.enter_run_to_put(&self.run, LENGTH, || ());
        let entered = enter().or_else(|| {
            if self.ring.refill_to_put(&self.run, || true, || (), |most| self.ring.make_room(most)) { enter() } else { None }
        });
        if let Some(slot) = entered {
            self.write(slot.cell(), message);
            self.ring.commit_in_run(slot);
            return true;
        }
        self.ring.memory.put_side().busy.store(1, Relaxed);
        let slot = self.ring.reserve_at_once::<SIZED_RING>(LENGTH).or_else(|| self.ring.reserve(LENGTH).ok());
        let found = slot.is_some();
        if let Some(slot) = slot {
            self.write(slot.cell, message);
            self.ring.commit(slot);
        }
        self.ring.exit_put();
        found
    }

    pub(super) fn put(&self, message: u64) {
        while !self.try_put(message) {
            thread::yield_now();
        }
    }

    /// As a Consumer gets, with its slow call. `note` sees the message before it is finished.
    fn try_get_noting(&self, note: impl FnOnce(u64)) -> Option<u64> {
        let enter = || self.ring.enter_run_to_get(&self.run, LENGTH, || ());
        let entered = enter().or_else(|| self.ring.refill_to_get(&self.run).and_then(|_| enter()));
        if let Some(record) = entered {
            let message = self.read(record.cell);
            note(message);
            self.ring.take_in_run(record);
            return Some(message);
        }
        self.ring.nothing_to_take().is_none().then_some(())?;
        self.ring.memory.get_side().busy.store(1, Relaxed);
        let found = match self.ring.front().expect("not corrupted") {
            Front::Ready(record) => {
                let message = self.read(record.cell);
                note(message);
                self.ring.take(record);
                Some(message)
            }
            Front::Empty | Front::Claimed(..) => None,
        };
        self.ring.exit_get();
        found
    }

    pub(super) fn try_get(&self) -> Option<u64> {
        self.try_get_noting(|_| ())
    }

    pub(super) fn get(&self) -> u64 {
        loop {
            if let Some(message) = self.try_get() {
                return message;
            }
            thread::yield_now();
        }
    }

    /// By lock, if no endpoint owns the side.
    pub(super) fn try_put_locked(&self, message: u64) -> bool {
        let _held = self.shared.lock.lock().expect("lock");
        let Some(slot) = self.ring.reserve_at_once::<SIZED_RING>(LENGTH).or_else(|| self.ring.reserve(LENGTH).ok()) else {
            return false;
        };
        self.write(slot.cell, message);
        self.ring.commit(slot);
        true
    }

    pub(super) fn try_get_locked(&self) -> Option<u64> {
        let _held = self.shared.lock.lock().expect("lock");
        let at_head = self.ring.ready_at_head::<SIZED_RING>();
        let record = match at_head {
            Some(record) => record,
            None => match self.ring.front().expect("not corrupted") {
                Front::Ready(record) => record,
                Front::Empty | Front::Claimed(..) => return None,
            },
        };
        let message = self.read(record.cell);
        self.ring.take(record);
        Some(message)
    }

    pub(super) fn drain(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.try_get_locked()).collect()
    }
}

pub(super) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.map_or(preemptions, |bound| bound.min(preemptions)));
    builder.check(model);
}

/// A Producer puts `count` messages, and a Consumer gets them.
fn meet(capacity: u64, used: u64, count: u64, followed: bool) {
    check(3, move || {
        let shared = Shared::new(capacity, used);
        let producer = shared.clone();
        let producer = thread::spawn(move || {
            let producer = Worker::of(&producer, if followed { Run::of_followed(OWNER) } else { Run::of(OWNER) }, ALIVE);
            (1..=count).for_each(|message| producer.put(message));
        });
        let consumer = Worker::of(&shared, Run::of(OWNER), ALIVE);
        (1..=count).for_each(|message| assert_eq!(consumer.get(), message));
        producer.join().expect("producer");
        assert_eq!((consumer.try_get(), consumer.ring.len()), (None, 0));
    });
}

#[test]
fn endpoints_meet() {
    meet(1, 0, 3, false);
    meet(2, 0, 3, false);
    meet(3, 2, 3, false);
}

/// From every cell, so that lines are prefetched before and behind the ring's end.
#[test]
fn endpoints_that_follow_closely_meet() {
    for used in 0..6 {
        meet(5, used, 3, true);
    }
    meet(4, 0, 4, true);
}

/// The ring is full when the Producer begins: the lines that it prefetches were not reclaimed, or
/// not even taken.
#[test]
fn a_followed_producer_begins_in_a_full_ring() {
    for used in [0, 3] {
        check(3, move || {
            let shared = Shared::new(5, used);
            let filler = Worker::of(&shared, Run::of(OWNER), ALIVE);
            (1..=5).for_each(|message| filler.put(message));
            let consumer = shared.clone();
            let consumer = thread::spawn(move || {
                let consumer = Worker::of(&consumer, Run::of(OWNER), ALIVE);
                (1..=4).for_each(|message| assert_eq!(consumer.get(), message));
            });
            let producer = Worker::of(&shared, Run::of_followed(OWNER), ALIVE);
            let put = (6..=8).filter(|&message| producer.try_put(message)).count() as u64;
            consumer.join().expect("consumer");
            let left = producer.drain();
            assert_eq!(left.len() as u64, 1 + put, "{left:?}");
            assert!(left[0] == 5 && left.is_sorted(), "{left:?}");
        });
    }
}

/// A Producer, and two getters that take turns at the lock.
#[test]
fn a_producer_meets_getters_with_a_lock() {
    for followed in [false, true] {
        check(2, move || {
            let shared = Shared::new(if followed { 4 } else { 2 }, 0);
            shared.heap.get_side().owner.store(0, Relaxed);
            let producer = shared.clone();
            let producer = thread::spawn(move || {
                let producer = Worker::of(&producer, if followed { Run::of_followed(OWNER) } else { Run::of(OWNER) }, ALIVE);
                (1..=3).filter(|&message| producer.try_put(message)).count()
            });
            let getter = shared.clone();
            let getter = thread::spawn(move || Worker::of(&getter, Run::of(OWNER), ALIVE).try_get_locked());
            let last = Worker::of(&shared, Run::of(OWNER), ALIVE);
            let mut got: Vec<u64> = last.try_get_locked().into_iter().collect();
            let put = producer.join().expect("producer");
            let of_other = getter.join().expect("getter");
            got.extend(last.drain());
            assert!(got.is_sorted(), "{got:?}");
            got.extend(of_other);
            assert_eq!(got.len(), put);
        });
    }
}

/// Two putters that take turns at the lock, and a Consumer.
#[test]
fn a_consumer_meets_putters_with_a_lock() {
    check(2, || {
        let shared = Shared::new(1, 1);
        shared.heap.put_side().owner.store(0, Relaxed);
        let putters = [1, 2].map(|message| {
            let shared = shared.clone();
            thread::spawn(move || {
                let putter = Worker::of(&shared, Run::of(OWNER), ALIVE);
                while !putter.try_put_locked(message) {
                    thread::yield_now();
                }
            })
        });
        let consumer = Worker::of(&shared, Run::of(OWNER), ALIVE);
        assert_eq!(consumer.get() + consumer.get(), 3);
        putters.into_iter().for_each(|putter| putter.join().expect("putter"));
    });
}

/// A Producer that dies after the given number of accesses, a Consumer or getters by lock that go
/// on, and a process that takes the put side over and puts. Returns whether the Producer died.
fn a_producer_dies(accesses: u32, followed: bool, by_lock: bool) -> bool {
    let died = std::sync::Arc::new(AtomicBool::new(false));
    let seen = died.clone();
    check(2, move || {
        let shared = Shared::new(if followed { 5 } else { 2 }, 2);
        if by_lock {
            shared.heap.get_side().owner.store(0, Relaxed);
        }
        let (producer, dies) = (shared.clone(), died.clone());
        let producer = thread::spawn(move || {
            let mut put = 0;
            let worker = Worker::of(&producer, if followed { Run::of_followed(OWNER) } else { Run::of(OWNER) }, accesses);
            let lived = survives(|| {
                for message in 1..=3 {
                    put += worker.try_put(message) as u64;
                }
            });
            dies.fetch_or(!lived, Ordering::Relaxed);
            let heir = Worker::of(&producer, Run::of(OWNER), ALIVE);
            heir.ring.repair_put_side(|_| true, |_, _| ()).expect("not corrupted");
            heir.ring.exit_put();
            heir.ring.memory.put_side().owner.store(0, Release);
            (put, lived, heir.try_put_locked(9))
        });
        let getter = Worker::of(&shared, Run::of(OWNER), ALIVE);
        let try_get = || if by_lock { getter.try_get_locked() } else { getter.try_get() };
        let mut got: Vec<u64> = (0..2).filter_map(|_| try_get()).collect();
        let (put, lived, by_heir) = producer.join().expect("producer");
        got.extend(getter.drain());
        if by_heir {
            assert_eq!(got.pop(), Some(9), "after {got:?}");
        }
        let count = got.len() as u64;
        assert!(got.iter().copied().eq(1..=count), "in order, each once: {got:?}");
        assert!(count == put || (!lived && count == put + 1), "{got:?}, and {put} were put");
        assert_eq!((getter.ring.len(), getter.ring.has_room(LENGTH, true)), (0, Ok(true)));
    });
    seen.load(Ordering::Relaxed)
}

#[test]
fn producers_die() {
    for (followed, by_lock) in [(false, false), (false, true), (true, false), (true, true)] {
        let places = (0..).take_while(|&accesses| a_producer_dies(accesses, followed, by_lock)).count();
        assert!(places > 12, "killed in {places} places only");
    }
}

/// A Consumer that dies after the given number of accesses beside a Producer, and a process that
/// takes the get side over and drains. Returns whether the Consumer died.
fn a_consumer_dies(accesses: u32) -> bool {
    let died = std::sync::Arc::new(AtomicBool::new(false));
    let seen = died.clone();
    check(2, move || {
        let shared = Shared::new(2, 2);
        let producer = shared.clone();
        let producer = thread::spawn(move || {
            let producer = Worker::of(&producer, Run::of(OWNER), ALIVE);
            (1..=3).take_while(|&message| producer.try_put(message)).count() as u64
        });
        let consumer = Worker::of(&shared, Run::of(OWNER), accesses);
        let noted = Mutex::new(Vec::new());
        let lived = survives(|| {
            (0..2).for_each(|_| {
                let _ = consumer.try_get_noting(|message| noted.lock().expect("lock").push(message));
            });
        });
        died.fetch_or(!lived, Ordering::Relaxed);
        let mut got = noted.lock().expect("lock").clone();
        let heir = Worker::of(&shared, Run::of(OWNER), ALIVE);
        heir.ring.repair_get_side().expect("not corrupted");
        heir.ring.exit_get();
        heir.ring.memory.get_side().owner.store(0, Release);
        let mut rest = heir.drain();
        let put = producer.join().expect("producer");
        rest.extend(heir.drain());
        // The Consumer may have died before it finished the last message that it noted.
        if !lived && !got.is_empty() && rest.first() == got.last() {
            rest.remove(0);
        }
        got.extend(rest);
        assert!(got.iter().copied().eq(1..=put), "in order, each once: {got:?} of {put}");
        assert_eq!(heir.ring.memory.get_side().busy.load(Acquire), 0);
    });
    seen.load(Ordering::Relaxed)
}

#[test]
fn consumers_die() {
    let places = (0..).take_while(|&accesses| a_consumer_dies(accesses)).count();
    assert!(places > 12, "killed in {places} places only");
}
