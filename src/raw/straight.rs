//! Values straight between the ring and the caller's code, by endpoints: no slice in between.
//!
//! ```text
//!   put_each:  room for a burst --values of the iterator--> free cells --enter, publish, exit--> ..
//!   get_each:  --enter, find a burst, exit--> message --copy--> closure --enter, take, exit--> ..
//! ```
//!
//! Invariants:
//! 1. The caller's code (an iterator, a closure, a destructor) runs while the side is not busy and
//!    no lock is held: it may panic, block, fork, and call any verb of the same queue. It cannot
//!    call the same endpoint, which is borrowed mutably.
//! 2. Between two calls of a Producer the free cells from tail on stay its own: while it lives, no
//!    other process moves tail or reclaim, or reads behind the FREE word at tail (Ring,
//!    Invariants 1 and 2).
//! 3. Between two calls of a Consumer a message at head, and the READY ones behind it, stay where
//!    they are: a putter that holds the Consumer off moves head over records that are DONE, and no
//!    farther (ring, `retreat`). That the first is at head must be seen inside a call.
//! 4. What the caller's code gave, or was given, is put, or taken, also if it panics next.
//! 5. A forked child touches neither cells nor cursors, also if the fork happens in the caller's
//!    code: the endpoint's incarnation is compared behind each call of it.

use super::batch::batch_limit;
use super::copy::check_written;
use super::{BY_OWNER, Ends, LeasedRecord, RawQueue, SideOwner, Wait, add};
use crate::error::{GetError, PutError};
use crate::message::Message;
use crate::message::copy::{copy_message, read_message};
use crate::ring::{Burst, RECLAIM_AHEAD};
use crate::shm::letter::Reason;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::Relaxed;

/// Longest burst of these calls: bounds what waits for a slow iterator or closure, and what is
/// delivered again if its process dies.
const LONGEST_BURST: usize = 64;
/// For how long a burst that the closure was given waits for a putter that holds the Consumer off
/// and is stopped. It is taken then, or delivered again.
const TAKE_NS: u64 = 1_000_000_000;

/// Values in free cells at tail, not yet published. Dropping it publishes them (Invariant 4).
struct Written<'a> {
    raw: &'a RawQueue,
    owner: &'a SideOwner,
    burst: Burst,
    count: u64,
}

impl Written<'_> {
    #[inline]
    fn publish(&mut self) -> Result<(), PutError> {
        let count = std::mem::take(&mut self.count);
        let (raw, me) = (self.raw, self.owner.me);
        if count == 0 {
            return Ok(());
        }
        raw.check(self.owner)?;
        if !raw.try_enter_put::<BY_OWNER>(&raw.ring, me) {
            raw.enter_put::<BY_OWNER>(me, Wait::Never)?;
        }
        raw.ring.commit_burst(self.burst, count, raw.geometry().message_bytes as u32, |_, _| ());
        // The messages are put, whatever follows: the next call reports an error.
        let _ = raw.exit_put::<BY_OWNER>(me);
        raw.notify_not_empty(count as u32);
        Ok(())
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        let _ = self.publish();
    }
}

/// Messages at head that the closure was given, not yet taken. Dropping it takes them
/// (Invariant 4).
struct Seen<'a> {
    raw: &'a RawQueue,
    owner: &'a SideOwner,
    burst: Burst,
    count: u64,
}

impl Seen<'_> {
    #[inline]
    fn take(&mut self) -> Result<(), GetError> {
        let count = std::mem::take(&mut self.count);
        let (raw, me) = (self.raw, self.owner.me);
        if count == 0 {
            return Ok(());
        }
        raw.check(self.owner)?;
        if !raw.try_enter_get::<BY_OWNER>(&raw.ring, me) {
            // Messages came back, which changes nothing here, or a putter holds the side.
            raw.enter_get::<BY_OWNER>(me, Wait::for_ns(TAKE_NS))?;
        }
        let is_there = raw.ring.begins_at_head(self.burst);
        if is_there {
            raw.ring.take_burst(self.burst, count, raw.geometry().message_bytes as u32);
            add(&raw.head().get.copies, count);
        }
        let _ = raw.exit_get::<BY_OWNER>(me);
        raw.notify_not_full(count as u32);
        if is_there { Ok(()) } else { Err(GetError::Corrupted) }
    }
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        let _ = self.take();
    }
}

/// A message that had come back, on lease while the closure has it. Dropping it finishes the
/// message, which counts as taken by copy.
struct SeenAgain<'a> {
    raw: &'a RawQueue,
    owner: &'a SideOwner,
    record: Option<LeasedRecord>,
}

impl SeenAgain<'_> {
    fn finish(&mut self) -> Result<(), GetError> {
        self.raw.check(self.owner)?;
        self.record.take().map_or(Ok(()), |record| self.raw.finish_copy::<BY_OWNER>(record, Wait::FOREVER))
    }
}

impl Drop for SeenAgain<'_> {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// What a Consumer found at head.
enum Visited {
    Some(usize),
    /// No message, or one that the slow call must find: one that came back, or a dead process's.
    None,
    /// A message whose bits are no value.
    Invalid,
}

impl RawQueue {
    /// Puts the values of an iterator, in bursts, by the put side's endpoint. Asks for its length
    /// before each burst, and waits for room before it takes a value.
    pub(crate) fn put_each<T>(
        &self,
        owner: &SideOwner,
        mut values: impl ExactSizeIterator<Item = T>,
        wait: Wait,
    ) -> Result<usize, PutError>
    where
        T: Message,
    {
        let most = batch_limit(size_of::<T>()).min(LONGEST_BURST);
        let mut put = 0;
        loop {
            let left = values.len().min(most);
            if left == 0 {
                return Ok(put);
            }
            match self.put_burst(owner, left, &mut values, wait) {
                Ok((count, has_ended)) => {
                    put += count;
                    if has_ended {
                        return Ok(put);
                    }
                }
                Err(error) if put == 0 => return Err(error),
                Err(_) => return Ok(put),
            }
        }
    }

    /// Puts up to `most` of the values. Also returns whether the iterator has no more, whatever it
    /// said.
    #[inline]
    fn put_burst<T>(
        &self,
        owner: &SideOwner,
        most: usize,
        values: &mut impl ExactSizeIterator<Item = T>,
        wait: Wait,
    ) -> Result<(usize, bool), PutError>
    where
        T: Message,
    {
        let burst = self.await_burst::<T>(owner, most as u64, wait)?;
        let ring = self.ring;
        let mut written = Written { raw: self, owner, burst, count: 0 };
        for cell in ring.burst_cells(burst) {
            let Some(value) = values.next() else { break };
            self.check(owner)?;
            // SAFETY: a sized ring's records have room for a T behind their headers, and the free
            // cell is this endpoint's (Invariants 2 and 5).
            unsafe { copy_message(&value, ring.memory.payload(cell)) };
            written.count += 1;
        }
        let count = written.count as usize;
        written.publish()?;
        Ok((count, (count as u64) < burst.count()))
    }

    /// Waits for room for one to `most` messages, which is then the endpoint's (Invariant 2).
    fn await_burst<T: Message>(&self, owner: &SideOwner, most: u64, wait: Wait) -> Result<Burst, PutError> {
        self.check(owner)?;
        if self.is_poisoned() || self.head().put.owner.load(Relaxed) != owner.me.bits() {
            return Err(self.poison().into());
        }
        if self.is_closed() {
            return Err(PutError::Closed);
        }
        self.await_room(wait);
        if self.ring.room_reclaimed() < most {
            self.make_room(RECLAIM_AHEAD.max(most));
        }
        let burst = self.ring.burst_at_tail(most);
        if burst.count() > 0 {
            return Ok(burst);
        }
        // A slot that is not used changes nothing, and stays free.
        self.with_slot::<BY_OWNER, ()>(owner.me, size_of::<T>() as u32, wait, &mut |_| ())?;
        let burst = self.ring.burst_at_tail(most);
        if burst.count() > 0 { Ok(burst) } else { Err(PutError::Corrupted) }
    }

    /// Calls `visit` with up to `max` messages, one after the other, by the get side's endpoint.
    /// Blocks until there is one. Each burst is taken when `visit` has returned for all of it.
    pub(crate) fn get_each<T>(
        &self,
        owner: &SideOwner,
        max: usize,
        wait: Wait,
        mut visit: impl FnMut(T),
    ) -> Result<usize, GetError>
    where
        T: Message,
    {
        self.check(owner)?;
        let most = batch_limit(size_of::<T>()).min(LONGEST_BURST);
        if max > 0 && self.is_time_to_probe() {
            // Returned messages precede the ones at head. An error is reported below.
            let _ = self.probe_for_the_dead::<BY_OWNER>(owner.me, wait);
            self.post_again(wait);
        }
        // A message that is visited in a burst stays READY, which counts no deliveries.
        let counts_deliveries = self.max_deliveries != 0;
        let mut got = 0;
        let mut has_spun = false;
        let mut left = false;
        while got < max && counts_deliveries {
            match self.visit_next(owner, if got == 0 { wait } else { Wait::Never }, true, &mut visit) {
                Ok(count) => got += count,
                Err(error) if got == 0 => return Err(error),
                Err(_) => return Ok(got),
            }
        }
        while got < max {
            let outcome = match self.visit_burst(owner, most.min(max - got), &mut visit) {
                Ok(Visited::Some(count)) => Ok(count),
                Ok(_) if got > 0 => return Ok(got),
                Ok(Visited::None) if !has_spun && self.await_message::<BY_OWNER>(wait) => Ok(0),
                Ok(Visited::None) => {
                    let visited = self.visit_next(owner, wait, left, &mut visit);
                    left = true;
                    visited
                }
                Ok(Visited::Invalid) => self.get_value_slowly::<BY_OWNER, T>(owner.me, wait).map(|value| {
                    visit(value);
                    1
                }),
                Err(error) => Err(error),
            };
            has_spun = true;
            match outcome {
                Ok(count) => got += count,
                Err(error) if got == 0 => return Err(error),
                Err(_) => return Ok(got),
            }
        }
        Ok(got)
    }

    #[inline]
    fn visit_burst<T>(&self, owner: &SideOwner, most: usize, visit: &mut impl FnMut(T)) -> Result<Visited, GetError>
    where
        T: Message,
    {
        // The closure of the message before may have forked (Invariant 5).
        self.check(owner)?;
        let ring = self.ring;
        let length = size_of::<T>() as u32;
        if !self.try_enter_get::<BY_OWNER>(&ring, owner.me) {
            return Ok(Visited::None);
        }
        let burst = ring.burst_at_head(most as u64);
        let is_ready = ring.burst_cells(burst).next().is_some_and(|cell| ring.is_ready(cell, length));
        self.exit_get::<BY_OWNER>(owner.me)?;
        if !is_ready || self.is_poisoned() {
            return Ok(Visited::None);
        }
        self.fetch_ahead(burst.count());
        let mut seen = Seen { raw: self, owner, burst, count: 0 };
        for cell in ring.burst_cells(burst).take_while(|&cell| ring.is_ready(cell, length)) {
            // SAFETY: a committed T lies there until it is taken (Invariant 3).
            let copy = unsafe { read_message(ring.memory.payload(cell).cast::<T>()) };
            // SAFETY: all bytes of `copy` were written.
            if unsafe { check_written(&copy) }.is_err() {
                break;
            }
            seen.count += 1;
            // SAFETY: the bytes were just found to be a value of T.
            visit(unsafe { copy.assume_init() });
            self.check(owner)?;
        }
        let count = seen.count as usize;
        seen.take()?;
        Ok(if count == 0 { Visited::Invalid } else { Visited::Some(count) })
    }

    /// Waits for a message. Visits one that had come back; one at head is left for a burst, unless
    /// one was `left` before: words of garbage may keep a burst from being entered or found.
    #[cold]
    fn visit_next<T>(&self, owner: &SideOwner, wait: Wait, left: bool, visit: &mut impl FnMut(T)) -> Result<usize, GetError>
    where
        T: Message,
    {
        let me = owner.me;
        let found = self.with_record::<BY_OWNER, _>(me, wait, &mut |record| {
            (left || record.is_redelivery()).then(|| self.lease_any(record, me))
        });
        let Some(record) = found? else { return Ok(0) };
        // SAFETY: a committed T lies there, on lease to this process (raw, Invariant 4).
        let copy: MaybeUninit<T> = unsafe { read_message(record.payload.cast::<T>()) };
        // SAFETY: all bytes of `copy` were written.
        if unsafe { check_written(&copy) }.is_err() {
            if self.has_dead_letters() {
                let deliveries = record.deliveries();
                self.give_up_to_letters(record, deliveries, Reason::Invalid, Ends::Copied);
            } else {
                self.finish_copy::<BY_OWNER>(record, Wait::FOREVER)?;
            }
            return Err(GetError::Invalid);
        }
        let mut seen = SeenAgain { raw: self, owner, record: Some(record) };
        // SAFETY: the bytes were just found to be a value of T.
        visit(unsafe { copy.assume_init() });
        seen.finish()?;
        Ok(1)
    }
}
