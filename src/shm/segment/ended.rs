//! Dead segments whose life has ended: what a new life finds in their place.
//!
//! ```text
//!   nobody attached, and               open_or_create
//!     persisted, or another user's      attaches, whatever it is
//!     messages of another type          replaces it
//!     open                              attaches: its messages are still there
//!     closed, messages left             attaches: getters drain it
//!     closed and drained, poisoned      replaces it: it would never take a message again
//!     an object of `sync`               replaces it: the parties that it was about are gone
//! ```
//!
//! Invariant 1: a segment is judged under a [`Claim`], and its name is taken over under that same claim: nobody attaches in between,
//! and nobody else replaces it.

use super::claim::Claim;
use super::expect::Expect;
use super::names::Place;
use super::predecessor::Predecessor;
use super::spec::Spec;
use super::view::View;
use crate::atomic::Ordering;
use crate::error::OpenError;
use crate::shm::layout::{Head, predecessor};

/// Will this queue never take a message again?
pub(super) fn takes_no_more(head: &Head) -> bool {
    head.put_notice.closed.load(Ordering::Acquire) != 0 || head.rare.poisoned.load(Ordering::Acquire) != 0
}

/// Has the life of a dead segment ended, for a caller who wants this? `None`: it is to be attached to, or to be refused.
pub(super) fn judge(claim: &Claim, place: &Place, spec: &Spec, expect: &Expect) -> Option<Predecessor> {
    let header = claim.header().filter(|header| header.is_ours() && !header.is_persisted())?;
    if !claim.is_own() {
        return None;
    }
    if let Err(error) = header.info(claim.bytes().ok()?) {
        // Of this version, by its header, but of other locks or another width; or garbage.
        let is_other = matches!(error, OpenError::Mismatch { .. });
        return is_other.then_some(Predecessor { why: predecessor::OTHER_TYPE, messages: None });
    }
    let view = view_of(claim, place)?;
    let messages = || (spec.messages_left)(&view);
    match expect.check(view.info()) {
        Err(OpenError::Mismatch { .. }) => return Some(Predecessor { why: predecessor::OTHER_TYPE, messages: messages() }),
        Err(_) => return None,
        Ok(()) if !view.info().kind.is_queue() => {
            return Some(Predecessor { why: predecessor::PRIMITIVE, messages: Some(0) });
        }
        Ok(()) => {}
    }
    let head = view.head();
    if head.rare.poisoned.load(Ordering::Acquire) != 0 {
        return Some(Predecessor { why: predecessor::POISONED, messages: messages() });
    }
    let drained = takes_no_more(head) && messages() == Some(0);
    drained.then_some(Predecessor { why: predecessor::DRAINED, messages: Some(0) })
}

/// What `create` replaces: any segment that nobody is attached to and nobody asked to keep.
pub(super) fn replaced_by_create(claim: &Claim, place: &Place, spec: &Spec) -> Predecessor {
    let messages = view_of(claim, place).and_then(|view| (spec.messages_left)(&view));
    Predecessor { why: predecessor::CREATED_ANEW, messages }
}

/// The claimed segment, if it can be looked at.
fn view_of(claim: &Claim, place: &Place) -> Option<View> {
    View::at(place).ok().filter(|view| view.is_file(claim.file()))
}
