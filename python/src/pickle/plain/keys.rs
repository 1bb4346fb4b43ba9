//! Keys of dicts that were read before: most messages of a program have the same ones. A key that is
//! found needs no new object, and knows its hash.
//!
//! Invariants:
//! 1. A thread uses the table only attached to the interpreter, and never waits for it: what runs while
//!    objects are made (a finalizer) may read a message itself, and finds the table in use.

use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::{Mutex, MutexGuard};

const SLOTS: usize = 256;
const MOST_BYTES: usize = 23;

struct Key {
    length: u8,
    bytes: [u8; MOST_BYTES],
    object: Py<PyString>,
}

static KEYS: Mutex<[Option<Key>; SLOTS]> = Mutex::new([const { None }; SLOTS]);

/// The table, while messages are read.
pub struct Keys(Option<MutexGuard<'static, [Option<Key>; SLOTS]>>);

impl Keys {
    pub fn new() -> Keys {
        Keys(KEYS.try_lock().ok())
    }

    /// The key of these bytes. `None`: they are no UTF-8.
    pub fn get<'py>(&mut self, py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyAny>> {
        let make = || std::str::from_utf8(text).ok().map(|text| PyString::new(py, text));
        let Some(table) = self.0.as_deref_mut().filter(|_| text.len() <= MOST_BYTES) else { return make().map(Bound::into_any) };
        let slot = &mut table[slot_of(text)];
        if let Some(key) = slot {
            if &key.bytes[..usize::from(key.length)] == text {
                return Some(key.object.bind(py).clone().into_any());
            }
        }
        let object = make()?;
        let mut bytes = [0; MOST_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        *slot = Some(Key { length: text.len() as u8, bytes, object: object.clone().unbind() });
        Some(object.into_any())
    }
}

/// FNV-1a.
fn slot_of(text: &[u8]) -> usize {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 32) as usize % SLOTS
}
