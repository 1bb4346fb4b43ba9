//! Looking at queues from outside: which there are, what is in them, who uses them, what stands in the way.
//!
//! An [`Inspector`] maps a segment read-only. It does not attach: it takes no participant entry and no lock, so that nobody waits for
//! it and nothing is kept alive by it. What it reads may be garbage or change under its eyes; it is masked and range-checked and never
//! decides anything, so a snapshot of a queue at work is a picture with a shutter time: numbers in it may be a moment apart.
//!
//! [`Operator`] is the opposite: it attaches to a queue of any type, to close, drain or recover it. What only looks does so whichever user
//! owns the segment, if its mode allows that; what acts refuses one that is neither this user's nor root's, unless its [`Owners`] say
//! otherwise.
//!
//! ```
//! # let name = format!("doc-inspect-{}", std::process::id());
//! let queue = shmq::Queue::<u64>::create(&name, 10)?;
//! queue.put(&1)?;
//! let lease = queue.lease()?;
//! queue.put(&2)?;
//!
//! let seen = shmq::inspect::Inspector::open(&name)?.look();
//! assert_eq!((seen.messages, seen.on_lease), (1, 1));
//! assert_eq!(seen.participants[0].pid, std::process::id());
//! assert!(shmq::inspect::list()?.iter().any(|found| found.name == name));
//! # drop(lease);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod operator;
mod peek;
mod predecessor;
mod process;
mod snapshot;

pub use crate::shm::segment::Owners;
pub use operator::{Operator, Removal, remove_stale, remove_stale_of, unlink_of};
pub use peek::Peeked;
pub use predecessor::{Predecessor, WhyReplaced};
pub use process::ProcessState;
pub use snapshot::{Glance, Hold, Holding, Participant, Snapshot, State, Waiting};

use crate::error::OpenError;
use crate::raw::{Mapped, Stats};
use crate::ring::Ring;
use crate::shm::layout::kind;
use crate::shm::segment::{self, View};
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A name in the directory of shared memory that a queue may have, and what a look at it came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The name, as given to [`Queue::open`](crate::Queue::open).
    pub name: String,
    /// Whose file it is.
    pub owner_uid: u32,
    /// The segment; or why it cannot be looked at: [`OpenError::PermissionDenied`] for another user's, [`OpenError::Corrupted`] for a file
    /// that is no segment, [`OpenError::Mismatch`] for one of another version of this crate.
    pub inspector: Result<Inspector, OpenError>,
}

/// Every segment there is, in the order of their names. Those being created have no name yet and are not in it.
///
/// # Errors
/// If the directory of shared memory cannot be read.
pub fn list() -> io::Result<Vec<Found>> {
    let names = segment::names_in_use()?;
    let look = |(name, owner_uid): (String, u32)| {
        let inspector = Inspector::open(&name);
        // Gone between the two looks: there is nothing to tell.
        (!matches!(inspector, Err(OpenError::NotFound { .. }))).then_some(Found { name, owner_uid, inspector })
    };
    Ok(names.into_iter().filter_map(look).collect())
}

/// Every segment that has lost its name while processes use it, by the name that it had: found through those processes, of which this
/// user must be allowed to look at one. It takes a look at every descriptor of every process.
///
/// ```
/// # let name = format!("doc-nameless-{}", std::process::id());
/// let queue = shmq::Queue::<u64>::create(&name, 10)?;
/// shmq::Queue::<u64>::unlink(&name)?;
/// let found = shmq::inspect::nameless()?;
/// let found = found.iter().find(|found| found.name == name).expect("this process uses it");
/// assert!(!found.inspector.as_ref().unwrap().has_name());
/// # drop(queue);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If `/proc` cannot be read.
pub fn nameless() -> io::Result<Vec<Found>> {
    let found = |(name, owner_uid, view)| Found { name, owner_uid, inspector: Ok(Inspector::over(view)) };
    Ok(segment::nameless()?.into_iter().map(found).collect())
}

/// What a segment is: how the messages of a queue lie in memory, or which object of [`sync`](crate::sync) it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One plain value each, all of one size.
    Sized,
    /// A slice of plain elements each.
    Slice,
    /// An encoded object each, of an `ObjectQueue`.
    Encoded,
    /// No queue, but a mutex around one value.
    Mutex,
    /// No queue, but a mutex around a slice.
    Array,
    /// No queue, but a value that changes as a whole.
    Value,
    /// No queue, but an event.
    Event,
    /// No queue, but a semaphore.
    Semaphore,
    /// No queue, but a condition variable.
    Condvar,
    /// No queue, but a barrier.
    Barrier,
}

impl Kind {
    fn of(kind: u32) -> Kind {
        match kind {
            kind::SIZED => Kind::Sized,
            kind::OBJECT => Kind::Encoded,
            kind::MUTEX => Kind::Mutex,
            kind::ARRAY => Kind::Array,
            kind::VALUE => Kind::Value,
            kind::EVENT => Kind::Event,
            kind::SEMAPHORE => Kind::Semaphore,
            kind::CONDVAR => Kind::Condvar,
            kind::BARRIER => Kind::Barrier,
            _ => Kind::Slice,
        }
    }

    /// Does it hold messages? Of what does not, only the participants are seen.
    pub fn is_queue(self) -> bool {
        matches!(self, Kind::Sized | Kind::Slice | Kind::Encoded)
    }

    /// In a word.
    pub fn in_words(self) -> &'static str {
        match self {
            Kind::Sized => "sized",
            Kind::Slice => "slice",
            Kind::Encoded => "encoded",
            Kind::Mutex => "mutex",
            Kind::Array => "array",
            Kind::Value => "value",
            Kind::Event => "event",
            Kind::Semaphore => "semaphore",
            Kind::Condvar => "condvar",
            Kind::Barrier => "barrier",
        }
    }
}

/// What a segment says about itself and never changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct About {
    /// How messages lie in memory.
    pub kind: Kind,
    /// Name of the message type, or of the element of a slice, without module paths. Text of whoever created the segment: escape it
    /// before it goes to a terminal.
    pub type_name: String,
    /// The schema, if its creator set one. As `type_name`.
    pub schema: Option<String>,
    /// The text of the messages' structure, if its creator gave one: its first 4 KiB. As `type_name`.
    pub structure: Option<String>,
    /// The dead segment that this one took the place of, if it did.
    pub predecessor: Option<Predecessor>,
    /// Size of a message, or of one element of a slice.
    pub unit_bytes: u64,
    /// Bound in messages; `None` if only bytes bound the queue.
    pub capacity: Option<u64>,
    /// Size of the ring.
    pub capacity_bytes: u64,
    /// Largest message.
    pub max_message_bytes: u64,
    /// Size of the whole segment.
    pub segment_bytes: u64,
    /// Processes that may be attached at once.
    pub max_participants: u32,
    /// Deliveries after which a message is given up; 0 for never.
    pub max_deliveries: u32,
    /// Name of the queue for messages that are given up. As `type_name`.
    pub dead_letters: Option<String>,
    /// When it was created, by the clock of its creator.
    pub created: SystemTime,
    /// Whose it is.
    pub owner_uid: u32,
    /// Its permissions, as of `chmod`.
    pub mode: u32,
}

impl About {
    /// `u64`, `[u8]`, `[f32] samples/2`: escaped for a terminal.
    pub fn type_in_words(&self) -> String {
        let name = self.type_name.escape_debug();
        let schema = self.schema.as_deref().map(|schema| format!(" {}", schema.escape_debug())).unwrap_or_default();
        match self.kind {
            Kind::Sized => format!("{name}{schema}"),
            Kind::Encoded => format!("object {name}{schema}"),
            Kind::Mutex | Kind::Value => format!("{} {name}{schema}", self.kind.in_words()),
            Kind::Array => format!("array [{name}]{schema}"),
            Kind::Event | Kind::Semaphore | Kind::Condvar | Kind::Barrier => self.kind.in_words().to_owned(),
            Kind::Slice => format!("[{name}]{schema}"),
        }
    }

    /// Is it a queue for [dead letters](crate::DeadLetters)?
    pub fn is_dead_letters(&self) -> bool {
        self.kind == Kind::Slice && self.unit_bytes == 1 && self.type_name == crate::shm::letter::TYPE_NAME
    }

    /// Can it be read and written as plain bytes, by a `Queue<[u8]>`?
    pub fn is_bytes(&self) -> bool {
        self.kind == Kind::Slice && self.unit_bytes == 1 && self.type_name == "u8"
    }
}

/// A segment, mapped read-only: see the [module](self).
///
/// The mapping stays what it was when the segment loses its name or is replaced. A segment that somebody truncates while it is
/// looked at ends the looker with `SIGBUS`, as it does its users.
pub struct Inspector {
    ring: Ring<Mapped>,
    view: View,
}

impl Inspector {
    /// Finds the segment of that name.
    ///
    /// # Errors
    /// [`OpenError::NotFound`]; [`OpenError::PermissionDenied`] for another user's; [`OpenError::Corrupted`] for a file that is no segment;
    /// [`OpenError::Mismatch`] for a segment of another version, lock backend or pointer width.
    pub fn open(name: impl AsRef<str>) -> Result<Inspector, OpenError> {
        Ok(Inspector::over(View::open(name.as_ref())?))
    }

    fn over(view: View) -> Inspector {
        let geometry = view.geometry();
        let memory = Mapped::new(NonNull::from(view.head()), view.cells(), &geometry);
        Inspector { ring: Ring { memory, geometry }, view }
    }

    /// The name by which it was found.
    pub fn name(&self) -> &str {
        self.view.name()
    }

    /// Does the name still lead to this segment?
    pub fn has_name(&self) -> bool {
        self.view.has_name()
    }

    fn kind(&self) -> Kind {
        Kind::of(self.view.info().kind)
    }

    /// What never changes.
    pub fn about(&self) -> About {
        let (info, geometry) = (self.view.info(), self.view.geometry());
        About {
            kind: self.kind(),
            type_name: info.type_name.clone(),
            schema: info.schema.clone(),
            structure: info.structure.as_ref().map(|structure| structure.text().to_owned()),
            predecessor: Predecessor::of(&self.view),
            unit_bytes: geometry.message_bytes,
            capacity: (geometry.capacity != u64::MAX).then_some(geometry.capacity),
            capacity_bytes: geometry.ring_bytes(),
            max_message_bytes: geometry.max_message_bytes(),
            segment_bytes: self.view.bytes(),
            max_participants: info.max_participants,
            max_deliveries: info.max_deliveries,
            dead_letters: info.dead_letters.clone(),
            created: UNIX_EPOCH + Duration::from_secs(self.view.created_unix_s().min(u32::MAX as u64)),
            owner_uid: self.view.owner_uid(),
            mode: self.view.mode(),
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inspector").field("name", &self.name()).field("about", &self.about()).finish_non_exhaustive()
    }
}
