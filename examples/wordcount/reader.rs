//! Reads files into blocks that end between words, so that workers need not know of each other.
//!
//! A word without an end in a whole block is not sent at all: it is met here, piece by piece, and
//! counted once.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::text::{LongWord, is_space};
use crate::totals::Totals;

pub struct Reader<'a> {
    files: std::slice::Iter<'a, PathBuf>,
    open: Option<(&'a Path, File)>,
    /// Start of a word that the last block had no room for.
    carry: Vec<u8>,
    /// A word longer than a block.
    giant: Option<LongWord>,
}

impl<'a> Reader<'a> {
    pub fn new(files: &'a [PathBuf]) -> Self {
        Reader { files: files.iter(), open: None, carry: Vec::new(), giant: None }
    }

    /// Fills a block: how many bytes, 0 at the end of the last file. `stopped` is called between
    /// reads.
    ///
    /// What `block` holds behind that is of no meaning. Giant words go to `totals` at once, and so
    /// do all bytes.
    pub fn fill(
        &mut self,
        block: &mut [u8],
        totals: &mut Totals,
        stopped: impl Fn() -> bool,
    ) -> Result<usize, (&'a Path, io::Error)> {
        let mut filled = self.carry.len();
        block[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        loop {
            if self.open.is_none() {
                let Some(path) = self.files.next() else { return Ok(0) };
                self.open = Some((path, File::open(path).map_err(|error| (path.as_path(), error))?));
            }
            let Some((path, file)) = &mut self.open else { unreachable!("opened above") };
            let path = *path;
            let read = match file.read(&mut block[filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted && !stopped() => continue,
                read => read.map_err(|error| (path, error))?,
            };
            totals.bytes += read as u64;
            filled += read;
            if self.giant.is_some() {
                filled = self.end_giant(&mut block[..filled], read == 0, totals);
            }
            if read == 0 {
                // Files do not join words: what is left is a block of its own.
                self.open = None;
                if filled > 0 {
                    return Ok(filled);
                }
            } else if filled == block.len() {
                if let Some(last) = block.iter().rposition(|&byte| is_space(byte)) {
                    self.carry.extend_from_slice(&block[last + 1..]);
                    return Ok(last + 1);
                }
                self.giant.get_or_insert_default().extend(block);
                filled = 0;
            }
            if stopped() {
                return Err((path, ErrorKind::Interrupted.into()));
            }
        }
    }

    /// Takes the rest of the giant word from the front of `text`; gives what is left, moved to the
    /// front.
    fn end_giant(&mut self, text: &mut [u8], at_end: bool, totals: &mut Totals) -> usize {
        let end = text.iter().position(|&byte| is_space(byte)).unwrap_or(text.len());
        let giant = self.giant.get_or_insert_default();
        giant.extend(&text[..end]);
        if end < text.len() || at_end {
            totals.add_word(&giant.stand_in());
            self.giant = None;
        }
        text.copy_within(end.., 0);
        text.len() - end
    }
}
