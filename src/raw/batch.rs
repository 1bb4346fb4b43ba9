//! Batches by copy: many messages of one size for one entry of the side, in bursts
//! (`ring/burst.rs`).

use super::copy::check_written;
use super::delivery::{Delivery, ToAll, ToOne};
use super::letters::Next;
use super::{RawQueue, SMALL_COPY_BYTES, add};
use crate::error::{GetError, PutError};
use crate::message::copy::{copy_out, read_message};
use crate::message::{Message, bytes_of};
use crate::ring::{RECLAIM_AHEAD, Record};
use crate::shm::participant::Id;
use crate::wait::Wait;
use std::mem::MaybeUninit;
use std::ptr;

/// Bytes that a batch moves in one entry: bounds how long it holds the lock.
const BATCH_BYTES: usize = 64 << 10;

/// Messages of `length` bytes that a batch moves in one entry.
#[inline]
pub(super) fn batch_limit(length: usize) -> usize {
    (BATCH_BYTES / length.max(16)).max(1)
}

/// Moves messages one by one until one fails. Returns how many moved, or the error of the first.
pub(super) fn moved_or<E>(count: usize, mut move_one: impl FnMut(usize) -> Result<(), E>) -> Result<usize, E> {
    for moved in 0..count {
        match move_one(moved) {
            Ok(()) => {}
            Err(error) if moved == 0 => return Err(error),
            Err(_) => return Ok(moved),
        }
    }
    Ok(count)
}

/// Verdict on a message that a batch copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judged {
    Taken,
    /// The message is taken and ends the batch.
    TakenAsLast,
    /// The batch ends before this message.
    Left,
}

impl RawQueue {
    /// Puts values of one size; one entry moves as many as there is room for.
    #[inline]
    pub(crate) fn put_values<const OWNED: bool, T>(&self, me: Id, values: &[T], wait: Wait) -> Result<usize, PutError>
    where
        T: Message,
    {
        self.put_batch::<ToOne, OWNED>(me, values.len(), size_of::<T>(), wait, |i, to| {
            let bytes = bytes_of(std::slice::from_ref(&values[i]));
            // SAFETY: the put side gave `to` to this call alone, and a sized ring's records have
            // room for `size_of::<T>()` bytes, the length of `bytes`.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        })
    }

    /// The same to all subscribers of a topic.
    #[inline]
    pub(crate) fn publish_values<const OWNED: bool, T>(&self, me: Id, values: &[T], wait: Wait) -> Result<usize, PutError>
    where
        T: Message,
    {
        self.put_batch::<ToAll, OWNED>(me, values.len(), size_of::<T>(), wait, |i, to| {
            // SAFETY: the put side gave `to` to this call alone, and a sized ring's records have
            // room for a T in whole words.
            unsafe { ToAll::write(&values[i], to) }
        })
    }

    /// Puts up to `count` messages of one size, one after the other: `write(i, to)` copies message
    /// `i`. One entry and one wake for as many as there is room for; blocks for more until all have
    /// moved. `Ok` is how many moved; an error means none.
    pub(super) fn put_batch<D: Delivery, const OWNED: bool>(
        &self,
        me: Id,
        count: usize,
        length: usize,
        wait: Wait,
        write: impl Fn(usize, *mut u8),
    ) -> Result<usize, PutError> {
        if count == 0 {
            return Ok(0);
        }
        if !OWNED && length > SMALL_COPY_BYTES {
            return moved_or(count, |i| self.put_large::<D>(me, length, wait, &|to| write(i, to)));
        }
        let limit = batch_limit(length);
        let mut moved = 0;
        while moved < count {
            let before = moved;
            let upto = count.min(before + limit);
            self.await_room(wait);
            let outcome = if self.try_enter_put::<OWNED>(&self.ring, me) {
                D::entered();
                moved += self.fill(upto - before, length, &|i, to| write(before + i, to));
                self.exit_put::<OWNED>(me).map_err(PutError::from)
            } else {
                Ok(())
            };
            if moved == before && outcome.is_ok() {
                let outcome = self.with_slot::<OWNED, ()>(me, length as u32, wait, &mut |slot| {
                    moved += self.fill(upto - before, length, &|i, to| write(before + i, to));
                    // Cursors of garbage may leave a slot and no burst: each turn must move one.
                    if moved == before {
                        write(before, self.ring.memory.payload(slot.cell));
                        self.ring.commit(slot);
                        moved += 1;
                    }
                });
                if let Err(error) = outcome {
                    return if moved == 0 { Err(error) } else { Ok(moved) };
                }
            }
            self.notify_not_empty(D::wakes((moved - before) as u32));
            if let Err(error) = outcome {
                return if moved == 0 { Err(error) } else { Ok(moved) };
            }
        }
        Ok(moved)
    }

    /// Puts as many of `count` sized messages as there is room for, in bursts. Needs the put side.
    #[inline(always)]
    fn fill(&self, count: usize, length: usize, write: &impl Fn(usize, *mut u8)) -> usize {
        let ring = self.ring;
        let mut filled = 0;
        let mut may_reclaim = true;
        while filled < count {
            let left = (count - filled) as u64;
            // For the whole burst before a part of it is put; once without success is enough.
            if may_reclaim && ring.room_reclaimed() < left {
                may_reclaim = self.make_room(RECLAIM_AHEAD.max(left)) && self.topic.is_none();
            }
            let burst = ring.burst_at_tail(left);
            if burst.count() == 0 {
                break;
            }
            let write = |nth, cell| write(filled + nth, ring.memory.payload(cell));
            ring.commit_burst(burst, burst.count(), length as u32, write);
            filled += burst.count() as usize;
        }
        filled
    }

    /// Gets up to `values.len()` sized values, at least one. A message with an invalid bit pattern
    /// ends the batch: the first is taken and reported as [`GetError::Invalid`], a later one is
    /// left for the next call, so that each is reported, and counts as taken, once.
    #[inline]
    pub(crate) fn get_values<const OWNED: bool, T>(&self, me: Id, values: &mut [T], wait: Wait) -> Result<usize, GetError>
    where
        T: Message,
    {
        if self.has_dead_letters() || (!OWNED && size_of::<T>() > SMALL_COPY_BYTES) {
            return self.get_values_on_lease::<OWNED, T>(me, values, wait);
        }
        let mut invalid = false;
        let mut kept = 0;
        let mut staged = None;
        self.get_batch::<OWNED>(me, values.len(), wait, |from| {
            let (from, to) = (from.cast::<T>(), &mut values[kept]);
            // SAFETY: `get_batch` passes the payload of a record of a `T`, which the store of
            // READY published, and which stays until the batch finishes it.
            let checked = unsafe {
                if size_of::<T>() <= SMALL_COPY_BYTES { replace_small(to, from) } else { replace_large(to, from, &mut staged) }
            };
            match checked {
                Ok(()) => {
                    kept += 1;
                    Judged::Taken
                }
                Err(_) if kept == 0 => {
                    invalid = true;
                    Judged::TakenAsLast
                }
                Err(_) => Judged::Left,
            }
        })?;
        if invalid { Err(GetError::Invalid) } else { Ok(kept) }
    }

    /// Gets them one by one, each leased before it is checked.
    #[inline(never)]
    fn get_values_on_lease<const OWNED: bool, T>(&self, me: Id, values: &mut [T], wait: Wait) -> Result<usize, GetError>
    where
        T: Message,
    {
        if values.is_empty() {
            return Ok(0);
        }
        // A large value does not fit on the stack.
        let mut copy = Box::<T>::new_uninit();
        moved_or(values.len(), |i| {
            let wait = if i == 0 { wait } else { Wait::Never };
            self.copy_on_lease::<OWNED, T>(me, wait, &mut copy, i > 0)?;
            // SAFETY: the bytes were checked to be a value of T. T is plain data, so the old value
            // needs no drop (see `replace_small`).
            unsafe { ptr::copy_nonoverlapping(copy.as_ptr(), &mut values[i], 1) };
            Ok(())
        })
    }

    /// Gets up to `count` messages by copy in one entry: `judge(from)` copies one and returns its
    /// verdict; it never leaves the first. Blocks until there is one. Only for small messages,
    /// unless the caller is an endpoint.
    pub(super) fn get_batch<const OWNED: bool>(
        &self,
        me: Id,
        count: usize,
        wait: Wait,
        mut judge: impl FnMut(*const u8) -> Judged,
    ) -> Result<usize, GetError> {
        if count == 0 {
            return Ok(0);
        }
        let limit = batch_limit(self.geometry().message_bytes as usize);
        let mut taken = 0;
        let mut came_back = false;
        let mut has_spun = false;
        let mut judged = Judged::Taken;
        if self.is_time_to_probe() {
            // Returned messages precede the ones that this batch would take. An error is reported
            // below.
            let _ = self.probe_for_the_dead::<OWNED>(me, wait);
            self.post_again(wait);
        }
        loop {
            if self.try_enter_get::<OWNED>(&self.ring, me) {
                (taken, judged) = self.drain(count.min(limit), &mut judge);
                let exited = self.exit_get::<OWNED>(me);
                if taken == 0 {
                    exited?;
                }
            }
            if taken != 0 || has_spun || !self.await_message::<OWNED>(wait) {
                break;
            }
            has_spun = true;
        }
        if taken == 0 {
            let take_any = |record: Record, judge: &mut dyn FnMut(*const u8) -> Judged| {
                let judged = judge(self.ring.memory.payload(record.cell));
                let came_back = judged != Judged::Left && self.take_copied(record);
                (judged, came_back)
            };
            let outcome = self.with_record::<OWNED, _>(me, wait, &mut |record| {
                (judged, came_back) = take_any(record, &mut judge);
                taken = 1;
                // Returned messages precede those at head.
                while judged == Judged::Taken && taken < count.min(limit) && self.ring.has_returned() {
                    // A message to be given up waits for a call that holds no side.
                    let Ok(Next::Message(record)) = self.next_record(me) else { return };
                    let (judged_now, came_back_now) = take_any(record, &mut judge);
                    judged = judged_now;
                    came_back |= came_back_now;
                    taken += usize::from(judged != Judged::Left);
                }
                if judged == Judged::Taken {
                    let more;
                    (more, judged) = self.drain(count.min(limit) - taken, &mut judge);
                    taken += more;
                }
            });
            // The messages are taken, whatever follows: the next call reports an error.
            if taken == 0 {
                outcome?;
            }
        }
        // One entry takes no more than the limit; a caller that wants more enters again, and does
        // not wait.
        while judged == Judged::Taken && taken < count && taken % limit == 0 && self.try_enter_get::<OWNED>(&self.ring, me) {
            let more;
            (more, judged) = self.drain((count - taken).min(limit), &mut judge);
            taken += more;
            if self.exit_get::<OWNED>(me).is_err() || more == 0 {
                break;
            }
        }
        // More room than this batch took may be free: a returned message was the oldest of several.
        self.notify_not_full(if came_back { u32::MAX } else { taken as u32 });
        if judged == Judged::Left {
            // This call may have received the wake for this message: pass it on, another process
            // may want it.
            self.notify_not_empty(1);
        }
        Ok(taken)
    }

    /// Takes up to `count` sized messages that are ready at head, until `judge` ends the batch.
    /// Returns how many, and the last verdict. Needs the get side.
    #[inline(always)]
    fn drain(&self, count: usize, judge: &mut impl FnMut(*const u8) -> Judged) -> (usize, Judged) {
        self.fetch_ahead(count as u64);
        let ring = self.ring;
        let length = ring.geometry.message_bytes as u32;
        let mut drained = 0;
        let mut judged = Judged::Taken;
        while drained < count && judged == Judged::Taken {
            let burst = ring.burst_at_head((count - drained) as u64);
            let mut taken = 0;
            for cell in ring.burst_cells(burst).take_while(|&cell| ring.is_ready(cell, length)) {
                judged = judge(ring.memory.payload(cell));
                taken += u64::from(judged != Judged::Left);
                if judged != Judged::Taken {
                    break;
                }
            }
            ring.take_burst(burst, taken, length);
            add(&ring.memory.head().get.copies, taken);
            drained += taken as usize;
            if taken == 0 || taken < burst.count() {
                break;
            }
        }
        (drained, judged)
    }
}

/// Overwrites a value with a record's message, if its bits are a valid value. T is plain data: the
/// old value needs no drop, and no code of the caller runs under the lock.
///
/// # Safety
/// `from` points to the payload of a record of a `T`.
#[inline]
unsafe fn replace_small<T>(value: &mut T, from: *const T) -> Result<(), GetError>
where
    T: Message,
{
    // SAFETY: the caller passes the payload of a record of a `T`, so `read_message` writes all
    // bytes of the copy; `check_written` finds them to be a value of T before `assume_init`.
    unsafe {
        let copy = read_message(from);
        check_written(&copy)?;
        ptr::from_mut(value).write(copy.assume_init());
    }
    Ok(())
}

/// Overwrites it in the same way, through a box that is allocated at the first message: a large
/// message does not fit on the stack. Must not run under a lock (see `get_batch`).
///
/// # Safety
/// As [`replace_small`].
#[inline(never)]
unsafe fn replace_large<T>(value: &mut T, from: *const T, staged: &mut Option<Box<MaybeUninit<T>>>) -> Result<(), GetError>
where
    T: Message,
{
    let copy = staged.get_or_insert_with(Box::new_uninit);
    // SAFETY: the caller passes the payload of a record of a `T`, so `copy_out` writes all bytes of
    // the boxed copy; `check_written` finds them to be a value of T before `value` is overwritten.
    unsafe {
        copy_out(from.cast(), copy.as_mut_ptr().cast(), size_of::<T>());
        check_written(copy)?;
        ptr::copy_nonoverlapping(copy.as_ptr(), value, 1);
    }
    Ok(())
}
