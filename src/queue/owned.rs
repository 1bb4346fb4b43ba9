//! Guards that keep the segment attached by themselves, and so may outlive the handle that they come
//! from: for structs that hold one, for other threads, for hosts of other languages.
//!
//! None of them counts as a sender or a receiver, nor as the owner of a side (guard, Invariant 5).

use super::by_form::{TakeLease, TakeLeaseAs};
use super::guard::{Lease, LeaseMut, Leased, Loan};
use super::put::{loan_owned_of, slice_bytes};
use super::{Consumer, Producer, Queue, Receiver, Sender};
use crate::error::{GetError, PutError};
use crate::message::{Message, Plain, Way};
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::ring::SIZED_RING;
use crate::wait::blocking_forms;
use std::sync::Arc;

impl<T: Message> Queue<T> {
    blocking_forms! {
        /// Lends room for one message by a loan that keeps the segment attached by itself, and so may
        /// outlive this handle; otherwise as [`loan`](Self::loan).
        ///
        /// It may go to another thread. If it is the last of the queue in this process, its end
        /// leaves the segment: a message that it commits last is lost with the queue, unless another
        /// process is attached or the queue was [persisted](Queue::persist).
        ///
        /// # Errors
        /// As [`loan`](Self::loan).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 65536]>::new(4)?;
        /// let mut frame = queue.loan_owned()?;
        /// let camera = std::thread::spawn(move || {
        ///     frame.fill(1);
        ///     frame.commit()
        /// });
        /// camera.join().unwrap()?;
        /// assert_eq!(queue.get()?[65535], 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<Loan<'static, T>, PutError> [where T: Plain] {
            let record = self.raw.claim::<BY_LOCK, SIZED_RING>(None, size_of::<T>(), wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, size_of::<T>()))
        }
    }
}

impl<X: Plain> Queue<[X]> {
    blocking_forms! {
        /// Lends room for a message of `n` elements by a loan that keeps the segment attached by
        /// itself. As [`loan_owned`](Queue::loan_owned) and [`loan_len`](Self::loan_len).
        ///
        /// # Errors
        /// As [`loan_len`](Self::loan_len).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let other = shmq::Queue::<[u16]>::open(queue.name())?;
        /// let mut loan = queue.loan_len_owned(100)?;
        /// drop(queue);
        /// loan[..3].copy_from_slice(&[1, 2, 3]);
        /// loan.commit_len(3)?;
        /// assert_eq!(other.get()?, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'static, [X]>, PutError> {
            let bytes = slice_bytes::<X>(&self.raw, n)?;
            let record = self.raw.claim_slice::<BY_LOCK>(None, bytes, wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, bytes))
        }
    }
}

impl<T: Message> Producer<T> {
    blocking_forms! {
        /// As [`Queue::loan_owned`](crate::Queue::loan_owned). The loan may outlive this endpoint:
        /// the side is free then, and what others put comes behind the loan, in its place in the
        /// order.
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// let producer = queue.producer()?;
        /// let mut loan = producer.loan_owned()?;
        /// drop(producer);
        /// queue.put(&2)?; // behind it
        /// *loan = 1;
        /// loan.commit()?;
        /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<Loan<'static, T>, PutError> [where T: Plain] {
            let record = self.raw.claim_owned::<T>(&self.owner, wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, size_of::<T>()))
        }
    }
}

impl<X: Plain> Producer<[X]> {
    blocking_forms! {
        /// As [`Queue::loan_len_owned`](crate::Queue::loan_len_owned), and
        /// [`loan_owned`](Producer::loan_owned).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let mut loan = queue.producer()?.loan_len_owned(5)?; // the endpoint is gone already
        /// loan.copy_from_slice(b"hello");
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'static, [X]>, PutError> {
            let me = self.raw.check(&self.owner)?;
            let bytes = slice_bytes::<X>(&self.raw, n)?;
            let record = self.raw.claim_slice::<BY_OWNER>(Some(me), bytes, wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, bytes))
        }
    }
}

impl<T: Message> Sender<T> {
    blocking_forms! {
        /// As [`Queue::loan_owned`](crate::Queue::loan_owned). The loan is no sender: it does not
        /// keep the queue open, and may be committed after it was closed.
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
        /// let (sender, receiver) = (queue.sender(), queue.receiver());
        /// drop(queue);
        /// let mut loan = sender.loan_owned()?;
        /// drop(sender); // the last one: the queue is closed
        /// *loan = 1;
        /// loan.commit()?;
        /// assert_eq!(receiver.get()?, 1);
        /// assert!(matches!(receiver.get(), Err(shmq::GetError::Closed)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<Loan<'static, T>, PutError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = self.raw.claim::<BY_LOCK, SIZED_RING>(Some(me), size_of::<T>(), wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, size_of::<T>()))
        }
    }
}

impl<X: Plain> Sender<[X]> {
    blocking_forms! {
        /// As [`Queue::loan_len_owned`](crate::Queue::loan_len_owned), and
        /// [`loan_owned`](Sender::loan_owned).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let mut loan = queue.sender().loan_len_owned(5)?;
        /// loan.copy_from_slice(b"hello");
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'static, [X]>, PutError> {
            let me = self.raw.me()?;
            let bytes = slice_bytes::<X>(&self.raw, n)?;
            let record = self.raw.claim_slice::<BY_LOCK>(Some(me), bytes, wait)?;
            Ok(loan_owned_of(self.raw.shared(), record, bytes))
        }
    }
}

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Leases one message with the right to change it in place, by a lease that keeps the segment
        /// attached by itself. As [`lease_mut`](Self::lease_mut) and
        /// [`lease_owned`](Self::lease_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let mut message = queue.lease_mut_owned()?;
        /// std::thread::spawn(move || {
        ///     *message += 1;
        ///     message.give_back(); // as it is now
        /// }).join().unwrap();
        /// assert_eq!(queue.get()?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut_owned, try_lease_mut_owned, lease_mut_owned_timeout, lease_mut_owned_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'static, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLease(&self.raw, wait))?;
            Ok(LeaseMut::new(Lease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record))))
        }
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    blocking_forms! {
        /// As [`Queue::lease_owned`](crate::Queue::lease_owned). The lease may outlive this endpoint:
        /// the side is free then, and its message stays on lease.
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2])?;
        /// let message = queue.consumer()?.lease_owned()?; // the endpoint is gone already
        /// assert_eq!((*message, queue.get()?), (1, 2));
        /// message.give_back();
        /// assert_eq!(queue.get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, T>, GetError> [where T: Plain] {
            Ok(Lease::over(self.leased_owned(wait)?))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_mut_owned`](crate::Queue::lease_mut_owned), and
        /// [`lease_owned`](Self::lease_owned).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put(&1)?;
        /// let mut message = queue.consumer()?.lease_mut_owned()?;
        /// *message += 1;
        /// message.give_back();
        /// assert_eq!(queue.get()?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut_owned, try_lease_mut_owned, lease_mut_owned_timeout, lease_mut_owned_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'static, T>, GetError> [where T: Plain] {
            Ok(LeaseMut::new(Lease::over(self.leased_owned(wait)?)))
        }
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    blocking_forms! {
        /// As [`Queue::lease_mut_owned`](crate::Queue::lease_mut_owned). The lease is no receiver.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put(&1)?;
        /// let mut message = queue.receiver().lease_mut_owned()?;
        /// *message += 1;
        /// message.give_back();
        /// assert_eq!(queue.get()?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut_owned, try_lease_mut_owned, lease_mut_owned_timeout, lease_mut_owned_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'static, T>, GetError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
            Ok(LeaseMut::new(Lease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record))))
        }
    }
}
