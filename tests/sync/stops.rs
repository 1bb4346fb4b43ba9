//! Next to a process that was stopped (`SIGSTOP`) in the middle of its work: a call with a deadline
//! keeps it, and a call that gives something back does not wait.

use crate::support::harness::{Case, skip};
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, Rng};
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Semaphore, SyncError, Value};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![each_form_of_a_values_verbs_beside_a_stopped_update, permits_are_given_back_beside_a_stopped_taker,]
}

/// How long a child is stopped again and again until it holds the lock.
const STOPS: Duration = Duration::from_secs(30);

/// A child that repeats `act`, which locks for a moment, until the word is set. It was stopped
/// while it held the lock, as `is_busy` reports. If chance never stops it there, there is nothing
/// to test.
pub fn stop_with_the_lock(what: &'static str, act: impl Fn(), is_busy: impl Fn() -> bool) -> (Child, &'static AtomicU64) {
    let words = crate::support::process::shared_words(2);
    let (over, begun) = (&words[0], &words[1]);
    let mut child = fork(what, || {
        while over.load(Acquire) == 0 {
            act();
            begun.store(1, Release);
        }
    });
    wait_for_count(what, begun, 1);
    let began = Instant::now();
    let mut rng = Rng::new(what);
    while began.elapsed() < STOPS {
        child.stop();
        if is_busy() {
            return (child, over);
        }
        child.go_on();
        // So that it is stopped in another place than the last time.
        (0..rng.below(2_000)).for_each(|_| std::hint::spin_loop());
    }
    skip(&format!("{what}: stopped for {STOPS:?}, and never with the lock"))
}

/// The forms of one verb: immediately, with a timeout, with a deadline.
fn expect_refusals<R>(
    attempt: impl Fn() -> Result<R, SyncError>,
    after: impl Fn(Duration) -> Result<R, SyncError>,
    at: impl Fn(Instant) -> Result<R, SyncError>,
) {
    assert!(attempt().err().unwrap().is_would_block());
    for timeout in [Duration::ZERO, SHORT, 5 * SHORT] {
        assert!(gives_up_in_time(timeout, || after(timeout)).err().unwrap().is_timeout());
        assert!(gives_up_in_time(timeout, || at(Instant::now() + timeout)).err().unwrap().is_timeout());
    }
}

fn each_form_of_a_values_verbs_beside_a_stopped_update() {
    let value = Value::new([1u64; 3]).unwrap();
    let mut updater = fork("one that is stopped in an update", || {
        let stops = value.update(|words| {
            words[0] = 2;
            // SAFETY: raise takes a number; SIGSTOP stops this process until it is continued.
            unsafe { libc::raise(libc::SIGSTOP) };
            words[1] = 2;
        });
        assert_eq!(stops.unwrap(), [2, 2, 1]);
    });
    assert!(updater.wait_for_stop());
    expect_refusals(|| value.try_get(), |timeout| value.get_timeout(timeout), |deadline| value.get_deadline(deadline));
    expect_refusals(
        || value.try_set([9; 3]),
        |timeout| value.set_timeout([9; 3], timeout),
        |deadline| value.set_deadline([9; 3], deadline),
    );
    let never = |_: &mut [u64; 3]| panic!("it is not called");
    expect_refusals(
        || value.try_update(never),
        |timeout| value.update_timeout(never, timeout),
        |deadline| value.update_deadline(never, deadline),
    );
    updater.go_on();
    assert_eq!(value.get_timeout(PATIENCE).unwrap(), [2, 2, 1]);
    updater.expect_success();
    assert_eq!(value.try_set([3; 3]).unwrap(), [2, 2, 1]);
    assert_eq!(value.try_update(|words| words[2] += 1).unwrap(), [3, 3, 4]);
    assert_eq!(value.set_timeout([5; 3], PATIENCE).unwrap(), [3, 3, 4]);
    assert_eq!(value.update_deadline(|words| words[0] += 1, Instant::now() + PATIENCE).unwrap(), [6, 5, 5]);
    assert_eq!(value.try_get().unwrap(), [6, 5, 5]);
}

fn permits_are_given_back_beside_a_stopped_taker() {
    let semaphore = Semaphore::new(4).unwrap();
    let (first, second) = (semaphore.permit().unwrap(), semaphore.permit().unwrap());
    let busy = || match semaphore.try_permit() {
        Ok(permit) => {
            drop(permit);
            false
        }
        Err(error) => matches!(error, SyncError::Busy),
    };
    let (stopped, over) = stop_with_the_lock("one that takes permits", || drop(semaphore.permit().unwrap()), busy);
    let done = shared_word();
    let giver = fork("one that gives back", || {
        semaphore.release().unwrap();
        semaphore.release_many(2).unwrap();
        done.store(1, Release);
    });
    giver.expect_success();
    assert_eq!(done.load(Acquire), 1);
    drop(first);
    second.forget().unwrap();
    for timeout in [Duration::ZERO, SHORT] {
        let taken = gives_up_in_time(timeout, || semaphore.acquire_timeout(timeout));
        assert!(taken.unwrap_err().is_timeout());
    }
    assert!(matches!(semaphore.try_acquire(), Err(SyncError::Busy)));
    over.store(1, Release);
    stopped.go_on();
    stopped.expect_success();
    // Four, three released, one forgotten.
    assert_eq!(semaphore.value(), 6);
    (0..6).for_each(|_| semaphore.acquire_timeout(PATIENCE).unwrap());
    assert!(semaphore.try_acquire().unwrap_err().is_would_block());
}
