//! What tasks want, what there is, and which wants it is enough for.

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// Messages, or cells of a ring, or permits: what it takes of what is available.
    pub units: u64,
    /// Is it refused while an endpoint owns the side?
    pub by_lock: bool,
    /// May it go before those that came earlier and want less? It draws a ticket for that, and
    /// renews it once in a slice.
    pub is_large: bool,
    /// The number of its ticket; 0: none.
    pub ticket: u64,
}

impl Want {
    /// One message, permit or event.
    pub const ONE: Want = Want { units: 1, by_lock: false, is_large: false, ticket: 0 };
}

/// What there is to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    /// May be too high, never too low. [`Available::ALL`] is for every task.
    pub units: u64,
    /// An endpoint owns the side: tasks that go by lock would be refused at once.
    pub is_held: bool,
}

impl Available {
    pub const NOTHING: Available = Available { units: 0, is_held: false };
    /// For every task: the queue was closed, the event was set.
    pub const ALL: Available = Available { units: u64::MAX, is_held: false };
}

/// What waiting tasks want that differ in it: how much, in rising order, of the first of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    units: [u64; Sizes::MOST],
    count: usize,
}

impl Sizes {
    const MOST: usize = 64;
    pub const NONE: Sizes = Sizes { units: [0; Sizes::MOST], count: 0 };

    pub fn add(&mut self, units: u64) {
        let known = &self.units[..self.count];
        if let Err(at) = known.binary_search(&units) {
            if self.count < Sizes::MOST {
                self.units.copy_within(at..self.count, at + 1);
                self.units[at] = units;
                self.count += 1;
            }
        }
    }

    /// Which of them there is room for, found by halving: what fits leaves room for what is
    /// smaller.
    pub fn fitting(&self, has_room: impl Fn(u64) -> bool, ticket: u64) -> Fitting {
        let below = self.units[..self.count].partition_point(|&units| has_room(units));
        Fitting { below: self.units[..self.count].get(below).copied().unwrap_or(u64::MAX), ticket }
    }
}

/// Which wants can be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitting {
    /// Those of fewer units, as far as is known.
    below: u64,
    /// The ticket that goes first; 0: none is drawn.
    ticket: u64,
}

impl Fitting {
    pub const ALL: Fitting = Fitting { below: u64::MAX, ticket: 0 };

    pub fn allows(self, want: Want) -> bool {
        want.units < self.below && (self.ticket == 0 || self.ticket == want.ticket)
    }
}
