//! Is an element a byte?

use serde::ser::{Impossible, Serialize, Serializer};
use std::fmt;

/// Takes a `u8`, newtypes around it included, and nothing else.
pub(super) struct Byte;

/// The element is something else.
#[derive(Debug)]
pub(super) struct NoByte;

impl fmt::Display for NoByte {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("no u8")
    }
}

impl std::error::Error for NoByte {}

impl serde::ser::Error for NoByte {
    fn custom<T: fmt::Display>(_: T) -> NoByte {
        NoByte
    }
}

macro_rules! no_byte {
    ($($name:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $name(self, $(_: $type),*) -> Result<$ok, NoByte> {
            Err(NoByte)
        }
    )*};
}

type Never = Impossible<u8, NoByte>;

impl Serializer for Byte {
    type Ok = u8;
    type Error = NoByte;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<u8, NoByte> {
        Ok(value)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<u8, NoByte> {
        value.serialize(self)
    }

    no_byte! {
        serialize_bool(bool) -> u8; serialize_char(char) -> u8; serialize_str(&str) -> u8; serialize_bytes(&[u8]) -> u8;
        serialize_f32(f32) -> u8; serialize_f64(f64) -> u8;
        serialize_i8(i8) -> u8; serialize_i16(i16) -> u8; serialize_i32(i32) -> u8; serialize_i64(i64) -> u8;
        serialize_u16(u16) -> u8; serialize_u32(u32) -> u8; serialize_u64(u64) -> u8;
        serialize_i128(i128) -> u8; serialize_u128(u128) -> u8;
        serialize_none() -> u8; serialize_unit() -> u8; serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> Never; serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never; serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn collect_seq<I>(self, _: I) -> Result<u8, NoByte> {
        Err(NoByte)
    }

    fn collect_map<K, V, I>(self, _: I) -> Result<u8, NoByte> {
        Err(NoByte)
    }
}
