//! Values to MessagePack.
//!
//! Invariants:
//! 1. A sequence or tuple is open as bytes until an element comes that is no `u8`: then it is an
//!    array, of those that came before too. So each element is serialised once, and what comes out
//!    depends on the elements only.
//! 2. What has no known length is kept in `kept` until it ends, and then written behind its length.

use super::{BYTES, SOME, marker};
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
    /// Invariant 2, innermost last.
    kept: Vec<Vec<u8>>,
    depth: Depth,
    /// How many `Some` stand around what comes next.
    somes: u16,
}

impl<'w> Encoder<'w> {
    pub fn new(to: &'w mut dyn Write) -> Encoder<'w> {
        Encoder { to, kept: Vec::new(), depth: Depth::default(), somes: 0 }
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Done {
        self.somes = 0;
        match self.kept.last_mut() {
            Some(kept) => kept.extend_from_slice(bytes),
            None => self.to.write_all(bytes)?,
        }
        Ok(())
    }

    /// A marker and the number behind it, in one write.
    #[inline]
    fn marked<const N: usize>(&mut self, marker: u8, number: [u8; N]) -> Done {
        let mut bytes = [0; 9];
        bytes[0] = marker;
        bytes[1..=N].copy_from_slice(&number);
        self.write(&bytes[..=N])
    }

    fn nil(&mut self) -> Done {
        match self.somes {
            0 => self.write(&[marker::NIL]),
            somes => {
                let [high, low] = somes.to_be_bytes();
                self.write(&[marker::FIX_EXT_2, SOME, high, low])
            }
        }
    }

    #[inline]
    fn unsigned(&mut self, value: u64) -> Done {
        if value < 1 << 7 {
            self.write(&[value as u8])
        } else if let Ok(value) = u8::try_from(value) {
            self.marked(marker::U8, [value])
        } else if let Ok(value) = u16::try_from(value) {
            self.marked(marker::U16, value.to_be_bytes())
        } else if let Ok(value) = u32::try_from(value) {
            self.marked(marker::U32, value.to_be_bytes())
        } else {
            self.marked(marker::U64, value.to_be_bytes())
        }
    }

    #[inline]
    fn signed(&mut self, value: i64) -> Done {
        if value >= 0 {
            self.unsigned(value as u64)
        } else if value >= -32 {
            self.write(&[value as u8])
        } else if let Ok(value) = i8::try_from(value) {
            self.marked(marker::I8, value.to_be_bytes())
        } else if let Ok(value) = i16::try_from(value) {
            self.marked(marker::I16, value.to_be_bytes())
        } else if let Ok(value) = i32::try_from(value) {
            self.marked(marker::I32, value.to_be_bytes())
        } else {
            self.marked(marker::I64, value.to_be_bytes())
        }
    }

    fn array(&mut self, length: usize) -> Done {
        match short(length)? {
            short if short < 16 => self.write(&[marker::FIX_ARRAY | short as u8]),
            short if short < 1 << 16 => self.marked(marker::ARRAY_16, (short as u16).to_be_bytes()),
            short => self.marked(marker::ARRAY_32, short.to_be_bytes()),
        }
    }

    fn map(&mut self, length: usize) -> Done {
        match short(length)? {
            short if short < 16 => self.write(&[marker::FIX_MAP | short as u8]),
            short if short < 1 << 16 => self.marked(marker::MAP_16, (short as u16).to_be_bytes()),
            short => self.marked(marker::MAP_32, short.to_be_bytes()),
        }
    }

    fn text(&mut self, text: &str) -> Done {
        match short(text.len())? {
            short if short < 32 => self.write(&[marker::FIX_STR | short as u8])?,
            short if short < 1 << 8 => self.marked(marker::STR_8, [short as u8])?,
            short if short < 1 << 16 => self.marked(marker::STR_16, (short as u16).to_be_bytes())?,
            short => self.marked(marker::STR_32, short.to_be_bytes())?,
        }
        self.write(text.as_bytes())
    }

    /// A sequence of `u8`.
    fn sequence_of_bytes(&mut self, bytes: &[u8]) -> Done {
        match short(bytes.len())? {
            short if short < 1 << 8 => self.marked(marker::BIN_16, (short as u16).to_be_bytes())?,
            short => self.marked(marker::BIN_32, short.to_be_bytes())?,
        }
        self.write(bytes)
    }

    fn elements<'a>(&'a mut self, length: Option<usize>) -> Result<Elements<'a, 'w>, Refused> {
        self.depth.enter()?;
        self.somes = 0;
        Ok(Elements { encoder: self, length, bytes: Some(Vec::new()), count: 0, in_variant: false })
    }

    fn fields<'a>(&'a mut self, length: Option<usize>) -> Result<Fields<'a, 'w>, Refused> {
        self.depth.enter()?;
        match length {
            Some(length) => self.map(length)?,
            None => self.keep(),
        }
        Ok(Fields { encoder: self, length, count: 0, in_variant: false })
    }

    /// A map of one, whose value is next.
    fn variant(&mut self, name: &str) -> Done {
        self.map(1)?;
        self.text(name)
    }

    /// Begins what has no known length.
    fn keep(&mut self) {
        self.somes = 0;
        self.kept.push(Vec::new());
    }

    fn leave(&mut self, a_variant: bool) -> Done {
        self.depth.leave();
        if a_variant {
            self.depth.leave();
        }
        Ok(())
    }

    /// Goes one level down.
    fn inside(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        self.depth.enter()?;
        value.serialize(&mut *self)?;
        self.depth.leave();
        Ok(())
    }
}

/// A length as MessagePack has it.
fn short(length: usize) -> Result<u32, Refused> {
    u32::try_from(length).map_err(|_| Refused::because("MessagePack has no more than 2^32 - 1 elements or bytes in one piece"))
}

/// As many as were announced?
fn check_count(length: Option<usize>, count: usize) -> Done {
    match length {
        Some(length) if length != count => Err(Refused::Other(format!("{length} elements were announced, {count} came"))),
        _ => Ok(()),
    }
}

impl<'a, 'w> Serializer for &'a mut Encoder<'w> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Elements<'a, 'w>;
    type SerializeTuple = Elements<'a, 'w>;
    type SerializeTupleStruct = Elements<'a, 'w>;
    type SerializeTupleVariant = Elements<'a, 'w>;
    type SerializeMap = Fields<'a, 'w>;
    type SerializeStruct = Fields<'a, 'w>;
    type SerializeStructVariant = Fields<'a, 'w>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Done {
        self.write(&[if value { marker::TRUE } else { marker::FALSE }])
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.signed(value.into())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.signed(value.into())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.signed(value.into())
    }

    fn serialize_i64(self, value: i64) -> Done {
        self.signed(value)
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.unsigned(value.into())
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.unsigned(value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.unsigned(value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.unsigned(value)
    }

    fn serialize_u128(self, value: u128) -> Done {
        self.serialize_bytes(&value.to_be_bytes())
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.marked(marker::F32, value.to_be_bytes())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.marked(marker::F64, value.to_be_bytes())
    }

    fn serialize_char(self, value: char) -> Done {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        match short(value.len())? {
            short if short < 1 << 8 => self.marked(marker::BIN_8, [short as u8])?,
            short if short < 1 << 16 => self.marked(marker::BIN_16, (short as u16).to_be_bytes())?,
            short => {
                self.marked(marker::EXT_32, short.to_be_bytes())?;
                self.write(&[BYTES])?;
            }
        }
        self.write(value)
    }

    fn serialize_none(self) -> Done {
        self.nil()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.somes += 1;
        self.inside(value)
    }

    fn serialize_unit(self) -> Done {
        self.nil()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.nil()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        self.inside(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, variant: &'static str, value: &T) -> Done {
        self.variant(variant)?;
        self.inside(value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'a, 'w>, Refused> {
        self.elements(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'a, 'w>, Refused> {
        self.elements(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Elements<'a, 'w>, Refused> {
        self.elements(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Elements<'a, 'w>, Refused> {
        self.variant(variant)?;
        self.depth.enter()?;
        Ok(Elements { in_variant: true, ..self.elements(Some(length))? })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Fields<'a, 'w>, Refused> {
        self.fields(length)
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Fields<'a, 'w>, Refused> {
        self.fields(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<'a, 'w>, Refused> {
        self.variant(variant)?;
        self.depth.enter()?;
        Ok(Fields { in_variant: true, ..self.fields(Some(length))? })
    }

    fn collect_seq<I>(self, elements: I) -> Done
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        if let Some(bytes) = bytewise::bytes_of(&elements) {
            return self.sequence_of_bytes(bytes);
        }
        let elements = elements.into_iter();
        let length = match elements.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        let mut sequence = self.elements(length)?;
        for element in elements {
            sequence.element(&element)?;
        }
        sequence.finish()
    }
}

/// A sequence or tuple that is open.
pub(in crate::object) struct Elements<'a, 'w> {
    encoder: &'a mut Encoder<'w>,
    length: Option<usize>,
    /// Invariant 1. `None`: it is an array.
    bytes: Option<Vec<u8>>,
    count: usize,
    /// Then the variant's map is a level of its own.
    in_variant: bool,
}

impl<'w> Elements<'_, 'w> {
    #[inline]
    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Done {
        value.serialize(Element(self))?;
        self.count += 1;
        Ok(())
    }

    /// Where an element is written that is no `u8`, or one of an array.
    #[inline]
    fn as_array(&mut self) -> Result<&mut Encoder<'w>, Refused> {
        if let Some(bytes) = self.bytes.take() {
            self.begin_array(&bytes)?;
        }
        Ok(self.encoder)
    }

    #[cold]
    fn begin_array(&mut self, bytes: &[u8]) -> Done {
        match self.length {
            Some(length) => self.encoder.array(length)?,
            None => self.encoder.keep(),
        }
        bytes.iter().try_for_each(|&byte| self.encoder.unsigned(byte.into()))
    }

    fn finish(mut self) -> Done {
        check_count(self.length, self.count)?;
        match self.bytes.take() {
            // Of what elements, nobody knows.
            Some(bytes) if bytes.is_empty() => self.encoder.array(0)?,
            Some(bytes) => self.encoder.sequence_of_bytes(&bytes)?,
            None if self.length.is_none() => {
                let kept = self.encoder.kept.pop().unwrap_or_default();
                self.encoder.array(self.count)?;
                self.encoder.write(&kept)?;
            }
            None => {}
        }
        self.encoder.leave(self.in_variant)
    }
}

impl SerializeSeq for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTuple for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTupleStruct for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeTupleVariant for Elements<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

/// An element: a `u8` stays with its sequence as long as all before it were, everything else is
/// written as ever.
struct Element<'e, 'a, 'w>(&'e mut Elements<'a, 'w>);

macro_rules! as_ever {
    ($($name:ident($($argument:ident: $type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $name(self, $($argument: $type),*) -> Result<$ok, Refused> {
            self.0.as_array()?.$name($($argument),*)
        }
    )*};
}

impl<'e, 'w> Serializer for Element<'e, '_, 'w> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Elements<'e, 'w>;
    type SerializeTuple = Elements<'e, 'w>;
    type SerializeTupleStruct = Elements<'e, 'w>;
    type SerializeTupleVariant = Elements<'e, 'w>;
    type SerializeMap = Fields<'e, 'w>;
    type SerializeStruct = Fields<'e, 'w>;
    type SerializeStructVariant = Fields<'e, 'w>;

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Done {
        match &mut self.0.bytes {
            Some(bytes) => bytes.push(value),
            None => self.0.encoder.unsigned(value.into())?,
        }
        Ok(())
    }

    /// It is what it holds.
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        self.0.encoder.depth.enter()?;
        value.serialize(Element(self.0))?;
        self.0.encoder.depth.leave();
        Ok(())
    }

    as_ever! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_str(value: &str) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(length: Option<usize>) -> Elements<'e, 'w>;
        serialize_tuple(length: usize) -> Elements<'e, 'w>;
        serialize_tuple_struct(name: &'static str, length: usize) -> Elements<'e, 'w>;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> Elements<'e, 'w>;
        serialize_map(length: Option<usize>) -> Fields<'e, 'w>;
        serialize_struct(name: &'static str, length: usize) -> Fields<'e, 'w>;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> Fields<'e, 'w>;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.as_array()?.serialize_some(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.0.as_array()?.serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_seq<I>(self, elements: I) -> Done
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        self.0.as_array()?.collect_seq(elements)
    }
}

/// A map or struct that is open.
pub(in crate::object) struct Fields<'a, 'w> {
    encoder: &'a mut Encoder<'w>,
    length: Option<usize>,
    count: usize,
    /// Then the variant's map is a level of its own.
    in_variant: bool,
}

impl Fields<'_, '_> {
    fn field(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Done {
        self.count += 1;
        self.encoder.text(key)?;
        value.serialize(&mut *self.encoder)
    }

    fn finish(self) -> Done {
        check_count(self.length, self.count)?;
        if self.length.is_none() {
            let kept = self.encoder.kept.pop().unwrap_or_default();
            self.encoder.map(self.count)?;
            self.encoder.write(&kept)?;
        }
        self.encoder.leave(self.in_variant)
    }
}

impl SerializeMap for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.count += 1;
        key.serialize(&mut *self.encoder)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.encoder)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
        self.field(key, value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}

impl SerializeStructVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
        self.field(key, value)
    }

    fn end(self) -> Done {
        self.finish()
    }
}
