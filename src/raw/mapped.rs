//! The words and cells of a mapped segment, as the ring accesses them: of any geometry, or typed by
//! the message.

use crate::atomic::{AtomicU32, AtomicU64};
use crate::message::{Message, Travel};
use crate::os::{prefetch_read, prefetch_write};
use crate::ring::Memory;
use crate::shm::geometry::{CACHE_LINE_BYTES, CellIndex, Geometry, SizedShape};
use crate::shm::layout::{GetSide, Head, PutSide};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Cells below this size share their cache line with so many others that prefetching it for
/// ownership gains nothing.
const LINE_SHARED_BYTES: usize = 48;

/// Cells up to this size are prefetched when they are reclaimed, or before they are taken. Larger
/// cells are moved one at a time, which the hardware prefetcher follows, and a run of them exceeds
/// a cache.
const LARGEST_FETCHED_AHEAD: usize = 2048;

/// A getter prefetches no more than this at a time: a part of the nearest cache.
const MOST_FETCHED_BYTES: usize = 8192;

/// How endpoints access the cells of a sized ring: those of one message type, at distances that the
/// compiler knows, or those of the segment's own geometry.
pub(super) trait SizedCells: Memory + Copy {
    /// The caller uses cells only if [`fits`](SizedCells::fits) returned `true` for the geometry
    /// that they come from.
    fn of(mapped: &Mapped) -> Self;

    /// Can the cells of `geometry` be accessed in this way?
    fn fits(geometry: &Geometry) -> bool;

    /// Of a ring that fits.
    fn message_bytes(geometry: &Geometry) -> usize;

    fn head(&self) -> &Head;

    /// Address of the payload of the record at `cell`.
    fn payload(&self, cell: CellIndex) -> *mut u8;
}

/// The words and cells of a mapped segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    head: NonNull<Head>,
    cells: NonNull<u8>,
    cell_bytes: usize,
    payload_offset: usize,
}

impl Mapped {
    /// The words and cells of a mapping that the caller keeps alive (raw, Invariant 2).
    pub(crate) fn new(head: NonNull<Head>, cells: NonNull<u8>, geometry: &Geometry) -> Mapped {
        let (cell_bytes, payload_offset) = (geometry.cell_bytes as usize, geometry.payload_offset as usize);
        Mapped { head, cells, cell_bytes, payload_offset }
    }

    #[inline(always)]
    pub(super) fn head(&self) -> &Head {
        // SAFETY: raw, Invariant 2; the words are atomics, or written before publication only.
        unsafe { self.head.as_ref() }
    }

    /// Address of the payload of the record at `cell`.
    #[inline(always)]
    pub(crate) fn payload(&self, cell: CellIndex) -> *mut u8 {
        // SAFETY: raw, Invariant 2: the payload starts inside the record's first cell, or right
        // behind it where it is empty.
        unsafe { self.record(cell).add(self.payload_offset) }
    }

    #[inline(always)]
    fn record(&self, cell: CellIndex) -> *mut u8 {
        // SAFETY: raw, Invariant 2: the cell is in the ring, so the offset stays inside the
        // mapping.
        unsafe { self.cells.as_ptr().add(cell.index() as usize * self.cell_bytes) }
    }

    /// Range of the cache lines of `count` cells that do not reach beyond the ring's end, limited
    /// to `most_bytes`; empty for large cells.
    #[inline(always)]
    fn lines(&self, first: CellIndex, count: u64, most_bytes: usize) -> impl Iterator<Item = *mut u8> {
        let from = self.record(first);
        let bytes = if self.cell_bytes > LARGEST_FETCHED_AHEAD { 0 } else { count as usize * self.cell_bytes };
        (0..bytes.min(most_bytes)).step_by(CACHE_LINE_BYTES as usize).map(move |offset| from.wrapping_add(offset))
    }
}

impl Memory for Mapped {
    #[inline(always)]
    fn put_side(&self) -> &PutSide {
        &self.head().put
    }

    #[inline(always)]
    fn get_side(&self) -> &GetSide {
        &self.head().get
    }

    #[inline(always)]
    fn returned(&self) -> &AtomicU32 {
        &self.head().get_notice.returned
    }

    #[inline(always)]
    fn closed(&self) -> &AtomicU32 {
        &self.head().put_notice.closed
    }

    #[inline(always)]
    fn fills_lines(&self) -> bool {
        self.cell_bytes > LINE_SHARED_BYTES
    }

    #[inline(always)]
    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        // SAFETY: raw, Invariant 2; cells are aligned to 8 bytes and at least as long as a header
        // word.
        unsafe { &*self.record(cell).cast() }
    }

    fn note_given_up(&self, position: u64) {
        self.head().given_up.note(position);
    }

    #[inline(always)]
    fn prefetch_write(&self, first: CellIndex, count: u64) {
        self.lines(first, count, usize::MAX).for_each(prefetch_write);
    }

    #[inline(always)]
    fn prefetch_read(&self, first: CellIndex, count: u64) {
        self.lines(first, count, MOST_FETCHED_BYTES).for_each(prefetch_read);
    }

    #[inline(always)]
    fn sequence(&self, cell: CellIndex) -> &AtomicU64 {
        // SAFETY: raw, Invariant 2; cells of slice rings, the only callers, have 16 bytes or more
        // (Geometry).
        unsafe { &*self.record(cell).add(8).cast() }
    }
}

/// The words and cells of a sized ring whose messages are `T`s: the distance between two cells is a
/// compile-time constant.
#[derive(Debug)]
pub(super) struct MappedAs<T: ?Sized> {
    head: NonNull<Head>,
    cells: NonNull<u8>,
    messages: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for MappedAs<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for MappedAs<T> {}

impl<T: ?Sized + Message> MappedAs<T> {
    const SHAPE: SizedShape = SizedShape::of(T::LAYOUT.bytes, T::LAYOUT.align);

    #[inline(always)]
    fn record(&self, cell: CellIndex) -> *mut u8 {
        self.cells.as_ptr().wrapping_add(cell.index() as usize * Self::SHAPE.cell_bytes as usize)
    }
}

impl<T: ?Sized + Message> SizedCells for MappedAs<T> {
    #[inline(always)]
    fn of(mapped: &Mapped) -> MappedAs<T> {
        MappedAs { head: mapped.head, cells: mapped.cells, messages: PhantomData }
    }

    fn fits(geometry: &Geometry) -> bool {
        T::IS_SIZED && geometry.sized && geometry.cell_bytes == Self::SHAPE.cell_bytes
    }

    #[inline(always)]
    fn message_bytes(_: &Geometry) -> usize {
        T::LAYOUT.bytes
    }

    #[inline(always)]
    fn head(&self) -> &Head {
        // SAFETY: raw, Invariant 2; the words are atomics, or written before publication only.
        unsafe { self.head.as_ref() }
    }

    #[inline(always)]
    fn payload(&self, cell: CellIndex) -> *mut u8 {
        self.record(cell).wrapping_add(Self::SHAPE.payload_offset as usize)
    }
}

impl SizedCells for Mapped {
    #[inline(always)]
    fn of(mapped: &Mapped) -> Mapped {
        *mapped
    }

    fn fits(geometry: &Geometry) -> bool {
        geometry.sized
    }

    #[inline(always)]
    fn message_bytes(geometry: &Geometry) -> usize {
        geometry.message_bytes as usize
    }

    #[inline(always)]
    fn head(&self) -> &Head {
        Mapped::head(self)
    }

    #[inline(always)]
    fn payload(&self, cell: CellIndex) -> *mut u8 {
        Mapped::payload(self, cell)
    }
}

impl<T: ?Sized + Message> Memory for MappedAs<T> {
    #[inline(always)]
    fn put_side(&self) -> &PutSide {
        &self.head().put
    }

    #[inline(always)]
    fn get_side(&self) -> &GetSide {
        &self.head().get
    }

    #[inline(always)]
    fn returned(&self) -> &AtomicU32 {
        &self.head().get_notice.returned
    }

    #[inline(always)]
    fn closed(&self) -> &AtomicU32 {
        &self.head().put_notice.closed
    }

    #[inline(always)]
    fn fills_lines(&self) -> bool {
        const { Self::SHAPE.cell_bytes as usize > LINE_SHARED_BYTES }
    }

    #[inline(always)]
    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        // SAFETY: raw, Invariant 2: the cell is in the ring, and the ring's cells are those of a
        // `T` (`fits`), so the record starts inside the mapping, aligned to 8 bytes as all cells
        // are.
        unsafe { &*self.record(cell).cast() }
    }

    fn note_given_up(&self, position: u64) {
        self.head().given_up.note(position);
    }

    fn sequence(&self, _: CellIndex) -> &AtomicU64 {
        unreachable!("sized rings have no sequences")
    }
}
