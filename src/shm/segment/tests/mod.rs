//! What one process can see without forking: open file descriptions conflict with each other even
//! within a process, and a segment that is dropped without detaching looks like one of a killed
//! process.

mod contents;
mod deferred;
mod files;
mod lifetimes;
mod participants;

use super::names::{self, Place};
use super::{Directory, Expect, Owners, Segment, Spec};
use crate::atomic::Ordering;
use crate::error::{CreateError, OpenError};
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::segment_state;
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
        kind: Kind::Sized,
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
        close_when_unused: false,
        bounded: false,
        topic: None,
        max_spilled_bytes: 0,
    }
}

fn expect() -> Expect {
    Expect::new(Kind::Sized, 24, 8, "Tick".to_owned())
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

fn file_of(name: &Name) -> std::fs::File {
    std::fs::OpenOptions::new().read(true).write(true).open(name.path()).unwrap()
}
