//! Cutting the input of a call into chunks, and sending them.

use super::board::Entry;
use super::error::TaskError;
use super::job::Job;
use super::message::{TASK_BYTES, TaskHead, append_sized};
use super::send::Chunk;
use super::state::Shared;
use crate::object::{Codec, MessagePack};
use crate::wait::Wait;
use serde::Serialize;
use std::cell::Cell;
use std::sync::Arc;

/// A chunk is sent when it has so many bytes, its tasks complete or not.
const CHUNK_BYTES: usize = 256 << 10;

/// A job whose input is being read. If the input panics, the pool forgets the job: nothing waits
/// for its end.
pub(super) struct Reading<'s> {
    pub shared: &'s Shared,
    pub number: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.shared.forget(self.number);
    }
}

/// How the tasks of a call are cut into chunks and sent.
pub(super) struct Cut {
    /// Offset of the runner and of the task.
    pub offsets: (i64, i64),
    /// Tasks of a chunk, at most.
    pub size: u32,
    /// What each task may take.
    pub limit_ns: u64,
    /// While many chunks wait for room in the ring, so does the caller.
    pub waits: bool,
}

/// The chunk that is being filled.
///
/// Invariant: `reserved` counts the tasks that may still be added or sent under the bound on
/// pending tasks; while a chunk is being filled it is larger than the tasks in it.
pub(super) struct Chunker<'s> {
    shared: &'s Shared,
    job: Arc<Job>,
    head: TaskHead,
    cut: Cut,
    reserved: usize,
    bytes: Vec<u8>,
    item: Vec<u8>,
    /// Tasks taken from the input so far.
    taken: u64,
    /// Chunks that were sent, or failed at once.
    pub sent: usize,
    /// The pool takes no more.
    pub stopped: Option<TaskError>,
}

/// What came of an attempt to send one more chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There may be more.
    More,
    /// The input is exhausted, and the job knows how many tasks there were; or the pool takes no
    /// more.
    End,
    /// Too many tasks are pending: nothing was read.
    NoRoom,
}

impl<'s> Chunker<'s> {
    pub fn new(shared: &'s Shared, job: Arc<Job>, number: u64, mut cut: Cut) -> Self {
        let (runner, task) = cut.offsets;
        let entry = Entry::default(); // written when it is sent
        let head = TaskHead { nonce: shared.nonce, job: number, first: 0, count: 0, runner, task, entry, holder: 0 };
        cut.size = shared.max_pending.map_or(cut.size, |max| cut.size.min(u32::try_from(max).unwrap_or(u32::MAX)));
        let reserved = if shared.max_pending.is_none() { usize::MAX } else { 0 };
        let (bytes, item) = (vec![0; TASK_BYTES], Vec::new());
        Chunker { shared, job, head, cut, reserved, bytes, item, taken: 0, sent: 0, stopped: None }
    }

    /// The caller has reserved room for one task, which is added next.
    pub fn grant_one(&mut self) {
        if self.shared.max_pending.is_some() {
            self.reserved += 1;
        }
    }

    /// Takes room for the next chunk, if there is none left.
    fn reserve(&mut self, wait: Wait) -> Result<(), TaskError> {
        if self.reserved == 0 {
            self.shared.reserve(self.cut.size as usize, wait)?;
            self.reserved = self.cut.size as usize;
        }
        Ok(())
    }

    /// So many tasks have what was reserved for them.
    fn use_reserved(&mut self, tasks: u32) {
        if self.shared.max_pending.is_some() {
            self.reserved -= tasks as usize;
        }
    }

    fn give_reserved_back(&mut self) {
        if self.shared.max_pending.is_some() {
            self.shared.give_room_back(std::mem::take(&mut self.reserved));
        }
    }

    /// Adds one task; sends the chunk when it is full.
    pub fn add<A: Serialize>(&mut self, argument: &A) {
        self.item.clear();
        let refused = MessagePack::encode(argument, &mut self.item).err();
        let room = CHUNK_BYTES.min(self.shared.tasks.max_len());
        if refused.is_some() || self.bytes.len() + self.item.len() + 4 > room {
            self.send();
        }
        if self.head.count == 0 {
            self.head.first = self.taken;
            // The last chunk may have taken the bytes with it.
            self.bytes.resize(TASK_BYTES, 0);
        }
        self.taken += 1;
        if let Some(error) = refused {
            self.sent += 1;
            self.job.fail_chunk(self.head.first, 1, TaskError::Argument { why: error.to_string() });
            return;
        }
        let item = &self.item;
        append_sized(&mut self.bytes, |to| to.extend(item));
        self.head.count += 1;
        if self.head.count == self.cut.size || self.head.count as usize == self.reserved {
            self.send();
        }
    }

    /// Sends the tasks added so far.
    fn send(&mut self) {
        let count = std::mem::take(&mut self.head.count);
        if count == 0 {
            return;
        }
        let mut head = Vec::with_capacity(TASK_BYTES);
        TaskHead { count, ..self.head }.write(&mut head);
        self.bytes[..TASK_BYTES].copy_from_slice(&head);
        self.job.open(self.head.first, count);
        self.sent += 1;
        let (bytes, job) = (std::mem::take(&mut self.bytes), Arc::clone(&self.job));
        let chunk = Chunk { bytes, job, first: self.head.first, count, limit_ns: self.cut.limit_ns };
        match self.shared.send(chunk, self.cut.waits) {
            Ok(bytes) => {
                self.use_reserved(count);
                self.bytes = bytes.unwrap_or_default();
            }
            Err(error) => {
                if !matches!(error, TaskError::TooLarge { .. }) {
                    self.stopped = Some(error.clone());
                }
                self.job.fail_chunk(self.head.first, count, error);
            }
        }
        self.bytes.truncate(TASK_BYTES);
    }

    /// Sends one chunk of what the input still has.
    pub fn send_one<A: Serialize>(&mut self, input: &mut impl Iterator<Item = A>, wait: Wait) -> Read {
        let before = self.sent;
        while self.sent == before && self.stopped.is_none() {
            let reserved = self.reserve(wait);
            if matches!(reserved, Err(TaskError::Full { .. })) {
                return Read::NoRoom;
            }
            let Some(argument) = NextOf::input(input) else {
                self.end();
                return Read::End;
            };
            match reserved {
                Ok(()) => self.add(&argument),
                Err(error) => self.refuse(error),
            }
        }
        if self.stopped.is_none() { Read::More } else { Read::End }
    }

    /// A task that was taken from the input cannot be sent, nor can those behind it.
    fn refuse(&mut self, error: TaskError) {
        self.stopped = Some(error.clone());
        self.sent += 1;
        self.job.fail_chunk(self.taken, 1, error);
        self.taken += 1;
    }

    /// There is no more input: sends the rest, and the job knows how many tasks there were.
    pub fn end(&mut self) {
        self.send();
        self.give_reserved_back();
        self.job.set_total(self.taken);
    }
}

impl Drop for Chunker<'_> {
    fn drop(&mut self) {
        self.give_reserved_back();
    }
}

thread_local! {
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// While this thread runs the caller's iterator.
struct NextOf {
    read_before: bool,
}

impl NextOf {
    fn input<I: Iterator>(input: &mut I) -> Option<I::Item> {
        let _reads = NextOf { read_before: READS.replace(true) };
        input.next()
    }
}

impl Drop for NextOf {
    fn drop(&mut self) {
        READS.set(self.read_before);
    }
}

/// Does this thread read an input, for which room was reserved? A task that the iterator itself
/// sends would wait for room that its own thread holds.
pub(super) fn reads_input() -> bool {
    READS.get()
}
