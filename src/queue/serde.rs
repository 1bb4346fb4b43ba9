//! Handles that travel: a queue serialises as its name, and what tells it from any other that had the name.

use super::{Queue, expect};
use crate::message::Message;
use crate::raw::RawQueue;
use crate::shm::segment::Wanted;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl<T: ?Sized + Message> Serialize for Queue<T> {
    /// Name (with its directory, if that is not `/dev/shm`), nonce, schema and structure, as they were given. The receiver needs a live participant, or a persisted segment, to open it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let segment = self.raw.segment();
        (segment.address(), segment.nonce(), self.schema.as_deref(), self.structure.as_deref()).serialize(serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Queue<T> {
    /// Opens the queue, through the mapping that this process may have already. The error is that of [`Queue::open`], or
    /// `Replaced` if another queue took the name since. One of another user is refused, unless this process has opened it already by
    /// [`Builder::allow_owner`](crate::Builder::allow_owner).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure) = <(String, u64, Option<String>, Option<String>)>::deserialize(deserializer)?;
        let mut expected = expect::<T>(schema.clone());
        expected.nonce = Some(nonce);
        if let Some(text) = &structure {
            expected.structure = Some(Wanted::Said(text.clone()));
        }
        let raw = RawQueue::reopen(&address, &expected).map_err(D::Error::custom)?;
        Ok(Queue::over(raw, schema).of_structure(structure))
    }
}

#[cfg(feature = "object")]
impl Queue<[u8]> {
    /// What a handle of encoded objects sends of itself: name, nonce and schema.
    pub(crate) fn sent(&self) -> (String, u64, Option<&str>) {
        (self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref())
    }

    /// Opens what [`sent`](Self::sent) told of.
    pub(crate) fn open_sent(
        (address, nonce, schema): (String, u64, Option<String>),
        kind: u32,
        type_name: String,
    ) -> Result<Self, crate::error::OpenError> {
        let mut expected = expect::<[u8]>(schema.clone());
        expected.nonce = Some(nonce);
        expected.kind = kind;
        expected.type_name = type_name;
        expected.structure = None;
        Ok(Queue::over(RawQueue::reopen(&address, &expected)?, schema))
    }
}
