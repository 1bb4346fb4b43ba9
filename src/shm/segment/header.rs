//! What a segment says about itself, checked once and copied out.
//!
//! Invariant 1: an [`SegmentInfo`] is one that [`SegmentInfo::of_spec`] could have made: its geometry and its table fit its length, and its
//! strings are UTF-8. It is private memory: what peers do to the header later changes nothing.

use super::structure::Structure;
use super::{Expect, Spec, corrupted};
use crate::error::{OpenError, Subject};
use crate::message::schema::first_difference;
use crate::os::Barrier;
use crate::shm::geometry::Geometry;
use crate::shm::layout::{
    self, FORMAT, MAGIC, MAX_PARTICIPANTS, NAME_BYTES, SCHEMA_BYTES, SegmentHeader, TYPE_NAME_BYTES, kind, lock_kind,
};
use std::mem::offset_of;

pub(super) const HEADER_BYTES: usize = size_of::<SegmentHeader>();
/// Offset of the state word in the file.
pub(super) const STATE_OFFSET: u64 = offset_of!(SegmentHeader, state) as u64;
/// Offset of the nonce in the file.
pub(super) const NONCE_OFFSET: u64 = offset_of!(SegmentHeader, nonce) as u64;

/// The header as bytes read from a file.
pub(super) struct RawSegmentHeader(pub [u8; HEADER_BYTES]);

/// The private copy of a header's constants.
#[derive(Clone, Debug)]
pub(crate) struct SegmentInfo {
    pub kind: u32,
    pub geometry: Geometry,
    pub type_name: String,
    pub schema: Option<String>,
    /// Its text is read after the rest: see [`SegmentInfo::with_text`].
    pub structure: Option<Structure>,
    pub nonce: u64,
    pub max_participants: u32,
    pub max_deliveries: u32,
    pub full_fence: bool,
    /// The name of the queue for dead letters. Read after the rest, as the structure's text.
    pub dead_letters: Option<String>,
    dead_letters_len: u32,
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

    /// Did this version of us make it?
    pub fn is_of_our_format(&self) -> bool {
        self.is_ours() && self.u32(offset_of!(SegmentHeader, format)) == FORMAT
    }

    /// Seconds since 1970, for people.
    pub fn created_unix_s(&self) -> u64 {
        self.u64(offset_of!(SegmentHeader, created_unix_s))
    }

    /// May its messages still be wanted, though nobody is attached? What another version of us wrote is not ours to judge.
    pub fn is_persisted(&self) -> bool {
        self.is_ours()
            && (self.u32(offset_of!(SegmentHeader, format)) != FORMAT || self.u32(offset_of!(SegmentHeader, persisted)) != 0)
    }

    /// The info of a segment that this build can use, in a file of `file_bytes`.
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

    /// Size of the participant table, also where locks or width are not ours: enough to find the name byte.
    pub fn max_participants(&self, file_bytes: u64) -> Option<u32> {
        self.shape(file_bytes).filter(|_| self.is_of_our_format()).map(|info| info.max_participants)
    }

    fn shape(&self, file_bytes: u64) -> Option<SegmentInfo> {
        let kind = self.u32(offset_of!(SegmentHeader, kind));
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
        if !(1..=MAX_PARTICIPANTS).contains(&max_participants) || full_fence > 1 {
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
        let total_bytes = total_bytes(max_participants, texts_len(structure.as_ref(), dead_letters_len), &geometry)?;
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
            dead_letters: None,
            dead_letters_len,
        })
    }
}

impl SegmentInfo {
    /// What a segment made to this specification says about itself. `max_participants` is brought into its range.
    pub fn of_spec(spec: &Spec, nonce: u64) -> SegmentInfo {
        SegmentInfo {
            kind: spec.kind,
            geometry: spec.geometry,
            type_name: at_most(&spec.type_name, TYPE_NAME_BYTES).to_owned(),
            schema: spec
                .schema
                .as_deref()
                .map(|schema| at_most(schema, SCHEMA_BYTES).to_owned())
                .filter(|schema| !schema.is_empty()),
            structure: spec.structure.as_deref().and_then(Structure::of_text),
            nonce,
            max_participants: spec.max_participants.clamp(1, MAX_PARTICIPANTS),
            max_deliveries: spec.max_deliveries,
            // Where this process cannot ask for the barrier, those that share its sandbox cannot either.
            full_fence: spec.full_fence || !Barrier::is_to_be_had(),
            dead_letters: spec
                .dead_letters
                .as_deref()
                .map(|name| at_most(name, NAME_BYTES).to_owned())
                .filter(|name| !name.is_empty()),
            dead_letters_len: spec.dead_letters.as_deref().map_or(0, |name| at_most(name, NAME_BYTES).len() as u32),
        }
    }

    /// Reads the text of the structure and the name of the queue for dead letters, which `read` finds in the file: bytes of it, at
    /// that offset.
    pub fn with_text(self, read: impl Fn(&mut [u8], u64) -> std::io::Result<()>) -> Result<SegmentInfo, OpenError> {
        self.with_text_if(read, |bytes| String::from_utf8(bytes).ok())
    }

    /// The same for those who only look, at damaged segments too: what is no text is shown as such.
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

    /// Where the name of the queue for dead letters lies.
    pub fn dead_letters_offset(&self) -> u64 {
        layout::structure_offset(self.max_participants) + texts_len(self.structure.as_ref(), 0) as u64
    }

    fn texts_len(&self) -> u32 {
        texts_len(self.structure.as_ref(), self.dead_letters_len)
    }

    pub fn total_bytes(&self) -> Option<u64> {
        total_bytes(self.max_participants, self.texts_len(), &self.geometry)
    }

    /// Where the cells begin.
    pub fn cells_offset(&self) -> u64 {
        layout::cells_offset(self.max_participants, self.texts_len())
    }

    /// Writes the constants. The state stays as it is.
    pub fn write(&self, header: &mut SegmentHeader) {
        header.magic = MAGIC;
        header.format = FORMAT;
        header.pointer_bits = usize::BITS;
        header.lock_kind = lock_kind::OURS;
        header.nonce = self.nonce;
        header.total_bytes = self.total_bytes().unwrap_or(0);
        header.cells = self.geometry.cells;
        header.cell_bytes = self.geometry.cell_bytes;
        header.kind = self.kind;
        header.max_participants = self.max_participants;
        header.message_bytes = self.geometry.message_bytes;
        header.message_align = self.geometry.message_align;
        header.capacity = self.geometry.capacity;
        header.max_deliveries = self.max_deliveries;
        header.full_fence = u32::from(self.full_fence);
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

    /// Is this the segment, and are these the messages, that an opener expects?
    pub fn check(&self, expect: &Expect) -> Result<(), OpenError> {
        if expect.nonce.is_some_and(|nonce| nonce != self.nonce) {
            return Err(OpenError::Replaced { what: Subject::default() });
        }
        let type_name = at_most(&expect.type_name, TYPE_NAME_BYTES);
        let schema = expect.schema.as_deref().map(|schema| at_most(schema, SCHEMA_BYTES)).filter(|schema| !schema.is_empty());
        let same_meaning = match (schema, self.schema.as_deref()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => type_name == self.type_name,
        };
        let same_schema = schema.is_some() && schema == self.schema.as_deref();
        let wanted = expect.structure.as_ref().zip(self.structure.as_ref());
        let structures = wanted.and_then(|(ours, theirs)| Some((ours.differs_from(theirs, same_schema)?, theirs)));
        let same_shape = expect.kind == self.kind
            && expect.message_bytes == self.geometry.message_bytes
            && expect.message_align == self.geometry.message_align;
        if same_meaning && same_shape && structures.is_none() {
            return Ok(());
        }
        let aligns_differ = expect.message_align != self.geometry.message_align;
        let ours = Messages {
            kind: expect.kind,
            type_name,
            schema,
            bytes: expect.message_bytes,
            align: aligns_differ.then_some(expect.message_align),
            structure: structures.as_ref().map(|(ours, _)| ours),
        };
        let theirs = Messages {
            kind: self.kind,
            type_name: &self.type_name,
            schema: self.schema.as_deref(),
            bytes: self.geometry.message_bytes,
            align: aligns_differ.then_some(self.geometry.message_align),
            structure: structures.as_ref().map(|&(_, theirs)| theirs),
        };
        let difference = structures.as_ref().and_then(|(ours, theirs)| first_difference(ours.text(), theirs.text()));
        let difference = difference.map(|difference| format!(" ({difference})")).unwrap_or_default();
        Err(OpenError::Mismatch { what: Subject::default(), ours: ours.in_words() + &difference, theirs: theirs.in_words() })
    }
}

/// What a mismatch tells people about one side.
struct Messages<'a> {
    kind: u32,
    type_name: &'a str,
    schema: Option<&'a str>,
    bytes: u64,
    /// Told only where the two sides differ.
    align: Option<u64>,
    /// Likewise.
    structure: Option<&'a Structure>,
}

impl Messages<'_> {
    /// `messages of type Tick, schema tick/2 (24 bytes)`. Text from a segment is escaped: it goes to somebody's terminal.
    fn in_words(&self) -> String {
        // That of a number says no more than its name.
        let structure = self.structure.filter(|structure| structure.text() != self.type_name);
        let structure = structure.map(|structure| format!(" of structure {structure}")).unwrap_or_default();
        let what = match self.kind {
            kind::SLICE => "slices of type",
            kind::MUTEX => "a mutex of type",
            kind::ARRAY => "an array of type",
            kind::VALUE => "a value of type",
            kind::EVENT => return "an event".to_owned(),
            kind::SEMAPHORE => return "a semaphore".to_owned(),
            kind::CONDVAR => return "a condition variable".to_owned(),
            kind::BARRIER => return "a barrier".to_owned(),
            kind::OBJECT => "encoded objects of type",
            _ => "messages of type",
        };
        if self.kind == kind::OBJECT {
            let schema = self.schema.map(|schema| format!(", schema {}", schema.escape_debug())).unwrap_or_default();
            return format!("{what} {}{schema}{structure}", self.type_name.escape_debug());
        }
        let unit = match (self.bytes, matches!(self.kind, kind::SLICE | kind::ARRAY)) {
            (1, true) => "byte an element",
            (_, true) => "bytes an element",
            (1, false) => "byte",
            (_, false) => "bytes",
        };
        let schema = self.schema.map(|schema| format!(", schema {}", schema.escape_debug())).unwrap_or_default();
        let align = self.align.map(|align| format!(", aligned to {align}")).unwrap_or_default();
        format!("{what} {}{schema} ({} {unit}{align}){structure}", self.type_name.escape_debug(), self.bytes)
    }
}

fn locks_in_words(locks: u32) -> String {
    match locks {
        lock_kind::FUTEX => "a segment with futex locks".to_owned(),
        lock_kind::RAW_SYNC => "a segment with portable (raw_sync) locks".to_owned(),
        unknown => format!("a segment with locks of an unknown kind ({unknown})"),
    }
}

/// Bytes of the texts before the cells.
fn texts_len(structure: Option<&Structure>, dead_letters_len: u32) -> u32 {
    structure.map_or(0, |structure| structure.kept_bytes() as u32) + dead_letters_len
}

fn total_bytes(max_participants: u32, texts_len: u32, geometry: &Geometry) -> Option<u64> {
    let ring_bytes = geometry.cells.checked_mul(geometry.cell_bytes)?;
    layout::cells_offset(max_participants, texts_len).checked_add(ring_bytes)
}

/// The longest beginning of `text` that has at most `bytes` bytes and ends between characters.
pub(super) fn at_most(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
