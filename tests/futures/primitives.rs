//! Futures of the primitives.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, Rng, seed};
use crate::within;
use futures::future::join_all;
use shmq::Stop;
use shmq::sync::{Event, Semaphore, SyncError};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let mut cases = cases![
        a_set_wakes_every_task,
        a_set_that_is_cleared_at_once_wakes_every_task,
        an_event_is_waited_for_from_when_the_future_was_made,
        tasks_that_began_later_wait_for_the_next_set,
        a_task_is_not_woken_in_vain,
        a_stop_ends_both,
        a_released_permit_wakes_a_task,
        a_cancelled_task_hands_its_permit_on,
        inherited_futures_say_so,
        permits_are_never_more_under_cancellations,
    ];
    #[cfg(not(shmq_portable_sync))]
    cases.extend(cases![a_permit_of_the_dead_comes_to_a_task]);
    cases
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn a_set_wakes_every_task() {
    let (event, word) = (Event::new().unwrap(), &shared_words(1)[0]);
    let there = event.clone();
    let setter = fork("a setter", move || {
        wait_for_count("the word to set", word, 1);
        there.set();
    });
    let mut all: Vec<_> = (0..100).map(|_| event.wait_async()).collect();
    assert!(all.iter_mut().all(|set| poll_once(set).is_pending()));
    word.store(1, Release);
    for set in within(join_all(all)) {
        set.unwrap();
    }
    setter.expect_success();
}

/// A flag that is clear again when the task runs has woken it all the same.
fn a_set_that_is_cleared_at_once_wakes_every_task() {
    const ROUNDS: u64 = 300;
    let (event, words) = (Event::new().unwrap(), shared_words(1));
    let there = event.clone();
    let setter = fork("a setter", move || {
        for round in 1..=ROUNDS {
            wait_for_count("the word to set", &words[0], round);
            there.set();
            there.clear();
        }
    });
    let mut late = 0;
    for round in 1..=ROUNDS {
        while event.is_set() {
            std::thread::yield_now();
        }
        let mut all: Vec<_> = (0..5).map(|_| event.wait_async()).collect();
        assert!(all.iter_mut().all(|set| poll_once(set).is_pending()));
        let begun = Instant::now();
        words[0].store(round, Release);
        within(join_all(all)).into_iter().for_each(|set| set.unwrap());
        late += u64::from(begun.elapsed() >= Duration::from_millis(90));
    }
    assert!(late < ROUNDS / 10, "{late} of {ROUNDS} were woken after a slice only");
    setter.expect_success();
}

fn an_event_is_waited_for_from_when_the_future_was_made() {
    let event = Event::new().unwrap();
    let mut before = event.wait_async();
    event.set();
    event.clear();
    let mut after = event.wait_async();
    assert!(matches!(poll_once(&mut before), Poll::Ready(Ok(()))));
    assert!(poll_once(&mut after).is_pending());
    event.set();
    assert!(matches!(poll_once(&mut after), Poll::Ready(Ok(()))));
    assert!(matches!(poll_once(&mut event.wait_async()), Poll::Ready(Ok(()))), "it is set");
}

fn tasks_that_began_later_wait_for_the_next_set() {
    let event = Event::new().unwrap();
    let first = event.wait_async();
    event.set();
    event.clear();
    let mut later: Vec<_> = (0..200).map(|_| event.wait_async()).collect();
    assert!(later.iter_mut().all(|set| poll_once(set).is_pending()));
    within(first).unwrap();
    assert!(later.iter_mut().all(|set| poll_once(set).is_pending()));
    event.set();
    within(join_all(later)).into_iter().for_each(|set| set.unwrap());
}

fn a_task_is_not_woken_in_vain() {
    let (event, semaphore) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
    let woken = std::sync::Arc::new(Flag::default());
    let waker = Waker::from(woken.clone());
    let (mut set, mut permit) = (event.wait_async(), semaphore.permit_async());
    assert!(Pin::new(&mut set).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(Pin::new(&mut permit).poll(&mut Context::from_waker(&waker)).is_pending());
    // Some of the reactor's slices.
    std::thread::sleep(Duration::from_millis(350));
    assert!(!woken.0.load(Acquire));
    event.set();
    woken.wait();
    within(set).unwrap();
}

fn a_stop_ends_both() {
    let stop = Stop::new();
    let (event, semaphore) = (Event::new().unwrap().with_stop(&stop), Semaphore::new(0).unwrap().with_stop(&stop));
    let (mut set, mut permit) = (event.wait_async(), semaphore.permit_async());
    assert!(poll_once(&mut set).is_pending() && poll_once(&mut permit).is_pending());
    let stopper = std::thread::spawn(move || stop.set());
    assert!(matches!(within(set), Err(SyncError::Interrupted)));
    assert!(matches!(within(permit), Err(SyncError::Interrupted)));
    stopper.join().unwrap();
    semaphore.release().unwrap();
    drop(within(semaphore.permit_async()).unwrap()); // at once, stop or not
}

fn a_released_permit_wakes_a_task() {
    let (semaphore, words) = (Semaphore::new(0).unwrap(), shared_words(1));
    let there = semaphore.clone();
    let releaser = fork("a releaser", move || {
        for round in 1..=200 {
            wait_for_count("the word to release", &words[0], round);
            there.release().unwrap();
        }
    });
    for round in 1..=200 {
        let mut permit = semaphore.permit_async();
        assert!(poll_once(&mut permit).is_pending());
        words[0].store(round, Release);
        within(permit).unwrap().forget().unwrap();
    }
    releaser.expect_success();
    assert_eq!(semaphore.value(), 0);
}

fn a_cancelled_task_hands_its_permit_on() {
    let semaphore = Semaphore::new(0).unwrap();
    let started = Instant::now();
    for _ in 0..100 {
        let (mut first, mut second) = (semaphore.permit_async(), semaphore.permit_async());
        let woken = &std::sync::Arc::new(Flag::default());
        let waker = Waker::from(woken.clone());
        assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(poll_once(&mut second).is_pending());
        semaphore.release().unwrap();
        woken.wait();
        let waiting = std::thread::scope(|scope| {
            let taken = scope.spawn(|| within(second).unwrap().forget());
            drop(first);
            taken.join()
        });
        waiting.unwrap().unwrap();
    }
    assert!(started.elapsed() < Duration::from_millis(100 * 90), "each waited for a slice: {:?}", started.elapsed());
}

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Release);
    }
}

impl Flag {
    fn wait(&self) {
        let started = Instant::now();
        while !self.0.load(Acquire) {
            assert!(started.elapsed() < BY_ITSELF, "the task was not woken");
            std::thread::yield_now();
        }
    }
}

fn inherited_futures_say_so() {
    let (event, semaphore) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
    let (mut set, mut permit) = (event.wait_async(), semaphore.permit_async());
    assert!(poll_once(&mut set).is_pending() && poll_once(&mut permit).is_pending());
    fork("a child", || {
        assert!(matches!(poll_once(&mut set), Poll::Ready(Err(SyncError::Inherited))));
        assert!(matches!(poll_once(&mut permit), Poll::Ready(Err(SyncError::Inherited))));
        event.set();
        within(event.wait_async()).unwrap();
        semaphore.release().unwrap();
        let own = within(semaphore.permit_async()).unwrap();
        drop(own);
    })
    .expect_success();
    within(set).unwrap();
    drop(within(permit).unwrap());
    assert_eq!(semaphore.value(), 1);
}

/// Tasks of several processes take permits, many of them cancelled while they wait.
fn permits_are_never_more_under_cancellations() {
    const PROCESSES: u64 = 3;
    const TASKS: u64 = 8;
    const PERMITS: u64 = 2;
    let semaphore = Semaphore::new(PERMITS).unwrap();
    let words = shared_words(3);
    let (inside, most, cancelled) = (&words[0], &words[1], &words[2]);
    let visit = async |mut rng: Rng| {
        let mut taken = 0;
        while taken < 300 {
            let longest = if taken % 3 == 0 { BY_ITSELF } else { Duration::from_micros(rng.below(3_000)) };
            match tokio::time::timeout(longest, semaphore.permit_async()).await {
                Ok(permit) => {
                    let permit = permit.unwrap();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                    drop(permit);
                    taken += 1;
                }
                Err(_) => drop(cancelled.fetch_add(1, SeqCst)),
            }
        }
    };
    let seed = seed();
    let process = |n: u64| {
        let tasks = (0..TASKS).map(|task| visit(Rng::from_state(seed ^ (n * TASKS + task + 1))));
        within(join_all(tasks));
    };
    expect_all_succeed((0..PROCESSES).map(|n| fork("a process of tasks", move || process(n))).collect());
    assert!((1..=PERMITS).contains(&most.load(SeqCst)), "{} were inside at a time", most.load(SeqCst));
    assert!(cancelled.load(SeqCst) > 0, "none was cancelled");
    assert_eq!(semaphore.value(), PERMITS);
}

#[cfg(not(shmq_portable_sync))]
fn a_permit_of_the_dead_comes_to_a_task() {
    let (semaphore, word) = (Semaphore::new(1).unwrap(), &shared_words(1)[0]);
    let there = semaphore.clone();
    let holder = fork("a holder", move || {
        let _permit = there.permit().unwrap();
        word.store(1, Release);
        std::thread::park_timeout(Duration::from_secs(600));
    });
    wait_for_count("the permit", word, 1);
    let mut permit = semaphore.permit_async();
    assert!(poll_once(&mut permit).is_pending());
    holder.kill();
    drop(within(permit).unwrap());
}
