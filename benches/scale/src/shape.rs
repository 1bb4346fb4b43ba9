//! What is simulated: which calls, of how many messages, on how many lanes, and what they cost
//! besides the lines that they touch.

use crate::lines::Ps;
use crate::ring::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `Producer` and `Consumer`: no lock.
    Endpoints,
    /// The lock of its side for each call.
    Queue,
}

/// How getters go from lane to lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Another lane at each call.
    Next,
    /// The own lane as long as it has messages.
    Home,
}

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub way: Way,
    pub message_bytes: u64,
    /// Messages a call.
    pub batch: u64,
    pub lanes: usize,
    pub turn: Turn,
    /// The caller's own work for each message, on each side.
    pub work: Ps,
    /// Messages that each putter puts; `u64::MAX`: until the run ends.
    pub each: u64,
}

impl Shape {
    /// A queue of 64 B messages, put and taken one by one, without any work of the callers.
    pub const ONE_LANE: Shape =
        Shape { way: Way::Queue, message_bytes: 64, batch: 1, lanes: 1, turn: Turn::Home, work: 0, each: u64::MAX };

    /// The copy of one message.
    pub fn copy(&self) -> Ps {
        let batched = if self.batch > 1 { IN_BATCH } else { 0 };
        instructions(self.message_bytes / 8 * PER_WORD + batched)
    }

    /// Instructions of a call outside the lock and inside, without its copies.
    pub fn call(&self, side: Side) -> (u64, u64) {
        match (self.way, side) {
            (Way::Queue, Side::Put) => QUEUE_PUT,
            (Way::Queue, Side::Get) => QUEUE_GET,
            (Way::Endpoints, Side::Put) => (0, ENDPOINT_PUT),
            (Way::Endpoints, Side::Get) => (0, ENDPOINT_GET),
        }
    }

    /// The least time that one message of a call needs inside a side, and outside: every line in the
    /// core's cache, nothing to wait for. `atomic`: one of the lock's two instructions.
    pub fn least(&self, side: Side, atomic: Ps) -> (Ps, Ps) {
        let (outside, inside) = self.call(side);
        let locked = if self.way == Way::Queue { atomic } else { 0 };
        let in_all = instructions(inside) + locked + self.batch * self.copy();
        (in_all / self.batch, (instructions(outside) + locked) / self.batch + self.work)
    }
}

/// That of the channels in `benches/compare`.
pub const CAPACITY: u64 = 1024;

/// Five instructions take a quarter of a nanosecond (fitted). Those of a put and a get are counted by
/// callgrind (`tests/instructions.rs`; 106 and 87 by `Queue`, the two locked ones of each cost more);
/// that a bit more than half of them lie inside the lock is a guess.
const INSTRUCTION: Ps = 50;
const QUEUE_PUT: (u64, u64) = (45, 59);
const QUEUE_GET: (u64, u64) = (37, 48);
const ENDPOINT_PUT: u64 = 62;
const ENDPOINT_GET: u64 = 48;
/// Of a batch, for each message, beside its copy (fitted).
const IN_BATCH: u64 = 30;
/// To write, or to add up, one word of a message.
const PER_WORD: u64 = 3;

pub fn instructions(count: u64) -> Ps {
    count * INSTRUCTION
}
