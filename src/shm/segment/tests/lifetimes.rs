//! When a name goes, which dead segments are replaced, and which files are removed as stale.

use super::*;
use crate::shm::segment::descriptors::Descriptor;
use crate::shm::segment::{Directory, Predecessor, View, WhyReplaced, stale};

#[test]
fn a_name_goes_with_the_last_participant() {
    let name = Name::new("last");
    let (first, first_entry) = create(&name, &spec()).unwrap();
    let (second, second_entry) = open(&name).unwrap();
    assert_eq!((first_entry, second_entry), (0, 1));
    assert_eq!(first.nonce(), second.nonce());
    assert!(second.liveness_is_held(0) && first.liveness_is_held(1) && !first.liveness_is_held(2) && !first.liveness_is_held(4));
    first.detach(first_entry);
    assert!(name.exists() && !second.liveness_is_held(0));
    second.detach(second_entry);
    assert!(!name.exists());
    assert_eq!(second.head().header.state.load(Ordering::Relaxed), segment_state::UNLINKED);
    assert!(matches!(open(&name), Err(OpenError::NotFound { .. })));
}

#[test]
fn a_live_segment_is_not_created_anew_and_a_dead_one_is() {
    let name = Name::new("dead");
    let (first, _) = create(&name, &spec()).unwrap();
    assert!(matches!(create(&name, &spec()), Err(CreateError::AlreadyExists { in_use: true, .. })));
    let nonce = first.nonce();
    drop(first);
    assert!(name.exists());
    let (opened, entry) = open(&name).unwrap();
    assert_eq!((opened.nonce(), entry), (nonce, 1), "an unused entry comes first");
    drop(opened);
    let (second, entry) = create(&name, &spec()).unwrap();
    assert_ne!(second.nonce(), nonce);
    let stale = Expect { nonce: Some(nonce), ..expect() };
    assert!(matches!(Segment::open(&name.0, &stale), Err(OpenError::Replaced { .. })));
    assert!(matches!(second.check(&stale), Err(OpenError::Replaced { .. })));
    second.detach(entry);
    assert!(!name.exists());
}

#[test]
fn a_persisted_name_stays_until_it_is_unlinked() {
    let name = Name::new("persisted");
    let (segment, entry) = create(&name, &Spec { persist: true, ..spec() }).unwrap();
    segment.detach(entry);
    assert!(matches!(create(&name, &spec()), Err(CreateError::AlreadyExists { in_use: false, .. })));
    let (attached, entry, created) = Segment::open_or_create(&name.0, &spec(), &expect(), |_| {}).unwrap();
    assert!(!created && attached.nonce() == segment.nonce());
    attached.detach(entry);
    Segment::unlink(&name.0).unwrap();
    assert!(matches!(Segment::unlink(&name.0), Err(OpenError::NotFound { .. })));
}

#[test]
fn unlinking_a_segment_in_use_frees_the_name_only() {
    let name = Name::new("unlink");
    let (old, old_entry) = create(&name, &spec()).unwrap();
    Segment::unlink(&name.0).unwrap();
    let (new, new_entry, created) = Segment::open_or_create(&name.0, &spec(), &expect(), |_| {}).unwrap();
    assert!(created && new.nonce() != old.nonce());
    assert_eq!(old.head().header.state.load(Ordering::Relaxed), segment_state::UNLINKED);
    old.detach(old_entry);
    assert!(name.exists());
    new.detach(new_entry);
    assert!(!name.exists());
}

#[test]
fn a_dead_segment_is_judged_by_what_it_would_still_do() {
    let name = Name::new("ended");
    let found = |segment: &Segment| Predecessor::read(&segment.head().header).map(|found| (found.why, found.messages));
    let again = || {
        let (segment, _, made) = Segment::open_or_create(&name.0, &spec(), &expect(), |_| {}).unwrap();
        (segment, made)
    };
    let (first, made) = again();
    assert!(made && found(&first).is_none());
    drop(first);
    let (open, made) = again();
    assert!(!made);
    open.head().put_notice.closed.store(1, Ordering::Relaxed);
    drop(open);
    let (second, made) = again();
    assert!(made);
    assert_eq!(found(&second), Some((WhyReplaced::Drained, Some(0))));
    second.head().rare.poisoned.store(1, Ordering::Relaxed);
    // Alive, it is opened as it is.
    let (same, made) = again();
    assert!(!made && same.nonce() == second.nonce());
    drop(same);
    drop(second);
    let (third, made) = again();
    assert!(made);
    assert_eq!(found(&third), Some((WhyReplaced::Poisoned, Some(0))));
    // Closed, with messages in it, or with what may be some.
    third.head().put_notice.closed.store(1, Ordering::Relaxed);
    drop(third);
    for left in [|_: &View| Some(1), |_: &View| None] {
        let spec = Spec { messages_left: left, ..spec() };
        let (same, _, made) = Segment::open_or_create(&name.0, &spec, &expect(), |_| {}).unwrap();
        assert!(!made);
        same.head().header.persisted.store(1, Ordering::Relaxed);
    }
    // Empty by now, and persisted.
    let (kept, made) = again();
    assert!(!made && kept.is_persisted());
    kept.head().header.persisted.store(0, Ordering::Relaxed);
    drop(kept);
    let other = Expect { message_bytes: 16, ..expect() };
    let spec = Spec { messages_left: |_| Some(7), geometry: Geometry::sized(16, 8, 10).unwrap(), ..spec() };
    let (fourth, entry, made) = Segment::open_or_create(&name.0, &spec, &other, |_| {}).unwrap();
    assert!(made);
    assert_eq!(found(&fourth), Some((WhyReplaced::OtherType, Some(7))));
    fourth.detach(entry);
}

#[test]
fn only_dead_files_are_removed_as_stale() {
    let (live, entry) = Segment::create_anonymous(&spec(), |_| {}).unwrap();
    let (dead, _) = Segment::create_anonymous(&spec(), |_| {}).unwrap();
    let (kept, _) = Segment::create_anonymous(&Spec { persist: true, ..spec() }, |_| {}).unwrap();
    let paths = [&live, &dead, &kept].map(|segment| segment.place.path().to_owned());
    drop(dead);
    drop(kept);
    let young = Directory::default().path().join(format!("{}1-0123456789abcdef", names::TEMPORARY_PREFIX));
    std::fs::write(&young, b"x").unwrap();
    stale::remove_now(&Directory::default());
    assert_eq!(paths.each_ref().map(|path| path.exists()), [true, false, true]);
    assert!(young.exists());
    std::fs::remove_file(young).unwrap();
    std::fs::remove_file(&paths[2]).unwrap();
    live.detach(entry);
}

#[test]
fn a_process_stopped_in_the_middle_of_a_replacement_hangs_no_opener() {
    // On a busy machine the name may be removed after the opener's time is over.
    assert!((0..20).any(|_| opener_of_a_stopped_replacement_ends()), "the name was always removed too late");
}

/// False if the name was removed too late for the opener to see it.
fn opener_of_a_stopped_replacement_ends() -> bool {
    let name = Name::new("stopped");
    let (dead, _) = create(&name, &spec()).unwrap();
    let nonce = dead.nonce();
    drop(dead);
    // Like a process that detaches, or replaces the segment, and is stopped between changing the
    // name and unlocking.
    let stopped = Descriptor::open(&name.path()).unwrap();
    assert!(stopped.lock_whole().unwrap());
    let path = name.0.clone();
    let began = std::time::Instant::now();
    let opener = std::thread::spawn(move || Segment::open_or_create(&path, &spec(), &expect(), |_| {}));
    // Whether or not it has found the old file by then, it must end with a new one.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!opener.is_finished());
    std::fs::remove_file(name.path()).unwrap();
    let removed_after = began.elapsed();
    let opened = opener.join().unwrap();
    if opened.is_err() && removed_after > std::time::Duration::from_millis(800) {
        return false;
    }
    let (segment, entry, created) = opened.unwrap_or_else(|error| panic!("{error}, {removed_after:?}, {:?}", began.elapsed()));
    assert!(created && segment.nonce() != nonce);
    segment.detach(entry);
    drop(stopped);
    true
}
