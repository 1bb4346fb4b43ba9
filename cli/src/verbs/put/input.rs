//! Reading the input, with signals and errors.

use crate::failure::{self, Failure};
use crate::signals;
use crate::stdio::Stream;
use std::io;

/// How much is read at once of lines and of files.
pub const CHUNK_BYTES: usize = 256 << 10;

pub fn of_input(error: &io::Error) -> Failure {
    Failure::new(failure::OTHER, format!("standard input: {error}"))
}

/// Reads once, and again after EINTR. 0: the end of the input, or a signal that asks to end.
pub fn uninterrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if signals::received().is_some() {
                    return Ok(0);
                }
            }
            result => return result,
        }
    }
}

pub fn read_uninterrupted(input: &Stream, bytes: &mut [u8]) -> Result<usize, Failure> {
    uninterrupted(|| input.read(bytes)).map_err(|error| of_input(&error))
}
