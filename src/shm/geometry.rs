//! The shape of a ring in numbers, and the arithmetic of positions.
//!
//! A position is `lap << index_bits | index`, `index < cells`: one word that never wraps in
//! practice, is ordered like the stream of cells, and gives its cell without a division.
//!
//! Invariants:
//! 0. What follows is about rings. A primitive of `shmq::sync` has a geometry too, in which no ring
//!    may run: a single cell.
//! 1. `1 < cells <= 1 << index_bits`; a ring of `capacity` sized messages has `capacity + 1` cells:
//!    one spare cell always exists.
//! 2. A slice ring has at least twice the cells of its largest record, so that one fits an empty
//!    ring at any offset.
//! 3. A geometry comes from [`Geometry::sized`], [`Geometry::slice`], [`Geometry::topic`],
//!    [`Geometry::primitive`] or,
//!    checked, from a segment header; it is never reread.

use crate::shm::kind::Kind;
use crate::shm::layout::{HOLDERS_BYTES, PLACES_BYTES, PRIMITIVE_DATA_OFFSET};

/// Bytes of a sized record before its payload (the header word).
const SIZED_HEADER_BYTES: u64 = 8;
/// From this size on, the payload of a sized record begins on a cache line (measured, 1 MiB in
/// place: wide loads and stores that cross lines cost 13 %; 64 KiB 7 %).
const LARGE_MESSAGE_BYTES: u64 = 1024;
/// Bytes of a slice record before its payload (header word and sequence).
const SLICE_HEADER_BYTES: u64 = 16;
/// Of all supported processors, as far as alignment and prefetching are concerned.
pub(crate) const CACHE_LINE_BYTES: u64 = 64;
/// A ring may not be larger than this: keeps every offset far from overflow.
const MAX_RING_BYTES: u64 = 1 << 46;
/// A record's length is a 32-bit word.
const MAX_MESSAGE_BYTES: u64 = u32::MAX as u64;

/// The share of a topic's capacity that its ring has as slack, and the most.
const SLACK_SHARE: u64 = 8;
const MOST_SLACK: u64 = 512;

/// Index of a cell that is in its ring: made by [`Geometry`] and [`CellRow`] only, so that its
/// users need no bounds check. The default is cell 0, which every ring has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CellIndex(u64);

impl CellIndex {
    /// Less than the `cells` of the geometry that made it.
    #[inline(always)]
    pub fn index(self) -> u64 {
        self.0
    }
}

/// Cells that follow one another: each has at least `reach` more behind it before the ring ends.
/// The default has none.
///
/// Invariant: `count == 0`, or `first + count - 1 + reach` is a cell of the ring and `reach >= 1`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CellRow {
    first: u64,
    count: u64,
    reach: u64,
}

impl CellRow {
    #[inline]
    pub fn count(self) -> u64 {
        self.count
    }

    /// Cell `n`, and the one behind it.
    #[inline(always)]
    pub fn pair(self, n: u64) -> Option<(CellIndex, CellIndex)> {
        (n < self.count).then(|| (CellIndex(self.first + n), CellIndex(self.first + n + 1)))
    }

    /// The cell that lies `ahead` cells behind cell `n`. `None` if the row does not reach so far.
    #[inline(always)]
    pub fn ahead(self, n: u64, ahead: u64) -> Option<CellIndex> {
        (n < self.count && ahead <= self.reach).then(|| CellIndex(self.first + n + ahead))
    }
}

/// How records of one size lie in their ring: one cell each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizedShape {
    pub cell_bytes: u64,
    /// Offset of the payload in its record.
    pub payload_offset: u64,
}

impl SizedShape {
    /// For a message type whose size and alignment have been checked.
    pub const fn of(message_bytes: usize, message_align: usize) -> SizedShape {
        match SizedShape::new(message_bytes as u64, message_align as u64) {
            Some(shape) => shape,
            None => SizedShape { cell_bytes: 0, payload_offset: 0 },
        }
    }

    /// `None` if no ring could have such cells.
    const fn new(message_bytes: u64, message_align: u64) -> Option<SizedShape> {
        let least = if message_bytes < LARGE_MESSAGE_BYTES { SIZED_HEADER_BYTES } else { CACHE_LINE_BYTES };
        let payload_offset = if message_align > least { message_align } else { least };
        if message_bytes > MAX_MESSAGE_BYTES || message_align > PAGE_ALIGN {
            return None;
        }
        let cell_bytes = (message_bytes + payload_offset).next_multiple_of(payload_offset);
        if cell_bytes > MAX_RING_BYTES { None } else { Some(SizedShape { cell_bytes, payload_offset }) }
    }
}

/// Shape of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub cells: u64,
    pub cell_bytes: u64,
    /// Offset of the payload in its record.
    pub payload_offset: u64,
    /// One cell a record?
    pub sized: bool,
    /// `size_of` the message, or of the element of a slice.
    pub message_bytes: u64,
    pub message_align: u64,
    /// Bound in messages, `u64::MAX` for none.
    pub capacity: u64,
    index_mask: u64,
    /// Slice rings: `cell_bytes == 1 << cell_shift`, since alignments are powers of two.
    cell_shift: u32,
}

impl Geometry {
    /// A ring for `capacity` messages of one size. `Err` is the largest capacity possible.
    pub fn sized(message_bytes: u64, message_align: u64, capacity: u64) -> Result<Geometry, u64> {
        let SizedShape { cell_bytes, payload_offset } = SizedShape::new(message_bytes, message_align).ok_or(0u64)?;
        let largest = (MAX_RING_BYTES / cell_bytes).saturating_sub(1);
        if capacity == 0 || capacity > largest {
            return Err(largest);
        }
        Ok(Geometry::with_mask(Geometry {
            cells: capacity + 1,
            cell_bytes,
            payload_offset,
            sized: true,
            message_bytes,
            message_align,
            capacity,
            index_mask: 0,
            cell_shift: 0,
        }))
    }

    /// A ring of `capacity_bytes` for slices, and at most `capacity` of them. `Err` is the largest
    /// `capacity_bytes` possible.
    pub fn slice(element_bytes: u64, element_align: u64, capacity: u64, capacity_bytes: u64) -> Result<Geometry, u64> {
        let cell_bytes = SLICE_HEADER_BYTES.max(element_align);
        if capacity == 0 || capacity_bytes == 0 || capacity_bytes > MAX_RING_BYTES || cell_bytes > PAGE_ALIGN {
            return Err(MAX_RING_BYTES);
        }
        // Invariant 2 asks for room for two records of one element each; two more cells leave the
        // spare.
        let least = 2 * (1 + element_bytes.div_ceil(cell_bytes)) + 2;
        Ok(Geometry::with_mask(Geometry {
            cells: capacity_bytes.div_ceil(cell_bytes).max(least),
            cell_bytes,
            payload_offset: cell_bytes,
            sized: false,
            message_bytes: element_bytes,
            message_align: element_align,
            capacity,
            index_mask: 0,
            cell_shift: 0,
        }))
    }

    /// A ring for a topic of messages of one size: `capacity` of them, and some
    /// [slack](Geometry::slack).
    pub fn topic(message_bytes: u64, message_align: u64, capacity: u64) -> Result<Geometry, u64> {
        let slack = |capacity: u64| (capacity / SLACK_SHARE).clamp(1, MOST_SLACK);
        let ring = Geometry::sized(message_bytes, message_align, capacity)?;
        let largest = (MAX_RING_BYTES / ring.cell_bytes).saturating_sub(1 + MOST_SLACK);
        if capacity > largest {
            return Err(largest);
        }
        Ok(Geometry { cells: ring.cells + slack(capacity), ..ring }.with_mask())
    }

    /// Cells of a topic beyond its capacity and the spare one: its put side reclaims so many at a
    /// time, and lossy subscribers still find a whole capacity of messages. A topic of slices has
    /// none; there the messages that they find are fewer by what is reclaimed at a time.
    pub fn slack(&self) -> u64 {
        if self.sized { self.cells - 1 - self.capacity } else { 0 }
    }

    /// A primitive of `shmq::sync`: `count` elements of an array, parties of a barrier, first
    /// permits of a semaphore, otherwise 1. `Err` is the largest count possible.
    pub fn primitive(kind: Kind, unit_bytes: u64, unit_align: u64, count: u64) -> Result<Geometry, u64> {
        let payload_offset = PRIMITIVE_DATA_OFFSET.max(unit_align);
        if unit_align > PAGE_ALIGN || unit_bytes > MAX_RING_BYTES {
            return Err(0);
        }
        let (data_bytes, max_count) = match kind {
            Kind::Mutex => (unit_bytes, 1),
            Kind::Value => (2 * Geometry::copy_stride(unit_bytes, unit_align), 1),
            Kind::Array => (unit_bytes.saturating_mul(count), (MAX_RING_BYTES - payload_offset) / unit_bytes.max(1)),
            Kind::Semaphore => (HOLDERS_BYTES, u64::MAX),
            Kind::Barrier => (HOLDERS_BYTES, u32::MAX as u64),
            Kind::Condvar => (PLACES_BYTES, 1),
            Kind::Event | Kind::Lock | Kind::ReentrantLock => (0, 1),
            Kind::Sized | Kind::Slice | Kind::Encoded | Kind::TopicSized | Kind::TopicSlice | Kind::TopicEncoded => {
                return Err(0);
            }
        };
        if count > max_count || (count == 0 && kind != Kind::Semaphore) {
            return Err(max_count);
        }
        Ok(Geometry {
            cells: 1,
            cell_bytes: (payload_offset + data_bytes).next_multiple_of(CACHE_LINE_BYTES),
            payload_offset,
            sized: true,
            message_bytes: unit_bytes,
            message_align: unit_align,
            capacity: count,
            index_mask: 0,
            cell_shift: 0,
        })
    }

    /// From one copy of a value to the other.
    pub fn copy_stride(unit_bytes: u64, unit_align: u64) -> u64 {
        unit_bytes.next_multiple_of(CACHE_LINE_BYTES.max(unit_align))
    }

    /// The geometry that a segment header describes; `None` unless it is one that this module could
    /// have made.
    pub fn from_header(
        kind: Kind,
        cells: u64,
        message_bytes: u64,
        message_align: u64,
        capacity: u64,
        cell_bytes: u64,
    ) -> Option<Geometry> {
        if !message_align.is_power_of_two() || message_align > PAGE_ALIGN {
            return None;
        }
        let made = match kind {
            Kind::Sized => Geometry::sized(message_bytes, message_align, capacity).ok()?,
            Kind::TopicSized => Geometry::topic(message_bytes, message_align, capacity).ok()?,
            Kind::TopicSlice | Kind::TopicEncoded if capacity != u64::MAX => return None,
            Kind::Slice | Kind::Encoded | Kind::TopicSlice | Kind::TopicEncoded => {
                let ring_bytes = cells.checked_mul(SLICE_HEADER_BYTES.max(message_align))?;
                Geometry::slice(message_bytes, message_align, capacity, ring_bytes).ok()?
            }
            Kind::Mutex
            | Kind::Array
            | Kind::Value
            | Kind::Event
            | Kind::Semaphore
            | Kind::Condvar
            | Kind::Barrier
            | Kind::Lock
            | Kind::ReentrantLock => Geometry::primitive(kind, message_bytes, message_align, capacity).ok()?,
        };
        (made.cells == cells && made.cell_bytes == cell_bytes).then_some(made)
    }

    fn with_mask(mut self) -> Geometry {
        self.index_mask = self.cells.next_power_of_two() - 1;
        self.cell_shift = self.cell_bytes.trailing_zeros();
        self
    }

    /// All cells, in bytes.
    pub fn ring_bytes(&self) -> u64 {
        self.cells * self.cell_bytes
    }

    /// The cell of a position; `None` if it is garbage.
    #[inline(always)]
    pub fn cell(&self, position: u64) -> Option<CellIndex> {
        let index = position & self.index_mask;
        (index < self.cells).then_some(CellIndex(index))
    }

    /// The first position from `from` on that has this cell.
    pub fn first_of(&self, cell: CellIndex, from: u64) -> u64 {
        let at = from & !self.index_mask | cell.index();
        if at < from { self.next_lap(at) } else { at }
    }

    /// The same cell, one lap later.
    #[inline(always)]
    pub fn next_lap(&self, position: u64) -> u64 {
        position.wrapping_add(self.index_mask + 1)
    }

    /// The position `cells` after `position`; `None` if a record of that many cells would cross the
    /// end of the ring.
    #[inline(always)]
    pub fn after(&self, position: u64, cells: u64) -> Option<u64> {
        match (position & self.index_mask).wrapping_add(cells) {
            end if end < self.cells => Some(position.wrapping_add(cells)),
            end if end == self.cells => Some((position | self.index_mask).wrapping_add(1)),
            _ => None,
        }
    }

    /// The cells from that of `position` on: `count` of them, or fewer where the ring ends. None at
    /// all if the position is garbage.
    #[inline]
    pub fn cells_from(&self, position: u64, count: u64) -> impl DoubleEndedIterator<Item = CellIndex> + use<> {
        let first = position & self.index_mask;
        (first..first.saturating_add(count).min(self.cells)).map(CellIndex)
    }

    /// The same, each with `reach` more cells behind it, at least one. `None` if the position is
    /// garbage.
    #[inline]
    pub fn row(&self, position: u64, count: u64, reach: u64) -> Option<CellRow> {
        let first = self.cell(position)?.index();
        let reach = reach.max(1);
        Some(CellRow { first, count: count.min((self.cells - first).saturating_sub(reach)), reach })
    }

    /// Cells from a position to the end of the ring.
    #[inline]
    pub fn cells_to_end(&self, position: u64) -> u64 {
        self.cells.wrapping_sub(position & self.index_mask)
    }

    /// Cells since position 0: the difference of two is a number of cells.
    pub fn linear(&self, position: u64) -> u64 {
        let laps = position >> (self.index_mask + 1).trailing_zeros();
        laps.wrapping_mul(self.cells).wrapping_add(position & self.index_mask)
    }

    /// The position that so many cells lie before: the inverse of [`linear`](Geometry::linear).
    pub fn position(&self, linear: u64) -> u64 {
        let (lap, index) = (linear / self.cells, linear % self.cells);
        lap.wrapping_mul(self.index_mask + 1).wrapping_add(index)
    }

    /// Cells of a record whose payload has `length` bytes.
    #[inline]
    pub fn record_cells(&self, length: u64) -> u64 {
        if self.sized { 1 } else { self.slice_cells(length) }
    }

    /// The same, in a ring known to be one of slices.
    #[inline(always)]
    pub fn slice_cells(&self, length: u64) -> u64 {
        1 + ((length + self.cell_bytes - 1) >> self.cell_shift)
    }

    /// Largest payload, in bytes (Invariant 2).
    #[inline(always)]
    pub fn max_message_bytes(&self) -> u64 {
        if self.sized { self.message_bytes } else { ((self.cells / 2 - 1) * self.cell_bytes).min(MAX_MESSAGE_BYTES) }
    }
}

/// Cells start on a page, so no message may ask for a larger alignment.
const PAGE_ALIGN: u64 = crate::shm::layout::PAGE_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_visit_every_cell_in_order() {
        for capacity in [1, 2, 3, 4, 5, 7, 8, 9, 1000, 1023, 1024, 1025] {
            let ring = Geometry::sized(8, 8, capacity).unwrap();
            assert_eq!(ring.cells, capacity + 1);
            let mut position = 0;
            for step in 0..3 * ring.cells {
                assert_eq!(ring.cell(position).unwrap().index(), step % ring.cells, "capacity {capacity}");
                assert_eq!(ring.linear(position), step);
                assert_eq!(ring.linear(ring.next_lap(position)), step + ring.cells);
                let next = ring.after(position, 1).unwrap();
                assert!(next > position);
                position = next;
            }
        }
    }

    #[test]
    fn rows_of_cells_end_before_the_ring_does() {
        let ring = Geometry::sized(8, 8, 6).unwrap();
        let indices = |position, count| ring.cells_from(position, count).map(CellIndex::index).collect::<Vec<_>>();
        assert_eq!((indices(5, 9), indices(8, 2), indices(7, 1)), (vec![5, 6], vec![0, 1], vec![]));
        assert!(ring.row(7, 1, 1).is_none(), "no position of this ring");
        for (position, count, reach, found) in
            [(0, 9, 0, 6), (0, 9, 3, 4), (0, 2, 3, 2), (5, 9, 1, 1), (6, 9, 1, 0), (5, 9, 3, 0)]
        {
            let row = ring.row(position, count, reach).unwrap();
            assert_eq!(row.count(), found, "{row:?}");
            for n in 0..found {
                let (cell, behind) = row.pair(n).unwrap();
                assert_eq!((cell.index(), behind.index()), (position + n, position + n + 1));
                assert_eq!(row.ahead(n, 3).map(CellIndex::index), (reach == 3).then_some(position + n + 3));
            }
            assert!(row.pair(found).is_none() && row.ahead(found, 1).is_none());
        }
        assert!(CellRow::default().pair(0).is_none());
    }

    #[test]
    fn a_largest_record_fits_an_empty_slice_ring_at_any_offset() {
        for bytes in [1, 64, 100, 1000, 4096] {
            let ring = Geometry::slice(1, 1, u64::MAX, bytes).unwrap();
            let record = ring.record_cells(ring.max_message_bytes());
            for offset in 0..ring.cells {
                let filler = if offset + record > ring.cells { ring.cells - offset } else { 0 };
                assert!(filler + record < ring.cells, "{bytes} bytes, offset {offset}");
            }
        }
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(Geometry::sized(8, 8, 0).is_err());
        assert!(Geometry::sized(8, 8, u64::MAX).is_err());
        assert!(Geometry::sized(u64::MAX - 3, 8, 1).is_err());
        assert!(Geometry::slice(1, 1, 1, 0).is_err());
        assert!(Geometry::slice(1, 1, 0, 1).is_err());
        assert!(Geometry::slice(1, 1, 1, u64::MAX).is_err());
        assert_eq!(Geometry::from_header(Kind::Mutex, 8, 8, 8, 7, 16), None);
        assert_eq!(Geometry::from_header(Kind::Sized, 8, 8, 3, 7, 16), None);
        assert_eq!(Geometry::from_header(Kind::Sized, 9, 8, 8, 7, 16), None);
        assert!(Geometry::from_header(Kind::Sized, 8, 8, 8, 7, 16).is_some());
    }

    #[test]
    fn large_messages_begin_on_a_cache_line_and_small_ones_lie_densely() {
        for (bytes, align, payload_offset, cell_bytes) in [
            (8, 8, 8, 16),
            (64, 8, 8, 72),
            (1016, 8, 8, 1024),
            (1024, 8, 64, 1088),
            (1025, 1, 64, 1152),
            (1 << 20, 4096, 4096, 1052672),
        ] {
            let ring = Geometry::sized(bytes, align, 3).unwrap();
            assert_eq!((ring.payload_offset, ring.cell_bytes), (payload_offset, cell_bytes), "{bytes} bytes, aligned to {align}");
        }
    }

    #[test]
    fn a_primitive_has_room_for_its_words_and_its_data() {
        for (kind, bytes, align, count, cell) in [
            (Kind::Mutex, 24, 8, 1, 320),
            (Kind::Mutex, 0, 1, 1, 256),
            (Kind::Value, 24, 8, 1, 384),
            (Kind::Array, 4, 4, 100, 704),
            (Kind::Event, 0, 1, 1, 256),
            (Kind::Semaphore, 0, 1, 0, 8448),
            (Kind::Barrier, 0, 1, 3, 8448),
        ] {
            let object = Geometry::primitive(kind, bytes, align, count).unwrap();
            assert_eq!((object.cells, object.cell_bytes), (1, cell), "{kind:?}");
            assert_eq!(Geometry::from_header(kind, 1, bytes, align, count, cell), Some(object));
            assert_eq!(Geometry::from_header(kind, 2, bytes, align, count, cell), None);
            assert_eq!(Geometry::from_header(kind, 1, bytes, align, count, cell + 64), None);
        }
        assert_eq!(Geometry::primitive(Kind::Mutex, 1, 4096, 1).unwrap().payload_offset, 4096);
        assert!(Geometry::primitive(Kind::Array, 8, 8, 0).is_err());
        assert!(Geometry::primitive(Kind::Array, 8, 8, u64::MAX).is_err());
        assert!(Geometry::primitive(Kind::Barrier, 0, 1, 1 << 32).is_err());
        assert!(Geometry::primitive(Kind::Mutex, 8, 8192, 1).is_err());
    }
}
