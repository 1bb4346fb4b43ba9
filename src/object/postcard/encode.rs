//! Values to postcard.

use super::MAX_VARINT_BYTES;
use crate::bytewise;
use crate::object::nesting::{Depth, Refused};
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};
use std::io::Write;

type Done = Result<(), Refused>;

/// Writes one value.
pub(in crate::object) struct Encoder<'w> {
    to: &'w mut dyn Write,
    depth: Depth,
}

impl<'w> Encoder<'w> {
    pub fn new(to: &'w mut dyn Write) -> Encoder<'w> {
        Encoder { to, depth: Depth::default() }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Done {
        Ok(self.to.write_all(bytes)?)
    }

    #[inline]
    fn varint(&mut self, mut value: u128) -> Done {
        let mut bytes = [0; MAX_VARINT_BYTES];
        for at in 0..MAX_VARINT_BYTES {
            bytes[at] = value as u8 & 0x7f;
            value >>= 7;
            if value == 0 {
                return self.write(&bytes[..=at]);
            }
            bytes[at] |= 0x80;
        }
        Ok(())
    }

    /// Small numbers of either sign to small numbers.
    #[inline]
    fn zigzag(&mut self, value: i128) -> Done {
        self.varint((value << 1 ^ value >> 127) as u128)
    }

    fn length(&mut self, length: usize) -> Done {
        self.varint(length as u128)
    }

    fn sized(&mut self, bytes: &[u8]) -> Done {
        self.length(bytes.len())?;
        self.write(bytes)
    }

    /// Goes one level down.
    fn inside(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        self.depth.enter()?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }

    fn open<'a>(&'a mut self, length: Option<usize>) -> Result<Open<'a, 'w>, Refused> {
        self.depth.enter()?;
        Ok(Open { encoder: self, left: length })
    }
}

impl<'a, 'w> Serializer for &'a mut Encoder<'w> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Open<'a, 'w>;
    type SerializeTuple = Open<'a, 'w>;
    type SerializeTupleStruct = Open<'a, 'w>;
    type SerializeTupleVariant = Open<'a, 'w>;
    type SerializeMap = Open<'a, 'w>;
    type SerializeStruct = Open<'a, 'w>;
    type SerializeStructVariant = Open<'a, 'w>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Done {
        self.write(&[value.into()])
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.write(&value.to_le_bytes())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.zigzag(value.into())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.zigzag(value.into())
    }

    fn serialize_i64(self, value: i64) -> Done {
        self.zigzag(value.into())
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.zigzag(value)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Done {
        self.write(&[value])
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.varint(value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.varint(value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.varint(value.into())
    }

    fn serialize_u128(self, value: u128) -> Done {
        self.varint(value)
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.write(&value.to_le_bytes())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.write(&value.to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Done {
        self.sized(value.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn serialize_str(self, value: &str) -> Done {
        self.sized(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.sized(value)
    }

    fn serialize_none(self) -> Done {
        self.write(&[0])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.write(&[1])?;
        self.inside(value)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.varint(index.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        self.inside(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, index: u32, _: &'static str, value: &T) -> Done {
        self.varint(index.into())?;
        self.inside(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Open<'a, 'w>, Refused> {
        let length = length.ok_or_else(|| Refused::because("postcard does not carry a sequence of unknown length"))?;
        self.length(length)?;
        self.open(Some(length))
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a, 'w>, Refused> {
        self.open(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'a, 'w>, Refused> {
        self.open(None)
    }

    fn serialize_tuple_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Open<'a, 'w>, Refused> {
        self.varint(index.into())?;
        self.open(None)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Open<'a, 'w>, Refused> {
        let length = length.ok_or_else(|| Refused::because("postcard does not carry a map of unknown length"))?;
        self.length(length)?;
        self.open(Some(length))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'a, 'w>, Refused> {
        self.open(None)
    }

    fn serialize_struct_variant(self, _: &'static str, index: u32, _: &'static str, _: usize) -> Result<Open<'a, 'w>, Refused> {
        self.varint(index.into())?;
        self.open(None)
    }

    fn collect_seq<I>(self, elements: I) -> Done
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        // A sequence of bytes looks as bytes do.
        if let Some(bytes) = bytewise::bytes_of(&elements) {
            return self.sized(bytes);
        }
        let elements = elements.into_iter();
        let length = match elements.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        let mut sequence = self.serialize_seq(length)?;
        for element in elements {
            sequence.value(&element)?;
        }
        sequence.finish()
    }
}

/// Something of several parts that is open.
pub(in crate::object) struct Open<'a, 'w> {
    encoder: &'a mut Encoder<'w>,
    /// Of a sequence or a map: what is to come of what was announced.
    left: Option<usize>,
}

impl Open<'_, '_> {
    #[inline]
    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or_else(|| Refused::because("more elements came than were announced"))?;
        }
        value.serialize(&mut *self.encoder)
    }

    fn finish(self) -> Done {
        if self.left.is_some_and(|left| left != 0) {
            return Err(Refused::because("fewer elements came than were announced"));
        }
        self.encoder.depth.leave();
        Ok(())
    }
}

impl SerializeSeq for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTuple for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTupleStruct for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTupleVariant for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.value(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.encoder)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeStruct for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeStructVariant for Open<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}
