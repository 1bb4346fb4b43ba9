//! Cache lines: which core has one, and how long it takes to come.
//!
//! ```text
//!   nowhere --read--> shared by some --own--> owned by one
//!                          ^                      | read by another
//!                          +----------------------+
//! ```
//!
//! Invariants:
//! 1. The owner of a line is its only holder.
//! 2. A core reads a line that it holds, and writes a line that it owns, at the cost of a hit. All
//!    else waits for the line.
//! 3. Requests for one line are served one after the other, in the order in which they come. A
//!    request for ownership occupies the line until it has arrived; a read only for a part of that.
//! 4. A core sends requests at intervals of `transfer / in_flight`: so many lines are on their way to
//!    it at once, where nothing else delays them.

/// Picoseconds.
pub type Ps = u64;

/// What an access costs.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// An access to a line that the core has.
    pub hit: Ps,
    /// A locked instruction on a line that the core owns, once its earlier stores are visible.
    pub atomic: Ps,
    /// A line from one core to another.
    pub transfer: Ps,
    /// Ownership of a line that this core has and others share.
    pub upgrade: Ps,
    /// Lines that are on their way to one core at once (fitted).
    pub in_flight: u64,
    /// Stores of one core that are not visible yet.
    pub store_buffer: usize,
}

impl Costs {
    /// A bare line goes there and back in 129 ns: the median of the run in `docs/performance.md`.
    /// How it divides between transfer and upgrade, the cost of a locked instruction and
    /// `in_flight` were fitted to the table there (`measured.rs`).
    pub const NEAR: Costs = Costs { hit: 200, atomic: 2_000, transfer: 55_000, upgrade: 9_500, in_flight: 9, store_buffer: 48 };
    /// In 430 ns: the same cores in the state that the page calls far.
    pub const FAR: Costs = Costs { transfer: 183_000, upgrade: 32_000, ..Costs::NEAR };
}

/// At most as many cores as a line has bits for its holders.
pub const MAX_CORES: usize = 64;

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    holders: u64,
    owner: Option<u8>,
    /// The core that it last went to, and when it arrives there.
    last: u8,
    arrives: Ps,
    /// From when on the next request is served.
    free_at: Ps,
}

/// All lines of the model, and the cores' requests for them.
#[derive(Debug)]
pub struct Lines {
    lines: Vec<Line>,
    /// From when on each core may request another line.
    ports: Vec<Ps>,
    costs: Costs,
    pub moved: u64,
}

impl Lines {
    pub fn new(lines: usize, cores: usize, costs: Costs) -> Lines {
        assert!(cores <= MAX_CORES);
        Lines { lines: vec![Line::default(); lines], ports: vec![0; cores], costs, moved: 0 }
    }

    /// When `core`, which asks at `now`, has read the line.
    pub fn read(&mut self, core: usize, line: usize, now: Ps) -> Ps {
        if self.lines[line].holders >> core & 1 == 1 {
            return self.when_there(core, line, now) + self.costs.hit;
        }
        let start = self.request(core, now).max(self.lines[line].free_at);
        let gap = self.gap();
        let arrives = start + self.costs.transfer;
        let it = &mut self.lines[line];
        *it = Line { holders: it.holders | 1 << core, owner: None, last: core as u8, arrives, free_at: start + gap };
        arrives
    }

    /// When `core`, which asks at `now`, owns the line.
    pub fn own(&mut self, core: usize, line: usize, now: Ps) -> Ps {
        let Line { holders, owner, free_at, .. } = self.lines[line];
        let has_it = holders >> core & 1 == 1;
        if owner == Some(core as u8) || holders == 1 << core {
            self.lines[line].owner = Some(core as u8);
            return self.when_there(core, line, now) + self.costs.hit;
        }
        let arrives = if has_it {
            self.when_there(core, line, now).max(free_at) + self.costs.upgrade
        } else {
            self.request(core, now).max(free_at) + self.costs.transfer
        };
        self.lines[line] = Line { holders: 1 << core, owner: Some(core as u8), last: core as u8, arrives, free_at: arrives };
        arrives
    }

    fn when_there(&self, core: usize, line: usize, now: Ps) -> Ps {
        let Line { last, arrives, .. } = self.lines[line];
        if last as usize == core { now.max(arrives) } else { now }
    }

    fn gap(&self) -> Ps {
        self.costs.transfer / self.costs.in_flight
    }

    /// When the core may send a request (Invariant 4).
    fn request(&mut self, core: usize, now: Ps) -> Ps {
        let start = now.max(self.ports[core]);
        self.ports[core] = start + self.gap();
        self.moved += 1;
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_owner_is_the_only_holder() {
        let mut lines = Lines::new(8, 5, Costs::NEAR);
        let mut random = Random::new(7);
        let mut now = 0;
        for _ in 0..20_000 {
            let (core, line) = (random.below(5) as usize, random.below(8) as usize);
            now += random.below(30_000);
            let writes = random.below(2) == 0;
            let had = lines.lines[line];
            let done = if writes { lines.own(core, line, now) } else { lines.read(core, line, now) };
            let has = lines.lines[line];
            assert_eq!(has.holders >> core & 1, 1);
            if let Some(owner) = has.owner {
                assert_eq!(has.holders, 1 << owner);
            }
            assert!(!writes || has.owner == Some(core as u8));
            // What the core did not have takes as long as it takes.
            let free = if writes { had.holders == 1 << core } else { had.holders >> core & 1 == 1 };
            let least = if free { Costs::NEAR.hit } else { Costs::NEAR.upgrade };
            assert!(done >= now + least, "{done} {now} {had:?} {has:?}");
        }
    }

    #[test]
    fn a_line_goes_there_and_back_in_the_measured_time() {
        for (costs, measured) in [(Costs::NEAR, 129_000), (Costs::FAR, 430_000)] {
            let mut lines = Lines::new(1, 2, costs);
            let mut now = lines.own(0, 0, 0);
            now = lines.read(1, 0, now);
            let begin = now;
            for _ in 0..100 {
                for core in [1, 0] {
                    now = lines.own(core, 0, now);
                    now = lines.read(1 - core, 0, now);
                }
            }
            assert!((now - begin).abs_diff(100 * measured) < measured, "{}", (now - begin) / 100);
        }
    }

    #[test]
    fn lines_that_are_fetched_together_overlap() {
        let mut lines = Lines::new(64, 2, Costs::NEAR);
        let ready = (0..64).map(|line| lines.own(0, line, 0)).max().unwrap();
        let last = (0..64).map(|line| lines.read(1, line, ready)).max().unwrap();
        assert_eq!(last - ready, 63 * (Costs::NEAR.transfer / Costs::NEAR.in_flight) + Costs::NEAR.transfer);
    }
}
