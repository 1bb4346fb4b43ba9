//! Guards that keep their primitive by themselves, and leaving a primitive for certain.

#[cfg(not(shmq_portable_sync))]
use crate::support::BY_ITSELF;
use crate::support::harness::Case;
use crate::support::process::fork;
#[cfg(not(shmq_portable_sync))]
use crate::support::process::{Exit, fork_with_code};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{PATIENCE, segment_exists};
use crate::{SHORT, gives_up_in_time, holder};
use shmq::inspect::Inspector;
#[cfg(not(shmq_portable_sync))]
use shmq::sync::MutexGuard;
use shmq::sync::{
    Array, Barrier, Condvar, Event, Lock, LockError, Mutex, Permit, Pipe, ReentrantLock, Semaphore, SyncError, Value,
};
use shmq::{DetachError, Stop};
use std::cell::RefCell;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_owned_permit_outlives_its_handle_in_another_thread,
        an_owned_guard_unlocks_from_another_thread,
        owned_forms_wait_and_give_up,
        an_owned_guard_waits_on_a_condition_variable,
        a_panic_in_another_thread_that_has_the_guard_is_reported,
        inherited_owned_guards_are_inert,
        #[cfg(not(shmq_portable_sync))]
        owned_guards_of_a_killed_process_come_back,
        the_last_owned_guard_leaves,
        every_primitive_leaves_for_certain,
        permits_and_locks_are_in_the_way,
        a_pipe_leaves_both_queues_or_none,
    ]
}

fn attached(name: &str) -> usize {
    let seen = Inspector::open(name).expect("a segment of ours").snapshot();
    seen.participants.iter().filter(|participant| participant.pid == std::process::id()).count()
}

fn refused<H>(result: Result<(), DetachError<H>>) -> (H, String) {
    let error = result.expect_err("something is in the way");
    let in_use = error.in_use().to_string();
    (error.into_handle(), in_use)
}

fn an_owned_permit_outlives_its_handle_in_another_thread() {
    let semaphore = Semaphore::new(2).unwrap();
    let own = Semaphore::open(semaphore.name()).unwrap();
    let (first, second): (Permit<'static>, Permit<'static>) = (own.permit_owned().unwrap(), own.try_permit_owned().unwrap());
    drop(own);
    assert!(matches!(semaphore.try_permit_owned(), Err(SyncError::WouldBlock)));
    let taker = start_and_wait_until_asleep("a taker", {
        let semaphore = semaphore.clone();
        move || semaphore.permit_owned_timeout(PATIENCE).map(drop)
    });
    std::thread::spawn(move || drop(first)).join().unwrap();
    taker.join().unwrap();
    second.forget().unwrap();
    assert_eq!(semaphore.value(), 1);
    assert_eq!(attached(semaphore.name()), 1, "a forgotten permit keeps nothing");
}

#[cfg(not(shmq_portable_sync))]
fn an_owned_guard_unlocks_from_another_thread() {
    let mutex = Mutex::new(1u64).unwrap();
    let mut guard = Mutex::<u64>::open(mutex.name()).unwrap().lock_owned().unwrap();
    let locker = start_and_wait_until_asleep("a locker", {
        let mutex = mutex.clone();
        move || *mutex.lock_timeout(PATIENCE).unwrap()
    });
    std::thread::spawn(move || {
        *guard += 1;
        drop(guard);
    })
    .join()
    .unwrap();
    assert_eq!(locker.join(), 2);
    assert_eq!(attached(mutex.name()), 1);

    let array = Array::<u32>::new([1, 2, 3]).unwrap();
    let mut guard: MutexGuard<'static, [u32]> = array.lock_owned().unwrap();
    let name = array.name().to_owned();
    drop(array);
    std::thread::spawn(move || guard.reverse()).join().unwrap();
    assert!(!segment_exists(&name), "it was the last");
}

/// Their locks belong to threads.
#[cfg(shmq_portable_sync)]
fn an_owned_guard_unlocks_from_another_thread() {}

fn owned_forms_wait_and_give_up() {
    let (mutex, array, semaphore) = (Mutex::new(1u64).unwrap(), Array::<u8>::new([1]).unwrap(), Semaphore::new(1).unwrap());
    let (child, go_on) = holder("a holder", |wait| {
        let _held = (mutex.lock_owned().unwrap(), array.lock_owned().unwrap(), semaphore.permit_owned().unwrap());
        wait();
    });
    let deadline = || std::time::Instant::now() + SHORT;
    let timed_out = |error| matches!(error, Some(SyncError::Timeout));
    fn failed<G>(locked: Result<G, LockError<G>>) -> Option<SyncError> {
        if let Err(LockError::Failed(error)) = locked { Some(error) } else { None }
    }
    assert!(timed_out(failed(gives_up_in_time(SHORT, || mutex.lock_owned_timeout(SHORT)))));
    assert!(timed_out(failed(gives_up_in_time(SHORT, || mutex.lock_owned_deadline(deadline())))));
    assert!(timed_out(failed(gives_up_in_time(SHORT, || array.lock_owned_timeout(SHORT)))));
    assert!(timed_out(failed(gives_up_in_time(SHORT, || array.lock_owned_deadline(deadline())))));
    assert!(timed_out(gives_up_in_time(SHORT, || semaphore.permit_owned_timeout(SHORT)).err()));
    assert!(timed_out(gives_up_in_time(SHORT, || semaphore.permit_owned_deadline(deadline())).err()));
    assert!(matches!(failed(mutex.try_lock_owned()), Some(SyncError::WouldBlock)));
    go_on.store(1, Release);
    child.expect_success();
    drop((mutex.lock_owned_timeout(PATIENCE).unwrap(), array.try_lock_owned().unwrap()));
    drop(semaphore.permit_owned_timeout(PATIENCE).unwrap());
}

fn an_owned_guard_waits_on_a_condition_variable() {
    let (mutex, condvar) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    let other = Mutex::<u64>::open(mutex.name()).unwrap();
    let waiter = start_and_wait_until_asleep("a waiter with an owned guard", {
        let (mutex, condvar) = (mutex.clone(), condvar.clone());
        move || {
            let guard = mutex.lock_owned().unwrap();
            drop(mutex);
            *condvar.wait_while(guard, |count| *count == 0).unwrap()
        }
    });
    *other.lock().unwrap() = 3;
    condvar.notify_all();
    assert_eq!(waiter.join(), 3);
    mutex.detach().unwrap(); // the waiter's guard is gone
}

#[cfg(not(shmq_portable_sync))]
fn a_panic_in_another_thread_that_has_the_guard_is_reported() {
    let mutex = Mutex::new(1u64).unwrap();
    let guard = mutex.lock_owned().unwrap();
    let panicked = std::thread::spawn(move || {
        let _guard = guard;
        panic!("of the test's own");
    });
    assert!(panicked.join().is_err());
    let Err(LockError::OwnerDied(mut guard)) = mutex.lock_owned() else { panic!("not reported") };
    guard.mark_repaired();
    drop(guard);
    assert!(mutex.lock().is_ok());
}

#[cfg(shmq_portable_sync)]
fn a_panic_in_another_thread_that_has_the_guard_is_reported() {}

fn inherited_owned_guards_are_inert() {
    let (mutex, semaphore) = (Mutex::new(7u64).unwrap(), Semaphore::new(1).unwrap());
    let guard = RefCell::new(Some(mutex.lock_owned().unwrap()));
    let permit = RefCell::new(Some(semaphore.permit_owned().unwrap()));
    fork("a child with copies of the guards", || {
        let guard = guard.take().unwrap();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| *guard)).is_err());
        drop((guard, permit.take()));
        assert!(mutex.try_lock().is_err() && semaphore.try_permit().is_err());
    })
    .expect_success();
    fork("a child that forgets a permit of its parent's", || {
        assert!(matches!(permit.take().unwrap().forget(), Err(SyncError::Inherited)));
    })
    .expect_success();
    assert!(mutex.try_lock().is_err() && semaphore.try_permit().is_err());
    assert_eq!(**guard.borrow().as_ref().unwrap(), 7);
    drop((guard, permit));
    assert!(mutex.try_lock().is_ok() && semaphore.try_permit().is_ok());
}

#[cfg(not(shmq_portable_sync))]
fn owned_guards_of_a_killed_process_come_back() {
    let (mutex, semaphore) = (Mutex::new(7u64).unwrap(), Semaphore::new(1).unwrap());
    let (child, _go_on) = holder("a holder of owned guards", |wait| {
        let (own, gate) = (Mutex::<u64>::open(mutex.name()).unwrap(), Semaphore::open(semaphore.name()).unwrap());
        let _held = (own.lock_owned().unwrap(), gate.permit_owned().unwrap());
        drop((own, gate));
        wait();
    });
    assert!(semaphore.try_permit().is_err());
    child.kill();
    drop(semaphore.permit_timeout(BY_ITSELF).unwrap());
    assert!(matches!(mutex.lock_owned_timeout(BY_ITSELF), Err(LockError::OwnerDied(_))));
}

fn the_last_owned_guard_leaves() {
    let (mutex, semaphore) = (Mutex::new(7u64).unwrap(), Semaphore::new(1).unwrap());
    let names = [mutex.name().to_owned(), semaphore.name().to_owned()];
    let held = (mutex.lock_owned().unwrap(), semaphore.permit_owned().unwrap());
    drop((mutex, semaphore));
    names.iter().for_each(|name| assert_eq!(attached(name), 1));
    drop(held);
    names.iter().for_each(|name| assert!(!segment_exists(name)));
}

fn every_primitive_leaves_for_certain() {
    fn check<H: Clone>(handle: H, name: &str, detach: impl Fn(H) -> Result<(), DetachError<H>>, viewed: impl Fn(&H) -> H) {
        let name = name.to_owned();
        let second = handle.clone();
        let (handle, in_use) = refused(detach(handle));
        assert_eq!(in_use, "1 other handle");
        let view = viewed(&second);
        drop(second);
        let (handle, in_use) = refused(detach(handle));
        assert_eq!(in_use, "1 other handle");
        drop(handle);
        assert_eq!(attached(&name), 1);
        assert!(detach(view).is_ok(), "a handle with a stop, the last one");
        assert!(!segment_exists(&name));
    }
    macro_rules! leaves {
        ($handle:expr, $type:ty) => {{
            let handle: $type = $handle.unwrap();
            let name = handle.name().to_owned();
            check(handle, &name, <$type>::detach, |handle| handle.with_stop(&Stop::new()));
        }};
    }
    leaves!(Mutex::new(1u64), Mutex<u64>);
    leaves!(Array::<u8>::new([1, 2]), Array<u8>);
    leaves!(Value::new(1u64), Value<u64>);
    leaves!(Event::new(), Event);
    leaves!(Semaphore::new(1), Semaphore);
    leaves!(Condvar::new(), Condvar);
    leaves!(Barrier::new(2), Barrier);
    leaves!(Lock::new(), Lock);
    leaves!(ReentrantLock::new(), ReentrantLock);
}

fn permits_and_locks_are_in_the_way() {
    let semaphore = Semaphore::new(3).unwrap();
    let permit = semaphore.permit_owned().unwrap();
    std::mem::forget(semaphore.permit().unwrap());
    semaphore.acquire().unwrap(); // for good: that is no guard
    let (semaphore, in_use) = refused(semaphore.detach());
    assert_eq!(in_use, "1 owned guard, 2 permits");
    drop(permit);
    let (semaphore, in_use) = refused(semaphore.detach());
    assert_eq!(in_use, "1 permit");
    let peer = Semaphore::open(semaphore.name()).unwrap();
    let semaphore = RefCell::new(Some(semaphore));
    fork("a child, which has none", || semaphore.take().unwrap().detach().unwrap()).expect_success();
    assert_eq!(peer.value(), 1, "those of the parent are the parent's");

    let mutex = Mutex::new(1u64).unwrap();
    let guard = mutex.lock_owned().unwrap();
    let (mutex, in_use) = refused(mutex.detach());
    assert_eq!(in_use, "1 owned guard, 1 lock that is held");
    drop(guard);
    std::mem::forget(mutex.lock().unwrap());
    let (mutex, in_use) = refused(mutex.detach());
    assert_eq!(in_use, "1 lock that is held");
    drop(mutex);

    // Held without a guard, or by another thread.
    let lock = Lock::new().unwrap();
    lock.acquire().unwrap();
    let (lock, in_use) = refused(lock.detach());
    assert_eq!(in_use, "1 lock that is held");
    lock.release().unwrap();
    lock.detach().unwrap();
    let lock = ReentrantLock::new().unwrap();
    std::thread::scope(|threads| threads.spawn(|| std::mem::forget(lock.lock().unwrap())).join().unwrap());
    let (lock, in_use) = refused(lock.detach());
    assert_eq!(in_use, "1 lock that is held");
    drop(lock);

    // Forgotten by a handle that is gone.
    #[cfg(not(shmq_portable_sync))]
    {
        let array = Array::<u8>::new([1]).unwrap();
        std::mem::forget(array.with_stop(&Stop::new()).lock().unwrap());
        let (array, in_use) = refused(array.detach());
        assert_eq!(in_use, "1 lock that is held");
        let peer = Array::<u8>::open(array.name()).unwrap();
        let mut died = fork_with_code("a child that locks", || {
            i32::from(matches!(peer.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))))
        });
        assert_eq!(died.wait(), Exit::Code(1));
        drop(array);
        assert!(matches!(peer.lock_timeout(BY_ITSELF), Err(LockError::OwnerDied(_))));
    }
}

fn a_pipe_leaves_both_queues_or_none() {
    let (here, there) = Pipe::<u64, u64>::new(4).unwrap();
    let names = [here.outgoing().name().to_owned(), here.incoming().name().to_owned()];
    let (here, in_use) = refused(here.detach());
    assert_eq!(in_use, "2 other handles");
    let one_way = there.outgoing().clone();
    drop(there);
    let (here, in_use) = refused(here.detach());
    assert_eq!(in_use, "1 other handle");
    one_way.put(&1).unwrap();
    assert_eq!(here.get().unwrap(), 1, "both are attached still");
    here.put(&2).unwrap();
    drop(one_way);
    here.detach().unwrap();
    names.iter().for_each(|name| assert!(!segment_exists(name)));
}
