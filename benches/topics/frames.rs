//! Whether a frame of 1 MiB is copied on its way to three subscribers that read in place: what
//! loan, commit and read take where no byte of it is written or read, beside a copy of it.

use super::{Bound, Figure};
use crate::forked::kernel::now_nanos;
use shmq::{Subscriber, Topic};
use std::hint::black_box;

const WORDS: usize = 128 << 10;
const READERS: usize = 3;
/// All calls of a frame together, by the time of one copy.
const MOST: f64 = 0.05;

type Frame = [u64; WORDS];

pub fn figures(repetitions: usize) -> Vec<Figure> {
    let topic = Topic::<Frame>::new(4).expect("create a topic");
    let publisher = topic.publisher().expect("become the publisher");
    let subscribe = |_| topic.subscribe().expect("subscribe");
    let mut subscribers: [Subscriber<Frame>; READERS] = std::array::from_fn(subscribe);
    let (source, mut copy) = (vec![1_u64; WORDS], vec![2_u64; WORDS]);
    let (mut copies, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..repetitions.max(5) * 10 {
        let start = now_nanos();
        black_box(&mut copy).copy_from_slice(black_box(&source));
        let copied = now_nanos();
        publisher.loan().expect("loan").commit().expect("commit");
        for subscriber in &mut subscribers {
            drop(black_box(subscriber.read().expect("read")));
        }
        let read = now_nanos();
        copies.push((copied - start) as f64);
        ratios.push((read - copied) as f64 / (copied - start) as f64);
    }
    vec![
        Figure::new("a copy of 1 MiB", "ns", copies, None),
        Figure::new("loan, commit and three reads of 1 MiB, its bytes untouched", "x that", ratios, Some(Bound::AtMost(MOST))),
    ]
}
