//! MessagePack, with the names of fields and variants.
//!
//! | serde | MessagePack |
//! |---|---|
//! | integers | the shortest form; 128 bits as 16 bytes, big endian |
//! | `str`, `char` | str |
//! | bytes | bin 8, bin 16, from 64 KiB on ext 32 of type [`BYTES`], each the shortest |
//! | sequences and tuples of `u8` | bin 16 up to 255, bin 32 beyond |
//! | other sequences and tuples | array |
//! | structs, maps | map; structs with the names of their fields |
//! | unit variant | its name as str |
//! | other variants | map of one: its name, and what it holds |
//! | `()`, unit structs, `None` | nil |
//! | `Some(x)` | x; but where x is a nil, ext of type [`SOME`] with how many `Some` there are around it, 16 bits big endian |
//!
//! Any decoder of MessagePack reads both forms of bytes as bytes. That they differ tells ours what
//! they were, where a type is read that asks for nothing (`#[serde(untagged)]`, `flatten`): a
//! sequence, as `Vec<u8>` is one to serde, or bytes. What others encode may have any form.

pub(super) mod decode;
pub(super) mod encode;

/// Ext type of bytes too long for bin 16.
const BYTES: u8 = 1;
/// Ext type of a nil inside one `Some` or more.
const SOME: u8 = 2;

mod marker {
    pub const FIX_MAP: u8 = 0x80;
    pub const FIX_ARRAY: u8 = 0x90;
    pub const FIX_STR: u8 = 0xa0;
    pub const NIL: u8 = 0xc0;
    pub const FALSE: u8 = 0xc2;
    pub const TRUE: u8 = 0xc3;
    pub const BIN_8: u8 = 0xc4;
    pub const BIN_16: u8 = 0xc5;
    pub const BIN_32: u8 = 0xc6;
    pub const EXT_32: u8 = 0xc9;
    pub const F32: u8 = 0xca;
    pub const F64: u8 = 0xcb;
    pub const U8: u8 = 0xcc;
    pub const U16: u8 = 0xcd;
    pub const U32: u8 = 0xce;
    pub const U64: u8 = 0xcf;
    pub const I8: u8 = 0xd0;
    pub const I16: u8 = 0xd1;
    pub const I32: u8 = 0xd2;
    pub const I64: u8 = 0xd3;
    pub const FIX_EXT_2: u8 = 0xd5;
    pub const STR_8: u8 = 0xd9;
    pub const STR_16: u8 = 0xda;
    pub const STR_32: u8 = 0xdb;
    pub const ARRAY_16: u8 = 0xdc;
    pub const ARRAY_32: u8 = 0xdd;
    pub const MAP_16: u8 = 0xde;
    pub const MAP_32: u8 = 0xdf;
    pub const NEGATIVE: u8 = 0xe0;
}
