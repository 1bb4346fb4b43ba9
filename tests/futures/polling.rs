//! What a poll costs and touches: no thread before the first task that waits, one thread then, and
//! wakers that panic, are replaced, or call back.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, wait_until};
use shmq::Queue;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        futures_that_are_ready_start_no_thread,
        one_thread_waits_for_all_and_blocks_all_signals,
        a_waker_that_panics_holds_no_other_task_up,
        a_waker_that_polls_and_drops_futures_is_called_outside_all_locks,
        the_last_waker_of_a_task_is_called,
        a_task_is_woken_once_for_a_message,
        idle_tasks_take_no_time,
    ]
}

/// Counts its calls.
#[derive(Default)]
pub struct Counts(AtomicU64);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Release);
    }
}

impl Counts {
    pub fn count(&self) -> u64 {
        self.0.load(Acquire)
    }

    pub fn wait_for(&self, count: u64) {
        wait_until("a waker to be called", || self.count() >= count, || format!("{} of {count}", self.count()));
    }
}

/// Polls once with that waker.
pub fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// The threads of this process by name.
pub fn threads() -> Vec<(String, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let read = |task: &std::fs::DirEntry, file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
    tasks.map(|task| (read(&task, "comm").trim().to_string(), read(&task, "status"))).collect()
}

pub fn reactors() -> Vec<String> {
    threads().into_iter().filter(|(name, _)| name.starts_with("shmq-reactor")).map(|(_, status)| status).collect()
}

/// A thread names itself once it runs.
pub fn wait_for_a_reactor() {
    wait_until("a reactor", || reactors().len() == 1, || format!("{:?}", threads()));
}

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn futures_that_are_ready_start_no_thread() {
    let queue = queue(4);
    for number in 0..1_000 {
        // One in 128 yields, and waits for nothing.
        let mut put = queue.put_async(&number);
        while poll(&mut put, Waker::noop()).is_pending() {}
        let mut get = queue.get_async();
        while poll(&mut get, Waker::noop()).is_pending() {}
    }
    assert_eq!(threads().len(), 1, "{:?}", threads().iter().map(|(name, _)| name).collect::<Vec<_>>());
}

fn one_thread_waits_for_all_and_blocks_all_signals() {
    let queues: Vec<Queue<u64>> = (0..20).map(|_| queue(1)).collect();
    let mut gets: Vec<_> = queues.iter().flat_map(|queue| (0..5).map(|_| queue.get_async())).collect();
    for get in &mut gets {
        assert!(poll(get, Waker::noop()).is_pending());
    }
    let blocks_all = || {
        let reactors = reactors();
        let blocked = reactors.iter().filter_map(|status| status.lines().find_map(|line| line.strip_prefix("SigBlk:")));
        let blocked: Vec<u64> = blocked.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap()).collect();
        // All but SIGKILL, SIGSTOP, the faults of a thread itself, and the two that the C library
        // keeps for itself.
        let bit = |signal: libc::c_int| 1u64 << (signal - 1);
        let faults = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
        let open = [libc::SIGKILL, libc::SIGSTOP, 32, 33].into_iter().chain(faults).fold(0, |open, signal| open | bit(signal));
        reactors.len() == 1 && blocked == [!open]
    };
    wait_until("one reactor, which blocks all signals of the process", blocks_all, || format!("{:?}", reactors()));
}

fn a_waker_that_panics_holds_no_other_task_up() {
    struct Panics(AtomicU64);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Release);
            panic!("of the test's own, in a waker");
        }
    }
    std::panic::set_hook(Box::new(|_| {}));
    let queue = queue(4);
    for round in 1..=5 {
        let (panics, counts) = (Arc::new(Panics(AtomicU64::new(0))), Arc::new(Counts::default()));
        let (panicking, counting) = (Waker::from(Arc::clone(&panics)), Waker::from(Arc::clone(&counts)));
        let (mut first, mut second) = (queue.get_async(), queue.get_async());
        assert!(poll(&mut first, &panicking).is_pending() && poll(&mut second, &counting).is_pending());
        std::thread::sleep(Duration::from_millis(2));
        let put_at = Instant::now();
        queue.put(&round).unwrap();
        counts.wait_for(1);
        eprintln!("woken after {:?}", put_at.elapsed());
        assert_eq!(panics.0.load(Acquire), 1);
        assert!(matches!(poll(&mut second, &counting), Poll::Ready(Ok(number)) if number == round));
    }
}

/// A waker of an executor that runs its task at once, in the thread that wakes it.
fn a_waker_that_polls_and_drops_futures_is_called_outside_all_locks() {
    struct Reenters(Queue<u64>, AtomicU64);
    impl Wake for Reenters {
        fn wake(self: Arc<Self>) {
            let mut inner = self.0.get_async();
            let mut other = self.0.get_async();
            let _ = poll(&mut inner, Waker::noop());
            let _ = poll(&mut other, Waker::noop());
            drop((inner, other));
            self.1.fetch_add(1, Release);
        }
    }
    impl Drop for Reenters {
        fn drop(&mut self) {
            let mut last = self.0.get_async();
            let _ = poll(&mut last, Waker::noop());
        }
    }
    let queue = queue(4);
    for number in 0..50 {
        let reenters = Arc::new(Reenters(queue.clone(), AtomicU64::new(0)));
        let mut get = queue.get_async();
        assert!(poll(&mut get, &Waker::from(Arc::clone(&reenters))).is_pending());
        // Replaced by another: the first is dropped.
        assert!(poll(&mut get, &Waker::from(Arc::new(Reenters(queue.clone(), AtomicU64::new(0))))).is_pending());
        assert!(poll(&mut get, &Waker::from(Arc::clone(&reenters))).is_pending());
        queue.put(&number).unwrap();
        wait_until("the waker", || reenters.1.load(Acquire) > 0, || format!("{queue:?}"));
        drop(get);
        while queue.try_get().is_ok() {}
    }
}

fn the_last_waker_of_a_task_is_called() {
    let queue = queue(4);
    for number in 0..20 {
        let (old, new) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
        let mut get = queue.get_async();
        assert!(poll(&mut get, &Waker::from(Arc::clone(&old))).is_pending());
        assert!(poll(&mut get, &Waker::from(Arc::clone(&new))).is_pending());
        queue.put(&number).unwrap();
        new.wait_for(1);
        assert_eq!(old.count(), 0);
        assert!(matches!(poll(&mut get, Waker::noop()), Poll::Ready(Ok(taken)) if taken == number));
    }
}

fn a_task_is_woken_once_for_a_message() {
    let queue = queue(4);
    let counts: Vec<Arc<Counts>> = (0..10).map(|_| Arc::default()).collect();
    let mut gets: Vec<_> = counts.iter().map(|_| queue.get_async()).collect();
    for (get, counts) in gets.iter_mut().zip(&counts) {
        assert!(poll(get, &Waker::from(Arc::clone(counts))).is_pending());
    }
    std::thread::sleep(Duration::from_millis(2));
    let total = || counts.iter().map(|counts| counts.count()).sum::<u64>();
    for number in 0..5 {
        queue.put(&number).unwrap();
        wait_until("a task to be woken", || total() > number, || format!("{} of {number}", total()));
        // In the order in which they began to wait.
        assert!(matches!(poll(&mut gets[number as usize], Waker::noop()), Poll::Ready(Ok(taken)) if taken == number));
    }
    assert_eq!(total(), 5);
    queue.close();
    wait_until("all tasks to be woken", || total() == 10, || format!("{}", total()));
}

fn idle_tasks_take_no_time() {
    let queue = queue(4);
    let (waits, stop) = (shared_word(), shared_word());
    let child = fork("a process of idle tasks", || {
        let mut gets: Vec<_> = (0..1_000).map(|_| queue.get_async()).collect();
        gets.iter_mut().for_each(|get| assert!(poll(get, Waker::noop()).is_pending()));
        std::thread::sleep(Duration::from_millis(50));
        let before = cpu_time();
        waits.store(1, Release);
        wait_until_set(stop);
        let (used, naps) = (cpu_time() - before, gets.len());
        eprintln!("{naps} idle tasks took {used:?} in 2 s");
        assert!(used < Duration::from_millis(60), "{used:?}");
    });
    wait_for_count("the tasks", waits, 1);
    std::thread::sleep(Duration::from_secs(2));
    stop.store(1, Release);
    child.expect_success();
}

/// Without a loop of short sleeps.
fn wait_until_set(word: &AtomicU64) {
    let end = Instant::now() + PATIENCE;
    while word.load(Relaxed) == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Processor time of this process, all threads.
pub fn cpu_time() -> Duration {
    // SAFETY: zeroes are a rusage, which the call may write.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
