//! [`DynMutex`]: a [`Mutex`](super::Mutex) whose data's layout is known at run time.
//!
//! It is the same primitive, of the same kind, so `mutex.rs` says how it works. Invariant 1 there
//! holds since the length is that of the geometry, which the shape of both was compared with.

use super::LockError;
#[cfg(doc)]
use super::SyncError;
use super::builder::PrimitiveBuilder;
use super::mutex::MutexGuard;
use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use crate::attachment::Kept;
use crate::dynamic::{Form, MessageLayout};
use crate::error::{CreateError, LayoutError};
use crate::shm::kind::Kind;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// The same primitive as a [`Mutex<T>`](super::Mutex), whose data are seen as bytes. For programs
/// that have no such type: other languages, tools.
///
/// The layout is compared as the type of a `Mutex<T>` is: size and alignment, and the name of the
/// type and the structure where both sides have them. Whatever bytes are written there, a typed
/// peer takes for its data: any bits are a value, since only `Plain` types are in a `Mutex`.
///
/// ```
/// use shmq::MessageLayout;
/// use shmq::sync::{DynMutex, Mutex};
///
/// let total = Mutex::new(7u64)?;
/// // In a program that has no such type:
/// let layout = MessageLayout::value(8, 8)?.structure("u64")?;
/// let bytes = DynMutex::builder(layout, &[])?.name(total.name()).open()?;
/// bytes.lock_owned().unwrap().copy_from_slice(&8u64.to_ne_bytes());
/// assert_eq!(*total.lock().unwrap(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DynMutex {
    primitive: Arc<Primitive>,
}

type Guard = MutexGuard<'static, [u8]>;

impl DynMutex {
    fn over(primitive: Arc<Primitive>) -> DynMutex {
        DynMutex { primitive }
    }

    /// Settings for a mutex to be created or opened: see [`PrimitiveBuilder`]. A new one holds the
    /// bytes of `first`, and zeros behind them.
    ///
    /// # Errors
    /// [`LayoutError::TooLarge`] if `first` is longer than the data;
    /// [`LayoutError::NotAligned`] for a layout that is not one of values.
    ///
    /// ```
    /// use shmq::{MessageLayout, sync::DynMutex};
    ///
    /// let mutex = DynMutex::builder(MessageLayout::value(4, 4)?, &[1])?.create()?;
    /// assert_eq!(*mutex.lock_owned().unwrap(), [1, 0, 0, 0]);
    /// assert!(DynMutex::builder(MessageLayout::value(4, 4)?, &[0; 5]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(layout: MessageLayout, first: &[u8]) -> Result<PrimitiveBuilder<Self>, LayoutError> {
        let (size, align) = (layout.size(), layout.align());
        if layout.form() != Form::Value {
            return Err(LayoutError::NotAligned { size, align });
        }
        if first.len() > size {
            return Err(LayoutError::TooLarge { size: first.len(), max: size });
        }
        let shape = PrimitiveKind {
            kind: Kind::Mutex,
            unit_bytes: size,
            unit_align: align,
            type_name: layout.name_of_type().unwrap_or_default().to_owned(),
            structure: layout.structure_text().map(str::to_owned),
        };
        let first = first.to_vec();
        // SAFETY: the builder runs it while the segment is built, before it is published. The rest
        // of a new segment is zero.
        let init = move |cell: PrimitiveMemory| unsafe { cell.fill(&first) };
        Ok(PrimitiveBuilder::of(shape, 1, init, Self::over))
    }

    /// Creates an anonymous mutex, for forked children.
    ///
    /// # Errors
    /// [`CreateError`]; of a layout that is not one of values, and where `first` is longer than it,
    /// [`CreateError::BadMessage`].
    ///
    /// ```
    /// let mutex = shmq::sync::DynMutex::new(shmq::MessageLayout::value(2, 1)?, b"ab")?;
    /// assert_eq!(*mutex.lock_owned().unwrap(), *b"ab");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(layout: MessageLayout, first: &[u8]) -> Result<DynMutex, CreateError> {
        let (bytes, align) = (layout.size(), layout.align());
        let builder = DynMutex::builder(layout, first);
        builder.map_err(|_| CreateError::BadMessage { bytes, align })?.create()
    }

    blocking_forms! {
        /// Locks; waits until it is free. As [`Mutex::lock_owned`](super::Mutex::lock_owned): the
        /// guard keeps the segment attached by itself.
        ///
        /// # Errors
        /// [`LockError::OwnerDied`] with the guard if the last holder died with the lock, until
        /// [`mark_repaired`](MutexGuard::mark_repaired); otherwise as there.
        ///
        /// ```
        /// let mutex = shmq::sync::DynMutex::new(shmq::MessageLayout::value(1, 1)?, b"a")?;
        /// let guard = mutex.lock_owned().unwrap();
        /// drop(mutex);
        /// assert_eq!(guard[0], b'a');
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock_owned, lock_owned_timeout, lock_owned_deadline,
        |self, wait| -> Result<MutexGuard<'static, [u8]>, LockError<MutexGuard<'static, [u8]>>> { self.lock_by(wait) }
    }

    /// Locks if that needs no waiting.
    ///
    /// # Errors
    /// [`SyncError::WouldBlock`], or as [`lock_owned`](Self::lock_owned).
    ///
    /// ```
    /// let mutex = shmq::sync::DynMutex::new(shmq::MessageLayout::value(1, 1)?, b"a")?;
    /// let _guard = mutex.try_lock_owned().unwrap();
    /// assert!(mutex.try_lock_owned().unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock_owned(&self) -> Result<MutexGuard<'static, [u8]>, LockError<MutexGuard<'static, [u8]>>> {
        self.lock_by(Wait::Never)
    }

    fn lock_by(&self, wait: Wait) -> Result<Guard, LockError<Guard>> {
        let bytes = self.primitive.segment().geometry().message_bytes as usize;
        let data = ptr::slice_from_raw_parts_mut(self.primitive.cell().data(), bytes);
        MutexGuard::lock(Kept::owned(&self.primitive), data, wait)
    }

    /// A handle of this mutex whose waits end with [`SyncError::Interrupted`] once `stop` is set.
    ///
    /// ```
    /// let stop = shmq::Stop::new();
    /// let mutex = shmq::sync::DynMutex::new(shmq::MessageLayout::value(1, 1)?, b"a")?;
    /// let _guard = mutex.lock_owned().unwrap();
    /// stop.set();
    /// assert!(mutex.with_stop(&stop).lock_owned().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &crate::Stop) -> DynMutex {
        DynMutex::over(self.primitive.with_stop(stop))
    }

    /// The name by which other processes open it. An anonymous one has a name too.
    ///
    /// ```
    /// let mutex = shmq::sync::DynMutex::new(shmq::MessageLayout::of::<u64>(), &[])?;
    /// assert!(shmq::sync::Mutex::<u64>::open(mutex.name()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.primitive.segment().name()
    }
}

impl fmt::Debug for DynMutex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DynMutex").field(&self.primitive).finish()
    }
}
