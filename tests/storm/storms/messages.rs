//! Messages that carry a number and show whether they are complete, and both ways to put and take
//! them: by lock and by endpoint.

use crate::support::{Rng, matches_pattern, pattern};
use shmq::{Consumer, GetError, Lease, Plain, Producer, PutError, Queue};
use std::borrow::Borrow;
use std::time::Duration;

/// A wait after which each worker checks its surroundings.
const SHORT: Duration = Duration::from_millis(20);

/// Most messages of a batch, unless specified otherwise.
pub const BATCH: u64 = 6;

/// The target of a put.
pub enum Put<'a, T: ?Sized> {
    Shared(&'a Queue<T>),
    Owned(&'a Producer<T>),
}

/// The source of a get.
pub enum Get<'a, T: ?Sized> {
    Shared(&'a Queue<T>),
    Owned(&'a Consumer<T>),
}

macro_rules! on_either {
    ($side:ident, $from:expr, $method:ident $arguments:tt) => {
        match $from {
            $side::Shared(queue) => queue.$method $arguments,
            $side::Owned(endpoint) => endpoint.$method $arguments,
        }
    };
}

impl<T: Numbered + ?Sized> Put<'_, T> {
    pub fn put(&self, number: u64, rng: &mut Rng) -> Result<(), PutError> {
        let message = T::make(number, rng);
        on_either!(Put, self, put_timeout(message.borrow(), SHORT))
    }
}

impl<'a, T: Numbered + ?Sized> Get<'a, T> {
    pub fn lease(&self) -> Result<Lease<'a, T>, GetError> {
        on_either!(Get, *self, lease_timeout(SHORT))
    }

    pub fn try_lease(&self) -> Result<Lease<'a, T>, GetError> {
        on_either!(Get, *self, try_lease())
    }

    pub fn get(&self) -> Result<u64, GetError> {
        on_either!(Get, self, get_timeout(SHORT)).map(|message| message.borrow().number())
    }
}

/// Sometimes a little longer, so that death finds guards open.
pub fn linger(rng: &mut Rng) {
    match rng.below(100) {
        0 => std::thread::sleep(rng.duration_below(Duration::from_millis(2))),
        1..=5 => std::thread::sleep(rng.duration_below(Duration::from_micros(300))),
        _ => {}
    }
}

/// A message that carries a number.
pub trait Numbered: Plain<Owned: Borrow<Self>> {
    fn make(number: u64, rng: &mut Rng) -> Self::Owned;
    /// The number; panics if the message is torn.
    fn number(&self) -> u64;
    /// Through a loan, which `commit` makes a message.
    fn put_in_place(to: &Put<'_, Self>, number: u64, rng: &mut Rng, commit: bool) -> Result<(), PutError>;
    /// Puts them in one call, if the type has one. Returns how many were put.
    fn put_batch(to: &Put<'_, Self>, numbers: &[u64], rng: &mut Rng) -> Result<usize, PutError>;
    /// Gets up to `room` messages in one call, if the type has one.
    fn get_batch(from: &Get<'_, Self>, room: usize) -> Result<Vec<u64>, GetError>;
    /// Checks the room of an empty queue: no process has taken any of it away.
    fn expect_whole_capacity(queue: &Queue<Self>);
}

/// Three words, which a torn message would show to differ.
pub type Triple = [u64; 3];

fn triple(number: u64) -> Triple {
    [number, number.wrapping_mul(0x9e37_79b9_7f4a_7c15), !number]
}

impl Numbered for Triple {
    fn make(number: u64, _: &mut Rng) -> Triple {
        triple(number)
    }

    fn number(&self) -> u64 {
        assert_eq!(*self, triple(self[0]), "torn");
        self[0]
    }

    fn put_in_place(to: &Put<'_, Triple>, number: u64, rng: &mut Rng, commit: bool) -> Result<(), PutError> {
        let mut loan = on_either!(Put, to, loan_timeout(SHORT))?;
        linger(rng);
        *loan = triple(number);
        if commit { loan.commit() } else { Ok(()) }
    }

    fn put_batch(to: &Put<'_, Triple>, numbers: &[u64], _: &mut Rng) -> Result<usize, PutError> {
        let messages: Vec<Triple> = numbers.iter().copied().map(triple).collect();
        on_either!(Put, to, put_slice_timeout(&messages, SHORT))
    }

    fn get_batch(from: &Get<'_, Triple>, room: usize) -> Result<Vec<u64>, GetError> {
        let mut buffer = vec![[0; 3]; room];
        let count = on_either!(Get, from, get_slice_timeout(&mut buffer, SHORT))?;
        Ok(buffer[..count].iter().map(Numbered::number).collect())
    }

    fn expect_whole_capacity(queue: &Queue<Triple>) {
        let capacity = queue.capacity();
        assert_eq!(queue.try_put_slice(&vec![[0; 3]; 3 * capacity]).unwrap(), capacity, "{queue:?}");
        assert!(queue.is_full());
        assert_eq!(queue.try_get_slice(&mut vec![[0; 3]; 3 * capacity]).unwrap(), capacity, "{queue:?}");
    }
}

impl Numbered for [u8] {
    fn make(number: u64, rng: &mut Rng) -> Vec<u8> {
        // A few of them are larger than what is copied under a lock.
        let length = if rng.chance(3) { 4_000 + rng.below(2_000) } else { rng.below(200) };
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend(pattern(number, length as usize));
        bytes
    }

    fn number(&self) -> u64 {
        let number = u64::from_le_bytes(self[..8].try_into().expect("eight bytes"));
        assert!(matches_pattern(number, &self[8..]), "message {number} is torn");
        number
    }

    fn put_in_place(to: &Put<'_, [u8]>, number: u64, rng: &mut Rng, commit: bool) -> Result<(), PutError> {
        let message = <[u8]>::make(number, rng);
        let mut loan = on_either!(Put, to, loan_len_timeout(message.len() + rng.below(100) as usize, SHORT))?;
        linger(rng);
        loan[..message.len()].copy_from_slice(&message);
        if commit { loan.commit_len(message.len()) } else { Ok(()) }
    }

    fn put_batch(to: &Put<'_, [u8]>, numbers: &[u64], rng: &mut Rng) -> Result<usize, PutError> {
        to.put(numbers[0], rng).map(|()| 1)
    }

    fn get_batch(from: &Get<'_, [u8]>, _: usize) -> Result<Vec<u64>, GetError> {
        let mut buffer = [0; 6_100];
        let length = on_either!(Get, from, get_into_timeout(&mut buffer, SHORT))?;
        Ok(vec![buffer[..length].number()])
    }

    fn expect_whole_capacity(queue: &Queue<[u8]>) {
        for _ in 0..3 {
            queue.try_put(&vec![1; queue.max_len()]).unwrap();
            assert_eq!(queue.try_get().unwrap().len(), queue.max_len());
        }
    }
}
