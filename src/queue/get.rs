//! Getting by copy through a [`Queue`]: one message, many at once, into a box or a buffer.

use super::Queue;
use super::by_form::Get;
use crate::error::GetError;
use crate::message::{Message, Plain, Way};
use crate::raw::BY_LOCK;
use crate::wait::blocking_forms;

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Gets one message by copy; waits while the queue is empty.
        ///
        /// By copy a message is delivered at most once: it goes with the process that got it. It is
        /// returned by value, on the stack: for arrays of megabytes see
        /// [`get_boxed`](Queue::get_boxed), or read them in place by [`lease`](Self::lease). What
        /// dead processes held on lease comes back 0.2 s after their death at the latest, before
        /// newer messages; of those, consumers that find one at once may take 64 more first.
        ///
        /// # Errors
        /// [`GetError::Closed`] once the queue is closed and drained; otherwise [`GetError`] with
        /// the message still in the queue, except for [`GetError::Invalid`]. If the process that
        /// held the get side died, this call repairs the side and continues.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// assert!(matches!(queue.try_get(), Err(shmq::GetError::Empty)));
        /// queue.put(&1)?;
        /// assert_eq!(queue.get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T::Owned, GetError> { T::Way::visit(Get(&self.raw, wait)) }
    }
}

impl<T: Message> Queue<T> {
    blocking_forms! {
        /// Gets as many messages as there are, up to `v.len()`, waiting until there is at least
        /// one. Returns how many were taken.
        ///
        /// They share one lock. If this process dies meanwhile, those that were not taken yet are
        /// still in the queue, in order. An empty buffer is `Ok(0)` at once. What dead processes
        /// held on lease 0.2 s ago comes first.
        ///
        /// # Errors
        /// [`GetError`] if none was taken. A message whose bits are not a `T` ends the batch: those
        /// before it are `Ok`, and the next call finds it first, takes it and returns `Invalid`.
        /// Like each message that was taken it is owed a [`task_done`](Self::task_done).
        ///
        /// ```
        /// let queue = shmq::Queue::<u32>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(queue.get_slice(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, v: &mut [T]| -> Result<usize, GetError> { self.raw.get_values::<BY_LOCK, T>(self.raw.me_in_both_roles()?, v, wait) }
    }

    blocking_forms! {
        /// Gets one message by copy into a box, for messages that are too large for the stack;
        /// waits while the queue is empty.
        ///
        /// [`get`](Self::get) returns the message by value, which needs several times its size on
        /// the stack: a few megabytes overflow it, and much less does in a thread with a small
        /// stack. Here a message of more than 4 KiB goes from the segment to the heap without
        /// touching the stack. (Putting needs no such form: [`put`](Self::put) takes a reference,
        /// and a [`loan`](Self::loan) is written in place.)
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
        |self, wait| -> Result<Box<T>, GetError> { self.raw.get_boxed::<BY_LOCK, T>(self.raw.me_in_both_roles()?, wait) }
    }
}

impl<X> Queue<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// Gets one message into `buf` and returns how many elements it has. Waits while the queue
        /// is empty; allocates nothing.
        ///
        /// # Errors
        /// [`GetError::TooSmall`] if the message has more elements than `buf`: it is still in the
        /// queue. Otherwise as [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// queue.put(b"abc")?;
        /// let mut buffer = [0; 16];
        /// assert_eq!(queue.get_into(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buf: &mut [X]| -> Result<usize, GetError> { self.raw.get_into::<BY_LOCK, X>(self.raw.me_in_both_roles()?, buf, wait) }
    }
}
