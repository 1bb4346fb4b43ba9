//! A putter that makes room under a live Consumer, under weak memory and with kills: each of the
//! two is killed before each word that it requests from the ring. Full fences stand for
//! `membarrier` and its compiler fence.
//!
//! The ring is full: two aborted records at head, a message, and, if there is a fifth cell, an
//! aborted one before tail. So the putter advances head, moves tail back, and puts into the cells
//! that a Consumer with a stale head would read.

use super::heap::Heap;
use super::mortal::{ALIVE, Mortal, survives};
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, fence};
use crate::ring::SIZED_RING;
use crate::ring::{Front, Memory, Owner, Record, Ring, Run, Slot};
use crate::shm::geometry::Geometry;
use ::loom::cell::UnsafeCell;
use ::loom::sync::{Arc, Mutex};
use ::loom::thread;

const PUTTER: usize = 0;
const CONSUMER: usize = 1;
const SURVIVOR: usize = 2;

/// State shared by all workers: the heap, a payload for each cell, and which workers are dead.
struct World {
    heap: Arc<Heap>,
    geometry: Geometry,
    payloads: Vec<UnsafeCell<u64>>,
    dead: [AtomicU32; 3],
    /// Messages that the Consumer read, noted before it finishes the record.
    got: Mutex<Vec<u64>>,
    /// Messages that the putter knows to be put.
    put: AtomicU32,
}

/// One worker in it.
struct Worker {
    world: Arc<World>,
    ring: Ring<Mortal>,
    run: Run,
    number: usize,
}

impl World {
    /// All records but number `message_at` are aborted.
    fn full(capacity: u64, message_at: u64) -> Arc<World> {
        let geometry = Geometry::sized(8, 8, capacity).expect("a small ring");
        let ring = Ring { memory: Mortal::over(Arc::new(Heap::new(&geometry)), ALIVE), geometry };
        ring.initialise();
        ring.memory.put_side().loans.store(1, Relaxed);
        let payloads: Vec<UnsafeCell<u64>> = (0..geometry.cells).map(|_| UnsafeCell::new(0)).collect();
        for number in 0..capacity {
            let slot = ring.reserve_at_once::<SIZED_RING>(8).expect("room");
            let is_message = number == message_at;
            // SAFETY: this runs before the first thread is spawned, so no other reference to the
            // cell exists.
            payloads[slot.cell.index() as usize].with_mut(|payload| unsafe { *payload = 1 });
            if is_message {
                ring.commit(slot);
            } else {
                let (cell, header) = ring.claim(slot, Owner::new(7, 1));
                assert!(ring.abort_claimed(cell, header));
            }
        }
        let get = ring.memory.get_side();
        get.owner.store(CONSUMER as u32 + 1, Relaxed);
        let heap = ring.memory.heap().clone();
        let dead = std::array::from_fn(|_| AtomicU32::new(0));
        Arc::new(World { heap, geometry, payloads, dead, got: Mutex::new(Vec::new()), put: AtomicU32::new(0) })
    }
}

impl Worker {
    fn of(world: &Arc<World>, number: usize, accesses: u32) -> Worker {
        let memory = Mortal::over(world.heap.clone(), accesses);
        Worker { world: world.clone(), ring: Ring { memory, geometry: world.geometry }, run: Run::of(number as u32 + 1), number }
    }

    /// Runs it until it is done, or dies.
    fn run(world: &Arc<World>, number: usize, accesses: u32, act: impl FnOnce(&Worker)) {
        let worker = Worker::of(world, number, accesses);
        if !survives(|| act(&worker)) {
            world.dead[number].store(1, Release);
        }
    }

    /// Returns `None` if a live worker holds it; otherwise whether it was taken over.
    fn try_lock_get(&self) -> Option<bool> {
        let lock = &self.ring.memory.get_side().lock;
        let me = self.number as u32 + 1;
        match lock.compare_exchange(0, me, Acquire, Relaxed) {
            Ok(_) => Some(false),
            Err(holder) if self.world.dead[holder as usize - 1].load(Acquire) != 0 => {
                lock.compare_exchange(holder, me, Acquire, Relaxed).is_ok().then_some(true)
            }
            Err(_) => None,
        }
    }

    fn unlock_get(&self) {
        assert_eq!(self.ring.memory.get_side().lock.swap(0, Release), self.number as u32 + 1);
    }

    /// As the queue makes room: see `make_room_of_skipped`.
    fn reserve(&self) -> Option<Slot> {
        if let Ok(slot) = self.ring.reserve(8) {
            return Some(slot);
        }
        let end = self.ring.untaken_end(|_, _| false).expect("not corrupted");
        let from_the_dead = self.try_lock_get()?;
        let owner = self.ring.memory.get_side().owner.load(Acquire);
        let lives = owner != 0 && self.world.dead[owner as usize - 1].load(Acquire) == 0;
        let may_skip = if lives {
            self.ring.hold_off(|| {
                fence(SeqCst);
                true
            })
        } else {
            if owner != 0 || from_the_dead {
                self.repair_get_side();
            }
            true
        };
        if may_skip {
            self.ring.retreat(end).expect("not corrupted");
            self.ring.front().expect("not corrupted");
        }
        self.unlock_get();
        self.ring.reserve(8).ok()
    }

    fn repair_get_side(&self) {
        self.ring.repair_get_side().expect("not corrupted");
        let side = self.ring.memory.get_side();
        side.busy.store(0, Release);
        side.owner.store(0, Release);
    }

    fn try_put(&self, message: u64) -> bool {
        let Some(slot) = self.reserve() else { return false };
        // SAFETY: the ring gave the record to this worker alone: loom checks exactly that.
        self.world.payloads[slot.cell.index() as usize].with_mut(|payload| unsafe { *payload = message });
        self.ring.commit(slot);
        self.world.put.store(message as u32, Release);
        true
    }

    fn note(&self, record: Record) {
        // SAFETY: the ring gave the record to this worker alone, and its writer published it before
        // with the store of READY: loom checks exactly that.
        let message = self.world.payloads[record.cell.index() as usize].with(|payload| unsafe { *payload });
        self.world.got.lock().expect("not poisoned").push(message);
    }

    fn take(&self, record: Record) {
        self.note(record);
        self.ring.take(record);
    }

    /// As the Consumer gets: along its run, which it refills if needed, then its slow call. Returns
    /// `None` if there is nothing, or if a putter is making room.
    fn consume(&self) -> Option<()> {
        let entered = self.ring.enter_run_to_get(&self.run, 8, || fence(SeqCst)).or_else(|| {
            self.ring.refill_to_get(&self.run)?;
            self.ring.enter_run_to_get(&self.run, 8, || fence(SeqCst))
        });
        if let Some(record) = entered {
            let head = self.ring.memory.get_side().head.load(Relaxed);
            let cell = self.ring.geometry.cell(head).expect("a position");
            assert_eq!(record.cell, cell, "the Consumer works with an old head");
            self.note(record);
            self.ring.take_in_run(record);
            return Some(());
        }
        self.become_busy();
        if self.ring.is_held_off() {
            self.ring.memory.get_side().busy.store(0, Release);
            self.try_lock_get()?;
            self.ring.let_by();
            self.ring.memory.get_side().busy.store(1, Relaxed);
            self.unlock_get();
        }
        let found = match self.ring.front().expect("not corrupted") {
            Front::Ready(record) => Some(record),
            _ => None,
        };
        found.into_iter().for_each(|record| self.take(record));
        self.exit(found.is_some())
    }

    fn become_busy(&self) {
        self.ring.memory.get_side().busy.store(1, Relaxed);
        fence(SeqCst);
    }

    fn exit(&self, took: bool) -> Option<()> {
        self.ring.memory.get_side().busy.store(0, Release);
        took.then_some(())
    }

    /// Takes over both sides and drains.
    fn survive(&self) {
        self.ring.repair_put_side(|_| true, |_, _| ()).expect("not corrupted");
        assert!(self.try_lock_get().is_some(), "no other worker lives");
        self.repair_get_side();
        while let Front::Ready(record) = self.ring.front().expect("not corrupted") {
            self.take(record);
        }
        self.unlock_get();
    }
}

/// One putter of two messages and one Consumer; each dies after the given number of accesses.
/// Returns whether either died.
fn meet(capacity: u64, message_at: u64, putter_dies: u32, consumer_dies: u32) -> (bool, bool) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let died = std::sync::Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let reported = died.clone();
    let mut model = ::loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.map_or(2, |bound| bound.min(2)));
    model.check(move || {
        let world = World::full(capacity, message_at);
        let of_putter = world.clone();
        let putter = thread::spawn(move || {
            Worker::run(&of_putter, PUTTER, putter_dies, |putter| {
                let _ = putter.try_put(2) && putter.try_put(3);
            });
        });
        Worker::run(&world, CONSUMER, consumer_dies, |consumer| {
            (0..2).for_each(|_| {
                let _ = consumer.consume();
            })
        });
        putter.join().expect("putter");
        let dead = [PUTTER, CONSUMER].map(|who| world.dead[who].load(Acquire) != 0);
        for (reported, dead) in reported.iter().zip(dead) {
            reported.fetch_or(dead, Ordering::Relaxed);
        }
        // The Consumer may have died before it finished the last message that it noted.
        let noted = world.got.lock().expect("not poisoned").clone();
        world.dead[CONSUMER].store(1, Release);
        Worker::of(&world, SURVIVOR, ALIVE).survive();
        let mut got = world.got.lock().expect("not poisoned").clone();
        if dead[CONSUMER] && !noted.is_empty() && got.get(noted.len()) == noted.last() {
            got.remove(noted.len());
        }
        let put = world.put.load(Acquire).max(1) as u64;
        assert!(got.iter().copied().eq(1..=got.len() as u64), "in order, each once: {got:?}");
        let count = got.len() as u64;
        assert!(count == put || (dead[PUTTER] && count == put + 1), "{got:?}, and {put} were put");
        let ring = Worker::of(&world, SURVIVOR, ALIVE).ring;
        assert_eq!((ring.len(), ring.has_room(8, true)), (0, Ok(true)));
    });
    let died = [PUTTER, CONSUMER].map(|who| died[who].load(Ordering::Relaxed));
    (died[PUTTER], died[CONSUMER])
}

#[test]
fn a_consumer_is_held_off() {
    for capacity in [3, 4] {
        meet(capacity, 2, ALIVE, ALIVE);
    }
}

/// The message is at head, so that the Consumer takes it along its run.
#[test]
fn a_consumer_on_its_run_is_held_off() {
    for capacity in [2, 3] {
        meet(capacity, 0, ALIVE, ALIVE);
    }
}

#[test]
fn a_putter_dies_while_it_holds_a_consumer_off() {
    for capacity in [3, 4] {
        let dies = (0..).take_while(|&accesses| meet(capacity, 2, accesses, ALIVE).0).count();
        assert!(dies > 10, "killed in {dies} places only");
    }
}

#[test]
fn a_consumer_dies_while_it_is_held_off() {
    let dies = (0..).take_while(|&accesses| meet(3, 2, ALIVE, accesses).1).count();
    assert!(dies > 10, "killed in {dies} places only");
}
