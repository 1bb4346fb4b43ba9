//! MessagePack to values.
//!
//! Invariants:
//! 1. Nothing is read beyond `from`, whatever lengths it speaks of, and nothing is allocated for
//!    elements that its bytes cannot hold.
//! 2. `held` is a nil that was read already, inside so many `Some` still: it comes before `from`.

use super::{BYTES, SOME, marker};
use crate::bytewise;
use crate::object::nesting::{Depth, Refused};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use std::slice;

/// Reads one value from the front of `from`.
pub(in crate::object) struct Decoder<'de> {
    pub from: &'de [u8],
    depth: Depth,
    held: Option<u16>,
}

/// What comes next, without what is inside it.
enum Token<'de> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    /// Bytes that were a sequence or tuple of `u8`.
    Sequence(&'de [u8]),
    Array(usize),
    Map(usize),
    /// A nil, inside one `Some` at least.
    Some(u16),
}

impl<'de> Decoder<'de> {
    pub fn new(from: &'de [u8]) -> Decoder<'de> {
        Decoder { from, depth: Depth::default(), held: None }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'de [u8], Refused> {
        let (taken, rest) = self.from.split_at_checked(length).ok_or_else(Refused::cut_off)?;
        self.from = rest;
        Ok(taken)
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (&number, rest) = self.from.split_first_chunk::<N>().ok_or_else(Refused::cut_off)?;
        self.from = rest;
        Ok(number)
    }

    fn length_8(&mut self) -> Result<usize, Refused> {
        Ok(u8::from_be_bytes(self.number()?).into())
    }

    fn length_16(&mut self) -> Result<usize, Refused> {
        Ok(u16::from_be_bytes(self.number()?).into())
    }

    fn length_32(&mut self) -> Result<usize, Refused> {
        Ok(u32::from_be_bytes(self.number()?) as usize)
    }

    fn text(&mut self, length: usize) -> Result<Token<'de>, Refused> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Refused::because("a text is not UTF-8"))?;
        Ok(Token::Text(text))
    }

    /// An array or map of so many, each of which takes `least` bytes at least.
    fn counted(&self, count: usize, least: usize) -> Result<usize, Refused> {
        if count > self.from.len() / least { Err(Refused::cut_off()) } else { Ok(count) }
    }

    fn array(&self, count: usize) -> Result<Token<'de>, Refused> {
        Ok(Token::Array(self.counted(count, 1)?))
    }

    fn map(&self, count: usize) -> Result<Token<'de>, Refused> {
        Ok(Token::Map(self.counted(count, 2)?))
    }

    #[inline]
    fn next(&mut self) -> Result<Token<'de>, Refused> {
        if let Some(somes) = self.held.take() {
            return Ok(if somes == 0 { Token::Nil } else { Token::Some(somes) });
        }
        let [first] = self.number()?;
        match first {
            0..marker::FIX_MAP => Ok(Token::Unsigned(first.into())),
            marker::FIX_MAP..marker::FIX_ARRAY => self.map((first & 0xf).into()),
            marker::FIX_ARRAY..marker::FIX_STR => self.array((first & 0xf).into()),
            marker::FIX_STR..marker::NIL => self.text((first & 0x1f).into()),
            marker::NEGATIVE.. => Ok(Token::Signed((first as i8).into())),
            marker::NIL => Ok(Token::Nil),
            marker::FALSE => Ok(Token::Bool(false)),
            marker::TRUE => Ok(Token::Bool(true)),
            marker::U8 => Ok(Token::Unsigned(u8::from_be_bytes(self.number()?).into())),
            marker::U16 => Ok(Token::Unsigned(u16::from_be_bytes(self.number()?).into())),
            marker::U32 => Ok(Token::Unsigned(u32::from_be_bytes(self.number()?).into())),
            marker::U64 => Ok(Token::Unsigned(u64::from_be_bytes(self.number()?))),
            marker::I8 => Ok(Token::Signed(i8::from_be_bytes(self.number()?).into())),
            marker::I16 => Ok(Token::Signed(i16::from_be_bytes(self.number()?).into())),
            marker::I32 => Ok(Token::Signed(i32::from_be_bytes(self.number()?).into())),
            marker::I64 => Ok(Token::Signed(i64::from_be_bytes(self.number()?))),
            marker::F32 => Ok(Token::F32(f32::from_be_bytes(self.number()?))),
            marker::F64 => Ok(Token::F64(f64::from_be_bytes(self.number()?))),
            marker::STR_8 => self.length_8().and_then(|length| self.text(length)),
            marker::STR_16 => self.length_16().and_then(|length| self.text(length)),
            marker::STR_32 => self.length_32().and_then(|length| self.text(length)),
            marker::BIN_8 => Ok(Token::Bytes(self.length_8().and_then(|length| self.take(length))?)),
            marker::BIN_16 => {
                let length = self.length_16()?;
                let bytes = self.take(length)?;
                Ok(if length < 1 << 8 { Token::Sequence(bytes) } else { Token::Bytes(bytes) })
            }
            marker::BIN_32 => Ok(Token::Sequence(self.length_32().and_then(|length| self.take(length))?)),
            marker::ARRAY_16 => self.length_16().and_then(|count| self.array(count)),
            marker::ARRAY_32 => self.length_32().and_then(|count| self.array(count)),
            marker::MAP_16 => self.length_16().and_then(|count| self.map(count)),
            marker::MAP_32 => self.length_32().and_then(|count| self.map(count)),
            marker::FIX_EXT_2 => match self.number()? {
                [SOME, high, low] if (high, low) != (0, 0) => Ok(Token::Some(u16::from_be_bytes([high, low]))),
                [kind, ..] => Err(unknown_ext(kind)),
            },
            marker::EXT_32 => {
                let length = self.length_32()?;
                match self.number()? {
                    [BYTES] => Ok(Token::Bytes(self.take(length)?)),
                    [kind] => Err(unknown_ext(kind)),
                }
            }
            _ => Err(Refused::Other(format!("no value begins with the byte {first:#04x}"))),
        }
    }

    /// Goes one level down.
    #[inline]
    fn inside<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, Refused>) -> Result<R, Refused> {
        self.depth.enter()?;
        let value = read(self)?;
        self.depth.leave();
        Ok(value)
    }

    fn visit_array<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| {
            let mut elements = Elements { decoder, left: count };
            let value = visitor.visit_seq(&mut elements)?;
            if elements.left == 0 { Ok(value) } else { Err(left_over(elements.left, count)) }
        })
    }

    fn visit_map<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| {
            let mut fields = Elements { decoder, left: count };
            let value = visitor.visit_map(&mut fields)?;
            if fields.left == 0 { Ok(value) } else { Err(left_over(fields.left, count)) }
        })
    }

    fn visit_sequence<V: Visitor<'de>>(&mut self, bytes: &'de [u8], visitor: V) -> Result<V::Value, Refused> {
        let mut elements = ByteElements(bytes.iter());
        let value = visitor.visit_seq(&mut elements)?;
        if elements.0.len() == 0 { Ok(value) } else { Err(left_over(elements.0.len(), bytes.len())) }
    }

    fn visit_some<V: Visitor<'de>>(&mut self, somes: u16, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| {
            decoder.held = Some(somes - 1);
            visitor.visit_some(decoder)
        })
    }

    fn visit<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value, Refused> {
        match token {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(value) => visitor.visit_u64(value),
            Token::Signed(value) => visitor.visit_i64(value),
            Token::F32(value) => visitor.visit_f32(value),
            Token::F64(value) => visitor.visit_f64(value),
            Token::Text(text) => visitor.visit_borrowed_str(text),
            Token::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Sequence(bytes) => self.visit_sequence(bytes, visitor),
            Token::Array(count) => self.visit_array(count, visitor),
            Token::Map(count) => self.visit_map(count, visitor),
            Token::Some(somes) => self.visit_some(somes, visitor),
        }
    }

    /// What a seed makes of the next value. A plain `Vec<u8>` is taken whole.
    #[inline]
    fn seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        if bytewise::is_seed_of_bytes::<S>() {
            if let Some(value) = self.whole_bytes()? {
                return Ok(value);
            }
        }
        seed.deserialize(self)
    }

    /// The next value, if it is bytes and a `T` is a `Vec<u8>`.
    #[inline]
    fn whole_bytes<T>(&mut self) -> Result<Option<T>, Refused> {
        if !matches!(self.from.first(), Some(&(marker::BIN_8 | marker::BIN_16 | marker::BIN_32))) || self.held.is_some() {
            return Ok(None);
        }
        let before = self.from;
        let value = match self.next()? {
            Token::Bytes(bytes) | Token::Sequence(bytes) => bytewise::as_vec_of_bytes(bytes.to_vec()),
            _ => None,
        };
        if value.is_none() {
            self.from = before;
        }
        Ok(value)
    }

    /// A value of that type.
    pub fn value<T: serde::de::Deserialize<'de>>(&mut self) -> Result<T, Refused> {
        self.seed(std::marker::PhantomData::<T>)
    }
}

fn unknown_ext(kind: u8) -> Refused {
    Refused::Other(format!("an extension of unknown type {}", kind as i8))
}

fn left_over(left: usize, count: usize) -> Refused {
    Refused::Other(format!("{left} of {count} elements are left over"))
}

/// Where what is read has one form only: see `Token` for what comes of the others.
macro_rules! any {
    ($($name:ident)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Refused;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let token = self.next()?;
        self.visit(token, visitor)
    }

    any! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_unit
        deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Bytes(bytes) => match bytes.try_into() {
                Ok(bytes) => visitor.visit_i128(i128::from_be_bytes(bytes)),
                Err(_) => Err(Refused::invalid_length(bytes.len(), &"16 bytes")),
            },
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Bytes(bytes) => match bytes.try_into() {
                Ok(bytes) => visitor.visit_u128(u128::from_be_bytes(bytes)),
                Err(_) => Err(Refused::invalid_length(bytes.len(), &"16 bytes")),
            },
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Sequence(bytes) => visitor.visit_borrowed_bytes(bytes),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Bytes(bytes) => self.visit_sequence(bytes, visitor),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let is_nil = matches!((self.held, self.from.first()), (Some(0), _) | (None, Some(&marker::NIL)));
        let is_nil_inside =
            matches!(self.held, Some(1..)) || self.held.is_none() && self.from.starts_with(&[marker::FIX_EXT_2, SOME]);
        if is_nil {
            self.next()?;
            return visitor.visit_none();
        }
        if is_nil_inside {
            return self.deserialize_any(visitor);
        }
        self.inside(|decoder| visitor.visit_some(decoder))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Array(0) => visitor.visit_unit(),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match self.next()? {
            Token::Text(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            Token::Unsigned(index) => visitor.visit_enum(u32::try_from(index).unwrap_or(u32::MAX).into_deserializer()),
            Token::Map(1) => visitor.visit_enum(Variant(self)),
            Token::Map(_) => Err(Refused::invalid_type(Unexpected::Map, &"a variant")),
            token => self.visit(token, visitor),
        }
    }
}

/// What is left of an array or a map.
struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.decoder.seed(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.decoder.seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The name of a variant is next, then what it holds.
struct Variant<'a, 'de>(&'a mut Decoder<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let variant = seed.deserialize(&mut *self.0)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.0.value()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        self.0.inside(|decoder| decoder.seed(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.0.deserialize_seq(visitor)
    }
}

/// Bytes, each of which is an element.
struct ByteElements<'de>(slice::Iter<'de, u8>);

impl<'de> SeqAccess<'de> for ByteElements<'de> {
    type Error = Refused;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.0.next().map(|&byte| seed.deserialize(ByteElement(byte))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// A byte as a value of its own.
struct ByteElement(u8);

impl<'de> Deserializer<'de> for ByteElement {
    type Error = Refused;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u8(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct enum identifier ignored_any
    }
}
