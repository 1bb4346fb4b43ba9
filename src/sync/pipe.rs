//! [`Pipe`]: two queues, one each way, and two typed ends.

use crate::error::{CreateError, GetError, PutError};
use crate::message::Message;
use crate::queue::Queue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::{Duration, Instant};

/// One end of a two-way connection: puts messages `A`, gets messages `B`. The other end is a
/// `Pipe<B, A>`. Python's `multiprocessing.Pipe`.
///
/// Both ends are handles like those of a [`Queue`], of which a pipe has two: they are inherited
/// across `fork`, cloned, and serialised, so that an end can be sent through a queue. More than one
/// process may use the same end.
///
/// **Closing** either end closes both directions for all processes: nothing can be put any more,
/// and both ends drain what was put before, then get [`GetError::Closed`]. **Dropping** an end
/// closes nothing (there may be clones, and copies in other processes), and nor does the **death**
/// of the process at the other end: wait for the process too, with [`wait_any`](crate::wait_any),
/// or with a timeout.
///
/// ```
/// use shmq::{Process, sync::Pipe};
///
/// let (ours, theirs) = Pipe::<u32, f64>::new(8)?;
/// let child = Process::spawn(move || {
///     while let Ok(n) = theirs.get() {
///         theirs.put(&f64::from(n).sqrt())?;
///     }
///     Ok::<(), shmq::PutError>(())
/// })?;
/// ours.put(&16)?;
/// assert_eq!(ours.get()?, 4.0);
/// ours.close();
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipe<A: ?Sized, B: ?Sized> {
    out: Queue<A>,
    into: Queue<B>,
}

impl<A: Message, B: Message> Pipe<A, B> {
    /// Creates both ends, with room for `capacity` messages each way.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// ours.put(&1)?;
    /// assert_eq!(theirs.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::new_ret_no_self, clippy::type_complexity, reason = "a pipe has two ends")]
    pub fn new(capacity: usize) -> Result<(Pipe<A, B>, Pipe<B, A>), CreateError> {
        Ok(Pipe::over(Queue::new(capacity)?, Queue::new(capacity)?))
    }
}

impl<A: ?Sized + Message, B: ?Sized + Message> Pipe<A, B> {
    /// Makes a pipe of two queues: the first end puts into `there` and gets from `back`. For
    /// messages of varying length, names, and other settings.
    ///
    /// ```
    /// use shmq::{Queue, sync::Pipe};
    ///
    /// let there = Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// let back = Queue::<u64>::new(4)?;
    /// let (ours, theirs) = Pipe::over(there, back);
    /// ours.put(b"how long is this?")?;
    /// theirs.put(&(theirs.get()?.len() as u64))?;
    /// assert_eq!(ours.get()?, 17);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn over(there: Queue<A>, back: Queue<B>) -> (Pipe<A, B>, Pipe<B, A>) {
        (Pipe { out: there.clone(), into: back.clone() }, Pipe { out: back, into: there })
    }

    /// This end with waits that end with `Interrupted` once `stop` is set. As [`Queue::with_stop`].
    ///
    /// ```
    /// let (ours, _theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// let stop = shmq::Stop::new();
    /// stop.set();
    /// assert!(ours.with_stop(&stop).get().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the end that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &crate::Stop) -> Pipe<A, B> {
        Pipe { out: self.out.with_stop(stop), into: self.into.with_stop(stop) }
    }

    /// Puts a message for the other end; waits while there is no room. As [`Queue::put`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// theirs.put(&7)?;
    /// assert_eq!(ours.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&self, message: &A) -> Result<(), PutError> {
        self.out.put(message)
    }

    /// As [`Queue::try_put`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let (ours, _theirs) = shmq::sync::Pipe::<u32, u32>::new(1)?;
    /// ours.try_put(&7)?;
    /// assert!(ours.try_put(&8).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_put(&self, message: &A) -> Result<(), PutError> {
        self.out.try_put(message)
    }

    /// As [`Queue::put_timeout`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (ours, _theirs) = shmq::sync::Pipe::<u32, u32>::new(1)?;
    /// ours.put_timeout(&7, Duration::from_secs(1))?;
    /// assert!(ours.put_timeout(&8, Duration::from_millis(1)).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_timeout(&self, message: &A, timeout: Duration) -> Result<(), PutError> {
        self.out.put_timeout(message, timeout)
    }

    /// As [`Queue::put_deadline`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (ours, _theirs) = shmq::sync::Pipe::<u32, u32>::new(1)?;
    /// ours.put_deadline(&7, Instant::now())?;
    /// assert!(ours.put_deadline(&8, Instant::now()).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_deadline(&self, message: &A, deadline: Instant) -> Result<(), PutError> {
        self.out.put_deadline(message, deadline)
    }

    /// Gets a message of the other end; waits while there is none. As [`Queue::get`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// ours.put(&7)?;
    /// assert_eq!(theirs.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self) -> Result<B::Owned, GetError> {
        self.into.get()
    }

    /// As [`Queue::try_get`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// assert!(theirs.try_get().unwrap_err().is_empty());
    /// ours.put(&7)?;
    /// assert_eq!(theirs.try_get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_get(&self) -> Result<B::Owned, GetError> {
        self.into.try_get()
    }

    /// As [`Queue::get_timeout`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// assert!(theirs.get_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
    /// ours.put(&7)?;
    /// assert_eq!(theirs.get_timeout(Duration::from_secs(1))?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<B::Owned, GetError> {
        self.into.get_timeout(timeout)
    }

    /// As [`Queue::get_deadline`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// assert!(theirs.get_deadline(Instant::now()).unwrap_err().is_timeout());
    /// ours.put(&7)?;
    /// assert_eq!(theirs.get_deadline(Instant::now())?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_deadline(&self, deadline: Instant) -> Result<B::Owned, GetError> {
        self.into.get_deadline(deadline)
    }

    /// The queue that this end puts into: for loans and batches.
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// ours.put(&7)?;
    /// assert_eq!((ours.outgoing().len(), theirs.incoming().len()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn outgoing(&self) -> &Queue<A> {
        &self.out
    }

    /// The queue that this end gets from: for leases, batches, and questions like `is_empty`
    /// (Python's `poll`).
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// theirs.put(&7)?;
    /// assert_eq!(ours.incoming().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn incoming(&self) -> &Queue<B> {
        &self.into
    }

    /// Closes both directions, for all processes. Doing it again changes nothing.
    ///
    /// ```
    /// let (ours, theirs) = shmq::sync::Pipe::<u32, u32>::new(4)?;
    /// theirs.close();
    /// assert!(ours.put(&7).unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.out.close();
        self.into.close();
    }
}

crate::attachment::detachable! {
    [A: ?Sized + Message, B: ?Sized + Message] Pipe<A, B>, |end| [end.out.raw(), end.into.raw()],
    "let (here, there) = shmq::sync::Pipe::<u64, u64>::new(4)?;"
    "let here = here.detach().unwrap_err().into_handle(); // the other end is in this process too"
    "drop(there);"
    "here.detach()?; // both queues, or none"
}

impl<A: ?Sized, B: ?Sized> Clone for Pipe<A, B> {
    /// Another handle of the same end. Cheap.
    fn clone(&self) -> Self {
        Pipe { out: self.out.clone(), into: self.into.clone() }
    }
}

impl<A: ?Sized, B: ?Sized> fmt::Debug for Pipe<A, B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pipe").field("out", &self.out).field("into", &self.into).finish()
    }
}

impl<A: ?Sized + Message, B: ?Sized + Message> Serialize for Pipe<A, B> {
    /// The handles of both queues. The receiver gets the same end.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.out, &self.into).serialize(serializer)
    }
}

impl<'de, A: ?Sized + Message, B: ?Sized + Message> Deserialize<'de> for Pipe<A, B> {
    /// Opens both queues.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (out, into) = Deserialize::deserialize(deserializer)?;
        Ok(Pipe { out, into })
    }
}
