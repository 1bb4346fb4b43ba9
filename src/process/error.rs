//! Why a process was not started.
//!
//! Fields are written `r#source`: that is their name to callers, and not to `thiserror`, which would make them the source of the
//! error as well as a part of its text, so that a chain of errors says them twice.

use std::io;

/// Why no process was spawned. The closure was dropped without being called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program has other threads. `fork` copies only the calling one, so whatever lock another thread holds at that
    /// moment (the allocator's, a logger's) would stay locked in the child for ever.
    ///
    /// From [`init`](crate::process::init) it means that it came too late. `#[tokio::main]` starts the runtime's threads before
    /// the first line of the function; in a plain `fn main`, `init` comes first and the runtime is built after it
    /// (`docs/services.md` has the lines).
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
    /// [`Array`](crate::sync::Array)), of whatever thread. Plain references that were made of it
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
    /// The spawner that `init` started was killed, and its standby too before it could take its place: nobody forks any more. Processes that
    /// they forked go on; how those end may not be told. [`init`](crate::process::init) starts another, in a program without threads.
    /// Or each spawner that was given this call died of it: others work. Nothing was
    /// started.
    #[error("the spawner died, and so did who took its place (the first standby was process {pid}): nothing was started")]
    SpawnerDied {
        /// Process id of the standby that `init` started first.
        pid: u32,
    },
    /// The program has other users or groups than it had at [`init`](crate::process::init), and a process of the spawner would have
    /// those from then: root's, in a program that gave them up since. Nothing was started. Drop rights first, and call `init` then.
    #[error(
        "the program's user or its groups are not those that it had at shmq::process::init(), and a process of the spawner would have those: \
         drop rights before init()"
    )]
    RightsChanged,
    /// The operating system refused a call: too many processes, no memory, or no `/proc` to count threads in.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}
