//! Messages that do not fit on the stack.

use super::{A_WHILE, queue};
use shmq::{GetError, Queue};
use std::thread;
use std::time::Instant;

const BYTES: usize = 6_000_000;
type Frame = [u8; BYTES];

/// The stack of a thread. A message is more than twenty times as large.
const STACK_BYTES: usize = 256 << 10;

fn frame(last: u8) -> Box<Frame> {
    let mut frame: Box<Frame> = vec![0; BYTES].into_boxed_slice().try_into().unwrap();
    frame[BYTES - 1] = last;
    frame
}

fn on_a_small_stack(work: impl FnOnce(Queue<Frame>) + Send + 'static) {
    let queue = queue::<Frame>(3);
    thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(queue)).unwrap().join().unwrap();
}

#[test]
fn messages_of_megabytes_are_got_into_boxes() {
    on_a_small_stack(|queue| {
        assert!(matches!(queue.try_get_boxed(), Err(GetError::Empty)));
        assert!(matches!(queue.get_boxed_timeout(A_WHILE), Err(GetError::Timeout)));
        assert!(matches!(queue.get_boxed_deadline(Instant::now()), Err(GetError::Timeout)));
        for last in 1..=3 {
            queue.put(&frame(last)).unwrap();
        }
        assert_eq!(queue.get_boxed().unwrap()[BYTES - 1], 1);
        assert_eq!(queue.try_get_boxed().unwrap()[BYTES - 1], 2);
        assert_eq!(queue.get_boxed_timeout(A_WHILE).unwrap()[BYTES - 1], 3);
        queue.close();
        assert!(matches!(queue.get_boxed(), Err(GetError::Closed)));
    });
}

#[test]
fn messages_of_megabytes_go_through_endpoints_without_a_stack() {
    on_a_small_stack(|queue| {
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        assert!(matches!(consumer.try_get_boxed(), Err(GetError::Empty)));
        for last in 1..=8 {
            producer.put(&frame(last)).unwrap();
            assert_eq!(consumer.get_boxed().unwrap()[BYTES - 1], last);
        }
        producer.put(&frame(9)).unwrap();
        assert!(matches!(queue.get_boxed(), Err(GetError::Held { .. })));
        assert_eq!(consumer.get_boxed_deadline(Instant::now() + A_WHILE).unwrap()[BYTES - 1], 9);
    });
}

#[test]
fn messages_of_megabytes_are_got_into_a_slice_without_a_stack() {
    on_a_small_stack(|queue| {
        let zeros = Box::into_raw(vec![0u8; 3 * BYTES].into_boxed_slice());
        // SAFETY: a boxed slice of three byte arrays has the layout of one array of all their
        // bytes.
        let mut frames = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(zeros.cast::<Frame>(), 3)) };
        queue.put(&frame(1)).unwrap();
        queue.put(&frame(2)).unwrap();
        assert_eq!(queue.get_slice(&mut frames).unwrap(), 2);
        assert_eq!((frames[0][BYTES - 1], frames[1][BYTES - 1]), (1, 2));
        let consumer = queue.consumer().unwrap();
        queue.put_slice(&frames[..2]).unwrap();
        assert_eq!(consumer.get_slice(&mut frames[1..]).unwrap(), 2);
        assert_eq!((frames[1][BYTES - 1], frames[2][BYTES - 1]), (1, 2));
    });
}

#[test]
fn small_messages_come_in_boxes_too_and_are_counted_as_taken() {
    let queue = queue::<u64>(4);
    queue.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(*queue.get_boxed().unwrap(), 1);
    let consumer = queue.consumer().unwrap();
    assert_eq!(*consumer.get_boxed().unwrap(), 2);
    drop(consumer);
    assert_eq!(*queue.try_get_boxed().unwrap(), 3);
    assert!(matches!(queue.try_get_boxed(), Err(GetError::Empty)));
    (0..3).for_each(|_| queue.task_done().unwrap());
    queue.join().unwrap();
}
