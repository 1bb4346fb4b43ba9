//! Different values in every field: before a segment is opened, while it is open, and between any
//! two verbs.
//!
//! Trials walk over the byte map: trial n changes field n, and sometimes others too. The new value
//! is random.

use crate::fences::Gap;
use crate::fields::{self, Flip};
use crate::images::{LARGE, Subject, image_of};
use crate::support::Rng;
use crate::support::harness::Case;
use crate::trials::{Progress, path_of, trials};
use crate::verbs::{Stage, every_verb};
use shmq::{OpenError, Queue};
use std::fs::File;
use std::os::unix::fs::FileExt;

pub fn cases() -> Vec<Case> {
    crate::cases![
        flips_in_words_of_a_sized_queue,
        flips_in_words_of_a_queue_of_large_messages,
        flips_in_words_of_a_queue_of_bytes,
        flips_in_words_of_a_queue_of_few_slices,
    ]
}

/// How often the byte map is walked over, for each type.
const WALKS: u64 = 2;

fn flips_in_words_of_a_sized_queue() {
    walk_the_byte_map::<u64>("flips, u64");
}

fn flips_in_words_of_a_queue_of_large_messages() {
    walk_the_byte_map::<[u8; LARGE]>("flips, large messages");
}

fn flips_in_words_of_a_queue_of_bytes() {
    walk_the_byte_map::<[u8]>("flips, bytes");
}

fn flips_in_words_of_a_queue_of_few_slices() {
    walk_the_byte_map::<[u32]>("flips, few slices");
}

fn walk_the_byte_map<T: ?Sized + Subject>(what: &'static str) {
    let images = [image_of::<T>(false), image_of::<T>(true)];
    let fields = images.each_ref().map(|image| fields::of(image));
    let count = fields.iter().map(Vec::len).max().unwrap_or(0) as u64;
    assert!(count > 60, "the byte map has {count} fields");
    trials(what, WALKS * count, |number, name, mut rng, progress| {
        let which = rng.below(2) as usize;
        let (image, fields) = (&images[which], &fields[which]);
        let mut flips = vec![fields::flip(fields[number as usize % fields.len()], image, &mut rng)];
        if rng.chance(15) {
            flips = fields::far_cursors(image, &mut rng);
        }
        while rng.chance(40) {
            flips.push(fields::flip(fields[rng.below(fields.len() as u64) as usize], image, &mut rng));
        }
        eprintln!("{what}, trial {number}: {flips:x?}");
        trial::<T>(image, fields, &flips, name, &mut rng, progress);
    });
}

/// When the words change.
#[derive(Clone, Copy, PartialEq)]
enum When {
    BeforeOpen,
    WhileOpen,
    BetweenVerbs,
}

fn trial<T: ?Sized + Subject>(
    image: &[u8],
    fields: &[fields::Field],
    flips: &[Flip],
    name: &str,
    rng: &mut Rng,
    progress: Progress,
) {
    let when = [When::BeforeOpen, When::WhileOpen, When::BetweenVerbs][rng.below(3) as usize];
    let mut bytes = image.to_vec();
    if when == When::BeforeOpen {
        flips.iter().for_each(|flip| flip.to_image(&mut bytes));
    }
    std::fs::write(path_of(name), &bytes).expect("room for an image");
    // The mappings that a process makes at its first queue must not take the gap.
    drop(Queue::<u64>::new(1).expect("a queue"));
    let gap = Gap::new(image.len());
    progress.step("open");
    let queue = match Queue::<T>::open(name) {
        Ok(queue) => queue,
        Err(error) => {
            assert!(when == When::BeforeOpen, "{error:?}");
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
    if when == When::WhileOpen {
        flips.iter().for_each(write);
    }
    let mut disturbing = rng.split();
    let mut step = |verb: &'static str| {
        progress.step(verb);
        if when != When::BetweenVerbs {
            return;
        }
        if disturbing.chance(20) {
            flips.iter().for_each(write);
        }
        while disturbing.chance(30) {
            write(&fields::flip(fields[disturbing.below(fields.len() as u64) as usize], image, &mut disturbing));
        }
        if disturbing.chance(30) {
            // Restores the original, so that the queue is not poisoned or closed for the whole
            // trial.
            file.write_all_at(image, 0).expect("the whole file");
        }
    };
    let mut choose = |end| rng.below(end);
    let rounds = 1 + choose(2);
    T::with_messages(|value, buffer| {
        let stage = &mut Stage { step: &mut step, choose: &mut choose, mapping: Some(mapping), names: true };
        every_verb(queue, value, buffer, rounds, stage);
    });
}
