//! Putting objects: a value is encoded into a queue, by a handle of the queue or by a producer.

use super::{Codec, ObjectQueue};
use crate::error::PutError;
use crate::queue::guard::Loan;
use crate::queue::{Accepts, Producer, Queue};
use crate::raw::{BY_LOCK, encode_to_all};
use crate::wait::{Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::io::{self, Write};

/// Encoded values up to this size are encoded once and put by copy: to encode a byte costs several
/// times what copying it does. Larger ones are measured first and encoded straight into the ring,
/// so that no thread keeps a buffer of their size.
const COPIED_BYTES: usize = 64 << 10;

/// The largest buffer that a thread or a subscriber keeps: what grew by doubling until it held as
/// much.
pub(super) const KEPT_BYTES: usize = 2 * COPIED_BYTES;

thread_local! {
    /// What this thread encodes into. Taken while it is in use: a value that is being encoded may
    /// put another one.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a queue of `Self` takes: a `Self`, and a `str` for a `String`, which is encoded in the same
/// way.
///
/// ```
/// use serde::{Serialize, de::DeserializeOwned};
/// use shmq::{ObjectQueue, PutAs, PutError};
///
/// fn put_twice<T, Q>(queue: &ObjectQueue<T>, value: &Q) -> Result<(), PutError>
/// where
///     T: Serialize + DeserializeOwned + PutAs<Q>,
///     Q: Serialize + ?Sized,
/// {
///     queue.put(value)?;
///     queue.put(value)
/// }
///
/// let queue = ObjectQueue::<String>::new(4)?;
/// put_twice(&queue, "text")?;
/// assert_eq!(queue.get_batch(4)?, ["text", "text"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{Q}` cannot be put into a queue of `{Self}`",
    label = "the queue takes a reference to a `{Self}`"
)]
pub trait PutAs<Q: ?Sized> {}

// Two for `String` and one for every other type: with one alone, the type of an argument can be
// inferred, as in `put(&numbers.collect())`.
impl<T> PutAs<T> for T {}
impl PutAs<str> for String {}

/// Where encoded values are put.
pub(super) trait PutBytes {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError>;
    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError>;
}

impl PutBytes for Queue<[u8]> {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        let raw = self.raw();
        raw.put::<BY_LOCK, [u8]>(raw.me_in_both_roles()?, bytes, wait)
    }

    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        self.loan_len_for(length, wait)
    }
}

impl PutBytes for Producer<[u8]> {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        Producer::put_bytes(self, bytes, wait)
    }

    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        self.loan_len_for(length, wait)
    }
}

/// The buffer of the first pass: keeps what fits, and counts all bytes.
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    length: usize,
    /// Bytes that it keeps.
    most: usize,
}

impl Encoded {
    /// Encodes a value into the thread's buffer, or learns how long it is.
    #[inline]
    pub(crate) fn of<T: Serialize + ?Sized, C: Codec>(value: &T) -> Result<Encoded, PutError> {
        Encoded::upto::<T, C>(value, COPIED_BYTES)
    }

    /// The same for all subscribers of a topic, which is published by copy, whatever its length: a
    /// loan of a topic excludes lossy subscribers of this process.
    pub(super) fn to_all<T: Serialize + ?Sized, C: Codec>(value: &T, most: usize) -> Result<Encoded, PutError> {
        encode_to_all(|| Encoded::upto::<T, C>(value, most))
    }

    #[inline]
    fn upto<T: Serialize + ?Sized, C: Codec>(value: &T, most: usize) -> Result<Encoded, PutError> {
        // Empty at the beginning and the end of a thread.
        let mut encoded = Encoded { bytes: BUFFER.try_with(Cell::take).unwrap_or_default(), length: 0, most };
        encoded.bytes.clear();
        C::encode(value, &mut encoded).map_err(|error| PutError::Encode { source: error })?;
        Ok(encoded)
    }

    /// The bytes, if they are not too many to be put by copy.
    #[inline]
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        (self.length <= self.most).then_some(&self.bytes[..])
    }

    /// Gives the thread its buffer back.
    #[inline]
    pub(crate) fn end(self) {
        if self.bytes.capacity() > KEPT_BYTES {
            return;
        }
        let _ = BUFFER.try_with(|buffer| buffer.set(self.bytes));
    }
}

impl Encoded {
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

#[cfg(feature = "async")]
impl Encoded {
    /// Keeps the bytes, in memory of their own, and gives the thread its buffer back.
    pub(crate) fn kept(self) -> Encoded {
        let bytes = self.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let (length, most) = (self.length, self.most);
        self.end();
        Encoded { bytes, length, most }
    }
}

impl Write for Encoded {
    #[inline]
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.length += more.len();
        if self.length <= self.most {
            self.bytes.extend_from_slice(more);
        }
        Ok(more.len())
    }

    #[inline]
    fn write_all(&mut self, more: &[u8]) -> io::Result<()> {
        self.write(more).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn send<T: Serialize + ?Sized, C: Codec>(to: &impl PutBytes, value: &T, wait: Wait) -> Result<(), PutError> {
    let encoded = Encoded::of::<T, C>(value)?;
    let Some(bytes) = encoded.bytes() else {
        return encode_in_place::<T, C>(to.lend(encoded.length, wait)?, value, encoded.length);
    };
    let sent = to.put_bytes(bytes, wait);
    encoded.end();
    sent
}

/// Encodes a value into a loan of `length` bytes, which it needs, and commits that.
#[cold]
pub(crate) fn encode_in_place<T: Serialize + ?Sized, C: Codec>(
    mut loan: Loan<'_, [u8]>,
    value: &T,
    length: usize,
) -> Result<(), PutError> {
    let mut room: &mut [u8] = &mut loan;
    C::encode(value, &mut room).map_err(|error| PutError::Encode { source: error })?;
    let written = length - room.len();
    loan.commit_len(written)
}

pub(super) fn send_all<T: Serialize, C: Codec>(to: &impl PutBytes, values: &[T], wait: Wait) -> Result<usize, PutError> {
    for (sent, value) in values.iter().enumerate() {
        match send::<T, C>(to, value, wait) {
            Ok(()) => {}
            Err(error) if sent == 0 => return Err(error),
            Err(_) => return Ok(sent),
        }
    }
    Ok(values.len())
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    blocking_forms! {
        /// Encodes one value and puts it; waits while the queue is full. A queue of `String` takes
        /// a `&str` too.
        ///
        /// When it returns `Ok`, the message is in shared memory, independent of the value, and is
        /// not lost if this process dies. Up to 64 KiB are encoded once, into a buffer that the
        /// thread keeps, and copied; more is encoded twice, once to learn its length and once into
        /// the ring.
        ///
        /// # Errors
        /// [`PutError::Encode`] if the value cannot be encoded, [`PutError::TooLarge`] if it never
        /// fits; otherwise as [`Queue::put`]. Nothing was enqueued.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(1)?;
        /// queue.put("one")?;
        /// assert!(matches!(queue.try_put(&String::from("two")), Err(shmq::PutError::Full)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full", for [Q: Serialize + ?Sized]
        |self, wait, value: &Q| -> Result<(), PutError> [where T: PutAs<Q>] {
            send::<_, C>(&self.bytes, value, wait)
        }
    }

    blocking_forms! {
        /// Puts all values in order, waiting for room as often as needed. Returns how many were
        /// put, which is all of them. An empty slice is `Ok(0)`.
        ///
        /// # Errors
        /// As [`put`](Self::put) if *none* was put. If some were, `Ok` has how many, and the next
        /// call returns the error.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// assert_eq!(queue.put_slice(&["a".to_string(), "b".to_string()])?, 2);
        /// assert_eq!(queue.get_batch(10)?, ["a", "b"]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> {
            send_all::<T, C>(&self.bytes, values, wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Accepts<T> for ObjectQueue<T, C> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        send::<T, C>(&self.bytes, message, wait)
    }
}
