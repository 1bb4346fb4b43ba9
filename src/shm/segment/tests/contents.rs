//! What a segment says of itself, good or garbage.

use super::*;
use crate::shm::layout::{SCHEMA_BYTES, TYPE_NAME_BYTES};
use crate::shm::segment::{Wanted, header};
use std::os::unix::fs::FileExt;

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
        // A segment whose text is not UTF-8 is corrupted.
        file_of(&name).write_all_at(b"\xff", at as u64).unwrap();
        assert!(matches!(open(&name), Err(OpenError::Corrupted { .. })));
        same.detach(its_entry);
        segment.detach(entry);
    }
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
        Expect { kind: Kind::Slice, ..expect() },
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
fn every_flipped_bit_of_a_header_is_survived() {
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
            // Detaching must not unlink a segment whose persisted word was flipped off; here
            // `segment` is attached.
            Ok((opened, entry)) => opened.detach(entry),
            Err(OpenError::Corrupted { .. } | OpenError::Mismatch { .. }) => {}
            Err(other) => panic!("bit {bit}: {other}"),
        }
    }
    file.write_all_at(&header, 0).unwrap();
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
    // SAFETY: Invariant 6 of `segment`: that many bytes of cells lie inside the mapping, and no
    // other process writes them.
    let cells = unsafe { std::slice::from_raw_parts(segment.cells().as_ptr(), bytes) };
    assert!(cells.iter().all(|&byte| byte == 0));
    segment.detach(entry);
}
