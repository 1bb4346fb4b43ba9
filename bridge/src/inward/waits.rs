//! [`Waits`]: with `--ack-on done`, the messages that are in the queue or at a worker. Which place
//! in the queue each has stands in the journal, so a successor can ask what became of it.
//!
//! ```text
//!   put --> Pending --Done-----------------------------> Acking --confirmed--> the slot is free
//!                   \--GivenUp, Forgotten--> letter sent --^
//! ```
//!
//! Invariants:
//! 1. A slot's position is stored before its sequence, and both before the message can be seen. A
//!    slot whose sequence the journal does not know ([`Seen`]) is of a put that did not happen.
//! 2. A slot is freed after the ack was confirmed. Until then a delivery of the message finds it.

use super::seen::{Seen, Words};
use async_nats::Subject;
use shmq::{DynQueue, Fate, MessageId};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// Messages that may wait for workers at a time.
pub const SLOTS: usize = 1 << 15;
/// Words of the journal.
pub const WORDS: usize = SLOTS * 2;

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In the queue, or on lease.
    Pending,
    /// It was given up: its letter is under way.
    Burying,
    /// Its ack is under way.
    Acking,
}

struct Wait {
    slot: usize,
    id: MessageId,
    /// Of its newest delivery. `None`: of a predecessor; it comes again.
    reply: Option<Subject>,
    stage: Stage,
}

/// Messages that ended, each with the reply that acks it.
#[derive(Default)]
pub struct Ended {
    /// Workers are done with these.
    pub done: Vec<(u64, Subject)>,
    /// The queue gave these up.
    pub given_up: Vec<(u64, Subject)>,
}

/// What the workers have.
pub struct Waits<'w> {
    words: &'w [AtomicU64],
    waits: BTreeMap<u64, Wait>,
    free: Vec<usize>,
}

impl<'w> Waits<'w> {
    /// Those of the last bridge.
    pub fn recover(words: &'w [AtomicU64], queue: &DynQueue, seen: &Seen<'_, [AtomicU64]>) -> Waits<'w> {
        let mut waits = Waits { words, waits: BTreeMap::new(), free: Vec::new() };
        for slot in (0..SLOTS).rev() {
            let sequence = words.load(2 * slot);
            if sequence != 0 && seen.knows(sequence) {
                let id = id_of(queue.nonce(), words.load(2 * slot + 1));
                waits.waits.insert(sequence, Wait { slot, id, reply: None, stage: Stage::Pending });
            } else {
                // Invariant 1.
                if sequence != 0 {
                    words.store(2 * slot, 0);
                }
                waits.free.push(slot);
            }
        }
        waits
    }

    /// Is there room for one more?
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// The slot for the next message; it is taken by [`put`](Self::put).
    pub fn next_slot(&self) -> usize {
        self.free.last().copied().unwrap_or(0)
    }

    /// Notes the place of a message that is about to be put (Invariant 1).
    pub fn note(words: &[AtomicU64], slot: usize, sequence: u64, id: MessageId) {
        let bytes = id.to_bytes();
        let position = u64::from_be_bytes(std::array::from_fn(|at| bytes[8 + at]));
        words.store(2 * slot + 1, position);
        words.store(2 * slot, sequence);
    }

    /// The words, for [`note`](Self::note).
    pub fn words(&self) -> &'w [AtomicU64] {
        self.words
    }

    /// It was put.
    pub fn put(&mut self, sequence: u64, nonce: u64, reply: Subject) {
        let Some(slot) = self.free.pop() else { return };
        let id = id_of(nonce, self.words.load(2 * slot + 1));
        self.waits.insert(sequence, Wait { slot, id, reply: Some(reply), stage: Stage::Pending });
    }

    /// It was not put after all.
    pub fn take_back(&mut self) {
        let slot = self.next_slot();
        if self.words.load(2 * slot) != 0 {
            self.words.store(2 * slot, 0);
        }
    }

    /// It was delivered again. `false`: it is not waited for.
    pub fn came_again(&mut self, sequence: u64, reply: &Subject) -> bool {
        match self.waits.get_mut(&sequence) {
            Some(wait) => {
                wait.reply = Some(reply.clone());
                true
            }
            None => false,
        }
    }

    /// Those that the workers are done with, and those that were given up; both change their stage.
    pub fn ended(&mut self, queue: &DynQueue) -> Ended {
        let mut ended = Ended::default();
        for (&sequence, wait) in &mut self.waits {
            let Some(reply) = wait.reply.clone().filter(|_| wait.stage == Stage::Pending) else { continue };
            match queue.is_done(wait.id) {
                Fate::Pending => {}
                Fate::Done => {
                    wait.stage = Stage::Acking;
                    ended.done.push((sequence, reply));
                }
                // Not known how it ended: it may have been given up.
                _ => {
                    wait.stage = Stage::Burying;
                    ended.given_up.push((sequence, reply));
                }
            }
        }
        ended
    }

    /// The letter of a message stands in the stream of dead letters, or could not be sent.
    pub fn buried(&mut self, sequence: u64, is_sent: bool) {
        if let Some(wait) = self.waits.get_mut(&sequence) {
            wait.stage = if is_sent { Stage::Acking } else { Stage::Pending };
        }
    }

    /// The ack was confirmed (Invariant 2).
    pub fn confirmed(&mut self, sequence: u64) {
        if let Some(wait) = self.waits.remove(&sequence) {
            self.words.store(2 * wait.slot, 0);
            self.free.push(wait.slot);
        }
    }

    /// The server says that all up to that sequence are acked.
    pub fn confirmed_up_to(&mut self, floor: u64) {
        let below: Vec<u64> = self.waits.range(..=floor).map(|(&sequence, _)| sequence).collect();
        below.into_iter().for_each(|sequence| self.confirmed(sequence));
    }

    /// The replies of those that must be renewed.
    pub fn replies(&self) -> impl Iterator<Item = &Subject> {
        self.waits.values().filter(|wait| wait.stage != Stage::Acking).filter_map(|wait| wait.reply.as_ref())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waits.len()
    }
}

fn id_of(nonce: u64, position: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    bytes[8..].copy_from_slice(&position.to_be_bytes());
    MessageId::from_bytes(bytes)
}
