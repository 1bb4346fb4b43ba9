//! Messages one after the other from a task of one process to a task of another.

use super::Executor;
use crate::flows::{Contestant, Transport, create_typed, flow, open, own_get_side, own_put_side, sum};
use shmq::{Consumer, Producer, Queue};
use std::{cell::RefCell, marker::PhantomData, ops::Range};

pub fn queue<const W: usize, E: Executor>(name: &'static str) -> Contestant {
    (name, flow::<ByQueue<W, E>>())
}

pub fn endpoints<const W: usize, E: Executor>(name: &'static str) -> Contestant {
    (name, flow::<ByEndpoints<W, E>>())
}

struct ByQueue<const W: usize, E>(PhantomData<E>);

impl<const W: usize, E: Executor> Transport for ByQueue<W, E> {
    const WORDS: usize = W;
    type Host = Queue<[u64; W]>;
    type Sender = (E, Queue<[u64; W]>);
    type Receiver = (E, Queue<[u64; W]>);

    fn create(name: &str, capacity: usize) -> Self::Host {
        create_typed(name, capacity)
    }

    fn sender(name: &str) -> Self::Sender {
        (E::new(), open(name))
    }

    fn receiver(name: &str) -> Self::Receiver {
        (E::new(), open(name))
    }

    fn send((executor, queue): &Self::Sender, stamps: Range<u64>) {
        executor.block_on(async {
            for stamp in stamps {
                queue.put_async(&[stamp; W]).await.expect("put");
            }
        });
    }

    fn receive((executor, queue): &Self::Receiver, count: u64) -> u64 {
        executor.block_on(async {
            let mut total = 0_u64;
            for _ in 0..count {
                total = total.wrapping_add(sum(&queue.get_async().await.expect("get")));
            }
            total
        })
    }
}

struct ByEndpoints<const W: usize, E>(PhantomData<E>);

impl<const W: usize, E: Executor> Transport for ByEndpoints<W, E> {
    const WORDS: usize = W;
    type Host = Queue<[u64; W]>;
    type Sender = (E, RefCell<Producer<[u64; W]>>);
    type Receiver = (E, RefCell<Consumer<[u64; W]>>);

    fn create(name: &str, capacity: usize) -> Self::Host {
        create_typed(name, capacity)
    }

    fn sender(name: &str) -> Self::Sender {
        (E::new(), RefCell::new(own_put_side(name)))
    }

    fn receiver(name: &str) -> Self::Receiver {
        (E::new(), RefCell::new(own_get_side(name)))
    }

    fn send((executor, producer): &Self::Sender, stamps: Range<u64>) {
        let producer = &mut *producer.borrow_mut();
        executor.block_on(async {
            for stamp in stamps {
                producer.put_async(&[stamp; W]).await.expect("put");
            }
        });
    }

    fn receive((executor, consumer): &Self::Receiver, count: u64) -> u64 {
        let consumer = &mut *consumer.borrow_mut();
        executor.block_on(async {
            let mut total = 0_u64;
            for _ in 0..count {
                total = total.wrapping_add(sum(&consumer.get_async().await.expect("get")));
            }
            total
        })
    }
}
