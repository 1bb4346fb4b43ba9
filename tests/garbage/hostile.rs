//! A process that writes arbitrary values into a segment while others work with it.

use crate::fences::Gap;
use crate::fields;
use crate::images::{LARGE, Subject, image_of};
use crate::support::harness::Case;
use crate::support::{Rng, unique_name};
use crate::trials::{Watched, path_of, remove, times};
use crate::verbs::{Stage, every_verb};
use shmq::Queue;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![a_hostile_writer_beside_values, a_hostile_writer_beside_large_values, a_hostile_writer_beside_slices]
}

/// How long each hostile writer runs.
const TIME: Duration = Duration::from_millis(2500);
/// Users of the queue.
const USERS: u64 = 3;

fn a_hostile_writer_beside_values() {
    beside_a_hostile_writer::<u64>("hostile, u64");
}

fn a_hostile_writer_beside_large_values() {
    beside_a_hostile_writer::<[u8; LARGE]>("hostile, large values");
}

fn a_hostile_writer_beside_slices() {
    beside_a_hostile_writer::<[u8]>("hostile, slices");
}

fn beside_a_hostile_writer<T: ?Sized + Subject>(what: &'static str) {
    let mut rng = Rng::new(what);
    let image = image_of::<T>(false);
    let name = unique_name("hostile");
    std::fs::write(path_of(&name), &image).expect("room for an image");
    let end = Instant::now() + TIME * times() as u32;
    let mut users: Vec<Watched> = (0..USERS)
        .map(|_| {
            let mut rng = rng.split();
            Watched::start("a user", |progress| {
                let mut runs = 0;
                // At least once, however late the process is first scheduled.
                while runs == 0 || Instant::now() < end {
                    progress.begin(runs);
                    runs += 1;
                    one_user::<T>(&name, image.len(), &mut rng, &mut |verb| progress.step(verb));
                }
                eprintln!("{runs} runs of all verbs");
            })
        })
        .collect();
    let mut writing = rng.split();
    let writer =
        Watched::start("a hostile writer", |progress| scribble(&name, &image, &mut writing, || progress.step("writing")));
    crate::trials::watch(&mut users);
    writer.kill();
    remove(&name);
}

fn one_user<T: ?Sized + Subject>(name: &str, bytes: usize, rng: &mut Rng, step: &mut dyn FnMut(&'static str)) {
    drop(Queue::<u64>::new(1).expect("a queue"));
    let gap = Gap::new(bytes);
    step("open");
    let queue = match Queue::<T>::open(name) {
        Ok(queue) => queue,
        // Its header, or its table, is garbage at this moment.
        Err(error) => return drop(error.to_string()),
    };
    let mapping = Some(gap.around(&path_of(name)));
    let mut choose = |end| rng.below(end);
    T::with_messages(|value, buffer| {
        every_verb(queue, value, buffer, 1, &mut Stage { step, choose: &mut choose, mapping, names: false });
    });
}

/// Writes for ever: to fields and cells, likely and unlikely values, and sometimes the original of
/// everything.
fn scribble(name: &str, image: &[u8], rng: &mut Rng, mut report: impl FnMut()) -> ! {
    let file = File::options().read(true).write(true).open(path_of(name)).expect("the segment's file");
    // SAFETY: a new shared mapping of the file, whose length is that of the image.
    let start = unsafe {
        let (read_write, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        libc::mmap(std::ptr::null_mut(), image.len(), read_write, shared, file.as_raw_fd(), 0)
    };
    assert_ne!(start, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    // SAFETY: the slice covers that mapping in whole words; the mapping is never unmapped.
    let words: &[AtomicU64] = unsafe { std::slice::from_raw_parts(start.cast(), image.len() / 8) };
    let fields = fields::of(image);
    let restore = |from: usize, to: usize| {
        for (word, place) in words[from..to].iter().zip(from..) {
            word.store(fields::read(image, place * 8, 8), Relaxed);
        }
    };
    let pause = |rng: &mut Rng| {
        for _ in 0..rng.below(3000) {
            std::hint::spin_loop();
        }
    };
    loop {
        report();
        match rng.below(10) {
            0 => restore(0, words.len()),
            1 | 2 => restore(0x200 / 8, words.len()),
            3 => restore(0, 0xf00 / 8),
            4 => {
                // A burst at one word, so that it changes between any two reads by others.
                let field = fields[rng.below(fields.len() as u64) as usize];
                for _ in 0..200 {
                    write(words, fields::flip(field, image, rng));
                }
            }
            5 => words[rng.below(words.len() as u64) as usize].store(rng.draw(), Relaxed),
            6 => fields::far_cursors(image, rng).into_iter().for_each(|flip| write(words, flip)),
            _ => {
                let field = fields[rng.below(fields.len() as u64) as usize];
                write(words, fields::flip(field, image, rng));
            }
        }
        pause(rng);
    }
}

/// One store of the word that contains the flip.
fn write(words: &[AtomicU64], flip: fields::Flip) {
    let place = flip.offset / 8;
    let mut bytes = words[place].load(Relaxed).to_le_bytes();
    let within = flip.offset % 8;
    let kept = flip.bytes.min(8 - within);
    bytes[within..within + kept].copy_from_slice(&flip.value.to_le_bytes()[..kept]);
    words[place].store(u64::from_le_bytes(bytes), Relaxed);
}
