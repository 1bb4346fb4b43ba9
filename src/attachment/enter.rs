//! Becoming a participant: at create, at open, and with a handle that another process sent.

use super::{AttachFailure, Attached, Attachment, registry};
use crate::error::{CreateError, OpenError};
use crate::lock::Locks;
use crate::os::Deadline;
use crate::shm::participant::Id;
use crate::shm::segment::{Directory, Expect, Segment, Spec};
use std::sync::Arc;

/// A process that has just become a participant, and has not repaired yet what the dead left.
pub(crate) struct Newcomer {
    pub attachment: Attachment,
    me: Id,
    left_behind: bool,
}

impl Newcomer {
    /// Makes the holder of an entry's liveness lock a participant.
    fn of((segment, entry): (Segment, u32)) -> Result<Newcomer, AttachFailure> {
        let (attachment, me, left_behind) = Attachment::over(segment, entry)?;
        Ok(Newcomer { attachment, me, left_behind })
    }

    /// Creates a segment; without a name, an anonymous one. `init` sees zeros that no other process
    /// sees yet.
    pub fn create(name: Option<&str>, spec: &Spec, init: impl Fn(&Segment)) -> Result<Newcomer, CreateError> {
        let init = with_locks(init);
        let made = match name {
            Some(name) => Segment::create(name, spec, init)?,
            None => Segment::create_anonymous(spec, init)?,
        };
        Ok(Newcomer::of(made)?)
    }

    /// Attaches to a segment. With `until`, waits for one to be created.
    pub fn open(name: &str, expect: &Expect, until: Option<Deadline>) -> Result<Newcomer, OpenError> {
        let opened = match until {
            Some(deadline) => Segment::open_until(name, expect, deadline)?,
            None => Segment::open(name, expect)?,
        };
        Ok(Newcomer::of(opened)?)
    }

    /// The same, without waiting for a segment that is being replaced: the caller tries again.
    pub fn open_soon(name: &str, expect: &Expect) -> Result<Newcomer, OpenError> {
        Ok(Newcomer::of(Segment::open_soon(name, expect)?)?)
    }

    /// Attaches to a segment, or creates it.
    pub fn open_or_create(name: &str, spec: &Spec, expect: &Expect, init: impl Fn(&Segment)) -> Result<Newcomer, CreateError> {
        let (segment, entry, _) = Segment::open_or_create(name, spec, expect, with_locks(init))?;
        Ok(Newcomer::of((segment, entry))?)
    }

    /// Shares what stands on the attachment: lets it repair what the dead left, and notes it for
    /// handles that arrive later.
    pub fn share<A: Attached>(self, stand_on: impl FnOnce(Attachment) -> A) -> Arc<A> {
        let attached = Arc::new(stand_on(self.attachment));
        attached.succeed(self.me, self.left_behind);
        registry::remember(&attached);
        attached
    }
}

fn with_locks(init: impl Fn(&Segment)) -> impl Fn(&Segment) {
    move |segment| {
        init(segment);
        Locks::initialise(segment);
    }
}

/// Attaches to the segment that a handle was sent of, which `expect` names by its nonce, through
/// the mapping that this process may have already.
pub(crate) fn reopen<A: Attached>(
    address: &str,
    expect: Expect,
    share: impl FnOnce(Newcomer) -> Arc<A>,
) -> Result<Arc<A>, OpenError> {
    // A handle that arrives has no stop.
    let is_this = |attached: &A| {
        let attachment = attached.attachment();
        !attachment.is_view() && Some(attachment.segment.nonce()) == expect.nonce
    };
    if let Some(attached) = registry::find(is_this) {
        attached.attachment().segment.check(&expect)?;
        return Ok(attached);
    }
    let (directory, name) = Directory::of_address(address);
    Newcomer::open(name, &Expect { directory, ..expect }, None).map(share)
}
