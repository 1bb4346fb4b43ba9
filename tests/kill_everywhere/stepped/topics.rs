//! Killed in a verb of a topic, as a publisher and as a subscriber, and what its survivors find: a
//! gating subscriber that misses nothing, a lossy one whose counts are exact, and publishers that
//! no dead process stops.

#[cfg(feature = "async")]
mod asynchronous;
mod publishing;
mod subscribing;
mod waiting;

use crate::stepped::contents::{LARGE, LARGE_BYTES, Numbered};
use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::{pattern, unique_name};
use shmq::{GetError, PutError, Subscriber, SubscriberId, SubscriberKind, Topic, WaitStrategy};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let cases = [publishing::cases(), subscribing::cases(), waiting::cases()].concat();
    #[cfg(feature = "async")]
    let cases = [cases, asynchronous::cases()].concat();
    cases
}

/// Messages that a topic has room for.
const CAPACITY: u64 = 4;
/// Lines for subscribers.
const LINES: usize = 4;
/// A message that a survivor publishes before it reads any.
const MARK: u64 = 77;
/// A dead process holds a publisher up for a slice of 0.1 s, and a loaded machine for longer.
const PROMPTLY: Duration = Duration::from_secs(10);
const A_MOMENT: Duration = Duration::from_millis(400);

/// Messages by number, and topics of them.
pub trait Told: Numbered + shmq::Plain {
    /// Has a topic room for exactly so many messages? Otherwise for as many bytes.
    const IS_SIZED: bool;
    fn topic() -> Topic<Self>;
}

impl Told for u64 {
    const IS_SIZED: bool = true;

    fn topic() -> Topic<u64> {
        let builder = Topic::builder().name(unique_name("topic")).capacity(CAPACITY as usize).max_participants(6);
        builder.max_subscribers(LINES).wait_strategy(WaitStrategy::Block).create().unwrap()
    }
}

impl Told for [u8] {
    const IS_SIZED: bool = false;

    fn topic() -> Topic<[u8]> {
        slices(1024)
    }
}

/// A topic of slices in a ring of that size.
fn slices(ring_bytes: usize) -> Topic<[u8]> {
    let builder = Topic::<[u8]>::builder().name(unique_name("topic")).capacity_bytes(ring_bytes).max_participants(6);
    builder.max_subscribers(LINES).wait_strategy(WaitStrategy::Block).create().unwrap()
}

/// A topic, and the subscribers that survive.
pub struct World<T: Told + ?Sized> {
    topic: Topic<T>,
    every: RefCell<Subscriber<T>>,
    live: RefCell<Subscriber<T>>,
    /// Another gating one, for cases that need it.
    extra: RefCell<Option<Subscriber<T>>>,
    /// Messages that were published before the survivors joined.
    before: Cell<u64>,
}

fn publish<T: Told + ?Sized>(topic: &Topic<T>, number: u64) -> Result<(), PutError> {
    T::with_message(number, |message| topic.try_publish(message))
}

/// A world whose topic has published `before` messages, which all have read, and then these.
fn world<T: Told + ?Sized>(before: u64, numbers: &[u64]) -> World<T> {
    world_of(T::topic(), before, numbers)
}

fn world_of<T: Told + ?Sized>(topic: Topic<T>, before: u64, numbers: &[u64]) -> World<T> {
    let every = topic.subscribe().unwrap();
    let live = topic.subscribe_lossy().unwrap();
    for number in 0..before {
        publish(&topic, number).unwrap();
        assert_eq!((every.try_next().map(T::number).unwrap(), live.try_next().map(T::number).unwrap()), (number, number));
    }
    numbers.iter().for_each(|&number| publish(&topic, number).unwrap());
    World { topic, every: RefCell::new(every), live: RefCell::new(live), extra: RefCell::new(None), before: Cell::new(0) }
}

fn holding<T: Told + ?Sized>(numbers: &[u64]) -> World<T> {
    world(0, numbers)
}

/// Attaches, so that this is not among the instructions that are stepped through.
fn attach<T: Told + ?Sized>(world: &World<T>) {
    assert_eq!(world.topic.recover().dead_participants, 0);
}

/// Everything that there is for a subscriber now.
fn drain<T: Told + ?Sized>(subscriber: &Subscriber<T>, found: &mut Vec<u64>) {
    loop {
        match subscriber.try_next() {
            Ok(message) => found.push(T::number(message)),
            Err(GetError::Lagged { missed }) => assert!(missed > 0 && !subscriber.is_gating()),
            Err(GetError::Empty | GetError::Closed) => return,
            Err(error) => panic!("{error:?}, {subscriber:?}"),
        }
    }
}

/// What a survivor does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Recover,
    Read,
    Publish,
    Endpoint,
}

impl Order {
    fn of(turn: u64) -> Order {
        [Order::Recover, Order::Read, Order::Publish, Order::Endpoint][turn as usize % 4]
    }
}

/// A publish that a dead process must not stop for long. Where the survivor itself keeps the gate
/// shut, which no tail may say yet, it reads. `false`: the topic is closed.
fn publish_promptly<T: Told + ?Sized>(
    publish: &dyn Fn(&T, Duration) -> Result<(), PutError>,
    every: &Subscriber<T>,
    found: &mut Vec<u64>,
    killed: Killed,
) -> bool {
    let begun = Instant::now();
    let mut patience = Duration::ZERO;
    loop {
        let published = T::with_message(MARK, |message| publish(message, patience));
        patience = A_MOMENT;
        assert!(
            begun.elapsed() < PROMPTLY,
            "held up for {:?} by the dead, {killed:?}, {published:?}, {every:?}",
            begun.elapsed()
        );
        match published {
            Ok(()) => return true,
            Err(PutError::Closed) => return false,
            Err(PutError::Gated { subscriber, .. }) if subscriber == every.id() => drain(every, found),
            Err(error) if error.is_timeout() => {}
            Err(error) => panic!("{error:?}, {killed:?}, {every:?}"),
        }
    }
}

/// The gating survivor reads everything, which must be one of `stages`, or one of `woken` if the
/// dead process had been woken. Then the topic must be whole.
fn check<T: Told + ?Sized>(world: &World<T>, killed: Killed, turn: u64, stages: &[&[u64]], woken: &[&[u64]]) -> Finding {
    let order = Order::of(turn);
    let topic = &world.topic;
    let (mut every, mut live) = (world.every.borrow_mut(), world.live.borrow_mut());
    let mut found = Vec::new();
    let mut marked = false;
    let allowed = if killed.woken { woken } else { stages };
    match order {
        Order::Recover => {}
        Order::Read => drain(&every, &mut found),
        Order::Publish => {
            let publish = |message: &T, time| topic.publish_timeout(message, time);
            marked = publish_promptly(&publish, &every, &mut found, killed);
        }
        Order::Endpoint => match topic.publisher() {
            Ok(publisher) => {
                let publish = |message: &T, time| publisher.publish_timeout(message, time);
                marked = publish_promptly(&publish, &every, &mut found, killed);
            }
            Err(PutError::Closed) => {}
            Err(error) => panic!("{error:?}, {killed:?}, {topic:?}"),
        },
    }
    topic.recover();
    let again = topic.recover();
    assert_eq!((again.dead_participants, again.aborted), (0, 0), "recovered already: {again:?}, {topic:?}");
    drain(&every, &mut found);
    if marked {
        assert_eq!(found.pop(), Some(MARK), "the newest comes last: {topic:?}");
    }
    let stage = allowed.iter().position(|contents| found == *contents);
    let Some(stage) = stage else { panic!("checked {order:?} first: found {found:?} of {allowed:?}, {killed:?}, {topic:?}") };
    assert!(!killed.done || stage == allowed.len() - 1, "done, and found {found:?}, {topic:?}");
    expect_whole(world, &mut every, &mut live);
    let before = if killed.woken { stages.len() } else { 0 };
    Finding { stage: Some(before + stage), repaired: !killed.done }
}

/// After `recover`: no line of the dead is left, all the room is there, each message comes to each,
/// and the counts are exact.
fn expect_whole<T: Told + ?Sized>(world: &World<T>, every: &mut Subscriber<T>, live: &mut Subscriber<T>) {
    let topic = &world.topic;
    let extra = world.extra.borrow_mut().take();
    let mut ids: Vec<SubscriberId> = topic.subscribers().iter().map(|one| one.id).collect();
    let mut own =
        [Some(every.id()), Some(live.id()), extra.as_ref().map(Subscriber::id)].into_iter().flatten().collect::<Vec<_>>();
    [&mut ids, &mut own].into_iter().for_each(|ids| ids.sort_by_key(SubscriberId::to_string));
    assert_eq!(ids, own, "{topic:?}");
    drop(extra);
    let mut seen = Vec::new();
    drain(live, &mut seen);
    // Messages that this process did not publish come in their order, too.
    assert!(seen.is_sorted() || seen.contains(&MARK), "{seen:?}");
    if !topic.is_closed() {
        for lap in 0..3 {
            let mut published = 0;
            let refused = loop {
                match publish(topic, 1000 * lap + published) {
                    Ok(()) => published += 1,
                    Err(error) => break error,
                }
                assert!(published < 1000, "{topic:?}");
            };
            match refused {
                PutError::Gated { subscriber, pid, lag, timed_out: false } => {
                    assert_eq!((subscriber, pid, lag), (every.id(), std::process::id(), published), "{topic:?}");
                }
                other => panic!("{other:?}, {topic:?}"),
            }
            assert!(published == CAPACITY || !T::IS_SIZED && published > CAPACITY, "{published}, {topic:?}");
            (0..published).for_each(|number| assert_eq!(every.try_next().map(T::number).unwrap(), 1000 * lap + number));
            assert!(matches!(every.try_next(), Err(GetError::Empty)));
            drain(live, &mut seen);
            assert_eq!(seen.last(), Some(&(1000 * lap + published - 1)), "{topic:?}");
        }
    }
    // Both joined at the same place.
    let passed = |subscriber: &Subscriber<T>| subscriber.received() + subscriber.missed();
    assert_eq!((passed(every), every.lag()), (passed(live), 0), "{every:?}, {live:?}");
    assert_eq!(world.before.get() + passed(every), topic.stats().published, "{:?}", topic.stats());
    // All lines can be taken.
    let more: Vec<Subscriber<T>> =
        (2..LINES).map(|_| topic.subscribe().unwrap_or_else(|error| panic!("{error}, {topic:?}"))).collect();
    assert!(topic.subscribe_lossy().is_err(), "{topic:?}");
    let gating = |one: &&shmq::SubscriberInfo| one.kind == SubscriberKind::Gating;
    assert_eq!(topic.subscribers().iter().filter(gating).count(), LINES - 1);
    drop(more);
}

/// What wakes a child that sleeps.
type Wakes<'a, T> = &'a dyn Fn(&World<T>);

/// A verb of a child, and where it is killed in it.
struct Verb<'a, T: Told + ?Sized, X> {
    what: &'static str,
    world: &'a dyn Fn() -> World<T>,
    /// Makes what the verb acts on, in the child.
    prepare: &'a dyn Fn(&World<T>) -> X,
    act: &'a dyn Fn(&World<T>, &mut X),
    /// Wakes the child when it sleeps.
    wake: Option<Wakes<'a, T>>,
    stages: &'a [&'a [u64]],
    woken: &'a [&'a [u64]],
}

impl<T: Told + ?Sized, X> Verb<'_, T, X> {
    fn sweep(&self) {
        let operation = Operation {
            what: self.what,
            world: self.world,
            body: &|world, begin| {
                attach(world);
                let mut prepared = (self.prepare)(world);
                begin();
                (self.act)(world, &mut prepared);
                // The child is killed here, so nothing is dropped.
                std::mem::forget(prepared);
            },
            wake: self.wake,
            recovery: Some(&|world: &World<T>, begin: &dyn Fn()| {
                begin();
                world.topic.recover();
            }),
            check: &|world, killed, turn| check(world, killed, turn, self.stages, self.woken),
        };
        operation.sweep();
    }
}

/// Kills `act` of a child that prepares nothing.
fn kill_in<T: Told + ?Sized>(what: &'static str, world: &dyn Fn() -> World<T>, act: &dyn Fn(&World<T>), stages: &[&[u64]]) {
    Verb { what, world, prepare: &|_| (), act: &|world, ()| act(world), wake: None, stages, woken: &[] }.sweep();
}

/// The bytes of a message larger than what is copied under a lock.
fn large() -> Vec<u8> {
    [&LARGE.to_le_bytes()[..], &pattern(LARGE, LARGE_BYTES)].concat()
}
