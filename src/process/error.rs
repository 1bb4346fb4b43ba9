//! Why a process was not started.
//!
//! Fields are written `r#source`: that is their name to callers, and not to `thiserror`, which
//! would make them the source of the error as well as a part of its text, so that a chain of errors
//! says them twice.

use std::io;

/// Why no process was spawned. The closure was dropped without being called.
///
/// ```
/// use shmq::{Process, SpawnError};
///
/// // A closed number cannot be kept.
/// match Process::builder().keep_fds([1_000_000]).spawn(|| ()) {
///     Err(SpawnError::Os { call, source }) => {
///         assert_eq!((call, source.raw_os_error()), ("a descriptor to keep", Some(libc::EBADF)));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program has other threads. `fork` copies only the calling one, so a lock that another
    /// thread holds at that moment (the allocator's, a logger's) would stay locked in the child for
    /// ever.
    ///
    /// From [`init`](crate::process::init) it means that it came too late. `#[tokio::main]` starts
    /// the runtime's threads before the first line of the function; in a plain `fn main`, `init`
    /// comes first and the runtime is built after it (`docs/services.md` has the lines).
    #[error(
        "the program has {threads} threads, and fork copies only the calling one: call shmq::process::init() first in main, \
         before any thread is started. An async runtime's count: #[tokio::main] starts them before the first line of its body, \
         so write a plain `fn main` that calls init() and then builds the runtime. In a #[test], which is such a thread: give the test \
         file a main of its own (docs/first-hour.md, \"Tests of your own code\"). After init(), Process::call and Pool work from any thread; \
         or spawn processes before threads are started \
         (or, knowing what the threads hold, use the unsafe Process::spawn_unchecked)"
    )]
    Threaded {
        /// Threads of the program at the time of the call, the caller included.
        threads: usize,
    },
    /// This process holds a loan, a lease or a lock (a guard of [`Mutex`](crate::sync::Mutex) or
    /// [`Array`](crate::sync::Array)), in whichever thread. Plain references that were made of it
    /// would go on working in the child, where the guard's drop, commit or unlock by the parent
    /// ends none of them. One that was given to `mem::forget` is held until the process ends.
    #[error(
        "this process holds {guard} of {name:?}, and a child would keep references into it: end it before the fork, or take it in the child \
         (or, knowing that the child has none, use the unsafe Process::spawn_unchecked)"
    )]
    GuardHeld {
        /// What it holds: a loan, a lease or a lock.
        guard: &'static str,
        /// The name of the queue, the mutex or the array.
        name: String,
    },
    /// The argument of `Process::call` was not encoded.
    #[error("the argument cannot be encoded: {source}")]
    Encode {
        /// What the codec said.
        r#source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More descriptors are to be [kept](crate::ProcessBuilder::keep_fds) than travel to the fork
    /// server with one call. Nothing was started.
    #[error("keep_fds of {asked} descriptors cannot be used: a call takes 0 to {max}")]
    TooManyDescriptors {
        /// How many were to be kept.
        asked: usize,
        /// The most that a call takes.
        max: usize,
    },
    /// The fork server that `init` started was killed, and its standby too before it could take its
    /// place: no process can be forked any more. Processes that they forked go on; their exit
    /// status may be lost. [`init`](crate::process::init) starts another, in a program without
    /// threads. Or each fork server that was given this call died of it: others work. Nothing was
    /// started.
    #[error(
        "the fork server died, and so did the one that took its place (the first standby was process {pid}): nothing was started"
    )]
    ForkServerDied {
        /// Process id of the standby that `init` started first.
        pid: u32,
    },
    /// The program has other users or groups than it had at [`init`](crate::process::init), and a
    /// process of the fork server would have those from then: root's, in a program that gave them
    /// up since. Nothing was started. Drop rights first, and call `init` then.
    #[error(
        "the program's user or its groups are not those that it had at shmq::process::init(), and a process of the fork server would have those: \
         drop rights before init()"
    )]
    RightsChanged,
    /// The operating system refused a call: too many processes, no memory, or no `/proc` to count
    /// threads in.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}
