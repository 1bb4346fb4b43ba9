//! Takes the input as a segment, opens it and calls every verb.
//!
//! ```text
//!   byte 0   which type of messages, and what the rest is:
//!              a whole file | all behind the header of a good segment |
//!              changes (offset 2, word 8) of a good segment
//! ```
//!
//! The order of verbs follows from the input, so a crash repeats.
#![no_main]

#[path = "../../tests/garbage/topic_verbs.rs"]
#[allow(dead_code, reason = "what holds a sample for ever is for tests/garbage")]
mod topic_verbs;
#[path = "../../tests/garbage/verbs.rs"]
mod verbs;

use libfuzzer_sys::fuzz_target;
use shmq::{Queue, QueueBuilder, Start, Topic};
use std::sync::OnceLock;
use topic_verbs::{Broadcasts, every_topic_verb};
use verbs::{Stage, Travels, every_verb};

/// Where the words behind the segment header begin.
const BEHIND_THE_HEADER: usize = 0x200;
/// An offset of 2 bytes and a word of 8.
const CHANGE_BYTES: usize = 10;

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let how = first / 6;
    match first % 6 {
        0 => run::<u64>(|| Queue::builder().capacity(3), how, rest, &77, &mut [0; 5]),
        1 => run::<[u8; 5000]>(|| Queue::builder().capacity(2), how, rest, &[7; 5000], &mut [[0; 5000]; 3]),
        2 => run::<[u8]>(|| Queue::builder().capacity_bytes(16384), how, rest, &[7; 300], &mut [0; 500]),
        3 => {
            let settings = || Queue::builder().capacity_bytes(1024).capacity(5).max_deliveries(2);
            run::<[u32]>(settings, how, rest, &[7; 30], &mut [0; 50])
        }
        4 => {
            static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
            let create = |name: &str| Topic::builder().name(name).capacity(13).max_subscribers(5).max_participants(3).create();
            run_topic::<u64>(|name| create(name).expect("a segment"), how, rest, &77, &TEMPLATE)
        }
        _ => {
            static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
            let settings = |name: &str| Topic::<[u8]>::builder().name(name).capacity_bytes(2048).max_subscribers(5);
            let create = |name: &str| settings(name).max_participants(3).history(2).create().expect("a segment");
            run_topic::<[u8]>(create, how, rest, &[7; 30], &TEMPLATE)
        }
    }
});

fn path_of(name: &str) -> String {
    format!("/dev/shm/shmq.{name}")
}

/// A good segment with a few messages in it, created once per type.
fn template<T: ?Sized + Travels>(settings: QueueBuilder<Queue<T>>, value: &T, made: &'static OnceLock<Vec<u8>>) -> &'static [u8] {
    made.get_or_init(|| {
        let name = format!("fuzz-template-{}", std::process::id());
        let queue = settings.name(&name).max_participants(3).create().expect("a segment");
        for _ in 0..20 {
            queue.put(value).expect("room");
            queue.get().expect("a message");
        }
        queue.put(value).expect("room");
        queue.put(value).expect("room");
        queue.lease().expect("a message").give_back();
        std::fs::read(path_of(&name)).expect("the segment's file")
    })
}

fn run<T: ?Sized + Travels>(
    settings: impl FnOnce() -> QueueBuilder<Queue<T>>,
    how: u8,
    bytes: &[u8],
    value: &T,
    buffer: &mut T::Buffer,
) {
    static TEMPLATES: [OnceLock<Vec<u8>>; 4] = [const { OnceLock::new() }; 4];
    let which = if size_of_val(value) == 8 {
        0
    } else if size_of_val(value) == 5000 {
        1
    } else {
        2 + (size_of_val(value) == 120) as usize
    };
    let image = changed(template(settings(), value, &TEMPLATES[which]), how, bytes);
    let name = format!("fuzz-{}", std::process::id());
    std::fs::write(path_of(&name), &image).expect("room in /dev/shm");
    if let Ok(queue) = Queue::<T>::open(&name) {
        let mut state = state_of(bytes);
        let mut choose = |end| choose(&mut state, end);
        let stage = &mut Stage { step: &mut |_| {}, choose: &mut choose, mapping: None, names: true };
        every_verb(queue, value, buffer, 1, stage);
    }
    // Gone already, if the last one out took it away.
    let _ = std::fs::remove_file(path_of(&name));
}

/// The input as a segment, or what it makes of a good one.
fn changed(template: &[u8], how: u8, bytes: &[u8]) -> Vec<u8> {
    let mut image = template.to_vec();
    match how % 3 {
        0 => return bytes.to_vec(),
        1 => {
            let len = bytes.len().min(image.len() - BEHIND_THE_HEADER);
            image[BEHIND_THE_HEADER..][..len].copy_from_slice(&bytes[..len]);
        }
        _ => {
            for change in bytes.chunks_exact(CHANGE_BYTES) {
                let offset = usize::from(u16::from_le_bytes([change[0], change[1]])) % (image.len() - 8);
                image[offset..offset + 8].copy_from_slice(&change[2..]);
            }
        }
    }
    image
}

/// What the order of verbs follows from.
fn state_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0x9e37_79b9_7f4a_7c15u64, |state, &byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)) | 1
}

fn choose(state: &mut u64, end: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % end.max(1)
}

/// The same for a topic. The changes come while it is open as well: an opener frees the lines of the
/// dead.
fn run_topic<T: ?Sized + Broadcasts>(
    create: impl Fn(&str) -> Topic<T>,
    how: u8,
    bytes: &[u8],
    value: &T,
    made: &'static OnceLock<Vec<u8>>,
) {
    let template = made.get_or_init(|| {
        let name = format!("fuzz-template-{}", std::process::id());
        let topic = create(&name);
        let every = topic.subscribe().expect("a line");
        for _ in 0..40 {
            topic.publish(value).expect("room");
            every.next().expect("a message");
        }
        let _live = topic.subscribe_lossy_from(Start::Oldest).expect("a line");
        (0..3).for_each(|_| topic.publish(value).expect("room"));
        std::fs::read(path_of(&name)).expect("the segment's file")
    });
    let name = format!("fuzz-topic-{}", std::process::id());
    let image = changed(template, how, bytes);
    let is_late = how % 3 == 2 && bytes.len() % 2 == 1;
    std::fs::write(path_of(&name), if is_late { template } else { &image }).expect("room in /dev/shm");
    if let Ok(topic) = Topic::<T>::open(&name) {
        let mut state = state_of(bytes);
        let mut choose = |end| choose(&mut state, end);
        let mut step = |_: &'static str| {
            if is_late && bytes.len() % 5 == 0 {
                write_over(&name, template, &image);
            }
        };
        if is_late {
            write_over(&name, template, &image);
        }
        let stage = &mut Stage { step: &mut step, choose: &mut choose, mapping: None, names: true };
        every_topic_verb(topic, value, 1, stage);
    }
    // Gone already, if the last one out took it away.
    let _ = std::fs::remove_file(path_of(&name));
}

/// Writes what differs, into the file that is mapped.
fn write_over(name: &str, before: &[u8], now: &[u8]) {
    use std::os::unix::fs::FileExt;
    let Ok(file) = std::fs::File::options().write(true).open(path_of(name)) else { return };
    for (place, (_, now)) in before.iter().zip(now).enumerate().filter(|(_, (before, now))| before != now) {
        let _ = file.write_at(&[*now], place as u64);
    }
}
