//! What one process can see without forking: descriptions conflict with each other whoever holds them, and a segment that is
//! dropped without leaving looks like one of a killed process.

use super::names::Place;
use super::*;
use crate::error::CreateError;
use crate::shm::layout::{SCHEMA_BYTES, TYPE_NAME_BYTES, kind, predecessor, segment_state};
use crate::shm::participant;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

struct Name(String);

impl Name {
    fn new(what: &str) -> Name {
        Name(format!("test-{what}-{}-{:x}", std::process::id(), names::random().unwrap()))
    }

    fn path(&self) -> PathBuf {
        Place::published(&Directory::default(), &self.0).path().to_owned()
    }

    fn exists(&self) -> bool {
        self.path().exists()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

fn spec() -> Spec {
    Spec {
        kind: kind::SIZED,
        geometry: Geometry::sized(24, 8, 10).unwrap(),
        type_name: "Tick".to_owned(),
        schema: None,
        structure: None,
        max_participants: 4,
        max_deliveries: 0,
        dead_letters: None,
        persist: false,
        mode: None,
        lock_memory: false,
        huge_pages: false,
        messages_left: |_| Some(0),
        owners: Owners::default(),
        directory: Directory::default(),
        full_fence: false,
    }
}

fn expect() -> Expect {
    Expect {
        kind: kind::SIZED,
        message_bytes: 24,
        message_align: 8,
        type_name: "Tick".to_owned(),
        schema: None,
        structure: None,
        lock_memory: false,
        huge_pages: false,
        asked: Asked::default(),
        nonce: None,
        owners: Owners::default(),
        directory: Directory::default(),
    }
}

fn create(name: &Name, spec: &Spec) -> Result<(Segment, u32), CreateError> {
    Segment::create(&name.0, spec, |_| {})
}

fn open(name: &Name) -> Result<(Segment, u32), OpenError> {
    Segment::open(&name.0, &expect())
}

/// The error of a result whose value has no Debug.
fn error_of<T, E>(result: Result<T, E>) -> E {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

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
    assert_eq!((opened.nonce(), entry), (nonce, 1), "an entry that nobody had comes first");
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
    assert_eq!(found(&second), Some((predecessor::DRAINED, Some(0))));
    second.head().rare.poisoned.store(1, Ordering::Relaxed);
    // Alive, it is opened as it is.
    let (same, made) = again();
    assert!(!made && same.nonce() == second.nonce());
    drop(same);
    drop(second);
    let (third, made) = again();
    assert!(made);
    assert_eq!(found(&third), Some((predecessor::POISONED, Some(0))));
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
    assert_eq!(found(&fourth), Some((predecessor::OTHER_TYPE, Some(7))));
    fourth.detach(entry);
}

#[test]
fn a_structure_lies_before_the_cells() {
    let name = Name::new("structure");
    for length in [1, 700, 4096, 9000] {
        let text = "s".repeat(length);
        let (segment, entry) = create(&name, &Spec { structure: Some(text.clone()), max_participants: 120, ..spec() }).unwrap();
        let kept = length.min(4096);
        let file = std::fs::read(name.path()).unwrap();
        let at = crate::shm::layout::structure_offset(120) as usize;
        assert_eq!(file[at..at + kept], text.as_bytes()[..kept]);
        let cells = segment.cells().as_ptr() as usize - segment.mapping.base().as_ptr() as usize;
        assert!(cells % 4096 == 0 && cells >= at + kept, "{length}");
        let (same, its_entry) =
            Segment::open(&name.0, &Expect { structure: Some(Wanted::Said(text.clone())), ..expect() }).unwrap();
        let other = Expect { structure: Some(Wanted::Said(text + "t")), ..expect() };
        assert!(matches!(same.check(&other), Err(OpenError::Mismatch { .. })));
        // A text that is none is no segment of ours.
        file_of(&name).write_all_at(b"\xff", at as u64).unwrap();
        assert!(matches!(open(&name), Err(OpenError::Corrupted { .. })));
        same.detach(its_entry);
        segment.detach(entry);
    }
}

fn file_of(name: &Name) -> std::fs::File {
    std::fs::OpenOptions::new().read(true).write(true).open(name.path()).unwrap()
}

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
fn mismatches_name_both_sides() {
    let name = Name::new("mismatch");
    let (segment, entry) = create(&name, &Spec { schema: Some("tick/2".to_owned()), ..spec() }).unwrap();
    let other = Expect { type_name: "Tock".to_owned(), message_bytes: 16, ..expect() };
    let error = error_of(Segment::open(&name.0, &other));
    assert_eq!(
        error.to_string(),
        format!(
            "queue {:?} holds messages of type Tick, schema tick/2 (24 bytes); this program wants messages of type Tock (16 bytes)",
            name.0
        )
    );
    let renamed = Expect { type_name: "Tock".to_owned(), schema: Some("tick/2".to_owned()), ..expect() };
    segment.check(&renamed).unwrap();
    segment.check(&expect()).unwrap();
    for wrong in [
        Expect { schema: Some("tick/3".to_owned()), ..expect() },
        Expect { kind: kind::SLICE, ..expect() },
        Expect { message_align: 4, ..expect() },
    ] {
        assert!(matches!(segment.check(&wrong), Err(OpenError::Mismatch { .. })), "{wrong:?}");
    }
    segment.detach(entry);
}

#[test]
fn long_texts_are_kept_up_to_a_character() {
    let name = Name::new("long");
    let long = "\u{e4}".repeat(TYPE_NAME_BYTES);
    let (segment, entry) = create(&name, &Spec { type_name: format!("x{long}"), schema: Some(long.clone()), ..spec() }).unwrap();
    assert_eq!(
        (segment.info.type_name.len(), segment.info.schema.as_deref().unwrap().len()),
        (TYPE_NAME_BYTES - 1, SCHEMA_BYTES)
    );
    segment.check(&Expect { type_name: "y".to_owned(), schema: Some(long), ..expect() }).unwrap();
    segment.detach(entry);
}

#[test]
fn garbage_is_corrupted_and_nothing_else() {
    let name = Name::new("garbage");
    for bytes in [0usize, 1, 100, 512, 5000, 100_000] {
        std::fs::write(name.path(), vec![0xA5; bytes]).unwrap();
        assert!(matches!(open(&name), Err(OpenError::Corrupted { .. })), "{bytes} bytes");
        assert!(matches!(Segment::open_or_create(&name.0, &spec(), &expect(), |_| {}), Err(CreateError::Corrupted { .. })));
    }
    Segment::unlink(&name.0).unwrap();
    std::fs::write(name.path(), b"x").unwrap();
    let (segment, entry) = create(&name, &spec()).unwrap();
    segment.detach(entry);
    assert!(!name.exists());
    std::fs::create_dir(name.path()).unwrap();
    assert!(matches!(open(&name), Err(OpenError::NoSegment { .. })));
    std::fs::remove_dir(name.path()).unwrap();
}

#[test]
fn every_flipped_bit_of_a_stamp_is_survived() {
    let name = Name::new("flip");
    let (segment, entry) = create(&name, &Spec { schema: Some("s".to_owned()), ..spec() }).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(name.path()).unwrap();
    let mut header = [0; header::HEADER_BYTES];
    file.read_exact_at(&mut header, 0).unwrap();
    for bit in 0..header.len() * 8 {
        let mut flipped = header;
        flipped[bit / 8] ^= 1 << (bit % 8);
        file.write_all_at(&flipped, 0).unwrap();
        match open(&name) {
            // A leave could unlink a segment whose persisted word was flipped off: not here, `segment` is attached.
            Ok((opened, entry)) => opened.detach(entry),
            Err(OpenError::Corrupted { .. } | OpenError::Mismatch { .. }) => {}
            Err(other) => panic!("bit {bit}: {other}"),
        }
    }
    file.write_all_at(&header, 0).unwrap();
    segment.detach(entry);
}

#[test]
fn only_dead_files_are_swept() {
    let (live, entry) = Segment::create_anonymous(&spec(), |_| {}).unwrap();
    let (dead, _) = Segment::create_anonymous(&spec(), |_| {}).unwrap();
    let (kept, _) = Segment::create_anonymous(&Spec { persist: true, ..spec() }, |_| {}).unwrap();
    let paths = [&live, &dead, &kept].map(|segment| segment.place.path().to_owned());
    drop(dead);
    drop(kept);
    let young = Directory::default().path().join(format!("{}1-0123456789abcdef", names::TEMPORARY_PREFIX));
    std::fs::write(&young, b"x").unwrap();
    stale::now(&Directory::default());
    assert_eq!(paths.each_ref().map(|path| path.exists()), [true, false, true]);
    assert!(young.exists());
    std::fs::remove_file(young).unwrap();
    std::fs::remove_file(&paths[2]).unwrap();
    live.detach(entry);
}

#[test]
fn the_mapping_is_of_the_file_that_was_examined() {
    let (name, other) = (Name::new("examined"), Name::new("copied"));
    let (segment, entry) = create(&name, &spec()).unwrap();
    let descriptor = descriptors::Descriptor::open(&name.path()).unwrap();
    // Its header and its nonce are copied, and the name leads to the copy before the mapping is made.
    std::fs::copy(name.path(), other.path()).unwrap();
    let info = segment.info.clone();
    assert!(
        open::map_same(&Place::published(&Directory::default(), &other.0), descriptor.file(), &info).unwrap().is_none(),
        "a copy"
    );
    let mapping =
        open::map_same(&Place::published(&Directory::default(), &name.0), descriptor.file(), &info).unwrap().expect("it fits");
    // SAFETY: inside the mapping; the word is an atomic.
    let state = unsafe { &mapping.base().cast::<Head>().as_ref().header.state };
    segment.head().header.state.store(0x5555, Ordering::Relaxed);
    assert_eq!(state.load(Ordering::Relaxed), 0x5555, "the mapping is that of the copy");
    segment.head().header.state.store(segment_state::ALIVE, Ordering::Relaxed);
    // A copy of another length is none at all.
    std::fs::OpenOptions::new().write(true).open(other.path()).unwrap().set_len(5).unwrap();
    assert!(open::map_same(&Place::published(&Directory::default(), &other.0), descriptor.file(), &info).unwrap().is_none());
    segment.detach(entry);
}

#[test]
fn descriptors_that_ran_out_are_told_with_what_to_do() {
    for (errno, word) in [(libc::EMFILE, "RLIMIT_NOFILE, ulimit -n"), (libc::ENFILE, "fs.file-max"), (libc::EIO, "open: ")] {
        let refused = || SyscallError { call: "open", error: io::Error::from_raw_os_error(errno) };
        for words in [OpenError::from(refused()).to_string(), CreateError::from(refused()).to_string()] {
            assert!(words.contains(word) && words.contains(&format!("os error {errno}")), "{words}");
            assert_eq!(words.contains("two descriptors"), errno != libc::EIO, "{words}");
        }
    }
}

#[test]
fn a_process_stopped_in_the_middle_of_a_replacement_hangs_no_opener() {
    let name = Name::new("stopped");
    let (dead, _) = create(&name, &spec()).unwrap();
    let nonce = dead.nonce();
    drop(dead);
    // As a leaver or a replacer that is stopped between the change of the name and the end of its lock.
    let stopped = descriptors::Descriptor::open(&name.path()).unwrap();
    assert!(stopped.lock_whole().unwrap());
    let path = name.0.clone();
    let began = std::time::Instant::now();
    let opener = std::thread::spawn(move || Segment::open_or_create(&path, &spec(), &expect(), |_| {}));
    // Whether it has found the old file by then or not, it must come out with a new one.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!opener.is_finished());
    std::fs::remove_file(name.path()).unwrap();
    let (segment, entry, created) = opener.join().unwrap().unwrap_or_else(|error| panic!("{error}, {:?}", began.elapsed()));
    assert!(created && segment.nonce() != nonce);
    segment.detach(entry);
    drop(stopped);
}

#[test]
fn too_large_is_no_space_and_leaves_nothing() {
    let name = Name::new("space");
    let spec = Spec { geometry: Geometry::slice(1, 1, u64::MAX, 1 << 45).unwrap(), kind: kind::SLICE, ..spec() };
    match error_of(create(&name, &spec)) {
        CreateError::NoSpace { needed_bytes, free_bytes, .. } => assert!(needed_bytes > free_bytes),
        CreateError::Os { source: error, .. } => assert_eq!(error.raw_os_error(), Some(libc::ENOMEM)),
        other => panic!("{other}"),
    }
    assert!(!name.exists());
}

#[test]
fn modes_widen_only() {
    let name = Name::new("mode");
    let (segment, entry) = create(&name, &Spec { mode: Some(0o7060), ..spec() }).unwrap();
    assert_eq!(std::fs::metadata(name.path()).unwrap().permissions().mode() & 0o7777, 0o660);
    segment.detach(entry);
}

#[test]
fn the_state_is_alive_after_init_and_all_cells_are_zero() {
    let name = Name::new("init");
    let mut runs = 0;
    let (segment, entry) = Segment::create(&name.0, &spec(), |building| {
        runs += 1;
        assert_eq!(building.head().header.state.load(Ordering::Relaxed), segment_state::BUILDING);
        assert!(!name.exists());
    })
    .unwrap();
    assert_eq!(runs, 1);
    assert_eq!(segment.head().header.state.load(Ordering::Relaxed), segment_state::ALIVE);
    let bytes = segment.geometry().ring_bytes() as usize;
    // SAFETY: Invariant 6 of the module above: that many bytes of cells lie inside the mapping, and nobody writes them.
    let cells = unsafe { std::slice::from_raw_parts(segment.cells().as_ptr(), bytes) };
    assert!(cells.iter().all(|&byte| byte == 0));
    segment.detach(entry);
}

#[test]
fn ids_live_as_long_as_their_pulse_and_generation() {
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
fn generations_wrap_to_one_and_garbage_is_overwritten() {
    let name = Name::new("generations");
    let (segment, entry) = create(&name, &spec()).unwrap();
    let word = &segment.entries()[entry as usize].generation;
    for (before, after) in [((1 << 21) - 2, (1 << 21) - 1), ((1 << 21) - 1, 1), (0, 1)] {
        word.store(before, Ordering::Relaxed);
        participant::raise_generation(&segment.entries()[entry as usize]);
        assert_eq!(participant::register(&segment, entry).generation(), after);
    }
    word.store(u32::MAX, Ordering::Relaxed);
    let id = participant::register(&segment, entry);
    assert_eq!(participant::Id::from_bits(id.bits()), Some(id));
    segment.detach(entry);
}
