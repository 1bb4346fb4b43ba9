//! Settings of an object queue before it exists.

use super::{Codec, ObjectQueue};
use crate::error::{CreateError, OpenError};
use crate::queue::{Builder, Queue};
use crate::shm::layout::kind;
use crate::wait::strategy::WaitStrategy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// Settings of an object queue to be created or opened; made by [`ObjectQueue::builder`]. What each means is told at [`Builder`].
///
/// ```
/// let queue = shmq::ObjectQueue::<String>::builder().capacity(3).capacity_bytes(64 << 10).create()?;
/// assert_eq!(queue.capacity(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until create, open or open_or_create"]
pub struct ObjectBuilder<T, C> {
    bytes: Builder<[u8]>,
    carries: PhantomData<fn() -> (T, C)>,
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectBuilder<T, C> {
    pub(super) fn new() -> Self {
        let bytes = Queue::<[u8]>::builder().content(kind::OBJECT, super::type_name::<T, C>());
        ObjectBuilder { bytes, carries: PhantomData }
    }

    fn with(self, set: impl FnOnce(Builder<[u8]>) -> Builder<[u8]>) -> Self {
        ObjectBuilder { bytes: set(self.bytes), carries: PhantomData }
    }

    /// As [`Builder::name`].
    pub fn name(self, name: impl AsRef<str>) -> Self {
        self.with(|bytes| bytes.name(name))
    }

    /// As [`Builder::capacity`]: a bound in messages, beside the one in bytes.
    pub fn capacity(self, messages: usize) -> Self {
        self.with(|bytes| bytes.capacity(messages))
    }

    /// Size of the ring, 1 MiB if not set: the largest encoded message takes half of it. As [`Builder::capacity_bytes`].
    pub fn capacity_bytes(self, size: usize) -> Self {
        self.with(|bytes| bytes.capacity_bytes(size))
    }

    /// As [`Builder::wait`].
    pub fn wait(self, strategy: WaitStrategy) -> Self {
        self.with(|bytes| bytes.wait(strategy))
    }

    /// As [`Builder::schema`].
    pub fn schema(self, schema: impl AsRef<str>) -> Self {
        self.with(|bytes| bytes.schema(schema))
    }

    /// As [`Builder::structure`]: of the encoded objects.
    pub fn structure(self, text: impl AsRef<str>) -> Self {
        self.with(|bytes| bytes.structure(text))
    }

    /// As [`Builder::mode`].
    pub fn mode(self, unix: u32) -> Self {
        self.with(|bytes| bytes.mode(unix))
    }

    /// As [`Builder::allow_owner`].
    pub fn allow_owner(self, uid: u32) -> Self {
        self.with(|bytes| bytes.allow_owner(uid))
    }

    /// As [`Builder::allow_any_owner`].
    pub fn allow_any_owner(self) -> Self {
        self.with(Builder::allow_any_owner)
    }

    /// As [`Builder::persist`].
    pub fn persist(self, yes: bool) -> Self {
        self.with(|bytes| bytes.persist(yes))
    }

    /// As [`Builder::max_deliveries`].
    pub fn max_deliveries(self, n: u32) -> Self {
        self.with(|bytes| bytes.max_deliveries(n))
    }

    /// As [`Builder::dead_letters`]: also for messages that cannot be decoded.
    pub fn dead_letters(self, name: impl AsRef<str>) -> Self {
        self.with(|bytes| bytes.dead_letters(name))
    }

    /// As [`Builder::max_participants`].
    pub fn max_participants(self, n: usize) -> Self {
        self.with(|bytes| bytes.max_participants(n))
    }

    /// As [`Builder::directory`].
    pub fn directory(self, path: impl AsRef<Path>) -> Self {
        self.with(|bytes| bytes.directory(path))
    }

    /// As [`Builder::full_fence`].
    pub fn full_fence(self, yes: bool) -> Self {
        self.with(|bytes| bytes.full_fence(yes))
    }

    /// As [`Builder::lock_memory`].
    pub fn lock_memory(self, yes: bool) -> Self {
        self.with(|bytes| bytes.lock_memory(yes))
    }

    /// As [`Builder::huge_pages`].
    pub fn huge_pages(self, yes: bool) -> Self {
        self.with(|bytes| bytes.huge_pages(yes))
    }

    /// As [`Builder::create`].
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn create(self) -> Result<ObjectQueue<T, C>, CreateError> {
        Ok(ObjectQueue::over(self.bytes.create()?))
    }

    /// As [`Builder::unlink`].
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn unlink(self) -> Result<(), OpenError> {
        self.bytes.unlink()
    }

    /// As [`Builder::open`].
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn open(self) -> Result<ObjectQueue<T, C>, OpenError> {
        Ok(ObjectQueue::over(self.bytes.open()?))
    }

    /// As [`Builder::open_or_create`]: on a queue that exists, of the settings of the segment only `persist(true)` takes effect.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn open_or_create(self) -> Result<ObjectQueue<T, C>, CreateError> {
        Ok(ObjectQueue::over(self.bytes.open_or_create()?))
    }
}

impl<T, C> fmt::Debug for ObjectBuilder<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectBuilder").field(&self.bytes).finish()
    }
}
