//! A running process: operations as the queue runs them, with their locks and repairs.

use super::watched::{HEAD, Held, TAIL, Watched, write_payload};
use super::world::{Effect, Message, PARTICIPANTS, Status};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::ring::{Found, Front, Header, Memory, NoRoom, Owner, Record, Ring, Run, Slot, State, Upto};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::geometry::CellIndex;

/// A running process.
pub(super) struct Worker<'a> {
    pub ring: &'a Ring<Watched>,
    pub dead: [bool; PARTICIPANTS],
    /// Locks that a dead process held: the process that takes them over repairs.
    pub inherited: Held,
    pub left_out: Option<Rule>,
}

/// Rules of READ that a process may leave out, to see that the exploration finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Reclaim stops at READ of a live owner.
    ReclaimStops,
    /// READ of a dead owner becomes DONE, and is not delivered again.
    DoneAtDeath,
    /// A putter that finds no room ends views of dead owners.
    PutterEnds,
    /// What takes the entry of a dead owner ends its views first.
    SuccessorEnds,
}

pub(super) fn owner_word(participant: usize) -> Owner {
    Owner::new(participant as u32, 1)
}

impl Worker<'_> {
    pub fn is_dead(&self, owner: Owner) -> bool {
        self.dead[owner.entry() as usize]
    }

    pub fn enter_put(&mut self) {
        self.ring.memory.hold(|held| held.put = true);
        if self.inherited.put {
            self.ring.repair_put_side(|owner| self.is_dead(owner), |_, _| ()).expect("put side repaired");
        }
    }

    pub fn exit_put(&mut self) {
        self.inherited.put = false;
        self.ring.memory.hold(|held| held.put = false);
    }

    pub fn enter_get(&mut self) {
        self.ring.memory.hold(|held| held.get = true);
        if self.inherited.get {
            self.ring.repair_get_side().expect("get side repaired");
            self.free_the_dead();
        }
    }

    pub fn exit_get(&mut self) {
        self.inherited.get = false;
        self.ring.memory.hold(|held| held.get = false);
    }

    pub fn free_the_dead(&self) {
        if self.left_out == Some(Rule::DoneAtDeath) {
            self.return_views_of_the_dead();
        }
        self.ring.free_the_dead(|owner| self.is_dead(owner), |_| false, |_, _| ()).expect("nothing is corrupted");
    }

    /// As a probe of the queue does it: records are found without the side, and freed with it.
    pub fn probe_for_the_dead(&mut self, upto: Upto) {
        let is_dead = |owner: Owner| self.dead[owner.entry() as usize];
        let found = self.ring.find_the_dead(upto, &AtomicU64::new(0), is_dead, |_| false, usize::MAX);
        let found = found.expect("nothing is corrupted");
        if !found.is_empty() {
            self.enter_get();
            self.ring.free_found(&found, |owner| self.is_dead(owner), |_| false, |_, _| ());
            self.exit_get();
        }
    }

    fn return_views_of_the_dead(&self) {
        let walked = self.ring.walk_all(|_, cell, header| {
            if header.state() == Some(State::Read) && self.is_dead(header.owner()) {
                self.ring.memory.header(cell).store(header.returned().bits(), Relaxed);
                self.ring.memory.returned().fetch_or(1, Relaxed);
            }
            true
        });
        walked.expect("nothing is corrupted");
    }

    /// Views of dead owners are found without a lock, and ended under that of the put side.
    pub fn end_views_of_the_dead(&mut self) {
        let is_dead = |owner: Owner| self.dead[owner.entry() as usize];
        let found = self.ring.find_the_dead(Upto::Head, &AtomicU64::new(0), is_dead, |_| false, usize::MAX);
        let mut viewed = found.expect("nothing is corrupted");
        viewed.retain(Found::is_viewed);
        if !viewed.is_empty() {
            self.enter_put();
            self.ring.end_found_views(&viewed, |owner| self.is_dead(owner));
            self.exit_put();
        }
    }

    pub fn recover(&mut self) {
        self.enter_put();
        self.ring.repair_put_side(|owner| self.is_dead(owner), |_, _| ()).expect("put side repaired");
        self.exit_put();
        if self.left_out != Some(Rule::SuccessorEnds) {
            self.end_views_of_the_dead();
        }
        self.enter_get();
        self.exit_get();
        self.probe_for_the_dead(Upto::Tail);
    }

    /// Room on the put side, or `None`: full. Needs the put side.
    pub fn reserve(&mut self, length: u32) -> Option<Slot> {
        let at_once = match self.ring.geometry.sized {
            true => self.ring.reserve_at_once::<SIZED_RING>(length),
            false => self.ring.reserve_at_once::<SLICE_RING>(length),
        };
        if at_once.is_some() {
            return at_once;
        }
        let mut room = self.ring.reserve(length);
        while matches!(room, Err(NoRoom::Full)) && self.end_stopping_views() {
            room = self.ring.reserve(length);
        }
        let room = match room {
            Err(NoRoom::Full) if self.make_room_of_skipped() => self.ring.reserve(length),
            room => room,
        };
        assert_ne!(room.as_ref().err(), Some(&NoRoom::Corrupted));
        room.ok()
    }

    /// Needs the put side.
    pub fn end_stopping_views(&self) -> bool {
        let ends = |owner| self.is_dead(owner) || self.left_out == Some(Rule::ReclaimStops);
        self.left_out != Some(Rule::PutterEnds)
            && self.ring.is_stopped_by_views().expect("nothing is corrupted")
            && self.ring.end_stopping_views(ends).expect("nothing is corrupted") != 0
    }

    pub fn make_room_of_skipped(&mut self) -> bool {
        let (position, _, header) = self.ring.stopper().expect("nothing is corrupted");
        let at_head = position == self.ring.memory.image()[HEAD];
        if header.state() == Some(State::Done) && !at_head {
            return true;
        }
        let aborted_at_head = at_head
            && match header.state() {
                Some(State::Done) => true,
                Some(State::Claimed) => self.is_dead(header.owner()),
                _ => false,
            };
        let abort = |cell: CellIndex, header: Header| self.is_dead(header.owner()) && self.ring.abort_claimed(cell, header);
        let end = self.ring.untaken_end(abort).expect("nothing is corrupted");
        if !aborted_at_head && end == self.ring.memory.image()[TAIL] {
            return false;
        }
        self.enter_get();
        self.ring.retreat(end).expect("nothing is corrupted");
        while let Front::Claimed(owner, cell, header) = self.ring.front().expect("nothing is corrupted") {
            if !self.is_dead(owner) {
                break;
            }
            self.ring.abort_claimed(cell, header);
        }
        self.exit_get();
        true
    }

    /// Needs the get side.
    pub fn next_record(&self) -> Option<Record> {
        let at_head = match self.ring.geometry.sized {
            true => self.ring.ready_at_head::<SIZED_RING>(),
            false => self.ring.ready_at_head::<SLICE_RING>(),
        };
        if at_head.is_some() && !self.ring.may_hold_returned() {
            return at_head;
        }
        if self.ring.may_hold_returned() {
            if let Some(record) = self.ring.first_returned(&AtomicU64::new(0)).expect("nothing is corrupted") {
                return Some(record);
            }
        }
        loop {
            match self.ring.front().expect("nothing is corrupted") {
                Front::Ready(record) => return Some(record),
                Front::Empty => return None,
                Front::Claimed(owner, ..) if !self.is_dead(owner) => return None,
                Front::Claimed(_, cell, header) => assert!(self.ring.abort_claimed(cell, header)),
            }
        }
    }

    pub fn put(&mut self, length: u32, tag: u64) -> Effect {
        self.enter_put();
        let mut effect = Effect::None;
        if let Some(slot) = self.reserve(length) {
            effect = Effect::Adds(Message { cell: slot.cell.index(), length, status: Status::Committed, tag });
            write_payload(self.ring, slot.cell, length, tag);
            self.ring.commit(slot);
        }
        self.exit_put();
        effect
    }

    pub fn lend(&mut self, participant: usize, length: u32, tag: u64) -> Effect {
        self.enter_put();
        let mut effect = Effect::None;
        let mut lent = None;
        if let Some(slot) = self.reserve(length) {
            // `len` walks the ring as soon as there may be a loan.
            add_one(self.ring, |memory| &memory.put_side().loans);
            let (cell, _) = self.ring.claim(slot, owner_word(participant));
            effect = Effect::Adds(Message { cell: cell.index(), length, status: Status::Lent(participant), tag });
            lent = Some(cell);
        }
        self.exit_put();
        if let Some(cell) = lent {
            write_payload(self.ring, cell, length, tag);
        }
        effect
    }

    /// Puts up to `most` messages with one commit point, as many as there is room for.
    pub fn put_burst(&mut self, most: u64, length: u32, tag: u64) -> Effect {
        self.enter_put();
        let mut burst = self.ring.burst_at_tail(most);
        if burst.count() == 0 && self.ring.make_room(most) {
            burst = self.ring.burst_at_tail(most);
        }
        let mut messages = Vec::new();
        for (nth, cell) in self.ring.burst_cells(burst).enumerate() {
            messages.push(Message { cell: cell.index(), length, status: Status::Committed, tag: tag + nth as u64 });
        }
        let write = |nth, cell| write_payload(self.ring, cell, length, tag + nth as u64);
        self.ring.commit_burst(burst, burst.count(), length, write);
        self.exit_put();
        Effect::AddsAll(messages)
    }

    /// Takes up to `most` messages that are ready at head, unless messages that came back are
    /// first. The tags are the ones that their reader sees.
    pub fn get_burst(&mut self, most: u64, length: u32) -> Vec<(CellIndex, u64)> {
        self.enter_get();
        let mut taken = Vec::new();
        if !self.ring.may_hold_returned() {
            let burst = self.ring.burst_at_head(most);
            let ready = self.ring.burst_cells(burst).take_while(|&cell| self.ring.is_ready(cell, length));
            taken.extend(ready.map(|cell| (cell, self.ring.memory.tag(cell))));
            self.ring.take_burst(burst, taken.len() as u64, length);
        }
        self.exit_get();
        taken
    }

    /// A process becomes a Producer, puts or lends a message along its run, and leaves. A kill
    /// leaves its side to be repaired by the process that finds its owner dead, as if the owner had
    /// held the lock.
    pub fn put_in_run(&mut self, followed: bool, lender: Option<usize>, length: u32, tag: u64) -> Effect {
        self.enter_put();
        let run = if followed { Run::of_followed(0) } else { Run::of(0) };
        let mut effect = Effect::None;
        let mut lent = None;
        self.ring.refill_to_put(&run, || true, || (), |most| self.ring.make_room(most));
        if let Some(slot) = self.ring.enter_run_to_put(&run, length, || ()) {
            let cell = slot.cell();
            let status = lender.map_or(Status::Committed, Status::Lent);
            effect = Effect::Adds(Message { cell: cell.index(), length, status, tag });
            if let Some(participant) = lender {
                self.ring.claim_in_run(slot, owner_word(participant));
                lent = Some(cell);
            } else {
                write_payload(self.ring, cell, length, tag);
                self.ring.commit_in_run(slot);
            }
        }
        self.exit_put();
        if let Some(cell) = lent {
            write_payload(self.ring, cell, length, tag);
        }
        effect
    }

    /// A process becomes a Consumer, takes or leases a message along its run, and leaves.
    pub fn get_in_run(&mut self, lessee: Option<usize>, length: u32) -> Option<(CellIndex, u64)> {
        self.enter_get();
        let run = Run::of(0);
        self.ring.refill_to_get(&run);
        let record = self.ring.enter_run_to_get(&run, length, || ());
        let got = record.map(|record| {
            let tag = self.ring.memory.tag(record.cell);
            match lessee {
                None => self.ring.take_in_run(record),
                Some(participant) => drop(self.ring.lease_in_run(record, owner_word(participant))),
            }
            (record.cell, tag)
        });
        self.exit_get();
        got
    }

    /// Takes the next message by copy, or leases it. The tag is the one that its reader sees.
    pub fn get(&mut self, lessee: Option<usize>) -> Option<(CellIndex, u64)> {
        self.enter_get();
        let record = self.next_record();
        let got = record.map(|record| {
            let tag = self.ring.memory.tag(record.cell);
            match lessee {
                None => self.ring.take(record),
                Some(participant) => {
                    add_one(self.ring, |memory| &memory.get_side().leases);
                    self.ring.lease(record, owner_word(participant));
                }
            }
            (record.cell, tag)
        });
        self.exit_get();
        got
    }

    pub fn drain(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.get(None)).map(|(_, tag)| tag).collect()
    }
}

pub(super) fn add_one(ring: &Ring<Watched>, counter: impl Fn(&Watched) -> &AtomicU64) {
    let counter = counter(&ring.memory);
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
