//! Being attached to a segment: who this process is in it, now and after a fork, and which segments this process has open.
//!
//! ```text
//!   over --> attached (incarnation n, id) --fork--> parent: as before
//!                                               \-> child: incarnation differs --first call, attach_again--> attached, id of its own
//!   drop --> pulse given up, and with the last of them the name       (a child that never attached: only unmaps and closes)
//! ```
//!
//! Invariants:
//! 1. `me` is this process's id in the incarnation that `incarnation` names. After a fork they differ from the fork word, and the
//!    first call attaches anew.
//! 2. The mutex of [`OPEN`] is held across every fork, so that no child inherits it locked; nothing is dropped under it.

use crate::error::{CreateError, OpenError};
use crate::lock::Locks;
use crate::os::{Barrier, Incarnation, on_fork};
use crate::participant::{self, Id};
use crate::segment::{AttachError, Segment};
use std::any::Any;
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What this process has attached, so that a handle that arrives twice uses one mapping. Also held while one attaches anew: a child's
/// threads may all notice the fork at once.
static OPEN: Mutex<Vec<Weak<dyn Attached>>> = Mutex::new(Vec::new());

/// What stands on an attachment: a channel, or an object.
pub(crate) trait Attached: Send + Sync + 'static {
    fn attachment(&self) -> &Attachment;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

type OpenGuard = MutexGuard<'static, Vec<Weak<dyn Attached>>>;

struct HeldAcrossFork(UnsafeCell<Option<OpenGuard>>);
// SAFETY: only the fork handlers use it, between taking the mutex and letting go of it, in the one thread that forks.
unsafe impl Sync for HeldAcrossFork {}
static HELD: HeldAcrossFork = HeldAcrossFork(UnsafeCell::new(None));

fn lock_open() -> OpenGuard {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn before_fork() {
    let guard = lock_open();
    // SAFETY: the mutex is held, so that no other thread is between here and `after_fork`.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn after_fork() {
    // SAFETY: this thread, or the one that it is a copy of, took the mutex in `before_fork`.
    let guard = unsafe { (*HELD.0.get()).take() };
    drop(guard);
}

/// Installed after those of the segment's descriptors, so that this mutex is taken before theirs, as everywhere else.
fn install_fork_handlers() -> io::Result<()> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    match INSTALLED
        .get_or_init(|| on_fork(before_fork, after_fork, after_fork).err().map(|error| error.raw_os_error().unwrap_or(0)))
    {
        None => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(*error)),
    }
}

/// The system refused what every attachment needs.
#[derive(Debug)]
pub(crate) struct AttachFailure {
    call: &'static str,
    source: io::Error,
}

impl From<AttachFailure> for CreateError {
    fn from(failure: AttachFailure) -> Self {
        CreateError::Os { call: failure.call, source: failure.source }
    }
}

impl From<AttachFailure> for OpenError {
    fn from(failure: AttachFailure) -> Self {
        OpenError::Os { call: failure.call, source: failure.source }
    }
}

/// One attached segment.
pub struct Attachment {
    fork_word: Incarnation,
    incarnation: AtomicU32,
    me: AtomicU32,
    pub(crate) barrier: Barrier,
    pub(crate) locks: Locks,
    pub(crate) segment: Segment,
}

impl Attachment {
    /// Makes the holder of an entry's pulse a participant. The last value is true if a predecessor died in that entry: the caller
    /// repairs first what it left.
    pub(crate) fn over(segment: Segment, entry: u32) -> Result<(Attachment, bool), AttachFailure> {
        let prepared = Incarnation::word()
            .and_then(|word| install_fork_handlers().map(|()| word))
            .map_err(|source| AttachFailure { call: "noticing forks (mmap, pthread_atfork)", source })
            .and_then(|word| Ok((word, Locks::attach(&segment).map_err(|source| AttachFailure { call: "raw_sync", source })?)));
        let (fork_word, locks) = match prepared {
            Ok(both) => both,
            Err(failure) => {
                segment.leave(entry);
                return Err(failure);
            }
        };
        let left_behind = segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&segment, entry);
        let attachment = Attachment {
            fork_word,
            incarnation: AtomicU32::new(fork_word.current()),
            me: AtomicU32::new(me.bits()),
            barrier: Barrier::register(),
            locks,
            segment,
        };
        Ok((attachment, left_behind))
    }

    /// This process's id; `None` after a fork, until it has attached anew (Invariant 1).
    #[inline(always)]
    pub(crate) fn known_me(&self) -> Option<Id> {
        // Acquire pairs with the store in `attach_again`: the incarnation comes with its id. Free on x86.
        if self.fork_word.peek() == self.incarnation.load(Acquire) { Id::from_bits(self.me.load(Relaxed)) } else { None }
    }

    /// The incarnation of this process, for guards and endpoints to remember.
    #[inline(always)]
    pub(crate) fn incarnation(&self) -> u32 {
        self.fork_word.peek()
    }

    /// Attaches a forked child. The last value as in [`Attachment::over`].
    #[cold]
    pub(crate) fn attach_again(&self) -> Result<(Id, bool), AttachError> {
        let _attaching = lock_open();
        let now = self.fork_word.current();
        if self.incarnation.load(Acquire) == now {
            if let Some(me) = Id::from_bits(self.me.load(Relaxed)) {
                return Ok((me, false));
            }
        }
        let entry = self.segment.reattach()?;
        let left_behind = self.segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&self.segment, entry);
        self.barrier.register_again();
        self.me.store(me.bits(), Relaxed);
        self.incarnation.store(now, Release);
        Ok((me, left_behind))
    }
}

impl Attachment {
    /// Gives up what makes this process a participant. `at_work`: other threads may be in the middle of something, and are until the
    /// process ends, so that its pulse must not end before.
    fn leave(&self, at_work: bool) {
        // A child that never attached holds no pulse: it only unmaps and closes.
        if let Some(me) = self.known_me() {
            // Left in good order: whoever takes this entry next has nothing to repair.
            self.segment.entries()[me.entry() as usize].pid.store(0, Relaxed);
            if at_work { self.segment.leave_with_the_pulse() } else { self.segment.leave(me.entry()) }
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // The last owner: nobody is in the middle of anything.
        self.leave(false);
    }
}

/// Leaves everything that this process has attached, in good order: for one that is about to end, and drops nothing. `at_work`: it has other
/// threads, whose locks and guards are those of the dead once the kernel has ended them, and not a moment earlier.
pub(crate) fn leave_all(at_work: bool) {
    let open: Vec<Arc<dyn Attached>> = lock_open().iter().filter_map(Weak::upgrade).collect();
    open.iter().for_each(|attached| attached.attachment().leave(at_work));
    // Never dropped: they have left, and must not do so again.
    std::mem::forget(open);
}

/// Notes what was attached, for [`find`].
pub(crate) fn remember<T: Attached>(attached: &Arc<T>) {
    let mut open = lock_open();
    open.retain(|other| other.strong_count() > 0);
    let weak: Weak<T> = Arc::downgrade(attached);
    open.push(weak);
}

/// What this process has attached already, if it is this.
pub(crate) fn find<T: Attached>(is_this: impl Fn(&T) -> bool) -> Option<Arc<T>> {
    // Collected first: whoever is the last owner meanwhile must not drop it under the mutex (Invariant 2).
    let open: Vec<Arc<dyn Attached>> = lock_open().iter().filter_map(Weak::upgrade).collect();
    open.into_iter().filter_map(|attached| attached.into_any().downcast::<T>().ok()).find(|attached| is_this(attached))
}
