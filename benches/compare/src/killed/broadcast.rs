//! shaq's broadcast as its documentation has a crash handled: the replacement of a consumer takes
//! over the dead one's place, that of a producer takes another, since a dead producer's stays
//! taken.

use super::roles::Contender;
use crate::{
    flows::Transport,
    rivals::{
        SLEEPS,
        file::{SharedFile, path},
        shaq::Broadcasts,
    },
};
use shaq::broadcast::{Broadcast, BroadcastConfig, Consumer};
use std::{cell::RefCell, fs::File};

type Line = [u64; 8];
type Ends = Broadcasts<8, 1, SLEEPS>;

/// One producer and one consumer at a time.
pub struct Recovering;

impl Contender for Recovering {
    type Host = SharedFile;
    type Sender = <Ends as Transport>::Sender;
    type Receiver = <Ends as Transport>::Receiver;

    fn create(name: &str, capacity: usize) -> SharedFile {
        let host = SharedFile(path(name));
        let file = File::options().create_new(true).read(true).write(true).open(&host.0).expect("create the ring's file");
        let config = BroadcastConfig { capacity, producer_slots: 4, consumer_slots: 1 };
        // SAFETY: the file is new; all ends of it have the same type.
        drop(unsafe { Broadcast::<Line>::create(&file, config) }.expect("create"));
        host
    }

    fn sender(name: &str) -> Self::Sender {
        <Ends as Transport>::sender(name)
    }

    fn receiver(name: &str) -> Self::Receiver {
        let file = File::options().read(true).write(true).open(path(name)).expect("open the ring's file");
        // SAFETY: all ends of the file have the same type.
        let joined = unsafe { Consumer::<Line>::join(&file) };
        // SAFETY: the same; if the only place is taken, its owner is the victim, which is dead, and
        // no other process takes it over.
        let consumer = joined.or_else(|_| unsafe { Consumer::recover(&file, 0) }).expect("take over the dead consumer's place");
        RefCell::new(consumer)
    }

    fn put(to: &Self::Sender, stamp: u64) {
        Ends::send(to, stamp..stamp + 1);
    }

    fn take(from: &Self::Receiver, note: &mut dyn FnMut(u64, bool)) {
        note(Ends::receive(from, 1), false);
    }
}
