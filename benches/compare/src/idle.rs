//! What waiting costs: member 1 waits for a message that member 0 sends only after a while, asleep.

use crate::{
    flows::Transport,
    forked::{Case, Host, Seat},
};
use std::{marker::PhantomData, sync::atomic::Ordering::Relaxed, thread, time::Duration};

struct Idle<T> {
    lasts: Duration,
    waits: PhantomData<fn() -> T>,
}

pub fn idle<T: Transport>(lasts: Duration) -> Box<dyn Case> {
    Box::new(Idle { lasts, waits: PhantomData::<fn() -> T> })
}

impl<T: Transport> Case for Idle<T> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(T::create(name, 16))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        if seat.produces() {
            let sender = T::sender(name);
            seat.serve(|share, moved| {
                thread::sleep(self.lasts);
                T::send(&sender, 0..share);
                moved.store(share, Relaxed);
                (0..share).sum::<u64>() * T::WORDS as u64
            });
        } else {
            let receiver = T::receiver(name);
            seat.serve(|share, moved| {
                let sum = T::receive(&receiver, share);
                moved.store(share, Relaxed);
                sum
            });
        }
    }
}
