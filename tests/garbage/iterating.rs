//! Iterators over queues that are poisoned or corrupted: such an error is permanent, so it is
//! returned once, and then the loop ends.

use crate::layout::{Head, Rare, cells_offset};
use crate::support::harness::Case;
use crate::support::unique_name;
use shmq::{GetError, Queue};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

pub fn cases() -> Vec<Case> {
    crate::cases![loops_over_a_poisoned_queue_end, loops_over_a_corrupted_queue_end]
}

const PARTICIPANTS: u32 = 8;

fn queue() -> Queue<u64> {
    Queue::builder().name(unique_name("iterated")).capacity(4).max_participants(PARTICIPANTS as usize).create().unwrap()
}

fn write(name: &str, offset: usize, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/shmq.{name}")).unwrap();
    file.write_all_at(bytes, offset as u64).unwrap();
}

/// All items that a loop gets: at most one of them may be an error.
fn expect_one<T: std::fmt::Debug>(mut items: impl Iterator<Item = Result<T, GetError>>, is_it: impl Fn(&GetError) -> bool) {
    let first = items.next();
    assert!(matches!(&first, Some(Err(error)) if is_it(error)), "{first:?}");
    (0..3).for_each(|_| assert!(items.next().is_none(), "an error that lasts is given once"));
}

fn loops_over_a_poisoned_queue_end() {
    let queue = queue();
    let poisoned = offset_of!(Head, rare) + offset_of!(Rare, poisoned);
    write(queue.name(), poisoned, &1u32.to_ne_bytes());
    let is_poisoned = |error: &GetError| matches!(error, GetError::Poisoned);
    expect_one(queue.iter(), is_poisoned);
    // A new loop returns the error again.
    expect_one((&queue).into_iter(), is_poisoned);
    #[cfg(feature = "object")]
    {
        let objects = shmq::ObjectQueue::<String>::create(unique_name("objects"), 4).unwrap();
        write(objects.name(), poisoned, &1u32.to_ne_bytes());
        expect_one(objects.iter(), is_poisoned);
    }
}

fn loops_over_a_corrupted_queue_end() {
    let queue = queue();
    let consumer = queue.consumer().unwrap();
    write(queue.name(), cells_offset(PARTICIPANTS, 0, 0) as usize, &[0xff; 8]);
    let is_corrupted = |error: &GetError| matches!(error, GetError::Corrupted);
    expect_one(consumer.iter(), is_corrupted);
    drop(consumer);
    expect_one(queue.iter(), is_corrupted);
}
