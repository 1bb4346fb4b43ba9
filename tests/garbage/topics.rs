//! Different values in every field of a topic: in its words, its lines and its records, before it
//! is opened, while subscribers live, and between any two verbs.

use crate::fences::Gap;
use crate::fields::{self, Field, Flip, read};
use crate::layout::{SegmentHeader, SubscriberLine, TopicWords, topic_offset};
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{Rng, unique_name};
use crate::topic_verbs::{Broadcasts, every_topic_verb};
use crate::trials::{Progress, path_of, remove, trials};
use crate::verbs::Stage;
use shmq::{OpenError, Queue, Topic};
use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

pub fn cases() -> Vec<Case> {
    crate::cases![flips_in_words_of_a_topic, flips_in_words_of_a_topic_of_slices]
}

/// How often the byte map is walked over, for each type.
const WALKS: u64 = 3;
const SUBSCRIBERS: usize = 6;

fn flips_in_words_of_a_topic() {
    let create =
        |name: &str| Topic::<u64>::builder().name(name).capacity(29).max_subscribers(SUBSCRIBERS).create().expect("a topic");
    walk("flips, topic", create, &0x5a5a_5a5a_5a5a_5a5a);
}

fn flips_in_words_of_a_topic_of_slices() {
    let create = |name: &str| {
        let builder = Topic::<[u8]>::builder().name(name).capacity_bytes(4096).max_subscribers(SUBSCRIBERS);
        builder.history(3).max_lag_before_evict(20).create().expect("a topic")
    };
    walk("flips, topic of slices", create, &[0x5a; 97]);
}

/// The bytes of a segment with a few laps behind it, subscribers of the dead in every standing, a
/// claim and a Sample of the dead.
fn image_of<T: ?Sized + Broadcasts>(create: &impl Fn(&str) -> Topic<T>, value: &T) -> Vec<u8> {
    let name = unique_name("template");
    let topic = create(&name);
    let mut child = fork("one who dies with all of it", || {
        let mut every = topic.subscribe().expect("a line");
        for _ in 0..300 {
            topic.try_publish(value).expect("room");
            every.try_next().expect("a message");
        }
        let evicted = topic.subscribe().expect("a line");
        assert!(topic.evict(evicted.id()).expect("a subscriber"));
        let lossy = topic.subscribe_lossy().expect("a line");
        (0..5).for_each(|_| topic.try_publish(value).expect("room"));
        T::pin(&mut every);
        std::mem::forget((every, evicted, lossy));
        let publisher = topic.publisher().expect("the put side");
        publisher.try_publish(value).expect("room");
        std::mem::forget(publisher);
        std::process::abort();
    });
    child.wait();
    let image = std::fs::read(path_of(&name)).expect("the segment's file");
    drop(topic);
    remove(&name);
    image
}

macro_rules! words {
    ($list:ident, $start:expr, $what:literal, $kind:ty { $($field:ident: $bytes:literal)* }) => {
        $($list.push(Field {
            name: concat!($what, ".", stringify!($field)),
            offset: $start + offset_of!($kind, $field),
            bytes: $bytes,
        });)*
    };
}

/// The words of a topic, three times those of its lines, and a few of everything else.
fn fields_of(image: &[u8]) -> Vec<Field> {
    let header = |field: usize| read(image, field, 4) as u32;
    let participants = header(offset_of!(SegmentHeader, max_participants));
    let texts = header(offset_of!(SegmentHeader, structure_len)) + header(offset_of!(SegmentHeader, dead_letters_len));
    let start = topic_offset(participants, texts) as usize;
    let mut list = Vec::new();
    words!(list, start, "topic", TopicWords {
        reclaim: 8 middle: 8 marks: 16 gate: 8 joins: 8 joins_seen: 8 others: 8 laggard: 8 wake_at: 8 laggard_line: 4
        lines_end: 4 evictions: 8
    });
    for line in 0..SUBSCRIBERS {
        let start = start + size_of::<TopicWords>() + line * size_of::<SubscriberLine>();
        words!(list, start, "line", SubscriberLine {
            state: 8 cursor: 8 pin: 4 number: 8 start: 8 missed: 8 joined_ns: 8
        });
    }
    list.extend(fields::of(image).into_iter().filter(|field| !field.name.starts_with("entry")));
    list
}

/// As [`fields::flip`], and states and positions that may well be.
fn flip(field: Field, image: &[u8], rng: &mut Rng) -> Flip {
    let mut flip = fields::flip(field, image, rng);
    let tail = read(image, offset_of!(crate::layout::Head, put) + offset_of!(crate::layout::PutSide, tail), 8);
    match field.name {
        "line.state" if rng.chance(60) => {
            // `participant:32 | generation:28 | state:4`
            let was = read(image, field.offset, 8);
            flip.value = was & !0xf | rng.below(9);
            if rng.chance(20) {
                flip.value = rng.below(1 << 12) << 32 | rng.below(5) << 4 | rng.below(9);
            }
        }
        "topic.reclaim" | "topic.middle" | "topic.marks" | "topic.gate" | "topic.wake_at" | "line.cursor" if rng.chance(60) => {
            flip.value = tail.wrapping_add(rng.below(100)).wrapping_sub(rng.below(200));
        }
        "topic.lines_end" | "topic.laggard_line" if rng.chance(60) => flip.value = rng.below(2000),
        _ => {}
    }
    flip
}

fn walk<T: ?Sized + Broadcasts>(what: &'static str, create: impl Fn(&str) -> Topic<T>, value: &T) {
    let image = image_of(&create, value);
    let fields = fields_of(&image);
    trials(what, WALKS * fields.len() as u64, |number, name, mut rng, progress| {
        let mut flips = vec![flip(fields[number as usize % fields.len()], &image, &mut rng)];
        while rng.chance(50) {
            flips.push(flip(fields[rng.below(fields.len() as u64) as usize], &image, &mut rng));
        }
        eprintln!("{what}, trial {number}: {flips:x?}");
        trial(&image, &fields, &flips, name, value, &mut rng, progress);
    });
}

fn trial<T: ?Sized + Broadcasts>(
    image: &[u8],
    fields: &[Field],
    flips: &[Flip],
    name: &str,
    value: &T,
    rng: &mut Rng,
    progress: Progress,
) {
    let before_open = rng.chance(35);
    let mut bytes = image.to_vec();
    if before_open {
        flips.iter().for_each(|flip| flip.to_image(&mut bytes));
    }
    std::fs::write(path_of(name), &bytes).expect("room for an image");
    // The mappings that a process makes at its first segment must not take the gap.
    drop(Queue::<u64>::new(1).expect("a queue"));
    let gap = Gap::new(image.len());
    progress.step("open");
    let topic = match Topic::<T>::open(name) {
        Ok(topic) => topic,
        Err(error) => {
            assert!(before_open, "{error:?}");
            assert!(matches!(error, OpenError::Corrupted { .. } | OpenError::Mismatch { .. }), "open of garbage: {error:?}");
            return;
        }
    };
    let mapping = gap.around(&path_of(name));
    let file = File::options().write(true).open(path_of(name)).expect("the file that was just written");
    let write = |flip: &Flip| {
        let value = flip.value.to_le_bytes();
        file.write_all_at(&value[..flip.bytes], flip.offset as u64).expect("a word of the file");
    };
    let mut disturbing = rng.split();
    let mut step = |verb: &'static str| {
        progress.step(verb);
        if before_open {
            return;
        }
        if disturbing.chance(20) {
            flips.iter().for_each(write);
        }
        while disturbing.chance(30) {
            write(&flip(fields[disturbing.below(fields.len() as u64) as usize], image, &mut disturbing));
        }
        if disturbing.chance(15) {
            // Restores the original, so that the topic is not poisoned or closed for the whole
            // trial.
            file.write_all_at(image, 0).expect("the whole file");
        }
    };
    let mut choose = |end| rng.below(end);
    let rounds = 1 + choose(2);
    let stage = &mut Stage { step: &mut step, choose: &mut choose, mapping: Some(mapping), names: true };
    every_topic_verb(topic, value, rounds, stage);
}
