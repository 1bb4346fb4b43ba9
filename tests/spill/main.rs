//! Objects that are larger than the ring of their queue: each goes into a file of its own. They pass
//! as any other message, whatever happens to the processes in between, and leave no file behind.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`).

#[path = "../support/mod.rs"]
mod support;

mod bound;
#[cfg(not(shmq_portable_sync))]
mod deaths;
mod files;
mod large;
mod letters;
mod verbs;

use shmq::ObjectQueue;
use std::fs;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use support::harness::Lanes;
use support::{pattern, shm_files, unique_name};

fn main() -> ExitCode {
    let cases = [verbs::cases(), bound::cases(), files::cases(), letters::cases(), large::cases()].concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, deaths::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}

/// Bytes, as a value that is encoded to hardly more.
type Bytes = Vec<u8>;

/// Bytes of the rings of these tests.
const RING: usize = 1 << 16;
/// More than the ring can hold.
const LARGE: usize = 300_000;

fn queue(what: &str) -> ObjectQueue<Bytes> {
    ObjectQueue::builder().name(unique_name(what)).capacity_bytes(RING).create().unwrap()
}

/// Begins with its tag: the patterns of two tags may be the same.
fn large(tag: u64) -> Bytes {
    let mut bytes = pattern(tag, LARGE);
    bytes[..8].copy_from_slice(&tag.to_le_bytes());
    bytes
}

/// The files of one segment's objects, found by its nonce.
struct Files {
    prefix: String,
}

impl Files {
    /// Of the segment that has this name now.
    fn of(name: &str) -> Files {
        /// Of the nonce in the header (`src/shm/layout/mod.rs`).
        const NONCE_OFFSET: u64 = 24;
        let mut nonce = [0; 8];
        let segment = fs::File::open(format!("/dev/shm/shmq.{name}")).expect("the segment has a name");
        segment.read_exact_at(&mut nonce, NONCE_OFFSET).expect("a header");
        Files { prefix: format!("shmq-spill.{:016x}.", u64::from_ne_bytes(nonce)) }
    }

    /// Those of objects.
    fn objects(&self) -> Vec<String> {
        shm_files(&self.prefix).into_iter().filter(|name| !name.ends_with(".anchor")).collect()
    }

    /// All of them, the anchor included.
    fn all(&self) -> Vec<String> {
        shm_files(&self.prefix)
    }
}
