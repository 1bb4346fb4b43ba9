//! Decodes MessagePack, as an `ObjectQueue` carries it, without knowing the type.
//!
//! The bytes may be garbage: nothing is allocated by a length that a message only claims, and
//! values nested deeper than [`DEEPEST`] are refused.

use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The encoder of the crate `shmq` nests less deeply.
const DEEPEST: usize = 1024;
/// Types of extension that the encoder of the crate `shmq` writes: bytes, and a nil inside a number
/// of `Some`.
const BYTES: i8 = 1;
const SOME: i8 = 2;

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Nil,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Single(f32),
    Text(String),
    Bytes(Vec<u8>),
    Extension(i8, Vec<u8>),
    /// A nil inside this many `Some`.
    Some(u16),
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
}

/// Decodes one value. `None`: the bytes are not exactly one value.
pub fn decode(bytes: &[u8]) -> Option<Item> {
    let mut rest = bytes;
    let item = item(&mut rest, DEEPEST)?;
    rest.is_empty().then_some(item)
}

fn take<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(taken)
}

/// A big-endian number of `count` bytes.
fn unsigned(from: &mut &[u8], count: usize) -> Option<u64> {
    Some(take(from, count)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn signed(from: &mut &[u8], count: usize) -> Option<i64> {
    let unused = 64 - 8 * count as u32;
    Some((unsigned(from, count)? << unused) as i64 >> unused)
}

/// A length in `count` bytes.
fn length(from: &mut &[u8], count: usize) -> Option<usize> {
    usize::try_from(unsigned(from, count)?).ok()
}

fn item(from: &mut &[u8], deeper: usize) -> Option<Item> {
    let byte = *take(from, 1)?.first()?;
    let item = match byte {
        0x00..=0x7f => Item::Integer(byte.into()),
        0xe0..=0xff => Item::Integer((byte as i8).into()),
        0x80..=0x8f => map(from, (byte & 0x0f).into(), deeper)?,
        0x90..=0x9f => list(from, (byte & 0x0f).into(), deeper)?,
        0xa0..=0xbf => text(take(from, (byte & 0x1f).into())?),
        0xc0 => Item::Nil,
        // Unused in the format.
        0xc1 => return None,
        0xc2 | 0xc3 => Item::Bool(byte == 0xc3),
        0xc4..=0xc6 => {
            let length = length(from, 1 << (byte - 0xc4))?;
            Item::Bytes(take(from, length)?.to_vec())
        }
        0xc7..=0xc9 => {
            let length = length(from, 1 << (byte - 0xc7))?;
            extension(from, length)?
        }
        0xca => Item::Single(f32::from_bits(unsigned(from, 4)? as u32)),
        0xcb => Item::Float(f64::from_bits(unsigned(from, 8)?)),
        0xcc..=0xcf => Item::Integer(unsigned(from, 1 << (byte - 0xcc))?.into()),
        0xd0..=0xd3 => Item::Integer(signed(from, 1 << (byte - 0xd0))?.into()),
        0xd4..=0xd8 => extension(from, 1 << (byte - 0xd4))?,
        0xd9..=0xdb => {
            let length = length(from, 1 << (byte - 0xd9))?;
            text(take(from, length)?)
        }
        0xdc | 0xdd => {
            let count = length(from, 2 << (byte - 0xdc))?;
            list(from, count, deeper)?
        }
        0xde | 0xdf => {
            let count = length(from, 2 << (byte - 0xde))?;
            map(from, count, deeper)?
        }
    };
    Some(item)
}

fn list(from: &mut &[u8], count: usize, deeper: usize) -> Option<Item> {
    let deeper = deeper.checked_sub(1)?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(from, deeper)?);
    }
    Some(Item::List(items))
}

fn map(from: &mut &[u8], count: usize, deeper: usize) -> Option<Item> {
    let deeper = deeper.checked_sub(1)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push((item(from, deeper)?, item(from, deeper)?));
    }
    Some(Item::Map(entries))
}

fn extension(from: &mut &[u8], length: usize) -> Option<Item> {
    let kind = *take(from, 1)?.first()? as i8;
    let bytes = take(from, length)?;
    Some(match (kind, bytes) {
        (BYTES, _) => Item::Bytes(bytes.to_vec()),
        (SOME, &[high, low]) => Item::Some(u16::from_be_bytes([high, low])),
        _ => Item::Extension(kind, bytes.to_vec()),
    })
}

fn text(bytes: &[u8]) -> Item {
    match std::str::from_utf8(bytes) {
        Ok(text) => Item::Text(text.to_owned()),
        Err(_) => Item::Bytes(bytes.to_vec()),
    }
}

impl Item {
    /// The value as text, escaped for a terminal: `{"price": 1.5, "raw": b"\x00"}`.
    pub fn in_words(&self) -> String {
        let mut words = String::new();
        self.write(&mut words);
        words
    }

    fn write(&self, to: &mut String) {
        let written = match self {
            Item::Nil => write!(to, "null"),
            Item::Bool(value) => write!(to, "{value}"),
            Item::Integer(value) => write!(to, "{value}"),
            Item::Float(value) => write!(to, "{value:?}"),
            Item::Single(value) => write!(to, "{value:?}"),
            Item::Text(value) => write!(to, "{value:?}"),
            Item::Bytes(value) => write!(to, "b\"{}\"", value.escape_ascii()),
            Item::Extension(kind, value) => write!(to, "extension({kind}, b\"{}\")", value.escape_ascii()),
            // A message nests no deeper than this.
            Item::Some(count) => {
                let count = usize::from(*count).min(DEEPEST);
                write!(to, "{}null{}", "Some(".repeat(count), ")".repeat(count))
            }
            Item::List(items) => {
                to.push('[');
                for (number, item) in items.iter().enumerate() {
                    to.push_str(if number == 0 { "" } else { ", " });
                    item.write(to);
                }
                to.push(']');
                Ok(())
            }
            Item::Map(entries) => {
                to.push('{');
                for (number, (key, value)) in entries.iter().enumerate() {
                    to.push_str(if number == 0 { "" } else { ", " });
                    key.write(to);
                    to.push_str(": ");
                    value.write(to);
                }
                to.push('}');
                Ok(())
            }
        };
        // Writing to a String does not fail.
        debug_assert!(written.is_ok());
    }

    /// As JSON. Bytes are `{"$bytes": "00ff"}`, an extension has a `"$extension"` beside that, and
    /// a `Some(None)` or `Some(())` is `{"$some": 1}`. Infinite numbers and keys that are not text
    /// become text.
    pub fn json(&self) -> Value {
        match self {
            Item::Nil => Value::Null,
            Item::Bool(value) => json!(value),
            Item::Integer(value) => json!(value),
            Item::Float(value) if value.is_finite() => json!(value),
            Item::Single(value) if value.is_finite() => json!(value),
            Item::Text(value) => json!(value),
            Item::Bytes(value) => json!({ "$bytes": hex(value) }),
            Item::Extension(kind, value) => json!({ "$extension": kind, "$bytes": hex(value) }),
            Item::Some(count) => json!({ "$some": count }),
            Item::List(items) => Value::Array(items.iter().map(Item::json).collect()),
            Item::Map(entries) => {
                let key = |key: &Item| if let Item::Text(text) = key { text.clone() } else { key.in_words() };
                Value::Object(entries.iter().map(|(name, value)| (key(name), value.json())).collect::<Map<_, _>>())
            }
            other => json!(other.in_words()),
        }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_format_is_read() {
        let cases: [(&[u8], &str); 22] = [
            (b"\xc0", "null"),
            (b"\xc3", "true"),
            (b"\x7f", "127"),
            (b"\xff", "-1"),
            (b"\xcc\xff", "255"),
            (b"\xcd\x01\x00", "256"),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\xd0\x80", "-128"),
            (b"\xd1\x80\x00", "-32768"),
            (b"\xd3\x80\0\0\0\0\0\0\0", "-9223372036854775808"),
            (b"\xca\x3f\xc0\0\0", "1.5"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "inf"),
            (b"\xa5a\x1b\"bc", "\"a\\u{1b}\\\"bc\""),
            (b"\xd9\x01x", "\"x\""),
            (b"\xa1\xff", "b\"\\xff\""),
            (b"\xc4\x02\x00A", "b\"\\x00A\""),
            (b"\xd4\x05A", "extension(5, b\"A\")"),
            (b"\xc7\x01\xffA", "extension(-1, b\"A\")"),
            (b"\xc7\x01\x01A", "b\"A\""),
            (b"\xd5\x02\x00\x02", "Some(Some(null))"),
            (b"\x93\x01\x90\xdc\x00\x01\xc2", "[1, [], [false]]"),
            (b"\x82\xa1a\x01\x02\xde\x00\x00", "{\"a\": 1, 2: {}}"),
        ];
        for (bytes, words) in cases {
            assert_eq!(decode(bytes).map(|item| item.in_words()).as_deref(), Some(words), "{bytes:x?}");
            for short in 0..bytes.len() {
                assert_eq!(decode(&bytes[..short]), None, "cut off: {bytes:x?}");
            }
            assert_eq!(decode(&[bytes, b"\xc0"].concat()), None, "more than one");
        }
        let json = decode(b"\x82\xa1a\xc4\x01\xff\x02\xcb\x7f\xf0\0\0\0\0\0\0").map(|item| item.json());
        assert_eq!(json, Some(json!({ "a": { "$bytes": "ff" }, "2": "inf" })));
    }

    #[test]
    fn garbage_is_refused_and_costs_nothing() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\xc1"), None);
        for claims in
            [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\xff\xff\xff\xff\xc0", b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01"]
        {
            assert_eq!(decode(claims), None, "{claims:x?}");
        }
        assert_eq!(decode(&[0x91; 1 << 20]), None);
        assert!(decode(&[&[0x91; DEEPEST][..], b"\xc0"].concat()).is_some());
    }
}
