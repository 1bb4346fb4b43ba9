//! An attached segment.

use super::descriptors::Descriptor;
use super::directory::Directory;
use super::expect::Expect;
use super::header::SegmentInfo;
use super::mapping::Mapping;
use super::names::Place;
use super::options::UnappliedOption;
use super::refusal;
use super::topic_area::TopicArea;
use crate::atomic::Ordering;
use crate::error::OpenError;
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
#[cfg(feature = "tracing")]
use crate::shm::layout::segment_state;
use crate::shm::layout::{ENTRIES_OFFSET, Entry, Head};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// An attached segment: its mapping, and a descriptor that carries the liveness lock.
///
/// Dropping it unmaps and closes; it neither unlocks nor unlinks, so a forked child may drop it.
/// See [`Segment::detach`].
pub(crate) struct Segment {
    pub(super) mapping: Arc<Mapping>,
    pub(super) descriptor: Descriptor,
    pub(super) place: Place,
    pub(super) info: SegmentInfo,
    pub(super) lock_memory: bool,
    pub(super) unapplied: Vec<UnappliedOption>,
    /// Does this process keep the name in place even as the last participant?
    pub(super) preserves_name: AtomicBool,
    /// Does it remove the name, as the last participant, only if all others detached cleanly?
    pub(super) is_guest: AtomicBool,
    /// Has this process seen participants die here, perhaps before it freed their entries?
    pub(super) saw_deaths: AtomicBool,
    /// Has the loss of the name been reported?
    #[cfg(feature = "tracing")]
    reported_nameless: AtomicBool,
}

impl Segment {
    /// Keeps the memory mapped beyond the life of this attachment, and nothing else of it: neither its
    /// name nor the participation of this process.
    #[cfg(all(feature = "async", not(shmq_portable_sync)))]
    pub fn keep_mapped(&self) -> Arc<dyn Send + Sync> {
        Arc::<Mapping>::clone(&self.mapping)
    }

    pub(super) fn over(mapping: Mapping, descriptor: Descriptor, place: Place, info: SegmentInfo, lock_memory: bool) -> Segment {
        Segment {
            mapping: Arc::new(mapping),
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

    /// What its header says.
    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    /// What the segment holds.
    pub fn kind(&self) -> Kind {
        self.info.kind
    }

    pub fn head(&self) -> &Head {
        // SAFETY: Invariant 6 of `segment`; a mapping begins at a page, which aligns a Head, and
        // lives as long as `self`.
        unsafe { self.mapping.base().cast::<Head>().as_ref() }
    }

    pub fn entries(&self) -> &[Entry] {
        // SAFETY: Invariant 6 of `segment`: the table lies inside the mapping, aligned for entries;
        // the mapping lives as long as `self`.
        unsafe {
            let table = self.mapping.base().add(ENTRIES_OFFSET as usize).cast::<Entry>();
            NonNull::slice_from_raw_parts(table, self.info.max_participants as usize).as_ref()
        }
    }

    /// The first of the cells of [`Segment::geometry`].
    pub fn cells(&self) -> NonNull<u8> {
        // SAFETY: Invariant 6 of `segment`: the cells lie inside the mapping.
        unsafe { self.mapping.base().add(self.info.cells_offset() as usize) }
    }

    /// A topic's words and lines; `None` if it is no topic.
    pub fn topic(&self) -> Option<TopicArea> {
        // SAFETY: Invariant 6 of `segment`: the words and the lines lie inside the mapping.
        self.info.topic.map(|shape| unsafe { TopicArea::new(self.mapping.base().add(self.info.topic_offset() as usize), shape) })
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

    /// The directory of its file.
    pub fn directory(&self) -> &Directory {
        self.place.directory()
    }

    /// What a serialised handle carries: see [`Directory::of_address`].
    pub fn address(&self) -> String {
        self.place.directory().address(self.name())
    }

    /// Does each commit, of every process, end with a full fence?
    pub fn has_full_fence(&self) -> bool {
        self.info.full_fence
    }

    /// Is it a semaphore that never has more permits than at first?
    pub fn is_bounded(&self) -> bool {
        self.info.bounded
    }

    /// Is the queue closed once all its senders, or all its receivers, are gone?
    pub fn closes_when_unused(&self) -> bool {
        self.info.close_when_unused
    }

    pub fn max_deliveries(&self) -> u32 {
        self.info.max_deliveries
    }

    /// Name of the queue for dead letters.
    pub fn dead_letters(&self) -> Option<&str> {
        self.info.dead_letters.as_deref()
    }

    /// Type of the messages, without module paths.
    pub fn type_name(&self) -> &str {
        &self.info.type_name
    }

    /// Checks that the segment is what an opener expects.
    pub fn check(&self, expect: &Expect) -> Result<(), OpenError> {
        expect.check(&self.info).map_err(|error| refusal::about_open(error, Some(expect.kind), &self.place))
    }

    /// Options that its opener asked for and that could not take effect.
    pub fn unapplied(&self) -> &[UnappliedOption] {
        &self.unapplied
    }

    /// Does the name still lead to this segment? If not, no other process can open it.
    pub fn has_name(&self) -> bool {
        self.place.leads_to(self.descriptor.file())
    }

    /// Traces, once, that the segment has lost its name. For slow paths, with no lock held: it asks
    /// the file system.
    pub fn report_if_nameless(&self) {
        #[cfg(feature = "tracing")]
        if !self.reported_nameless.load(Ordering::Relaxed)
            && !self.has_name()
            && !self.reported_nameless.swap(true, Ordering::Relaxed)
        {
            let queue = self.name();
            match self.head().header.state.load(Ordering::Acquire) {
                segment_state::UNLINKED => {
                    tracing::info!(target: "shmq", queue, "unlinked: no process can open this segment any more")
                }
                _ => tracing::warn!(
                    target: "shmq",
                    queue,
                    "lost its name: the file was removed (systemd's RemoveIPC?), and a process that opens the name now gets another segment"
                ),
            }
        }
    }

    /// From now on the segment outlives its last user.
    pub fn persist(&self) {
        self.head().header.persisted.store(1, Ordering::Release);
    }

    /// From now on this process keeps the name in place even as the last participant: the segment
    /// had no users when it came, and has none again.
    pub fn preserve_name(&self) {
        self.preserves_name.store(true, Ordering::Relaxed);
    }

    /// From now on this process, as the last participant, removes the name only if all others
    /// detached cleanly: messages of dead processes may be wanted by their successors.
    pub fn be_guest(&self) {
        self.is_guest.store(true, Ordering::Relaxed);
    }

    pub fn is_guest(&self) -> bool {
        self.is_guest.load(Ordering::Relaxed)
    }

    /// Called before the entry of a dead participant, the only trace of it, is reused or freed.
    pub fn note_deaths(&self) {
        self.saw_deaths.store(true, Ordering::Relaxed);
    }

    pub fn saw_deaths(&self) -> bool {
        self.saw_deaths.load(Ordering::Relaxed)
    }

    /// Does another description hold the liveness lock of this entry? Yes where the kernel does not
    /// say, or where the program has closed our descriptor and its number leads elsewhere: taking a
    /// live process for a dead one does harm, the reverse only delays.
    pub fn liveness_is_held(&self, entry: u32) -> bool {
        let free = || matches!(self.descriptor.liveness_conflict(entry), Ok(None)) && self.descriptor.is_open();
        entry < self.info.max_participants && !free()
    }
}
