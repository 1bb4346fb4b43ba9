//! Why a handle was not detached.

use std::error::Error;
use std::fmt;

/// What a process still uses of an attachment that it was to leave: see
/// [`DetachError::in_use`].
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// let (other, producer) = (queue.clone(), queue.producer()?);
/// let refused = queue.detach().unwrap_err();
/// assert_eq!((refused.in_use().other_handles, refused.in_use().owned_guards), (2, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InUse {
    /// Handles of the same attachment besides this one, also those with a stop, endpoints, roles
    /// and subscribers. A queue for which futures or a `Readiness` wait counts one more for each
    /// kind of wait.
    pub other_handles: usize,
    /// Guards that borrow no handle, such as those of `lease_owned`, inherited ones included.
    pub owned_guards: usize,
    /// Threads that sleep in a call of one of the other handles.
    pub sleeping_threads: usize,
    /// Loans that are open or forgotten, owned or not.
    pub loans: usize,
    /// Leases that are open or forgotten, owned or not.
    pub leases: usize,
    /// Messages that views of this process keep in place.
    pub views: usize,
    /// Samples that are open or forgotten.
    pub samples: usize,
    /// Permits of guards that are open or forgotten.
    pub permits: u64,
    /// Locks that are held, by a guard that is open or forgotten or otherwise.
    pub locks: usize,
}

impl InUse {
    pub(crate) fn is_nothing(&self) -> bool {
        // Without another handle no thread sleeps: that number says how the others are used.
        InUse { sleeping_threads: 0, ..self.clone() } == InUse::default()
    }
}

impl fmt::Display for InUse {
    /// `2 other handles, 1 thread that waits in a call, 1 lease`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: [(u64, &str, &str); 9] = [
            (self.other_handles as u64, "other handle", "other handles"),
            (self.owned_guards as u64, "owned guard", "owned guards"),
            (self.sleeping_threads as u64, "thread that waits in a call", "threads that wait in a call"),
            (self.loans as u64, "loan", "loans"),
            (self.leases as u64, "lease", "leases"),
            (self.views as u64, "message with a view", "messages with views"),
            (self.samples as u64, "sample", "samples"),
            (self.permits, "permit", "permits"),
            (self.locks as u64, "lock that is held", "locks that are held"),
        ];
        let mut separator = "";
        for (count, one, several) in counts.into_iter().filter(|&(count, ..)| count != 0) {
            write!(out, "{separator}{count} {}", if count == 1 { one } else { several })?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A handle that was not detached, and why: this process uses the same attachment otherwise.
/// Nothing was changed. Dropping the error drops the handle.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.put(&1)?;
/// let lease = queue.lease_owned()?;
/// let refused = queue.detach().unwrap_err();
/// assert_eq!(refused.to_string(), "not detached: this process still has 1 owned guard, 1 lease");
/// drop(lease);
/// refused.into_handle().detach()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it drops the handle"]
pub struct DetachError<H>(Box<(H, InUse)>);

impl<H> DetachError<H> {
    pub(crate) fn new(handle: H, in_use: InUse) -> DetachError<H> {
        DetachError(Box::new((handle, in_use)))
    }

    /// What is in the way.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(2)?;
    /// let permit = semaphore.permit_owned()?;
    /// assert_eq!(semaphore.detach().unwrap_err().in_use().permits, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_use(&self) -> &InUse {
        &self.0.1
    }

    /// The handle, which is as it was.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// let other = queue.clone();
    /// let queue = queue.detach().unwrap_err().into_handle();
    /// queue.put(&1)?;
    /// drop(other);
    /// queue.detach()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_handle(self) -> H {
        self.0.0
    }
}

impl<H> fmt::Debug for DetachError<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DetachError").field("in_use", self.in_use()).finish_non_exhaustive()
    }
}

impl<H> fmt::Display for DetachError<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "not detached: this process still has {}", self.in_use())
    }
}

impl<H> Error for DetachError<H> {}
