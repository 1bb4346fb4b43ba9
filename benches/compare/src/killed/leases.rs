//! shmq in place: a message that a killed consumer had on lease comes back.

use super::roles::Contender;
use crate::flows::sum;
use shmq::{Consumer, Lease, Producer, Queue};

type Line = [u64; 8];

/// `Queue::loan` and `Queue::lease`.
pub struct QueueLeases;

/// `Producer::loan` and `Consumer::lease`.
pub struct EndpointLeases;

fn create(name: &str, capacity: usize) -> Queue<Line> {
    Queue::create(name, capacity).expect("create a queue")
}

fn open(name: &str) -> Queue<Line> {
    Queue::open(name).expect("open the queue")
}

/// The work with the message is done while it is on lease.
fn work(message: Lease<'_, Line>, note: &mut dyn FnMut(u64, bool)) {
    note(sum(&*message), message.deliveries() > 1);
    message.release();
}

macro_rules! in_place {
    ($name:ident, $sender:ident, |$to:ident| $sender_of:expr, $receiver:ident, |$from:ident| $receiver_of:expr) => {
        impl Contender for $name {
            type Host = Queue<Line>;
            type Sender = $sender<Line>;
            type Receiver = $receiver<Line>;

            fn create(name: &str, capacity: usize) -> Queue<Line> {
                create(name, capacity)
            }

            fn sender(name: &str) -> Self::Sender {
                let $to = open(name);
                $sender_of
            }

            fn receiver(name: &str) -> Self::Receiver {
                let $from = open(name);
                $receiver_of
            }

            fn put(to: &Self::Sender, stamp: u64) {
                let mut loan = to.loan().expect("loan");
                loan.fill(stamp);
                loan.commit().expect("commit");
            }

            fn take(from: &Self::Receiver, note: &mut dyn FnMut(u64, bool)) {
                work(from.lease().expect("lease"), note);
            }
        }
    };
}

in_place!(QueueLeases, Queue, |to| to, Queue, |from| from);
in_place!(EndpointLeases, Producer, |to| to.producer().expect("become the producer"), Consumer, |from| from
    .consumer()
    .expect("become the consumer"));
