//! What a process can do that may only read a segment: hold read locks on its bytes.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, unique_name};
use shmq::{CreateError, OpenError, Queue};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![a_reader_does_not_keep_the_dead_alive, a_reader_of_all_bytes_keeps_newcomers_out_and_hangs_no_process,]
}

/// Offset of the participant table, and bytes of an entry (`src/shm/layout/mod.rs`).
const TABLE: libc::off_t = 0xf00;
const ENTRY: libc::off_t = 64;

/// A child that opens the segment for reading and read-locks bytes of it as soon as it can get the
/// locks.
fn reader(name: &str, bytes: &[(libc::off_t, libc::off_t)], begun: &AtomicU64, locked: &AtomicU64) -> Child {
    fork("a reader", || {
        let file = File::open(format!("/dev/shm/shmq.{name}")).unwrap();
        begun.store(1, Release);
        for &(start, len) in bytes {
            // SAFETY: `flock` consists of plain integers, for which zeroes are valid.
            let mut lock: libc::flock = unsafe { std::mem::zeroed() };
            (lock.l_type, lock.l_whence) = (libc::F_RDLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
            (lock.l_start, lock.l_len) = (start, len);
            // SAFETY: the descriptor is open, and the flock outlives the call.
            assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLKW, &lock) }, 0);
        }
        locked.store(1, Release);
        std::thread::sleep(PATIENCE);
    })
}

fn a_reader_does_not_keep_the_dead_alive() {
    let queue = Queue::<u64>::builder().name(unique_name("read")).capacity(4).mode(0o644).create().unwrap();
    queue.put(&7).unwrap();
    let held = shared_word();
    let holder = fork("a holder", || {
        let _lease = queue.lease().unwrap();
        held.store(1, Release);
        std::thread::sleep(PATIENCE);
    });
    wait_for_count("the lease", held, 1);
    let (begun, locked) = (shared_word(), shared_word());
    // The creator has entry 0, and the holder the next one, which is unused so far.
    let mut reader = reader(queue.name(), &[(TABLE + ENTRY, 1)], begun, locked);
    wait_for_count("the reader", begun, 1);
    holder.kill();
    wait_for_count("the reader to have the dead one's byte", locked, 1);
    let lease = queue.lease_timeout(BY_ITSELF).expect("the holder is dead, whichever process reads");
    assert_eq!((*lease, lease.deliveries()), (7, 2));
    assert!(!reader.has_ended());
    drop(Queue::<u64>::open(queue.name()).expect("there are other entries"));
    reader.kill();
}

fn a_reader_of_all_bytes_keeps_newcomers_out_and_hangs_no_process() {
    let name = unique_name("all");
    let queue = Queue::<u64>::builder().name(&name).capacity(4).max_participants(8).mode(0o644).create().unwrap();
    let (begun, locked) = (shared_word(), shared_word());
    let reader = reader(&name, &[(0, 1), (TABLE + ENTRY, 0)], begun, locked);
    wait_for_count("the reader to have all bytes but one", locked, 1);
    assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::NotReady { .. })));
    assert!(matches!(Queue::<u64>::create(&name, 4), Err(CreateError::AlreadyExists { in_use: true, .. })));
    // Processes that are attached already go on.
    queue.put(&1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    drop(queue);
    reader.kill();
    let next: Queue<u64> = Queue::create(&name, 4).expect("what the reader kept is replaced");
    drop(next);
}
