//! A layer around the serializer of a codec: counts depth, and writes what this crate adds to
//! MessagePack (see `message_pack`).
//!
//! `output` is what both codecs write to.
//!
//! Invariant 1: a sequence or tuple for MessagePack is collected as bytes until an element comes
//! that is no `u8`. From then on it is an array, with the elements before it too. So the result
//! depends on the elements only. That element is serialised twice, the others once.

mod byte;
mod output;

use self::byte::Byte;
pub(super) use self::output::Output;
use super::message_pack::{Ext, Format};
use super::nesting::{CodecError, Level, Passage};
use crate::message::bytewise;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};
use std::fmt;
use std::marker::PhantomData;
use std::mem::replace;

/// A layer around `inner`, which writes one value.
pub(super) struct Encoder<'p, S, F> {
    inner: S,
    passage: &'p Passage,
    /// How many `Some` surround the value, not counting newtypes. For MessagePack only.
    somes: u16,
    form: PhantomData<F>,
}

impl<'p, S: Serializer, F: Format> Encoder<'p, S, F> {
    #[inline]
    pub fn new(inner: S, passage: &'p Passage) -> Encoder<'p, S, F> {
        Encoder { inner, passage, somes: 0, form: PhantomData }
    }

    fn value<'a, T: ?Sized>(&self, value: &'a T) -> EncodedValue<'a, T, F>
    where
        'p: 'a,
    {
        EncodedValue { value, passage: self.passage, form: PhantomData }
    }

    #[inline]
    fn done(self, encode: impl FnOnce(S) -> Result<S::Ok, S::Error>) -> Result<S::Ok, CodecError> {
        let passage = self.passage;
        encode(self.inner).map_err(|error| passage.caught(error))
    }

    /// Opens something of several parts, `levels` levels deep.
    fn open<C>(self, levels: u32, open: impl FnOnce(S) -> Result<C, S::Error>) -> Result<Parts<'p, C, F>, CodecError> {
        let level = self.passage.enter(levels)?;
        let inner = open(self.inner).map_err(|error| self.passage.caught(error))?;
        Ok(Parts { inner, passage: self.passage, _level: level, form: PhantomData })
    }

    fn elements(
        self,
        open: impl FnOnce(S) -> Result<ElementsState<S>, S::Error>,
        length: Option<usize>,
    ) -> Result<Elements<'p, S, F>, CodecError> {
        let level = self.passage.enter(1)?;
        let state = open(self.inner).map_err(|error| self.passage.caught(error))?;
        Ok(Elements { state, length, count: 0, passage: self.passage, _level: level, form: PhantomData })
    }
}

/// A value on its way through the codec.
pub(super) struct EncodedValue<'a, T: ?Sized, F> {
    value: &'a T,
    passage: &'a Passage,
    form: PhantomData<F>,
}

impl<T: Serialize + ?Sized, F: Format> Serialize for EncodedValue<'_, T, F> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let encoder = Encoder::<S, F>::new(inner, self.passage);
        self.value.serialize(encoder).map_err(|refused| self.passage.encode_error(refused))
    }
}

macro_rules! plain {
    ($($name:ident $type:ty;)*) => {$(
        #[inline]
        fn $name(self, value: $type) -> Result<S::Ok, CodecError> {
            self.done(|inner| inner.$name(value))
        }
    )*};
}

impl<'p, S: Serializer, F: Format> Serializer for Encoder<'p, S, F> {
    type Ok = S::Ok;
    type Error = CodecError;
    type SerializeSeq = Elements<'p, S, F>;
    type SerializeTuple = Elements<'p, S, F>;
    type SerializeTupleStruct = Parts<'p, S::SerializeTupleStruct, F>;
    type SerializeTupleVariant = Parts<'p, S::SerializeTupleVariant, F>;
    type SerializeMap = Parts<'p, Fields<S::SerializeMap>, F>;
    type SerializeStruct = Parts<'p, S::SerializeStruct, F>;
    type SerializeStructVariant = Parts<'p, S::SerializeStructVariant, F>;

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    plain! {
        serialize_bool bool; serialize_char char; serialize_str &str; serialize_f32 f32; serialize_f64 f64;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_unit_struct &'static str;
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, CodecError> {
        self.done(|inner| if F::IS_MESSAGE_PACK { Ext::bytes(bytes).serialize(inner) } else { inner.serialize_bytes(bytes) })
    }

    fn serialize_none(self) -> Result<S::Ok, CodecError> {
        let somes = self.somes.to_be_bytes();
        self.done(|inner| if somes == [0, 0] { inner.serialize_none() } else { Ext::some(&somes).serialize(inner) })
    }

    fn serialize_unit(self) -> Result<S::Ok, CodecError> {
        let somes = self.somes.to_be_bytes();
        self.done(|inner| if somes == [0, 0] { inner.serialize_unit() } else { Ext::some(&somes).serialize(inner) })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, CodecError> {
        let _level = self.passage.enter(1)?;
        if F::IS_MESSAGE_PACK {
            return value.serialize(Encoder { somes: self.somes + 1, ..self });
        }
        let value = self.value(value);
        self.done(|inner| inner.serialize_some(&value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<S::Ok, CodecError> {
        let _level = self.passage.enter(1)?;
        value.serialize(self)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, CodecError> {
        self.done(|inner| inner.serialize_unit_variant(name, index, variant))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, CodecError> {
        let _level = self.passage.enter(1)?;
        let value = self.value(value);
        self.done(|inner| inner.serialize_newtype_variant(name, index, variant, &value))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'p, S, F>, CodecError> {
        if F::IS_MESSAGE_PACK {
            return self.elements(|inner| Ok(ElementsState::Bytes(inner, Vec::new())), length);
        }
        self.passage.count(length.unwrap_or(0));
        self.elements(|inner| inner.serialize_seq(length).map(ElementsState::Seq), length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'p, S, F>, CodecError> {
        if F::IS_MESSAGE_PACK {
            return self.serialize_seq(Some(length));
        }
        self.elements(|inner| inner.serialize_tuple(length).map(ElementsState::Tuple), Some(length))
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeTupleStruct, CodecError> {
        self.open(1, |inner| inner.serialize_tuple_struct(name, length))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, CodecError> {
        self.open(2, |inner| inner.serialize_tuple_variant(name, index, variant, length))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, CodecError> {
        if !F::IS_MESSAGE_PACK {
            self.passage.count(length.unwrap_or(0));
        }
        self.open(1, |inner| Ok(Fields { inner: inner.serialize_map(length)?, length, count: 0 }))
    }

    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Self::SerializeStruct, CodecError> {
        self.open(1, |inner| inner.serialize_struct(name, length))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, CodecError> {
        self.open(2, |inner| inner.serialize_struct_variant(name, index, variant, length))
    }

    fn collect_seq<I>(self, elements: I) -> Result<S::Ok, CodecError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        if let Some(bytes) = bytewise::bytes_of(&elements).filter(|bytes| !bytes.is_empty()) {
            let _level = self.passage.enter(1)?;
            return self.done(|inner| inner.serialize_bytes(bytes));
        }
        let elements = elements.into_iter();
        let length = match elements.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        let mut sequence = self.serialize_seq(length)?;
        for element in elements {
            sequence.element(&element)?;
        }
        sequence.finish()
    }
}

/// Did as many elements come as were announced?
fn check_count(length: Option<usize>, count: usize) -> Result<(), CodecError> {
    match length {
        Some(length) if length != count => Err(CodecError::new(format!("{length} elements were announced, {count} came"))),
        _ => Ok(()),
    }
}

/// A sequence or tuple that is open.
pub(super) struct Elements<'p, S: Serializer, F> {
    state: ElementsState<S>,
    length: Option<usize>,
    count: usize,
    passage: &'p Passage,
    _level: Level<'p>,
    form: PhantomData<F>,
}

enum ElementsState<S: Serializer> {
    /// Invariant 1.
    Bytes(S, Vec<u8>),
    Seq(S::SerializeSeq),
    Tuple(S::SerializeTuple),
    /// An error was returned.
    Failed,
}

impl<S: Serializer, F: Format> Elements<'_, S, F> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.count += 1;
        if let ElementsState::Bytes(_, bytes) = &mut self.state {
            if let Ok(byte) = value.serialize(Byte) {
                bytes.push(byte);
                return Ok(());
            }
            self.begin_array()?;
        }
        let value = EncodedValue::<T, F> { value, passage: self.passage, form: PhantomData };
        match &mut self.state {
            ElementsState::Seq(inner) => inner.serialize_element(&value),
            ElementsState::Tuple(inner) => inner.serialize_element(&value),
            ElementsState::Bytes(..) | ElementsState::Failed => return Err(CodecError::new("it failed before".to_owned())),
        }
        .map_err(|error| self.passage.caught(error))
    }

    fn begin_array(&mut self) -> Result<(), CodecError> {
        let ElementsState::Bytes(inner, bytes) = replace(&mut self.state, ElementsState::Failed) else { return Ok(()) };
        let begun = inner.serialize_seq(self.length).and_then(|mut inner| {
            bytes.iter().try_for_each(|byte| inner.serialize_element(byte))?;
            Ok(inner)
        });
        self.state = ElementsState::Seq(begun.map_err(|error| self.passage.caught(error))?);
        Ok(())
    }

    fn finish(self) -> Result<S::Ok, CodecError> {
        check_count(self.length, self.count)?;
        match self.state {
            // The type of the elements is unknown: an empty array.
            ElementsState::Bytes(inner, bytes) if bytes.is_empty() => inner.serialize_seq(Some(0)).and_then(SerializeSeq::end),
            ElementsState::Bytes(inner, bytes) => inner.serialize_bytes(&bytes),
            ElementsState::Seq(inner) => inner.end(),
            ElementsState::Tuple(inner) => inner.end(),
            ElementsState::Failed => return Err(CodecError::new("it failed before".to_owned())),
        }
        .map_err(|error| self.passage.caught(error))
    }
}

impl<S: Serializer, F: Format> SerializeSeq for Elements<'_, S, F> {
    type Ok = S::Ok;
    type Error = CodecError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<S::Ok, CodecError> {
        self.finish()
    }
}

impl<S: Serializer, F: Format> SerializeTuple for Elements<'_, S, F> {
    type Ok = S::Ok;
    type Error = CodecError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.element(value)
    }

    fn end(self) -> Result<S::Ok, CodecError> {
        self.finish()
    }
}

/// Something of several parts that is open, written by `inner`.
pub(super) struct Parts<'p, C, F> {
    inner: C,
    passage: &'p Passage,
    _level: Level<'p>,
    form: PhantomData<F>,
}

impl<C, F: Format> Parts<'_, C, F> {
    #[inline]
    fn part<T: ?Sized, E: fmt::Display>(
        &mut self,
        value: &T,
        write: impl FnOnce(&mut C, &EncodedValue<'_, T, F>) -> Result<(), E>,
    ) -> Result<(), CodecError> {
        let value = EncodedValue { value, passage: self.passage, form: PhantomData };
        write(&mut self.inner, &value).map_err(|error| self.passage.caught(error))
    }
}

macro_rules! parts {
    ($($part:ident $write:ident($($name:ident)?);)*) => {$(
        impl<C: $part, F: Format> $part for Parts<'_, C, F> {
            type Ok = C::Ok;
            type Error = CodecError;

            #[inline]
            fn $write<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), CodecError> {
                self.part(value, |inner, value| inner.$write($($name,)? value))
            }

            fn end(self) -> Result<C::Ok, CodecError> {
                self.inner.end().map_err(|error| self.passage.caught(error))
            }
        }
    )*};
}

parts! {
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(name);
    SerializeStructVariant serialize_field(name);
}

/// The entries of a map.
pub(super) struct Fields<C> {
    inner: C,
    length: Option<usize>,
    count: usize,
}

impl<C: SerializeMap, F: Format> SerializeMap for Parts<'_, Fields<C>, F> {
    type Ok = C::Ok;
    type Error = CodecError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.inner.count += 1;
        self.part(key, |fields, key| fields.inner.serialize_key(key))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.part(value, |fields, value| fields.inner.serialize_value(value))
    }

    fn end(self) -> Result<C::Ok, CodecError> {
        check_count(self.inner.length, self.inner.count)?;
        self.inner.inner.end().map_err(|error| self.passage.caught(error))
    }
}
