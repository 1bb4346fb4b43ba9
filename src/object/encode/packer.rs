//! MessagePack, written as rmp-serde writes it with the names of fields: the same bytes, by a
//! writer that is inlined. Measured: rmp-serde and its errors were half the instructions of a put.

use super::output::Output;
use crate::object::nesting::CodecError;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

/// The name of a newtype variant that is an ext: its index is the type, its value the bytes.
pub(in crate::object) const EXT: &str = "an ext of shmq";

/// Writes one value.
pub(in crate::object) struct Packer<'a, 'w> {
    to: &'a mut Output<'w>,
    /// The bytes that come are those of an ext of this type.
    ext: Option<u8>,
}

type Written = Result<(), CodecError>;

impl<'a, 'w> Packer<'a, 'w> {
    #[inline]
    pub fn new(to: &'a mut Output<'w>) -> Packer<'a, 'w> {
        Packer { to, ext: None }
    }

    /// A marker, and the bytes that belong to it.
    #[inline]
    fn mark<const LENGTH: usize>(&mut self, marker: u8, bytes: [u8; LENGTH]) -> Written {
        let mut all = [0; 9];
        all[0] = marker;
        all[1..=LENGTH].copy_from_slice(&bytes);
        self.to.write(&all[..=LENGTH])
    }

    #[inline]
    fn unsigned(&mut self, value: u64) -> Written {
        match value {
            0..128 => self.mark(value as u8, []),
            128..0x100 => self.mark(0xcc, [value as u8]),
            0x100..0x1_0000 => self.mark(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..0x1_0000_0000 => self.mark(0xce, (value as u32).to_be_bytes()),
            _ => self.mark(0xcf, value.to_be_bytes()),
        }
    }

    #[inline]
    fn signed(&mut self, value: i64) -> Written {
        match value {
            0.. => self.unsigned(value as u64),
            -32..0 => self.mark(value as u8, []),
            -0x80..-32 => self.mark(0xd0, [value as u8]),
            -0x8000..-0x80 => self.mark(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.mark(0xd2, (value as i32).to_be_bytes()),
            _ => self.mark(0xd3, value.to_be_bytes()),
        }
    }

    #[inline]
    fn text(&mut self, text: &str) -> Written {
        match text.len() {
            length @ 0..32 => self.mark(0xa0 | length as u8, []),
            length @ 32..0x100 => self.mark(0xd9, [length as u8]),
            length @ 0x100..0x1_0000 => self.mark(0xda, (length as u16).to_be_bytes()),
            length => self.mark(0xdb, (length as u32).to_be_bytes()),
        }?;
        self.to.write(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Written {
        match bytes.len() {
            length @ 0..0x100 => self.mark(0xc4, [length as u8]),
            length @ 0x100..0x1_0000 => self.mark(0xc5, (length as u16).to_be_bytes()),
            length => self.mark(0xc6, (length as u32).to_be_bytes()),
        }?;
        self.to.write(bytes)
    }

    fn ext(&mut self, kind: u8, bytes: &[u8]) -> Written {
        match bytes.len() {
            1 => self.mark(0xd4, []),
            2 => self.mark(0xd5, []),
            4 => self.mark(0xd6, []),
            8 => self.mark(0xd7, []),
            16 => self.mark(0xd8, []),
            length @ 0..0x100 => self.mark(0xc7, [length as u8]),
            length @ 0x100..0x1_0000 => self.mark(0xc8, (length as u16).to_be_bytes()),
            length => self.mark(0xc9, (length as u32).to_be_bytes()),
        }?;
        self.to.write(&[kind])?;
        self.to.write(bytes)
    }

    #[inline]
    fn array(&mut self, length: usize) -> Written {
        match length {
            0..16 => self.mark(0x90 | length as u8, []),
            16..0x1_0000 => self.mark(0xdc, (length as u16).to_be_bytes()),
            _ => self.mark(0xdd, (length as u32).to_be_bytes()),
        }
    }

    #[inline]
    fn map(&mut self, length: usize) -> Written {
        match length {
            0..16 => self.mark(0x80 | length as u8, []),
            16..0x1_0000 => self.mark(0xde, (length as u16).to_be_bytes()),
            _ => self.mark(0xdf, (length as u32).to_be_bytes()),
        }
    }

    fn variant(&mut self, variant: &str) -> Written {
        self.map(1)?;
        self.text(variant)
    }
}

macro_rules! numbers {
    ($($name:ident $type:ty => $write:ident;)*) => {$(
        #[inline]
        fn $name(mut self, value: $type) -> Written {
            self.$write(value.into())
        }
    )*};
}

impl<'a, 'w> Serializer for Packer<'a, 'w> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Parts<'a, 'w>;
    type SerializeTuple = Parts<'a, 'w>;
    type SerializeTupleStruct = Parts<'a, 'w>;
    type SerializeTupleVariant = Parts<'a, 'w>;
    type SerializeMap = Parts<'a, 'w>;
    type SerializeStruct = Parts<'a, 'w>;
    type SerializeStructVariant = Parts<'a, 'w>;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    numbers! {
        serialize_u8 u8 => unsigned; serialize_u16 u16 => unsigned; serialize_u32 u32 => unsigned; serialize_u64 u64 => unsigned;
        serialize_i8 i8 => signed; serialize_i16 i16 => signed; serialize_i32 i32 => signed; serialize_i64 i64 => signed;
    }

    fn serialize_i128(mut self, value: i128) -> Written {
        self.bytes(&value.to_be_bytes())
    }

    fn serialize_u128(mut self, value: u128) -> Written {
        self.bytes(&value.to_be_bytes())
    }

    #[inline]
    fn serialize_f32(mut self, value: f32) -> Written {
        self.mark(0xca, value.to_be_bytes())
    }

    #[inline]
    fn serialize_f64(mut self, value: f64) -> Written {
        self.mark(0xcb, value.to_be_bytes())
    }

    #[inline]
    fn serialize_bool(mut self, value: bool) -> Written {
        self.mark(0xc2 | value as u8, [])
    }

    fn serialize_char(mut self, value: char) -> Written {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(mut self, value: &str) -> Written {
        self.text(value)
    }

    fn serialize_bytes(mut self, bytes: &[u8]) -> Written {
        match self.ext {
            Some(kind) => self.ext(kind, bytes),
            None => self.bytes(bytes),
        }
    }

    #[inline]
    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(mut self) -> Written {
        self.mark(0xc0, [])
    }

    fn serialize_unit_struct(mut self, _: &'static str) -> Written {
        self.array(0)
    }

    #[inline]
    fn serialize_unit_variant(mut self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.text(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        if name == EXT {
            return value.serialize(Packer { ext: Some(index as u8), ..self });
        }
        self.variant(variant)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(mut self, length: Option<usize>) -> Result<Parts<'a, 'w>, CodecError> {
        match length {
            Some(length) => self.array(length).map(|()| Parts::counted(self.to)),
            None => Ok(Parts::uncounted(self.to)),
        }
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Parts<'a, 'w>, CodecError> {
        self.serialize_seq(Some(length))
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, 'w>, CodecError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'a, 'w>, CodecError> {
        self.variant(variant)?;
        self.serialize_seq(Some(length))
    }

    #[inline]
    fn serialize_map(mut self, length: Option<usize>) -> Result<Parts<'a, 'w>, CodecError> {
        match length {
            Some(length) => self.map(length).map(|()| Parts::counted(self.to)),
            None => Ok(Parts::uncounted(self.to)),
        }
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Parts<'a, 'w>, CodecError> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Parts<'a, 'w>, CodecError> {
        self.variant(variant)?;
        self.serialize_map(Some(length))
    }
}

/// Something of several parts that is open.
pub(in crate::object) struct Parts<'a, 'w> {
    to: &'a mut Output<'w>,
    /// The parts of a sequence or a map of unknown length, until their number is known.
    apart: Option<Apart>,
}

#[derive(Default)]
struct Apart {
    bytes: Vec<u8>,
    count: usize,
}

impl<'a, 'w> Parts<'a, 'w> {
    #[inline]
    fn counted(to: &'a mut Output<'w>) -> Parts<'a, 'w> {
        Parts { to, apart: None }
    }

    #[inline]
    fn uncounted(to: &'a mut Output<'w>) -> Parts<'a, 'w> {
        Parts { to, apart: Some(Apart::default()) }
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let Some(apart) = &mut self.apart else { return value.serialize(Packer::new(self.to)) };
        apart.count += 1;
        let mut to = Output::new(&mut apart.bytes);
        value.serialize(Packer::new(&mut to))?;
        to.finish()
    }

    #[inline]
    fn finish(self, is_map: bool) -> Written {
        let Some(apart) = self.apart else { return Ok(()) };
        let mut packer = Packer::new(self.to);
        if is_map { packer.map(apart.count / 2) } else { packer.array(apart.count) }?;
        self.to.write(&apart.bytes)
    }
}

impl SerializeSeq for Parts<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.part(value)
    }

    #[inline]
    fn end(self) -> Written {
        self.finish(false)
    }
}

impl SerializeMap for Parts<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.part(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.part(value)
    }

    #[inline]
    fn end(self) -> Written {
        self.finish(true)
    }
}

/// Those whose length is always known.
macro_rules! fixed {
    ($($part:ident $write:ident $(, $name:ident)?;)*) => {$(
        impl $part for Parts<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn $write<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Written {
                $(Packer::new(self.to).text($name)?;)?
                value.serialize(Packer::new(self.to))
            }

            #[inline]
            fn end(self) -> Written {
                Ok(())
            }
        }
    )*};
}

fixed! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
    SerializeStruct serialize_field, name;
    SerializeStructVariant serialize_field, name;
}
