//! What processes agree by, beside queues: [`Mutex`], [`Value`], [`Array`], [`Lock`],
//! [`ReentrantLock`], [`Event`], [`Semaphore`], [`Condvar`], [`Barrier`], and [`Pipe`], which is two
//! queues.
//!
//! Each lies in a named segment of its own, like a queue: **named** (`create`, `open`,
//! `open_or_create`) for programs that meet by name, or **anonymous** (`new`) for forked children,
//! which inherit the handle. Handles are `Clone`, `Serialize` and `Deserialize`: they travel
//! through queues, and lead to the same primitive in every process. The name goes with the last
//! process that drops its handles, unless `persist` was called. Up to 250 processes of one user use
//! one primitive at a time, unless its [`builder`](Event::builder) says otherwise.
//!
//! **If a process is killed, the others continue.** A lock that a dead process held is taken over
//! by the next locker, and what it guarded is reported until it is marked repaired
//! ([`LockError::OwnerDied`]). Deadlines are never early, and hold even against a holder that was
//! stopped (`SIGSTOP`).
//!
//! **If all its users are dead**, a primitive has ended its life, as if the last of them had
//! dropped it: `open_or_create` makes a new one in its place, unless it was persisted or is another
//! user's. What a new life finds is what it asked for: an `Event` that is not set, all permits of a
//! `Semaphore`, a whole `Barrier` for so many parties, a `Condvar` without waiters, and the first
//! value in a `Mutex`, an `Array` or a `Value`, a `Lock` that is free: data that must outlive a crash of all their users
//! are for `persist`. `open` still opens a dead primitive, as it was left.
//!
//! **After a fork** handles work in the child. Guards that the parent held stay with the parent:
//! their copies in the child unlock nothing when dropped, and panic when used. While there are
//! guards of a [`Mutex`] or an [`Array`], [`Process::spawn`](crate::Process::spawn) does not fork.
//!
//! # Signal handlers
//!
//! A handler interrupts its own program anywhere, in a call of this crate too. What takes a lock
//! there may have to wait for the very thread that it interrupted, which is for ever; what
//! allocates may do so inside the allocator. In a handler may be called:
//!
//! | | in a signal handler |
//! |---|---|
//! | [`Stop`](crate::Stop): `set`, `is_set` | yes, whatever they interrupt |
//! | [`Event`]: `set`, `clear`, `is_set`, `try_wait` | yes, whatever they interrupt |
//! | [`Semaphore`]: `release`, `release_many` | yes, whatever they interrupt, as `sem_post` |
//! | [`Permit`]: its drop, `forget` | yes, whatever they interrupt |
//! | [`Condvar`]: `notify`, `notify_one`, `notify_all` | yes, whatever they interrupt |
//! | [`Barrier`]: `is_broken`, `waiting`, `parties`, `abort` | yes |
//! | [`Semaphore`]: `try_acquire`, `try_permit`, `value` | yes; `Busy` if they interrupt one |
//! | [`Value`]: `try_get`, `try_set`, `try_update` | yes; `WouldBlock` if they interrupt one |
//! | [`Mutex`], [`Array`]: `try_lock`, the guard | yes; `WouldBlock` if they interrupt a holder |
//! | [`Lock`]: `try_acquire`, `try_lock`, `release`, `locked`, the guard | yes, whatever they interrupt |
//! | [`ReentrantLock`] | no, but for `locked`: a handler runs in a thread that may be in a call of it |
//! | [`Queue`](crate::Queue), [`Pipe`]: `try_put` | yes; `Busy` if they interrupt a put on it |
//! | [`Queue`](crate::Queue), [`Pipe`]: `try_get`, other `try_` forms | no: they may allocate |
//! | every form that waits, with a deadline too | no: they may wait for what they interrupt |
//! | verbs of endpoints, leases, loans, `ObjectQueue` | no |
//! | [`wait_any`](crate::wait_any()), [`Process`](crate::Process), `Pool` | no |
//! | creating, opening, unlinking, dropping the last handle | no |
//!
//! `Busy` comes after about 1 ms. All this on three conditions. A forked child calls the thing once
//! before its first handler runs, since it attaches at its first call (`set`, `clear`, `release`,
//! `notify` and dropping need no such call). The program is built without the feature `tracing`, or
//! its subscriber may run in a handler. And the locks are Linux's, not the portable ones. A handler
//! that may be called in the middle of other code keeps `errno` as it was.
//!
//! ```
//! use shmq::sync::Semaphore;
//! use std::sync::OnceLock;
//!
//! static ALARMS: OnceLock<Semaphore> = OnceLock::new();
//!
//! extern "C" fn on_alarm(_: libc::c_int) {
//!     // Wakes the thread that waits below, or one of another process.
//!     if let Some(alarms) = ALARMS.get() {
//!         let _ = alarms.release();
//!     }
//! }
//!
//! let alarms = ALARMS.get_or_init(|| Semaphore::new(0).unwrap());
//! let handler = on_alarm as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
//! // SAFETY: the handler calls nothing but `release`, which may be called there.
//! unsafe { libc::signal(libc::SIGALRM, handler) };
//! // SAFETY: a timer of this process.
//! unsafe { libc::alarm(1) };
//! alarms.acquire()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Futures
//!
//! With the feature `async`, for tasks, which must not block their thread:
//!
//! | | |
//! |---|---|
//! | [`Event`] | `wait_async` |
//! | [`Semaphore`] | `permit_async`: its guard may be held across an `.await` and change threads |
//! | [`Mutex`], [`Array`], [`Value`] | `lock`, `try_lock` between two `.await`s: see below |
//! | [`Condvar`], [`Barrier`] | none: wait in a thread that may block, or for an `Event` |
//!
//! **No `lock_async`**: the guard of a [`Mutex`] stays in its thread, and while it exists,
//! [`Process::spawn`](crate::Process::spawn) does not fork. Held across an `.await`, it would stop
//! all other processes for as long as its executor has other things to do, and tasks of its own
//! thread that lock would wait for it for ever. Hold it for a few instructions and no `.await`, as
//! `std`'s. What must be held across one is a permit of a `Semaphore` of one: it comes back when
//! the task is cancelled, and when the process dies.
//!
//! **No future of a `Condvar`**: a wait gives its mutex up and takes it again, so it would need the
//! same guard. **None of a `Barrier`**: to arrive changes the barrier, and a party that has arrived
//! and is cancelled breaks it for all others, so that such a future could not be dropped safely.
//!
#![cfg_attr(feature = "async", doc = "```")]
#![cfg_attr(not(feature = "async"), doc = "```ignore")]
//! use shmq::sync::{Semaphore, Value};
//!
//! let (turn, total) = (Semaphore::new(1)?, Value::new(0u64)?);
//! futures::executor::block_on(async {
//!     let _turn = turn.permit_async().await?; // one task at a time, of all processes
//!     let old = total.get()?;
//!     futures::future::ready(()).await; // anything that takes its time
//!     total.set(old + 1)
//! })?;
//! assert_eq!(total.get()?, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Portable locks
//!
//! Under `--cfg shmq_portable_sync` all of this works too, except that a death is not noticed: see
//! `ARCHITECTURE.md`, "Platforms".
//!
//! ```
//! use shmq::{Process, sync::Value};
//!
//! let hits = Value::new(0u64)?;
//! let mut workers = Vec::new();
//! for _ in 0..3 {
//!     let hits = hits.clone();
//!     let count = move || (0..100).try_for_each(|_| hits.update(|n| *n += 1).map(drop));
//!     workers.push(Process::spawn(count)?);
//! }
//! for worker in workers {
//!     assert!(worker.join()?.success());
//! }
//! assert_eq!(hits.get()?, 300);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod array;
#[cfg(feature = "async")]
mod awaited;
mod barrier;
mod builder;
mod condvar;
mod dyn_mutex;
mod error;
mod event;
mod handle;
mod hold;
mod holders;
mod lock;
#[cfg(all(test, not(loom)))]
mod model;
mod mutex;
mod pipe;
pub(crate) mod primitive;
mod reentrant;
mod semaphore;
mod settings;
mod value;

pub use array::Array;
pub use barrier::{Barrier, BarrierWaitResult};
pub use builder::PrimitiveBuilder;
pub use condvar::{Condvar, CondvarGuard, WaitTimeoutResult};
pub use dyn_mutex::DynMutex;
pub use error::{LockError, SyncError};
pub use event::Event;
pub use lock::{Acquired, Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard};
pub use pipe::Pipe;
pub use reentrant::{ReentrantLock, ReentrantLockGuard};
pub use semaphore::{Permit, Semaphore};
pub use value::Value;

pub use crate::message::Plain;
