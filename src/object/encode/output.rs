//! Where an encoder writes to.

use crate::object::nesting::CodecError;
use postcard::ser_flavors::Flavor;
use std::io::{self, Write};

/// Bytes that are collected before `to` is called. Codecs write a few bytes at a time, and a call
/// of an unknown writer costs more than copying them.
const COLLECTED: usize = 128;

/// A writer with a buffer in front of it. It keeps the reason why a write failed, which not every
/// codec passes on.
pub(in crate::object) struct Output<'w> {
    collected: [u8; COLLECTED],
    length: usize,
    to: &'w mut dyn Write,
    failed: Option<io::Error>,
    /// Bytes that left `collected`.
    passed: usize,
}

impl<'w> Output<'w> {
    #[inline]
    pub fn new(to: &'w mut dyn Write) -> Output<'w> {
        Output { collected: [0; COLLECTED], length: 0, to, failed: None, passed: 0 }
    }

    /// Writes all of `bytes`, perhaps later.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        if bytes.len() > COLLECTED - self.length {
            return self.pass_on(bytes);
        }
        self.collect(bytes);
        Ok(())
    }

    #[inline(never)]
    fn pass_on(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.flush()?;
        if bytes.len() > COLLECTED {
            return self.write_through(bytes);
        }
        self.collect(bytes);
        Ok(())
    }

    #[inline]
    fn collect(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        self.collected[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    fn flush(&mut self) -> Result<(), CodecError> {
        let length = std::mem::take(&mut self.length);
        self.passed += length;
        let written = self.to.write_all(&self.collected[..length]);
        self.note(written)
    }

    fn write_through(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.passed += bytes.len();
        let written = self.to.write_all(bytes);
        self.note(written)
    }

    #[inline]
    fn note(&mut self, written: io::Result<()>) -> Result<(), CodecError> {
        written.map_err(|error| {
            let why = CodecError::new(error.to_string());
            self.failed = Some(error);
            why
        })
    }

    /// Bytes so far.
    pub fn written(&self) -> usize {
        self.passed + self.length
    }

    /// What became of a value: all of it has reached the writer, or why not.
    pub fn outcome(mut self, encoded: Result<(), CodecError>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let encoded = encoded.and_then(|()| self.flush());
        match self.failed {
            Some(error) => Err(error.into()),
            None => Ok(encoded?),
        }
    }
}

impl Write for Output<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The reason is noted.
        Output::write(self, bytes).map_err(|_| io::ErrorKind::Other.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Flavor for &mut Output<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        Output::write(self, bytes).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        Output::write(self, &[byte]).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
