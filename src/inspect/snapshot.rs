//! What a queue is doing, as it was seen at one moment.

use super::process::ProcessState;
use crate::raw::Stats;
use std::time::{Duration, Instant, SystemTime};

/// What a segment is to those who might use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Live processes are attached, or a forked child keeps the name that has not called yet.
    InUse,
    /// It takes no more messages; those in it can still be taken.
    Closed,
    /// Nobody is attached, and somebody asked to keep it. Its messages wait for whoever opens it.
    Persisted,
    /// Nobody is attached, no forked child keeps the name, and nobody asked to keep it: its users
    /// were killed. The next `create` of the name replaces it.
    Stale,
    /// A process was taken for dead while it was at work: it is of no more use.
    Poisoned,
}

/// Somebody sleeps in a call of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// How many threads of the process do.
    pub threads: u32,
    /// For how long the first of them has been.
    pub since: Duration,
}

/// A process that is attached, or died without leaving.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Participant {
    /// Its number in the participant table.
    pub entry: u32,
    /// Its process id, as it saw it itself.
    pub pid: u32,
    /// Does the kernel say that it is attached? `false`: it died without leaving, and nobody has cleared up after it yet.
    pub alive: bool,
    /// Name of its program, if its pid means the same process to us. Escape it before it goes to a terminal.
    pub program: Option<String>,
    /// What it is doing.
    pub process: ProcessState,
    /// When it attached, by its own clock.
    pub attached: SystemTime,
    /// Was it seen putting? Noticed in slow paths only: a process whose puts always found room at once is not noticed.
    pub puts: bool,
    /// Was it seen getting? As `puts`.
    pub gets: bool,
    /// It sleeps in a put: there is no room.
    pub put_waits: Option<Waiting>,
    /// It sleeps in a get: there is no message.
    pub get_waits: Option<Waiting>,
    /// Threads of it that sleep in a `join`.
    pub join_threads: u32,
    /// It has messages on lease that the queue for [dead letters](crate::QueueBuilder::dead_letters) does not take.
    pub keeps_letters: bool,
    /// For the command: it leaves the name where it is, even as the last one out.
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
    /// The put side's lock, which nobody holds longer than a call takes.
    PutLock,
    /// The get side's lock.
    GetLock,
    /// The put side, as its [`Producer`](crate::Producer).
    Producer,
    /// The get side, as its [`Consumer`](crate::Consumer).
    Consumer,
}

/// Something that a process holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Holding {
    /// What.
    pub what: Hold,
    /// Who; 0 if that cannot be told any more.
    pub pid: u32,
    /// Is the holder attached? What the dead hold comes free as soon as somebody needs it, or by `recover`.
    pub alive: bool,
    /// Where the message lies. No two messages of a queue have the same: a holding that shows up in two snapshots with the same
    /// position was held all the time between them, but for a loan in the place of one that was
    /// dropped meanwhile (`stats.aborted` tells). 0 for what is not a message.
    pub position: u64,
    /// Size of the message. 0 for what is not one.
    pub bytes: u64,
    /// Which delivery of a leased message this is.
    pub deliveries: u32,
    /// For how long, where that is known: of endpoints.
    pub since: Option<Duration>,
}

/// Numbers that cost a queue at full speed next to nothing to read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Glance {
    /// When.
    pub at: Instant,
    /// Messages between the two ends of the queue. Open loans count, dropped ones while a message
    /// stands beside them; messages given back do not.
    pub messages: u64,
    /// All counters.
    pub stats: Stats,
    /// Was it closed?
    pub closed: bool,
    /// Was it poisoned?
    pub poisoned: bool,
}

/// Everything that can be seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// All in a word.
    pub state: State,
    /// Does it outlive its last user?
    pub persisted: bool,
    /// Does its name still lead to it? If not, nobody can open it any more.
    pub has_name: bool,
    /// Was its name taken away by `unlink`, and not by hand or by systemd?
    pub unlinked: bool,
    /// Was it closed?
    pub closed: bool,
    /// Messages that nobody has taken.
    pub messages: u64,
    /// Payload of `messages`, in bytes.
    pub bytes: u64,
    /// Messages being read in place.
    pub on_lease: u64,
    /// Messages being written in place.
    pub on_loan: u64,
    /// Messages, of `messages`, that were delivered before and came back.
    pub came_back: u64,
    /// Highest count of deliveries of a message in the queue.
    pub most_deliveries: u32,
    /// Messages that were got by copy and not marked by [`task_done`](crate::Queue::task_done): a
    /// [`join`](crate::Queue::join) waits for them. Those got by processes that died count for ever.
    pub unmarked: u64,
    /// All counters.
    pub stats: Stats,
    /// Who is attached, or died without leaving, in the order of their entries.
    pub participants: Vec<Participant>,
    /// Who holds what: sides first, then messages from the oldest on, at most some thousands.
    pub holdings: Vec<Holding>,
    /// Its words hold values that no user of this crate leaves behind: somebody else wrote to it.
    pub damaged: bool,
}
