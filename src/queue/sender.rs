//! [`Sender`]: a handle that only puts, and that counts for the end of the stream.

use super::forward::Accepts;
#[cfg(all(feature = "object", feature = "async"))]
use super::put::slice_bytes;
use super::put::{lend_slice, loan_of};
use crate::error::PutError;
use crate::message::{Message, Plain};
use crate::queue::guard::Loan;
#[cfg(all(feature = "object", feature = "async"))]
use crate::raw::Ticket;
use crate::raw::{BY_LOCK, RawQueue, Role, RoleHandle};
use crate::ring::SIZED_RING;
use crate::shm::participant::Id;
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle of a queue that puts and does not get: one of many, each call by the lock, as by
/// [`Queue`](crate::Queue). Made by [`Queue::sender`](crate::Queue::sender); a clone is one more
/// sender.
///
/// **The end of the stream.** Where the queue was built with
/// [`close_when_unused`](crate::QueueBuilder::close_when_unused), receivers drain it and then get
/// `Closed` once the last sender of all processes is gone, dropped or dead: what `Disconnected` is
/// in crossbeam, and the end of a pipe. A [`Producer`](crate::Producer) is a sender too, and a
/// [`Queue`](crate::Queue) is sender and receiver. Closing is for good.
///
/// **Dead processes.** A process that was killed has no sender any more. A receiver that waits
/// learns it within 0.1 s of the death.
///
/// **Fork.** A child inherits every handle, and one counts there from its first call. Where it must
/// count before that (since the program drops its own at once), name it:
/// [`ProcessBuilder::keep`](crate::ProcessBuilder::keep). What a child does not use keeps nothing
/// open.
///
/// **Sent.** Serialised with `serde`, it arrives as a sender. It counts all the while, as long as
/// the process lives, and is attached, that sent it: so that may drop its own at once. One that was
/// serialised and never is deserialised counts until that process leaves the queue: one that was
/// put in vain (`Full`, `Timeout`), or inside an object of more than 64 KiB, which is encoded
/// twice, among them.
///
/// ```
/// use shmq::{GetError, Process, Queue};
///
/// let queue = Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
/// let (sender, receiver) = (queue.sender(), queue.receiver());
/// drop(queue); // it is a sender, too
///
/// let child = Process::builder().keep(&sender).spawn(move || {
///     (0..3).try_for_each(|n| sender.put(&n))
/// })?; // the child's counts, and ours was dropped
/// let numbers: Vec<u64> = receiver.iter().collect::<Result<_, _>>()?;
/// assert_eq!(numbers, [0, 1, 2]);
/// assert!(matches!(receiver.get(), Err(GetError::Closed)));
/// # child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sender<T: ?Sized> {
    pub(super) raw: RoleHandle,
    /// As the builder was given them; parts of the serialised handle.
    pub(super) schema: Option<Arc<str>>,
    pub(super) structure: Option<Arc<str>>,
    carries: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Sender<T> {
    pub(super) fn new(raw: Arc<RawQueue>, schema: Option<Arc<str>>, structure: Option<Arc<str>>) -> Sender<T> {
        Sender { raw: RoleHandle::new(raw, Role::Sender), schema, structure, carries: PhantomData }
    }

    pub(crate) fn used(&self) -> Result<(&RawQueue, Id), PutError> {
        let me = self.raw.me()?;
        Ok((&self.raw, me))
    }

    pub(crate) fn shared(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }

    #[inline(always)]
    pub(crate) fn put_for(&self, v: &T, wait: Wait) -> Result<(), PutError>
    where
        T: Message,
    {
        self.raw.put::<BY_LOCK, T>(self.raw.me()?, v, wait)
    }
}

impl<T: ?Sized + Message> Sender<T> {
    blocking_forms! {
        /// As [`Queue::put`](crate::Queue::put).
        ///
        /// # Errors
        /// As there: [`PutError::Closed`] also once no receiver is left, where the queue closes
        /// [when unused](crate::QueueBuilder::close_when_unused). One that died is missed when a
        /// put has to wait, within 0.1 s: as long as there is room, puts succeed.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
        /// let (sender, receiver) = (queue.sender(), queue.receiver());
        /// drop(queue);
        /// sender.put(&1)?;
        /// drop(receiver);
        /// assert!(matches!(sender.put(&2), Err(shmq::PutError::Closed)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> { self.put_for(v, wait) }
    }

    /// The same sender once more, whose waits end with [`PutError::Interrupted`] once `stop` is
    /// set. As [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
    /// let sender = queue.sender().with_stop(&stop);
    /// sender.put(&1)?;
    /// stop.set();
    /// assert!(matches!(sender.put(&2), Err(shmq::PutError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Sender<T> {
        let (schema, structure) = (self.schema.clone(), self.structure.clone());
        Sender { raw: self.raw.with_stop(stop), schema, structure, carries: PhantomData }
    }

    /// Is the queue closed: by [`close`](crate::Queue::close), or since one side is gone?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(8)?;
    /// let sender = queue.sender();
    /// queue.close();
    /// assert!(sender.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

impl<T: Message> Sender<T> {
    blocking_forms! {
        /// As [`Queue::put_slice`](crate::Queue::put_slice).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// assert_eq!(queue.sender().put_slice(&[1, 2, 3])?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> { self.raw.put_values::<BY_LOCK, T>(self.raw.me()?, v, wait) }
    }

    blocking_forms! {
        /// As [`Queue::loan`](crate::Queue::loan).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 65536]>::new(4)?;
        /// let sender = queue.sender();
        /// let mut frame = sender.loan()?;
        /// frame.fill(1);
        /// frame.commit()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<Loan<'_, T>, PutError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = self.raw.claim::<BY_LOCK, SIZED_RING>(Some(me), size_of::<T>(), wait)?;
            Ok(loan_of(&self.raw, record, size_of::<T>()))
        }
    }
}

impl<X> Sender<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// As [`Queue::loan_len`](crate::Queue::loan_len).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let sender = queue.sender();
        /// let mut loan = sender.loan_len(100)?;
        /// loan[..3].copy_from_slice(&[1, 2, 3]);
        /// loan.commit_len(3)?;
        /// assert_eq!(queue.get()?, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'_, [X]>, PutError> { self.loan_len_for(n, wait) }
    }

    pub(crate) fn loan_len_for(&self, n: usize, wait: Wait) -> Result<Loan<'_, [X]>, PutError> {
        let me = self.raw.me()?;
        lend_slice::<X, BY_LOCK>(&self.raw, Some(me), n, wait)
    }
}

impl<T: ?Sized + Message> Accepts<T> for Sender<T> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        self.put_for(message, wait)
    }
}

impl<T: ?Sized> Clone for Sender<T> {
    /// One more sender of the same attachment.
    fn clone(&self) -> Self {
        Sender { raw: self.raw.clone(), schema: self.schema.clone(), structure: self.structure.clone(), carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Sender<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Sender").field(&*self.raw).finish()
    }
}

#[cfg(all(feature = "object", feature = "async"))]
impl Sender<[u8]> {
    /// One try of a loan, for a future.
    pub(crate) fn loan_len_at_once(&self, n: usize, ticket: &mut Ticket) -> Result<Loan<'_, [u8]>, PutError> {
        let (raw, me) = self.used()?;
        let bytes = slice_bytes::<u8>(raw, n)?;
        Ok(loan_of(raw, raw.claim_at_once_by::<BY_LOCK>(me, bytes, ticket)?, bytes))
    }
}
