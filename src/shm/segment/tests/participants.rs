//! The participant table: entries, generations and liveness.

use super::*;
use crate::shm::{id, participant};

#[test]
fn a_table_that_is_full_says_so() {
    let name = Name::new("full");
    let (first, entry) = create(&name, &Spec { max_participants: 2, ..spec() }).unwrap();
    let (second, _) = open(&name).unwrap();
    assert!(matches!(open(&name), Err(OpenError::TooManyParticipants { max: 2, .. })));
    drop(second);
    let (third, third_entry) = open(&name).unwrap();
    assert_eq!(third_entry, 1);
    first.detach(entry);
    third.detach(third_entry);
}

#[test]
fn ids_live_as_long_as_their_liveness_lock_and_generation() {
    let name = Name::new("ids");
    let (mine, my_entry) = create(&name, &Spec { max_participants: 2, ..spec() }).unwrap();
    let me = participant::register(&mine, my_entry);
    let (theirs, their_entry) = open(&name).unwrap();
    let them = participant::register(&theirs, their_entry);
    assert_eq!((me.generation(), them.generation()), (1, 1));
    assert!(participant::is_alive(&mine, me, me) && participant::is_alive(&mine, them, me));
    assert!(participant::owner_is_alive(&mine, them.entry(), them.generation_low(), me));
    assert_eq!(participant::pid_of(&mine, them), std::process::id());
    drop(theirs);
    assert!(!participant::is_alive(&mine, them, me));
    let (again, entry) = open(&name).unwrap();
    let successor = participant::register(&again, entry);
    assert_eq!((entry, successor.generation()), (their_entry, 2));
    assert!(participant::is_alive(&mine, successor, me) && !participant::is_alive(&mine, them, me));
    assert!(!participant::owner_is_alive(&mine, them.entry(), them.generation_low(), me));
    let predecessor = participant::Id::from_bits(7 << 10 | my_entry).unwrap();
    assert!(!participant::is_alive(&mine, predecessor, me));
    assert!(!participant::owner_is_alive(&mine, 1023, 1, me));
    again.detach(entry);
    mine.detach(my_entry);
}

#[test]
fn generations_wrap_to_low_bits_of_0_and_garbage_is_overwritten() {
    let name = Name::new("generations");
    let (segment, entry) = create(&name, &spec()).unwrap();
    let word = &segment.entries()[entry as usize].generation;
    for (before, after) in [((1 << 21) - 2, (1 << 21) - 1), ((1 << 21) - 1, 1 << 10), (0, 1)] {
        word.store(before, Ordering::Relaxed);
        id::raise_generation(&segment.entries()[entry as usize]);
        assert_eq!(participant::register(&segment, entry).generation(), after);
    }
    word.store(u32::MAX, Ordering::Relaxed);
    let id = participant::register(&segment, entry);
    assert_eq!(participant::Id::from_bits(id.bits()), Some(id));
    segment.detach(entry);
}
