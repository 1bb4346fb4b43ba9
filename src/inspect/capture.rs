//! Taking a snapshot.

use super::inspector::Inspector;
use super::process::{self, ProcessState};
use super::records::Records;
use super::snapshot::{Glance, Hold, Holding, Participant, Snapshot, State, Waiting};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::os::now_ns;
use crate::raw::Stats;
use crate::ring::{Memory, Owner};
use crate::shm::id::{GENERATION_LOW_MASK, Id};
use crate::shm::kind::Kind;
use crate::shm::layout::{Entry, LockWords, role};
use std::time::{Duration, Instant, UNIX_EPOCH};

impl Inspector {
    /// The cheap numbers, for callers that poll.
    pub fn glance(&self) -> Glance {
        let (messages, stats) = match self.kind() {
            kind if kind.is_queue() => (self.ring.ahead_at_a_glance(), Stats::read(&self.ring, &self.view.head().rare)),
            kind if kind.is_topic() => (self.topic_backlog(), self.topic_counters()),
            _ => {
                return Glance { at: Instant::now(), messages: 0, stats: Stats::default(), closed: false, poisoned: false };
            }
        };
        Glance {
            at: Instant::now(),
            messages,
            stats,
            closed: self.view.head().put_notice.closed.load(Relaxed) != 0,
            poisoned: self.view.head().rare.poisoned.load(Relaxed) != 0,
        }
    }

    /// The most records that [`snapshot`](Inspector::snapshot) reads: it visits each record in the
    /// ring, and reading many of them takes their cache lines from the processes at work.
    pub fn records_to_walk(&self) -> u64 {
        if !self.kind().has_ring() {
            return 0;
        }
        let (put, geometry) = (self.ring.memory.put_side(), &self.ring.geometry);
        let (reclaim, tail) = (put.reclaim.load(Relaxed), put.tail.load(Relaxed));
        geometry.linear(tail).wrapping_sub(geometry.linear(reclaim)).min(geometry.cells)
    }

    /// A full snapshot: counters, participants, and each record in the ring.
    pub fn snapshot(&self) -> Snapshot {
        let (records, damaged) = self.records();
        self.assemble(records, damaged)
    }

    /// The same without reading the records: messages and bytes are estimates; leases, loans and
    /// damage are not seen.
    pub fn estimate(&self) -> Snapshot {
        self.assemble(self.estimated_records(), false)
    }

    fn assemble(&self, records: Records, damaged: bool) -> Snapshot {
        let Glance { at, stats, closed, poisoned, .. } = self.glance();
        let mut participants = self.participants();
        let topic = self.topic();
        let mut holdings = self.sides(&participants);
        holdings.extend(topic.iter().flat_map(|topic| self.samples(&topic.subscribers)));
        for &(what, owner, position, bytes, deliveries) in &records.held {
            let (pid, alive) = self.owner(owner, &participants);
            // A loan or a lease taken without waiting leaves no other trace of what its holder
            // does.
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
            on_lease: records.on_lease + holdings.iter().filter(|held| held.what == Hold::Sample).count() as u64,
            viewed: records.viewed,
            on_loan: records.on_loan,
            came_back: records.came_back,
            most_deliveries: records.most_deliveries,
            unmarked,
            stats,
            topic,
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
        // Alive where the kernel does not say: reporting a live process as dead does harm.
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
            sends: alive && roles & role::SENDER != 0,
            receives: alive && roles & role::RECEIVER != 0,
            leaves_name: roles & role::VISITOR != 0,
            put_waits: waiting(entry.put_sleepers.load(Relaxed), entry.put_asleep_ns.load(Relaxed)),
            get_waits: waiting(entry.get_sleepers.load(Relaxed), entry.get_asleep_ns.load(Relaxed)),
            join_threads: if alive { entry.join_sleepers.load(Relaxed) } else { 0 },
        })
    }

    /// The holders of locks and endpoints.
    fn sides(&self, participants: &[Participant]) -> Vec<Holding> {
        let producer = if self.kind().is_topic() { Hold::Publisher } else { Hold::Producer };
        let (put, get) = (self.ring.memory.put_side(), self.ring.memory.get_side());
        let words = match self.kind() {
            kind if kind.has_ring() => vec![
                (Hold::PutLock, put.lock.load(Relaxed) >> 1),
                (Hold::GetLock, get.lock.load(Relaxed) >> 1),
                (producer, put.owner.load(Relaxed)),
                (Hold::Consumer, get.owner.load(Relaxed)),
            ],
            Kind::Mutex | Kind::Array => vec![(Hold::Lock, put.lock.load(Relaxed) >> 1)],
            Kind::Lock | Kind::ReentrantLock => vec![(Hold::Lock, self.holder_of_lock())],
            _ => return Vec::new(),
        };
        let holding = |(what, bits)| {
            let id = Id::from_bits(bits)?;
            let entry = self.view.entries().get(id.entry() as usize);
            let entry = entry.filter(|entry| entry.generation.load(Relaxed) == id.generation());
            let participant = participants.iter().find(|participant| participant.entry == id.entry() && entry.is_some());
            let started_ns = match what {
                Hold::Producer | Hold::Publisher => entry.map(|entry| entry.producer_ns.load(Relaxed)),
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

    /// The id in the words of a lock without data.
    fn holder_of_lock(&self) -> u32 {
        // SAFETY: the cell of such a segment begins with these words, which are atomics and lie inside
        // the view's mapping (view, Invariant 1).
        let words = unsafe { self.view.cells().cast::<LockWords>().as_ref() };
        (words.hold.load(Relaxed) >> 32) as u32
    }

    /// The owner of a record (0 if unknown), and whether it is alive.
    fn owner(&self, owner: Owner, participants: &[Participant]) -> (u32, bool) {
        let entry = self.view.entries().get(owner.entry() as usize);
        let still_its = entry.is_some_and(|entry| entry.generation.load(Relaxed) & GENERATION_LOW_MASK == owner.generation_low());
        match participants.iter().find(|participant| participant.entry == owner.entry()) {
            Some(participant) if still_its => (participant.pid, participant.alive),
            _ => (0, false),
        }
    }
}
