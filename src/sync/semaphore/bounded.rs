//! A semaphore that never has more permits than it was created with.

use super::{PrimitiveBuilder, Semaphore};

impl PrimitiveBuilder<Semaphore> {
    /// Never more permits than it is created with: a release too many is
    /// [`SyncError::TooManyReleases`](crate::sync::SyncError::TooManyReleases), and changes nothing.
    /// Python's `BoundedSemaphore`.
    ///
    /// ```
    /// use shmq::sync::{Semaphore, SyncError};
    ///
    /// let semaphore = Semaphore::builder(2).bounded(true).create()?;
    /// semaphore.acquire()?;
    /// semaphore.release()?;
    /// assert!(matches!(semaphore.release(), Err(SyncError::TooManyReleases { bound: 2 })));
    /// assert_eq!((semaphore.value(), semaphore.bound()), (2, Some(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bounded(mut self, yes: bool) -> Self {
        self.settings.bounded = Some(yes);
        self
    }
}

impl Semaphore {
    /// The most permits that there may be, of a [`bounded`](PrimitiveBuilder::bounded) semaphore: as
    /// many as it was created with.
    ///
    /// ```
    /// use shmq::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::builder(3).bounded(true).create()?.bound(), Some(3));
    /// assert_eq!(Semaphore::new(3)?.bound(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bound(&self) -> Option<u64> {
        self.primitive().segment().is_bounded().then(|| self.primitive().count())
    }
}
