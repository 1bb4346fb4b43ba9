//! Names that the last participant leaves to forked children, here to none. Other tests, in other
//! threads, may retry them at any time.

use super::*;
use crate::shm::segment::claim::{self, ClaimAttempt};
use crate::shm::segment::{Due, retry_deferred};
use std::thread;
use std::time::Duration;

/// Leaves the name as a process does that detaches beside a fork. `may_take_it` is asked
/// on the way.
fn leave_name(segment: Segment, entry: u32, may_take_it: impl Fn() -> bool) {
    segment.descriptor.unlock_liveness(entry).unwrap();
    segment.leave_name_to_children(may_take_it);
}

#[test]
fn a_name_left_to_no_child_goes_with_the_next_retry() {
    let name = Name::new("left");
    let (segment, entry) = create(&name, &spec()).unwrap();
    leave_name(segment, entry, || true);
    // Several, since another thread may be stopped in the middle of its own.
    let goes = |_| {
        retry_deferred(Due::All);
        !name.exists()
    };
    assert!((0..100).any(goes));
}

#[test]
fn messages_of_a_process_that_attaches_while_the_last_one_leaves_stay() {
    let name = Name::new("attaches");
    let (segment, entry) = create(&name, &spec()).unwrap();
    // It attaches when the other has just been seen alone, and dies.
    leave_name(segment, entry, || {
        let (late, entry) = open(&name).unwrap();
        late.entries()[entry as usize].pid.store(1, Ordering::Relaxed);
        true
    });
    retry_deferred(Due::All);
    assert!(name.exists());
}

/// For a moment, as another thread does that retries, or another process that opens the name.
#[test]
fn the_last_retry_waits_for_a_claim_of_another() {
    let goes = |round: u32| {
        let name = Name::new(&format!("claimed-{round}"));
        let (segment, entry) = create(&name, &spec()).unwrap();
        leave_name(segment, entry, || true);
        let place = Place::published(&Directory::default(), &name.0);
        let Ok(ClaimAttempt::Claimed(claim)) = claim::attempt(&place, &Owners::default()) else { return false };
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_micros(300));
                drop(claim);
            });
            retry_deferred(Due::All);
        });
        !name.exists()
    };
    // Several rounds, since the other may not be scheduled in time on a busy machine.
    assert!((0..20).any(goes));
}
