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
}
