//! Processes are killed by SIGKILL, or stopped, while they wait or hold something: the others go
//! on.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, wait_until};
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Array, Barrier, Condvar, Event, LockError, Mutex, Semaphore, SyncError, Value};
use shmq::{Process, Queue, wait_any};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_dead_holder_is_reported_to_every_locker_until_one_repairs,
        a_sleeping_locker_gets_the_lock_of_a_dead_holder,
        a_locker_that_slept_long_gets_the_lock_of_a_dead_holder,
        a_locker_that_dies_before_it_repairs_changes_nothing,
        a_forgotten_guard_is_held_until_its_process_ends,
        a_stopped_holder_is_waited_for_and_not_robbed,
        one_killed_in_an_update_leaves_the_value_as_it_was,
        lockers_killed_asleep_do_not_stop_the_others,
        waiters_for_an_event_killed_asleep_do_not_stop_the_others,
        a_dead_holders_permits_come_back_to_waiters,
        a_dead_holders_permits_come_back_to_callers_that_only_try,
        sleepers_killed_in_a_condvar_never_hang_notifiers,
        a_condvar_reports_that_a_holder_died,
        a_party_killed_after_it_arrived_breaks_the_barrier,
        a_party_killed_before_it_arrives_breaks_the_barrier,
        a_party_killed_and_replaced_at_once_breaks_the_barrier,
        one_that_works_on_in_a_thread_after_its_function_returned_is_not_robbed,
        a_barrier_goes_on_after_a_reset_without_the_dead,
        wait_any_finds_the_lease_of_the_dead_and_the_permit_of_the_dead,
        sleepers_killed_in_wait_any_do_not_stop_the_others,
    ]
}

/// Whatever the dead held is back by then: after about a second, plus the time until the processes
/// that scan for it have run.
const BACK_SOON: Duration = BY_ITSELF;

/// A child that did something and then waits to be killed.
fn victim(what: &'static str, act: impl FnOnce(&dyn Fn())) -> Child {
    let ready = shared_word();
    let child = fork(what, || {
        act(&|| {
            ready.store(1, Release);
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
        panic!("{what} was to be killed");
    });
    wait_for_count(what, ready, 1);
    child
}

fn a_dead_holder_is_reported_to_every_locker_until_one_repairs() {
    let mutex = Mutex::new([1u32, 1]).unwrap();
    for round in 2..6 {
        let holder = victim("a holder", |wait| {
            let mut guard = mutex.lock().unwrap();
            guard[0] = round;
            wait();
        });
        assert!(matches!(mutex.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
        holder.kill();
        for _ in 0..2 {
            assert_eq!(*mutex.try_lock().unwrap_err().into_guard().expect("the news"), [round, round - 1]);
            fork("another", || {
                assert!(matches!(mutex.lock(), Err(LockError::OwnerDied(_))));
                assert!(matches!(mutex.lock_timeout(PATIENCE), Err(LockError::OwnerDied(_))));
            })
            .expect_success();
        }
        let mut guard = mutex.lock().unwrap_err().into_guard().unwrap();
        guard[1] = guard[0];
        guard.mark_repaired();
        drop(guard);
        fork("another", || assert_eq!(*mutex.lock().unwrap(), [round; 2])).expect_success();
    }
}

/// A holder dies after a locker has slept for `slept`.
fn dies_before_a_sleeper(slept: Duration) {
    let array = Array::<u32>::new([0; 4]).unwrap();
    let holder = victim("a holder", |wait| {
        let mut guard = array.lock().unwrap();
        guard[0] = 1;
        wait();
    });
    let mut locker = fork("a locker", || {
        let Err(LockError::OwnerDied(mut guard)) = array.lock() else { panic!("no news") };
        guard.fill(1);
        guard.mark_repaired();
    });
    locker.wait_until_asleep();
    let since = Instant::now();
    wait_until("the locker to have slept", || since.elapsed() >= slept, String::new);
    holder.kill();
    let started = Instant::now();
    locker.expect_success_within(BACK_SOON);
    eprintln!("taken over after {:?}", started.elapsed());
    assert_eq!(*array.lock().unwrap(), [1; 4]);
}

fn a_sleeping_locker_gets_the_lock_of_a_dead_holder() {
    (0..5).for_each(|_| dies_before_a_sleeper(Duration::ZERO));
}

fn a_locker_that_slept_long_gets_the_lock_of_a_dead_holder() {
    dies_before_a_sleeper(Duration::from_millis(400));
}

fn a_locker_that_dies_before_it_repairs_changes_nothing() {
    let mutex = Mutex::new(0u32).unwrap();
    for _ in 0..5 {
        victim("a holder", |wait| {
            let _guard = mutex.lock();
            wait();
        })
        .kill();
    }
    let mut guard = mutex.lock().unwrap_err().into_guard().expect("the news");
    guard.mark_repaired();
    drop(guard);
    assert!(mutex.lock().is_ok());
}

fn a_forgotten_guard_is_held_until_its_process_ends() {
    let mutex = Mutex::new(0u32).unwrap();
    let forgetful = victim("a forgetful one", |wait| {
        std::mem::forget(mutex.lock().unwrap());
        wait();
    });
    assert!(mutex.lock_timeout(SHORT).is_err_and(|error| error.into_guard().is_none()));
    forgetful.kill();
    assert!(matches!(mutex.lock(), Err(LockError::OwnerDied(_))));
}

fn a_stopped_holder_is_waited_for_and_not_robbed() {
    let mutex = Mutex::new(5u32).unwrap();
    let (mut holder, go_on) = crate::holder("a holder", |wait| {
        let mut guard = mutex.lock().unwrap();
        wait();
        *guard += 1;
    });
    holder.stop();
    let refused = gives_up_in_time(10 * SHORT, || mutex.lock_timeout(10 * SHORT));
    assert!(matches!(refused, Err(LockError::Failed(SyncError::Timeout))));
    assert!(matches!(mutex.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
    holder.go_on();
    go_on.store(1, Release);
    assert_eq!(*mutex.lock_timeout(PATIENCE).unwrap(), 6);
    holder.expect_success();
}

fn one_killed_in_an_update_leaves_the_value_as_it_was() {
    let value = Value::new([1u64; 50]).unwrap();
    for round in 1..5 {
        let updater = victim("an updater", |wait| {
            let _ = value.update(|words| {
                words.fill(99);
                wait();
            });
        });
        updater.kill();
        assert_eq!(value.get().unwrap(), [round; 50]);
        value.update(|words| words.iter_mut().for_each(|word| *word += 1)).unwrap();
    }
}

fn lockers_killed_asleep_do_not_stop_the_others() {
    let mutex = Mutex::new(0u32).unwrap();
    for round in 0..5 {
        let guard = mutex.lock().unwrap();
        let mut killed: Vec<Child> = (0..3).map(|_| fork("a locker to be killed", || drop(mutex.lock()))).collect();
        let mut survivor = fork("a locker that lives", || *mutex.lock().unwrap() += 1);
        killed.iter_mut().for_each(Child::wait_until_asleep);
        survivor.wait_until_asleep();
        killed.into_iter().for_each(Child::kill);
        assert_eq!(*guard, round);
        drop(guard);
        survivor.expect_success_within(BACK_SOON);
    }
}

fn waiters_for_an_event_killed_asleep_do_not_stop_the_others() {
    let event = Event::new().unwrap();
    for _ in 0..8 {
        let mut killed: Vec<Child> = (0..3).map(|_| fork("a waiter to be killed", || drop(event.wait()))).collect();
        let mut survivor = fork("a waiter that lives", || event.wait().unwrap());
        killed.iter_mut().for_each(Child::wait_until_asleep);
        survivor.wait_until_asleep();
        killed.into_iter().for_each(Child::kill);
        event.set();
        survivor.expect_success_within(BACK_SOON);
        event.clear();
    }
}

fn a_dead_holders_permits_come_back_to_waiters() {
    let semaphore = Semaphore::new(3).unwrap();
    for _ in 0..5 {
        let holder = victim("a holder", |wait| {
            let _permits = (semaphore.permit().unwrap(), semaphore.permit().unwrap(), semaphore.permit().unwrap());
            wait();
        });
        let mut waiters: Vec<Child> = (0..3).map(|_| fork("a waiter", || drop(semaphore.permit().unwrap()))).collect();
        waiters.iter_mut().for_each(Child::wait_until_asleep);
        holder.kill();
        let started = Instant::now();
        waiters.into_iter().for_each(|waiter| waiter.expect_success_within(BACK_SOON));
        eprintln!("back after {:?}", started.elapsed());
        assert_eq!(semaphore.value(), 3);
    }
}

fn a_dead_holders_permits_come_back_to_callers_that_only_try() {
    let semaphore = Semaphore::new(2).unwrap();
    let holder = victim("a holder", |wait| {
        let _permit = semaphore.permit().unwrap();
        semaphore.acquire().unwrap();
        wait();
    });
    assert!(matches!(semaphore.try_permit(), Err(SyncError::WouldBlock)));
    holder.kill();
    let mut permit = None;
    wait_until("a permit", || permit.is_some() || semaphore.try_permit().map(|got| permit = Some(got)).is_ok(), String::new);
    // The permits that it acquired without a guard are not returned.
    assert!(matches!(semaphore.permit_timeout(10 * SHORT), Err(SyncError::Timeout)));
    drop(permit);
    semaphore.release().unwrap();
    assert_eq!(semaphore.value(), 2);
}

fn sleepers_killed_in_a_condvar_never_hang_notifiers() {
    // glibc's condition variable hangs its notifiers for ever here.
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    for round in 0..6 {
        let wait = || drop(condvar.wait_while(mutex.lock().unwrap(), |now| *now == round).unwrap());
        // A child that sleeps in the condvar, not on the mutex, most of the time; either will do.
        // If it is killed while it holds the mutex, as happens right after a probe, the waits of
        // the others end with `OwnerDied`.
        let wait_or_hear = || match mutex.lock() {
            Ok(guard) => drop(condvar.wait_while(guard, |now| *now == round)),
            Err(error) => assert!(matches!(error, LockError::OwnerDied(_)), "{error}"),
        };
        let mut killed: Vec<Child> = (0..3).map(|_| fork("a sleeper to be killed", wait_or_hear)).collect();
        killed.iter_mut().for_each(Child::wait_until_asleep);
        let killed = killed.into_iter().map(Child::kill_if_running).filter(|&killed| killed).count();
        assert!(killed > 0, "the first to be killed hears of no death before");
        if let Err(LockError::OwnerDied(mut guard)) = mutex.lock() {
            guard.mark_repaired();
        }
        let mut survivor = fork("a sleeper that lives", wait);
        survivor.wait_until_asleep();
        for _ in 0..20 {
            condvar.notify_one();
            condvar.notify_all();
        }
        *mutex.lock().unwrap() = round + 1;
        condvar.notify_one();
        survivor.expect_success_within(BACK_SOON);
    }
}

fn a_condvar_reports_that_a_holder_died() {
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let mut waiter = fork("a waiter", || {
        let waited = condvar.wait_while(mutex.lock().unwrap(), |now| *now < 2);
        assert!(matches!(waited, Err(LockError::OwnerDied(_))));
    });
    waiter.wait_until_asleep();
    let holder = victim("a holder", |wait| {
        *mutex.lock().unwrap() = 1;
        let _guard = mutex.lock().unwrap();
        wait();
    });
    holder.kill();
    // There is no notification: the waiter probes again by itself.
    waiter.expect_success_within(BACK_SOON);
}

fn a_party_killed_after_it_arrived_breaks_the_barrier() {
    for _ in 0..3 {
        let barrier = Barrier::new(3).unwrap();
        let mut killed = fork("a party to be killed", || drop(barrier.wait()));
        let mut survivor = fork("a party that lives", || assert!(matches!(barrier.wait(), Err(SyncError::Broken))));
        killed.wait_until_asleep();
        survivor.wait_until_asleep();
        killed.kill();
        survivor.expect_success_within(BACK_SOON);
        assert!(barrier.is_broken());
        assert!(matches!(barrier.wait(), Err(SyncError::Broken)));
    }
}

fn a_party_killed_before_it_arrives_breaks_the_barrier() {
    let barrier = Barrier::new(2).unwrap();
    let killed = victim("a party on its way", |wait| {
        let own = Barrier::open(barrier.name()).unwrap();
        assert_eq!(own.parties(), 2);
        wait();
    });
    let mut survivor = fork("a party that lives", || assert!(matches!(barrier.wait(), Err(SyncError::Broken))));
    survivor.wait_until_asleep();
    killed.kill();
    survivor.expect_success_within(BACK_SOON);
}

fn a_party_killed_and_replaced_at_once_breaks_the_barrier() {
    let barrier = Barrier::new(3).unwrap();
    let killed = victim("a party on its way", |wait| {
        let own = Barrier::open(barrier.name()).unwrap();
        assert_eq!(own.parties(), 3);
        wait();
    });
    let mut survivor = fork("a party that lives", || assert!(matches!(barrier.wait_timeout(PATIENCE), Err(SyncError::Broken))));
    survivor.wait_until_asleep();
    survivor.stop();
    killed.kill();
    // The entry of the dead party is taken before any process could have scanned it.
    let (replacement, go_on) = crate::holder("another party", |wait| {
        let _own = Barrier::open(barrier.name()).unwrap();
        wait();
    });
    survivor.go_on();
    survivor.expect_success_within(BACK_SOON);
    go_on.store(1, Release);
    replacement.expect_success();
    barrier.reset().unwrap();
    assert!(matches!(barrier.wait_timeout(10 * SHORT), Err(SyncError::Timeout)), "the dead are forgotten");
}

/// A full stream, to which nothing more can be written. Returns its ends, for reading and for
/// writing.
fn full_stream() -> (UnixStream, UnixStream) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b' '; 4096]).is_ok() {}
    while writer.write(b" ").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader, writer)
}

fn one_that_works_on_in_a_thread_after_its_function_returned_is_not_robbed() {
    let mutex = Mutex::new(0u64).unwrap();
    let (mut reader, writer) = full_stream();
    let returned = shared_word();
    let child = Process::spawn(|| {
        // SAFETY: both descriptors are open; no other code writes to this process's standard
        // output.
        assert_ne!(unsafe { libc::dup2(writer.as_raw_fd(), 1) }, -1);
        std::io::stdout().write_all(b"does not fit, and is flushed last").unwrap();
        let locked = Arc::new(std::sync::Barrier::new(2));
        let at_work = {
            let (mutex, locked) = (&mutex, locked.clone());
            move || {
                let mut guard = mutex.lock().unwrap();
                locked.wait();
                loop {
                    *guard += 1;
                }
            }
        };
        // SAFETY: what the thread borrows is never dropped: this process ends without unwinding.
        let thread = unsafe { std::thread::Builder::new().spawn_unchecked(at_work) };
        std::mem::forget(thread.unwrap());
        locked.wait();
        returned.store(1, Release);
    })
    .unwrap();
    wait_for_count("the function to return", returned, 1);
    // The child cannot end before its output is read.
    let robbed = gives_up_in_time(10 * SHORT, || mutex.lock_timeout(10 * SHORT));
    assert!(matches!(robbed, Err(LockError::Failed(SyncError::Timeout))), "its thread is still at work: {robbed:?}");
    drop(robbed);
    drop(writer);
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert!(child.join().unwrap().success());
    assert!(matches!(mutex.lock(), Err(LockError::OwnerDied(_))));
}

fn a_barrier_goes_on_after_a_reset_without_the_dead() {
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..3 {
        let mut killed = fork("a party to be killed", || drop(barrier.wait()));
        killed.wait_until_asleep();
        killed.kill();
        // Either the dead party had arrived, so this process is the second and last, or its death
        // was noticed. Both are sound.
        let _ = barrier.wait();
        barrier.reset().unwrap();
        let partner = fork("a partner", {
            let barrier = barrier.clone();
            move || (0..50).for_each(|_| assert!(barrier.wait().is_ok()))
        });
        (0..50).for_each(|_| assert!(barrier.wait().is_ok()));
        partner.expect_success();
    }
}

fn wait_any_finds_the_lease_of_the_dead_and_the_permit_of_the_dead() {
    let (queue, semaphore, event) = (Queue::<u32>::new(4).unwrap(), Semaphore::new(1).unwrap(), Event::new().unwrap());
    queue.put(&7).unwrap();
    let holder = victim("a holder of a lease", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let mut sleeper = fork("a sleeper", || {
        assert_eq!(wait_any(&[&event, &queue], Instant::now() + PATIENCE), Ok(1));
        assert_eq!(queue.try_get().unwrap(), 7);
    });
    sleeper.wait_until_asleep();
    holder.kill();
    sleeper.expect_success_within(BACK_SOON);
    let holder = victim("a holder of a permit", |wait| {
        let _permit = semaphore.permit().unwrap();
        wait();
    });
    let mut sleeper = fork("a sleeper", || assert_eq!(wait_any(&[&event, &semaphore], Instant::now() + PATIENCE), Ok(1)));
    sleeper.wait_until_asleep();
    holder.kill();
    sleeper.expect_success_within(BACK_SOON);
}

fn sleepers_killed_in_wait_any_do_not_stop_the_others() {
    let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
    for _ in 0..5 {
        let mut killed: Vec<Child> =
            (0..3).map(|_| fork("a sleeper to be killed", || assert!(wait_any(&[&queue, &event], None).is_err()))).collect();
        let mut survivor = fork("a sleeper that lives", || {
            assert_eq!(wait_any(&[&queue, &event], Instant::now() + PATIENCE), Ok(0));
            queue.get().unwrap();
        });
        killed.iter_mut().for_each(Child::wait_until_asleep);
        survivor.wait_until_asleep();
        killed.into_iter().for_each(Child::kill);
        queue.put(&1).unwrap();
        survivor.expect_success_within(BACK_SOON);
    }
    let getters: Vec<Child> = (0..2).map(|_| fork("a getter", || assert!(queue.get_timeout(PATIENCE).is_ok()))).collect();
    queue.put_slice(&[1, 2]).unwrap();
    expect_all_succeed(getters);
}
