//! What survivors find in a queue after a death, and the check that the queue is intact.

use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::{PATIENCE, pattern, unique_name};
use shmq::{GetError, JoinError, Message, PutError, Queue, WaitStrategy};

/// Messages by number, for each type.
pub trait Numbered: Message {
    fn with_message<R>(number: u64, act: impl FnOnce(&Self) -> R) -> R;
    fn number(message: Self::Owned) -> u64;
    /// An empty queue for four messages.
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
        let builder = Queue::builder().name(unique_name("sized")).capacity(CAPACITY as usize).max_participants(6);
        // A waiter that sleeps at once takes the same instructions each time.
        builder.wait_strategy(WaitStrategy::Block).create().unwrap()
    }
}

impl Numbered for [u8] {
    /// The lengths cycle, so that fillers are needed at different places.
    fn with_message<R>(number: u64, act: impl FnOnce(&[u8]) -> R) -> R {
        act(&[&number.to_le_bytes()[..], &pattern(number, number as usize * 13 % 70)].concat())
    }

    fn number(message: Vec<u8>) -> u64 {
        let number = u64::from_le_bytes(message[..8].try_into().unwrap());
        let length = if number == LARGE { LARGE_BYTES } else { number as usize * 13 % 70 };
        assert_eq!(message[8..], pattern(number, length), "message {number} is torn");
        number
    }

    fn queue() -> Queue<[u8]> {
        slices(24_000)
    }
}

/// Messages that a queue has room for.
pub const CAPACITY: u64 = 4;
/// A message larger than what is copied under a lock, and its bytes after the number.
pub const LARGE: u64 = 1_000_000;
pub const LARGE_BYTES: usize = 10_000;
/// A message that a survivor puts before it takes any.
const MARK: u64 = 77;

/// A queue for four slices in a ring of that size.
pub fn slices(ring_bytes: usize) -> Queue<[u8]> {
    let builder = Queue::<[u8]>::builder().name(unique_name("slices")).capacity(CAPACITY as usize).capacity_bytes(ring_bytes);
    builder.max_participants(6).wait_strategy(WaitStrategy::Block).create().unwrap()
}

pub fn put<T: Numbered + ?Sized>(queue: &Queue<T>, number: u64) -> Result<(), PutError> {
    T::with_message(number, |message| queue.try_put(message))
}

/// A queue that holds messages of these numbers.
pub fn holding<T: Numbered + ?Sized>(numbers: &[u64]) -> Queue<T> {
    let queue = T::queue();
    numbers.iter().for_each(|&number| put(&queue, number).unwrap());
    queue
}

/// Attaches, so that this is not among the instructions that are stepped through.
pub fn attach<T: Numbered + ?Sized>(queue: &Queue<T>) {
    assert_eq!(queue.recover().dead_participants, 0);
}

/// Takes everything that can be taken now.
fn drain<T: Numbered + ?Sized>(queue: &Queue<T>, found: &mut Vec<u64>) {
    loop {
        match queue.try_get() {
            Ok(message) => found.push(T::number(message)),
            Err(GetError::Empty | GetError::Closed) => return,
            Err(error) => panic!("{error:?}, {queue:?}"),
        }
    }
}

/// What a survivor does first with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Recover,
    Get,
    Put,
}

impl Order {
    fn of(turn: u64) -> Order {
        [Order::Recover, Order::Get, Order::Put][turn as usize % 3]
    }
}

/// Takes everything, including what the dead held, and checks that it is one of `stages`, or one of
/// `woken` if the dead process had been woken. Then checks that the queue is intact.
pub fn check<T: Numbered + ?Sized>(queue: &Queue<T>, killed: Killed, turn: u64, stages: &[&[u64]], woken: &[&[u64]]) -> Finding {
    let order = Order::of(turn);
    let recoveries = queue.stats().recoveries;
    let mut found = Vec::new();
    let mut marked = false;
    match order {
        Order::Recover => {}
        Order::Get => drain(queue, &mut found),
        Order::Put => match put(queue, MARK) {
            Ok(()) => marked = true,
            Err(PutError::Full | PutError::Closed) => {}
            Err(error) => panic!("{error:?}, {queue:?}"),
        },
    }
    let report = queue.recover();
    assert_eq!(report.sides_repaired, 2, "{report:?}, {queue:?}");
    let again = queue.recover();
    assert_eq!((again.dead_participants, again.redelivered, again.aborted), (0, 0, 0), "recovered already: {again:?}, {queue:?}");
    drain(queue, &mut found);
    if marked {
        assert_eq!(found.pop(), Some(MARK), "the newest comes last: {queue:?}");
    }
    let allowed = if killed.woken { woken } else { stages };
    let sorted = |numbers: &[u64]| {
        let mut numbers = numbers.to_vec();
        numbers.sort();
        numbers
    };
    // If messages are taken before the scan for dead processes, newer ones may overtake.
    let fits = |contents: &[u64]| found == contents || (order == Order::Get && sorted(&found) == sorted(contents));
    let stage = allowed.iter().position(|contents| fits(contents));
    let Some(stage) = stage else { panic!("checked {order:?} first: found {found:?} of {allowed:?}, {killed:?}, {queue:?}") };
    assert!(!killed.done || stage == allowed.len() - 1, "done, and found {found:?}, {queue:?}");
    expect_whole(queue);
    let before = if killed.woken { stages.len() } else { 0 };
    Finding { stage: Some(before + stage), repaired: queue.stats().recoveries != recoveries }
}

/// Checks that the queue has all its room and keeps its order, and that no call waits for anything
/// that is not there.
pub fn expect_whole<T: Numbered + ?Sized>(queue: &Queue<T>) {
    assert_eq!((queue.len(), queue.is_empty()), (0, true), "{queue:?}");
    if !queue.is_closed() {
        assert!(!queue.is_full(), "{queue:?}");
        for lap in 0..3 {
            let numbers = (0..CAPACITY).map(|i| lap * CAPACITY + i);
            numbers
                .clone()
                .for_each(|number| put(queue, number).unwrap_or_else(|error| panic!("{number}: {error:?}, {queue:?}")));
            assert!(matches!(put(queue, 99), Err(PutError::Full)), "{queue:?}");
            assert_eq!((queue.len(), queue.is_full()), (CAPACITY as usize, true));
            numbers.for_each(|number| assert_eq!(queue.try_get().map(T::number).unwrap(), number));
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        }
    }
    let refused = loop {
        if let Err(error) = queue.task_done() {
            break error;
        }
    };
    assert!(matches!(refused, JoinError::TooManyDone), "{refused:?}");
    queue.join_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}, {queue:?}"));
}

/// Kills `act` everywhere, each time on a queue that `world` makes. `stages`: what it holds before
/// the operation, on the way, after it.
pub fn kill_in<T: Numbered + ?Sized>(
    what: &'static str,
    world: impl Fn() -> Queue<T>,
    act: impl Fn(&Queue<T>),
    stages: &[&[u64]],
) {
    kill_in_body(
        what,
        world,
        |queue, begin| {
            attach(queue);
            begin();
            act(queue);
        },
        stages,
    );
}

/// The same for a child that marks itself where its operation begins.
pub fn kill_in_body<T: Numbered + ?Sized>(
    what: &'static str,
    world: impl Fn() -> Queue<T>,
    body: impl Fn(&Queue<T>, &dyn Fn()),
    stages: &[&[u64]],
) {
    let operation = Operation {
        what,
        world: &world,
        body: &body,
        wake: None,
        recovery: Some(&recover),
        check: &|queue, killed, turn| check(queue, killed, turn, stages, &[]),
    };
    operation.sweep();
}

/// A child that recovers from a death. Attaching is a part of it, since the process that takes the
/// entry of a dead one repairs first.
pub fn recover<T: Numbered + ?Sized>(queue: &Queue<T>, begin: &dyn Fn()) {
    begin();
    queue.recover();
}
