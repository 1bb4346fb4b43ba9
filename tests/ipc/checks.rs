//! `Stop::with_check`: a call that waits runs the check after a signal and each slice, on its own
//! thread, and ends by it or goes on.

use crate::support::harness::Case;
use crate::support::process::{fork, send_signal, shared_word, wait_for_count};
use crate::support::signals::{block_sigusr1, count_sigusr1, ended_by_sigusr1, take_counted};
use crate::support::{BY_ITSELF, PATIENCE, Rng};
#[cfg(feature = "object")]
use shmq::ObjectQueue;
#[cfg(not(shmq_portable_sync))]
use shmq::sync::{Array, Value};
use shmq::sync::{Barrier, Condvar, Event, Lock, Mutex, ReentrantLock, Semaphore};
use shmq::{
    DynQueue, GetError, MessageLayout, Process, PutError, Queue, Stop, Subscriber, Topic, WaitStrategy, WaitSubscribersError,
    wait_any,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_check_ends_each_verb_after_a_signal,
        a_check_ends_each_verb_when_another_thread_takes_the_signal,
        a_signal_without_effect_changes_nothing,
        a_deadline_is_kept_across_signals,
        what_need_not_wait_asks_no_check,
        a_spinning_call_asks_its_check,
        // A portable lock does not outlive its holder.
        #[cfg(not(shmq_portable_sync))]
        a_wait_for_a_stopped_holder_asks_its_check,
    ]
}

/// What all verbs of the tests wait for.
struct Places {
    full: Queue<u64>,
    empty: Queue<u64>,
    slices: Queue<[u8]>,
    topic: Topic<u64>,
    semaphore: Semaphore,
    event: Event,
    barrier: Barrier,
    mutex: Mutex<u64>,
    condvar: Condvar,
    /// Held by the test.
    lock: Lock,
    reentrant: ReentrantLock,
    bytes: DynQueue,
    /// As many as may be in files of their own.
    #[cfg(feature = "object")]
    objects: ObjectQueue<Vec<u8>>,
    #[cfg(feature = "object")]
    no_objects: ObjectQueue<Vec<u8>>,
}

/// More than the ring holds.
#[cfg(feature = "object")]
const SPILLED: usize = 100_000;

/// A name, and a call that waits by the stop for ever: was it interrupted?
type Verb = (&'static str, fn(&Places, &Stop) -> bool);

/// The same of what is given.
#[cfg(not(shmq_portable_sync))]
type Wait<'a> = (&'static str, &'a dyn Fn(&Stop) -> bool);

const VERBS: &[Verb] = &[
    ("put", |p, stop| p.full.with_stop(stop).put(&2).is_err_and(|e| e.is_interrupted())),
    ("put_timeout", |p, stop| p.full.with_stop(stop).put_timeout(&2, PATIENCE).is_err_and(|e| e.is_interrupted())),
    ("put_slice", |p, stop| p.full.with_stop(stop).put_slice(&[2, 3]).is_err_and(|e| e.is_interrupted())),
    ("loan", |p, stop| p.full.with_stop(stop).loan().is_err_and(|e| e.is_interrupted())),
    ("put of a slice", |p, stop| p.slices.with_stop(stop).put(&[1; 3000]).is_err_and(|e| e.is_interrupted())),
    ("loan_len", |p, stop| p.slices.with_stop(stop).loan_len(3000).is_err_and(|e| e.is_interrupted())),
    ("Producer::put", |p, stop| p.full.producer().unwrap().with_stop(stop).put(&2).is_err_and(|e| e.is_interrupted())),
    ("put_iter", |p, stop| p.full.producer().unwrap().with_stop(stop).put_iter([2, 3]).is_err_and(|e| e.is_interrupted())),
    ("Sender::put", |p, stop| p.full.sender().with_stop(stop).put(&2).is_err_and(|e| e.is_interrupted())),
    ("get", |p, stop| p.empty.with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    ("get_deadline", |p, stop| {
        p.empty.with_stop(stop).get_deadline(Instant::now() + PATIENCE).is_err_and(|e| e.is_interrupted())
    }),
    ("get_slice", |p, stop| p.empty.with_stop(stop).get_slice(&mut [0; 3]).is_err_and(|e| e.is_interrupted())),
    ("lease", |p, stop| p.empty.with_stop(stop).lease().is_err_and(|e| e.is_interrupted())),
    ("lease_ack", |p, stop| p.empty.with_stop(stop).lease_ack().is_err_and(|e| e.is_interrupted())),
    ("iter", |p, stop| p.empty.with_stop(stop).iter().next().is_some_and(|next| next.is_err_and(|e| e.is_interrupted()))),
    ("Consumer::get", |p, stop| p.empty.consumer().unwrap().with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    ("get_each", |p, stop| p.empty.consumer().unwrap().with_stop(stop).get_each(3, |_| ()).is_err_and(|e| e.is_interrupted())),
    ("Receiver::get", |p, stop| p.empty.receiver().with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    ("join", |p, stop| p.full.with_stop(stop).join().is_err_and(|e| e.is_interrupted())),
    ("publish", |p, stop| p.topic.with_stop(stop).publish(&2).is_err_and(|e| e.is_interrupted())),
    ("Publisher::loan", |p, stop| p.topic.publisher().unwrap().with_stop(stop).loan().is_err_and(|e| e.is_interrupted())),
    ("next", |p, stop| p.topic.subscribe().unwrap().with_stop(stop).next().is_err_and(|e| e.is_interrupted())),
    ("read", |p, stop| p.topic.subscribe().unwrap().with_stop(stop).read().is_err_and(|e| e.is_interrupted())),
    ("wait_subscribers", |p, stop| {
        matches!(p.topic.with_stop(stop).wait_subscribers(9, PATIENCE), Err(WaitSubscribersError::Interrupted))
    }),
    ("acquire", |p, stop| p.semaphore.with_stop(stop).acquire().is_err_and(|e| e.is_interrupted())),
    ("permit_timeout", |p, stop| p.semaphore.with_stop(stop).permit_timeout(PATIENCE).is_err_and(|e| e.is_interrupted())),
    ("Event::wait", |p, stop| p.event.with_stop(stop).wait().is_err_and(|e| e.is_interrupted())),
    ("Barrier::wait", |p, stop| {
        let interrupted = p.barrier.with_stop(stop).wait().is_err_and(|e| e.is_interrupted());
        p.barrier.reset().unwrap();
        interrupted
    }),
    ("wait_while", |p, stop| {
        p.condvar.with_stop(stop).wait_while(p.mutex.lock().unwrap(), |n| *n == 0).is_err_and(|e| e.is_interrupted())
    }),
    ("wait_notified", |p, stop| {
        p.condvar.with_stop(stop).wait_notified(p.mutex.lock().unwrap()).is_err_and(|e| e.is_interrupted())
    }),
    ("Lock::acquire", |p, stop| p.lock.with_stop(stop).acquire().is_err_and(|e| e.is_interrupted())),
    ("ReentrantLock::acquire", |p, stop| p.reentrant.with_stop(stop).acquire().is_err_and(|e| e.is_interrupted())),
    ("DynQueue::get", |p, stop| p.bytes.with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    #[cfg(feature = "object")]
    ("put of an object in a file of its own", |p, stop| {
        p.objects.with_stop(stop).put(&vec![1; SPILLED]).is_err_and(|e| e.is_interrupted())
    }),
    #[cfg(feature = "object")]
    ("get of an object", |p, stop| p.no_objects.with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    ("wait_any of a queue", |p, stop| wait_any(&[&p.empty.with_stop(stop)], None).is_err_and(|e| e.is_interrupted())),
    ("wait_any of several", |p, stop| {
        wait_any(&[&p.empty, &p.event.with_stop(stop), &p.semaphore.with_stop(stop)], None).is_err_and(|e| e.is_interrupted())
    }),
    ("wait_any beside the stop", |p, stop| wait_any(&[&p.empty, stop, &p.event], None).is_err_and(|e| e.is_interrupted())),
    ("wait_any of a process", |_, stop| {
        let child = Process::spawn(|| std::thread::sleep(PATIENCE)).unwrap();
        let interrupted = wait_any(&[&child, stop], None).is_err_and(|e| e.is_interrupted());
        child.kill().unwrap();
        child.join().unwrap();
        interrupted
    }),
];

/// And the subscriber that has not read, which keeps the topic full.
fn places(strategy: WaitStrategy) -> (Places, Subscriber<u64>) {
    let queue = || Queue::<u64>::builder().capacity(1).wait_strategy(strategy).create().unwrap();
    let (full, empty) = (queue(), queue());
    full.put(&1).unwrap();
    #[cfg(feature = "object")]
    let objects =
        || ObjectQueue::builder().capacity_bytes(8192).max_spilled_bytes(150_000).wait_strategy(strategy).create().unwrap();
    let slices = Queue::<[u8]>::builder().capacity_bytes(8192).wait_strategy(strategy).create().unwrap();
    while slices.try_put(&[0; 100]).is_ok() {}
    let topic = Topic::<u64>::builder().capacity(1).wait_strategy(strategy).create().unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    let places = Places {
        full,
        empty,
        slices,
        topic,
        semaphore: Semaphore::new(0).unwrap(),
        event: Event::new().unwrap(),
        barrier: Barrier::new(2).unwrap(),
        mutex: Mutex::new(0).unwrap(),
        condvar: Condvar::new().unwrap(),
        lock: Lock::new().unwrap(),
        reentrant: ReentrantLock::new().unwrap(),
        bytes: DynQueue::builder(MessageLayout::of::<u64>()).capacity(1).wait_strategy(strategy).create().unwrap(),
        #[cfg(feature = "object")]
        objects: objects(),
        #[cfg(feature = "object")]
        no_objects: objects(),
    };
    #[cfg(feature = "object")]
    places.objects.put(&vec![1; SPILLED]).unwrap();
    places.lock.acquire().unwrap();
    places.reentrant.acquire().unwrap();
    (places, slow)
}

/// How long after a signal each verb ends: in a process that is asleep in it.
fn delays_of_verbs(restarts: bool, in_main_thread: bool, strategy: WaitStrategy) -> Vec<(&'static str, Duration)> {
    let (places, slow) = places(strategy);
    let slices_before = places.slices.len();
    let clock = Instant::now();
    // A process is not spawned beside other threads.
    let verbs = &VERBS[..if in_main_thread { VERBS.len() } else { VERBS.len() - 1 }];
    let delays = verbs.iter().map(|&(name, verb)| {
        let (sent, ended, ready) = (shared_word(), shared_word(), shared_word());
        let mut child = fork("a process that waits for a signal", || {
            let stop = ended_by_sigusr1(restarts);
            let call = || {
                ready.store(1, Release);
                assert!(verb(&places, &stop), "{name} was not interrupted");
                ended.store(clock.elapsed().as_nanos() as u64, Relaxed);
            };
            if in_main_thread {
                return call();
            }
            std::thread::scope(|threads| {
                threads.spawn(|| {
                    block_sigusr1();
                    call();
                });
            });
        });
        wait_for_count(name, ready, 1);
        child.wait_until_asleep();
        // Into the first sleep of each verb, or a later one.
        std::thread::sleep(Duration::from_millis(20));
        sent.store(clock.elapsed().as_nanos() as u64, Relaxed);
        send_signal(child.pid() as libc::pid_t, libc::SIGUSR1);
        child.expect_success_within(BY_ITSELF);
        (name, Duration::from_nanos(ended.load(Relaxed).saturating_sub(sent.load(Relaxed))))
    });
    let delays = delays.collect();
    // Nothing was taken or put.
    let Places { full, empty, slices, topic, semaphore, event, mutex, .. } = &places;
    assert_eq!((full.len(), empty.len(), slices.len()), (1, 0, slices_before));
    assert_eq!((topic.stats().published, slow.try_next().unwrap()), (1, 1));
    assert_eq!((semaphore.value(), event.is_set()), (0, false));
    assert!(mutex.try_lock().is_ok());
    places.lock.release().unwrap();
    places.reentrant.release().unwrap();
    // No place in line was left behind: what fits is put at once.
    drop(slices.get().unwrap());
    slices.try_put(&[0; 100]).unwrap();
    delays
}

/// `bound`: of half of them at least. (On a machine that is busy elsewhere a signal finds the call
/// awake, and is answered at the next slice.)
fn expect_delays(what: &str, delays: Vec<(&'static str, Duration)>, bound: Duration) {
    let late: Vec<_> = delays.iter().filter(|(_, delay)| *delay > bound).collect();
    let worst = delays.iter().max_by_key(|(_, delay)| *delay);
    eprintln!("{what}: the last ended after {worst:?}, {} after {bound:?}", late.len());
    assert!(late.len() * 2 <= delays.len(), "{what}: {late:?}");
}

/// At once, where the sleep returns `EINTR`.
fn a_check_ends_each_verb_after_a_signal() {
    let at_once = if cfg!(shmq_portable_sync) { 200 } else { 50 };
    for strategy in [WaitStrategy::Adaptive, WaitStrategy::Block] {
        let delays = delays_of_verbs(false, true, strategy);
        expect_delays("without SA_RESTART", delays, Duration::from_millis(at_once));
        let delays = delays_of_verbs(true, true, strategy);
        // `futex_waitv` is restarted: the next slice.
        expect_delays("with SA_RESTART", delays, Duration::from_millis(at_once));
    }
}

/// The thread that waits gets no signal: at its next slice.
fn a_check_ends_each_verb_when_another_thread_takes_the_signal() {
    let delays = delays_of_verbs(false, false, WaitStrategy::Adaptive);
    expect_delays("in another thread", delays, Duration::from_millis(180));
}

/// Counts its calls, and goes on.
fn counting() -> (Stop, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let stop = Stop::with_check(move || {
        counted.fetch_add(1, Relaxed);
        ControlFlow::Continue(())
    });
    (stop, calls)
}

/// A process that sends SIGUSR1 to its parent every so often.
fn storm(every: Duration) -> crate::support::process::Child {
    count_sigusr1(false);
    let target = std::process::id() as libc::pid_t;
    fork("a process that sends signals", move || {
        crate::support::process::die_with(target as u32);
        loop {
            send_signal(target, libc::SIGUSR1);
            std::thread::sleep(every);
        }
    })
}

fn a_signal_without_effect_changes_nothing() {
    let storm = storm(Duration::from_millis(3));
    let (empty, full) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    full.put(&1).unwrap();
    let (stop, calls) = counting();
    let half = Duration::from_millis(500);
    for round in 0..3 {
        let began = Instant::now();
        take_counted();
        calls.store(0, Relaxed);
        match round {
            0 => assert!(matches!(empty.with_stop(&stop).get_timeout(half), Err(GetError::Timeout))),
            1 => assert!(matches!(full.with_stop(&stop).put_timeout(&2, half), Err(PutError::Timeout))),
            _ => assert!(wait_any(&[&empty, &stop], began + half).is_err_and(|error| error.is_timeout())),
        }
        let (took, signals, calls) = (began.elapsed(), take_counted(), calls.load(Relaxed));
        eprintln!("{signals} signals, {calls} checks in {took:?}");
        assert!(took >= half && took < half + BY_ITSELF, "{took:?}");
        // At each slice at least, and not for nothing.
        let slices = took.as_millis() as u64 / 100 + 2;
        assert!(calls >= 3 && calls <= signals + slices, "{calls} checks for {signals} signals");
        // Also after signals, of which a busy machine brings many to a call that is awake.
        let answers_signals = calls > slices + signals / 8;
        assert!(cfg!(shmq_portable_sync) || answers_signals, "{calls} checks for {signals} signals");
    }
    // A message that comes in the middle of it.
    let late = empty.clone();
    let putter = std::thread::spawn(move || {
        block_sigusr1();
        std::thread::sleep(Duration::from_millis(250));
        late.put(&7).unwrap();
        Instant::now()
    });
    assert_eq!(empty.with_stop(&stop).get().unwrap(), 7);
    assert!(putter.join().unwrap().elapsed() < BY_ITSELF, "it slept on");
    storm.kill();
}

fn a_deadline_is_kept_across_signals() {
    let storm = storm(Duration::from_micros(700));
    let (stop, calls) = counting();
    let empty = Queue::<u64>::new(1).unwrap();
    let (waiting, event) = (empty.with_stop(&stop), Event::new().unwrap().with_stop(&stop));
    let mut rng = Rng::new("deadlines");
    let mut late = 0;
    for round in 0..150 {
        let timeout = Duration::from_micros(rng.below(25_000));
        let began = Instant::now();
        let is_timeout = match round % 3 {
            0 => waiting.get_timeout(timeout).is_err_and(|error| error.is_timeout()),
            1 => event.wait_timeout(timeout).is_err_and(|error| error.is_timeout()),
            _ => wait_any(&[&waiting, &event], began + timeout).is_err_and(|error| error.is_timeout()),
        };
        let took = began.elapsed();
        assert!(is_timeout && took >= timeout, "{took:?} for {timeout:?}");
        late += u32::from(took > timeout + Duration::from_millis(100));
    }
    // Each by a slice: the signals would prolong them. A few: the machine is busy elsewhere.
    assert!(late <= 75, "{late} of 150 waits ended late");
    assert!(cfg!(shmq_portable_sync) || calls.load(Relaxed) > 100, "{calls:?}");
    // Retries of a call whose holder is at work keep it too: the check's own time comes on top.
    let slow = Stop::with_check(|| {
        std::thread::sleep(Duration::from_millis(150));
        ControlFlow::Continue(())
    });
    let began = Instant::now();
    assert!(matches!(empty.with_stop(&slow).get_timeout(Duration::from_millis(40)), Err(GetError::Timeout)));
    assert!(began.elapsed() < BY_ITSELF, "{:?}", began.elapsed());
    storm.kill();
}

fn what_need_not_wait_asks_no_check() {
    count_sigusr1(false);
    let (stop, calls) = counting();
    let queue = Queue::<u64>::new(1).unwrap();
    let interruptible = queue.with_stop(&stop);
    // An earlier call of this thread met a signal, and asked nobody.
    let target = std::process::id() as libc::pid_t;
    let sender = fork("a process that sends a signal", move || {
        std::thread::sleep(Duration::from_millis(10));
        send_signal(target, libc::SIGUSR1);
    });
    assert!(queue.get_timeout(Duration::from_millis(80)).is_err());
    sender.expect_success();
    assert_eq!(take_counted(), 1);
    for _ in 0..100 {
        assert!(matches!(interruptible.try_get(), Err(GetError::Empty)));
        assert!(matches!(interruptible.get_timeout(Duration::ZERO), Err(GetError::Timeout)));
        assert!(matches!(interruptible.get_deadline(Instant::now()), Err(GetError::Timeout)));
        interruptible.put(&1).unwrap();
        assert!(matches!(interruptible.try_put(&1), Err(PutError::Full)));
        assert!(matches!(interruptible.put_timeout(&1, Duration::ZERO), Err(PutError::Timeout)));
        assert_eq!(wait_any(&[&interruptible], None), Ok(0));
        interruptible.get().unwrap();
    }
    assert_eq!(calls.load(Relaxed), 0);
}

fn a_spinning_call_asks_its_check() {
    let (stop, calls) = counting();
    let spinning: Queue<u64> = Queue::builder().capacity(1).wait_strategy(WaitStrategy::Spin).create().unwrap();
    let began = Instant::now();
    assert!(matches!(spinning.with_stop(&stop).get_timeout(Duration::from_millis(550)), Err(GetError::Timeout)));
    let (slices, calls) = (began.elapsed().as_millis() / 100, calls.load(Relaxed));
    assert!(calls >= 2 && u128::from(calls) <= slices, "{calls} checks in {slices} slices");
}

/// A stopped process holds locks: those who wait for them ask their checks.
#[cfg(not(shmq_portable_sync))]
fn a_wait_for_a_stopped_holder_asks_its_check() {
    let (mutex, array, value) = (Mutex::new(1u64).unwrap(), Array::new([1u64, 2]).unwrap(), Value::new(1u64).unwrap());
    let inside = shared_word();
    let mut holder = fork("a process with locks", || {
        let (_mutex, _array) = (mutex.lock().unwrap(), array.lock().unwrap());
        let hold = |_: &mut u64| {
            inside.store(1, Release);
            std::thread::sleep(PATIENCE);
        };
        value.update(hold).unwrap();
    });
    wait_for_count("the locks", inside, 1);
    holder.stop();
    let waits: [Wait<'_>; 4] = [
        ("Mutex::lock", &|stop| mutex.with_stop(stop).lock().is_err_and(|e| e.is_interrupted())),
        ("Mutex::lock_timeout", &|stop| mutex.with_stop(stop).lock_timeout(PATIENCE).is_err_and(|e| e.is_interrupted())),
        ("Array::lock", &|stop| array.with_stop(stop).lock().is_err_and(|e| e.is_interrupted())),
        ("Value::get", &|stop| value.with_stop(stop).get().is_err_and(|e| e.is_interrupted())),
    ];
    let mut delays = Vec::new();
    for restarts in [false, true] {
        for (name, wait) in waits {
            let (ready, ended, clock) = (shared_word(), shared_word(), Instant::now());
            let child = fork("a process that waits for a lock", || {
                let stop = ended_by_sigusr1(restarts);
                ready.store(1, Release);
                assert!(wait(&stop));
                ended.store(clock.elapsed().as_nanos() as u64, Relaxed);
            });
            wait_for_count(name, ready, 1);
            std::thread::sleep(Duration::from_millis(130));
            let sent = clock.elapsed();
            send_signal(child.pid() as libc::pid_t, libc::SIGUSR1);
            child.expect_success_within(BY_ITSELF);
            delays.push((name, Duration::from_nanos(ended.load(Relaxed)).saturating_sub(sent)));
        }
    }
    // A slice, and what a busy machine adds. Without the check it would be PATIENCE.
    expect_delays("behind a stopped holder", delays, Duration::from_millis(300));
    // It goes on without a signal, for as long as its deadline says.
    let (stop, calls) = counting();
    let began = Instant::now();
    let half = Duration::from_millis(500);
    assert!(mutex.with_stop(&stop).lock_timeout(half).is_err());
    assert!(began.elapsed() >= half);
    let most = began.elapsed().as_millis() as u64 / 100 + 2;
    assert!((2..=most).contains(&calls.load(Relaxed)), "{calls:?}");
    holder.kill();
    assert!(mutex.with_stop(&stop).lock().unwrap_err().is_owner_died());
}
