//! Tasks that take too long: their worker is killed and replaced, never early, and no other task is
//! hit.

use crate::cases;
use crate::deaths::reap_orphans;
use crate::support::harness::Case;
use crate::support::process::{parent_of, send_signal, shared_words, state_and_group, wait_for_count};
use crate::support::{Rng, wait_until};
use shmq::{Pool, TaskError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_task_that_takes_too_long_is_ended_and_its_worker_replaced,
        a_limit_that_cannot_be_is_an_error,
        waiting_counts_for_no_limit,
        each_task_of_a_chunk_has_the_whole_time,
        a_chunk_with_a_task_that_takes_too_long_fails_as_a_whole,
        a_call_has_a_limit_of_its_own,
        a_short_limit_keeps_the_supervisor_awake_no_longer_than_its_task,
        a_task_that_takes_too_long_is_not_retried,
        a_retried_task_has_the_whole_time_again,
        a_stopped_worker_is_ended_in_time,
        a_worker_whose_result_waits_for_room_is_not_ended,
        the_supervisor_killed_beside_a_task_that_takes_too_long,
        the_supervisor_stopped_beside_a_task_that_takes_too_long,
        a_closed_pool_ends_beside_tasks_that_take_too_long,
        a_worker_killed_at_its_limit_has_one_outcome,
        tasks_about_as_long_as_their_limit_have_one_outcome_each,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Words that the workers share: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16))
}

const BEGUN: usize = 1;
const PID: usize = 3;
const BEGUN_AT: usize = 4;
/// Long enough for a task that does nothing, beside a busy machine.
const LIMIT: Duration = Duration::from_secs(1);

fn square(n: u64) -> u64 {
    n * n
}

fn sleep_ms(ms: u64) -> u64 {
    words()[PID].store(u64::from(std::process::id()), SeqCst);
    words()[BEGUN].fetch_add(1, SeqCst);
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

const ENDLESS: u64 = 1_000_000;

#[track_caller]
fn assert_timed_out<T: std::fmt::Debug>(result: &Result<T, TaskError>, limit: Duration) {
    assert!(matches!(result, Err(TaskError::TimedOut { after, .. }) if *after == limit), "{result:?}");
}

fn is_gone(pid: u64) -> bool {
    state_and_group(pid as i32).is_none_or(|(state, _)| state == 'Z')
}

fn a_task_that_takes_too_long_is_ended_and_its_worker_replaced() {
    words();
    let pool = Pool::builder().workers(2).task_timeout(LIMIT).build().unwrap();
    for round in 1..=3 {
        let begun = Instant::now();
        let result = pool.apply(sleep_ms, ENDLESS);
        let took = begun.elapsed();
        let worker = words()[PID].load(SeqCst);
        assert!(is_gone(worker), "the result was there before the end of its worker");
        let Err(TaskError::TimedOut { after: LIMIT, pid: Some(pid) }) = result else { panic!("{result:?}") };
        assert_eq!(u64::from(pid), worker);
        assert!(took >= LIMIT, "{took:?}");
        let is_whole = || pool.stats().running == 2 && pool.stats().killed == round;
        wait_until("two workers", is_whole, || format!("{:?}", pool.stats()));
        assert_eq!(pool.stats().died, 0);
        assert_eq!(pool.apply(square, 3), Ok(9));
    }
    let error = pool.apply(sleep_ms, ENDLESS).unwrap_err().to_string();
    assert!(error.starts_with("the task took longer than 1s: its worker (process "), "{error}");
}

fn a_limit_that_cannot_be_is_an_error() {
    let refused = Pool::builder().task_timeout(Duration::ZERO).build();
    assert_eq!(refused.unwrap_err().to_string(), "task_timeout 0 cannot be used: it must be 1 or more");
    let pool = Pool::builder().workers(1).task_timeout(Duration::MAX).build().unwrap();
    let refused = pool.batch().task_timeout(Duration::ZERO).map(square, 0..2);
    assert!(matches!(refused, Err(TaskError::OutOfRange { option: "task_timeout", .. })));
    assert_eq!(pool.apply(square, 3), Ok(9));
}

/// A limit far beyond what a task of half a second takes on a busy machine.
const LONG: Duration = Duration::from_secs(3);

fn waiting_counts_for_no_limit() {
    words();
    let pool = Pool::builder().workers(1).task_timeout(LONG).build().unwrap();
    // Each takes a part of the limit; the last waits for longer than the limit.
    let results: Vec<_> = (0..8).map(|_| pool.apply_async(sleep_ms, 500).unwrap()).collect();
    for result in results {
        assert_eq!(result.get(), Ok(500));
    }
    std::thread::sleep(LONG * 4 / 3);
    assert_eq!(pool.apply(square, 3), Ok(9), "an idle worker has no limit");
    assert_eq!(pool.stats().killed, 0);
}

fn each_task_of_a_chunk_has_the_whole_time() {
    words();
    let pool = Pool::builder().workers(1).task_timeout(LONG).build().unwrap();
    assert_eq!(pool.batch().chunk_size(8).map(sleep_ms, [500; 8]), Ok(vec![500; 8]));
    assert_eq!(pool.stats().killed, 0);
}

fn a_chunk_with_a_task_that_takes_too_long_fails_as_a_whole() {
    words();
    let pool = Pool::builder().workers(2).task_timeout(LIMIT).build().unwrap();
    let input = (0..9).map(|n| if n == 4 { ENDLESS } else { n });
    let results: Vec<_> = pool.batch().chunk_size(3).imap(sleep_ms, input).unwrap().collect();
    for (n, result) in results.iter().enumerate() {
        if n / 3 == 1 { assert_timed_out(result, LIMIT) } else { assert_eq!(*result, Ok(n as u64)) }
    }
}

fn a_call_has_a_limit_of_its_own() {
    words();
    let pool = Pool::builder().workers(2).task_timeout(LIMIT).build().unwrap();
    let ms = LIMIT.as_millis() as u64;
    let long = pool.batch().task_timeout(Duration::MAX).map_async(sleep_ms, [ms * 3]).unwrap();
    let short = Duration::from_millis(20);
    assert_timed_out(&pool.batch().task_timeout(short).map(sleep_ms, [ENDLESS]), short);
    assert_timed_out(&pool.apply(sleep_ms, ENDLESS), LIMIT);
    assert_eq!(long.get(), Ok(vec![ms * 3]));

    // The first limit in a pool that had none, whose supervisor sleeps for ever by then.
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(square, 3), Ok(9));
    std::thread::sleep(Duration::from_millis(150));
    assert_timed_out(&pool.batch().task_timeout(short).map(sleep_ms, [ENDLESS]), short);
}

/// How often a process has gone to sleep by itself.
fn sleeps_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

fn a_short_limit_keeps_the_supervisor_awake_no_longer_than_its_task() {
    words();
    let pool = Pool::new(1).unwrap();
    let supervisor = parent_of(pool.worker_pids()[0]);
    let batch = pool.batch().task_timeout(Duration::from_millis(2));
    let running = batch.imap(square, 0..50).unwrap().filter(Result::is_ok).count();
    assert!(running > 0, "all 50 took too long");
    drop(batch);
    // It may still have to replace workers, and to see that the limit is gone.
    std::thread::sleep(Duration::from_millis(300));
    let before = sleeps_of(supervisor);
    std::thread::sleep(Duration::from_millis(500));
    let sleeps = sleeps_of(supervisor) - before;
    assert!(sleeps < 20, "it woke {sleeps} times in half a second");
}

fn a_task_that_takes_too_long_is_not_retried() {
    words();
    let pool = Pool::builder().workers(2).retries(5).task_timeout(LIMIT).build().unwrap();
    assert_timed_out(&pool.apply(sleep_ms, ENDLESS), LIMIT);
    assert_eq!(pool.apply(square, 3), Ok(9));
    assert_eq!(words()[BEGUN].load(SeqCst), 1);
}

/// Nanoseconds of the clock that all processes share.
fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec that the call may write.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) }, 0);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn a_retried_task_has_the_whole_time_again() {
    words();
    let pool = Pool::builder().workers(1).retries(5).task_timeout(LIMIT).build().unwrap();
    let note_time = |ms: u64| {
        words()[BEGUN_AT].store(now_ns(), SeqCst);
        sleep_ms(ms)
    };
    let mut rounds = 0;
    while rounds < 3 {
        words()[BEGUN].store(0, SeqCst);
        let result = pool.apply_async(note_time, ENDLESS).unwrap();
        // Killed in the middle of its time, from outside: the second attempt would be ended too
        // early if that time went on.
        wait_for_count("an attempt", &words()[BEGUN], 1);
        std::thread::sleep(LIMIT * 2 / 3);
        let worker = words()[PID].load(SeqCst) as i32;
        // SAFETY: kill takes two numbers. On a slow machine the worker may just have been ended;
        // no other process gets its pid so soon.
        unsafe { libc::kill(worker, libc::SIGKILL) };
        assert_timed_out(&result.get(), LIMIT);
        let took = now_ns() - words()[BEGUN_AT].load(SeqCst);
        assert!(took >= LIMIT.as_nanos() as u64, "the last attempt was ended after {took} ns");
        rounds += u64::from(words()[BEGUN].load(SeqCst) == 2);
    }
}

fn a_stopped_worker_is_ended_in_time() {
    words();
    let pool = Pool::builder().workers(1).task_timeout(LIMIT).build().unwrap();
    let result = pool.apply_async(sleep_ms, ENDLESS).unwrap();
    wait_for_count("a task", &words()[BEGUN], 1);
    let worker = words()[PID].load(SeqCst) as i32;
    send_signal(worker, libc::SIGSTOP);
    let is_stopped = || state_and_group(worker).is_some_and(|(state, _)| state == 'T');
    wait_until("a stopped worker", is_stopped, || format!("{:?}", state_and_group(worker)));
    assert_timed_out(&result.get(), LIMIT);
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn a_worker_whose_result_waits_for_room_is_not_ended() {
    words();
    let pool = Pool::builder().workers(1).capacity_bytes(256 << 10).task_timeout(LIMIT).build().unwrap();
    // The pool's own thread is kept from taking results, by a callback.
    let result = pool.apply_async_then(square, 1, |_| std::thread::sleep(LIMIT * 4)).unwrap();
    let large = |n: u64| vec![n as u8; 60_000];
    let map = pool.batch().chunk_size(20).map_async(large, 0..20).unwrap();
    assert_eq!(result.get(), Ok(1));
    assert_eq!(map.get().map(|all| all.len()), Ok(20));
    assert_eq!(pool.stats().killed, 0);
}

fn the_supervisor_killed_beside_a_task_that_takes_too_long() {
    words();
    let pool = Pool::builder().workers(2).retries(1).task_timeout(LIMIT).build().unwrap();
    let result = pool.apply_async(sleep_ms, ENDLESS).unwrap();
    wait_for_count("a task", &words()[BEGUN], 1);
    send_signal(parent_of(words()[PID].load(SeqCst) as u32) as i32, libc::SIGKILL);
    // Its worker dies with the supervisor, so it is begun again; the next supervisor knows the
    // limit.
    assert_timed_out(&result.get(), LIMIT);
    assert_eq!(words()[BEGUN].load(SeqCst), 2);
    drop(pool);
    reap_orphans();
}

fn the_supervisor_stopped_beside_a_task_that_takes_too_long() {
    words();
    let pool = Pool::builder().workers(1).retries(3).task_timeout(LIMIT).build().unwrap();
    for (ms, dies) in [(ENDLESS, false), (ENDLESS, true), (LIMIT.as_millis() as u64 * 2, false)] {
        words()[BEGUN].store(0, SeqCst);
        let result = pool.apply_async(sleep_ms, ms).unwrap();
        wait_for_count("a task", &words()[BEGUN], 1);
        let supervisor = parent_of(words()[PID].load(SeqCst) as u32) as i32;
        send_signal(supervisor, libc::SIGSTOP);
        std::thread::sleep(LIMIT * 3 / 2);
        assert!(!result.is_ready(), "nothing can end it");
        if ms != ENDLESS {
            assert_eq!(result.get(), Ok(ms), "it was over before it was ended");
            send_signal(supervisor, libc::SIGCONT);
            continue;
        }
        send_signal(supervisor, if dies { libc::SIGKILL } else { libc::SIGCONT });
        assert_timed_out(&result.get(), LIMIT);
        assert_eq!(pool.apply(square, 3), Ok(9));
    }
    drop(pool);
    reap_orphans();
}

fn a_closed_pool_ends_beside_tasks_that_take_too_long() {
    words();
    for workers in [1, 3] {
        let pool = Pool::builder().workers(workers).task_timeout(LIMIT).build().unwrap();
        let results: Vec<_> = (0..6).map(|n| pool.apply_async(sleep_ms, if n % 2 == 0 { ENDLESS } else { n }).unwrap()).collect();
        pool.close();
        pool.join().unwrap();
        for (n, result) in results.iter().enumerate() {
            let result = result.get_timeout(Duration::ZERO);
            if n % 2 == 0 { assert_timed_out(&result, LIMIT) } else { assert_eq!(result, Ok(n as u64)) }
        }
    }
}

fn a_worker_killed_at_its_limit_has_one_outcome() {
    words();
    let limit = Duration::from_millis(20);
    let pool = Pool::builder().workers(2).task_timeout(limit).build().unwrap();
    let mut rng = Rng::new("kills at the limit");
    let mut counts = [0; 2];
    while counts[0] + counts[1] < 60 || counts.contains(&0) {
        let begun = words()[BEGUN].load(SeqCst);
        let result = pool.apply_async(sleep_ms, ENDLESS).unwrap();
        wait_for_count("a task", &words()[BEGUN], begun + 1);
        std::thread::sleep(limit / 2 + rng.duration_below(limit));
        let pid = words()[PID].load(SeqCst) as i32;
        // SAFETY: kill takes two numbers. The pool has not reaped this worker, or has just done so:
        // no other process gets its pid so soon.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        match result.get() {
            Err(TaskError::TimedOut { after, .. }) if after == limit => counts[0] += 1,
            Err(TaskError::WorkerDied { attempts: 1, .. }) => counts[1] += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.apply(square, 3), Ok(9));
    }
}

/// Each task has its result, or was ended; and those beside them are not hit: they have no limit,
/// and run in the same workers.
fn tasks_about_as_long_as_their_limit_have_one_outcome_each() {
    words();
    let limit = Duration::from_millis(10);
    let pool = Pool::new(3).unwrap();
    let mut counts = [0; 2];
    let spin = |us: u64| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(us) {
            std::hint::spin_loop();
        }
        us
    };
    for _ in 0..5 {
        let unlimited = pool.batch().chunk_size(1).map_async(spin, (0..300).map(|n| n * 7 % 1000)).unwrap();
        let durations: Vec<u64> = (0..100).map(|n| 1_000 + n * 180).collect();
        let limited = pool.batch().task_timeout(limit).imap(spin, durations.clone()).unwrap();
        for (result, us) in limited.zip(durations) {
            match result {
                Ok(done) => {
                    assert_eq!(done, us);
                    counts[0] += 1;
                }
                Err(TaskError::TimedOut { after, .. }) if after == limit => counts[1] += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(unlimited.get().map(|all| all.len()), Ok(300));
    }
    assert!(counts[0] > 0 && counts[1] > 0 && counts[0] + counts[1] == 500, "{counts:?}");
    let stats = pool.stats();
    assert_eq!((stats.killed, stats.died), (counts[1], 0));
}
