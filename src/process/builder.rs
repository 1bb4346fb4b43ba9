//! [`ProcessBuilder`]: what a process inherits.

#[cfg(feature = "object")]
use super::call::call_as;
use super::options::SpawnOptions;
use super::{Outcome, Process, SpawnError};
use crate::queue::Keep;
#[cfg(feature = "object")]
use serde::{Serialize, de::DeserializeOwned};
use std::os::fd::RawFd;

/// Starts a [`Process`] with other settings than [`Process::spawn`] and [`Process::call`]: what it
/// inherits of signals and descriptors, and whether it outlives the program. Made by
/// [`Process::builder`].
///
/// ```
/// use shmq::Process;
/// use std::os::fd::AsRawFd;
///
/// let log = std::fs::File::open("/dev/null")?;
/// let child = Process::builder().keep_fds([log.as_raw_fd()]).daemon(true).spawn(|| 3)?;
/// assert_eq!(child.join()?.code(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder starts nothing by itself"]
#[derive(Clone, Debug, Default)]
pub struct ProcessBuilder {
    options: SpawnOptions,
}

impl Process {
    /// A process with settings of its own. Without any, `builder().spawn(..)` is
    /// [`spawn`](Self::spawn), and `builder().call(..)` is [`call`](Self::call).
    ///
    /// ```
    /// let child = shmq::Process::builder().keep_handlers(true).spawn(|| ())?;
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> ProcessBuilder {
        ProcessBuilder::default()
    }
}

impl ProcessBuilder {
    /// Leaves the handlers of SIGTERM, SIGINT, SIGHUP and SIGQUIT as they are in the program. If
    /// not set, these become the default action in the process: the handlers that crates install
    /// (signal-hook, ctrlc, tokio) write into a pipe that the process shares with the program, so
    /// that a signal to the process would be taken for one to the program. What the program ignores
    /// is ignored, and what it blocks is blocked, in either case; and handlers of other signals
    /// stay.
    ///
    /// For a [`call`](Self::call) through the fork server, a handler stays that was there at
    /// [`init`](crate::process::init) and is the same now. One that was installed later becomes the
    /// default action, since what it works with is not in that process.
    ///
    /// ```
    /// let child = shmq::Process::builder().keep_handlers(true).spawn(|| 0)?;
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_handlers(mut self, keep: bool) -> Self {
        self.options.keep_handlers = keep;
        self
    }

    /// Gives the process these descriptors, at the same numbers, and no others but standard input,
    /// output and error and those of queues: `/dev/null` is put over everything else that it
    /// inherits. (Closed numbers would be used again, and a `File` in the copied memory would then
    /// write into another file.) If not set, a spawned process has all descriptors of the program,
    /// and a called one those that the program had at [`init`](crate::process::init); so the reader
    /// of a pipe that the program closes waits until the process ends, too.
    ///
    /// A called process gets them as they are at the call, also those opened since `init`. At most
    /// 248 travel to the fork server.
    ///
    /// # Errors
    ///
    /// Returned when the process is started: [`SpawnError::Os`] with `EBADF` if one is not open,
    /// [`SpawnError::TooManyDescriptors`] if a call has more than 248.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::fd::{AsRawFd, FromRawFd};
    ///
    /// let (mut reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let number = writer.as_raw_fd();
    /// let child = shmq::Process::builder().keep_fds([number]).call(
    ///     |number: i32| {
    ///         // SAFETY: the descriptor was kept for this, and no other code here owns it.
    ///         let mut writer = unsafe { std::fs::File::from_raw_fd(number) };
    ///         writer.write_all(b"hello")
    ///     },
    ///     number,
    /// )?;
    /// drop(writer);
    /// let mut said = String::new();
    /// reader.read_to_string(&mut said)?;
    /// assert_eq!(said, "hello");
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_fds(mut self, numbers: impl IntoIterator<Item = RawFd>) -> Self {
        self.options.keep_fds.get_or_insert_default().extend(numbers);
        self
    }

    /// Counts this handle in the process from the moment at which [`spawn`](Self::spawn) returns.
    /// Where a queue closes [when unused](crate::QueueBuilder::close_when_unused), a forked process
    /// otherwise counts a handle that it inherited from the first call of it on; so the program's
    /// own, which is dropped at once when it is moved into the closure, could be the last one. The
    /// handle counts in the process until it is dropped there, or the process ends. `spawn` waits
    /// until the process has attached to the queue: a millisecond.
    ///
    /// It changes nothing for [`call`](Self::call): a handle in the argument counts from the moment
    /// at which it was serialised.
    ///
    /// # Errors
    ///
    /// Returned when the process is started: [`SpawnError::Os`] if it cannot attach, since the queue
    /// has too many participants for instance.
    ///
    /// ```
    /// use shmq::{Process, Queue};
    ///
    /// let queue = Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
    /// let (sender, receiver) = (queue.sender(), queue.receiver());
    /// drop(queue);
    /// let child = Process::builder().keep(&sender).spawn(move || sender.put(&1))?;
    /// // The program has no sender any more, but the child has.
    /// assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>()?, [1]);
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep<H: Keep + ?Sized>(mut self, handle: &H) -> Self {
        self.options.kept.push(handle.kept());
        self
    }

    /// The kernel kills the process when the program ends, however that ends: as
    /// [`Process::spawn_daemon`] and [`Process::call_daemon`](Process::call_daemon).
    ///
    /// ```
    /// let child = shmq::Process::builder().daemon(true).spawn(|| loop { std::thread::park() })?;
    /// assert!(child.is_alive()); // as long as this program runs
    /// # child.kill()?;
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn daemon(mut self, dies_with_parent: bool) -> Self {
        self.options.dies_with_parent = dies_with_parent;
        self
    }

    /// Runs `closure` in a fork of this process, as [`Process::spawn`]. With
    /// [`keep_fds`](Self::keep_fds), descriptors that the closure uses must be among them.
    ///
    /// # Errors
    ///
    /// As for [`Process::spawn`].
    ///
    /// ```
    /// let child = shmq::Process::builder().spawn(|| 7)?;
    /// assert_eq!(child.join()?.code(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<F, R>(self, closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        Process::fork_alone(closure, &self.options)
    }

    /// [`spawn`](Self::spawn) without counting threads, as [`Process::spawn_unchecked`].
    ///
    /// # Safety
    ///
    /// As for [`Process::spawn_unchecked`]. A daemon also dies when the calling thread ends.
    ///
    /// # Errors
    ///
    /// As for [`Process::spawn_unchecked`].
    ///
    /// ```
    /// // SAFETY: there are no other threads.
    /// let child = unsafe { shmq::Process::builder().spawn_unchecked(|| 7) }?;
    /// assert_eq!(child.join()?.code(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn spawn_unchecked<F, R>(self, closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        self.options.check()?;
        // SAFETY: the caller's contract.
        unsafe { Process::fork(closure, &self.options, None) }
    }

    /// Runs `function(argument)` in a new process, as [`Process::call`].
    ///
    /// # Errors
    ///
    /// As for [`Process::call`].
    ///
    /// ```
    /// let child = shmq::Process::builder().call(|n: i32| n + 1, 6)?;
    /// assert_eq!(child.join()?.code(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "object")]
    pub fn call<A, R>(self, function: fn(A) -> R, argument: A) -> Result<Process, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Outcome,
    {
        let options = SpawnOptions { kept: Vec::new(), ..self.options };
        call_as(function, &argument, options)
    }
}
