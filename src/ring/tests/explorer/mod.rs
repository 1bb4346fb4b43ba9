//! Every order of operations, and a kill between any two stores of each.
//!
//! The memory under the ring is all that survives a kill. So [`Watched`] records an image of it
//! whenever the ring requests a word, and each image that differs from the one before is the state
//! that a kill there would leave: one run of an operation shows all of them. If two stores fall
//! between two images, either may be the first; more than two are a failure.
//!
//! A [`World`] is an image, the locks that dead processes hold, and the expected messages. Worlds
//! are explored until no new one appears: from each, every operation of every participant runs to
//! completion, and is killed at every store, as the queue runs it (locks, repair by the process
//! that takes them over, freeing records of dead owners). In each world a survivor then recovers
//! (on both sides, or as a getter does, on its own side alone), drains, fills to exact capacity and
//! drains again.
//!
//! Participants 0 and 1 lend and lease; copies are made by any process (a kill there takes any
//! participant along, or none). Positions, sequences and messages are renumbered in each world:
//! that makes the worlds finite.

mod watched;
mod worker;
mod world;

use super::heap::bytes;
use crate::ring::{Header, Owner, Ring, State, Upto};
use crate::shm::geometry::Geometry;
use std::collections::{HashSet, VecDeque};
use std::time::Instant;
use watched::{HEAD, Held, Image, RECLAIM, TAIL, Watched, header_at};
use worker::{Rule, Worker};
use world::{Effect, PARTICIPANTS, Status, World};

/// Longest burst that is explored.
const LONGEST_BURST: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u32),
    Lend(usize, u32),
    /// By a Producer, along a run: of one that is followed closely, or not.
    PutInRun {
        followed: bool,
    },
    LendInRun(usize),
    /// Of the message with that number, shortened to so many bytes.
    Commit(usize, u32),
    Abort(usize),
    /// That many messages, published by the first.
    PutBurst(u64),
    Take,
    /// That many messages, as far as they are ready.
    TakeBurst(u64),
    Lease(usize),
    /// By a Consumer, along a run.
    TakeInRun,
    LeaseInRun(usize),
    Release(usize),
    GiveBack(usize),
    /// The message is done, and its payload stays.
    IntoView(usize),
    DropView(usize),
    /// The probe of a sleeping getter.
    ProbeForDead,
    /// The probe of a sleeping putter.
    FreeStopper,
    Recover,
    /// A process takes the entry of a dead participant, with the same owner word: it recovers
    /// first.
    Succeed(usize),
}

/// A ring, and the limits of its exploration.
struct Explorer {
    ring: Ring<Watched>,
    lengths: &'static [u32],
    /// Loans and leases at a time.
    held_at_once: usize,
    /// Most operations before the first kill, between it and the second, and so on; `ALL` until no
    /// new world appears.
    depths: Vec<usize>,
    left_out: Option<Rule>,
    seen: HashSet<World>,
    operations: u64,
    crashes: u64,
}

impl Explorer {
    fn worker(&self, world: &World) -> Worker<'_> {
        self.ring.memory.restore(&world.image);
        Worker { ring: &self.ring, dead: world.dead, inherited: world.held, left_out: self.left_out }
    }

    fn operations(&self, world: &World) -> Vec<Op> {
        let mut operations = vec![Op::Take, Op::ProbeForDead, Op::FreeStopper];
        if world.dead.contains(&true) || world.held != Held::default() {
            operations.push(Op::Recover);
        }
        operations.extend((0..PARTICIPANTS).filter(|&participant| world.dead[participant]).map(Op::Succeed));
        operations.extend(self.lengths.iter().map(|&length| Op::Put(length)));
        let held = (0..world.messages.len()).filter(|&number| world.holder(number).is_some()).count();
        for participant in (0..PARTICIPANTS).filter(|&participant| !world.dead[participant]) {
            // Participants are alike, so number 1 starts only when number 0 is there, or was.
            let comes = participant == 0 || world.dead[0] || world.holds(0);
            if comes && held < self.held_at_once {
                operations.extend(self.lengths.iter().map(|&length| Op::Lend(participant, length)));
                operations.push(Op::Lease(participant));
                if self.ring.geometry.sized {
                    operations.extend([Op::LendInRun(participant), Op::LeaseInRun(participant)]);
                }
            }
        }
        if self.ring.geometry.sized {
            operations.extend([Op::PutInRun { followed: false }, Op::PutInRun { followed: true }, Op::TakeInRun]);
            for most in 2..=self.ring.geometry.capacity.min(LONGEST_BURST) {
                operations.extend([Op::PutBurst(most), Op::TakeBurst(most)]);
            }
        }
        for (number, message) in world.messages.iter().enumerate() {
            match message.status {
                Status::Lent(_) => {
                    let shorter = self.lengths.iter().filter(|&&length| length <= message.length);
                    operations.extend(shorter.map(|&length| Op::Commit(number, length)));
                    operations.push(Op::Abort(number));
                }
                Status::Leased(_) => operations.extend([Op::Release(number), Op::GiveBack(number), Op::IntoView(number)]),
                Status::Viewed(_) => operations.push(Op::DropView(number)),
                Status::Committed => {}
            }
        }
        operations
    }

    /// Runs an operation in a world. If a kill in it must be the death of a certain participant,
    /// the effect names it.
    fn run(&self, world: &World, op: Op) -> (Effect, Option<usize>) {
        let mut worker = self.worker(world);
        let ring = &self.ring;
        ring.memory.open_journal(world.held);
        let tag = world.messages.len() as u64 + 1;
        let record = |number: usize| {
            let cell = world.messages[number].cell;
            (ring.geometry.cell(cell).expect("a message has a cell"), world.header(cell))
        };
        match op {
            Op::Put(length) => return (worker.put(length, tag), None),
            Op::Lend(participant, length) => return (worker.lend(participant, length, tag), Some(participant)),
            Op::PutInRun { followed } => return (worker.put_in_run(followed, None, self.lengths[0], tag), None),
            Op::LendInRun(participant) => {
                return (worker.put_in_run(false, Some(participant), self.lengths[0], tag), Some(participant));
            }
            Op::PutBurst(most) => return (worker.put_burst(most, self.lengths[0], tag), None),
            Op::TakeBurst(most) => {
                let taken = worker.get_burst(most, self.lengths[0]);
                let numbers: Vec<usize> = taken.into_iter().map(|got| world.number_of(got)).collect();
                if !world.held.get && !numbers.is_empty() {
                    world.check_order(numbers.first().copied());
                }
                assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?} in a row, {world:#x?}");
                return (Effect::ChangesAll(numbers), None);
            }
            Op::Commit(number, length) => {
                let (cell, header) = record(number);
                assert!(ring.commit_claimed(cell, header, length));
                return (Effect::Changes(number), world.holder(number));
            }
            Op::Abort(number) => {
                let (cell, header) = record(number);
                assert!(ring.abort_claimed(cell, header));
                return (Effect::Changes(number), world.holder(number));
            }
            Op::Release(number) => {
                let (cell, header) = record(number);
                assert!(ring.release(cell, header));
                return (Effect::Changes(number), world.holder(number));
            }
            Op::GiveBack(number) => {
                let (cell, header) = record(number);
                assert!(ring.give_back(cell, header));
                return (Effect::Changes(number), world.holder(number));
            }
            Op::IntoView(number) => {
                let (cell, header) = record(number);
                assert!(ring.pin(cell, header).is_some());
                return (Effect::Changes(number), world.holder(number));
            }
            Op::DropView(number) => {
                let (cell, header) = record(number);
                assert_eq!(ring.memory.tag(cell), world.messages[number].tag, "a view lost its payload, {world:#x?}");
                assert!(ring.unpin(cell, header));
                return (Effect::Changes(number), world.holder(number));
            }
            Op::Take | Op::Lease(_) | Op::TakeInRun | Op::LeaseInRun(_) => {
                let lessee = if let Op::Lease(participant) | Op::LeaseInRun(participant) = op { Some(participant) } else { None };
                let in_run = matches!(op, Op::TakeInRun | Op::LeaseInRun(_));
                let got = if in_run { worker.get_in_run(lessee, self.lengths[0]) } else { worker.get(lessee) };
                let found = got.map(|got| world.number_of(got));
                // Along a run, `None` means that the slow call is needed.
                if !world.held.get && (found.is_some() || !in_run) {
                    world.check_order(found);
                }
                return (found.map_or(Effect::None, Effect::Changes), lessee);
            }
            Op::ProbeForDead => worker.probe_for_the_dead(Upto::Head),
            Op::FreeStopper => {
                worker.enter_put();
                let is_dead = |owner: Owner| world.dead[owner.entry() as usize];
                ring.free_stopper(is_dead).expect("nothing is corrupted");
                worker.end_stopping_views();
                worker.exit_put();
            }
            Op::Recover => worker.recover(),
            Op::Succeed(participant) => {
                worker.recover();
                return (Effect::Revives(participant), None);
            }
        }
        (Effect::None, None)
    }

    /// The worlds after a completed operation, and after a kill at each of its stores.
    fn step(&mut self, world: &World, op: Op, killable: bool, completed: &mut Vec<World>, killed: &mut HashSet<World>) {
        let (effect, actor) = self.run(world, op);
        let images = self.ring.memory.close_journal();
        self.operations += 1;
        let successor = |image: &Image, held: Held| World { image: image.clone(), held, ..world.clone() };
        let (last, held) = images.last().expect("an image before the operation");
        let mut after = successor(last, *held);
        after.apply(&effect);
        if let Effect::Revives(participant) = effect {
            after.dead[participant] = false;
        }
        completed.push(after.renumber(&self.ring.geometry));
        if !killable {
            return;
        }
        for (image, held) in &images {
            let mut victims = vec![actor];
            if actor.is_none() {
                victims.extend((0..PARTICIPANTS).filter(|&participant| world.holds(participant)).map(Some));
            }
            for victim in victims {
                if victim.is_none() && *image == world.image && *held == world.held {
                    continue;
                }
                let mut left = successor(image, *held);
                left.apply(&effect);
                if let Some(participant) = victim {
                    left.bury(participant);
                }
                self.crashes += 1;
                killed.insert(left.renumber(&self.ring.geometry));
            }
        }
    }

    /// The survivor: recovers, lets the live processes finish in one way or the other, drains,
    /// fills and drains.
    fn survive(&self, world: &World) {
        let holding = (0..world.messages.len()).any(|number| world.holder(number).is_some());
        let ways = [(true, true), (true, false), (false, true), (false, false)];
        for (keep, both_sides) in ways.into_iter().filter(|&(keep, _)| keep || holding) {
            let mut worker = self.worker(world);
            if both_sides {
                worker.recover();
                self.check_cursors(world);
            } else {
                // Records that a dead putter published without moving tail stay past it.
                worker.enter_get();
                worker.free_the_dead();
                worker.exit_get();
            }
            self.check_counts(world);
            let mut expected = Vec::new();
            for message in &world.messages {
                let cell = self.ring.geometry.cell(message.cell).expect("a message has a cell");
                let header = world.header(message.cell);
                let kept = match (message.status, keep) {
                    (Status::Committed, _) => true,
                    (Status::Lent(_), true) => self.ring.commit_claimed(cell, header, self.lengths[0]),
                    (Status::Lent(_), false) => !self.ring.abort_claimed(cell, header),
                    (Status::Leased(_), true) => self.ring.give_back(cell, header),
                    (Status::Leased(_), false) => !self.ring.release(cell, header),
                    (Status::Viewed(_), true) => false,
                    (Status::Viewed(_), false) => !self.ring.unpin(cell, header),
                };
                if kept {
                    expected.push(message.tag);
                }
            }
            assert_eq!(worker.drain(), expected, "keep {keep}, both sides {both_sides}, {world:#x?}");
            assert_eq!(self.ring.len(), 0, "{world:#x?}");
            if keep {
                self.drop_views(&mut worker, world);
            }
            self.fill_and_drain(&mut worker, world);
        }
    }

    /// Puts as much as there is room for beside the views, then drops them.
    fn drop_views(&self, worker: &mut Worker<'_>, world: &World) {
        let viewed: Vec<_> = world.messages.iter().filter(|message| matches!(message.status, Status::Viewed(_))).collect();
        if viewed.is_empty() {
            return;
        }
        while matches!(worker.put(self.lengths[0], 2000), Effect::Adds(_)) {}
        worker.drain();
        for message in viewed {
            let cell = self.ring.geometry.cell(message.cell).expect("a message has a cell");
            assert_eq!(self.ring.memory.tag(cell), message.tag, "a view lost its payload, {world:#x?}");
            assert!(self.ring.unpin(cell, world.header(message.cell)), "a view lost its record, {world:#x?}");
        }
    }

    fn check_counts(&self, world: &World) {
        let committed = world.messages.iter().filter(|message| message.status == Status::Committed).count();
        let leased = world.messages.iter().filter(|message| matches!(message.status, Status::Leased(_))).count();
        assert_eq!(self.ring.len(), committed as u64, "{world:#x?}");
        assert_eq!(self.ring.unfinished(), Ok((committed + leased) as u64), "{world:#x?}");
    }

    /// Is there room that a put makes when it wants it, and no hint shows?
    fn has_dead_views(&self, world: &World) -> bool {
        let mut found = false;
        let walked = self.ring.walk_all(|_, _, header| {
            found |= header.state() == Some(State::Read) && world.dead[header.owner().entry() as usize];
            !found
        });
        walked.expect("nothing is corrupted");
        found
    }

    fn check_cursors(&self, world: &World) {
        let image = self.ring.memory.image();
        assert!(image[RECLAIM] <= image[HEAD] && image[HEAD] <= image[TAIL], "{world:#x?}");
        let tail = self.ring.geometry.cell(image[TAIL]).expect("a cursor leads to a cell");
        assert_eq!(image[header_at(tail.index())], Header::FREE.bits(), "{world:#x?}");
    }

    fn fill_and_drain(&self, worker: &mut Worker<'_>, world: &World) {
        let geometry = &self.ring.geometry;
        let largest = geometry.max_message_bytes() as u32;
        assert!(matches!(worker.put(largest, 1000), Effect::Adds(_)), "no room for the largest message, {world:#x?}");
        assert_eq!(worker.drain(), [1000], "{world:#x?}");
        let capacity = geometry.capacity.min(geometry.cells - 1);
        for number in 0..capacity {
            let has_room = self.ring.has_room(self.lengths[0], true).expect("nothing is corrupted");
            assert!(has_room || self.has_dead_views(world), "no room at {number}, {world:#x?}");
            assert!(matches!(worker.put(self.lengths[0], number), Effect::Adds(_)), "no room at {number}, {world:#x?}");
            assert_eq!(self.ring.len(), number + 1, "{world:#x?}");
        }
        assert!(matches!(worker.put(self.lengths[0], capacity), Effect::None), "one more than fits, {world:#x?}");
        assert!(!self.ring.has_room(self.lengths[0], true).expect("nothing is corrupted"), "{world:#x?}");
        assert_eq!(worker.drain(), (0..capacity).collect::<Vec<_>>(), "{world:#x?}");
    }

    /// Each of the first `used` cells was used before, by a message that was put and taken.
    fn explore(mut self, name: &str, used: u64) {
        let began = Instant::now();
        let mut worker = Worker { ring: &self.ring, dead: [false; PARTICIPANTS], inherited: Held::default(), left_out: None };
        for tag in 0..used {
            assert!(matches!(worker.put(self.lengths[0], tag), Effect::Adds(_)));
            assert_eq!(worker.drain(), [tag]);
        }
        let first = World { image: self.ring.memory.image(), held: Held::default(), dead: [false; 2], messages: Vec::new() };
        let mut todo = VecDeque::from([(first.renumber(&self.ring.geometry), 0)]);
        let mut report = Vec::new();
        for (kills, depth) in self.depths.clone().into_iter().enumerate() {
            let mut killed = HashSet::new();
            let mut worlds = 0u64;
            while let Some((world, steps)) = todo.pop_front() {
                if !self.seen.insert(world.clone()) {
                    continue;
                }
                worlds += 1;
                self.survive(&world);
                if steps == depth {
                    continue;
                }
                let mut completed = Vec::new();
                for op in self.operations(&world) {
                    self.step(&world, op, kills + 1 < self.depths.len(), &mut completed, &mut killed);
                }
                todo.extend(completed.into_iter().filter(|world| !self.seen.contains(world)).map(|world| (world, steps + 1)));
            }
            report.push(worlds);
            todo.extend(killed.into_iter().filter(|world| !self.seen.contains(world)).map(|world| (world, 0)));
        }
        println!(
            "{name}: worlds after 0, 1, .. kills {report:?}, {} operations run, {} kills, {:.1?}",
            self.operations,
            self.crashes,
            began.elapsed()
        );
    }
}

fn explore(name: &str, geometry: Geometry, lengths: &'static [u32], held_at_once: usize, depths: [&[usize]; 2]) {
    explore_after(0, name, geometry, lengths, held_at_once, depths);
}

fn explore_after(used: u64, name: &str, geometry: Geometry, lengths: &'static [u32], held_at_once: usize, depths: [&[usize]; 2]) {
    let depths = depths[cfg!(debug_assertions) as usize].to_vec();
    let ring = Watched::ring(geometry);
    Explorer { ring, lengths, held_at_once, depths, left_out: None, seen: HashSet::new(), operations: 0, crashes: 0 }
        .explore(name, used);
}

/// Explores while all processes leave out a rule.
fn explore_without(rule: Rule) {
    let (ring, depths) = (Watched::ring(sized(2)), vec![6, 1, 0]);
    let explorer = Explorer {
        ring,
        lengths: &[8],
        held_at_once: 2,
        depths,
        left_out: Some(rule),
        seen: HashSet::new(),
        operations: 0,
        crashes: 0,
    };
    explorer.explore("a rule was left out", 0);
}

/// Until no new world appears.
const ALL: usize = usize::MAX;

fn sized(capacity: u64) -> Geometry {
    Geometry::sized(8, 8, capacity).expect("a small ring")
}

// Limits: in a release build (under a minute), and in a debug build (a few seconds).

#[test]
fn sized_ring_of_1_loses_nothing() {
    explore("sized, capacity 1", sized(1), &[8], 2, [&[ALL, ALL, ALL], &[ALL, 2, 0]]);
}

#[test]
fn sized_ring_of_2_loses_nothing() {
    explore("sized, capacity 2", sized(2), &[8], 2, [&[ALL, ALL, 0], &[6, 1, 0]]);
}

#[test]
fn sized_ring_of_3_loses_nothing() {
    explore("sized, capacity 3", sized(3), &[8], 2, [&[ALL, 1, 0], &[4, 1, 0]]);
}

/// So large that a closely followed Producer prefetches lines for ownership, starting at its last
/// cell: after two more puts, a prefetched line is that of the oldest message.
#[test]
fn sized_ring_of_5_loses_nothing() {
    explore_after(5, "sized, capacity 5", sized(5), &[8], 1, [&[8, 1, 0], &[5, 1, 0]]);
}

#[test]
fn slice_ring_loses_nothing() {
    explore("slices, 6 cells", bytes(6, u64::MAX), &[0, 16, 32], 1, [&[6, 2, 0], &[3, 1, 0]]);
}

#[test]
fn slice_ring_of_2_loses_nothing() {
    explore("slices, 7 cells, capacity 2", bytes(7, 2), &[0, 32], 2, [&[7, 2, 0], &[4, 1, 0]]);
}

#[test]
#[should_panic(expected = "a view lost its")]
fn reclaim_that_passes_views_would_overwrite_them() {
    explore_without(Rule::ReclaimStops);
}

#[test]
#[should_panic(expected = "assertion `left == right` failed: World")]
fn a_view_whose_message_comes_back_would_deliver_it_twice() {
    explore_without(Rule::DoneAtDeath);
}

#[test]
#[should_panic(expected = "no room")]
fn a_putter_that_ends_no_views_would_wait_for_the_dead() {
    explore_without(Rule::PutterEnds);
}

#[test]
#[should_panic(expected = "no room")]
fn a_successor_that_ends_no_views_would_be_taken_for_their_owner() {
    explore_without(Rule::SuccessorEnds);
}
