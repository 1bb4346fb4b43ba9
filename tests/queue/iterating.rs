//! Iterators: messages until the queue is closed and drained. An error that the next get would
//! return again is returned once, as the last item: a loop over a queue never spins.

use super::queue;
use shmq::{GetError, Queue};

fn expect_held_once<T: std::fmt::Debug>(mut items: impl Iterator<Item = Result<T, GetError>>) {
    let first = items.next();
    assert!(matches!(first, Some(Err(GetError::Held { .. }))), "{first:?}");
    (0..3).for_each(|_| assert!(items.next().is_none()));
}

#[test]
fn a_loop_beside_a_consumer_ends_after_held() {
    let queue: Queue<u32> = queue(4);
    queue.put_slice(&[1, 2]).unwrap();
    let consumer = queue.consumer().unwrap();
    expect_held_once(queue.iter());
    expect_held_once((&queue).into_iter());
    drop(consumer);
    queue.close();
    // A new loop starts over, and the others took nothing.
    assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2]);
}

#[test]
fn an_error_about_one_message_is_followed_by_the_next() {
    let flags: Queue<bool> = Queue::builder().capacity(8).schema("flags").create().unwrap();
    // The same shape and schema, and bits that are not a valid flag.
    let raw: Queue<u8> = Queue::builder().name(flags.name()).schema("flags").open().unwrap();
    raw.put_slice(&[1, 9, 0]).unwrap();
    raw.close();
    let items: Vec<_> = flags.iter().collect();
    assert!(matches!(items[..], [Ok(true), Err(GetError::Invalid), Ok(false)]), "{items:?}");
}

#[test]
fn a_consumer_iterates_too() {
    let queue: Queue<u32> = queue(4);
    let consumer = queue.consumer().unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    assert_eq!(consumer.iter().take(2).collect::<Result<Vec<_>, _>>().unwrap(), [1, 2]);
    queue.close();
    let mut rest = (&consumer).into_iter();
    assert_eq!(rest.next().unwrap().unwrap(), 3);
    assert!(rest.next().is_none() && rest.next().is_none());
}
