//! Peeking: copies of messages that stay in the queue.

use super::inspector::Inspector;
use crate::atomic::{Ordering, fence};
use crate::message::copy::copy_out;
use crate::ring::{Memory, State};

/// A message, copied without being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peeked {
    /// Its first bytes, as many as were asked for.
    pub bytes: Vec<u8>,
    /// Its size, in bytes.
    pub length: u64,
    /// How often it was delivered before.
    pub deliveries: u32,
}

impl Inspector {
    /// Copies up to `max_messages` messages, up to `max_bytes` of each, in the order in which they
    /// would be taken. They stay in the queue.
    ///
    /// Messages may be taken by other processes meanwhile; each one that is returned was whole, in
    /// the queue, and not taken, at some moment during the call.
    pub fn peek(&self, max_messages: usize, max_bytes: usize) -> Vec<Peeked> {
        let (mut came_back, mut ready) = (Vec::new(), Vec::new());
        if !self.kind().is_queue() {
            return ready;
        }
        let ring = &self.ring;
        let head = ring.memory.get_side().head.load(Ordering::Acquire);
        // Garbage ends the walk: the messages before it are returned.
        let _ = ring.walk_all(|at, cell, header| {
            let list = match header.state() {
                Some(State::Returned) => &mut came_back,
                Some(State::Ready) if at >= head => &mut ready,
                _ => return true,
            };
            let length = header.length() as u64;
            if length > ring.geometry.max_message_bytes() || list.len() >= max_messages {
                return list.len() < max_messages;
            }
            let mut bytes = vec![0; max_bytes.min(length as usize)];
            // SAFETY: the walk has checked that the record lies in the ring, and the length fits
            // it. Others may write there meanwhile, and the target is plain bytes: a torn copy is
            // detected below, before it is used.
            unsafe { copy_out(ring.memory.payload(cell).cast_const(), bytes.as_mut_ptr(), bytes.len()) };
            // As in `walk`: what a putter wrote into reclaimed cells comes with a newer reclaim.
            fence(Ordering::Acquire);
            if ring.memory.put_side().reclaim.load(Ordering::Relaxed) <= at {
                list.push(Peeked { bytes, length, deliveries: header.deliveries() });
            }
            true
        });
        came_back.extend(ready);
        came_back.truncate(max_messages);
        came_back
    }
}
