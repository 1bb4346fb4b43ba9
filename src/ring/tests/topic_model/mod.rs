//! The protocol of topics as a state machine: every order of steps, and a kill at every step.
//!
//! A step is one access to a word that other processes access, too. A store stays in its storer's
//! buffer until the storer executes a locked operation, another process runs the heavy barrier, the
//! storer dies, or chance drains it. Buffers drain in order, as on x86-64; in some cases in any
//! order that fences and Release stores allow.
//!
//! The steps are those of `ring/topic`, in its order, and of its callers in `raw` (`raw/topic`):
//! joining, the gate, reclaim, reading, eviction; repair and the put side's lock are shortened.
//!
//! The ring is one of messages of one size, positions are numbers of cells, and a payload has two
//! words, which name the position and the publisher: so each copy and each open Sample shows by
//! itself whether it is what was published. Slices, sleep and the end of the stream have machines
//! of their own.
//!
//! A step that touches only words of the put side's owner commutes with all steps of the others: it
//! is taken at once (but its actor may be killed before it). When nothing moves any more, an heir
//! publishes more than a whole ring: whatever happened, it must come to its end unless a live
//! subscriber, or a live loan, legitimately stops it.
//!
//! Worlds that were visited are remembered by 128 bits of hash.

mod aborts;
mod flaw;
mod gate;
mod publisher;
mod subscriber;
mod tests;
mod wakes;
mod words;

use flaw::Flaw;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use words::{BOUND, Buffer, GATE, JOINS_SEEN, LAGGARD, OTHERS, RECLAIM, TAIL, WORDS};

const MOST_ACTORS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Now,
    Oldest,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reads {
    ByCopy,
    InPlace,
    Lossy,
}

/// What a subscriber does after some messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    GoesOn,
    Leaves(u8),
    /// Leaves, and joins once more.
    Rejoins(u8),
    /// Lives, and never calls again; in place, with its Sample open.
    Stalls(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loans {
    No,
    Commits,
    /// The first is never finished.
    Keeps,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Absent,
    Publisher {
        messages: u8,
        is_endpoint: bool,
        loans: Loans,
    },
    Subscriber {
        start: Start,
        reads: Reads,
        then: Then,
    },
    /// Evicts the holder of that line when it gates, so often.
    Evictor {
        line: u8,
        times: u8,
    },
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
struct Case {
    kinds: [Kind; MOST_ACTORS],
    capacity: u8,
    slack: u8,
    history: u8,
    lines: u8,
    kills: u8,
    /// Stores that a buffer holds.
    buffer: usize,
    reorders: bool,
    /// Does the publisher remember its last scan?
    has_memory: bool,
    flaw: Flaw,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Absent,
    /// The heir, until nothing else moves.
    Dormant,
    Done,
    Publish(publisher::Step),
    Subscribe(subscriber::Step),
    Evict,
    EvictBarrier,
}

/// One process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Actor {
    step: Step,
    is_dead: bool,
    /// Messages that are still to be published, or that were received.
    messages: u8,
    /// A publisher's tail, a subscriber's cursor.
    at: u8,
    put: gate::Scan,
    sub: subscriber::Copied,
    buffer: Buffer,
}

impl Hash for Actor {
    /// Of what its kind of actor uses: derived, it would take most of the time.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&[self.is_dead as u8, self.messages, self.at]);
        self.buffer.hash(hasher);
        self.step.hash(hasher);
        match self.step {
            Step::Publish(_) => hasher.write(&self.put.bytes()),
            Step::Subscribe(_) => hasher.write(&self.sub.bytes()),
            _ => {}
        }
    }
}

/// Of a position, for the checks: what was published there.
const NOTHING: u8 = 0;
const LENT: u8 = 8;
const ABORTED: u8 = 9;
const POSITIONS: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct World {
    words: [u8; WORDS],
    actors: [Actor; MOST_ACTORS],
    /// [`NOTHING`], [`LENT`], [`ABORTED`], or the publisher's number and 1.
    published: [u8; POSITIONS],
    kills_left: u8,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.words);
        hasher.write(&self.published);
        hasher.write_u8(self.kills_left);
        self.actors.iter().for_each(|actor| actor.hash(hasher));
    }
}

/// Two lanes of 64 bits.
#[derive(Clone, Copy)]
struct Fingerprint(u64, u64);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        words.for_each(|word| self.write_u64(u64::from_le_bytes(word.try_into().expect("eight bytes"))));
        self.write_u64(rest.iter().fold(rest.len() as u64, |word, &byte| word << 8 | byte as u64));
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte as u64);
    }

    fn write_isize(&mut self, discriminant: isize) {
        self.write_u64(discriminant as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.1 = (self.1 ^ word ^ self.1 >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

fn fingerprint(world: &World) -> (u64, u64) {
    let mut hasher = Fingerprint(1, 2);
    world.hash(&mut hasher);
    (hasher.0, hasher.1)
}

impl Case {
    fn new(kinds: &[Kind]) -> Case {
        let mut all = [Kind::Absent; MOST_ACTORS];
        all[..kinds.len()].copy_from_slice(kinds);
        Case {
            kinds: all,
            capacity: 2,
            slack: 1,
            history: 0,
            lines: 1,
            kills: 0,
            buffer: 1,
            reorders: false,
            has_memory: true,
            flaw: Flaw::None,
        }
    }

    fn cells(&self) -> u8 {
        self.capacity + self.slack + 1
    }

    fn cell(&self, position: u8) -> u8 {
        position % self.cells()
    }

    fn header(&self, position: u8) -> words::Word {
        words::header(self.cell(position))
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// The word of a payload.
    fn tag(position: u8, publisher: u8) -> u8 {
        position * 8 + publisher
    }

    fn begin(&self) -> World {
        let first = self.cells();
        let mut words = [0; WORDS];
        for word in [TAIL, RECLAIM, GATE] {
            words[word as usize] = first;
        }
        words[BOUND as usize] = first - self.slack;
        words[JOINS_SEEN as usize] = gate::NEVER;
        (words[LAGGARD as usize], words[OTHERS as usize]) = (gate::NO_LINE, u8::MAX);
        let actor = |kind| {
            let mut actor = Actor {
                step: Step::Absent,
                is_dead: false,
                messages: 0,
                at: 0,
                put: gate::Scan::default(),
                sub: subscriber::Copied::default(),
                buffer: Buffer::default(),
            };
            match kind {
                Kind::Absent => {}
                Kind::Publisher { messages, .. } => {
                    (actor.step, actor.messages) = (Step::Publish(publisher::Step::Lock), messages);
                }
                Kind::Subscriber { .. } => actor.step = Step::Subscribe(subscriber::Step::Find { line: 0 }),
                Kind::Evictor { times, .. } => (actor.step, actor.messages) = (Step::Evict, times),
            }
            actor
        };
        World { words, actors: self.kinds.map(actor), published: [NOTHING; POSITIONS], kills_left: self.kills }
    }

    fn step(&self, world: &World, i: usize, out: &mut Vec<World>) {
        match (world.actors[i].step, self.kinds[i]) {
            (Step::Publish(step), _) => out.extend(self.step_publisher(world, i, step)),
            (Step::Subscribe(step), _) => out.extend(self.step_subscriber(world, i, step)),
            (Step::Evict, Kind::Evictor { line, .. }) => {
                let found = subscriber::Line(world.words[words::state(line) as usize]);
                if found.kind() == subscriber::GATING {
                    let mut next = *world;
                    next.words[words::state(line) as usize] = found.with(subscriber::EVICTING).0;
                    next.actors[i].messages -= 1;
                    next.actors[i].step = match next.actors[i].messages {
                        _ if self.has(Flaw::EvictorRunsBarrier) => Step::EvictBarrier,
                        0 => Step::Done,
                        _ => Step::Evict,
                    };
                    out.push(next);
                }
            }
            (Step::EvictBarrier, _) => {
                let mut next = *world;
                next.heavy_barrier();
                next.actors[i].step = Step::Done;
                out.push(next);
            }
            _ => {}
        }
    }

    /// A killed process has executed the stores that it executed.
    fn kill(&self, world: &World, i: usize, out: &mut Vec<World>) {
        let is_alive = !matches!(world.actors[i].step, Step::Absent | Step::Dormant | Step::Done) && !world.actors[i].is_dead;
        if is_alive && world.kills_left > 0 {
            let mut next = *world;
            next.kills_left -= 1;
            next.drain(i);
            let dead = &mut next.actors[i];
            *dead = Actor {
                step: Step::Done,
                is_dead: true,
                messages: 0,
                at: 0,
                put: Default::default(),
                sub: Default::default(),
                ..*dead
            };
            out.push(next);
        }
    }

    fn successors(&self, world: &World) -> Vec<World> {
        let mut out = Vec::with_capacity(16);
        for i in 0..MOST_ACTORS {
            if world.actors[i].step.is_private() {
                self.step(world, i, &mut out);
                assert!(!out.is_empty(), "a private step never waits: {world:?}");
                self.kill(world, i, &mut out);
                return out;
            }
        }
        for i in 0..MOST_ACTORS {
            self.step(world, i, &mut out);
            world.drained(i, self.reorders, &mut out);
        }
        if out.is_empty() {
            self.check_rest(world);
            out.extend(self.wake_heir(world));
        }
        (0..MOST_ACTORS).for_each(|i| self.kill(world, i, &mut out));
        out
    }

    /// The heir takes the place of the first publisher, or of an absent actor.
    fn wake_heir(&self, world: &World) -> Option<World> {
        let i = (0..MOST_ACTORS).find(|&i| world.actors[i].step == Step::Dormant)?;
        let mut next = *world;
        next.actors[i].step = Step::Publish(publisher::Step::Lock);
        Some(next)
    }

    fn explore(&self) -> usize {
        let mut start = self.begin();
        if let Some(heir) = (0..MOST_ACTORS).find(|&i| self.kinds[i] == Kind::Absent) {
            (start.actors[heir].step, start.actors[heir].messages) = (Step::Dormant, self.capacity + 1);
        }
        let mut seen = HashSet::new();
        let mut open = vec![start];
        seen.insert(fingerprint(&start));
        while let Some(world) = open.pop() {
            for next in self.successors(&world) {
                if seen.insert(fingerprint(&next)) {
                    self.check(&next);
                    open.push(next);
                }
            }
        }
        seen.len()
    }

    /// In every world.
    fn check(&self, world: &World) {
        for actor in &world.actors {
            if actor.step == Step::Subscribe(subscriber::Step::Sample) {
                let header = self.header(actor.at) as usize;
                let expected = Case::tag(actor.at, world.published[actor.at as usize]);
                assert_eq!(world.words[header + 1..header + 3], [expected; 2], "a live &T was overwritten: {world:?}");
            }
        }
    }

    fn check_rest(&self, world: &World) {
        let end = (self.cells() as usize..POSITIONS).find(|&at| world.published[at] == NOTHING).expect("an end") as u8;
        for (i, actor) in world.actors.iter().enumerate() {
            match actor.step {
                Step::Publish(publisher::Step::Full) => {
                    assert!(self.is_stopped(world, end), "Full, and no live process stops it: {world:?}");
                }
                Step::Publish(publisher::Step::Holding) | Step::Dormant | Step::Done | Step::Absent | Step::Evict => {}
                Step::Subscribe(subscriber::Step::Stalled | subscriber::Step::Sample) => {}
                Step::Subscribe(subscriber::Step::Read) => {
                    let lent = world.published[actor.at as usize] == LENT;
                    assert!(actor.at == end || lent, "subscriber {i} waits at {} before {end}: {world:?}", actor.at);
                }
                step => panic!("actor {i} hangs at {step:?}: {world:?}"),
            }
        }
    }

    /// Does a live process rightly stop the publisher?
    fn is_stopped(&self, world: &World, end: u8) -> bool {
        let holds = |actor: &Actor| matches!(actor.step, Step::Publish(publisher::Step::Holding));
        let gates = |actor: &Actor| match actor.step {
            Step::Subscribe(subscriber::Step::Stalled) => {
                let line = subscriber::Line(world.words[words::state(actor.sub.line) as usize]);
                line.kind() == subscriber::GATING
            }
            Step::Subscribe(subscriber::Step::Sample) => true,
            _ => false,
        };
        world.actors.iter().any(|actor| holds(actor) || gates(actor) && end - actor.at >= self.capacity)
    }
}

impl Step {
    fn is_private(self) -> bool {
        matches!(self, Step::Publish(step) if step.is_private())
    }
}

impl World {
    /// Is the process with that number (counted from 1) dead?
    fn is_dead(&self, number: u8) -> bool {
        self.actors[number as usize - 1].is_dead
    }
}
