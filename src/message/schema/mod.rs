//! The structural schema of messages: their fields, offsets and types, as text that programs in any
//! language can write.
//!
//! ```text
//!   type     =  scalar  |  "[" type "; " count "]"  |  struct  |  enum
//!   scalar   =  bool | char | u8 | u16 | u32 | u64 | u128 | i8 .. i128 | f32 | f64
//!               (big-endian: u16be, f64be, ...)
//!   struct   =  "{" name "@" offset ": " type { ", " name "@" offset ": " type } "}"
//!   enum     =  "enum " scalar " {" variant { ", " variant } "}"
//!   variant  =  name "=" value [ " " struct ]
//! ```
//!
//! `#[message] struct Tick { price: f64, sizes: [u32; 2], side: Side }` is
//! `{price@0: f64, sizes@8: [u32; 2], side@16: enum u8 {Buy=1, ...}}`. Rules:
//!
//! 1. Offsets count bytes from the beginning of the enclosing struct or enum, whose first bytes
//!    hold the enum's value. There is no padding: each field begins where the one before it ends,
//!    and the size of a type is the sum of those of its parts.
//! 2. Scalars are in little-endian order in memory; those with the suffix `be` in big-endian order.
//!    `usize` is `u64` on a 64-bit machine, `NonZero<u32>`, `Wrapping<u32>` and
//!    `Option<NonZero<u32>>` are `u32`, and a `#[repr(transparent)]` struct is its field.
//! 3. Fields without bytes (`PhantomData`, `()`) are left out. No name of a type, a module or a
//!    parameter occurs, since programs in other languages have other names.
//!
//! A C program can write it with `offsetof`, `sizeof` and the names of scalars, and a numpy dtype
//! can be made from it field by field.

#![allow(missing_docs, reason = "public for the attribute alone")]

mod difference;
mod outline;
mod parse;

pub(crate) use difference::first_difference;
pub(crate) use outline::{Outlined, bytes_described, outline};
pub(crate) use parse::is_schema;
#[cfg(not(loom))]
pub use parse::{ParsedField, ParsedType, ParsedVariant, parsed};

use std::fmt;

/// The fields and bytes of a message type. Made by `#[shmq::message]`; not part of the public API.
#[derive(Debug)]
pub struct Layout {
    pub bytes: usize,
    pub align: usize,
    /// Are there bits that are no value of the type?
    pub is_checked: bool,
    pub form: Form,
}

/// See [`Layout`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Form {
    Scalar(&'static str),
    Array(&'static Layout, usize),
    Struct(&'static [Field]),
    Enum { tag: &'static str, variants: &'static [Variant] },
}

/// See [`Layout`].
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub layout: &'static Layout,
}

/// See [`Layout`].
#[derive(Debug)]
pub struct Variant {
    pub name: &'static str,
    pub value: i128,
    pub fields: &'static [Field],
}

impl Form {
    /// The form of a `#[repr(transparent)]` struct: that of its one field that has bytes.
    pub const fn transparent(fields: &'static [Field]) -> Form {
        let mut at = 0;
        while at < fields.len() {
            if fields[at].layout.bytes > 0 {
                return fields[at].layout.form.copy();
            }
            at += 1;
        }
        Form::Struct(&[])
    }

    const fn copy(&self) -> Form {
        match self {
            Form::Scalar(name) => Form::Scalar(name),
            Form::Array(layout, count) => Form::Array(layout, *count),
            Form::Struct(fields) => Form::Struct(fields),
            Form::Enum { tag, variants } => Form::Enum { tag, variants },
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Scalar(name) => out.write_str(name),
            Form::Array(element, count) => write!(out, "[{element}; {count}]"),
            Form::Struct(fields) => write_fields(fields, out),
            Form::Enum { tag, variants } => {
                write!(out, "enum {tag} {{")?;
                for (at, Variant { name, value, fields }) in variants.iter().enumerate() {
                    write!(out, "{}{name}={value}", if at > 0 { ", " } else { "" })?;
                    if fields.iter().any(|field| field.layout.bytes > 0) {
                        out.write_str(" ")?;
                        write_fields(fields, out)?;
                    }
                }
                out.write_str("}")
            }
        }
    }
}

fn write_fields(fields: &[Field], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("{")?;
    for (at, Field { name, offset, layout }) in fields.iter().filter(|field| field.layout.bytes > 0).enumerate() {
        write!(out, "{}{name}@{offset}: {layout}", if at > 0 { ", " } else { "" })?;
    }
    out.write_str("}")
}

/// Room for a sentence about padding.
const SENTENCE_BYTES: usize = 300;

/// A sentence that is composed at compile time.
pub struct Sentence {
    bytes: [u8; SENTENCE_BYTES],
    len: usize,
}

impl Sentence {
    /// Says that there are `padding` bytes before a field, and what to do.
    pub const fn of_padding(place: &str, padding: usize) -> Sentence {
        Sentence::of_bytes(padding, "of padding", place)
            .with("sort the fields by falling alignment, or fill the gap with a field such as `_unused: [u8; ")
            .with_number(padding)
            .with("]`")
    }

    /// Says that there are `padding` bytes behind the last field, and what to do.
    pub const fn of_end(place: &str, padding: usize) -> Sentence {
        Sentence::of_bytes(padding, "of padding", place)
            .with("add a last field such as `_unused: [u8; ")
            .with_number(padding)
            .with("]`")
    }

    /// Says that a variant of an enum leaves bytes unused, and what to do.
    pub const fn of_variant(place: &str, unused: usize) -> Sentence {
        Sentence::of_bytes(unused, "of the enum unused", place)
            .with("give all variants the same size, with a field such as `[u8; ")
            .with_number(unused)
            .with("]`")
    }

    const fn of_bytes(count: usize, what: &str, place: &str) -> Sentence {
        Sentence { bytes: [0; SENTENCE_BYTES], len: 0 }
            .with_number(count)
            .with(if count == 1 { " byte " } else { " bytes " })
            .with(what)
            .with(" ")
            .with(place)
            .with(", but all bytes of a message belong to its fields: ")
    }

    /// Text beyond the room is left out.
    const fn with(mut self, text: &str) -> Sentence {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() && self.len < SENTENCE_BYTES {
            self.bytes[self.len] = text[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    const fn with_number(self, number: usize) -> Sentence {
        let digit = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"][number % 10];
        if number < 10 { self.with(digit) } else { self.with_number(number / 10).with(digit) }
    }

    pub const fn text(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "there is padding, and the bytes of a message must all be of its fields",
        }
    }
}
