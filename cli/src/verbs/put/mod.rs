//! `shmq put`: standard input, or files, into a queue of bytes.
//!
//! Nothing that was read is lost. A block is read into a loan, which is the memory that it will be
//! taken from: the room is there before a byte is read, and a signal ends the block early and
//! commits it. The wait for input holds no loan, because a loan blocks the messages of other
//! processes behind it; if the input pauses within a block, the block is committed as it is. If
//! several processes read the same input, one that finds nothing left drops its loan.

mod blocks;
mod files;
mod input;
mod pieces;
mod target;

use crate::arguments::Put;
use crate::attach;
use crate::failure::Failure;
use crate::signals;
use crate::stdio::Stream;
use std::cell::Cell;
use target::Target;

pub fn run(arguments: &Put) -> Result<u8, Failure> {
    // Before the queue is created, and before the first file is put.
    for path in &arguments.file {
        files::check(path).map_err(|error| Failure::from(error).about(&path.display().to_string()))?;
    }
    let input = if arguments.file.is_empty() { Some(Stream::input()?) } else { None };
    // Before the queue is there: its peers may end this process by a signal from then on.
    signals::install();
    let queue = attach::open_or_create_bytes(&arguments.name, arguments.capacity_bytes, &arguments.allowed)?;
    let after_signal = queue.with_stop(signals::second());
    let target = Target { queue: &queue, after_signal: &after_signal, timeout: arguments.timeout, grace_ends: Cell::new(None) };
    let Some(input) = input else {
        for path in &arguments.file {
            target.put_file(path).map_err(|failure| failure.about(&path.display().to_string()))?;
        }
        return Ok(0);
    };
    match (arguments.lines, arguments.null) {
        (true, _) => target.put_cut(&input, b'\n')?,
        (_, true) => target.put_cut(&input, 0)?,
        _ => target.put_blocks(&input, arguments.block)?,
    }
    match signals::received() {
        Some(signal) => Err(Failure::of_signal(signal)),
        None => Ok(0),
    }
}
