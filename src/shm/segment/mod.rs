//! Segments: made, opened, replaced and unlinked so that nobody ever sees a half-made one, and no name outlives its last user.
//!
//! ```text
//!   temporary ---publish---> ALIVE ---unlink(), or the last participant leaves---> UNLINKED   (those attached go on)
//!   (BUILDING)                  \-----all dead, and a creator renames over it----> DEAD       (nobody attaches any more)
//!                                      (`create`; `open_or_create` where its life has ended: see `ended`)
//!
//!   locks on the file (OFD, so the kernel drops them with their holder)
//!   [ head | liveness lock 0 . liveness lock 1 . ... liveness lock n | name byte | cells ]
//!     ^      ^ one a participant               ^ the process that changes the name
//!     '- byte 0, to read: all that keep the name; to write: the one that takes it away, kept by none
//!   [ the whole file ....................................... )   whoever judges it dead: conflicts with all of the above
//! ```
//!
//! Invariants:
//! 1. The name of a segment leads only to files that are complete and marked ALIVE, or were so when the name last changed.
//! 2. Whoever changes what a name leads to holds the name byte (as part of the whole file, unless the segment is in use) and has
//!    looked, after locking, that the name still leads to the file it locked. Only then does it write the state.
//! 3. The name changes first, the state after it: a process killed in between leaves a segment without a name, which those
//!    attached go on using, and never a name that leads to a segment which nobody may enter.
//! 4. A whole file is locked through a description that holds no liveness lock: a lock never conflicts with those of its own description.
//!    All that participants know of each other are write locks: a process that may only read the
//!    file can have read locks.
//! 5. An opener does everything that can fail before it takes a liveness lock. From then on it either attaches, or finds that the name
//!    leads elsewhere: a failed open is never the reason why the last one out leaves a name behind.
//! 6. The mapping begins with a complete [`Head`], the table of `max_participants` entries and the cells of `geometry`, all
//!    inside its length, zeroed memory or integers of any value: checked before the first [`Segment`] exists.

mod birth;
mod create;
mod descriptors;
mod detach;
mod directory;
mod ended;
mod enter;
mod header;
mod mapping;
mod nameless;
mod names;
mod open;
mod options;
mod owners;
mod refusal;
mod retry;
mod stale;
mod structure;
#[cfg(test)]
mod tests;
mod view;

use crate::atomic::Ordering;
use crate::error::{OpenError, Subject};
use crate::shm::geometry::Geometry;
#[cfg(feature = "tracing")]
use crate::shm::layout::segment_state;
use crate::shm::layout::{ENTRIES_OFFSET, Entry, Head};
use descriptors::Descriptor;
pub(crate) use descriptors::descriptor_numbers;
#[cfg(feature = "object")]
pub(crate) use descriptors::keep_no_names;
pub(crate) use directory::Directory;
pub(crate) use ended::Predecessor;
pub(crate) use header::SegmentInfo;
use mapping::Mapping;
pub(crate) use nameless::nameless;
use names::Place;
pub(crate) use names::fault;
pub use options::UnappliedOption;
pub(crate) use options::{Asked, checked_mode};
pub use owners::Owners;
use retry::Retry;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
pub(crate) use structure::Wanted;
pub(crate) use view::{Removal, View, names_in_use, remove_stale};

/// What a creator wants.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// One of [`kind`](crate::shm::layout::kind).
    pub kind: u32,
    pub geometry: Geometry,
    /// Without module paths; kept up to `TYPE_NAME_BYTES`.
    pub type_name: String,
    /// Kept up to `SCHEMA_BYTES`.
    pub schema: Option<String>,
    /// Kept up to `STRUCTURE_BYTES`, compared whole.
    pub structure: Option<String>,
    /// 1 to 1023; brought into that range.
    pub max_participants: u32,
    pub max_deliveries: u32,
    /// Name of the queue for dead letters: one that may be a name.
    pub dead_letters: Option<String>,
    pub persist: bool,
    /// Widens the permissions of 0600.
    pub mode: Option<u32>,
    pub lock_memory: bool,
    pub huge_pages: bool,
    /// Counts the messages in a dead segment that this one is to replace; `None`: it holds garbage.
    pub messages_left: fn(&View) -> Option<u64>,
    /// Whose dead segment may be replaced.
    pub owners: Owners,
    pub directory: Directory,
    /// A full fence at each commit, and no interruption of others: see [`Barrier`](crate::os::Barrier).
    pub full_fence: bool,
}

/// What an opener expects.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    /// One of [`kind`](crate::shm::layout::kind).
    pub kind: u32,
    pub message_bytes: u64,
    pub message_align: u64,
    pub type_name: String,
    pub schema: Option<String>,
    pub structure: Option<Wanted>,
    pub lock_memory: bool,
    pub huge_pages: bool,
    /// What the caller wants of the segment, of which it gets what is there.
    pub asked: Asked,
    /// Of the one segment that will do.
    pub nonce: Option<u64>,
    /// Whose segment will do.
    pub owners: Owners,
    pub directory: Directory,
}

/// Why a forked child could not attach.
#[derive(Debug)]
pub(crate) enum AttachError {
    /// Live processes have all entries.
    Full {
        max: u32,
    },
    /// Another segment has the name, and this one is out of reach or was declared dead.
    Replaced,
    Os {
        call: &'static str,
        source: io::Error,
    },
}

/// A system call that was refused.
#[derive(Debug)]
pub(crate) struct SyscallError {
    call: &'static str,
    error: io::Error,
}

impl SyscallError {
    /// Says what to do where descriptors have run out.
    fn explained(self) -> SyscallError {
        match self.error.raw_os_error() {
            Some(libc::EMFILE) => SyscallError { call: NO_DESCRIPTORS, ..self },
            Some(libc::ENFILE) => SyscallError { call: NO_DESCRIPTORS_ANYWHERE, ..self },
            _ => self,
        }
    }
}

const NO_DESCRIPTORS: &str =
    "open (each queue or sync object takes two descriptors, and this process may have no more: see RLIMIT_NOFILE, ulimit -n)";
const NO_DESCRIPTORS_ANYWHERE: &str =
    "open (each queue or sync object takes two descriptors, and the system has no more: see sysctl fs.file-max)";

/// An attached segment: its mapping, and a descriptor of our own that carries the liveness lock.
///
/// Dropping it unmaps and closes; it neither unlocks nor unlinks, so that a forked child may drop it. See [`Segment::detach`].
pub(crate) struct Segment {
    mapping: Mapping,
    descriptor: Descriptor,
    place: Place,
    info: SegmentInfo,
    lock_memory: bool,
    unapplied: Vec<UnappliedOption>,
    /// Does this process leave the name where it is when it is the last one out?
    preserves_name: AtomicBool,
    /// Does it take the name only from a segment that all others left in good order?
    is_guest: AtomicBool,
    /// Did this process see that participants died here, perhaps before it freed their entries?
    saw_deaths: AtomicBool,
    /// Has anybody been told that it lost its name?
    #[cfg(feature = "tracing")]
    reported_nameless: AtomicBool,
}

impl Segment {
    fn over(mapping: Mapping, descriptor: Descriptor, place: Place, info: SegmentInfo, lock_memory: bool) -> Segment {
        Segment {
            mapping,
            descriptor,
            place,
            info,
            lock_memory,
            unapplied: Vec::new(),
            preserves_name: AtomicBool::new(false),
            is_guest: AtomicBool::new(false),
            saw_deaths: AtomicBool::new(false),
            #[cfg(feature = "tracing")]
            reported_nameless: AtomicBool::new(false),
        }
    }

    /// One of [`layout::kind`](crate::shm::layout::kind).
    pub fn kind(&self) -> u32 {
        self.info.kind
    }

    pub fn head(&self) -> &Head {
        // SAFETY: Invariant 6, and mappings begin at a page, which aligns a Head. It lives as long as `self`.
        unsafe { self.mapping.base().cast::<Head>().as_ref() }
    }

    pub fn entries(&self) -> &[Entry] {
        // SAFETY: Invariant 6: the table lies inside the mapping, at a multiple of an entry's alignment. It lives as long as `self`.
        unsafe {
            let table = self.mapping.base().add(ENTRIES_OFFSET as usize).cast::<Entry>();
            NonNull::slice_from_raw_parts(table, self.info.max_participants as usize).as_ref()
        }
    }

    /// CellIndex 0. The cells of [`Segment::geometry`] follow.
    pub fn cells(&self) -> NonNull<u8> {
        // SAFETY: Invariant 6: the cells lie inside the mapping.
        unsafe { self.mapping.base().add(self.info.cells_offset() as usize) }
    }

    pub fn geometry(&self) -> Geometry {
        self.info.geometry
    }

    pub fn nonce(&self) -> u64 {
        self.info.nonce
    }

    pub fn name(&self) -> &str {
        self.place.name()
    }

    /// Where it lies.
    pub fn directory(&self) -> &Directory {
        self.place.directory()
    }

    /// What a handle sends of it: see [`Directory::of_address`].
    pub fn address(&self) -> String {
        self.place.directory().address(self.name())
    }

    /// Does each commit end with a full fence, for all processes?
    pub fn has_full_fence(&self) -> bool {
        self.info.full_fence
    }

    pub fn max_deliveries(&self) -> u32 {
        self.info.max_deliveries
    }

    /// Name of the queue for dead letters.
    pub fn dead_letters(&self) -> Option<&str> {
        self.info.dead_letters.as_deref()
    }

    /// Of the messages, without module paths.
    pub fn type_name(&self) -> &str {
        &self.info.type_name
    }

    /// Would an opener who expects this be content with the segment?
    pub fn check(&self, expect: &Expect) -> Result<(), OpenError> {
        self.info.check(expect).map_err(|error| refusal::about_open(error, expect.kind, &self.place))
    }

    /// What its opener asked for in vain.
    pub fn unapplied(&self) -> &[UnappliedOption] {
        &self.unapplied
    }

    /// Does the name still lead to this segment? If not, nobody can come to it any more.
    pub fn has_name(&self) -> bool {
        self.place.leads_to(self.descriptor.file())
    }

    /// Tells who listens, once, if the segment has lost its name. For slow paths, with no lock held: it asks the file system.
    pub fn report_if_nameless(&self) {
        #[cfg(feature = "tracing")]
        if !self.reported_nameless.load(Ordering::Relaxed)
            && !self.has_name()
            && !self.reported_nameless.swap(true, Ordering::Relaxed)
        {
            let queue = self.name();
            match self.head().header.state.load(Ordering::Acquire) {
                segment_state::UNLINKED => {
                    tracing::info!(target: "shmq", queue, "unlinked: nobody can open this segment any more")
                }
                _ => tracing::warn!(
                    target: "shmq",
                    queue,
                    "lost its name: the file was removed (systemd's RemoveIPC?), and who opens the name now gets another segment"
                ),
            }
        }
    }

    /// From now on the name outlives its last user.
    pub fn persist(&self) {
        self.head().header.persisted.store(1, Ordering::Release);
    }

    /// From now on this process leaves the name where it is, even as the last one out: what was
    /// without users when it came is so again.
    pub fn preserve_name(&self) {
        self.preserves_name.store(true, Ordering::Relaxed);
    }

    /// From now on this process, as the last one out, takes the name only if all others left in good
    /// order: what the dead had may be wanted by those that come after them.
    pub fn be_guest(&self) {
        self.is_guest.store(true, Ordering::Relaxed);
    }

    pub fn is_guest(&self) -> bool {
        self.is_guest.load(Ordering::Relaxed)
    }

    /// Before the entry of one that died is taken or freed, which shows it no more.
    pub fn note_deaths(&self) {
        self.saw_deaths.store(true, Ordering::Relaxed);
    }

    pub fn saw_deaths(&self) -> bool {
        self.saw_deaths.load(Ordering::Relaxed)
    }

    /// Does another description hold the liveness lock of this entry? Where the kernel does not say, or the program has closed our descriptor
    /// and its number leads elsewhere, yes: to take a live process for a dead one does harm, the reverse only delays.
    pub fn liveness_is_held(&self, entry: u32) -> bool {
        let free = || matches!(self.descriptor.liveness_conflict(entry), Ok(None)) && self.descriptor.is_open();
        entry < self.info.max_participants && !free()
    }
}

/// Is the name usable? Says why not.
fn place_of(directory: &Directory, name: &str) -> Result<Place, (String, &'static str)> {
    match names::fault(name) {
        Some(why) => Err((name.to_owned(), why)),
        None => Ok(Place::published(directory, name)),
    }
}

/// What is said of it is added where its name is known.
fn corrupted() -> OpenError {
    OpenError::Corrupted { what: Subject::default() }
}
