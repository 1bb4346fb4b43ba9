//! Signal handlers that use the same primitives and queues as the code that they interrupt. Each
//! case runs in a process of its own, in one thread, so a handler that waits for that code waits
//! for ever: a verb that must not be called in a handler hangs here, until the harness ends it.

use crate::support::harness::Case;
use shmq::sync::{Barrier, Condvar, Event, Lock, Mutex, Semaphore, SyncError, Value};
use shmq::{PutError, Queue};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        events_are_set_in_a_handler,
        permits_are_released_in_a_handler,
        permits_are_dropped_and_tried_in_a_handler,
        notices_are_given_in_a_handler,
        messages_are_tried_to_put_in_a_handler,
        values_are_tried_in_a_handler,
        locks_are_tried_in_a_handler,
        locks_without_data_are_tried_and_released_in_a_handler,
        a_release_in_a_handler_wakes_the_thread_that_it_interrupts,
        an_abort_in_a_handler_ends_the_wait_that_it_interrupts,
    ]
}

type Act = Box<dyn Fn() + Send + Sync>;
static ACT: OnceLock<Act> = OnceLock::new();
static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// The least number of handlers that run, and the time limit: verbs that give up after a
/// millisecond run less often.
const ENOUGH: u64 = 200;
const LONGEST: Duration = Duration::from_secs(20);

extern "C" fn handle(_: libc::c_int) {
    // SAFETY: `__errno_location` returns a valid pointer to this thread's `errno`.
    let errno = unsafe { *libc::__errno_location() };
    ACT.get().expect("set before the first signal")();
    SIGNALS.fetch_add(1, Relaxed);
    // SAFETY: `__errno_location` returns a valid pointer to this thread's `errno`, which no other
    // thread accesses.
    unsafe { *libc::__errno_location() = errno };
}

/// When the next handlers run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Repeatedly, with that many microseconds between them.
    Each(libc::suseconds_t),
    /// After the code has done a round since the last one: for slow handlers, which would leave it
    /// no time.
    OnceARound(libc::suseconds_t),
}

impl Timer {
    fn set(self) {
        let (each, first) = match self {
            Timer::Each(us) => (us, us),
            Timer::OnceARound(us) => (0, us),
        };
        let time = |tv_usec| libc::timeval { tv_sec: 0, tv_usec };
        let timer = libc::itimerval { it_interval: time(each), it_value: time(first) };
        // SAFETY: the timer outlives the call, which only reads it. Its signal has a handler that
        // is never removed.
        assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
    }
}

/// Calls `work` again and again, while a timer has `act` called in a handler. Returns the number of
/// handlers that ran.
fn interrupt(timer: Timer, act: impl Fn() + Send + Sync + 'static, mut work: impl FnMut()) -> u64 {
    assert!(ACT.set(Box::new(act)).is_ok(), "one a process");
    let handler = handle as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    // SAFETY: the handler is a function that lives for ever. Whether its calls are
    // async-signal-safe is what these cases test.
    unsafe { libc::signal(libc::SIGALRM, handler) };
    timer.set();
    let started = Instant::now();
    let mut seen = 0;
    while SIGNALS.load(Relaxed) < ENOUGH && started.elapsed() < LONGEST {
        (0..100).for_each(|_| work());
        let signals = SIGNALS.load(Relaxed);
        if signals != seen && matches!(timer, Timer::OnceARound(_)) {
            timer.set();
        }
        seen = signals;
    }
    Timer::Each(0).set();
    let signals = SIGNALS.load(Relaxed);
    assert!(signals >= 10, "{signals} handlers in {:?}", started.elapsed());
    signals
}

fn events_are_set_in_a_handler() {
    let event = Event::new().unwrap();
    let inside = event.clone();
    interrupt(
        Timer::Each(100),
        move || inside.set(),
        || {
            event.set();
            assert!(event.try_wait().is_ok() && event.is_set());
            event.clear();
        },
    );
    event.set();
    assert!(event.wait_timeout(Duration::ZERO).is_ok());
}

fn permits_are_released_in_a_handler() {
    let semaphore = Semaphore::new(0).unwrap();
    let inside = semaphore.clone();
    let (mut released, mut taken) = (0, 0);
    let act = move || {
        inside.release().unwrap();
        inside.release_many(2).unwrap();
    };
    // The handler also interrupts the takers, which hold the lock.
    let signals = interrupt(Timer::Each(100), act, || {
        semaphore.release().unwrap();
        released += 1;
        taken += u64::from(semaphore.acquire_timeout(Duration::ZERO).is_ok());
        taken += u64::from(semaphore.try_acquire().is_ok());
    });
    assert_eq!(semaphore.value(), released + 3 * signals - taken, "each release counts once");
}

fn permits_are_dropped_and_tried_in_a_handler() {
    let semaphore = Semaphore::new(2).unwrap();
    let inside = semaphore.clone();
    let act = move || match inside.try_permit() {
        Ok(permit) => drop(permit),
        // It interrupted a caller that is taking a permit.
        Err(error) => assert!(matches!(error, SyncError::Busy | SyncError::WouldBlock), "{error:?}"),
    };
    interrupt(Timer::OnceARound(150), act, || drop(semaphore.permit().unwrap()));
    assert_eq!(semaphore.value(), 2);
}

fn notices_are_given_in_a_handler() {
    let (mutex, condvar) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    let inside = condvar.clone();
    let act = move || {
        inside.notify_one();
        inside.notify(2);
        inside.notify_all();
    };
    interrupt(Timer::Each(100), act, || {
        condvar.notify_one();
        drop(condvar.wait_timeout(mutex.lock().unwrap(), Duration::from_micros(50)).unwrap());
    });
}

fn messages_are_tried_to_put_in_a_handler() {
    let queue = Queue::<u64>::new(8).unwrap();
    let inside = queue.clone();
    static PUT: AtomicU64 = AtomicU64::new(0);
    let act = move || match inside.try_put(&1) {
        Ok(()) => drop(PUT.fetch_add(1, Relaxed)),
        Err(error) => assert!(matches!(error, PutError::Full | PutError::Busy), "{error:?}"),
    };
    let (mut put, mut got) = (0, 0);
    interrupt(Timer::OnceARound(150), act, || {
        put += u64::from(queue.try_put(&2).is_ok());
        got += u64::from(queue.try_get().is_ok());
        // Full now and then, so that refusals take the slow path.
        if put % 1000 == 0 {
            (0..8).for_each(|_| put += u64::from(queue.try_put(&3).is_ok()));
        }
    });
    while queue.try_get().is_ok() {
        got += 1;
    }
    assert_eq!(got, put + PUT.load(Relaxed), "each message once");
}

fn values_are_tried_in_a_handler() {
    let value = Value::new([0u64; 2]).unwrap();
    let inside = value.clone();
    static CHANGED: AtomicU64 = AtomicU64::new(0);
    let act = move || {
        match inside.try_update(|words| words.iter_mut().for_each(|word| *word += 1)) {
            Ok(_) => drop(CHANGED.fetch_add(1, Relaxed)),
            Err(error) => assert!(error.is_would_block(), "{error:?}"),
        }
        assert!(inside.try_get().map_or_else(|error| error.is_would_block(), |words| words[0] == words[1]));
    };
    let mut changed = 0;
    interrupt(Timer::OnceARound(150), act, || {
        value.update(|words| words.iter_mut().for_each(|word| *word += 1)).unwrap();
        changed += 1;
    });
    assert_eq!(value.get().unwrap(), [changed + CHANGED.load(Relaxed); 2]);
}

fn locks_are_tried_in_a_handler() {
    let mutex = Mutex::new(0u64).unwrap();
    let inside = mutex.clone();
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    let act = move || match inside.try_lock() {
        Ok(mut guard) => {
            *guard += 1;
            COUNTED.fetch_add(1, Relaxed);
        }
        Err(error) => assert!(error.is_would_block(), "{error:?}"),
    };
    let mut counted = 0;
    interrupt(Timer::OnceARound(150), act, || {
        *mutex.lock().unwrap() += 1;
        counted += 1;
    });
    assert_eq!(*mutex.lock().unwrap(), counted + COUNTED.load(Relaxed));
}

fn locks_without_data_are_tried_and_released_in_a_handler() {
    let lock = Lock::new().unwrap();
    let inside = lock.clone();
    static RELEASED: AtomicU64 = AtomicU64::new(0);
    // What the code has acquired, the handler releases: a guard ends its own hold only.
    let act = move || match inside.try_acquire() {
        Ok(_) => inside.release().unwrap(),
        Err(error) => {
            assert!(error.is_would_block(), "{error:?}");
            RELEASED.fetch_add(u64::from(inside.release().is_ok()), Relaxed);
        }
    };
    interrupt(Timer::OnceARound(150), act, || {
        let guard = lock.lock().unwrap();
        assert!(lock.is_mine() || RELEASED.load(Relaxed) != 0);
        drop(guard);
        drop(lock.try_lock());
    });
    assert!(!lock.locked() && !lock.owner_died());
}

/// Like `sem_post`: the sleeper is woken, or finds the permit before it sleeps.
fn a_release_in_a_handler_wakes_the_thread_that_it_interrupts() {
    let semaphore = Semaphore::new(0).unwrap();
    let inside = semaphore.clone();
    let signals = interrupt(Timer::Each(2_000), move || inside.release().unwrap(), {
        let mut waits = 0;
        let semaphore = semaphore.clone();
        move || {
            waits += 1;
            if waits % 10 == 0 && SIGNALS.load(Relaxed) < ENOUGH {
                semaphore.acquire().unwrap();
            }
        }
    });
    assert!(semaphore.value() <= signals);
}

fn an_abort_in_a_handler_ends_the_wait_that_it_interrupts() {
    let barrier = Barrier::new(2).unwrap();
    let inside = barrier.clone();
    let mut waits = 0;
    let act = move || match inside.abort() {
        Ok(()) => {}
        Err(error) => assert!(matches!(error, SyncError::Busy), "{error:?}"),
    };
    interrupt(Timer::Each(5_000), act, || {
        if SIGNALS.load(Relaxed) < ENOUGH {
            assert!(barrier.wait().unwrap_err().is_broken());
            assert!(barrier.is_broken());
            barrier.reset().unwrap();
            waits += 1;
        }
    });
    assert!(waits > 0);
}
