//! A message that is an array: a head, and its elements in one piece.
//!
//! ```text
//!   2 0 0 0 | flags:8 | dimensions:8 | length of the format:16 | begin of the elements:64 | bytes of an element:64
//!   | shape: dimensions x 64 | the format | ...padding | elements
//!   flags: 1: the first index varies fastest (Fortran); 2: read-only
//! ```
//!
//! All numbers are little-endian. No pickle begins with the byte 2, and no pickle with buffers.
//!
//! Invariants:
//! 1. The elements begin at a multiple of 64 bytes of the segment, wherever the message begins: the
//!    writer, which knows the address, chooses the padding. Mappings are aligned to pages, so that holds
//!    in each process. (Of what is put in pieces, where messages lie as usual: nothing rests on it.)
//! 2. A `Description` that was read has room for its elements behind the head, within the message; its
//!    shape and strides are those of one contiguous array.

use super::element::Element;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const TAG: [u8; 4] = [2, 0, 0, 0];
const HEAD: usize = 24;
const FORTRAN: u8 = 1;
const READ_ONLY: u8 = 2;

/// A line of the cache, and the alignment that array libraries ask for.
const ALIGN: usize = 64;

/// Where messages in a ring begin, behind a multiple of `ALIGN`.
const USUAL_BEGIN: usize = 8;

/// As numpy has it.
const MAX_DIMENSIONS: usize = 64;

/// Is it an array?
#[inline]
pub fn is_array(message: &[u8]) -> bool {
    message.starts_with(&TAG)
}

/// An array without its elements.
#[derive(Clone, Debug)]
pub struct Description {
    pub element: Element,
    pub shape: Vec<isize>,
    /// In bytes.
    pub strides: Vec<isize>,
    pub is_fortran: bool,
    pub is_read_only: bool,
    bytes: usize,
}

impl Description {
    /// `None`: no memory has room for it, or it has too many dimensions.
    pub fn new(element: Element, shape: Vec<isize>, is_fortran: bool) -> Option<Description> {
        if shape.len() > MAX_DIMENSIONS {
            return None;
        }
        let mut strides = vec![0; shape.len()];
        // Strides do not depend on dimensions of length 0.
        let (mut step, mut is_empty) = (isize::try_from(element.size()).ok()?, false);
        let mut set = |at: usize| {
            strides[at] = step;
            is_empty |= shape[at] == 0;
            step = step.checked_mul(shape[at].max(1))?;
            (shape[at] >= 0).then_some(())
        };
        match is_fortran {
            true => (0..shape.len()).try_for_each(&mut set)?,
            false => (0..shape.len()).rev().try_for_each(&mut set)?,
        }
        let bytes = if is_empty { 0 } else { step as usize };
        Some(Description { element, shape, strides, is_fortran, is_read_only: false, bytes })
    }

    /// Of what a caller gives.
    pub fn of(shape: &Bound<'_, PyAny>, dtype: &Bound<'_, PyAny>) -> PyResult<Description> {
        let shape = match shape.extract::<isize>() {
            Ok(length) => vec![length],
            Err(_) => shape.try_iter()?.map(|length| length?.extract::<isize>()).collect::<PyResult<Vec<_>>>()?,
        };
        let too_large = format!("no array has the shape {shape:?}");
        Description::new(Element::of(dtype)?, shape, false).ok_or_else(|| PyValueError::new_err(too_large))
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Are its elements in the order of C?
    pub fn is_c_contiguous(&self) -> bool {
        !self.is_fortran || self.is_one_dimensional()
    }

    pub fn is_f_contiguous(&self) -> bool {
        self.is_fortran || self.is_one_dimensional()
    }

    fn is_one_dimensional(&self) -> bool {
        self.bytes == 0 || self.shape.iter().filter(|&&length| length > 1).count() <= 1
    }

    fn head(&self) -> usize {
        HEAD + 8 * self.shape.len() + self.element.text().len()
    }

    /// Bytes of the message, wherever it begins.
    pub fn message_bytes(&self) -> Option<usize> {
        self.bytes.checked_add(self.head() + ALIGN)
    }

    /// Writes the head to memory of `message_bytes`; returns where the elements begin (Invariant 1).
    pub fn write_head(&self, to: &mut [u8]) -> usize {
        let address = to.as_ptr().addr();
        self.write_head_at(address, to)
    }

    /// The head, for a message whose address is not known: of one that lies as most do.
    pub fn head_in_pieces(&self) -> Vec<u8> {
        let mut head = vec![0; self.head() + ALIGN];
        let begin = self.write_head_at(USUAL_BEGIN, &mut head);
        head.truncate(begin);
        head
    }

    fn write_head_at(&self, address: usize, to: &mut [u8]) -> usize {
        let begin = (address + self.head()).next_multiple_of(ALIGN) - address;
        let text = self.element.text();
        to[..4].copy_from_slice(&TAG);
        to[4] = if self.is_fortran { FORTRAN } else { 0 } | if self.is_read_only { READ_ONLY } else { 0 };
        to[5] = self.shape.len() as u8;
        to[6..8].copy_from_slice(&(text.len() as u16).to_le_bytes());
        to[8..16].copy_from_slice(&(begin as u64).to_le_bytes());
        to[16..24].copy_from_slice(&(self.element.size() as u64).to_le_bytes());
        for (word, length) in to[HEAD..].chunks_exact_mut(8).zip(&self.shape) {
            word.copy_from_slice(&length.to_le_bytes());
        }
        to[self.head() - text.len()..self.head()].copy_from_slice(text);
        begin
    }

    /// Reads a message: the array, and where its elements begin (Invariant 2). `None`: it is no array.
    pub fn read(message: &[u8]) -> Option<(Description, usize)> {
        if !is_array(message) {
            return None;
        }
        let word = |at: usize| Some(u64::from_le_bytes(*message.get(at..)?.first_chunk()?));
        let (flags, dimensions) = (*message.get(4)?, *message.get(5)? as usize);
        let text = u16::from_le_bytes(*message.get(6..)?.first_chunk()?) as usize;
        let begin = usize::try_from(word(8)?).ok()?;
        let shape = (0..dimensions).map(|nth| isize::try_from(word(HEAD + 8 * nth)?).ok()).collect::<Option<Vec<_>>>()?;
        let text = message.get(HEAD + 8 * dimensions..)?.get(..text)?;
        let element = Element::new(text, usize::try_from(word(16)?).ok()?)?;
        let mut description = Description::new(element, shape, flags & FORTRAN != 0)?;
        description.is_read_only = flags & READ_ONLY != 0;
        let is_whole = begin >= description.head() && begin.checked_add(description.bytes)? <= message.len();
        is_whole.then_some((description, begin))
    }
}
