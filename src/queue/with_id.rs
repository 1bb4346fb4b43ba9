//! Messages by their [`MessageId`]: putting and getting one with it, and what became of it.

use super::by_form::GetWithId;
use super::{Consumer, Producer, Queue, Receiver};
use crate::error::{GetError, PutError};
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

    /// The segment's random number, with which the [ids](MessageId) of all its messages begin. A
    /// queue that is made anew under the same name has another one.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// let (_, id) = queue.get_with_id()?;
    /// assert_eq!(id.to_bytes()[..8], queue.nonce().to_be_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.raw.segment().nonce()
    }
}

impl<T: ?Sized + Message> Producer<T> {
    blocking_forms! {
        /// Puts one message by copy, and returns its [`MessageId`]; waits for room. `announce` is
        /// called with the id when there is room, before any process can see the message.
        ///
        /// For a process that must know after its own death whether a message was put: it notes
        /// the id in `announce`, in memory that outlives it. As [`put`](Self::put) otherwise; it
        /// takes longer.
        ///
        /// `announce` runs inside the put side, and at most once: not at all if nothing is put.
        /// Keep it short, and do not use the queue in it. If it panics, nothing is put. If the
        /// process is killed between it and the end of the put, the message is there or not: it is
        /// there if more messages were put than before ([`Stats::puts`](crate::Stats::puts), read
        /// by the side's next owner). If it is not, the next message may have the id.
        ///
        /// # Errors
        /// As [`put`](Self::put).
        ///
        /// ```
        /// use shmq::{Fate, Queue};
        ///
        /// let queue = Queue::<u64>::new(4)?;
        /// let mut noted = None;
        /// let id = queue.producer()?.put_with_id(&7, |id| noted = Some(id))?;
        /// assert_eq!((noted, queue.is_done(id)), (Some(id), Fate::Pending));
        /// assert_eq!(queue.get_with_id()?, (7, id));
        /// assert_eq!(queue.is_done(id), Fate::Done);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_with_id, try_put_with_id, put_with_id_timeout, put_with_id_deadline, none: "Full",
        |self, wait, message: &T, announce: impl FnOnce(MessageId)| -> Result<MessageId, PutError> {
            self.raw.put_announced::<T>(&self.owner, message, announce, wait)
        }
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
