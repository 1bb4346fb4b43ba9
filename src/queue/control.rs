//! What a queue says about itself, and what ends it: counting, closing, recovering, joining.

use super::Queue;
use crate::error::JoinError;
use crate::message::{Message, Plain};
use crate::os::Deadline;
use crate::raw::{RecoveryReport, Stats};
use crate::shm::segment::UnappliedOption;
use std::time::Duration;

impl<T: ?Sized + Message> Queue<T> {
    /// Committed messages that no process has taken yet: exact when nothing moves, otherwise a
    /// value that was right at some moment of the call. Messages on lease are not counted, messages
    /// given back are. Nor are loans, open or dropped.
    ///
    /// A message behind an open loan is counted, and cannot be taken until the loan ends: meanwhile
    /// `len` is not 0 and `try_get` returns `Empty`. A put by copy of more than 4 KiB is such a
    /// loan while it copies. [`wait_any`](crate::wait_any) waits until something can be taken.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// let lease = queue.lease()?;
    /// assert_eq!((queue.len(), queue.is_empty()), (2, false));
    /// lease.give_back();
    /// assert_eq!(queue.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.raw.len() as usize
    }

    /// For a process of the crate's own, which gives out no reference into messages on lease.
    #[cfg(feature = "object")]
    pub(crate) fn keep_leases_private(&self) {
        self.raw.keep_leases_private();
    }

    /// For a thread of the crate, which may hold no lock while it sleeps.
    #[cfg(feature = "object")]
    pub(crate) fn sleep_until_ready(&self, longest: Duration) {
        self.raw.sleep_until_ready(longest);
    }

    /// Is [`len`](Queue::len) 0? As exact as that: not empty does not mean that the first message
    /// can be taken now.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// assert!(queue.is_empty());
    /// queue.put(&1)?;
    /// assert!(!queue.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Would a put (of the smallest message) have to wait? Leased messages and open loans occupy
    /// capacity. Dropped loans do so only where their room is not free yet: between messages, see
    /// [`loan`](Queue::loan).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// let lease = queue.lease()?;
    /// assert!(queue.is_full() && queue.is_empty());
    /// lease.release();
    /// assert!(!queue.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// Bound in messages; `usize::MAX` for a queue that is bounded in bytes only.
    ///
    /// ```
    /// assert_eq!(shmq::Queue::<u64>::new(3)?.capacity(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        usize::try_from(self.raw.geometry().capacity).unwrap_or(usize::MAX)
    }

    /// The name by which other processes open it. An anonymous queue has one too.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(3)?;
    /// let same = shmq::Queue::<u64>::open(queue.name())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.raw.segment().name()
    }

    /// Does the name still lead to this queue? If not, no process can open it any more: processes
    /// that are attached continue with each other, and a process that opens the name gets another
    /// queue, or none.
    ///
    /// A name is lost by [`unlink`](Queue::unlink), by `shmq rm`, by hand, or by systemd-logind,
    /// which removes the shared memory of a user at its last logout (`RemoveIPC=yes`, the default;
    /// not of system users, nor of users who linger). Puts still return `Ok`: a service that meets
    /// others by name checks now and then, and opens its queue anew. A blocked call emits a
    /// `tracing` event. Reads the file system: about a microsecond.
    ///
    /// ```
    /// # let name = format!("doc-has-name-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::create(&name, 4)?;
    /// assert!(queue.has_name());
    /// shmq::Queue::<u64>::unlink(&name)?;
    /// assert!(!queue.has_name());
    /// queue.put(&1)?; // as before, for the processes attached
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.raw.segment().has_name()
    }

    /// What the builder asked for and the queue has otherwise, because it existed already:
    /// `capacity`, `capacity_bytes`, `mode`, `max_deliveries`, `dead_letters`, `max_participants`,
    /// `close_when_unused`, `persist(false)`, and a `schema` where its creator set none. Empty for
    /// a queue that this call created. What the builder did not set is not listed.
    ///
    /// ```
    /// # let name = format!("doc-unapplied-{}", std::process::id());
    /// let first = shmq::Queue::<u64>::open_or_create(&name, 8)?;
    /// assert!(first.unapplied_options().is_empty());
    /// let second = shmq::Queue::<u64>::open_or_create(&name, 100)?;
    /// assert_eq!(second.unapplied_options()[0].to_string(), "capacity: asked for 100, is 8");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.raw.segment().unapplied()
    }

    /// Closes the queue for all processes: no more puts. Blocked puts return `Closed`; consumers
    /// drain what is there, then get `Closed`. A loan that was open may still be committed, and
    /// consumers wait for it, unless its process dies. They do not wait for messages on lease;
    /// given back, those are delivered. Never blocks; closing again changes nothing.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// queue.close();
    /// assert!(matches!(queue.put(&2), Err(shmq::PutError::Closed)));
    /// assert_eq!(queue.get()?, 1);
    /// assert!(matches!(queue.get(), Err(shmq::GetError::Closed)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }

    /// Was it [closed](Queue::close), by any process? Messages may still be in it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Counters since the queue was created, of all processes.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// assert_eq!((queue.stats().puts, queue.stats().bytes_put), (1, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.raw.stats()
    }

    /// Frees now what dead processes hold: the sides that they own or locked, their loans (aborted)
    /// and their leases (given back).
    ///
    /// A call is never needed: every consumer does the same for leases ten times a second, whether
    /// it waits or finds messages, and any process that finds a lock held by a dead one repairs
    /// that side at once. Waits at most 0.05 s for each side, if a process that does not run holds
    /// it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// let worker = shmq::Process::spawn(|| {
    ///     let _lease = queue.lease();
    ///     std::process::abort(); // SIGABRT: a crash
    /// })?;
    /// worker.join()?;
    /// assert_eq!(queue.recover().redelivered, 1);
    /// assert_eq!(queue.lease()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.raw.recover()
    }

    /// Marks one message that was got *by copy* as finished, for [`join`](Queue::join). The end of
    /// a lease does so for a leased one.
    ///
    /// # Errors
    /// [`JoinError::TooManyDone`] if it was called for all messages that were got by copy already.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// queue.get()?;
    /// queue.task_done()?;
    /// assert!(matches!(queue.task_done(), Err(shmq::JoinError::TooManyDone)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_done(&self) -> Result<(), JoinError> {
        self.raw.task_done()
    }

    /// Waits until every message is finished: leases ended, and [`task_done`](Queue::task_done)
    /// called for each copy. Returns at once if nothing was ever put.
    ///
    /// A process that dies with a lease does not make it hang: the message comes back. One that
    /// dies after it got a message by copy, and before `task_done`, does: use leases, or
    /// [`join_timeout`](Queue::join_timeout).
    ///
    /// # Errors
    /// [`JoinError`].
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// queue.get()?;
    /// queue.task_done()?;
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), JoinError> {
        self.raw.join(Deadline::NEVER)
    }

    /// For the command: after how many deliveries a message is given up; 0 is never.
    #[doc(hidden)]
    pub fn max_deliveries(&self) -> u32 {
        self.raw.segment().max_deliveries()
    }

    /// For the command: as the last one to leave, this process removes the name only if all users
    /// of the queue left in good order; with `leaves_name`, never, so that a queue of dead
    /// processes is afterwards what it was before.
    #[doc(hidden)]
    pub fn be_guest(&self, leaves_name: bool) {
        self.raw.be_guest(leaves_name);
    }

    /// Like [`join`](Queue::join), but gives up after `timeout`, never earlier.
    ///
    /// # Errors
    /// [`JoinError::Timeout`] with the number of messages that are unfinished; otherwise
    /// [`JoinError`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// let error = queue.join_timeout(Duration::ZERO).unwrap_err();
    /// assert!(matches!(error, shmq::JoinError::Timeout { left: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.raw.join(Deadline::after(timeout))
    }

    /// Like [`join`](Self::join), but gives up at `deadline`, never earlier. A deadline in the past
    /// means one check.
    ///
    /// # Errors
    /// As [`join_timeout`](Self::join_timeout).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// assert!(queue.join_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_deadline(&self, deadline: std::time::Instant) -> Result<(), JoinError> {
        self.raw.join(Deadline::at(deadline))
    }
}

impl<X> Queue<[X]>
where
    X: Plain,
{
    /// Elements of the largest message that the queue can hold: about half of
    /// [`capacity_bytes`](Queue::capacity_bytes).
    ///
    /// ```
    /// let queue = shmq::Queue::<[u64]>::builder().capacity_bytes(1 << 20).create()?;
    /// let too_long = vec![0; queue.max_len() + 1];
    /// assert!(matches!(queue.put(&too_long), Err(shmq::PutError::TooLarge { .. })));
    /// queue.put(&too_long[1..])?; // fits, whatever was put and got before
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.raw.geometry().max_message_bytes() as usize / size_of::<X>()
    }

    /// Size of the ring, in bytes: what was asked for, rounded up to whole cells. A message takes
    /// its own bytes rounded up to 16 and 16 more.
    ///
    /// ```
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(10_000).create()?;
    /// assert!(queue.capacity_bytes() >= 10_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(&self) -> usize {
        self.raw.geometry().ring_bytes() as usize
    }
}
