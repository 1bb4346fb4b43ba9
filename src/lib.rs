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
#[cfg(all(feature = "object", not(loom)))]
mod bytewise;
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
mod schema;
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
    error::{CreateError, GetError, JoinError, OpenError, PutError, Subject},
    guard::{Lease, Loan},
    message::{Message, Plain},
    process::{Process, SpawnError},
    queue::{Builder, Consumer, ConsumerIter, Iter, Producer, Queue},
    segment::UnappliedOption,
    wait_any::{WaitError, Waitable, try_wait_any, wait_any, wait_any_deadline, wait_any_timeout},
    wait_strategy::WaitStrategy,
};

/// Marks a struct or an enum as a [`Message`], which may travel through a [`Queue`].
///
/// It adds `#[repr(C)]` to a struct that has no other, checks that every byte belongs to a field, and implements
/// [`Message`], with the [structural schema](Message::schema) by which every opener is checked; and [`Plain`],
/// where any bits are a value, so that messages can be written and read in place.
///
/// ```
/// use shmq::Queue;
///
/// #[shmq::message]
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Point {
///     x: f32,
///     y: f32,
/// }
///
/// #[shmq::message]
/// struct Path<const N: usize> {
///     points: [Point; N],
///     closed: bool,
///     _unused: [u8; 3],
/// }
///
/// let paths = Queue::<Path<2>>::new(8)?;
/// paths.put(&Path { points: [Point { x: 0.0, y: 0.0 }, Point { x: 1.0, y: 1.0 }], closed: true, _unused: [0; 3] })?;
/// assert_eq!(paths.get()?.points[1], Point { x: 1.0, y: 1.0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Fields** are numbers, `bool`, `char`, `NonZero`, arrays, and other types with this attribute. What holds pointers (`String`, `Vec`, `Box`,
/// references) is refused: send it through an `ObjectQueue`. Generic parameters get the bound `Message`.
///
/// **Padding** is an error at the field that it is before or behind: other processes would see bytes that no field has written. Sort
/// the fields by falling alignment, or fill the gap with a field such as `_unused: [u8; 3]`.
///
/// **Enums** name the integer that holds them, with or without fields in their variants. Bits that are no variant are
/// [`GetError::Invalid`] to those who get them.
///
/// ```
/// #[shmq::message]
/// #[repr(u8)]
/// enum Command {
///     Start = 1,
///     Stop = 2,
/// }
///
/// let commands = shmq::Queue::<Command>::new(8)?;
/// commands.put(&Command::Stop)?;
/// assert!(matches!(commands.get()?, Command::Stop));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **`repr`**: `#[repr(C, align(64))]`, `#[repr(C, packed)]` and `#[repr(transparent)]` stay as they are written.
///
/// **A crate that is renamed** in `Cargo.toml` is named in the attribute: `#[message(crate = ipc)]`.
///
/// Put it before `#[derive(...)]`, so that what is derived sees the same `repr`.
#[cfg(all(feature = "derive", not(loom)))]
pub use shmq_derive::message;

#[cfg(not(loom))]
#[doc(hidden)]
pub use message::private as __private;

// `#[message]` writes `::shmq` also into this crate's own tests.
#[cfg(all(test, not(loom)))]
extern crate self as shmq;

/// Atomics that end their process at a chosen write: for `tests/two_deaths` alone.
#[cfg(all(shmq_counted, not(loom)))]
#[doc(hidden)]
pub use atomic::counted;

#[cfg(all(feature = "object", not(loom)))]
pub use object::{Codec, MessagePack, ObjectBuilder, ObjectIter, ObjectLease, ObjectQueue, Postcard};
#[cfg(all(feature = "object", not(loom)))]
pub use pool::{AsyncResult, Batch, Imap, ImapUnordered, Pool, PoolBuilder, PoolError, PoolStats, Progress, TaskError};

/// The examples of the guide.
#[cfg(all(doctest, feature = "object", not(loom)))]
#[doc = include_str!("../docs/from-python.md")]
struct FromPython;
