//! Pools whose processes the system refuses, or stops: the errors, and that nothing waits for ever.

use crate::cases;
use crate::support::harness::{Case, skip};
use crate::support::process::{children_of, fork_with_code, own_children, parent_of, send_signal, shared_words};
use crate::support::{BY_ITSELF, wait_at_most, wait_until};
use shmq::{Pool, PoolError, SpawnError, TaskError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        all_workers_are_listed_right_after_new,
        pids_that_several_threads_ask_for_are_those_of_workers,
        a_pool_that_can_start_no_worker_says_so,
        a_pool_with_fewer_workers_says_so_until_it_has_all,
        a_pool_that_lost_its_workers_and_can_start_none_fails,
        workers_that_cannot_get_tasks_fail_the_pool,
        a_pool_is_dropped_though_supervisor_and_standby_are_stopped,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

fn all_workers_are_listed_right_after_new() {
    for workers in [1, 5] {
        let pool = Pool::new(workers).unwrap();
        let pids = pool.worker_pids();
        let stats = pool.stats();
        assert_eq!((pids.len(), stats.asked, stats.running, stats.started), (workers, workers, workers, workers as u64));
        let supervisor = parent_of(pids[0]);
        assert!(pids.iter().all(|pid| parent_of(*pid) == supervisor));
    }
}

fn pids_that_several_threads_ask_for_are_those_of_workers() {
    let pool = Pool::builder().workers(4).max_tasks_per_worker(1).build().unwrap();
    let begun = Instant::now();
    let goes_on = || begun.elapsed() < Duration::from_secs(4);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while goes_on() {
                    pool.worker_pids();
                }
            });
        }
        while goes_on() {
            pool.batch().chunk_size(1).map(square, 0..50).unwrap();
        }
    });
    wait_until(
        "four pids of processes that exist",
        || {
            let pids = pool.worker_pids();
            pids.len() == 4 && pids.iter().all(|pid| std::fs::exists(format!("/proc/{pid}")).unwrap())
        },
        || format!("{:?}", pool.worker_pids()),
    );
    let stats = pool.stats();
    assert!(stats.started > 50 && stats.died == 0, "{stats:?}");
}

/// Runs as a user that may have that many processes and threads.
fn refused(processes: u64) -> i32 {
    let user = 61_000 + std::process::id() % 4000;
    let few = libc::rlimit { rlim_cur: processes, rlim_max: processes };
    // SAFETY: the limit outlives the call, which only reads it; the other calls take numbers.
    unsafe {
        assert_eq!(libc::setresgid(user, user, user), 0);
        assert_eq!(libc::setresuid(user, user, user), 0);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &few), 0);
    }
    let error = Pool::new(3).map(drop).unwrap_err();
    let PoolError::Spawn(SpawnError::Os { call, source }) = &error else { panic!("{error:?}") };
    assert_eq!(source.raw_os_error(), Some(libc::EAGAIN), "{error}");
    println!("{processes} processes: {call}: {error}");
    wait_at_most(BY_ITSELF, "the end of what was started", || own_children().is_empty(), || format!("{:?}", own_children()));
    i32::from(call.contains("worker"))
}

fn a_pool_that_can_start_no_worker_says_so() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        skip("needs root, to become a user with few processes");
    }
    let mut of_a_worker = 0;
    for processes in 1..=3 {
        let mut program = fork_with_code("a program that may have few processes", move || refused(processes));
        match program.wait() {
            crate::support::process::Exit::Code(code @ 0..=1) => of_a_worker += code,
            other => panic!("{other:?}"),
        }
    }
    assert!(of_a_worker > 0, "none was refused to the supervisor");
}

fn limit_descriptors(pid: u32, most: u64) {
    // SAFETY: the call reads the new limit and writes the old one; both outlive it.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        assert_eq!(libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit), 0);
        limit.rlim_cur = most.min(limit.rlim_max);
        assert_eq!(libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()), 0);
    }
}

fn a_pool_with_fewer_workers_says_so_until_it_has_all() {
    let pool = Pool::new(3).unwrap();
    let workers = pool.worker_pids();
    let supervisor = parent_of(workers[0]);
    limit_descriptors(supervisor, 3);
    send_signal(workers[0] as i32, libc::SIGKILL);
    wait_until("two workers", || pool.workers() == 2, || format!("{:?}", pool.stats()));
    let stats = pool.stats();
    assert_eq!((stats.asked, stats.running, stats.died), (3, 2, 1));
    assert!(stats.refused.as_ref().is_some_and(|why| why.contains("os error 24")), "{stats:?}");
    assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
    limit_descriptors(supervisor, 1000);
    wait_until("all workers", || pool.workers() == 3 && pool.worker_pids().len() == 3, || format!("{:?}", pool.stats()));
    assert_eq!(pool.stats().refused, None);
}

fn a_pool_that_lost_its_workers_and_can_start_none_fails() {
    let pool = Pool::new(2).unwrap();
    let workers = pool.worker_pids();
    limit_descriptors(parent_of(workers[0]), 3);
    workers.iter().for_each(|&pid| send_signal(pid as i32, libc::SIGKILL));
    wait_until("no workers", || pool.workers() == 0, || format!("{:?}", pool.stats()));
    let result = pool.apply_async(square, 1);
    let error = match result {
        Ok(result) => result.get_timeout(BY_ITSELF).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(&error, TaskError::Broken { why } if why.contains("os error 24")), "{error:?}");
    assert!(matches!(pool.join(), Err(PoolError::Failed(TaskError::Broken { .. }))));
}

static FORKS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// The worker loses its descriptors of segments, and cannot open others.
fn lose_descriptors() {
    FORKS.get().expect("set before the pool was built")[0].fetch_add(1, SeqCst);
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|path| path.starts_with("/dev/shm")) {
            // SAFETY: close takes a number. The owner loses its descriptor, which is what is
            // tested.
            unsafe { libc::close(number) };
        }
    }
    limit_descriptors(std::process::id(), 3);
}

fn workers_that_cannot_get_tasks_fail_the_pool() {
    FORKS.get_or_init(|| shared_words(1));
    let pool = Pool::builder().workers(2).initializer(|()| lose_descriptors(), ()).build().unwrap();
    let result = pool.apply_async(square, 1);
    let error = match result {
        Ok(result) => result.get_timeout(BY_ITSELF).unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(&error, TaskError::Broken { why } if why.contains("os error 24")), "{error:?}");
    assert!(pool.join().is_err());
    let forks = FORKS.get().unwrap()[0].load(SeqCst);
    assert!(forks <= 40, "{forks} workers were forked");
}

fn a_pool_is_dropped_though_supervisor_and_standby_are_stopped() {
    let pool = Pool::new(1).unwrap();
    let workers = pool.worker_pids();
    let supervisor = parent_of(workers[0]);
    let mut standby = 0;
    wait_until(
        "the standby",
        || {
            standby = children_of(supervisor).into_iter().find(|pid| !workers.contains(pid)).unwrap_or(0);
            standby != 0
        },
        || format!("{:?}", children_of(supervisor)),
    );
    assert_eq!(pool.apply(square, 3), Ok(9));
    send_signal(supervisor as i32, libc::SIGSTOP);
    send_signal(standby as i32, libc::SIGSTOP);
    let (sender, reported) = mpsc::channel();
    let dropping = std::thread::spawn(move || {
        drop(pool);
        sender.send(()).unwrap();
    });
    let dropped = reported.recv_timeout(BY_ITSELF);
    if dropped.is_err() {
        [standby, supervisor].iter().for_each(|&pid| send_signal(pid as i32, libc::SIGKILL));
    }
    dropping.join().unwrap();
    assert_eq!(dropped, Ok(()), "it waits for processes that are stopped");
    // The standby was orphaned, and is a child of this process.
    wait_until(
        "the end of all",
        || {
            // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
            while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
            own_children().is_empty()
        },
        || format!("{:?}", own_children()),
    );
}
