//! Messages whose every word follows from their publisher and number, in topics of one size and of
//! slices. Words look like headers of records, so that a reader that takes payload for a header
//! finds one.

use crate::support::unique_name;
use shmq::{GetError, Plain, Publisher, PutError, Subscriber, Topic, TopicBuilder};

/// States of a header, `ring/header.rs`: in the three highest bits.
const STATES: [u64; 4] = [0, 1, 2, 5];

/// Word `place` of the message `tag`: a header of a small record, or a number that could be that of
/// a record. The bits that no header has to have are a checksum.
pub fn word(tag: u64, place: usize) -> u64 {
    let mixed = (tag ^ (place as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if place % 2 == 1 {
        return tag.wrapping_add(mixed >> 60);
    }
    let state = STATES[(mixed >> 62) as usize];
    // The owner's bits are part of the checksum; lengths are those of records of some cells.
    state << 61 | (mixed >> 8 & 0x1f_ffff) << 40 | (mixed >> 40 & 0xff) << 32 | (mixed & 0x7f8)
}

/// The first word is the tag itself.
pub fn fill(tag: u64, words: &mut [u64]) {
    words.iter_mut().enumerate().for_each(|(place, one)| *one = if place == 0 { tag } else { word(tag, place) });
}

/// The tag of a message, all of whose words must be of it.
#[track_caller]
pub fn tag_of(words: &[u64]) -> u64 {
    let tag = words[0];
    if let Some(place) = (1..words.len()).find(|&place| words[place] != word(tag, place)) {
        panic!("torn at word {place} of {}: {:#x} of {tag:#x} {:#x?}", words.len(), words[place], &words[..words.len().min(64)]);
    }
    tag
}

/// A kind of topic whose messages carry tags.
pub trait Letter: Plain {
    fn topic(capacity: usize) -> Topic<Self>;
    /// Runs with a message of that tag.
    fn with<R>(tag: u64, act: impl FnOnce(&Self) -> R) -> R;
    fn owned(message: &Self::Owned) -> &[u64];
    /// Writes a loan of a message of that tag.
    fn loan(topic: &Topic<Self>, tag: u64, commits: bool) -> Result<(), PutError>;
    fn loan_of(publisher: &mut Publisher<Self>, tag: u64) -> Result<(), PutError>;
    /// Reads the next message in place.
    fn read_in_place(subscriber: &mut Subscriber<Self>, act: impl FnOnce(&[u64])) -> Result<(), GetError>;
    /// Up to three messages in a call, or one. Returns how many were published.
    fn batch(topic: &Topic<Self>, tag: u64) -> Result<u64, PutError>;
    /// The number of words that a message of this tag has.
    fn length(tag: u64) -> usize;
}

/// Bounds every wait of a storm: a wait that takes longer is a failure.
pub const BOUND: std::time::Duration = std::time::Duration::from_secs(60);

fn settings<T: ?Sized + Plain>(builder: TopicBuilder<T>) -> TopicBuilder<T> {
    builder.name(unique_name("storm")).max_participants(24).max_subscribers(16)
}

pub type OneSize = [u64; 8];

impl Letter for OneSize {
    fn topic(capacity: usize) -> Topic<OneSize> {
        settings(Topic::builder()).capacity(capacity).create().unwrap()
    }

    fn with<R>(tag: u64, act: impl FnOnce(&OneSize) -> R) -> R {
        let mut words = [0; 8];
        fill(tag, &mut words);
        act(&words)
    }

    fn owned(message: &OneSize) -> &[u64] {
        message
    }

    fn loan(topic: &Topic<OneSize>, tag: u64, commits: bool) -> Result<(), PutError> {
        let mut loan = topic.loan_timeout(BOUND)?;
        fill(tag, &mut *loan);
        if commits { loan.commit() } else { Ok(()) }
    }

    fn loan_of(publisher: &mut Publisher<OneSize>, tag: u64) -> Result<(), PutError> {
        let mut loan = publisher.loan_timeout(BOUND)?;
        fill(tag, &mut *loan);
        loan.commit()
    }

    fn read_in_place(subscriber: &mut Subscriber<OneSize>, act: impl FnOnce(&[u64])) -> Result<(), GetError> {
        subscriber.try_read().map(|sample| act(&*sample))
    }

    fn batch(topic: &Topic<OneSize>, tag: u64) -> Result<u64, PutError> {
        let all: [OneSize; 3] = std::array::from_fn(|i| OneSize::with(tag + i as u64, |message| *message));
        topic.publish_slice_timeout(&all, BOUND).map(|count| count as u64)
    }

    fn length(_: u64) -> usize {
        8
    }
}

impl Letter for [u64] {
    fn topic(capacity: usize) -> Topic<[u64]> {
        settings(Topic::<[u64]>::builder()).capacity_bytes(capacity * 400).create().unwrap()
    }

    fn with<R>(tag: u64, act: impl FnOnce(&[u64]) -> R) -> R {
        let mut words = vec![0; Self::length(tag)];
        fill(tag, &mut words);
        act(&words)
    }

    fn owned(message: &Vec<u64>) -> &[u64] {
        message
    }

    fn loan(topic: &Topic<[u64]>, tag: u64, commits: bool) -> Result<(), PutError> {
        let mut loan = topic.loan_len_timeout(Self::length(tag), BOUND)?;
        fill(tag, &mut loan);
        if commits { loan.commit() } else { Ok(()) }
    }

    fn loan_of(publisher: &mut Publisher<[u64]>, tag: u64) -> Result<(), PutError> {
        let mut loan = publisher.loan_len_timeout(Self::length(tag), BOUND)?;
        fill(tag, &mut loan);
        loan.commit()
    }

    fn read_in_place(subscriber: &mut Subscriber<[u64]>, act: impl FnOnce(&[u64])) -> Result<(), GetError> {
        subscriber.try_read().map(|sample| act(&sample))
    }

    fn batch(topic: &Topic<[u64]>, tag: u64) -> Result<u64, PutError> {
        Self::with(tag, |message| topic.publish_timeout(message, BOUND)).map(|()| 1)
    }

    fn length(tag: u64) -> usize {
        let tag = tag as usize;
        1 + tag % 40 + if tag % 61 == 0 { 120 } else { 0 }
    }
}
