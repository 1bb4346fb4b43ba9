//! The verbs of a subscriber, and how they wait.
//!
//! ```text
//!   next: at the place --READY--> copy, counts? --yes--> the place behind it
//!           |                             \--no--> Evicted | Lagged, then on from another place
//!           \--nothing--> spin, yield, sleep on `not_empty` --> again, until the deadline
//! ```

use super::step::Tried;
use super::subscriber::RawSubscriber;
use crate::error::GetError;
use crate::message::copy::{load_message, load_words};
use crate::message::{Message, Plain};
use crate::os::Deadline;
use crate::raw::SMALL_COPY_BYTES;
use crate::raw::block::GATHER_SPINS;
use crate::raw::copy::{SlowGet, check_written};
use crate::raw::mapped::{MappedAs, SizedCells};
use crate::raw::stats::Verb;
use crate::ring::topic::Place;
use crate::ring::{Header, Memory};
use crate::wait::{Step, Wait};
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::fence;

/// Records that are prefetched at a time.
const FETCH_AHEAD: u64 = 64;

impl RawSubscriber {
    /// The next message of a topic of `T`s.
    #[inline(always)]
    pub fn next_value<T: Message>(&self, wait: Wait) -> Result<T, GetError> {
        let mut slow = SlowGet::new();
        let copy = match self.next_at_once::<T>() {
            Some(copy) => copy,
            // Twice, so that no call returns a message: it stays in registers.
            None => match self.await_next::<MappedAs<T>>(wait).then(|| self.next_at_once::<T>()).flatten() {
                Some(copy) => copy,
                None if slow.run(|| self.next_slowly::<T>(wait)) => {
                    // SAFETY: the slow path wrote a value.
                    return Ok(unsafe { slow.value().read() });
                }
                // SAFETY: `run` failed.
                None => return unsafe { slow.failure() },
            },
        };
        // SAFETY: all bytes of `copy` were written.
        unsafe { slow.checked(copy) }
    }

    /// A message of one size that is ready at the place, if nothing is in the way.
    #[inline(always)]
    fn next_at_once<T: Message>(&self) -> Option<MaybeUninit<T>> {
        // SAFETY: a record of a T in whole words lies there, or what is being written over it.
        self.read_at_once::<MappedAs<T>, _>(|from| unsafe { load_message::<T>(from) })
    }

    /// The same of such cells, copied by `read`. `None`: also if the copy does not count.
    #[inline(always)]
    pub(super) fn read_at_once<C: SizedCells, R>(&self, read: impl FnOnce(*const u8) -> R) -> Option<R> {
        let (ring, place) = (self.raw.ring_of::<C>(), self.place.get());
        let bytes = C::message_bytes(&ring.geometry);
        // A large copy may be torn each time: the slow path finds out whether it was, and where to
        // go.
        if self.is_inherited() || (bytes > SMALL_COPY_BYTES && !self.is_gating()) {
            return None;
        }
        let (cell, _) = self.run.get().pair(place.position.wrapping_sub(self.run_from.get()))?;
        if ring.memory.header(cell).load(Acquire) != Header::ready(bytes as u32).bits() {
            return None;
        }
        let copy = read(ring.memory.payload(cell));
        if !self.counts_at_once(place.position) {
            return None;
        }
        self.torn.set(0);
        // A run has not the ring's last cell, so the next position is in the same lap.
        self.move_in_run(Place { position: place.position.wrapping_add(1), number: place.number.wrapping_add(1) });
        Some(copy)
    }

    #[cold]
    #[inline(never)]
    fn next_slowly<T: Message>(&self, wait: Wait) -> Result<T, GetError> {
        let mut copy = MaybeUninit::<T>::uninit();
        // SAFETY: the copy has room for a T.
        let mut read = unsafe { copy_to::<T>(copy.as_mut_ptr()) };
        self.wait_for(wait, &mut || self.step(&mut read))?;
        // SAFETY: all bytes of `copy` were written.
        unsafe { check_written(&copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// The next message into a box: a large one is nowhere on the stack on its way.
    pub fn next_boxed<T: Message>(&self, wait: Wait) -> Result<Box<T>, GetError> {
        let mut copy = Box::<T>::new_uninit();
        // SAFETY: the copy has room for a T.
        self.next_with(wait, &mut unsafe { copy_to::<T>(copy.as_mut_ptr()) })?;
        // SAFETY: all bytes of `copy` were written.
        unsafe { check_written(&*copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// Up to `values.len()` messages of one size, at least one; waits for the first.
    pub fn next_values<T: Message>(&self, values: &mut [T], wait: Wait) -> Result<usize, GetError> {
        self.refill::<MappedAs<T>>();
        let mut got = self.burst_at_once(values);
        if got == 0 && !values.is_empty() {
            if !self.await_next::<MappedAs<T>>(wait) || self.burst_at_once(&mut values[..1]) == 0 {
                values[0] = self.next_slowly::<T>(wait)?;
            }
            got = 1;
        }
        // Behind the ring's end it is another burst.
        while got < values.len() {
            match self.burst_at_once(&mut values[got..]) {
                0 => break,
                more => got += more,
            }
        }
        Ok(got)
    }

    /// Messages that are ready one after the other, up to the ring's end. What is in the way, or is
    /// no value, is left for a call of its own.
    #[inline]
    fn burst_at_once<T: Message>(&self, values: &mut [T]) -> usize {
        if self.is_inherited() {
            return 0;
        }
        let raw = &*self.raw;
        let (ring, geometry, place) = (raw.ring_of::<MappedAs<T>>(), raw.geometry(), self.place.get());
        let ready = Header::ready(size_of::<T>() as u32).bits();
        let mut count = 0;
        for (value, cell) in values.iter_mut().zip(geometry.cells_from(place.position, u64::MAX)) {
            if ring.memory.header(cell).load(Acquire) != ready {
                break;
            }
            // SAFETY: as in `next_at_once`.
            let copy = unsafe { load_message::<T>(ring.memory.payload(cell)) };
            // SAFETY: all bytes of `copy` were written.
            if unsafe { check_written(&copy) }.is_err() {
                break;
            }
            // SAFETY: the bytes were just found to be a value of T.
            *value = unsafe { copy.assume_init() };
            count += 1;
        }
        // For all of them: reclaim passes the first one first.
        if count == 0 {
            return 0;
        }
        if !self.counts_at_once(place.position) {
            return 0;
        }
        let Some(position) = geometry.after(place.position, count) else { return 0 };
        self.torn.set(0);
        self.move_to(Place { position, number: place.number.wrapping_add(count) });
        count as usize
    }

    /// A copy was torn.
    #[cold]
    pub(super) fn note_torn(&self) {
        self.torn.set(self.torn.get().saturating_add(1));
    }

    /// Does what was just read at that position count (ring topic, Invariants 4 and 5), of a
    /// subscriber to which nothing has happened?
    #[inline(always)]
    fn counts_at_once(&self, position: u64) -> bool {
        fence(Acquire);
        self.is_as_known() && (self.is_gating() || self.words().reclaim.load(Relaxed) <= position)
    }

    /// The next message of a topic of slices.
    pub fn next_vec<X: Plain>(&self, wait: Wait) -> Result<Vec<X>, GetError> {
        self.next_with(wait, &mut copy_to_vec)
    }

    /// The next message of a topic of slices into the caller's buffer: its number of elements.
    pub fn next_into<X: Plain>(&self, buffer: &mut [X], wait: Wait) -> Result<usize, GetError> {
        self.next_with(wait, &mut |from, length| copy_to_buffer(from, length, buffer))
    }

    /// The newest value that it has not passed, at once.
    pub fn latest_value<T: Message>(&self) -> Result<T, GetError> {
        let mut copy = MaybeUninit::<T>::uninit();
        // SAFETY: the copy has room for a T.
        self.latest_with(&mut unsafe { copy_to::<T>(copy.as_mut_ptr()) })?;
        // SAFETY: all bytes of `copy` were written.
        unsafe { check_written(&copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// The newest value into a box.
    pub fn latest_boxed<T: Message>(&self) -> Result<Box<T>, GetError> {
        let mut copy = Box::<T>::new_uninit();
        // SAFETY: the copy has room for a T.
        self.latest_with(&mut unsafe { copy_to::<T>(copy.as_mut_ptr()) })?;
        // SAFETY: all bytes of `copy` were written.
        unsafe { check_written(&*copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// The newest slice.
    pub fn latest_vec<X: Plain>(&self) -> Result<Vec<X>, GetError> {
        self.latest_with(&mut copy_to_vec)
    }

    /// The next message in bytes, in place of what is in `bytes`.
    #[cfg(feature = "object")]
    pub(crate) fn next_bytes(&self, bytes: &mut Vec<u8>, wait: Wait) -> Result<(), GetError> {
        self.next_with(wait, &mut |from, length| copy_into(from, length, bytes))
    }

    /// The newest in the same way.
    #[cfg(feature = "object")]
    pub(crate) fn latest_bytes(&self, bytes: &mut Vec<u8>) -> Result<(), GetError> {
        self.latest_with(&mut |from, length| copy_into(from, length, bytes))
    }

    /// Waits for a message, and copies it by `read(from, length)`. A copy that turns out to be torn
    /// is discarded: `read` may be called several times.
    pub fn next_with<R>(&self, wait: Wait, read: &mut dyn FnMut(*const u8, usize) -> Result<R, GetError>) -> Result<R, GetError> {
        self.await_place(wait);
        self.wait_for(wait, &mut || self.step(read))
    }

    /// Spins for a record at its place, before the slow path of verbs that make no run.
    #[inline]
    pub(super) fn await_place(&self, wait: Wait) {
        let (raw, position) = (&*self.raw, self.place.get().position);
        let is_pending = || raw.geometry().cell(position).is_some_and(|cell| raw.ring.load_header(cell).is_pending());
        if is_pending() && !wait.is_try() && !self.is_inherited() {
            raw.await_record(
                self.take_run(),
                self.gather_spins.get(),
                wait,
                || self.adapt(self.fetch_ahead(position)),
                is_pending,
            );
        }
    }

    /// Before the slow path: makes a run where it has ended, and spins for a message.
    #[cold]
    #[inline(never)]
    pub(super) fn await_next<C: SizedCells>(&self, wait: Wait) -> bool {
        let position = self.place.get().position;
        let raw = &*self.raw;
        self.refill::<C>();
        let Some(cell) = raw.geometry().cell(position) else { return false };
        let is_pending = || raw.ring.load_header(cell).is_pending();
        // In the ring's last cell too, which no run has.
        if !is_pending() {
            return true;
        }
        if wait.is_try() {
            return false;
        }
        raw.await_record(self.take_run(), self.gather_spins.get(), wait, || self.adapt(self.fetch_ahead(position)), is_pending)
    }

    /// After a pause, in which a publisher filled so many cells. The best pause lets it fill a good
    /// part of the ring, whatever its rate: after a shorter one they follow each other from line to
    /// line, and in a longer one it finds the ring full, and waits in turn (measured, 1024 messages
    /// of 64 B: 200 spins 32 M/s and 50 spins 57 where a line takes 500 ns, 16 and 7 where it takes
    /// 1 us).
    fn adapt(&self, filled: u64) {
        let (cells, spins) = (self.raw.geometry().cells, self.gather_spins.get());
        if filled > cells / 2 {
            self.gather_spins.set((spins / 2).max(1));
        } else if filled < cells / 8 {
            self.gather_spins.set((spins * 2).min(GATHER_SPINS));
        }
    }

    /// Makes the run begin at its place, unless that lies in it already, and prefetches its
    /// records. It has not the ring's last cell.
    #[inline]
    fn refill<C: SizedCells>(&self) {
        let position = self.place.get().position;
        if position.wrapping_sub(self.run_from.get()) >= self.run.get().count() {
            self.refill_from::<C>(position);
        }
    }

    #[cold]
    #[inline(never)]
    fn refill_from<C: SizedCells>(&self, position: u64) {
        let geometry = self.raw.geometry();
        let Some(cell) = geometry.cell(position).filter(|_| self.raw.has_spsc_path::<C>()) else { return };
        self.fetch_ahead(position);
        if let Some(run) = geometry.row(position, FETCH_AHEAD - cell.index() % FETCH_AHEAD, 1) {
            self.run.set(run);
            self.run_from.set(position);
        }
    }

    /// Prefetches the lines of the next records before tail together: otherwise it would wait for
    /// one after the other. Reads tail, in a line that the put side writes, only if what it knows
    /// of it does not reach far enough. Returns how many cells it knows of.
    fn fetch_ahead(&self, position: u64) -> u64 {
        let (geometry, ring) = (self.raw.geometry(), &self.raw.ring);
        let before = |tail: u64| if tail > position { geometry.linear(tail).wrapping_sub(geometry.linear(position)) } else { 0 };
        let mut ready = before(self.tail_seen.get());
        if ready < FETCH_AHEAD {
            self.tail_seen.set(ring.memory.put_side().tail.load(Relaxed));
            ready = before(self.tail_seen.get());
        }
        if let Some(first) = geometry.cell(position) {
            ring.memory.prefetch_read(first, ready.min(geometry.cells_to_end(position)).min(FETCH_AHEAD));
        }
        ready
    }

    /// Messages since it last caught up, which it has now.
    fn take_run(&self) -> u64 {
        let number = self.place.get().number;
        number.wrapping_sub(self.caught_up_at.replace(number))
    }

    /// The pause of a task whose first try found nothing: before it tries again, and waits.
    #[cfg(feature = "async")]
    pub fn gather_for_poll(&self) {
        self.raw.gather_records_for_poll(self.take_run(), self.gather_spins.get());
    }

    /// The one blocking path: tries until there is something, or time is up.
    #[cold]
    pub(super) fn wait_for<R>(&self, wait: Wait, attempt: &mut dyn FnMut() -> Tried<R>) -> Result<R, GetError> {
        self.check()?;
        self.end_forgotten_sample();
        let raw = &*self.raw;
        if let Some(found) = attempt()? {
            return Ok(found);
        }
        let mut waiter = raw.waiter(wait, Verb::Get);
        let mut ready = || self.is_ready_to_read();
        loop {
            if raw.is_poisoned() {
                return Err(GetError::Poisoned);
            }
            if raw.is_closed() && raw.put_side_is_quiet(self.me) {
                // Final: no publish is under way any more. An open loan may still be committed.
                if let Some(found) = attempt()? {
                    return Ok(found);
                }
                if self.is_at_end() {
                    return Err(GetError::Closed);
                }
            }
            if !wait.is_try() {
                self.wake_before_sleep();
            }
            let step = waiter.next(&mut ready);
            if step == Step::Interrupted {
                // It has tried since its last sleep. Nothing is read any more: the process may be a
                // child of the subscriber's.
                return Err(GetError::Interrupted);
            }
            if step == Step::Probe {
                self.probe();
            }
            if let Some(found) = attempt()? {
                return Ok(found);
            }
            match step {
                Step::GiveUp if wait.is_try() => return Err(GetError::Empty),
                Step::GiveUp => {
                    raw.count_timeout(Verb::Get);
                    return Err(GetError::Timeout);
                }
                Step::Interrupted | Step::CheckAgain | Step::Probe => {}
            }
        }
    }

    /// A slice has passed: is the loan before it that of a dead process, or has the last publisher
    /// died?
    pub fn probe(&self) {
        self.raw.probe_for_reader(self.place.get().position, self.me, Deadline::NEVER);
    }
}

/// Copies the record of a `T`, which may be torn and is discarded then.
///
/// # Safety
/// `to` leads to room for a T as long as the reader is used, which nothing else touches meanwhile.
unsafe fn copy_to<T: Message>(to: *mut T) -> impl FnMut(*const u8, usize) -> Result<(), GetError> {
    move |from, length| {
        // SAFETY: the record's length is that of a T, in whole words; the caller of `copy_to` promises
        // as much room.
        unsafe { load_words(from, to.cast(), length.min(size_of::<T>())) };
        Ok(())
    }
}

fn whole<X>(length: usize) -> Result<usize, GetError> {
    if length % size_of::<X>() == 0 { Ok(length / size_of::<X>()) } else { Err(GetError::Corrupted) }
}

pub(super) fn copy_to_vec<X: Plain>(from: *const u8, length: usize) -> Result<Vec<X>, GetError> {
    let mut copy = Vec::new();
    copy_into(from, length, &mut copy)?;
    Ok(copy)
}

/// Replaces what is in `copy`.
fn copy_into<X: Plain>(from: *const u8, length: usize, copy: &mut Vec<X>) -> Result<(), GetError> {
    let count = whole::<X>(length)?;
    copy.clear();
    copy.reserve(count);
    // SAFETY: the record has `length` bytes in whole words, and the vector room for as many; any
    // bits are an X (Plain). What is torn is discarded.
    unsafe {
        load_words(from, copy.as_mut_ptr().cast(), length);
        copy.set_len(count);
    }
    Ok(())
}

pub(super) fn copy_to_buffer<X: Plain>(from: *const u8, length: usize, buffer: &mut [X]) -> Result<usize, GetError> {
    let (needed, given) = (whole::<X>(length)?, buffer.len());
    if needed > given {
        return Err(GetError::TooSmall { needed, given });
    }
    // SAFETY: the record has `length` bytes in whole words, and the buffer room for as many; any
    // bits are an X (Plain), torn ones as well.
    unsafe { load_words(from, buffer.as_mut_ptr().cast(), length) };
    Ok(needed)
}
