//! What a value meets on its way through a codec, in and out alike: how deep it may be nested, and
//! why it was refused.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// Values inside values, at most: structs, sequences, maps, variants, newtypes and `Some` count one
/// each, variants with several fields two. rmp-serde's own limit, for arrays
/// and maps only, is 1024.
///
/// Each level takes stack, in the process that puts and in the one that gets, whose stack is
/// perhaps smaller, and whose build is perhaps a debug build. Measured in such a build, of linked
/// structs (two levels each): up to 1.1 KiB a level to encode; to decode up to 2.8 KiB where they
/// have two words, up to 5.4 KiB where they have 200 bytes. So 1.4 MiB for the latter, of the usual
/// 2 MiB of a thread.
pub(super) const MAX_DEPTH: u32 = 256;

/// Elements that take no bytes (`()`, structs whose fields are all skipped), at most. An element of
/// a sequence has a first byte of its own, so that a message has no more elements than bytes, but
/// for these: few bytes could ask for any number of them, of any size in memory.
const EMPTY_ELEMENTS: usize = 65_536;

/// A value on its way.
#[derive(Default)]
pub(super) struct Passage {
    depth: Cell<u32>,
    /// What the codec was told as an error of its own, which keeps no words perhaps.
    refused: Cell<Option<Refused>>,
    /// Elements and entries of all sequences and maps so far.
    elements: Cell<usize>,
    /// What comes next is a sequence or a map, and no tuple.
    is_counted: Cell<bool>,
}

impl Passage {
    /// Goes so many levels down, for as long as the result lives.
    #[inline]
    pub fn enter(&self, levels: u32) -> Result<Level<'_>, Refused> {
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

    /// A visit begins: is it of a sequence or a map?
    #[inline]
    pub fn is_counted(&self) -> bool {
        self.is_counted.replace(false)
    }

    /// A sequence or a map of so many elements.
    #[inline]
    pub fn count(&self, elements: usize) {
        self.elements.set(self.elements.get().saturating_add(elements));
    }

    /// Are there no more elements than a message of so many bytes can have?
    #[inline]
    pub fn check_count(&self, bytes: usize) -> Result<(), Refused> {
        if self.elements.get() <= bytes.saturating_add(EMPTY_ELEMENTS) {
            return Ok(());
        }
        Err(Refused(format!("more than {EMPTY_ELEMENTS} elements that take no bytes")))
    }

    /// What was refused, as an error of the codec's, to be caught outside it.
    #[cold]
    pub fn encode_error<E: serde::ser::Error>(&self, refused: Refused) -> E {
        self.refused.set(Some(refused));
        E::custom("refused")
    }

    /// As [`encode_error`](Self::encode_error).
    #[cold]
    pub fn decode_error<E: serde::de::Error>(&self, refused: Refused) -> E {
        self.refused.set(Some(refused));
        E::custom("refused")
    }

    /// The first reason for an error of the codec's.
    #[cold]
    pub fn caught<E: fmt::Display>(&self, error: E) -> Refused {
        self.refused.take().unwrap_or_else(|| Refused(error.to_string()))
    }
}

/// So many levels deeper, until it is dropped.
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
fn too_deep() -> Refused {
    Refused(format!("depth limit exceeded: values are nested more than {MAX_DEPTH} deep"))
}

/// Why a value was not encoded or decoded.
#[derive(Debug)]
pub(super) struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused(why.to_string())
    }
}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused(why.to_string())
    }
}
