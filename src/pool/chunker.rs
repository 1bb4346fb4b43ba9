//! Cutting the input of a call into chunks, and sending them.

use super::error::TaskError;
use super::job::Job;
use super::message::{TASK_BYTES, TaskHead, append_sized};
use super::state::Shared;
use crate::object::{Codec, MessagePack};
use serde::Serialize;
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

/// The chunk that is being filled.
pub(super) struct Chunker<'s> {
    shared: &'s Shared,
    job: Arc<Job>,
    head: TaskHead,
    size: u32,
    waits: bool,
    bytes: Vec<u8>,
    item: Vec<u8>,
    /// Tasks taken from the input so far.
    taken: u64,
    /// Chunks that were sent, or failed at once.
    pub sent: usize,
    /// The pool takes no more.
    pub stopped: Option<TaskError>,
}

impl<'s> Chunker<'s> {
    /// `runner` and `task` are their offsets; `waits`: while many chunks wait for room, so does the
    /// caller.
    pub fn new(shared: &'s Shared, job: Arc<Job>, number: u64, (runner, task): (i64, i64), size: u32, waits: bool) -> Self {
        let head = TaskHead { nonce: shared.nonce, job: number, first: 0, count: 0, runner, task, holder: 0 };
        Chunker { shared, job, head, size, waits, bytes: vec![0; TASK_BYTES], item: Vec::new(), taken: 0, sent: 0, stopped: None }
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
        if self.head.count == self.size {
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
        if let Err(error) = self.shared.send(&self.bytes, self.waits) {
            if !matches!(error, TaskError::TooLarge { .. }) {
                self.stopped = Some(error.clone());
            }
            self.job.fail_chunk(self.head.first, count, error);
        }
        self.bytes.truncate(TASK_BYTES);
    }

    /// Sends one chunk of what the input still has. `false`: it is exhausted, and the job knows how
    /// many tasks there were.
    pub fn send_one<A: Serialize>(&mut self, input: &mut impl Iterator<Item = A>) -> bool {
        let before = self.sent;
        while self.sent == before && self.stopped.is_none() {
            let Some(argument) = input.next() else {
                self.end();
                return false;
            };
            self.add(&argument);
        }
        self.stopped.is_none()
    }

    /// There is no more input: sends the rest, and the job knows how many tasks there were.
    pub fn end(&mut self) {
        self.send();
        self.job.set_total(self.taken);
    }
}
