//! What a segment says about itself and never changes.

pub use crate::shm::kind::Kind;
use crate::shm::segment::Predecessor;
use std::time::SystemTime;

/// What a segment says about itself and never changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct About {
    /// How messages lie in memory.
    pub kind: Kind,
    /// Name of the message type, or of the element of a slice, without module paths. Text from the
    /// segment's creator: escape it before printing it on a terminal.
    pub type_name: String,
    /// The schema, if its creator set one. As `type_name`.
    pub schema: Option<String>,
    /// The text of the messages' structure, if its creator gave one: its first 4 KiB. As
    /// `type_name`.
    pub structure: Option<String>,
    /// The dead segment that this one replaced, if any.
    pub predecessor: Option<Predecessor>,
    /// Size of a message, or of one element of a slice.
    pub unit_bytes: u64,
    /// Its alignment.
    pub unit_align: u64,
    /// Bound in messages; `None` if only bytes bound the queue. In a topic: how far publishers may
    /// be ahead of a gating subscriber.
    pub capacity: Option<u64>,
    /// Size of the ring.
    pub capacity_bytes: u64,
    /// Largest message that the ring can hold.
    pub max_message_bytes: u64,
    /// Bytes that larger ones may take, in files of their own; 0: none may. See
    /// [`max_spilled_bytes`](crate::QueueBuilder::max_spilled_bytes).
    pub max_spilled_bytes: u64,
    /// Size of the whole segment.
    pub segment_bytes: u64,
    /// Processes that may be attached at once.
    pub max_participants: u32,
    /// Deliveries after which a message is given up; 0 for never.
    pub max_deliveries: u32,
    /// Name of the queue for messages that are given up. As `type_name`.
    pub dead_letters: Option<String>,
    /// Does it close [when unused](crate::QueueBuilder::close_when_unused)?
    pub closes_when_unused: bool,
    /// Subscribers that a topic has room for; 0 if it is no topic.
    pub max_subscribers: u32,
    /// Messages that a new subscriber of a topic begins back.
    pub history: u64,
    /// Lag at which a topic's gating subscriber is evicted; 0 for never.
    pub max_lag_before_evict: u64,
    /// When it was created, by its creator's clock.
    pub created: SystemTime,
    /// User that owns it.
    pub owner_uid: u32,
    /// Its permissions, as for `chmod`.
    pub mode: u32,
}

impl About {
    /// `u64`, `[u8]`, `[f32] samples/2`: escaped for a terminal.
    pub fn type_in_words(&self) -> String {
        let name = self.type_name.escape_debug();
        let schema = self.schema.as_deref().map(|schema| format!(" {}", schema.escape_debug())).unwrap_or_default();
        match self.kind {
            Kind::Sized => format!("{name}{schema}"),
            Kind::TopicSized => format!("topic {name}{schema}"),
            Kind::TopicSlice => format!("topic [{name}]{schema}"),
            Kind::TopicEncoded => format!("topic object {name}{schema}"),
            Kind::Encoded => format!("object {name}{schema}"),
            Kind::Mutex | Kind::Value => format!("{} {name}{schema}", self.kind.in_words()),
            Kind::Array => format!("array [{name}]{schema}"),
            Kind::Event | Kind::Semaphore | Kind::Condvar | Kind::Barrier | Kind::Lock | Kind::ReentrantLock => {
                self.kind.in_words().to_owned()
            }
            Kind::Slice => format!("[{name}]{schema}"),
        }
    }

    /// Is it a queue for [dead letters](crate::DeadLetters)?
    pub fn is_dead_letters(&self) -> bool {
        self.kind == Kind::Slice && self.unit_bytes == 1 && self.type_name == crate::shm::letter::TYPE_NAME
    }

    /// Can it be read and written as plain bytes, by a `Queue<[u8]>`?
    pub fn is_bytes(&self) -> bool {
        self.kind == Kind::Slice && self.unit_bytes == 1 && self.type_name == "u8"
    }
}
