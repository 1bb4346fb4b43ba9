//! Semaphores.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words};
use crate::support::unique_name;
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Semaphore, SyncError};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        no_more_processes_are_inside_than_there_are_permits,
        acquired_permits_stay_away_until_they_are_released,
        waiting_for_a_permit_gives_up_in_time_and_never_early,
        released_permits_wake_as_many,
        a_permit_may_be_dropped_by_another_thread,
        a_permit_in_a_child_is_the_parents,
        a_bounded_semaphore_refuses_a_release_too_many,
        processes_that_release_too_often_never_exceed_the_bound,
        an_opener_learns_that_a_semaphore_is_not_bounded,
    ]
}

fn no_more_processes_are_inside_than_there_are_permits() {
    let semaphore = Semaphore::new(2).unwrap();
    let words = shared_words(2);
    let (inside, most) = (&words[0], &words[1]);
    let visit = |as_guard: bool| {
        for _ in 0..2_000 {
            let permit = as_guard.then(|| semaphore.permit().unwrap());
            if !as_guard {
                semaphore.acquire().unwrap();
            }
            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
            std::hint::spin_loop();
            inside.fetch_sub(1, SeqCst);
            match permit {
                Some(permit) => drop(permit),
                None => semaphore.release().unwrap(),
            }
        }
    };
    expect_all_succeed((0..4).map(|n| fork("a visitor", || visit(n % 2 == 0))).collect());
    assert!(most.load(SeqCst) <= 2 && most.load(SeqCst) > 0);
    assert_eq!(semaphore.value(), 2);
}

fn acquired_permits_stay_away_until_they_are_released() {
    let semaphore = Semaphore::new(1).unwrap();
    fork("one who acquires and goes", || semaphore.acquire().unwrap()).expect_success();
    assert!(matches!(semaphore.try_acquire(), Err(SyncError::WouldBlock)));
    assert!(matches!(semaphore.acquire_timeout(Duration::from_millis(300)), Err(SyncError::Timeout)));
    semaphore.release().unwrap();
    assert_eq!(semaphore.value(), 1);
    semaphore.release_many(3).unwrap();
    assert_eq!(semaphore.value(), 4);
    semaphore.permit().unwrap().forget().unwrap();
    assert_eq!(semaphore.value(), 3);
}

fn waiting_for_a_permit_gives_up_in_time_and_never_early() {
    let semaphore = Semaphore::new(0).unwrap();
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(250)] {
        let timed_out = |result| matches!(result, Err(SyncError::Timeout));
        assert!(timed_out(gives_up_in_time(timeout, || semaphore.acquire_timeout(timeout))));
        assert!(timed_out(gives_up_in_time(timeout, || semaphore.acquire_deadline(Instant::now() + timeout))));
        assert!(timed_out(gives_up_in_time(timeout, || semaphore.permit_timeout(timeout).map(drop))));
        assert!(timed_out(gives_up_in_time(timeout, || semaphore.permit_deadline(Instant::now() + timeout).map(drop))));
    }
}

fn released_permits_wake_as_many() {
    let semaphore = Semaphore::new(0).unwrap();
    let mut waiters: Vec<Child> = (0..4).map(|_| fork("a waiter", || semaphore.acquire().unwrap())).collect();
    waiters.iter_mut().for_each(Child::wait_until_asleep);
    semaphore.release_many(3).unwrap();
    semaphore.release().unwrap();
    expect_all_succeed(waiters);
    assert_eq!(semaphore.value(), 0);
}

fn a_permit_may_be_dropped_by_another_thread() {
    fork("a process with threads", || {
        let semaphore = Semaphore::new(1).unwrap();
        std::thread::scope(|s| {
            let permit = semaphore.permit().unwrap();
            s.spawn(move || drop(permit)).join().unwrap();
        });
        assert_eq!(semaphore.value(), 1);
    })
    .expect_success();
}

fn a_permit_in_a_child_is_the_parents() {
    let semaphore = Semaphore::new(2).unwrap();
    let permit = semaphore.permit().unwrap();
    fork("a child with a copy of the permit", || {
        // SAFETY: the copy that fork made of a permit; this process drops it in no other way.
        drop(unsafe { std::ptr::read(&permit) });
        // SAFETY: a permit owns no memory, and dropping an inherited one changes nothing, so a
        // second copy is sound.
        assert!(matches!(unsafe { std::ptr::read(&permit) }.forget(), Err(SyncError::Inherited)));
        assert_eq!(semaphore.value(), 1);
    })
    .expect_success();
    assert_eq!(semaphore.value(), 1);
    drop(permit);
    assert_eq!(semaphore.value(), 2);
}

fn refuses(released: Result<(), SyncError>, limit: u64) -> bool {
    matches!(released, Err(SyncError::TooManyReleases { bound }) if bound == limit)
}

fn a_bounded_semaphore_refuses_a_release_too_many() {
    let semaphore = Semaphore::builder(2).bounded(true).create().unwrap();
    assert_eq!(Semaphore::open(semaphore.name()).unwrap().bound(), Some(2));
    assert!(refuses(semaphore.release(), 2) && semaphore.value() == 2);
    semaphore.acquire().unwrap();
    assert!(refuses(semaphore.release_many(2), 2) && semaphore.value() == 1);
    fork("another process", || semaphore.release().unwrap()).expect_success();
    assert!(refuses(semaphore.release(), 2) && semaphore.value() == 2);
    // A guard's permit comes back by its drop, and by nothing else.
    let permit = semaphore.permit().unwrap();
    assert!(refuses(semaphore.release(), 2) && semaphore.value() == 1);
    drop(permit);
    assert_eq!(semaphore.value(), 2);
    semaphore.permit().unwrap().forget().unwrap();
    semaphore.release().unwrap();
    assert!(refuses(semaphore.release(), 2) && semaphore.value() == 2);
    let none = Semaphore::builder(0).bounded(true).create().unwrap();
    assert!(refuses(none.release(), 0) && none.try_acquire().is_err());
}

fn processes_that_release_too_often_never_exceed_the_bound() {
    let semaphore = Semaphore::builder(3).bounded(true).create().unwrap();
    let work = || {
        for _ in 0..2_000 {
            semaphore.acquire().unwrap();
            semaphore.release().unwrap();
        }
    };
    let guards = || {
        for _ in 0..2_000 {
            let permit = semaphore.permit().unwrap();
            assert!(semaphore.value() <= 3);
            drop(permit);
        }
    };
    expect_all_succeed(vec![fork("a worker", work), fork("a worker", work), fork("one with guards", guards)]);
    assert!(refuses(semaphore.release(), 3) && semaphore.value() == 3);
}

fn an_opener_learns_that_a_semaphore_is_not_bounded() {
    let plain = Semaphore::create(unique_name("plain"), 1).unwrap();
    let late = Semaphore::builder(1).bounded(true).name(plain.name()).open_or_create().unwrap();
    let unapplied: Vec<String> = late.unapplied_options().iter().map(ToString::to_string).collect();
    assert_eq!(unapplied, ["bounded: asked for true, is false"]);
    late.release().unwrap();
    assert_eq!((late.bound(), late.value()), (None, 2));
}
