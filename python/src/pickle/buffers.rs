//! Pickles with buffers beside them (protocol 5): a large array is written once, straight into the
//! segment, and read once.
//!
//! ```text
//!   1 0 0 0 | count:32 | pickle:64 | count x (is read-only:1, length:63) | the pickle | buffers...
//!                                     each buffer at a multiple of 16 from the message's beginning
//! ```
//!
//! No pickle begins with the byte 1.
//!
//! Invariants:
//! 1. The memory of a message that was got is its `Memory`'s alone, never moves, and lives as long as
//!    any `Region`. Regions do not overlap.

use crate::ring::LONG_COPY;
use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::IoSlice;
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

const TAG: [u8; 4] = [1, 0, 0, 0];
const HEAD: usize = 16;
const READ_ONLY: u64 = 1 << 63;
const ALIGN: usize = 16;

/// Shorter buffers stay in their pickle.
const SHORT: usize = 4096;

/// Where a pickler leaves buffers.
#[pyclass(module = "shmq._shmq", frozen)]
#[derive(Default)]
pub struct Callback {
    buffers: Mutex<Vec<PyBuffer<u8>>>,
}

impl Callback {
    pub fn take(&self) -> Vec<PyBuffer<u8>> {
        std::mem::take(&mut *self.buffers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Callback {
    /// Does the buffer stay in the pickle?
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let raw = PyBuffer::<u8>::get(&buffer.call_method0(intern!(buffer.py(), "raw"))?)?;
        if raw.len_bytes() < SHORT {
            return Ok(true);
        }
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(raw);
        Ok(false)
    }
}

/// The length of a message, and where its buffers begin.
fn layout(pickle: usize, lengths: impl IntoIterator<Item = usize>, count: usize) -> (usize, Vec<usize>) {
    let mut end = HEAD + 8 * count + pickle;
    let begins = lengths.into_iter().map(|length| {
        let begin = end.next_multiple_of(ALIGN);
        end = begin + length;
        begin
    });
    let begins = begins.collect();
    (end, begins)
}

/// Bytes of the message.
pub fn length(pickle: &[u8], buffers: &[PyBuffer<u8>]) -> usize {
    layout(pickle.len(), buffers.iter().map(|buffer| buffer.len_bytes()), buffers.len()).0
}

/// Memory to copy from, which a `PyBuffer` keeps.
struct From(*const u8, usize);
// SAFETY: its buffer is held by the caller of `write` while other threads run.
unsafe impl Send for From {}
// SAFETY: as above.
unsafe impl Sync for From {}

/// Writes all that is before the buffers.
fn write_head(pickle: &[u8], buffers: &[PyBuffer<u8>], to: &mut [u8]) {
    to[..4].copy_from_slice(&TAG);
    to[4..8].copy_from_slice(&(buffers.len() as u32).to_le_bytes());
    to[8..16].copy_from_slice(&(pickle.len() as u64).to_le_bytes());
    let mut at = HEAD;
    for buffer in buffers {
        let flag = if buffer.readonly() { READ_ONLY } else { 0 };
        to[at..at + 8].copy_from_slice(&(buffer.len_bytes() as u64 | flag).to_le_bytes());
        at += 8;
    }
    to[at..at + pickle.len()].copy_from_slice(pickle);
}

/// Calls `call` with the message in pieces: the buffers where they lie.
pub fn with_pieces<R>(pickle: &[u8], buffers: &[PyBuffer<u8>], call: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
    const PADDING: [u8; ALIGN] = [0; ALIGN];
    let (_, begins) = layout(pickle.len(), buffers.iter().map(|buffer| buffer.len_bytes()), buffers.len());
    let mut head = vec![0; HEAD + 8 * buffers.len() + pickle.len()];
    write_head(pickle, buffers, &mut head);
    let mut end = head.len();
    let mut pieces = vec![IoSlice::new(&head)];
    for (buffer, begin) in buffers.iter().zip(begins) {
        // SAFETY: `PyBuffer::<u8>` of a raw view: as many bytes in one piece, which it holds. They are only
        // copied; a thread that writes to the array meanwhile makes the message torn, as any copy.
        let bytes = unsafe { slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) };
        pieces.extend([IoSlice::new(&PADDING[..begin - end]), IoSlice::new(bytes)]);
        end = begin + bytes.len();
    }
    call(&pieces)
}

/// Writes the message to memory of just its length.
pub fn write(py: Python<'_>, pickle: &[u8], buffers: &[PyBuffer<u8>], to: &mut [u8]) {
    let (_, begins) = layout(pickle.len(), buffers.iter().map(|buffer| buffer.len_bytes()), buffers.len());
    write_head(pickle, buffers, to);
    let from: Vec<From> = buffers.iter().map(|buffer| From(buffer.buf_ptr().cast(), buffer.len_bytes())).collect();
    let copy = |to: &mut [u8]| {
        for (&From(from, length), &begin) in from.iter().zip(&begins) {
            // SAFETY: `PyBuffer::<u8>` of a raw view: `length` bytes in one piece, which it holds. A thread
            // that writes to the array meanwhile makes the message torn, as any copy.
            unsafe { ptr::copy_nonoverlapping(from, to[begin..begin + length].as_mut_ptr(), length) };
        }
    };
    if to.len() < LONG_COPY { copy(to) } else { py.detach(|| copy(to)) }
}

/// The memory of a message.
struct Memory {
    bytes: Box<[u8]>,
}

/// A buffer of a message, for the object that was pickled around it.
#[pyclass(module = "shmq._shmq", frozen)]
pub struct Region {
    at: *mut u8,
    length: usize,
    is_read_only: bool,
    _memory: Arc<Memory>,
}
// SAFETY: plain memory that it keeps (Invariant 1).
unsafe impl Send for Region {}
// SAFETY: as above; threads that write through views of it are Python's to keep apart.
unsafe impl Sync for Region {}

#[pymethods]
impl Region {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::ffi::c_int) -> PyResult<()> {
        let this = slf.get();
        let (length, is_read_only) = (this.length as ffi::Py_ssize_t, std::ffi::c_int::from(this.is_read_only));
        // SAFETY: `view` is the caller's to fill in. The memory stays where it is as long as the object,
        // which the view keeps (Invariant 1).
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), this.at.cast(), length, is_read_only, flags) };
        if filled == -1 { Err(PyErr::fetch(slf.py())) } else { Ok(()) }
    }
}

pub struct Parts<'py> {
    pub pickle: Bound<'py, PyAny>,
    pub buffers: Vec<Py<Region>>,
}

/// Is it a pickle with buffers?
#[inline]
pub fn is_tagged(message: &[u8]) -> bool {
    message.starts_with(&TAG)
}

/// Takes a message apart. `None`: it is none.
pub fn read(py: Python<'_>, message: Vec<u8>) -> PyResult<Option<Parts<'_>>> {
    let word = |at: usize| Some(u64::from_le_bytes(*message.get(at..)?.first_chunk()?));
    let parsed = || {
        let count = u32::from_le_bytes(*message.get(4..)?.first_chunk()?) as usize;
        let pickle = usize::try_from(word(8)?).ok()?;
        if count.checked_mul(8)?.checked_add(HEAD)?.checked_add(pickle)? > message.len() {
            return None;
        }
        let words = (0..count).map(|nth| word(HEAD + 8 * nth)).collect::<Option<Vec<_>>>()?;
        let mut total = 0usize;
        for word in &words {
            total = total.checked_add(usize::try_from(word & !READ_ONLY).ok()?)?.checked_add(ALIGN)?;
        }
        if total > message.len() + ALIGN * count {
            return None;
        }
        let (end, begins) = layout(pickle, words.iter().map(|word| (word & !READ_ONLY) as usize), count);
        (end == message.len()).then_some((HEAD + 8 * count, pickle, words, begins))
    };
    let Some((begin, length, words, begins)) = parsed() else { return Ok(None) };
    let pickle = PyBytes::new(py, &message[begin..begin + length]).into_any();
    let mut memory = Memory { bytes: message.into_boxed_slice() };
    let first = memory.bytes.as_mut_ptr();
    let memory = Arc::new(memory);
    let regions = words.iter().zip(begins).map(|(word, begin)| {
        // SAFETY: `layout` found the region within the message.
        let at = unsafe { first.add(begin) };
        let (length, is_read_only) = ((word & !READ_ONLY) as usize, word & READ_ONLY != 0);
        Py::new(py, Region { at, length, is_read_only, _memory: Arc::clone(&memory) })
    });
    Ok(Some(Parts { pickle, buffers: regions.collect::<PyResult<_>>()? }))
}
