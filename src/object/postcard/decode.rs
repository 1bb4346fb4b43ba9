//! Postcard to values.
//!
//! Invariant 1: nothing is read beyond `from`, whatever lengths it speaks of, and nothing is
//! allocated for elements that its bytes cannot hold (elements without bytes, such as `()`, are not
//! allocated for at all).

use super::MAX_VARINT_BYTES;
use crate::bytewise;
use crate::object::nesting::{Depth, Refused};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Reads one value from the front of `from`.
pub(in crate::object) struct Decoder<'de> {
    pub from: &'de [u8],
    depth: Depth,
}

impl<'de> Decoder<'de> {
    pub fn new(from: &'de [u8]) -> Decoder<'de> {
        Decoder { from, depth: Depth::default() }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'de [u8], Refused> {
        let (taken, rest) = self.from.split_at_checked(length).ok_or_else(Refused::cut_off)?;
        self.from = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (&array, rest) = self.from.split_first_chunk::<N>().ok_or_else(Refused::cut_off)?;
        self.from = rest;
        Ok(array)
    }

    /// A varint of at most so many bits.
    #[inline]
    fn varint(&mut self, bits: u32) -> Result<u128, Refused> {
        let mut value = 0u128;
        for at in 0..MAX_VARINT_BYTES as u32 {
            let [byte] = self.array()?;
            let part = u128::from(byte & 0x7f);
            let shift = at * 7;
            if shift >= bits || bits - shift < 7 && part >> (bits - shift) != 0 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Refused::because("an integer is out of its range"))
    }

    #[inline]
    fn zigzag(&mut self, bits: u32) -> Result<i128, Refused> {
        let value = self.varint(bits)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    fn length(&mut self) -> Result<usize, Refused> {
        Ok(self.varint(usize::BITS)? as usize)
    }

    fn sized(&mut self) -> Result<&'de [u8], Refused> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'de str, Refused> {
        std::str::from_utf8(self.sized()?).map_err(|_| Refused::because("a text is not UTF-8"))
    }

    /// Goes one level down.
    #[inline]
    fn inside<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, Refused>) -> Result<R, Refused> {
        self.depth.enter()?;
        let value = read(self)?;
        self.depth.leave();
        Ok(value)
    }

    fn parts<V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| visitor.visit_seq(Parts { decoder, left: count }))
    }

    /// What a seed makes of the next value. A plain `Vec<u8>` is taken whole.
    #[inline]
    fn seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        if bytewise::is_seed_of_bytes::<S>() {
            let before = self.from;
            if let Some(value) = bytewise::as_vec_of_bytes(self.sized()?.to_vec()) {
                return Ok(value);
            }
            self.from = before;
        }
        seed.deserialize(self)
    }

    /// A value of that type.
    pub fn value<T: serde::de::Deserialize<'de>>(&mut self) -> Result<T, Refused> {
        self.seed(std::marker::PhantomData::<T>)
    }
}

/// Postcard says of nothing what it is.
#[cold]
fn unnamed() -> Refused {
    Refused::because("postcard carries no names and no types, which this type needs to be read")
}

macro_rules! numbers {
    ($($name:ident $visit:ident $read:ident $type:ty;)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            visitor.$visit(self.$read(<$type>::BITS)? as $type)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Refused;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(unnamed())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(unnamed())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(unnamed())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.array()? {
            [0] => visitor.visit_bool(false),
            [1] => visitor.visit_bool(true),
            [other] => Err(Refused::Other(format!("a bool of {other}"))),
        }
    }

    numbers! {
        deserialize_i16 visit_i16 zigzag i16;
        deserialize_i32 visit_i32 zigzag i32;
        deserialize_i64 visit_i64 zigzag i64;
        deserialize_i128 visit_i128 zigzag i128;
        deserialize_u16 visit_u16 varint u16;
        deserialize_u32 visit_u32 varint u32;
        deserialize_u64 visit_u64 varint u64;
        deserialize_u128 visit_u128 varint u128;
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_i8(i8::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_u8(u8::from_le_bytes(self.array()?))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let mut characters = self.text()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => Err(Refused::because("a character is not one")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_borrowed_bytes(self.sized()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.array()? {
            [0] => visitor.visit_none(),
            [1] => self.inside(|decoder| visitor.visit_some(decoder)),
            [other] => Err(Refused::Other(format!("an option of {other}"))),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refused> {
        self.inside(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let count = self.length()?;
        self.parts(count, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.parts(count, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.parts(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let count = self.length()?;
        self.inside(|decoder| visitor.visit_map(Parts { decoder, left: count }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.parts(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_enum(Variant(self))
    }
}

/// What is left of something of several parts.
struct Parts<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.decoder.seed(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.decoder.from.len()))
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Refused> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.decoder.seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        SeqAccess::size_hint(self)
    }
}

/// The number of a variant is next, then what it holds.
struct Variant<'a, 'de>(&'a mut Decoder<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let index = self.0.varint(u32::BITS)? as u32;
        let variant = seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        self.0.inside(|decoder| decoder.seed(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Refused> {
        self.0.parts(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Refused> {
        self.0.parts(fields.len(), visitor)
    }
}
