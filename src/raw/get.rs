//! Getting: the entries into the get side, and messages taken by copy, alone and in batches.

use super::letters::Next;
use super::stats::Verb;
use super::{Failure, LeasedRecord, Mapped, RawQueue, SMALL_COPY_BYTES, Wait, add};
use crate::error::GetError;
use crate::lock::Locked;
use crate::raw::BY_LOCK;
use crate::ring::{Front, Header, Record, Repaired, Ring, State};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::participant::Id;
use crate::wait::{OnUnwind, Step};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::compiler_fence;

/// Needs the get side.
#[inline(always)]
pub(super) fn read_and_take<const SIZED: bool, R>(
    ring: &Ring<Mapped>,
    record: Record,
    read: &mut impl FnMut(*const u8, usize) -> R,
) -> R {
    let result = read(ring.memory.payload(record.cell), record.length());
    ring.take(record);
    let side = &ring.memory.head().get;
    add(&side.copies, 1);
    if !SIZED {
        add(&side.bytes_got, record.length() as u64);
    }
    result
}

/// How long the end of a large copy waits for the get lock.
const FINISH_LOCK_NS: u64 = 20_000_000;

/// Decides whether a message of that length would be read, before anything happens to it.
pub(super) type Check<'a> = &'a dyn Fn(usize) -> Result<(), GetError>;

impl RawQueue {
    /// The get side's fast entry (Invariant 1). Returns `false` if the caller must take the slow
    /// path.
    #[inline(always)]
    pub(super) fn try_enter_get<const OWNED: bool>(&self, ring: &Ring<Mapped>, me: Id) -> bool {
        let head = ring.memory.head();
        let side = &head.get;
        if OWNED {
            // Store `busy`, then load the notice (Dekker; ring, `retreat`). A Consumer is held off
            // only if its light barrier is a compiler fence, so that is enough here.
            side.busy.store(1, Relaxed);
            compiler_fence(SeqCst);
        } else if !self.locks().get(head).try_lock(me) {
            return false;
        }
        let expected_owner = if OWNED { me.bits() } else { 0 };
        // Acquire pairs with the Release of an endpoint that leaves: its cursors come with the 0.
        // Costs nothing on x86.
        let free = side.owner.load(Acquire) == expected_owner && !ring.may_hold_returned();
        if !free {
            let _ = self.exit_get_of::<OWNED>(ring, me);
        }
        free
    }

    #[inline(always)]
    pub(super) fn exit_get_of<const OWNED: bool>(&self, ring: &Ring<Mapped>, me: Id) -> Result<(), Failure> {
        if OWNED {
            ring.memory.head().get.busy.store(0, Release);
            Ok(())
        } else {
            self.locks().get(ring.memory.head()).unlock(me).map_err(|_| self.poison())
        }
    }

    pub(super) fn exit_get<const OWNED: bool>(&self, me: Id) -> Result<(), Failure> {
        self.exit_get_of::<OWNED>(&self.ring, me)
    }

    #[cold]
    pub(super) fn enter_get<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<(), GetError> {
        if self.is_poisoned() {
            return Err(GetError::Poisoned);
        }
        if !OWNED {
            self.lock_get(me, wait).inspect_err(|failure| {
                if matches!(failure, Failure::Timeout) {
                    self.count_timeout(Verb::Get);
                }
            })?;
            if self.ring.is_held_off() {
                // A Consumer that was held off has left since.
                self.ring.let_by();
            }
            return Ok(());
        }
        let side = &self.head().get;
        side.busy.store(1, Relaxed);
        self.barrier().light();
        if side.owner.load(Relaxed) != me.bits() {
            side.busy.store(0, Release);
            return Err(self.poison().into());
        }
        if self.ring.is_held_off() {
            self.wait_for_putter(me, wait)?;
        }
        Ok(())
    }

    /// Locks the get side for a caller that is not its endpoint; repairs it if its holder or its
    /// endpoint died.
    pub(super) fn lock_get(&self, me: Id, wait: Wait) -> Result<(), Failure> {
        self.lock_get_and_repair(me, wait).map(drop)
    }

    /// Locks it in the same way, and returns what the repair freed.
    pub(super) fn lock_get_and_repair(&self, me: Id, wait: Wait) -> Result<Repaired, Failure> {
        let lock = self.locks().get(self.head());
        let locked = if lock.try_lock(me) { Locked::Clean } else { self.wait_for_lock(lock, me, wait)? };
        let side = &self.head().get;
        let owner = Id::from_bits(side.owner.load(Acquire));
        let settled = match owner {
            Some(owner) if self.is_alive(owner, me) => {
                Err(Failure::Held { pid: crate::shm::participant::pid_of(self.segment(), owner) })
            }
            None if locked == Locked::Clean => Ok(Repaired::default()),
            _ => self.repair_get_side(me),
        };
        settled.inspect_err(|_| {
            let _ = lock.unlock(me);
        })
    }

    /// Enters the get side of a sized ring, if a message is ready at head or becomes so soon. The
    /// caller ends it with `take_and_exit`.
    #[inline(always)]
    pub(super) fn enter_ready_or_spin(&self, ring: &Ring<Mapped>, wait: Wait) -> Option<(Id, Record)> {
        match self.enter_ready(ring, true) {
            // Entered in two places, so that no call returns a record: a record filled by a call is
            // stored in memory, not in registers.
            None if self.await_message::<BY_LOCK>(wait) && !self.is_probe_due_for_leases() => self.enter_ready(ring, false),
            entered => entered,
        }
    }

    #[inline(always)]
    fn enter_ready(&self, ring: &Ring<Mapped>, probes: bool) -> Option<(Id, Record)> {
        let me = self.known_me_of_plain()?;
        if !self.try_enter_get::<BY_LOCK>(ring, me) {
            return None;
        }
        if probes && self.must_probe_first(ring) {
            let _ = self.exit_get_of::<BY_LOCK>(ring, me);
            return None;
        }
        let record = ring.ready_at_head::<SIZED_RING>();
        if record.is_none() {
            let _ = self.exit_get_of::<BY_LOCK>(ring, me);
        }
        record.map(|record| (me, record))
    }

    /// Finishes a record that was copied out. The message is taken, whatever follows: the next call
    /// reports an error.
    #[inline(always)]
    pub(super) fn take_and_exit(&self, ring: &Ring<Mapped>, record: Record, me: Id) {
        ring.take(record);
        add(&ring.memory.head().get.copies, 1);
        let _ = self.exit_get_of::<BY_LOCK>(ring, me);
        self.notify_not_full(1);
    }

    /// Gets one message by copy: `read(from, length)` copies it out, and is called once. A message
    /// that `check` refuses is left. `has_spun`: the caller has spun already.
    #[inline(always)]
    pub(super) fn get<const OWNED: bool, const SIZED: bool, R>(
        &self,
        me: Id,
        mut has_spun: bool,
        wait: Wait,
        check: impl Fn(usize) -> Result<(), GetError>,
        read: impl Fn(*const u8, usize) -> R + Copy,
    ) -> Result<R, GetError> {
        // A private copy: constants stay in registers across atomic stores. So no call that uses it
        // may stay out of line.
        let ring = self.ring;
        loop {
            if self.try_enter_get::<OWNED>(&ring, me) {
                let mut got = None;
                let record = if self.must_probe_first(&ring) { None } else { ring.ready_at_head::<SIZED>() };
                if let Some(record) = record {
                    if (OWNED || record.length() <= SMALL_COPY_BYTES) && check(record.length()).is_ok() {
                        got = Some(read_and_take::<SIZED, R>(&ring, record, &mut |from, length| read(from, length)));
                    }
                }
                let exited = self.exit_get_of::<OWNED>(&ring, me);
                if let Some(result) = got {
                    self.notify_not_full(1);
                    exited?;
                    return Ok(result);
                }
                exited?;
            }
            if has_spun || !self.await_message::<OWNED>(wait) {
                break;
            }
            has_spun = true;
        }
        let mut read_slowly = read;
        self.get_slow::<OWNED, R>(me, wait, &check, &mut read_slowly)
    }

    /// For slow paths, which find out at run time what kind of ring it is. Needs the get side.
    pub(super) fn read_and_take_any<R>(&self, record: Record, read: &mut impl FnMut(*const u8, usize) -> R) -> R {
        if self.geometry().sized {
            read_and_take::<SIZED_RING, R>(&self.ring, record, read)
        } else {
            read_and_take::<SLICE_RING, R>(&self.ring, record, read)
        }
    }

    #[cold]
    #[inline(never)]
    fn get_slow<const OWNED: bool, R>(
        &self,
        me: Id,
        wait: Wait,
        check: Check<'_>,
        read: &mut dyn FnMut(*const u8, usize) -> R,
    ) -> Result<R, GetError> {
        enum Got<R> {
            Small { result: R, came_back: bool },
            Large(LeasedRecord),
        }
        let got = self.with_record::<OWNED, Result<Got<R>, GetError>>(me, wait, &mut |record| {
            if record.header.is_spilled() {
                check(self.spilled_length(&record))?;
                return Ok(Got::Large(self.lease_any(record, me)));
            }
            check(record.length())?;
            Ok(if OWNED || record.length() <= SMALL_COPY_BYTES {
                let came_back = self.count_redelivery(&record);
                Got::Small { result: self.read_and_take_any(record, &mut |from, length| read(from, length)), came_back }
            } else {
                Got::Large(self.lease_any(record, me))
            })
        })?;
        match got {
            Ok(Got::Small { result, came_back }) => {
                // A returned message may have been the oldest of several whose space is free now.
                self.notify_not_full(if came_back { u32::MAX } else { 1 });
                Ok(result)
            }
            Ok(Got::Large(leased)) => {
                // No lock is held while bytes move. If this process is killed meanwhile, the
                // message comes back.
                let leased = self.open_if_spilled(leased)?;
                // Its length is read from the segment again: `read` relies on what was checked.
                if let Err(refused) = check(leased.length) {
                    self.give_back_uncounted(leased)?;
                    return Err(refused);
                }
                let result = read(leased.payload, leased.length);
                self.finish_large_copy::<OWNED>(leased, me, wait)?;
                Ok(result)
            }
            Err(refused) => {
                // This call may have received the wake for this message: pass it on, another
                // process may want it.
                self.notify_not_empty(1);
                Err(refused)
            }
        }
    }

    /// Ends the lease of a large copy and counts it, inside the get side, so that `join` never
    /// misses it in both places. A kill between the two leaves it uncounted: the message died with
    /// the process, and no `task_done` for it will come.
    pub(super) fn finish_large_copy<const OWNED: bool>(&self, leased: LeasedRecord, me: Id, wait: Wait) -> Result<(), GetError> {
        let counted = &self.head().rare.large_copies;
        // A future's poll does not wait for a lock here either.
        let wait = if wait == Wait::AtOnce { wait } else { Wait::for_ns(FINISH_LOCK_NS) };
        let entered = if OWNED { self.enter_get::<OWNED>(me, wait).is_ok() } else { self.lock_get(me, wait).is_ok() };
        if !entered {
            // The process inside is stopped, or a Consumer owns the side since. In this order a
            // kill would leave one too many, and a join beside that Consumer would wait for it.
            counted.fetch_add(1, Relaxed);
        }
        let (released, spilled) = self.release_deferred(leased);
        if entered {
            counted.fetch_add(1, Relaxed);
            self.exit_get::<OWNED>(me)?;
        }
        // With no side held: it may be a gigabyte.
        drop(spilled);
        released
    }

    /// Counts the delivery of a returned message, before it counts as got, and returns whether it
    /// is one. Needs the get side.
    pub(super) fn count_redelivery(&self, record: &Record) -> bool {
        let came_back = record.is_redelivery();
        if came_back {
            add(&self.head().get.redelivered, 1);
            self.forget_given_up(record);
        }
        came_back
    }

    /// The one blocking path of the get side: enters it, finds a message, lets `act` take it,
    /// exits. A caller that leaves without a message passes on a wake that it may have received: it
    /// may have slept, here or in `wait_any`.
    #[cold]
    pub(super) fn with_record<const OWNED: bool, R>(
        &self,
        me: Id,
        wait: Wait,
        act: &mut dyn FnMut(Record) -> R,
    ) -> Result<R, GetError> {
        let unwinding = OnUnwind::new(|| self.pass_on());
        let found = self.find_record::<OWNED, R>(me, wait, act);
        unwinding.forget();
        if matches!(&found, Err(error) if !matches!(error, GetError::Empty)) {
            self.pass_on();
        }
        found
    }

    fn find_record<const OWNED: bool, R>(&self, me: Id, wait: Wait, act: &mut dyn FnMut(Record) -> R) -> Result<R, GetError> {
        self.note_role(me, Verb::Get);
        let has_other_owner = || self.head().get.owner.load(Relaxed) != if OWNED { me.bits() } else { 0 };
        let mut probes = self.is_time_to_probe();
        let mut waiter = self.waiter(wait, Verb::Get).has_probed(probes);
        loop {
            if probes {
                self.probe_for_the_dead::<OWNED>(me, wait)?;
                self.post_again(wait);
                self.close_if_unused(me);
            }
            // Nothing to take: do not lock. An open loan is checked under the lock, since its owner
            // may be dead.
            let nothing = self.ring.nothing_to_take() == Some(State::Free) && !self.is_poisoned();
            if !nothing || has_other_owner() {
                if let Some(result) = self.take_next::<OWNED, R>(me, wait, act)? {
                    return Ok(result);
                }
            }
            if self.is_closed() && self.is_drained(me) {
                // No put is under way, so this check is final: it includes records that a dead
                // holder left, or gave back before it died.
                self.probe_for_the_dead::<OWNED>(me, wait)?;
                return self.take_next::<OWNED, R>(me, wait, act)?.ok_or(GetError::Closed);
            }
            let mut ready = || match self.ring.nothing_to_take() {
                None => true,
                Some(_) if has_other_owner() => true,
                Some(State::Free) => self.is_closed() && !self.put_side_is_at_work(),
                // An open loan: its commit or abort wakes this call; its owner's death is probed
                // once a slice.
                Some(_) => false,
            };
            match waiter.next(&mut ready) {
                Step::Interrupted => return Err(GetError::Interrupted),
                Step::GiveUp if wait.is_try() => return Err(GetError::Empty),
                Step::GiveUp => {
                    self.count_timeout(Verb::Get);
                    return Err(GetError::Timeout);
                }
                step => probes = step == Step::Probe,
            }
        }
    }

    /// The message to take next: returned ones first. Needs the get side.
    pub(super) fn next_record(&self, me: Id) -> Result<Next, GetError> {
        let mut dead = None;
        // Each round but the last finishes a record: more rounds than cells mean that another
        // process undoes them.
        for _ in 0..=self.geometry().cells {
            if self.ring.has_returned() {
                match self.ring.first_returned(self.settled()).map_err(|_| GetError::Corrupted)? {
                    Some(record) if self.is_worn_out(record.header) && self.has_dead_letters() => {
                        return Ok(Next::WornOut);
                    }
                    Some(record) if self.is_worn_out(record.header) => {
                        let position = self.ring.position_of(record.cell);
                        if self.ring.give_up(position, record.header, record.cell) {
                            self.discard()(position, record.header);
                        }
                        add(&self.head().get.given_up, 1);
                        self.notify_not_full(u32::MAX);
                        self.notify_all_done();
                        continue;
                    }
                    Some(record) => {
                        self.note_redelivery();
                        return Ok(Next::Message(record));
                    }
                    None => {}
                }
            }
            let head = &self.head().get.head;
            let before = head.load(Relaxed);
            let front = self.ring.front().map_err(|_| GetError::Corrupted)?;
            if head.load(Relaxed) != before {
                // Skipped records are room for putters that wait behind them.
                self.notify_not_full(u32::MAX);
            }
            match front {
                Front::Ready(record) => return Ok(Next::Message(record)),
                Front::Empty => return Ok(Next::Nothing),
                Front::Claimed(owner, cell, header) => {
                    // The kernel is asked once: a dead owner stays dead.
                    if dead != Some(owner) && !self.is_dead(owner, me) {
                        return Ok(Next::Nothing);
                    }
                    dead = Some(owner);
                    // This call owns the get side, so the record stays. A putter that repairs its
                    // side may abort it as well: only one of the two counts it.
                    let aborted = self.abort_of_the_dead(cell, header);
                    self.head().rare.aborted.fetch_add(aborted as u64, Relaxed);
                }
            }
        }
        Err(GetError::Corrupted)
    }

    /// Has this message been delivered as often as the queue allows?
    pub(super) fn is_worn_out(&self, header: Header) -> bool {
        self.max_deliveries != 0 && header.deliveries() >= self.max_deliveries.min(u8::MAX as u32)
    }
}
