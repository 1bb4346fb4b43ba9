//! What a pool costs: empty tasks, by `map` and one at a time.
//!
//! `cargo run --release --example pool_overhead [WORKERS [TASKS]]`

use std::error::Error;
use std::time::{Duration, Instant};

use shmq::Pool;

/// Processor time of this process, its threads included: not that of the workers.
fn own_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that the call may write to.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn measure<R>(what: &str, tasks: u32, run: impl FnOnce() -> R) -> R {
    let (start, cpu) = (Instant::now(), own_cpu());
    let result = run();
    let (wall, cpu) = (start.elapsed(), own_cpu() - cpu);
    println!("{what}: {tasks} tasks in {wall:.2?}, {:.2?} a task; the caller's CPU {:.2?} a task", wall / tasks, cpu / tasks);
    result
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let workers = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let many: u32 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let some = many / 5;
    let pool = Pool::new(workers)?;
    let empty = |_: u64| ();
    pool.map(empty, 0..1000)?;
    measure("map, default chunks", many, || pool.map(empty, 0..u64::from(many)))?;
    measure("map, chunk size 1", some, || pool.batch().chunk_size(1).map(empty, 0..u64::from(some)))?;
    measure("imap, chunk size 1", some, || pool.imap(empty, 0..u64::from(some)).map(|all| all.count()))?;
    measure("apply_async", some, || {
        let all: Result<Vec<_>, _> = (0..u64::from(some)).map(|n| pool.apply_async(empty, n)).collect();
        all?.iter().try_for_each(|result| result.get())
    })?;
    measure("apply, one after the other", some / 20, || (0..u64::from(some / 20)).try_for_each(|n| pool.apply(empty, n)))?;
    Ok(())
}
