//! Messages by their [`MessageId`]: getting one with it, and what became of it.

use super::by_form::GetWithId;
use super::{Consumer, Queue, Receiver};
use crate::error::GetError;
use crate::message::{Message, Way};
use crate::raw::{BY_LOCK, BY_OWNER, Fate, MessageId};
use crate::wait::blocking_forms;

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Gets one message by copy, and its [`MessageId`]; waits while the queue is empty.
        ///
        /// As [`get`](Self::get) otherwise. It takes longer: the message is on lease while it is
        /// copied, so that a process that is killed meanwhile leaves it to the others.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// use std::collections::HashSet;
        ///
        /// let queue = shmq::Queue::<u64>::new(4)?;
        /// queue.put(&7)?;
        /// let mut seen = HashSet::new();
        /// let (number, id) = queue.get_with_id()?;
        /// assert!(seen.insert(id), "a message that was seen before");
        /// assert_eq!((number, queue.is_done(id)), (7, shmq::Fate::Done));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T::Owned, MessageId), GetError> {
            T::Way::visit(GetWithId::<BY_LOCK>(self.raw(), self.raw.me_in_both_roles()?, wait))
        }
    }

    /// What became of a message: is it still to be delivered, done, or given up? Takes no lock and
    /// does not block; right at some moment of the call. `Done`, `GivenUp` and `Forgotten` stay.
    ///
    /// For a process that answers for messages until their consumers are done with them: it gets
    /// the id from a consumer, or from a lease that it gave back. Whichever process had the message
    /// may have died since.
    ///
    /// ```
    /// use shmq::{Fate, Queue};
    ///
    /// let queue = Queue::<u64>::builder().capacity(4).max_deliveries(1).create()?;
    /// queue.put(&1)?;
    /// let lease = queue.lease()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.is_done(id), Fate::Pending);
    /// assert!(queue.try_get().is_err()); // it was delivered as often as is allowed
    /// assert_eq!(queue.is_done(id), Fate::GivenUp);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_done(&self, id: MessageId) -> Fate {
        self.raw.fate(id)
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    blocking_forms! {
        /// As [`Queue::get_with_id`](crate::Queue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// queue.put(b"abc")?;
        /// let (bytes, id) = queue.receiver().get_with_id()?;
        /// assert_eq!(bytes, b"abc");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T::Owned, MessageId), GetError> {
            T::Way::visit(GetWithId::<BY_LOCK>(&self.raw, self.raw.me()?, wait))
        }
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    blocking_forms! {
        /// As [`Queue::get_with_id`](crate::Queue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(4)?;
        /// queue.put(&1)?;
        /// let (number, id) = queue.consumer()?.get_with_id()?;
        /// assert_eq!(queue.is_done(id), shmq::Fate::Done);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T::Owned, MessageId), GetError> {
            T::Way::visit(GetWithId::<BY_OWNER>(&self.raw, self.raw.check(&self.owner)?, wait))
        }
    }
}
