//! The get side: finding the record at the front, taking it, leasing it, giving it back.

use super::notice::{RETURNED, WALKING};
use super::{Corrupted, Header, Memory, Owner, Ring, State};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::shm::geometry::CellIndex;

/// Records that a getter prefetches at a time.
const FETCH_AHEAD: u64 = 64;

/// A record that its finder may take while it owns the get side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub cell: CellIndex,
    pub header: Header,
    /// New head once this record is taken; `None` for a RETURNED record, which is behind head.
    pub(super) next: Option<u64>,
}

impl Record {
    /// Payload, in bytes: range-checked against the ring when the record was found.
    #[inline(always)]
    pub fn length(&self) -> usize {
        self.header.length() as usize
    }

    /// Was the message delivered before?
    pub fn is_redelivery(&self) -> bool {
        self.next.is_none()
    }
}

/// What a getter finds at head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Front {
    Empty,
    /// Being written in place by that owner: everything behind it waits.
    Claimed(Owner, CellIndex, Header),
    Ready(Record),
}

impl<M: Memory> Ring<M> {
    /// The record at head, if it is READY. Makes no calls, so that a copy of the ring stays in
    /// registers. Needs the get side.
    #[inline(always)]
    pub fn ready_at_head<const SIZED: bool>(&self) -> Option<Record> {
        debug_assert_eq!(SIZED, self.geometry.sized);
        let head = self.memory.get_side().head.load(Relaxed);
        let cell = self.geometry.cell(head)?;
        let header = self.load_header(cell);
        let next = if SIZED {
            if header != Header::ready(self.geometry.message_bytes as u32) {
                return None;
            }
            self.geometry.after(head, 1)?
        } else {
            let length = header.length() as u64;
            if header != Header::ready(header.length()) || length > self.geometry.max_message_bytes() {
                return None;
            }
            self.geometry.after(head, self.geometry.slice_cells(length))?
        };
        Some(Record { cell, header, next: Some(next) })
    }

    fn after_message(&self, head: u64, header: Header) -> Result<u64, Corrupted> {
        self.check_length(header)?;
        self.after(head, header)
    }

    fn check_length(&self, header: Header) -> Result<(), Corrupted> {
        let length = header.length() as u64;
        let max = self.geometry.max_message_bytes();
        let fits = if self.geometry.sized { length == max } else { length <= max };
        if fits { Ok(()) } else { Err(Corrupted) }
    }

    /// Advances head over skipped records and returns what is there. Needs the get side.
    #[cold]
    pub fn front(&self) -> Result<Front, Corrupted> {
        let get = self.memory.get_side();
        for _ in 0..=self.geometry.cells {
            let head = get.head.load(Relaxed);
            let cell = self.cell(head)?;
            let header = self.load_header(cell);
            match header.state() {
                Some(State::Free) => return Ok(Front::Empty),
                Some(State::Claimed) => return Ok(Front::Claimed(header.owner(), cell, header)),
                Some(State::Ready) => {
                    let next = self.after_message(head, header)?;
                    return Ok(Front::Ready(Record { cell, header, next: Some(next) }));
                }
                // Aborted, or a filler. LEASED and RETURNED are at head only if a get side died
                // between the lease and the store of head; READ never is.
                Some(State::Done | State::Read) => get.head.store(self.after(head, header)?, Release),
                Some(State::Leased | State::Returned) => {
                    get.head.store(self.after(head, header)?, Release);
                    self.announce_returned();
                }
                None => return Err(Corrupted),
            }
        }
        Err(Corrupted)
    }

    /// The header at head, read without owning the get side, if there is nothing to take: FREE, or
    /// CLAIMED by an open loan. Reads head, header, head again: a stale head leads to payload. A
    /// hint: `None` sends the caller to the lock.
    #[inline]
    pub fn nothing_to_take(&self) -> Option<State> {
        let head = &self.memory.get_side().head;
        let before = head.load(Acquire);
        let header = self.load_header(self.cell(before).ok()?);
        let state = header.state().filter(|state| matches!(state, State::Free | State::Claimed))?;
        (!self.has_returned() && head.load(Relaxed) == before).then_some(state)
    }

    /// Is there still nothing to take at head? A hint for a spinning getter: it skips the second
    /// read of head.
    #[inline(always)]
    pub fn head_is_pending(&self) -> bool {
        let head = self.memory.get_side().head.load(Relaxed);
        self.geometry.cell(head).is_some_and(|cell| Header::from_bits(self.memory.header(cell).load(Relaxed)).is_pending())
    }

    /// Number of records from head on until the next [prefetch](Ring::fetch_ahead); `None` if head
    /// is garbage.
    pub(super) fn until_next_fetch(&self, head: u64) -> Option<u64> {
        Some(FETCH_AHEAD - self.geometry.cell(head)?.index() % FETCH_AHEAD)
    }

    /// Prefetches the cache lines of the next records between head and tail together: otherwise a
    /// getter would wait for one after the other. Leaves out records behind tail, which a putter is
    /// writing. Reads tail, on a cache line that the putter writes, only if `tail_seen`, the value
    /// of its last read, does not reach far enough. A hint that needs no side, in a sized ring.
    #[cold]
    #[inline(never)]
    pub fn fetch_ahead(&self, tail_seen: &AtomicU64) {
        let head = self.memory.get_side().head.load(Relaxed);
        let before =
            |tail: u64| if tail > head { self.geometry.linear(tail).wrapping_sub(self.geometry.linear(head)) } else { 0 };
        let mut ready = before(tail_seen.load(Relaxed));
        if ready < FETCH_AHEAD {
            let tail = self.memory.put_side().tail.load(Relaxed);
            tail_seen.store(tail, Relaxed);
            ready = before(tail);
        }
        if let Some(first) = self.geometry.cell(head) {
            self.memory.prefetch_read(first, ready.min(self.geometry.cells_to_end(head)).min(FETCH_AHEAD));
        }
    }

    /// May some record behind head be RETURNED, or does a putter hold the Consumer off? Then the
    /// record at head must not be taken yet.
    #[inline(always)]
    pub fn may_hold_returned(&self) -> bool {
        self.memory.returned().load(Relaxed) != 0
    }

    /// May some record behind head be RETURNED?
    pub fn has_returned(&self) -> bool {
        self.memory.returned().load(Relaxed) & (RETURNED | WALKING) != 0
    }

    /// The oldest RETURNED record. Needs the get side. WALKING is set while RETURNED is cleared, so
    /// that other processes do not mistake the queue for empty meanwhile, and a kill leaves it so.
    /// RETURNED is set again before a record is handed out, since there may be more, and otherwise
    /// only if a giver came after the walk began. `settled`: as in `find_the_dead`, so that the
    /// walk under the side skips records that are already done.
    #[cold]
    pub fn first_returned(&self, settled: &AtomicU64) -> Result<Option<Record>, Corrupted> {
        self.memory.returned().fetch_or(WALKING, AcqRel);
        self.memory.returned().fetch_and(!RETURNED, AcqRel);
        let end = self.memory.get_side().head.load(Relaxed);
        let mut found = None;
        let mut first_open = end;
        self.walk_from(settled.load(Relaxed), end, |position, cell, header| {
            first_open = first_open.min(position);
            let is_it = header.state() == Some(State::Returned);
            if is_it {
                found = Some(Record { cell, header, next: None });
            }
            !is_it
        })?;
        settled.store(first_open, Relaxed);
        if found.is_some() {
            self.announce_returned();
        }
        self.memory.returned().fetch_and(!WALKING, AcqRel);
        if let Some(record) = &found {
            self.check_length(record.header)?;
        }
        Ok(found)
    }

    /// Leases to `owner` the RETURNED records, from position `from` on, for which `is_it` holds: as
    /// many as `leased` has room for. `leased` receives each record before and after. Returns where
    /// to continue, if there may be more. RETURNED stays set. `from`: as in `walk_from`, or where
    /// an earlier call stopped, whose leases pin reclaim since. Needs the get side.
    #[cold]
    pub fn lease_returned(
        &self,
        from: u64,
        owner: Owner,
        is_it: impl Fn(Header) -> bool,
        leased: &mut Vec<(Record, Header)>,
    ) -> Result<Option<u64>, Corrupted> {
        let end = self.memory.get_side().head.load(Relaxed);
        let mut checked = Ok(());
        let mut stopped_at = None;
        self.walk_from(from, end, |position, cell, header| {
            if header.state() != Some(State::Returned) || !is_it(header) {
                return true;
            }
            checked = self.check_length(header);
            // Nothing is allocated while the side is held.
            if checked.is_err() || leased.len() == leased.capacity() {
                stopped_at = Some(position);
                return false;
            }
            let record = Record { cell, header, next: None };
            leased.push((record, self.lease(record, owner).1));
            true
        })?;
        checked.map(|()| stopped_at)
    }

    /// Finishes a record that was copied out. The store of DONE is the commit point. Needs the get
    /// side.
    #[inline(always)]
    pub fn take(&self, record: Record) {
        self.memory.header(record.cell).store(Header::done(record.header.length()).bits(), Release);
        if let Some(next) = record.next {
            self.memory.get_side().head.store(next, Release);
        }
    }

    /// Hands a record to `owner` to read in place. The store of LEASED is the commit point. Needs
    /// the get side.
    #[inline(always)]
    pub fn lease(&self, record: Record, owner: Owner) -> (CellIndex, Header) {
        let leased = record.header.leased_by(owner);
        self.memory.header(record.cell).store(leased.bits(), Release);
        if let Some(next) = record.next {
            self.memory.get_side().head.store(next, Release);
        }
        (record.cell, leased)
    }

    /// Finishes a record that the caller leased. Returns `false` if the record was given to another
    /// process because its owner was declared dead.
    #[inline(always)]
    pub fn release(&self, cell: CellIndex, leased: Header) -> bool {
        self.transition(cell, leased, Header::done(leased.length()))
    }

    /// Gives back a record that the caller leased, to be delivered before newer ones.
    pub fn give_back(&self, cell: CellIndex, leased: Header) -> bool {
        self.give_back_as(cell, leased, leased.returned())
    }

    /// As `give_back`, but this delivery does not count.
    pub fn give_back_uncounted(&self, cell: CellIndex, leased: Header) -> bool {
        self.give_back_as(cell, leased, leased.returned_uncounted())
    }

    fn give_back_as(&self, cell: CellIndex, leased: Header, returned: Header) -> bool {
        let given = self.transition(cell, leased, returned);
        if given {
            self.announce_returned();
        }
        given
    }
}
