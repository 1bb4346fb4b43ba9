//! Descriptors of segments, and what happens to them in a forked child.
//!
//! ```text
//!                        fork (handlers run)                 reattach
//!  parent: number -> D1  parent: number -> D1
//!                        child:  number -> D2, keeps the     number -> D2, takes a liveness lock
//!                                name; -1 if refused         (-1: opened by name, inode compared)
//!                        fork (raw, no handlers)
//!                        child:  number -> D1, with the      number -> D2, keeps the name, takes
//!                                parent's locks              a liveness lock
//! ```
//!
//! Between the fork and the end of its handler a child keeps the names of its parent through copies
//! of the parent's descriptions, and the parent, which may exit before the child runs at all, must
//! not unlock those: see `pending_fork.rs`.
//!
//! Invariants:
//! 1. Descriptors are opened, listed, replaced and closed under the mutex of [`LISTED`], which the
//!    fork handlers hold around a fork: a child finds every description that it inherited in the
//!    list. A lock is taken only through a listed descriptor.
//! 2. Before a number is replaced or closed, the file behind it is compared (`file_id`, Invariant
//!    1).
//! 3. What runs in the child of a fork takes no lock, allocates nothing and frees nothing: it uses
//!    `fstat`, `open`, `fcntl`, `close` and atomics only.
//! 4. Nothing here unlocks at drop: in a child that would drop the parent's lock. Descriptors are
//!    closed, never unlocked.
//! 5. `own_in` names the incarnation whose description is behind the number. Callers that change
//!    locks check it first ([`Descriptor::is_own`]): in a raw-forked child the description is still
//!    the parent's.

use super::file_id::{FileId, LOST, STANDARD_NUMBERS, close_if, close_number, file_behind};
use super::pending_fork::PendingForks;
use crate::os;
use crate::shm::layout::KEEPERS_OFFSET;
use std::cell::UnsafeCell;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

/// How often an exiting process tries the mutex of [`LISTED`], and how long it waits in between:
/// about 50 ms in total.
const LIST_ATTEMPTS: u32 = 250;
const LIST_MOMENT: Duration = Duration::from_micros(200);

static LISTED: Mutex<Listed> = Mutex::new(Listed { slots: Vec::new(), pending_forks: PendingForks::new() });

struct Listed {
    slots: Vec<Arc<Slot>>,
    pending_forks: PendingForks,
}

#[derive(Debug)]
struct Slot {
    number: AtomicI32,
    file: FileId,
    /// Used within one call, whose thread does not exist in a forked child.
    transient: bool,
    /// Incarnation that opened the description (Invariant 5).
    own_in: AtomicU32,
    /// How many forks there had been when the description was opened.
    forks_before: AtomicU64,
    /// Does the description hold the lock that keeps the name?
    keeps_name: AtomicBool,
}

impl Slot {
    fn borrow(&self) -> io::Result<BorrowedFd<'_>> {
        match self.number.load(Ordering::Relaxed) {
            LOST => Err(io::Error::from_raw_os_error(libc::EBADF)),
            // SAFETY: the number is not -1, and is closed only at drop (which needs the descriptor
            // itself) or in a fork handler, when no other thread exists (Invariant 3).
            number => Ok(unsafe { BorrowedFd::borrow_raw(number) }),
        }
    }

    fn is_own(&self) -> bool {
        self.own_in.load(Ordering::Relaxed) == incarnation()
    }

    fn stop_keeping_name(&self) -> io::Result<()> {
        match self.keeps_name.swap(false, Ordering::Relaxed) {
            true => os::unlock_range(self.borrow()?, KEEPERS_OFFSET, 1),
            false => Ok(()),
        }
    }

    /// Gives the slot a description of this process's own, which keeps the name if the previous one
    /// did. Async-signal-safe. `false`: this process has lost its descriptor, or cannot open
    /// another.
    fn renew(&self, own_in: u32, forks_before: u64) -> bool {
        let stale = self.number.load(Ordering::Relaxed);
        if file_behind(stale) != Some(self.file) {
            return false;
        }
        let Ok(fresh) = os::open_again(stale, STANDARD_NUMBERS) else { return false };
        if self.keeps_name.load(Ordering::Relaxed) {
            // Before the copy of the parent's description is closed, so that the name is kept
            // without a gap.
            // SAFETY: `fresh` was just opened and no other code knows it.
            let _ = os::share_range(unsafe { BorrowedFd::borrow_raw(fresh) }, KEEPERS_OFFSET, 1);
        }
        self.number.store(fresh, Ordering::Relaxed);
        self.own_in.store(own_in, Ordering::Relaxed);
        self.forks_before.store(forks_before, Ordering::Relaxed);
        close_number(stale);
        true
    }

    /// Leaves the slot without a description. Async-signal-safe.
    fn lose(&self) {
        self.keeps_name.store(false, Ordering::Relaxed);
        close_if(self.number.swap(LOST, Ordering::Relaxed), self.file);
    }
}

/// What a detaching process must know of its forks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forks {
    /// A child has not finished its fork handler: it keeps, through the same description, whatever
    /// this process keeps.
    pub are_pending: bool,
    /// There were some since the descriptor was opened.
    pub have_inherited: bool,
    /// Another thread made one a moment ago, perhaps to execute a program.
    pub are_recent: bool,
}

/// A read-write descriptor with an open description of its own.
#[derive(Debug)]
pub(super) struct Descriptor(Arc<Slot>);

impl Descriptor {
    /// For as long as a segment is attached.
    pub fn open(path: &Path) -> io::Result<Descriptor> {
        Descriptor::open_slot(path, false)
    }

    /// For use within one call; a child forked meanwhile closes it.
    pub fn open_transient(path: &Path) -> io::Result<Descriptor> {
        Descriptor::open_slot(path, true)
    }

    fn open_slot(path: &Path, transient: bool) -> io::Result<Descriptor> {
        install_fork_handlers()?;
        let mut listed = lock_list();
        let (number, file) = open_number(path)?;
        let slot = Arc::new(Slot {
            number: AtomicI32::new(number),
            file,
            transient,
            own_in: AtomicU32::new(if transient { 0 } else { incarnation() }),
            forks_before: AtomicU64::new(listed.pending_forks.count()),
            keeps_name: AtomicBool::new(false),
        });
        listed.slots.push(slot.clone());
        Ok(Descriptor(slot))
    }

    pub fn file(&self) -> FileId {
        self.0.file
    }

    /// Is it still open? A program may have closed descriptors that are not its own.
    pub fn is_open(&self) -> bool {
        file_behind(self.0.number.load(Ordering::Relaxed)) == Some(self.0.file)
    }

    /// Is the description this process's own (Invariant 5)?
    pub fn is_own(&self) -> bool {
        self.0.is_own()
    }

    /// What the forked children of this process have of the descriptor.
    pub fn forks(&self) -> Forks {
        self.forks_of(&mut lock_list())
    }

    /// The same in `exit`, which may run in a signal handler above a frame that holds the mutex.
    /// `None` if the list stays locked.
    pub fn try_forks(&self) -> Option<Forks> {
        try_lock_list().map(|mut listed| self.forks_of(&mut listed))
    }

    fn forks_of(&self, listed: &mut Listed) -> Forks {
        let forks = &mut listed.pending_forks;
        Forks {
            are_pending: forks.any(),
            have_inherited: forks.count() != self.0.forks_before.load(Ordering::Relaxed),
            are_recent: forks.is_recent_elsewhere(),
        }
    }

    pub(super) fn borrow(&self) -> io::Result<BorrowedFd<'_>> {
        self.0.borrow()
    }

    fn with_file<R>(&self, call: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
        // SAFETY: an open descriptor (borrowed), and ManuallyDrop leaves closing it to Invariant 1.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(self.borrow()?.as_raw_fd()) });
        call(&file)
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        self.with_file(File::metadata)
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.with_file(|file| file.set_permissions(Permissions::from_mode(mode)))
    }

    /// Reads without a mapping, so that a file that is too short gives an error and not a signal.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.with_file(|file| file.read_exact_at(bytes, offset))
    }

    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        os::without_sigxfsz(|| self.with_file(|file| file.write_all_at(bytes, offset)))
    }

    /// Passes the number to a system call that std does not have.
    pub fn with_number<R>(&self, call: impl FnOnce(RawFd) -> R) -> io::Result<R> {
        Ok(call(self.borrow()?.as_raw_fd()))
    }

    /// Keeps the name, together with all others that do. `Ok(false)`: a detaching process is
    /// removing it at this moment.
    pub fn keep_name(&self) -> io::Result<bool> {
        let kept = os::share_range(self.borrow()?, KEEPERS_OFFSET, 1)?;
        if kept {
            self.0.keeps_name.store(true, Ordering::Relaxed);
        }
        Ok(kept)
    }

    pub fn keeps_name(&self) -> bool {
        self.0.keeps_name.load(Ordering::Relaxed)
    }

    /// Stops keeping the name. For the owner of the description only.
    pub fn stop_keeping_name(&self) -> io::Result<()> {
        self.0.stop_keeping_name()
    }

    /// Gives a forked child a description of its own, unless its fork handler did. It keeps the
    /// name if the inherited one did. `Ok(false)`: the descriptor is lost, and `path` leads
    /// elsewhere by now.
    pub fn renew(&self, path: &Path) -> io::Result<bool> {
        install_fork_handlers()?;
        let listed = lock_list();
        let (incarnation, forks_before) = (incarnation(), listed.pending_forks.count());
        if (self.is_own() && self.is_open()) || self.0.renew(incarnation, forks_before) {
            return Ok(true);
        }
        let (fresh, file) = match open_number(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let found = file == self.0.file;
        if found {
            self.0.lose();
            self.0.number.store(fresh, Ordering::Relaxed);
            self.0.own_in.store(incarnation, Ordering::Relaxed);
            self.0.forks_before.store(forks_before, Ordering::Relaxed);
        } else {
            close_number(fresh);
        }
        Ok(found)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut listed = lock_list();
        listed.slots.retain(|slot| !Arc::ptr_eq(slot, &self.0));
        let number = self.0.number.load(Ordering::Relaxed);
        // If the program closed our number, a later descriptor of the same file may have been given
        // it.
        if !listed.slots.iter().any(|slot| slot.number.load(Ordering::Relaxed) == number) {
            close_if(number, self.0.file);
        }
    }
}

fn lock_list() -> MutexGuard<'static, Listed> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` if the list stays locked.
fn try_lock_list() -> Option<MutexGuard<'static, Listed>> {
    for _ in 0..LIST_ATTEMPTS {
        match LISTED.try_lock() {
            Ok(listed) => return Some(listed),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LIST_MOMENT),
        }
    }
    None
}

/// Runs `run` while no thread forks.
pub(super) fn without_forks<R>(run: impl FnOnce() -> R) -> R {
    let _listed = lock_list();
    run()
}

/// The same in `exit`. `None` if the list stays locked.
pub(super) fn try_without_forks<R>(run: impl FnOnce() -> R) -> Option<R> {
    let _listed = try_lock_list()?;
    Some(run())
}

/// Opens a regular file, never through a symbolic link.
fn open_number(path: &Path) -> io::Result<(RawFd, FileId)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::from_raw_os_error(libc::ENXIO));
    }
    let number = file.into_raw_fd();
    let number = if number < STANDARD_NUMBERS { os::raise(number, STANDARD_NUMBERS)? } else { number };
    Ok((number, FileId::of(&found)))
}

/// The incarnation of this process, 0 where forks are not noticed.
pub(super) fn incarnation() -> u32 {
    os::Incarnation::word().map_or(0, os::Incarnation::current)
}

/// The numbers of all descriptors of segments in this process.
pub(crate) fn descriptor_numbers() -> Vec<RawFd> {
    let of = |slot: &Arc<Slot>| slot.number.load(Ordering::Relaxed);
    lock_list().slots.iter().map(of).filter(|&number| number != LOST).collect()
}

/// Stops keeping all names that this process inherited: for our helper processes, which use the
/// program's queues, if at all, like any other process, and would otherwise keep the names for as
/// long as the program runs.
#[cfg(feature = "object")]
pub(crate) fn keep_no_names() {
    for slot in lock_list().slots.iter().filter(|slot| slot.is_own()) {
        let _ = slot.stop_keeping_name();
    }
}

/// The list's mutex, held across a fork.
struct HeldAcrossFork(UnsafeCell<Option<MutexGuard<'static, Listed>>>);
// SAFETY: only the fork handlers use it, while the forking thread holds the mutex of `LISTED`.
unsafe impl Sync for HeldAcrossFork {}

static HELD: HeldAcrossFork = HeldAcrossFork(UnsafeCell::new(None));

fn install_fork_handlers() -> io::Result<()> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    match INSTALLED
        .get_or_init(|| os::on_fork(before_fork, in_parent, in_child).err().map(|error| error.raw_os_error().unwrap_or(0)))
    {
        None => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(*error)),
    }
}

unsafe extern "C" fn before_fork() {
    let mut guard = lock_list();
    if guard.slots.iter().any(|slot| slot.keeps_name.load(Ordering::Relaxed)) {
        guard.pending_forks.begin();
    }
    // SAFETY: this thread holds the mutex, so no other is between its `before_fork` and its
    // `in_parent`.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread took the mutex in `before_fork`, which is what guards the cell. The guard
    // is moved out before it unlocks, so the next fork finds the cell empty.
    let guard = unsafe { (*HELD.0.get()).take() };
    if let Some(mut listed) = guard {
        listed.pending_forks.finish_in_parent();
    }
}

unsafe extern "C" fn in_child() {
    let own_in = os::begin_child();
    // SAFETY: the child's only thread is a copy of the one that took the mutex in `before_fork`.
    let Some(mut listed) = (unsafe { (*HELD.0.get()).take() }) else { return };
    let forks_before = listed.pending_forks.count();
    for slot in &listed.slots {
        if slot.transient || !slot.renew(own_in, forks_before) {
            slot.lose();
        }
    }
    listed.pending_forks.finish_in_child();
}
