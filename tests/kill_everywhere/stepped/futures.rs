//! Killed in a future: in a poll that is ready, in one that waits, between its wake and its next
//! poll, and in its drop.
//!
//! Only the thread that polls is stepped; the reactor's thread runs, and dies with it at whatever
//! it does then. The last case steps the reactor. Unless a case says otherwise, the reactor has
//! been started before the operation begins.

use crate::stepped::contents::{attach, check, expect_whole, holding, kill_in, kill_in_body, put, recover};
use crate::stepped::sweep::Operation;
use crate::stepped::tracee::{Place, Trace, follow_the_thread_that_begins, kill_at, trace};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Exit, fork};
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_at_most, wait_until};
use futures::StreamExt;
use shmq::inspect::Inspector;
use shmq::{Consumer, GetError, Producer, Queue};
use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_get_async,
        killed_in_a_put_async,
        killed_in_a_lease_async,
        killed_in_a_loan_async,
        killed_in_a_get_async_that_waits,
        killed_in_a_put_async_that_waits,
        killed_in_a_lease_async_that_waits,
        killed_in_a_loan_async_that_waits,
        killed_in_a_put_slice_async_that_waits,
        killed_in_a_get_slice_async_that_waits,
        killed_in_a_put_async_of_a_producer_that_waits,
        killed_in_a_get_async_of_a_consumer_that_waits,
        killed_in_a_stream_that_waits,
        killed_in_a_stream_of_leases_that_waits,
        killed_in_a_join_async_that_waits,
        killed_in_the_first_future_that_waits,
        killed_in_dropping_a_future_that_waits,
        killed_in_dropping_a_future_that_was_woken,
        killed_in_dropping_a_put_that_was_woken,
        killed_with_a_futures_wake_that_another_needs,
        killed_in_the_reactor,
    ]
}

/// After this time, a child has missed the wake that it was meant to get.
const MISSED: Duration = Duration::from_secs(2);
/// How often a child that missed its wake is followed by another.
const ATTEMPTS: usize = 5;

/// Unparks the thread that polls. It allocates nothing when it is called.
struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until it is ready, or returns `None` after that time. Between polls it sleeps on a futex,
/// as a blocked call does.
fn block_for<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unparks(std::thread::current())));
    let mut future = pin!(future);
    let end = Instant::now() + time;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        std::thread::park_timeout(end.checked_duration_since(Instant::now())?);
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    block_for(PATIENCE, future).expect("the wait is bounded by the test")
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Starts the reactor by a future that waits and is dropped, and waits until it sleeps again, so
/// that it takes no part in the way of the operation.
pub fn start_reactor<F: Future + Unpin>(idle: F) {
    drop(wait_on(idle));
    wait_for_the_reactor();
}

/// Makes a future wait.
pub fn wait_on<F: Future + Unpin>(mut future: F) -> F {
    assert!(poll(&mut future, Waker::noop()).is_pending());
    wait_for_the_reactor();
    future
}

/// Waits until the reactor sleeps in the kernel: what it was told is done.
fn wait_for_the_reactor() {
    let tasks = || std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let read = |task: &std::fs::DirEntry, file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
    let sleeps = |task: &std::fs::DirEntry| {
        let call = read(task, "syscall");
        let number = call.split_whitespace().next().and_then(|number| number.parse::<libc::c_long>().ok());
        number == Some(libc::SYS_futex_waitv) || number == Some(libc::SYS_futex)
    };
    let is_reactor = |task: &std::fs::DirEntry| read(task, "comm").starts_with("shmq-reactor");
    wait_until(
        "the reactor to sleep",
        || (0..3).all(|_| tasks().any(|task| is_reactor(&task) && sleeps(&task))),
        || format!("{:?}", tasks().map(|task| (read(&task, "comm"), read(&task, "syscall"))).collect::<Vec<_>>()),
    );
}

fn two() -> Queue<u64> {
    holding(&[10, 11])
}

fn none() -> Queue<u64> {
    holding(&[])
}

fn full() -> Queue<u64> {
    holding(&[10, 11, 12, 13])
}

/// Ready at once: no reactor.
fn killed_in_a_get_async() {
    kill_in("get_async", two, |queue| assert_eq!(block_on(queue.get_async()).unwrap(), 10), &[&[10, 11], &[11]]);
}

fn killed_in_a_put_async() {
    kill_in("put_async", two, |queue| block_on(queue.put_async(&12)).unwrap(), &[&[10, 11], &[10, 11, 12]]);
}

fn killed_in_a_lease_async() {
    let act = |queue: &Queue<u64>| block_on(queue.lease_async()).unwrap().ack().unwrap();
    kill_in("lease_async, ack", two, act, &[&[10, 11], &[11]]);
}

fn killed_in_a_loan_async() {
    let act = |queue: &Queue<u64>| {
        let mut loan = block_on(queue.loan_async()).unwrap();
        *loan = 12;
        loan.commit().unwrap();
    };
    kill_in("loan_async, commit", two, act, &[&[10, 11], &[10, 11, 12]]);
}

/// Kills `act`, which waits until `wake` is called. `prepare` makes what it acts on.
fn kill_in_wait<X>(
    what: &'static str,
    world: fn() -> Queue<u64>,
    prepare: impl Fn(&Queue<u64>) -> X,
    act: impl Fn(&Queue<u64>, &mut X),
    wake: fn(&Queue<u64>),
    stages: &[&[u64]],
    woken: &[&[u64]],
) {
    let operation = Operation {
        what,
        world: &world,
        body: &|queue, begin| {
            attach(queue);
            let mut prepared = prepare(queue);
            begin();
            act(queue, &mut prepared);
            std::mem::forget(prepared);
        },
        wake: Some(&wake),
        recovery: Some(&recover),
        check: &|queue, killed, turn| check(queue, killed, turn, stages, woken),
    };
    operation.sweep();
}

fn put_10(queue: &Queue<u64>) {
    put(queue, 10).unwrap();
}

fn get_10(queue: &Queue<u64>) {
    assert_eq!(queue.try_get().unwrap(), 10);
}

fn killed_in_a_get_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| assert_eq!(block_on(queue.get_async()).unwrap(), 10);
    let prepare = |queue: &Queue<u64>| start_reactor(queue.get_async());
    kill_in_wait("get_async, waiting", none, prepare, act, put_10, &[&[]], &[&[10], &[]]);
}

const FULL: &[u64] = &[10, 11, 12, 13];
const FULL_AGAIN: [&[u64]; 2] = [&[11, 12, 13], &[11, 12, 13, 14]];

fn killed_in_a_put_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| block_on(queue.put_async(&14)).unwrap();
    let prepare = |queue: &Queue<u64>| start_reactor(queue.put_async(&0));
    kill_in_wait("put_async, waiting", full, prepare, act, get_10, &[FULL], &FULL_AGAIN);
}

fn killed_in_a_lease_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| {
        let lease = block_on(queue.lease_async()).unwrap();
        assert_eq!(*lease, 10);
        lease.ack().unwrap();
    };
    let prepare = |queue: &Queue<u64>| start_reactor(queue.lease_async());
    kill_in_wait("lease_async, waiting, ack", none, prepare, act, put_10, &[&[]], &[&[10], &[]]);
}

fn killed_in_a_loan_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| {
        let mut loan = block_on(queue.loan_async()).unwrap();
        *loan = 14;
        loan.commit().unwrap();
    };
    let prepare = |queue: &Queue<u64>| start_reactor(queue.loan_async());
    kill_in_wait("loan_async, waiting, commit", full, prepare, act, get_10, &[FULL], &FULL_AGAIN);
}

fn killed_in_a_put_slice_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| {
        // It is woken at the first room, and may find more by the time it polls.
        let count = block_on(queue.put_slice_async(&[14, 15, 16])).unwrap();
        assert!((1..=2).contains(&count), "{count}");
    };
    let wake = |queue: &Queue<u64>| {
        get_10(queue);
        assert_eq!(queue.try_get().unwrap(), 11);
    };
    let prepare = |queue: &Queue<u64>| start_reactor(queue.put_async(&0));
    let woken: [&[u64]; 3] = [&[12, 13], &[12, 13, 14], &[12, 13, 14, 15]];
    let operation = Operation {
        what: "put_slice_async, waiting",
        world: &full,
        body: &|queue, begin| {
            attach(queue);
            prepare(queue);
            begin();
            act(queue, &mut ());
        },
        wake: Some(&wake),
        recovery: Some(&recover),
        check: &|queue, killed, turn| {
            // How much it found says nothing of how far it had come.
            let killed = crate::stepped::tracee::Killed { done: false, ..killed };
            let finding = check(queue, killed, turn, &[FULL], &woken);
            crate::stepped::sweep::Finding { stage: finding.stage.map(|stage| stage.min(2)), ..finding }
        },
    };
    operation.sweep();
}

fn killed_in_a_get_slice_async_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| {
        let mut taken = [0; 3];
        assert_eq!((block_on(queue.get_slice_async(&mut taken)).unwrap(), taken[0]), (1, 10));
    };
    let prepare = |queue: &Queue<u64>| start_reactor(queue.get_async());
    kill_in_wait("get_slice_async, waiting", none, prepare, act, put_10, &[&[]], &[&[10], &[]]);
}

fn killed_in_a_put_async_of_a_producer_that_waits() {
    let prepare = |queue: &Queue<u64>| {
        let mut producer = queue.producer().unwrap();
        start_reactor(producer.put_async(&0));
        producer
    };
    let act = |_: &Queue<u64>, producer: &mut Producer<u64>| block_on(producer.put_async(&14)).unwrap();
    kill_in_wait("put_async, producer, waiting", full, prepare, act, get_10, &[FULL], &FULL_AGAIN);
}

fn killed_in_a_get_async_of_a_consumer_that_waits() {
    let prepare = |queue: &Queue<u64>| {
        let mut consumer = queue.consumer().unwrap();
        start_reactor(consumer.get_async());
        consumer
    };
    let act = |_: &Queue<u64>, consumer: &mut Consumer<u64>| assert_eq!(block_on(consumer.get_async()).unwrap(), 10);
    kill_in_wait("get_async, consumer, waiting", none, prepare, act, put_10, &[&[]], &[&[10], &[]]);
}

fn one() -> Queue<u64> {
    holding(&[9])
}

fn killed_in_a_stream_that_waits() {
    // There is a message, so the reactor is started by another wait.
    let prepare = |queue: &Queue<u64>| start_reactor(queue.closed());
    let act = |queue: &Queue<u64>, (): &mut ()| {
        let mut stream = queue.stream();
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 9);
        assert_eq!(block_on(stream.next()).unwrap().unwrap(), 10);
    };
    kill_in_wait("stream, ready and waiting", one, prepare, act, put_10, &[&[9], &[]], &[&[10], &[]]);
}

fn killed_in_a_stream_of_leases_that_waits() {
    // There is a message, so the reactor is started by another wait.
    let prepare = |queue: &Queue<u64>| start_reactor(queue.closed());
    let act = |queue: &Queue<u64>, (): &mut ()| {
        let mut leases = queue.lease_stream();
        let first = block_on(leases.next()).unwrap().unwrap();
        // Held while it waits for the next: both come back if it dies.
        let second = block_on(leases.next()).unwrap().unwrap();
        assert_eq!((*first, *second), (9, 10));
        first.ack().unwrap();
        second.ack().unwrap();
    };
    let woken: [&[u64]; 3] = [&[9, 10], &[10], &[]];
    kill_in_wait("lease_stream, waiting, acks", one, prepare, act, put_10, &[&[9]], &woken);
}

fn killed_in_a_join_async_that_waits() {
    let world = || {
        let queue = holding::<u64>(&[10]);
        get_10(&queue);
        queue
    };
    let prepare = |queue: &Queue<u64>| start_reactor(queue.join_async());
    let act = |queue: &Queue<u64>, (): &mut ()| block_on(queue.join_async()).unwrap();
    kill_in_wait("join_async, waiting", world, prepare, act, |queue| queue.task_done().unwrap(), &[&[]], &[&[]]);
}

/// The reactor's thread is started on the way.
fn killed_in_the_first_future_that_waits() {
    let act = |queue: &Queue<u64>, (): &mut ()| assert_eq!(block_on(queue.get_async()).unwrap(), 10);
    kill_in_wait("get_async, starts the reactor", none, |_| (), act, put_10, &[&[]], &[&[10], &[]]);
}

fn killed_in_dropping_a_future_that_waits() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let mut get = queue.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        wait_for_the_reactor();
        begin();
        drop(get);
    };
    kill_in_body("get_async, dropped", none, body, &[&[]]);
}

/// Counts its calls.
#[derive(Default)]
struct Counts(AtomicU64);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Release);
    }
}

fn wait_for_a_call(counts: &Counts) {
    wait_until("the future's waker to be called", || counts.0.load(Acquire) > 0, String::new);
}

/// It answers for the message, and hands it on.
fn killed_in_dropping_a_future_that_was_woken() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let counts = Arc::new(Counts::default());
        let mut get = queue.get_async();
        assert!(poll(&mut get, &Waker::from(Arc::clone(&counts))).is_pending());
        wait_for_the_reactor();
        put(queue, 10).unwrap();
        wait_for_a_call(&counts);
        wait_for_the_reactor();
        begin();
        drop(get);
    };
    kill_in_body("get_async, woken, dropped", none, body, &[&[10]]);
}

fn killed_in_dropping_a_put_that_was_woken() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let counts = Arc::new(Counts::default());
        let mut late = queue.put_async(&14);
        assert!(poll(&mut late, &Waker::from(Arc::clone(&counts))).is_pending());
        wait_for_the_reactor();
        get_10(queue);
        wait_for_a_call(&counts);
        wait_for_the_reactor();
        begin();
        drop(late);
    };
    kill_in_body("put_async, woken, dropped", full, body, &[&[11, 12, 13]]);
}

/// The dead process's reactor may have received the wake of a message that its task did not take:
/// another sleeper gets the message nevertheless, within a slice.
fn killed_with_a_futures_wake_that_another_needs() {
    let mut rng = Rng::new("a future's wake that another needs");
    let all = {
        let queue = none();
        trace(&|begin| assert!(matches!(get_within(PATIENCE, &queue, begin), Some(Ok(10)))), Some(&|| put_10(&queue)))
    };
    let woken_at = all.woken_at.expect("it sleeps") as u64;
    let from_there = all.len() as u64 - woken_at;
    let places: Vec<u64> =
        if asks_for_ignored() { (0..from_there).collect() } else { (0..12).map(|_| rng.below(from_there)).collect() };
    for place in places {
        (0..ATTEMPTS).any(|_| killed_after_its_wake(&all, woken_at, place));
    }
}

fn get_within(patience: Duration, queue: &Queue<u64>, begin: &dyn Fn()) -> Option<Result<u64, GetError>> {
    attach(queue);
    start_reactor(queue.get_async());
    begin();
    block_for(patience, queue.get_async())
}

/// Returns whether the child received the wake, and was killed at that place.
fn killed_after_its_wake(all: &Trace, woken_at: u64, place: u64) -> bool {
    let queue = none();
    let other = RefCell::new(None);
    // Called when the child sleeps: the other sleeps behind its reactor, so that the wake is the
    // child's.
    let wake = || {
        let mut sleeper = fork("another sleeper", || {
            attach(&queue);
            assert!(matches!(queue.get_timeout(PATIENCE), Ok(10 | 11)));
        });
        sleeper.wait_until_asleep();
        put_10(&queue);
        other.replace(Some(sleeper));
    };
    let steps = Place::After((woken_at + place) as usize);
    let killed = kill_at(&|begin| _ = get_within(MISSED, &queue, begin), all, steps, Some(&wake));
    let Some(mut sleeper) = other.take() else { return false };
    // As in `waits.rs`: the inspector repairs nothing and wakes no process.
    let taken = || sleeper.has_ended() || Inspector::open(queue.name()).expect("ours").snapshot().messages == 0;
    let state = || format!("killed {place} instructions after its wake: the other sleeps on, {queue:?}");
    wait_at_most(BY_ITSELF, "the message to be taken", taken, state);
    let taken = !sleeper.has_ended();
    if taken {
        // In case the dead process took it.
        put(&queue, 11).unwrap();
    }
    assert_eq!(sleeper.wait(), Exit::Code(0), "killed {place} instructions after its wake, {queue:?}");
    while queue.try_get().is_ok() {}
    queue.recover();
    while queue.try_get().is_ok() {}
    expect_whole(&queue);
    killed.exact
}

/// Steps the thread that calls it, the reactor's: from its first call to its second.
struct Steps(*const dyn Fn());

// SAFETY: what it points to is called by one thread at a time, while the first one waits for ever.
unsafe impl Send for Steps {}
// SAFETY: as above.
unsafe impl Sync for Steps {}

impl Wake for Steps {
    fn wake(self: Arc<Self>) {
        // SAFETY: the body of the child, which owns it, never ends.
        unsafe { (*self.0)() }
    }
}

/// The reactor is killed from the call of one task's waker to that of the next: it leaves the
/// queue, registers, sleeps, is woken, probes for the dead, counts and notifies. It takes nothing.
fn killed_in_the_reactor() {
    follow_the_thread_that_begins();
    let operation = Operation {
        what: "reactor",
        world: &none,
        body: &|queue, begin| {
            attach(queue);
            let begin: *const (dyn Fn() + '_) = begin;
            // SAFETY: the lifetime alone changes; this body never ends.
            let steps = Steps(unsafe { std::mem::transmute::<*const (dyn Fn() + '_), *const (dyn Fn() + 'static)>(begin) });
            let waker = Waker::from(Arc::new(steps));
            let (mut first, mut second) = (queue.get_async(), queue.get_async());
            assert!(poll(&mut first, &waker).is_pending() && poll(&mut second, &waker).is_pending());
            wait_for_the_reactor();
            put_10(queue);
            loop {
                std::thread::park();
            }
        },
        wake: Some(&|queue| put(queue, 11).unwrap()),
        recovery: Some(&recover),
        check: &|queue, killed, turn| {
            // What is done by the reactor changes nothing that a getter sees.
            check(queue, killed, turn, &[&[10]], &[&[10, 11]])
        },
    };
    operation.sweep();
}
