//! [`Producer`] and [`Consumer`]: a side of the queue, held for the endpoint's life.

use super::by_form::{GetOwned, TakeLeaseOwned};
#[cfg(all(feature = "object", feature = "async"))]
use super::put::slice_bytes;
use super::put::{lend_slice, loan_of};
use crate::error::{GetError, PutError};
use crate::message::{Message, Plain, Way};
use crate::queue::guard::{Lease, LeaseMut, Leased, Loan, OnDrop};
#[cfg(all(feature = "object", feature = "async"))]
use crate::raw::Ticket;
use crate::raw::{BY_OWNER, ToOne};
use crate::raw::{RawQueue, Role, RoleHandle, Side, SideOwner};
#[cfg(feature = "object")]
use crate::shm::participant::Id;
use crate::wait::blocking_forms;
use crate::wait::{Stop, Wait};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The put side of a queue, held by one owner: no lock per message. Dropping it frees the side.
///
/// Made by [`Queue::producer`](crate::Queue::producer). It can be sent to another thread, not
/// shared. If its process dies, the side is free for others. Inherited across `fork` it belongs to
/// the parent: every verb returns [`PutError::Inherited`].
///
/// ```
/// let queue = shmq::Queue::<u64>::new(1024)?;
/// let producer = queue.producer()?;
/// producer.put(&1)?;
/// producer.put_slice(&[2, 3])?;
/// let mut loan = producer.loan()?;
/// *loan = 4;
/// loan.commit()?;
/// let mut all = [0; 4];
/// assert_eq!((queue.get_slice(&mut all)?, all), (4, [1, 2, 3, 4]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<T: ?Sized> {
    pub(super) raw: RoleHandle,
    /// Not `Sync`, which also keeps the endpoint to one thread at a time.
    pub(super) owner: SideOwner,
    carries: PhantomData<fn() -> Box<T>>,
}

/// The get side of a queue, held by one owner: no lock per message. Dropping it frees the side.
///
/// Made by [`Queue::consumer`](crate::Queue::consumer). It can be sent to another thread, not
/// shared. If its process dies, the side is free for others, and what it held on lease comes back.
/// While it lives, only its calls can bring back what other dead processes hold, as those of a
/// [`Queue`](crate::Queue) do; a consumer that makes no calls keeps those messages waiting.
/// Inherited across `fork` it belongs to the parent: every verb returns [`GetError::Inherited`].
///
/// ```
/// let queue = shmq::Queue::<u64>::new(8)?;
/// queue.put_slice(&[1, 2, 3, 4])?;
/// let consumer = queue.consumer()?;
/// let mut buffer = [0; 2];
/// assert_eq!(consumer.get()?, 1);
/// assert_eq!((consumer.get_slice(&mut buffer)?, buffer), (2, [2, 3]));
/// assert_eq!(*consumer.lease()?, 4);
/// assert!(matches!(consumer.try_get(), Err(shmq::GetError::Empty)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T: ?Sized> {
    pub(super) raw: RoleHandle,
    /// Not `Sync`, which also keeps the endpoint to one thread at a time.
    pub(super) owner: SideOwner,
    carries: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Producer<T> {
    pub(super) fn new(raw: Arc<RawQueue>) -> Result<Producer<T>, PutError> {
        let owner = raw.acquire(Side::Put)?;
        Ok(Producer { raw: RoleHandle::new(raw, Role::Sender), owner, carries: PhantomData })
    }

    pub(crate) fn parts(&self) -> (&Arc<RawQueue>, &SideOwner) {
        (self.raw.shared(), &self.owner)
    }
}

impl<T: ?Sized> Consumer<T> {
    pub(super) fn new(raw: Arc<RawQueue>) -> Result<Consumer<T>, GetError> {
        let owner = raw.acquire(Side::Get)?;
        Ok(Consumer { raw: RoleHandle::new(raw, Role::Receiver), owner, carries: PhantomData })
    }

    pub(crate) fn parts(&self) -> (&Arc<RawQueue>, &SideOwner) {
        (self.raw.shared(), &self.owner)
    }

    /// For `wait_any`, which waits for several things at once. `None` if it is inherited: its verbs
    /// do not wait.
    pub(crate) fn waited_for(&self) -> Option<&RawQueue> {
        self.raw.check(&self.owner).is_ok().then_some(&*self.raw)
    }
}

impl<T: ?Sized> Producer<T> {
    /// The same endpoint, whose waits end with [`PutError::Interrupted`] once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
    /// queue.put(&1)?;
    /// let producer = queue.producer()?.with_stop(&stop);
    /// stop.set();
    /// assert!(producer.put(&2).unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(mut self, stop: &Stop) -> Self {
        self.raw = self.raw.with_stop(stop);
        self
    }
}

impl<T: ?Sized + Message> Producer<T> {
    blocking_forms! {
        /// As [`Queue::put`](crate::Queue::put).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// let producer = queue.producer()?;
        /// producer.put(&1)?;
        /// assert_eq!(queue.get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> {
            if self.raw.try_put::<ToOne, T>(&self.owner, v) { Ok(()) } else { self.raw.put_owned::<ToOne, T>(&self.owner, v, wait) }
        }
    }
}

impl<T: ?Sized + Message> Producer<T> {
    pub(super) fn put_for(&self, v: &T, wait: Wait) -> Result<(), PutError> {
        if self.raw.try_put::<ToOne, T>(&self.owner, v) { Ok(()) } else { self.raw.put_owned::<ToOne, T>(&self.owner, v, wait) }
    }
}

#[cfg(feature = "object")]
impl Producer<[u8]> {
    pub(crate) fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.put_for(bytes, wait)
    }

    pub(crate) fn loan_len_for(&self, n: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        let me = self.raw.check(&self.owner)?;
        lend_slice::<u8, BY_OWNER>(&self.raw, Some(me), n, wait)
    }
}

#[cfg(all(feature = "object", feature = "async"))]
impl Producer<[u8]> {
    /// One try of a loan, for a future.
    pub(crate) fn loan_len_at_once(&self, n: usize, ticket: &mut Ticket) -> Result<Loan<'_, [u8]>, PutError> {
        let me = self.raw.check(&self.owner)?;
        let bytes = slice_bytes::<u8>(&self.raw, n)?;
        Ok(loan_of(&self.raw, self.raw.claim_at_once_by::<BY_OWNER>(me, bytes, ticket)?, bytes))
    }
}

#[cfg(feature = "object")]
impl Consumer<[u8]> {
    /// The queue, and the participant that gets.
    pub(crate) fn owned(&self) -> Result<(&Arc<RawQueue>, Id), GetError> {
        Ok((self.raw.shared(), self.raw.check(&self.owner)?))
    }
}

impl<T: Message> Producer<T> {
    blocking_forms! {
        /// As [`Queue::put_slice`](crate::Queue::put_slice).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// let producer = queue.producer()?;
        /// assert_eq!(producer.put_slice(&[1, 2, 3])?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> {
            self.raw.put_values::<BY_OWNER, T>(self.raw.check(&self.owner)?, v, wait)
        }
    }

    blocking_forms! {
        /// Puts the values of an iterator of known length in order, straight into the ring; waits
        /// for room as often as needed. Returns how many moved.
        ///
        /// ```
        /// let queue = shmq::Queue::<u32>::new(64)?;
        /// let mut producer = queue.producer()?;
        /// assert_eq!(producer.put_iter((0..10).map(|i| i * i))?, 10);
        /// assert_eq!(queue.len(), 10);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// They are put in bursts of up to 64: those of a burst are published together, when the
        /// iterator has made the last of them, so a slow iterator delays the first as well. While
        /// the iterator runs, nothing is locked: it may take its time, and use the same queue. The
        /// call waits for room before it takes a value, asks for the length again before each
        /// burst, and ends when that is 0, or when there is no next value.
        ///
        /// - If the iterator panics, the values that it made before are put.
        /// - If the process dies, the values of the burst that was being made are not put; all
        ///   before them are.
        /// - If the queue is closed meanwhile, the values of that burst are dropped.
        ///
        /// # Errors
        /// [`PutError`] if *none* moved. If some moved before the queue was closed (or the time was
        /// up), `Ok` has how many.
        put_iter, try_put_iter, put_iter_timeout, put_iter_deadline, none: "Full",
        |&mut self, wait, values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>| -> Result<usize, PutError> {
            self.raw.put_each::<T>(&self.owner, values.into_iter(), wait)
        }
    }

    blocking_forms! {
        /// As [`Queue::loan`](crate::Queue::loan).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 65536]>::new(4)?;
        /// let producer = queue.producer()?;
        /// let mut frame = producer.loan()?;
        /// frame.fill(1);
        /// frame.commit()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<Loan<'_, T>, PutError> [where T: Plain] {
            let record = self.raw.claim_owned::<T>(&self.owner, wait)?;
            Ok(loan_of(&self.raw, record, size_of::<T>()))
        }
    }
}

impl<X> Producer<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// As [`Queue::loan_len`](crate::Queue::loan_len).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let producer = queue.producer()?;
        /// let mut loan = producer.loan_len(100)?;
        /// loan[..3].copy_from_slice(&[1, 2, 3]);
        /// loan.commit_len(3)?;
        /// assert_eq!(queue.get()?, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'_, [X]>, PutError> {
            let me = self.raw.check(&self.owner)?;
            lend_slice::<X, BY_OWNER>(&self.raw, Some(me), n, wait)
        }
    }
}

impl<T: ?Sized> Consumer<T> {
    /// The same endpoint, whose waits end with [`GetError::Interrupted`] once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
    /// let consumer = queue.consumer()?.with_stop(&stop);
    /// stop.set();
    /// assert!(consumer.get().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(mut self, stop: &Stop) -> Self {
        self.raw = self.raw.with_stop(stop);
        self
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    blocking_forms! {
        /// As [`Queue::get`](crate::Queue::get).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let consumer = queue.consumer()?;
        /// assert_eq!(consumer.get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T::Owned, GetError> {
            T::Way::visit(GetOwned(&self.raw, &self.owner, wait))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease`](crate::Queue::lease).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let consumer = queue.consumer()?;
        /// let message = consumer.lease()?;
        /// assert_eq!(*message, 1);
        /// message.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLeaseOwned(&self.raw, &self.owner, wait))?;
            Ok(Lease::over(Leased::borrowed(&self.raw, record)))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_mut`](crate::Queue::lease_mut).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let consumer = queue.consumer()?;
        /// let mut message = consumer.lease_mut()?;
        /// *message += 10;
        /// message.give_back(); // as it is now
        /// assert_eq!(consumer.get()?, 11);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLeaseOwned(&self.raw, &self.owner, wait))?;
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(&self.raw, record))))
        }
    }
}

impl<T: ?Sized + Plain> Consumer<T> {
    pub(super) fn leased<D: OnDrop>(&self, wait: Wait) -> Result<Leased<'_, T, D>, GetError> {
        let record = T::Way::visit(TakeLeaseOwned(&self.raw, &self.owner, wait))?;
        Ok(Leased::borrowed(&self.raw, record))
    }

    /// A lease that keeps the segment attached by itself.
    pub(super) fn leased_owned<D: OnDrop>(&self, wait: Wait) -> Result<Leased<'static, T, D>, GetError> {
        let record = T::Way::visit(TakeLeaseOwned(&self.raw, &self.owner, wait))?;
        Ok(Leased::<T, D>::shared(Arc::clone(self.raw.shared()), record))
    }
}

impl<T: Message> Consumer<T> {
    blocking_forms! {
        /// As [`Queue::get_boxed`](crate::Queue::get_boxed).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 100_000]>::new(2)?;
        /// queue.put(&[7; 100_000])?;
        /// let consumer = queue.consumer()?;
        /// let frame: Box<[u8; 100_000]> = consumer.get_boxed()?;
        /// assert_eq!(frame[99_999], 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_boxed, try_get_boxed, get_boxed_timeout, get_boxed_deadline, none: "Empty",
        |self, wait| -> Result<Box<T>, GetError> {
            self.raw.get_boxed::<BY_OWNER, T>(self.raw.check(&self.owner)?, wait)
        }
    }

    blocking_forms! {
        /// As [`Queue::get_slice`](crate::Queue::get_slice).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let consumer = queue.consumer()?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(consumer.get_slice(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, v: &mut [T]| -> Result<usize, GetError> {
            self.raw.get_values::<BY_OWNER, T>(self.raw.check(&self.owner)?, v, wait)
        }
    }

    blocking_forms! {
        /// Calls `visit` with each message that there is, up to `max`, straight from the ring;
        /// waits until there is at least one. Returns how many were taken.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let mut consumer = queue.consumer()?;
        /// let mut sum = 0;
        /// assert_eq!(consumer.get_each(100, |value| sum += value)?, 3);
        /// assert_eq!(sum, 6);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// They are taken in bursts of up to 64: those of a burst are taken together, when `visit`
        /// has returned for the last of them. While `visit` runs, nothing is locked: it may take
        /// its time, and use the same queue. But the messages of the burst are in the queue until
        /// then, and keep their room: `visit` must not wait for room in the same queue, and
        /// [`task_done`](crate::Queue::task_done) is for after the call.
        ///
        /// - If `visit` panics, the messages that it was called with are taken, the last included;
        ///   the others stay in the queue.
        /// - If the process dies, the messages of the burst are delivered again, also those that
        ///   `visit` was called with: *at least once*, where `get` is at most once. So they are if
        ///   a producer is stopped for a second at the very moment at which it frees room under
        ///   this consumer, and the burst ends just then: the call returns `Timeout`.
        /// - Where [`max_deliveries`](crate::QueueBuilder::max_deliveries) is set, each message is
        ///   leased while `visit` has it, so that its deliveries are counted.
        /// - A message that came back is on lease while `visit` has it, so that
        ///   [`Process::spawn`](crate::Process::spawn) does not fork meanwhile.
        ///
        /// # Errors
        /// [`GetError`] if none was taken. A message whose bits are not a `T` ends the call, as in
        /// [`Queue::get_slice`](crate::Queue::get_slice).
        get_each, try_get_each, get_each_timeout, get_each_deadline, none: "Empty",
        |&mut self, wait, max: usize, visit: impl FnMut(T)| -> Result<usize, GetError> {
            self.raw.get_each::<T>(&self.owner, max, wait, visit)
        }
    }
}

impl<X> Consumer<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// As [`Queue::get_into`](crate::Queue::get_into).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// queue.put(b"abc")?;
        /// let consumer = queue.consumer()?;
        /// let mut buffer = [0; 16];
        /// assert_eq!(consumer.get_into(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buf: &mut [X]| -> Result<usize, GetError> {
            self.raw.get_into::<BY_OWNER, X>(self.raw.check(&self.owner)?, buf, wait)
        }
    }
}

impl<T: ?Sized> Drop for Producer<T> {
    fn drop(&mut self) {
        self.raw.release_side(&self.owner);
    }
}

impl<T: ?Sized> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.raw.release_side(&self.owner);
    }
}

impl<T: ?Sized> fmt::Debug for Producer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Producer").field(&self.raw).finish()
    }
}

impl<T: ?Sized> fmt::Debug for Consumer<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Consumer").field(&self.raw).finish()
    }
}
