//! Visits: references to attachments that the crate itself holds for a moment, and that are no
//! user's handles. A handle that is detached waits for their end.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// `begun:32 | under way:32`
static VISITS: AtomicU64 = AtomicU64::new(0);

const BEGUN_AND_UNDER_WAY: u64 = (1 << 32) + 1;

/// Begins before the first reference is taken, and ends after the last is dropped.
pub(crate) struct Visit(());

impl Visit {
    pub fn begin() -> Visit {
        VISITS.fetch_add(BEGUN_AND_UNDER_WAY, SeqCst);
        Visit(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // A visit that a fork copied is forgotten: none is under way then.
        let _ = VISITS.fetch_update(SeqCst, SeqCst, |visits| (visits as u32 != 0).then(|| visits - 1));
    }
}

/// In a forked child, whose visits are those of threads that it has not.
pub(super) fn forget_all() {
    VISITS.store(0, SeqCst);
}

/// What a count of references saw.
pub(super) struct Seen(u64);

impl Seen {
    pub fn before() -> Seen {
        Seen(VISITS.load(SeqCst))
    }

    /// Was no visit under way from `before` on?
    pub fn is_alone(&self) -> bool {
        self.0 as u32 == 0 && VISITS.load(SeqCst) == self.0
    }
}
