//! Values that some verb once failed on, by field name.

use crate::fields::{self, Shape};
use crate::images::{LARGE, Subject, image_of};
use crate::support::harness::Case;
use crate::support::unique_name;
use crate::trials::{path_of, remove};
use shmq::{JoinError, PutError, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![more_tasks_done_than_can_be_counted, a_ring_at_the_end_of_time, more_messages_than_capacity]
}

/// Opens the image with other values in some words: the first field of each name.
fn with_words<T: ?Sized + Subject>(image: &[u8], words: &[(&str, u64)], run: impl FnOnce(Queue<T>)) {
    let mut changed = image.to_vec();
    let fields = fields::of(image);
    for &(name, value) in words {
        let field = fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("no field {name}"));
        changed[field.offset..field.offset + field.bytes].copy_from_slice(&value.to_le_bytes()[..field.bytes]);
    }
    let name = unique_name("mended");
    std::fs::write(path_of(&name), &changed).expect("room for an image");
    run(Queue::open(&name).expect("the words of the header are as they were"));
    remove(&name);
}

fn more_tasks_done_than_can_be_counted() {
    with_words::<u64>(&image_of::<u64>(false), &[("rare.task_dones", u64::MAX)], |queue| {
        assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    });
}

fn a_ring_at_the_end_of_time() {
    let image = image_of::<[u8; LARGE]>(false);
    // Positions within a few cells of the largest: what lies ahead of them does not exist.
    for back in 0..20 {
        let tail = u64::MAX - back;
        let words = [("put.reclaim", tail), ("put.head_seen", tail), ("put.tail", tail), ("get.head", tail), ("entry.pid", 0)];
        with_words::<[u8; LARGE]>(&image, &words, |queue| {
            // Messages of this size are copied under no lock but a producer's.
            let producer = queue.producer().expect("the side is free");
            for _ in 0..4 {
                let put = producer.try_put(&[1; LARGE]);
                assert!(matches!(put, Ok(()) | Err(PutError::Full | PutError::Corrupted)), "{put:?}");
            }
        });
    }
}

fn more_messages_than_capacity() {
    // One READY record in each cell, the spare one included.
    let mut image = image_of::<[u8; LARGE]>(false);
    let shape = Shape::of(&image);
    for cell in 0..shape.cells {
        let ready = 2u64 << 61 | shape.message_bytes;
        image[shape.cell(cell)..][..8].copy_from_slice(&ready.to_le_bytes());
    }
    let tail = shape.cells.next_power_of_two();
    let words = [("put.reclaim", 0), ("get.head", 0), ("put.tail", tail), ("get.leases", 1), ("entry.pid", 0)];
    with_words::<[u8; LARGE]>(&image, &words, |queue| assert_eq!((queue.len(), queue.capacity()), (3, 3)));
}
