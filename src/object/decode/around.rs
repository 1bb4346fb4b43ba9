//! A layer around what a value and its codec pass each other while it is read: visitors, seeds, and
//! accesses to parts.

use super::{Decoder, Input, whole_bytes};
use crate::message::bytewise;
use crate::object::message_pack::{Format, PostcardFormat};
use crate::object::nesting::CodecError;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A layer around a visitor or a seed of the value, or around an access of the codec.
pub(super) struct Around<'f, 'de, X, F> {
    inner: X,
    from: &'f Input<'de>,
    /// Are the parts of this access counted?
    is_counted: bool,
    form: PhantomData<F>,
}

impl<'f, 'de, X, F> Around<'f, 'de, X, F> {
    #[inline]
    pub fn new(inner: X, from: &'f Input<'de>) -> Around<'f, 'de, X, F> {
        Around { inner, from, is_counted: false, form: PhantomData }
    }

    /// The length that a codec announces cannot be trusted, so parts are counted as they come.
    #[inline]
    fn counted<T>(&self, part: Option<T>) -> Result<Option<T>, CodecError> {
        if self.is_counted && part.is_some() {
            self.from.passage.count(1);
            self.from.passage.check_count(self.from.rest.get().len())?;
        }
        Ok(part)
    }

    fn caught(&self, error: impl fmt::Display) -> CodecError {
        self.from.passage.caught(error)
    }
}

macro_rules! visits {
    ($($name:ident $type:ty;)*) => {$(
        #[inline]
        fn $name<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$name(value).map_err(|refused| self.from.passage.decode_error(refused))
        }
    )*};
}

impl<'de, V: Visitor<'de>, F: Format> Visitor<'de> for Around<'_, 'de, V, F> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(out)
    }

    visits! {
        visit_bool bool; visit_char char; visit_f32 f32; visit_f64 f64;
        visit_i8 i8; visit_i16 i16; visit_i32 i32; visit_i64 i64; visit_i128 i128;
        visit_u8 u8; visit_u16 u16; visit_u32 u32; visit_u64 u64; visit_u128 u128;
        visit_str &str; visit_borrowed_str &'de str; visit_string String;
        visit_bytes &[u8]; visit_borrowed_bytes &'de [u8]; visit_byte_buf Vec<u8>;
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none().map_err(|refused| self.from.passage.decode_error(refused))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit().map_err(|refused| self.from.passage.decode_error(refused))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let some = Decoder::<D, F>::new(inner, self.from).visit_some(self.inner);
        some.map_err(|refused| self.from.passage.decode_error(refused))
    }

    /// rmp-serde calls it for an ext only: newtypes do not get here.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<V::Value, D::Error> {
        Err(self.from.passage.decode_error(CodecError::new(format!("an ext, expected {}", &self as &dyn serde::de::Expected))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Around { inner: visitor, from, .. } = self;
        let visit = || {
            let _level = from.passage.enter(1)?;
            let is_counted = from.passage.is_counted();
            visitor.visit_seq(Around::<A, F> { is_counted, ..Around::new(inner, from) })
        };
        visit().map_err(|refused| from.passage.decode_error(refused))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Around { inner: visitor, from, .. } = self;
        let visit = || {
            let _level = from.passage.enter(1)?;
            let is_counted = from.passage.is_counted();
            visitor.visit_map(Around::<A, F> { is_counted, ..Around::new(inner, from) })
        };
        visit().map_err(|refused| from.passage.decode_error(refused))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let visited = self.inner.visit_enum(Around::<A, F>::new(inner, self.from));
        visited.map_err(|refused| self.from.passage.decode_error(refused))
    }
}

impl<'de, S: DeserializeSeed<'de>, F: Format> DeserializeSeed<'de> for Around<'_, 'de, S, F> {
    type Value = S::Value;

    /// A plain `Vec<u8>` is taken whole.
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let Around { inner: seed, from, .. } = self;
        let decoder = Decoder::<D, F>::new(inner, from);
        let bytes = if bytewise::is_seed_of_bytes::<S>() { whole_bytes(decoder) } else { Err(decoder) };
        let value = match bytes {
            Ok(bytes) => {
                bytes.and_then(|bytes| bytewise::as_vec_of_bytes(bytes).ok_or_else(|| CodecError::new("no bytes".to_owned())))
            }
            Err(decoder) => seed.deserialize(decoder),
        };
        value.map_err(|refused| from.passage.decode_error(refused))
    }
}

impl<'de, A: SeqAccess<'de>, F: Format> SeqAccess<'de> for Around<'_, 'de, A, F> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        let element = self.inner.next_element_seed(Around::<S, F>::new(seed, self.from));
        self.counted(element.map_err(|error| self.caught(error))?)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>, F: Format> MapAccess<'de> for Around<'_, 'de, A, F> {
    type Error = CodecError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecError> {
        let key = self.inner.next_key_seed(Around::<S, F>::new(seed, self.from));
        self.counted(key.map_err(|error| self.caught(error))?)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, CodecError> {
        self.inner.next_value_seed(Around::<S, F>::new(seed, self.from)).map_err(|error| self.caught(error))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'f, 'de, A: EnumAccess<'de>, F: Format> EnumAccess<'de> for Around<'f, 'de, A, F> {
    type Error = CodecError;
    type Variant = Around<'f, 'de, A::Variant, F>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), CodecError> {
        let seed = Around::<S, PostcardFormat>::new(seed, self.from);
        let (name, variant) = self.inner.variant_seed(seed).map_err(|error| self.from.passage.caught(error))?;
        Ok((name, Around::new(variant, self.from)))
    }
}

impl<'de, A: VariantAccess<'de>, F: Format> VariantAccess<'de> for Around<'_, 'de, A, F> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        self.inner.unit_variant().map_err(|error| self.from.passage.caught(error))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        let seed = Around::<S, F>::new(seed, self.from);
        self.inner.newtype_variant_seed(seed).map_err(|error| self.from.passage.caught(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        let visitor = Around::<V, F>::new(visitor, self.from);
        self.inner.tuple_variant(length, visitor).map_err(|error| self.from.passage.caught(error))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, CodecError> {
        let _level = self.from.passage.enter(1)?;
        let visitor = Around::<V, F>::new(visitor, self.from);
        self.inner.struct_variant(fields, visitor).map_err(|error| self.from.passage.caught(error))
    }
}
