//! What an object queue says about itself, and what ends it: counting, closing, recovering,
//! joining.

use super::ObjectQueue;
use crate::error::JoinError;
use crate::raw::{RecoveryReport, Stats};
use crate::shm::segment::UnappliedOption;
use std::time::Duration;

impl<T, C> ObjectQueue<T, C> {
    /// Committed messages that no process has taken yet, as [`Queue::len`](crate::Queue::len).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is [`len`](Self::len) 0?
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Would a put of the smallest message have to wait? As
    /// [`Queue::is_full`](crate::Queue::is_full).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// queue.put("one")?;
    /// assert!(queue.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Bound in messages; `usize::MAX` for a queue that is bounded in bytes only.
    ///
    /// ```
    /// assert_eq!(shmq::ObjectQueue::<String>::new(4)?.capacity(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Size of the ring in bytes. A message takes the bytes of its encoded value rounded up to 16,
    /// and 16 more.
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.capacity_bytes() >= 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity_bytes()
    }

    /// Bytes of the largest encoded value that lies in the ring: about half of
    /// [`capacity_bytes`](Self::capacity_bytes). A larger one goes into a file of its own, up to
    /// [`max_spilled_bytes`](crate::QueueBuilder::max_spilled_bytes).
    ///
    /// ```
    /// let builder = shmq::ObjectQueue::<String>::builder().capacity_bytes(4096);
    /// let queue = builder.max_spilled_bytes(0).create()?; // no files
    /// let too_long = "a".repeat(queue.max_len());
    /// assert!(matches!(queue.put(&too_long), Err(shmq::PutError::TooLarge { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.bytes.max_len()
    }

    /// The name by which other processes open it. An anonymous queue has one too.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let same = shmq::ObjectQueue::<String>::open(queue.name())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Does the name still lead to this queue? As [`Queue::has_name`](crate::Queue::has_name).
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.bytes.has_name()
    }

    /// What the builder asked for and the queue has otherwise, because it existed already. As
    /// [`Queue::unapplied_options`](crate::Queue::unapplied_options).
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.unapplied_options().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.bytes.unapplied_options()
    }

    /// Closes the queue for all processes: no more puts; consumers drain it. Never blocks. As
    /// [`Queue::close`](crate::Queue::close).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("last")?;
    /// queue.close();
    /// assert!(queue.put("more").unwrap_err().is_closed());
    /// assert_eq!(queue.get()?, "last");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Was it [closed](Self::close), by any process? Messages may still be in it.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Counters since the queue was created, of all processes.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert_eq!(queue.stats().puts, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Frees now what dead processes hold, as [`Queue::recover`](crate::Queue::recover).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// assert_eq!(queue.recover().redelivered, 0); // no process has died
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }

    /// Marks one message that was got *by copy* as finished, as
    /// [`Queue::task_done`](crate::Queue::task_done). One that did not decode is finished the same
    /// way.
    ///
    /// # Errors
    /// [`JoinError::TooManyDone`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// queue.get()?;
    /// queue.task_done()?;
    /// assert!(queue.task_done().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), JoinError> {
        self.bytes.task_done()
    }

    /// Waits until every message is finished, as [`Queue::join`](crate::Queue::join).
    ///
    /// # Errors
    /// [`JoinError`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// queue.lease()?.release();
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), JoinError> {
        self.bytes.join()
    }

    /// Like [`join`](Self::join), but gives up after `timeout`, never earlier.
    ///
    /// # Errors
    /// [`JoinError`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert!(queue.join_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.bytes.join_timeout(timeout)
    }

    /// Like [`join`](Self::join), but gives up at `deadline`, never earlier. A deadline in the past
    /// means one check.
    ///
    /// # Errors
    /// [`JoinError`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert!(queue.join_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_deadline(&self, deadline: std::time::Instant) -> Result<(), JoinError> {
        self.bytes.join_deadline(deadline)
    }
}
