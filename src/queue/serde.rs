//! Handles that are sent: a queue serialises as its address and the nonce of its segment.

use super::{Buildable, Queue};
use crate::error::OpenError;
use crate::message::Message;
use crate::raw::RawQueue;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl<T: ?Sized + Message> Serialize for Queue<T> {
    /// Name (with its directory, if that is not `/dev/shm`), nonce, and schema and structure as the
    /// builder was given them. To open it, the receiver needs a participant that still lives, or a
    /// persisted segment.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let segment = self.raw.segment();
        (segment.address(), segment.nonce(), self.schema.as_deref(), self.structure.as_deref()).serialize(serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Queue<T> {
    /// Opens the queue, through the mapping that this process may have already. The error is that
    /// of [`Queue::open`], or `Replaced` if another queue has taken the name since. One of another
    /// user is refused, unless this process has opened it already by
    /// [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure) = <(String, u64, Option<String>, Option<String>)>::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure).map_err(D::Error::custom)
    }
}

#[cfg(feature = "object")]
impl Queue<[u8]> {
    /// What a handle of encoded objects serialises as: address, nonce and schema.
    pub(crate) fn sent(&self) -> (String, u64, Option<&str>) {
        (self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref())
    }
}

/// Opens the queue that a serialised handle names.
pub(crate) fn reopen<Q: Buildable>(
    address: &str,
    nonce: u64,
    schema: Option<String>,
    structure: Option<String>,
) -> Result<Q, OpenError> {
    let mut expected = Q::message_type().expect(schema.clone(), structure.clone());
    expected.nonce = Some(nonce);
    Ok(Q::over(RawQueue::reopen(address, &expected)?, schema, structure))
}
