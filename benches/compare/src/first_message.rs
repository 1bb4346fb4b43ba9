//! From nothing to the first message: create the channel, attach both ends by name, send 64 B,
//! receive them. In one process, so that no wake-up is included; dropping it all is not timed.

use crate::{
    clock,
    flows::Transport,
    forked::{Case, Host, Seat},
    ping_pong::Turns,
};
use shmq::Queue;
use std::{marker::PhantomData, sync::atomic::Ordering::Relaxed};

/// Room for this many messages, in every channel.
const CAPACITY: usize = 64;

/// A way to the first message.
pub trait First: 'static {
    /// Keeps what must be dropped after the time was taken.
    type Made;
    fn make(name: &str) -> Self::Made;
}

/// Ends of a transport whose `sender` and `receiver` do not wait for each other.
pub struct ByName<T>(PhantomData<fn() -> T>);

impl<T: Transport> First for ByName<T> {
    type Made = Named<T>;

    fn make(name: &str) -> Named<T> {
        let host = T::create(name, CAPACITY);
        let (sender, receiver) = (T::sender(name), T::receiver(name));
        T::send(&sender, 7..8);
        assert_eq!(T::receive(&receiver, 1), 7 * T::WORDS as u64);
        Named { _sender: sender, _receiver: receiver, host }
    }
}

/// A `Queue` put into and got from through the handle that created it.
pub struct OneHandle;

impl First for OneHandle {
    type Made = Queue<[u64; 8]>;

    fn make(name: &str) -> Queue<[u64; 8]> {
        let queue = Queue::<[u64; 8]>::create(name, CAPACITY).expect("create a queue");
        queue.put(&[7; 8]).expect("put");
        assert_eq!(queue.get().expect("get"), [7; 8]);
        queue
    }
}

/// All that must be dropped afterwards, and a name to remove.
pub struct Named<T: Transport> {
    _sender: T::Sender,
    _receiver: T::Receiver,
    host: T::Host,
}

impl<T: Transport> Drop for Named<T> {
    fn drop(&mut self) {
        self.host.unlink();
    }
}

struct FirstMessage<F> {
    times: &'static Turns,
    makes: PhantomData<fn() -> F>,
}

pub fn first_message<F: First>(times: &'static Turns) -> Box<dyn Case> {
    Box::new(FirstMessage { times, makes: PhantomData::<fn() -> F> })
}

impl<F: First> Case for FirstMessage<F> {
    fn create(&self, _: &str) -> Box<dyn Host> {
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let mut made = 0_u64;
        seat.serve(|share, moved| {
            if seat.produces() {
                for round in 0..share {
                    made += 1;
                    let name = format!("{name}-{made}");
                    let from = clock::ticks();
                    let kept = F::make(&name);
                    self.times.note(round, clock::ticks().wrapping_sub(from));
                    drop(kept);
                }
            }
            moved.store(share, Relaxed);
            share
        });
    }
}
