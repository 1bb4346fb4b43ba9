//! Cancelled and killed tasks: those that have not begun never run, those that run end with their
//! worker, and each has one outcome, whichever process dies meanwhile.

use crate::cases;
use crate::deaths::reap_orphans;
use crate::support::harness::Case;
use crate::support::process::{parent_of, send_signal, shared_words, state_and_group, wait_for_count};
use crate::support::{Rng, wait_until};
use shmq::{AsyncResult, Pool, TaskError};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        a_task_that_has_not_begun_never_runs,
        a_task_that_runs_or_is_done_is_not_cancelled,
        a_task_that_was_cancelled_stays_so,
        chunks_of_a_map_that_have_not_begun_are_cancelled,
        an_iteration_is_cancelled,
        an_iteration_that_is_cancelled_yields_what_it_has_read,
        tasks_in_the_backlog_are_cancelled,
        a_killed_task_runs_no_more_and_its_worker_is_replaced,
        a_killed_task_is_not_retried,
        a_killed_map_ends_with_all_its_workers,
        a_task_of_a_stopped_worker_is_killed,
        a_task_killed_beside_its_dying_supervisor_is_cancelled,
        a_task_cancelled_while_its_worker_is_dead_never_runs,
        a_callback_gets_the_cancellation_once,
        a_closed_pool_ends_beside_cancelled_and_killed_tasks,
        results_of_a_pool_that_is_gone_are_not_cancelled,
        a_child_cancels_nothing_of_its_parent,
        a_storm_of_cancellations_beside_running_tasks,
        a_storm_of_kills_by_the_program_and_from_outside,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Words that the workers share: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16 + 20_000))
}

const GO: usize = 0;
const BEGUN: usize = 1;
const RAN: usize = 2;
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

fn run(n: u64) -> u64 {
    words()[RAN].fetch_add(1, SeqCst);
    n
}

/// A task that runs, in a pool of one worker.
fn occupy(pool: &Pool) -> AsyncResult<u64> {
    let begun = words()[BEGUN].load(SeqCst);
    let result = pool.apply_async(wait_for_go, 7).unwrap();
    wait_for_count("a task that runs", &words()[BEGUN], begun + 1);
    result
}

fn is_gone(pid: u64) -> bool {
    state_and_group(pid as i32).is_none_or(|(state, _)| state == 'Z')
}

fn a_task_that_has_not_begun_never_runs() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    let waiting: Vec<_> = (0..10).map(|n| pool.apply_async(run, n).unwrap()).collect();
    for (n, result) in waiting.iter().enumerate() {
        if n % 2 == 0 {
            assert!(result.cancel());
            assert!(result.is_ready() && result.is_successful() == Some(false));
            assert_eq!(result.get(), Err(TaskError::Cancelled));
        }
    }
    words()[GO].store(1, SeqCst);
    assert_eq!(running.get(), Ok(7));
    for (n, result) in waiting.iter().enumerate() {
        assert_eq!(result.get(), if n % 2 == 0 { Err(TaskError::Cancelled) } else { Ok(n as u64) });
    }
    assert_eq!(pool.apply(square, 3), Ok(9));
    assert_eq!(words()[RAN].load(SeqCst), 5);
}

fn a_task_that_runs_or_is_done_is_not_cancelled() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    assert!(!running.cancel());
    assert!(!running.is_ready());
    words()[GO].store(1, SeqCst);
    assert_eq!(running.get(), Ok(7));
    assert!(!running.cancel() && !running.kill());
    assert_eq!(running.get(), Ok(7));
    assert_eq!(pool.stats().killed, 0);
}

fn a_task_that_was_cancelled_stays_so() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    let waiting = pool.apply_async(run, 1).unwrap();
    assert!(waiting.cancel() && waiting.cancel() && waiting.kill());
    assert!(running.kill() && running.cancel());
    assert_eq!((waiting.get(), running.get()), (Err(TaskError::Cancelled), Err(TaskError::Cancelled)));
    assert!(running.kill() && waiting.cancel());
    assert_eq!(pool.apply(square, 3), Ok(9));
    assert_eq!(words()[RAN].load(SeqCst), 0);
}

fn chunks_of_a_map_that_have_not_begun_are_cancelled() {
    words();
    let pool = Pool::new(2).unwrap();
    let map = pool.batch().chunk_size(3).map_async(wait_for_go, 0..30).unwrap();
    wait_for_count("two chunks that run", &words()[BEGUN], 2);
    assert!(map.cancel());
    assert!(!map.is_ready(), "two chunks run");
    words()[GO].store(1, SeqCst);
    assert_eq!(map.get(), Err(TaskError::Cancelled));
    assert_eq!(words()[BEGUN].load(SeqCst), 6, "two chunks of three");
    assert_eq!(pool.map(square, 0..4), Ok(vec![0, 1, 4, 9]));
}

fn an_iteration_is_cancelled() {
    words();
    let pool = Pool::new(1).unwrap();
    for unordered in [false, true] {
        words()[GO].store(0, SeqCst);
        words()[BEGUN].store(0, SeqCst);
        let batch = pool.batch().chunk_size(2).read_ahead(5);
        let mut results =
            if unordered { batch.imap_unordered(wait_for_go, 0..).unwrap() } else { batch.imap(wait_for_go, 0..).unwrap() };
        wait_for_count("a chunk that runs", &words()[BEGUN], 1);
        assert!(results.cancel());
        words()[GO].store(1, SeqCst);
        let mut all: Vec<_> = results.by_ref().collect();
        all.sort_by_key(|result| result.is_err());
        let mut expected = vec![Ok(0), Ok(1)];
        expected.resize(10, Err(TaskError::Cancelled));
        assert_eq!(all, expected);
        assert_eq!(words()[BEGUN].load(SeqCst), 2);
    }
}

/// Chunks that are cut by bytes: one is being filled when the iteration is cancelled.
fn an_iteration_that_is_cancelled_yields_what_it_has_read() {
    let pool = Pool::new(1).unwrap();
    let read = std::cell::Cell::new(0);
    let input = (0..40u8).map(|n| {
        read.set(read.get() + 1);
        vec![n; 100 << 10]
    });
    let mut results = pool.batch().chunk_size(1 << 20).imap(|bytes: Vec<u8>| bytes[0], input).unwrap();
    let first = results.next();
    results.cancel();
    let others = results.by_ref().count();
    assert_eq!(first, Some(Ok(0)));
    assert_eq!(others + 1, read.get());
}

fn tasks_in_the_backlog_are_cancelled() {
    words();
    let pool = Pool::builder().workers(1).capacity_bytes(64 << 10).build().unwrap();
    let running = occupy(&pool);
    let count = |(_, n): (Vec<u8>, u64)| run(n);
    // More bytes than the queue has.
    let waiting: Vec<_> = (0..200).map(|n| pool.apply_async(count, (vec![1; 2000], n)).unwrap()).collect();
    let last = waiting.last().unwrap();
    assert!(last.cancel());
    assert_eq!(last.get(), Err(TaskError::Cancelled));
    assert!(waiting[..100].iter().all(AsyncResult::cancel));
    words()[GO].store(1, SeqCst);
    running.get().unwrap();
    for (n, result) in waiting.iter().enumerate() {
        assert_eq!(result.get(), if (100..199).contains(&n) { Ok(n as u64) } else { Err(TaskError::Cancelled) });
    }
    assert_eq!(words()[RAN].load(SeqCst), 99);
}

fn a_killed_task_runs_no_more_and_its_worker_is_replaced() {
    words();
    let pool = Pool::new(2).unwrap();
    let running = occupy(&pool);
    let worker = words()[PID].load(SeqCst);
    assert!(running.kill());
    assert_eq!(running.get(), Err(TaskError::Cancelled));
    assert!(is_gone(worker), "the result was there before the end of its worker");
    wait_until("two workers", || pool.stats().running == 2 && pool.stats().killed == 1, || format!("{:?}", pool.stats()));
    assert_eq!(pool.stats().died, 0);
    assert!(!pool.worker_pids().contains(&(worker as u32)));
    assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
}

fn a_killed_task_is_not_retried() {
    words();
    let pool = Pool::builder().workers(1).retries(5).build().unwrap();
    let running = occupy(&pool);
    assert!(running.kill());
    assert_eq!(running.get(), Err(TaskError::Cancelled));
    assert_eq!(pool.apply(square, 3), Ok(9));
    assert_eq!(words()[BEGUN].load(SeqCst), 1);
}

fn a_killed_map_ends_with_all_its_workers() {
    words();
    let pool = Pool::new(3).unwrap();
    let map = pool.batch().chunk_size(2).map_async(wait_for_go, 0..20).unwrap();
    wait_for_count("three chunks that run", &words()[BEGUN], 3);
    let workers = pool.worker_pids();
    assert!(map.kill());
    assert_eq!(map.get(), Err(TaskError::Cancelled));
    assert!(workers.iter().all(|&pid| is_gone(u64::from(pid))), "{workers:?}");
    assert_eq!(words()[BEGUN].load(SeqCst), 3);
    assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
}

fn a_task_of_a_stopped_worker_is_killed() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    send_signal(words()[PID].load(SeqCst) as i32, libc::SIGSTOP);
    assert!(running.kill());
    assert_eq!(running.get(), Err(TaskError::Cancelled));
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn a_task_killed_beside_its_dying_supervisor_is_cancelled() {
    words();
    let pool = Pool::builder().workers(1).retries(3).build().unwrap();
    for round in 0..6 {
        words()[BEGUN].store(0, SeqCst);
        let running = occupy(&pool);
        let supervisor = parent_of(words()[PID].load(SeqCst) as u32);
        // It sees the kill, or is dead by then.
        send_signal(supervisor as i32, if round % 2 == 0 { libc::SIGSTOP } else { libc::SIGCONT });
        assert!(running.kill());
        send_signal(supervisor as i32, libc::SIGKILL);
        assert_eq!(running.get(), Err(TaskError::Cancelled));
        assert_eq!(words()[BEGUN].load(SeqCst), 1, "it was retried");
        assert_eq!(pool.apply(square, 3), Ok(9));
    }
    drop(pool);
    reap_orphans();
}

fn a_task_cancelled_while_its_worker_is_dead_never_runs() {
    words();
    let pool = Pool::new(1).unwrap();
    let supervisor = parent_of(pool.worker_pids()[0]);
    send_signal(supervisor as i32, libc::SIGSTOP);
    // No worker takes its place until the supervisor goes on.
    send_signal(pool.worker_pids()[0] as i32, libc::SIGKILL);
    wait_until("its end", || is_gone(u64::from(pool.worker_pids()[0])), String::new);
    let waiting: Vec<_> = (0..50).map(|n| pool.apply_async(run, n).unwrap()).collect();
    assert!(waiting.iter().all(AsyncResult::cancel));
    send_signal(supervisor as i32, libc::SIGCONT);
    assert_eq!(pool.apply(square, 3), Ok(9));
    assert!(waiting.iter().all(|result| result.get() == Err(TaskError::Cancelled)));
    assert_eq!(words()[RAN].load(SeqCst), 0);
}

fn a_callback_gets_the_cancellation_once() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    let (sender, results) = std::sync::mpsc::channel();
    let other = sender.clone();
    let one = pool.apply_async_then(run, 1, move |result| sender.send(result.map(|n| vec![n])).unwrap()).unwrap();
    let many = pool.batch().chunk_size(1).map_async_then(run, 0..3, move |result| other.send(result).unwrap()).unwrap();
    assert!(one.cancel() && many.cancel());
    assert_eq!(results.try_iter().collect::<Vec<_>>(), [Err(TaskError::Cancelled), Err(TaskError::Cancelled)]);
    words()[GO].store(1, SeqCst);
    running.get().unwrap();
    pool.close();
    pool.join().unwrap();
    assert_eq!(results.iter().count(), 0);
}

fn a_closed_pool_ends_beside_cancelled_and_killed_tasks() {
    words();
    for kill in [false, true] {
        words()[GO].store(0, SeqCst);
        let pool = Pool::new(1).unwrap();
        let running = occupy(&pool);
        let waiting: Vec<_> = (0..5000).map(|n| pool.apply_async(run, n).unwrap()).collect();
        pool.close();
        assert!(waiting[10..].iter().all(AsyncResult::cancel));
        if kill {
            assert!(running.kill());
        } else {
            words()[GO].store(1, SeqCst);
        }
        pool.join().unwrap();
        assert_eq!(running.get(), if kill { Err(TaskError::Cancelled) } else { Ok(7) });
        assert!(waiting[..10].iter().enumerate().all(|(n, result)| result.get() == Ok(n as u64)));
    }
    assert_eq!(words()[RAN].load(SeqCst), 20);
}

fn results_of_a_pool_that_is_gone_are_not_cancelled() {
    words();
    let pool = Pool::new(1).unwrap();
    let done = pool.apply_async(square, 3).unwrap();
    done.wait();
    let running = occupy(&pool);
    drop(pool);
    assert!(!done.cancel() && !done.kill() && !running.cancel() && !running.kill());
    assert_eq!((done.get(), running.get()), (Ok(9), Err(TaskError::Terminated)));
}

fn a_child_cancels_nothing_of_its_parent() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    let waiting = pool.apply_async(run, 1).unwrap();
    let child = shmq::Process::spawn(|| i32::from(waiting.cancel() || running.kill())).unwrap();
    assert!(child.join().unwrap().success());
    words()[GO].store(1, SeqCst);
    assert_eq!((running.get(), waiting.get()), (Ok(7), Ok(1)));
}

/// Notes that the task with that number has run, once more.
fn note_run(n: u64) -> u64 {
    words()[16 + n as usize].fetch_add(1, SeqCst);
    n
}

/// Each task was run once and has its result, or never and is cancelled: as `cancel` said.
fn a_storm_of_cancellations_beside_running_tasks() {
    const TASKS: u64 = 10_000;
    words();
    let pool = Pool::new(3).unwrap();
    // The workers begin when the cancellations do.
    let gate = pool.batch().chunk_size(1).map_async(wait_for_go, 0..3).unwrap();
    wait_for_count("three workers at the gate", &words()[BEGUN], 3);
    let results: Vec<_> = (0..TASKS).map(|n| pool.apply_async(note_run, n).unwrap()).collect();
    words()[GO].store(1, SeqCst);
    // From both ends, by two threads, while three workers take them.
    let cancel = |indices: Vec<usize>| -> Vec<usize> { indices.into_iter().filter(|&n| results[n].cancel()).collect() };
    let (from_the_end, at_random) = std::thread::scope(|scope| {
        let other = scope.spawn(|| cancel((0..TASKS as usize).rev().step_by(2).collect()));
        let mut rng = Rng::new("cancellations");
        let chosen = (0..TASKS as usize / 2).map(|_| rng.below(TASKS) as usize).collect();
        let at_random = cancel(chosen);
        (other.join().unwrap(), at_random)
    });
    gate.get().unwrap();
    let mut said = vec![false; TASKS as usize];
    from_the_end.iter().chain(&at_random).for_each(|&n| said[n] = true);
    let mut cancelled = 0;
    for (n, result) in results.iter().enumerate() {
        let runs = words()[16 + n].load(SeqCst);
        match result.get() {
            Ok(value) => assert!(value == n as u64 && !said[n] && words()[16 + n].load(SeqCst) == 1, "{n}"),
            Err(TaskError::Cancelled) => {
                cancelled += 1;
                assert!(said[n] && runs == 0, "{n}: ran {runs} times");
            }
            Err(other) => panic!("{n}: {other}"),
        }
    }
    assert!(cancelled > 0 && cancelled < TASKS, "{cancelled} of {TASKS} were cancelled");
    pool.close();
    pool.join().unwrap();
    let ran: u64 = words()[16..16 + TASKS as usize].iter().map(|word| word.load(SeqCst)).sum();
    assert_eq!(ran, TASKS - cancelled);
}

/// Some work, of different lengths.
fn work(n: u64) -> u64 {
    note_run(n);
    std::thread::sleep(Duration::from_micros(n % 7 * 100));
    n
}

/// Workers are killed from outside, too, while the program cancels and kills.
fn a_storm_of_kills_by_the_program_and_from_outside() {
    const TASKS: u64 = 3000;
    words();
    let pool = Pool::builder().workers(4).retries(200).build().unwrap();
    let over = AtomicBool::new(false);
    let mut counts = [0u64; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rng = Rng::new("kills from outside");
            while !over.load(SeqCst) {
                let workers = pool.worker_pids();
                if !workers.is_empty() {
                    let chosen = workers[rng.below(workers.len() as u64) as usize];
                    // SAFETY: kill takes two numbers. The pool has not reaped this worker, or has
                    // just done so: no other process gets its pid so soon.
                    unsafe { libc::kill(chosen as i32, libc::SIGKILL) };
                }
                std::thread::sleep(rng.duration_below(Duration::from_millis(10)));
            }
        });
        let mut rng = Rng::new("kills by the program");
        let mut first = 0;
        while first < TASKS {
            let results: Vec<_> = (first..first + 100).map(|n| pool.apply_async(work, n).unwrap()).collect();
            let mut ended = [false; 100];
            for _ in 0..30 {
                let chosen = rng.below(100) as usize;
                ended[chosen] |= if rng.chance(50) { results[chosen].kill() } else { results[chosen].cancel() };
                std::thread::sleep(rng.duration_below(Duration::from_micros(300)));
            }
            for (place, result) in results.iter().enumerate() {
                let n = first + place as u64;
                match result.get() {
                    Ok(value) => {
                        assert!(value == n && !ended[place] && words()[16 + n as usize].load(SeqCst) >= 1, "{n}");
                        counts[0] += 1;
                    }
                    Err(TaskError::Cancelled) => {
                        assert!(ended[place], "{n}");
                        counts[1] += 1;
                    }
                    Err(other) => panic!("{n}: {other}"),
                }
            }
            first += 100;
        }
        over.store(true, SeqCst);
    });
    assert!(counts[0] > 0 && counts[1] > 0 && counts[0] + counts[1] == TASKS, "{counts:?}");
    let stats = pool.stats();
    assert!(stats.killed > 0 && stats.died > 0, "{stats:?}");
    // None of what was ended runs on.
    let ran = || words()[16..16 + TASKS as usize].iter().map(|word| word.load(SeqCst)).sum::<u64>();
    pool.close();
    pool.join().unwrap();
    let at_the_end = ran();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(ran(), at_the_end);
}
