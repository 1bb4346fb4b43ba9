//! Primitives whose users are all dead, and the next run of the program that had them: each starts
//! anew.

use crate::support::harness::Case;
use crate::support::process::{exit_now, fork, send_signal};
use crate::support::{segment_exists, unique_name};
use shmq::CreateError;
use shmq::inspect::{Inspector, WhyReplaced};
use shmq::sync::{Array, Barrier, Condvar, Event, Lock, LockError, Mutex, ReentrantLock, Semaphore, Value};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_new_life_finds_what_it_asks_for,
        a_new_life_may_ask_for_something_else,
        a_persisted_object_is_found_as_it_was_left,
        an_object_in_use_is_found_as_it_is,
    ]
}

/// A process that uses what `run` returns, and ends without dropping it: by `exit`, or killed.
fn life<R>(by_a_kill: bool, run: impl FnOnce() -> R) {
    let child = fork("an earlier life", || {
        std::mem::forget(run());
        if by_a_kill {
            send_signal(std::process::id() as i32, libc::SIGKILL);
        }
        exit_now(0)
    });
    assert_eq!(child.killed_or_succeeded(), by_a_kill);
}

fn a_new_life_finds_what_it_asks_for() {
    let stem = unique_name("all");
    let name = |what: &str| format!("{stem}-{what}");
    let event = || Event::open_or_create(name("event")).unwrap();
    let semaphore = || Semaphore::open_or_create(name("semaphore"), 2).unwrap();
    let barrier = || Barrier::open_or_create(name("barrier"), 2).unwrap();
    let mutex = || Mutex::open_or_create(name("mutex"), 5u64).unwrap();
    let array = || Array::open_or_create(name("array"), [1u8, 2]).unwrap();
    let value = || Value::open_or_create(name("value"), 7u32).unwrap();
    let condvar = || Condvar::open_or_create(name("condvar")).unwrap();
    let locks = || (Lock::open_or_create(name("lock")).unwrap(), ReentrantLock::open_or_create(name("reentrant")).unwrap());
    // However often it ends without dropping them.
    for by_a_kill in [false, true, false, true] {
        life(by_a_kill, || {
            let (event, semaphore, barrier) = (event(), semaphore(), barrier());
            assert_eq!((event.is_set(), semaphore.value(), barrier.is_broken(), barrier.waiting()), (false, 2, false, 0));
            event.set();
            semaphore.acquire().unwrap();
            std::mem::forget(semaphore.permit().unwrap());
            assert_eq!(semaphore.value(), 0);
            assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err() && barrier.is_broken());
            let (mutex, array, value, condvar) = (mutex(), array(), value(), condvar());
            // The last holder died while it held the lock. This is not reported, since there is
            // nothing left to repair.
            let mut locked = mutex.lock().unwrap();
            assert_eq!(*locked, 5);
            *locked = 6;
            std::mem::forget(locked);
            let mut locked = array.lock().unwrap();
            assert_eq!(*locked, [1, 2]);
            locked[0] = 9;
            std::mem::forget(locked);
            assert_eq!(value.set(8).unwrap(), 7);
            let locks = locks();
            assert!(!locks.0.acquire().unwrap().owner_died && !locks.1.acquire().unwrap().owner_died);
            (event, semaphore, barrier, mutex, array, value, condvar, locks)
        });
    }
    // A process that only opens them finds everything as it was left.
    assert!(Event::open(name("event")).unwrap().is_set());
    life(true, event);
    assert!(matches!(Mutex::<u64>::open(name("mutex")).unwrap().lock(), Err(LockError::OwnerDied(left)) if *left == 6));
    let last = (event(), semaphore(), barrier(), mutex(), array(), value(), condvar(), locks());
    let replaced = |what: &str| Inspector::open(name(what)).unwrap().about().predecessor.map(|it| it.why);
    for what in ["event", "semaphore", "barrier", "array", "value", "condvar", "lock", "reentrant"] {
        assert_eq!(replaced(what), Some(WhyReplaced::UsersDead), "{what}");
    }
    // The mutex was opened, and removed with its only user.
    assert_eq!(replaced("mutex"), None);
    drop(last);
    assert!(!segment_exists(&stem) && !segment_exists(&name("event")));
}

fn a_new_life_may_ask_for_something_else() {
    let name = unique_name("other");
    life(true, || Barrier::open_or_create(&name, 2).unwrap());
    let barrier = Barrier::open_or_create(&name, 3).unwrap();
    assert_eq!((barrier.parties(), barrier.unapplied_options()), (3, &[][..]));
    drop(barrier);
    // Of another kind or type.
    life(true, || Barrier::open_or_create(&name, 2).unwrap());
    life(true, || Mutex::open_or_create(&name, 1u64).unwrap());
    life(true, || Mutex::open_or_create(&name, [1u64, 2]).unwrap());
    assert_eq!(*Array::open_or_create(&name, [7u8]).unwrap().lock().unwrap(), [7]);
}

fn a_persisted_object_is_found_as_it_was_left() {
    let name = unique_name("kept");
    life(true, || {
        let value = Value::open_or_create(&name, 1u64).unwrap();
        value.set(2).unwrap();
        value
    });
    // It takes effect on an existing primitive and on a new one.
    for kept in [1, 1, 1] {
        life(true, || {
            let value = Value::builder(1u64).name(&name).persist(true).open_or_create().unwrap();
            assert_eq!(value.get().unwrap(), kept);
            value
        });
    }
    life(true, || {
        let value = Value::open_or_create(&name, 1u64).unwrap();
        value.set(3).unwrap();
        value
    });
    assert_eq!(Value::open_or_create(&name, 1u64).unwrap().get().unwrap(), 3);
    assert!(matches!(Event::open_or_create(&name), Err(CreateError::Mismatch { .. })));
    Value::<u64>::unlink(&name).unwrap();
}

fn an_object_in_use_is_found_as_it_is() {
    let name = unique_name("used");
    let semaphore = Semaphore::builder(2).name(&name).max_participants(9).create().unwrap();
    semaphore.acquire().unwrap();
    fork("one who comes late", || {
        let late = Semaphore::builder(5).name(&name).max_participants(7).mode(0o600).persist(true).open_or_create().unwrap();
        assert_eq!(late.value(), 1);
        let unapplied: Vec<String> = late.unapplied_options().iter().map(ToString::to_string).collect();
        assert_eq!(unapplied, ["permits: asked for 5, is 2", "max_participants: asked for 7, is 9"]);
        assert!(matches!(Event::open_or_create(&name), Err(CreateError::Mismatch { .. })));
    })
    .expect_success();
    // The late process asked to keep the existing primitive.
    drop(semaphore);
    assert!(segment_exists(&name));
    let kept = Semaphore::open(&name).unwrap();
    assert_eq!(kept.value(), 1);
    Semaphore::unlink(&name).unwrap();
    assert!(!kept.has_name());
}
