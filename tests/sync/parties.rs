//! Parties of a barrier that do not count: dead ones, and those that gave up.

use crate::stops::stop_with_the_lock;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, unique_name, wait_until};
use crate::{SHORT, gives_up_in_time};
use shmq::CreateError;
use shmq::sync::{Barrier, SyncError};
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        no_party_passes_with_a_dead_one,
        all_threads_of_a_dead_process_count_for_nothing,
        one_that_gave_up_beside_a_stopped_party_does_not_count,
        an_abort_reaches_all_beside_a_stopped_party,
        a_try_breaks_nothing_and_ends_a_phase,
        more_parties_than_may_attach_are_refused,
    ]
}

fn wait_for_arrivals(barrier: &Barrier, arrivals: usize) {
    wait_until("arrivals", || barrier.waiting() == arrivals, || format!("{barrier:?}"));
}

fn expect_broken(barrier: &Barrier) {
    let result = barrier.wait_timeout(PATIENCE);
    assert!(matches!(result, Err(SyncError::Broken)), "{result:?}");
}

fn no_party_passes_with_a_dead_one() {
    for gap in [Duration::ZERO, 10 * SHORT] {
        for newcomer in [false, true] {
            for barrier in [Barrier::new(2).unwrap(), Barrier::create(unique_name("barrier"), 2).unwrap()] {
                let killed = fork("a party to be killed", || drop(barrier.wait()));
                wait_for_arrivals(&barrier, 1);
                killed.kill();
                std::thread::sleep(gap);
                if newcomer {
                    // It may be given the entry of the dead party.
                    fork("a party that comes alone", || expect_broken(&barrier)).expect_success();
                } else {
                    expect_broken(&barrier);
                }
                expect_broken(&barrier);
                barrier.reset().unwrap();
                let partner = fork("a partner", || assert!(barrier.clone().wait_timeout(PATIENCE).is_ok()));
                barrier.wait_timeout(PATIENCE).unwrap();
                partner.expect_success();
            }
        }
    }
}

fn all_threads_of_a_dead_process_count_for_nothing() {
    let barrier = Barrier::new(3).unwrap();
    let killed = fork("a process of two parties", || {
        std::thread::scope(|s| {
            (0..2).for_each(|_| drop(s.spawn(|| barrier.wait())));
        });
    });
    wait_for_arrivals(&barrier, 2);
    killed.kill();
    expect_broken(&barrier);
}

/// A stopped child that holds the barrier's lock.
fn stopped_in(barrier: &Barrier) -> (Child, &'static std::sync::atomic::AtomicU64) {
    let busy = || matches!(barrier.try_wait(), Err(SyncError::Busy));
    let act = || assert!(matches!(barrier.try_wait(), Err(SyncError::WouldBlock | SyncError::Broken)));
    stop_with_the_lock("a party that tries", act, busy)
}

fn one_that_gave_up_beside_a_stopped_party_does_not_count() {
    let barrier = Barrier::new(3).unwrap();
    let words = shared_words(1);
    let mut quitter = fork("a party that gives up", || {
        let barrier = barrier.clone();
        words[0].store(1, Release);
        let result = gives_up_in_time(20 * SHORT, || barrier.wait_timeout(20 * SHORT));
        assert!(matches!(result, Err(SyncError::Timeout)), "{result:?}");
        assert!(barrier.is_broken(), "the others learn it, whichever has the lock");
    });
    wait_for_count("the party to begin", &words[0], 1);
    wait_for_arrivals(&barrier, 1);
    let (stopped, over) = stopped_in(&barrier);
    quitter.wait_at_most(PATIENCE);
    quitter.expect_success();
    // A party that could not even arrive does not leave the others waiting either.
    assert!(matches!(gives_up_in_time(SHORT, || barrier.wait_timeout(SHORT)), Err(SyncError::Timeout)));
    assert!(matches!(gives_up_in_time(SHORT, || barrier.reset_timeout(SHORT)), Err(SyncError::Timeout)));
    assert!(matches!(barrier.try_reset(), Err(SyncError::Busy)));
    over.store(1, Release);
    stopped.go_on();
    stopped.expect_success();
    expect_broken(&barrier);
}

fn an_abort_reaches_all_beside_a_stopped_party() {
    let barrier = Barrier::new(3).unwrap();
    let waiter = fork("a party that waits", || {
        let barrier = barrier.clone();
        assert!(matches!(barrier.wait(), Err(SyncError::Broken)));
    });
    wait_for_arrivals(&barrier, 1);
    let (stopped, over) = stopped_in(&barrier);
    barrier.abort().unwrap();
    waiter.expect_success();
    over.store(1, Release);
    stopped.go_on();
    stopped.expect_success();
}

fn a_try_breaks_nothing_and_ends_a_phase() {
    let barrier = Barrier::new(2).unwrap();
    assert!(matches!(barrier.try_wait(), Err(SyncError::WouldBlock)));
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    let party = fork("a party", || assert!(!barrier.clone().wait().unwrap().is_leader()));
    wait_for_arrivals(&barrier, 1);
    assert!(barrier.try_wait().unwrap().is_leader());
    party.expect_success();
    barrier.abort().unwrap();
    assert!(matches!(barrier.try_wait(), Err(SyncError::Broken)));
}

fn more_parties_than_may_attach_are_refused() {
    let refused = |result: Result<Barrier, CreateError>, parties: usize, max: u32| match result {
        Err(CreateError::TooManyParties { parties: asked, max_participants }) => {
            assert_eq!((asked, max_participants), (parties, max))
        }
        other => panic!("{other:?}"),
    };
    refused(Barrier::new(251), 251, 250);
    refused(Barrier::create(unique_name("barrier"), 300), 300, 250);
    refused(Barrier::open_or_create(unique_name("barrier"), 300), 300, 250);
    refused(Barrier::builder(3).max_participants(2).create(), 3, 2);
    assert_eq!(Barrier::new(250).unwrap().parties(), 250);
    assert_eq!(Barrier::builder(1023).max_participants(1023).create().unwrap().parties(), 1023);
    let text = Barrier::new(300).unwrap_err().to_string();
    assert!(text.contains("300") && text.contains("250") && text.contains("max_participants(300)"), "{text}");
}
