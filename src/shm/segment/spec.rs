//! What a creator wants.

use super::directory::Directory;
use super::header::SegmentInfo;
use super::owners::Owners;
use super::structure::Structure;
use super::topic_area::TopicShape;
use super::view::View;
use crate::os::MemoryBarrier;
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::{MAX_PARTICIPANTS, NAME_BYTES, SCHEMA_BYTES, TYPE_NAME_BYTES};
use crate::shm::text::truncated;

/// The mode that `shared_memory` sets, and that `mode` never narrows: a forked child must be able
/// to reopen its segment.
pub(super) const OWNER_MODE: u32 = 0o600;

const MODE_BITS: u32 = 0o666;

/// What a creator wants.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// What the segment holds.
    pub kind: Kind,
    pub geometry: Geometry,
    /// Without module paths; stored up to `TYPE_NAME_BYTES`.
    pub type_name: String,
    /// Stored up to `SCHEMA_BYTES`.
    pub schema: Option<String>,
    /// Stored up to `STRUCTURE_BYTES`, compared whole.
    pub structure: Option<String>,
    /// 1 to 1023; clamped to that range.
    pub max_participants: u32,
    pub max_deliveries: u32,
    /// Name of the dead-letter queue: already checked as a name.
    pub dead_letters: Option<String>,
    pub persist: bool,
    /// Widens the mode 0600.
    pub mode: Option<u32>,
    pub lock_memory: bool,
    pub huge_pages: bool,
    /// Counts the messages in a dead segment that this one replaces; `None`: it holds garbage.
    pub messages_left: fn(&View) -> Option<u64>,
    /// Users whose dead segment may be replaced.
    pub owners: Owners,
    pub directory: Directory,
    /// A full fence at each commit, and no membarrier: see
    /// [`MemoryBarrier`](crate::os::MemoryBarrier).
    pub full_fence: bool,
    /// Close the queue once all its senders, or all its receivers, are gone.
    pub close_when_unused: bool,
    /// A semaphore that never has more permits than at first.
    pub bounded: bool,
    /// Of a topic.
    pub topic: Option<TopicShape>,
    /// Bytes of objects that may lie in files of their own; 0: none may.
    pub max_spilled_bytes: u64,
}

impl Spec {
    /// The header of a segment made to this specification.
    pub fn info(&self, nonce: u64) -> SegmentInfo {
        SegmentInfo {
            kind: self.kind,
            geometry: self.geometry,
            type_name: truncated(&self.type_name, TYPE_NAME_BYTES).to_owned(),
            schema: self
                .schema
                .as_deref()
                .map(|schema| truncated(schema, SCHEMA_BYTES).to_owned())
                .filter(|schema| !schema.is_empty()),
            structure: self.structure.as_deref().and_then(Structure::of_text),
            nonce,
            max_participants: self.max_participants.clamp(1, MAX_PARTICIPANTS),
            max_deliveries: self.max_deliveries,
            // Where this process cannot use membarrier, processes that share its sandbox cannot
            // either.
            full_fence: self.full_fence || !MemoryBarrier::is_available(),
            close_when_unused: self.close_when_unused,
            bounded: self.bounded,
            topic: self.topic,
            max_spilled_bytes: self.max_spilled_bytes,
            dead_letters: self
                .dead_letters
                .as_deref()
                .map(|name| truncated(name, NAME_BYTES).to_owned())
                .filter(|name| !name.is_empty()),
            dead_letters_len: self.dead_letters.as_deref().map_or(0, |name| truncated(name, NAME_BYTES).len() as u32),
        }
    }
}

/// The permissions of a segment whose creator asked for these.
pub(super) fn mode_bits(asked: u32) -> u32 {
    OWNER_MODE | asked & MODE_BITS
}
