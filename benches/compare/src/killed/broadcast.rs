//! shaq's broadcast with slots to spare: nothing frees that of a dead process.

use super::roles::Contender;
use crate::{
    flows::Transport,
    rivals::{
        file::{SharedFile, path},
        shaq::Broadcasts,
    },
};
use shaq::broadcast::{Broadcast, BroadcastConfig};
use std::fs::File;

type Line = [u64; 8];
type Ends = Broadcasts<8, 1, true>;

/// One producer and one consumer at a time, in a ring with slots for more.
pub struct SpareSlots;

impl Contender for SpareSlots {
    type Host = SharedFile;
    type Sender = <Ends as Transport>::Sender;
    type Receiver = <Ends as Transport>::Receiver;

    fn create(name: &str, capacity: usize) -> SharedFile {
        let host = SharedFile(path(name));
        let file = File::options().create_new(true).read(true).write(true).open(&host.0).expect("create the ring's file");
        let config = BroadcastConfig { capacity, producer_slots: 4, consumer_slots: 4 };
        // SAFETY: the file is new; all ends of it have the same type.
        drop(unsafe { Broadcast::<Line>::create(&file, config) }.expect("create"));
        host
    }

    fn sender(name: &str) -> Self::Sender {
        <Ends as Transport>::sender(name)
    }

    fn receiver(name: &str) -> Self::Receiver {
        <Ends as Transport>::receiver(name)
    }

    fn put(to: &Self::Sender, stamp: u64) {
        Ends::send(to, stamp..stamp + 1);
    }

    fn take(from: &Self::Receiver, note: &mut dyn FnMut(u64, bool)) {
        note(Ends::receive(from, 1), false);
    }
}
