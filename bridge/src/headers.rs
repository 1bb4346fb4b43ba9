//! What a message carries besides its bytes: its id, and what its bytes are.
//!
//! ```text
//!   Shmq-Id:     32 hexadecimal digits, those of `MessageId`: the queue's nonce and a position
//!   Shmq-Type:   value 16 8 Tick      form, size, alignment, name of the type if there is one
//!   Shmq-Schema: =tick/2              the creator's own schema, or else
//!                #1f0c...             a hash of the structure as text, or else absent
//! ```
//!
//! The structure itself, which may have 4 KiB, stands in the stream's metadata only.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use shmq::{Form, MessageId, MessageLayout};

/// The message's id.
pub const ID: HeaderName = HeaderName::from_static("Shmq-Id");
/// What its bytes are.
pub const TYPE: HeaderName = HeaderName::from_static("Shmq-Type");
/// Its schema.
pub const SCHEMA: HeaderName = HeaderName::from_static("Shmq-Schema");

/// What the messages of a queue are, as headers say it.
///
/// ```
/// use shmq_bridge::headers::Tag;
///
/// let tag = Tag::of(&shmq::MessageLayout::of::<u64>());
/// let mut headers = async_nats::HeaderMap::new();
/// tag.write(&mut headers);
/// assert!(tag.check(&headers).is_ok());
/// let other = Tag::of(&shmq::MessageLayout::of::<f64>());
/// assert!(other.check(&headers).unwrap_err().contains("f64"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    layout: String,
    schema: Option<String>,
}

impl Tag {
    /// Of messages of that layout.
    pub fn of(layout: &MessageLayout) -> Tag {
        let form = match layout.form() {
            Form::Value => "value",
            Form::Slice => "slice",
            _ => "encoded",
        };
        let name = layout.name_of_type().unwrap_or_default();
        let words = format!("{form} {} {} {name}", layout.size(), layout.align());
        let schema = match (layout.schema_text(), layout.structure_text()) {
            (Some(schema), _) => Some(format!("={schema}")),
            // Only the beginning of such a structure is known, and is compared with nothing.
            (None, Some(structure)) if !layout.is_structure_cut() => Some(format!("#{:016x}", hash_of(structure.as_bytes()))),
            _ => None,
        };
        Tag { layout: one_line(words.trim_end()), schema: schema.map(|schema| one_line(&schema)) }
    }

    /// What headers or metadata with these values say.
    pub fn from_parts(layout: impl Into<String>, schema: Option<String>) -> Tag {
        Tag { layout: layout.into(), schema }
    }

    /// The value of [`TYPE`].
    pub fn layout(&self) -> &str {
        &self.layout
    }

    /// The value of [`SCHEMA`].
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Writes them into the headers of a message.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(TYPE, value(&self.layout));
        if let Some(schema) = &self.schema {
            headers.insert(SCHEMA, value(schema));
        }
    }

    /// Are those of a message the same? The error says both.
    ///
    /// # Errors
    /// In words: both types. A message without these headers is one of bytes, which an encoded
    /// queue or one of slices of bytes takes.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let Some(layout) = headers.get(TYPE) else {
            let takes_bytes = self.layout.starts_with("encoded 1") || self.layout.starts_with("slice 1 ");
            return if takes_bytes { Ok(()) } else { Err(format!("a message without {TYPE} came to a queue of {self}")) };
        };
        let schema = headers.get(SCHEMA).map(|schema| schema.as_str());
        // Nearly all messages of a stream say the same as the queue.
        if layout.as_str() == self.layout && schema == self.schema() {
            return Ok(());
        }
        let schema = schema.map(str::to_owned);
        self.check_tag(&Tag::from_parts(layout.as_str(), schema))
    }

    /// The same of a message that may have no headers at all.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_message(&self, headers: Option<&HeaderMap>) -> Result<(), String> {
        match headers {
            Some(headers) => self.check(headers),
            None => self.check(&HeaderMap::new()),
        }
    }

    /// Are those of the other end the same? As for a queue's opener: two schemas of the creators'
    /// own must be equal, and stand for the types; otherwise names and structures must be equal
    /// where both are known.
    ///
    /// # Errors
    /// In words: both types.
    pub fn check_tag(&self, other: &Tag) -> Result<(), String> {
        let own = |tag: &Tag| tag.schema.as_deref().filter(|schema| schema.starts_with('=')).map(str::to_owned);
        let agree = match (own(self), own(other)) {
            (Some(mine), Some(theirs)) => mine == theirs && self.shape() == other.shape(),
            _ => {
                let hash = |tag: &Tag| tag.schema.clone().filter(|schema| schema.starts_with('#'));
                let same_structure = hash(self).zip(hash(other)).is_none_or(|(mine, theirs)| mine == theirs);
                let same_name = self.name().zip(other.name()).is_none_or(|(mine, theirs)| mine == theirs);
                self.shape() == other.shape() && same_name && same_structure
            }
        };
        if agree { Ok(()) } else { Err(format!("the other end has {other}, this queue {self}")) }
    }

    /// Form, size and alignment.
    fn shape(&self) -> Vec<&str> {
        self.layout.splitn(4, ' ').take(3).collect()
    }

    fn name(&self) -> Option<&str> {
        self.layout.splitn(4, ' ').nth(3)
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "\"{}\"", self.layout)?;
        match &self.schema {
            Some(schema) => write!(out, " schema \"{schema}\""),
            None => Ok(()),
        }
    }
}

/// The id in the headers of a message; `None` if it has none that is one.
pub fn id_of(headers: &HeaderMap) -> Option<MessageId> {
    parse_id(headers.get(ID)?.as_str())
}

/// The id with these 32 digits.
///
/// ```
/// use shmq_bridge::headers::parse_id;
///
/// let id = shmq::MessageId::from_bytes([7; 16]);
/// assert_eq!(parse_id(&id.to_string()), Some(id));
/// assert_eq!(parse_id("07"), None);
/// ```
pub fn parse_id(digits: &str) -> Option<MessageId> {
    let is_id = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_id)?;
    Some(MessageId::from_bytes(number.to_be_bytes()))
}

/// FNV-1a: the same on every machine and in every version.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The text comes from the segment's creator: a header has one line.
fn one_line(text: &str) -> String {
    text.chars().map(|each| if each.is_control() { '?' } else { each }).collect()
}

fn value(text: &str) -> HeaderValue {
    // It has one line: see `one_line`.
    text.parse().unwrap_or_else(|_| HeaderValue::from("?"))
}
