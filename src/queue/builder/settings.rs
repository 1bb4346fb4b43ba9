//! What a builder was given, and what a segment is to have because of it.

use super::MessageType;
use crate::error::CreateError;
use crate::raw::messages_left;
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::{MAX_SUBSCRIBERS, SCHEMA_BYTES};
use crate::shm::participant;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Spec, TopicShape, checked_mode, fault};
use crate::wait::WaitStrategy;

/// Entries of the participant table, 64 bytes each, if the builder sets no other number.
const DEFAULT_PARTICIPANTS: usize = 120;
/// The record header counts deliveries in 8 bits.
const MAX_DELIVERIES: u32 = 255;
/// Lines for the subscribers of a topic, if the builder sets no other number: they fill a page.
const DEFAULT_SUBSCRIBERS: usize = 62;
/// Bytes of a slice ring, if the builder sets no other number.
const DEFAULT_CAPACITY_BYTES: usize = 1 << 20;
/// Bytes of messages in files of their own, where the size of the file system is unknown.
const DEFAULT_SPILLED_BYTES: u64 = 1 << 30;

pub(super) const LONG_SCHEMA: &str = "a schema has at most 64 bytes";

/// What the builder's methods set.
#[derive(Debug, Default)]
pub(crate) struct QueueSettings {
    /// Where the handle that is made does not say it.
    pub message_type: Option<MessageType>,
    pub name: Option<String>,
    pub capacity: Option<usize>,
    pub capacity_bytes: Option<usize>,
    pub strategy: WaitStrategy,
    pub schema: Option<String>,
    pub structure: Option<String>,
    pub mode: Option<u32>,
    pub persist: Option<bool>,
    pub max_deliveries: Option<u32>,
    pub dead_letters: Option<String>,
    pub max_participants: Option<usize>,
    pub lock_memory: bool,
    pub huge_pages: bool,
    pub owners: Owners,
    pub directory: Option<Directory>,
    pub full_fence: bool,
    pub close_when_unused: Option<bool>,
    pub history: Option<usize>,
    pub max_subscribers: Option<usize>,
    pub max_lag: Option<usize>,
    pub max_spilled_bytes: Option<u64>,
}

impl QueueSettings {
    /// What an opener expects of the segment.
    pub fn expect(&self, message_type: MessageType) -> Expect {
        let asked = self.asked(&message_type);
        Expect {
            lock_memory: self.lock_memory,
            huge_pages: self.huge_pages,
            asked,
            owners: self.owners.clone(),
            directory: self.directory.clone().unwrap_or_default(),
            ..message_type.expect(self.schema.clone(), self.structure.clone())
        }
    }

    /// What a creator makes of the segment.
    ///
    /// # Errors
    /// A name that cannot be used, or a number out of its range.
    pub fn spec(&self, message_type: MessageType) -> Result<Spec, CreateError> {
        if message_type.is_any {
            return Err(CreateError::NoLayout);
        }
        if let Some(schema) = self.long_schema() {
            return Err(CreateError::BadName { name: schema.to_owned(), why: LONG_SCHEMA });
        }
        if let Some(name) = &self.dead_letters {
            let of_itself = (self.name.as_ref() == Some(name)).then_some("a queue is not its own queue for dead letters");
            if let Some(why) = fault(name).or(of_itself) {
                return Err(CreateError::BadName { name: name.clone(), why });
            }
        }
        Ok(Spec {
            kind: message_type.kind,
            geometry: self.geometry(&message_type)?,
            topic: message_type.kind.is_topic().then(|| self.topic_shape()).transpose()?,
            type_name: message_type.type_name,
            schema: self.schema.clone(),
            structure: self.structure.clone().or(message_type.structure),
            max_participants: participant::checked_count(self.max_participants.unwrap_or(DEFAULT_PARTICIPANTS))?,
            max_deliveries: self.checked_deliveries()?,
            dead_letters: self.dead_letters.clone(),
            persist: self.persist == Some(true),
            mode: checked_mode(self.mode)?,
            lock_memory: self.lock_memory,
            huge_pages: self.huge_pages,
            messages_left,
            owners: self.owners.clone(),
            directory: self.directory.clone().unwrap_or_default(),
            full_fence: self.full_fence,
            close_when_unused: self.close_when_unused == Some(true),
            bounded: false,
            max_spilled_bytes: self.spilled_bytes(message_type.spills),
        })
    }

    /// Bytes of messages in files of their own: half of the file system, if the builder sets no other
    /// number.
    fn spilled_bytes(&self, spills: bool) -> u64 {
        let half = || self.directory.clone().unwrap_or_default().total_bytes().map_or(DEFAULT_SPILLED_BYTES, |bytes| bytes / 2);
        if spills { self.max_spilled_bytes.unwrap_or_else(half) } else { 0 }
    }

    /// The schema, if it has more bytes than a segment can keep.
    pub fn long_schema(&self) -> Option<&str> {
        self.schema.as_deref().filter(|schema| schema.len() > SCHEMA_BYTES)
    }

    fn topic_shape(&self) -> Result<TopicShape, CreateError> {
        let max_subscribers = self.max_subscribers.unwrap_or(DEFAULT_SUBSCRIBERS);
        if !(1..=MAX_SUBSCRIBERS as usize).contains(&max_subscribers) {
            return Err(CreateError::OutOfRange {
                option: "max_subscribers",
                asked: max_subscribers,
                min: 1,
                max: MAX_SUBSCRIBERS as usize,
            });
        }
        let max_lag = self.max_lag.unwrap_or(0) as u64;
        Ok(TopicShape { max_subscribers: max_subscribers as u32, history: self.history.unwrap_or(0) as u64, max_lag })
    }

    fn checked_deliveries(&self) -> Result<u32, CreateError> {
        match self.max_deliveries.unwrap_or(0) {
            asked if asked > MAX_DELIVERIES => Err(CreateError::OutOfRange {
                option: "max_deliveries",
                asked: asked as usize,
                min: 0,
                max: MAX_DELIVERIES as usize,
            }),
            asked => Ok(asked),
        }
    }

    fn asked(&self, message_type: &MessageType) -> Asked {
        Asked {
            capacity: self.capacity.map(|messages| ("capacity", messages as u64)),
            capacity_bytes: self.capacity_bytes.map(|bytes| bytes as u64),
            geometry: if message_type.is_any { None } else { self.geometry(message_type).ok() },
            mode: self.mode,
            max_deliveries: self.max_deliveries,
            dead_letters: self.dead_letters.clone(),
            max_participants: self.max_participants.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            persist: self.persist,
            close_when_unused: self.close_when_unused,
            bounded: None,
            history: self.history.map(|messages| messages as u64),
            max_subscribers: self.max_subscribers.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            max_lag: self.max_lag.map(|messages| messages as u64),
            max_spilled_bytes: self.max_spilled_bytes.filter(|_| message_type.spills),
        }
    }

    fn geometry(&self, message_type: &MessageType) -> Result<Geometry, CreateError> {
        let unit_bytes = message_type.unit_bytes as u64;
        let unit_align = message_type.unit_align as u64;
        let refuse = |option, asked: usize, max: u64| match max {
            // Not even one message fits.
            0 => CreateError::BadMessage { bytes: message_type.unit_bytes, align: message_type.unit_align },
            max => CreateError::OutOfRange { option, asked, min: 1, max: usize::try_from(max).unwrap_or(usize::MAX) },
        };
        if matches!(message_type.kind, Kind::Sized | Kind::TopicSized) {
            let by_bytes =
                self.capacity_bytes.map(|bytes| if unit_bytes == 0 { usize::MAX } else { bytes / message_type.unit_bytes });
            let capacity = match (self.capacity, by_bytes) {
                (Some(messages), Some(fit)) => messages.min(fit),
                (Some(messages), None) => messages,
                (None, Some(fit)) => fit,
                (None, None) => 0,
            };
            // Which of the two is too small, or too large.
            let option = if self.capacity == Some(capacity) || by_bytes.is_none() { "capacity" } else { "capacity_bytes" };
            let asked = if option == "capacity" { capacity } else { self.capacity_bytes.unwrap_or(0) };
            let unit = if option == "capacity" { 1 } else { unit_bytes.max(1) };
            let made = match message_type.kind {
                Kind::TopicSized => Geometry::topic(unit_bytes, unit_align, capacity as u64),
                _ => Geometry::sized(unit_bytes, unit_align, capacity as u64),
            };
            return made.map_err(|max| refuse(option, asked, max.saturating_mul(unit)));
        }
        if let Some(asked) = self.capacity.filter(|_| message_type.kind.is_topic()) {
            // Bytes are what bounds a topic of slices.
            return Err(CreateError::OutOfRange { option: "capacity", asked, min: 0, max: 0 });
        }
        let bytes = self.capacity_bytes.unwrap_or(DEFAULT_CAPACITY_BYTES);
        let messages = self.capacity.map_or(u64::MAX, |messages| messages as u64);
        Geometry::slice(unit_bytes, unit_align, messages, bytes as u64)
            .map_err(|max| if messages == 0 { refuse("capacity", 0, u64::MAX) } else { refuse("capacity_bytes", bytes, max) })
    }
}
