//! Giving an attachment up for certain: by its last user in this process, or not at all.
//!
//! ```text
//!   detach --withdraw, under the mutex of the list--> nothing else leads there: off the list
//!      |                                                 --the handle is dropped--> left
//!      \--a handle, an owned guard, a visit, a record, a lock--> refused, nothing was changed
//! ```
//!
//! Invariants:
//! 1. An attachment is reached by references that count, and else through the list alone, whose
//!    weak ones are upgraded under its mutex. So a handle that has the only reference while it holds
//!    that mutex is the only user, and it stays the only one once it is off the list.
//! 2. A refusal counts no visit: it is made only if none was under way while references were counted,
//!    or if one lasted for [`LONGEST_VISIT_NS`].
//! 3. `owned_guards` is how many references belong to guards that borrow no handle.

use super::registry::{Listed, lock_open};
use super::visit::Seen;
use super::{Attached, Attachment};
use crate::error::InUse;
use crate::os::Deadline;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicUsize, fence};
use std::time::Duration;

/// A visit of an ordinary length takes microseconds; a waker that the reactor calls may take longer.
const LONGEST_VISIT_NS: u64 = 1_000_000_000;
const MOMENT: Duration = Duration::from_micros(50);

/// What an attachment and its views share.
#[derive(Debug, Default)]
pub(super) struct Family {
    owned_guards: AtomicUsize,
    /// Threads that sleep in a call.
    sleepers: AtomicUsize,
}

impl Family {
    /// In a forked child, which has none of its parent's threads.
    pub fn forget_sleepers(&self) {
        self.sleepers.store(0, Relaxed);
    }
}

/// A thread that sleeps in a call.
pub(crate) struct Sleeping<'a>(&'a Family);

impl Drop for Sleeping<'_> {
    fn drop(&mut self) {
        take_one(&self.0.sleepers);
    }
}

/// One less, unless a fork has made the number another one.
fn take_one(number: &AtomicUsize) {
    let _ = number.fetch_update(Relaxed, Relaxed, |number| number.checked_sub(1));
}

impl Attachment {
    pub(super) fn note_owned_guard(&self) {
        self.family.owned_guards.fetch_add(1, Relaxed);
    }

    pub(super) fn forget_owned_guard(&self) {
        take_one(&self.family.owned_guards);
    }

    /// For the sleep of a call: what is refused can say that a thread waits.
    pub(crate) fn note_sleep(&self) -> Sleeping<'_> {
        self.family.sleepers.fetch_add(1, Relaxed);
        Sleeping(&self.family)
    }

    pub(super) fn family_address(&self) -> usize {
        Arc::as_ptr(&self.family).addr()
    }

    /// Of this process: a child that never attached has none here.
    fn sleeping_threads(&self) -> usize {
        self.known_me_of_origin().map_or(0, |_| self.family.sleepers.load(Relaxed))
    }
}

/// References to these attachments that are not in `sole`, and how many of them are owned guards'.
fn others<A: Attached>(list: &[Listed], sole: &[&Arc<A>]) -> (usize, usize) {
    let (mut references, mut owned_guards) = (0, 0);
    for attached in sole {
        let attachment = attached.attachment();
        let of_origin = attachment.origin.as_ref().map_or(0, |origin| Arc::strong_count(origin) - 1);
        let found = Arc::strong_count(attached) - 1 + of_origin;
        if found == 0 {
            continue;
        }
        // Each view has one reference to its origin, which is none of a user's.
        let (mut all, mut views) = (0_usize, 0);
        for listed in list.iter().filter(|listed| listed.family == attachment.family_address()) {
            let count = listed.attached.strong_count();
            all += count;
            views += usize::from(listed.is_view && count != 0);
        }
        references += all.saturating_sub(views + 1).max(found);
        owned_guards += attachment.family.owned_guards.load(Relaxed);
    }
    (references, owned_guards.min(references))
}

/// Makes these handles the only way to what they are handles of: dropping them leaves it. All, or
/// none: then it returns what else this process uses. `guards` counts what it has open.
pub(crate) fn withdraw<A: Attached>(sole: &[&Arc<A>], guards: impl Fn(&mut InUse)) -> Result<(), InUse> {
    let deadline = Deadline::in_ns(LONGEST_VISIT_NS);
    let count_open = || {
        let mut in_use = InUse::default();
        for attached in sole {
            in_use.sleeping_threads += attached.attachment().sleeping_threads();
            attached.count_guards(&mut in_use);
        }
        guards(&mut in_use);
        in_use
    };
    loop {
        let seen = Seen::before();
        let mut open = lock_open();
        let (references, owned_guards) = others(&open, sole);
        if references == 0 {
            // Acquire: pairs with the Release by which the last other reference was dropped, and all
            // that its user did comes before this.
            fence(Acquire);
            // Under the mutex (Invariant 1): no other thread can open one meanwhile.
            let in_use = count_open();
            if !in_use.is_nothing() {
                return Err(in_use);
            }
            let is_one = |listed: &Listed| sole.iter().any(|attached| attached.attachment().family_address() == listed.family);
            open.retain(|listed| !is_one(listed));
            return Ok(());
        }
        let is_certain = seen.is_alone() || deadline.has_passed();
        drop(open);
        if is_certain {
            return Err(InUse { other_handles: references - owned_guards, owned_guards, ..count_open() });
        }
        std::thread::sleep(MOMENT);
    }
}

/// `detach` of a handle, as an inherent function.
macro_rules! detachable {
    ([$($generics:tt)*] $handle:ty, |$this:ident| [$($shared:expr),+], $($made:literal)+) => {
        impl<$($generics)*> $handle {
            /// Leaves the segment now, if nothing else of this process uses it by the same
            /// attachment. After `Ok` the process is no participant by it any more, and what the
            /// leave of a last participant does is done: its name is removed, unless it is
            /// persisted, or a forked child keeps it.
            ///
            /// Dropping a handle leaves as well, if it is the last one; this is for programs that
            /// must know. `create` and `open` each make an attachment; clones, endpoints, roles,
            /// subscribers, handles with a stop and owned guards share it. Does not block for
            /// others: what is in use is refused. A process that is killed meanwhile has left, or
            /// died attached, as at any other instant.
            ///
            /// In a forked child it gives up what the child has, and the parent stays as it is. The
            /// handles that other threads of the parent had at the fork count as the child's.
            ///
            /// # Errors
            /// [`DetachError`](crate::DetachError), with the handle, which is as it was. It names what
            /// is in the way: other handles, guards that are open or forgotten.
            ///
            /// ```
            $(#[doc = $made])+
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn detach(self) -> Result<(), crate::DetachError<Self>> {
                let $this = &self;
                match crate::attachment::withdraw(&[$($shared),+], |_| ()) {
                    Ok(()) => {
                        drop(self);
                        Ok(())
                    }
                    Err(in_use) => Err(crate::DetachError::new(self, in_use)),
                }
            }
        }
    };
}
pub(crate) use detachable;
