//! Kinds of rings, and messages that carry a value in all of their bytes.

use super::verbs::Verb;
use crate::support::{matches_pattern, pattern};
use shmq::{Consumer, Loan, Message, Plain, Producer, PutError, Queue};

/// A kind of ring.
pub trait Kind: 'static {
    type T: ?Sized + Plain;
    const NAME: &'static str;
    /// Numbers of messages of a value of 0 that always fit, and that never do.
    const FITS: usize;
    const TOO_MANY: usize;
    /// Is a queue that is full of such messages full for any message?
    const IS_FULL_THEN: bool = true;

    /// May the first process do this? Kinds that differ from others only in some verbs are tried
    /// only with those.
    fn is_first(_: Verb) -> bool {
        true
    }

    fn create(name: &str) -> Queue<Self::T>;
    fn encode(value: u64) -> Box<Self::T>;
    fn decode(message: &Self::T) -> u64;
    fn decode_owned(message: &<Self::T as Message>::Owned) -> u64;
    /// A loan that already holds `value`, with more room than that needs.
    fn try_loan(queue: &Queue<Self::T>, value: u64) -> Result<Loan<'_, Self::T>, PutError>;
    fn try_loan_of(producer: &Producer<Self::T>, value: u64) -> Result<Loan<'_, Self::T>, PutError>;
    /// Commits only as much of it as the value needs.
    fn commit(loan: Loan<'_, Self::T>, value: u64) -> Result<(), PutError>;
    /// In one call if the kind has one, otherwise one after the other.
    fn put_all(queue: &Queue<Self::T>, values: &[u64]) -> Result<usize, PutError> {
        one_by_one(values, |value| queue.try_put(&Self::encode(value)))
    }
    fn put_all_by(producer: &Producer<Self::T>, values: &[u64]) -> Result<usize, PutError> {
        one_by_one(values, |value| producer.try_put(&Self::encode(value)))
    }
    /// Up to 2 messages.
    fn get_all(queue: &Queue<Self::T>) -> Result<Vec<u64>, shmq::GetError> {
        queue.try_get().map(|message| vec![Self::decode_owned(&message)])
    }
    fn get_all_by(consumer: &Consumer<Self::T>) -> Result<Vec<u64>, shmq::GetError> {
        consumer.try_get().map(|message| vec![Self::decode_owned(&message)])
    }
}

fn one_by_one(values: &[u64], mut put: impl FnMut(u64) -> Result<(), PutError>) -> Result<usize, PutError> {
    for (moved, &value) in values.iter().enumerate() {
        match put(value) {
            Ok(()) => {}
            Err(error) if moved == 0 => return Err(error),
            Err(_) => return Ok(moved),
        }
    }
    Ok(values.len())
}

const CAPACITY: usize = 3;

fn is_by_copy(verb: Verb) -> bool {
    use Verb::*;
    matches!(verb, Put | PutAll | PutWaiting | Get | GetAll | GetWaiting | GetDone | Recover | Join)
}

fn makes_room(verb: Verb) -> bool {
    use Verb::*;
    matches!(verb, Put | PutWaiting | LoanCommitted | LoanDropped | Producer | ProducerLoan | Get | LeaseReleased | Recover)
}

/// The number of words of a sized message: one, or as many as are copied without a lock.
macro_rules! sized {
    ($kind:ident, $name:literal, $words:literal, $is_first:expr) => {
        pub struct $kind;

        impl Kind for $kind {
            type T = [u64; $words];
            const NAME: &'static str = $name;
            const FITS: usize = CAPACITY;
            const TOO_MANY: usize = CAPACITY + 1;

            fn is_first(verb: Verb) -> bool {
                let is_first: fn(Verb) -> bool = $is_first;
                is_first(verb)
            }

            fn create(name: &str) -> Queue<Self::T> {
                Queue::builder().name(name).capacity(CAPACITY).max_participants(6).create().expect("a queue")
            }

            fn encode(value: u64) -> Box<Self::T> {
                Box::new([value; $words])
            }

            fn decode(message: &Self::T) -> u64 {
                assert!(message.iter().all(|word| *word == message[0]), "torn: {message:?}");
                message[0]
            }

            fn decode_owned(message: &Self::T) -> u64 {
                Self::decode(message)
            }

            fn try_loan(queue: &Queue<Self::T>, value: u64) -> Result<Loan<'_, Self::T>, PutError> {
                let mut loan = queue.try_loan()?;
                loan.copy_from_slice(&*Self::encode(value));
                Ok(loan)
            }

            fn try_loan_of(producer: &Producer<Self::T>, value: u64) -> Result<Loan<'_, Self::T>, PutError> {
                let mut loan = producer.try_loan()?;
                loan.copy_from_slice(&*Self::encode(value));
                Ok(loan)
            }

            fn commit(loan: Loan<'_, Self::T>, _: u64) -> Result<(), PutError> {
                loan.commit()
            }

            fn put_all(queue: &Queue<Self::T>, values: &[u64]) -> Result<usize, PutError> {
                let messages: Vec<Self::T> = values.iter().map(|&value| *Self::encode(value)).collect();
                queue.try_put_slice(&messages)
            }

            fn put_all_by(producer: &Producer<Self::T>, values: &[u64]) -> Result<usize, PutError> {
                let messages: Vec<Self::T> = values.iter().map(|&value| *Self::encode(value)).collect();
                producer.try_put_slice(&messages)
            }

            fn get_all(queue: &Queue<Self::T>) -> Result<Vec<u64>, shmq::GetError> {
                let mut messages = [[0; $words]; 2];
                let got = queue.try_get_slice(&mut messages)?;
                Ok(messages[..got].iter().map(Self::decode).collect())
            }

            fn get_all_by(consumer: &Consumer<Self::T>) -> Result<Vec<u64>, shmq::GetError> {
                let mut messages = [[0; $words]; 2];
                let got = consumer.try_get_slice(&mut messages)?;
                Ok(messages[..got].iter().map(Self::decode).collect())
            }
        }
    };
}

sized!(OneSize, "sized", 1, |_| true);
// More than 4 KiB: copies go through loans and leases.
sized!(Large, "large", 520, is_by_copy);

/// Bytes of a message that carries `value`: one to three cells of payload.
fn length_of(value: u64) -> usize {
    8 + 16 * (value % 3) as usize
}

const CELL_BYTES: usize = 16;
/// Usually more than a loan needs.
const LENT_BYTES: usize = 8 + 16 * 2;

macro_rules! slices {
    ($kind:ident, $name:literal, $cells:literal, $bound:expr, $fits:literal, $too_many:literal, $is_first:expr) => {
        pub struct $kind;

        impl Kind for $kind {
            type T = [u8];
            const NAME: &'static str = $name;
            const FITS: usize = $fits;
            const TOO_MANY: usize = $too_many;
            const IS_FULL_THEN: bool = {
                let bound: Option<usize> = $bound;
                bound.is_some()
            };

            fn is_first(verb: Verb) -> bool {
                let is_first: fn(Verb) -> bool = $is_first;
                is_first(verb)
            }

            fn create(name: &str) -> Queue<[u8]> {
                let builder = Queue::builder().name(name).capacity_bytes($cells * CELL_BYTES).max_participants(6);
                let bound: Option<usize> = $bound;
                let queue = match bound {
                    Some(messages) => builder.capacity(messages).create(),
                    None => builder.create(),
                };
                queue.expect("a queue")
            }

            fn encode(value: u64) -> Box<[u8]> {
                let mut bytes = value.to_le_bytes().to_vec();
                bytes.extend(pattern(value, length_of(value) - 8));
                bytes.into()
            }

            fn decode(message: &[u8]) -> u64 {
                let (value, rest) = message.split_at(8);
                let value = u64::from_le_bytes(value.try_into().expect("8 bytes"));
                assert!(message.len() == length_of(value) && matches_pattern(value, rest), "torn: {message:?}");
                value
            }

            fn decode_owned(message: &Vec<u8>) -> u64 {
                Self::decode(message)
            }

            fn try_loan(queue: &Queue<[u8]>, value: u64) -> Result<Loan<'_, [u8]>, PutError> {
                let mut loan = queue.try_loan_len(LENT_BYTES)?;
                loan[..length_of(value)].copy_from_slice(&Self::encode(value));
                Ok(loan)
            }

            fn try_loan_of(producer: &Producer<[u8]>, value: u64) -> Result<Loan<'_, [u8]>, PutError> {
                let mut loan = producer.try_loan_len(LENT_BYTES)?;
                loan[..length_of(value)].copy_from_slice(&Self::encode(value));
                Ok(loan)
            }

            fn commit(loan: Loan<'_, [u8]>, value: u64) -> Result<(), PutError> {
                loan.commit_len(length_of(value))
            }
        }
    };
}

// Records of two cells, in ten of the eleven cells besides the spare one: the ring's end may cost
// one.
slices!(Slices, "slices", 12, None, 5, 6, |_| true);
slices!(Bounded, "bounded", 14, Some(3), 3, 4, makes_room);
