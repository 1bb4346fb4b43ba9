//! Being attached to a segment, which queues and primitives stand on: the id of this process in it,
//! now and after a fork, its notices to others, and its leave.
//!
//! ```text
//!   over --> attached (incarnation n, id) --fork--> parent: as before
//!                                               \-> child: incarnation differs
//!                                                   --first call, attach_again--> its own id
//!   drop --> liveness lock given up, and with the last of them the name
//!            (a child that never attached: its share in the name)
//!   exit --> the same, but the kernel takes the lock: other threads may be at work, and nothing
//!            is unmapped
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `enter.rs` | becoming a participant |
//! | `registry.rs` | what this process has attached |
//! | `view.rs` | handles with a stop |
//! | `kept.rs` | what guards stand on, borrowed or owned |
//! | `withdraw.rs`, `visit.rs` | giving up an attachment for certain |
//!
//! Invariants:
//! 1. `me` is this process's id in the incarnation that `incarnation` names. After a fork they
//!    differ from the fork word, and the first call attaches anew.

mod enter;
mod kept;
mod registry;
mod view;
mod visit;
mod withdraw;

pub(crate) use enter::{Newcomer, reopen};
pub(crate) use kept::{Keeper, Kept};
pub(crate) use registry::{leave_all, open_guard, remember};
#[cfg(feature = "async")]
pub(crate) use visit::Visit;
pub(crate) use withdraw::{detachable, withdraw};

use crate::error::{CreateError, InUse, OpenError, Subject};
use crate::lock::{Condvar, Locks};
use crate::os::{Incarnation, MemoryBarrier};
use crate::shm::kind::Kind;
use crate::shm::layout::{Head, role};
use crate::shm::participant::{self, Id};
use crate::shm::segment::{AttachError, Due, Segment, retry_deferred};
use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// What stands on an attachment: a queue, or a primitive.
pub(crate) trait Attached: Send + Sync + 'static {
    fn attachment(&self) -> &Attachment;

    /// Repairs what the dead left, for a process that has just become a participant.
    /// `left_behind`: the last owner of its entry died in it.
    fn succeed(&self, me: Id, left_behind: bool);

    /// What this process holds that gives plain references into the segment, in words. Not what it
    /// inherited.
    fn open_guard(&self) -> Option<&'static str>;

    /// Counts what this process has open, from any thread, forgotten or not. Not what it inherited.
    fn count_guards(&self, in_use: &mut InUse);

    /// This process's id, attaching anew after a fork.
    #[inline(always)]
    fn me(&self) -> Result<Id, AttachError> {
        match self.attachment().me_at_once() {
            Some(me) => Ok(me),
            None => self.attach_again(),
        }
    }

    /// Attaches a forked child, at its first call.
    #[cold]
    #[inline(never)]
    fn attach_again(&self) -> Result<Id, AttachError> {
        if let Some(me) = self.attachment().known_me() {
            return Ok(me);
        }
        if let Some(me) = self.attachment().attach_again_by_origin() {
            return me;
        }
        let (me, left_behind) = self.attachment().attach_again()?;
        self.succeed(me, left_behind);
        Ok(me)
    }

    /// The process is about to leave, and no thread of it is in the middle of anything: what its
    /// handles stand for ends now, though none is dropped.
    fn end_roles(&self) {}

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The system refused what every attachment needs.
#[derive(Debug)]
pub(crate) struct AttachFailure {
    call: &'static str,
    error: io::Error,
}

impl From<AttachFailure> for CreateError {
    fn from(failure: AttachFailure) -> Self {
        CreateError::Os { what: Subject::default(), call: failure.call, source: failure.error }
    }
}

impl From<AttachFailure> for OpenError {
    fn from(failure: AttachFailure) -> Self {
        OpenError::Os { what: Subject::default(), call: failure.call, source: failure.error }
    }
}

/// One attached segment.
pub struct Attachment {
    fork_word: Incarnation,
    /// What the fork word must show for `me` to be this process's id: `attached_in`, or 0, which it
    /// never shows here, where the word is believed only after a slower check.
    incarnation: AtomicU32,
    attached_in: AtomicU32,
    me: AtomicU32,
    pub(crate) barrier: MemoryBarrier,
    pub(crate) locks: Arc<Locks>,
    pub(crate) segment: Arc<Segment>,
    /// What this is a view of: see `view.rs`.
    origin: Option<Arc<dyn Attached>>,
    family: Arc<withdraw::Family>,
}

impl Attachment {
    /// Makes the holder of an entry's liveness lock a participant, with its id. The last value is
    /// true if the last owner of the entry died in it.
    fn over(segment: Segment, entry: u32) -> Result<(Attachment, Id, bool), AttachFailure> {
        let prepared = Incarnation::word()
            .and_then(|word| registry::install_handlers().map(|()| word))
            .map_err(|error| AttachFailure { call: "noticing forks and the exit (mmap, pthread_atfork, atexit)", error })
            .and_then(|word| Ok((word, Locks::attach(&segment).map_err(|error| AttachFailure { call: "raw_sync", error })?)));
        let (fork_word, locks) = match prepared {
            Ok(both) => both,
            Err(failure) => {
                segment.detach(entry);
                return Err(failure);
            }
        };
        let slot = &segment.entries()[entry as usize];
        let left_behind = slot.pid.load(Relaxed) != 0;
        if left_behind || slot.roles.load(Relaxed) & role::VISITOR != 0 {
            segment.note_deaths();
        }
        let me = participant::register(&segment, entry);
        let now = fork_word.current();
        let barrier = MemoryBarrier::register(segment.has_full_fence());
        let attachment = Attachment {
            fork_word,
            incarnation: AtomicU32::new(shown_by(fork_word, now)),
            attached_in: AtomicU32::new(now),
            me: AtomicU32::new(me.bits()),
            barrier,
            locks: Arc::new(locks),
            segment: Arc::new(segment),
            origin: None,
            family: Arc::default(),
        };
        Ok((attachment, me, left_behind))
    }

    /// This process's id; `None` after a fork, until it has attached anew (Invariant 1).
    #[inline(always)]
    pub(crate) fn known_me(&self) -> Option<Id> {
        match self.me_at_once() {
            Some(me) => Some(me),
            None => self.known_me_slowly(),
        }
    }

    /// The same, for a plain handle of a queue: where the queue closes when it is unused, only if one
    /// was counted since the fork (raw/roles, Invariant 4).
    #[inline(always)]
    pub(crate) fn known_me_of_plain(&self) -> Option<Id> {
        match self.me_at_once() {
            Some(me) => Some(me),
            None => self.known_me_of_plain_slowly(),
        }
    }

    #[cold]
    fn known_me_of_plain_slowly(&self) -> Option<Id> {
        if self.segment.closes_when_unused() { None } else { self.known_me_slowly() }
    }

    /// The same, if the fork word alone shows it.
    #[inline(always)]
    pub(crate) fn me_at_once(&self) -> Option<Id> {
        // Acquire pairs with the store in `attach_again`: the incarnation comes with its id. Free
        // on x86.
        let is_current = self.fork_word.peek() == self.incarnation.load(Acquire);
        is_current.then(|| Id::restore(self.me.load(Relaxed)))
    }

    /// Where the fork word alone does not distinguish a raw-forked child from its parent, and in
    /// the child of a closing queue until a plain handle was used (raw/roles, Invariant 4).
    #[cold]
    fn known_me_slowly(&self) -> Option<Id> {
        let attached = self.attached_in.load(Acquire) == self.fork_word.current();
        attached.then(|| Id::restore(self.me.load(Relaxed)))
    }

    /// The same for a handle that keeps what the fork word must show.
    #[inline(always)]
    pub(crate) fn me_in(&self, incarnation: u32) -> Option<Id> {
        (self.fork_word.peek() == incarnation && incarnation != 0).then(|| Id::restore(self.me.load(Relaxed)))
    }

    /// What the fork word must show for such a handle, once this process is attached.
    pub(crate) fn shown_incarnation(&self) -> u32 {
        shown_by(self.fork_word, self.attached_in.load(Acquire))
    }

    /// From now on [`me_at_once`](Self::me_at_once) answers, where it can.
    pub(crate) fn trust_fork_word(&self) {
        self.incarnation.store(self.shown_incarnation(), Release);
    }

    /// The incarnation of this process, for guards and endpoints to remember.
    #[inline(always)]
    pub(crate) fn incarnation(&self) -> u32 {
        self.fork_word.peek()
    }

    /// Attaches a forked child. The last value as in [`Attachment::over`].
    fn attach_again(&self) -> Result<(Id, bool), AttachError> {
        let _attaching = registry::lock_open();
        let now = self.fork_word.current();
        if self.attached_in.load(Acquire) == now {
            return Ok((Id::restore(self.me.load(Relaxed)), false));
        }
        let entry = self.segment.reattach()?;
        let left_behind = self.segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&self.segment, entry);
        self.barrier.register_again();
        self.family.forget_sleepers();
        self.me.store(me.bits(), Relaxed);
        self.attached_in.store(now, Release);
        if !self.segment.closes_when_unused() {
            self.trust_fork_word();
        }
        Ok((me, left_behind))
    }
}

/// Notices to other participants.
impl Attachment {
    #[inline(always)]
    fn head(&self) -> &Head {
        self.segment.head()
    }

    /// Wakes `count` waiters after a change. The barrier orders the change before the load of their
    /// number (lock, Invariant 3).
    #[inline(always)]
    pub(crate) fn notify<'a>(&'a self, condvar: impl Fn() -> Condvar<'a>, count: impl FnOnce() -> u32) {
        self.barrier.light();
        // Found behind the barrier, which keeps it out of the registers of the fast path (measured:
        // 3 instructions of a put).
        if condvar().has_waiters() {
            self.wake(condvar(), count());
        }
    }

    /// Wakes `count` waiters that the caller has seen.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake(&self, condvar: Condvar<'_>, count: u32) {
        self.head().rare.wakes.fetch_add(1, Relaxed);
        condvar.wake(count);
    }

    /// Wakes all waiters, so that they check again.
    #[cold]
    pub(crate) fn wake_all(&self) {
        self.barrier.light();
        let (locks, head) = (&self.locks, self.head());
        for condvar in [locks.not_empty(head), locks.not_full(head), locks.all_done(head)] {
            self.wake(condvar, u32::MAX);
        }
        if locks.closing(head).has_waiters() {
            self.wake(locks.closing(head), u32::MAX);
        }
    }

    /// A process that was taken for dead is at work: nothing under the locks can be trusted any
    /// more. All waiters learn it.
    #[cold]
    pub(crate) fn poison(&self) {
        self.head().rare.poisoned.store(1, SeqCst);
        self.wake_all();
    }

    #[inline(always)]
    pub(crate) fn is_poisoned(&self) -> bool {
        self.head().rare.poisoned.load(Relaxed) != 0
    }
}

fn shown_by(fork_word: Incarnation, now: u32) -> u32 {
    if fork_word.is_wiped_in_children() { now } else { 0 }
}

impl Attachment {
    /// Gives up what makes this process a participant.
    fn leave(&self, how: Leaving) {
        if self.is_view() {
            return;
        }
        let Some(me) = self.known_me() else {
            // A child that never attached holds no liveness lock: it only keeps the name.
            return match how {
                Leaving::Alone => self.segment.detach_unused(),
                Leaving::AtWork | Leaving::Exit => self.segment.detach_unused_at_exit(),
            };
        };
        if how == Leaving::Exit && self.segment.kind() == Kind::Barrier {
            // The other parties would wait for ever for a process that leaves without notice.
            self.segment.head().rare.recoveries.fetch_add(1, SeqCst);
        }
        if let Some(entry) = self.segment.entries().get(me.entry() as usize) {
            // Left in good order: the next owner of this entry has nothing to repair.
            entry.pid.store(0, Relaxed);
        }
        match how {
            Leaving::Alone => self.segment.detach(me.entry()),
            Leaving::AtWork | Leaving::Exit => self.segment.detach_at_exit(),
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // The last owner: no thread is in the middle of a call.
        self.leave(Leaving::Alone);
        if !self.is_view() {
            retry_deferred(Due::Now);
        }
    }
}

/// How a process gives up what makes it a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// No thread of it is in the middle of anything.
    Alone,
    /// Other threads may be, and are until the process ends: their locks and guards are those of
    /// the dead once the kernel has ended them, and not a moment earlier. So the liveness lock
    /// stays.
    AtWork,
    /// The same, at a normal end of a program that has not dropped its handle.
    Exit,
}
