//! The bound on pending tasks: callers wait for room, or have their task back; nothing waits for
//! itself.

use crate::cases;
use crate::deaths::reap_orphans;
use crate::support::harness::Case;
use crate::support::process::{children_of, parent_of, send_signal, shared_words, wait_for_count};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::wait_until;
use shmq::{AsyncResult, Pool, TaskError};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_task_without_room_is_given_back,
        a_caller_waits_for_room,
        a_caller_waits_no_longer_than_it_says,
        callers_that_wait_are_served_in_their_order,
        a_cancelled_task_makes_room_at_once,
        a_task_cancelled_in_the_backlog_makes_room_once,
        a_killed_task_and_one_that_takes_too_long_make_room,
        a_task_whose_worker_dies_makes_room,
        a_task_that_cannot_be_sent_makes_room,
        an_iteration_reads_no_further_than_there_is_room,
        an_iteration_that_is_dropped_keeps_no_room,
        a_map_larger_than_the_bound_is_done,
        an_input_may_use_the_pool_that_it_is_for,
        a_callback_submits_beyond_the_bound,
        a_closed_or_terminated_pool_refuses_those_that_wait,
        a_pool_that_fails_refuses_those_that_wait,
        many_threads_keep_within_the_bound,
        a_child_of_the_program_waits_for_no_room,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Words that the workers share: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16))
}

const GO: usize = 0;
const BEGUN: usize = 1;
const PID: usize = 3;

fn square(n: u64) -> u64 {
    n * n
}

/// Counts itself in, and waits until the case says so.
fn wait_for_go(n: u64) -> u64 {
    words()[PID].store(u64::from(std::process::id()), SeqCst);
    words()[BEGUN].fetch_add(1, SeqCst);
    wait_for_count("the case's go", &words()[GO], 1);
    n
}

/// A pool of two workers that may have that many tasks pending, and has.
fn full(max: usize) -> (Pool, Vec<AsyncResult<u64>>) {
    words();
    let pool = Pool::builder().workers(2).max_pending(max).build().unwrap();
    let pending = (0..max as u64).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
    wait_for_count("tasks that run", &words()[BEGUN], max.min(2) as u64);
    (pool, pending)
}

fn go(pending: &[AsyncResult<u64>]) {
    words()[GO].store(1, SeqCst);
    pending.iter().for_each(|result| assert!(result.get().is_ok()));
}

#[track_caller]
fn assert_full(pool: &Pool, max: usize) {
    let refused = pool.try_apply_async(|text: String| text.len(), "back".to_owned()).map(drop).unwrap_err();
    assert_eq!((refused.argument.as_str(), &refused.error), ("back", &TaskError::Full { max }));
}

fn a_task_without_room_is_given_back() {
    let (pool, pending) = full(3);
    assert_full(&pool, 3);
    go(&pending);
    // At once: the results are there.
    let results: Vec<_> = (0..3).map(|n| pool.try_apply_async(square, n).unwrap()).collect();
    for (n, result) in (0..3).zip(results) {
        assert_eq!(result.get(), Ok(n * n));
        pool.try_apply_async(square, n).unwrap().get().unwrap();
    }
    let refused = Pool::builder().max_pending(0).build();
    assert_eq!(refused.unwrap_err().to_string(), "max_pending 0 cannot be used: it must be 1 or more");
}

fn a_caller_waits_for_room() {
    let (pool, pending) = full(2);
    let pool = Arc::new(pool);
    let other = Arc::clone(&pool);
    let waiting = start_and_wait_until_asleep("a caller", move || other.apply(square, 5));
    assert!(!waiting.has_finished());
    go(&pending);
    assert_eq!(waiting.join(), Ok(25));
}

fn a_caller_waits_no_longer_than_it_says() {
    let (pool, pending) = full(2);
    let begun = Instant::now();
    let wait = Duration::from_millis(100);
    assert_eq!(pool.apply_async_timeout(square, 1, wait).map(drop), Err(TaskError::Timeout));
    assert!(begun.elapsed() >= wait);
    let deadline = Instant::now() + wait;
    assert_eq!(pool.apply_async_deadline(square, 1, deadline).map(drop), Err(TaskError::Timeout));
    assert!(Instant::now() >= deadline);
    assert_eq!(pool.apply_async_timeout(square, 1, Duration::ZERO).map(drop), Err(TaskError::Timeout));
    go(&pending);
    assert_eq!(pool.apply_async_timeout(square, 1, Duration::ZERO).unwrap().get(), Ok(1));
    assert_eq!(pool.apply_async_deadline(square, 2, Instant::now()).unwrap().get(), Ok(4));
}

fn callers_that_wait_are_served_in_their_order() {
    let (pool, pending) = full(4);
    let pool = Arc::new(pool);
    // Needs all of the room, and is not passed by the small ones behind it.
    let other = Arc::clone(&pool);
    let large = start_and_wait_until_asleep("a chunk of four", move || other.batch().chunk_size(4).map(square, 0..4));
    let other = Arc::clone(&pool);
    let small = start_and_wait_until_asleep("a task", move || other.apply(square, 5));
    assert!(pending[2].cancel() && pending[3].cancel());
    assert_full(&pool, 4);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!small.has_finished(), "it passed the chunk that was there before it");
    go(&pending[..2]);
    assert_eq!(large.join(), Ok(vec![0, 1, 4, 9]));
    assert_eq!(small.join(), Ok(25));
}

fn a_cancelled_task_makes_room_at_once() {
    let (pool, pending) = full(5);
    for result in &pending[2..] {
        assert!(result.cancel());
        pool.try_apply_async(square, 1).unwrap();
        assert_full(&pool, 5);
    }
    go(&pending[..2]);
}

fn a_task_cancelled_in_the_backlog_makes_room_once() {
    words();
    const MAX: usize = 120;
    let pool = Pool::builder().workers(1).capacity_bytes(64 << 10).max_pending(MAX).build().unwrap();
    let running = pool.apply_async(wait_for_go, 7).unwrap();
    wait_for_count("a task that runs", &words()[BEGUN], 1);
    // More bytes than the queue has: the rest waits in the program.
    let length = |bytes: Vec<u8>| bytes.len();
    let mut waiting: Vec<_> = (1..MAX).map(|_| pool.apply_async(length, vec![1; 2000]).unwrap()).collect();
    for _ in 0..MAX {
        assert_full(&pool, MAX);
        assert!(waiting.pop().unwrap().cancel());
        waiting.insert(0, pool.try_apply_async(length, vec![1; 2000]).unwrap());
    }
    go(&[running]);
    assert!(waiting.iter().all(|result| matches!(result.get(), Ok(2000) | Err(TaskError::Cancelled))));
    assert!(has_room_for(&pool, MAX));
    let still = waiting.iter().filter(|result| result.get().is_ok()).count();
    assert!(still > 0, "all were cancelled");
}

fn a_killed_task_and_one_that_takes_too_long_make_room() {
    let (pool, pending) = full(2);
    assert!(pending[0].kill());
    assert_eq!(pending[0].get(), Err(TaskError::Cancelled));
    let limited = pool.batch().task_timeout(Duration::from_millis(20)).map(wait_for_go, [1]);
    assert!(matches!(limited, Err(TaskError::TimedOut { .. })), "{limited:?}");
    assert!(pool.try_apply_async(square, 1).is_ok());
    go(&pending[1..]);
}

fn a_task_whose_worker_dies_makes_room() {
    let (pool, pending) = full(1);
    send_signal(words()[PID].load(SeqCst) as i32, libc::SIGKILL);
    assert!(matches!(pending[0].get(), Err(TaskError::WorkerDied { .. })));
    let again = pool.try_apply_async(wait_for_go, 1).unwrap();
    wait_for_count("the next task", &words()[BEGUN], 2);
    assert_full(&pool, 1);
    send_signal(parent_of(words()[PID].load(SeqCst) as u32) as i32, libc::SIGKILL);
    assert!(matches!(again.get(), Err(TaskError::WorkerDied { .. })));
    assert_eq!(pool.try_apply_async(square, 3).unwrap().get(), Ok(9));
    drop(pool);
    reap_orphans();
}

fn a_task_that_cannot_be_sent_makes_room() {
    let pool = Pool::builder().workers(1).max_pending(2).capacity_bytes(64 << 10).build().unwrap();
    let length = |bytes: Vec<u8>| bytes.len();
    for _ in 0..5 {
        assert!(matches!(pool.apply(length, vec![0; 1 << 20]), Err(TaskError::TooLarge { .. })));
        let results: Vec<_> = pool.imap(length, [vec![0; 1 << 20], vec![0; 10]]).unwrap().collect();
        assert!(matches!(results[..], [Err(TaskError::TooLarge { .. }), Ok(10)]), "{results:?}");
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.map(length, (0..5).inspect(|&n| assert!(n < 3, "in the input")).map(|_| vec![0; 10]))
        }));
        assert!(panic.is_err());
        wait_until("room for two", || has_room_for(&pool, 2), String::new);
    }
}

/// Whether so many tasks have room: they are done then.
fn has_room_for(pool: &Pool, tasks: usize) -> bool {
    let sent: Vec<_> = (0..tasks as u64).map_while(|n| pool.try_apply_async(square, n).ok()).collect();
    sent.iter().for_each(|result| assert!(result.get().is_ok()));
    sent.len() == tasks
}

fn an_iteration_reads_no_further_than_there_is_room() {
    words();
    let pool = Pool::builder().workers(1).max_pending(3).build().unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&read);
    let input = (0..20).inspect(move |_| {
        counter.fetch_add(1, SeqCst);
    });
    let mut results = pool.imap(wait_for_go, input).unwrap();
    assert_eq!(read.load(SeqCst), 3);
    assert_full(&pool, 3);
    // Another one has no room at all, and waits for it only when it is asked for its first result.
    let mut other = pool.imap(square, 0..5).unwrap();
    words()[GO].store(1, SeqCst);
    for n in 0..20 {
        assert_eq!(results.next(), Some(Ok(n)));
        assert!(read.load(SeqCst) <= n + 1 + 3 + 3, "{} were read for {n}", read.load(SeqCst));
    }
    assert_eq!(results.next(), None);
    assert_eq!(other.by_ref().collect::<Result<Vec<_>, _>>(), Ok(vec![0, 1, 4, 9, 16]));
    assert_eq!(other.next(), None);
    // Larger chunks than there is room for are smaller.
    let sum: Result<u64, _> = pool.batch().chunk_size(100).imap_unordered(square, 0..50).unwrap().sum();
    assert_eq!(sum, Ok(40_425));
    assert!(has_room_for(&pool, 3));
}

fn an_iteration_that_is_dropped_keeps_no_room() {
    let pool = Pool::builder().workers(2).max_pending(4).build().unwrap();
    for size in [1, 3] {
        for _ in 0..50 {
            let mut results = pool.batch().chunk_size(size).imap(square, 0..).unwrap();
            assert_eq!(results.next(), Some(Ok(0)));
        }
        wait_until("room for four", || has_room_for(&pool, 4), String::new);
    }
}

fn a_map_larger_than_the_bound_is_done() {
    let pool = Pool::builder().workers(2).max_pending(3).build().unwrap();
    let expected: Vec<u64> = (0..500).map(square).collect();
    assert_eq!(pool.map(square, 0..500).as_ref(), Ok(&expected));
    assert_eq!(pool.map_async(square, 0..500).unwrap().get().as_ref(), Ok(&expected));
    assert_eq!(pool.batch().chunk_size(1).map(square, 0..500).as_ref(), Ok(&expected));
    assert!(has_room_for(&pool, 3));
}

fn a_callback_submits_beyond_the_bound() {
    let pool: &'static Pool = Box::leak(Box::new(Pool::builder().workers(1).max_pending(1).build().unwrap()));
    let (sender, results) = mpsc::channel();
    // Each callback submits the next two tasks while the bound is reached, and one is refused.
    fn submit(pool: &'static Pool, depth: u64, sender: mpsc::Sender<Result<u64, TaskError>>) {
        let again = sender.clone();
        let sent = pool.apply_async_then(square, depth, move |result| {
            again.send(result).unwrap();
            if depth > 0 {
                submit(pool, depth - 1, again.clone());
                submit(pool, depth - 1, again);
                assert!(pool.try_apply_async(square, 1).is_err_and(|refused| refused.error.is_full()));
            }
        });
        sent.unwrap();
    }
    submit(pool, 5, sender);
    let done: Vec<_> = results.iter().map(Result::unwrap).collect();
    assert_eq!(done.len(), (1 << 6) - 1);
    assert!(has_room_for(pool, 1));
    pool.close();
    pool.join().unwrap();
}

fn a_closed_or_terminated_pool_refuses_those_that_wait() {
    for terminate in [false, true] {
        words()[GO].store(0, SeqCst);
        words()[BEGUN].store(0, SeqCst);
        let (pool, pending) = full(2);
        let pool = Arc::new(pool);
        let other = Arc::clone(&pool);
        let task = start_and_wait_until_asleep("a task", move || other.apply_async(square, 5).map(drop));
        let other = Arc::clone(&pool);
        let map = start_and_wait_until_asleep("a map", move || other.map(square, 0..5));
        let error = if terminate { TaskError::Terminated } else { TaskError::Closed };
        if terminate {
            pool.terminate()
        } else {
            pool.close()
        }
        assert_eq!(task.join(), Err(error.clone()));
        assert_eq!(map.join(), Err(error));
        if !terminate {
            go(&pending);
        }
        pool.join().unwrap();
    }
}

fn a_pool_that_fails_refuses_those_that_wait() {
    let (pool, _pending) = full(2);
    let pool = Arc::new(pool);
    let other = Arc::clone(&pool);
    let task = start_and_wait_until_asleep("a task", move || other.apply_async(square, 5).map(drop));
    let workers = pool.worker_pids();
    let supervisor = parent_of(workers[0]);
    let standby = || children_of(supervisor).into_iter().find(|pid| !workers.contains(pid));
    wait_until("the standby", || standby().is_some(), || format!("{:?}", children_of(supervisor)));
    let standby = standby().unwrap();
    // Stopped first, so that neither takes the other's place.
    send_signal(standby as i32, libc::SIGSTOP);
    send_signal(supervisor as i32, libc::SIGKILL);
    send_signal(standby as i32, libc::SIGKILL);
    let outcome = task.join();
    assert!(matches!(outcome, Err(TaskError::Broken { .. })), "{outcome:?}");
    drop(pool);
    reap_orphans();
}

fn many_threads_keep_within_the_bound() {
    const MAX: u64 = 7;
    let pool = Pool::builder().workers(3).max_pending(MAX as usize).build().unwrap();
    let (sent, done) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (pool, sent, done) = (&pool, &sent, &done);
            scope.spawn(move || {
                for n in 0..300 {
                    let counted = Arc::clone(done);
                    let count = move |_| {
                        counted.fetch_add(1, SeqCst);
                    };
                    let result = pool.apply_async_then(square, n, count).unwrap();
                    // A task gives back its room before its callback counts it: there is one
                    // thread that does both.
                    let sent = sent.fetch_add(1, SeqCst) + 1;
                    let pending = sent.saturating_sub(done.load(SeqCst));
                    assert!(pending <= MAX + 1, "{pending} are pending");
                    if (n + thread) % 3 == 0 {
                        result.get().unwrap();
                    }
                }
            });
        }
    });
    pool.close();
    pool.join().unwrap();
    assert_eq!(done.load(SeqCst), 1800);
}

fn a_child_of_the_program_waits_for_no_room() {
    let (pool, pending) = full(2);
    let child = shmq::Process::spawn(|| {
        assert_eq!(pool.apply_async(square, 1).map(drop), Err(TaskError::Inherited));
        assert_eq!(pool.try_apply_async(square, 1).map(drop).unwrap_err().error, TaskError::Inherited);
        assert_eq!(pool.map(square, 0..3), Err(TaskError::Inherited));
    })
    .unwrap();
    assert!(child.join().unwrap().success());
    go(&pending);
}

/// All room is reserved while the input is read: its own tasks would wait for that.
fn an_input_may_use_the_pool_that_it_is_for() {
    let pool = Pool::builder().workers(2).max_pending(4).build().unwrap();
    let input = (0..40).map(|n: u64| pool.apply(|n| n + 1, n).unwrap());
    let results = pool.map(|n| n * 2, input).unwrap();
    assert_eq!(results, (0..40).map(|n| (n + 1) * 2).collect::<Vec<u64>>());
    // The bound is kept again.
    let tasks: Vec<_> = (0..20).map(|n: u64| pool.apply_async(|n| n, n).unwrap()).collect();
    assert_eq!(tasks.into_iter().map(|task| task.get().unwrap()).sum::<u64>(), 190);
}
