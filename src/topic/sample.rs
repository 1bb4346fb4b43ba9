//! A message of a topic that is read in place.

use super::Subscriber;
use crate::message::Plain;
use crate::raw::InPlaceRecord;
use std::fmt;
use std::ops::Deref;

/// One message, read in place by a gating subscriber. Dropping it passes the message.
///
/// While it is open, no publisher overwrites the message: not if its subscriber is
/// [evicted](crate::Topic::evict) either, which takes effect when the sample is dropped. So a
/// process that is stopped while it holds one stops a full topic, and the errors of publishers name
/// it. One sample at a time: it borrows the subscriber. If its process dies, it is gone with it. A
/// sample that a forked child inherited belongs to the parent: `Deref` panics.
///
/// ```
/// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(1 << 16).create()?;
/// let mut every = topic.subscribe()?;
/// topic.publish(b"frame".as_slice())?;
/// let sample = every.read()?;
/// assert_eq!(&*sample, b"frame");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping passes the message"]
pub struct Sample<'s, T: ?Sized + Plain> {
    subscriber: &'s Subscriber<T>,
    record: InPlaceRecord,
    message: *const T,
}

// SAFETY: it was made of an exclusive borrow of its subscriber (`new`), which may be sent, and
// reads its message as a shared reference does.
unsafe impl<T: ?Sized + Plain + Sync> Send for Sample<'_, T> {}

impl<'s, T: ?Sized + Plain> Sample<'s, T> {
    /// `message` leads to the payload of the record, which the subscriber has pinned.
    pub(super) fn new(subscriber: &'s mut Subscriber<T>, record: InPlaceRecord, message: *const T) -> Sample<'s, T> {
        Sample { subscriber, record, message }
    }
}

impl<T: ?Sized + Plain> Deref for Sample<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let inherited = self.subscriber.raw().is_inherited();
        assert!(!inherited, "this sample belongs to the parent process: subscribe again after fork");
        // SAFETY: the record is pinned until the sample is dropped (ring topic, Invariants 5 and
        // 6), and this is not a forked child (asserted). Any bits are a T (Plain).
        unsafe { &*self.message }
    }
}

impl<T: ?Sized + Plain> Drop for Sample<'_, T> {
    fn drop(&mut self) {
        self.subscriber.raw().unpin(&self.record);
    }
}

impl<T: ?Sized + Plain> fmt::Debug for Sample<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sample").field("record", &self.record).finish_non_exhaustive()
    }
}
