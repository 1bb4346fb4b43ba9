//! A pool under tokio, run as a service. SIGTERM to the whole process group (`kill -TERM -PGID`, as
//! a service manager or a container runtime sends it) ends it in good order: every task that was
//! begun is finished.
//!
//! `cargo run --release --example pool_service`, and then Ctrl-C, or `kill -TERM -- -PGID` from
//! elsewhere

use std::error::Error;
use std::time::Duration;

use shmq::{Pool, TaskError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// Takes a while, in a worker process. Workers ignore the signal, and finish what they have.
fn work(n: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(100));
    n * n
}

/// What a request handler does: it awaits the result of a task, and blocks no thread of the
/// runtime.
fn run(pool: &Pool, n: u64) -> Result<oneshot::Receiver<Result<u64, TaskError>>, TaskError> {
    let (sender, result) = oneshot::channel();
    pool.apply_async_then(work, n, move |done| drop(sender.send(done)))?;
    Ok(result)
}

fn main() -> Result<(), Box<dyn Error>> {
    // First of all, before there are threads: before the runtime. So no `#[tokio::main]`.
    shmq::process::init()?;
    tokio::runtime::Runtime::new()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let (end, mut ends) = watch::channel(false);
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let (mut signals, end) = (signal(kind)?, end.clone());
        tokio::spawn(async move {
            signals.recv().await;
            end.send_replace(true);
        });
    }
    let pool = Pool::builder().workers(2).build()?;
    println!("process {}, workers {:?}", std::process::id(), pool.worker_pids());

    // Requests come, each with a task for the pool, until a signal ends the service.
    let mut begun = Vec::new();
    while !*ends.borrow() {
        begun.push(run(&pool, begun.len() as u64)?);
        let _ = tokio::time::timeout(Duration::from_millis(30), ends.changed()).await;
    }

    // No more tasks; those that were begun are finished.
    pool.close();
    let tasks = begun.len();
    let mut done = 0;
    for (n, result) in begun.into_iter().enumerate() {
        let square = result.await??;
        assert_eq!(square, (n * n) as u64);
        done += 1;
    }
    // `join` blocks until the pool's processes have ended.
    tokio::task::spawn_blocking(move || pool.join()).await??;
    println!("asked to end: {done} of {tasks} tasks done");
    Ok(())
}
