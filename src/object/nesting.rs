//! The limits of a value on its way through a codec, in and out alike: how deep it may be nested,
//! how many empty elements it may have, and why it was refused.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// Levels of values inside values, at most: structs, sequences, maps, variants, newtypes and `Some`
/// count one each, variants with several fields two. rmp-serde's own limit, for arrays and maps
/// only, is 1024.
///
/// Each level takes stack, in the process that puts and in the one that gets; the latter may have a
/// smaller stack, or be a debug build. Measured in a debug build, with linked structs (two levels
/// each): up to 1.1 KiB a level to encode; to decode up to 2.8 KiB for structs of two words, up to
/// 5.4 KiB for structs of 200 bytes. The latter needs 1.4 MiB of the usual 2 MiB of a thread.
pub(super) const MAX_DEPTH: u32 = 256;

/// Elements that take no bytes (`()`, structs whose fields are all skipped), at most. All other
/// elements have a first byte of their own, so a message has no more of them than bytes. But a few
/// bytes could demand any number of empty ones, of any size in memory.
const EMPTY_ELEMENTS: usize = 65_536;

/// The state of one value on its way through a codec.
#[derive(Default)]
pub(super) struct Passage {
    depth: Cell<u32>,
    /// The reason behind an error that the codec was given; the codec's error may keep no text.
    refused: Cell<Option<CodecError>>,
    /// Elements and entries of all sequences and maps so far.
    elements: Cell<usize>,
    /// The next visit is of a sequence or a map, not of a tuple.
    is_counted: Cell<bool>,
}

impl Passage {
    /// Enters `levels` levels, until the result is dropped.
    #[inline]
    pub fn enter(&self, levels: u32) -> Result<Level<'_>, CodecError> {
        let depth = self.depth.get() + levels;
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth.set(depth);
        Ok(Level { passage: self, levels })
    }

    /// The next visit is of a sequence or a map.
    #[inline]
    pub fn count_next(&self) {
        self.is_counted.set(true);
    }

    /// At the beginning of a visit: is it of a sequence or a map?
    #[inline]
    pub fn is_counted(&self) -> bool {
        self.is_counted.replace(false)
    }

    /// Counts the elements of a sequence or a map.
    #[inline]
    pub fn count(&self, elements: usize) {
        self.elements.set(self.elements.get().saturating_add(elements));
    }

    /// Are there no more elements than a message of `bytes` bytes can have?
    #[inline]
    pub fn check_count(&self, bytes: usize) -> Result<(), CodecError> {
        if self.elements.get() <= bytes.saturating_add(EMPTY_ELEMENTS) {
            return Ok(());
        }
        Err(CodecError::new(format!("more than {EMPTY_ELEMENTS} elements that take no bytes")))
    }

    /// Wraps a refusal as an error of the codec, to be caught outside it.
    #[cold]
    pub fn encode_error<E: serde::ser::Error>(&self, refused: CodecError) -> E {
        self.refused.set(Some(refused));
        E::custom("refused")
    }

    /// As [`encode_error`](Self::encode_error).
    #[cold]
    pub fn decode_error<E: serde::de::Error>(&self, refused: CodecError) -> E {
        self.refused.set(Some(refused));
        E::custom("refused")
    }

    /// The first reason for an error of the codec.
    #[cold]
    pub fn caught<E: fmt::Display>(&self, error: E) -> CodecError {
        self.refused.take().unwrap_or_else(|| CodecError::new(error.to_string()))
    }
}

/// Levels that are entered; dropping it leaves them.
pub(super) struct Level<'p> {
    passage: &'p Passage,
    levels: u32,
}

impl Drop for Level<'_> {
    #[inline]
    fn drop(&mut self) {
        self.passage.depth.set(self.passage.depth.get() - self.levels);
    }
}

#[cold]
fn too_deep() -> CodecError {
    CodecError::new(format!("depth limit exceeded: values are nested more than {MAX_DEPTH} deep"))
}

/// Why a value was not encoded or decoded.
#[derive(Debug)]
pub(super) struct CodecError(Box<Why>);

/// Boxed, so that a result is a word or two, in registers.
#[derive(Debug)]
struct Why(String);

impl CodecError {
    #[cold]
    pub fn new(why: String) -> CodecError {
        CodecError(Box::new(Why(why)))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.0)
    }
}

impl Error for CodecError {}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(why: T) -> CodecError {
        CodecError::new(why.to_string())
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(why: T) -> CodecError {
        CodecError::new(why.to_string())
    }
}
