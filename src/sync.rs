//! What processes agree by, beside queues: [`Mutex`], [`Value`], [`Array`], [`Event`], [`Semaphore`], [`Condvar`], [`Barrier`],
//! and [`Pipe`], which is two queues.
//!
//! Each lies in a named segment of its own, like a queue: **named** (`create`, `open`, `open_or_create`) for programs that meet by name, or
//! **anonymous** (`new`) for forked children, which inherit the handle. Handles are `Clone`, `Serialize` and `Deserialize`: they travel
//! through queues, and lead to the same object in every process. The name goes with the last process that drops its handles, unless
//! `persist` was called. Up to 250 processes of one user use one object at a time, unless its [`builder`](Event::builder) says otherwise.
//!
//! **Whoever is killed, the others go on.** A lock that a dead process held is taken over by the next who asks, and what it guarded is
//! reported until somebody has looked at it ([`LockError::OwnerDied`]). Deadlines are never early, and hold even
//! against a holder that was stopped (`SIGSTOP`).
//!
//! **If all its users are dead**, an object has ended its life, as if the last of them had dropped it: `open_or_create` makes a new one in its
//! place, unless it was persisted or is another user's. What a new life finds is what it asked for: an `Event` that is not set, all permits of a
//! `Semaphore`, a whole `Barrier` for so many parties, a `Condvar` that nobody waits at, and the first value in a `Mutex`, an `Array` or a
//! `Value`: data that must outlive a crash of all who use them are for `persist`. `open` still opens a dead object, as it was left.
//!
//! **After a fork** handles work in the child. Guards that the parent held stay with the parent:
//! their copies in the child unlock nothing when dropped, and panic when used. While there are
//! guards of a [`Mutex`] or an [`Array`], [`Process::spawn`](crate::Process::spawn) does not fork.
//!
//! Under `--cfg shmq_portable_sync` all of this works too, except that nobody notices a death: see the README, "Platforms".
//!
//! ```
//! use shmq::{Process, sync::Value};
//!
//! let hits = Value::new(0u64)?;
//! let mut workers = Vec::new();
//! for _ in 0..3 {
//!     let hits = hits.clone();
//!     workers.push(Process::spawn(move || (0..100).try_for_each(|_| hits.update(|n| *n += 1).map(drop)))?);
//! }
//! for mut worker in workers {
//!     assert!(worker.join()?.success());
//! }
//! assert_eq!(hits.get()?, 300);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
mod barrier;
mod builder;
mod condvar;
mod error;
mod event;
mod handle;
mod holders;
mod mutex;
pub(crate) mod object;
mod pipe;
mod semaphore;
mod value;

pub use array::Array;
pub use barrier::{Barrier, BarrierWaitResult};
pub use builder::Builder;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use error::{LockError, SyncError};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use pipe::Pipe;
pub use semaphore::{Permit, Semaphore};
pub use value::Value;

pub use crate::message::Plain;
