//! [`Array`]: a slice of plain data that one thread of one process uses at a time.

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::mutex::MutexGuard;
use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use super::{LockError, Plain};
use crate::attachment::Kept;
use crate::error::CreateError;
use crate::message::bytes_of;
use crate::shm::kind::Kind;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

/// A slice of plain data that one thread of one process uses at a time: Python's
/// `multiprocessing.Array`.
///
/// It is a [`Mutex`](crate::sync::Mutex) over `[X]`, of a length that its creator chose: all that
/// is said there of dead holders and of guards holds here.
///
/// ```
/// use shmq::{Process, sync::Array};
///
/// let squares = Array::<u64>::new(vec![0; 10])?;
/// let inherited = squares.clone();
/// let child = Process::spawn(move || {
///     for (n, square) in inherited.lock().unwrap().iter_mut().enumerate() {
///         *square = (n * n) as u64;
///     }
/// })?;
/// assert!(child.join()?.success());
/// assert_eq!(squares.lock().unwrap()[9], 81);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Array<X> {
    primitive: Arc<Primitive>,
    guards: PhantomData<fn() -> X>,
}

handle! {
    "array", new: "shmq::sync::Array::<u64>::new([1, 2, 3])?", path: "shmq::sync::Array::<u64>",
    [X: Plain] Array<X>, PrimitiveKind::of::<X>(Kind::Array)
}

impl<X: Plain> Array<X> {
    const SIZED: () = assert!(size_of::<X>() > 0, "an array of zero-sized elements has nothing to guard: use Mutex<()>");

    fn over(primitive: Arc<Primitive>) -> Array<X> {
        Array { primitive, guards: PhantomData }
    }

    /// Settings for an array to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Array::builder([1u8, 2]).max_participants(9).create()?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(elements: impl AsRef<[X]>) -> PrimitiveBuilder<Self> {
        let () = Self::SIZED;
        let (count, bytes) = (elements.as_ref().len() as u64, bytes_of(elements.as_ref()).to_vec());
        // SAFETY: the builder runs it while the segment is built, before it is published.
        let init = move |cell: PrimitiveMemory| unsafe { cell.fill(&bytes) };
        PrimitiveBuilder::of(PrimitiveKind::of::<X>(Kind::Array), count, init, Self::over)
    }

    /// Creates an anonymous array of these elements, which forked children inherit and serialised
    /// handles lead to. Its length is fixed from then on.
    ///
    /// # Errors
    /// [`CreateError::OutOfRange`] without elements; otherwise [`CreateError`].
    ///
    /// ```
    /// let array = shmq::sync::Array::<u32>::new(vec![7; 100])?;
    /// assert_eq!(array.len(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(elements: impl AsRef<[X]>) -> Result<Array<X>, CreateError> {
        Self::builder(elements).create()
    }

    /// Creates an array of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-array-create-{}", std::process::id());
    /// let array = shmq::sync::Array::<f32>::create(&name, [0.5; 8])?;
    /// assert_eq!(array.lock().unwrap()[7], 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, elements: impl AsRef<[X]>) -> Result<Array<X>, CreateError> {
        Self::builder(elements).name(name).create()
    }

    /// Opens the array of that name, with the length and the elements that it has, or creates it
    /// with these. If all its users are dead it is replaced by a new one of these elements, unless
    /// it was persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-array-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Array::<u8>::open_or_create(&name, [1, 2, 3])?;
    /// let second = shmq::sync::Array::<u8>::open_or_create(&name, [0])?;
    /// assert_eq!(second.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, elements: impl AsRef<[X]>) -> Result<Array<X>, CreateError> {
        Self::builder(elements).name(name).open_or_create()
    }

    /// Number of elements, at least 1.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Array::<u8>::new([1, 2, 3])?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::len_without_is_empty, reason = "there are no empty ones")]
    pub fn len(&self) -> usize {
        self.primitive.count() as usize
    }

    blocking_forms! {
        /// Locks all elements; waits while another thread or process has the lock. The guard
        /// unlocks when it is dropped.
        ///
        /// # Errors
        /// [`LockError::OwnerDied`] with the guard if the last holder died or panicked; otherwise
        /// [`LockError::Failed`], and it is not locked.
        ///
        /// ```
        /// let array = shmq::sync::Array::<u32>::new([1, 2, 3])?;
        /// array.lock().unwrap().reverse();
        /// assert_eq!(*array.lock().unwrap(), [3, 2, 1]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock, lock_timeout, lock_deadline,
        |self, wait| -> Result<MutexGuard<'_, [X]>, LockError<MutexGuard<'_, [X]>>> { self.lock_by(wait) }
    }

    /// Locks if the lock is free, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// let array = shmq::sync::Array::<u32>::new([1])?;
    /// let guard = array.try_lock().unwrap();
    /// assert!(array.try_lock().is_err());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock(&self) -> Result<MutexGuard<'_, [X]>, LockError<MutexGuard<'_, [X]>>> {
        self.lock_by(Wait::Never)
    }

    fn lock_by(&self, wait: Wait) -> Result<MutexGuard<'_, [X]>, LockError<MutexGuard<'_, [X]>>> {
        let elements = ptr::slice_from_raw_parts_mut(self.primitive.cell().data().cast::<X>(), self.len());
        MutexGuard::lock(Kept::Borrowed(&self.primitive), elements, wait)
    }

    blocking_forms! {
        /// Locks all elements, with a guard that keeps the array attached by itself, and so may
        /// outlive this handle. As [`Mutex::lock_owned`](crate::sync::Mutex::lock_owned).
        ///
        /// # Errors
        /// As [`lock`](Self::lock).
        ///
        /// ```
        /// let array = shmq::sync::Array::<u32>::new([1, 2, 3])?;
        /// let mut guard = array.lock_owned().unwrap();
        /// drop(array);
        /// guard.reverse();
        /// assert_eq!(*guard, [3, 2, 1]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock_owned, lock_owned_timeout, lock_owned_deadline,
        |self, wait| -> Result<MutexGuard<'static, [X]>, LockError<MutexGuard<'static, [X]>>> { self.lock_owned_by(wait) }
    }

    /// As [`try_lock`](Self::try_lock), with a guard as of [`lock_owned`](Self::lock_owned).
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// let array = shmq::sync::Array::<u32>::new([1])?;
    /// let guard = array.try_lock_owned().unwrap();
    /// assert!(array.try_lock_owned().is_err());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock_owned(&self) -> Result<MutexGuard<'static, [X]>, LockError<MutexGuard<'static, [X]>>> {
        self.lock_owned_by(Wait::Never)
    }

    fn lock_owned_by(&self, wait: Wait) -> Result<MutexGuard<'static, [X]>, LockError<MutexGuard<'static, [X]>>> {
        let elements = ptr::slice_from_raw_parts_mut(self.primitive.cell().data().cast::<X>(), self.len());
        MutexGuard::lock(Kept::owned(&self.primitive), elements, wait)
    }
}

#[cfg(feature = "object")]
impl Array<u64> {
    /// The elements as atomics, without the lock: for one who has all handles of the array and
    /// locks none.
    pub(crate) fn atomics(&self) -> &[std::sync::atomic::AtomicU64] {
        let first = self.primitive.cell().data().cast::<std::sync::atomic::AtomicU64>();
        // SAFETY: the cell's data are that many aligned `u64`, mapped as long as the primitive lives
        // (`primitive`, Invariant 1). The creator wrote them before the segment was published. From
        // then on they are accessed through this method only, so atomically.
        unsafe { std::slice::from_raw_parts(first, self.len()) }
    }
}

impl<X> fmt::Debug for Array<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Array").field(&self.primitive).finish()
    }
}
