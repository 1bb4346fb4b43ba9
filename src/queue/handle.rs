//! Handles that travel: a queue serialises as its name, and what tells it from any other that had the name.

use super::{Queue, expect};
use crate::channel::Channel;
use crate::message::Message;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl<T: ?Sized> Queue<T> {
    /// For those who wait for several queues at once.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }
}

impl<T: ?Sized + Message> Serialize for Queue<T> {
    /// Name, nonce and schema. The receiver needs a live participant, or a persisted segment, to open it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.name(), self.channel.segment().nonce(), self.schema.as_deref()).serialize(serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Queue<T> {
    /// Opens the queue, through the mapping that this process may have already. The error is that of [`Queue::open`], or
    /// `Replaced` if another queue took the name since.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, nonce, schema) = <(String, u64, Option<String>)>::deserialize(deserializer)?;
        let mut expected = expect::<T>(schema.clone());
        expected.nonce = Some(nonce);
        let channel = Channel::reopen(&name, &expected).map_err(D::Error::custom)?;
        Ok(Queue::over(channel, schema))
    }
}
