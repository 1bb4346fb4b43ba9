//! [`Flight`]: what is under way, and what is known of it. No I/O: the loop and the model drive it.
//!
//! ```text
//!   assign --> to be sent --next_to_send--> sent --landed / judge--> landed --end_landed--> gone
//!                 ^                          |
//!                 '---------- stand ---------'
//! ```
//!
//! Invariants:
//! 1. Sequences `resolved + 1 ..= assigned` of the journal are under way, each for one message,
//!    which the journal names before it is sent. The pair stays until it is resolved.
//! 2. A message is published only with its sequence minus one as the expected last one. So at a
//!    sequence there is the message that the journal had for it, or one of a stranger: also if it
//!    comes late, from a broken connection or from a bridge that died.
//! 3. A message counts as landed only if the server confirmed it at its sequence, or its id was read
//!    back there; or if the stream, which had come as far (`last`), has nothing there any more: it
//!    was consumed.
//! 4. A lease is ended when its message has landed, in the order of sequences; the journal resolves
//!    it after that. So a message is in the queue, in the journal, or in the stream's past.

use crate::journal::OutWords;
use crate::server::Found;
use shmq::MessageId;
use std::collections::VecDeque;

/// What is under way. `L`: a lease, or what stands for one.
#[derive(Debug)]
pub struct Flight<'j, L> {
    words: OutWords<'j>,
    /// Of sequence `first` and those after it.
    messages: VecDeque<Message<L>>,
    first: u64,
    /// The next sequence to be sent.
    next: u64,
    /// The stream had come as far, at least.
    reached: u64,
}

#[derive(Debug)]
struct Message<L> {
    position: u64,
    has_landed: bool,
    /// `None`: its lease was ended, by a bridge that died before it resolved it; or it is to be
    /// taken back.
    lease: Option<L>,
}

/// The stream is not what this bridge made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its sequence is behind that of a message that had landed.
    WentBack {
        /// Where it stands.
        last: u64,
        /// Where it stood.
        reached: u64,
    },
    /// It has not come to a message that is not in the queue any more.
    Gone {
        /// Where the message should be.
        sequence: u64,
        /// Where the stream stands.
        last: u64,
    },
    /// It has sequences that this bridge gave to no message.
    Beyond {
        /// The first of them.
        sequence: u64,
    },
    /// Another message is where this bridge's should be.
    Foreign {
        /// Where.
        sequence: u64,
        /// What.
        found: Found,
    },
}

impl<'j, L> Flight<'j, L> {
    /// What a predecessor left in the journal, all of it to be sent.
    pub fn resume(words: OutWords<'j>) -> Flight<'j, L> {
        let first = words.resolved() + 1;
        let message = |sequence| Message { position: words.position(sequence), has_landed: false, lease: None };
        let messages = (first..=words.assigned()).map(message).collect();
        Flight { words, messages, first, next: first, reached: words.resolved() }
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Are none under way?
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Positions of those that have no lease.
    pub fn without_lease(&self) -> impl Iterator<Item = u64> {
        self.messages.iter().filter(|message| message.lease.is_none()).map(|message| message.position)
    }

    /// A predecessor's message was leased again. Gives the lease back if it is not one of them.
    ///
    /// # Errors
    /// The lease.
    pub fn take_back(&mut self, position: u64, lease: L) -> Result<(), L> {
        match self.messages.iter_mut().find(|message| message.position == position) {
            Some(message) => {
                message.lease = Some(lease);
                Ok(())
            }
            None => Err(lease),
        }
    }

    /// Gives a message the next sequence, in the journal first (Invariant 1).
    pub fn assign(&mut self, position: u64, lease: L) -> u64 {
        let sequence = self.words.assign(position);
        self.messages.push_back(Message { position, has_landed: false, lease: Some(lease) });
        sequence
    }

    fn last(&self) -> u64 {
        self.first + self.messages.len() as u64 - 1
    }

    fn message(&mut self, sequence: u64) -> Option<&mut Message<L>> {
        self.messages.get_mut(usize::try_from(sequence.checked_sub(self.first)?).ok()?)
    }

    /// The message that is to be sent next: its sequence, its position and its lease.
    pub fn next_to_send(&mut self) -> Option<(u64, u64, &L)> {
        while self.message(self.next).is_some_and(|message| message.has_landed) {
            self.next += 1;
        }
        let sequence = self.next;
        let message = self.message(sequence)?;
        Some((sequence, message.position, message.lease.as_ref()?))
    }

    /// It was sent.
    pub fn sent(&mut self, sequence: u64) {
        self.next = sequence + 1;
    }

    /// Was something sent of which it is not known whether it has landed? Right after
    /// [`end_landed`](Self::end_landed): the first message has not landed then.
    pub fn is_awaiting(&self) -> bool {
        self.next > self.first
    }

    /// The message of a sequence.
    pub fn lease(&self, sequence: u64) -> Option<&L> {
        self.messages.get(usize::try_from(sequence.checked_sub(self.first)?).ok()?)?.lease.as_ref()
    }

    /// The server confirmed a message, at its sequence (Invariant 3).
    pub fn landed(&mut self, sequence: u64) {
        if let Some(message) = self.message(sequence) {
            message.has_landed = true;
            self.reached = self.reached.max(sequence);
        }
    }

    /// Ends the leases of those that have landed, as far as they are the first ones (Invariant 4).
    /// Returns how many.
    ///
    /// # Errors
    /// That of `end`.
    pub fn end_landed<E>(&mut self, mut end: impl FnMut(L) -> Result<(), E>) -> Result<u64, E> {
        let before = self.first;
        while self.messages.front().is_some_and(|message| message.has_landed) {
            let message = self.messages.pop_front().expect("there is a first one");
            message.lease.map_or(Ok(()), &mut end)?;
            self.words.resolve(self.first);
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        Ok(self.first - before)
    }

    /// What was sent may have landed or not. The stream has come as far as `last`, and `first` is
    /// the first sequence that is still there: sequences to be read back, for [`judge`](Self::judge).
    /// What comes after `last` is sent again.
    ///
    /// Each message without a lease was taken back before, or its lease was ended.
    ///
    /// # Errors
    /// [`Fault`]: nothing may be sent any more.
    pub fn stand(&mut self, first: u64, last: u64) -> Result<Vec<u64>, Fault> {
        if last < self.reached {
            return Err(Fault::WentBack { last, reached: self.reached });
        }
        let ahead =
            self.messages.iter().zip(self.first..).find(|(message, sequence)| message.lease.is_none() && *sequence > last);
        if let Some((_, sequence)) = ahead {
            return Err(Fault::Gone { sequence, last });
        }
        if last > self.last() {
            return Err(Fault::Beyond { sequence: self.last() + 1 });
        }
        self.reached = last;
        self.next = (last + 1).max(self.first);
        let mut to_read = Vec::new();
        for sequence in self.first..=last {
            let message = self.message(sequence).expect("it is between the first and the last");
            if sequence < first {
                message.has_landed = true;
            } else if !message.has_landed {
                to_read.push(sequence);
            }
        }
        Ok(to_read)
    }

    /// What was read back at a sequence that [`stand`](Self::stand) named (Invariant 3).
    ///
    /// # Errors
    /// [`Fault::Foreign`].
    pub fn judge(&mut self, sequence: u64, found: Found) -> Result<(), Fault> {
        let queue = self.words.queue();
        let Some(message) = self.message(sequence) else { return Ok(()) };
        match found {
            Found::Nothing => {}
            Found::Id(id) if id == id_at(queue, message.position) => {}
            found => return Err(Fault::Foreign { sequence, found }),
        }
        message.has_landed = true;
        Ok(())
    }

    /// All that is known, for the model.
    #[cfg(test)]
    pub(super) fn known(&self) -> (Vec<(u64, bool)>, u64) {
        let known = |message: &Message<L>| (message.position << 1 | u64::from(message.lease.is_some()), message.has_landed);
        (self.messages.iter().map(known).collect(), self.next)
    }

    /// The id that the message of a sequence has.
    pub fn id(&self, sequence: u64) -> MessageId {
        id_at(self.words.queue(), self.words.position(sequence))
    }
}

/// The id of the message at a position of the queue with that nonce.
pub(super) fn id_at(queue: u64, position: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&queue.to_be_bytes());
    bytes[8..].copy_from_slice(&position.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// The position of a message.
pub(super) fn position_of(id: MessageId) -> u64 {
    let bytes = id.to_bytes();
    u64::from_be_bytes(std::array::from_fn(|nth| bytes[8 + nth]))
}
