//! A subscriber: it joins, reads by copy or in place, is evicted, leaves.

use super::publisher::{CLAIMED, DONE, FREE, READY};
use super::words::{self, GATE, JOINS, LOCK, RECLAIM, TAIL};
use super::{ABORTED, Actor, Case, Flaw, Kind, NOTHING, Reads, Start, Then, World};

/// Kinds of lines.
pub(super) const NO: u8 = 0;
pub(super) const JOINING: u8 = 1;
pub(super) const GATING: u8 = 2;
pub(super) const EVICTING: u8 = 3;
pub(super) const EVICTED: u8 = 4;
pub(super) const LOSSY: u8 = 5;

/// The state word of a line: kind, generation of the slot, number of the owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line(pub u8);

impl Line {
    fn new(kind: u8, generation: u8, owner: u8) -> Line {
        Line(kind | (generation & 3) << 3 | owner << 5)
    }

    pub fn kind(self) -> u8 {
        self.0 & 7
    }

    fn generation(self) -> u8 {
        self.0 >> 3 & 3
    }

    pub fn owner(self) -> u8 {
        self.0 >> 5
    }

    pub fn with(self, kind: u8) -> Line {
        Line(self.0 & !7 | kind)
    }

    pub fn free(self) -> Line {
        Line::new(NO, self.generation(), 0)
    }

    fn taken_by(self, owner: u8) -> Line {
        Line::new(JOINING, self.generation() + 1, owner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    Find {
        line: u8,
    },
    Take {
        line: u8,
    },
    ReadWanted,
    StoreCursor,
    ResetPin,
    StoreGating,
    StoreCursorLate,
    CountJoin,
    Barrier,
    ReadGate,
    ReadTail,
    Raise,
    /// Or waits at the end.
    Read,
    CheckReclaimEarly,
    CopyFirst,
    CopySecond,
    CheckState,
    CheckReclaim,
    Advance,
    /// That it was evicted.
    Learn,
    Pin,
    CheckPinned,
    UnpinRefused,
    /// It has a `&T`.
    Sample,
    DropCursor,
    Unpin,
    UnpinEarly,
    LockToAbort,
    AbortDead,
    UnlockAborted,
    Leave,
    /// Alive, but never called again.
    Stalled,
}

/// What a subscriber knows of its line and of the record that it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Copied {
    pub line: u8,
    pub word: u8,
    is_lossy: bool,
    was_evicted: bool,
    has_rejoined: bool,
    /// Tail before it joined.
    floor: u8,
    gate: u8,
    header: u8,
    first: u8,
    second: u8,
    /// Holder of the put lock that it took over.
    holder: u8,
}

impl Copied {
    pub fn bytes(&self) -> [u8; 9] {
        let Copied { line, word, is_lossy, was_evicted, has_rejoined, floor, gate, header, first, second, holder } = *self;
        let flags = is_lossy as u8 | (was_evicted as u8) << 1 | (has_rejoined as u8) << 2;
        [line, word, flags, floor, gate, header, first, second, holder]
    }
}

impl Step {
    pub fn has_joined(self) -> bool {
        !matches!(
            self,
            Step::Find { .. }
                | Step::Take { .. }
                | Step::ReadWanted
                | Step::StoreCursor
                | Step::ResetPin
                | Step::StoreGating
                | Step::StoreCursorLate
                | Step::CountJoin
                | Step::Barrier
                | Step::ReadGate
                | Step::ReadTail
                | Step::Raise
        )
    }
}

impl Case {
    pub(super) fn step_subscriber(&self, world: &World, i: usize, step: Step) -> Option<World> {
        let me = i as u8 + 1;
        let Kind::Subscriber { start, reads, then: ends } = self.kinds[i] else { unreachable!("a subscriber") };
        let mut next = *world;
        let Actor { at, sub, messages: received, .. } = world.actors[i];
        let line = sub.line;
        let longest = self.buffer;
        let then = match step {
            Step::Find { line } if line == self.lines => return Some(self.gone(next, i)),
            Step::Find { line } => {
                let found = Line(world.load(i, words::state(line)));
                next.actors[i].sub.word = found.0;
                let is_free = found.kind() == NO || world.is_dead(found.owner());
                if is_free { Step::Take { line } } else { Step::Find { line: line + 1 } }
            }
            Step::Take { line } => {
                let found = Line(sub.word);
                let mine = if self.has(Flaw::FreeForgetsGeneration) && found.kind() == NO {
                    Line::new(JOINING, 1, me)
                } else {
                    found.taken_by(me)
                };
                if next.compare_exchange(i, words::state(line), found.0, mine.0) {
                    let has_rejoined = sub.has_rejoined;
                    let floor = world.words[TAIL as usize];
                    next.actors[i].sub = Copied { line, word: mine.0, floor, has_rejoined, ..Copied::default() };
                    Step::ReadWanted
                } else {
                    Step::Find { line }
                }
            }
            Step::ReadWanted => {
                next.actors[i].at = world.load(i, if start == Start::Now { TAIL } else { RECLAIM });
                if self.has(Flaw::CursorAfterGating) { Step::ResetPin } else { Step::StoreCursor }
            }
            Step::StoreCursor => {
                next.store(i, words::cursor(line), at, true, longest);
                Step::ResetPin
            }
            Step::ResetPin => {
                if !self.has(Flaw::PinNotReset) {
                    next.store(i, words::pin(line), 0, true, longest);
                }
                if self.has(Flaw::JoinCountedBeforeGating) && reads != Reads::Lossy { Step::CountJoin } else { Step::StoreGating }
            }
            Step::StoreGating => {
                let is_lossy = reads == Reads::Lossy;
                let to = Line(sub.word).with(if is_lossy { LOSSY } else { GATING });
                assert!(
                    next.compare_exchange(i, words::state(line), sub.word, to.0),
                    "a live joiner's line was taken: {world:?}"
                );
                (next.actors[i].sub.word, next.actors[i].sub.is_lossy) = (to.0, is_lossy);
                match is_lossy {
                    true => Step::Read,
                    false if self.has(Flaw::JoinCountedBeforeGating) || self.has(Flaw::JoinNotCounted) => Step::Barrier,
                    false if self.has(Flaw::GateReadBeforeBarrier) => Step::ReadGate,
                    false => Step::CountJoin,
                }
            }
            Step::CountJoin => {
                next.drain(i);
                next.words[JOINS as usize] += 1;
                if self.has(Flaw::JoinCountedBeforeGating) { Step::StoreGating } else { Step::Barrier }
            }
            Step::Barrier => {
                if !self.has(Flaw::NoBarrierAtJoin) {
                    next.heavy_barrier();
                }
                if self.has(Flaw::GateReadBeforeBarrier) { Step::ReadTail } else { Step::ReadGate }
            }
            Step::ReadGate => {
                next.actors[i].sub.gate = world.load(i, GATE);
                match () {
                    () if self.has(Flaw::GateReadBeforeBarrier) => Step::CountJoin,
                    () if self.has(Flaw::CursorAfterGating) => Step::StoreCursorLate,
                    () => Step::ReadTail,
                }
            }
            Step::StoreCursorLate => {
                next.store(i, words::cursor(line), at, true, longest);
                Step::ReadTail
            }
            Step::ReadTail => {
                if start == Start::Now {
                    next.actors[i].at = world.load(i, TAIL);
                }
                if !self.has(Flaw::CursorNotRaised) {
                    next.actors[i].at = next.actors[i].at.max(sub.gate);
                }
                Step::Raise
            }
            Step::Raise => {
                next.store(i, words::cursor(line), at, true, longest);
                self.check_joined(world, i, start);
                Step::Read
            }
            Step::Read => return self.read(world, i, reads, ends),
            Step::CheckReclaimEarly if world.load(i, RECLAIM) > at => self.discard(world, &mut next, i),
            Step::CheckReclaimEarly => Step::CopyFirst,
            Step::CopyFirst => {
                next.actors[i].sub.first = world.load(i, self.header(at) + 1);
                Step::CopySecond
            }
            Step::CopySecond => {
                next.actors[i].sub.second = world.load(i, self.header(at) + 2);
                match () {
                    () if !sub.is_lossy => Step::CheckState,
                    () if self.has(Flaw::LossyNotChecked) || self.has(Flaw::LossyCheckedBeforeCopy) => {
                        self.accept(world, &mut next, i)
                    }
                    () => Step::CheckReclaim,
                }
            }
            Step::CheckState => {
                if world.load(i, words::state(line)) == sub.word || self.has(Flaw::GatingNotChecked) && sub.header == READY {
                    self.accept(world, &mut next, i)
                } else {
                    next.actors[i].sub.was_evicted = true;
                    Step::CheckReclaim
                }
            }
            Step::CheckReclaim => match world.load(i, RECLAIM) {
                reclaim if reclaim > at => self.discard(world, &mut next, i),
                _ if matches!(sub.header, READY | DONE) => self.accept(world, &mut next, i),
                _ if sub.was_evicted => Step::Learn,
                _ => Step::Read,
            },
            Step::Advance => {
                next.store(i, words::cursor(line), at, true, longest);
                if sub.was_evicted { Step::Learn } else { Step::Read }
            }
            Step::Learn => {
                next.drain(i);
                let found = Line(next.words[words::state(line) as usize]);
                assert!(found.with(GATING).0 == sub.word, "a live subscriber's line was taken: {world:?}");
                let mine = found.with(LOSSY);
                next.words[words::state(line) as usize] = mine.0;
                next.actors[i].sub = Copied { word: mine.0, is_lossy: true, was_evicted: false, ..next.actors[i].sub };
                Step::Read
            }
            Step::Pin => {
                next.store(i, words::pin(line), 1, true, longest);
                Step::CheckPinned
            }
            Step::CheckPinned => {
                if world.load(i, words::state(line)) == sub.word || self.has(Flaw::PinNotChecked) {
                    assert_ne!(world.published[at as usize], NOTHING, "a Sample of nothing: {world:?}");
                    Step::Sample
                } else {
                    next.actors[i].sub.was_evicted = true;
                    Step::UnpinRefused
                }
            }
            Step::UnpinRefused => {
                next.store(i, words::pin(line), 0, true, longest);
                Step::Learn
            }
            Step::Sample => match ends {
                Then::Stalls(after) if after == received => return None,
                _ if self.has(Flaw::UnpinnedBeforeCursor) => Step::UnpinEarly,
                _ => Step::DropCursor,
            },
            Step::UnpinEarly => {
                next.store(i, words::pin(line), 0, true, longest);
                Step::DropCursor
            }
            Step::DropCursor => {
                next.actors[i].at += 1;
                next.actors[i].messages += 1;
                next.store(i, words::cursor(line), at + 1, true, longest);
                if self.has(Flaw::UnpinnedBeforeCursor) { Step::Read } else { Step::Unpin }
            }
            Step::Unpin => {
                next.store(i, words::pin(line), 0, true, longest);
                Step::Read
            }
            Step::LockToAbort => {
                let holder = world.words[LOCK as usize];
                if holder != 0 && !world.is_dead(holder) {
                    return None;
                }
                next.drain(i);
                next.words[LOCK as usize] = me;
                next.actors[i].sub.holder = holder;
                Step::AbortDead
            }
            Step::AbortDead => {
                let is_mine = world.load(i, RECLAIM) <= at;
                if is_mine && next.compare_exchange(i, self.header(at), sub.header, DONE) {
                    next.published[at as usize] = ABORTED;
                }
                Step::UnlockAborted
            }
            Step::UnlockAborted => {
                // After a takeover the repair is left to a publisher, as if it were still to do.
                next.drain(i);
                next.words[LOCK as usize] = sub.holder;
                next.actors[i].sub.holder = 0;
                Step::Read
            }
            Step::Leave => {
                next.drain(i);
                let found = Line(next.words[words::state(line) as usize]);
                assert!(found.with(NO).0 == Line(sub.word).with(NO).0, "a live subscriber's line was taken: {world:?}");
                next.words[words::state(line) as usize] = self.freed(found).0;
                if !matches!(ends, Then::Rejoins(_)) {
                    return Some(self.gone(next, i));
                }
                next.actors[i] =
                    Actor { at: 0, messages: 0, sub: Copied { has_rejoined: true, ..Copied::default() }, ..next.actors[i] };
                Step::Find { line: 0 }
            }
            Step::Stalled => return None,
        };
        next.actors[i].step = super::Step::Subscribe(then);
        Some(next)
    }

    fn gone(&self, mut world: World, i: usize) -> World {
        let actor = &mut world.actors[i];
        *actor = Actor { step: super::Step::Done, at: 0, messages: 0, sub: Copied::default(), ..*actor };
        world
    }

    /// One call of `next` or `read` begins, or one that waits finds something.
    fn read(&self, world: &World, i: usize, reads: Reads, ends: Then) -> Option<World> {
        let mut next = *world;
        let Actor { at, sub, messages: received, .. } = world.actors[i];
        let header = world.load(i, self.header(at));
        next.actors[i].sub.header = header;
        let is_pending = header == FREE || header >= CLAIMED;
        let then = match ends {
            Then::Leaves(after) if after == received => Step::Leave,
            Then::Rejoins(after) if after == received && !sub.has_rejoined => Step::Leave,
            Then::Stalls(after) if after == received && (reads != Reads::InPlace || sub.is_lossy) => Step::Stalled,
            _ if header > CLAIMED && world.is_dead(header - CLAIMED) => Step::LockToAbort,
            _ if is_pending => {
                // It waits for the header, and for what makes the header count for nothing.
                let is_evicted = !sub.is_lossy && world.load(i, words::state(sub.line)) != sub.word;
                let is_lapped = sub.is_lossy && world.load(i, RECLAIM) > at;
                if !(is_evicted || is_lapped) || self.has(Flaw::EvictedWaitsOn) {
                    return None;
                }
                if is_evicted { Step::CheckState } else { Step::CheckReclaim }
            }
            _ if header == DONE && !sub.is_lossy => Step::CheckState,
            _ if header == DONE => Step::CheckReclaim,
            _ if sub.is_lossy && self.has(Flaw::LossyCheckedBeforeCopy) => Step::CheckReclaimEarly,
            _ if sub.is_lossy || reads == Reads::ByCopy => Step::CopyFirst,
            _ => Step::Pin,
        };
        next.actors[i].step = super::Step::Subscribe(then);
        Some(next)
    }

    /// The record at the cursor counts. A copy must be of what was published there.
    fn accept(&self, world: &World, next: &mut World, i: usize) -> Step {
        let Actor { at, sub, .. } = world.actors[i];
        let published = world.published[at as usize];
        if sub.header == READY {
            let expected = Case::tag(at, published);
            assert!(
                (next.actors[i].sub.first, next.actors[i].sub.second) == (expected, expected),
                "a torn or foreign value counts: {next:?}"
            );
            next.actors[i].messages += 1;
        } else {
            assert!(published == ABORTED, "a message was skipped: {world:?}");
        }
        next.actors[i].at = at + 1;
        let kept = next.actors[i].sub;
        next.actors[i].sub = Copied { header: 0, first: 0, second: 0, ..kept };
        Step::Advance
    }

    /// Lapped: it goes on at reclaim.
    fn discard(&self, world: &World, next: &mut World, i: usize) -> Step {
        next.actors[i].at = world.load(i, RECLAIM);
        let kept = next.actors[i].sub;
        next.actors[i].sub = Copied { header: 0, first: 0, second: 0, ..kept };
        Step::Advance
    }

    fn check_joined(&self, world: &World, i: usize, start: Start) {
        let Actor { at, sub, .. } = world.actors[i];
        if start == Start::Now {
            let end = (self.cells() as usize..).find(|&at| world.published[at] == NOTHING).expect("an end") as u8;
            assert!(sub.floor <= at && at <= end, "not from now on: {at} in {}..={end}, {world:?}", sub.floor);
        }
        if world.words[words::state(sub.line) as usize] == sub.word {
            assert!(at >= world.words[RECLAIM as usize], "joined at {at}, below reclaim: {world:?}");
        }
    }
}
