//! What an opener expects of a segment, and the mismatch error when it finds something else.

use super::directory::Directory;
use super::header::SegmentInfo;
use super::options::Asked;
use super::owners::Owners;
use super::structure::{Structure, Wanted};
use crate::error::{OpenError, Subject};
use crate::message::schema::first_difference;
use crate::shm::kind::Kind;
use crate::shm::layout::{SCHEMA_BYTES, TYPE_NAME_BYTES};
use crate::shm::text::truncated;

/// What an opener expects.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    /// What the segment holds.
    pub kind: Kind,
    /// Is a queue (or a topic) of whatever messages expected, and nothing of the next four?
    pub any_messages: bool,
    pub message_bytes: u64,
    pub message_align: u64,
    /// Empty: none is expected.
    pub type_name: String,
    pub schema: Option<String>,
    pub structure: Option<Wanted>,
    pub lock_memory: bool,
    pub huge_pages: bool,
    /// Options the caller asked for, which an existing segment may not have.
    pub asked: Asked,
    /// Nonce of the only segment that will do.
    pub nonce: Option<u64>,
    /// Users whose segment will do.
    pub owners: Owners,
    pub directory: Directory,
}

impl Expect {
    /// Messages of that kind and type, in a segment of this user or of root, in the program's
    /// directory; the rest is left open.
    pub fn new(kind: Kind, message_bytes: u64, message_align: u64, type_name: String) -> Expect {
        Expect {
            kind,
            any_messages: false,
            message_bytes,
            message_align,
            type_name,
            schema: None,
            structure: None,
            lock_memory: false,
            huge_pages: false,
            asked: Asked::default(),
            nonce: None,
            owners: Owners::default(),
            directory: Directory::default(),
        }
    }

    /// Checks that this is the segment, and that these are the messages, that the opener expects.
    pub fn check(&self, info: &SegmentInfo) -> Result<(), OpenError> {
        if self.nonce.is_some_and(|nonce| nonce != info.nonce) {
            return Err(OpenError::Replaced { what: Subject::default() });
        }
        if self.any_messages && (self.kind.is_queue(), self.kind.is_topic()) == (info.kind.is_queue(), info.kind.is_topic()) {
            return Ok(());
        }
        let type_name = truncated(&self.type_name, TYPE_NAME_BYTES);
        let schema = self.schema.as_deref().map(|schema| truncated(schema, SCHEMA_BYTES)).filter(|schema| !schema.is_empty());
        let wanted = self.structure.as_ref().zip(info.structure.as_ref());
        let same_meaning = match (schema, info.schema.as_deref()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Of a layout that names no type: its creator said all that there is in the structure.
            _ if info.type_name.is_empty() => wanted.is_some_and(|(_, theirs)| theirs.is_of_fields()) || type_name.is_empty(),
            _ => type_name.is_empty() || type_name == info.type_name,
        };
        let same_schema = schema.is_some() && schema == info.schema.as_deref();
        let structures = wanted.and_then(|(ours, theirs)| Some((ours.differs_from(theirs, same_schema)?, theirs)));
        let same_shape = self.kind == info.kind
            && self.message_bytes == info.geometry.message_bytes
            && self.message_align == info.geometry.message_align;
        if same_meaning && same_shape && structures.is_none() {
            return Ok(());
        }
        let aligns_differ = self.message_align != info.geometry.message_align;
        let theirs = Messages {
            kind: info.kind,
            type_name: &info.type_name,
            schema: info.schema.as_deref(),
            bytes: info.geometry.message_bytes,
            align: aligns_differ.then_some(info.geometry.message_align),
            structure: structures.as_ref().map(|&(_, theirs)| theirs),
        };
        if self.any_messages {
            let ours = format!("a {} of any messages", self.kind.subject());
            return Err(OpenError::Mismatch { what: Subject::default(), ours, theirs: theirs.in_words() });
        }
        let ours = Messages {
            kind: self.kind,
            type_name,
            schema,
            bytes: self.message_bytes,
            align: aligns_differ.then_some(self.message_align),
            structure: structures.as_ref().map(|(ours, _)| ours),
        };
        let difference = structures.as_ref().and_then(|(ours, theirs)| first_difference(ours.text(), theirs.text()));
        let difference = difference.map(|difference| format!(" ({difference})")).unwrap_or_default();
        Err(OpenError::Mismatch { what: Subject::default(), ours: ours.in_words() + &difference, theirs: theirs.in_words() })
    }
}

/// One side of a mismatch.
struct Messages<'a> {
    kind: Kind,
    type_name: &'a str,
    schema: Option<&'a str>,
    bytes: u64,
    /// Given only where the two sides differ.
    align: Option<u64>,
    /// Likewise.
    structure: Option<&'a Structure>,
}

impl Messages<'_> {
    /// `messages of type Tick, schema tick/2 (24 bytes)`. Text from a segment is escaped: it may be
    /// printed on a terminal.
    fn in_words(&self) -> String {
        let type_name = if self.type_name.is_empty() { "that is not named" } else { self.type_name };
        // The structure of a number says no more than its type name.
        let structure = self.structure.filter(|structure| structure.text() != self.type_name);
        let structure = structure.map(|structure| format!(" of structure {structure}")).unwrap_or_default();
        let what = match self.kind {
            Kind::Slice => "slices of type",
            Kind::Mutex => "a mutex of type",
            Kind::Array => "an array of type",
            Kind::Value => "a value of type",
            Kind::Event => return "an event".to_owned(),
            Kind::Semaphore => return "a semaphore".to_owned(),
            Kind::Condvar => return "a condition variable".to_owned(),
            Kind::Barrier => return "a barrier".to_owned(),
            Kind::Lock => return "a lock".to_owned(),
            Kind::ReentrantLock => return "a reentrant lock".to_owned(),
            Kind::Encoded => "encoded objects of type",
            Kind::Sized => "messages of type",
            Kind::TopicSized => "a topic of messages of type",
            Kind::TopicSlice => "a topic of slices of type",
            Kind::TopicEncoded => "a topic of encoded objects of type",
        };
        if matches!(self.kind, Kind::Encoded | Kind::TopicEncoded) {
            let schema = self.schema.map(|schema| format!(", schema {}", schema.escape_debug())).unwrap_or_default();
            return format!("{what} {}{schema}{structure}", type_name.escape_debug());
        }
        let unit = match (self.bytes, matches!(self.kind, Kind::Slice | Kind::TopicSlice | Kind::Array)) {
            (1, true) => "byte an element",
            (_, true) => "bytes an element",
            (1, false) => "byte",
            (_, false) => "bytes",
        };
        let schema = self.schema.map(|schema| format!(", schema {}", schema.escape_debug())).unwrap_or_default();
        let align = self.align.map(|align| format!(", aligned to {align}")).unwrap_or_default();
        format!("{what} {}{schema} ({} {unit}{align}){structure}", type_name.escape_debug(), self.bytes)
    }
}
