//! What an element of an array is: a format of the buffer protocol (PEP 3118), and a size.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::ffi::{CStr, CString};

/// Python and numpy have no buffers of it, DLPack has: its buffers are of 16-bit numbers.
const BFLOAT16: &CStr = c"bfloat16";

/// The type of the elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    text: CString,
    size: usize,
}

impl Element {
    /// `None`: no such element has that size.
    pub fn new(text: &[u8], size: usize) -> Option<Element> {
        let text = CString::new(text).ok()?;
        let is_known = size_of_scalar(&text).is_none_or(|known| known == size);
        (is_known && size > 0 && !text.is_empty()).then_some(Element { text, size })
    }

    /// Of what a caller gives as `dtype`: a numpy dtype, or a string.
    pub fn of(dtype: &Bound<'_, PyAny>) -> PyResult<Element> {
        static ELEMENT_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = dtype.py();
        let found = ELEMENT_OF.import(py, "shmq._dtypes", "element_of")?.call1((dtype,))?;
        let (text, size) = found.extract::<(String, usize)>()?;
        Element::new(text.as_bytes(), size).ok_or_else(|| PyTypeError::new_err(format!("no array has elements of {text:?}")))
    }

    /// The same of a numpy dtype; `None` where a buffer cannot say all of it.
    pub fn if_exact(dtype: &Bound<'_, PyAny>) -> PyResult<Option<Element>> {
        static EXACT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let found = EXACT.import(dtype.py(), "shmq._dtypes", "exact_element_of")?.call1((dtype,))?;
        let found = found.extract::<Option<(String, usize)>>()?;
        Ok(found.and_then(|(text, size)| Element::new(text.as_bytes(), size)))
    }

    /// As messages have it.
    pub fn text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// As buffers have it.
    pub fn format(&self) -> &CStr {
        if self.is_bfloat16() { c"H" } else { &self.text }
    }

    pub fn is_bfloat16(&self) -> bool {
        self.text.as_c_str() == BFLOAT16
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// DLPack's code and bits; `None` of structs and of foreign byte order.
    pub fn dlpack(&self) -> Option<(u8, u8)> {
        const INT: u8 = 0;
        const UINT: u8 = 1;
        const FLOAT: u8 = 2;
        const BFLOAT: u8 = 4;
        const COMPLEX: u8 = 5;
        const BOOL: u8 = 6;
        let code = match self.text.to_bytes() {
            b"b" | b"h" | b"i" | b"l" | b"q" => INT,
            b"B" | b"H" | b"I" | b"L" | b"Q" => UINT,
            b"e" | b"f" | b"d" => FLOAT,
            b"Zf" | b"Zd" => COMPLEX,
            b"?" => BOOL,
            _ if self.is_bfloat16() => BFLOAT,
            _ => return None,
        };
        Some((code, 8 * self.size as u8))
    }
}

/// Bytes of an element that is one number. A consumer of a buffer takes them from the format.
fn size_of_scalar(text: &CStr) -> Option<usize> {
    let text = text.to_bytes();
    let (is_standard, letters) = match text {
        [b'<' | b'>' | b'=' | b'!', rest @ ..] => (true, rest),
        [b'@', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    Some(match letters {
        b"?" | b"b" | b"B" | b"c" => 1,
        b"h" | b"H" | b"e" | b"bfloat16" => 2,
        b"i" | b"I" | b"f" => 4,
        b"l" | b"L" if is_standard => 4,
        b"l" | b"L" | b"q" | b"Q" | b"d" | b"Zf" => 8,
        b"Zd" => 16,
        _ => return None,
    })
}
