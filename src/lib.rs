//! A bounded queue between processes, in named shared memory, that loses nothing when a process dies.
#![cfg_attr(not(loom), doc = include_str!("../README.md"))]
#![cfg_attr(loom, allow(dead_code, missing_docs))]

#[cfg(all(not(loom), not(target_os = "linux")))]
compile_error!(
    "shmq runs on Linux only so far: a port needs its own `os` (who is alive, how to wait) and `segment` (how to name)"
);

mod atomic;
mod geometry;
mod layout;
mod ring;

#[cfg(not(loom))]
mod attachment;
#[cfg(not(loom))]
mod channel;
#[cfg(not(loom))]
mod copy;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod guard;
#[cfg(not(loom))]
pub mod inspect;
#[cfg(not(loom))]
mod lock;
#[cfg(not(loom))]
mod message;
#[cfg(all(feature = "object", not(loom)))]
mod object;
#[cfg(not(loom))]
mod os;
#[cfg(not(loom))]
mod participant;
#[cfg(all(feature = "object", not(loom)))]
mod pool;
#[cfg(not(loom))]
pub mod process;
#[cfg(not(loom))]
mod queue;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
pub mod sync;
#[cfg(not(loom))]
mod wait_any;
#[cfg(not(loom))]
mod wait_strategy;

#[cfg(not(loom))]
pub use {
    channel::{RecoveryReport, Stats},
    error::{CreateError, GetError, JoinError, OpenError, PutError},
    guard::{Lease, Loan},
    message::Message,
    process::{Process, SpawnError},
    queue::{Builder, Consumer, Iter, Producer, Queue},
    segment::UnappliedOption,
    wait_any::{WaitError, Waitable, wait_any},
    wait_strategy::WaitStrategy,
};

#[cfg(not(loom))]
pub use zerocopy;

/// Atomics that end their process at a chosen write: for `tests/two_deaths` alone.
#[cfg(all(shmq_counted, not(loom)))]
#[doc(hidden)]
pub use atomic::counted;

#[cfg(all(feature = "object", not(loom)))]
pub use object::{Codec, MessagePack, ObjectBuilder, ObjectIter, ObjectLease, ObjectQueue, Postcard};
#[cfg(all(feature = "object", not(loom)))]
pub use pool::{AsyncResult, Batch, Imap, ImapUnordered, Pool, PoolBuilder, PoolError, Progress, TaskError};

/// The examples of the guide.
#[cfg(all(doctest, feature = "object", not(loom)))]
#[doc = include_str!("../docs/from-python.md")]
struct FromPython;
