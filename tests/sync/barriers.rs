//! Barriers.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words};
use crate::support::{PATIENCE, wait_until};
use crate::{SHORT, gives_up_in_time};
use shmq::Process;
use shmq::sync::{Barrier, SyncError};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        no_party_is_a_phase_ahead_and_each_phase_has_one_leader,
        threads_are_parties_too,
        a_timeout_breaks_it_for_the_others,
        an_abort_reaches_all,
        a_reset_releases_the_waiters_and_begins_anew,
        children_that_returned_are_not_missed,
        a_party_that_exits_without_a_word_is_missed,
    ]
}

fn no_party_is_a_phase_ahead_and_each_phase_has_one_leader() {
    const ROUNDS: u64 = 500;
    let barrier = Barrier::new(3).unwrap();
    let words = shared_words(2);
    let party = || {
        for round in 0..ROUNDS {
            assert!((3 * round..3 * (round + 1)).contains(&words[0].fetch_add(1, SeqCst)));
            words[1].fetch_add(barrier.wait().unwrap().is_leader() as u64, SeqCst);
        }
    };
    expect_all_succeed((0..3).map(|_| fork("a party", party)).collect());
    assert_eq!((words[0].load(SeqCst), words[1].load(SeqCst)), (3 * ROUNDS, ROUNDS));
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
}

fn threads_are_parties_too() {
    let barrier = Barrier::new(4).unwrap();
    let party = || {
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| (0..100).for_each(|_| assert!(barrier.wait().is_ok())));
            }
        });
    };
    expect_all_succeed((0..2).map(|_| fork("a process of two", party)).collect());
}

fn broken(barrier: &Barrier) {
    let result = barrier.wait();
    assert!(matches!(result, Err(SyncError::Broken)), "{result:?}");
}

fn two_parties_that_get_broken(barrier: &Barrier) -> Vec<Child> {
    // Clones, so that the children leave in good order: to a barrier, a party that does not has
    // died.
    let mut waiters: Vec<Child> = (0..2)
        .map(|_| {
            let barrier = barrier.clone();
            fork("a party", move || broken(&barrier))
        })
        .collect();
    wait_until("two to wait", || barrier.waiting() == 2, || format!("{} wait", barrier.waiting()));
    waiters.iter_mut().for_each(Child::wait_until_asleep);
    assert_eq!(barrier.waiting(), 2);
    waiters
}

fn a_timeout_breaks_it_for_the_others() {
    let barrier = Barrier::new(4).unwrap();
    let waiters = two_parties_that_get_broken(&barrier);
    for timeout in [SHORT, Duration::ZERO] {
        let result = gives_up_in_time(timeout, || barrier.wait_timeout(timeout));
        let expected = if timeout == SHORT { "Timeout" } else { "Broken" };
        assert_eq!(format!("{:?}", result.unwrap_err()), expected);
    }
    expect_all_succeed(waiters);
    broken(&barrier);
    assert!(barrier.is_broken());
    barrier.reset().unwrap();
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
}

fn an_abort_reaches_all() {
    let barrier = Barrier::new(3).unwrap();
    let waiters = two_parties_that_get_broken(&barrier);
    barrier.abort().unwrap();
    expect_all_succeed(waiters);
    broken(&barrier);
}

fn a_reset_releases_the_waiters_and_begins_anew() {
    let barrier = Barrier::new(3).unwrap();
    for _ in 0..5 {
        let waiters = two_parties_that_get_broken(&barrier);
        barrier.reset().unwrap();
        expect_all_succeed(waiters);
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    }
    let parties = (0..2).map(|_| {
        let barrier = barrier.clone();
        fork("a party", move || assert!(barrier.wait().is_ok()))
    });
    let parties: Vec<Child> = parties.collect();
    barrier.wait().unwrap();
    expect_all_succeed(parties);
}

fn children_that_returned_are_not_missed() {
    let barrier = Barrier::new(2).unwrap();
    // The child borrows the handle, so that nothing is dropped in it.
    let child = Process::spawn(|| assert!(barrier.wait().is_ok())).unwrap();
    barrier.wait().unwrap();
    assert!(child.join().unwrap().success());
    // Long enough for several scans for dead processes; none finds any.
    assert!(matches!(barrier.wait_timeout(Duration::from_millis(400)), Err(SyncError::Timeout)));
    barrier.reset().unwrap();
    let panicking = Process::spawn(|| {
        barrier.wait().unwrap();
        panic!("this one is missed");
    })
    .unwrap();
    barrier.wait().unwrap();
    assert_eq!(panicking.join().unwrap().code(), Some(101));
    if cfg!(not(shmq_portable_sync)) {
        assert!(matches!(barrier.wait_timeout(PATIENCE), Err(SyncError::Broken)));
    }
}

/// `exit` gives names back, and drops no handle: otherwise the others would wait for that party for
/// ever.
fn a_party_that_exits_without_a_word_is_missed() {
    let barrier = Barrier::new(2).unwrap();
    let mut party = fork("a party that exits", || {
        barrier.wait().unwrap();
        std::process::exit(0);
    });
    barrier.wait().unwrap();
    let result = barrier.wait_timeout(PATIENCE);
    assert!(matches!(result, Err(SyncError::Broken)), "{result:?}");
    party.wait_at_most(PATIENCE);
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
}
