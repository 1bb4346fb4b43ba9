//! [`Value`]: one plain value that changes as a whole.
//!
//! ```text
//!   changes   n: copy n % 2 counts --write the other copy--> --n + 1--> the other one counts
//! ```
//!
//! Invariants:
//! 1. Both copies are read and written under the lock only. A change writes the copy that does not
//!    count, and then makes it count with one store: a process killed anywhere leaves the value as
//!    it was, or as it meant it to be.

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use super::{Plain, SyncError};
use crate::attachment::Attached;
use crate::error::CreateError;
use crate::message::bytes_of;
use crate::message::copy::read_message;
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::ValueWords;
use crate::shm::participant::Id;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// One plain value that all processes see and change as a whole: Python's `multiprocessing.Value`.
///
/// **If a process dies** anywhere in a call, the value is what it was, or what that process was
/// about to make of it, never a mixture; the others continue, and there is nothing to repair. For
/// data that are changed in place use a [`Mutex`](crate::sync::Mutex).
///
/// **If a process is stopped** (`SIGSTOP`) in the middle of an [`update`](Self::update), the others
/// wait for it: for ever in `get`, `set` and `update`, until their deadlines in the forms with one,
/// and not at all in the `try_` forms.
///
/// **In a signal handler** the `try_` forms may be called: [`SyncError::WouldBlock`] if the handler
/// interrupts a call of its own thread. The others may not: they would wait for the thread that
/// they interrupt. See the [module](crate::sync#signal-handlers).
///
/// ```
/// let counter = shmq::sync::Value::new(40u64)?;
/// counter.update(|n| *n += 2)?;
/// assert_eq!(counter.get()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Value<T> {
    primitive: Arc<Primitive>,
    holds: PhantomData<fn() -> T>,
}

handle! {
    "value", new: "shmq::sync::Value::new(1u64)?", path: "shmq::sync::Value::<u64>",
    [T: Plain] Value<T>, PrimitiveKind::of::<T>(Kind::Value)
}

/// Unlocks, also where the caller's function panics: its value counts only if it came back. In a
/// child that was forked by that function it is the parent's, and does nothing.
struct Entered<'o> {
    primitive: &'o Primitive,
    me: Id,
    incarnation: u32,
}

impl Entered<'_> {
    fn is_inherited(&self) -> bool {
        self.primitive.incarnation() != self.incarnation
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.is_inherited() {
            // The next caller gets the error.
            let _ = self.primitive.exit(self.me);
        }
    }
}

impl<T: Plain> Value<T> {
    fn over(primitive: Arc<Primitive>) -> Value<T> {
        Value { primitive, holds: PhantomData }
    }

    /// Settings for a value to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Value::builder(5u64).max_participants(9).create()?.get()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(value: T) -> PrimitiveBuilder<Self> {
        let bytes = bytes_of(std::slice::from_ref(&value)).to_vec();
        // SAFETY: the builder runs it while the segment is built, before it is published.
        let init = move |cell: PrimitiveMemory| unsafe { cell.fill(&bytes) };
        PrimitiveBuilder::of(PrimitiveKind::of::<T>(Kind::Value), 1, init, Self::over)
    }

    /// Creates an anonymous value, which forked children inherit and serialised handles lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// let value = shmq::sync::Value::new([1.5f64, 2.5])?;
    /// assert_eq!(value.get()?, [1.5, 2.5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(value: T) -> Result<Value<T>, CreateError> {
        Self::builder(value).create()
    }

    /// Creates a value of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-value-create-{}", std::process::id());
    /// let value = shmq::sync::Value::create(&name, 5u64)?;
    /// assert_eq!(shmq::sync::Value::<u64>::open(&name)?.get()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, value: T) -> Result<Value<T>, CreateError> {
        Self::builder(value).name(name).create()
    }

    /// Opens the value of that name, or creates it as `value` if there is none. If all its users
    /// are dead it is replaced by a new one, `value`, unless it was persisted: see the
    /// [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-value-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Value::open_or_create(&name, 5u64)?;
    /// let second = shmq::sync::Value::open_or_create(&name, 6u64)?;
    /// assert_eq!(second.get()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, value: T) -> Result<Value<T>, CreateError> {
        Self::builder(value).name(name).open_or_create()
    }

    blocking_forms! {
        /// A copy of the value. Waits while another thread or process is in the middle of an
        /// [`update`](Self::update).
        ///
        /// # Errors
        /// [`SyncError::Poisoned`], or what kept this process from attaching after a fork.
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let value = shmq::sync::Value::new(1u64)?;
        /// assert_eq!(value.get_timeout(Duration::from_millis(10))?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, get_timeout, get_deadline,
        |self, wait| -> Result<T, SyncError> { self.get_by(wait) }
    }

    /// A copy of the value, unless another is in the middle of an [`update`](Self::update):
    /// [`SyncError::WouldBlock`] then, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// ```
    /// use shmq::sync::{SyncError, Value};
    ///
    /// let value = Value::new(1u64)?;
    /// value.update(|n| {
    ///     assert!(matches!(value.try_get(), Err(SyncError::WouldBlock)));
    ///     *n += 1;
    /// })?;
    /// assert_eq!(value.try_get()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_get(&self) -> Result<T, SyncError> {
        self.get_by(Wait::Never)
    }

    blocking_forms! {
        /// Replaces the value, and returns the one that it had. Waits as [`get`](Self::get) does.
        ///
        /// # Errors
        /// As [`get`](Self::get); the value is what it was.
        ///
        /// ```
        /// let value = shmq::sync::Value::new(1u64)?;
        /// assert_eq!(value.set(2)?, 1);
        /// assert_eq!(value.get()?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        set, set_timeout, set_deadline,
        |self, wait, value: T| -> Result<T, SyncError> { self.set_by(wait, value) }
    }

    /// As [`set`](Self::set), unless another is in the middle of an [`update`](Self::update):
    /// [`SyncError::WouldBlock`] then, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// ```
    /// assert_eq!(shmq::sync::Value::new(1u64)?.try_set(2)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_set(&self, value: T) -> Result<T, SyncError> {
        self.set_by(Wait::Never, value)
    }

    blocking_forms! {
        /// Lets `change` work on a copy of the value, and makes that the value if `change` returns;
        /// returns the new value. No other caller reaches the value meanwhile. If `change` panics,
        /// or the process dies in it, the value is what it was.
        ///
        /// # Errors
        /// As [`get`](Self::get), and `change` was not called; [`SyncError::Inherited`] in a child
        /// that `change` forked: the change is the parent's.
        ///
        /// ```
        /// let highest = shmq::sync::Value::new(3u64)?;
        /// assert_eq!(highest.update(|n| *n = (*n).max(7))?, 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        update, update_timeout, update_deadline,
        |self, wait, change: impl FnOnce(&mut T)| -> Result<T, SyncError> { self.update_by(wait, change) }
    }

    /// As [`update`](Self::update), unless another is in the middle of one:
    /// [`SyncError::WouldBlock`] then, at once, and `change` is not called.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`update`](Self::update).
    ///
    /// ```
    /// assert_eq!(shmq::sync::Value::new(1u64)?.try_update(|n| *n += 1)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_update(&self, change: impl FnOnce(&mut T)) -> Result<T, SyncError> {
        self.update_by(Wait::Never, change)
    }

    fn get_by(&self, wait: Wait) -> Result<T, SyncError> {
        let _entered = self.enter(wait)?;
        Ok(self.read())
    }

    fn set_by(&self, wait: Wait, value: T) -> Result<T, SyncError> {
        let _entered = self.enter(wait)?;
        let old = self.read();
        self.write(&value);
        Ok(old)
    }

    fn update_by(&self, wait: Wait, change: impl FnOnce(&mut T)) -> Result<T, SyncError> {
        let entered = self.enter(wait)?;
        let mut value = self.read();
        change(&mut value);
        if entered.is_inherited() {
            return Err(SyncError::Inherited);
        }
        self.write(&value);
        Ok(value)
    }

    fn enter(&self, wait: Wait) -> Result<Entered<'_>, SyncError> {
        let me = self.primitive.me()?;
        // Nothing to repair after a death (Invariant 1).
        self.primitive.enter_for_work(me, wait)?;
        Ok(Entered { primitive: &self.primitive, me, incarnation: self.primitive.incarnation() })
    }

    fn words(&self) -> &ValueWords {
        // SAFETY: the words of a value.
        unsafe { self.primitive.cell().words::<ValueWords>() }
    }

    /// The copy that counts at `changes`.
    fn copy(&self, changes: u64) -> *mut u8 {
        let stride = Geometry::copy_stride(size_of::<T>() as u64, align_of::<T>() as u64) as usize;
        self.primitive.cell().data().wrapping_add((changes % 2) as usize * stride)
    }

    /// Needs the lock.
    fn read(&self) -> T {
        // Acquire: a locker that takes over from the dead is not ordered by the lock, but by this
        // word.
        let from = self.copy(self.words().changes.load(Acquire));
        // SAFETY: the data hold two copies (geometry), each at a multiple of a cache line, and the
        // lock keeps others from writing. Any bits are a T (Plain).
        unsafe { read_message::<T>(from.cast()).assume_init() }
    }

    /// Needs the lock.
    fn write(&self, value: &T) {
        let changes = self.words().changes.load(Relaxed);
        let bytes = bytes_of(std::slice::from_ref(value));
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.copy(changes.wrapping_add(1)), bytes.len()) };
        // Release: the copy comes before the word that makes it count, also for a locker that takes
        // the lock over from us.
        self.words().changes.store(changes.wrapping_add(1), Release);
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Value").field(&self.primitive).finish()
    }
}
