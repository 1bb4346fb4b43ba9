//! Dead segments that have ended: which of them `open_or_create` replaces instead of attaching.
//!
//! ```text
//!   no process attached, and            open_or_create
//!     persisted, or another user's      attaches, whatever it is
//!     messages of another type          replaces it
//!     open                              attaches: its messages are still there
//!     closed, messages left             attaches: getters drain it
//!     closed and drained, poisoned      replaces it: it would never take a message again
//!     a primitive of `sync`             replaces it: the processes that it served are gone
//! ```
//!
//! Invariant 1: a segment is judged under a [`Claim`], and its name is taken over under that same
//! claim: no process attaches in between, and no other replaces it.

use super::claim::Claim;
use super::expect::Expect;
use super::names::Place;
use super::predecessor::{Predecessor, WhyReplaced};
use super::spec::Spec;
use super::view::View;
use crate::atomic::Ordering;
use crate::error::OpenError;
use crate::shm::layout::{Entry, Head, role};

/// Has this queue stopped taking messages for good?
pub(super) fn takes_no_more(head: &Head) -> bool {
    head.put_notice.closed.load(Ordering::Acquire) != 0 || head.rare.poisoned.load(Ordering::Acquire) != 0
}

/// Have all participants detached, and was none of them a visitor of a dead segment?
pub(super) fn all_detached_cleanly(entries: &[Entry]) -> bool {
    let is_left = |entry: &Entry| entry.pid.load(Ordering::Acquire) == 0;
    let is_the_deads = |entry: &Entry| entry.roles.load(Ordering::Acquire) & role::VISITOR != 0;
    entries.iter().all(|entry| is_left(entry) && !is_the_deads(entry))
}

/// Has the dead segment ended, for a caller that wants this? `None`: attach to it, or refuse it.
pub(super) fn judge(claim: &Claim, place: &Place, spec: &Spec, expect: &Expect) -> Option<Predecessor> {
    let header = claim.header().filter(|header| header.is_ours() && !header.is_persisted())?;
    if !claim.is_own() {
        return None;
    }
    if let Err(error) = header.info(claim.bytes().ok()?) {
        // By its header of this format, but with other locks or another pointer width; or garbage.
        let is_other = matches!(error, OpenError::Mismatch { .. });
        return is_other.then_some(Predecessor { why: WhyReplaced::OtherType, messages: None });
    }
    let view = view_of(claim, place)?;
    let messages = || (spec.messages_left)(&view);
    match expect.check(view.info()) {
        Err(OpenError::Mismatch { .. }) => return Some(Predecessor { why: WhyReplaced::OtherType, messages: messages() }),
        Err(_) => return None,
        Ok(()) if !view.info().kind.has_ring() => {
            return Some(Predecessor { why: WhyReplaced::UsersDead, messages: Some(0) });
        }
        Ok(()) => {}
    }
    let head = view.head();
    if head.rare.poisoned.load(Ordering::Acquire) != 0 {
        return Some(Predecessor { why: WhyReplaced::Poisoned, messages: messages() });
    }
    let drained = takes_no_more(head) && messages() == Some(0);
    drained.then_some(Predecessor { why: WhyReplaced::Drained, messages: Some(0) })
}

/// What `create` replaces: any segment that no process is attached to and that is not persisted.
pub(super) fn replaced_by_create(claim: &Claim, place: &Place, spec: &Spec) -> Predecessor {
    let messages = view_of(claim, place).and_then(|view| (spec.messages_left)(&view));
    Predecessor { why: WhyReplaced::CreatedAnew, messages }
}

/// A view of the claimed segment, if it can be read.
pub(super) fn view_of(claim: &Claim, place: &Place) -> Option<View> {
    View::at(place).ok().filter(|view| view.is_file(claim.file()))
}
