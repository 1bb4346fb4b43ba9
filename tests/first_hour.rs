//! Tests of code that works in several processes. Cargo runs `main` of this file, in one thread, so that it may fork.

use shmq::{Process, Queue};
use std::process::ExitCode;
use std::time::Duration;

/// The code that is tested: squares numbers until the queue is closed and drained.
fn work(tasks: &Queue<u64>, results: &Queue<u64>) -> Result<(), shmq::PutError> {
    while let Ok(task) = tasks.lease() {
        results.put(&(*task * *task))?;
        task.release();
    }
    Ok(())
}

fn squares_come_back() {
    let (tasks, results) = (Queue::<u64>::new(8).unwrap(), Queue::<u64>::new(8).unwrap());
    let worker = Process::spawn(|| work(&tasks, &results)).unwrap();
    tasks.put_slice(&[1, 2, 3]).unwrap();
    tasks.close();
    assert!(worker.join().unwrap().success());
    assert_eq!([(); 3].map(|()| results.get().unwrap()), [1, 4, 9]);
}

fn what_a_killed_worker_had_comes_back() {
    let (tasks, results) = (Queue::<u64>::new(8).unwrap(), Queue::<u64>::new(8).unwrap());
    tasks.put(&5).unwrap();
    let first = Process::spawn(|| {
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
    let second = Process::spawn(|| work(&tasks, &results)).unwrap();
    assert_eq!(results.get_timeout(Duration::from_secs(30)).unwrap(), 25);
    tasks.close();
    assert!(second.join().unwrap().success());
}

const TESTS: &[(&str, fn())] = &[
    ("squares_come_back", squares_come_back), // the name that is printed, and the function
    ("what_a_killed_worker_had_comes_back", what_a_killed_worker_had_comes_back),
];

/// Runs each test in a process of its own: `cargo test --test NAME` runs all, `cargo test --test NAME -- TEXT` those with that text.
fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut failed = false;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&wanted)) {
        let child = Process::spawn_daemon(*test).expect("a process");
        let passed = match child.join_timeout(Duration::from_secs(60)) {
            Ok(Some(status)) => status.success(), // a panic is exit code 101, its message is on stderr
            _ => child.kill().is_err(),           // it hangs
        };
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed |= !passed;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
