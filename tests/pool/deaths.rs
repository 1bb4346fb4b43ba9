//! Workers, supervisors and programs that die: no caller hangs, and the pool is back at full
//! strength.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{
    children_of, fork_with_code, parent_of, send_signal, shared_words, state_and_group, wait_for_count,
};
use crate::support::wait_until;
use shmq::{Pool, PoolError, TaskError};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        a_killed_workers_task_fails_with_worker_died_and_a_new_worker_is_started,
        an_exiting_workers_task_fails_with_worker_died,
        a_killed_workers_task_is_retried_if_asked,
        a_task_that_always_kills_is_given_up_after_its_retries,
        a_chunk_whose_worker_dies_fails_as_a_whole,
        all_workers_killed_while_idle,
        all_workers_killed_at_work,
        all_workers_killed_during_close,
        all_workers_killed_during_join,
        workers_killed_during_terminate,
        workers_killed_while_the_queue_of_results_is_full,
        the_supervisor_killed,
        the_supervisor_killed_again_and_again,
        the_standby_killed,
        supervisor_and_standby_killed_at_once,
        the_supervisor_killed_during_close,
        the_supervisor_stopped_during_terminate,
        the_parent_killed_takes_all_with_it,
        the_parent_killed_with_a_nested_pool_takes_all_with_it,
        a_worker_that_leaves_a_child_behind_is_replaced,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with the workers: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16))
}

fn square(n: u64) -> u64 {
    n * n
}

fn die(_: u64) -> u64 {
    // SAFETY: kill takes two numbers; SIGKILL ends this process at once.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("killed")
}

/// Counts itself in, and waits until the case sets the first word.
fn wait_for_go(n: u64) -> u64 {
    words()[1].fetch_add(1, SeqCst);
    wait_for_count("the case's go", &words()[0], 1);
    n
}

fn pid_of(_: u64) -> u32 {
    std::process::id()
}

/// The pids of all workers, when they are all there.
fn all_workers(pool: &Pool) -> Vec<u32> {
    wait_until("all workers", || pool.worker_pids().len() == pool.workers(), || format!("{:?}", pool.worker_pids()));
    pool.worker_pids()
}

/// The task failed because its worker died; it was started that often.
#[track_caller]
fn assert_died<T: std::fmt::Debug>(result: &Result<T, TaskError>, begun: u32) {
    assert!(matches!(result, Err(TaskError::WorkerDied { attempts, .. }) if *attempts == begun), "{result:?}");
}

fn kill_all(pids: &[u32]) {
    for &pid in pids {
        // SAFETY: kill takes two numbers. The pids are workers of this case's pool. A worker that
        // has ended meanwhile is a zombie, or gone: no other process gets its pid within this test.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
}

/// There are as many workers as before, none of them among the dead, and all of them work.
fn assert_full_strength(pool: &Pool, dead: &[u32]) {
    wait_until(
        "full strength",
        || {
            let now = pool.worker_pids();
            now.len() == pool.workers() && now.iter().all(|pid| !dead.contains(pid))
        },
        || format!("{:?}, dead {dead:?}", pool.worker_pids()),
    );
    assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
}

/// Waits for the ends of orphaned processes, which are children of the case.
pub fn reap_orphans() {
    wait_until(
        "the ends of all orphans",
        || {
            let mut status = 0;
            // SAFETY: `status` is an int that the call may write.
            while unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } > 0 {}
            // SAFETY: `status` is an int that the call may write, and outlives it.
            unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) == -1 }
        },
        || format!("children: {:?}", children_of(std::process::id())),
    );
}

/// The supervisor, and its standby.
fn supervisors(pool: &Pool) -> (u32, u32) {
    let workers = all_workers(pool);
    let supervisor = parent_of(workers[0]);
    let mut standby = 0;
    wait_until(
        "the standby",
        || {
            let others: Vec<u32> = children_of(supervisor).into_iter().filter(|pid| !workers.contains(pid)).collect();
            standby = others.first().copied().unwrap_or(0);
            others.len() == 1
        },
        || format!("children of the supervisor {:?}, workers {workers:?}", children_of(supervisor)),
    );
    (supervisor, standby)
}

fn a_killed_workers_task_fails_with_worker_died_and_a_new_worker_is_started() {
    let pool = Pool::new(2).unwrap();
    let before = all_workers(&pool);
    assert_died(&pool.apply(die, 1), 1);
    wait_until(
        "a replacement",
        || pool.worker_pids().len() == 2 && pool.worker_pids() != before,
        || format!("{before:?} {:?}", pool.worker_pids()),
    );
    assert_eq!(pool.apply(square, 3), Ok(9));
    let results: Vec<_> = pool.imap(|n: u64| if n == 5 { die(n) } else { n }, 0..10).unwrap().collect();
    for (n, result) in results.into_iter().enumerate() {
        if n == 5 { assert_died(&result, 1) } else { assert_eq!(result, Ok(n as u64)) }
    }
}

fn an_exiting_workers_task_fails_with_worker_died() {
    let pool = Pool::new(1).unwrap();
    for code in [0, 3] {
        assert_died(&pool.apply(|code: i32| -> u8 { std::process::exit(code) }, code), 1);
    }
    assert_died(&pool.apply(|_: ()| -> u8 { std::process::abort() }, ()), 1);
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn a_killed_workers_task_is_retried_if_asked() {
    words();
    let pool = Pool::builder().workers(2).retries(2).build().unwrap();
    let third_time_lucky = |n: u64| if words()[2].fetch_add(1, SeqCst) < 2 { die(n) } else { n };
    assert_eq!(pool.apply(third_time_lucky, 7), Ok(7));
    assert_eq!(words()[2].load(SeqCst), 3);
}

fn a_task_that_always_kills_is_given_up_after_its_retries() {
    words();
    let pool = Pool::builder().workers(2).retries(3).build().unwrap();
    let counted = |n: u64| {
        words()[2].fetch_add(1, SeqCst);
        die(n)
    };
    assert_died(&pool.apply(counted, 1), 4);
    assert_eq!(words()[2].load(SeqCst), 4);
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn a_chunk_whose_worker_dies_fails_as_a_whole() {
    let pool = Pool::new(2).unwrap();
    let results: Vec<_> = pool.batch().chunk_size(5).imap(|n: u64| if n == 7 { die(n) } else { n }, 0..15).unwrap().collect();
    for (n, result) in results.into_iter().enumerate() {
        if n / 5 == 1 { assert_died(&result, 1) } else { assert_eq!(result, Ok(n as u64), "{n}") }
    }
}

fn all_workers_killed_while_idle() {
    let pool = Pool::new(3).unwrap();
    for _ in 0..3 {
        let workers = all_workers(&pool);
        kill_all(&workers);
        assert_full_strength(&pool, &workers);
    }
    // Idle after work, asleep in the queue.
    let workers: BTreeSet<u32> = pool.map(pid_of, 0..30).unwrap().into_iter().collect();
    kill_all(&workers.into_iter().collect::<Vec<_>>());
    assert_eq!(pool.map(square, 0..10).unwrap()[9], 81);
}

fn all_workers_killed_at_work() {
    words();
    let pool = Pool::new(3).unwrap();
    let running: Vec<_> = (0..3).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
    wait_for_count("all tasks to run", &words()[1], 3);
    let waiting = pool.map_async(square, 0..100).unwrap();
    let workers = all_workers(&pool);
    kill_all(&workers);
    running.iter().for_each(|result| assert_died(&result.get(), 1));
    assert_eq!(waiting.get().unwrap().len(), 100);
    assert_full_strength(&pool, &workers);
}

fn all_workers_killed_during_close() {
    words();
    let pool = Pool::new(2).unwrap();
    let running: Vec<_> = (0..2).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
    wait_for_count("all tasks to run", &words()[1], 2);
    let queued = pool.batch().chunk_size(1).map_async(square, 0..50).unwrap();
    pool.close();
    kill_all(&all_workers(&pool));
    running.iter().for_each(|result| assert_died(&result.get(), 1));
    assert_eq!(queued.get().unwrap().len(), 50);
    pool.join().unwrap();
}

fn all_workers_killed_during_join() {
    words();
    let pool = Pool::new(2).unwrap();
    let workers = all_workers(&pool);
    let running: Vec<_> = (0..2).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
    wait_for_count("all tasks to run", &words()[1], 2);
    pool.close();
    std::thread::scope(|scope| {
        let joining = scope.spawn(|| pool.join());
        assert!(!joining.is_finished());
        kill_all(&workers);
        joining.join().unwrap().unwrap();
    });
    running.iter().for_each(|result| assert_died(&result.get(), 1));
}

fn workers_killed_during_terminate() {
    words();
    for _ in 0..5 {
        let pool = Pool::new(2).unwrap();
        let workers = all_workers(&pool);
        let running = pool.apply_async(wait_for_go, 1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| kill_all(&workers));
            pool.terminate();
        });
        pool.join().unwrap();
        assert!(matches!(running.get(), Err(TaskError::Terminated | TaskError::WorkerDied { .. })));
    }
}

fn workers_killed_while_the_queue_of_results_is_full() {
    words();
    let pool = Pool::builder().workers(2).capacity_bytes(16 << 10).retries(5).build().unwrap();
    // A callback holds up the collector, so results pile up.
    let callback = |_| {
        words()[4].store(1, SeqCst);
        wait_for_count("the case's go", &words()[0], 1);
    };
    let held = pool.apply_async_then(square, 1, callback).unwrap();
    let many = pool.batch().chunk_size(1).map_async(|n: u64| vec![n; 200], 0..100).unwrap();
    wait_for_count("the callback", &words()[4], 1);
    assert!(!held.is_ready(), "its callback has not returned");
    let workers = all_workers(&pool);
    kill_all(&workers);
    words()[0].store(1, SeqCst);
    let results = many.get().unwrap();
    assert!(results.iter().enumerate().all(|(n, result)| *result == vec![n as u64; 200]));
}

fn the_supervisor_killed() {
    let pool = Pool::builder().workers(3).retries(3).build().unwrap();
    let (supervisor, _) = supervisors(&pool);
    let workers = all_workers(&pool);
    let running = pool.batch().chunk_size(1).map_async(square, 0..1000).unwrap();
    send_signal(supervisor as i32, libc::SIGKILL);
    assert_eq!(running.get().unwrap().len(), 1000);
    assert_full_strength(&pool, &workers);
    assert!(workers.iter().all(|&pid| !matches!(state_and_group(pid as i32), Some((state, _)) if state != 'Z')));
    pool.close();
    pool.join().unwrap();
    reap_orphans();
}

fn the_supervisor_killed_again_and_again() {
    let pool = Pool::new(2).unwrap();
    for _ in 0..4 {
        let (supervisor, _) = supervisors(&pool);
        let workers = all_workers(&pool);
        send_signal(supervisor as i32, libc::SIGKILL);
        assert_full_strength(&pool, &workers);
    }
    pool.terminate();
    pool.join().unwrap();
    reap_orphans();
}

fn the_standby_killed() {
    let pool = Pool::new(2).unwrap();
    let (supervisor, standby) = supervisors(&pool);
    send_signal(standby as i32, libc::SIGKILL);
    let (_, successor) = {
        wait_until("another standby", || supervisors(&pool).1 != standby, || format!("{:?}", children_of(supervisor)));
        supervisors(&pool)
    };
    assert_ne!(successor, standby);
    let workers = all_workers(&pool);
    send_signal(supervisor as i32, libc::SIGKILL);
    assert_full_strength(&pool, &workers);
    drop(pool);
    reap_orphans();
}

fn supervisor_and_standby_killed_at_once() {
    words();
    let pool = Pool::new(2).unwrap();
    let (supervisor, standby) = supervisors(&pool);
    let running = pool.apply_async(wait_for_go, 1).unwrap();
    // Stopped first, so that neither takes the other's place.
    send_signal(standby as i32, libc::SIGSTOP);
    send_signal(supervisor as i32, libc::SIGKILL);
    send_signal(standby as i32, libc::SIGKILL);
    assert!(matches!(running.get(), Err(TaskError::Broken { .. })));
    assert!(matches!(pool.apply(square, 1), Err(TaskError::Broken { .. })));
    assert!(matches!(pool.join(), Err(PoolError::Failed(TaskError::Broken { .. }))));
    drop(pool);
    reap_orphans();
}

fn the_supervisor_killed_during_close() {
    words();
    let pool = Pool::builder().workers(2).retries(3).build().unwrap();
    let (supervisor, _) = supervisors(&pool);
    let queued = pool.batch().chunk_size(1).map_async(wait_for_go, 0..20).unwrap();
    wait_for_count("two tasks to run", &words()[1], 2);
    pool.close();
    send_signal(supervisor as i32, libc::SIGKILL);
    words()[0].store(1, SeqCst);
    assert_eq!(queued.get().unwrap(), (0..20).collect::<Vec<_>>());
    pool.join().unwrap();
    reap_orphans();
}

fn the_supervisor_stopped_during_terminate() {
    let pool = Pool::new(2).unwrap();
    let (supervisor, _) = supervisors(&pool);
    send_signal(supervisor as i32, libc::SIGSTOP);
    pool.terminate();
    pool.join().unwrap();
    reap_orphans();
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = children_of(pid);
    children.iter().copied().chain(children.iter().flat_map(|&child| descendants(child))).collect()
}

fn kill_program(run: fn(&Pool), expected: usize) {
    words();
    let program = fork_with_code("a program with a pool", move || {
        let pool = Pool::new(3).unwrap();
        run(&pool);
        loop {
            std::thread::park();
        }
    });
    let mut all = Vec::new();
    wait_until(
        "the program's processes",
        || {
            all = descendants(program.pid());
            all.len() == expected
        },
        || format!("{:?}", descendants(program.pid())),
    );
    program.kill();
    // They are children of this process now, and must end by themselves.
    reap_orphans();
    assert!(all.iter().all(|&pid| state_and_group(pid as i32).is_none()), "{all:?}");
}

fn the_parent_killed_takes_all_with_it() {
    // Idle, and in the middle of a task.
    kill_program(|_| (), 5);
    kill_program(|pool| drop(pool.apply_async(wait_for_go, 1)), 5);
}

fn the_parent_killed_with_a_nested_pool_takes_all_with_it() {
    let nested = |pool: &Pool| {
        let task = |n: u64| Pool::new(2).unwrap().apply(wait_for_go, n).unwrap();
        drop(pool.apply_async(task, 1));
    };
    kill_program(nested, 5 + 4);
}

fn a_worker_that_leaves_a_child_behind_is_replaced() {
    words();
    let pool = Pool::new(1).unwrap();
    // The child keeps the worker's descriptors for longer than the worker lives.
    let task = |n: u64| {
        let child = shmq::Process::spawn(|| {
            loop {
                std::thread::park();
            }
        });
        words()[3].store(u64::from(child.unwrap().pid()), SeqCst);
        die(n)
    };
    assert_died(&pool.apply(task, 1), 1);
    assert_eq!(pool.apply(square, 3), Ok(9));
    drop(pool);
    send_signal(words()[3].load(SeqCst) as i32, libc::SIGKILL);
    reap_orphans();
}
