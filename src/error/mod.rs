//! Public errors: one enum per family of operations, each with the values that its reader needs.
//!
//! The text of an error includes what the system or the codec said. That is no `source()` as well:
//! a caller that prints the whole chain would read it twice. Without it in the text, a caller that
//! prints the error alone would miss the cause. So the field is written `r#source`: callers see it
//! as `source`, and `thiserror` does not take it for one.

mod detach;
mod layout;
mod predicates;
mod range;
mod segment;
mod subject;
mod subscriber;

pub use detach::{DetachError, InUse};
pub use layout::LayoutError;
#[cfg(feature = "object")]
pub(crate) use range::range_text;
pub(crate) use segment::A_DIRECTORY;
pub use segment::{CreateError, OpenError};
pub use subject::Subject;
pub use subscriber::SubscriberId;

use std::io;

/// An error of the calls of a queue: the variants of its own, and those that all have.
macro_rules! queue_error {
    ($(#[$meta:meta])* pub enum $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $($own)*
            /// A process that was taken for dead turned out to be alive (it closed descriptors that
            /// were not its own). The order of this queue can no longer be trusted; create a new
            /// one.
            #[error("poisoned: a process was taken for dead while it was still at work; create it anew")]
            Poisoned,
            /// Words in the segment hold impossible values: something other than this crate wrote
            /// to it.
            #[error("the segment is corrupted: its words hold impossible values")]
            Corrupted,
            /// Every entry of the participant table is taken by a live process: a forked child
            /// could not attach.
            #[error("all {max} participant entries are in use; create the queue with a larger max_participants")]
            TooManyParticipants {
                /// Size of the participant table.
                max: u32,
            },
            /// The operating system refused a call, or this process could not attach after `fork`.
            #[error("{call}: {source}")]
            Os {
                /// The call that failed.
                call: &'static str,
                /// What the operating system said.
                r#source: io::Error,
            },
        }
    };
}

queue_error! {
    /// Why a message was not put.
    ///
    /// Nothing was enqueued when a `put` or `loan` returns one of these.
    /// [`put_slice`](crate::Queue::put_slice) returns an error only when *none* of its messages
    /// moved.
    ///
    /// ```
    /// use shmq::{PutError, Queue};
    ///
    /// let queue = Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// match queue.try_put(&2) {
    ///     Ok(()) => println!("put"),
    ///     Err(PutError::Full | PutError::Busy) => println!("dropped: the consumers are too slow"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub enum PutError {
        /// `try_put` found no room. Take messages out, or use `put`, which waits.
        #[error("the queue is full")]
        Full,
        /// `try_put` gave up after about a millisecond: a process that does not run (stopped, or
        /// starved of CPU) holds the lock of the put side. Or of the get side, and the only room is
        /// that of dropped loans, which needs that lock. Try again, or use a verb with a timeout.
        #[error("the put side is locked by a process that does not run (stopped or starved); try again")]
        Busy,
        /// The deadline passed before there was room. Never reported early.
        #[error("timed out before there was room")]
        Timeout,
        /// The handle's [`Stop`](crate::Stop) was set before there was room. Nothing was put.
        #[error("interrupted before there was room: the stop was set, or its check ended the call")]
        Interrupted,
        /// A process called [`close`](crate::Queue::close): no process can put any more.
        #[error("closed: no more messages are taken")]
        Closed,
        /// The message can never fit this queue. Create it with a larger `capacity_bytes` (twice
        /// the largest message, or more), or an `ObjectQueue` with a larger
        /// [`max_spilled_bytes`](crate::QueueBuilder::max_spilled_bytes).
        #[error(
            "message of {len} bytes is larger than the queue can ever hold ({max} bytes); create it with a larger capacity_bytes"
        )]
        TooLarge {
            /// Size of the refused message, in bytes.
            len: usize,
            /// Largest message that this queue can hold, in bytes.
            max: usize,
        },
        /// The bytes given to a [`DynQueue`](crate::DynQueue) or [`DynTopic`](crate::DynTopic) are
        /// not as many as its values have. Nothing was put.
        #[error("a message of {len} bytes, where all have {expected}")]
        WrongLength {
            /// Bytes of the refused message.
            len: usize,
            /// Bytes of each message of the queue.
            expected: usize,
        },
        /// The bytes given to a [`DynQueue`](crate::DynQueue) or [`DynTopic`](crate::DynTopic) are
        /// no whole number of elements (of a slice), or of values (of a batch). Nothing was put.
        #[error("{len} bytes are no whole number of elements of {element} bytes")]
        NotWhole {
            /// Bytes that were given.
            len: usize,
            /// Bytes of an element, or of a value of the batch.
            element: usize,
        },
        /// A batch of bytes, or a loan without a length, where messages are slices or encoded
        /// objects: where one ends is not known. Put them one by one, and say how long a loan is.
        #[error("the messages are slices or encoded objects, of no common size; put them one by one, and say how long a loan is")]
        NotOfOneSize,
        /// There is no memory for an object that is larger than the ring: see
        /// [`max_spilled_bytes`](crate::QueueBuilder::max_spilled_bytes). Nothing was put.
        #[error(
            "no space for an object of its own file: it needs {needed_bytes} bytes, {free_bytes} are free in the segment's directory"
        )]
        NoSpace {
            /// Bytes that the object's file needs.
            needed_bytes: u64,
            /// Bytes that are free.
            free_bytes: u64,
        },
        /// The value was not encoded (its `Serialize` refused, or the codec cannot carry such a
        /// type): see `ObjectQueue`.
        #[error("the value cannot be encoded: {source}")]
        Encode {
            /// What the codec said.
            r#source: Box<dyn std::error::Error + Send + Sync>,
        },
        /// A live [`Producer`](crate::Producer) owns the put side: only it may put.
        #[error("the put side is held by a Producer or Publisher of process {pid}; drop that endpoint, or put through it")]
        Held {
            /// Process id of the endpoint's owner, as that process saw it.
            pid: u32,
        },
        /// A topic is full: this gating subscriber is a whole capacity behind. `try_publish` found
        /// it so ([`is_full`](PutError::is_full)), or the deadline passed while a publisher waited
        /// for it ([`is_timeout`](PutError::is_timeout)). Wait for it, or
        /// [evict](crate::Topic::evict) it.
        #[error(
            "{}subscriber {subscriber} of process {pid} lags {lag} messages behind; wait for it, or evict it",
            if *timed_out { "timed out: " } else { "the topic is full: " }
        )]
        Gated {
            /// The subscriber that keeps the gate shut.
            subscriber: SubscriberId,
            /// Its process, as that process saw itself.
            pid: u32,
            /// Messages that it has not passed.
            lag: u64,
            /// Did a publisher wait for it until a deadline?
            timed_out: bool,
        },
        /// A topic is full: an open loan of this process is a whole capacity behind. As
        /// [`Gated`](PutError::Gated); it ends with its commit, its drop or its process.
        #[error(
            "{}a loan of process {pid} is still open; commit or drop it",
            if *timed_out { "timed out: " } else { "the topic is full: " }
        )]
        BehindLoan {
            /// The loan's process, as that process saw itself.
            pid: u32,
            /// Did a publisher wait for it until a deadline?
            timed_out: bool,
        },
        /// A loan of a topic, in a process with a lossy subscriber of the same topic: what one
        /// writes in place the other might read at the same time. Publish by copy, or subscribe
        /// elsewhere.
        #[error("this process has a lossy subscriber of the topic, which excludes loans; publish by copy")]
        LossyHere,
        /// This guard or endpoint was made before a `fork` and belongs to the parent process.
        #[error("this guard or endpoint belongs to the parent process; make a new one after fork")]
        Inherited,
    }
}

queue_error! {
    /// Why a subscriber of a topic was not made.
    ///
    /// ```
    /// use shmq::{SubscribeError, Topic};
    ///
    /// let topic = Topic::<u64>::builder().capacity(4).max_subscribers(1).create()?;
    /// let _first = topic.subscribe()?;
    /// let refused = topic.subscribe().unwrap_err();
    /// assert!(matches!(refused, SubscribeError::TooManySubscribers { max: 1 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub enum SubscribeError {
        /// The topic has as many live subscribers as it has room for.
        #[error("the topic has {max} subscribers, which is all that it has room for; create it with a larger max_subscribers")]
        TooManySubscribers {
            /// What it has room for.
            max: u32,
        },
        /// A lossy subscriber, in a process with an open loan of the same topic: what one writes in
        /// place the other might read at the same time. End the loan first.
        #[error("this process has an open loan of the topic, which excludes lossy subscribers; end it first")]
        LoansHere,
    }
}

queue_error! {
    /// Why the wanted subscribers were not found.
    ///
    /// ```
    /// use shmq::{Topic, WaitSubscribersError};
    ///
    /// let topic = Topic::<u64>::new(4)?;
    /// let _one = topic.subscribe()?;
    /// let error = topic.wait_subscribers(2, std::time::Duration::ZERO).unwrap_err();
    /// assert!(matches!(error, WaitSubscribersError::Timeout { found: 1, wanted: 2 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub enum WaitSubscribersError {
        /// The deadline passed before there were as many. Never reported early.
        #[error("timed out with {found} of {wanted} gating subscribers")]
        Timeout {
            /// Live gating subscribers when time ran out.
            found: usize,
            /// How many were waited for.
            wanted: usize,
        },
        /// The handle's [`Stop`](crate::Stop) was set first.
        #[error("interrupted before there were enough subscribers: the stop was set, or its check ended the call")]
        Interrupted,
        /// The topic was closed: nothing will be published any more.
        #[error("the topic is closed")]
        Closed,
    }
}

queue_error! {
    /// Why no message was taken.
    ///
    /// The message (if there was one) is still in the queue, with two exceptions:
    /// [`GetError::Invalid`] and [`GetError::Decode`].
    ///
    /// ```
    /// use shmq::{GetError, Queue};
    ///
    /// let queue = Queue::<u64>::new(1)?;
    /// match queue.try_get() {
    ///     Ok(message) => println!("got {message}"),
    ///     Err(GetError::Empty | GetError::Busy) => println!("nothing yet"),
    ///     Err(GetError::Closed) => println!("the end"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub enum GetError {
        /// `try_get` found no message, or only such as wait behind an open loan. Use `get`, which
        /// waits.
        #[error("empty: there is no message")]
        Empty,
        /// `try_get` gave up after about a millisecond: a process that does not run (stopped, or
        /// starved of CPU) holds the lock of the get side.
        #[error("the get side is locked by a process that does not run (stopped or starved); try again")]
        Busy,
        /// The deadline passed before a message came. Never reported early.
        #[error("timed out before a message came")]
        Timeout,
        /// The handle's [`Stop`](crate::Stop) was set before a message came. Nothing was taken.
        #[error("interrupted before a message came: the stop was set, or its check ended the call")]
        Interrupted,
        /// The queue is closed and drained: no message will ever come.
        #[error("closed, and no message is left")]
        Closed,
        /// The buffer given to `get_into` is too small. The message is still in the queue.
        #[error("the next message needs room for {needed}, the buffer has only {given}; the message is still there")]
        TooSmall {
            /// Elements of the message at the front; its bytes, of a
            /// [`DynQueue`](crate::DynQueue).
            needed: usize,
            /// Elements, or bytes, that the given buffer can hold.
            given: usize,
        },
        /// A batch of bytes, where messages are slices or encoded objects: where one ends and the
        /// next begins would be lost. Get them one by one.
        #[error("the messages are slices or encoded objects, of no common size; get them one by one")]
        NotOfOneSize,
        /// The bits of the message are not a value of the type (an enum without such a variant, a
        /// `bool` of 2). The message was taken: otherwise no later message could be. Where the
        /// queue has one for [dead letters](crate::QueueBuilder::dead_letters), the message is
        /// there, or waits for it on lease to this process.
        #[error("the bits of the message are not a valid value of the type; the message was taken out")]
        Invalid,
        /// The message is not an encoded value of the type, or leaves bytes over: see
        /// `ObjectQueue`. The message was taken: otherwise no later message could be. Where the
        /// queue has one for [dead letters](crate::QueueBuilder::dead_letters), the message is
        /// there, or waits for it on lease to this process.
        #[error("the message cannot be decoded: {source}; it was taken out")]
        Decode {
            /// What the codec said.
            r#source: Box<dyn std::error::Error + Send + Sync>,
            /// The message.
            bytes: Vec<u8>,
        },
        /// A live [`Consumer`](crate::Consumer) owns the get side: only it may get.
        #[error("the get side is held by a Consumer of process {pid}; drop that endpoint, or get through it")]
        Held {
            /// Process id of the endpoint's owner, as that process saw it.
            pid: u32,
        },
        /// A lossy subscriber of a topic was lapped: so many messages were overwritten before it
        /// read them. The next call goes on with what is left.
        #[error("lagged: {missed} messages were overwritten before they were read; the next call goes on with what is left")]
        Lagged {
            /// How many, exactly; loans that were aborted among them count.
            missed: u64,
        },
        /// A gating subscriber of a topic was evicted, which is reported once: publishers wait for
        /// it no more. It goes on as a lossy one. In a process that has a loan of the topic open it
        /// ends: each further call returns this.
        #[error("this subscriber was evicted: it lagged, and publishers wait for it no more; it goes on as a lossy one")]
        Evicted,
        /// A lossy subscriber of a topic cannot read in place: publishers do not wait for it.
        #[error("a lossy subscriber cannot read in place; read by copy, or subscribe as a gating one")]
        NotGating,
        /// This guard or endpoint was made before a `fork` and belongs to the parent process.
        #[error("this guard or endpoint belongs to the parent process; make a new one after fork")]
        Inherited,
    }
}

queue_error! {
    /// Why `join` or `task_done` did not succeed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// match queue.join_timeout(Duration::from_millis(1)) {
    ///     Ok(()) => println!("all done"),
    ///     Err(shmq::JoinError::Timeout { left }) => println!("{left} messages to go"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub enum JoinError {
        /// The deadline passed while messages were still unfinished. Never reported early.
        #[error("timed out with {left} messages unfinished")]
        Timeout {
            /// Messages put and not yet finished when time ran out.
            left: u64,
        },
        /// The handle's [`Stop`](crate::Stop) was set while messages were still unfinished.
        #[error("interrupted with messages unfinished: the stop was set, or its check ended the call")]
        Interrupted,
        /// The get side stayed locked by a process that does not run (stopped or starved). Try
        /// again.
        #[error("the get side is locked by a process that does not run (stopped or starved); try again")]
        Busy,
        /// A live [`Consumer`](crate::Consumer) owns the get side, and messages cannot be counted
        /// beside it.
        #[error("the get side is held by a Consumer of process {pid}")]
        Held {
            /// Process id of the endpoint's owner, as that process saw it.
            pid: u32,
        },
        /// This process attached before a `fork`, and the queue belongs to the parent.
        #[error("this queue belongs to the parent process; open it again after fork")]
        Inherited,
        /// `task_done` was called more often than messages were taken by copy.
        #[error("task_done was called more often than messages were taken")]
        TooManyDone,
    }
}
