//! Processes killed at random, wherever they are, again and again: the data that they shared is
//! consistent, and no process hangs.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, Rng};
use shmq::sync::{Array, Condvar, LockError, Mutex, Semaphore, Value};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_mutex_survives_a_storm_of_kills,
        a_value_survives_a_storm_of_kills,
        a_semaphore_survives_a_storm_of_kills,
        a_condvar_survives_a_storm_of_kills,
    ]
}

const WORKERS: usize = 4;
const KILLS: u64 = 150;

/// Kills workers at random moments and replaces each by a new one, until `enough` returns true;
/// then lets the last ones finish. `work` runs until its argument returns true, and counts its
/// rounds.
fn storm(purpose: &str, enough: impl Fn() -> bool, work: impl Fn(&dyn Fn() -> bool, &AtomicU64)) {
    let mut rng = Rng::new(purpose);
    let words = shared_words(2);
    let (stop, rounds) = (&words[0], &words[1]);
    let start = || {
        fork("a worker", || {
            work(&|| stop.load(Acquire) != 0, rounds);
        })
    };
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| start()).collect();
    let end = Instant::now() + PATIENCE;
    let mut kills = 0;
    while kills < KILLS || (!enough() && Instant::now() < end) {
        kills += 1;
        std::thread::sleep(rng.duration_below(Duration::from_millis(4)));
        let chosen = rng.below(WORKERS as u64) as usize;
        std::mem::replace(&mut workers[chosen], start()).kill();
    }
    let before = rounds.load(Relaxed);
    wait_for_count("the last workers to work", rounds, before + 1000);
    stop.store(1, SeqCst);
    workers.into_iter().for_each(Child::expect_success);
    eprintln!("{purpose}: {} rounds, {kills} kills", rounds.load(Relaxed));
}

fn a_mutex_survives_a_storm_of_kills() {
    // The holder of the lock increments all elements, in order. A death leaves a step in between,
    // which the next holder removes.
    let array = Array::<u64>::new(vec![0; 64]).unwrap();
    let deaths = Mutex::new(0u64).unwrap();
    let dead_holders = || match deaths.lock() {
        Ok(deaths) => *deaths,
        Err(error) => *error.into_guard().expect("the lock"),
    };
    storm(
        "a mutex in a storm",
        || dead_holders() > 0,
        |stopped, rounds| {
            while !stopped() {
                let mut guard = match array.lock_timeout(PATIENCE) {
                    Ok(guard) => guard,
                    Err(LockError::OwnerDied(mut guard)) => {
                        let first = guard[0];
                        let same = guard.iter().take_while(|&&element| element == first).count();
                        assert!(guard[same..].iter().all(|&element| element + 1 == first), "{:?}", &*guard);
                        guard.fill(first);
                        guard.mark_repaired();
                        match deaths.lock() {
                            Ok(mut deaths) => *deaths += 1,
                            Err(LockError::OwnerDied(mut deaths)) => {
                                *deaths += 1;
                                deaths.mark_repaired();
                            }
                            Err(error) => panic!("{error}"),
                        }
                        guard
                    }
                    Err(error) => panic!("{error}"),
                };
                let first = guard[0];
                assert!(guard.iter().all(|&element| element == first), "{:?}", &*guard);
                guard.iter_mut().for_each(|element| {
                    *element += 1;
                    std::hint::spin_loop();
                });
                rounds.fetch_add(1, Relaxed);
            }
        },
    );
    let dead_holders = dead_holders();
    eprintln!("{dead_holders} died with the lock");
    assert!(dead_holders > 0, "no kill hit a holder");
    // The last workers left in good order.
    assert!(array.lock().is_ok());
}

fn a_value_survives_a_storm_of_kills() {
    let value = Value::new([0u64; 64]).unwrap();
    storm(
        "a value in a storm",
        || true,
        |stopped, rounds| {
            while !stopped() {
                let before = value.get().unwrap();
                assert!(before.iter().all(|&word| word == before[0]));
                let after = value.update(|words| words.iter_mut().for_each(|word| *word += 1)).unwrap();
                assert!(after.iter().all(|&word| word == after[0]) && after[0] > before[0]);
                rounds.fetch_add(1, Relaxed);
            }
        },
    );
}

fn a_semaphore_survives_a_storm_of_kills() {
    let semaphore = Semaphore::new(3).unwrap();
    storm(
        "a semaphore in a storm",
        || true,
        |stopped, rounds| {
            while !stopped() {
                let first = semaphore.permit_timeout(PATIENCE).unwrap();
                let second = semaphore.try_permit().ok();
                std::hint::spin_loop();
                drop(first);
                drop(second);
                rounds.fetch_add(1, Relaxed);
            }
        },
    );
    // All permits are back, including those of the dead.
    let all = (semaphore.permit_timeout(PATIENCE), semaphore.permit_timeout(PATIENCE), semaphore.permit_timeout(PATIENCE));
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());
    assert!(semaphore.permit_timeout(Duration::from_millis(300)).is_err(), "a permit too many");
}

fn a_condvar_survives_a_storm_of_kills() {
    let (turn, changed) = (Mutex::new(0u64).unwrap(), Condvar::new().unwrap());
    storm(
        "a condvar in a storm",
        || true,
        |stopped, rounds| {
            let repaired = |locked: Result<_, LockError<shmq::sync::MutexGuard<'_, u64>>>| match locked {
                Ok(guard) => guard,
                Err(LockError::OwnerDied(mut guard)) => {
                    guard.mark_repaired();
                    drop(guard);
                    turn.lock().unwrap_or_else(|error| error.into_guard().expect("the lock, or the news"))
                }
                Err(error) => panic!("{error}"),
            };
            while !stopped() {
                let mut guard = repaired(turn.lock());
                let seen = *guard;
                *guard += 1;
                changed.notify_one();
                // Waits for the turn of another process, or for some time.
                let waited = changed.wait_timeout_while(guard, Duration::from_millis(1), |turn| *turn == seen + 1);
                if let Err(LockError::OwnerDied((mut guard, _))) = waited {
                    guard.mark_repaired();
                }
                rounds.fetch_add(1, Relaxed);
            }
        },
    );
}
