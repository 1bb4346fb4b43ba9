//! Writing plain objects.
//!
//! Invariants:
//! 1. No Python code runs while an object is written, no Python object is made, and the thread stays
//!    attached: so borrowed references stay valid, and no container changes.

use super::{PROTO, PROTOCOL, op};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ptr;

/// Messages with a container that become longer are left to the module, which remembers strings too.
const MOST_BYTES: usize = 4096;
/// Containers in containers.
pub(super) const MOST_DEPTH: u32 = 16;
/// Containers that are remembered.
const MOST_REMEMBERED: usize = 16;

/// Appends the pickle of a plain object. `None`: it is left to the module, and `to` holds nothing of
/// use.
#[inline]
pub fn write(object: &Bound<'_, PyAny>, to: &mut Vec<u8>) -> Option<()> {
    to.extend_from_slice(&[PROTO, PROTOCOL]);
    let mut writer = Writer { to, remembered: [ptr::null_mut(); MOST_REMEMBERED], count: 0 };
    // SAFETY: the reference is held by the caller, and a `Bound` shows that the thread is attached.
    unsafe { writer.object(object.as_ptr(), 0)? };
    to.push(op::STOP);
    Some(())
}

struct Writer<'w> {
    to: &'w mut Vec<u8>,
    /// Containers with more than one reference, in the order of their memo indices.
    remembered: [*mut ffi::PyObject; MOST_REMEMBERED],
    count: usize,
}

impl Writer<'_> {
    /// # Safety
    /// `object` is a valid reference, and the thread is attached. So of all functions below.
    #[inline]
    unsafe fn object(&mut self, object: *mut ffi::PyObject, depth: u32) -> Option<()> {
        // SAFETY: a valid object has a type; `None`, `True` and `False` are immortal singletons.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if ptr::eq(class, &raw const ffi::PyLong_Type) {
                self.int(object)
            } else if ptr::eq(class, &raw const ffi::PyUnicode_Type) {
                self.text(object, depth)
            } else if ptr::eq(class, &raw const ffi::PyBytes_Type) {
                let (content, length) = (ffi::PyBytes_AsString(object), ffi::PyBytes_Size(object));
                self.counted(op::SHORT_BINBYTES, op::BINBYTES, content.cast(), length, depth)
            } else if ptr::eq(class, &raw const ffi::PyFloat_Type) {
                self.to.push(op::BINFLOAT);
                self.to.extend_from_slice(&ffi::PyFloat_AsDouble(object).to_be_bytes());
                Some(())
            } else if ptr::eq(object, ffi::Py_None()) {
                self.to.push(op::NONE);
                Some(())
            } else if ptr::eq(object, ffi::Py_True()) {
                self.to.push(op::NEWTRUE);
                Some(())
            } else if ptr::eq(object, ffi::Py_False()) {
                self.to.push(op::NEWFALSE);
                Some(())
            } else if ptr::eq(class, &raw const ffi::PyDict_Type) {
                self.container(object, depth, Writer::dict)
            } else if ptr::eq(class, &raw const ffi::PyList_Type) {
                self.container(object, depth, Writer::list)
            } else if ptr::eq(class, &raw const ffi::PyTuple_Type) {
                self.container(object, depth, Writer::tuple)
            } else {
                None
            }
        }
    }

    #[inline]
    unsafe fn int(&mut self, int: *mut ffi::PyObject) -> Option<()> {
        let mut overflow = 0;
        // SAFETY: an exact int, as the caller found.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int, &mut overflow) };
        if overflow != 0 {
            return None;
        }
        if let Ok(byte) = u8::try_from(value) {
            self.to.extend_from_slice(&[op::BININT1, byte]);
        } else if let Ok(short) = u16::try_from(value) {
            let [low, high] = short.to_le_bytes();
            self.to.extend_from_slice(&[op::BININT2, low, high]);
        } else if let Ok(int) = i32::try_from(value) {
            self.to.push(op::BININT);
            self.to.extend_from_slice(&int.to_le_bytes());
        } else {
            self.to.extend_from_slice(&[op::LONG1, 8]);
            self.to.extend_from_slice(&value.to_le_bytes());
        }
        Some(())
    }

    #[inline]
    unsafe fn text(&mut self, text: *mut ffi::PyObject, depth: u32) -> Option<()> {
        let mut length = 0;
        // SAFETY: an exact str, as the caller found.
        let content = unsafe { ffi::PyUnicode_AsUTF8AndSize(text, &mut length) };
        if content.is_null() {
            // Lone surrogates have no UTF-8.
            // SAFETY: the thread is attached.
            unsafe { ffi::PyErr_Clear() };
            return None;
        }
        // SAFETY: UTF-8 that the object keeps.
        unsafe { self.counted(op::SHORT_BINUNICODE, op::BINUNICODE, content.cast(), length, depth) }
    }

    /// # Safety
    /// At `content` are `length` bytes.
    #[inline]
    unsafe fn counted(&mut self, short: u8, long: u8, content: *const u8, length: ffi::Py_ssize_t, depth: u32) -> Option<()> {
        // SAFETY: as the caller says.
        let content = unsafe { std::slice::from_raw_parts(content, usize::try_from(length).ok()?) };
        if depth > 0 && self.to.len() + content.len() > MOST_BYTES {
            // It may be in the container more than once, which the module finds out.
            return None;
        }
        // Without memory for it, the module says so.
        self.to.try_reserve(content.len() + 8).ok()?;
        if let Ok(length) = u8::try_from(content.len()) {
            self.to.extend_from_slice(&[short, length]);
        } else {
            self.to.push(long);
            self.to.extend_from_slice(&u32::try_from(content.len()).ok()?.to_le_bytes());
        }
        self.to.extend_from_slice(content);
        Some(())
    }

    #[inline]
    unsafe fn container(
        &mut self,
        object: *mut ffi::PyObject,
        depth: u32,
        write: unsafe fn(&mut Self, *mut ffi::PyObject, u32, bool) -> Option<()>,
    ) -> Option<()> {
        if depth == MOST_DEPTH || self.to.len() > MOST_BYTES {
            return None;
        }
        // SAFETY: a valid object.
        let is_shared = unsafe { ffi::Py_REFCNT(object) } > 1;
        if is_shared {
            if let Some(index) = self.remembered[..self.count].iter().position(|&known| ptr::eq(known, object)) {
                self.to.extend_from_slice(&[op::BINGET, index as u8]);
                return Some(());
            }
        }
        // SAFETY: an object of the type that `write` is for.
        unsafe { write(self, object, depth + 1, is_shared) }
    }

    fn remember(&mut self, object: *mut ffi::PyObject) -> Option<()> {
        *self.remembered.get_mut(self.count)? = object;
        self.count += 1;
        self.to.push(op::MEMOIZE);
        Some(())
    }

    unsafe fn dict(&mut self, dict: *mut ffi::PyObject, depth: u32, is_shared: bool) -> Option<()> {
        self.to.push(op::EMPTY_DICT);
        if is_shared {
            self.remember(dict)?;
        }
        self.to.push(op::MARK);
        let (mut at, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        // SAFETY: the dict does not change meanwhile (Invariant 1), and holds its keys and values.
        unsafe {
            while ffi::PyDict_Next(dict, &mut at, &mut key, &mut value) != 0 {
                self.object(key, depth)?;
                self.object(value, depth)?;
            }
        }
        self.to.push(op::SETITEMS);
        Some(())
    }

    unsafe fn list(&mut self, list: *mut ffi::PyObject, depth: u32, is_shared: bool) -> Option<()> {
        self.to.push(op::EMPTY_LIST);
        if is_shared {
            self.remember(list)?;
        }
        self.to.push(op::MARK);
        // SAFETY: the list does not change meanwhile (Invariant 1), and holds its items.
        unsafe {
            for index in 0..ffi::PyList_Size(list) {
                self.object(ffi::PyList_GetItem(list, index), depth)?;
            }
        }
        self.to.push(op::APPENDS);
        Some(())
    }

    unsafe fn tuple(&mut self, tuple: *mut ffi::PyObject, depth: u32, is_shared: bool) -> Option<()> {
        // SAFETY: a tuple never changes, and holds its items.
        let length = unsafe { ffi::PyTuple_Size(tuple) };
        let end = match length {
            0 => op::EMPTY_TUPLE,
            1 => op::TUPLE1,
            2 => op::TUPLE2,
            3 => op::TUPLE3,
            _ => {
                self.to.push(op::MARK);
                op::TUPLE
            }
        };
        for index in 0..length {
            // SAFETY: as above.
            unsafe { self.object(ffi::PyTuple_GetItem(tuple, index), depth)? };
        }
        if self.remembered[..self.count].contains(&tuple) {
            // It holds itself, and was written in it.
            return None;
        }
        self.to.push(end);
        // The empty tuple is one object everywhere.
        if is_shared && length > 0 { self.remember(tuple) } else { Some(()) }
    }
}
