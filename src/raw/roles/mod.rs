//! Senders and receivers: which processes hold handles that put or get, so that a queue can be
//! closed when one side is gone (`close_when_unused`). A queue that did not ask for it writes none
//! of these words.
//!
//! ```text
//!   handle made, or first used in a forked child -> counted here -> bit shown in our entry
//!     --serialised--> a slot in transit, in our name --deserialised elsewhere--> counted there, slot free
//!     --dropped, last one--> bit off -> scan: had one, none left, nothing changed meanwhile -> close
//!     --process dies--> its bits and slots count for nothing: the next scan, once a slice, closes
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the handles, and how many of them this process has |
//! | `census.rs` | the scan, and what it may conclude |
//! | `transit.rs` | handles between two processes |
//! | `model.rs` | every order of steps, and a kill at every step |
//!
//! In a topic only publishers count, and each for itself: it closes once there has been one and
//! none is left.
//!
//! Invariants:
//! 1. Before a handle is handed out (returned to its caller; its ticket ended; `spawn` returned),
//!    its process shows its bit or has a slot in its name, and `role_changes` was raised after
//!    that. In this order: the bit or the slot, `had_roles`, `role_changes`: a scan that sees that
//!    there has been one sees the first. A bit goes off, and a slot becomes free, only after.
//! 2. A scan closes only if there has been such a role, no live process has it, and `role_changes`
//!    is the same before and after: then there was an instant without any such handle. For a handle
//!    that was there all the time is either where the scan looked, or was handed over during the
//!    scan, which raises `role_changes`.
//! 3. Bits are shown for what [`Members`] and the plain handles say, by one thread at a time.
//! 4. An inherited handle counts from its first use. A plain one is found out by the attachment,
//!    which in the child of a closing queue takes its slow path until a plain handle was used, so
//!    that `put` and `get` of a plain handle pay nothing; all plain handles of the child count
//!    then. A handle of one role compares a word of its own.

mod census;
#[cfg(test)]
mod model;
mod transit;

#[cfg(feature = "object")]
pub(crate) use transit::encode_to_all;
pub(crate) use transit::{ForOneReceiver, TransitTicket};

use super::RawQueue;
use super::process_local::Own;
use crate::attachment::Attached;
use crate::shm::layout::role;
use crate::shm::participant::Id;
use crate::shm::segment::AttachError;
use crate::wait::Stop;
use std::ops::Deref;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, Weak};

/// What a handle of one role does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

impl Role {
    fn bit(self) -> u32 {
        match self {
            Role::Sender => role::SENDER,
            Role::Receiver => role::RECEIVER,
        }
    }
}

const BOTH: u32 = role::SENDER | role::RECEIVER;

/// As bits of an entry.
fn roles(sender: bool, receiver: bool) -> u32 {
    let of = |has: bool, bit| if has { bit } else { 0 };
    of(sender, role::SENDER) | of(receiver, role::RECEIVER)
}

/// The handles of one role that count in this process.
#[derive(Debug, Default)]
struct Members {
    /// Which participant they count for: a fork copies the numbers of another one.
    of: u32,
    senders: u32,
    receivers: u32,
    /// Roles that this process keeps until it leaves: those of handles that are in transit without
    /// a slot.
    kept: u32,
}

impl Members {
    fn number_of(&mut self, role: Role) -> &mut u32 {
        match role {
            Role::Sender => &mut self.senders,
            Role::Receiver => &mut self.receivers,
        }
    }

    fn roles(&self) -> u32 {
        roles(self.senders != 0, self.receivers != 0) | self.kept
    }
}

/// What this process knows of its own handles of one queue.
#[derive(Debug, Default)]
pub(super) struct Roles {
    members: Own<Members>,
    /// Plain handles in the memory of this process. A fork copies them and their number alike.
    plain: AtomicU32,
    /// The participant for which they count, as bits of its id; 0 for none.
    plain_count_for: AtomicU32,
    /// Numbers of the handles that were sent.
    sent: AtomicU32,
}

impl RawQueue {
    fn closes_when_unused(&self) -> bool {
        self.attachment.segment.closes_when_unused()
    }

    /// This process's id, for a call of a plain handle, whose first use in a forked child counts.
    #[inline(always)]
    pub(crate) fn me_in_both_roles(&self) -> Result<Id, AttachError> {
        match self.attachment.me_at_once() {
            Some(me) => Ok(me),
            None => self.begin_both_roles(),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_both_roles(&self) -> Result<Id, AttachError> {
        let me = self.me()?;
        if self.closes_when_unused() {
            self.count_more(me, |_| self.roles.plain_count_for.store(me.bits(), Relaxed));
            self.attachment.trust_fork_word();
        }
        Ok(me)
    }

    /// Changes what counts, and shows it. Returns the roles that this process has no more.
    fn change(&self, me: Id, change: impl FnOnce(&mut Members)) -> u32 {
        let mut members = self.roles.members.enter(me);
        if members.of != me.bits() {
            *members = Members { of: me.bits(), ..Members::default() };
        }
        change(&mut members);
        self.show(me, members.roles())
    }

    /// Counts more. Nothing is lost by that, so there is nothing to close.
    fn count_more(&self, me: Id, change: impl FnOnce(&mut Members)) {
        self.change(me, change);
    }

    /// Counts less. The last one closes the queue, if no other process has the role.
    fn count_less(&self, me: Id, change: impl FnOnce(&mut Members)) {
        if self.change(me, change) != 0 {
            self.close_if_unused(me);
        }
    }

    /// Shows in our entry which roles this process has (Invariants 1 and 3).
    fn show(&self, me: Id, of_members: u32) -> u32 {
        let counts_plain = self.roles.plain_count_for.load(Relaxed) == me.bits() && self.roles.plain.load(SeqCst) != 0;
        let wanted = of_members | if counts_plain { BOTH } else { 0 };
        let Some(entry) = self.segment().entries().get(me.entry() as usize) else { return 0 };
        let shown = entry.roles.load(Relaxed) & BOTH;
        let (gained, lost) = (wanted & !shown, shown & !wanted);
        if gained != 0 {
            entry.roles.fetch_or(gained, SeqCst);
        }
        if of_members & !self.rare().had_roles.load(Relaxed) != 0 {
            self.rare().had_roles.fetch_or(of_members, SeqCst);
        }
        if gained != 0 {
            self.rare().role_changes.fetch_add(1, SeqCst);
        }
        if lost != 0 {
            entry.roles.fetch_and(!lost, SeqCst);
        }
        lost
    }
}

/// A plain handle: it puts and gets, and keeps both sides open.
#[derive(Debug)]
pub(crate) struct PlainHandle {
    raw: Arc<RawQueue>,
}

impl PlainHandle {
    /// A new one, which counts at once.
    pub fn new(raw: Arc<RawQueue>) -> PlainHandle {
        if raw.closes_when_unused() {
            raw.roles.plain.fetch_add(1, SeqCst);
            // An error: the first call has it too, and reports it.
            let _ = raw.begin_both_roles();
        }
        PlainHandle { raw }
    }

    /// One more, with a stop.
    pub fn with_stop(&self, stop: &Stop) -> PlainHandle {
        self.another(self.raw.with_stop(stop))
    }

    /// It counts if this one does: one is there, so the bits stay as they are.
    fn another(&self, raw: Arc<RawQueue>) -> PlainHandle {
        if raw.closes_when_unused() {
            raw.roles.plain.fetch_add(1, SeqCst);
        }
        PlainHandle { raw }
    }

    /// What both kinds of handle stand on.
    pub fn shared(&self) -> &Arc<RawQueue> {
        &self.raw
    }

    /// What [`ProcessBuilder::keep`](crate::ProcessBuilder::keep) notes.
    pub fn kept(&self) -> KeptHandle {
        KeptHandle { raw: Arc::downgrade(&self.raw), role: None }
    }
}

impl Clone for PlainHandle {
    fn clone(&self) -> PlainHandle {
        self.another(Arc::clone(&self.raw))
    }
}

impl Drop for PlainHandle {
    fn drop(&mut self) {
        if self.raw.closes_when_unused() && self.raw.roles.plain.fetch_sub(1, SeqCst) == 1 {
            self.raw.end_both_roles();
        }
    }
}

impl RawQueue {
    #[cold]
    fn end_both_roles(&self) {
        // A child that never attached shows nothing.
        if let Some(me) = self.attachment.known_me_of_origin() {
            self.count_less(me, |_| {});
        }
    }
}

impl RawQueue {
    /// This process is about to leave and drops none of its handles.
    #[cold]
    pub(super) fn end_all_roles(&self) {
        if !self.closes_when_unused() || self.attachment.is_view() {
            return;
        }
        if let Some(me) = self.known_me() {
            self.roles.plain_count_for.store(0, Relaxed);
            self.count_less(me, |members| *members = Members { of: me.bits(), ..Members::default() });
        }
    }
}

impl Deref for PlainHandle {
    type Target = RawQueue;

    #[inline(always)]
    fn deref(&self) -> &RawQueue {
        &self.raw
    }
}

/// A handle of one role.
#[derive(Debug)]
pub(crate) struct RoleHandle {
    raw: Arc<RawQueue>,
    role: Role,
    /// What the fork word must show for this handle to be counted, as `incarnation` of the
    /// attachment (Invariant 4).
    used_in: AtomicU32,
    /// The participant for which it counts, as bits of its id; 0 for none. `None`: the queue closes
    /// by `close` only.
    counts_for: Option<Arc<AtomicU32>>,
}

impl RoleHandle {
    /// A new one, which counts at once.
    pub fn new(raw: Arc<RawQueue>, role: Role) -> RoleHandle {
        let handle = RoleHandle::unused(raw, role);
        // An error: the first call has it too, and reports it.
        let _ = handle.begin();
        handle
    }

    fn unused(raw: Arc<RawQueue>, role: Role) -> RoleHandle {
        let counts_for = raw.closes_when_unused().then(Arc::default);
        RoleHandle { raw, role, used_in: AtomicU32::new(0), counts_for }
    }

    /// One more, with a stop.
    pub fn with_stop(&self, stop: &Stop) -> RoleHandle {
        self.another(self.raw.with_stop(stop))
    }

    /// It counts if this one does: of one that a child inherited and has not used, from its first
    /// use.
    fn another(&self, raw: Arc<RawQueue>) -> RoleHandle {
        let counted = |counts_for: &Arc<AtomicU32>| {
            let me = raw.attachment.known_me_of_origin();
            me.is_some_and(|me| counts_for.load(Relaxed) == me.bits())
        };
        if self.counts_for.as_ref().is_some_and(counted) {
            RoleHandle::new(raw, self.role)
        } else {
            RoleHandle::unused(raw, self.role)
        }
    }

    /// This process's id, for a call of this handle, whose first use in a forked child counts.
    #[inline(always)]
    pub fn me(&self) -> Result<Id, AttachError> {
        // Acquire pairs with the store in `begin`: the id comes with it. Free on x86.
        match self.raw.attachment.me_in(self.used_in.load(Acquire)) {
            Some(me) => Ok(me),
            None => self.begin(),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin(&self) -> Result<Id, AttachError> {
        let me = self.raw.me()?;
        if let Some(counts_for) = &self.counts_for {
            self.raw.count_member(me, self.role, counts_for);
        }
        self.used_in.store(self.raw.attachment.shown_incarnation(), Release);
        Ok(me)
    }

    /// As that of a [`PlainHandle`].
    pub fn shared(&self) -> &Arc<RawQueue> {
        &self.raw
    }

    /// This handle is serialised.
    pub fn send_off(&self) -> Result<TransitTicket, ForOneReceiver> {
        self.raw.send_off(self.role.bit())
    }

    /// As that of a [`PlainHandle`].
    pub fn kept(&self) -> KeptHandle {
        KeptHandle {
            raw: Arc::downgrade(&self.raw),
            role: self.counts_for.as_ref().map(|counts_for| (self.role, Arc::downgrade(counts_for))),
        }
    }
}

impl RawQueue {
    fn count_member(&self, me: Id, role: Role, counts_for: &AtomicU32) {
        self.count_more(me, |members| {
            // Once, however many threads use it first.
            if counts_for.swap(me.bits(), Relaxed) != me.bits() {
                *members.number_of(role) += 1;
            }
        });
    }

    #[cold]
    fn uncount_member(&self, me: Id, role: Role, counts_for: &AtomicU32) {
        self.count_less(me, |members| {
            if counts_for.swap(0, Relaxed) == me.bits() {
                let number = members.number_of(role);
                *number = number.saturating_sub(1);
            }
        });
    }
}

impl Clone for RoleHandle {
    fn clone(&self) -> RoleHandle {
        self.another(Arc::clone(&self.raw))
    }
}

impl Drop for RoleHandle {
    fn drop(&mut self) {
        // A child that never attached counts nothing.
        if let (Some(counts_for), Some(me)) = (&self.counts_for, self.raw.attachment.known_me_of_origin()) {
            self.raw.uncount_member(me, self.role, counts_for);
        }
    }
}

impl Deref for RoleHandle {
    type Target = RawQueue;

    #[inline(always)]
    fn deref(&self) -> &RawQueue {
        &self.raw
    }
}

/// A handle that a child is to count before `spawn` returns. It may be moved or dropped meanwhile.
#[derive(Clone, Debug)]
pub struct KeptHandle {
    /// Without a handle there is nothing to count.
    raw: Weak<RawQueue>,
    /// `None`: a plain one, or nothing counts.
    role: Option<(Role, Weak<AtomicU32>)>,
}

impl KeptHandle {
    /// In the child: the handle counts from now on, and until it is dropped there.
    pub(crate) fn count(&self) -> Result<(), AttachError> {
        let Some(raw) = self.raw.upgrade() else { return Ok(()) };
        match &self.role {
            None => raw.me_in_both_roles().map(drop),
            // Dropped, though others of its queue are left: nothing would end its role.
            Some((role, counts_for)) => match counts_for.upgrade() {
                None => Ok(()),
                Some(counts_for) => raw.me().map(|me| raw.count_member(me, *role, &counts_for)),
            },
        }
    }
}
