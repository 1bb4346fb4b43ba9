//! Programs that end while their futures wait: by `exit`, by the end of `main`, by a panic; a
//! runtime that shuts down; and a reactor that is at work meanwhile.

use crate::polling::{poll, wait_for_a_reactor};
use crate::support::harness::Case;
use crate::support::process::{Exit, PANICKED, fork, fork_with_code};
use crate::support::{BY_ITSELF, PATIENCE, segment_exists, unique_name};
use shmq::Queue;
use std::sync::OnceLock;
use std::task::Waker;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_program_that_exits_does_not_wait_for_its_reactor,
        #[cfg(not(shmq_portable_sync))]
        exit_beside_a_reactor_at_work_ends_the_program,
        the_last_program_takes_the_name_along_when_it_exits,
        a_panic_ends_a_program_whose_tasks_wait,
        a_runtime_that_shuts_down_does_not_wait_for_futures,
        #[cfg(not(shmq_portable_sync))]
        a_process_killed_while_its_tasks_wait_costs_the_others_no_message,
    ]
}

static FOR_ALL_TIME: OnceLock<Queue<u64>> = OnceLock::new();

fn a_program_that_exits_does_not_wait_for_its_reactor() {
    for how in 0..3 {
        let queue: Queue<u64> = Queue::new(4).unwrap();
        let child = fork_with_code("a program that exits", move || {
            let queue = FOR_ALL_TIME.get_or_init(|| queue);
            let mut gets: Vec<_> = (0..10).map(|_| queue.get_async()).collect();
            gets.iter_mut().for_each(|get| assert!(poll(get, Waker::noop()).is_pending()));
            wait_for_a_reactor();
            match how {
                0 => {}
                1 => std::mem::forget(gets),
                _ => {
                    std::thread::spawn(|| {
                        futures::executor::block_on(queue.get_async()).unwrap();
                    });
                }
            }
            // With the handlers of `exit`: the queue's own takes its segment away.
            std::process::exit(7)
        });
        let mut child = child;
        assert_eq!(child.wait_at_most(BY_ITSELF), Exit::Code(7));
    }
}

#[cfg(not(shmq_portable_sync))]
fn exit_beside_a_reactor_at_work_ends_the_program() {
    use crate::support::process::shared_word;
    use std::sync::atomic::Ordering::{Acquire, Release};
    let queue: Queue<u64> = Queue::new(2).unwrap();
    let stop = shared_word();
    let putter = fork("a process that keeps the reactors busy", || {
        while stop.load(Acquire) == 0 {
            let _ = queue.put_timeout(&1, Duration::from_millis(20));
        }
    });
    for round in 0..40u64 {
        let mut child = fork_with_code("a program that exits", || {
            for _ in 0..4 {
                let queue = queue.clone();
                std::thread::spawn(move || while futures::executor::block_on(queue.get_async()).is_ok() {});
            }
            std::thread::sleep(Duration::from_micros(round * 137 % 3_000));
            std::process::exit(3)
        });
        assert_eq!(child.wait_at_most(BY_ITSELF), Exit::Code(3), "round {round}");
    }
    stop.store(1, Release);
    putter.expect_success();
    queue.recover();
    while queue.try_get().is_ok() {}
    queue.try_put(&1).unwrap();
}

fn the_last_program_takes_the_name_along_when_it_exits() {
    let name = unique_name("exits");
    let mut child = fork_with_code("the only program that uses the queue", || {
        let queue = Box::leak(Box::new(Queue::<u64>::create(&name, 4).unwrap()));
        let mut get = queue.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        std::mem::forget(get);
        std::process::exit(0)
    });
    assert_eq!(child.wait_at_most(BY_ITSELF), Exit::Code(0));
    assert!(!segment_exists(&name));
}

fn a_panic_ends_a_program_whose_tasks_wait() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let mut child = fork("a program that panics", || {
        let mut get = queue.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        let _owned = queue.clone().into_stream();
        panic!("of the test's own");
    });
    assert_eq!(child.wait_at_most(BY_ITSELF), Exit::Code(PANICKED));
    queue.put(&1).unwrap();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 1);
}

/// Where `spawn_blocking(move || queue.get())` keeps it from ending.
fn a_runtime_that_shuts_down_does_not_wait_for_futures() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let child = fork("a program of tokio", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for _ in 0..50 {
            let queue = queue.clone();
            runtime.spawn(async move { queue.get_async().await });
        }
        std::thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        drop(runtime);
        eprintln!("shut down in {:?}", began.elapsed());
    });
    child.expect_success_within(BY_ITSELF);
    // None of them took the message with it.
    queue.put(&1).unwrap();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 1);
}

#[cfg(not(shmq_portable_sync))]
fn a_process_killed_while_its_tasks_wait_costs_the_others_no_message() {
    use crate::support::process::{shared_word, wait_for_count};
    use std::sync::atomic::Ordering::Release;
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..5 {
        let waits = shared_word();
        let victim = fork("a process of tasks", || {
            let mut gets: Vec<_> = (0..50).map(|_| queue.get_async()).collect();
            gets.iter_mut().for_each(|get| assert!(poll(get, Waker::noop()).is_pending()));
            waits.store(1, Release);
            std::thread::sleep(PATIENCE);
        });
        wait_for_count("its tasks", waits, 1);
        std::thread::sleep(Duration::from_millis(3));
        let mut get = queue.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        victim.kill();
        let put_at = Instant::now();
        queue.put(&round).unwrap();
        assert_eq!(futures::executor::block_on(get).unwrap(), round);
        eprintln!("taken after {:?}", put_at.elapsed());
        assert!(put_at.elapsed() < Duration::from_secs(5));
    }
}
