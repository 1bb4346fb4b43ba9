//! How this crate uses MessagePack where serde has more than MessagePack does. Postcard needs none
//! of it.
//!
//! | serde | MessagePack |
//! |---|---|
//! | sequences and tuples of `u8`, but no empty ones | bin |
//! | bytes | ext of type [`BYTES`] |
//! | `Some` of nil | ext of type [`SOME`]: how many `Some` are around it, 16 bits big endian |
//!
//! All else is rmp-serde's, with structs as maps from field names. Bytes and sequences differ,
//! since serde does not convert one into the other where it reads a type without a hint
//! (`#[serde(untagged)]`, `flatten`). Messages of other encoders may have either form.

use rmp::Marker;
use rmp::decode::{read_bin_len, read_ext_meta, read_str_len};

/// Ext type of bytes.
const BYTES: i8 = 1;
/// Ext type of a nil inside one `Some` or more.
const SOME: i8 = 2;

/// Which of the two codecs is meant, as a type without values.
pub(super) trait Format {
    /// MessagePack?
    const IS_MESSAGE_PACK: bool;
}

pub(super) enum PostcardFormat {}

impl Format for PostcardFormat {
    const IS_MESSAGE_PACK: bool = false;
}

pub(super) enum MessagePackFormat {}

impl Format for MessagePackFormat {
    const IS_MESSAGE_PACK: bool = true;
}

/// What comes next in the bytes, if it is not left to rmp-serde.
pub(super) enum Ahead<'de> {
    Nil,
    Bytes(&'de [u8]),
    Sequence(&'de [u8]),
    Some(u16),
    /// For speed: rmp-serde copies it first.
    Text(&'de str),
    Other,
}

impl<'de> Ahead<'de> {
    /// What begins `from`, and the bytes behind it.
    #[inline]
    pub fn of(from: &'de [u8]) -> (Ahead<'de>, &'de [u8]) {
        let Some(&first) = from.first() else { return (Ahead::Other, from) };
        match Marker::from_u8(first) {
            Marker::Null => (Ahead::Nil, &from[1..]),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => Ahead::sequence(from),
            Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 | Marker::FixExt8 | Marker::FixExt16 => Ahead::ext(from),
            Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => Ahead::ext(from),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => Ahead::text(from),
            _ => (Ahead::Other, from),
        }
    }

    fn text(from: &'de [u8]) -> (Ahead<'de>, &'de [u8]) {
        let mut rest = from;
        let length = read_str_len(&mut rest).unwrap_or(u32::MAX);
        match rest.split_at_checked(length as usize).map(|(text, rest)| (std::str::from_utf8(text), rest)) {
            Some((Ok(text), rest)) => (Ahead::Text(text), rest),
            _ => (Ahead::Other, from),
        }
    }

    fn sequence(from: &'de [u8]) -> (Ahead<'de>, &'de [u8]) {
        let mut rest = from;
        let length = read_bin_len(&mut rest).unwrap_or(u32::MAX);
        match rest.split_at_checked(length as usize) {
            Some((bytes, rest)) => (Ahead::Sequence(bytes), rest),
            None => (Ahead::Other, from),
        }
    }

    fn ext(from: &'de [u8]) -> (Ahead<'de>, &'de [u8]) {
        let mut rest = from;
        let Ok(meta) = read_ext_meta(&mut rest) else { return (Ahead::Other, from) };
        match (meta.typeid, rest.split_at_checked(meta.size as usize)) {
            (BYTES, Some((bytes, rest))) => (Ahead::Bytes(bytes), rest),
            (SOME, Some((&[high, low], rest))) if (high, low) != (0, 0) => (Ahead::Some(u16::from_be_bytes([high, low])), rest),
            _ => (Ahead::Other, from),
        }
    }
}

/// Bytes that rmp-serde writes as an ext.
pub(super) struct Ext<'a> {
    kind: i8,
    bytes: &'a [u8],
}

impl Ext<'_> {
    pub fn bytes(bytes: &[u8]) -> Ext<'_> {
        Ext { kind: BYTES, bytes }
    }

    pub fn some(count: &[u8; 2]) -> Ext<'_> {
        Ext { kind: SOME, bytes: count }
    }
}

impl serde::Serialize for Ext<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Bytes<'a>(&'a [u8]);
        impl serde::Serialize for Bytes<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(self.0)
            }
        }
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(self.kind, Bytes(self.bytes)))
    }
}
