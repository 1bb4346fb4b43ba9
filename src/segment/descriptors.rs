//! Our own descriptors of segments, and what becomes of them in a forked child.
//!
//! ```text
//!                          fork (handlers run)                      reattach
//!  parent: number -> D1    parent: number -> D1
//!                          child:  number -> D2, no locks           number -> D3, takes a pulse
//!                                  or -1 where that was refused     opened by name, inode compared
//!                          fork (raw, no handlers)
//!                          child:  number -> D1, the parent's locks number -> D2, takes a pulse
//! ```
//!
//! Invariants:
//! 1. Descriptors are opened, listed, replaced and closed under the mutex of [`LISTED`], which the fork handlers hold around a
//!    fork: a child finds every description that it inherited in the list. A lock is taken only through a listed descriptor.
//! 2. Before a number is replaced or closed, the file behind it is compared: a program may have closed our descriptor and the
//!    kernel given its number to another file.
//! 3. What runs in the child of a fork takes no lock, allocates nothing and frees nothing: it uses `fstat`, `open`, `dup3` and
//!    `close` only.
//! 4. Nothing here unlocks at drop: in a child that would drop the parent's lock. Descriptors are closed, never unlocked.

use crate::layout::{name_byte_offset, pulse_offset};
use crate::os;
use std::cell::UnsafeCell;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Number of a descriptor that this process does not have any more.
const LOST: RawFd = -1;
/// The lock on the name byte has a second byte, so that its length tells it from a pulse.
const NAME_LOCK_BYTES: u64 = 2;
/// Standard input, output and error: whoever writes there must not write into a segment.
pub(super) const STANDARD_NUMBERS: RawFd = 3;

static LISTED: Mutex<Vec<Arc<Slot>>> = Mutex::new(Vec::new());

/// Tells a file from any other, as long as somebody has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    pub device: u64,
    pub inode: u64,
}

#[derive(Debug)]
struct Slot {
    number: AtomicI32,
    file: FileId,
    /// Used within one call: its user does not exist in a forked child.
    transient: bool,
}

/// What stands in the way of a lock on the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// An attached participant, or one about to find out that it came too late.
    Pulse,
    /// Somebody who changes, or looks at, the name: gone in a moment.
    Name,
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
        let slot = Arc::new(Slot { number: AtomicI32::new(number), file, transient });
        listed.push(slot.clone());
        Ok(Descriptor(slot))
    }

    pub fn file(&self) -> FileId {
        self.0.file
    }

    /// Does this process still have it? A program may have closed descriptors that are not its own.
    pub fn is_open(&self) -> bool {
        file_behind(self.0.number.load(Ordering::Relaxed)) == Some(self.0.file)
    }

    fn borrow(&self) -> io::Result<BorrowedFd<'_>> {
        match self.0.number.load(Ordering::Relaxed) {
            LOST => Err(io::Error::from_raw_os_error(libc::EBADF)),
            // SAFETY: the number is not -1, and is closed only at drop (which needs the descriptor itself) or in a fork handler,
            // when no other thread exists (Invariant 3).
            number => Ok(unsafe { BorrowedFd::borrow_raw(number) }),
        }
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

    /// Reads without a mapping, so that a file too short is an error and not a signal.
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

    /// Takes the pulse of an entry. `Ok(false)`: somebody has it, or holds the whole file.
    pub fn lock_pulse(&self, entry: u32) -> io::Result<bool> {
        os::lock_range(self.borrow()?, pulse_offset(entry), 1)
    }

    pub fn unlock_pulse(&self, entry: u32) -> io::Result<()> {
        os::unlock_range(self.borrow()?, pulse_offset(entry), 1)
    }

    /// What stands in the way of taking this pulse.
    pub fn pulse_conflict(&self, entry: u32) -> io::Result<Option<Conflict>> {
        Ok(os::conflict_in_range(self.borrow()?, pulse_offset(entry), 1)?.map(|(_, len)| kind_of(len)))
    }

    /// Takes the right to change the name of a segment in use.
    pub fn lock_name(&self, max_participants: u32) -> io::Result<bool> {
        os::lock_range(self.borrow()?, name_byte_offset(max_participants), NAME_LOCK_BYTES)
    }

    /// Takes all pulses and the right to change the name: length 0 reaches beyond any table that any version might have.
    pub fn lock_whole(&self) -> io::Result<bool> {
        os::lock_range(self.borrow()?, 0, 0)
    }

    /// What stands in the way of [`Descriptor::lock_whole`], or the first of it.
    pub fn whole_conflict(&self) -> io::Result<Option<Conflict>> {
        Ok(os::conflict_in_range(self.borrow()?, 0, 0)?.map(|(_, len)| kind_of(len)))
    }

    pub fn unlock_whole(&self) -> io::Result<()> {
        os::unlock_range(self.borrow()?, 0, 0)
    }

    /// Gives a forked child a description of its own, whatever the fork handler did or could not do.
    /// `Ok(false)`: it is lost, and `path` leads elsewhere by now.
    pub fn renew(&self, path: &Path) -> io::Result<bool> {
        install_fork_handlers()?;
        let _listed = lock_list();
        let number = self.0.number.load(Ordering::Relaxed);
        if file_behind(number) == Some(self.0.file) && os::reopen(number).is_ok() {
            return Ok(true);
        }
        let (fresh, file) = match open_number(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let found = file == self.0.file;
        let stale = if found { self.0.number.swap(fresh, Ordering::Relaxed) } else { fresh };
        close_if(stale, file);
        Ok(found)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut listed = lock_list();
        listed.retain(|slot| !Arc::ptr_eq(slot, &self.0));
        let number = self.0.number.load(Ordering::Relaxed);
        // If the program closed our number, a later descriptor of the same file may have been given it.
        if !listed.iter().any(|slot| slot.number.load(Ordering::Relaxed) == number) {
            close_if(number, self.0.file);
        }
    }
}

fn kind_of(lock_len: u64) -> Conflict {
    if lock_len == 1 { Conflict::Pulse } else { Conflict::Name }
}

fn lock_list() -> MutexGuard<'static, Vec<Arc<Slot>>> {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a regular file, never through a symbolic link, and says which file it is.
fn open_number(path: &Path) -> io::Result<(RawFd, FileId)> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    let mut number = file.into_raw_fd();
    if number < STANDARD_NUMBERS {
        // SAFETY: duplicates, then closes, the descriptor that was just opened and nobody else knows.
        let (moved, error) = unsafe {
            let moved = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, STANDARD_NUMBERS);
            let error = io::Error::last_os_error();
            libc::close(number);
            (moved, error)
        };
        if moved == -1 {
            return Err(error);
        }
        number = moved;
    }
    Ok((number, FileId { device: found.dev(), inode: found.ino() }))
}

/// Which file a number leads to. Async-signal-safe.
fn file_behind(number: RawFd) -> Option<FileId> {
    // SAFETY: stat is plain integers, which the call fills; a number that leads nowhere is refused.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        (libc::fstat(number, &mut found) == 0).then_some(FileId { device: found.st_dev as u64, inode: found.st_ino as u64 })
    }
}

/// Closes a number that still leads to `file` (Invariant 2). Async-signal-safe.
fn close_if(number: RawFd, file: FileId) {
    if number != LOST && file_behind(number) == Some(file) {
        // SAFETY: the number is ours: it leads to our file, and it stands in one slot only (Invariant 1).
        unsafe { libc::close(number) };
    }
}

/// The list's mutex while a fork goes on.
struct HeldAcrossFork(UnsafeCell<Option<MutexGuard<'static, Vec<Arc<Slot>>>>>);
// SAFETY: only the fork handlers use it, between taking the mutex and letting go of it, in the one thread that forks.
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
    let guard = lock_list();
    // SAFETY: the mutex is held, so that no other thread is between here and its `in_parent`.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread took the mutex in `before_fork`. The guard is moved out before it unlocks, so that the next forker finds
    // the cell empty.
    let guard = unsafe { (*HELD.0.get()).take() };
    drop(guard);
}

unsafe extern "C" fn in_child() {
    // SAFETY: as in `in_parent`; the child's only thread is a copy of the one that took the mutex.
    let guard = unsafe { (*HELD.0.get()).take() };
    for slot in guard.iter().flat_map(|listed| listed.iter()) {
        let number = slot.number.load(Ordering::Relaxed);
        let ours = file_behind(number) == Some(slot.file);
        if ours && !slot.transient && os::reopen(number).is_ok() {
            continue;
        }
        if ours {
            close_if(number, slot.file);
        }
        slot.number.store(LOST, Ordering::Relaxed);
    }
    drop(guard);
}
