//! Counters of a bridge.

use std::sync::atomic::AtomicU64;

/// What a bridge has done since it was started. Any thread may read them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages that the stream confirmed, and whose leases were ended.
    pub out_landed: AtomicU64,
    /// Messages that were published, those sent again counted again.
    pub out_published: AtomicU64,
    /// Times that the bridge found out anew what the stream has.
    pub out_rewinds: AtomicU64,
    /// Messages that are under way.
    pub out_under_way: AtomicU64,
    /// Messages that went to the queue's dead letters, being larger than the server takes.
    pub out_refused: AtomicU64,
    /// Messages that were put into queues.
    pub in_put: AtomicU64,
    /// Acks that the server confirmed.
    pub in_acked: AtomicU64,
    /// Messages that came again, and were acked again instead of put.
    pub in_known: AtomicU64,
    /// Messages that had to wait for room.
    pub in_full: AtomicU64,
    /// Messages that a queue gave up.
    pub in_given_up: AtomicU64,
    /// Dead letters that were stored.
    pub in_dead_letters: AtomicU64,
    /// Connections that were made anew.
    pub in_reconnects: AtomicU64,
    /// Messages that were put and whose acks are not confirmed, or not due.
    pub in_unacked: AtomicU64,
    /// Runs of sequences that are remembered.
    pub in_remembered_runs: AtomicU64,
}
