//! A worker: leases chunks, runs them, puts their results, and only then releases the lease.
//!
//! ```text
//!   initializer -> ready -> lease -> take -> run each task -> finish -> put results -> release -> lease
//!                                      │         \-- killed anywhere here: the chunk is delivered
//!                                      │             again, its deliveries counted; a worker that
//!                                      │             gets it too often reports DIED instead
//!                                      \-- cancelled: release.  Killed or timed out (by its word of
//!                                          the board): reported, release
//! ```
//!
//! So there is no list of which worker does what: a chunk that a worker died with cannot be lost,
//! and is failed or retried once.

use super::board::{Seat, Taken};
use super::message::{Arguments, HOLDER_AT, RESULT_BYTES, ResultHead, TaskHead, append_sized, capacity_for, kind, tag};
use super::panic::panic_text;
use super::settings::PoolSettings;
use crate::error::{GetError, PutError};
use crate::object::{Codec, MessagePack};
use crate::os::{Parent, die_with};
use crate::process::fn_address::{Task, address_at, entry_at};
use crate::process::{Outcome, print_error};
use crate::queue::guard::Lease;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Results are sent when they fill so many bytes, the chunk done or not.
const PART_BYTES: usize = 256 << 10;

/// What a worker reports to its supervisor, a byte each.
pub(super) mod word {
    /// The initializer is over.
    pub const READY: u8 = b'r';
    /// There will be no more tasks.
    pub const CLOSED: u8 = b'c';
    /// It has done as many tasks as it may.
    pub const RETIRED: u8 = b'm';
    /// The initializer failed, which was reported to the program.
    pub const FAILED: u8 = b'f';
    /// It cannot get tasks. The rest is text.
    pub const LOST: u8 = b'l';
}

/// What runs one task: given its offset and the argument, appends the result or a text, and returns
/// which it is ([`tag`]).
///
/// # Safety
/// The offset is that of a task whose argument and result are of the runner's types.
pub(super) type RunTask = unsafe fn(i64, &[u8], &mut Vec<u8>) -> u8;

/// The [`RunTask`] of tasks of type `fn(A) -> R`.
///
/// # Safety
/// As [`RunTask`].
pub(super) unsafe fn run_task<A, R>(offset: i64, mut argument: &[u8], to: &mut Vec<u8>) -> u8
where
    A: DeserializeOwned,
    R: Serialize,
{
    let start = to.len();
    let mut failed = |tag: u8, text: &str| {
        to.truncate(start);
        to.extend(text.as_bytes());
        tag
    };
    let argument = match catch_unwind(AssertUnwindSafe(|| MessagePack::decode::<A>(&mut argument))) {
        Ok(Ok(argument)) => argument,
        Ok(Err(error)) => return failed(tag::BAD_ARGUMENT, &error.to_string()),
        Err(panic) => return failed(tag::BAD_ARGUMENT, &panic_text(panic)),
    };
    // SAFETY: by the caller's contract, the offset of an `fn(A) -> R`.
    let task = unsafe { Task::at::<A, R>(offset) };
    let result = match catch_unwind(AssertUnwindSafe(|| task(argument))) {
        Ok(result) => result,
        Err(panic) => return failed(tag::PANICKED, &panic_text(panic)),
    };
    let encoded = match catch_unwind(AssertUnwindSafe(|| MessagePack::encode(&result, to))) {
        Ok(Ok(())) => tag::VALUE,
        Ok(Err(error)) => {
            to.truncate(start);
            to.extend(error.to_string().as_bytes());
            tag::BAD_RESULT
        }
        Err(panic) => {
            to.truncate(start);
            to.extend(panic_text(panic).as_bytes());
            tag::BAD_RESULT
        }
    };
    // Still a panic of the task: it costs no worker either.
    match catch_unwind(AssertUnwindSafe(|| drop(result))) {
        Ok(()) => encoded,
        Err(panic) => {
            to.truncate(start);
            to.extend(panic_text(panic).as_bytes());
            tag::PANICKED
        }
    }
}

/// Runs the initializer whose offset the bytes begin with: what went wrong, if something did.
pub(super) fn run_initializer<A, R>(bytes: &[u8]) -> Option<String>
where
    A: DeserializeOwned,
    R: Outcome,
{
    let Some((offset, mut argument)) = bytes.split_first_chunk::<8>() else {
        return Some("its message is not whole".to_owned());
    };
    // SAFETY: `PoolBuilder::initializer` wrote the offset of an `fn(A) -> R` there, in a copy of
    // this program.
    let initializer = unsafe { Task::at::<A, R>(i64::from_ne_bytes(*offset)) };
    let run = || match MessagePack::decode::<A>(&mut argument) {
        Ok(argument) => initializer(argument).failure(),
        Err(error) => Some(format!("its argument cannot be decoded: {error}")),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Some(panic_text(panic)))
}

/// A worker's life: its exit code.
pub(super) fn work(settings: &PoolSettings, number: u32, mut supervisor: File, parent: Parent) -> i32 {
    // The supervisor reads it when this process has ended. If the supervisor is dead, so is this
    // process in a moment.
    let mut report = |words: &[u8]| drop(supervisor.write_all(words));
    if let Some(initializer) = &settings.initializer {
        // SAFETY: `PoolBuilder::initializer` made the offset of an `Entry<Option<String>>`, in the
        // program that this process is a copy of.
        let run = unsafe { entry_at::<Option<String>>(initializer.offset) };
        if let Some(why) = run(&initializer.argument) {
            settings.report_failure(kind::FAILED, &why);
            report(&[word::FAILED]);
            return 1;
        }
    }
    // Again: the kernel forgets it if the initializer has changed the user.
    die_with(&parent);
    drop(parent);
    report(&[word::READY]);
    settings.tasks.keep_leases_private();
    let seat = Seat { number, pid: std::process::id() };
    let mut chunks = 0;
    let (mut tasks, mut message) = (Vec::new(), Vec::new());
    loop {
        let chunk = match settings.tasks.lease() {
            Ok(chunk) => chunk,
            Err(GetError::Closed) => {
                report(&[word::CLOSED]);
                return 0;
            }
            Err(error) => {
                print_error(format_args!("a pool's worker cannot get tasks: {error}"));
                report(format!("{}{error}", char::from(word::LOST)).as_bytes());
                return 1;
            }
        };
        if let Err(error) = run_chunk(settings, seat, chunk, &mut tasks, &mut message) {
            print_error(format_args!("a pool's worker cannot put results: {error}"));
            return 1;
        }
        chunks += 1;
        if settings.max_tasks == Some(chunks) {
            report(&[word::RETIRED]);
            return 0;
        }
    }
}

fn run_chunk(
    settings: &PoolSettings,
    seat: Seat,
    chunk: Lease<'_, [u8]>,
    tasks: &mut Vec<u8>,
    message: &mut Vec<u8>,
) -> Result<(), PutError> {
    let attempt = chunk.deliveries();
    // A copy: a task may spawn processes, which must not have references into what is leased.
    tasks.clear();
    tasks.extend_from_slice(&chunk);
    let Some((head, items)) = TaskHead::read(tasks).filter(|(head, _)| head.nonce == settings.nonce) else {
        // Not from our program, which therefore does not wait for it.
        return Ok(());
    };
    let answer = |count: u32, kind: u32| {
        let TaskHead { nonce, job, first, entry, .. } = head;
        ResultHead { nonce, job, first, count, attempt, entry, kind }
    };
    message.clear();
    let mut turn = match settings.board.take(head.entry, seat, attempt <= settings.retries + 1) {
        Taken::Run(turn) => turn,
        ended => {
            match ended {
                Taken::Killed => answer(0, kind::KILLED).write(message),
                Taken::TimedOut(limit_ns) => {
                    answer(0, kind::TIMED_OUT).write(message);
                    message.extend(head.holder.to_le_bytes());
                    message.extend(limit_ns.to_le_bytes());
                }
                // It was begun `retries + 1` times. A worker that had it since may have died before
                // it could report that.
                Taken::Died => {
                    answer(settings.retries + 1, kind::DIED).write(message);
                    message.extend(head.holder.to_le_bytes());
                }
                Taken::Cancelled | Taken::Run(_) => {}
            }
            if !message.is_empty() {
                settings.results.put(message)?;
            }
            chunk.release();
            return Ok(());
        }
    };
    chunk.mark(HOLDER_AT, seat.pid);
    // SAFETY: the nonce shows that our program sent it, whose copy this process is, so it is the
    // offset of a `RunTask`.
    let run = unsafe { std::mem::transmute::<usize, RunTask>(address_at(head.runner)) };
    let max = settings.results.max_len();
    let largest_item = max.saturating_sub(RESULT_BYTES + 5);
    answer(0, kind::PART).write(message);
    let mut count = 0;
    let mut item = Vec::new();
    for (place, argument) in Arguments(items).take(head.count as usize).enumerate() {
        if place > 0 {
            turn.resume();
        }
        item.clear();
        // SAFETY: `Batch::begin` sent this runner with a task of its argument and result types.
        let mut tag = unsafe { run(head.task, argument, &mut item) };
        turn.pause();
        if item.len() > largest_item {
            if tag == tag::VALUE {
                let (len, needed) = (item.len(), capacity_for(item.len()));
                item.clear();
                item.extend(
                    format!(
                        "{len} bytes, the pool's queue holds {largest_item} at most; build it with capacity_bytes of {needed} or more"
                    )
                    .as_bytes(),
                );
                tag = tag::BAD_RESULT;
            } else {
                // A text, which may be cut anywhere.
                item.truncate(largest_item);
            }
        }
        if count > 0 && message.len() + item.len() + 5 > max.min(PART_BYTES) {
            send_part(settings, message, answer(count, kind::PART))?;
            count = 0;
        }
        message.push(tag);
        append_sized(message, |to| to.extend(&item));
        count += 1;
    }
    turn.finish();
    send_part(settings, message, answer(count, kind::LAST))?;
    chunk.release();
    Ok(())
}

/// Puts the results gathered so far, under their head, and begins anew.
fn send_part(settings: &PoolSettings, message: &mut Vec<u8>, head: ResultHead) -> Result<(), PutError> {
    let mut bytes = Vec::with_capacity(RESULT_BYTES);
    head.write(&mut bytes);
    message[..RESULT_BYTES].copy_from_slice(&bytes);
    settings.results.put(message)?;
    message.truncate(RESULT_BYTES);
    Ok(())
}
