//! The file behind a segment: its mapping, its memory, its mode.

use super::*;
use crate::shm::layout::Head;
use crate::shm::segment::descriptors::Descriptor;
use crate::shm::segment::open::map_same;
use crate::shm::segment::syscall_error::SyscallError;
use std::io;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_mapping_is_of_the_file_that_was_examined() {
    let (name, other) = (Name::new("examined"), Name::new("copied"));
    let (segment, entry) = create(&name, &spec()).unwrap();
    let descriptor = Descriptor::open(&name.path()).unwrap();
    // Its header and its nonce are copied, and the name leads to the copy before the mapping is
    // made.
    std::fs::copy(name.path(), other.path()).unwrap();
    let info = segment.info.clone();
    assert!(map_same(&Place::published(&Directory::default(), &other.0), descriptor.file(), &info).unwrap().is_none(), "a copy");
    let mapping =
        map_same(&Place::published(&Directory::default(), &name.0), descriptor.file(), &info).unwrap().expect("it fits");
    // SAFETY: inside the mapping; the word is an atomic.
    let state = unsafe { &mapping.base().cast::<Head>().as_ref().header.state };
    segment.head().header.state.store(0x5555, Ordering::Relaxed);
    assert_eq!(state.load(Ordering::Relaxed), 0x5555, "the mapping is that of the copy");
    segment.head().header.state.store(segment_state::ALIVE, Ordering::Relaxed);
    // A copy of another length is none at all.
    std::fs::OpenOptions::new().write(true).open(other.path()).unwrap().set_len(5).unwrap();
    assert!(map_same(&Place::published(&Directory::default(), &other.0), descriptor.file(), &info).unwrap().is_none());
    segment.detach(entry);
}

#[test]
fn an_error_for_want_of_descriptors_says_what_to_do() {
    for (errno, word) in [(libc::EMFILE, "RLIMIT_NOFILE, ulimit -n"), (libc::ENFILE, "fs.file-max"), (libc::EIO, "open: ")] {
        let refused = || SyscallError { call: "open", error: io::Error::from_raw_os_error(errno) };
        for words in [OpenError::from(refused()).to_string(), CreateError::from(refused()).to_string()] {
            assert!(words.contains(word) && words.contains(&format!("os error {errno}")), "{words}");
            assert_eq!(words.contains("two descriptors"), errno != libc::EIO, "{words}");
        }
    }
}

#[test]
fn too_large_is_no_space_and_leaves_nothing() {
    let name = Name::new("space");
    let spec = Spec { geometry: Geometry::slice(1, 1, u64::MAX, 1 << 45).unwrap(), kind: Kind::Slice, ..spec() };
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
