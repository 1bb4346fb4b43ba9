//! A party that gives up, and an abort, beside the end of a phase.

use super::*;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// A barrier of two whose leader has ended phase 0 and is still in the lock, while `act`
/// happens. The phase behind it is over in no time.
fn beside_an_end(act: impl FnOnce(&Barrier)) -> Barrier {
    let barrier = Barrier::new(2).unwrap();
    let me = barrier.primitive.me().unwrap();
    barrier.enter(me, Wait::FOREVER).unwrap();
    assert!(barrier.phases().end(0, State::Ended));
    act(&barrier);
    barrier.open_next_phase(State::of_next);
    barrier.primitive.exit(me).unwrap();
    assert!(matches!(barrier.end_of(0), Some(Ok(_))), "the phase had ended");
    barrier
}

fn expect_broken_until_reset(barrier: &Barrier) {
    assert!(barrier.is_broken(), "{barrier:?}");
    let result = barrier.wait_timeout(Duration::from_secs(30));
    assert!(matches!(result, Err(SyncError::Broken)), "{result:?}");
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
    assert!(matches!(barrier.try_wait(), Err(SyncError::WouldBlock)));
}

#[test]
fn a_party_that_times_out_beside_the_end_of_a_phase_is_missed_in_the_next() {
    expect_broken_until_reset(&beside_an_end(|barrier| {
        let result = barrier.wait_timeout(Duration::from_millis(10));
        assert!(matches!(result, Err(SyncError::Timeout)), "{result:?}");
        assert!(barrier.is_broken() && matches!(barrier.end_of(0), Some(Ok(_))), "broken, but for those who have passed");
    }));
}

#[test]
fn an_abort_beside_the_end_of_a_phase_breaks_the_next() {
    expect_broken_until_reset(&beside_an_end(|barrier| barrier.abort().unwrap()));
}

#[test]
fn a_reset_opens_a_barrier_whatever_its_word_says() {
    for state in 0..4 {
        let barrier = Barrier::new(2).unwrap();
        barrier.words().phase.store(7 << 2 | state, Relaxed);
        barrier.reset().unwrap();
        assert!(!barrier.is_broken());
        std::thread::scope(|s| {
            s.spawn(|| barrier.wait().unwrap());
            barrier.wait().unwrap();
        });
    }
}

#[test]
fn each_party_of_a_phase_has_an_index_of_its_own() {
    let barrier = Barrier::new(5).unwrap();
    for _ in 0..100 {
        let mut results: Vec<_> = std::thread::scope(|s| {
            let parties: Vec<_> = (0..5).map(|_| s.spawn(|| barrier.wait().unwrap())).collect();
            parties.into_iter().map(|party| party.join().unwrap()).collect()
        });
        results.sort_by_key(BarrierWaitResult::index);
        let found: Vec<_> = results.iter().map(|result| (result.index(), result.is_leader())).collect();
        assert_eq!(found, [(0, false), (1, false), (2, false), (3, false), (4, true)]);
    }
}

#[test]
fn an_action_runs_once_a_phase_and_before_any_party_passes() {
    let barrier = Barrier::new(3).unwrap();
    let runs = AtomicU32::new(0);
    for phase in 1..100 {
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    let act = || {
                        std::thread::yield_now();
                        runs.fetch_add(1, Relaxed);
                        ControlFlow::Continue(())
                    };
                    barrier.wait_with(act).unwrap();
                    assert_eq!(runs.load(Relaxed), phase);
                });
            }
        });
    }
}

#[test]
fn an_action_that_breaks_or_panics_breaks_the_barrier_for_all() {
    let breaks = || ControlFlow::Break(());
    let panics = || -> ControlFlow<()> { std::panic::resume_unwind(Box::new("no action")) };
    for act in [&breaks as &(dyn Fn() -> ControlFlow<()> + Sync), &panics] {
        let barrier = Barrier::new(2).unwrap();
        std::thread::scope(|s| {
            let other = s.spawn(|| barrier.wait_with_timeout(act, Duration::from_secs(30)));
            let mine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                barrier.wait_with_timeout(act, Duration::from_secs(30))
            }));
            // Which of the two ran it is not known; both learn of it.
            for outcome in [mine, other.join()] {
                assert!(matches!(outcome, Ok(Err(SyncError::Broken)) | Err(_)), "{outcome:?}");
            }
        });
        expect_broken_until_reset(&barrier);
    }
}

// The portable locks do not survive the death of their holder.
#[cfg(not(shmq_portable_sync))]
#[test]
fn a_process_that_dies_in_its_action_breaks_the_barrier() {
    let barrier = Barrier::new(2).unwrap();
    let inherited = barrier.clone();
    std::thread::scope(|s| {
        let other = s.spawn(|| barrier.wait_timeout(Duration::from_secs(30)));
        while barrier.waiting() == 0 {
            std::thread::yield_now();
        }
        let die = move || {
            let _ = inherited.wait_with(|| {
                // SAFETY: the call has no preconditions.
                unsafe { libc::raise(libc::SIGKILL) };
                ControlFlow::Continue(())
            });
        };
        // SAFETY: the child touches nothing that another thread may have had locked: the crate's own
        // hooks make its handles fit, and it dies in them.
        let child = unsafe { crate::Process::spawn_unchecked(die) }.unwrap();
        assert!(matches!(other.join().unwrap(), Err(SyncError::Broken)));
        let _ = child.join();
    });
    expect_broken_until_reset(&barrier);
}
