//! What a queue is doing, at a glance or in full.

use super::process::{self, ProcessState};
use super::{Inspector, Stats};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::os::now_ns;
use crate::ring::{Header, Memory, Owner, State as RecordState};
use crate::shm::layout::{Entry, role};
use crate::shm::participant::Id;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Holdings listed one by one; the rest is only counted.
const MAX_LISTED: usize = 4096;
/// A walk is started anew this often where others moved faster than it could read.
const WALKS: u32 = 3;
const GENERATION_LOW_MASK: u32 = (1 << 11) - 1;

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

/// What a walk over the records found.
#[derive(Default)]
struct Records {
    messages: u64,
    bytes: u64,
    on_lease: u64,
    on_loan: u64,
    came_back: u64,
    most_deliveries: u32,
    held: Vec<(Hold, Owner, u64, u64, u32)>,
}

impl Inspector {
    /// A cheap look, for those who look often.
    pub fn glance(&self) -> Glance {
        if !self.kind().is_queue() {
            return Glance { at: Instant::now(), messages: 0, stats: Stats::default(), closed: false, poisoned: false };
        }
        Glance {
            at: Instant::now(),
            messages: self.ring.ahead_at_a_glance(),
            stats: Stats::read(&self.ring, &self.view.head().rare),
            closed: self.view.head().put_notice.closed.load(Relaxed) != 0,
            poisoned: self.view.head().rare.poisoned.load(Relaxed) != 0,
        }
    }

    /// Cells that a full look reads, at most: it visits each record that is in the ring. A look at many of them takes their cache lines
    /// from those at work.
    pub fn records_to_walk(&self) -> u64 {
        if !self.kind().is_queue() {
            return 0;
        }
        let (put, geometry) = (self.ring.memory.put_side(), &self.ring.geometry);
        let (reclaim, tail) = (put.reclaim.load(Relaxed), put.tail.load(Relaxed));
        geometry.linear(tail).wrapping_sub(geometry.linear(reclaim)).min(geometry.cells)
    }

    /// A full look: counters, participants, and each record that is in the ring.
    pub fn look(&self) -> Snapshot {
        let (records, damaged) = self.records();
        self.snapshot(records, damaged)
    }

    /// A look that leaves the records alone, however many there are: messages and bytes are estimates, leases, loans and damage
    /// are not seen.
    pub fn look_briefly(&self) -> Snapshot {
        self.snapshot(self.estimate(), false)
    }

    fn snapshot(&self, records: Records, damaged: bool) -> Snapshot {
        let Glance { at, stats, closed, poisoned, .. } = self.glance();
        let mut participants = self.participants();
        let mut holdings = self.sides(&participants);
        for &(what, owner, position, bytes, deliveries) in &records.held {
            let (pid, alive) = self.owner(owner, &participants);
            // A loan or a lease that was had at once left no other trace of its holder's part.
            if let Some(holder) = participants.iter_mut().find(|holder| pid != 0 && holder.pid == pid) {
                match what {
                    Hold::Loan => holder.puts = true,
                    _ => holder.gets = true,
                }
            }
            holdings.push(Holding { what, pid, alive, position, bytes, deliveries, since: None });
        }
        let head = self.view.head();
        let copies = head.get.copies.load(Relaxed).wrapping_add(head.rare.large_copies.load(Relaxed));
        let unmarked = copies.saturating_sub(head.rare.task_dones.load(Relaxed));
        let persisted = self.view.is_persisted();
        let in_use = participants.iter().any(|participant| participant.alive) || self.view.is_kept();
        let state = match () {
            () if poisoned => State::Poisoned,
            () if !in_use && !persisted => State::Stale,
            () if closed => State::Closed,
            () if !in_use => State::Persisted,
            () => State::InUse,
        };
        Snapshot {
            at,
            state,
            persisted,
            has_name: self.view.has_name(),
            unlinked: self.view.was_unlinked(),
            closed,
            messages: records.messages,
            bytes: records.bytes,
            on_lease: records.on_lease,
            on_loan: records.on_loan,
            came_back: records.came_back,
            most_deliveries: records.most_deliveries,
            unmarked,
            stats,
            participants,
            holdings,
            damaged,
        }
    }

    fn participants(&self) -> Vec<Participant> {
        let entries = (0..).zip(self.view.entries());
        entries.filter_map(|(number, entry)| self.participant(number, entry)).collect()
    }

    fn participant(&self, number: u32, entry: &Entry) -> Option<Participant> {
        let pid = entry.pid.load(Acquire);
        if pid == 0 {
            return None;
        }
        // Where the kernel does not say, alive: to call a live process dead does harm.
        let alive = self.view.liveness_is_held(number).unwrap_or(true);
        let (program, process) = if alive { process::probe(pid, self.view.inode()) } else { (None, ProcessState::Unknown) };
        let roles = entry.roles.load(Relaxed);
        let waiting = |threads: u32, since_ns: u64| {
            let since = Duration::from_nanos(now_ns().saturating_sub(since_ns));
            (alive && threads != 0).then_some(Waiting { threads, since })
        };
        Some(Participant {
            entry: number,
            pid,
            alive,
            program,
            process,
            attached: UNIX_EPOCH + Duration::from_secs(entry.attached_unix_s.load(Relaxed).min(u32::MAX as u64)),
            puts: roles & role::PUT != 0,
            gets: roles & role::GET != 0,
            keeps_letters: alive && roles & role::KEEPS_LETTERS != 0,
            leaves_name: roles & role::VISITOR != 0,
            put_waits: waiting(entry.put_sleepers.load(Relaxed), entry.put_asleep_ns.load(Relaxed)),
            get_waits: waiting(entry.get_sleepers.load(Relaxed), entry.get_asleep_ns.load(Relaxed)),
            join_threads: if alive { entry.join_sleepers.load(Relaxed) } else { 0 },
        })
    }

    /// Who holds locks and endpoints.
    fn sides(&self, participants: &[Participant]) -> Vec<Holding> {
        if !self.kind().is_queue() {
            return Vec::new();
        }
        let (put, get) = (self.ring.memory.put_side(), self.ring.memory.get_side());
        let words = [
            (Hold::PutLock, put.lock.load(Relaxed) >> 1),
            (Hold::GetLock, get.lock.load(Relaxed) >> 1),
            (Hold::Producer, put.owner.load(Relaxed)),
            (Hold::Consumer, get.owner.load(Relaxed)),
        ];
        let holding = |(what, bits)| {
            let id = Id::from_bits(bits)?;
            let entry = self.view.entries().get(id.entry() as usize);
            let entry = entry.filter(|entry| entry.generation.load(Relaxed) == id.generation());
            let participant = participants.iter().find(|participant| participant.entry == id.entry() && entry.is_some());
            let started_ns = match what {
                Hold::Producer => entry.map(|entry| entry.producer_ns.load(Relaxed)),
                Hold::Consumer => entry.map(|entry| entry.consumer_ns.load(Relaxed)),
                _ => None,
            };
            Some(Holding {
                what,
                pid: participant.map_or(0, |participant| participant.pid),
                alive: participant.is_some_and(|participant| participant.alive),
                position: 0,
                bytes: 0,
                deliveries: 0,
                since: started_ns.map(|started_ns| Duration::from_nanos(now_ns().saturating_sub(started_ns))),
            })
        };
        words.into_iter().filter_map(holding).collect()
    }

    /// Who owns a record, and is it alive?
    fn owner(&self, owner: Owner, participants: &[Participant]) -> (u32, bool) {
        let entry = self.view.entries().get(owner.entry() as usize);
        let still_its = entry.is_some_and(|entry| entry.generation.load(Relaxed) & GENERATION_LOW_MASK == owner.generation_low());
        match participants.iter().find(|participant| participant.entry == owner.entry()) {
            Some(participant) if still_its => (participant.pid, participant.alive),
            _ => (0, false),
        }
    }

    /// Walks the records. The flag: they hold garbage.
    fn records(&self) -> (Records, bool) {
        if !self.kind().is_queue() {
            return (Records::default(), false);
        }
        let mut garbage_at = None;
        for _ in 0..WALKS {
            let (head, tail) = (&self.ring.memory.get_side().head, &self.ring.memory.put_side().tail);
            let (head, tail) = (head.load(Acquire), tail.load(Acquire));
            let mut records = Records::default();
            let mut plausible = self.are_plausible(head, tail);
            let walked = self.ring.walk_all(|at, _, header| {
                plausible &= self.is_plausible(header);
                records.count(at, head, header);
                plausible
            });
            // Nobody pins what a bystander walks: garbage is what stays garbage while nothing moves.
            match walked {
                Ok(()) if plausible => return (records, false),
                _ if garbage_at == Some((head, tail)) => return (self.estimate(), true),
                _ => garbage_at = Some((head, tail)),
            }
        }
        (self.estimate(), false)
    }

    /// Can these be the ends of a queue?
    fn are_plausible(&self, head: u64, tail: u64) -> bool {
        let geometry = &self.ring.geometry;
        let cells =
            geometry.linear(tail.max(head)).wrapping_sub(geometry.linear(self.ring.memory.put_side().reclaim.load(Acquire)));
        let at_tail = geometry.cell(tail).map(|cell| Header::from_bits(self.ring.memory.header(cell).load(Acquire)));
        cells <= geometry.cells && geometry.cell(head).is_some() && at_tail.is_some_and(|header| self.is_plausible(header))
    }

    /// Can this be the header of a record, or of none?
    fn is_plausible(&self, header: Header) -> bool {
        let geometry = &self.ring.geometry;
        match header.state() {
            None => false,
            Some(RecordState::Free) => true,
            Some(_) if geometry.sized => header.length() as u64 == geometry.message_bytes,
            // A filler may be longer than a message.
            Some(RecordState::Done) => header.length() as u64 <= geometry.ring_bytes(),
            Some(_) => header.length() as u64 <= geometry.max_message_bytes(),
        }
    }

    /// For records that could not be walked.
    fn estimate(&self) -> Records {
        if !self.kind().is_queue() {
            return Records::default();
        }
        let stats = Stats::read(&self.ring, &self.view.head().rare);
        let bytes = stats.bytes_put.saturating_sub(stats.bytes_got).min(self.ring.geometry.ring_bytes());
        Records { messages: self.ring.ahead_at_a_glance(), bytes, ..Records::default() }
    }
}

impl Records {
    fn count(&mut self, at: u64, head: u64, header: Header) {
        let length = header.length() as u64;
        match header.state() {
            Some(RecordState::Ready) if at >= head => {
                self.messages += 1;
                self.bytes = self.bytes.saturating_add(length);
            }
            Some(RecordState::Returned) => {
                self.messages += 1;
                self.came_back += 1;
                self.bytes = self.bytes.saturating_add(length);
            }
            Some(RecordState::Leased) => {
                self.on_lease += 1;
                self.hold(Hold::Lease, at, header);
            }
            Some(RecordState::Claimed) => {
                self.on_loan += 1;
                self.hold(Hold::Loan, at, header);
            }
            _ => {}
        }
        self.most_deliveries = self.most_deliveries.max(header.deliveries());
    }

    fn hold(&mut self, what: Hold, at: u64, header: Header) {
        if self.held.len() < MAX_LISTED {
            self.held.push((what, header.owner(), at, header.length() as u64, header.deliveries()));
        }
    }
}
