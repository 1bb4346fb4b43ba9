//! `Stop` on the primitives and in `wait_any`: a blocked call ends when a signal handler sets it.

use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use crate::support::signals::stop_by_sigint;
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE};
#[cfg(not(shmq_portable_sync))]
use shmq::sync::{Array, Value};
use shmq::sync::{Barrier, Condvar, Event, Lock, LockError, Mutex, ReentrantLock, Semaphore, SyncError};
use shmq::{Process, Queue, Stop, WaitError, try_wait_any, wait_any, wait_any_timeout};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_signal_ends_each_wait_of_a_primitive,
        // A portable lock does not outlive its holder.
        #[cfg(not(shmq_portable_sync))]
        a_signal_ends_the_wait_for_a_stopped_holder,
        an_interrupted_party_breaks_the_barrier,
        an_interrupted_wait_leaves_the_mutex_unlocked,
        what_need_not_wait_succeeds_with_a_set_stop,
        an_interrupted_taker_passes_its_wake_on,
        a_guard_of_a_view_is_an_open_guard,
        several_waits_end_by_a_stop,
        a_wait_for_stops_alone_ends_at_once,
    ]
}

#[track_caller]
fn is_interrupted<R: std::fmt::Debug>(result: Result<R, SyncError>) {
    assert!(matches!(result, Err(SyncError::Interrupted)), "{result:?}");
}

#[track_caller]
fn lock_is_interrupted<G>(result: Result<G, LockError<G>>) {
    assert!(result.is_err_and(|error| error.is_interrupted()));
}

fn a_signal_ends_each_wait_of_a_primitive() {
    let (semaphore, event, barrier) = (Semaphore::new(0).unwrap(), Event::new().unwrap(), Barrier::new(2).unwrap());
    let (mutex, condvar) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    let (held, free) = (Lock::new().unwrap(), ReentrantLock::new().unwrap());
    let levels = ReentrantLock::new().unwrap();
    held.acquire().unwrap();
    levels.acquire().unwrap();
    let queue: Queue<u64> = Queue::new(1).unwrap();
    let long = 2 * PATIENCE;
    let waits: [&dyn Fn(&Stop); 15] = [
        &|stop| is_interrupted(semaphore.with_stop(stop).acquire()),
        &|stop| is_interrupted(semaphore.with_stop(stop).acquire_timeout(long)),
        &|stop| is_interrupted(semaphore.with_stop(stop).permit().map(drop)),
        &|stop| is_interrupted(event.with_stop(stop).wait()),
        &|stop| is_interrupted(event.with_stop(stop).wait_deadline(Instant::now() + long)),
        &|stop| is_interrupted(barrier.with_stop(stop).wait()),
        &|stop| lock_is_interrupted(condvar.with_stop(stop).wait_while(mutex.lock().unwrap(), |n| *n == 0)),
        &|stop| is_interrupted(held.with_stop(stop).acquire()),
        &|stop| lock_is_interrupted(held.with_stop(stop).lock_timeout(long)),
        &|stop| is_interrupted(levels.with_stop(stop).acquire_deadline(Instant::now() + long)),
        &|stop| lock_is_interrupted(condvar.with_stop(stop).wait_notified(free.lock().unwrap())),
        &|stop| lock_is_interrupted(condvar.with_stop(stop).wait_notified_timeout(free.lock().unwrap(), long)),
        &|stop| assert_eq!(wait_any(&[&queue, &event.with_stop(stop)], None), Err(WaitError::Interrupted)),
        &|stop| assert_eq!(wait_any_timeout(&[&queue.with_stop(stop), &semaphore], long), Err(WaitError::Interrupted)),
        &|stop| assert_eq!(wait_any(&[&queue, stop, &event], None), Ok(1)),
    ];
    for wait in waits {
        let mut child = fork("a process that waits for a signal", || wait(stop_by_sigint()));
        child.wait_until_asleep();
        send_signal(child.pid() as libc::pid_t, libc::SIGINT);
        child.expect_success_within(BY_ITSELF);
    }
    assert_eq!((semaphore.value(), event.is_set()), (0, false));
    assert!(mutex.try_lock().is_ok() && held.is_mine() && levels.is_mine() && !free.locked());
}

#[cfg(not(shmq_portable_sync))]
fn a_signal_ends_the_wait_for_a_stopped_holder() {
    let (mutex, array, value) = (Mutex::new(1u64).unwrap(), Array::new([1u64, 2]).unwrap(), Value::new(1u64).unwrap());
    let (mut holder, _) = crate::holder("a process with a lock", |hold| {
        let (_mutex, _array) = (mutex.lock().unwrap(), array.lock().unwrap());
        value.update(|_| hold()).unwrap();
    });
    holder.stop();
    let waits: [&dyn Fn(&Stop); 4] = [
        &|stop| lock_is_interrupted(mutex.with_stop(stop).lock()),
        &|stop| lock_is_interrupted(mutex.with_stop(stop).lock_timeout(2 * PATIENCE)),
        &|stop| lock_is_interrupted(array.with_stop(stop).lock()),
        &|stop| is_interrupted(value.with_stop(stop).get()),
    ];
    for wait in waits {
        let child = fork("a process that waits for a lock", || wait(stop_by_sigint()));
        std::thread::sleep(Duration::from_millis(30));
        let began = Instant::now();
        let mut child = child;
        // A signal before the handler is there would end it otherwise than expected.
        while !child.has_ended() {
            assert!(began.elapsed() < BY_ITSELF, "it waits on");
            if crate::support::process::is_asleep(child.pid() as libc::pid_t) {
                send_signal(child.pid() as libc::pid_t, libc::SIGINT);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        child.expect_success();
    }
    holder.kill();
    assert!(mutex.lock().unwrap_err().is_owner_died());
}

fn an_interrupted_party_breaks_the_barrier() {
    let (barrier, stop) = (Barrier::new(3).unwrap(), Stop::new());
    let (other, party) = (barrier.clone(), barrier.with_stop(&stop));
    let other = start_and_wait_until_asleep("another party", move || other.wait());
    let party = start_and_wait_until_asleep("a party with a stop", move || party.wait());
    stop.set();
    is_interrupted(party.join());
    assert!(matches!(other.join(), Err(SyncError::Broken)));
    assert!(barrier.is_broken());
}

fn an_interrupted_wait_leaves_the_mutex_unlocked() {
    let (mutex, condvar, stop) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap(), Stop::new());
    stop.set();
    let set = condvar.with_stop(&stop);
    lock_is_interrupted(set.wait(mutex.lock().unwrap()));
    assert!(mutex.try_lock().is_ok());
    let waited = set.wait_timeout(mutex.lock().unwrap(), Duration::from_secs(60));
    assert!(waited.is_err_and(|error| error.is_interrupted()));
    // What holds already needs no wait.
    assert_eq!(*set.wait_while(mutex.lock().unwrap(), |n| *n != 0).unwrap(), 0);
    // Locking again is the mutex's own matter.
    let notifier = condvar.clone();
    let late = mutex.clone();
    let waiter =
        start_and_wait_until_asleep("a wait", move || condvar.wait_while(late.lock().unwrap(), |n| *n == 0).map(|n| *n).ok());
    *mutex.lock().unwrap() = 7;
    notifier.notify_all();
    assert_eq!(waiter.join(), Some(7));
}

fn what_need_not_wait_succeeds_with_a_set_stop() {
    let stop = Stop::new();
    stop.set();
    let (semaphore, event) = (Semaphore::new(2).unwrap().with_stop(&stop), Event::new().unwrap().with_stop(&stop));
    semaphore.acquire().unwrap();
    let permit = semaphore.permit().unwrap();
    is_interrupted(semaphore.acquire());
    assert!(matches!(semaphore.try_acquire(), Err(SyncError::WouldBlock)));
    drop(permit);
    semaphore.acquire().unwrap();
    is_interrupted(event.wait());
    assert!(matches!(event.try_wait(), Err(SyncError::WouldBlock)));
    event.set();
    event.wait().unwrap();
    let mutex = Mutex::new(1u64).unwrap().with_stop(&stop);
    *mutex.lock().unwrap() += 1;
    assert!(Barrier::new(1).unwrap().with_stop(&stop).wait().unwrap().is_leader());
    assert_eq!(try_wait_any(&[&event]), Ok(0));
    let empty = Queue::<u64>::new(1).unwrap().with_stop(&stop);
    assert_eq!(wait_any(&[&empty, &event], None), Ok(1), "one of them is ready");
    assert_eq!(wait_any(&[&empty], None), Err(WaitError::Interrupted));
    assert_eq!(try_wait_any(&[&empty]), Err(WaitError::WouldBlock));
}

fn an_interrupted_taker_passes_its_wake_on() {
    for _ in 0..200 {
        let (semaphore, stop) = (Semaphore::new(0).unwrap(), Stop::new());
        let (interruptible, plain) = (semaphore.with_stop(&stop), semaphore.clone());
        let first = std::thread::spawn(move || interruptible.acquire());
        let second = std::thread::spawn(move || plain.acquire());
        let setter = std::thread::spawn(move || stop.set());
        semaphore.release().unwrap();
        setter.join().unwrap();
        if first.join().unwrap().is_ok() {
            semaphore.release().unwrap();
        }
        second.join().unwrap().unwrap();
        assert_eq!(semaphore.value(), 0);
    }
}

fn a_guard_of_a_view_is_an_open_guard() {
    let mutex = Mutex::new(1u64).unwrap();
    let view = mutex.with_stop(&Stop::new());
    let guard = view.lock().unwrap();
    assert!(Process::spawn(|| ()).is_err(), "the child would have a copy of the guard");
    drop(guard);
    assert!(Process::spawn(|| ()).unwrap().join().unwrap().success());
}

fn several_waits_end_by_a_stop() {
    let (queue, event) = (Queue::<u64>::new(1).unwrap(), Event::new().unwrap());
    for round in 0..500 {
        let stop = Stop::new();
        let (set, queue, event) = (stop.clone(), queue.with_stop(&stop), event.clone());
        let setter = std::thread::spawn(move || {
            (0..round * 40).for_each(|_| std::hint::spin_loop());
            set.set();
        });
        let began = Instant::now();
        if round % 2 == 0 {
            assert_eq!(wait_any(&[&event, &queue], None), Err(WaitError::Interrupted));
        } else {
            assert_eq!(wait_any(&[&event, &stop], None), Ok(1));
        }
        assert!(began.elapsed() < BY_ITSELF);
        setter.join().unwrap();
    }
}

fn a_wait_for_stops_alone_ends_at_once() {
    let (first, second) = (Stop::new(), Stop::new());
    assert_eq!(wait_any_timeout(&[&first, &second], Duration::from_millis(20)), Err(WaitError::Timeout));
    let set = second.clone();
    let waiter = start_and_wait_until_asleep("a wait for two stops", move || {
        let ready = wait_any(&[&first, &second], None);
        (ready, Instant::now())
    });
    let began = Instant::now();
    set.set();
    let (ready, ended) = waiter.join();
    assert_eq!(ready, Ok(1));
    assert!(ended - began < BY_ITSELF);
    // Beside a process that does not end.
    let stop = Stop::new();
    let child = Process::spawn(|| std::thread::sleep(PATIENCE));
    let Ok(child) = child else { return };
    let set = stop.clone();
    let setter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        set.set();
    });
    assert_eq!(wait_any(&[&child, &stop], None), Ok(1));
    setter.join().unwrap();
    child.kill().unwrap();
    let _ = child.join();
}
