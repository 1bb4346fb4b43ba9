//! Transports that move byte strings by system calls or library calls: one `send`, one `receive`.

use crate::{
    flows::{Transport, sum},
    forked::Host,
};
use std::{marker::PhantomData, ops::Range};

/// A channel for byte strings of one length.
pub trait ByteChannel: 'static {
    type Host: Host + 'static;
    type Sender;
    type Receiver;
    fn create(name: &str, capacity: usize, message_bytes: usize) -> Self::Host;
    fn sender(name: &str) -> Self::Sender;
    fn receiver(name: &str) -> Self::Receiver;
    /// Waits while there is no room.
    fn send(sender: &Self::Sender, message: &[u8]);
    /// Waits for a message and copies it into the whole buffer.
    fn receive(receiver: &Self::Receiver, message: &mut [u8]);
}

/// Messages of `W` words through a channel for bytes.
pub struct Words<C, const W: usize>(PhantomData<fn() -> C>);

pub fn as_bytes(words: &[u64]) -> &[u8] {
    // SAFETY: any initialised words are bytes; the length is theirs.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

pub fn as_bytes_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: any bytes are words; the length is theirs; the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

impl<C: ByteChannel, const W: usize> Transport for Words<C, W> {
    const WORDS: usize = W;
    type Host = C::Host;
    type Sender = C::Sender;
    type Receiver = C::Receiver;

    fn create(name: &str, capacity: usize) -> C::Host {
        C::create(name, capacity, W * 8)
    }

    fn sender(name: &str) -> C::Sender {
        C::sender(name)
    }

    fn receiver(name: &str) -> C::Receiver {
        C::receiver(name)
    }

    fn send(sender: &C::Sender, stamps: Range<u64>) {
        let mut message = vec![0; W];
        for stamp in stamps {
            message.fill(stamp);
            C::send(sender, as_bytes(&message));
        }
    }

    fn receive(receiver: &C::Receiver, count: u64) -> u64 {
        let mut message = vec![0; W];
        let mut total = 0_u64;
        for _ in 0..count {
            C::receive(receiver, as_bytes_mut(&mut message));
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}
