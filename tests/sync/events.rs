//! Events.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork};
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Event, SyncError};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        setting_releases_all_waiters,
        set_and_cleared_at_once_it_still_releases_all_waiters,
        a_cleared_event_is_waited_for_again,
        waiting_gives_up_in_time_and_never_early,
        a_child_that_only_sets_it_wakes_the_waiter,
        sets_are_never_lost_on_the_way_to_sleep,
    ]
}

fn waiters(event: &Event, count: usize) -> Vec<Child> {
    let mut waiters: Vec<Child> = (0..count).map(|_| fork("a waiter", || event.wait().unwrap())).collect();
    waiters.iter_mut().for_each(Child::wait_until_asleep);
    waiters
}

fn setting_releases_all_waiters() {
    let event = Event::new().unwrap();
    let all = waiters(&event, 4);
    assert!(!event.is_set());
    event.set();
    event.set();
    expect_all_succeed(all);
    assert!(event.is_set());
    event.wait().unwrap();
    event.wait_timeout(Duration::ZERO).unwrap();
}

fn set_and_cleared_at_once_it_still_releases_all_waiters() {
    let event = Event::new().unwrap();
    for _ in 0..10 {
        let all = waiters(&event, 3);
        event.set();
        event.clear();
        expect_all_succeed(all);
        assert!(!event.is_set());
    }
}

fn a_cleared_event_is_waited_for_again() {
    let event = Event::new().unwrap();
    event.set();
    event.clear();
    event.clear();
    assert!(matches!(event.wait_timeout(SHORT), Err(SyncError::Timeout)));
    let all = waiters(&event, 1);
    event.set();
    expect_all_succeed(all);
}

fn waiting_gives_up_in_time_and_never_early() {
    let event = Event::new().unwrap();
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(250)] {
        let result = gives_up_in_time(timeout, || event.wait_timeout(timeout));
        assert!(matches!(result, Err(SyncError::Timeout)));
        let result = gives_up_in_time(timeout, || event.wait_deadline(Instant::now() + timeout));
        assert!(matches!(result, Err(SyncError::Timeout)));
    }
    assert!(event.wait_deadline(Instant::now() - SHORT).is_err());
}

fn a_child_that_only_sets_it_wakes_the_waiter() {
    let event = Event::new().unwrap();
    for _ in 0..20 {
        let all = waiters(&event, 1);
        fork("a setter", || event.set()).expect_success();
        expect_all_succeed(all);
        event.clear();
    }
}

fn sets_are_never_lost_on_the_way_to_sleep() {
    const ROUNDS: u64 = 5_000;
    let (ping, pong) = (Event::new().unwrap(), Event::new().unwrap());
    let partner = fork("a partner", || {
        for _ in 0..ROUNDS {
            ping.wait().unwrap();
            ping.clear();
            pong.set();
        }
    });
    for _ in 0..ROUNDS {
        ping.set();
        pong.wait().unwrap();
        pong.clear();
    }
    partner.expect_success();
}
