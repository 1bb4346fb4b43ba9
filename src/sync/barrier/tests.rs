//! A party that gives up, and an abort, beside the end of a phase.

use super::*;
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
