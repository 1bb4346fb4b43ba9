//! Values on their way: encoded into a queue, and decoded from one, by its handles and its
//! endpoints alike.

use super::{Codec, ObjectLease};
use crate::error::{GetError, PutError};
use crate::message::Travel;
use crate::queue::guard::{Lease, Loan};
use crate::queue::{Producer, Queue};
use crate::raw::{Ends, LeasedRecord, RawQueue, Wait};
use crate::shm::letter::Reason;
use crate::shm::participant::Id;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};

/// Encoded values up to this size are encoded once and put by copy, larger ones are measured and
/// encoded straight into the ring: a small loan costs several times what a small copy does. Where
/// exactly the two meet was not measured.
const SMALL_BYTES: usize = 1024;

/// What a queue of `Self` takes: a `Self`, and a `str` for a `String`, which is encoded in the same
/// way.
#[diagnostic::on_unimplemented(
    message = "a `{Q}` cannot be put into a queue of `{Self}`",
    label = "the queue takes a reference to a `{Self}`"
)]
pub trait PutAs<Q: ?Sized> {}

// Two for `String` and one for every other type: with one, the type of an argument is inferred, as
// in `put(&numbers.collect())`.
impl<T> PutAs<T> for T {}
impl PutAs<str> for String {}

/// The four forms of putting one object.
macro_rules! put_verbs {
    ($(#[$doc:meta])* |$this:ident, $value:ident, $wait:ident| $body:block) => {
        $(#[$doc])*
        pub fn put<Q: Serialize + ?Sized>(&$this, $value: &Q) -> Result<(), PutError>
        where
            T: PutAs<Q>,
        {
            let $wait = Wait::FOREVER;
            $body
        }

        /// Like [`put`](Self::put) without waiting: `Full` at once.
        ///
        /// A contended lock is not that: after about 1 ms of it (its holder is stopped or starved)
        /// the error is `Busy`. A dead holder is none: the call repairs what it left, and goes on.
        ///
        /// # Errors
        /// `Full`, `Busy`, or as [`put`](Self::put).
        pub fn try_put<Q: Serialize + ?Sized>(&$this, $value: &Q) -> Result<(), PutError>
        where
            T: PutAs<Q>,
        {
            let $wait = Wait::Never;
            $body
        }

        /// Like [`put`](Self::put), but gives up with `Timeout` after `timeout`, never earlier.
        /// Zero means one try; one too long to add to now means for ever.
        ///
        /// # Errors
        /// `Timeout`, or as [`put`](Self::put).
        pub fn put_timeout<Q: Serialize + ?Sized>(&$this, $value: &Q, timeout: std::time::Duration) -> Result<(), PutError>
        where
            T: PutAs<Q>,
        {
            let $wait = Wait::Until(crate::os::deadline_after(timeout));
            $body
        }

        /// Like [`put`](Self::put), but gives up with `Timeout` at `deadline`, never earlier. A
        /// deadline in the past means one try.
        ///
        /// # Errors
        /// `Timeout`, or as [`put`](Self::put).
        pub fn put_deadline<Q: Serialize + ?Sized>(&$this, $value: &Q, deadline: std::time::Instant) -> Result<(), PutError>
        where
            T: PutAs<Q>,
        {
            let $wait = Wait::Until(crate::os::deadline_at(deadline));
            $body
        }
    };
}
pub(super) use put_verbs;

/// Where encoded values are put.
pub(super) trait PutSide {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError>;
    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError>;
}

impl PutSide for Queue<[u8]> {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        bytes.send(self.raw(), wait)
    }

    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        self.loan_patiently(length, wait)
    }
}

impl PutSide for Producer<[u8]> {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        Producer::put_bytes(self, bytes, wait)
    }

    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        self.loan_patiently(length, wait)
    }
}

/// Where the first pass writes: keeps what fits and counts all.
struct Small {
    bytes: [u8; SMALL_BYTES],
    length: usize,
}

impl Write for Small {
    #[inline]
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let end = self.length + more.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(more);
        }
        self.length = end;
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn send<T: Serialize + ?Sized, C: Codec>(to: &impl PutSide, value: &T, wait: Wait) -> Result<(), PutError> {
    let mut small = Small { bytes: [0; SMALL_BYTES], length: 0 };
    C::encode(value, &mut small).map_err(|error| PutError::Encode { source: error })?;
    match small.bytes.get(..small.length) {
        Some(bytes) => to.put_bytes(bytes, wait),
        None => send_in_place::<T, C>(to, value, small.length, wait),
    }
}

#[cold]
fn send_in_place<T: Serialize + ?Sized, C: Codec>(
    to: &impl PutSide,
    value: &T,
    length: usize,
    wait: Wait,
) -> Result<(), PutError> {
    let mut loan = to.lend(length, wait)?;
    let mut room: &mut [u8] = &mut loan;
    C::encode(value, &mut room).map_err(|error| PutError::Encode { source: error })?;
    let written = length - room.len();
    loan.commit_len(written)
}

pub(super) fn send_all<T: Serialize, C: Codec>(to: &impl PutSide, values: &[T], wait: Wait) -> Result<usize, PutError> {
    for (sent, value) in values.iter().enumerate() {
        match send::<T, C>(to, value, wait) {
            Ok(()) => {}
            Err(error) if sent == 0 => return Err(error),
            Err(_) => return Ok(sent),
        }
    }
    Ok(values.len())
}

pub(crate) fn decode<T: DeserializeOwned, C: Codec>(bytes: &[u8]) -> Result<T, GetError> {
    let mut rest = bytes;
    let error = match C::decode(&mut rest) {
        Ok(value) if rest.is_empty() => return Ok(value),
        Ok(_) => format!("{} bytes are left over behind the value", rest.len()).into(),
        Err(error) => error,
    };
    Err(GetError::Decode { source: error, bytes: bytes.to_vec() })
}

/// Leases what comes next.
pub(super) fn lease<const OWNED: bool>(raw: &RawQueue, me: Option<Id>, wait: Wait) -> Result<Lease<'_, [u8]>, GetError> {
    Ok(guarding(raw, raw.lease::<OWNED, false>(me, wait)?))
}

/// A lease that gives its message back if decoding it panics.
fn guarding(raw: &RawQueue, record: LeasedRecord) -> Lease<'_, [u8]> {
    let message = <[u8]>::pointer(record.payload, record.length);
    Lease::borrowed(raw, record, message)
}

/// Gives up what could not be decoded: to the queue for dead letters, if there is one.
#[cold]
fn give_up(raw: &RawQueue, lease: Lease<'_, [u8]>, error: &GetError, ends: Ends) {
    let why = match error {
        GetError::Decode { source: error, .. } => error.to_string(),
        other => other.to_string(),
    };
    let Some(record) = lease.into_record() else { return };
    let deliveries = record.deliveries();
    raw.give_up_to_letters(record, deliveries, Reason::NotDecoded { why }, ends);
}

pub(super) fn receive<const OWNED: bool, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    me: Option<Id>,
    wait: Wait,
) -> Result<T, GetError> {
    if !raw.has_dead_letters() {
        return decode::<T, C>(&raw.get_vec::<OWNED, u8>(me, wait)?);
    }
    receive_on_lease::<OWNED, T, C>(raw, me, wait)
}

/// By copy for the caller: it goes with the process, and is owed a `task_done`. But it is on lease
/// until it is decoded.
fn receive_on_lease<const OWNED: bool, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    me: Option<Id>,
    wait: Wait,
) -> Result<T, GetError> {
    let lease = lease::<OWNED>(raw, me, wait)?;
    match decode::<T, C>(&lease.copied()) {
        Ok(value) => {
            if let Some(record) = lease.into_record() {
                raw.finish_copy(record)?;
            }
            Ok(value)
        }
        Err(error) => {
            give_up(raw, lease, &error, Ends::Copied);
            Err(error)
        }
    }
}

pub(super) fn receive_many<const OWNED: bool, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    me: Option<Id>,
    most: usize,
    wait: Wait,
) -> Result<Vec<T>, GetError> {
    let mut values = Vec::new();
    if most == 0 {
        return Ok(values);
    }
    values.push(receive::<OWNED, T, C>(raw, me, wait)?);
    while values.len() < most {
        let Ok(lease) = lease::<OWNED>(raw, me, Wait::Never) else { break };
        // The next caller is told, for whom it is the first delivery.
        let Ok(value) = decode::<T, C>(&lease.copied()) else {
            if let Some(record) = lease.into_record() {
                // Poisoned: told by the next verb.
                let _ = raw.give_back_uncounted(record);
            }
            break;
        };
        if lease.into_record().is_some_and(|record| raw.finish_copy(record).is_err()) {
            break;
        }
        values.push(value);
    }
    Ok(values)
}

/// The value of a lease. From a copy: a peer that writes to the record meanwhile cannot make a
/// `String` of what is none.
pub(super) fn decode_leased<'q, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    lease: Lease<'q, [u8]>,
) -> Result<ObjectLease<'q, T>, GetError> {
    match decode::<T, C>(&lease.copied()) {
        Ok(value) => Ok(ObjectLease::new(value, lease)),
        Err(error) => {
            if raw.has_dead_letters() {
                give_up(raw, lease, &error, Ends::Released);
            } else {
                lease.release();
            }
            Err(error)
        }
    }
}
