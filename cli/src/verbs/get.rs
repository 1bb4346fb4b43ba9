//! `shmq get`: messages from a queue of bytes to standard output.
//!
//! Messages are leased, written from where they lie, and released only after the write has succeeded. What was not written whole when
//! the reader went away, or a signal came, is given back; and if this process is killed, its leases come back by themselves. A reader
//! that goes away while no message comes ends the wait like a signal.
//!
//! A message that was given back was delivered to nobody, and that is not counted. Where the queue counts
//! (`max_deliveries`), messages are leased one at a time: of what this process was killed with, only one
//! is counted.

use crate::arguments::Get;
use crate::attach;
use crate::failure::{self, Failure};
use crate::signals;
use crate::stdio::Stream;
use shmq::{GetError, Lease, Queue};
use std::time::Duration;

/// Messages that are there already are written together, up to so many and so many bytes.
const BATCH: u64 = 256;
const BATCH_BYTES: usize = 256 << 10;

pub fn run(arguments: &Get) -> Result<u8, Failure> {
    // Before a message is taken.
    let output = Stream::output()?;
    let queue = attach::open_bytes(&arguments.name, &arguments.allowed)?;
    signals::install();
    signals::watch_for_closed_reader();
    let end: &[u8] = match (arguments.lines, arguments.null) {
        (true, _) => b"\n",
        (_, true) => b"\0",
        _ => b"",
    };
    let batch = if queue.max_deliveries() == 0 { BATCH } else { 1 };
    let asked = arguments.number.unwrap_or(if arguments.follow { u64::MAX } else { 1 });
    let mut taken = 0;
    while taken < asked {
        let first = match wait_for_message(&queue, arguments.timeout)? {
            Some(lease) => lease,
            None if arguments.follow => return Ok(0),
            None => return Err(GetError::Closed.into()),
        };
        taken += write_batch(&queue, first, (asked - taken).min(batch), &output, end)?;
    }
    Ok(0)
}

/// The next message. `None`: closed and drained.
fn wait_for_message(queue: &Queue<[u8]>, timeout: Option<Duration>) -> Result<Option<Lease<'_, [u8]>>, Failure> {
    if let Some(signal) = signals::received() {
        return Err(Failure::of_signal(signal));
    }
    match (queue.lease_timeout(timeout.unwrap_or(Duration::MAX)), signals::received()) {
        (Ok(lease), _) => Ok(Some(lease)),
        (Err(GetError::Timeout), Some(signal)) => Err(Failure::of_signal(signal)),
        (Err(GetError::Timeout), None) => Err(Failure::new(failure::TIMEOUT, "no message came in time")),
        (Err(GetError::Closed), _) => Ok(None),
        (Err(error), _) => Err(error.into()),
    }
}

/// Writes a message, and those behind it that are there already: how many.
fn write_batch<'q>(
    queue: &'q Queue<[u8]>,
    first: Lease<'q, [u8]>,
    most: u64,
    output: &Stream,
    end: &[u8],
) -> Result<u64, Failure> {
    let mut bytes = first.len();
    let mut leases = vec![first];
    while (leases.len() as u64) < most && bytes < BATCH_BYTES {
        // An error is met again by whoever gets next.
        let Ok(lease) = queue.try_lease() else { break };
        bytes += lease.len();
        leases.push(lease);
    }
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * leases.len());
    for lease in &leases {
        parts.push(lease);
        if !end.is_empty() {
            parts.push(end);
        }
    }
    let (mut written, outcome) = output.write_all(&parts);
    let is_all = written == parts.iter().map(|part| part.len()).sum::<usize>() && outcome.is_ok();
    let mut whole = 0;
    let count = leases.len() as u64;
    for lease in leases {
        let length = lease.len() + end.len();
        // Of an empty one nobody can say where a write that was cut off left it.
        if written >= length && (length > 0 || is_all) {
            written -= length;
            whole += 1;
            lease.release();
        } else {
            written = 0;
            lease.give_back_uncounted();
        }
    }
    outcome?;
    if whole < count {
        return Err(Failure::of_signal(signals::received().unwrap_or(libc::SIGINT)));
    }
    Ok(whole)
}
