//! A pool of workers that loses nothing when one of them dies: a task is leased, its answer is put,
//! and only then is the lease released.
//!
//! `cargo run --release --example worker_pool`
//!
//! One worker kills itself in the middle of a task. Its lease ends with it, another worker gets the
//! task, and the sum is right. If a worker dies between its answer and the end of its lease, the
//! task is done twice (at-least-once); so answers carry the number of their task, and the parent
//! takes the first.

use std::collections::HashMap;
use std::error::Error;
use std::os::unix::process::ExitStatusExt;

use shmq::{GetError, Process, Queue};

const WORKERS: usize = 4;
const TASKS: u64 = 1000;
const OUT_AT_ONCE: u64 = 32;
/// The worker that gets this task first does not survive it.
const DEADLY: u64 = 123;

#[shmq::message]
struct Answer {
    task: u64,
    steps: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let tasks = Queue::<u64>::new(64)?;
    let answers = Queue::<Answer>::new(64)?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(Process::spawn(|| work(&tasks, &answers))?);
    }

    let mut next = 0;
    let mut steps = HashMap::new();
    while steps.len() < TASKS as usize {
        // Fewer tasks are out than there is room for answers, so no worker waits for room, and this
        // put does not wait for ever.
        while next < TASKS && next < steps.len() as u64 + OUT_AT_ONCE {
            tasks.put(&next)?;
            next += 1;
        }
        let answer = answers.get()?;
        steps.entry(answer.task).or_insert(answer.steps);
    }
    tasks.close();

    let mut killed = 0;
    for worker in &mut workers {
        let status = worker.join()?;
        killed += usize::from(status.signal() == Some(libc::SIGKILL));
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "worker {}: {status}", worker.pid());
    }
    println!("{WORKERS} workers, {killed} of them killed: {TASKS} tasks done, {} steps in all", steps.values().sum::<u64>());
    Ok(())
}

fn work(tasks: &Queue<u64>, answers: &Queue<Answer>) -> Result<(), Box<dyn Error>> {
    loop {
        let task = match tasks.lease() {
            Err(GetError::Closed) => return Ok(()),
            task => task?,
        };
        if *task == DEADLY && task.deliveries() == 1 {
            // SAFETY: ends this process at once, as the kernel does when memory runs out.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        answers.put(&Answer { task: *task, steps: collatz(*task + 1) })?;
        task.release();
    }
}

fn collatz(start: u64) -> u64 {
    std::iter::successors(Some(start), |&n| (n != 1).then(|| if n % 2 == 0 { n / 2 } else { 3 * n + 1 })).count() as u64 - 1
}
