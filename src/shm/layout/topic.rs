//! The byte map of a topic's words, which lie before its cells.

use super::PAGE_BYTES;
use crate::atomic::{AtomicU32, AtomicU64};

/// Words of a topic, which has no get side. `ring/topic` says what they mean.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct TopicWords {
    /// Position: what lies before it may be overwritten. Read by lossy subscribers at each message,
    /// so alone in its line with words that change no more often.
    pub reclaim: AtomicU64,
    /// Position of a record about half a ring behind tail.
    pub middle: AtomicU64,
    /// Later positions of records, which `middle` takes in turn.
    pub marks: [AtomicU64; 2],
    pub reserved: [AtomicU64; 4],
    /// Position: no gating subscriber is before it. The put side publishes a capacity beyond it, and
    /// reclaims up to it, without another look at the lines.
    pub gate: AtomicU64,
    /// Raised by each subscriber that begins to gate.
    pub joins: AtomicU64,
    /// `joins` before the put side last scanned the lines; `u64::MAX`: it must scan.
    pub joins_seen: AtomicU64,
    /// What that scan found: a bound of all cursors but the lowest.
    pub others: AtomicU64,
    /// What that scan found: the state word of the line with the lowest cursor; 0: no line gates.
    pub laggard: AtomicU64,
    /// Position: a gating subscriber that passes it wakes publishers.
    pub wake_at: AtomicU64,
    /// What that scan found: the line with the lowest cursor.
    pub laggard_line: AtomicU32,
    /// No line from this one on was ever used.
    pub lines_end: AtomicU32,
    /// Subscribers that were evicted.
    pub evictions: AtomicU64,
}

/// One subscriber of a topic.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct SubscriberLine {
    /// `participant:32 | generation:28 | state:4` (`ring/topic/line.rs`).
    pub state: AtomicU64,
    /// Position of the next record that it reads.
    pub cursor: AtomicU64,
    /// 1 while it reads a record in place.
    pub pin: AtomicU32,
    pub reserved: AtomicU32,
    /// Number of the record at its cursor; in a topic of messages of one size it follows from it.
    pub number: AtomicU64,
    /// What that number was when it joined.
    pub start: AtomicU64,
    /// Numbers that it passed without a message.
    pub missed: AtomicU64,
    /// Monotonic time in nanoseconds at which it joined.
    pub joined_ns: AtomicU64,
}

/// Lines for subscribers, at most.
pub const MAX_SUBSCRIBERS: u32 = 1000;

/// Bytes of a topic's words and lines, before the cells.
pub const fn topic_bytes(max_subscribers: u32) -> u64 {
    match max_subscribers {
        0 => 0,
        lines => {
            (size_of::<TopicWords>() as u64 + lines as u64 * size_of::<SubscriberLine>() as u64).next_multiple_of(PAGE_BYTES)
        }
    }
}

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<TopicWords>() == 128 && size_of::<SubscriberLine>() == 64 && offset_of!(TopicWords, gate) == 64);
    assert!(topic_bytes(62) == PAGE_BYTES);
};
