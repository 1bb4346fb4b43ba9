//! Messages of several pieces are messages like any other.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::{DynQueue, DynTopic, GetError, MessageLayout, PutError, Queue, Topic};
use std::io::IoSlice;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        pieces_arrive_as_one_message_by_every_verb,
        pieces_reach_every_subscriber_by_every_verb,
        pieces_that_make_a_value,
        pieces_beyond_the_ring_go_into_a_file,
        pieces_of_a_wrong_length_are_refused,
        pieces_wait_for_room,
        pieces_cross_from_process_to_process,
        a_sample_keeps_its_subscriber,
    ]
}

/// A message of so many bytes, and its pieces.
fn message(length: usize) -> (Vec<u8>, Vec<usize>) {
    let bytes = (0..length).map(|at| (at * 7 + length) as u8).collect();
    let mut cuts = vec![0, length / 7, length / 7, length / 3 + 1, length - length / 5, length];
    cuts.iter_mut().for_each(|cut| *cut = (*cut).min(length));
    cuts.sort_unstable();
    (bytes, cuts)
}

fn pieces<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<IoSlice<'b>> {
    cuts.windows(2).map(|cut| IoSlice::new(&bytes[cut[0]..cut[1]])).collect()
}

const LENGTHS: [usize; 12] = [0, 1, 2, 7, 8, 63, 64, 4095, 4096, 4097, 9_999, 30_000];

fn encoded() -> DynQueue {
    DynQueue::builder(MessageLayout::encoded()).capacity_bytes(1 << 17).create().unwrap()
}

fn pieces_arrive_as_one_message_by_every_verb() {
    let queue = encoded();
    for length in LENGTHS {
        let (bytes, cuts) = message(length);
        let pieces = pieces(&bytes, &cuts);
        queue.put_vectored(&pieces).unwrap();
        queue.try_put_vectored(&pieces).unwrap();
        queue.put_vectored_timeout(&pieces, PATIENCE).unwrap();
        assert_eq!([(); 3].map(|()| queue.try_get().unwrap()), [bytes.clone(), bytes.clone(), bytes.clone()], "{length}");
        queue.sender().try_put_vectored(&pieces).unwrap();
        let producer = queue.producer().unwrap();
        producer.put_vectored(&pieces).unwrap();
        producer.try_put_vectored(&pieces).unwrap();
        drop(producer);
        assert_eq!([(); 3].map(|()| queue.try_get().unwrap()), [bytes.clone(), bytes.clone(), bytes.clone()], "{length}");
        let stats = queue.stats();
        assert_eq!((queue.len(), stats.puts), (0, stats.gets));
    }
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
}

fn pieces_reach_every_subscriber_by_every_verb() {
    let topic = DynTopic::builder(MessageLayout::encoded()).capacity_bytes(1 << 17).create().unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    for length in LENGTHS {
        let (bytes, cuts) = message(length);
        let pieces = pieces(&bytes, &cuts);
        topic.publish_vectored(&pieces).unwrap();
        assert_eq!((every.next().unwrap(), live.next().unwrap()), (bytes.clone(), bytes.clone()), "{length}");
        let publisher = topic.publisher().unwrap();
        publisher.try_publish_vectored(&pieces).unwrap();
        assert_eq!((every.next().unwrap(), live.latest().unwrap()), (bytes.clone(), bytes), "{length}");
    }
    assert_eq!((every.missed(), live.missed()), (0, 0));
}

fn pieces_that_make_a_value() {
    let number = 0x0102_0304_0506_0708_u64;
    let bytes = number.to_ne_bytes();
    let pieces = [IoSlice::new(&bytes[..3]), IoSlice::new(&bytes[3..])];
    let (typed, topic) = (Queue::<u64>::new(4).unwrap(), Topic::<u64>::new(4).unwrap());
    let (queue, to_all) = (DynQueue::open(typed.name()).unwrap(), DynTopic::open(topic.name()).unwrap());
    let every = topic.subscribe().unwrap();
    queue.put_vectored(&pieces).unwrap();
    queue.producer().unwrap().put_vectored(&pieces).unwrap();
    assert_eq!((typed.get().unwrap(), typed.get().unwrap()), (number, number));
    to_all.publish_vectored(&pieces).unwrap();
    to_all.publisher().unwrap().publish_vectored(&pieces).unwrap();
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (number, number));
    let large = DynQueue::new(MessageLayout::value(10_000, 1).unwrap(), 4).unwrap();
    large.put_vectored(&[IoSlice::new(&[1; 6_000]), IoSlice::new(&[2; 4_000])]).unwrap();
    assert_eq!(large.get().unwrap(), [[1; 2_000].repeat(3), [2; 2_000].repeat(2)].concat());
}

fn pieces_beyond_the_ring_go_into_a_file() {
    let queue = encoded();
    let (bytes, cuts) = message(1 << 20);
    queue.put_vectored(&pieces(&bytes, &cuts)).unwrap();
    queue.producer().unwrap().put_vectored(&pieces(&bytes, &cuts)).unwrap();
    assert_eq!(queue.stats().spilled, 2);
    assert!(queue.get().unwrap() == bytes && queue.get().unwrap() == bytes);
    let topic = DynTopic::builder(MessageLayout::encoded()).capacity_bytes(1 << 17).create().unwrap();
    assert!(matches!(topic.publish_vectored(&pieces(&bytes, &cuts)), Err(PutError::TooLarge { len: 1_048_576, .. })));
}

fn pieces_of_a_wrong_length_are_refused() {
    let three = [IoSlice::new(&[1, 2]), IoSlice::new(&[3])];
    let value = DynQueue::new(MessageLayout::value(2, 1).unwrap(), 4).unwrap();
    assert!(matches!(value.put_vectored(&three), Err(PutError::WrongLength { len: 3, expected: 2 })));
    let slices = DynQueue::builder(MessageLayout::slice(2, 1).unwrap()).capacity_bytes(4096).create().unwrap();
    assert!(matches!(slices.put_vectored(&three), Err(PutError::NotWhole { len: 3, element: 2 })));
    let topic = DynTopic::new(MessageLayout::value(2, 1).unwrap(), 4).unwrap();
    assert!(matches!(topic.publish_vectored(&three), Err(PutError::WrongLength { len: 3, expected: 2 })));
    assert!(value.is_empty() && slices.is_empty());
}

fn pieces_wait_for_room() {
    let queue = DynQueue::builder(MessageLayout::encoded()).capacity(1).capacity_bytes(1 << 16).create().unwrap();
    let (bytes, cuts) = message(9_000);
    let pieces = pieces(&bytes, &cuts);
    queue.put_vectored(&pieces).unwrap();
    assert!(matches!(queue.try_put_vectored(&pieces), Err(PutError::Full)));
    assert!(matches!(queue.put_vectored_timeout(&pieces, Duration::from_millis(20)), Err(PutError::Timeout)));
    let getter = fork("a getter that makes room", || assert_eq!(queue.get_timeout(PATIENCE).unwrap().len(), 9_000));
    queue.put_vectored_timeout(&pieces, PATIENCE).unwrap();
    getter.expect_success();
    queue.close();
    assert!(matches!(queue.put_vectored(&pieces), Err(PutError::Closed)));
    assert_eq!(queue.get().unwrap(), bytes);
}

fn pieces_cross_from_process_to_process() {
    let name = unique_name("pieces");
    let queue = DynQueue::builder(MessageLayout::encoded()).name(&name).capacity_bytes(1 << 16).create().unwrap();
    let putter = fork("a putter of pieces", || {
        let queue = DynQueue::open(&name).unwrap();
        for length in (0..12_000).step_by(41) {
            let (bytes, cuts) = message(length);
            queue.put_vectored_timeout(&pieces(&bytes, &cuts), PATIENCE).unwrap();
        }
    });
    for length in (0..12_000).step_by(41) {
        assert!(queue.get_timeout(PATIENCE).unwrap() == message(length).0, "{length}");
    }
    putter.expect_success();
}

fn a_sample_keeps_its_subscriber() {
    let topic = DynTopic::builder(MessageLayout::slice(2, 1).unwrap()).capacity_bytes(4096).create().unwrap();
    let refused = topic.subscribe().unwrap().try_into_sample().unwrap_err();
    let (subscriber, error) = refused.into_parts();
    assert!(error.is_empty());
    topic.publish(b"frames").unwrap();
    topic.publish(b"more").unwrap();
    let sample = subscriber.into_sample_timeout(PATIENCE).unwrap();
    assert_eq!(*sample, *b"frames");
    assert_eq!(topic.subscribers()[0].lag, 2);
    let subscriber = sample.into_subscriber();
    assert_eq!((subscriber.lag(), subscriber.received()), (1, 1));
    drop(subscriber.into_sample().unwrap());
    assert!(topic.subscribers().is_empty(), "a dropped sample ends its subscriber");
}
