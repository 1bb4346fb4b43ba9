//! The segment header: checked once and copied out.
//!
//! Invariant 1: a [`SegmentInfo`] is one that [`Spec::info`](super::spec::Spec::info) could have
//! made: its geometry and its table fit its length, and its strings are UTF-8. It is private
//! memory: what peers do to the header later changes nothing.

use super::structure::Structure;
use super::syscall_error::corrupted;
use super::topic_area::TopicShape;
use crate::error::{OpenError, Subject};
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::{
    self, FORMAT, MAGIC, MAX_PARTICIPANTS, MAX_SUBSCRIBERS, NAME_BYTES, SCHEMA_BYTES, SegmentHeader, TYPE_NAME_BYTES, lock_kind,
};
use std::mem::offset_of;

pub(super) const HEADER_BYTES: usize = size_of::<SegmentHeader>();
/// Offset of the state word in the file.
pub(super) const STATE_OFFSET: u64 = offset_of!(SegmentHeader, state) as u64;
/// Offset of the nonce in the file.
pub(super) const NONCE_OFFSET: u64 = offset_of!(SegmentHeader, nonce) as u64;

/// The header, as bytes read from a file.
pub(super) struct RawSegmentHeader(pub [u8; HEADER_BYTES]);

/// The private copy of the header's constants.
#[derive(Clone, Debug)]
pub(crate) struct SegmentInfo {
    pub kind: Kind,
    pub geometry: Geometry,
    pub type_name: String,
    pub schema: Option<String>,
    /// Its text is read after the rest: see [`SegmentInfo::with_text`].
    pub structure: Option<Structure>,
    pub nonce: u64,
    pub max_participants: u32,
    pub max_deliveries: u32,
    pub full_fence: bool,
    pub close_when_unused: bool,
    /// A semaphore that never has more permits than at first.
    pub bounded: bool,
    /// Of a topic.
    pub topic: Option<TopicShape>,
    /// Bytes of objects that may lie in files of their own; 0: none may.
    pub max_spilled_bytes: u64,
    /// The name of the dead-letter queue. Read after the rest, like the structure's text.
    pub dead_letters: Option<String>,
    pub(super) dead_letters_len: u32,
}

impl RawSegmentHeader {
    fn u32(&self, offset: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.0[offset..offset + 4]);
        u32::from_ne_bytes(word)
    }

    fn u64(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.0[offset..offset + 8]);
        u64::from_ne_bytes(word)
    }

    fn text(&self, offset: usize, len: u32, max: usize) -> Option<String> {
        let len = usize::try_from(len).ok().filter(|&len| len <= max)?;
        String::from_utf8(self.0[offset..offset + len].to_vec()).ok()
    }

    pub fn is_ours(&self) -> bool {
        self.u64(offset_of!(SegmentHeader, magic)) == MAGIC
    }

    pub fn nonce(&self) -> u64 {
        self.u64(offset_of!(SegmentHeader, nonce))
    }

    /// Was it made by this version of the format?
    pub fn is_of_our_format(&self) -> bool {
        self.is_ours() && self.u32(offset_of!(SegmentHeader, format)) == FORMAT
    }

    /// Seconds since 1970, for people.
    pub fn created_unix_s(&self) -> u64 {
        self.u64(offset_of!(SegmentHeader, created_unix_s))
    }

    /// May its messages still be wanted when no process is attached? A segment of another format
    /// version counts as persisted.
    pub fn is_persisted(&self) -> bool {
        self.is_ours()
            && (self.u32(offset_of!(SegmentHeader, format)) != FORMAT || self.u32(offset_of!(SegmentHeader, persisted)) != 0)
    }

    /// May objects of the queue lie in files of their own?
    pub fn spills(&self) -> bool {
        self.is_of_our_format() && self.u64(offset_of!(SegmentHeader, max_spilled_bytes)) != 0
    }

    /// What the header says, if this build can use the segment; the file has `file_bytes`.
    pub fn info(&self, file_bytes: u64) -> Result<SegmentInfo, OpenError> {
        if !self.is_ours() {
            return Err(corrupted());
        }
        let foreign = |ours: String, theirs: String| Err(OpenError::Mismatch { what: Subject::default(), ours, theirs });
        let format = self.u32(offset_of!(SegmentHeader, format));
        if format != FORMAT {
            return foreign(format!("a segment of format {FORMAT}"), format!("a segment of format {format}"));
        }
        let bits = self.u32(offset_of!(SegmentHeader, pointer_bits));
        if bits != usize::BITS {
            return foreign(format!("a segment of {}-bit programs", usize::BITS), format!("a segment of {bits}-bit programs"));
        }
        let locks = self.u32(offset_of!(SegmentHeader, lock_kind));
        if locks != lock_kind::OURS {
            return foreign(locks_in_words(lock_kind::OURS), locks_in_words(locks));
        }
        self.shape(file_bytes).ok_or_else(corrupted)
    }

    /// Size of the participant table, even if the locks or the pointer width differ from this
    /// build's: enough to find the name byte.
    pub fn max_participants(&self, file_bytes: u64) -> Option<u32> {
        self.shape(file_bytes).filter(|_| self.is_of_our_format()).map(|info| info.max_participants)
    }

    fn shape(&self, file_bytes: u64) -> Option<SegmentInfo> {
        let kind = Kind::of_header(self.u32(offset_of!(SegmentHeader, kind)))?;
        let max_participants = self.u32(offset_of!(SegmentHeader, max_participants));
        let geometry = Geometry::from_header(
            kind,
            self.u64(offset_of!(SegmentHeader, cells)),
            self.u64(offset_of!(SegmentHeader, message_bytes)),
            self.u64(offset_of!(SegmentHeader, message_align)),
            self.u64(offset_of!(SegmentHeader, capacity)),
            self.u64(offset_of!(SegmentHeader, cell_bytes)),
        )?;
        let full_fence = self.u32(offset_of!(SegmentHeader, full_fence));
        let close_when_unused = self.u32(offset_of!(SegmentHeader, close_when_unused));
        let bounded = self.u32(offset_of!(SegmentHeader, bounded));
        let flags = [full_fence, close_when_unused, bounded];
        if !(1..=MAX_PARTICIPANTS).contains(&max_participants) || flags.iter().any(|&flag| flag > 1) {
            return None;
        }
        let structure = Structure::of_header(
            self.u64(offset_of!(SegmentHeader, structure_hash)),
            self.u32(offset_of!(SegmentHeader, structure_len)),
        )?;
        let dead_letters_len = self.u32(offset_of!(SegmentHeader, dead_letters_len));
        if dead_letters_len as usize > NAME_BYTES {
            return None;
        }
        let max_subscribers = self.u32(offset_of!(SegmentHeader, max_subscribers));
        if max_subscribers > MAX_SUBSCRIBERS || kind.is_topic() != (max_subscribers != 0) {
            return None;
        }
        let topic = kind.is_topic().then(|| TopicShape {
            max_subscribers,
            history: self.u64(offset_of!(SegmentHeader, history)),
            max_lag: self.u64(offset_of!(SegmentHeader, max_lag)),
        });
        let texts_len = texts_len(structure.as_ref(), dead_letters_len);
        let total_bytes = total_bytes(max_participants, texts_len, max_subscribers, &geometry)?;
        if total_bytes != self.u64(offset_of!(SegmentHeader, total_bytes)) || total_bytes != file_bytes || self.nonce() == 0 {
            return None;
        }
        let schema_len = self.u32(offset_of!(SegmentHeader, schema_len));
        let schema = self.text(offset_of!(SegmentHeader, schema), schema_len, SCHEMA_BYTES)?;
        Some(SegmentInfo {
            kind,
            geometry,
            type_name: self.text(
                offset_of!(SegmentHeader, type_name),
                self.u32(offset_of!(SegmentHeader, type_name_len)),
                TYPE_NAME_BYTES,
            )?,
            schema: Some(schema).filter(|schema| !schema.is_empty()),
            structure,
            nonce: self.nonce(),
            max_participants,
            max_deliveries: self.u32(offset_of!(SegmentHeader, max_deliveries)),
            full_fence: full_fence == 1,
            close_when_unused: close_when_unused == 1,
            bounded: bounded == 1,
            topic,
            max_spilled_bytes: self.u64(offset_of!(SegmentHeader, max_spilled_bytes)),
            dead_letters: None,
            dead_letters_len,
        })
    }
}

impl SegmentInfo {
    /// Reads the text of the structure and the name of the dead-letter queue. `read` fills a buffer
    /// from that offset of the file.
    pub fn with_text(self, read: impl Fn(&mut [u8], u64) -> std::io::Result<()>) -> Result<SegmentInfo, OpenError> {
        self.with_text_if(read, |bytes| String::from_utf8(bytes).ok())
    }

    /// The same for a read-only view, which may be of a damaged segment: invalid UTF-8 is replaced.
    pub fn with_any_text(self, read: impl Fn(&mut [u8], u64) -> std::io::Result<()>) -> Result<SegmentInfo, OpenError> {
        self.with_text_if(read, |bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn with_text_if(
        mut self,
        read: impl Fn(&mut [u8], u64) -> std::io::Result<()>,
        text_of: impl Fn(Vec<u8>) -> Option<String>,
    ) -> Result<SegmentInfo, OpenError> {
        let text = |length: usize, offset: u64| {
            let mut bytes = vec![0; length];
            let found = read(&mut bytes, offset).is_ok();
            found.then(|| text_of(bytes)).flatten().ok_or_else(corrupted)
        };
        if let Some(structure) = &mut self.structure {
            structure.set_text(text(structure.kept_bytes(), layout::structure_offset(self.max_participants))?);
        }
        if self.dead_letters_len != 0 {
            self.dead_letters = Some(text(self.dead_letters_len as usize, self.dead_letters_offset())?);
        }
        Ok(self)
    }

    /// Offset of the name of the dead-letter queue.
    pub fn dead_letters_offset(&self) -> u64 {
        layout::structure_offset(self.max_participants) + texts_len(self.structure.as_ref(), 0) as u64
    }

    fn texts_len(&self) -> u32 {
        texts_len(self.structure.as_ref(), self.dead_letters_len)
    }

    pub fn total_bytes(&self) -> Option<u64> {
        total_bytes(self.max_participants, self.texts_len(), self.max_subscribers(), &self.geometry)
    }

    /// Lines for subscribers; 0 where it is no topic.
    pub fn max_subscribers(&self) -> u32 {
        self.topic.map_or(0, |topic| topic.max_subscribers)
    }

    /// Offset of a topic's words.
    pub fn topic_offset(&self) -> u64 {
        layout::topic_offset(self.max_participants, self.texts_len())
    }

    /// Offset of the first cell.
    pub fn cells_offset(&self) -> u64 {
        layout::cells_offset(self.max_participants, self.texts_len(), self.max_subscribers())
    }

    /// Writes the constants. The state word is not touched.
    pub fn write(&self, header: &mut SegmentHeader) {
        header.magic = MAGIC;
        header.format = FORMAT;
        header.pointer_bits = usize::BITS;
        header.lock_kind = lock_kind::OURS;
        header.nonce = self.nonce;
        header.total_bytes = self.total_bytes().unwrap_or(0);
        header.cells = self.geometry.cells;
        header.cell_bytes = self.geometry.cell_bytes;
        header.kind = self.kind as u32;
        header.max_participants = self.max_participants;
        header.message_bytes = self.geometry.message_bytes;
        header.message_align = self.geometry.message_align;
        header.capacity = self.geometry.capacity;
        header.max_deliveries = self.max_deliveries;
        header.full_fence = u32::from(self.full_fence);
        header.close_when_unused = u32::from(self.close_when_unused);
        header.bounded = u32::from(self.bounded);
        header.max_subscribers = self.max_subscribers();
        header.history = self.topic.map_or(0, |topic| topic.history);
        header.max_lag = self.topic.map_or(0, |topic| topic.max_lag);
        header.max_spilled_bytes = self.max_spilled_bytes;
        header.created_unix_s = crate::os::unix_seconds();
        let schema = self.schema.as_deref().unwrap_or("");
        header.type_name_len = self.type_name.len() as u32;
        header.schema_len = schema.len() as u32;
        header.structure_hash = self.structure.as_ref().map_or(0, Structure::hash);
        header.structure_len = self.structure.as_ref().map_or(0, |structure| structure.kept_bytes() as u32);
        header.dead_letters_len = self.dead_letters_len;
        header.type_name[..self.type_name.len()].copy_from_slice(self.type_name.as_bytes());
        header.schema[..schema.len()].copy_from_slice(schema.as_bytes());
    }
}

fn locks_in_words(locks: u32) -> String {
    match locks {
        lock_kind::FUTEX => "a segment with futex locks".to_owned(),
        lock_kind::RAW_SYNC => "a segment with portable (raw_sync) locks".to_owned(),
        unknown => format!("a segment with locks of an unknown kind ({unknown})"),
    }
}

/// Bytes of the texts that lie before the cells.
fn texts_len(structure: Option<&Structure>, dead_letters_len: u32) -> u32 {
    structure.map_or(0, |structure| structure.kept_bytes() as u32) + dead_letters_len
}

fn total_bytes(max_participants: u32, texts_len: u32, max_subscribers: u32, geometry: &Geometry) -> Option<u64> {
    let ring_bytes = geometry.cells.checked_mul(geometry.cell_bytes)?;
    layout::cells_offset(max_participants, texts_len, max_subscribers).checked_add(ring_bytes)
}
