//! Tests of code that works in several processes. Cargo runs `main` of this file, in one thread, so
//! that it may fork.

use shmq::{Process, Queue};
use std::process::ExitCode;
use std::time::Duration;

/// The code that is tested: squares numbers until the queue is closed and drained.
fn work(tasks: &Queue<u64>, results: &Queue<u64>) -> Result<(), shmq::PutError> {
    while let Ok(task) = tasks.lease() {
        if let Err(error) = results.put(&(*task * *task)) {
            task.give_back(); // a lease that is dropped is done, and the task with it
            return Err(error);
        }
        task.release();
    }
    Ok(())
}

fn squares_come_back() {
    let (tasks, results) = (Queue::<u64>::new(8).unwrap(), Queue::<u64>::new(8).unwrap());
    // A daemon ends with the test, also if that panics.
    let worker = Process::spawn_daemon(|| work(&tasks, &results)).unwrap();
    tasks.put_slice(&[1, 2, 3]).unwrap();
    tasks.close();
    assert!(worker.join().unwrap().success());
    assert_eq!([(); 3].map(|()| results.get().unwrap()), [1, 4, 9]);
}

fn what_a_killed_worker_had_comes_back() {
    let (tasks, results) = (Queue::<u64>::new(8).unwrap(), Queue::<u64>::new(8).unwrap());
    tasks.put(&5).unwrap();
    let first = Process::spawn_daemon(|| {
        let _task = tasks.lease();
        results.put(&0).unwrap(); // says that it has the task, and never ends it
        loop {
            std::thread::park();
        }
    })
    .unwrap();
    assert_eq!(results.get().unwrap(), 0);
    first.kill().unwrap();
    first.join().unwrap();
    let second = Process::spawn_daemon(|| work(&tasks, &results)).unwrap();
    assert_eq!(results.get_timeout(Duration::from_secs(30)).unwrap(), 25);
    tasks.close();
    assert!(second.join().unwrap().success());
}

const TESTS: &[(&str, fn())] = &[
    ("squares_come_back", squares_come_back), // the name that is printed, and the function
    ("what_a_killed_worker_had_comes_back", what_a_killed_worker_had_comes_back),
];

/// Runs each test in a process of its own: `cargo test --test NAME` runs all,
/// `cargo test --test NAME -- TEXT` those with that text.
fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).filter(|text| !text.starts_with('-')).unwrap_or_default();
    let mut failed = false;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let child = Process::spawn_daemon(*test).expect("a process");
        let status = child.join_timeout(Duration::from_secs(60)).expect("its end");
        if status.is_none() {
            println!("test {name} hangs");
            child.kill().and_then(|()| child.join()).expect("its end");
        }
        let passed = status.is_some_and(|status| status.success()); // a panic is exit code 101, its message is on stderr
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed |= !passed;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
