//! Layouts of messages: from the options, and back to C.

use crate::border;
use crate::failure::{Failed, Numbers, c_text, shmq_error::SHMQ_ERROR_OPTIONS};
use crate::options::{self, shmq_form, shmq_primitive_options, shmq_queue_options};
use shmq_rs::{Form, LayoutError, MessageLayout};
use std::ffi::{CString, c_char};
use std::ptr;

/// What messages are, as the segment says. The texts are valid as long as the handle.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
pub struct shmq_layout {
    /// `sizeof(shmq_layout)`, by the caller. As many bytes are filled in; those that the library does
    /// not know with 0.
    pub size: usize,
    /// A `shmq_form`.
    pub form: u32,
    /// 1: `structure` is only the beginning of it, since a segment keeps 4096 bytes.
    pub is_structure_cut: u32,
    /// Bytes of a value, or of an element of a slice; 1 of encoded objects.
    pub message_size: usize,
    /// Messages begin at multiples of it.
    pub message_align: usize,
    /// The fields, or null.
    pub structure: *const c_char,
    /// The creator's own schema, or null.
    pub schema: *const c_char,
    /// The name of the type, or null.
    pub type_name: *const c_char,
}

/// Texts of a handle, for C.
pub struct Texts {
    pub name: CString,
    structure: Option<CString>,
    schema: Option<CString>,
    type_name: Option<CString>,
}

impl Texts {
    pub fn of(name: &str, layout: &MessageLayout) -> Box<Texts> {
        Box::new(Texts {
            name: c_text(name),
            structure: layout.structure_text().map(c_text),
            schema: layout.schema_text().map(c_text),
            type_name: layout.name_of_type().map(c_text),
        })
    }

    pub fn layout(&self, layout: &MessageLayout) -> shmq_layout {
        let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        shmq_layout {
            size: size_of::<shmq_layout>(),
            form: match layout.form() {
                Form::Slice => shmq_form::SHMQ_FORM_SLICE as u32,
                Form::Encoded => shmq_form::SHMQ_FORM_ENCODED as u32,
                _ => shmq_form::SHMQ_FORM_VALUE as u32,
            },
            is_structure_cut: u32::from(layout.is_structure_cut()),
            message_size: layout.size(),
            message_align: layout.align(),
            structure: pointer(&self.structure),
            schema: pointer(&self.schema),
            type_name: pointer(&self.type_name),
        }
    }
}

/// Fills in a struct of C that begins with its size: as much as both know.
///
/// # Safety
/// The pointer is null, or leads to as many bytes as its first word says. `S` is `repr(C)`, without
/// padding, and begins with its size.
pub unsafe fn fill<S>(to: *mut S, full: S) -> Result<(), Failed> {
    if to.is_null() {
        return Err(Failed::argument(c"the pointer to the struct is null"));
    }
    // SAFETY: the caller says that it begins with its size.
    let size = unsafe { to.cast::<usize>().read_unaligned() };
    if size < size_of::<usize>() || size > options::LARGEST {
        let text = format!("the struct says that it has {size} bytes: set `size` to the sizeof of the struct");
        return Err(Failed::detailed(SHMQ_ERROR_OPTIONS, text, Numbers::none()));
    }
    let bytes = size.min(size_of::<S>());
    // SAFETY: as many bytes as both have; the size itself stays what the caller set.
    unsafe { ptr::copy_nonoverlapping((&raw const full).cast::<u8>().add(8), to.cast::<u8>().add(8), bytes - 8) };
    // What a newer program knows besides is 0, not what was in its memory.
    // SAFETY: the caller says that there are `size` bytes.
    unsafe { to.cast::<u8>().add(bytes).write_bytes(0, size - bytes) };
    Ok(())
}

/// Which numbers are at how much of a multiple in memory.
const SCALARS: [(&str, usize); 14] = [
    ("bool", 1),
    ("char", 4),
    ("u8", 1),
    ("u16", 2),
    ("u32", 4),
    ("u64", 8),
    ("u128", 16),
    ("i8", 1),
    ("i16", 2),
    ("i32", 4),
    ("i64", 8),
    ("i128", 16),
    ("f32", 4),
    ("f64", 8),
];

/// The alignment of the largest number of a structure: that of a struct of C with these fields. 1 if
/// there is none, if a field lies at no multiple of its own (a packed struct), or if the text is of
/// another kind.
fn natural_align(structure: &str) -> usize {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut largest = 1;
    // Of the field whose type comes next.
    let mut offset = None;
    let mut rest = structure;
    while let Some(start) = rest.find(is_part) {
        let word_and_rest = &rest[start..];
        let length = word_and_rest.find(|letter| !is_part(letter)).unwrap_or(word_and_rest.len());
        let (word, after) = word_and_rest.split_at(length);
        // A field or a variant may be called `u64` too.
        if let Some(number) = after.strip_prefix('@') {
            let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
            offset = number[..digits].parse::<usize>().ok();
        } else if !after.starts_with('=') {
            let scalar = word.strip_suffix("be").unwrap_or(word);
            if let Some(&(_, align)) = SCALARS.iter().find(|(name, _)| *name == scalar) {
                if offset.take().is_some_and(|offset| offset % align != 0) {
                    return 1;
                }
                largest = largest.max(align);
            }
        }
        rest = after;
    }
    largest
}

/// The bytes that a structure describes; 0 if it is text of another kind.
fn bytes_described(structure: &str) -> Result<usize, Failed> {
    match MessageLayout::value(0, 1)?.structure(structure) {
        Err(LayoutError::Structure { described: usize::MAX, .. }) | Ok(_) => Ok(0),
        Err(LayoutError::Structure { described, .. }) => Ok(described),
        Err(error) => Err(error.into()),
    }
}

/// Size and alignment, of which the structure may say either.
fn measures(size: usize, align: usize, structure: Option<&str>) -> Result<(usize, usize), Failed> {
    let size = if size == 0 { structure.map_or(Ok(0), bytes_described)? } else { size };
    if align != 0 {
        return Ok((size, align));
    }
    // Of a packed struct the size may be no multiple.
    Ok((size, structure.map(natural_align).filter(|align| size % align == 0).unwrap_or(1)))
}

impl shmq_queue_options {
    /// The layout that the options ask for; none if they say nothing of it.
    ///
    /// # Safety
    /// The texts end.
    pub unsafe fn layout(&self) -> Result<Option<MessageLayout>, Failed> {
        // SAFETY: as the caller says.
        let (structure, type_name, schema) = unsafe {
            let text = |text| border::text_if_given(text);
            (text(self.structure)?, text(self.type_name)?, text(self.schema)?)
        };
        let (size, align) = measures(self.message_size, self.message_align, structure)?;
        let mut layout = match self.form {
            form if form == shmq_form::SHMQ_FORM_ENCODED as u32 => {
                if self.message_size != 0 || self.message_align > 1 {
                    let text = "encoded objects have no message_size";
                    return Err(Failed::detailed(SHMQ_ERROR_OPTIONS, text, Numbers::none()));
                }
                MessageLayout::encoded()
            }
            form if form == shmq_form::SHMQ_FORM_SLICE as u32 => MessageLayout::slice(size.max(1), align)?,
            form if form == shmq_form::SHMQ_FORM_VALUE as u32 => {
                if size == 0 {
                    return Ok(None);
                }
                MessageLayout::value(size, align)?
            }
            unknown => {
                let text = format!("form {unknown} is none of shmq_form");
                return Err(Failed::detailed(SHMQ_ERROR_OPTIONS, text, Numbers::none()));
            }
        };
        if let Some(structure) = structure {
            layout = layout.structure(structure)?;
        }
        if let Some(name) = type_name {
            layout = layout.type_name(name);
        }
        Ok(Some(match schema {
            Some(schema) => layout.schema(schema)?,
            None => layout,
        }))
    }
}

impl shmq_primitive_options {
    /// The layout of the data that a mutex guards: of no bytes, if the options say nothing of it.
    ///
    /// # Safety
    /// The texts end.
    pub unsafe fn layout(&self) -> Result<MessageLayout, Failed> {
        // SAFETY: as the caller says.
        let (structure, type_name) = unsafe { (border::text_if_given(self.structure)?, border::text_if_given(self.type_name)?) };
        let (size, align) = measures(self.data_size, self.data_align, structure)?;
        let mut layout = MessageLayout::value(size, align)?;
        if let Some(structure) = structure {
            layout = layout.structure(structure)?;
        }
        Ok(match type_name {
            Some(name) => layout.type_name(name),
            None => layout,
        })
    }
}

/// The bytes of `count` values.
#[inline]
pub fn bytes_of_many(layout: &MessageLayout, count: usize) -> Result<usize, Failed> {
    layout.size().checked_mul(count).ok_or_else(|| Failed::argument(c"so many messages have more bytes than there are addresses"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_says_size_and_alignment() {
        for (structure, size, align) in [
            ("f64", 8, 8),
            ("{price@0: f64, volume@8: u32, u64@12: [u8; 4]}", 16, 8),
            ("{side@0: enum u8 {u128=1, Sell=2}, fill@1: u8, left@2: [i16be; 3]}", 8, 2),
            ("{side@0: enum u8 {u128=1, Sell=2}, left@1: [i16be; 3]}", 7, 1),
            ("[u8; 3]", 3, 1),
            ("{u8@0: u8, after@1: u64}", 9, 1),
            ("{u8@0: u8, after@1: u64, fill@9: [u8; 7]}", 16, 1),
            ("{pairs@0: [{u8@0: u16, b@2: f32be}; 2], fill@12: u32}", 16, 1),
            ("{pairs@0: [{a@0: u16, b@2: u16}; 2], big@8: [u64be; 2]}", 24, 8),
            ("words of my own", 0, 1),
        ] {
            assert_eq!(measures(0, 0, Some(structure)).unwrap(), (size, align), "{structure}");
        }
        assert_eq!(measures(24, 4, Some("f64")).unwrap(), (24, 4), "what is said counts");
    }
}
