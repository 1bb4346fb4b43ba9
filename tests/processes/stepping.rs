//! Killed between any two instructions of an operation: a child is single-stepped through it and killed on the way.
//!
//! Whatever the instruction, what survivors find is one of the states that the operation may leave, and the queue is whole: its
//! capacity, its order, its locks. Places are drawn by the seed; `SHMQ_TEST_EXHAUSTIVE=1` visits them all.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::stepper::{Stepped, step_through};
use crate::support::{PATIENCE, Rng, pattern, unique_name};
use shmq::{GetError, Message, PutError, Queue};
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_put,
        killed_in_put_slice,
        killed_in_put_of_a_full_queue,
        killed_in_put_behind_a_dropped_loan,
        killed_in_get,
        killed_in_get_slice,
        killed_in_get_of_a_returned_message,
        killed_in_a_loan,
        killed_in_a_dropped_loan,
        killed_in_a_lease,
        killed_in_a_lease_that_is_given_back,
        killed_in_a_lease_of_a_returned_message,
        killed_in_a_producers_life,
        killed_in_a_consumers_life,
        killed_in_close,
        killed_in_recover,
        killed_in_the_first_call_after_a_fork,
        killed_in_opening_and_leaving.leaves_temporaries(),
        killed_in_put_of_a_slice,
        killed_in_put_of_a_large_slice,
        killed_in_get_of_a_slice,
        killed_in_a_shortened_loan,
        killed_in_the_repair_of_a_put,
        killed_in_the_repair_of_a_get,
    ]
}

/// Instructions that a case may step through, unless all places are asked for: each costs a signal, or two switches between processes.
const BUDGET: u64 = 60_000;

fn is_exhaustive() -> bool {
    std::env::var_os("SHMQ_TEST_EXHAUSTIVE").is_some()
}

/// How many places within `all` instructions the budget allows.
fn places_of(all: u64) -> u64 {
    (2 * BUDGET / all.max(1)).clamp(6, 48)
}

/// Messages by number, whatever their type.
trait Numbered: Message {
    fn with_message<R>(number: u64, act: impl FnOnce(&Self) -> R) -> R;
    fn number(message: Self::Owned) -> u64;
    fn queue() -> Queue<Self>;
}

impl Numbered for u64 {
    fn with_message<R>(number: u64, act: impl FnOnce(&u64) -> R) -> R {
        act(&number)
    }

    fn number(message: u64) -> u64 {
        message
    }

    fn queue() -> Queue<u64> {
        Queue::builder().capacity(4).max_participants(6).create().unwrap()
    }
}

impl Numbered for [u8] {
    /// Lengths go round, so that fillers are needed at different places.
    fn with_message<R>(number: u64, act: impl FnOnce(&[u8]) -> R) -> R {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend(pattern(number, number as usize * 13 % 70));
        act(&bytes)
    }

    fn number(message: Vec<u8>) -> u64 {
        let number = u64::from_le_bytes(message[..8].try_into().unwrap());
        assert!(number == LARGE || message[8..] == pattern(number, number as usize * 13 % 70), "message {number} is torn");
        number
    }

    fn queue() -> Queue<[u8]> {
        Queue::<[u8]>::builder().capacity(4).capacity_bytes(24_000).max_participants(6).create().unwrap()
    }
}

/// A message beyond what is copied under a lock.
const LARGE: u64 = 1_000_000;

fn put<T: Numbered + ?Sized>(queue: &Queue<T>, number: u64) -> Result<(), PutError> {
    T::with_message(number, |message| queue.try_put(message))
}

/// What survivors may find after an operation on `[10, 11]` and other messages that were there.
struct Allowed<'a> {
    /// Before its commit point, on the way, after it.
    contents: &'a [&'a [u64]],
    /// Index in `contents` of what must be there when the operation returned.
    done: usize,
}

/// Takes all, the dead's messages too.
fn take_all<T: Numbered + ?Sized>(queue: &Queue<T>, look_first: bool) -> Vec<u64> {
    let mut all = Vec::new();
    if look_first {
        queue.recover();
    }
    for last in [false, true] {
        loop {
            match queue.try_get() {
                Ok(message) => all.push(T::number(message)),
                Err(GetError::Empty | GetError::Closed) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        if !last {
            queue.recover();
        }
    }
    all
}

/// The queue is whole: it holds what it should, in order, and nothing else is in it or in its way.
fn expect_whole<T: Numbered + ?Sized>(queue: &Queue<T>) {
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (0, true, false));
    for lap in 0..3 {
        (0..4).for_each(|i| put(queue, lap * 4 + i).unwrap_or_else(|error| panic!("message {i} of lap {lap}: {error:?}")));
        assert!(matches!(put(queue, 99), Err(PutError::Full)));
        assert_eq!((queue.len(), queue.is_full()), (4, true));
        for i in 0..4 {
            assert_eq!(queue.try_get().map(T::number).unwrap(), lap * 4 + i);
        }
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    }
}

/// Runs `act` in children that are killed at many places, each time on a queue that `prepare` filled, and looks at what is left.
fn kill_everywhere<T: Numbered + ?Sized>(
    what: &str,
    prepare: impl Fn(&Queue<T>),
    in_child_first: impl Fn(&Queue<T>),
    act: impl Fn(&Queue<T>),
    allowed: Allowed<'_>,
) {
    let mut rng = Rng::new(what);
    let mut queue = T::queue();
    let mut try_at = |steps: u64, place: usize| {
        if queue.is_closed() {
            queue = T::queue();
        }
        // Other offsets, other fillers.
        for number in 0..place as u64 % 5 {
            put(&queue, number).unwrap();
            assert_eq!(queue.try_get().map(T::number).unwrap(), number);
        }
        prepare(&queue);
        let stepped = step_through(|| in_child_first(&queue), || act(&queue), steps);
        let look_first = place % 2 == 0;
        let found = take_all(&queue, look_first);
        let mut sorted = found.clone();
        sorted.sort();
        let place = format!("{what}, killed after {steps} instructions (looked after the dead first: {look_first})");
        let matches = |contents: &[u64]| {
            let mut contents = contents.to_vec();
            let in_order = found == contents;
            contents.sort();
            // Taken before the look after the dead, newer messages may overtake.
            in_order || (!look_first && sorted == contents)
        };
        assert!(allowed.contents.iter().any(|&contents| matches(contents)), "{place}: found {found:?}, {queue:?}");
        if let Stepped::Done(_) = stepped {
            assert!(matches(allowed.contents[allowed.done]), "{place}, done: found {found:?}, {queue:?}");
        }
        if !queue.is_closed() {
            expect_whole(&queue);
        }
        stepped
    };
    let Stepped::Done(all) = try_at(u64::MAX, 0) else { panic!("{what} never ends") };
    let places: Vec<u64> =
        if is_exhaustive() { (0..all).collect() } else { (0..places_of(all)).map(|_| rng.below(all)).collect() };
    eprintln!("{what}: {all} instructions, {} places", places.len());
    for (number, steps) in places.into_iter().enumerate() {
        try_at(steps, number);
    }
}

fn two<T: Numbered + ?Sized>(queue: &Queue<T>) {
    put(queue, 10).unwrap();
    put(queue, 11).unwrap();
}

/// So that attaching is not part of what is stepped through.
fn attach<T: Numbered + ?Sized>(queue: &Queue<T>) {
    assert_eq!(queue.recover().dead_participants, 0);
}

fn killed_in_put() {
    let allowed = Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 };
    kill_everywhere::<u64>("put", two, attach, |queue| put(queue, 12).unwrap(), allowed);
}

fn killed_in_put_slice() {
    let allowed = Allowed { contents: &[&[10, 11], &[10, 11, 12], &[10, 11, 12, 13]], done: 2 };
    kill_everywhere::<u64>("put_slice", two, attach, |queue| assert_eq!(queue.try_put_slice(&[12, 13, 14]).unwrap(), 2), allowed);
}

fn killed_in_put_of_a_full_queue() {
    let full = |queue: &Queue<u64>| (10..14).for_each(|number| put(queue, number).unwrap());
    let act = |queue: &Queue<u64>| assert!(matches!(put(queue, 14), Err(PutError::Full)));
    kill_everywhere("put, full", full, attach, act, Allowed { contents: &[&[10, 11, 12, 13]], done: 0 });
}

fn killed_in_put_behind_a_dropped_loan() {
    let prepare = |queue: &Queue<u64>| (0..4).for_each(|_| drop(queue.try_loan().unwrap()));
    let allowed = Allowed { contents: &[&[], &[12]], done: 1 };
    kill_everywhere("put behind dropped loans", prepare, attach, |queue| put(queue, 12).unwrap(), allowed);
}

fn killed_in_get() {
    let allowed = Allowed { contents: &[&[10, 11], &[11]], done: 1 };
    kill_everywhere::<u64>("get", two, attach, |queue| assert_eq!(queue.try_get().unwrap(), 10), allowed);
}

fn killed_in_get_slice() {
    let allowed = Allowed { contents: &[&[10, 11], &[11], &[]], done: 2 };
    kill_everywhere::<u64>("get_slice", two, attach, |queue| assert_eq!(queue.try_get_slice(&mut [0; 3]).unwrap(), 2), allowed);
}

fn two_returned<T: Numbered + zerocopy::FromBytes + ?Sized>(queue: &Queue<T>) {
    two(queue);
    let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
    put(queue, 12).unwrap();
    second.give_back();
    first.give_back();
}

fn killed_in_get_of_a_returned_message() {
    let allowed = Allowed { contents: &[&[10, 11, 12], &[11, 12]], done: 1 };
    kill_everywhere::<u64>("get, returned", two_returned, attach, |queue| assert_eq!(queue.try_get().unwrap(), 10), allowed);
}

fn killed_in_a_loan() {
    let act = |queue: &Queue<u64>| {
        let mut loan = queue.try_loan().unwrap();
        *loan = 12;
        loan.commit().unwrap();
    };
    kill_everywhere("loan and commit", two, attach, act, Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 });
}

fn killed_in_a_dropped_loan() {
    let act = |queue: &Queue<u64>| drop(queue.try_loan().unwrap());
    kill_everywhere("loan and drop", two, attach, act, Allowed { contents: &[&[10, 11]], done: 0 });
}

fn killed_in_a_lease() {
    let allowed = Allowed { contents: &[&[10, 11], &[11]], done: 1 };
    kill_everywhere::<u64>("lease and release", two, attach, |queue| queue.try_lease().unwrap().release(), allowed);
}

fn killed_in_a_lease_that_is_given_back() {
    let allowed = Allowed { contents: &[&[10, 11]], done: 0 };
    kill_everywhere::<u64>("lease and give back", two, attach, |queue| queue.try_lease().unwrap().give_back(), allowed);
}

fn killed_in_a_lease_of_a_returned_message() {
    let act = |queue: &Queue<u64>| {
        let (first, second) = (queue.try_lease().unwrap(), queue.try_lease().unwrap());
        first.give_back();
        second.release();
    };
    let allowed = Allowed { contents: &[&[10, 11, 12], &[10, 12]], done: 1 };
    kill_everywhere("leases, returned", two_returned, attach, act, allowed);
}

fn killed_in_a_producers_life() {
    let act = |queue: &Queue<u64>| {
        let producer = queue.producer().unwrap();
        producer.try_put(&12).unwrap();
        producer.try_loan().unwrap().commit().unwrap();
    };
    // What the loan held is unspecified: 13 was put there a lap before by nobody, so any number may stand for it.
    let mut rng = Rng::new("a producer's life");
    let queue = u64::queue();
    let mut all = u64::MAX;
    let mut place = 0;
    while place == 0 || place < if is_exhaustive() { 4_000 } else { places_of(all) } {
        two(&queue);
        let steps = if place == 0 { u64::MAX } else { rng.below(all) };
        let stepped = step_through(|| attach(&queue), || act(&queue), steps);
        // Whoever puts or gets next finds the side free.
        let found = if place % 2 == 0 {
            put(&queue, 15).map(|()| take_all(&queue, place % 4 == 0))
        } else {
            Ok(take_all(&queue, place % 4 == 1))
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                assert!(matches!(error, PutError::Full), "{steps}: {error:?}");
                take_all(&queue, true)
            }
        };
        assert!(found.starts_with(&[10, 11]), "{steps}: {found:?}");
        if found.len() > 2 {
            assert!(found[2] == 12 || found[2..] == [15], "{steps}: {found:?}");
        }
        if let Stepped::Done(taken) = stepped {
            all = taken;
            assert!(found.len() >= 4 && found[2] == 12, "{steps}: {found:?}");
        }
        expect_whole(&queue);
        place += 1;
    }
}

fn killed_in_a_consumers_life() {
    let act = |queue: &Queue<u64>| {
        let consumer = queue.consumer().unwrap();
        assert_eq!(consumer.try_get().unwrap(), 10);
        consumer.try_lease().unwrap().give_back();
        consumer.try_lease().unwrap().release();
    };
    kill_everywhere("a consumer's life", two, attach, act, Allowed { contents: &[&[10, 11], &[11], &[]], done: 2 });
}

fn killed_in_close() {
    let allowed = Allowed { contents: &[&[10, 11]], done: 0 };
    kill_everywhere::<u64>("close", two, attach, |queue| queue.close(), allowed);
}

/// A child that claims and leases, and is killed.
fn leave_a_mess(queue: &Queue<u64>) {
    let ready = shared_word();
    let child = fork("one who leaves a mess", || {
        let _lease = queue.try_lease().unwrap();
        let _loan = queue.try_loan().unwrap();
        let _producer = queue.producer().unwrap();
        ready.store(1, SeqCst);
        std::thread::sleep(PATIENCE);
    });
    wait_for_count("the mess", ready, 1);
    child.kill();
}

fn killed_in_recover() {
    let prepare = |queue: &Queue<u64>| {
        two(queue);
        leave_a_mess(queue);
    };
    // Attaching is part of it: whoever takes the entry of the dead repairs first.
    let recover = |queue: &Queue<u64>| assert!(queue.recover().dead_participants <= 1);
    kill_everywhere("recover", prepare, |_| {}, recover, Allowed { contents: &[&[10, 11]], done: 0 });
}

fn killed_in_the_first_call_after_a_fork() {
    let allowed = Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 };
    kill_everywhere::<u64>("first call", two, |_| {}, |queue| put(queue, 12).unwrap(), allowed);
}

fn killed_in_opening_and_leaving() {
    let act = |queue: &Queue<u64>| {
        let again: Queue<u64> = Queue::open(queue.name()).unwrap();
        again.try_put(&12).unwrap();
        drop(again);
    };
    let allowed = Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 };
    kill_everywhere("open and leave", two, attach, act, allowed);
    // And when it is the last one: whatever is left of it is in nobody's way.
    let name = unique_name("alone");
    let alone = || {
        let queue: Queue<u64> = Queue::open_or_create(&name, 4).unwrap();
        put(&queue, 1).unwrap();
        drop(queue);
    };
    let mut rng = Rng::new("alone");
    let Stepped::Done(all) = step_through(|| {}, alone, u64::MAX) else { panic!("never ends") };
    for _ in 0..if is_exhaustive() { all } else { places_of(all) } {
        step_through(|| {}, alone, rng.below(all));
        let queue: Queue<u64> = Queue::open_or_create(&name, 4).unwrap();
        take_all(&queue, true);
        expect_whole(&queue);
    }
}

fn killed_in_put_of_a_slice() {
    let allowed = Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 };
    kill_everywhere::<[u8]>("put, slice", two, attach, |queue| put(queue, 12).unwrap(), allowed);
}

fn killed_in_put_of_a_large_slice() {
    let mut large = LARGE.to_le_bytes().to_vec();
    large.resize(10_000, 7);
    let act = |queue: &Queue<[u8]>| queue.try_put(&large).unwrap();
    kill_everywhere("put, large", two, attach, act, Allowed { contents: &[&[10, 11], &[10, 11, LARGE]], done: 1 });
}

fn killed_in_get_of_a_slice() {
    let allowed = Allowed { contents: &[&[10, 11], &[11]], done: 1 };
    kill_everywhere::<[u8]>("get, slice", two, attach, |queue| assert_eq!(<[u8]>::number(queue.try_get().unwrap()), 10), allowed);
}

fn killed_in_a_shortened_loan() {
    let act = |queue: &Queue<[u8]>| {
        let mut loan = queue.try_loan_len(500).unwrap();
        let length = <[u8]>::with_message(12, |message| {
            loan[..message.len()].copy_from_slice(message);
            message.len()
        });
        loan.commit_len(length).unwrap();
    };
    kill_everywhere("loan and commit_len", two, attach, act, Allowed { contents: &[&[10, 11], &[10, 11, 12]], done: 1 });
}

/// Kills one child in `first` at random, then another in `second`, which repairs after the first, and looks at what is left.
fn kill_twice(what: &str, first: impl Fn(&Queue<u64>), second: impl Fn(&Queue<u64>), fits: impl Fn(&[u64]) -> bool) {
    let mut rng = Rng::new(what);
    let queue = u64::queue();
    let lengths = |act: &dyn Fn(&Queue<u64>)| {
        two(&queue);
        let Stepped::Done(all) = step_through(|| attach(&queue), || act(&queue), u64::MAX) else { panic!("never ends") };
        take_all(&queue, true);
        all
    };
    let (first_all, second_all) = (lengths(&first), lengths(&second));
    let rounds = if is_exhaustive() { 3_000 } else { places_of(first_all + 3 * second_all) };
    for round in 0..rounds {
        two(&queue);
        // Repairing takes longer than not having to.
        let (first_steps, second_steps) = (rng.below(first_all), rng.below(2 * second_all));
        step_through(|| attach(&queue), || first(&queue), first_steps);
        step_through(|| {}, || second(&queue), second_steps);
        let found = take_all(&queue, round % 2 == 0);
        let in_order = round % 2 == 1 || found.is_sorted();
        assert!(in_order && fits(&found), "{what}, killed after {first_steps} and {second_steps}: {found:?}, {queue:?}");
        expect_whole(&queue);
    }
}

fn killed_in_the_repair_of_a_put() {
    let put_or_full = |queue: &Queue<u64>, number| match put(queue, number) {
        Ok(()) | Err(PutError::Full) => {}
        Err(error) => panic!("{error:?}"),
    };
    let fits = |found: &[u64]| {
        let mut sorted = found.to_vec();
        sorted.sort();
        sorted.starts_with(&[10, 11]) && matches!(sorted[2..], [] | [12] | [13] | [12, 13])
    };
    kill_twice("repair of a put", |queue| put_or_full(queue, 12), |queue| put_or_full(queue, 13), fits);
    let act = |queue: &Queue<u64>| {
        let mut loan = queue.try_loan().unwrap();
        *loan = 12;
        loan.commit().unwrap();
    };
    kill_twice("repair of a loan", act, |queue| put_or_full(queue, 13), fits);
}

fn killed_in_the_repair_of_a_get() {
    let get = |queue: &Queue<u64>| match queue.try_get() {
        Ok(10 | 11) | Err(GetError::Empty) => {}
        other => panic!("{other:?}"),
    };
    let fits = |found: &[u64]| matches!(found, [] | [10] | [11] | [10, 11] | [11, 10]);
    kill_twice("repair of a get", get, get, fits);
    let lease = |queue: &Queue<u64>| {
        if let Ok(lease) = queue.try_lease() {
            lease.give_back();
        }
    };
    kill_twice("repair of a lease", lease, get, fits);
    kill_twice("repair of two leases", lease, lease, |found| matches!(found, [10, 11] | [11, 10]));
}
