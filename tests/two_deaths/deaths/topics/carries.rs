//! Messages that carry a value, in topics of one size and of slices.

use super::{CAPACITY, LINES};
use crate::support::{matches_pattern, pattern, unique_name};
use shmq::{GetError, Plain, PutError, Subscriber, Topic};

/// Messages that carry a value.
pub trait Carries: Plain {
    fn topic() -> Topic<Self>;
    fn with<R>(value: u64, act: impl FnOnce(&Self) -> R) -> R;
    fn value(message: Self::Owned) -> u64;
    fn value_in_place(message: &Self) -> u64;
    fn read(subscriber: &mut Subscriber<Self>) -> Result<u64, GetError>;
    fn loan(topic: &Topic<Self>, value: u64, commits: bool) -> Result<(), PutError>;
    /// In one call if the kind has one. Returns how many were published.
    fn all(topic: &Topic<Self>, values: &[u64]) -> Result<u64, PutError>;
    fn all_by(publisher: &mut shmq::Publisher<Self>, values: &[u64]) -> Result<u64, PutError>;
}

impl Carries for u64 {
    fn topic() -> Topic<u64> {
        let builder = Topic::builder().name(unique_name(&format!("deaths-{}", std::process::id()))).capacity(CAPACITY as usize);
        builder.max_participants(6).max_subscribers(LINES).create().expect("a topic")
    }

    fn with<R>(value: u64, act: impl FnOnce(&u64) -> R) -> R {
        act(&value)
    }

    fn value(message: u64) -> u64 {
        message
    }

    fn value_in_place(message: &u64) -> u64 {
        *message
    }

    fn read(subscriber: &mut Subscriber<u64>) -> Result<u64, GetError> {
        subscriber.try_read().map(|sample| Self::value_in_place(&sample))
    }

    fn loan(topic: &Topic<u64>, value: u64, commits: bool) -> Result<(), PutError> {
        let mut loan = topic.try_loan()?;
        *loan = value;
        if commits { loan.commit() } else { Ok(()) }
    }

    fn all(topic: &Topic<u64>, values: &[u64]) -> Result<u64, PutError> {
        topic.try_publish_slice(values).map(|count| count as u64)
    }

    fn all_by(publisher: &mut shmq::Publisher<u64>, values: &[u64]) -> Result<u64, PutError> {
        publisher.try_publish_slice(values).map(|count| count as u64)
    }
}

/// Bytes after the value: none to three cells.
fn bytes_of(value: u64) -> usize {
    (value % 4) as usize * 16
}

impl Carries for [u8] {
    fn topic() -> Topic<[u8]> {
        let builder =
            Topic::<[u8]>::builder().name(unique_name(&format!("deaths-{}", std::process::id()))).capacity_bytes(24 * 16);
        builder.max_participants(6).max_subscribers(LINES).create().expect("a topic")
    }

    fn with<R>(value: u64, act: impl FnOnce(&[u8]) -> R) -> R {
        act(&[&value.to_le_bytes()[..], &pattern(value, bytes_of(value))].concat())
    }

    fn value(message: Vec<u8>) -> u64 {
        Self::value_in_place(&message)
    }

    fn value_in_place(message: &[u8]) -> u64 {
        let (value, rest) = message.split_at(8);
        let value = u64::from_le_bytes(value.try_into().expect("8 bytes"));
        assert!(rest.len() == bytes_of(value) && matches_pattern(value, rest), "torn: {message:?}");
        value
    }

    fn read(subscriber: &mut Subscriber<[u8]>) -> Result<u64, GetError> {
        subscriber.try_read().map(|sample| Self::value_in_place(&sample))
    }

    fn loan(topic: &Topic<[u8]>, value: u64, commits: bool) -> Result<(), PutError> {
        Self::with(value, |message| {
            let mut loan = topic.try_loan_len(message.len())?;
            loan.copy_from_slice(message);
            if commits { loan.commit() } else { Ok(()) }
        })
    }

    fn all(topic: &Topic<[u8]>, values: &[u64]) -> Result<u64, PutError> {
        Self::with(values[0], |message| topic.try_publish(message)).map(|()| 1)
    }

    fn all_by(publisher: &mut shmq::Publisher<[u8]>, values: &[u64]) -> Result<u64, PutError> {
        Self::with(values[0], |message| publisher.try_publish(message)).map(|()| 1)
    }
}
