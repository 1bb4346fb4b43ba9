//! Being attached to a segment: who this process is in it, now and after a fork, and which segments this process has open.
//!
//! ```text
//!   over --> attached (incarnation n, id) --fork--> parent: as before
//!                                               \-> child: incarnation differs --first call, attach_again--> attached, id of its own
//!   drop --> liveness lock given up, and with the last of them the name       (a child that never attached: its share in the name)
//!   exit --> the same, but the kernel takes the liveness lock: other threads may be at work, and nothing is unmapped
//! ```
//!
//! Invariants:
//! 1. `me` is this process's id in the incarnation that `incarnation` names. After a fork they differ from the fork word, and the
//!    first call attaches anew.
//! 2. The mutex of [`OPEN`] is held across every fork, so that no child inherits it locked; nothing is dropped under it.

use crate::error::{CreateError, OpenError, Subject};
use crate::lock::Locks;
use crate::os::{Barrier, Incarnation, on_fork};
use crate::shm::layout::{kind, role};
use crate::shm::participant::{self, Id};
use crate::shm::segment::{AttachError, Segment};
use std::any::Any;
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

/// What this process has attached, so that a handle that arrives twice uses one mapping. Also held while one attaches anew: a child's
/// threads may all notice the fork at once.
static OPEN: Mutex<Vec<Weak<dyn Attached>>> = Mutex::new(Vec::new());

/// What stands on an attachment: a queue, or an object.
pub(crate) trait Attached: Send + Sync + 'static {
    fn attachment(&self) -> &Attachment;
    /// What this process holds that gives plain references into the segment, in words. Not what it
    /// inherited.
    fn open_guard(&self) -> Option<&'static str>;
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
    /// never shows here, where the word is believed only after a slower look.
    incarnation: AtomicU32,
    attached_in: AtomicU32,
    me: AtomicU32,
    pub(crate) barrier: Barrier,
    pub(crate) locks: Locks,
    pub(crate) segment: Segment,
}

impl Attachment {
    /// Makes the holder of an entry's liveness lock a participant. The last value is true if a predecessor died in that entry: the caller
    /// repairs first what it left.
    pub(crate) fn over(segment: Segment, entry: u32) -> Result<(Attachment, bool), AttachFailure> {
        let prepared = Incarnation::word()
            .and_then(|word| install_fork_handlers().map(|()| word))
            .and_then(|word| install_exit_handler().map(|()| word))
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
        let barrier = Barrier::register(segment.has_full_fence());
        let attachment = Attachment {
            fork_word,
            incarnation: AtomicU32::new(shown_by(fork_word, now)),
            attached_in: AtomicU32::new(now),
            me: AtomicU32::new(me.bits()),
            barrier,
            locks,
            segment,
        };
        Ok((attachment, left_behind))
    }

    /// This process's id; `None` after a fork, until it has attached anew (Invariant 1).
    #[inline(always)]
    pub(crate) fn known_me(&self) -> Option<Id> {
        // Acquire pairs with the store in `attach_again`: the incarnation comes with its id. Free on x86.
        if self.fork_word.peek() == self.incarnation.load(Acquire) {
            Id::from_bits(self.me.load(Relaxed))
        } else {
            self.known_me_where_nothing_is_wiped()
        }
    }

    /// Where the fork word alone does not tell a raw-forked child from its parent.
    #[cold]
    fn known_me_where_nothing_is_wiped(&self) -> Option<Id> {
        let attached = !self.fork_word.is_wiped_in_children() && self.attached_in.load(Acquire) == self.fork_word.current();
        attached.then(|| Id::from_bits(self.me.load(Relaxed))).flatten()
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
        if self.attached_in.load(Acquire) == now {
            if let Some(me) = Id::from_bits(self.me.load(Relaxed)) {
                return Ok((me, false));
            }
        }
        let entry = self.segment.reattach()?;
        let left_behind = self.segment.entries()[entry as usize].pid.load(Relaxed) != 0;
        let me = participant::register(&self.segment, entry);
        self.barrier.register_again();
        self.me.store(me.bits(), Relaxed);
        self.attached_in.store(now, Release);
        self.incarnation.store(shown_by(self.fork_word, now), Release);
        Ok((me, left_behind))
    }
}

fn shown_by(fork_word: Incarnation, now: u32) -> u32 {
    if fork_word.is_wiped_in_children() { now } else { 0 }
}

impl Attachment {
    /// Gives up what makes this process a participant.
    fn leave(&self, how: Leaving) {
        let Some(me) = self.known_me() else {
            // A child that never attached holds no liveness lock: it only keeps the name.
            return self.segment.detach_unused();
        };
        if how == Leaving::Exit && self.segment.kind() == kind::BARRIER {
            // The other parties would wait for a process that goes without a word for ever.
            self.segment.head().rare.recoveries.fetch_add(1, SeqCst);
        }
        if let Some(entry) = self.segment.entries().get(me.entry() as usize) {
            // Left in good order: whoever takes this entry next has nothing to repair.
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
        // The last owner: nobody is in the middle of anything.
        self.leave(Leaving::Alone);
    }
}

/// How a process gives up what makes it a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// No thread of it is in the middle of anything.
    Alone,
    /// Other threads may be, and are until the process ends: their locks and guards are those of the
    /// dead once the kernel has ended them, and not a moment earlier. So the liveness lock stays.
    AtWork,
    /// The same, at a normal end of a program that has not dropped its handle.
    Exit,
}

/// Leaves everything that this process has attached, in good order: for one that is about to end, or
/// to use nothing of it, and drops nothing.
pub(crate) fn leave_all(how: Leaving) {
    leave_those(lock_open(), how);
}

fn leave_those(list: OpenGuard, how: Leaving) {
    let open: Vec<Arc<dyn Attached>> = list.iter().filter_map(Weak::upgrade).collect();
    drop(list);
    open.iter().for_each(|attached| attached.attachment().leave(how));
    // Never dropped: they have left, and must not do so again.
    std::mem::forget(open);
}

/// How often `exit` looks for the mutex of [`OPEN`], and how long it waits in between: about 2 s. Others
/// hold it while they fork beside gigabytes, or populate them in a forked child.
const EXIT_LOOKS: u32 = 10_000;
const EXIT_MOMENT: Duration = Duration::from_micros(200);

/// Has the names given back at a normal end of the program: handles in a `static`, or in a thread
/// that is blocked, are never dropped.
fn install_exit_handler() -> io::Result<()> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    // SAFETY: a plain function that lives as long as the program. A forked child inherits its
    // registration.
    let installed = *INSTALLED.get_or_init(|| unsafe { libc::atexit(at_exit) } == 0);
    if installed { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// Runs in `exit`, before the kernel ends the other threads: nothing is unmapped under them, and
/// their liveness locks stay.
extern "C" fn at_exit() {
    for _ in 0..EXIT_LOOKS {
        // Never for ever: `exit` may have been called in a signal handler, above a frame that holds
        // the mutex.
        match OPEN.try_lock() {
            Ok(open) => return leave_those(open, Leaving::Exit),
            Err(TryLockError::Poisoned(poisoned)) => return leave_those(poisoned.into_inner(), Leaving::Exit),
            Err(TryLockError::WouldBlock) => std::thread::sleep(EXIT_MOMENT),
        }
    }
}

/// What this process holds that gives plain references into shared memory, and the name of the
/// segment, if there is any such: a child that is forked now has these references too, while the
/// guard is its parent's.
pub(crate) fn open_guard() -> Option<(&'static str, String)> {
    let open: Vec<Arc<dyn Attached>> = lock_open().iter().filter_map(Weak::upgrade).collect();
    open.iter().find_map(|attached| Some((attached.open_guard()?, attached.attachment().segment.name().to_owned())))
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
