//! `shmq put` without a mode: the input in blocks, each read into a loan.

use super::input::{of_input, uninterrupted};
use super::target::{Target, not_put};
use crate::failure::Failure;
use crate::signals;
use crate::stdio::Stream;
use std::io;
use std::time::Duration;

/// After a pause of the input this long, the block is committed as it is.
const PAUSE: Duration = Duration::from_millis(200);

impl Target<'_> {
    pub fn put_blocks(&self, input: &Stream, block: usize) -> Result<(), Failure> {
        let block = block.min(self.queue.max_len());
        loop {
            let mut first = [0; 1];
            let mut length = 0;
            if input.readable_bytes().unwrap_or(0) == 0 {
                if !input.wait(None)? {
                    return Ok(());
                }
                // Ready without bytes is nearly always the end of the input, which needs no loan.
                if input.readable_bytes() == Some(0) {
                    match uninterrupted(|| input.read_without_wait(&mut first)) {
                        Ok(0) => return Ok(()),
                        Ok(count) => length = count,
                        // Another reader of the same input was faster.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => return Err(of_input(&error)),
                    }
                }
            }
            let lent = self.loan(block).map_err(|failure| failure.with_bytes_not_put(length))?;
            let Some(mut loan) = lent else {
                return if length == 0 { Ok(()) } else { Err(not_put(length)) };
            };
            loan[..length].copy_from_slice(&first[..length]);
            let mut over = false;
            let mut fault = None;
            while length < loan.len() && !over {
                match input.read_without_wait(&mut loan[length..]) {
                    Ok(0) => over = true,
                    Ok(count) => {
                        length += count;
                        if length == loan.len() {
                            break;
                        }
                        match input.wait(Some(PAUSE)) {
                            Ok(true) => {}
                            Ok(false) => break,
                            Err(error) => {
                                fault = Some(error);
                                break;
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        if signals::received().is_some() {
                            break;
                        }
                    }
                    // Another reader of the same input was faster: wait again, without a loan.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            // What was read is put, even if an error follows.
            if length > 0 {
                loan.commit_len(length)?;
            }
            if let Some(error) = fault {
                return Err(of_input(&error));
            }
            if over || signals::received().is_some() {
                return Ok(());
            }
        }
    }
}
