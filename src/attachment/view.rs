//! Views: the same attachment once more, for a handle with a [`Stop`](crate::Stop) of its own.
//!
//! ```text
//!   origin --view_of--> view: the same segment and the same id
//!                         --fork, first call in the child--> the id that its origin attached by
//! ```
//!
//! Invariants:
//! 1. A view keeps its origin alive, which is no view: the origin attaches, and leaves.
//! 2. What the fast paths read (the fork word, the id, the barrier) a view has itself: a handle with
//!    a stop puts and gets as fast as one without, which pays nothing for the others.

use super::{Attached, Attachment, shown_by};
use crate::os::MemoryBarrier;
use crate::shm::participant::Id;
use crate::shm::segment::AttachError;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

impl Attachment {
    /// Another view of what that one is attached to, itself a view perhaps.
    pub(crate) fn view_of<A: Attached>(attached: &Arc<A>) -> Attachment {
        let seen = attached.attachment();
        // Acquire: the incarnation comes with its id.
        let (incarnation, attached_in) = (seen.incarnation.load(Acquire), seen.attached_in.load(Acquire));
        Attachment {
            fork_word: seen.fork_word,
            incarnation: AtomicU32::new(incarnation),
            attached_in: AtomicU32::new(attached_in),
            me: AtomicU32::new(seen.me.load(Relaxed)),
            barrier: MemoryBarrier::register(seen.segment.has_full_fence()),
            locks: Arc::clone(&seen.locks),
            segment: Arc::clone(&seen.segment),
            origin: Some(match &seen.origin {
                Some(origin) => Arc::clone(origin),
                None => Arc::clone(attached) as Arc<dyn Attached>,
            }),
            family: Arc::clone(&seen.family),
        }
    }

    /// Does it attach and leave by another (Invariant 1)?
    #[inline]
    pub(crate) fn is_view(&self) -> bool {
        self.origin.is_some()
    }

    /// [`known_me`](Self::known_me), of the origin if it is a view: that may have attached since.
    pub(crate) fn known_me_of_origin(&self) -> Option<Id> {
        self.origin.as_ref().map_or_else(|| self.known_me(), |origin| origin.attachment().known_me())
    }

    /// Attaches the origin in a forked child, and has its id. `None`: it is no view.
    pub(super) fn attach_again_by_origin(&self) -> Option<Result<Id, AttachError>> {
        let me = self.origin.as_ref()?.me();
        if let Ok(me) = me {
            // Several threads may do this at once: they store the same.
            let now = self.fork_word.current();
            self.barrier.register_again();
            self.me.store(me.bits(), Relaxed);
            self.attached_in.store(now, Release);
            if !self.segment.closes_when_unused() {
                self.incarnation.store(shown_by(self.fork_word, now), Release);
            }
        }
        Some(me)
    }
}
