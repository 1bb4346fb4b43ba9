//! Objects by their [`MessageId`]: getting one with it, and what became of it.

use super::get::receive_with_id;
use super::{Codec, ObjectConsumer, ObjectQueue, ObjectReceiver};
use crate::error::GetError;
use crate::raw::{BY_LOCK, BY_OWNER, Fate, MessageId};
use crate::wait::blocking_forms;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    blocking_forms! {
        /// Gets one value, and the [`MessageId`] of its message; waits while the queue is empty. As
        /// [`Queue::get_with_id`](crate::Queue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let (job, id) = queue.get_with_id()?;
        /// assert_eq!((job.as_str(), queue.is_done(id)), ("job", shmq::Fate::Done));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T, MessageId), GetError> {
            let raw = self.bytes.raw();
            receive_with_id::<BY_LOCK, T, C>(raw, raw.me_in_both_roles()?, wait)
        }
    }

    /// What became of a message, as [`Queue::is_done`](crate::Queue::is_done).
    ///
    /// ```
    /// use shmq::Fate;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// let job = queue.lease()?;
    /// let id = job.id();
    /// assert_eq!(queue.is_done(id), Fate::Pending);
    /// job.release();
    /// assert_eq!(queue.is_done(id), Fate::Done);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_done(&self, id: MessageId) -> Fate {
        self.bytes.is_done(id)
    }

    /// The segment's random number, as [`Queue::nonce`](crate::Queue::nonce).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// assert_eq!(queue.lease()?.id().to_bytes()[..8], queue.nonce().to_be_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.bytes.nonce()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectReceiver<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::get_with_id`](crate::ObjectQueue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let (job, id) = queue.receiver().get_with_id()?;
        /// assert_eq!(job, "job");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T, MessageId), GetError> {
            let (raw, me) = self.bytes.used()?;
            receive_with_id::<BY_LOCK, T, C>(raw, me, wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::get_with_id`](crate::ObjectQueue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let (job, id) = queue.consumer()?.get_with_id()?;
        /// assert_eq!(queue.is_done(id), shmq::Fate::Done);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(T, MessageId), GetError> {
            let (raw, me) = self.bytes.owned()?;
            receive_with_id::<BY_OWNER, T, C>(raw, me, wait)
        }
    }
}
