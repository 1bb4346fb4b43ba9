//! A pool in a program that also has threads, processes, other pools and runtimes.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{children_of, end_fork_server, own_children, parent_of, send_signal, shared_word};
use crate::support::{segment_exists, unique_name, wait_until};
use shmq::{Pool, Process, Queue, TaskError};
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        many_threads_submit_at_once,
        processes_are_spawned_beside_a_pool,
        two_pools_at_once,
        nested_pools_work_and_end,
        a_pool_under_tokio_after_init,
        a_pool_outlives_the_fork_server_that_started_it,
        an_idle_pool_answers_at_once_again,
        helpers_keep_no_names,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

fn many_threads_submit_at_once() {
    let pool = Pool::new(2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..50 {
                    assert_eq!(pool.apply(square, thread * 100 + n), Ok(square(thread * 100 + n)));
                }
                assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
            });
        }
    });
}

fn processes_are_spawned_beside_a_pool() {
    let pool = Pool::new(2).unwrap();
    for n in 0..20 {
        let running = pool.map_async(square, 0..500).unwrap();
        let child = Process::spawn(move || n).unwrap();
        assert_eq!(child.join().unwrap().code(), Some(n));
        running.get().unwrap();
    }
    // A child's copy of the pool is the parent's.
    let child = Process::spawn(|| {
        assert_eq!(pool.apply(square, 1), Err(TaskError::Inherited));
        assert!(pool.join().is_err());
        pool.terminate();
        drop(Pool::new(1).unwrap());
    })
    .unwrap();
    assert!(child.join().unwrap().success());
    assert_eq!(pool.apply(square, 5), Ok(25));
}

fn two_pools_at_once() {
    let first = Pool::new(1).unwrap();
    let second = Pool::new(2).unwrap();
    let (a, b) = (first.map_async(square, 0..100).unwrap(), second.map_async(square, 100..200).unwrap());
    assert_eq!((a.get().unwrap()[99], b.get().unwrap()[99]), (square(99), square(199)));
    drop(first);
    assert_eq!(second.apply(square, 2), Ok(4));
}

fn nested_pools_work_and_end() {
    let pool = Pool::new(2).unwrap();
    let outer = |n: u64| -> u64 {
        let inner = Pool::new(2).unwrap();
        inner.map(square, 0..n).unwrap().iter().sum()
    };
    let sums = pool.batch().chunk_size(1).map(outer, [3, 4, 5, 6]).unwrap();
    assert_eq!(sums, [5, 14, 30, 55]);
}

fn a_pool_under_tokio_after_init() {
    shmq::process::init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let squares = runtime.block_on(async {
        let work = tokio::task::spawn_blocking(|| {
            let pool = Pool::builder().workers(2).initializer(|()| (), ()).build().unwrap();
            let squares = pool.map(square, 0..100);
            pool.close();
            pool.join().unwrap();
            squares
        });
        work.await.unwrap()
    });
    assert_eq!(squares.unwrap()[99], 9801);
    drop(runtime);
    let [standby] = own_children()[..] else { panic!("only the fork server's standby") };
    end_fork_server(standby);
    wait_until("its end", || own_children().is_empty(), String::new);
}

fn a_pool_outlives_the_fork_server_that_started_it() {
    shmq::process::init().unwrap();
    let pool = Pool::new(2).unwrap();
    let standby = own_children().into_iter().min().unwrap();
    assert_eq!(pool.apply(square, 3), Ok(9));
    wait_until("a worker", || !pool.worker_pids().is_empty(), String::new);
    let supervisor = parent_of(pool.worker_pids()[0]);
    send_signal(parent_of(supervisor) as i32, libc::SIGKILL);
    wait_until("the supervisor to be adopted", || parent_of(supervisor) == standby, || format!("{}", parent_of(supervisor)));
    assert_eq!(pool.map(square, 0..100).unwrap()[99], 9801);
    // The next one is started by the next fork server.
    assert_eq!(Pool::new(1).unwrap().apply(square, 4), Ok(16));
    pool.close();
    pool.join().unwrap();
    drop(pool);
    wait_until("one child", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
    end_fork_server(standby);
    wait_until("its end", || own_children().is_empty(), String::new);
}

fn an_idle_pool_answers_at_once_again() {
    let pool = Pool::new(2).unwrap();
    for n in 0..3 {
        assert_eq!(pool.apply(square, n), Ok(square(n)));
        // Long enough for all to fall asleep; nothing depends on it.
        let quiet = shared_word();
        wait_until("a while", || quiet.fetch_add(1, SeqCst) > 300, String::new);
    }
}

fn helpers_keep_no_names() {
    // The fork server, its standby and the pool's supervisor are forked while the program has the
    // queue.
    let name = unique_name("of the program");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    shmq::process::init().unwrap();
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(square, 3).unwrap(), 9);
    drop(queue);
    assert!(!segment_exists(&name));
    drop(pool);
    let [standby] = own_children()[..] else { panic!("only the fork server's standby") };
    end_fork_server(standby);
    wait_until("its end", || own_children().is_empty(), String::new);
}
