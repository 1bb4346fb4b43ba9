//! [`Seen`]: which messages of the stream were put into the queue. What an in bridge must know
//! after its death.
//!
//! Sequences that lie within 256 of each other are one *run*: its first one, and a bit for each of
//! them that was put here. Between them are those that another bridge of the same consumer has. A
//! ring of runs stands in the journal's words:
//!
//! ```text
//!   words:  version | queue | stream | clock | oldest | end | highest | settled | doubtful
//!           run 0: first | puts | confirmed | bits ...      run 1: ...      run RUNS-1
//!
//!   oldest                                    end - 1 (the open run)       end
//!     v                                          v                          v
//!   +----------------+------------------------+------------------------+- - - -
//!   | 1..=256        | 257, 259, .. 401       | 403..=498              | free
//!   | confirmed 17 s | acks under way         | the last may not be put|
//!   +----------------+------------------------+------------------------+- - - -
//!
//!   one message:  begin (journal) --> the put --> settle --> acks --> confirm --> 60 s --> forget
//!                     \--the put fails--> take_back
//! ```
//!
//! Invariants:
//! 1. A message is in a run before it is put. A run's `puts` is the queue's count of puts before
//!    its first message, and its messages are put one after the other: the `n`-th of it (from 0) is
//!    put when the count is `puts + n`, and raises it.
//! 2. Only the last message of the last run may not have been put: each `begin` comes after the
//!    `settle` of the one before it, which says so.
//! 3. So a successor knows of the message that is in doubt: it was put if the queue's count is
//!    beyond `puts + (number of bits) - 1` (Invariant 1). That count is exact for the owner of the
//!    put side, and for puts by copy, whose commit is one store. Where others put too, or the
//!    message is spilled, the count proves nothing: then it is put again.
//! 4. What is in a run is not put. So a sequence is put once, for as long as its run is kept, and a
//!    run is kept until the acks of all of it were confirmed, and 60 s of connected time longer.
//! 5. A run's words are written before `end` covers it, and a message is added to it by one store,
//!    of its bit. Bits are added in ascending order only: the last message of a run is its highest
//!    bit.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Words that outlive the bridge: those of the journal's segment, or a model's.
pub trait Words {
    /// Reads a word.
    fn load(&self, at: usize) -> u64;
    /// Writes a word. A kill between two stores leaves the first one.
    fn store(&self, at: usize, value: u64);
}

impl Words for [AtomicU64] {
    fn load(&self, at: usize) -> u64 {
        self[at].load(Acquire)
    }

    fn store(&self, at: usize, value: u64) {
        // Release: stores become visible in their order (Invariant 5).
        self[at].store(value, Release);
    }
}

const VERSION_WORD: usize = 0;
const QUEUE: usize = 1;
const STREAM: usize = 2;
const CLOCK: usize = 3;
const OLDEST: usize = 4;
const END: usize = 5;
const HIGHEST: usize = 6;
const SETTLED: usize = 7;
const DOUBTFUL: usize = 8;
/// When the consumer was made: not this module's.
pub const CONSUMER: usize = 9;
const FIRST_RUN: usize = 16;
const VERSION: u64 = 1;

/// Words of a run.
const FIRST: usize = 0;
const PUTS: usize = 1;
const CONFIRMED: usize = 2;
const BITS: usize = 4;
const RUN_WORDS: usize = BITS + BIT_WORDS;
const BIT_WORDS: usize = 4;
/// Sequences that a run may cover.
const SPAN: u64 = 64 * BIT_WORDS as u64;

/// Runs that are kept: for 60 s of 140,000 messages/s, or for half as many at each of two bridges.
pub const RUNS: usize = 1 << 15;
/// Words that a journal with that many runs has.
pub const fn words_of(runs: usize) -> usize {
    FIRST_RUN + runs * RUN_WORDS
}

/// What queue and stream the journal is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of {
    /// The queue's nonce.
    pub queue: u64,
    /// When the stream was made, in nanoseconds since 1970.
    pub stream: u64,
}

/// What a bridge knows of the count of puts when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It owns the put side, and kept it for its successor: all puts are its own.
    Owned(u64),
    /// Others put, too.
    Shared(u64),
}

/// Why a journal cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is of another version of the bridge.
    Version(u64),
    /// It is of another queue, or of an earlier one of that name.
    Queue,
    /// It is of another stream, or of an earlier one of that name.
    Stream,
    /// Another process has put so many messages, and the put of this sequence is in doubt.
    ForeignPuts(u64, u64),
    /// Its words are garbage.
    Garbage,
}

/// What became of the message that was in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// There was none.
    None,
    /// This sequence was put.
    WasPut(u64),
    /// This one was not, or it cannot be known: it is put when it comes again.
    PutAgain(u64),
}

/// Which sequences of a run were put here, by their distance from its first one.
#[derive(Clone, Copy, Default)]
struct Bits([u64; BIT_WORDS]);

impl Bits {
    fn has(&self, distance: u64) -> bool {
        distance < SPAN && self.0[(distance / 64) as usize] >> (distance % 64) & 1 == 1
    }

    fn flip(&mut self, distance: u64) {
        self.0[(distance / 64) as usize] ^= 1 << (distance % 64);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The last one that was added (Invariant 5).
    fn highest(&self) -> Option<u64> {
        let word = (0..BIT_WORDS).rev().find(|&word| self.0[word] != 0)?;
        Some(word as u64 * 64 + 63 - u64::from(self.0[word].leading_zeros()))
    }
}

struct Run {
    /// Its place in the ring of runs, which grows and never wraps.
    number: u64,
    bits: Bits,
    /// Messages whose acks are not confirmed; `None` in a run of a predecessor, which does not say.
    left: Option<u64>,
    is_confirmed: bool,
}

/// The messages that were put, as the journal has them.
pub struct Seen<'w, W: Words + ?Sized> {
    words: &'w W,
    capacity: u64,
    /// By their first sequence.
    runs: BTreeMap<u64, Run>,
    /// First sequences from the oldest run to the newest.
    order: VecDeque<u64>,
    oldest: u64,
    /// Messages whose acks are not confirmed, of this bridge's life.
    unconfirmed: HashSet<u64>,
    /// The open run, by its first sequence.
    open: Option<u64>,
    puts: u64,
    clock: u64,
    highest: u64,
}

impl<'w, W: Words + ?Sized> Seen<'w, W> {
    /// Begins a journal, whatever was in it.
    pub fn begin_anew(words: &'w W, runs: usize, of: Of, puts: u64) -> Seen<'w, W> {
        // A kill in between leaves a journal without a version: the next bridge begins it anew.
        words.store(VERSION_WORD, 0);
        [CLOCK, OLDEST, END, HIGHEST, SETTLED, DOUBTFUL].into_iter().for_each(|word| words.store(word, 0));
        words.store(QUEUE, of.queue);
        words.store(STREAM, of.stream);
        words.store(VERSION_WORD, VERSION);
        let (capacity, clock) = (runs as u64, 0);
        let (runs, order, unconfirmed) = (BTreeMap::new(), VecDeque::new(), HashSet::new());
        Seen { words, capacity, runs, order, oldest: 0, unconfirmed, open: None, puts, clock, highest: 0 }
    }

    /// Was a journal begun in these words?
    pub fn is_begun(words: &W) -> bool {
        words.load(VERSION_WORD) != 0
    }

    /// Goes on with a journal. `count` was read by the owner of the put side, after its repair.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was changed.
    pub fn recover(words: &'w W, runs: usize, of: Of, count: Count) -> Result<(Seen<'w, W>, Doubt), Refusal> {
        match words.load(VERSION_WORD) {
            VERSION => {}
            other => return Err(Refusal::Version(other)),
        }
        if words.load(QUEUE) != of.queue {
            return Err(Refusal::Queue);
        }
        if words.load(STREAM) != of.stream {
            return Err(Refusal::Stream);
        }
        let (oldest, end) = (words.load(OLDEST), words.load(END));
        if end < oldest || end - oldest > runs as u64 {
            return Err(Refusal::Garbage);
        }
        let (Count::Owned(puts) | Count::Shared(puts)) = count;
        let mut seen = Seen {
            words,
            capacity: runs as u64,
            runs: BTreeMap::new(),
            order: VecDeque::new(),
            oldest,
            unconfirmed: HashSet::new(),
            open: None,
            puts,
            clock: words.load(CLOCK),
            highest: words.load(HIGHEST),
        };
        let doubt = seen.settle_doubt(count)?;
        for number in oldest..end {
            let at = seen.at(number);
            let (first, bits) = (words.load(at + FIRST), seen.load_bits(at));
            // An empty run holds its place in the ring, and no sequence.
            let is_confirmed = words.load(at + CONFIRMED) != 0 || bits.count() == 0;
            if bits.count() == 0 && words.load(at + CONFIRMED) == 0 {
                words.store(at + CONFIRMED, seen.clock + 1);
            }
            let key = if bits.count() == 0 { u64::MAX - number } else { first };
            seen.runs.insert(key, Run { number, bits, left: None, is_confirmed });
            seen.order.push_back(key);
        }
        Ok((seen, doubt))
    }

    /// Finds out whether the last message was put, and cuts it off if not (Invariant 3).
    fn settle_doubt(&mut self, count: Count) -> Result<Doubt, Refusal> {
        let (oldest, end) = (self.oldest, self.words.load(END));
        if oldest == end {
            return Ok(Doubt::None);
        }
        let at = self.at(end - 1);
        let (first, before, mut bits) = (self.words.load(at + FIRST), self.words.load(at + PUTS), self.load_bits(at));
        let length = bits.count();
        let Some(last) = bits.highest().filter(|_| self.words.load(SETTLED) != settled(end - 1, length)) else {
            return Ok(Doubt::None);
        };
        let sequence = first + last;
        let was_put = match count {
            // Aborted claims count as well: only what was put by copy is known by the count.
            Count::Owned(_) if self.words.load(DOUBTFUL) != 0 => false,
            Count::Owned(puts) if puts > before + length => return Err(Refusal::ForeignPuts(puts - before - length, sequence)),
            Count::Owned(puts) => puts == before + length,
            Count::Shared(_) => false,
        };
        if !was_put {
            bits.flip(last);
            self.store_bits(at, &bits, last);
        }
        let kept = if was_put { length } else { length - 1 };
        self.words.store(SETTLED, settled(end - 1, kept));
        Ok(if was_put { Doubt::WasPut(sequence) } else { Doubt::PutAgain(sequence) })
    }

    fn at(&self, number: u64) -> usize {
        FIRST_RUN + (number % self.capacity) as usize * RUN_WORDS
    }

    fn load_bits(&self, at: usize) -> Bits {
        Bits(std::array::from_fn(|word| self.words.load(at + BITS + word)))
    }

    /// Stores the word that has this distance: one store (Invariant 5).
    fn store_bits(&self, at: usize, bits: &Bits, distance: u64) {
        let word = (distance / 64) as usize;
        self.words.store(at + BITS + word, bits.0[word]);
    }

    /// Was it put (Invariant 4)?
    pub fn knows(&self, sequence: u64) -> bool {
        self.run_of(sequence).is_some()
    }

    /// Runs may overlap: what another bridge had between those of a run may come here later.
    fn run_of(&self, sequence: u64) -> Option<u64> {
        let may_cover = self.runs.range(sequence.saturating_sub(SPAN - 1)..=sequence).rev();
        may_cover.filter(|(first, run)| run.bits.has(sequence - **first)).map(|(&first, _)| first).next()
    }

    /// Journals a message that will be put next (Invariant 1). `false`: there is no room, acks are
    /// missing. `is_certain`: it is put by copy into the ring.
    pub fn begin(&mut self, sequence: u64, is_certain: bool) -> bool {
        debug_assert!(!self.knows(sequence));
        if self.words.load(DOUBTFUL) != u64::from(!is_certain) {
            self.words.store(DOUBTFUL, u64::from(!is_certain));
        }
        let highest = self.highest.max(sequence);
        if let Some((first, run)) = self.open.and_then(|first| self.runs.get_mut(&first).map(|run| (first, run)))
            && sequence > first + run.bits.highest().unwrap_or(0)
            && sequence - first < SPAN
        {
            run.bits.flip(sequence - first);
            run.left = run.left.map(|left| left + 1);
            let (number, bits) = (run.number, run.bits);
            self.store_bits(self.at(number), &bits, sequence - first);
            self.highest = highest;
            self.unconfirmed.insert(sequence);
            return true;
        }
        if !self.open_run(sequence) {
            return false;
        }
        self.highest = highest;
        self.unconfirmed.insert(sequence);
        true
    }

    fn open_run(&mut self, sequence: u64) -> bool {
        let number = self.oldest + self.order.len() as u64;
        if self.order.len() as u64 == self.capacity {
            return false;
        }
        let at = self.at(number);
        self.words.store(at + FIRST, sequence);
        self.words.store(at + PUTS, self.puts);
        let mut bits = Bits::default();
        bits.flip(0);
        (0..BIT_WORDS as u64).for_each(|word| self.store_bits(at, &bits, 64 * word));
        self.words.store(at + CONFIRMED, 0);
        self.words.store(END, number + 1);
        self.runs.insert(sequence, Run { number, bits, left: Some(1), is_confirmed: false });
        self.order.push_back(sequence);
        self.open = Some(sequence);
        true
    }

    /// The message that was begun last was put (Invariant 2).
    pub fn settle(&mut self) {
        self.puts += 1;
        if let Some(run) = self.open.and_then(|first| self.runs.get(&first)) {
            self.words.store(SETTLED, settled(run.number, run.bits.count()));
        }
    }

    /// The same for a message that was not put by copy. `puts` is what the queue counts now: claims
    /// that were aborted count, so the next message opens a run, with that count (Invariant 1).
    pub fn settle_uncertain(&mut self, puts: u64) {
        self.settle();
        self.puts = puts;
        self.open = None;
    }

    /// The message that was begun last was not put. `puts` is what the queue counts now: a claim
    /// that was aborted counts.
    pub fn take_back(&mut self, puts: u64) {
        let Some(first) = self.open.take() else { return };
        let Some(run) = self.runs.get_mut(&first) else { return };
        let Some(last) = run.bits.highest() else { return };
        run.bits.flip(last);
        run.left = run.left.map(|left| left - 1);
        self.unconfirmed.remove(&(first + last));
        let (number, bits) = (run.number, run.bits);
        let length = bits.count();
        self.store_bits(self.at(number), &bits, last);
        self.words.store(SETTLED, settled(number, length));
        // The next message opens a run, with that count.
        self.puts = puts;
        if length == 0 {
            self.drop_empty(first, number);
        }
    }

    /// Takes a run without messages out of the ring: it is the newest.
    fn drop_empty(&mut self, first: u64, number: u64) {
        self.words.store(END, number);
        self.runs.remove(&first);
        self.order.pop_back();
    }

    /// The server confirmed the ack of a message.
    pub fn confirm(&mut self, sequence: u64) {
        if !self.unconfirmed.remove(&sequence) {
            return;
        }
        if let Some(run) = self.run_of(sequence).and_then(|first| self.runs.get_mut(&first)) {
            run.left = run.left.map(|left| left.saturating_sub(1));
        }
    }

    /// A message that is known came again: it is acked again, and its time begins anew.
    pub fn came_again(&mut self, sequence: u64) {
        if !self.unconfirmed.insert(sequence) {
            return;
        }
        let Some(run) = self.run_of(sequence).and_then(|first| self.runs.get_mut(&first)) else { return };
        run.left = run.left.map(|left| left + 1);
        if std::mem::take(&mut run.is_confirmed) {
            run.left = Some(1);
            let at = FIRST_RUN + (run.number % self.capacity) as usize * RUN_WORDS;
            self.words.store(at + CONFIRMED, 0);
        }
    }

    /// All messages up to that sequence were acked, says the server.
    pub fn confirm_up_to(&mut self, floor: u64) {
        for (&first, run) in self.runs.range_mut(..=floor) {
            if floor - first >= run.bits.highest().unwrap_or(0) {
                run.left = Some(0);
            }
        }
        self.unconfirmed.retain(|&sequence| sequence > floor);
    }

    /// Connected time has passed: notes which runs are confirmed by now, and forgets those that
    /// were for as long as `keep_ms`. Returns how many are left that no ack of this bridge will
    /// confirm.
    pub fn pass_time(&mut self, connected_ms: u64, keep_ms: u64) -> usize {
        self.clock += connected_ms;
        if connected_ms != 0 {
            self.words.store(CLOCK, self.clock);
            self.words.store(HIGHEST, self.highest);
        }
        let mut unknown = 0;
        for (first, run) in &mut self.runs {
            if !run.is_confirmed && run.left == Some(0) {
                run.is_confirmed = true;
                let at = FIRST_RUN + (run.number % self.capacity) as usize * RUN_WORDS;
                self.words.store(at + CONFIRMED, self.clock + 1);
                if self.open == Some(*first) {
                    self.open = None;
                }
            }
            unknown += usize::from(run.left.is_none() && !run.is_confirmed);
        }
        while let Some(&first) = self.order.front() {
            let confirmed = self.words.load(self.at(self.oldest) + CONFIRMED);
            if confirmed == 0 || self.clock + 1 - confirmed < keep_ms {
                break;
            }
            self.words.store(OLDEST, self.oldest + 1);
            self.oldest += 1;
            self.order.pop_front();
            self.runs.remove(&first);
        }
        unknown
    }

    /// The highest sequence that was ever put.
    pub fn highest(&self) -> u64 {
        let ends = self.runs.iter().filter_map(|(first, run)| Some(first + run.bits.highest()?));
        ends.max().unwrap_or(0).max(self.highest)
    }

    /// Runs that are kept.
    pub fn kept(&self) -> usize {
        self.order.len()
    }
}

/// One word: which run is the last, and how long it was when all of it had been put.
fn settled(number: u64, length: u64) -> u64 {
    (number << 16) | length
}

#[cfg(test)]
#[path = "model.rs"]
mod model;
