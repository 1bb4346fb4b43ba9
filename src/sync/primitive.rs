//! What all primitives stand on: an attached segment with one cell, a lock, a condition variable
//! and a poison word.
//!
//! Invariants:
//! 1. The mapping lives as long as the primitive, and its cell has the length of the geometry: the
//!    words of the primitive's kind at its beginning, its data from `payload_offset` on, aligned as
//!    the segment header says.
//! 2. Words are atomics. Data are read and written only by the holder of the lock; peers that write
//!    without it are outside every promise of this crate.

use super::SyncError;
use super::settings::PrimitiveSettings;
use crate::atomic::AtomicU32;
use crate::attachment::{self, Attached, Attachment, Newcomer};
use crate::backoff::AdaptiveSpin;
use crate::error::{CreateError, InUse, OpenError};
use crate::lock::{Condvar, Locked, Mutex};
use crate::os::Deadline;
use crate::raw::messages_left;
use crate::shm::geometry::Geometry;
use crate::shm::kind::Kind;
use crate::shm::layout::{HOLDERS_BYTES, Head, MAX_PARTICIPANTS};
use crate::shm::participant::Id;
use crate::shm::segment::{Asked, Directory, Expect, Owners, Segment, Spec, Wanted};
use crate::wait::{self, Answer, NoLock, ProbeTimer, Sleeper, Stop, Wait, Waiter};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// What a primitive is made of, and what its openers expect.
#[derive(Clone, Debug)]
pub(crate) struct PrimitiveKind {
    /// What the segment holds.
    pub kind: Kind,
    pub unit_bytes: usize,
    pub unit_align: usize,
    /// Without module paths.
    pub type_name: String,
    /// The structural schema of the values.
    pub structure: Option<String>,
}

impl PrimitiveKind {
    /// Of a primitive that holds no values.
    pub fn bare(kind: Kind) -> PrimitiveKind {
        PrimitiveKind { kind, unit_bytes: 0, unit_align: 1, type_name: String::new(), structure: None }
    }

    /// Of one that holds values of type `T`.
    pub fn of<T: super::Plain>(kind: Kind) -> PrimitiveKind {
        const { crate::message::assert_plain::<T>() };
        let type_name = <T as crate::message::Travel>::unit_name();
        PrimitiveKind { kind, unit_bytes: size_of::<T>(), unit_align: align_of::<T>(), type_name, structure: Some(T::schema()) }
    }

    /// What its builder calls the number that it is made with.
    pub(super) fn count_name(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Array => Some("len"),
            Kind::Semaphore => Some("permits"),
            Kind::Barrier => Some("parties"),
            Kind::Mutex | Kind::Value | Kind::Event | Kind::Condvar | Kind::Lock | Kind::ReentrantLock => None,
            // No primitives.
            Kind::Sized | Kind::Slice | Kind::Encoded | Kind::TopicSized | Kind::TopicSlice | Kind::TopicEncoded => None,
        }
    }

    /// Do its changes end with a full fence, whatever its builder says? A change of these is a locked
    /// instruction anyway, and their users sleep often: no sleep of theirs should cost a `membarrier`.
    fn always_fences(&self) -> bool {
        matches!(self.kind, Kind::Lock | Kind::ReentrantLock | Kind::Condvar)
    }

    fn expect(&self, nonce: Option<u64>) -> Expect {
        let (bytes, align) = (self.unit_bytes as u64, self.unit_align as u64);
        let structure = self.structure.clone().map(Wanted::OfType);
        Expect { structure, nonce, ..Expect::new(self.kind, bytes, align, self.type_name.clone()) }
    }

    pub(super) fn spec(&self, count: u64, settings: &PrimitiveSettings) -> Result<Spec, CreateError> {
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
            full_fence: settings.full_fence || self.always_fences(),
            close_when_unused: false,
            bounded: settings.bounded == Some(true),
            topic: None,
            max_spilled_bytes: 0,
        })
    }
}

/// Where a primitive lies in a segment.
#[derive(Clone, Copy)]
pub(crate) struct PrimitiveMemory {
    start: *mut u8,
    data_offset: usize,
    data_bytes: usize,
}

impl PrimitiveMemory {
    fn of(segment: &Segment) -> PrimitiveMemory {
        let geometry = segment.geometry();
        PrimitiveMemory {
            start: segment.cells().as_ptr(),
            data_offset: geometry.payload_offset as usize,
            data_bytes: (geometry.cell_bytes - geometry.payload_offset) as usize,
        }
    }

    /// The data (Invariant 1).
    pub fn data(self) -> *mut u8 {
        self.start.wrapping_add(self.data_offset)
    }

    /// Stores the first value at the beginning of the data.
    ///
    /// # Safety
    /// The segment is not published yet: no other thread or process reads or writes its data.
    pub unsafe fn fill(self, bytes: &[u8]) {
        assert!(bytes.len() <= self.data_bytes, "the geometry has room for the first value");
        // SAFETY: inside the data (checked above, Invariant 1); the caller vouches that no other
        // access is concurrent.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.data(), bytes.len()) };
    }

    /// # Safety
    /// `W` are the words of the primitive's kind.
    pub unsafe fn words<'a, W>(self) -> &'a W {
        const { assert!(size_of::<W>() as u64 <= crate::shm::layout::PRIMITIVE_DATA_OFFSET && align_of::<W>() <= 64) };
        // SAFETY: Invariant 1: the cell begins at a page and with these words; the caller vouches
        // for their type, and borrows the primitive for as long.
        unsafe { &*self.start.cast::<W>() }
    }
}

/// One attached primitive. Shared by the handles and guards of a process.
pub struct Primitive {
    attachment: Attachment,
    /// Here as well, one load nearer.
    head: NonNull<Head>,
    cell: PrimitiveMemory,
    /// The incarnation of this process while it has a guard of the lock, which gives references to
    /// the data; otherwise 0. Written under the lock.
    guarded: AtomicU32,
    /// For calls that only try.
    probes: ProbeTimer,
    /// Whether its calls should spin for long before they sleep.
    adaptive_spin: AdaptiveSpin,
    /// Once it is set, callers that wait give up.
    stop: Option<Stop>,
}

// SAFETY: the cell leads into a mapping that lives as long as the primitive, and is used as
// Invariant 2 says.
unsafe impl Send for Primitive {}
// SAFETY: as above.
unsafe impl Sync for Primitive {}

impl Primitive {
    /// Creates a primitive; without a name, an anonymous one. `init` sees zeroed memory that no
    /// other process sees yet.
    pub(crate) fn create(name: Option<&str>, spec: &Spec, init: &dyn Fn(PrimitiveMemory)) -> Result<Arc<Primitive>, CreateError> {
        Ok(Primitive::over(Newcomer::create(name, spec, |segment| init(PrimitiveMemory::of(segment)))?))
    }

    /// With `until`, waits for one to be created.
    pub(crate) fn open(
        name: &str,
        shape: &PrimitiveKind,
        directory: Directory,
        owners: Owners,
        asked: Asked,
        until: Option<Deadline>,
    ) -> Result<Arc<Primitive>, OpenError> {
        let expect = Expect { directory, owners, asked, ..shape.expect(None) };
        Ok(Primitive::over(Newcomer::open(name, &expect, until)?))
    }

    pub(crate) fn open_or_create(
        name: &str,
        spec: &Spec,
        shape: &PrimitiveKind,
        asked: Asked,
        init: &dyn Fn(PrimitiveMemory),
    ) -> Result<Arc<Primitive>, CreateError> {
        let expect = Expect { asked, owners: spec.owners.clone(), directory: spec.directory.clone(), ..shape.expect(None) };
        let newcomer = Newcomer::open_or_create(name, spec, &expect, |segment| init(PrimitiveMemory::of(segment)))?;
        Ok(Primitive::over(newcomer))
    }

    /// Attaches to the primitive that a handle was sent of.
    pub(crate) fn reopen(address: &str, nonce: u64, shape: &PrimitiveKind) -> Result<Arc<Primitive>, OpenError> {
        attachment::reopen(address, shape.expect(Some(nonce)), Primitive::over)
    }

    fn over(newcomer: Newcomer) -> Arc<Primitive> {
        newcomer.share(|attachment| Primitive {
            head: NonNull::from(attachment.segment.head()),
            cell: PrimitiveMemory::of(&attachment.segment),
            attachment,
            guarded: AtomicU32::new(0),
            probes: ProbeTimer::default(),
            adaptive_spin: AdaptiveSpin::new(),
            stop: None,
        })
    }

    /// The same primitive with a stop, in place of the one that it may have.
    pub(crate) fn with_stop(self: &Arc<Self>, stop: &Stop) -> Arc<Primitive> {
        let view = Arc::new(Primitive {
            attachment: Attachment::view_of(self),
            head: self.head,
            cell: self.cell,
            guarded: AtomicU32::new(0),
            probes: ProbeTimer::default(),
            adaptive_spin: AdaptiveSpin::new(),
            stop: Some(stop.clone()),
        });
        // It has guards of its own.
        attachment::remember(&view);
        view
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.attachment.segment
    }

    pub(crate) fn cell(&self) -> PrimitiveMemory {
        self.cell
    }

    /// Elements, parties or first permits, as the creator asked for.
    pub(crate) fn count(&self) -> u64 {
        self.segment().geometry().capacity
    }

    fn head(&self) -> &Head {
        // SAFETY: Invariant 1; the mapping stays where it is.
        unsafe { self.head.as_ref() }
    }

    /// Has a participant died whose entry is another's by now?
    pub(crate) fn had_a_death(&self) -> bool {
        self.head().rare.recoveries.load(SeqCst) != 0
    }

    /// Forgets those deaths.
    pub(crate) fn forget_deaths(&self) {
        self.head().rare.recoveries.store(0, SeqCst);
    }

    /// This process's id, if it has attached since the last fork.
    pub(crate) fn known_me(&self) -> Option<Id> {
        self.attachment.known_me_of_origin()
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

    pub(crate) fn barrier(&self) -> &crate::os::MemoryBarrier {
        &self.attachment.barrier
    }

    /// Wakes waiters after a change.
    pub(crate) fn notify(&self, count: u32) {
        self.notify_at(self.condvar(), count);
    }

    /// Wakes waiters of one of its condition variables after a change.
    pub(crate) fn notify_at(&self, condvar: Condvar<'_>, count: u32) {
        self.attachment.notify(|| condvar, || count);
    }

    /// Locks the primitive for one call.
    pub(crate) fn enter(&self, me: Id, wait: Wait) -> Result<Locked, SyncError> {
        if self.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        if self.lock().try_lock(me) {
            return Ok(Locked::Clean);
        }
        self.wait_for_lock(me, wait)
    }

    #[cold]
    fn wait_for_lock(&self, me: Id, wait: Wait) -> Result<Locked, SyncError> {
        wait::lock(self.lock(), self.segment(), me, wait, self.stop.as_ref()).map_err(|refused| match refused {
            NoLock::Interrupted => SyncError::Interrupted,
            NoLock::Late if wait.is_try() => SyncError::Busy,
            NoLock::Late => SyncError::Timeout,
        })
    }

    /// Locks the primitive for work of the user's, which may last: a `try_` form does not wait for
    /// its end.
    pub(crate) fn enter_for_work(&self, me: Id, wait: Wait) -> Result<Locked, SyncError> {
        if self.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        let lock = self.lock();
        if lock.try_lock(me) {
            return Ok(Locked::Clean);
        }
        match wait {
            // One check, some spins, and the probe of the holder.
            Wait::Never | Wait::AtOnce => lock.lock(self.segment(), me, Deadline::PASSED, false).ok_or(SyncError::WouldBlock),
            Wait::Until(_) | Wait::Briefly(_) => self.wait_for_lock(me, wait),
        }
    }

    /// Unlocks it.
    pub(crate) fn exit(&self, me: Id) -> Result<(), SyncError> {
        self.lock().unlock(me).map_err(|_| self.poison())
    }

    /// A process that was taken for dead is at work: nothing under this lock can be trusted any
    /// more.
    #[cold]
    pub(crate) fn poison(&self) -> SyncError {
        self.attachment.poison();
        SyncError::Poisoned
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.attachment.is_poisoned()
    }

    /// A call that waits, and probes for the dead after each slice.
    pub(crate) fn waiter(&self, wait: Wait) -> Waiter<BlockedCall<'_>> {
        self.waiter_at(self.condvar(), wait)
    }

    /// A call that waits at one of its condition variables.
    pub(crate) fn waiter_at<'a>(&'a self, condvar: Condvar<'a>, wait: Wait) -> Waiter<BlockedCall<'a>> {
        Waiter::new(wait, BlockedCall { primitive: self, condvar, probes_at_last: false })
    }

    /// The same, which also probes before it gives up, if no call of this process has for a slice.
    pub(crate) fn waiter_that_probes(&self, wait: Wait) -> Waiter<BlockedCall<'_>> {
        Waiter::new(wait, BlockedCall { primitive: self, condvar: self.condvar(), probes_at_last: true })
    }

    /// Has it a stop that is set?
    pub(crate) fn is_interrupted(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_set)
    }

    /// Runs the check of its stop: the call holds nothing.
    pub(crate) fn ask(&self) -> Answer {
        self.stop.as_ref().map_or(Answer::NoCheck, Stop::ask)
    }

    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Has no caller of this process probed for the dead for a slice? Then this one does.
    pub(crate) fn is_time_to_probe(&self) -> bool {
        self.probes.take()
    }
}

/// The [`Sleeper`] of a primitive.
pub(crate) struct BlockedCall<'a> {
    primitive: &'a Primitive,
    condvar: Condvar<'a>,
    probes_at_last: bool,
}

impl Sleeper for BlockedCall<'_> {
    fn adaptive_spin(&self) -> &AdaptiveSpin {
        &self.primitive.adaptive_spin
    }

    fn sleep(&mut self, until: Deadline, ready: &mut dyn FnMut() -> bool) {
        let _sleeping = self.primitive.attachment.note_sleep();
        wait::sleep(self.primitive.stop.as_ref(), self.condvar, self.primitive.barrier(), until, ready);
    }

    fn note_slice(&mut self) {
        self.primitive.segment().report_if_nameless();
    }

    fn is_time_to_probe(&mut self) -> bool {
        self.probes_at_last && self.primitive.is_time_to_probe()
    }

    fn is_interrupted(&self) -> bool {
        self.primitive.is_interrupted()
    }

    fn ask(&mut self) -> Answer {
        self.primitive.ask()
    }
}

impl Attached for Primitive {
    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn succeed(&self, _: Id, left_behind: bool) {
        // What a dead predecessor in our entry held is found by its id, which names an older
        // generation; that it was there at all is found here only. A process that dies before it
        // has stored this has died itself, and is found instead.
        if left_behind {
            self.head().rare.recoveries.fetch_add(1, SeqCst);
        }
    }

    fn open_guard(&self) -> Option<&'static str> {
        // What a child inherited bears its parent's incarnation. One that uses nothing of ours has
        // none, and no guard.
        let guarded = self.guarded.load(Relaxed);
        (guarded != 0 && guarded == self.incarnation()).then_some("a lock")
    }

    fn count_guards(&self, in_use: &mut InUse) {
        // The word names this process, whichever handle locked. (Portable locks have no such word.)
        let is_mine = self.known_me().is_some_and(|me| self.lock().is_of(me));
        in_use.locks += usize::from(is_mine || self.open_guard().is_some());
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
