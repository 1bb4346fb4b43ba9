//! Interrupted between any two instructions of an operation: another process does something there,
//! and then the first one goes on.
//!
//! No process is killed before it has finished. For every place, each message is got exactly once,
//! and a message that was put before the queue was reported as closed and drained was also got
//! before that.

use crate::stepped::contents::{attach, expect_whole, holding, put};
use crate::stepped::tracee::{Trace, interrupt_at, trace};
use crate::support::Rng;
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::shared_words;
use shmq::{Consumer, GetError, Producer, Queue};
use std::cell::RefCell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    crate::cases![
        met_in_put,
        met_in_put_slice,
        met_in_put_of_a_producer,
        met_in_put_slice_of_a_producer,
        met_in_put_iter,
        met_in_loan_and_commit,
        met_in_a_dropped_loan,
        met_in_get,
        met_in_get_slice,
        met_in_get_of_a_consumer,
        met_in_get_slice_of_a_consumer,
        met_in_get_each,
        met_in_get_of_a_consumer_that_was_held_off,
        met_in_lease_and_release,
        met_in_lease_and_give_back,
        met_in_recover_by_a_process_that_leaves,
        met_in_get_slice_by_a_process_that_takes_it_for_dead,
    ]
}

const GIVES_BACK: &str = "lease, give back";

/// Places of a sample, for each pair.
const SAMPLED_PLACES: u64 = 40;

/// What both processes put and got.
#[derive(Clone, Copy)]
struct Log(&'static [AtomicU64]);

const PUT: u64 = 1 << 32;
const GOT: u64 = 2 << 32;

impl Log {
    fn note(self, what: u64, number: u64) {
        let place = self.0[0].fetch_add(1, SeqCst) as usize + 1;
        self.0[place].store(what | number, SeqCst);
    }

    fn clear(self) {
        self.0[0].store(0, SeqCst);
    }

    fn numbers(self, what: u64) -> Vec<u64> {
        let count = self.0[0].load(SeqCst) as usize;
        let words = self.0[1..=count].iter().map(|word| word.load(SeqCst));
        let mut numbers: Vec<u64> =
            words.filter(|word| word >> 32 == what >> 32).map(|word| word & u64::from(u32::MAX)).collect();
        numbers.sort();
        numbers
    }

    fn put(self, queue: &Queue<u64>, number: u64) {
        if put(queue, number).is_ok() {
            self.note(PUT, number);
        }
    }

    fn get(self, queue: &Queue<u64>) -> Result<(), GetError> {
        queue.try_get().map(|number| self.note(GOT, number))
    }

    /// Gets everything that there is. `true` if no message will ever come.
    fn drain(self, queue: &Queue<u64>) -> bool {
        loop {
            match self.get(queue) {
                Ok(()) => {}
                Err(error) => return matches!(error, GetError::Closed),
            }
        }
    }
}

/// What the other process does meanwhile. Returns `true` if it learned that the queue is closed and
/// drained.
type Meanwhile = fn(&Queue<u64>, Log) -> bool;

const MEANWHILE: [(&str, Meanwhile); 9] = [
    ("put", |queue, log| {
        log.put(queue, 20);
        false
    }),
    ("fill, and get", |queue, log| {
        (20..24).for_each(|number| log.put(queue, number));
        let _ = log.get(queue);
        false
    }),
    ("drain", |queue, log| {
        log.drain(queue);
        false
    }),
    ("lease, give back", |queue, _| {
        if let Ok(lease) = queue.try_lease() {
            lease.give_back();
        }
        false
    }),
    ("lease two, release the second first", |queue, log| {
        let leases: Vec<_> = (0..2).filter_map(|_| queue.try_lease().ok()).collect();
        for lease in leases.into_iter().rev() {
            log.note(GOT, *lease);
            lease.release();
        }
        false
    }),
    ("drop loans, recover", |queue, _| {
        (0..2).for_each(|_| drop(queue.try_loan()));
        let report = queue.recover();
        assert_eq!((report.dead_participants, report.redelivered, report.aborted), (0, 0, 0), "no process died");
        false
    }),
    ("fill with dropped loans, put, drain", |queue, log| {
        let loans: Vec<_> = std::iter::from_fn(|| queue.try_loan().ok()).collect();
        drop(loans);
        log.put(queue, 22);
        log.drain(queue);
        false
    }),
    ("close, drain", |queue, log| {
        queue.close();
        log.drain(queue)
    }),
    ("join", |queue, _| {
        let joined = queue.join_timeout(std::time::Duration::ZERO);
        assert!(joined.is_err(), "no task was marked as done");
        false
    }),
];

/// All places, or a sample of them; the many rounds of a copying instruction count as one.
fn places(trace: &Trace, sampled: u64, rng: &mut Rng) -> Vec<usize> {
    let all: Vec<usize> = (0..trace.len()).filter(|&steps| !trace.is_amid_a_copy(steps)).collect();
    match asks_for_ignored() {
        true => all,
        false => (0..sampled).map(|_| all[rng.below(all.len() as u64) as usize]).collect(),
    }
}

/// Interrupts `act` everywhere, by each of the other operations. `prepare` makes what it acts on,
/// in the child.
fn meet<X>(what: &str, prepare: impl Fn(&Queue<u64>, Log) -> X, act: impl Fn(&Queue<u64>, &X, Log), releases: bool) {
    let log = Log(shared_words(64));
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let prepared = prepare(queue, log);
        begin();
        act(queue, &prepared, log);
        // The child is killed here, so nothing is dropped.
        std::mem::forget(prepared);
    };
    let world = || {
        log.clear();
        [10, 11].iter().for_each(|&number| log.note(PUT, number));
        holding::<u64>(&[10, 11])
    };
    let traced = {
        let queue = world();
        trace(&|begin| body(&queue, begin), None)
    };
    let mut rng = Rng::new(what);
    let places = places(&traced, SAMPLED_PLACES, &mut rng);
    // Released leases are done, so that a join may have nothing to wait for.
    let others = MEANWHILE.iter().filter(|(other, _)| !(releases && *other == "join"));
    for (other, meanwhile) in others {
        for &steps in &places {
            let queue = world();
            let ended = std::cell::Cell::new(false);
            interrupt_at(&|begin| body(&queue, begin), &traced, steps, &|| ended.set(meanwhile(&queue, log)));
            let case = || format!("{what} interrupted after {steps} of {} instructions by {other}: {queue:?}", traced.len());
            let before = log.numbers(GOT);
            queue.recover();
            log.drain(&queue);
            // A call does not wait for leases of others, which may still come back.
            if ended.get() && what != GIVES_BACK {
                assert_eq!(log.numbers(GOT), before, "more came after all, {}", case());
            }
            assert_eq!(log.numbers(GOT), log.numbers(PUT), "{}", case());
            expect_whole(&queue);
        }
    }
}

fn met_in_put() {
    meet("put", |_, _| (), |queue, (), log| log.put(queue, 12), false);
}

fn met_in_put_slice() {
    let act = |queue: &Queue<u64>, (): &(), log: Log| {
        let moved = queue.try_put_slice(&[12, 13, 14]).unwrap_or(0);
        (12..).take(moved).for_each(|number| log.note(PUT, number));
    };
    meet("put_slice", |_, _| (), act, false);
}

/// A producer with its spsc path open.
fn producer(queue: &Queue<u64>, log: Log) -> Producer<u64> {
    let producer = queue.producer().unwrap();
    producer.try_put(&12).unwrap();
    log.note(PUT, 12);
    producer
}

fn met_in_put_of_a_producer() {
    let act = |_: &Queue<u64>, producer: &Producer<u64>, log: Log| {
        for number in 13..15 {
            if producer.try_put(&number).is_ok() {
                log.note(PUT, number);
            }
        }
    };
    meet("put of a Producer", producer, act, false);
}

fn met_in_put_slice_of_a_producer() {
    let act = |_: &Queue<u64>, producer: &Producer<u64>, log: Log| {
        let moved = producer.try_put_slice(&[13, 14]).unwrap_or(0);
        (13..).take(moved).for_each(|number| log.note(PUT, number));
    };
    meet("put_slice of a Producer", producer, act, false);
}

fn met_in_put_iter() {
    let act = |_: &Queue<u64>, producer: &RefCell<Producer<u64>>, log: Log| {
        let moved = producer.borrow_mut().try_put_iter([13, 14]).unwrap_or(0);
        (13..).take(moved).for_each(|number| log.note(PUT, number));
    };
    meet("put_iter", |queue, log| RefCell::new(producer(queue, log)), act, false);
}

fn met_in_loan_and_commit() {
    let act = |queue: &Queue<u64>, (): &(), log: Log| {
        if let Ok(mut loan) = queue.try_loan() {
            *loan = 12;
            loan.commit().unwrap();
            log.note(PUT, 12);
        }
    };
    meet("loan, commit", |_, _| (), act, false);
}

fn met_in_a_dropped_loan() {
    meet("loan, dropped", |_, _| (), |queue, (), _| drop(queue.try_loan()), false);
}

fn met_in_get() {
    meet("get", |_, _| (), |queue, (), log| drop(log.get(queue)), false);
}

fn got(log: Log, taken: &[u64], moved: usize) {
    taken.iter().take(moved).for_each(|&number| log.note(GOT, number));
}

fn met_in_get_slice() {
    let act = |queue: &Queue<u64>, (): &(), log: Log| {
        let mut taken = [0; 3];
        let moved = queue.try_get_slice(&mut taken).unwrap_or(0);
        got(log, &taken, moved);
    };
    meet("get_slice", |_, _| (), act, false);
}

/// A consumer with its spsc path open.
fn consumer(queue: &Queue<u64>, log: Log) -> Consumer<u64> {
    let consumer = queue.consumer().unwrap();
    log.note(GOT, consumer.try_get().unwrap());
    log.put(queue, 12);
    consumer
}

fn met_in_get_of_a_consumer() {
    let act = |_: &Queue<u64>, consumer: &Consumer<u64>, log: Log| {
        (0..2).filter_map(|_| consumer.try_get().ok()).for_each(|number| log.note(GOT, number));
    };
    meet("get of a Consumer", consumer, act, false);
}

fn met_in_get_slice_of_a_consumer() {
    let act = |_: &Queue<u64>, consumer: &Consumer<u64>, log: Log| {
        let mut taken = [0; 3];
        let moved = consumer.try_get_slice(&mut taken).unwrap_or(0);
        got(log, &taken, moved);
    };
    meet("get_slice of a Consumer", consumer, act, false);
}

fn met_in_get_each() {
    let act = |_: &Queue<u64>, consumer: &RefCell<Consumer<u64>>, log: Log| {
        let _ = consumer.borrow_mut().try_get_each(3, |number| log.note(GOT, number));
    };
    meet("get_each", |queue, log| RefCell::new(consumer(queue, log)), act, false);
}

/// Since the Consumer's last call, a put made room of dropped loans.
fn met_in_get_of_a_consumer_that_was_held_off() {
    let prepare = |queue: &Queue<u64>, log: Log| {
        let consumer = consumer(queue, log);
        let loans: Vec<_> = std::iter::from_fn(|| queue.try_loan().ok()).collect();
        drop(loans);
        log.put(queue, 13);
        consumer
    };
    let act = |_: &Queue<u64>, consumer: &Consumer<u64>, log: Log| {
        (0..2).filter_map(|_| consumer.try_get().ok()).for_each(|number| log.note(GOT, number));
    };
    meet("get of a Consumer that was held off", prepare, act, false);
}

fn met_in_lease_and_release() {
    let act = |queue: &Queue<u64>, (): &(), log: Log| {
        if let Ok(lease) = queue.try_lease() {
            log.note(GOT, *lease);
        }
    };
    meet("lease, release", |_, _| (), act, true);
}

fn met_in_lease_and_give_back() {
    let act = |queue: &Queue<u64>, (): &(), _: Log| {
        if let Ok(lease) = queue.try_lease() {
            lease.give_back();
        }
    };
    meet(GIVES_BACK, |_, _| (), act, false);
}

/// A process that leaves in good order while others scan for dead processes is not counted as dead.
fn met_in_recover_by_a_process_that_leaves() {
    let died = &shared_words(1)[0];
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        begin();
        died.store(u64::from(queue.recover().dead_participants), SeqCst);
    };
    let world = || {
        let queue = holding::<u64>(&[]);
        let other = Queue::<u64>::open(queue.name()).unwrap();
        (queue, std::cell::Cell::new(Some(other)))
    };
    let traced = {
        let (queue, other) = world();
        drop(other.take());
        trace(&|begin| body(&queue, begin), None)
    };
    let mut rng = Rng::new("recover, left");
    for steps in places(&traced, 4 * SAMPLED_PLACES, &mut rng) {
        let (queue, other) = world();
        interrupt_at(&|begin| body(&queue, begin), &traced, steps, &|| drop(other.take()));
        assert_eq!(died.load(SeqCst), 0, "left after {steps} instructions");
        queue.recover();
        expect_whole(&queue);
    }
}

/// A process that closed descriptors of the crate, and lost its liveness lock with them. Another
/// process takes it for dead and takes over its side in the middle of a call; the call still
/// reports what it took.
fn met_in_get_slice_by_a_process_that_takes_it_for_dead() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        for number in 3..64 {
            // SAFETY: only the queue uses these descriptors, and it must detect that they were
            // closed.
            unsafe { libc::close(number) };
        }
        begin();
        let mut taken = [0; 3];
        let result = queue.try_get_slice(&mut taken);
        let count = result.as_ref().copied().unwrap_or(0);
        assert_eq!(taken.iter().filter(|&&number| number != 0).count(), count, "{taken:?}, {result:?}");
    };
    let traced = {
        let queue = holding::<u64>(&[10, 11]);
        trace(&|begin| body(&queue, begin), None)
    };
    let mut rng = Rng::new("get_slice, robbed");
    for steps in places(&traced, 4 * SAMPLED_PLACES, &mut rng) {
        let queue = holding::<u64>(&[10, 11]);
        interrupt_at(&|begin| body(&queue, begin), &traced, steps, &|| drop(queue.try_get()));
    }
}
