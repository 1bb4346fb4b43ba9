//! Segments as files, of each message type, as left behind by quiet and by killed users.

use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, unique_name};
use crate::trials::{path_of, remove};
use crate::verbs::Travels;
use shmq::{Queue, QueueBuilder};
use std::sync::atomic::Ordering::Release;

/// Entries of the participant tables here.
const PARTICIPANTS: usize = 4;
/// A message that is copied without holding a lock, and whose cells end at the end of a page.
pub const LARGE: usize = 8128;

/// Types of messages, with queues whose cells end exactly at the end of a page.
pub trait Subject: Travels {
    const NAME: &'static str;
    fn settings() -> QueueBuilder<Queue<Self>>;
    /// Runs with a message and a buffer that end at fences.
    fn with_messages<R>(run: impl FnOnce(&Self, &mut Self::Buffer) -> R) -> R;
}

macro_rules! sized_subject {
    ($type:ty, $name:literal, $capacity:literal, $value:expr) => {
        impl Subject for $type {
            const NAME: &'static str = $name;
            fn settings() -> QueueBuilder<Queue<$type>> {
                Queue::builder().capacity($capacity).max_participants(PARTICIPANTS)
            }
            fn with_messages<R>(run: impl FnOnce(&$type, &mut [$type]) -> R) -> R {
                let mut value = crate::fences::Fenced::<$type>::new(1, $value);
                let mut buffer = crate::fences::Fenced::<$type>::new(7, $value);
                run(&value.elements()[0], buffer.elements())
            }
        }
    };
}
sized_subject!(u64, "u64", 255, 0x5a5a_5a5a_5a5a_5a5a);
sized_subject!([u8; LARGE], "[u8; 8128]", 3, [0xa5; LARGE]);

macro_rules! slice_subject {
    ($element:ty, $name:literal, $bytes:literal $(, $refine:ident($n:expr))*) => {
        impl Subject for [$element] {
            const NAME: &'static str = $name;
            fn settings() -> QueueBuilder<Queue<[$element]>> {
                Queue::builder().capacity_bytes($bytes).max_participants(PARTICIPANTS)$(.$refine($n))*
            }
            fn with_messages<R>(run: impl FnOnce(&[$element], &mut [$element]) -> R) -> R {
                let mut value = crate::fences::Fenced::<$element>::new(97, 0x5a);
                let mut buffer = crate::fences::Fenced::<$element>::new(300, 0);
                run(value.elements(), buffer.elements())
            }
        }
    };
}
slice_subject!(u8, "[u8], closes when unused", 16384, close_when_unused(true));
slice_subject!(
    u32,
    "[u32], 9 at most, given up after 3 deliveries to dead letters that are missing",
    4096,
    capacity(9),
    max_deliveries(3),
    dead_letters("no such dead letters")
);

/// The bytes of a segment that contains every case: messages taken, ready, given back, lent by the
/// dead, leased by the dead and viewed by the dead, and, if `killed`, sides and locks of the dead.
pub fn image_of<T: ?Sized + Subject>(killed: bool) -> Vec<u8> {
    let name = unique_name("template");
    let queue = T::settings().name(&name).persist(true).create().expect("a segment");
    T::with_messages(|value, _| {
        // Two laps, so that cells hold older contents; then every case at once.
        for _ in 0..2 * 256 {
            queue.put_timeout(value, PATIENCE).expect("room");
            queue.get_timeout(PATIENCE).expect("a message");
        }
        while queue.len() < 3 {
            queue.put_timeout(value, PATIENCE).expect("room");
        }
        queue.lease().expect("a message").give_back();
        let ready = shared_word();
        let holder = fork("one who dies with a lease and a loan", || {
            let _lease = queue.lease_timeout(PATIENCE).expect("a message");
            let _second = queue.lease_timeout(PATIENCE).and_then(|lease| lease.into_view()).expect("a message");
            let _producer = killed.then(|| queue.producer().expect("the put side"));
            let _consumer = killed.then(|| queue.consumer().expect("the get side"));
            ready.store(1, Release);
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
        wait_for_count("the holder", ready, 1);
        holder.kill();
    });
    let image = std::fs::read(path_of(&name)).expect("the segment's file");
    assert_eq!(image.len() % 4096, 0, "{}: its cells end in the middle of a page", T::NAME);
    drop(queue);
    remove(&name);
    image
}
