//! A worker: leases chunks, runs them, puts their results, and only then lets go of the lease.
//!
//! ```text
//!   initializer -> ready -> lease -> run each task -> put results -> release -> lease -> ...
//!                                       \-- killed anywhere here: the chunk is delivered again, its deliveries counted;
//!                                           whoever gets it too often says DIED instead of running it
//! ```
//!
//! So nobody keeps a list of who does what: a chunk that a worker died with cannot be forgotten, and is failed or retried once.

use super::keeper::Settings;
use super::message::{Arguments, HOLDER_AT, RESULT_BYTES, ResultHead, TaskHead, append_sized, capacity_for, kind, tag};
use crate::error::{GetError, PutError};
use crate::object::{Codec, MessagePack};
use crate::os::{Parent, die_with};
use crate::process::travel::{Task, address_at, entry_at};
use crate::process::{Outcome, tell_stderr};
use crate::queue::guard::Lease;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Results are sent when they fill so much, the chunk done or not.
const PART_BYTES: usize = 256 << 10;

/// What a worker tells its keeper, a byte each.
pub(super) mod word {
    /// The initializer is over.
    pub const READY: u8 = b'r';
    /// There will be no more tasks.
    pub const CLOSED: u8 = b'c';
    /// It has done as many as it may.
    pub const RETIRED: u8 = b'm';
    /// The initializer failed, which the program was told.
    pub const FAILED: u8 = b'f';
    /// It cannot get tasks. The rest is text.
    pub const LOST: u8 = b'l';
}

/// What runs one task: given its distance and the argument, appends the result or a text, and says
/// which.
///
/// # Safety
/// The distance is that of a task whose argument and result are those of the runner.
pub(super) type RunTask = unsafe fn(i64, &[u8], &mut Vec<u8>) -> u8;

/// The one that runs tasks of type `fn(A) -> R`.
///
/// # Safety
/// As [`RunTask`].
pub(super) unsafe fn run_task<A, R>(distance: i64, mut argument: &[u8], to: &mut Vec<u8>) -> u8
where
    A: DeserializeOwned,
    R: Serialize,
{
    let start = to.len();
    let mut tell = |tag: u8, text: &str| {
        to.truncate(start);
        to.extend(text.as_bytes());
        tag
    };
    let argument = match catch_unwind(AssertUnwindSafe(|| MessagePack::decode::<A>(&mut argument))) {
        Ok(Ok(argument)) => argument,
        Ok(Err(error)) => return tell(tag::BAD_ARGUMENT, &error.to_string()),
        Err(panic) => return tell(tag::BAD_ARGUMENT, &text_of(panic)),
    };
    // SAFETY: the caller's word: the distance of an `fn(A) -> R`.
    let task = unsafe { Task::at::<A, R>(distance) };
    let result = match catch_unwind(AssertUnwindSafe(|| task(argument))) {
        Ok(result) => result,
        Err(panic) => return tell(tag::PANICKED, &text_of(panic)),
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
            to.extend(text_of(panic).as_bytes());
            tag::BAD_RESULT
        }
    };
    // A panic of the task's, still: it costs no worker either.
    match catch_unwind(AssertUnwindSafe(|| drop(result))) {
        Ok(()) => encoded,
        Err(panic) => {
            to.truncate(start);
            to.extend(text_of(panic).as_bytes());
            tag::PANICKED
        }
    }
}

/// Runs the initializer whose distance the bytes begin with: what went wrong, if something did.
pub(super) fn run_initializer<A, R>(bytes: &[u8]) -> Option<String>
where
    A: DeserializeOwned,
    R: Outcome,
{
    let Some((distance, mut argument)) = bytes.split_first_chunk::<8>() else {
        return Some("its message is not whole".to_owned());
    };
    // SAFETY: `PoolBuilder::initializer` put the distance of an `fn(A) -> R` there.
    let initializer = unsafe { Task::at::<A, R>(i64::from_ne_bytes(*distance)) };
    let run = || match MessagePack::decode::<A>(&mut argument) {
        Ok(argument) => initializer(argument).failure(),
        Err(error) => Some(format!("its argument cannot be decoded: {error}")),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Some(text_of(panic)))
}

/// The message of a panic.
pub(super) fn text_of(panic: Box<dyn Any + Send>) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    };
    std::mem::forget(panic); // its drop might panic
    text
}

/// A worker's life: its exit code.
pub(super) fn work(settings: &Settings, mut keeper: File, parent: Parent) -> i32 {
    // The keeper reads it when we have ended; nothing is lost if it is gone, since then so are we.
    let mut tell = |words: &[u8]| drop(keeper.write_all(words));
    if let Some(initializer) = &settings.initializer {
        // SAFETY: the distance of an `Entry<Option<String>>`, in the program that this process is a copy of.
        let run = unsafe { entry_at::<Option<String>>(initializer.distance) };
        if let Some(why) = run(&initializer.argument) {
            settings.fail(kind::FAILED, &why);
            tell(&[word::FAILED]);
            return 1;
        }
    }
    // Again: the kernel forgets it where the initializer has changed the user.
    die_with(&parent);
    drop(parent);
    tell(&[word::READY]);
    settings.tasks.keep_leases_private();
    let mut chunks = 0;
    let (mut tasks, mut message) = (Vec::new(), Vec::new());
    loop {
        let chunk = match settings.tasks.lease() {
            Ok(chunk) => chunk,
            Err(GetError::Closed) => {
                tell(&[word::CLOSED]);
                return 0;
            }
            Err(error) => {
                tell_stderr(format_args!("a pool's worker cannot get tasks: {error}"));
                tell(format!("{}{error}", char::from(word::LOST)).as_bytes());
                return 1;
            }
        };
        if let Err(error) = run_chunk(settings, chunk, &mut tasks, &mut message) {
            tell_stderr(format_args!("a pool's worker cannot put results: {error}"));
            return 1;
        }
        chunks += 1;
        if settings.max_tasks == Some(chunks) {
            tell(&[word::RETIRED]);
            return 0;
        }
    }
}

fn run_chunk(settings: &Settings, chunk: Lease<'_, [u8]>, tasks: &mut Vec<u8>, message: &mut Vec<u8>) -> Result<(), PutError> {
    let attempt = chunk.deliveries();
    // A copy: a task may spawn processes, which must not see into what is leased.
    tasks.clear();
    tasks.extend_from_slice(&chunk);
    let Some((head, items)) = TaskHead::read(tasks).filter(|(head, _)| head.nonce == settings.nonce) else {
        // Not from our program: nobody waits for it.
        return Ok(());
    };
    let answer = |count: u32, kind: u32| {
        let TaskHead { nonce, job, first, .. } = head;
        ResultHead { nonce, job, first, count, attempt, kind }
    };
    message.clear();
    if attempt > settings.retries + 1 {
        // Begun so often; who came after may have died before it could say so.
        answer(settings.retries + 1, kind::DIED).write(message);
        message.extend(head.holder.to_le_bytes());
        settings.results.put(message)?;
        chunk.release();
        return Ok(());
    }
    chunk.mark(HOLDER_AT, std::process::id());
    // SAFETY: the nonce says that our program sent it: the distance of a `RunTask`, in the program that this process is a copy of.
    let run = unsafe { std::mem::transmute::<usize, RunTask>(address_at(head.runner)) };
    let max = settings.results.max_len();
    let largest_item = max.saturating_sub(RESULT_BYTES + 5);
    answer(0, kind::PART).write(message);
    let mut count = 0;
    let mut item = Vec::new();
    for argument in Arguments(items).take(head.count as usize) {
        item.clear();
        // SAFETY: as above: the runner, and a task of its kind (`Batch::begin_with`).
        let mut tag = unsafe { run(head.task, argument, &mut item) };
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
                // A text, which may end anywhere.
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
    send_part(settings, message, answer(count, kind::LAST))?;
    chunk.release();
    Ok(())
}

/// Puts what was gathered, under its head, and begins anew.
fn send_part(settings: &Settings, message: &mut Vec<u8>, head: ResultHead) -> Result<(), PutError> {
    let mut bytes = Vec::with_capacity(RESULT_BYTES);
    head.write(&mut bytes);
    message[..RESULT_BYTES].copy_from_slice(&bytes);
    settings.results.put(message)?;
    message.truncate(RESULT_BYTES);
    Ok(())
}
