//! Random kills in the middle of everything: every task is accounted for, once.
//!
//! `SHMQ_POOL_KILLS=1000` for more than the usual hundred.

use crate::cases;
use crate::support::Rng;
use crate::support::harness::Case;
use shmq::{Pool, TaskError};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![a_storm_of_kills_with_every_task_accounted_for, a_storm_of_kills_with_retries_finishes_every_task]
}

fn kills() -> u64 {
    std::env::var("SHMQ_POOL_KILLS").map_or(100, |text| text.parse().expect("a number of kills"))
}

/// Some work, of different lengths.
fn task(n: u64) -> u64 {
    let mut x = n | 1;
    for _ in 0..(n % 7) * 2000 {
        x = std::hint::black_box(x.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    std::hint::black_box(x);
    n * 3
}

/// Kills workers at random until that many were killed.
fn kill_at_random(pool: &Pool, over: &AtomicBool, killed: &AtomicU64) {
    let mut rng = Rng::new("pool kills");
    while killed.load(SeqCst) < kills() {
        let workers = pool.worker_pids();
        if !workers.is_empty() {
            // All at once, now and then.
            let all = rng.chance(5);
            let chosen = rng.below(workers.len() as u64) as usize;
            for (place, &pid) in workers.iter().enumerate() {
                if all || place == chosen {
                    // SAFETY: kill takes two numbers. The pool has not reaped this worker, or has
                    // just done so: no other process gets its pid so soon.
                    killed.fetch_add(u64::from(unsafe { libc::kill(pid as i32, libc::SIGKILL) } == 0), SeqCst);
                }
            }
        }
        std::thread::sleep(rng.duration_below(Duration::from_millis(8)));
    }
    over.store(true, SeqCst);
}

/// Results of rounds of tasks until the kills are over, by every verb.
fn storm(retries: u32) -> BTreeMap<&'static str, u64> {
    let pool = Pool::builder().workers(4).retries(retries).build().unwrap();
    let (over, killed) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut counts = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| kill_at_random(&pool, &over, &killed));
        let mut rng = Rng::new("pool rounds");
        // A round may last as long as the kills, and be a map that fails as a whole: then another
        // one follows.
        while !over.load(SeqCst) || !counts.contains_key("done") {
            let size = rng.below(5) as usize + 1;
            let mut results = Vec::new();
            match rng.below(3) {
                0 => results.extend(pool.batch().chunk_size(size).imap(task, 0..300).unwrap()),
                1 => {
                    let later: Vec<_> = (0..300).map(|n| pool.apply_async(task, n).unwrap()).collect();
                    results.extend(later.iter().map(|result| result.get()));
                }
                _ => match pool.batch().chunk_size(size).map(task, 0..300) {
                    Ok(all) => results.extend(all.into_iter().map(Ok)),
                    Err(error) => {
                        assert!(matches!(error, TaskError::WorkerDied { .. }), "{error:?}");
                        *counts.entry("maps with a dead worker").or_default() += 1;
                        continue;
                    }
                },
            }
            assert_eq!(results.len(), 300, "every task has one result");
            for (n, result) in results.into_iter().enumerate() {
                match result {
                    Ok(value) => {
                        assert_eq!(value, n as u64 * 3);
                        *counts.entry("done").or_default() += 1;
                    }
                    Err(TaskError::WorkerDied { attempts, .. }) => {
                        assert_eq!(attempts, retries + 1);
                        *counts.entry("died").or_default() += 1;
                    }
                    Err(error) => panic!("task {n}: {error:?}"),
                }
            }
        }
    });
    assert!(killed.load(SeqCst) >= kills());
    // Back at full strength.
    assert_eq!(pool.map(task, 0..100).unwrap().len(), 100);
    pool.close();
    pool.join().unwrap();
    counts
}

fn a_storm_of_kills_with_every_task_accounted_for() {
    let counts = storm(0);
    println!("{counts:?}");
    assert!(counts["done"] > 0, "{counts:?}");
}

fn a_storm_of_kills_with_retries_finishes_every_task() {
    let counts = storm(200);
    println!("{counts:?}");
    assert!(counts["done"] > 0 && !counts.contains_key("died"), "{counts:?}");
}
