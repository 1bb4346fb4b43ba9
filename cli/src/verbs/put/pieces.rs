//! `shmq put --lines` and `--null`: one message for each piece of the input.

use super::input::{CHUNK_BYTES, read_uninterrupted};
use super::target::Target;
use crate::failure::Failure;
use crate::stdio::Stream;

impl Target<'_> {
    /// Puts one message for each piece that ends with `end`, and for a last one that does not.
    pub fn put_cut(&self, input: &Stream, end: u8) -> Result<(), Failure> {
        let mut pending = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let ready = input.wait(None).map_err(|error| Failure::from(error).with_bytes_not_put(pending.len()))?;
            let read =
                |chunk: &mut [u8]| read_uninterrupted(input, chunk).map_err(|failure| failure.with_bytes_not_put(pending.len()));
            let count = if ready { read(&mut chunk)? } else { 0 };
            let mut rest = &chunk[..count];
            while let Some(at) = rest.iter().position(|&byte| byte == end) {
                let (piece, after) = (&rest[..at], &rest[at + 1..]);
                if pending.is_empty() {
                    self.put_piece(piece, after.len() + 1)?;
                } else {
                    pending.extend_from_slice(piece);
                    self.put_piece(&pending, after.len() + 1)?;
                    pending.clear();
                }
                rest = after;
            }
            pending.extend_from_slice(rest);
            // It is too large already, wherever it ends.
            if count == 0 || pending.len() > self.queue.max_len() {
                if !pending.is_empty() {
                    self.put_piece(&pending, 0)?;
                }
                return Ok(());
            }
        }
    }
}
