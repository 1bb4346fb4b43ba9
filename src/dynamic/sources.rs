//! Getting in a loop, forwarding, handles that are sent, and handles that a child is to count.

use super::{DynConsumer, DynProducer, DynQueue, DynReceiver, DynSender, MessageLayout};
use crate::error::{GetError, PutError};
use crate::queue::guard::{AckLease, Leased};
use crate::queue::sealed::Sealed;
use crate::queue::{Accepts, Iter, Keep, LeaseSource, Received, Receiver, Sender, Source, reopen};
use crate::raw::{BY_LOCK, KeptHandle, RawQueue};
use crate::wait::Wait;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

impl Source for DynQueue {
    type Message = Vec<u8>;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<Vec<u8>, GetError> {
        self.raw().get_bytes_vec::<BY_LOCK>(self.raw().me_in_both_roles()?, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }
}

impl LeaseSource for DynQueue {
    type Lease = AckLease<'static, [u8]>;

    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, [u8]>, GetError> {
        let record = self.record(wait)?;
        Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.raw()), record)))
    }
}

impl DynQueue {
    /// Gets until it is closed and drained; waits for each message. As
    /// [`Queue::iter`](crate::Queue::iter).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
    /// queue.put_slice(b"onetwo")?;
    /// queue.close();
    /// let all = queue.iter().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(all.concat(), b"onetwo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, DynQueue> {
        Iter::new(self)
    }
}

impl<'q> IntoIterator for &'q DynQueue {
    type Item = Result<Vec<u8>, GetError>;
    type IntoIter = Iter<'q, DynQueue>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Sealed for DynConsumer {}

impl Source for DynConsumer {
    type Message = Vec<u8>;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<Vec<u8>, GetError> {
        let (raw, owner) = self.bytes.parts();
        raw.get_bytes_vec_owned(owner, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }
}

impl LeaseSource for DynConsumer {
    type Lease = AckLease<'static, [u8]>;

    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, [u8]>, GetError> {
        let record = self.record(wait)?;
        Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.parts().0), record)))
    }
}

impl DynConsumer {
    /// Gets until it is closed and drained; waits for each message. As
    /// [`Queue::iter`](crate::Queue::iter).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
    /// queue.put_slice(b"onetwo")?;
    /// queue.close();
    /// let source = queue.consumer()?;
    /// let all = source.iter().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(all.concat(), b"onetwo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, DynConsumer> {
        Iter::new(self)
    }
}

impl<'q> IntoIterator for &'q DynConsumer {
    type Item = Result<Vec<u8>, GetError>;
    type IntoIter = Iter<'q, DynConsumer>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Sealed for DynReceiver {}

impl Source for DynReceiver {
    type Message = Vec<u8>;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<Vec<u8>, GetError> {
        let (raw, me) = self.bytes.used()?;
        raw.get_bytes_vec::<BY_LOCK>(me, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }
}

impl LeaseSource for DynReceiver {
    type Lease = AckLease<'static, [u8]>;

    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, [u8]>, GetError> {
        let record = self.record(wait)?;
        Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.shared()), record)))
    }
}

impl DynReceiver {
    /// Gets until it is closed and drained; waits for each message. As
    /// [`Queue::iter`](crate::Queue::iter).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
    /// queue.put_slice(b"onetwo")?;
    /// queue.close();
    /// let source = queue.receiver();
    /// let all = source.iter().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(all.concat(), b"onetwo");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, DynReceiver> {
        Iter::new(self)
    }
}

impl<'q> IntoIterator for &'q DynReceiver {
    type Item = Result<Vec<u8>, GetError>;
    type IntoIter = Iter<'q, DynReceiver>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Sealed for DynProducer {}

impl Sealed for DynSender {}

impl Accepts<[u8]> for DynQueue {
    fn accept(&self, message: &[u8], wait: Wait) -> Result<(), PutError> {
        self.put_for(message, wait)
    }
}

impl Accepts<[u8]> for DynProducer {
    fn accept(&self, message: &[u8], wait: Wait) -> Result<(), PutError> {
        self.put_for(message, wait)
    }
}

impl Keep for DynQueue {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl Keep for DynSender {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl Keep for DynReceiver {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl Serialize for DynQueue {
    /// As that of [`Queue`](crate::Queue).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DynQueue {
    /// As that of [`Queue`](crate::Queue). What was sent of a typed handle is received as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, ticket).map_err(D::Error::custom)
    }
}

impl Serialize for DynSender {
    /// As that of [`Sender`](crate::Sender).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DynSender {
    /// As that of [`Sender`](crate::Sender).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, _, ticket) = Received::deserialize(deserializer)?;
        let bytes = Sender::reopen::<DynQueue>(&address, nonce, schema, ticket).map_err(D::Error::custom)?;
        let layout = Arc::new(MessageLayout::of_segment(bytes.shared().segment()));
        Ok(DynSender::over(bytes, layout))
    }
}

impl Serialize for DynReceiver {
    /// As that of [`Receiver`](crate::Receiver).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DynReceiver {
    /// As that of [`Receiver`](crate::Receiver).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, _, ticket) = Received::deserialize(deserializer)?;
        let bytes = Receiver::reopen::<DynQueue>(&address, nonce, schema, ticket).map_err(D::Error::custom)?;
        let layout = Arc::new(MessageLayout::of_segment(bytes.shared().segment()));
        Ok(DynReceiver::over(bytes, layout))
    }
}
