//! The structure of messages, as text: it distinguishes two types of the same name and size.
//!
//! Invariant 1: the hash is that of the whole text, never 0, and the text is stored up to
//! `STRUCTURE_BYTES`: what is cut off still counts in the hash.

use crate::message::schema;
use crate::shm::layout::STRUCTURE_BYTES;
use crate::shm::text::truncated;
use std::fmt;

/// A structural schema: `{price: f64, volume: u64}`.
#[derive(Clone, Debug)]
pub(crate) struct Structure {
    hash: u64,
    kept_bytes: usize,
    text: String,
}

impl Structure {
    /// `None` of an empty text.
    pub fn of_text(text: &str) -> Option<Structure> {
        let kept = truncated(text, STRUCTURE_BYTES);
        (!text.is_empty()).then(|| Structure { hash: hash(text.as_bytes()), kept_bytes: kept.len(), text: kept.to_owned() })
    }

    /// As a segment header describes it, without the text yet. The outer `None`: the words are
    /// impossible.
    #[expect(clippy::option_option, reason = "no structure is not the same as none that could be")]
    pub fn of_header(hash: u64, kept_bytes: u32) -> Option<Option<Structure>> {
        let kept_bytes = usize::try_from(kept_bytes).ok().filter(|&bytes| bytes <= STRUCTURE_BYTES)?;
        match (hash, kept_bytes) {
            (0, 0) => Some(None),
            (0, _) | (_, 0) => None,
            _ => Some(Some(Structure { hash, kept_bytes, text: String::new() })),
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Bytes of the text that a segment stores.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn set_text(&mut self, text: String) {
        self.text = text;
    }

    /// Is it written as a structural schema, or text of the creator's own choice?
    pub(super) fn is_of_fields(&self) -> bool {
        schema::is_schema(&self.text, self.is_cut())
    }

    /// May the text have been cut?
    pub fn is_cut(&self) -> bool {
        self.text.len() > STRUCTURE_BYTES - 4
    }

    pub fn is_same(&self, other: &Structure) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

/// What an opener wants the structure to be.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Given by the caller as text.
    Said(String),
    /// The schema of the caller's message type.
    OfType(String),
}

impl Wanted {
    /// The wanted structure, if the segment has another. `same_schema`: both sides named the same
    /// schema, which takes precedence over the structure of the types.
    pub fn differs_from(&self, theirs: &Structure, same_schema: bool) -> Option<Structure> {
        let ours = match self {
            // A text that the creator chose freely says nothing about a type.
            Wanted::OfType(_) if same_schema || !theirs.is_of_fields() => None,
            Wanted::Said(text) | Wanted::OfType(text) => Structure::of_text(text),
        };
        ours.filter(|ours| !ours.is_same(theirs))
    }
}

impl fmt::Display for Structure {
    /// Text from a segment is escaped: it may be printed on a terminal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.is_cut() { " ..." } else { "" };
        write!(out, "{}{cut}", self.text.escape_debug())
    }
}

/// FNV-1a with a final mix, as a const fn.
const fn hash(text: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    if hash == 0 { 1 } else { hash }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_counts_whole() {
        let long = "\u{e4}".repeat(STRUCTURE_BYTES);
        let (one, other) = (Structure::of_text(&format!("{long}1")).unwrap(), Structure::of_text(&format!("{long}2")).unwrap());
        assert_eq!((one.text(), one.kept_bytes()), (other.text(), STRUCTURE_BYTES));
        assert!(!one.is_same(&other) && one.is_same(&one.clone()));
        assert!(Structure::of_text("").is_none());
    }

    #[test]
    fn a_header_with_an_impossible_structure_is_refused() {
        assert!(Structure::of_header(0, 0).unwrap().is_none());
        for (hash, kept) in [(0, 1), (1, 0), (1, STRUCTURE_BYTES as u32 + 1), (1, u32::MAX)] {
            assert!(Structure::of_header(hash, kept).is_none(), "{hash} {kept}");
        }
    }
}
