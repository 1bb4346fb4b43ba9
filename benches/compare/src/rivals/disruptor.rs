//! disruptor: a ring of events between threads, written in place and polled; a single producer and
//! one poller. What limits a producer is the poller's last sequence, so nothing is lost.

use crate::{
    flows::{BATCH, sum},
    threads::Within,
};
use disruptor::{BusySpinWithSpinLoopHint, EventPoller, Polling, Producer, SingleProducerBarrier, build_single_producer};
use std::{hint::spin_loop, ops::Range};

/// Up to `N` events a call.
pub struct Disruptor<const W: usize, const N: usize>;

/// The producer's type cannot be named: what it does with a range of stamps.
type Publish = Box<dyn FnMut(Range<u64>) + Send>;

fn publish<const W: usize, const N: usize>(mut producer: impl Producer<[u64; W]> + Send + 'static) -> Publish {
    Box::new(move |mut stamps| {
        if N == 1 {
            return stamps.for_each(|stamp| producer.publish(|event| event.fill(stamp)));
        }
        while !stamps.is_empty() {
            let count = (stamps.end - stamps.start).min(N as u64);
            producer.batch_publish(count as usize, |events| {
                events.zip(stamps.by_ref()).for_each(|(event, stamp)| event.fill(stamp));
            });
        }
    })
}

impl<const W: usize, const N: usize> Within for Disruptor<W, N> {
    const WORDS: usize = W;
    type Sender = Publish;
    type Receiver = EventPoller<[u64; W], SingleProducerBarrier>;

    fn make(capacity: usize, _: usize, _: usize) -> (Vec<Publish>, Vec<Self::Receiver>) {
        const { assert!(N == 1 || N == BATCH) };
        let builder = build_single_producer(capacity, || [0; W], BusySpinWithSpinLoopHint);
        let (poller, builder) = builder.new_event_poller();
        (vec![publish::<W, N>(builder.build())], vec![poller])
    }

    fn send(publish: &mut Publish, stamps: Range<u64>) {
        publish(stamps);
    }

    fn receive(poller: &mut Self::Receiver, count: u64) -> u64 {
        let (mut total, mut left) = (0_u64, count);
        while left > 0 {
            // Of what it finds, one poll takes up to that many.
            match poller.take(left.min(N as u64)) {
                Ok(mut events) => {
                    for event in &mut events {
                        total = total.wrapping_add(sum(event));
                        left -= 1;
                    }
                }
                Err(Polling::NoEvents) => spin_loop(),
                Err(Polling::Shutdown) => panic!("{left} events are missing"),
            }
        }
        total
    }
}
