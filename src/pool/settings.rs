//! What the supervisor and the workers of a pool know of it.

use super::board::{Board, Entry};
use super::message::ResultHead;
use crate::os::Recipient;
use crate::queue::Queue;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the supervisor tries to report to the program why it gives up.
pub(super) const LAST_REPORTS: Duration = Duration::from_secs(5);

/// Travels encoded, so that the supervisor may also be forked by the program's fork server.
#[derive(Serialize, Deserialize)]
pub(super) struct PoolSettings {
    /// Distinguishes this pool's messages from any others.
    pub nonce: u64,
    /// Process id of the program.
    pub program: u32,
    pub workers: u32,
    pub max_tasks: Option<u32>,
    pub retries: u32,
    pub tasks: Queue<[u8]>,
    pub results: Queue<[u8]>,
    pub board: Board,
    pub initializer: Option<Initializer>,
    /// Workers have the program's dispositions of the signals that end it.
    pub program_signals: bool,
}

/// A function and its argument.
#[derive(Serialize, Deserialize)]
pub(super) struct Initializer {
    /// Of an `Entry<Option<String>>`.
    pub offset: i64,
    pub argument: Vec<u8>,
}

impl PoolSettings {
    /// What workers get back of the program's signals.
    pub fn recipient(&self) -> Recipient {
        if self.program_signals { Recipient::Process { keep_handlers: false } } else { Recipient::Worker }
    }

    /// Reports to the program that the pool has failed, by its initializer or otherwise
    /// ([`kind`](super::message::kind)).
    pub fn report_failure(&self, kind: u32, why: &str) {
        let head = ResultHead { nonce: self.nonce, job: 0, first: 0, count: 0, attempt: 0, entry: Entry::default(), kind };
        let mut message = Vec::new();
        head.write(&mut message);
        let mut end = why.len().min(self.results.max_len() - message.len());
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        message.extend(&why.as_bytes()[..end]);
        // If this fails, the program finds the supervisor gone and reports that the pool is broken.
        let _ = self.results.put_timeout(&message, LAST_REPORTS);
    }

    /// What dead workers held in either queue is given to others at once, not at their next check.
    pub fn recover_queues(&self) {
        self.tasks.recover();
        self.results.recover();
    }
}
