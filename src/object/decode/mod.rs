//! A layer around the deserializer of a codec: counts depth, and reads what this crate adds to
//! MessagePack (see `message_pack`).
//!
//! Invariant 1: where `F` is `MessagePackFormat`, `inner` is rmp-serde's deserializer, which has
//! read nothing of the value yet: `rest` begins with it. Only a variant's name may have been read:
//! its decoder is `PostcardFormat`.

mod around;

use self::around::Around;
use super::message_pack::{Ahead, Format};
use super::nesting::{CodecError, Passage};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::slice;

/// The bytes that are left to decode, and the passage of the value.
pub(super) struct Input<'de> {
    pub rest: Cell<&'de [u8]>,
    pub passage: Passage,
}

impl<'de> Input<'de> {
    pub fn new(bytes: &'de [u8]) -> Input<'de> {
        Input { rest: Cell::new(bytes), passage: Passage::default() }
    }
}

impl Read for &Input<'_> {
    #[inline]
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.rest.get();
        let count = rest.read(to)?;
        self.rest.set(rest);
        Ok(count)
    }

    #[inline]
    fn read_exact(&mut self, to: &mut [u8]) -> io::Result<()> {
        let mut rest = self.rest.get();
        rest.read_exact(to)?;
        self.rest.set(rest);
        Ok(())
    }
}

/// A value of type `T`, read by `inner`.
pub(super) fn value<'de, T: serde::Deserialize<'de>, F: Format, D: Deserializer<'de>>(
    inner: D,
    from: &Input<'de>,
) -> Result<T, CodecError> {
    Around::<_, F>::new(PhantomData::<T>, from).deserialize(inner).map_err(|error| from.passage.caught(error))
}

/// A layer around `inner`, which reads one value.
struct Decoder<'f, 'de, D, F> {
    inner: D,
    from: &'f Input<'de>,
    /// How many `Some` surround the value, not counting newtypes.
    somes: u16,
    form: PhantomData<F>,
}

impl<'f, 'de, D: Deserializer<'de>, F: Format> Decoder<'f, 'de, D, F> {
    #[inline]
    fn new(inner: D, from: &'f Input<'de>) -> Decoder<'f, 'de, D, F> {
        Decoder { inner, from, somes: 0, form: PhantomData }
    }

    #[inline]
    fn ahead(&self) -> (Ahead<'de>, &'de [u8]) {
        if F::IS_MESSAGE_PACK { Ahead::of(self.from.rest.get()) } else { (Ahead::Other, &[]) }
    }

    #[inline]
    fn read<V: Visitor<'de>>(
        self,
        visitor: V,
        read: impl FnOnce(D, Around<'f, 'de, V, F>) -> Result<V::Value, D::Error>,
    ) -> Result<V::Value, CodecError> {
        let from = self.from;
        read(self.inner, Around::new(visitor, from)).map_err(|error| from.passage.caught(error))
    }

    /// Bytes, or a sequence of them, as a sequence.
    fn visit_sequence<V: Visitor<'de>>(self, bytes: &'de [u8], after: &'de [u8], visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        self.from.rest.set(after);
        let mut elements = ByteElements { bytes: bytes.iter(), passage: &self.from.passage };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.bytes.len() {
            0 => Ok(value),
            left => Err(CodecError::new(format!("{left} of {} elements are left over", bytes.len()))),
        }
    }

    /// In MessagePack each element takes at least one byte, so no count is needed there.
    #[inline]
    fn count_next(&self) {
        if !F::IS_MESSAGE_PACK {
            self.from.passage.count_next();
        }
    }

    #[inline]
    fn visit_text<V: Visitor<'de>>(self, text: &'de str, after: &'de [u8], visitor: V) -> Result<V::Value, CodecError> {
        self.from.rest.set(after);
        visitor.visit_borrowed_str(text)
    }

    fn visit_some<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        visitor.visit_some(Decoder { somes: self.somes.saturating_add(1), ..self })
    }
}

macro_rules! plain {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, CodecError> {
            self.read(visitor, |inner, visitor| inner.$name($($argument,)* visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>, F: Format> Deserializer<'de> for Decoder<'_, 'de, D, F> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    plain! {
        deserialize_bool(); deserialize_char(); deserialize_f32(); deserialize_f64();
        deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64(); deserialize_i128();
        deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64(); deserialize_u128();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Bytes(bytes), after) => {
                self.from.rest.set(after);
                visitor.visit_borrowed_bytes(bytes)
            }
            (Ahead::Sequence(bytes), after) => self.visit_sequence(bytes, after, visitor),
            (Ahead::Some(somes), _) if somes > self.somes => self.visit_some(visitor),
            (Ahead::Some(_), _) => self.deserialize_unit(visitor),
            (Ahead::Text(text), after) => self.visit_text(text, after, visitor),
            _ => self.read(visitor, |inner, visitor| inner.deserialize_any(visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        if F::IS_MESSAGE_PACK {
            return self.deserialize_any(visitor);
        }
        self.read(visitor, |inner, visitor| inner.deserialize_ignored_any(visitor))
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Text(text), after) => self.visit_text(text, after, visitor),
            _ => self.read(visitor, |inner, visitor| inner.deserialize_str(visitor)),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Text(text), after) => self.visit_text(text, after, visitor),
            _ => self.read(visitor, |inner, visitor| inner.deserialize_identifier(visitor)),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Bytes(bytes) | Ahead::Sequence(bytes), after) => {
                self.from.rest.set(after);
                visitor.visit_borrowed_bytes(bytes)
            }
            _ => self.read(visitor, |inner, visitor| inner.deserialize_bytes(visitor)),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Bytes(bytes) | Ahead::Sequence(bytes), after) => self.visit_sequence(bytes, after, visitor),
            _ => {
                self.count_next();
                self.read(visitor, |inner, visitor| inner.deserialize_seq(visitor))
            }
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.count_next();
        self.read(visitor, |inner, visitor| inner.deserialize_map(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Bytes(bytes) | Ahead::Sequence(bytes), after) => self.visit_sequence(bytes, after, visitor),
            _ => self.read(visitor, |inner, visitor| inner.deserialize_tuple(length, visitor)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Bytes(bytes) | Ahead::Sequence(bytes), after) => self.visit_sequence(bytes, after, visitor),
            _ => self.read(visitor, |inner, visitor| inner.deserialize_tuple_struct(name, length, visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        if !F::IS_MESSAGE_PACK {
            return self.read(visitor, |inner, visitor| inner.deserialize_option(visitor));
        }
        match self.ahead() {
            (Ahead::Nil, after) => {
                self.from.rest.set(after);
                visitor.visit_none()
            }
            (Ahead::Some(somes), after) if somes == self.somes => {
                self.from.rest.set(after);
                visitor.visit_none()
            }
            _ => self.visit_some(visitor),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.ahead() {
            (Ahead::Some(somes), after) if somes == self.somes => {
                self.from.rest.set(after);
                visitor.visit_unit()
            }
            _ => self.read(visitor, |inner, visitor| inner.deserialize_unit(visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        if matches!(self.ahead(), (Ahead::Some(_), _)) {
            return self.deserialize_unit(visitor);
        }
        self.read(visitor, |inner, visitor| inner.deserialize_unit_struct(name, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        visitor.visit_newtype_struct(self)
    }
}

/// The next value, if it is bytes.
#[inline]
fn whole_bytes<'f, 'de, D: Deserializer<'de>, F: Format>(
    decoder: Decoder<'f, 'de, D, F>,
) -> Result<Result<Vec<u8>, CodecError>, Decoder<'f, 'de, D, F>> {
    if F::IS_MESSAGE_PACK && !matches!(decoder.ahead(), (Ahead::Bytes(_) | Ahead::Sequence(_), _)) {
        return Err(decoder);
    }
    let passage = &decoder.from.passage;
    Ok(passage.enter(1).and_then(|_level| decoder.deserialize_bytes(Whole)))
}

/// Copies bytes.
struct Whole;

impl Visitor<'_> for Whole {
    type Value = Vec<u8>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

/// Bytes, each of which is an element.
struct ByteElements<'s, 'de> {
    bytes: slice::Iter<'de, u8>,
    passage: &'s Passage,
}

impl<'de> SeqAccess<'de> for ByteElements<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        let element = |&byte| seed.deserialize(ByteElement { byte, passage: self.passage });
        self.bytes.next().map(element).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// A byte as a value of its own.
struct ByteElement<'s> {
    byte: u8,
    passage: &'s Passage,
}

impl<'de> Deserializer<'de> for ByteElement<'_> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_u8(self.byte)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.passage.enter(1)?;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.passage.enter(1)?;
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct enum identifier ignored_any
    }
}
