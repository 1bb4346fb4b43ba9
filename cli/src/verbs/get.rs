//! `shmq get`: messages from a queue of bytes to standard output.
//!
//! Messages are leased, written from where they lie, and released only after the write has
//! succeeded. A message that was not written whole when the reader went away or a signal came is
//! given back; if this process is killed, its leases come back by themselves. The end of the reader
//! ends the wait for a message as a signal does.
//!
//! A message that was given back was not delivered, so it counts as no delivery. If the queue
//! limits deliveries (`max_deliveries`), messages are leased one at a time: if this process is
//! killed, only one of them counts a delivery.

use crate::arguments::Get;
use crate::attach;
use crate::failure::{self, Failure};
use crate::signals;
use crate::stdio::Stream;
use shmq::{GetError, Lease, Queue};
use std::time::Duration;

/// Messages that are in the queue already are written together, up to this many messages and bytes.
const BATCH: u64 = 256;
const BATCH_BYTES: usize = 256 << 10;

pub fn run(arguments: &Get) -> Result<u8, Failure> {
    // Checked before a message is taken.
    let output = Stream::output()?;
    let queue = attach::open_bytes(&arguments.name, &arguments.allowed)?;
    signals::install();
    let _watch = signals::watch_for_closed_reader();
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
        (Err(GetError::Timeout | GetError::Interrupted), Some(signal)) => Err(Failure::of_signal(signal)),
        (Err(GetError::Timeout), None) => Err(Failure::new(failure::TIMEOUT, "no message came in time")),
        (Err(GetError::Closed), _) => Ok(None),
        (Err(error), _) => Err(error.into()),
    }
}

/// Writes a message and those behind it that are there already; returns how many.
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
        // The next get meets the same error again.
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
        // Whether a write that was cut off reached an empty message is not known.
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
