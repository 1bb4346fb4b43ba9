//! The ring's transitions under weak memory: loom tries every interleaving, and every value that a
//! load may see.
//!
//! A sized record's payload is a cell that loom checks for races: it fails if a reader and a writer
//! of one record are not ordered. In a slice ring, payload covers words that other records use as
//! headers, so there it is garbage in those words.

use super::heap::{self, Heap, bytes, write_garbage};
use crate::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use crate::atomic::{AtomicU64, fence};
use crate::ring::dead_owners::Upto;
use crate::ring::{Front, Header, Memory, NoRoom, Owner, Record, Ring, Run, Slot, State};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::geometry::{CellIndex, Geometry};
use ::loom::cell::UnsafeCell;
use ::loom::sync::{Arc, Mutex};
use ::loom::thread;

/// A ring, and a payload for each cell.
struct Shared {
    ring: Ring<Heap>,
    payloads: Vec<UnsafeCell<u64>>,
}

fn owner() -> Owner {
    Owner::new(1, 1)
}

impl Shared {
    fn new(geometry: Geometry) -> Arc<Shared> {
        let payloads = (0..geometry.cells).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Shared { ring: heap::ring(geometry), payloads })
    }

    fn sized(capacity: u64) -> Arc<Shared> {
        Shared::new(Geometry::sized(8, 8, capacity).expect("a small ring"))
    }

    fn write(&self, cell: CellIndex, length: u32, message: u64) {
        // SAFETY: the pointer lives as long as the closure runs, and the ring gave the record to
        // this worker alone: loom checks exactly that.
        self.payloads[cell.index() as usize].with_mut(|payload| unsafe { *payload = message });
        write_garbage(&self.ring, cell, length);
    }

    fn read(&self, cell: CellIndex) -> u64 {
        // SAFETY: the ring gave the record to this worker alone, and its writer published it with
        // the store of READY: loom checks exactly that.
        self.payloads[cell.index() as usize].with(|payload| unsafe { *payload })
    }

    fn reserve(&self, length: u32) -> Option<Slot> {
        let at_once = match self.ring.geometry.sized {
            true => self.ring.reserve_at_once::<SIZED_RING>(length),
            false => self.ring.reserve_at_once::<SLICE_RING>(length),
        };
        at_once.or_else(|| match self.ring.reserve(length) {
            Ok(slot) => Some(slot),
            Err(NoRoom::Full) => None,
            Err(NoRoom::Corrupted) => panic!("corrupted"),
        })
    }

    fn try_put(&self, length: u32, message: u64) -> bool {
        let Some(slot) = self.reserve(length) else { return false };
        self.write(slot.cell, length, message);
        self.ring.commit(slot);
        true
    }

    fn put(&self, length: u32, message: u64) {
        while !self.try_put(length, message) {
            thread::yield_now();
        }
    }

    fn lend(&self, length: u32, message: u64) -> (CellIndex, Header) {
        self.ring.memory.put_side().loans.store(1, Relaxed);
        let slot = self.reserve(length).expect("room");
        let lent = self.ring.claim(slot, owner());
        self.write(lent.0, length, message);
        lent
    }

    /// Returned ones first, as the queue scans.
    fn find(&self) -> Option<Record> {
        let at_head = match self.ring.geometry.sized {
            true => self.ring.ready_at_head::<SIZED_RING>(),
            false => self.ring.ready_at_head::<SLICE_RING>(),
        };
        if at_head.is_some() && !self.ring.may_hold_returned() {
            return at_head;
        }
        if self.ring.may_hold_returned() {
            if let Some(record) = self.ring.first_returned(&AtomicU64::new(0)).expect("not corrupted") {
                return Some(record);
            }
        }
        match self.ring.front().expect("not corrupted") {
            Front::Ready(record) => Some(record),
            Front::Empty | Front::Claimed(..) => None,
        }
    }

    fn try_get(&self) -> Option<u64> {
        let record = self.find()?;
        let message = self.read(record.cell);
        self.ring.take(record);
        Some(message)
    }

    fn get(&self) -> u64 {
        loop {
            if let Some(message) = self.try_get() {
                return message;
            }
            thread::yield_now();
        }
    }

    fn lease(&self) -> (CellIndex, Header, u64) {
        self.ring.memory.get_side().leases.store(1, Relaxed);
        let record = self.find().expect("a message");
        let (cell, header) = self.ring.lease(record, owner());
        (cell, header, self.read(cell))
    }

    fn drain(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.try_get()).collect()
    }
}

/// One putter and one getter without locks.
fn endpoints(geometry: Geometry, lengths: &'static [u32]) {
    ::loom::model(move || {
        let shared = Shared::new(geometry);
        let putter = shared.clone();
        let putter = thread::spawn(move || {
            for (message, &length) in lengths.iter().enumerate() {
                putter.put(length, message as u64);
            }
        });
        for message in 0..lengths.len() as u64 {
            assert_eq!(shared.get(), message);
        }
        putter.join().expect("putter");
        assert_eq!(shared.ring.len(), 0);
    });
}

#[test]
fn endpoints_of_capacity_1() {
    endpoints(Geometry::sized(8, 8, 1).expect("a small ring"), &[8, 8, 8]);
}

#[test]
fn endpoints_of_capacity_2() {
    endpoints(Geometry::sized(8, 8, 2).expect("a small ring"), &[8, 8, 8]);
}

/// The third record needs a filler, and its payload overwrites headers.
#[test]
fn endpoints_of_slices() {
    endpoints(bytes(6, u64::MAX), &[16, 32, 16]);
    endpoints(bytes(6, 1), &[32, 0, 32]);
}

/// Two putters take turns at a lock: one reclaims, the other may be the one that overwrites.
#[test]
fn putters_with_a_lock() {
    ::loom::model(|| {
        let shared = Shared::sized(1);
        let lock = Arc::new(Mutex::new(()));
        let putters = [1, 2].map(|message| {
            let (shared, lock) = (shared.clone(), lock.clone());
            thread::spawn(move || {
                loop {
                    let held = lock.lock().expect("lock");
                    if shared.try_put(8, message) {
                        return;
                    }
                    drop(held);
                    thread::yield_now();
                }
            })
        });
        assert_eq!(shared.get() + shared.get(), 3);
        putters.into_iter().for_each(|putter| putter.join().expect("putter"));
    });
}

/// Whatever a getter reads meanwhile, a returned message is delivered again, once, and first.
#[test]
fn given_back_is_never_lost() {
    ::loom::model(|| {
        let shared = Shared::sized(3);
        (1..=3).for_each(|message| shared.put(8, message));
        let givers = [shared.lease(), shared.lease()].map(|(cell, header, _)| {
            let shared = shared.clone();
            thread::spawn(move || assert!(shared.ring.give_back(cell, header)))
        });
        let mut got: Vec<u64> = shared.try_get().into_iter().collect();
        givers.into_iter().for_each(|giver| giver.join().expect("giver"));
        let rest = shared.drain();
        assert!(rest.is_sorted(), "{rest:?} after {got:?}");
        got.extend(rest);
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
    });
}

/// Leases are released out of order while a putter wants their cells.
#[test]
fn released_out_of_order() {
    ::loom::model(|| {
        let shared = Shared::sized(2);
        (1..=2).for_each(|message| shared.put(8, message));
        let leases = [shared.lease(), shared.lease()];
        let readers = leases.map(|(cell, header, message)| {
            let shared = shared.clone();
            thread::spawn(move || {
                assert_eq!(shared.read(cell), message);
                assert!(shared.ring.release(cell, header));
            })
        });
        shared.put(8, 3);
        let mut expected = vec![3];
        if shared.try_put(8, 4) {
            expected.push(4);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("reader"));
        assert_eq!(shared.drain(), expected);
        assert_eq!(shared.ring.unfinished(), Ok(0));
    });
}

/// Messages are done and read on, out of order, while a putter wants their cells: no payload is
/// written under a view.
#[test]
fn views_beside_a_full_put_side() {
    ::loom::model(|| {
        let shared = Shared::sized(2);
        (1..=2).for_each(|message| shared.put(8, message));
        let leases = [shared.lease(), shared.lease()];
        let readers = leases.map(|(cell, header, message)| {
            let shared = shared.clone();
            thread::spawn(move || {
                let pinned = shared.ring.pin(cell, header).expect("a lease of this process");
                assert_eq!(shared.read(cell), message);
                assert!(shared.ring.unpin(cell, pinned));
            })
        });
        shared.put(8, 3);
        let mut expected = vec![3];
        if shared.try_put(8, 4) {
            expected.push(4);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("reader"));
        assert_eq!(shared.drain(), expected);
        assert_eq!(shared.ring.unfinished(), Ok(0));
    });
}

/// A process that holds the put lock ends the view of a dead reader, beside a Producer that moves
/// reclaim without it: one of the two ends it, and the payload is written once.
#[test]
fn views_of_the_dead_beside_a_producer() {
    ::loom::model(|| {
        let shared = Shared::sized(1);
        shared.put(8, 1);
        let (cell, header, _) = shared.lease();
        let pinned = shared.ring.pin(cell, header).expect("a lease of this process");
        let lock = Arc::new(Mutex::new(()));
        let prober = {
            let (shared, lock) = (shared.clone(), lock.clone());
            thread::spawn(move || {
                let settled = AtomicU64::new(0);
                let found = shared.ring.find_the_dead(Upto::Head, &settled, |_| true, |_| false, 1).expect("not corrupted");
                let _held = lock.lock().expect("lock");
                shared.ring.end_found_views(&found, |_| true)
            })
        };
        let mut ended = 0;
        while !shared.try_put(8, 2) {
            let _held = lock.lock().expect("lock");
            ended += shared.ring.end_stopping_views(|_| true).expect("not corrupted");
        }
        assert_eq!(prober.join().expect("prober") + ended, 1);
        assert!(!shared.ring.unpin(cell, pinned), "the reader was dead");
        assert_eq!(shared.drain(), [2]);
    });
}

/// Loans finish, one way or the other, while a getter waits before them and a putter comes behind.
fn loans(geometry: Geometry, length: u32, finish: fn(&Ring<Heap>, CellIndex, Header) -> bool, expected: &'static [u64]) {
    ::loom::model(move || {
        let shared = Shared::new(geometry);
        let (cell, header) = shared.lend(length, 1);
        let lender = shared.clone();
        let lender = thread::spawn(move || assert!(finish(&lender.ring, cell, header)));
        let putter = shared.clone();
        let putter = thread::spawn(move || putter.put(putter.ring.geometry.sized as u32 * 8, 2));
        for &message in expected {
            assert_eq!(shared.get(), message);
        }
        lender.join().expect("lender");
        putter.join().expect("putter");
        assert_eq!((shared.try_get(), shared.ring.len()), (None, 0));
    });
}

#[test]
fn aborted_against_front() {
    loans(Geometry::sized(8, 8, 2).expect("a small ring"), 8, |ring, cell, header| ring.abort_claimed(cell, header), &[2]);
    loans(bytes(6, u64::MAX), 32, |ring, cell, header| ring.abort_claimed(cell, header), &[2]);
}

#[test]
fn committed_short_against_front() {
    loans(bytes(6, u64::MAX), 32, |ring, cell, header| ring.commit_claimed(cell, header, 0), &[1, 2]);
}

/// Reads without a side, while records are put and taken over the wrap. Three threads: two
/// preemptions at most, or it takes minutes.
fn checks(geometry: Geometry, lengths: [u32; 3], check: fn(&Ring<Heap>)) {
    let mut model = ::loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.map_or(2, |bound| bound.min(2)));
    model.check(move || {
        let shared = Shared::new(geometry);
        shared.put(lengths[0], 1);
        let checker = shared.clone();
        let checker = thread::spawn(move || check(&checker.ring));
        let putter = shared.clone();
        let putter = thread::spawn(move || {
            lengths[1..].iter().zip(2..).filter(|(length, message)| putter.try_put(**length, *message)).count()
        });
        let mut got = shared.drain();
        checker.join().expect("checker");
        let put = putter.join().expect("putter") + 1;
        assert_eq!(shared.ring.nothing_to_take().is_none(), got.len() < put, "a check when nothing moves");
        got.extend(shared.drain());
        assert_eq!(got.len(), put);
        assert_eq!((shared.ring.nothing_to_take(), shared.ring.len()), (Some(State::Free), 0));
    });
}

fn check_for_something(ring: &Ring<Heap>) {
    if let Some(state) = ring.nothing_to_take() {
        assert_eq!(state, State::Free, "no loan is open here");
    }
}

fn check_how_many(ring: &Ring<Heap>) {
    assert!(ring.len() <= 3);
}

fn check_each(ring: &Ring<Heap>) {
    assert!(ring.unfinished().expect("not corrupted") <= 3);
}

fn check_for_room(ring: &Ring<Heap>) {
    ring.has_room(0, true).expect("not corrupted");
}

#[test]
fn reads_of_sized_rings_without_a_side() {
    for check in [check_for_something, check_how_many, check_each] {
        checks(Geometry::sized(8, 8, 1).expect("a small ring"), [8, 8, 8], check);
    }
}

#[test]
fn reads_of_slice_rings_without_a_side() {
    for check in [check_for_something, check_how_many, check_each, check_for_room] {
        checks(bytes(6, u64::MAX), [0, 32, 32], check);
    }
}

/// An endpoint commits while the queue is closed: no message comes after a getter's verdict that
/// the queue is drained. Full fences stand for `membarrier` and its compiler fence.
#[test]
fn closed_means_drained() {
    ::loom::model(|| {
        let shared = Shared::sized(2);
        let putter = shared.clone();
        let putter = thread::spawn(move || {
            let shared = putter;
            let run = Run::of(0);
            assert!(shared.ring.refill_to_put(&run, || true, || (), |most| shared.ring.make_room(most)));
            let entered = shared.ring.enter_run_to_put(&run, 8, || fence(SeqCst));
            let open = entered.is_some();
            if let Some(slot) = entered {
                shared.write(slot.cell(), 8, 1);
                shared.ring.commit_in_run(slot);
            }
            open
        });
        let closer = shared.clone();
        let closer = thread::spawn(move || closer.ring.memory.closed().store(1, SeqCst));
        let mut got = Vec::new();
        let mut verdict = false;
        for _ in 0..2 {
            got.extend(shared.try_get());
            if shared.ring.memory.closed().load(Acquire) != 0 {
                fence(SeqCst);
                let at_work = shared.ring.memory.put_side().busy.load(Acquire) != 0;
                verdict = !at_work && shared.ring.nothing_to_take() == Some(State::Free);
            }
            if verdict {
                break;
            }
        }
        let put = putter.join().expect("putter");
        closer.join().expect("closer");
        let rest = shared.drain();
        assert!(!verdict || rest.is_empty(), "{rest:?} came after the verdict");
        assert_eq!(got.len() + rest.len(), put as usize);
    });
}
