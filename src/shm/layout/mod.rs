//! The byte map of a segment: every offset, every width, and nothing else. The words of a topic are in
//! `topic.rs`, those of the primitives of `shmq::sync` in `primitives.rs`. (The bits inside a word:
//! of a record's header `ring/header.rs`, of an id `shm/id.rs`, of a kind `shm/kind.rs`; the sizes
//! of cells: `shm/geometry.rs`.)
//!
//! ```text
//!  0x000  SegmentHeader  format, type, sizes, state              written once, then read
//!                        byte 0: read-locked (OFD) by every process that keeps the name
//!  0x200  PutSide        lock, owner, tail, reclaim              written by putters
//!  0x280  GetSide        lock, owner, head                       written by getters
//!  0x300  PutNotice      "not empty" waiters, closed             read by putters at each message
//!  0x380  GetNotice      "not full" waiters, returned            read by getters at each message
//!  0x400  Rare           "all done" waiters, poison, repairs     slow paths only
//!  0x480  PortableSync   space for the objects of raw_sync       portable lock backend only
//!  0x900  InTransit      handles that were serialised and have not arrived: slow paths only
//!  0xb00  SpillWords     objects larger than the ring: slow paths only
//!  0xb40  GivenUp        positions of messages that were given up: slow paths only
//!  0xf00  Entry * n      participant table, 64 bytes an entry:
//!                        byte i*64 is entry i's liveness lock (OFD), i*64 + 32 its registration
//!   + n   name byte      locked (OFD) by the process that changes a name
//!   + 64  structure      text of the messages' structure, 0 to 4096 bytes, written once
//!         dead letters   name of the dead-letter queue, 0 to 200 bytes, written once
//!   page  topic          topics only: TopicWords, then SubscriberLine * m, 64 bytes a line
//!   page  cells          the ring: records, each a header word and a payload, in whole cells
//!
//!  a record of a sized ring (one cell)     a record of a slice ring (cells of 16 bytes or more)
//!  +--------+------------------+           +--------+----------+---------------------+
//!  | header | payload          |           | header | sequence | payload ...         |
//!  +--------+------------------+           +--------+----------+---------------------+
//!  0        payload_offset (a cache line,  0        8          payload_offset
//!           from messages of 1 KiB on)
//!
//!  A primitive of `shmq::sync` has the same head and table (its lock is that of PutSide, its
//!  condition variable that of PutNotice, its poison that of Rare) and one cell, without a header:
//!
//!  0x000  MutexWords, ValueWords, EventWords, SemaphoreWords, BarrierWords, LockWords or
//!         PlacesWords
//!  0x100  data           a mutex's value, an array's elements, a value twice, a word for each
//!                        participant, or a CondvarPlace for each waiting thread
//!
//!  record header word
//!           63..61 state | 60 spilled | 59..50 generation (low 10) | 49..40 entry | 39..32 deliveries
//!           31..0 length in bytes
//!  lock word
//!           31..11 generation (21) | 10..1 entry (10) | 0 waiters
//! ```
//!
//! Invariants:
//! 1. Everything shared has an explicit width. No `usize`, no pointer, no `bool`.
//! 2. Words that different sides write lie in different cache lines ([`CachePadded`]).
//! 3. Any change of this folder raises [`FORMAT`].

mod primitives;
mod topic;

pub use primitives::*;
pub use topic::*;

use crate::atomic::{AtomicU32, AtomicU64};
use crossbeam_utils::CachePadded;

/// First word of every segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"shmqring");
/// Raised with every change of the layout or of the protocol.
pub const FORMAT: u32 = 8;
/// Bytes kept of a message type's name.
pub const TYPE_NAME_BYTES: usize = 264;
/// Bytes kept of a user's schema.
pub const SCHEMA_BYTES: usize = 64;
/// Bytes kept of a structural schema's text; its hash is that of the whole text.
pub const STRUCTURE_BYTES: usize = 4096;
/// Bytes of the longest name.
pub const NAME_BYTES: usize = 200;
/// An id has 10 bits for the entry.
pub const MAX_PARTICIPANTS: u32 = (1 << 10) - 1;

/// States of a segment, in the order in which it passes through them.
pub mod segment_state {
    /// Being initialised under a temporary name.
    pub const BUILDING: u32 = 0;
    /// Published: the name refers to this segment.
    pub const ALIVE: u32 = 1;
    /// The name was removed; attached processes continue.
    pub const UNLINKED: u32 = 2;
    /// Another segment was renamed over it: no process may attach any more.
    pub const DEAD: u32 = 3;
}

/// Why this segment replaced its predecessor, if there was one.
pub mod predecessor {
    /// The name was free.
    pub const NONE: u32 = 0;
    /// `create` was called, which replaces a segment that no live process uses.
    pub const CREATED_ANEW: u32 = 1;
    /// The predecessor was a queue that was closed and drained.
    pub const DRAINED: u32 = 2;
    /// It held messages of another type, schema, structure or kind.
    pub const OTHER_TYPE: u32 = 3;
    /// It was a poisoned queue.
    pub const POISONED: u32 = 4;
    /// It was a primitive of `shmq::sync` whose users were all dead.
    pub const PRIMITIVE: u32 = 5;

    /// Value of `predecessor_messages` if they could not be counted.
    pub const UNCOUNTED: u64 = u64::MAX;
}

/// Which locks a segment uses.
pub mod lock_kind {
    /// Futex words with owners whose liveness the kernel reports.
    pub const FUTEX: u32 = 1;
    /// `raw_sync`, without crash recovery.
    pub const RAW_SYNC: u32 = 2;
    /// The lock kind of this build.
    pub const OURS: u32 = if cfg!(any(not(target_os = "linux"), shmq_portable_sync)) { RAW_SYNC } else { FUTEX };
}

/// The description of a segment. All but `state` and `persisted` is written before publication and
/// never changes afterwards.
#[repr(C)]
pub struct SegmentHeader {
    pub magic: u64,
    pub format: u32,
    pub pointer_bits: u32,
    /// One of [`segment_state`].
    pub state: AtomicU32,
    /// One of [`lock_kind`].
    pub lock_kind: u32,
    /// Random, never 0: distinguishes this segment from any other that had its name.
    pub nonce: u64,
    pub total_bytes: u64,
    pub cells: u64,
    pub cell_bytes: u64,
    /// A [`Kind`](super::kind::Kind), as its number.
    pub kind: u32,
    pub max_participants: u32,
    /// `size_of` of the message, or of the element of a slice.
    pub message_bytes: u64,
    pub message_align: u64,
    /// Bound in messages; `u64::MAX` if only bytes bound the ring.
    pub capacity: u64,
    /// 0: no limit.
    pub max_deliveries: u32,
    /// 1 once `persist` was called.
    pub persisted: AtomicU32,
    /// Seconds since 1970, for diagnostics.
    pub created_unix_s: u64,
    pub type_name_len: u32,
    pub schema_len: u32,
    /// Hash of the whole text of the messages' structure; 0: there is none.
    pub structure_hash: u64,
    /// Bytes of that text that are stored at [`structure_offset`].
    pub structure_len: u32,
    /// One of [`predecessor`], written when the name is taken over.
    pub predecessor: AtomicU32,
    /// Messages lost with the predecessor, including those on lease to dead processes.
    pub predecessor_messages: AtomicU64,
    pub type_name: [u8; TYPE_NAME_BYTES],
    pub schema: [u8; SCHEMA_BYTES],
    /// 1: each commit ends with a full fence, and a process that goes to sleep does not call
    /// `membarrier`.
    pub full_fence: u32,
    /// Bytes of the name of the queue for dead letters, which follows the text of the structure; 0:
    /// there is none.
    pub dead_letters_len: u32,
    /// 1: the queue is closed once all its senders, or all its receivers, are gone.
    pub close_when_unused: u32,
    /// Lines for subscribers; 0: it is no topic.
    pub max_subscribers: u32,
    /// 1: a semaphore of which no release makes more permits than it was created with.
    pub bounded: u32,
    /// Messages that a new subscriber begins back.
    pub history: u64,
    /// A gating subscriber that lags so many messages is evicted; 0: none is.
    pub max_lag: u64,
    /// Bytes of objects that may lie in files of their own; 0: none may.
    pub max_spilled_bytes: u64,
}

/// Words that putters write, under the put lock or as the endpoint that owns the side.
#[repr(C)]
#[derive(Debug, Default)]
pub struct PutSide {
    /// Futex mutex word.
    pub lock: AtomicU32,
    /// Id of the live `Producer`, 0 for none.
    pub owner: AtomicU32,
    /// 1 while the owner is inside a call (it takes no lock).
    pub busy: AtomicU32,
    pub reserved: AtomicU32,
    /// Position of the next record: the word there is FREE.
    pub tail: AtomicU64,
    /// Position of the oldest record whose space is not free yet.
    pub reclaim: AtomicU64,
    /// Head as the put side last read it, so that head's cache line seldom crosses between cores.
    /// Never more than head.
    pub head_seen: AtomicU64,
    /// Monotonic nanoseconds until which `ticket` is respected.
    pub ticket_until_ns: AtomicU64,
    /// Number of the waiting put that goes first, 0 for none.
    pub ticket: AtomicU64,
    /// Last ticket drawn.
    pub tickets: AtomicU64,
    /// Records that tail moved back over: they were published, and their positions are reused.
    pub taken_back: AtomicU64,
    pub bytes_put: AtomicU64,
    /// Loans claimed, part of what was published.
    pub loans: AtomicU64,
    /// Raised when tail begins to move back and when it has moved: odd in between.
    pub retreats: AtomicU64,
    /// A position of a record, or tail: no run of DONE records that ends at tail begins before it.
    pub settled: AtomicU64,
    /// Puts and loans that found no room and did not wait for it. Written only in that case, not
    /// per message.
    pub refused: AtomicU64,
    /// Topics of slices: position of a record that leads to the newest committed one. A hint.
    pub newest: AtomicU64,
}

/// Words that getters write, under the get lock or as the endpoint that owns the side.
#[repr(C)]
#[derive(Debug, Default)]
pub struct GetSide {
    /// Futex mutex word.
    pub lock: AtomicU32,
    /// Id of the live `Consumer`, 0 for none.
    pub owner: AtomicU32,
    /// 1 while the owner is inside a call.
    pub busy: AtomicU32,
    /// 1 if the owner's process is registered for the expedited barrier, so that a putter may hold
    /// it off.
    pub yields: AtomicU32,
    /// Position of the next record to take.
    pub head: AtomicU64,
    /// Messages taken by copy.
    pub copies: AtomicU64,
    /// Leases begun, redeliveries included.
    pub leases: AtomicU64,
    pub bytes_got: AtomicU64,
    pub redelivered: AtomicU64,
    pub given_up: AtomicU64,
    /// Messages handed over to the queue for dead letters, and failed attempts. Written without
    /// owning the side.
    pub dead_letters: AtomicU64,
    pub dead_letters_refused: AtomicU64,
}

/// A condition variable: no mutex of its own.
#[repr(C)]
#[derive(Debug, Default)]
pub struct CondvarWords {
    /// `epoch:32 | count:32`.
    pub waiters: AtomicU64,
    /// Futex word, raised by each notify.
    pub sequence: AtomicU32,
    pub reserved: AtomicU32,
}

/// Read by putters at each message; written when a getter goes to sleep, and by `close`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct PutNotice {
    pub not_empty: CondvarWords,
    /// 1 after `close`.
    pub closed: AtomicU32,
    /// Tasks that wait for it.
    pub closing: CondvarWords,
}

/// Read by getters at each message; written when a putter goes to sleep, and when a lease comes
/// back.
#[repr(C)]
#[derive(Debug, Default)]
pub struct GetNotice {
    pub not_full: CondvarWords,
    /// Bits (ring's `notice`); 0 lets getters take the fast path: no record behind head is
    /// RETURNED, and no putter moves head.
    pub returned: AtomicU32,
}

/// Words that only slow paths use.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Rare {
    pub all_done: CondvarWords,
    /// `task_done` calls.
    pub task_dones: AtomicU64,
    /// Messages larger than a small copy, taken by copy from a lease.
    pub large_copies: AtomicU64,
    /// Loans aborted, by their owner or on behalf of a dead one.
    pub aborted: AtomicU64,
    /// Sides and records repaired after a death. In a primitive: participants that died and whose
    /// entry was reused since the last reset.
    pub recoveries: AtomicU64,
    /// Puts that slept at least once, counted when they end, and their total time asleep.
    pub blocked_puts: AtomicU64,
    pub blocked_put_ns: AtomicU64,
    pub blocked_gets: AtomicU64,
    pub blocked_get_ns: AtomicU64,
    pub put_timeouts: AtomicU64,
    pub get_timeouts: AtomicU64,
    /// Wakes, including those that found no sleeper: one system call each.
    pub wakes: AtomicU64,
    /// Most messages that a blocked put, or a call of `stats`, found waiting.
    pub high_water: AtomicU64,
    /// 1: a process was declared dead while it was still running.
    pub poisoned: AtomicU32,
    /// Bits [`role::SENDER`] and [`role::RECEIVER`]: there has been one.
    pub had_roles: AtomicU32,
    /// Raised after each bit that a participant sets, and after each handle that begins to travel.
    pub role_changes: AtomicU64,
}

/// Room for `raw_sync`'s two mutexes and three events.
#[repr(C, align(64))]
pub struct PortableSync(pub [u8; 1152]);

/// Handles in transit, at most.
pub const TRANSIT_SLOTS: usize = 64;

/// Handles that were serialised and have not been deserialised yet: 0, or the id of the process that
/// sent one, a number and its roles (`raw/roles/transit.rs`).
#[repr(C, align(64))]
#[derive(Debug)]
pub struct InTransit(pub [AtomicU64; TRANSIT_SLOTS]);

/// Objects of a queue that lie in files of their own.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct SpillWords {
    /// `changes:24 | pages:40`: pages of those files (`raw/spilled/room.rs`). Kills let it drift; it is counted
    /// anew before it stops a put.
    pub pages: AtomicU64,
    /// Objects that were put so.
    pub objects: AtomicU64,
    pub reserved: [AtomicU64; 6],
}

/// Messages that were given up, whose positions are kept.
pub const GIVEN_UP_KEPT: usize = 118;

/// Positions of the messages that were given up last (`raw/identity.rs`).
#[repr(C, align(64))]
#[derive(Debug)]
pub struct GivenUp {
    /// Positions that were noted, ever: the number of the next one.
    pub noted: AtomicU64,
    /// Positions before this one may have been forgotten.
    pub forgotten_before: AtomicU64,
    /// Each 0, or a position plus 1: number n stands at `n % GIVEN_UP_KEPT`.
    pub positions: [AtomicU64; GIVEN_UP_KEPT],
}

/// The head of a segment, before the participant table.
#[repr(C)]
pub struct Head {
    pub header: CachePadded<SegmentHeader>,
    pub put: CachePadded<PutSide>,
    pub get: CachePadded<GetSide>,
    pub put_notice: CachePadded<PutNotice>,
    pub get_notice: CachePadded<GetNotice>,
    pub rare: CachePadded<Rare>,
    pub portable: PortableSync,
    pub in_transit: InTransit,
    pub spilled: SpillWords,
    pub given_up: GivenUp,
}

/// One attached process. Its liveness lock is an OFD lock on its first byte.
#[repr(C, align(64))]
pub struct Entry {
    /// Raised at each registration, 1 to 2^21 - 1.
    pub generation: AtomicU32,
    /// Process id as its owner saw it: for diagnostics, never for decisions.
    pub pid: AtomicU32,
    /// Seconds since 1970, for diagnostics.
    pub attached_unix_s: AtomicU64,
    /// Bits of [`role`], set in slow paths. All but `SENDER` and `RECEIVER` are for diagnostics.
    pub roles: AtomicU32,
    /// Threads that sleep now in a put, in a get, in a join.
    pub put_sleepers: AtomicU32,
    pub get_sleepers: AtomicU32,
    pub join_sleepers: AtomicU32,
    /// Monotonic time in nanoseconds at which the first of them fell asleep. Meaningless while
    /// there is none.
    pub put_asleep_ns: AtomicU64,
    pub get_asleep_ns: AtomicU64,
    /// Monotonic time in nanoseconds at which its last `Producer` and `Consumer` were made.
    pub producer_ns: AtomicU64,
    pub consumer_ns: AtomicU64,
}

/// Roles that a participant was seen in.
pub mod role {
    pub const PUT: u32 = 1;
    pub const GET: u32 = 2;
    /// It keeps the name in place even as the last participant. The bit stays after that
    /// participant has detached, until the entry is reused: it marks a segment whose participants
    /// died.
    pub const VISITOR: u32 = 4;
    /// It has messages on lease that the dead-letter queue refused.
    pub const KEEPS_LETTERS: u32 = 8;
    /// It holds handles that put. Set only where the queue closes when unused.
    pub const SENDER: u32 = 16;
    /// It holds handles that get. As `SENDER`.
    pub const RECEIVER: u32 = 32;
}

/// Offset of the participant table.
pub const ENTRIES_OFFSET: u64 = size_of::<Head>() as u64;
/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = size_of::<Entry>() as u64;
/// Cells begin on a page of their own.
pub const PAGE_BYTES: u64 = 4096;

/// Offset of the byte whose OFD lock is the liveness lock of `entry`.
pub const fn liveness_offset(entry: u32) -> u64 {
    ENTRIES_OFFSET + entry as u64 * ENTRY_BYTES
}

/// Offset of the byte whose OFD lock grants the right to take `entry`. Not next to the liveness
/// lock: the kernel merges two adjacent locks of one description.
pub const fn registration_offset(entry: u32) -> u64 {
    liveness_offset(entry) + ENTRY_BYTES / 2
}

/// Offset of the name byte.
pub const fn name_byte_offset(max_participants: u32) -> u64 {
    liveness_offset(max_participants)
}

/// Offset of the byte that every process that keeps the name holds read-locked. The same in all
/// segments: whatever a header says of the table, no process removes a name that another process
/// keeps.
pub const KEEPERS_OFFSET: u64 = 0;

/// Offset of the structure's text, on a cache line of its own.
pub const fn structure_offset(max_participants: u32) -> u64 {
    name_byte_offset(max_participants) + ENTRY_BYTES
}

/// Offset of a topic's words, behind texts of `texts_len` bytes in total. The texts cost nothing if
/// they fit into the rest of the page before them.
pub const fn topic_offset(max_participants: u32, texts_len: u32) -> u64 {
    (structure_offset(max_participants) + texts_len as u64).next_multiple_of(PAGE_BYTES)
}

/// Offset of cell 0.
pub const fn cells_offset(max_participants: u32, texts_len: u32, max_subscribers: u32) -> u64 {
    topic_offset(max_participants, texts_len) + topic_bytes(max_subscribers)
}

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<SegmentHeader>() <= 0x200);
    assert!(structure_offset(120) % 64 == 0 && structure_offset(120) > name_byte_offset(120) + 1);
    assert!(cells_offset(120, 0, 0) == 0x3000 && cells_offset(120, STRUCTURE_BYTES as u32, 0) == 0x4000);
    assert!(offset_of!(Head, put) == 0x200);
    assert!(offset_of!(Head, get) == 0x280);
    assert!(offset_of!(Head, put_notice) == 0x300);
    assert!(offset_of!(Head, get_notice) == 0x380);
    assert!(offset_of!(Head, rare) == 0x400);
    assert!(offset_of!(Head, portable) == 0x480);
    assert!(offset_of!(Head, in_transit) == 0x900);
    assert!(offset_of!(Head, spilled) == 0xb00);
    assert!(offset_of!(Head, given_up) == 0xb40);
    assert!(ENTRIES_OFFSET == 0xf00);
    assert!(size_of::<PutSide>() <= 128 && size_of::<GetSide>() <= 128 && size_of::<Rare>() <= 128);
    assert!(ENTRY_BYTES == 64);
};
