//! Names that a forked child kept when the last participant, in this process, detached.
//!
//! Such a child may be about to use the queue, and then removes the name itself. Or it executes a
//! program, or is killed: then no process is left that would remove the name. So the parent
//! remembers the name and retries at its next create, open, drop or exit.
//!
//! ```text
//!   detach: kept by others, perhaps forked children --defer--> remembered
//!     --retry--> a process keeps it, or is attached: later again
//!                another segment has the name, or it was persisted: forgotten
//!                no process has attached since, or all detached cleanly: removed
//!                a process died attached: forgotten, as the segment is stale
//! ```
//!
//! Invariants:
//! 1. A name is removed under a [`Claim`] only: no process, and so no forked child, keeps it or is
//!    attached; and only from the segment whose nonce was remembered.
//! 2. Messages of a process that died attached, later than the detach, stay for its successors. The
//!    generations are read before the check that no process is attached: one that attaches later
//!    changes them, one that has raised them before is seen attached.
//! 3. The names are read and changed under the list's mutex of `descriptors`, which the fork
//!    handlers hold around a fork: no child inherits them locked. It has none of its parent's: a
//!    worker that has given up the right to open files drops what it inherited without opening any.
//! 4. A name stays remembered until its retry has ended: if the process exits meanwhile, the exit
//!    retries it too.

use super::attached::Segment;
use super::claim::{self, Claim, ClaimAttempt, read_header};
use super::descriptors::{Descriptor, incarnation, try_without_forks, without_forks};
use super::ended::{all_detached_cleanly, view_of};
use super::locks::Conflict;
use super::names::Place;
use super::owners::Owners;
use super::retry::Retry;
use super::spilled::{Cleaned, clean_up, clean_up_claimed};
use crate::atomic::Ordering;
use crate::os;
use crate::shm::layout::{Entry, segment_state};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Names remembered at a time, more than the queues of a process with 8192 descriptors; a further
/// one replaces the oldest.
const NAMES_MAX: usize = 4096;
/// How many one call retries, about 10 us each: no create or drop is slow for all names.
const RETRIES_MAX: usize = 32;
/// Pauses between two retries of one name: a child may live long and use nothing.
const FIRST_PAUSE_NS: u64 = 1_000_000;
const LONGEST_PAUSE_NS: u64 = 1_000_000_000;

static DEFERRED: Mutex<Vec<DeferredName>> = Mutex::new(Vec::new());
/// The incarnation that remembers them, 0 if there are none: other calls cost one relaxed load.
static REMEMBERED_IN: AtomicU32 = AtomicU32::new(0);

/// A name that is to be removed once no process keeps it.
#[derive(Clone)]
struct DeferredName {
    place: Place,
    nonce: u64,
    /// The participants' generations when this process detached as the last of them.
    last_generations: Option<u64>,
    pause_ns: u64,
    due_ns: u64,
}

/// Which names to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// All, since this process is about to end.
    All,
}

/// Remembers the name of a segment that this process detaches from. `is_last`: no other process is
/// attached, and this one would remove the name if no process kept it.
pub(super) fn defer(segment: &Segment, is_last: impl FnOnce() -> bool) {
    // Before the check (Invariant 2).
    let generations = generations(segment.entries());
    let name = DeferredName {
        place: segment.place.clone(),
        nonce: segment.nonce(),
        last_generations: is_last().then_some(generations),
        pause_ns: FIRST_PAUSE_NS,
        due_ns: os::now_ns().saturating_add(FIRST_PAUSE_NS),
    };
    with_names(Due::Now, |names| {
        names.retain(|other| other.nonce != name.nonce);
        if names.len() >= NAMES_MAX {
            names.remove(0);
        }
        names.push(name);
    });
}

/// Removes the remembered names that no process keeps any more.
pub(crate) fn retry_deferred(which: Due) {
    let remembered_in = REMEMBERED_IN.load(Relaxed);
    if remembered_in == 0 || remembered_in != incarnation() {
        return;
    }
    let now_ns = os::now_ns();
    let retries_max = if which == Due::All { usize::MAX } else { RETRIES_MAX };
    let take_due = |names: &mut Vec<DeferredName>| -> Vec<DeferredName> {
        let due = names.iter_mut().filter(|name| which == Due::All || name.due_ns <= now_ns).take(retries_max);
        due.map(|name| name.postpone(now_ns)).collect()
    };
    // The retries open and close descriptors: not under the mutex.
    for retried in with_names(which, take_due).unwrap_or_default() {
        if retried.is_settled() {
            // Not one that this process has deferred again meanwhile.
            let is_this = |name: &DeferredName| (name.nonce, name.last_generations) == (retried.nonce, retried.last_generations);
            with_names(which, |names| names.retain(|name| !is_this(name)));
        }
    }
}

/// `None` in an `exit` that a signal handler calls above a frame that holds the mutex
/// (Invariant 3).
fn with_names<R>(which: Due, change: impl FnOnce(&mut Vec<DeferredName>) -> R) -> Option<R> {
    let change = || {
        let mut names = DEFERRED.lock().unwrap_or_else(PoisonError::into_inner);
        let incarnation = incarnation();
        if REMEMBERED_IN.load(Relaxed) != incarnation {
            names.clear();
        }
        let changed = change(&mut names);
        REMEMBERED_IN.store(if names.is_empty() { 0 } else { incarnation }, Relaxed);
        changed
    };
    match which {
        Due::Now => Some(without_forks(change)),
        Due::All => try_without_forks(change),
    }
}

/// Changes with every registration of a participant.
fn generations(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.generation.load(Ordering::Acquire))).sum()
}

impl DeferredName {
    /// Sets the time of the next retry, and returns a copy for this one.
    fn postpone(&mut self, now_ns: u64) -> DeferredName {
        self.due_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(LONGEST_PAUSE_NS);
        self.clone()
    }

    /// Removes the name if it is time. False if it is to be retried.
    fn is_settled(&self) -> bool {
        // For another process, or thread, that has locked the name for a moment.
        let mut retry = Retry::short();
        loop {
            match self.leads_to_nonce() {
                Ok(true) => {}
                Ok(false) => return self.is_cleaned_up(),
                Err(error) => {
                    // Otherwise perhaps for a moment: out of descriptors, without the rights.
                    let is_gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof);
                    return is_gone && self.is_cleaned_up();
                }
            }
            match claim::attempt(&self.place, &Owners::default()) {
                Ok(ClaimAttempt::Claimed(claim)) => return self.settle(&claim),
                Ok(ClaimAttempt::Nothing) => return self.is_cleaned_up(),
                Ok(ClaimAttempt::Foreign(_)) => return true,
                Ok(ClaimAttempt::Conflict(Conflict::Liveness)) | Err(_) => return false,
                Ok(ClaimAttempt::Conflict(Conflict::Name) | ClaimAttempt::Again) => {}
            }
            if retry.ends() {
                return false;
            }
            Retry::pause();
        }
    }

    /// The name is gone: are its objects' files gone too?
    fn is_cleaned_up(&self) -> bool {
        clean_up(self.place.directory(), self.nonce) != Cleaned::Not
    }

    /// Does the name lead to the remembered segment? Without a claim: another one that has the name
    /// is not locked, not even for a moment.
    fn leads_to_nonce(&self) -> io::Result<bool> {
        let header = read_header(&Descriptor::open_transient(self.place.path())?)?;
        Ok(header.is_of_our_format() && header.nonce() == self.nonce)
    }

    /// Under the claim nothing changes any more (Invariant 1). False if it cannot be judged now.
    fn settle(&self, claim: &Claim) -> bool {
        if !claim.header().is_some_and(|header| header.nonce() == self.nonce && !header.is_persisted()) {
            return true;
        }
        let Some(view) = view_of(claim, &self.place) else { return false };
        // Invariant 2.
        let entries = view.entries();
        let may_be_removed = self.last_generations == Some(generations(entries)) || all_detached_cleanly(entries);
        if may_be_removed && self.place.unlink().is_ok() {
            claim.mark(segment_state::UNLINKED);
            clean_up_claimed(claim, self.place.directory());
        }
        true
    }
}
