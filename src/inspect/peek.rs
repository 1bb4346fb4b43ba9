//! Peeking: copies of messages that stay in the queue.

use super::inspector::Inspector;
use crate::atomic::{Ordering, fence};
use crate::message::copy::{copy_out, load_words};
use crate::raw::{DESCRIPTOR_BYTES, Mapped, descriptor_of};
use crate::ring::topic::{TopicRing, Walked};
use crate::ring::{Header, Memory, State};
use crate::shm::geometry::CellIndex;
use std::collections::VecDeque;

/// Walks of a topic that reclaim may overtake, before there is nothing to show.
const PEEKS: u32 = 8;

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
    /// would be taken. They stay in the queue. Of a topic: the newest, in the order in which they
    /// were published.
    ///
    /// Messages may be taken by other processes meanwhile; each one that is returned was whole, in
    /// the queue, and not taken, at some moment during the call.
    pub fn peek(&self, max_messages: usize, max_bytes: usize) -> Vec<Peeked> {
        let (mut came_back, mut ready) = (Vec::new(), Vec::new());
        if self.kind().is_topic() {
            return self.peek_topic(max_messages, max_bytes);
        }
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
            if header.is_spilled() && list.len() < max_messages {
                list.extend(self.peek_spilled(at, cell, header, max_bytes));
                return true;
            }
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

    /// The first bytes of an object in a file of its own. `None`: it was taken meanwhile, or is lost.
    fn peek_spilled(&self, at: u64, cell: CellIndex, header: Header, max_bytes: usize) -> Option<Peeked> {
        let ring = &self.ring;
        if header.length() as usize != DESCRIPTOR_BYTES {
            return None;
        }
        // The walk has checked that a record of that length lies in the ring. What is no descriptor,
        // or is overwritten meanwhile, does not match its check.
        let length = descriptor_of(&ring.memory, cell, self.view.info().nonce, at)?;
        let bytes = self.view.read_spilled(at, max_bytes.min(usize::try_from(length).unwrap_or(usize::MAX))).ok()?;
        Some(Peeked { bytes, length, deliveries: header.deliveries() })
    }

    fn peek_topic(&self, max_messages: usize, max_bytes: usize) -> Vec<Peeked> {
        let mut found = Vec::new();
        for attempt in 0..PEEKS {
            let whole = self.with_topic(|topic| {
                let records = newest_records(topic, max_messages, attempt)?;
                found = records.into_iter().filter_map(|record| copy_of(topic, record, max_bytes)).collect();
                Some(())
            });
            if whole.flatten().is_some() {
                break;
            }
        }
        found
    }
}

/// The newest READY records, the oldest of them first. `None`: reclaim overtook the walk; the next
/// attempt begins further on.
fn newest_records(topic: &TopicRing<'_, Mapped>, most: usize, attempt: u32) -> Option<Vec<Walked>> {
    let words = topic.words;
    let reclaim = words.reclaim.load(Ordering::Acquire);
    let (geometry, sized) = (&topic.ring.geometry, topic.ring.geometry.sized);
    let from = match attempt {
        0 | 1 => reclaim,
        _ if sized => geometry.position(topic.linear(topic.tail()).saturating_sub(most as u64)).max(reclaim),
        2 | 3 => words.middle.load(Ordering::Acquire).max(reclaim),
        _ => topic.ring.memory.put_side().newest.load(Ordering::Acquire).max(reclaim),
    };
    let mut newest = VecDeque::new();
    let walked = topic.walk(from, |walked| {
        if walked.header.state() == Some(State::Ready) {
            newest.push_back(walked);
            if newest.len() > most {
                newest.pop_front();
            }
        }
        true
    });
    // Garbage ends the walk: the messages before it are returned.
    (walked != Ok(None)).then(|| newest.into())
}

/// The first `max_bytes` bytes of a record. `None`: they were overwritten meanwhile.
fn copy_of(topic: &TopicRing<'_, Mapped>, record: Walked, max_bytes: usize) -> Option<Peeked> {
    let length = record.header.length() as u64;
    if length > topic.ring.geometry.max_message_bytes() {
        return None;
    }
    let mut bytes = vec![0; max_bytes.min(length as usize)];
    // SAFETY: the walk has checked that the record lies in the ring, where whole words are; the
    // length fits it. Others may write there meanwhile, through mappings of their own: a torn copy
    // is found below, before it is used.
    unsafe { load_words(topic.ring.memory.payload(record.cell).cast_const(), bytes.as_mut_ptr(), bytes.len()) };
    topic.is_intact(record.position).then_some(Peeked { bytes, length, deliveries: 0 })
}
