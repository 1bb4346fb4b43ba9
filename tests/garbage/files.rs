//! Files under a valid name that the crate did not make, or that another process cut, extended or
//! overwrote.

use crate::images::{Subject, image_of};
use crate::layout::{ENTRIES_OFFSET, FORMAT, MAGIC, SegmentHeader};
use crate::support::Rng;
use crate::support::harness::Case;
use crate::trials::{Progress, path_of, remove, trials};
use crate::verbs::{Stage, every_verb};
use shmq::{CreateError, OpenError, Queue};
use std::mem::offset_of;

pub fn cases() -> Vec<Case> {
    crate::cases![files_of_random_bytes_are_refused, files_that_begin_like_ours_are_refused_or_survived]
}

/// Everything that can be done with a name, applied to one that leads to garbage.
fn verbs_of_a_name<T: ?Sized + Subject>(name: &str, rng: &mut Rng, progress: Progress) {
    progress.step("open");
    match Queue::<T>::open(name) {
        Ok(queue) => use_it(queue, rng, progress),
        Err(error) => {
            assert!(
                matches!(error, OpenError::Corrupted { .. } | OpenError::Mismatch { .. } | OpenError::Os { .. }),
                "open of garbage: {error:?}"
            );
        }
    }
    progress.step("open a sent handle");
    let sent = serde_json::to_string(&(name, rng.draw())).expect("a name and a number");
    drop(serde_json::from_str::<Queue<T>>(&sent));
    progress.step("open_or_create");
    match T::settings().name(name).open_or_create() {
        Ok(queue) => use_it(queue, rng, progress),
        Err(error) => {
            assert!(
                matches!(error, CreateError::Corrupted { .. } | CreateError::Mismatch { .. } | CreateError::Os { .. }),
                "open_or_create over garbage: {error:?}"
            );
        }
    }
    if rng.chance(50) {
        progress.step("unlink");
        match Queue::<T>::unlink(name) {
            Ok(()) => assert!(matches!(Queue::<T>::open(name), Err(OpenError::NotFound { .. }))),
            // A user of the segment opened above may already have removed the name.
            Err(error) => assert!(matches!(error, OpenError::NotFound { .. }), "unlink of garbage: {error:?}"),
        }
    }
    progress.step("create over it");
    match T::settings().name(name).create() {
        Ok(queue) => {
            assert!(queue.is_empty());
            use_it(queue, rng, progress);
        }
        // The header claims that a user asked to keep the segment.
        Err(error) => {
            assert!(matches!(error, CreateError::AlreadyExists { in_use: false, .. }), "create over garbage: {error:?}")
        }
    }
    remove(name);
}

fn use_it<T: ?Sized + Subject>(queue: Queue<T>, rng: &mut Rng, progress: Progress) {
    let mut step = |name| progress.step(name);
    let mut choose = |end| rng.below(end);
    T::with_messages(|value, buffer| {
        let stage = &mut Stage { step: &mut step, choose: &mut choose, mapping: None, names: false };
        every_verb(queue, value, buffer, 1, stage);
    });
}

fn random_bytes(len: usize, rng: &mut Rng) -> Vec<u8> {
    (0..len.div_ceil(8)).flat_map(|_| rng.draw().to_le_bytes()).take(len).collect()
}

fn files_of_random_bytes_are_refused() {
    trials("files of random bytes", 150, |number, name, mut rng, progress| {
        let len = match rng.below(4) {
            0 => rng.below(600),
            1 => 1 << rng.below(18),
            2 => 4096 * rng.below(20),
            _ => rng.below(200_000),
        };
        let bytes = random_bytes(len as usize, &mut rng);
        std::fs::write(path_of(name), bytes).expect("room for garbage");
        match number % 4 {
            0 => verbs_of_a_name::<u64>(name, &mut rng, progress),
            1 => verbs_of_a_name::<[u8]>(name, &mut rng, progress),
            2 => verbs_of_a_name::<[u32]>(name, &mut rng, progress),
            _ => verbs_of_a_name::<[u8; crate::images::LARGE]>(name, &mut rng, progress),
        }
    });
}

fn files_that_begin_like_ours_are_refused_or_survived() {
    let images = [image_of::<u64>(true), image_of::<[u8]>(true)];
    trials("files that begin like ours", 150, |number, name, mut rng, progress| {
        let image = &images[number as usize % 2];
        let kept = match rng.below(4) {
            // The identifying words, the whole segment header, the whole head, or a part of it.
            0 => offset_of!(SegmentHeader, nonce),
            1 => size_of::<SegmentHeader>(),
            2 => ENTRIES_OFFSET as usize,
            _ => rng.below(image.len() as u64) as usize,
        };
        let mut bytes = random_bytes(image.len(), &mut rng);
        bytes[..kept].copy_from_slice(&image[..kept]);
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[offset_of!(SegmentHeader, format)..][..4].copy_from_slice(&FORMAT.to_le_bytes());
        match rng.below(6) {
            0 => bytes.truncate(rng.below(image.len() as u64) as usize),
            1 => bytes.extend(random_bytes(1 + rng.below(9000) as usize, &mut rng)),
            _ => {}
        }
        std::fs::write(path_of(name), bytes).expect("room for garbage");
        if number % 2 == 0 {
            verbs_of_a_name::<u64>(name, &mut rng, progress);
        } else {
            verbs_of_a_name::<[u8]>(name, &mut rng, progress);
        }
    });
}
