//! [`MessageType`]: what the header of a segment says about the messages of a queue.

use crate::message::{Message, Travel};
use crate::shm::kind::Kind;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Wanted};

/// What the messages of a queue are, as its segment says.
#[derive(Debug)]
pub struct MessageType {
    /// What the segment holds.
    pub(super) kind: Kind,
    /// `size_of` the message, or of one element of a slice.
    pub(super) unit_bytes: usize,
    /// `align_of` the same.
    pub(super) unit_align: usize,
    pub(super) type_name: String,
    /// The structural schema; encoded messages have none.
    pub(super) structure: Option<String>,
}

impl MessageType {
    /// Messages of type `T`, byte by byte.
    pub(in crate::queue) fn of<T: ?Sized + Message>() -> MessageType {
        MessageType {
            kind: if T::IS_SIZED { Kind::Sized } else { Kind::Slice },
            unit_bytes: T::LAYOUT.bytes,
            unit_align: T::LAYOUT.align,
            type_name: T::unit_name(),
            structure: Some(T::schema()),
        }
    }

    /// The same, of a topic.
    pub(crate) fn of_topic<T: ?Sized + Message>() -> MessageType {
        let kind = if T::IS_SIZED { Kind::TopicSized } else { Kind::TopicSlice };
        MessageType { kind, ..MessageType::of::<T>() }
    }

    /// Messages that are bytes of some encoding: objects and dead letters.
    pub(crate) fn encoded(kind: Kind, type_name: String) -> MessageType {
        MessageType { kind, unit_bytes: 1, unit_align: 1, type_name, structure: None }
    }

    /// What an opener expects that sets nothing. `structure` is the text that the builder was
    /// given.
    pub(in crate::queue) fn expect(self, schema: Option<String>, structure: Option<String>) -> Expect {
        Expect {
            kind: self.kind,
            message_bytes: self.unit_bytes as u64,
            message_align: self.unit_align as u64,
            type_name: self.type_name,
            schema,
            structure: structure.map(Wanted::Said).or(self.structure.map(Wanted::OfType)),
            lock_memory: false,
            huge_pages: false,
            asked: Asked::default(),
            nonce: None,
            owners: Owners::default(),
            directory: Directory::default(),
        }
    }
}
