//! Getting objects: a message is decoded, by copy or on lease, by a handle of the queue or by a
//! consumer.

use super::{Codec, ObjectLease, ObjectQueue};
use crate::error::GetError;
use crate::queue::guard::{DoneOnDrop, Leased, OnDrop};
use crate::raw::BY_LOCK;
use crate::raw::{Ends, MessageId, RawQueue};
use crate::ring::SLICE_RING;
use crate::shm::letter::Reason;
use crate::shm::participant::Id;
use crate::wait::{Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

pub(crate) fn decode<T: DeserializeOwned, C: Codec>(bytes: &[u8]) -> Result<T, GetError> {
    let mut rest = bytes;
    let error = match C::decode(&mut rest) {
        Ok(value) if rest.is_empty() => return Ok(value),
        Ok(_) => format!("{} bytes are left over behind the value", rest.len()).into(),
        Err(error) => error,
    };
    Err(GetError::Decode { source: error, bytes: bytes.to_vec() })
}

/// Leases the next message. Without deciding yet whether it can be decoded: the lease gives it back
/// if decoding it panics.
pub(super) fn lease<const OWNED: bool, D: OnDrop>(raw: &RawQueue, me: Id, wait: Wait) -> Result<Leased<'_, [u8], D>, GetError> {
    Ok(Leased::borrowed(raw, raw.lease::<OWNED, SLICE_RING>(me, wait)?))
}

/// The same, with a lease that keeps the segment attached by itself.
pub(super) fn lease_owned<const OWNED: bool, D: OnDrop>(
    raw: &Arc<RawQueue>,
    me: Id,
    wait: Wait,
) -> Result<Leased<'static, [u8], D>, GetError> {
    Ok(Leased::<[u8], D>::shared(Arc::clone(raw), raw.lease::<OWNED, SLICE_RING>(me, wait)?))
}

/// Gives up a message that could not be decoded, to the queue for dead letters.
#[cold]
fn give_up<D: OnDrop>(raw: &RawQueue, lease: Leased<'_, [u8], D>, error: &GetError, ends: Ends) {
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
    me: Id,
    wait: Wait,
) -> Result<T, GetError> {
    if !raw.has_dead_letters() {
        return raw.get_bytes::<OWNED, _>(me, wait, decode::<T, C>)?;
    }
    receive_with_id::<OWNED, T, C>(raw, me, wait).map(|(value, _)| value)
}

/// Ends the lease of a message that was got by copy and could not be decoded.
#[cold]
fn end_undecoded<const OWNED: bool, D: OnDrop>(
    raw: &RawQueue,
    lease: Leased<'_, [u8], D>,
    error: &GetError,
    wait: Wait,
) -> Result<(), GetError> {
    if raw.has_dead_letters() {
        give_up(raw, lease, error, Ends::Copied);
        return Ok(());
    }
    lease.into_record().map_or(Ok(()), |record| raw.finish_copy::<OWNED>(record, wait))
}

/// By copy for the caller: the message goes with the process, and is owed a `task_done`. But it is
/// on lease until it is decoded, so that it can still become a dead letter.
pub(super) fn receive_with_id<const OWNED: bool, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    me: Id,
    wait: Wait,
) -> Result<(T, MessageId), GetError> {
    let lease = lease::<OWNED, DoneOnDrop>(raw, me, wait)?;
    let id = lease.id();
    match decode::<T, C>(&lease.copied()) {
        Ok(value) => {
            if let Some(record) = lease.into_record() {
                raw.finish_copy::<OWNED>(record, wait)?;
            }
            Ok((value, id))
        }
        Err(error) => {
            end_undecoded::<OWNED, DoneOnDrop>(raw, lease, &error, wait)?;
            Err(error)
        }
    }
}

pub(crate) fn receive_many<const OWNED: bool, T: DeserializeOwned, C: Codec>(
    raw: &RawQueue,
    me: Id,
    most: usize,
    wait: Wait,
) -> Result<Vec<T>, GetError> {
    let mut values = Vec::new();
    if most == 0 {
        return Ok(values);
    }
    values.push(receive::<OWNED, T, C>(raw, me, wait)?);
    let more = if wait == Wait::AtOnce { wait } else { Wait::Never };
    while values.len() < most {
        let Ok(lease) = lease::<OWNED, DoneOnDrop>(raw, me, more) else { break };
        // The next call returns the error, and for it this is the first delivery.
        let Ok(value) = decode::<T, C>(&lease.copied()) else {
            if let Some(record) = lease.into_record() {
                // Poisoned: the next verb returns it.
                let _ = raw.give_back_uncounted(record);
            }
            break;
        };
        if lease.into_record().is_some_and(|record| raw.finish_copy::<OWNED>(record, more).is_err()) {
            break;
        }
        values.push(value);
    }
    Ok(values)
}

/// The value of a lease, decoded from a copy: a peer that writes to the record meanwhile cannot
/// make a `String` of bytes that are not UTF-8.
pub(super) fn decode_leased<'q, T: DeserializeOwned, C: Codec, D: OnDrop>(
    raw: &RawQueue,
    lease: Leased<'q, [u8], D>,
) -> Result<(T, Leased<'q, [u8], D>), GetError> {
    match decode::<T, C>(&lease.copied()) {
        Ok(value) => Ok((value, lease)),
        Err(error) => {
            if raw.has_dead_letters() {
                give_up(raw, lease, &error, Ends::Released);
            } else {
                // Poisoned: the next verb returns it.
                drop(lease.into_record().map(|record| raw.release(record)));
            }
            Err(error)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    blocking_forms! {
        /// Gets one value; waits while the queue is empty. By copy: it goes with the process that
        /// got it.
        ///
        /// # Errors
        /// [`GetError::Decode`] if the message is not a value of the type, or leaves bytes over:
        /// the error has its bytes. The message is consumed; where the queue has one for
        /// [dead letters](crate::QueueBuilder::dead_letters), it is put there first. Otherwise as
        /// [`Queue::get`](crate::Queue::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<Vec<(u32, String)>>::new(4)?;
        /// queue.put(&vec![(1, "one".into())])?;
        /// assert_eq!(queue.get()?, [(1, "one".to_string())]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T, GetError> {
            let raw = self.bytes.raw();
            receive::<BY_LOCK, T, C>(raw, raw.me_in_both_roles()?, wait)
        }
    }

    blocking_forms! {
        /// Gets as many values as there are, up to `most`, waiting until there is at least one.
        ///
        /// # Errors
        /// As [`get`](Self::get) for the first. One behind it that cannot be decoded is left for
        /// the next call.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// assert_eq!((queue.get_batch(2)?, queue.get_batch(2)?), (vec![1, 2], vec![3]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_batch, try_get_batch, get_batch_timeout, get_batch_deadline, none: "Empty",
        |self, wait, most: usize| -> Result<Vec<T>, GetError> {
            let raw = self.bytes.raw();
            receive_many::<BY_LOCK, T, C>(raw, raw.me_in_both_roles()?, most, wait)
        }
    }

    blocking_forms! {
        /// Leases one message and decodes it; waits while the queue is empty. The message stays in
        /// the queue until the lease ends: if the process dies before, it is delivered again,
        /// before newer ones.
        ///
        /// # Errors
        /// As [`get`](Self::get): a message that does not decode is consumed, since it never will.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease()?;
        /// assert_eq!(job.len(), 3); // ... do it ...
        /// job.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'_, T>, GetError> {
            let raw = self.bytes.raw();
            decode_leased::<T, C, _>(raw, lease::<BY_LOCK, _>(raw, raw.me_in_both_roles()?, wait)?).map(ObjectLease::new)
        }
    }

    blocking_forms! {
        /// Leases one message with a lease that keeps the segment attached by itself, and so may
        /// outlive this handle; otherwise as [`lease`](Self::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(std::thread::spawn(move || job.take()).join().unwrap(), "job");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'static, T>, GetError> {
            let raw = self.bytes.raw();
            decode_leased::<T, C, _>(raw, lease_owned::<BY_LOCK, _>(raw, raw.me_in_both_roles()?, wait)?).map(ObjectLease::new)
        }
    }
}
