//! What all primitives stand on: an attached segment with one cell, a lock, a condition variable and a poison word.
//!
//! Invariants:
//! 1. The mapping lives as long as the primitive, and its cell has the length of the geometry: the words of the primitive's kind at its
//!    beginning, its data from `payload_offset` on, aligned as the segment header says.
//! 2. Words are atomics. Data are read and written only by who holds the lock; peers that write without it are outside
//!    every promise of this crate.

use super::SyncError;
use super::builder::Settings;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::attachment::{self, Attached, Attachment};
use crate::backoff::AdaptiveSpin;
use crate::error::{CreateError, OpenError};
use crate::lock::{Condvar, Locked, Locks, Mutex};
use crate::os::{Deadline, now_ns};
use crate::raw::messages_left;
use crate::shm::geometry::Geometry;
use crate::shm::layout::{HOLDERS_BYTES, Head, MAX_PARTICIPANTS, kind};
use crate::shm::participant::Id;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Segment, Spec, Wanted};
use crate::wait::{SLICE_NS, Sleeper, Wait, Waiter};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What a primitive is made of, and what its openers expect.
#[derive(Clone, Debug)]
pub(crate) struct PrimitiveKind {
    /// One of [`kind`](crate::shm::layout::kind), a primitive's.
    pub kind: u32,
    pub unit_bytes: usize,
    pub unit_align: usize,
    /// Without module paths.
    pub type_name: String,
    /// The structural schema of the values.
    pub structure: Option<String>,
}

impl PrimitiveKind {
    /// Of a primitive that holds no values.
    pub fn bare(kind: u32) -> PrimitiveKind {
        PrimitiveKind { kind, unit_bytes: 0, unit_align: 1, type_name: String::new(), structure: None }
    }

    /// Of one that holds values of type `T`.
    pub fn of<T: super::Plain>(kind: u32) -> PrimitiveKind {
        const { crate::message::assert_plain::<T>() };
        let type_name = <T as crate::message::Travel>::unit_name();
        PrimitiveKind { kind, unit_bytes: size_of::<T>(), unit_align: align_of::<T>(), type_name, structure: Some(T::schema()) }
    }

    /// What its builder calls the number that it is made with.
    pub(super) fn count_name(&self) -> Option<&'static str> {
        match self.kind {
            kind::ARRAY => Some("len"),
            kind::SEMAPHORE => Some("permits"),
            kind::BARRIER => Some("parties"),
            _ => None,
        }
    }

    fn expect(&self, nonce: Option<u64>) -> Expect {
        Expect {
            kind: self.kind,
            message_bytes: self.unit_bytes as u64,
            message_align: self.unit_align as u64,
            type_name: self.type_name.clone(),
            schema: None,
            structure: self.structure.clone().map(Wanted::OfType),
            lock_memory: false,
            huge_pages: false,
            asked: Asked::default(),
            nonce,
            owners: Owners::default(),
            directory: Directory::default(),
        }
    }

    pub(super) fn spec(&self, count: u64, settings: &Settings) -> Result<Spec, CreateError> {
        let geometry = Geometry::primitive(self.kind, self.unit_bytes as u64, self.unit_align as u64, count).map_err(|max| {
            // None at all: the value does not fit.
            if max == 0 {
                return CreateError::BadMessage { bytes: self.unit_bytes, align: self.unit_align };
            }
            CreateError::OutOfRange {
                option: self.count_name().unwrap_or("count"),
                asked: usize::try_from(count).unwrap_or(usize::MAX),
                min: 1,
                max: usize::try_from(max).unwrap_or(usize::MAX),
            }
        })?;
        Ok(Spec {
            kind: self.kind,
            geometry,
            type_name: self.type_name.clone(),
            schema: None,
            structure: self.structure.clone(),
            max_participants: settings.participants() as u32,
            max_deliveries: 0,
            dead_letters: None,
            persist: settings.persist == Some(true),
            mode: settings.mode,
            lock_memory: false,
            huge_pages: false,
            messages_left,
            owners: Owners::default(),
            directory: settings.directory.clone().unwrap_or_default(),
            full_fence: settings.full_fence,
        })
    }
}

/// Where a primitive lies in a segment.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    start: *mut u8,
    data_offset: usize,
    data_bytes: usize,
}

impl Cell {
    fn of(segment: &Segment) -> Cell {
        let geometry = segment.geometry();
        Cell {
            start: segment.cells().as_ptr(),
            data_offset: geometry.payload_offset as usize,
            data_bytes: (geometry.cell_bytes - geometry.payload_offset) as usize,
        }
    }

    /// The data (Invariant 1).
    pub fn data(self) -> *mut u8 {
        self.start.wrapping_add(self.data_offset)
    }

    /// Fills the data, before publication only.
    pub fn fill(self, bytes: &[u8], offset: usize) {
        assert!(bytes.len() <= self.data_bytes.saturating_sub(offset), "the geometry has room for the first value");
        // SAFETY: inside the data (checked above); nobody else uses them before publication.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.data().add(offset), bytes.len()) };
    }

    /// # Safety
    /// `W` are the words of the primitive's kind.
    pub unsafe fn words<'a, W>(self) -> &'a W {
        const { assert!(size_of::<W>() as u64 <= crate::shm::layout::OBJECT_DATA_OFFSET && align_of::<W>() <= 64) };
        // SAFETY: Invariant 1: the cell begins at a page and with these words; the caller vouches for their type, and borrows the primitive
        // for as long.
        unsafe { &*self.start.cast::<W>() }
    }
}

/// One attached primitive. Shared by the handles and guards of a process.
pub struct Primitive {
    attachment: Attachment,
    cell: Cell,
    /// The incarnation of this process while it has a guard of the lock, which gives references to
    /// the data; otherwise 0. Written under the lock.
    guarded: AtomicU32,
    /// When a caller of this process last looked after the dead, for those who only try.
    looked_ns: AtomicU64,
    /// Whether its calls should spin for long before they sleep.
    adaptive_spin: AdaptiveSpin,
}

// SAFETY: the cell leads into a mapping that lives as long as the primitive, and is used as Invariant 2 says.
unsafe impl Send for Primitive {}
// SAFETY: as above.
unsafe impl Sync for Primitive {}

impl Primitive {
    fn initialise(init: &dyn Fn(Cell)) -> impl Fn(&Segment) {
        move |segment| {
            Locks::initialise(segment);
            init(Cell::of(segment));
        }
    }

    /// Creates a primitive; without a name, an anonymous one. `init` sees a cell of zeros that nobody else sees yet.
    pub(crate) fn create(name: Option<&str>, spec: &Spec, init: &dyn Fn(Cell)) -> Result<Arc<Primitive>, CreateError> {
        let (segment, entry) = match name {
            Some(name) => Segment::create(name, spec, Primitive::initialise(init))?,
            None => Segment::create_anonymous(spec, Primitive::initialise(init))?,
        };
        Primitive::over(segment, entry)
    }

    pub(crate) fn open(
        name: &str,
        shape: &PrimitiveKind,
        directory: Directory,
        owners: Owners,
        asked: Asked,
    ) -> Result<Arc<Primitive>, OpenError> {
        let (segment, entry) = Segment::open(name, &Expect { directory, owners, asked, ..shape.expect(None) })?;
        Primitive::over(segment, entry)
    }

    pub(crate) fn open_or_create(
        name: &str,
        spec: &Spec,
        shape: &PrimitiveKind,
        asked: Asked,
        init: &dyn Fn(Cell),
    ) -> Result<Arc<Primitive>, CreateError> {
        let expect = Expect { asked, owners: spec.owners.clone(), directory: spec.directory.clone(), ..shape.expect(None) };
        let (segment, entry, _) = Segment::open_or_create(name, spec, &expect, Primitive::initialise(init))?;
        Primitive::over(segment, entry)
    }

    /// Attaches to the primitive that a handle was sent of, through the mapping that this process may have already.
    pub(crate) fn reopen(address: &str, nonce: u64, shape: &PrimitiveKind) -> Result<Arc<Primitive>, OpenError> {
        let (directory, name) = Directory::of_address(address);
        let expect = Expect { directory, ..shape.expect(Some(nonce)) };
        if let Some(primitive) = attachment::find(|primitive: &Primitive| primitive.segment().nonce() == nonce) {
            primitive.segment().check(&expect)?;
            return Ok(primitive);
        }
        let (segment, entry) = Segment::open(name, &expect)?;
        Primitive::over(segment, entry)
    }

    fn over<E: From<attachment::AttachFailure>>(segment: Segment, entry: u32) -> Result<Arc<Primitive>, E> {
        let (attachment, left_behind) = Attachment::over(segment, entry)?;
        let cell = Cell::of(&attachment.segment);
        let primitive = Arc::new(Primitive {
            attachment,
            cell,
            guarded: AtomicU32::new(0),
            looked_ns: AtomicU64::new(0),
            adaptive_spin: AdaptiveSpin::new(),
        });
        if left_behind {
            primitive.note_a_death();
        }
        attachment::remember(&primitive);
        Ok(primitive)
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.attachment.segment
    }

    pub(crate) fn cell(&self) -> Cell {
        self.cell
    }

    /// Elements, parties or first permits, as the creator asked for.
    pub(crate) fn count(&self) -> u64 {
        self.segment().geometry().capacity
    }

    fn head(&self) -> &Head {
        self.segment().head()
    }

    /// This process's id, attaching anew after a fork.
    #[inline]
    pub(crate) fn me(&self) -> Result<Id, SyncError> {
        match self.attachment.known_me() {
            Some(me) => Ok(me),
            None => self.attach_again(),
        }
    }

    #[cold]
    fn attach_again(&self) -> Result<Id, SyncError> {
        let (me, left_behind) = self.attachment.attach_again()?;
        if left_behind {
            self.note_a_death();
        }
        Ok(me)
    }

    /// What a dead predecessor in our entry held is found by its id, which names an older generation; that it was there at all is found
    /// here only. One who dies before it says so has died itself, and is found instead.
    fn note_a_death(&self) {
        self.head().rare.recoveries.fetch_add(1, SeqCst);
    }

    /// Has a participant died whose entry is another's by now?
    pub(crate) fn had_a_death(&self) -> bool {
        self.head().rare.recoveries.load(SeqCst) != 0
    }

    /// Forgets those deaths.
    pub(crate) fn forget_deaths(&self) {
        self.head().rare.recoveries.store(0, SeqCst);
    }

    /// The incarnation of this process, for guards to remember.
    #[inline]
    pub(crate) fn incarnation(&self) -> u32 {
        self.attachment.incarnation()
    }

    /// The primitive's lock.
    #[inline]
    pub(crate) fn lock(&self) -> Mutex<'_> {
        self.attachment.locks.put(self.head())
    }

    /// Needs the lock: a guard begins.
    #[inline]
    pub(crate) fn note_guard(&self, incarnation: u32) {
        self.guarded.store(incarnation, Relaxed);
    }

    /// Needs the lock, and is called before it is given back: the guard ends.
    #[inline]
    pub(crate) fn forget_guard(&self) {
        self.guarded.store(0, Relaxed);
    }

    /// Where its waiters sleep.
    pub(crate) fn condvar(&self) -> Condvar<'_> {
        self.attachment.locks.not_empty(self.head())
    }

    pub(crate) fn barrier(&self) -> &crate::os::Barrier {
        &self.attachment.barrier
    }

    /// Wakes waiters after a change. The barrier orders the change before the look at their number (lock, Invariant 3).
    pub(crate) fn notify(&self, count: u32) {
        self.attachment.barrier.light();
        if self.condvar().has_waiters() {
            self.condvar().wake(count);
        }
    }

    /// Locks the primitive for one call.
    pub(crate) fn enter(&self, me: Id, wait: Wait) -> Result<Locked, SyncError> {
        if self.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        if self.lock().try_lock(me) {
            return Ok(Locked::Clean);
        }
        let (deadline, sleep) = wait.for_lock();
        let refused = if wait == Wait::Never { SyncError::Busy } else { SyncError::Timeout };
        self.lock().lock(self.segment(), me, deadline, sleep).ok_or(refused)
    }

    /// Locks the primitive for work of the user's, which may last: who only tries does not wait for its end.
    pub(crate) fn enter_for_work(&self, me: Id, wait: Wait) -> Result<Locked, SyncError> {
        if self.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        let lock = self.lock();
        if lock.try_lock(me) {
            return Ok(Locked::Clean);
        }
        match wait {
            // One look, some spins, and the probe of the holder.
            Wait::Never => lock.lock(self.segment(), me, Deadline::PASSED, false).ok_or(SyncError::WouldBlock),
            Wait::Until(deadline) => lock.lock(self.segment(), me, deadline, true).ok_or(SyncError::Timeout),
        }
    }

    /// Unlocks it.
    pub(crate) fn exit(&self, me: Id) -> Result<(), SyncError> {
        self.lock().unlock(me).map_err(|_| self.poison())
    }

    /// A process that was taken for dead is at work: nothing under this lock can be trusted any more. Everybody is told.
    #[cold]
    pub(crate) fn poison(&self) -> SyncError {
        self.head().rare.poisoned.store(1, SeqCst);
        self.notify(u32::MAX);
        SyncError::Poisoned
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.head().rare.poisoned.load(Relaxed) != 0
    }

    /// A call that waits, and probes for the dead after each slice.
    pub(crate) fn waiter(&self, wait: Wait) -> Waiter<BlockedCall<'_>> {
        Waiter::new(wait, BlockedCall { primitive: self, probes_at_last: false })
    }

    /// The same, which also probes before it gives up, if no call of this process has for a slice.
    pub(crate) fn waiter_that_probes(&self, wait: Wait) -> Waiter<BlockedCall<'_>> {
        Waiter::new(wait, BlockedCall { primitive: self, probes_at_last: true })
    }

    /// Has nobody of this process looked after the dead for a while? Then the caller does so.
    pub(crate) fn is_time_to_look(&self) -> bool {
        let now = now_ns();
        let looked = self.looked_ns.load(Relaxed);
        now.saturating_sub(looked) >= SLICE_NS && self.looked_ns.compare_exchange(looked, now, Relaxed, Relaxed).is_ok()
    }
}

/// The [`Sleeper`] of a primitive.
pub(crate) struct BlockedCall<'a> {
    primitive: &'a Primitive,
    probes_at_last: bool,
}

impl Sleeper for BlockedCall<'_> {
    fn adaptive_spin(&self) -> &AdaptiveSpin {
        &self.primitive.adaptive_spin
    }

    fn sleep(&mut self, until: Deadline, ready: &mut dyn FnMut() -> bool) {
        self.primitive.condvar().wait(self.primitive.barrier(), until, ready);
    }

    fn note_slice(&mut self) {
        self.primitive.segment().report_if_nameless();
    }

    fn is_time_to_probe(&mut self) -> bool {
        self.probes_at_last && self.primitive.is_time_to_look()
    }
}

impl Attached for Primitive {
    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn open_guard(&self) -> Option<&'static str> {
        // What a child inherited bears its parent's incarnation. One that uses nothing of ours has
        // none, and no guard.
        let guarded = self.guarded.load(Relaxed);
        (guarded != 0 && guarded == self.incarnation()).then_some("a lock")
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl fmt::Debug for Primitive {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("Primitive");
        fields.field("name", &self.segment().name()).field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

const _: () = assert!(HOLDERS_BYTES / 8 > MAX_PARTICIPANTS as u64);
