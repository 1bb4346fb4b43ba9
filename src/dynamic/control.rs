//! What such a queue says about itself, and what ends it: counting, closing, recovering, joining.

use super::DynQueue;
use crate::error::JoinError;
use crate::raw::{RecoveryReport, Stats};
use crate::shm::segment::UnappliedOption;
use std::time::{Duration, Instant};

impl DynQueue {
    /// Committed messages that no process has taken yet, as [`Queue::len`](crate::Queue::len).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[0; 8])?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is [`len`](Self::len) 0?
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert!(queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Would a put of the smallest message have to wait? As
    /// [`Queue::is_full`](crate::Queue::is_full).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put_slice(&[0; 32])?;
    /// assert!(queue.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Bound in messages; `usize::MAX` for a queue that is bounded in bytes only.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.capacity(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Size of the ring in bytes, with what each message takes besides its own.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert!(queue.capacity_bytes() >= 4 * 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity_bytes()
    }

    /// Bytes of the largest message that lies in the ring: of a value, its size; otherwise about
    /// half of [`capacity_bytes`](Self::capacity_bytes). Larger encoded objects go into files of
    /// their own, as those of an `ObjectQueue` do.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.max_len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.bytes.max_len()
    }

    /// The name by which other processes open it. An anonymous queue has one too.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let same = shmq::DynQueue::open(queue.name())?;
    /// same.put(&[0; 8])?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Does its name still lead to it? As [`Queue::has_name`](crate::Queue::has_name).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert!(queue.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.bytes.has_name()
    }

    /// Keeps the segment when its last participant leaves. As
    /// [`Queue::persist`](crate::Queue::persist).
    ///
    /// ```
    /// # let name = format!("doc-dyn-persist-{}", std::process::id());
    /// let queue = shmq::DynQueue::create(&name, shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.persist();
    /// queue.put(&[7; 8])?;
    /// drop(queue);
    /// assert_eq!(shmq::DynQueue::open(&name)?.get()?, [7; 8]);
    /// shmq::DynQueue::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.bytes.persist();
    }

    /// Options that the opener asked for and that an existing queue does not have. As
    /// [`Queue::unapplied_options`](crate::Queue::unapplied_options).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let same = shmq::DynQueue::builder(None).name(queue.name()).capacity(9).open()?;
    /// assert_eq!(same.unapplied_options()[0].to_string(), "capacity: asked for 9, is 4");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.bytes.unapplied_options()
    }

    /// Ends the stream: puts fail, gets drain what is left, then get `Closed`. As
    /// [`Queue::close`](crate::Queue::close).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[7; 8])?;
    /// queue.close();
    /// assert!(queue.put(&[7; 8]).unwrap_err().is_closed());
    /// assert_eq!(queue.get()?, [7; 8]);
    /// assert!(queue.get().unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.bytes.close();
    }

    /// After how many deliveries a message is given up; 0: never. What its creator asked for, as
    /// [`QueueBuilder::max_deliveries`](crate::QueueBuilder::max_deliveries).
    ///
    /// ```
    /// let queue = shmq::DynQueue::builder(shmq::MessageLayout::of::<u64>()).capacity(4).max_deliveries(3).create()?;
    /// assert_eq!(queue.max_deliveries(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_deliveries(&self) -> u32 {
        self.bytes.max_deliveries()
    }

    /// Was it closed, by any process?
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert!(!queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Counters of the queue since it was created. As [`Queue::stats`](crate::Queue::stats).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[0; 8])?;
    /// assert_eq!(queue.stats().puts, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Recovers now what dead processes left. As [`Queue::recover`](crate::Queue::recover).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.recover().dead_participants, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }

    /// Says that a message that was got is finished. As
    /// [`Queue::task_done`](crate::Queue::task_done).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[0; 8])?;
    /// queue.get()?;
    /// queue.task_done()?;
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), JoinError> {
        self.bytes.task_done()
    }

    /// Waits until every message that was put is finished. As [`Queue::join`](crate::Queue::join).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[0; 8])?;
    /// drop(queue.lease()?);
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), JoinError> {
        self.bytes.join()
    }

    /// Like [`join`](Self::join), for `timeout` at most.
    ///
    /// # Errors
    /// `Timeout`, or as [`join`](Self::join).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[0; 8])?;
    /// let late = queue.join_timeout(std::time::Duration::from_millis(1));
    /// assert!(late.unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.bytes.join_timeout(timeout)
    }

    /// Like [`join`](Self::join), until `deadline`.
    ///
    /// # Errors
    /// `Timeout`, or as [`join`](Self::join).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.join_deadline(std::time::Instant::now())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_deadline(&self, deadline: Instant) -> Result<(), JoinError> {
        self.bytes.join_deadline(deadline)
    }
}
