//! [`MessageType`]: what the header of a segment says about the messages of a queue.

use crate::message::{Message, Travel};
use crate::shm::kind::Kind;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Wanted};

/// What the messages of a queue are, as its segment says.
#[derive(Clone, Debug)]
pub struct MessageType {
    /// What the segment holds.
    pub(super) kind: Kind,
    /// Of whatever messages: only to open. Of the kind it says only whether it is a topic.
    pub(super) is_any: bool,
    /// `size_of` the message, or of one element of a slice.
    pub(super) unit_bytes: usize,
    /// `align_of` the same.
    pub(super) unit_align: usize,
    pub(super) type_name: String,
    /// The structural schema; encoded messages have none.
    pub(super) structure: Option<String>,
    /// May a message that is larger than the ring lie in a file of its own?
    pub(super) spills: bool,
}

impl MessageType {
    /// Messages of type `T`, byte by byte.
    pub(in crate::queue) fn of<T: ?Sized + Message>() -> MessageType {
        MessageType {
            is_any: false,
            kind: if T::IS_SIZED { Kind::Sized } else { Kind::Slice },
            unit_bytes: T::LAYOUT.bytes,
            unit_align: T::LAYOUT.align,
            type_name: T::unit_name(),
            structure: Some(T::schema()),
            spills: false,
        }
    }

    /// The same, of a topic.
    pub(crate) fn of_topic<T: ?Sized + Message>() -> MessageType {
        let kind = if T::IS_SIZED { Kind::TopicSized } else { Kind::TopicSlice };
        MessageType { kind, ..MessageType::of::<T>() }
    }

    /// Messages that are bytes of some encoding: objects and dead letters.
    pub(crate) fn encoded(kind: Kind, type_name: String) -> MessageType {
        MessageType { spills: !kind.is_topic(), ..MessageType::of_layout(kind, 1, 1, type_name, None) }
    }

    /// Messages of a layout that is known at run time, and has been checked.
    pub(crate) fn of_layout(
        kind: Kind,
        unit_bytes: usize,
        unit_align: usize,
        type_name: String,
        structure: Option<String>,
    ) -> MessageType {
        MessageType { kind, is_any: false, unit_bytes, unit_align, type_name, structure, spills: kind == Kind::Encoded }
    }

    /// Whatever the queue, or the topic, that is opened has.
    pub(crate) fn any(kind: Kind) -> MessageType {
        MessageType { is_any: true, ..MessageType::encoded(kind, String::new()) }
    }

    /// What an opener expects that sets nothing. `structure` is the text that the builder was
    /// given.
    pub(in crate::queue) fn expect(self, schema: Option<String>, structure: Option<String>) -> Expect {
        Expect {
            kind: self.kind,
            any_messages: self.is_any,
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
