//! What the check of a `Stop` may do while its call waits: use the same queue, take long, panic, fork;
//! and that a call which ends by it leaves nothing behind and keeps no wake to itself.

use crate::support::BY_ITSELF;
#[cfg(not(shmq_portable_sync))]
use crate::support::Rng;
use crate::support::harness::Case;
use crate::support::process::{fork, shared_words, wait_for_count};
#[cfg(not(shmq_portable_sync))]
use crate::support::signals::block_sigusr1;
use crate::support::signals::{count_sigusr1, ended_by_sigusr1};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::inspect::Inspector;
use shmq::sync::{Barrier, Condvar, Lock, Mutex, Semaphore, SyncError};
use shmq::{GetError, PutError, Queue, Stop, Topic, WaitStrategy, wait_any};
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU64};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_check_uses_the_queue_that_its_call_waits_for,
        a_check_waits_by_its_own_stop,
        a_check_puts_beside_the_place_in_line_of_its_call,
        a_message_that_comes_during_a_long_check_is_taken,
        a_check_ends_one_call_and_a_set_stop_all,
        a_panic_of_a_check_leaves_nothing_behind,
        in_a_child_that_a_check_forks_the_call_ends,
        a_large_put_keeps_its_place_in_line_and_gives_it_back,
        // Portable sleeps are not ended by a signal.
        #[cfg(not(shmq_portable_sync))]
        no_wake_is_lost_with_an_interrupted_call,
    ]
}

/// A stop whose check does that once, at its first call, and goes on.
fn once(act: impl FnOnce() + Send + 'static) -> Stop {
    let act = std::sync::Mutex::new(Some(act));
    Stop::with_check(move || {
        let act = act.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        Continue(())
    })
}

fn a_check_uses_the_queue_that_its_call_waits_for() {
    for strategy in [WaitStrategy::Adaptive, WaitStrategy::Block, WaitStrategy::Spin] {
        let queue: Queue<u64> = Queue::builder().capacity(2).wait_strategy(strategy).create().unwrap();
        // A get, whose check puts.
        let same = queue.clone();
        assert_eq!(queue.with_stop(&once(move || same.put(&1).unwrap())).get().unwrap(), 1);
        // A put, whose check gets; of an endpoint as well.
        queue.put_slice(&[1, 2]).unwrap();
        let same = queue.clone();
        queue.with_stop(&once(move || assert_eq!(same.get().unwrap(), 1))).put(&3).unwrap();
        let same = queue.clone();
        queue.producer().unwrap().with_stop(&once(move || assert_eq!(same.get().unwrap(), 2))).put(&4).unwrap();
        let same = queue.clone();
        let joined = queue.with_stop(&once(move || {
            for expected in [3, 4] {
                let lease = same.lease().unwrap();
                assert_eq!(*lease, expected);
                lease.release();
            }
        }));
        (0..3).for_each(|_| queue.task_done().unwrap()); // for what was got
        joined.join_timeout(Duration::from_secs(20)).unwrap();
        assert!(queue.is_empty());
    }
    // The primitives.
    let semaphore = Semaphore::new(0).unwrap();
    let same = semaphore.clone();
    semaphore.with_stop(&once(move || same.release().unwrap())).acquire().unwrap();
    let barrier = Barrier::new(2).unwrap();
    let same = barrier.clone();
    let party = std::sync::Mutex::new(None);
    let party = Arc::new(party);
    let started = Arc::clone(&party);
    let stop = once(move || *started.lock().unwrap() = Some(std::thread::spawn(move || same.wait())));
    barrier.with_stop(&stop).wait().unwrap();
    party.lock().unwrap().take().unwrap().join().unwrap().unwrap();
    let (mutex, condvar) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    let (same, notifier) = (mutex.clone(), condvar.clone());
    let stop = once(move || {
        *same.lock().unwrap() = 7; // the waiting call does not hold it
        notifier.notify_all();
    });
    assert_eq!(*condvar.with_stop(&stop).wait_while(mutex.lock().unwrap(), |n| *n == 0).unwrap(), 7);
    // A subscriber's, which publishes.
    let topic = Topic::<u64>::builder().capacity(4).create().unwrap();
    let same = topic.clone();
    let subscriber = topic.subscribe().unwrap().with_stop(&once(move || same.publish(&9).unwrap()));
    assert_eq!(subscriber.next().unwrap(), 9);
    // One of several, whose check makes another one ready.
    let same = semaphore.clone();
    let stop = once(move || same.release().unwrap());
    assert_eq!(wait_any(&[&Queue::<u64>::new(1).unwrap().with_stop(&stop), &semaphore], None), Ok(1));
}

/// An inner wait asks the check again; an end of it ends the inner call, and with it the outer one.
fn a_check_waits_by_its_own_stop() {
    let queue = Queue::<u64>::new(1).unwrap();
    let depth = Arc::new(AtomicU64::new(0));
    let inner: Arc<std::sync::OnceLock<Queue<u64>>> = Arc::default();
    let stop = Stop::with_check({
        let (depth, inner) = (Arc::clone(&depth), Arc::clone(&inner));
        move || {
            if depth.fetch_add(1, Relaxed) == 3 {
                return Break(());
            }
            match inner.get().unwrap().get_timeout(Duration::from_secs(20)) {
                Err(GetError::Interrupted) => Break(()),
                other => panic!("{other:?}"),
            }
        }
    });
    inner.set(queue.with_stop(&stop)).unwrap();
    assert!(matches!(queue.with_stop(&stop).get(), Err(GetError::Interrupted)));
    assert_eq!(depth.load(Relaxed), 4);
    assert!(!stop.is_set());
}

/// The place in line of a large message holds up others for 0.3 s at most, the check of its own call
/// among them.
fn a_check_puts_beside_the_place_in_line_of_its_call() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(8192).create().unwrap();
    while queue.try_put(&[0; 100]).is_ok() {}
    let same = queue.clone();
    let stop = once(move || {
        drop(same.get().unwrap());
        same.put(&[1; 50]).unwrap();
        while same.try_get().is_ok() {}
    });
    let began = Instant::now();
    queue.with_stop(&stop).put(&[2; 3000]).unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(queue.get().unwrap(), vec![2; 3000]);
}

fn a_message_that_comes_during_a_long_check_is_taken() {
    for comes in [true, false] {
        let queue = Queue::<u64>::new(1).unwrap();
        let same = queue.clone();
        let stop = once(move || {
            std::thread::sleep(Duration::from_millis(200));
            if comes {
                same.put(&5).unwrap();
            }
            std::thread::sleep(Duration::from_millis(100));
        });
        let began = Instant::now();
        let got = queue.with_stop(&stop).get_timeout(Duration::from_millis(150));
        assert!(began.elapsed() >= Duration::from_millis(300), "the check is not cut off");
        if comes {
            assert_eq!(got.unwrap(), 5);
        } else {
            assert!(matches!(got, Err(GetError::Timeout)), "{got:?}");
        }
        let stats = queue.stats();
        assert_eq!(stats.get_timeouts, u64::from(!comes));
    }
}

fn a_check_ends_one_call_and_a_set_stop_all() {
    let queue = Queue::<u64>::new(1).unwrap();
    let answers = Arc::new(AtomicU64::new(0));
    let stop = Stop::with_check({
        let answers = Arc::clone(&answers);
        move || if answers.fetch_add(1, Relaxed) == 0 { Break(()) } else { Continue(()) }
    });
    let interruptible = queue.with_stop(&stop);
    assert!(matches!(interruptible.get(), Err(GetError::Interrupted)));
    let getter = start_and_wait_until_asleep("a get after the interrupted one", {
        let interruptible = interruptible.clone();
        move || interruptible.get()
    });
    queue.put(&1).unwrap();
    assert_eq!(getter.join().unwrap(), 1);
    // The flag is what it was.
    let getter = start_and_wait_until_asleep("a get that a set ends", move || interruptible.get());
    stop.set();
    assert!(matches!(getter.join(), Err(GetError::Interrupted)));
    // A check may set its own stop.
    let own: Arc<std::sync::OnceLock<Stop>> = Arc::default();
    let set = Arc::clone(&own);
    let stop = own.get_or_init(|| {
        Stop::with_check(move || {
            set.get().unwrap().set();
            Continue(())
        })
    });
    assert!(matches!(queue.with_stop(stop).get(), Err(GetError::Interrupted)));
    let (queue, stop) = (Queue::<u64>::new(1).unwrap(), once(|| ()));
    let again = stop.clone();
    assert_eq!(
        wait_any(&[&queue, &stop, &again], Instant::now() + Duration::from_millis(250)).unwrap_err(),
        shmq::WaitError::Timeout
    );
}

/// Runs a call whose check panics.
#[track_caller]
fn panics<R>(call: impl FnOnce(&Stop) -> R) {
    let stop = Stop::with_check(|| std::panic::panic_any("the check panics"));
    let began = Instant::now();
    let caught = catch_unwind(AssertUnwindSafe(|| drop(call(&stop))));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"the check panics"));
    assert!(began.elapsed() < BY_ITSELF);
}

fn a_panic_of_a_check_leaves_nothing_behind() {
    std::panic::set_hook(Box::new(|_| ()));
    let queue = Queue::<[u8]>::builder().capacity_bytes(8192).create().unwrap();
    panics(|stop| queue.with_stop(stop).get());
    panics(|stop| queue.with_stop(stop).consumer().unwrap().get());
    while queue.try_put(&[0; 100]).is_ok() {}
    panics(|stop| queue.with_stop(stop).put(&[1; 3000]));
    panics(|stop| queue.with_stop(stop).producer().unwrap().put(&[1; 3000]));
    panics(|stop| queue.with_stop(stop).join());
    // No place in line, no sleeper.
    drop(queue.get().unwrap());
    queue.try_put(&[0; 100]).unwrap();
    let named = Queue::<u64>::create(crate::support::unique_name("panics"), 1).unwrap();
    panics(|stop| named.with_stop(stop).get());
    let seen = Inspector::open(named.name()).unwrap().snapshot();
    assert!(seen.participants.iter().all(|participant| participant.get_waits.is_none()), "{seen:?}");
    // A party that is missed breaks the barrier for the others.
    let three = Barrier::new(3).unwrap();
    panics(|stop| three.with_stop(stop).wait());
    assert!(three.is_broken());
    // A wait leaves the mutex unlocked, and hands its notice on.
    let (mutex, condvar) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    panics(|stop| drop(condvar.with_stop(stop).wait_while(mutex.lock().unwrap(), |n| *n == 0)));
    assert_eq!(*mutex.try_lock().unwrap(), 0);
    let lock = Lock::new().unwrap();
    lock.acquire().unwrap();
    panics(|stop| drop(condvar.with_stop(stop).wait_notified(&lock)));
    lock.acquire().unwrap();
    panics(|stop| lock.with_stop(stop).acquire());
    // The notice goes to the one that still waits.
    let waiter = start_and_wait_until_asleep("a wait", {
        let (lock, condvar) = (Lock::new().unwrap(), condvar.clone());
        move || drop(condvar.wait_notified(lock.lock().unwrap()))
    });
    condvar.notify_one();
    waiter.join();
    let semaphore = Semaphore::new(0).unwrap();
    panics(|stop| semaphore.with_stop(stop).acquire());
    let topic = Topic::<u64>::builder().capacity(1).create().unwrap();
    let subscriber = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    panics(|stop| topic.with_stop(stop).publish(&2));
    panics(|stop| topic.publisher().unwrap().with_stop(stop).publish(&2));
    assert_eq!(subscriber.next().unwrap(), 1);
    topic.try_publish(&2).unwrap();
    assert_eq!(subscriber.next().unwrap(), 2);
}

/// Forks in the check of a call, in which parent and child end differently.
fn forked_in<R>(call: impl FnOnce(&Stop) -> R, in_child: impl FnOnce(R)) -> R {
    forked_with(|| (), call, in_child)
}

/// The same, where the child's check does something before it returns.
fn forked_with<R>(in_check: impl Fn() + Send + Sync + 'static, call: impl FnOnce(&Stop) -> R, in_child: impl FnOnce(R)) -> R {
    static CHILD: AtomicI32 = AtomicI32::new(-1);
    CHILD.store(-1, Release);
    let stop = Stop::with_check(move || {
        if CHILD.load(Acquire) == -1 {
            // SAFETY: the caller of this test has one thread.
            CHILD.store(unsafe { libc::fork() }, Release);
            if CHILD.load(Acquire) == 0 {
                in_check();
            }
        }
        Continue(())
    });
    let result = call(&stop);
    let pid = CHILD.load(Acquire);
    assert_ne!(pid, -1, "the check was asked");
    if pid == 0 {
        let ended = catch_unwind(AssertUnwindSafe(|| in_child(result)));
        crate::support::process::exit_now(i32::from(ended.is_err()));
    }
    let mut status = 0;
    // SAFETY: the pointer is valid for the call.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the child");
    result
}

fn in_a_child_that_a_check_forks_the_call_ends() {
    let short = Duration::from_millis(400);
    let queue = Queue::<u64>::new(1).unwrap();
    let ended = forked_in(
        |stop| queue.with_stop(stop).get_timeout(short),
        |ended| {
            assert!(matches!(ended, Err(GetError::Interrupted)), "{ended:?}");
            queue.put(&8).unwrap(); // it is a participant of its own
        },
    );
    assert_eq!(ended.unwrap(), 8);
    queue.put(&1).unwrap();
    let ended = forked_in(
        |stop| queue.with_stop(stop).put_timeout(&2, short),
        |ended| {
            assert!(matches!(ended, Err(PutError::Interrupted)), "{ended:?}");
            assert_eq!(queue.get().unwrap(), 1);
        },
    );
    ended.unwrap();
    assert_eq!(queue.get().unwrap(), 2);
    // The child does not give up the place of its parent.
    let barrier = Barrier::new(2).unwrap();
    let ended = forked_in(
        |stop| barrier.with_stop(stop).wait_timeout(Duration::from_secs(20)),
        |ended| {
            assert!(matches!(ended, Err(SyncError::Interrupted)), "{ended:?}");
            assert!(!barrier.is_broken());
            barrier.wait_timeout(Duration::from_secs(20)).unwrap();
        },
    );
    ended.unwrap();
    let semaphore = Semaphore::new(0).unwrap();
    let ended = forked_in(
        |stop| semaphore.with_stop(stop).acquire_timeout(Duration::from_secs(20)),
        |ended| {
            assert!(matches!(ended, Err(SyncError::Interrupted)), "{ended:?}");
            semaphore.release().unwrap();
        },
    );
    ended.unwrap();
    // Nor its place at a condition variable.
    let (lock, condvar, notified) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_words(1));
    let ended = forked_in(
        |stop| {
            lock.acquire().unwrap();
            let ended = condvar.with_stop(stop).wait_notified_timeout(&lock, Duration::from_secs(20));
            (ended.map(|(_, waited)| waited.timed_out()), notified[0].load(Acquire))
        },
        |(ended, _)| {
            assert!(ended.is_err_and(|error| error.is_interrupted()));
            std::thread::sleep(Duration::from_millis(150));
            notified[0].store(1, Release);
            condvar.notify_one();
        },
    );
    assert_eq!((ended.0.ok(), ended.1), (Some(false), 1), "the wait ended by that notice");
    let topic = Topic::<u64>::builder().capacity(4).create().unwrap();
    let mut subscriber = Some(topic.subscribe().unwrap());
    let same = topic.clone();
    let ended = forked_with(
        move || same.publish(&3).unwrap(),
        |stop| {
            let subscriber = subscriber.take().unwrap().with_stop(stop);
            let ended = subscriber.next_timeout(Duration::from_secs(20));
            (subscriber, ended)
        },
        |(subscriber, ended)| {
            assert!(matches!(ended, Err(GetError::Interrupted)), "{ended:?}");
            assert!(matches!(subscriber.try_next(), Err(GetError::Inherited)));
        },
    );
    assert_eq!(ended.1.unwrap(), 3);
    // The place in line of a large message stays its parent's.
    let slices = Queue::<[u8]>::builder().capacity_bytes(8192).create().unwrap();
    while slices.try_put(&[0; 100]).is_ok() {}
    let ended = forked_in(
        |stop| slices.with_stop(stop).put_timeout(&[1; 3000], Duration::from_secs(20)),
        |ended| {
            assert!(matches!(ended, Err(PutError::Interrupted)), "{ended:?}");
            drop(slices.get().unwrap());
            assert!(matches!(slices.try_put(&[2; 100]), Err(PutError::Full)), "another is first in line");
            while slices.try_get().is_ok() {}
        },
    );
    ended.unwrap();
}

fn a_large_put_keeps_its_place_in_line_and_gives_it_back() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(16_384).create().unwrap();
    while queue.try_put(&[0; 100]).is_ok() {}
    count_sigusr1(false);
    let words = shared_words(2);
    // Interrupted: the place is given back at once, and small messages pass.
    let mut child = fork("a large put that a signal ends", || {
        let stop = ended_by_sigusr1(false);
        words[0].store(1, Release);
        assert!(matches!(queue.with_stop(&stop).put(&[1; 6000]), Err(PutError::Interrupted)));
        words[1].store(1, Release);
        wait_for_count("the test", &words[0], 2);
    });
    wait_for_count("the child", &words[0], 1);
    child.wait_until_asleep();
    drop(queue.get().unwrap());
    assert!(matches!(queue.try_put(&[0; 100]), Err(PutError::Full)), "it is first in line");
    crate::support::process::send_signal(child.pid() as libc::pid_t, libc::SIGUSR1);
    wait_for_count("the interruption", &words[1], 1);
    queue.try_put(&[0; 100]).unwrap();
    words[0].store(2, Release);
    child.expect_success();
    // Asked again and again, it keeps its place against small messages that never end.
    let greedy = fork("a process that puts small messages", || {
        loop {
            let _ = queue.put_timeout(&[3; 100], Duration::from_millis(5));
        }
    });
    let (done, checks) = (shared_words(1), shared_words(1));
    let large = fork("a large put that is asked all the time", || {
        let stop = Stop::with_check(move || {
            checks[0].fetch_add(1, Relaxed);
            Continue(())
        });
        count_sigusr1(false);
        queue.with_stop(&stop).put(&[1; 6000]).unwrap();
        done[0].store(1, Release);
    });
    let began = Instant::now();
    while done[0].load(Acquire) == 0 {
        crate::support::process::send_signal(large.pid() as libc::pid_t, libc::SIGUSR1);
        std::thread::sleep(Duration::from_millis(5));
        if began.elapsed() > Duration::from_millis(50) {
            drop(queue.try_get());
        }
        assert!(began.elapsed() < BY_ITSELF, "it starves");
    }
    eprintln!("put after {:?} and {} checks", began.elapsed(), checks[0].load(Relaxed));
    large.expect_success();
    greedy.kill();
}

#[cfg(not(shmq_portable_sync))]
/// Two getters sleep; a message and a signal come to the one that its check ends, at about the same
/// time: the other gets the message at once.
fn no_wake_is_lost_with_an_interrupted_call() {
    count_sigusr1(false);
    let queue: Queue<u64> = Queue::builder().capacity(4).wait_strategy(WaitStrategy::Block).create().unwrap();
    let stop = ended_by_sigusr1(false);
    let mut rng = Rng::new("wakes");
    let (mut lost, mut interrupted) = (0, 0);
    const ROUNDS: u64 = 400;
    for round in 0..ROUNDS {
        let waits = queue.with_stop(&stop);
        let tid = Arc::new(AtomicI32::new(0));
        let shown = Arc::clone(&tid);
        let ending = std::thread::spawn(move || {
            // SAFETY: gettid has no preconditions.
            shown.store(unsafe { libc::gettid() }, Release);
            waits.get_timeout(Duration::from_secs(30))
        });
        let plain = queue.clone();
        let staying = std::thread::spawn(move || {
            block_sigusr1();
            plain.get_timeout(Duration::from_secs(30))
        });
        crate::support::wait_until("the thread", || tid.load(Acquire) != 0, || String::from("not started"));
        std::thread::sleep(Duration::from_micros(200 + rng.below(1500)));
        let signal = || {
            // SAFETY: the thread lives until it is joined.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid.load(Acquire), libc::SIGUSR1) };
        };
        let spins = rng.below(if round % 4 < 2 { 400 } else { 60_000 });
        let pause = || (0..spins).for_each(|_| std::hint::spin_loop());
        if round % 2 == 0 {
            signal();
            pause();
        }
        queue.put(&round).unwrap();
        let put = Instant::now();
        if round % 2 == 1 {
            pause();
            signal();
        }
        // Whichever gets it: the queue is empty before a slice has passed.
        while !queue.is_empty() && put.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        lost += u32::from(put.elapsed() > Duration::from_millis(60));
        assert!(queue.is_empty(), "round {round}: a lost message");
        // The one that is left ends by the signal, or by another message.
        std::thread::sleep(Duration::from_micros(500));
        while !(ending.is_finished() && staying.is_finished()) {
            let _ = queue.try_put(&u64::MAX);
            std::thread::sleep(Duration::from_micros(200));
        }
        let (ended, stayed) = (ending.join().unwrap(), staying.join().unwrap());
        stayed.unwrap();
        interrupted += u32::from(ended.is_err_and(|error| error.is_interrupted()));
        while queue.try_get().is_ok() {}
    }
    eprintln!("{interrupted} of {ROUNDS} calls were interrupted, {lost} wakes came late");
    assert!(interrupted > 20, "{interrupted}: the race was not run");
    // A lost one is late each time; a machine that is busy elsewhere makes some late.
    assert!(lost * 4 <= interrupted, "{lost} wakes were lost");
}
