//! Public errors: one enum per family of operations, each value carrying what a person needs to act.
//!
//! The text of an error holds what the system or the codec said as well. It is no `source()`: a caller
//! that prints the whole chain would read it twice, and one that prints the error alone would miss
//! what only the source says. So its field is written `r#source`: that is its name to callers, and
//! not to `thiserror`.

mod kinds;
mod subject;

pub use subject::Subject;

use std::io;
use std::path::PathBuf;

/// Why a message was not put.
///
/// Nothing was enqueued when a `put` or `loan` returns one of these, except that
/// [`put_slice`](crate::Queue::put_slice) reports an error only when *none* of its messages moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// `try_put` found no room. Take messages out, or use `put`, which waits.
    #[error("the queue is full")]
    Full,
    /// `try_put` gave up after about a millisecond: the put side is locked by a process that does not run
    /// (stopped, or starved of CPU). Or the get side is, and the only room is that of dropped
    /// loans, which cannot be had without it. Try again, or use a verb with a timeout.
    #[error("the put side is locked by a process that does not run (stopped or starved); try again")]
    Busy,
    /// The deadline passed before there was room. Never reported early.
    #[error("timed out before there was room in the queue")]
    Timeout,
    /// Somebody called [`close`](crate::Queue::close): no message can be put any more, by anybody.
    #[error("the queue is closed: it takes no more messages")]
    Closed,
    /// The message can never fit this queue. Create it with a larger `capacity_bytes` (twice the largest message, or more).
    #[error(
        "message of {len} bytes is larger than this queue can ever hold ({max} bytes); create it with a larger capacity_bytes"
    )]
    TooLarge {
        /// Size of the refused message, in bytes.
        len: usize,
        /// Largest message that this queue can hold, in bytes.
        max: usize,
    },
    /// The value was not encoded (its `Serialize` refused, or the codec cannot carry such a type): see
    /// `ObjectQueue`.
    #[error("the value cannot be encoded: {source}")]
    Encode {
        /// What the codec said.
        r#source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A live [`Producer`](crate::Producer) owns the put side: only it may put.
    #[error("the put side is held by a Producer of process {pid}; drop that endpoint, or put through it")]
    Held {
        /// Process id of the endpoint's owner, as that process saw it.
        pid: u32,
    },
    /// A process that was taken for dead turned out to be alive (it closed descriptors that were not its own).
    /// The order of this queue can no longer be trusted; create a new one.
    #[error("the queue is poisoned: a process was taken for dead while it was still at work; create a new queue")]
    Poisoned,
    /// Words in the segment hold impossible values: somebody else wrote to it.
    #[error("the segment is corrupted: its words hold impossible values")]
    Corrupted,
    /// Every entry of the participant table is taken by a live process.
    #[error("all {max} participant entries are in use; create the queue with a larger max_participants")]
    TooManyParticipants {
        /// Size of the participant table.
        max: u32,
    },
    /// This guard or endpoint was made before a `fork` and belongs to the parent process.
    #[error("this guard or endpoint belongs to the parent process; make a new one after fork")]
    Inherited,
    /// The operating system refused a call.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

/// Why no message was taken.
///
/// Whatever the error, the message (if there was one) is still in the queue, with two exceptions: [`GetError::Invalid`] and
/// [`GetError::Decode`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// `try_get` found no message, or only such as wait behind an open loan. Use `get`, which
    /// waits.
    #[error("the queue is empty")]
    Empty,
    /// `try_get` gave up after about a millisecond: the get side is locked by a process that does not run.
    #[error("the get side is locked by a process that does not run (stopped or starved); try again")]
    Busy,
    /// The deadline passed before a message came. Never reported early.
    #[error("timed out before a message came")]
    Timeout,
    /// The queue is closed and drained: no message will ever come.
    #[error("the queue is closed and drained")]
    Closed,
    /// The buffer given to `get_into` is too small. The message is still in the queue.
    #[error("the next message has {needed} elements, the buffer only {given}; the message is still in the queue")]
    TooSmall {
        /// Elements of the message at the front.
        needed: usize,
        /// Elements that the given buffer can hold.
        given: usize,
    },
    /// The bits of the message are not a value of the type (an enum without such a variant, a `bool` of 2).
    /// The message was taken: it would otherwise stand in the way of those behind it. Where the queue has one for
    /// [dead letters](crate::QueueBuilder::dead_letters), it is there, or waits for it on lease to this process.
    #[error("the bits of the message are not a valid value of the type; the message was taken out")]
    Invalid,
    /// The message is not an encoded value of the type, or leaves bytes over: see `ObjectQueue`.
    /// The message was taken: it would otherwise stand in the way of those behind it. Where the queue has one for
    /// [dead letters](crate::QueueBuilder::dead_letters), it is there, or waits for it on lease to this process.
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
    /// A process that was taken for dead turned out to be alive. Create a new queue.
    #[error("the queue is poisoned: a process was taken for dead while it was still at work; create a new queue")]
    Poisoned,
    /// Words in the segment hold impossible values: somebody else wrote to it.
    #[error("the segment is corrupted: its words hold impossible values")]
    Corrupted,
    /// Every entry of the participant table is taken by a live process.
    #[error("all {max} participant entries are in use; create the queue with a larger max_participants")]
    TooManyParticipants {
        /// Size of the participant table.
        max: u32,
    },
    /// This guard or endpoint was made before a `fork` and belongs to the parent process.
    #[error("this guard or endpoint belongs to the parent process; make a new one after fork")]
    Inherited,
    /// The operating system refused a call.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

/// Why a queue, or an object of [`sync`](crate::sync), was not created. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name cannot name a segment.
    #[error("the name {name:?} cannot be used: {why}")]
    BadName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number is out of its range: the capacity is zero, or needs more memory than can be
    /// addressed; too many participants or deliveries; a mode with more than permissions in it.
    #[error("{option} {} cannot be used: it must be from {} to {}", number(option, *asked), number(option, *min), number(option, *max))]
    OutOfRange {
        /// The option, as the builder's method is called: `capacity`, `capacity_bytes`, `len`,
        /// `parties`, `max_participants`, `max_deliveries`, `mode` ..
        option: &'static str,
        /// What was asked for.
        asked: usize,
        /// The smallest number that can be used.
        min: usize,
        /// The largest number that can be used, for this message type.
        max: usize,
    },
    /// A barrier of more parties than processes may attach to it could never be passed.
    #[error(
        "a barrier of {parties} parties could never be passed: {max_participants} processes may attach to it; ask for max_participants({parties}) (1023 at most)"
    )]
    TooManyParties {
        /// Parties that were asked for.
        parties: usize,
        /// How many processes could attach.
        max_participants: u32,
    },
    /// No segment can hold values of this type.
    #[error("values of {bytes} bytes, aligned to {align}, cannot be used: they may have 4 GiB, and be aligned to 4096, at most")]
    BadMessage {
        /// Size of a message, or of one element.
        bytes: usize,
        /// Its alignment.
        align: usize,
    },
    /// A segment of that name exists already: in use, or persisted.
    #[error("{what} exists already ({}); open it, choose another name, or unlink it first", if *in_use { "in use" } else { "persisted, nobody is attached" })]
    AlreadyExists {
        /// Its name.
        what: Subject,
        /// Whether a live process is attached to it.
        in_use: bool,
    },
    /// The directory of shared memory has not enough free space, or the memory cgroup of this process has not: beyond its limit this
    /// process would be killed.
    #[error("{what}: {needed_bytes} bytes of shared memory are needed, {free_bytes} are free{}", in_bound(*by_cgroup))]
    NoSpace {
        /// What was to be created.
        what: Subject,
        /// Size of the segment, in bytes.
        needed_bytes: u64,
        /// Free space that the file system reported, in bytes; or what is left of the memory cgroup's limit.
        free_bytes: u64,
        /// Whether it is the memory cgroup of this process (of its container, or its service) that bounds it.
        by_cgroup: bool,
    },
    /// `open_or_create` found a segment made for another type, format or shape.
    #[error("{what} exists and holds {theirs}; this program wants {ours}")]
    Mismatch {
        /// Its name.
        what: Subject,
        /// What this program was built for.
        ours: String,
        /// What the segment holds.
        theirs: String,
    },
    /// The system does not let this process have the segment, or make or rename a file for one: `why` says what stands in the way, as far as that can
    /// be told.
    #[error("{what}: permission denied: {why}")]
    PermissionDenied {
        /// What was to be created or opened.
        what: Subject,
        /// What stands in the way, and what can be done.
        why: String,
    },
    /// The directory of shared memory cannot be used by this process: it is missing, read-only, another user's ..
    #[error("{what}: the directory of shared memory, {}, cannot be used: {why}", directory.display())]
    Directory {
        /// What was to be created or opened.
        what: Subject,
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file has the name that is no segment: a directory, a symbolic link, a FIFO ..
    #[error("{what}: {} is {is}, and no segment; {}", path.display(), advice(is))]
    NoSegment {
        /// What was to be created or opened.
        what: Subject,
        /// The file.
        path: PathBuf,
        /// What kind of file it is, with its article.
        is: &'static str,
    },
    /// The segment of that name belongs to a user other than this process's effective user and root, and was not allowed: its owner could read
    /// and change all messages. See [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
    #[error(
        "permission denied: {what} belongs to another user (uid {owner_uid}), which could read and change all that is in it; if that is wanted, use allow_owner({owner_uid})"
    )]
    ForeignOwner {
        /// Its name.
        what: Subject,
        /// The user that owns the segment.
        owner_uid: u32,
    },
    /// `open_or_create` found a file that is no segment of this crate, or one whose words hold impossible values.
    #[error("{what} is corrupted, or no segment of shmq at all: its words hold impossible values; unlink it")]
    Corrupted {
        /// Its name.
        what: Subject,
    },
    /// Every entry of the participant table of the existing segment is taken by a live process.
    #[error("all {max} participant entries of {what} are in use; create it with a larger max_participants")]
    TooManyParticipants {
        /// Its name.
        what: Subject,
        /// Size of the participant table.
        max: u32,
    },
    /// The operating system refused a call.
    #[error("{what}: {call}: {source}")]
    Os {
        /// What was to be created or opened.
        what: Subject,
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

/// Why a queue, or an object of [`sync`](crate::sync), was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot name a segment.
    #[error("the name {name:?} cannot be used: {why}")]
    BadName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No segment has that name. Its creator has not started yet, or the last participant has left.
    #[error("no {what} exists (not created yet, or its last user has left)")]
    NotFound {
        /// What was looked for.
        what: Subject,
    },
    /// The name kept changing hands (created, replaced, removed) until the attempt was given up. Try again.
    #[error("{what} was being replaced or removed the whole time; try again")]
    NotReady {
        /// Its name.
        what: Subject,
    },
    /// The segment was made for another type, format or shape.
    #[error("{what} holds {theirs}; this program wants {ours}")]
    Mismatch {
        /// Its name.
        what: Subject,
        /// What this program was built for.
        ours: String,
        /// What the segment holds.
        theirs: String,
    },
    /// The handle names a segment that has since been replaced by another of the same name.
    #[error("another {} has taken this name since the handle of {what} was sent", what.kind())]
    Replaced {
        /// Its name.
        what: Subject,
    },
    /// The system does not let this process have the segment: `why` says what stands in the way, as far as that can be told.
    #[error("{what}: permission denied: {why}")]
    PermissionDenied {
        /// Its name.
        what: Subject,
        /// What stands in the way, and what can be done.
        why: String,
    },
    /// The directory of shared memory cannot be used by this process: it is missing, may not be searched ..
    #[error("{what}: the directory of shared memory, {}, cannot be used: {why}", directory.display())]
    Directory {
        /// What was to be opened.
        what: Subject,
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file has the name that is no segment: a directory, a symbolic link, a FIFO ..
    #[error("{what}: {} is {is}, and no segment; {}", path.display(), advice(is))]
    NoSegment {
        /// What was to be opened.
        what: Subject,
        /// The file.
        path: PathBuf,
        /// What kind of file it is, with its article.
        is: &'static str,
    },
    /// The segment belongs to a user other than this process's effective user and root, and was not allowed: its owner could read and change
    /// all messages. See [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
    #[error(
        "permission denied: {what} belongs to another user (uid {owner_uid}), which could read and change all that is in it; if that is wanted, use allow_owner({owner_uid})"
    )]
    ForeignOwner {
        /// Its name.
        what: Subject,
        /// The user that owns the segment.
        owner_uid: u32,
    },
    /// The file is not a segment of ours, or its words hold impossible values.
    #[error("{what} is corrupted, or no segment of shmq at all")]
    Corrupted {
        /// Its name.
        what: Subject,
    },
    /// Every entry of the participant table is taken by a live process.
    #[error("all {max} participant entries of {what} are in use; create it with a larger max_participants")]
    TooManyParticipants {
        /// Its name.
        what: Subject,
        /// Size of the participant table.
        max: u32,
    },
    /// The operating system refused a call.
    #[error("{what}: {call}: {source}")]
    Os {
        /// What was to be opened.
        what: Subject,
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

/// A number as its option is written: permissions are octal.
fn number(option: &str, n: usize) -> String {
    if option == "mode" { format!("{n:#o}") } else { n.to_string() }
}

fn in_bound(by_cgroup: bool) -> &'static str {
    if by_cgroup { " in its memory cgroup (memory.max)" } else { "" }
}

/// How a file that is no segment is got out of the way.
fn advice(is: &str) -> &'static str {
    if is == A_DIRECTORY { "remove it (rmdir), or choose another name" } else { "remove it (rm), or choose another name" }
}

/// What [`NoSegment`](OpenError::NoSegment) calls a directory.
pub(crate) const A_DIRECTORY: &str = "a directory";

/// Why `join` or `task_done` did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The deadline passed while messages were still unfinished. Never reported early.
    #[error("timed out with {left} messages unfinished")]
    Timeout {
        /// Messages put and not yet finished when time ran out.
        left: u64,
    },
    /// `task_done` was called more often than messages were taken by copy.
    #[error("task_done was called more often than messages were taken")]
    TooManyDone,
    /// A process that was taken for dead turned out to be alive. Create a new queue.
    #[error("the queue is poisoned: a process was taken for dead while it was still at work; create a new queue")]
    Poisoned,
    /// Words in the segment hold impossible values: somebody else wrote to it.
    #[error("the segment is corrupted: its words hold impossible values")]
    Corrupted,
    /// The operating system refused a call, or this process could not attach after `fork`.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

impl From<OpenError> for CreateError {
    /// For `open_or_create`, whose opening half may fail.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadName { name, why } => CreateError::BadName { name, why },
            OpenError::Mismatch { what, ours, theirs } => CreateError::Mismatch { what, ours, theirs },
            OpenError::PermissionDenied { what, why } => CreateError::PermissionDenied { what, why },
            OpenError::Directory { what, directory, why } => CreateError::Directory { what, directory, why },
            OpenError::NoSegment { what, path, is } => CreateError::NoSegment { what, path, is },
            OpenError::ForeignOwner { what, owner_uid } => CreateError::ForeignOwner { what, owner_uid },
            OpenError::Corrupted { what } => CreateError::Corrupted { what },
            OpenError::TooManyParticipants { what, max } => CreateError::TooManyParticipants { what, max },
            OpenError::Os { what, call, source: error } => CreateError::Os { what, call, source: error },
            OpenError::NotFound { what } | OpenError::NotReady { what } | OpenError::Replaced { what } => CreateError::Os {
                what,
                call: "open_or_create (the name kept changing hands)",
                source: io::Error::from(io::ErrorKind::WouldBlock),
            },
        }
    }
}
