//! What this process has attached: so that a handle that arrives twice uses one mapping, and for
//! what becomes of it at a fork and at the end of the process.
//!
//! Invariants:
//! 1. The mutex of [`OPEN`] is held across every fork, so that no child inherits it locked.
//!    Nothing is dropped under it.
//! 2. Each upgrade of a listed reference is part of a [`Visit`], unless it ends as a handle.

use super::visit::{self, Visit};
use super::{Attached, Leaving};
use crate::os::{on_exit, on_fork};
use crate::shm::segment::{Due, retry_deferred};
use std::cell::UnsafeCell;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

/// An attachment of this process, or a view of one.
pub(super) struct Listed {
    pub attached: Weak<dyn Attached>,
    /// Address of what it shares with its origin and other views: it names them all while one of
    /// them is alive.
    pub family: usize,
    pub is_view: bool,
}

/// Also held while a forked child attaches anew: its threads may all notice the fork at once.
static OPEN: Mutex<Vec<Listed>> = Mutex::new(Vec::new());

pub(super) type OpenGuard = MutexGuard<'static, Vec<Listed>>;

struct HeldAcrossFork(UnsafeCell<Option<OpenGuard>>);
// SAFETY: only the fork handlers use it, between taking the mutex and letting go of it, in the one
// thread that forks.
unsafe impl Sync for HeldAcrossFork {}
static HELD: HeldAcrossFork = HeldAcrossFork(UnsafeCell::new(None));

pub(super) fn lock_open() -> OpenGuard {
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

unsafe extern "C" fn after_fork_in_child() {
    // The threads of those visits are the parent's.
    visit::forget_all();
    // SAFETY: as in the parent.
    unsafe { after_fork() };
}

/// Installs what runs at a fork and at the end of the process. After the fork handlers of the
/// segment's descriptors, so that this mutex is taken before theirs, as everywhere else.
pub(super) fn install_handlers() -> io::Result<()> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    let install = || on_fork(before_fork, after_fork, after_fork_in_child).and_then(|()| on_exit(at_exit));
    match INSTALLED.get_or_init(|| install().err().map(|error| error.raw_os_error().unwrap_or(0))) {
        None => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(*error)),
    }
}

/// For a visit.
fn all_of(list: &[Listed]) -> Vec<Arc<dyn Attached>> {
    list.iter().filter_map(|listed| listed.attached.upgrade()).collect()
}

/// Leaves everything that this process has attached, in good order: for one that is about to end,
/// or to use nothing of it, and drops nothing.
pub(crate) fn leave_all(how: Leaving) {
    leave_those(lock_open(), how);
}

fn leave_those(mut list: OpenGuard, how: Leaving) {
    let _visit = Visit::begin();
    let open = all_of(&list);
    // A process that has left by `process::leave` has nothing to leave when it exits.
    list.clear();
    drop(list);
    if how == Leaving::Alone {
        open.iter().for_each(|attached| attached.end_roles());
    }
    open.iter().for_each(|attached| attached.attachment().leave(how));
    retry_deferred(Due::All);
    // Never dropped: they have left, and must not do so again.
    std::mem::forget(open);
}

/// How often `exit` tries the mutex of [`OPEN`], and how long it waits in between: about 2 s. Other
/// threads hold it while they fork beside gigabytes, or populate them in a forked child.
const EXIT_TRIES: u32 = 10_000;
const EXIT_MOMENT: Duration = Duration::from_micros(200);

/// Gives the names back at a normal end of the program: handles in a `static`, or in a thread that
/// is blocked, are never dropped. Runs in `exit`, before the kernel ends the other threads: nothing
/// is unmapped under them, and their liveness lock stays.
extern "C" fn at_exit() {
    for _ in 0..EXIT_TRIES {
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
    let _visit = Visit::begin();
    let open = all_of(&lock_open());
    open.iter().find_map(|attached| Some((attached.open_guard()?, attached.attachment().segment.name().to_owned())))
}

/// Notes what was attached, for [`find`].
pub(crate) fn remember<T: Attached>(attached: &Arc<T>) {
    let mut open = lock_open();
    open.retain(|other| other.attached.strong_count() > 0);
    let (weak, attachment): (Weak<T>, _) = (Arc::downgrade(attached), attached.attachment());
    open.push(Listed { attached: weak, family: attachment.family_address(), is_view: attachment.is_view() });
}

/// What this process has attached already, if it is this.
pub(crate) fn find<T: Attached>(is_this: impl Fn(&T) -> bool) -> Option<Arc<T>> {
    // Collected first: what this becomes the last owner of must not be dropped under the mutex
    // (Invariant 1).
    let _visit = Visit::begin();
    let open = all_of(&lock_open());
    open.into_iter().filter_map(|attached| attached.into_any().downcast::<T>().ok()).find(|attached| is_this(attached))
}
