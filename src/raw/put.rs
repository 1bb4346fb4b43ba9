//! Putting: the ways into the put side, and messages put by copy, alone and in batches.

use super::delivery::{Delivery, ToOne};
use super::stats::Verb;
use super::ticket::{HeldTicket, Ticket};
use super::{Failure, Mapped, RawQueue, SMALL_COPY_BYTES, Wait, add};
use crate::error::PutError;
use crate::lock::Locked;
use crate::message::{Message, Travel};
use crate::os::Deadline;
use crate::raw::BY_LOCK;
use crate::ring::{NoRoom, Ring, Slot};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::participant::Id;
use crate::wait::{OnUnwind, Step, TRY_LOCK_NS};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

impl RawQueue {
    /// The put side's fast entry (Invariant 1). `false`: take the slow path.
    #[inline(always)]
    pub(super) fn try_enter_put<const OWNED: bool>(&self, ring: &Ring<Mapped>, me: Id) -> bool {
        let head = ring.memory.head();
        let side = &head.put;
        if OWNED {
            // Store `busy`, then load `closed` (Dekker): the closer runs the heavy barrier between
            // its store and its load, so at least one of the two sees the other.
            side.busy.store(1, Relaxed);
        } else if !self.locks().put(head).try_lock(me) {
            return false;
        }
        self.barrier().light();
        let expected_owner = if OWNED { me.bits() } else { 0 };
        // Acquire pairs with the Release of an endpoint that leaves: its cursors come with the 0.
        // Free on x86.
        let free = side.owner.load(Acquire) == expected_owner
            && side.ticket.load(Relaxed) == 0
            && head.put_notice.closed.load(Relaxed) == 0;
        if !free {
            let _ = self.exit_put_of::<OWNED>(ring, me);
        }
        free
    }

    #[inline(always)]
    pub(super) fn exit_put_of<const OWNED: bool>(&self, ring: &Ring<Mapped>, me: Id) -> Result<(), Failure> {
        if OWNED {
            // Release: a process that loads busy 0 sees all that was committed.
            ring.memory.head().put.busy.store(0, Release);
            Ok(())
        } else {
            self.locks().put(ring.memory.head()).unlock(me).map_err(|_| self.poison())
        }
    }

    pub(super) fn exit_put<const OWNED: bool>(&self, me: Id) -> Result<(), Failure> {
        self.exit_put_of::<OWNED>(&self.ring, me)
    }

    /// The put side's slow entry: waits for the lock, repairs what a dead process left,
    /// or returns why the side cannot be entered.
    #[cold]
    pub(super) fn enter_put<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<(), PutError> {
        if self.is_poisoned() {
            return Err(PutError::Poisoned);
        }
        let side = &self.head().put;
        if OWNED {
            side.busy.store(1, Relaxed);
            if side.owner.load(Relaxed) != me.bits() {
                side.busy.store(0, Release);
                return Err(self.poison().into());
            }
        } else {
            self.lock_put(me, wait).inspect_err(|failure| {
                if matches!(failure, Failure::Timeout) {
                    self.count_timeout(Verb::Put);
                }
            })?;
        }
        self.barrier().light();
        if self.is_closed() {
            self.exit_put::<OWNED>(me)?;
            // A getter may have gone to sleep because we were at work.
            self.notify_not_empty(u32::MAX);
            return Err(PutError::Closed);
        }
        Ok(())
    }

    /// Locks the put side for one that is not its endpoint; repairs it if its holder or its
    /// endpoint died.
    pub(super) fn lock_put(&self, me: Id, wait: Wait) -> Result<(), Failure> {
        match self.lock_put_beside_endpoint(me, wait)? {
            None => Ok(()),
            Some(owner) => {
                let _ = self.locks().put(self.head()).unlock(me);
                Err(Failure::Held { pid: crate::shm::participant::pid_of(self.segment(), owner) })
            }
        }
    }

    /// Locks it in the same way, also while a live endpoint has the side, which is returned: then
    /// the caller has the lock alone, and not the side.
    pub(super) fn lock_put_beside_endpoint(&self, me: Id, wait: Wait) -> Result<Option<Id>, Failure> {
        let lock = self.locks().put(self.head());
        let locked = if lock.try_lock(me) { Locked::Clean } else { self.wait_for_lock(lock, me, wait)? };
        let owner = Id::from_bits(self.head().put.owner.load(Acquire));
        let settled = match owner {
            // A live endpoint moves the cursors: the process that finds it dead repairs them.
            Some(owner) if self.is_alive(owner, me) => Ok(Some(owner)),
            None if locked == Locked::Clean => Ok(None),
            _ => self.repair_put_side(me).map(|()| None),
        };
        settled.inspect_err(|_| {
            let _ = lock.unlock(me);
        })
    }

    /// Gives the put side's lock back.
    pub(super) fn unlock_put(&self, me: Id) -> Result<(), Failure> {
        self.exit_put::<BY_LOCK>(me)
    }

    /// Puts one message by copy, as `me`: an endpoint's id, or this process's.
    #[inline(always)]
    pub(crate) fn put<const OWNED: bool, T>(&self, me: Id, message: &T, wait: Wait) -> Result<(), PutError>
    where
        T: ?Sized + Message,
    {
        self.put_by::<ToOne, OWNED, T>(me, message, wait)
    }

    /// The same to whichever reads it.
    #[inline(always)]
    pub(crate) fn put_by<D, const OWNED: bool, T>(&self, me: Id, message: &T, wait: Wait) -> Result<(), PutError>
    where
        D: Delivery,
        T: ?Sized + Message,
    {
        self.put_as::<D, OWNED, T>(T::IS_SIZED, me, message, wait)
    }

    /// The same in a ring that is one of records of one size, or is not. In one of a size, the
    /// message is as long as its records.
    #[inline(always)]
    pub(super) fn put_as<D, const OWNED: bool, T>(&self, sized: bool, me: Id, message: &T, wait: Wait) -> Result<(), PutError>
    where
        D: Delivery,
        T: ?Sized + Message,
    {
        let length = size_of_val(message);
        if !sized && length as u64 > self.geometry().max_message_bytes() {
            return self.put_spilled::<OWNED>(me, length, wait, &|to| {
                // SAFETY: the file has room for `length` bytes, and belongs to this call until its
                // record is committed. (Only queues spill, whose messages are written as bytes.)
                unsafe { ToOne::write(message, to) }
            });
        }
        // SAFETY: the record has room for `length` bytes (Invariant 2): a sized ring was opened for
        // messages of this type, or the caller compared the length with its geometry, and a slice
        // was just compared with the ring's limit. The record belongs to this call until it is
        // committed.
        let write = |to: *mut u8| unsafe { D::write(message, to) };
        if !OWNED && length > SMALL_COPY_BYTES {
            return self.put_large::<D>(me, length, wait, &write);
        }
        // A copy: what never changes stays in registers while atomics are stored. So it must not
        // meet a call that is not inlined.
        let ring = self.ring;
        if self.try_enter_put::<OWNED>(&ring, me) {
            D::entered();
            let slot = match sized {
                true => ring.reserve_at_once::<SIZED_RING>(length as u32),
                false => ring.reserve_at_once::<SLICE_RING>(length as u32),
            };
            if let Some(slot) = slot {
                write(ring.memory.payload(slot.cell));
                if !sized {
                    add(&ring.memory.head().put.bytes_put, length as u64);
                }
                let position = if sized { 0 } else { self.put_position() };
                ring.commit(slot);
                if !sized {
                    D::note_newest(self, position);
                }
                // An error has woken all.
                self.exit_put_of::<OWNED>(&ring, me)?;
                // No fence before it: `os/membarrier.rs`, "Why there is no fence in put" in
                // `ARCHITECTURE.md`.
                self.notify_not_empty(D::wakes(1));
                return Ok(());
            }
            self.exit_put_of::<OWNED>(&ring, me)?;
        }
        // Another copy of the closure: a reference to it would keep what it captures in memory.
        let write_slowly = write;
        self.put_slow::<D, OWNED>(me, length, wait, &write_slowly)
    }

    /// One try of a put that keeps its place in line between several tries.
    #[cfg(feature = "async")]
    #[inline]
    pub(crate) fn put_at_once<D, const OWNED: bool, T>(&self, me: Id, message: &T, ticket: &mut Ticket) -> Result<(), PutError>
    where
        D: Delivery,
        T: ?Sized + Message,
    {
        let length = size_of_val(message);
        if T::IS_SIZED || length as u64 > self.geometry().max_message_bytes() || !self.is_large(length as u32) {
            return self.put_by::<D, OWNED, T>(me, message, Wait::AtOnce);
        }
        let claimed = self.claim_at_once_by::<OWNED>(me, length, ticket)?;
        // SAFETY: the record has room for `length` bytes (Invariant 2), and belongs to this call.
        unsafe { D::write(message, claimed.payload) };
        D::commit(self, claimed, length)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn put_slow<D: Delivery, const OWNED: bool>(
        &self,
        me: Id,
        length: usize,
        wait: Wait,
        write: &dyn Fn(*mut u8),
    ) -> Result<(), PutError> {
        if !OWNED {
            // An endpoint has waited for room before.
            self.await_room(wait);
        }
        self.with_slot::<OWNED, ()>(me, length as u32, wait, &mut |slot| {
            write(self.ring.memory.payload(slot.cell));
            if !self.geometry().sized {
                add(&self.head().put.bytes_put, length as u64);
            }
            let position = self.put_position();
            self.ring.commit(slot);
            D::note_newest(self, position);
        })?;
        self.notify_not_empty(D::wakes(1));
        Ok(())
    }

    /// A large copy goes through a loan: no lock is held while bytes move.
    #[cold]
    pub(super) fn put_large<D: Delivery>(
        &self,
        me: Id,
        length: usize,
        wait: Wait,
        write: &dyn Fn(*mut u8),
    ) -> Result<(), PutError> {
        let claimed = self.claim_slow::<BY_LOCK>(Some(me), length, wait)?;
        write(claimed.payload);
        D::commit(self, claimed, length)
    }

    /// The one blocking path of the put side: enters it, finds room for `length` bytes, lets `act`
    /// use it, exits. A caller that goes without room passes on the wake that it may have had for
    /// it.
    #[cold]
    pub(super) fn with_slot<const OWNED: bool, R>(
        &self,
        me: Id,
        length: u32,
        wait: Wait,
        act: &mut dyn FnMut(Slot) -> R,
    ) -> Result<R, PutError> {
        // Given back also if the check of a stop panics.
        let mut held = HeldTicket { raw: self, ticket: Ticket::default() };
        self.with_slot_by::<OWNED, R>(me, length, wait, &mut held.ticket, act)
    }

    /// The same, for a caller that keeps its ticket between several tries.
    pub(super) fn with_slot_by<const OWNED: bool, R>(
        &self,
        me: Id,
        length: u32,
        wait: Wait,
        ticket: &mut Ticket,
        act: &mut dyn FnMut(Slot) -> R,
    ) -> Result<R, PutError> {
        // In a child that the check of a stop forked the wake was its parent's.
        let mut pass_on = || {
            if self.is_me(me) && self.sees_room(length) {
                self.notify_not_full(1);
            }
        };
        let unwinding = OnUnwind::new(&mut pass_on);
        let found = self.find_slot::<OWNED, R>(me, length, wait, ticket, act);
        unwinding.forget();
        if matches!(&found, Err(error) if !matches!(error, PutError::Full)) {
            pass_on();
        }
        found
    }

    /// Would a message of `length` bytes probably find room?
    pub(super) fn sees_room(&self, length: u32) -> bool {
        if let Some(topic) = self.topic() {
            return topic.is_held(length, self.leaves_out()) == Ok(false);
        }
        // Where its side is not ours to try, a Consumer steps over aborted records itself, when it
        // gets.
        self.ring.has_room(length, self.is_get_side_open()).unwrap_or(true)
    }

    fn find_slot<const OWNED: bool, R>(
        &self,
        me: Id,
        length: u32,
        wait: Wait,
        ticket: &mut Ticket,
        act: &mut dyn FnMut(Slot) -> R,
    ) -> Result<R, PutError> {
        let mut waiter = self.waiter(wait, Verb::Put);
        self.note_role(me, Verb::Put);
        let mut probes = false;
        let mut stuck = 0u32;
        let mut busy_at = None;
        let may_make_room = |ticket: &Ticket| !ticket.must_wait(self) && self.sees_room(length);
        loop {
            self.enter_put::<OWNED>(me, wait)?;
            let room = if ticket.must_wait_for_the_living(self, me) {
                Err(NoRoom::Full)
            } else {
                self.reserve_or_make_room::<OWNED>(me, length, probes)
            };
            match room {
                Ok(slot) => {
                    let result = act(slot);
                    ticket.give_back(self);
                    self.exit_put::<OWNED>(me)?;
                    self.report_events();
                    return Ok(result);
                }
                Err(NoRoom::Corrupted) => {
                    let _ = self.exit_put::<OWNED>(me);
                    return Err(PutError::Corrupted);
                }
                Err(NoRoom::Full) => {}
            }
            // A future's poll is one of several tries.
            if wait != Wait::Never && self.is_large(length) {
                ticket.draw_or_renew(self, me);
            }
            if let Some(topic) = self.topic() {
                // Garbage is reported by the next try.
                let _ = topic.ask_for_wake(length);
            }
            let freed = probes && self.free_stopper::<OWNED>(me, length);
            self.exit_put::<OWNED>(me)?;
            if freed {
                self.notify_not_empty(u32::MAX);
            }
            let has_other_owner = || self.head().put.owner.load(Relaxed) != if OWNED { me.bits() } else { 0 };
            let mut ready = || self.is_closed() || has_other_owner() || may_make_room(ticket);
            if !wait.is_try() {
                // Room that could not be had, twice: aborted records hold it, and another process
                // is inside the get side.
                stuck = if ready() { stuck + 1 } else { 0 };
                waiter.nap(stuck);
            }
            match waiter.next(&mut ready) {
                Step::Interrupted => return Err(PutError::Interrupted),
                Step::GiveUp if !wait.is_try() => {
                    self.count_timeout(Verb::Put);
                    return Err(PutError::Timeout);
                }
                Step::GiveUp if !may_make_room(ticket) => {
                    if wait == Wait::Never {
                        self.count_refusal();
                    }
                    return Err(PutError::Full);
                }
                // Only the get side is missing, and no process that runs stays in there for long.
                Step::GiveUp if wait == Wait::AtOnce => return Err(PutError::Busy),
                Step::GiveUp if busy_at.get_or_insert_with(|| Deadline::in_ns(TRY_LOCK_NS)).has_passed() => {
                    return Err(PutError::Busy);
                }
                Step::GiveUp => std::thread::yield_now(),
                step => probes = step == Step::Probe,
            }
            if probes {
                self.close_if_unused(me);
            }
        }
    }

    /// A message that needs an eighth of the ring or more could starve behind small ones.
    pub(super) fn is_large(&self, length: u32) -> bool {
        !self.geometry().sized && self.is_large_in_cells(self.geometry().record_cells(length as u64))
    }

    pub(super) fn is_large_in_cells(&self, cells: u64) -> bool {
        cells * 8 >= self.geometry().cells
    }

    fn reserve_or_make_room<const OWNED: bool>(&self, me: Id, length: u32, probes: bool) -> Result<Slot, NoRoom> {
        if self.topic.is_some() {
            return self.reserve_of_topic(length);
        }
        let mut room = self.ring.reserve(length);
        while matches!(room, Err(NoRoom::Full)) && self.end_stopping_views::<OWNED>(me)? {
            room = self.ring.reserve(length);
        }
        match room {
            Err(NoRoom::Full) if self.make_room_of_skipped(me, probes)? => self.ring.reserve(length),
            room => room,
        }
    }
}
