//! [`OutWords`]: which message goes to which sequence of the stream.
//!
//! ```text
//!   0 version | 1 bound | 2 queue's nonce | 3 random number | 4 stream | 5 resolved | 6 assigned
//!   8 .. 8 + WINDOW: positions; that of sequence s at 8 + s % WINDOW
//!
//!   version 0 --begin--> version, not bound --the stream bears the number--> bound --> bound ...
//!
//!   ... resolved | resolved + 1 ..= assigned: under way | assigned + 1 ...
//! ```
//!
//! Invariants (the writer is the bridge that has the segment's lock):
//! 1. A position is written before `assigned` covers it, and no other is written to its place until
//!    `resolved` covers it. So what a successor reads between the two cursors is what was sent, or
//!    was about to be.
//! 2. `resolved` covers a sequence only when its message was seen in the stream, or was seen to
//!    have been there, and its lease was ended.
//! 3. `version` is written last of a new journal, and first made 0 of one that is begun anew: one
//!    that is half written is a new one.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The most messages of an out bridge that may be under way.
pub const OUT_WINDOW_MAX: usize = 1 << 14;

const VERSION: u64 = u64::from_be_bytes(*b"shmqout1");
const AT_VERSION: usize = 0;
const AT_BOUND: usize = 1;
const AT_QUEUE: usize = 2;
const AT_NUMBER: usize = 3;
const AT_STREAM: usize = 4;
const AT_RESOLVED: usize = 5;
const AT_ASSIGNED: usize = 6;
const AT_POSITIONS: usize = 8;

/// The words of an out bridge's journal.
#[derive(Clone, Copy, Debug)]
pub struct OutWords<'a> {
    words: &'a [AtomicU64],
}

impl<'a> OutWords<'a> {
    /// How many they are.
    pub const COUNT: usize = AT_POSITIONS + OUT_WINDOW_MAX;

    /// These, of which there are [`COUNT`](Self::COUNT).
    pub fn over(words: &'a [AtomicU64]) -> OutWords<'a> {
        assert_eq!(words.len(), OutWords::COUNT);
        OutWords { words }
    }

    fn get(&self, at: usize) -> u64 {
        self.words[at].load(Acquire)
    }

    fn set(&self, at: usize, value: u64) {
        self.words[at].store(value, Release);
    }

    /// Was it never begun, or not to the end?
    pub fn is_new(&self) -> bool {
        self.get(AT_VERSION) == 0
    }

    /// Is it of this version of the bridge?
    pub fn is_known(&self) -> bool {
        self.is_new() || self.get(AT_VERSION) == VERSION
    }

    /// Begins it, or begins it anew: all up to sequence `last` counts as resolved.
    pub fn begin(&self, queue: u64, number: u64, stream: &str, last: u64) {
        self.set(AT_VERSION, 0);
        self.set(AT_BOUND, 0);
        self.set(AT_QUEUE, queue);
        self.set(AT_NUMBER, number);
        self.set(AT_STREAM, hash_of(stream));
        self.set(AT_RESOLVED, last);
        self.set(AT_ASSIGNED, last);
        self.set(AT_VERSION, VERSION);
    }

    /// The stream bears its number now.
    pub fn bind(&self) {
        self.set(AT_BOUND, 1);
    }

    /// Did the stream bear its number once?
    pub fn is_bound(&self) -> bool {
        self.get(AT_BOUND) != 0
    }

    /// Nonce of the queue that it was begun for.
    pub fn queue(&self) -> u64 {
        self.get(AT_QUEUE)
    }

    /// Its random number.
    pub fn number(&self) -> u64 {
        self.get(AT_NUMBER)
    }

    /// Was it begun for that stream?
    pub fn is_of_stream(&self, stream: &str) -> bool {
        self.get(AT_STREAM) == hash_of(stream)
    }

    /// The last sequence of those that are done with.
    pub fn resolved(&self) -> u64 {
        self.get(AT_RESOLVED)
    }

    /// The last sequence that was given to a message.
    pub fn assigned(&self) -> u64 {
        self.get(AT_ASSIGNED)
    }

    /// Position of the message of a sequence that is under way.
    pub fn position(&self, sequence: u64) -> u64 {
        self.get(place_of(sequence))
    }

    /// Gives the next sequence to the message at that position, and returns it.
    ///
    /// # Panics
    /// If [`OUT_WINDOW_MAX`] are under way (Invariant 1).
    pub fn assign(&self, position: u64) -> u64 {
        let sequence = self.assigned() + 1;
        assert!(sequence - self.resolved() <= OUT_WINDOW_MAX as u64, "the window is shorter than the journal");
        self.words[place_of(sequence)].store(position, Relaxed);
        // Release (Invariant 1).
        self.set(AT_ASSIGNED, sequence);
        sequence
    }

    /// All up to that sequence are done with.
    pub fn resolve(&self, sequence: u64) {
        self.set(AT_RESOLVED, sequence);
    }
}

fn place_of(sequence: u64) -> usize {
    AT_POSITIONS + (sequence % OUT_WINDOW_MAX as u64) as usize
}

/// FNV-1a: the same in every version.
fn hash_of(stream: &str) -> u64 {
    stream.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
