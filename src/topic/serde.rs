//! Handles that are sent. A topic counts for no end of a stream (`raw/roles`): it travels without a
//! ticket, to any number of receivers.

use super::Topic;
use crate::message::Message;
use crate::queue::{Received, reopen, send};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl<T: ?Sized + Message> Serialize for Topic<T> {
    /// As that of [`Queue`](crate::Queue): name, nonce, and schema and structure as the builder was
    /// given them. To open it, the receiver needs a participant that still lives, or a persisted
    /// segment. A publisher and a subscriber do not travel: the receiver makes its own.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), Ok(None), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Topic<T> {
    /// Opens the topic, through the mapping that this process may have already. The error is that
    /// of [`Topic::open`], or `Replaced` if another segment has taken the name since.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, ticket).map_err(D::Error::custom)
    }
}
