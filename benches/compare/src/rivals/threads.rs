//! The rivals between threads.

use crate::{
    flows::{BATCH, sum},
    threads::Within,
};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::Backoff;
use std::{
    hint::spin_loop,
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

pub type Message<const W: usize> = [u64; W];

/// crossbeam-channel, bounded, blocking.
pub struct Crossbeam<const W: usize>;

impl<const W: usize> Within for Crossbeam<W> {
    const WORDS: usize = W;
    type Sender = crossbeam_channel::Sender<Message<W>>;
    type Receiver = crossbeam_channel::Receiver<Message<W>>;

    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        (vec![sender; producers], vec![receiver; consumers])
    }

    fn send(sender: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            sender.send([stamp; W]).expect("send");
        }
    }

    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64 {
        (0..count).fold(0, |total, _| total.wrapping_add(sum(&receiver.recv().expect("receive"))))
    }
}

/// crossbeam-channel, bounded, polled: for ping-pongs that spin.
pub struct CrossbeamSpinning<const W: usize>;

impl<const W: usize> Within for CrossbeamSpinning<W> {
    const WORDS: usize = W;
    type Sender = crossbeam_channel::Sender<Message<W>>;
    type Receiver = crossbeam_channel::Receiver<Message<W>>;

    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        Crossbeam::make(capacity, producers, consumers)
    }

    fn send(sender: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            while sender.try_send([stamp; W]).is_err() {
                spin_loop();
            }
        }
    }

    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64 {
        let mut total = 0_u64;
        for _ in 0..count {
            let message = loop {
                match receiver.try_recv() {
                    Ok(message) => break message,
                    Err(_) => spin_loop(),
                }
            };
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}

/// Large messages between threads: their owner changes, the payload stays where it is. Allocated,
/// written, read, freed.
pub struct CrossbeamBoxes<const W: usize>;

impl<const W: usize> Within for CrossbeamBoxes<W> {
    const WORDS: usize = W;
    type Sender = crossbeam_channel::Sender<Box<[u64]>>;
    type Receiver = crossbeam_channel::Receiver<Box<[u64]>>;

    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        (vec![sender; producers], vec![receiver; consumers])
    }

    fn send(sender: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            sender.send(vec![stamp; W].into_boxed_slice()).expect("send");
        }
    }

    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64 {
        (0..count).fold(0, |total, _| total.wrapping_add(sum(&receiver.recv().expect("receive"))))
    }
}

/// crossbeam's `ArrayQueue`; a thread that finds it full or empty uses crossbeam's `Backoff`.
pub struct Array<const W: usize>;

impl<const W: usize> Within for Array<W> {
    const WORDS: usize = W;
    type Sender = Arc<ArrayQueue<Message<W>>>;
    type Receiver = Arc<ArrayQueue<Message<W>>>;

    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let queue = Arc::new(ArrayQueue::new(capacity));
        (vec![Arc::clone(&queue); producers], vec![queue; consumers])
    }

    fn send(queue: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            let backoff = Backoff::new();
            while queue.push([stamp; W]).is_err() {
                backoff.snooze();
            }
        }
    }

    fn receive(queue: &mut Self::Receiver, count: u64) -> u64 {
        let mut total = 0_u64;
        for _ in 0..count {
            let backoff = Backoff::new();
            let message = loop {
                match queue.pop() {
                    Some(message) => break message,
                    None => backoff.snooze(),
                }
            };
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}

/// rtrb, one message a call; a thread that finds it full or empty spins.
pub struct Rtrb<const W: usize>;

fn rtrb_pair<const W: usize>(capacity: usize) -> (Vec<rtrb::Producer<Message<W>>>, Vec<rtrb::Consumer<Message<W>>>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    (vec![producer], vec![consumer])
}

impl<const W: usize> Within for Rtrb<W> {
    const WORDS: usize = W;
    type Sender = rtrb::Producer<Message<W>>;
    type Receiver = rtrb::Consumer<Message<W>>;

    fn make(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        rtrb_pair(capacity)
    }

    fn send(producer: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            while producer.push([stamp; W]).is_err() {
                spin_loop();
            }
        }
    }

    fn receive(consumer: &mut Self::Receiver, count: u64) -> u64 {
        let mut total = 0_u64;
        for _ in 0..count {
            let message = loop {
                match consumer.pop() {
                    Ok(message) => break message,
                    Err(_) => spin_loop(),
                }
            };
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}

/// rtrb, up to 32 messages a call.
pub struct RtrbChunks<const W: usize>;

impl<const W: usize> Within for RtrbChunks<W> {
    const WORDS: usize = W;
    type Sender = rtrb::Producer<Message<W>>;
    type Receiver = rtrb::Consumer<Message<W>>;

    fn make(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        rtrb_pair(capacity)
    }

    fn send(producer: &mut Self::Sender, mut stamps: Range<u64>) {
        while !stamps.is_empty() {
            let wanted = (stamps.end - stamps.start).min(BATCH as u64) as usize;
            match producer.slots().min(wanted) {
                0 => spin_loop(),
                room => {
                    let chunk = producer.write_chunk_uninit(room).expect("there is room");
                    chunk.fill_from_iter(stamps.by_ref().take(room).map(|stamp| [stamp; W]));
                }
            }
        }
    }

    fn receive(consumer: &mut Self::Receiver, count: u64) -> u64 {
        let (mut total, mut left) = (0_u64, count);
        while left > 0 {
            match consumer.slots().min(BATCH).min(left as usize) {
                0 => spin_loop(),
                there => {
                    let chunk = consumer.read_chunk(there).expect("they are there");
                    let (first, second) = chunk.as_slices();
                    total = first.iter().chain(second).fold(total, |total, message| total.wrapping_add(sum(message)));
                    chunk.commit_all();
                    left -= there as u64;
                }
            }
        }
        total
    }
}

/// std's `sync_channel`. Its receiver cannot be shared.
pub struct StdSync<const W: usize>;

impl<const W: usize> Within for StdSync<W> {
    const WORDS: usize = W;
    type Sender = SyncSender<Message<W>>;
    type Receiver = Receiver<Message<W>>;

    fn make(capacity: usize, producers: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = sync_channel(capacity);
        (vec![sender; producers], vec![receiver])
    }

    fn send(sender: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            sender.send([stamp; W]).expect("send");
        }
    }

    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64 {
        (0..count).fold(0, |total, _| total.wrapping_add(sum(&receiver.recv().expect("receive"))))
    }
}

/// kanal, bounded, blocking.
pub struct Kanal<const W: usize>;

impl<const W: usize> Within for Kanal<W> {
    const WORDS: usize = W;
    type Sender = kanal::Sender<Message<W>>;
    type Receiver = kanal::Receiver<Message<W>>;

    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let (sender, receiver) = kanal::bounded(capacity);
        (vec![sender; producers], vec![receiver; consumers])
    }

    fn send(sender: &mut Self::Sender, stamps: Range<u64>) {
        for stamp in stamps {
            sender.send([stamp; W]).expect("send");
        }
    }

    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64 {
        (0..count).fold(0, |total, _| total.wrapping_add(sum(&receiver.recv().expect("receive"))))
    }
}
