//! What a queue is doing, as it was seen at one moment.

use super::process::ProcessState;
use super::topic::TopicSnapshot;
use crate::raw::Stats;
use std::time::{Duration, Instant, SystemTime};

/// The state of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Live processes are attached, or a forked child that has not called yet keeps the name.
    InUse,
    /// It takes no more messages; those in it can still be taken.
    Closed,
    /// No process is attached, and it is persisted. Its messages wait for the next process that
    /// opens it.
    Persisted,
    /// No process is attached, no forked child keeps the name, and it is not persisted: its users
    /// were killed. The next `create` of the name replaces it.
    Stale,
    /// A process was declared dead while it was still running: the queue is of no more use.
    Poisoned,
}

/// A process sleeps in a call of the queue, or of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// How many of its threads sleep.
    pub threads: u32,
    /// How long the first of them has slept.
    pub since: Duration,
}

/// A process that is attached, or died without detaching.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Participant {
    /// Its number in the participant table.
    pub entry: u32,
    /// Its process id, as it saw it itself.
    pub pid: u32,
    /// Does the kernel say that it is attached? `false`: it died without detaching, and its entry
    /// has not been cleaned up yet.
    pub alive: bool,
    /// Name of its program, if its pid names the same process here. Escape it before printing it on
    /// a terminal.
    pub program: Option<String>,
    /// What it is doing.
    pub process: ProcessState,
    /// When it attached, by its own clock.
    pub attached: SystemTime,
    /// Was it seen putting, or publishing? Recorded in slow paths only: a process whose puts always
    /// found room at once is not seen.
    pub puts: bool,
    /// Was it seen getting, or reading as a subscriber? As `puts`.
    pub gets: bool,
    /// It sleeps in a put: there is no room.
    pub put_waits: Option<Waiting>,
    /// It sleeps in a get: there is no message.
    pub get_waits: Option<Waiting>,
    /// Threads of it that sleep in a `join`.
    pub join_threads: u32,
    /// It has messages on lease that the queue for [dead
    /// letters](crate::QueueBuilder::dead_letters) does not take.
    pub keeps_letters: bool,
    /// It has a sender of a queue that closes
    /// [when unused](crate::QueueBuilder::close_when_unused): a [`Sender`](crate::Sender), a
    /// [`Producer`](crate::Producer) or a [`Queue`](crate::Queue). `false` for one that is dead.
    pub sends: bool,
    /// It has a receiver of such a queue. As `sends`.
    pub receives: bool,
    /// For the command: it keeps the name in place even as the last participant.
    #[doc(hidden)]
    pub leaves_name: bool,
}

/// What a process can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// A message being written in place: all behind it wait.
    Loan,
    /// A message being read in place: it occupies room.
    Lease,
    /// A message that is done, and still read in place through a [`View`](crate::View): it occupies
    /// room.
    View,
    /// The put side's lock, held for at most one call.
    PutLock,
    /// The get side's lock.
    GetLock,
    /// The put side, as its [`Producer`](crate::Producer).
    Producer,
    /// The get side, as its [`Consumer`](crate::Consumer).
    Consumer,
    /// The put side of a topic, as its [`Publisher`](crate::Publisher).
    Publisher,
    /// A message of a topic being read in place, as a [`Sample`](crate::Sample): publishers wait
    /// for its subscriber, also once it was evicted.
    Sample,
    /// A [`Mutex`](crate::sync::Mutex), an [`Array`](crate::sync::Array), a
    /// [`Lock`](crate::sync::Lock) or a [`ReentrantLock`](crate::sync::ReentrantLock).
    Lock,
}

/// Something that a process holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holding {
    /// What is held.
    pub what: Hold,
    /// Process id of the holder; 0 if it is not known any more.
    pub pid: u32,
    /// Is the holder attached? What a dead process holds is freed when another process needs it, or
    /// by `recover`.
    pub alive: bool,
    /// Where the message lies. No two messages of a queue have the same: a holding that shows up in
    /// two snapshots with the same position was held all the time between them, except for a loan
    /// in the place of one that was dropped meanwhile (`stats.aborted` shows it). 0 for what is not
    /// a message.
    pub position: u64,
    /// Size of the message. 0 for what is not one.
    pub bytes: u64,
    /// Which delivery of a message on lease, or in a view, this is.
    pub deliveries: u32,
    /// For how long, where that is known: of endpoints.
    pub since: Option<Duration>,
}

/// Numbers that can be read at almost no cost to a queue at full speed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Glance {
    /// When.
    pub at: Instant,
    /// Messages between the two ends of the queue. Open loans count, and so do dropped ones next to
    /// a message; messages given back do not. Of a topic: those that its slowest gating subscriber
    /// has not passed.
    pub messages: u64,
    /// All counters: see [`Snapshot::stats`].
    pub stats: Stats,
    /// Was it closed?
    pub closed: bool,
    /// Was it poisoned?
    pub poisoned: bool,
}

/// Everything that can be seen from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// Its state in one word.
    pub state: State,
    /// Does it outlive its last user?
    pub persisted: bool,
    /// Does its name still lead to it? If not, no process can open it any more.
    pub has_name: bool,
    /// Was its name removed by `unlink`, and not by hand or by systemd?
    pub unlinked: bool,
    /// Was it closed?
    pub closed: bool,
    /// Messages that have not been taken. Of a topic: those that its slowest gating subscriber has
    /// not passed, which are a whole capacity when publishers wait for it.
    pub messages: u64,
    /// Payload of `messages`, in bytes.
    pub bytes: u64,
    /// Messages being read in place.
    pub on_lease: u64,
    /// Messages that are done, and whose room is kept by a [`View`](crate::View). They are not among
    /// `messages`.
    pub viewed: u64,
    /// Messages being written in place.
    pub on_loan: u64,
    /// Messages, of `messages`, that were delivered before and given back.
    pub came_back: u64,
    /// Highest count of deliveries of a message in the queue.
    pub most_deliveries: u32,
    /// Messages that were got by copy and not marked by [`task_done`](crate::Queue::task_done): a
    /// [`join`](crate::Queue::join) waits for them. Those got by processes that died count for
    /// ever.
    pub unmarked: u64,
    /// All counters. Of a topic: `puts` are places that were published, `gets` are messages that
    /// the subscribers of now received, each for itself, and `bytes_got` is 0 unless all messages
    /// have one size.
    pub stats: Stats,
    /// What only a topic has; `None` for anything else.
    pub topic: Option<TopicSnapshot>,
    /// Processes that are attached, or died without detaching, in the order of their entries.
    pub participants: Vec<Participant>,
    /// What processes hold: sides first, then messages from the oldest on, at most some thousands.
    pub holdings: Vec<Holding>,
    /// Its words hold values that this crate never writes: a foreign program wrote to it.
    pub damaged: bool,
}
