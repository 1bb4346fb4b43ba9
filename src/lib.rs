//! Bounded queues and topics between processes, in named shared memory, that keep nanosecond speed
//! and lose nothing when a process dies. A queue gives each message to one getter, a topic to every
//! subscriber.
//!
//! ```text
//!    process A                      /dev/shm/shmq.ticks                      process B
//!   +-----------+     +--------------------------------------------+     +-----------+
//!   |  put ---------> | DONE | DONE | LEASED | READY | READY | FREE | ------> get    |
//!   |  loan     |     +--------------------------------------------+     |  lease    |
//!   +-----------+       one cell per message, its header says READY      +-----------+
//! ```
//!
//! ```toml
//! [dependencies]
//! shmq = "0.1"
//! ```
//!
//! ```
//! use shmq::{Process, Queue};
//!
//! #[shmq::message]
//! struct Tick {
//!     price: f64,
//!     volume: u64,
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let ticks = Queue::<Tick>::new(1000)?; // room for exactly 1000
//!     let sender = ticks.clone(); // between programs: open_or_create("ticks", 1000) in each
//!     let child = Process::spawn(move || {
//!         (1..=5).try_for_each(|volume| sender.put(&Tick { price: 99.5, volume }))?;
//!         sender.close();
//!         Ok::<(), shmq::PutError>(())
//!     })?;
//!     for tick in &ticks {
//!         let Tick { price, volume } = tick?; // ends when the queue is closed and drained
//!         println!("{volume} at {price}");
//!     }
//!     assert!(child.join()?.success());
//!     Ok(())
//! }
//! ```
//!
//! # Which type is for me?
//!
//! | You send | Use |
//! |---|---|
//! | numbers, arrays, structs without pointers | [`Queue<T>`](Queue), [`message`](macro@message) |
//! | bytes of varying length, samples | `Queue<[u8]>`, `Queue<[f32]>` |
//! | what every reader must see: prices, frames, sensor values | [`Topic<T>`](Topic): [below](#topics) |
//! | `String`, `Vec`, maps: anything that serde can encode | [`ObjectQueue<T>`](ObjectQueue) |
//! | tasks for worker processes | [`Pool`] |
//! | a value, a lock, a signal | [`sync`]: `Value`, `Mutex`, `Lock`, `Event`, `Semaphore`, `Condvar`, ... |
//!
//! On a queue, [`get`](Queue::get) takes a message at most once, and [`lease`](Queue::lease) at
//! least once: the message comes back if its holder is killed before it is done with it.
//! [`loan`](Queue::loan) and `lease` write and read large messages in place, without a copy. A
//! [`Producer`] and a [`Consumer`] own one side of a queue each and are the fastest. Each verb that
//! waits has a `try_`, a `_timeout` and a `_deadline` form; [`wait_any`] waits for several things.
//!
//! # Topics
//!
//! Every subscriber sees every message, and none can stop the others. A gating one misses nothing,
//! and publishers wait for it while it lives; a lossy one is never waited for, and knows what it
//! missed.
//!
//! ```
//! use shmq::{Process, Topic};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let prices = Topic::<f64>::new(1000)?; // between programs: open_or_create("prices", 1000) in each
//!     let screen = prices.subscribe_lossy()?;
//!     let strategy = Process::spawn(|| {
//!         let every = prices.subscribe()?;
//!         let sum = every.iter().sum::<Result<f64, _>>()?; // until the topic is closed
//!         assert_eq!(sum, 30.0);
//!         Ok::<(), Box<dyn std::error::Error>>(())
//!     })?;
//!     prices.wait_subscribers(1, std::time::Duration::from_secs(10))?;
//!     prices.publish_slice(&[9.5, 10.0, 10.5])?;
//!     assert_eq!((screen.latest()?, screen.missed()), (10.5, 2));
//!     prices.close();
//!     assert!(strategy.join()?.success());
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! | Feature | On by default | What it adds |
//! |---|---|---|
//! | `derive` | yes | [`#[shmq::message]`](macro@message): structs and enums as messages |
//! | `object` | yes | [`ObjectQueue`], [`ObjectTopic`], [`Process::call`], [`Pool`] |
//! | `async`, `sink` | no | futures, streams, a descriptor for event loops; a `Sink` |
//! | `tracing` | no | events from slow paths: blocked, recovered, redelivered |
//!
//! The command `shmq`, which shows and repairs live queues, is `cargo install shmq-cli`.
//!
//! # Async
//!
//! With the feature `async`, `put_async`, `get_async`, `lease_async` and `stream` wait without a
//! blocked thread, under any executor, and a future that is dropped before it was ready has done
//! nothing: see [`future`]. For event loops without futures, `readable` and `writable_for` make a
//! descriptor.
//!
//! # When a process dies
//!
//! Any process may be killed at any instruction; the others go on. A put that returned `Ok` is not
//! lost before a getter takes it, as long as the queue lives: it ends, and its messages with it,
//! when the last process that has it open drops it, unless it is made to
//! [`persist`](Queue::persist). Creating a queue under a name in use is an error;
//! [`Queue::open_or_create`] is for programs that start in any order.
//!
//! # Fork and threads
//!
//! [`Process::spawn`] forks, so it wants a program without threads. A program with threads calls
//! [`process::init`] first in a plain `main`, before a runtime such as tokio's is built, and then
//! [`Process::call`] or a [`Pool`]. A `#[test]` runs beside the threads of its harness: tests that
//! fork have a `main` of their own (`harness = false`), and `docs/first-hour.md` has one to copy.
//!
//! # Guides
//!
//! They come with the package: `docs/first-hour.md` (two programs and a struct, tests of your own
//! code), `docs/topics.md` (publish and subscribe), `docs/crash-safety.md` (guarantees, caveats,
//! restarts), `docs/async.md` (futures, streams, event loops), `docs/services.md` (signals, tokio),
//! `docs/operating.md` (the command, events, containers), `docs/performance.md`,
//! `docs/from-python.md` (every name of `multiprocessing`), and `ARCHITECTURE.md` (how it works).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(all(feature = "async", feature = "derive", feature = "object")), allow(rustdoc::broken_intra_doc_links))]
#![cfg_attr(loom, allow(dead_code, missing_docs))]

#[cfg(all(not(loom), not(target_os = "linux")))]
compile_error!(
    "shmq runs on Linux only so far: a port needs its own `os` (who is alive, how to wait) and `segment` (how to name)"
);

mod atomic;
mod ring;
mod shm;

// The ring alone is modelled by loom: nothing else of the crate is built beside it.
cfg_if::cfg_if! {
    if #[cfg(not(loom))] {
        mod attachment;
        mod background;
        mod backoff;
        mod dynamic;
        mod error;
        #[cfg(feature = "async")]
        pub mod future;
        pub mod inspect;
        pub mod letters;
        mod lock;
        mod message;
        #[cfg(feature = "object")]
        mod object;
        mod os;
        #[cfg(feature = "object")]
        mod pool;
        pub mod process;
        mod queue;
        mod raw;
        #[cfg(feature = "async")]
        mod reactor;
        mod spill;
        pub mod sync;
        mod topic;
        mod wait;
        mod wait_any;

        pub use dynamic::{
            DynConsumer, DynIntoSampleError, DynLoan, DynOwnedSample, DynProducer, DynPublisher, DynQueue, DynReceiver, DynSender, DynSubscriber, DynTopic, DynTopicLoan, Form,
            LayoutField, MessageLayout,
        };
        pub use error::{CreateError, DetachError, GetError, InUse, JoinError, LayoutError, OpenError, PutError, Subject, SubscribeError, SubscriberId, WaitSubscribersError};
        pub use message::{Message, Plain};
        #[doc(hidden)]
        pub use message::private as __private;
        #[cfg(feature = "object")]
        pub use object::{
            Codec, MessagePack, ObjectAckLease, ObjectConsumer, ObjectLease, ObjectProducer, ObjectPublisher, ObjectQueue, ObjectReceiver, ObjectSender,
            ObjectSubscriber, ObjectTopic,
            Postcard, PutAs,
        };
        #[cfg(feature = "object")]
        pub use pool::{AsyncResult, Batch, Imap, Pool, PoolBuilder, PoolError, PoolStats, Progress, TaskError, TryApplyError};
        pub use letters::{DeadLetter, DeadLetters};
        pub use process::{Process, ProcessBuilder, SpawnError};
        pub use queue::guard::{AckLease, Lease, LeaseMut, Loan, View};
        pub use queue::{
            Broadcasting, Buildable, Consumer, Delivering, Destination, ForwardError, Held, Iter, LeaseSource, Keep, Producer, Queue, QueueBuilder, Receiver, Sender, Source,
        };
        pub use raw::{Fate, MessageId, RecoveryReport, Start, Stats, SubscriberInfo, SubscriberKind, TopicStats};
        pub use shm::segment::UnappliedOption;
        pub use topic::{IntoSampleError, OwnedSample, Publisher, Sample, Subscriber, SubscriberIter, Topic, TopicBuilder, TopicLoan};
        pub use wait::{Stop, WaitStrategy};
        pub use wait_any::{WaitError, Waitable, try_wait_any, wait_any, wait_any_deadline, wait_any_timeout};

        /// Atomics that end their process at a chosen write: for `tests/two_deaths` alone.
        #[cfg(shmq_counted)]
        #[doc(hidden)]
        pub use atomic::counted;
    }
}

/// Marks a struct or an enum as a [`Message`], which may travel through a [`Queue`].
///
/// It adds `#[repr(C)]` to a struct that has no other, checks that every byte belongs to a field,
/// and implements [`Message`], with the [structural schema](Message::schema) by which every opener
/// is checked; and [`Plain`], where any bits are a value, so that messages can be written and read
/// in place.
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
/// **Fields** are numbers, `bool`, `char`, `NonZero`, arrays, and other types with this attribute.
/// What holds pointers (`String`, `Vec`, `Box`, references) is refused: send it through an
/// `ObjectQueue`. Generic parameters get the bound `Message`, and such a struct is checked for
/// padding where its parameters are known:
///
/// ```compile_fail
/// #[shmq::message]
/// struct Pair<A, B> {
///     a: A,
///     b: B,
/// }
///
/// let narrow = shmq::Queue::<Pair<u64, u32>>::new(8); // 4 bytes of padding at the end of `Pair`
/// ```
///
/// **Padding** is an error at the field that it is before or behind: other processes would see
/// bytes that no field has written. Sort the fields by falling alignment, or fill the gap with a
/// field such as `_unused: [u8; 3]`.
///
/// **Enums** name the integer that holds them, with or without fields in their variants. Bits that
/// are no variant are [`GetError::Invalid`] to those who get them.
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
/// **`repr`**: `#[repr(C, align(64))]`, `#[repr(C, packed)]` and `#[repr(transparent)]` stay as
/// they are written.
///
/// **A crate that is renamed** in `Cargo.toml` is named in the attribute:
/// `#[message(crate = ipc)]`.
///
/// Put it before `#[derive(...)]`, so that what is derived sees the same `repr`.
#[cfg(all(feature = "derive", not(loom)))]
pub use shmq_derive::message;

/// The examples of the README and of the guides.
#[cfg(all(doctest, feature = "derive", feature = "object", not(loom)))]
mod guides {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../ARCHITECTURE.md")]
    struct Architecture;
    #[doc = include_str!("../CONTRIBUTING.md")]
    struct Contributing;
    #[doc = include_str!("../SECURITY.md")]
    struct Security;
    #[cfg(feature = "async")]
    #[doc = include_str!("../docs/async.md")]
    struct Async;
    #[doc = include_str!("../docs/crash-safety.md")]
    struct CrashSafety;
    #[doc = include_str!("../docs/first-hour.md")]
    struct FirstHour;
    #[doc = include_str!("../docs/from-python.md")]
    struct FromPython;
    #[doc = include_str!("../docs/operating.md")]
    struct Operating;
    #[doc = include_str!("../docs/performance.md")]
    struct Performance;
    #[doc = include_str!("../docs/services.md")]
    struct Services;
    #[doc = include_str!("../docs/topics.md")]
    struct Topics;
}
