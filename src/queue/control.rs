//! What a queue tells of itself, and what ends it: counting, closing, recovering, joining.

use super::Queue;
use crate::error::JoinError;
use crate::message::{Message, Plain};
use crate::os::Deadline;
use crate::raw::{RecoveryReport, Stats};
use crate::shm::segment::UnappliedOption;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

impl<T: ?Sized + Message> Queue<T> {
    /// Committed messages that nobody has taken yet: exact when nothing moves, otherwise a value between call and return.
    /// Messages on lease are not counted, messages given back are. Nor are loans, open or dropped.
    ///
    /// A message behind an open loan is counted, and cannot be taken until the loan ends: meanwhile
    /// `len` is not 0 and `try_get` says `Empty`. A put by copy of more than 4 KiB is such a loan
    /// while it copies. [`wait_any`](crate::wait_any) tells whether something can be taken now.
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

    /// For a process of the crate's own, which gives out no reference into what it leases.
    #[cfg(feature = "object")]
    pub(crate) fn keep_leases_private(&self) {
        self.raw.keep_leases_private();
    }

    /// For a thread of the crate, which may hold nothing while it sleeps.
    #[cfg(feature = "object")]
    pub(crate) fn sleep_until_ready(&self, longest: Duration) {
        self.raw.sleep_until_ready(longest);
    }

    /// Is [`len`](Queue::len) 0? As exact as that: not empty does not mean that the first message
    /// can be taken now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Would a put (of the smallest message) have to wait? Leased messages and open loans occupy
    /// capacity. Dropped loans do so only where their room cannot be had yet: between messages, see
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

    /// Does the name still lead to this queue? If not, no process can open it any more: those attached go on with each other, and whoever
    /// opens the name gets another queue, or none.
    ///
    /// A name is lost by [`unlink`](Queue::unlink), by `shmq rm`, by hand, or by systemd-logind, which removes the shared memory of a user at
    /// its last logout (`RemoveIPC=yes`, the default; not of system users, nor of users who linger). Puts go on to be `Ok`: a service that
    /// meets others by name asks now and then, and opens its queue anew. Who waits in a call is told by a `tracing` event.
    /// Asks the file system: about a microsecond.
    ///
    /// ```
    /// # let name = format!("doc-has-name-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::create(&name, 4)?;
    /// assert!(queue.has_name());
    /// shmq::Queue::<u64>::unlink(&name)?;
    /// assert!(!queue.has_name());
    /// queue.put(&1)?; // as before, for those attached
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.raw.segment().has_name()
    }

    /// What the builder asked for and the queue has otherwise, because it existed already: `capacity`, `capacity_bytes`, `mode`,
    /// `max_deliveries`, `dead_letters`, `max_participants`, `persist(false)`, and a `schema` where its creator set none. Empty for a queue that this call
    /// created, and for what the builder left unsaid.
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

    /// Closes the queue for everybody: no more puts. Blocked putters wake with `Closed`; getters drain what is there, then get
    /// `Closed`. A loan that was open may still be committed, and getters wait for it, unless its process dies. Messages on lease are not
    /// waited for; given back, they are delivered. Never blocks; doing it again changes nothing.
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

    /// Was it [closed](Queue::close), by anybody? Messages may still be in it.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Counters since the queue was created, by all processes.
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

    /// Looks after dead processes now: frees the sides they held, aborts their loans, gives their leases back.
    ///
    /// Nobody needs to call it: every getter does the same for leases ten times a second, whether it waits or finds messages, and whoever
    /// finds a lock held by the dead at once.
    /// Waits at most 0.05 s for each side, if a process that does not run holds it.
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

    /// Marks one message that was got *by copy* as finished, for [`join`](Queue::join). For a leased one, ending the lease does.
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

    /// Waits until every message is finished: leases ended, and [`task_done`](Queue::task_done) called for each copy. Returns at
    /// once if nothing was ever put.
    ///
    /// A process that dies with a lease does not hang it: the message comes back. One that dies after it got a message by copy, and
    /// before `task_done`, does: use leases, or [`join_timeout`](Queue::join_timeout).
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

    /// For the command: soon after a signal handler has set `flag`, whoever waits here in a put, a get or a join is told `Timeout`.
    /// Nothing is counted as a timeout. For the whole process and for good.
    #[doc(hidden)]
    pub fn interrupt_by(&self, flag: &'static AtomicBool) {
        self.raw.interrupt_by(flag);
    }

    /// For the command: after how many deliveries a message is given up; 0 is never.
    #[doc(hidden)]
    pub fn max_deliveries(&self) -> u32 {
        self.raw.segment().max_deliveries()
    }

    /// For the command: this process leaves the name where it is when it is the last one out, so
    /// that a queue of the dead is afterwards what it was before.
    #[doc(hidden)]
    pub fn leave_name(&self) {
        self.raw.leave_name();
    }

    /// For the command: as the last one out, this process takes the name only from a queue that all
    /// its users left in good order.
    #[doc(hidden)]
    pub fn be_guest(&self) {
        self.raw.be_guest();
    }

    /// Like [`join`](Queue::join), but gives up after `timeout`, never earlier.
    ///
    /// # Errors
    /// [`JoinError::Timeout`] with the number of messages that are unfinished; otherwise [`JoinError`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// assert!(matches!(queue.join_timeout(Duration::ZERO), Err(shmq::JoinError::Timeout { left: 1 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.raw.join(Deadline::after(timeout))
    }

    /// Like [`join`](Self::join), but gives up at `deadline`, never earlier. One in the past means one look.
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
    /// Elements of the largest message that the queue can hold: about half of [`capacity_bytes`](Queue::capacity_bytes).
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

    /// Size of the ring, in bytes: what was asked for, rounded up to whole cells. A message takes its own bytes rounded up to 16
    /// and 16 more.
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
