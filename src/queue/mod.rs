//! The public face: [`Queue`], [`Builder`], [`Producer`], [`Consumer`].

mod builder;
mod control;
mod endpoint;
mod forms;
mod forward;
pub(crate) mod guard;
mod iter;
mod lease_mut;
mod serde;

pub use builder::Builder;
pub use endpoint::{Consumer, Producer};
#[cfg(feature = "object")]
pub(crate) use forward::{Accepts, GivesBack, forward, forwards};
pub use forward::{Destination, ForwardError, Held};
#[cfg(feature = "object")]
pub(crate) use iter::next_message;
pub use iter::{ConsumerIter, Iter};

use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::message::{Message, Plain, Travel};
use crate::queue::guard::{Lease, Loan};
use crate::raw::RawQueue;
use crate::raw::Wait;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Segment, Wanted};
pub(crate) use forms::verbs;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A bounded queue between processes, in a named shared-memory segment.
///
/// Any number of processes and threads put and get through any number of handles. Clones share one attachment; a handle
/// survives `fork` (the child attaches at its first call), can be opened by name in another process, and can be serialised
/// with `serde` (as its name) and sent through another queue.
///
/// **Order**: all puts are in one total order; each getter sees a subsequence of it, except that messages that were given back come first.
/// **Delivery**: a put that returned `Ok` is not lost before somebody takes it, as long as the queue lives: it ends, and its messages with it,
/// when its last participant leaves (drops its last handle), unless it was told to [`persist`](Queue::persist). By copy it is taken at most once; by
/// [lease](Queue::lease) at least once.
/// **If a process dies** anywhere in a call, the others go on: see the table in the crate's README.
/// **Fairness**: none is promised. Room that comes free goes to the put that comes first, not to the one that has waited longest, and so does a
/// message: a caller that runs at that moment is there before a sleeper has woken up. No caller is passed over for ever in practice, since
/// sleepers are woken in the order in which they fell asleep, but how long one waits has no bound: where that matters, use a timeout.
/// Measured on 2 cores with six times as many runnable processes: 8 processes that put into a full queue of 8, of which one message is
/// taken each 0.2 ms, had 10 to 16 % of the puts each (12.5 % is even); 1 in 100 of their waits was longer than 17 ms, the longest of 4 s took 95 ms.
/// Only a large message in a slice queue is given a turn (it takes a ticket, which later puts respect).
/// **In a signal handler** [`try_put`](Self::try_put) may be called, whatever it interrupts: `Busy` after about 1 ms, if that was a put by the same
/// thread. No other verb may. See [`sync`](crate::sync#signal-handlers).
///
/// ```
/// let queue = shmq::Queue::<u64>::new(3)?;
/// let child = shmq::Process::spawn({
///     let queue = queue.clone();
///     move || queue.put(&42)
/// })?;
/// assert_eq!(queue.get()?, 42);
/// # assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T: ?Sized> {
    raw: Arc<RawQueue>,
    /// As given to the builder: travels with the serialised handle.
    schema: Option<Arc<str>>,
    /// Likewise.
    structure: Option<Arc<str>>,
    carries: PhantomData<fn() -> Box<T>>,
}

/// What an opener for messages of type `T` expects of a segment.
fn expect<T: ?Sized + Message>(schema: Option<String>) -> Expect {
    Expect {
        kind: T::WIRE.kind,
        message_bytes: T::WIRE.unit_bytes as u64,
        message_align: T::WIRE.unit_align as u64,
        type_name: T::unit_name(),
        schema,
        structure: Some(Wanted::OfType(T::schema())),
        lock_memory: false,
        huge_pages: false,
        asked: Asked::default(),
        nonce: None,
        owners: Owners::default(),
        directory: Directory::default(),
    }
}

#[inline(always)]
fn loan_of<T: ?Sized + Plain>(raw: &RawQueue, record: crate::raw::ClaimedRecord, length: usize) -> Loan<'_, T> {
    let message = T::pointer(record.payload, length);
    Loan::new(raw, record, message)
}

// The bound stands at each of these, not at the block: so what is no `Message` is told what to use instead.
impl<T> Queue<T> {
    /// Creates a named queue for exactly `capacity` messages.
    ///
    /// A dead segment of that name (nobody attached) is replaced unless it was persisted. The name goes when the last
    /// participant leaves, unless [`persist`](Queue::persist) is called.
    ///
    /// # Errors
    /// [`CreateError::AlreadyExists`] if somebody uses a queue of that name; the other variants of [`CreateError`]. Nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-create-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 100)?;
    /// let same = shmq::Queue::<u32>::open(&name)?;
    /// queue.put(&7)?;
    /// assert_eq!(same.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().name(name).capacity(capacity).create()
    }

    /// Opens the queue of that name, or creates it for `capacity` messages. **On a queue that exists `capacity` does not take effect**:
    /// [`unapplied_options`](Queue::unapplied_options) says so. Of several processes that call this at once, one creates.
    ///
    /// If all users of the queue are dead, one whose life goes on is opened, and its messages are still there; one that is closed and drained, or
    /// carries messages of another type, is replaced by a new one: see [`Builder::open_or_create`].
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-either-{}", std::process::id());
    /// let first = shmq::Queue::<u32>::open_or_create(&name, 100)?;
    /// let second = shmq::Queue::<u32>::open_or_create(&name, 7)?; // of the same queue
    /// assert_eq!(second.capacity(), 100);
    /// assert_eq!(second.unapplied_options()[0].to_string(), "capacity: asked for 7, is 100");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().name(name).capacity(capacity).open_or_create()
    }

    /// Creates an anonymous queue for exactly `capacity` messages, for forked children and for handles that are sent.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let queue = shmq::Queue::<[f32; 3]>::new(2)?;
    /// queue.put(&[1.0, 2.0, 3.0])?;
    /// assert_eq!(queue.get()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().capacity(capacity).create()
    }
}

impl<T: Message> Queue<T> {
    verbs! {
        /// Puts all messages of `values` in order, waiting for room as often as needed: how many moved, which is all of them.
        ///
        /// Each message commits by itself, so getters may take the first while the last still waits; those for which there is
        /// room at once share one lock and one wake. An empty slice is `Ok(0)`.
        ///
        /// # Errors
        /// [`PutError`] if *none* moved. If some moved before the queue was closed (or the time was up), `Ok` tells how many.
        ///
        /// ```
        /// let queue = shmq::Queue::<u32>::new(8)?;
        /// assert_eq!(queue.put_slice(&[1, 2, 3])?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> { self.raw.put_values::<false, T>(None, v, wait) }
    }

    verbs! {
        /// Gets as many messages as there are, up to `v.len()`, waiting until there is at least one: how many were taken.
        ///
        /// They share one lock. An empty buffer is `Ok(0)` at once. What dead processes held on lease 0.2 s ago comes first.
        ///
        /// # Errors
        /// [`GetError`] if none was taken. A message whose bits are not a `T` ends the batch: those before it are `Ok`, and the next call, which
        /// finds it first, takes it and says `Invalid`. Like each message that was taken it is owed a [`task_done`](Self::task_done).
        ///
        /// ```
        /// let queue = shmq::Queue::<u32>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(queue.get_slice(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, v: &mut [T]| -> Result<usize, GetError> { self.raw.get_values::<false, T>(None, v, wait) }
    }

    verbs! {
        /// Gets one message by copy into a box, for messages that are too large for the stack; waits while the queue is empty.
        ///
        /// [`get`](Self::get) returns the message by value, which needs several times its size on the stack: a few megabytes overflow it,
        /// and in a thread with a small stack much less does. Here a message of more than 4 KiB goes from the segment to the heap, and is
        /// nowhere on the stack. (Putting needs no such form: [`put`](Self::put) takes a reference, and a [`loan`](Self::loan) is written
        /// in place.)
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 6_000_000]>::new(2)?;
        /// let mut frame = queue.loan()?;
        /// frame.fill(7);
        /// frame.commit()?;
        /// let frame: Box<[u8; 6_000_000]> = queue.get_boxed()?;
        /// assert_eq!(frame[5_999_999], 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_boxed, try_get_boxed, get_boxed_timeout, get_boxed_deadline, none: "Empty",
        |self, wait| -> Result<Box<T>, GetError> { self.raw.get_boxed::<false, T>(None, wait) }
    }

    verbs! {
        /// Lends room for one message inside the segment, to be written in place; waits while the queue is full.
        ///
        /// The message takes its place in the order now, and everything behind it waits until the loan ends. What the loan holds at first is
        /// unspecified. No lock is held while it is open.
        ///
        /// **Room** is used and given back in order. A loan that is dropped counts for nothing in
        /// `len`, `is_empty` and `wait_any`, and its room is there for the next put as soon as all
        /// before it has been taken, or at once as long as nothing was put behind it; so is what
        /// [`commit_len`](Loan::commit_len) did not need. That holds under a live
        /// [`Consumer`](crate::Consumer) too. But the room of one with a message before it and
        /// another behind it comes back with that of the message before it: until then the queue
        /// may be full with fewer messages than its capacity. (Where the kernel refuses
        /// `membarrier`, a live `Consumer` must try to get once before the room is there.)
        ///
        /// # Errors
        /// [`PutError`]; nothing was lent.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 65536]>::new(4)?;
        /// let mut frame = queue.loan()?;
        /// frame.fill(1);
        /// frame.commit()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<Loan<'_, T>, PutError> [where T: Plain] {
            let record = self.raw.claim::<false, true>(None, size_of::<T>(), wait)?;
            Ok(loan_of(&self.raw, record, size_of::<T>()))
        }
    }
}

impl<X> Queue<[X]>
where
    X: Plain,
{
    verbs! {
        /// Gets one message into `buf`: how many elements it has. Waits while the queue is empty; allocates nothing.
        ///
        /// # Errors
        /// [`GetError::TooSmall`] if the message has more elements than `buf`: it is still in the queue. Otherwise as [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// queue.put(b"abc")?;
        /// let mut buffer = [0; 16];
        /// assert_eq!(queue.get_into(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buf: &mut [X]| -> Result<usize, GetError> { self.raw.get_into::<false, X>(None, buf, wait) }
    }

    verbs! {
        /// Lends room for a message of `n` elements inside the segment, to be written in place; waits while there is not enough.
        ///
        /// As [`Queue::loan`]; [`Loan::commit_len`] commits fewer than were lent.
        ///
        /// # Errors
        /// [`PutError::TooLarge`] if `n` is more than [`max_len`](Queue::max_len); otherwise as [`put`](Self::put).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let mut loan = queue.loan_len(100)?;
        /// loan[..3].copy_from_slice(&[1, 2, 3]);
        /// loan.commit_len(3)?;
        /// assert_eq!(queue.get()?, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'_, [X]>, PutError> {
            let bytes = slice_bytes::<X>(&self.raw, n)?;
            Ok(loan_of(&self.raw, self.raw.claim::<false, false>(None, bytes, wait)?, bytes))
        }
    }

    #[cfg(feature = "object")]
    pub(crate) fn loan_patiently(&self, n: usize, wait: Wait) -> Result<Loan<'_, [X]>, PutError> {
        let bytes = slice_bytes::<X>(&self.raw, n)?;
        Ok(loan_of(&self.raw, self.raw.claim::<false, false>(None, bytes, wait)?, bytes))
    }

    pub(crate) fn lease_patiently(&self, wait: Wait) -> Result<Lease<'_, [X]>, GetError> {
        let record = self.raw.lease::<false, false>(None, wait)?;
        let message = <[X]>::pointer(record.payload, record.length);
        Ok(Lease::borrowed(&self.raw, record, message))
    }

    #[cfg(feature = "object")]
    pub(crate) fn lease_owned_patiently(&self, wait: Wait) -> Result<Lease<'static, [X]>, GetError> {
        let record = self.raw.lease::<false, false>(None, wait)?;
        let message = <[X]>::pointer(record.payload, record.length);
        Ok(Lease::<[X]>::shared(Arc::clone(&self.raw), record, message))
    }

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

/// Bytes of a loan of `n` elements, if the queue can ever hold that.
fn slice_bytes<X>(raw: &RawQueue, n: usize) -> Result<usize, PutError> {
    let max = raw.geometry().max_message_bytes() as usize;
    let bytes = n.saturating_mul(size_of::<X>());
    if bytes > max { Err(PutError::TooLarge { len: bytes, max }) } else { Ok(bytes) }
}

impl<T: ?Sized> Queue<T> {
    /// Settings for a queue to be created or opened: see [`Builder`] for an example.
    pub fn builder() -> Builder<T>
    where
        T: Message,
    {
        Builder::new()
    }

    /// Opens the queue that another process created. A dead one (nobody attached) is opened too: its messages are still there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created.
    ///
    /// ```
    /// # let name = format!("doc-open-{}", std::process::id());
    /// assert!(matches!(shmq::Queue::<u32>::open(&name), Err(shmq::OpenError::NotFound { .. })));
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// shmq::Queue::<u32>::open(&name)?.put(&1)?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Queue::builder().name(name).open()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// What the handle stands for, for other faces of the same ring.
    pub(crate) fn raw(&self) -> &Arc<RawQueue> {
        &self.raw
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>) -> Queue<T> {
        Queue { raw, schema: schema.map(Arc::from), structure: None, carries: PhantomData }
    }

    fn of_structure(self, structure: Option<String>) -> Queue<T> {
        Queue { structure: structure.map(Arc::from), ..self }
    }

    /// Removes a name. Processes that use the queue go on with it; nobody can open it any more.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is no such name, [`OpenError::PermissionDenied`] or [`OpenError::ForeignOwner`] if it is another user's
    /// (see [`inspect::unlink_of`](crate::inspect::unlink_of)).
    ///
    /// ```
    /// # let name = format!("doc-unlink-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// shmq::Queue::<u8>::unlink(&name)?; // whatever the messages are
    /// queue.put(&1)?;
    /// assert!(shmq::Queue::<u32>::open(&name).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Segment::unlink(name.as_ref())
    }

    /// Keeps the segment, with the messages in it, when its last participant leaves or dies, until it is [unlinked](Queue::unlink) or
    /// the machine restarts. There is no way back.
    ///
    /// ```
    /// # let name = format!("doc-persist-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// queue.persist();
    /// queue.put(&1)?;
    /// drop(queue);
    /// assert_eq!(shmq::Queue::<u32>::open(&name)?.get()?, 1);
    /// shmq::Queue::<u32>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.raw.segment().persist();
    }

    verbs! {
        /// Puts one message by copy; waits while the queue is full.
        ///
        /// When it returns `Ok`, the message is in shared memory and is not lost if this process dies. A message of up to 4 KiB is copied under a
        /// lock that is held for nothing else.
        ///
        /// # Errors
        /// [`PutError`]; nothing was put. If the process that held the put side died, this call repairs it and goes on; if it was
        /// stopped, this call waits for it until its deadline.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// assert!(matches!(queue.try_put(&2), Err(shmq::PutError::Full)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> { v.send(&self.raw, wait) }
    }

    verbs! {
        /// Gets one message by copy; waits while the queue is empty.
        ///
        /// By copy a message is delivered at most once: it goes with the process that got it. It is returned by value, on the stack: for
        /// arrays of megabytes see [`get_boxed`](Queue::get_boxed), or read them in place by [`lease`](Self::lease). What dead
        /// processes held on lease comes back 0.2 s after their death at the latest, before newer messages; of those, getters
        /// that find one at once may take 64 more first.
        ///
        /// # Errors
        /// [`GetError::Closed`] once the queue is closed and drained; otherwise [`GetError`] with the message still in the queue, except
        /// for [`GetError::Invalid`]. If the process that held the get side died, this call repairs it and goes on.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// assert!(matches!(queue.try_get(), Err(shmq::GetError::Empty)));
        /// queue.put(&1)?;
        /// assert_eq!(queue.get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T::Owned, GetError> { T::receive(&self.raw, wait) }
    }

    verbs! {
        /// Leases one message, to be read in place; waits while the queue is empty.
        ///
        /// If the process dies before the lease ends, the message is delivered again, before newer ones: the first lease that begins 0.2 s
        /// after the death, or later, has it, whatever else is in the queue. (Each lease reads a coarse clock for that, some 3 ns.)
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.lease()?;
        /// assert_eq!(*message, 1);
        /// message.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, T>, GetError> [where T: Plain] {
            let record = T::lease(&self.raw, wait)?;
            let message = T::pointer(record.payload, record.length);
            Ok(Lease::borrowed(&self.raw, record, message))
        }
    }

    verbs! {
        /// Leases one message with a lease that keeps the segment attached by itself, and so may outlive this handle; otherwise as
        /// [`lease`](Self::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(std::thread::spawn(move || *message).join().unwrap(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, T>, GetError> [where T: Plain] {
            let record = T::lease(&self.raw, wait)?;
            let message = T::pointer(record.payload, record.length);
            Ok(Lease::<T>::shared(Arc::clone(&self.raw), record, message))
        }
    }

    /// Becomes the only one who puts, without a lock per message, until the [`Producer`] is dropped.
    ///
    /// While it lives, putting through any [`Queue`] and a second `producer` report `Held` at once. If its process dies, the side is free.
    ///
    /// # Errors
    /// [`PutError::Held`]; [`PutError::Busy`] if a process in the middle of a put does not get on for 0.1 s (it is stopped or starved).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let producer = queue.producer()?;
    /// producer.put(&1)?;
    /// assert!(matches!(queue.put(&2), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T>, PutError> {
        Producer::new(Arc::clone(&self.raw))
    }

    /// Becomes the only one who gets, without a lock per message, until the [`Consumer`] is dropped.
    ///
    /// While it lives, getting through any [`Queue`] and a second `consumer` report `Held` at once. If its process dies, the side is free.
    ///
    /// # Errors
    /// [`GetError::Held`]; [`GetError::Busy`] if a process in the middle of a get does not get on for 0.1 s (it is stopped or starved).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let consumer = queue.consumer()?;
    /// queue.put(&1)?;
    /// assert!(matches!(queue.get(), Err(shmq::GetError::Held { .. })));
    /// assert_eq!(consumer.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T>, GetError> {
        Consumer::new(Arc::clone(&self.raw))
    }
}

impl<T: ?Sized> Clone for Queue<T> {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        Queue { raw: Arc::clone(&self.raw), schema: self.schema.clone(), structure: self.structure.clone(), carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Queue<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Queue").field(&self.raw).finish()
    }
}
