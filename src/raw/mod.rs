//! Locks, ring and condition variables together: one attached segment, and every operation on it in
//! bytes.
//!
//! ```text
//!   put:  enter put side -> reserve -> write -> commit -> exit -> wake a getter
//!            | contended, Full      (fast path: no system call, no fence instruction; the lock's
//!            |                       two instructions are locked ones)
//!            v
//!         spin, yield, sleep -> try again until the deadline; each 100 ms probe for dead peers
//! ```
//!
//! | after a death | file |
//! |---|---|
//! | when a call probes for dead owners, and how often | `probe.rs` |
//! | a side's lock or endpoint was a dead process's: the one recovery of a side | `recover.rs` |
//! | `Queue::recover`, and a full queue behind a dead reader (`free_stopper`) | `recover.rs` |
//! | how the cursors follow from the headers | `ring/repair.rs` |
//! | which records dead owners hold, and giving them back | `ring/dead_owners.rs` |
//! | room that views of dead processes keep | `views.rs`, `ring/views.rs` |
//! | waiters that were killed asleep | `lock/futex.rs` |
//!
//! Invariants:
//! 1. A side is entered by locking it while no live endpoint owns it, or by being that endpoint.
//!    Between enter and exit no call allocates, runs the user's code, or touches the caller's
//!    memory beyond a copy of [`SMALL_COPY_BYTES`]; an endpoint may copy more.
//! 2. The mapping lives as long as the queue, and a [`CellIndex`] is in the ring: its record starts
//!    inside the mapping. A payload pointer is made only for a record whose length was checked
//!    against the geometry.
//! 3. `me` is this process's id, also after a fork: see attachment, Invariant 1.
//! 4. A record that this process claimed or leased is touched by no other process until it is
//!    committed, aborted or released: the ring's owner words say so, and peers that write to
//!    records that they do not own are outside every promise of this crate.

mod announced;
mod attach;
#[cfg(feature = "async")]
mod awaited;
mod batch;
mod block;
mod close;
mod copy;
mod delivery;
mod endpoint;
mod get;
mod identity;
mod in_bytes;
mod join;
mod lease;
mod letters;
mod loan;
mod make_room;
mod mapped;
mod open_guards;
mod probe;
mod process_local;
mod put;
mod readiness;
mod recover;
mod roles;
mod spilled;
mod spsc;
mod stats;
mod straight;
mod ticket;
pub(crate) mod topic;
mod vectored;
mod views;

pub(crate) use attach::messages_left;
#[cfg(feature = "async")]
pub(crate) use awaited::Tries;
pub(crate) use delivery::{ToAll, ToOne};
pub(crate) use endpoint::Side;
pub use endpoint::SideOwner;
pub use identity::{Fate, MessageId};
pub use lease::LeasedRecord;
pub(crate) use letters::Ends;
pub(crate) use loan::ClaimedRecord;
pub(crate) use mapped::Mapped;
pub use recover::RecoveryReport;
pub use roles::KeptHandle;
#[cfg(feature = "object")]
pub(crate) use roles::encode_to_all;
pub(crate) use roles::{ForOneReceiver, PlainHandle, Role, RoleHandle, TransitTicket};
pub(crate) use spilled::{DESCRIPTOR_BYTES, descriptor_of, may_be_spilled};
pub use stats::Stats;
#[cfg(feature = "async")]
pub use ticket::Ticket;
pub(crate) use topic::{InPlaceRecord, InPlaceUse};
pub use topic::{RawSubscriber, Start, SubscriberInfo, SubscriberKind, TopicStats};
pub use views::PinnedRecord;

use crate::atomic::AtomicU64;
use crate::attachment::Attachment;
use crate::backoff::AdaptiveSpin;
use crate::error::{GetError, PutError, SubscribeError, WaitSubscribersError};
use crate::lock::{Condvar, Locks};
use crate::os::MemoryBarrier;
use crate::ring::{Owner, Ring};
use crate::shm::geometry::Geometry;
use crate::shm::layout::{Head, Rare};
use crate::shm::participant::{self, Id};
use crate::shm::segment::{AttachError, Segment};
use crate::wait::{Stop, Wait, WaitStrategy};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Copies up to this size are made under the lock; larger ones in a loan or a lease, so that no
/// lock is held for long.
pub(crate) const SMALL_COPY_BYTES: usize = 4096;

/// For fewer records no prefetch is attempted.
const LEAST_FETCHED_AHEAD: u64 = 16;

/// How a call enters its side (Invariant 1), for constant parameters `OWNED`: by the lock, or as
/// the side's owner.
pub(crate) const BY_LOCK: bool = false;
pub(crate) const BY_OWNER: bool = true;

/// One attached segment. Shared by the handles, guards and endpoints of a process.
///
/// In this order: with `ring` at its beginning, a put or a get in place takes 5 instructions more,
/// because its address and that of the queue then share a register (measured).
#[repr(C)]
pub struct RawQueue {
    attachment: Attachment,
    ring: Ring<Mapped>,
    strategy: WaitStrategy,
    max_deliveries: u32,
    /// What is given up, where there is a queue for dead letters.
    letters: Arc<letters::Letters>,
    /// When callers of this process last probed for dead peers.
    probe_times: probe::ProbeTimes,
    /// Messages taken, by copy and on lease, when a getter of this process last found nothing.
    caught_up_at: AtomicU64,
    /// What tail was when a getter of this process last loaded it, to prefetch. A hint.
    tail_seen: AtomicU64,
    /// Whether its calls should spin for long before they sleep.
    adaptive_spin: AdaptiveSpin,
    /// See [`RawQueue::keep_leases_private`].
    leases_are_private: AtomicBool,
    /// Which handles of this process count as senders and receivers.
    roles: Arc<roles::Roles>,
    /// Has this process seen that the segment has its anchor?
    is_anchored: AtomicBool,
    /// Once it is set, callers that wait give up.
    stop: Option<Stop>,
    /// What a topic has beside the put side of a queue; `None`: it is a queue.
    topic: Option<Arc<topic::TopicPart>>,
    #[cfg(feature = "tracing")]
    unreported: stats::Unreported,
}

// SAFETY: the pointers of `Mapped` lead into a mapping that lives as long as the queue (Invariant
// 2), and what they lead to is atomics, or records that the ring's protocol gives to one owner at a
// time (Invariant 4). Letters are touched by one thread at a time (process_local, Invariant 1).
unsafe impl Send for RawQueue {}
// SAFETY: as above.
unsafe impl Sync for RawQueue {}

/// Adds to a counter that only one process at a time writes: a plain load and a plain store.
#[inline(always)]
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Why an operation stopped, before it becomes an error of the public API.
#[derive(Debug)]
pub(crate) enum Failure {
    Busy,
    Timeout,
    Interrupted,
    Held { pid: u32 },
    Poisoned,
    Corrupted,
    Inherited,
    TooManyParticipants { max: u32 },
    Os { call: &'static str, source: io::Error },
}

macro_rules! from_failure {
    ($($error:ident),*) => {$(
        impl From<AttachError> for $error {
            // Of its own, so that the conversion is no part of the fast path.
            #[cold]
            #[inline(never)]
            fn from(error: AttachError) -> Self {
                Failure::from(error).into()
            }
        }

        impl From<Failure> for $error {
            fn from(failure: Failure) -> Self {
                match failure {
                    Failure::Busy => $error::Busy,
                    Failure::Timeout => $error::Timeout,
                    Failure::Interrupted => $error::Interrupted,
                    Failure::Held { pid } => $error::Held { pid },
                    Failure::Poisoned => $error::Poisoned,
                    Failure::Corrupted => $error::Corrupted,
                    Failure::Inherited => $error::Inherited,
                    Failure::TooManyParticipants { max } => $error::TooManyParticipants { max },
                    Failure::Os { call, source: error } => $error::Os { call, source: error },
                }
            }
        }
    )*};
}
from_failure!(PutError, GetError);

/// The same for operations that take no side.
macro_rules! from_attach_error {
    ($($error:ident),*) => {$(
        impl From<AttachError> for $error {
            fn from(error: AttachError) -> Self {
                match Failure::from(error) {
                    Failure::TooManyParticipants { max } => $error::TooManyParticipants { max },
                    Failure::Os { call, source } => $error::Os { call, source },
                    Failure::Poisoned => $error::Poisoned,
                    // No attachment fails in another way.
                    _ => $error::Corrupted,
                }
            }
        }
    )*};
}
from_attach_error!(SubscribeError, WaitSubscribersError);

impl RawQueue {
    #[inline(always)]
    fn head(&self) -> &Head {
        self.ring.memory.head()
    }

    /// Shape of the ring.
    #[inline(always)]
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.ring.geometry
    }

    /// The mapped segment.
    #[inline(always)]
    pub(crate) fn segment(&self) -> &Segment {
        &self.attachment.segment
    }

    #[inline(always)]
    fn locks(&self) -> &Locks {
        &self.attachment.locks
    }

    #[inline(always)]
    pub(crate) fn barrier(&self) -> &MemoryBarrier {
        &self.attachment.barrier
    }

    /// See [`Attachment::known_me`].
    #[inline(always)]
    fn known_me(&self) -> Option<Id> {
        self.attachment.known_me()
    }

    /// See [`Attachment::known_me_of_plain`].
    #[inline(always)]
    fn known_me_of_plain(&self) -> Option<Id> {
        self.attachment.known_me_of_plain()
    }

    /// Is this still the process that began a call as `me`, and no child of it?
    fn is_me(&self, me: Id) -> bool {
        self.known_me() == Some(me)
    }

    /// See [`Attachment::incarnation`].
    #[inline(always)]
    pub(crate) fn incarnation(&self) -> u32 {
        self.attachment.incarnation()
    }

    #[inline(always)]
    fn owner_word(id: Id) -> Owner {
        Owner::new(id.entry(), id.generation_low())
    }

    fn is_dead(&self, owner: Owner, me: Id) -> bool {
        !participant::owner_is_alive(self.segment(), owner.entry(), owner.generation_low(), me)
    }

    fn is_alive(&self, id: Id, me: Id) -> bool {
        participant::is_alive(self.segment(), id, me)
    }

    /// Asks for the cache lines of what a getter takes next, if it is as many records as make that
    /// worth its while.
    fn fetch_ahead(&self, records: u64) {
        if records >= LEAST_FETCHED_AHEAD {
            self.ring.fetch_ahead(&self.tail_seen);
        }
    }

    #[inline(always)]
    fn not_empty(&self) -> Condvar<'_> {
        self.locks().not_empty(self.head())
    }

    #[inline(always)]
    fn not_full(&self) -> Condvar<'_> {
        self.locks().not_full(self.head())
    }

    #[inline(always)]
    fn all_done(&self) -> Condvar<'_> {
        self.locks().all_done(self.head())
    }

    #[inline(always)]
    fn rare(&self) -> &Rare {
        &self.head().rare
    }

    /// Wakes `count` getters after a commit. No fence stands between the commit and the load of the
    /// count of waiters: the waiter pays for both sides by `membarrier` (`os/membarrier.rs`; "Why
    /// there is no fence in put" in `ARCHITECTURE.md`).
    #[inline(always)]
    fn notify_not_empty(&self, count: u32) {
        self.attachment.notify(|| self.not_empty(), || count);
    }

    /// Wakes putters after space was freed: one cell helps one putter of a sized ring; in a slice
    /// ring they need different amounts.
    #[inline(always)]
    fn notify_not_full(&self, records: u32) {
        self.attachment.notify(|| self.not_full(), || if self.geometry().sized { records } else { u32::MAX });
    }

    #[inline]
    fn notify_all_done(&self) {
        self.attachment.notify(|| self.all_done(), || u32::MAX);
    }

    /// A process that was taken for dead is at work: no order can be trusted any more.
    #[cold]
    fn poison(&self) -> Failure {
        self.attachment.poison();
        Failure::Poisoned
    }

    /// As [`Attachment::is_poisoned`], by the pointer that the fast path has in a register anyhow.
    #[inline(always)]
    fn is_poisoned(&self) -> bool {
        self.rare().poisoned.load(Relaxed) != 0
    }

    /// The error of a queue whose order cannot be trusted.
    #[cfg(feature = "async")]
    pub(crate) fn check_sound(&self) -> Result<(), GetError> {
        if self.is_poisoned() { Err(GetError::Poisoned) } else { Ok(()) }
    }

    /// Was the queue closed?
    pub(crate) fn is_closed(&self) -> bool {
        self.head().put_notice.closed.load(Acquire) != 0
    }
}

impl fmt::Debug for RawQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RawQueue")
            .field("name", &self.segment().name())
            .field("len", &if self.topic.is_some() { self.as_topic().published() } else { self.ring.len() })
            .field("capacity", &self.geometry().capacity)
            .field("cells", &self.geometry().cells)
            .field("closed", &self.is_closed())
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}
