//! The side page of a kill: what each process has put and taken, written by the process itself.
//!
//! A memfd that all processes of a round map, the Python ones too (`python/killed.py` has the same
//! offsets).
//!
//! ```text
//!   word 16 + 64p   producer p: ready, returned, limit, failed puts, their numbers
//!   word 16 + 128 + 64c   consumer c: ready, noted, asking, last of producer 0, of 1, torn, again
//!   word 512 + 64r  what went wrong in role r: length, then text
//!   byte 8192 + p * MESSAGES + n    how often message n of producer p was taken
//! ```
//!
//! Invariants:
//! 1. Each word has one writer: its role; `limit`, the umpire. A byte of a message is written by
//!    the consumer that took the message; two write it only if it was delivered twice.
//! 2. A producer raises `returned` after a put returned and before it begins the next. So a number
//!    below `returned` that is not among the failed ones is a committed message.
//! 3. A consumer sets `asking` before it receives and clears it after it has noted the message. So
//!    a consumer that was killed had at most one call's messages that it did not note.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::atomic::{
        AtomicU8, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

/// Messages that a producer may send in a round.
pub const MESSAGES: u64 = 1 << 20;
/// Producers, and consumers: the one that is killed and the one that goes on.
pub const SIDES: usize = 2;
/// Words of a message: a cache line.
pub const WORDS: u64 = 8;

const ROLE_WORDS: usize = 64;
const PRODUCERS: usize = 16;
const CONSUMERS: usize = PRODUCERS + SIDES * ROLE_WORDS;
const TEXTS: usize = 512;
const HEAD_BYTES: usize = 8192;
const BYTES: usize = HEAD_BYTES + SIDES * MESSAGES as usize;
const MOST_FAILED: usize = 8;
const MOST_TEXT: usize = (ROLE_WORDS - 1) * 8;

/// A part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Producer(usize),
    Consumer(usize),
}

impl Role {
    pub fn produces(self) -> bool {
        matches!(self, Role::Producer(_))
    }

    pub fn index(self) -> usize {
        let (Role::Producer(index) | Role::Consumer(index)) = self;
        index
    }

    fn text(self) -> usize {
        match self {
            Role::Producer(index) => index,
            Role::Consumer(index) => SIDES + index,
        }
    }
}

/// What a consumer got, by the sum of its words.
#[derive(Debug, PartialEq, Eq)]
pub enum Parcel {
    Message { producer: usize, number: u64 },
    Torn,
}

/// The finaliser of splitmix64: no sum of two of its values is likely to be a third.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const NUMBER_BITS: u32 = MESSAGES.trailing_zeros();
const ORIGIN_BITS: u32 = NUMBER_BITS + 1;
const CHECK_BITS: u32 = 40;

fn check(origin: u64) -> u64 {
    mix(origin + 1) >> (64 - CHECK_BITS)
}

/// What all words of a message are: producer, number, checksum. Of 61 bits, so that the sum of
/// eight of them loses none.
pub fn stamp(producer: usize, number: u64) -> u64 {
    let origin = (producer as u64) << NUMBER_BITS | number;
    check(origin) << ORIGIN_BITS | origin
}

/// A message by the sum of its words. The sum of a message that was put together from two is none.
pub fn parcel(sum: u64) -> Parcel {
    let stamp = sum / WORDS;
    let origin = stamp & ((1 << ORIGIN_BITS) - 1);
    if !sum.is_multiple_of(WORDS) || stamp >> ORIGIN_BITS != check(origin) {
        return Parcel::Torn;
    }
    Parcel::Message { producer: (origin >> NUMBER_BITS) as usize, number: origin & (MESSAGES - 1) }
}

#[derive(Clone, Copy)]
pub struct Ledger {
    words: &'static [AtomicU64],
    taken: &'static [AtomicU8],
    fd: libc::c_int,
}

impl Ledger {
    pub fn new() -> io::Result<Ledger> {
        // Inherited by forks and, on purpose, by the Python program.
        // SAFETY: a NUL-terminated name.
        let fd = unsafe { libc::memfd_create(c"ledger".as_ptr(), 0) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new and ours; closed with the process.
        let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        file.set_len(BYTES as u64)?;
        let fd = file.as_raw_fd();
        std::mem::forget(file);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping of a file of that length; nothing is replaced.
        let at = unsafe { libc::mmap(ptr::null_mut(), BYTES, access, libc::MAP_SHARED, fd, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: page-aligned, of that length, never unmapped; zero is valid for atomics.
        let (words, taken) = unsafe {
            let taken = at.cast::<u8>().add(HEAD_BYTES).cast::<AtomicU8>();
            (
                std::slice::from_raw_parts(at.cast::<AtomicU64>(), HEAD_BYTES / 8),
                std::slice::from_raw_parts(taken, BYTES - HEAD_BYTES),
            )
        };
        Ok(Ledger { words, taken, fd })
    }

    pub fn fd(&self) -> libc::c_int {
        self.fd
    }

    /// For the next round. No process writes any more.
    pub fn clear(&self) {
        for producer in 0..SIDES {
            let used = (self.producer(producer).returned() + 1).min(MESSAGES) as usize;
            self.taken_of(producer)[..used].iter().for_each(|taken| taken.store(0, Relaxed));
        }
        self.words.iter().for_each(|word| word.store(0, Relaxed));
    }

    pub fn producer(&self, index: usize) -> ProducerPage {
        let at = PRODUCERS + index * ROLE_WORDS;
        ProducerPage { words: &self.words[at..at + ROLE_WORDS] }
    }

    pub fn consumer(&self, index: usize) -> ConsumerPage {
        let at = CONSUMERS + index * ROLE_WORDS;
        ConsumerPage { words: &self.words[at..at + ROLE_WORDS], taken: self.taken }
    }

    /// How often each message of a producer was taken.
    pub fn taken_of(&self, producer: usize) -> &'static [AtomicU8] {
        let at = producer * MESSAGES as usize;
        &self.taken[at..at + MESSAGES as usize]
    }

    pub fn is_ready(&self, role: Role) -> bool {
        match role {
            Role::Producer(index) => self.producer(index).words[READY].load(Acquire) != 0,
            Role::Consumer(index) => self.consumer(index).words[READY].load(Acquire) != 0,
        }
    }

    pub fn ready(&self, role: Role) {
        match role {
            Role::Producer(index) => self.producer(index).words[READY].store(1, Release),
            Role::Consumer(index) => self.consumer(index).words[READY].store(1, Release),
        }
    }

    /// Notes the first thing that went wrong in a role.
    pub fn went_wrong(&self, role: Role, text: &str) {
        let at = TEXTS + role.text() * ROLE_WORDS;
        let words = &self.words[at..at + ROLE_WORDS];
        if words[0].load(Relaxed) != 0 {
            return;
        }
        let bytes = &text.as_bytes()[..text.len().min(MOST_TEXT)];
        for (word, chunk) in words[1..].iter().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_ne_bytes(padded), Relaxed);
        }
        words[0].store(bytes.len() as u64, Release);
    }

    /// What went wrong in a role: its first line.
    pub fn wrong(&self, role: Role) -> Option<String> {
        let at = TEXTS + role.text() * ROLE_WORDS;
        let words = &self.words[at..at + ROLE_WORDS];
        let length = words[0].load(Acquire) as usize;
        let bytes: Vec<u8> = words[1..].iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        (length > 0).then(|| String::from_utf8_lossy(&bytes[..length.min(MOST_TEXT)]).into_owned())
    }

    /// Rises with everything that any process does.
    pub fn progress(&self) -> u64 {
        let producers =
            (0..SIDES).map(|index| self.producer(index)).map(|page| page.returned() + page.words[READY].load(Acquire));
        let consumers = (0..SIDES).map(|index| self.consumer(index));
        producers.sum::<u64>() + consumers.map(|page| page.noted() + page.torn() + page.words[READY].load(Acquire)).sum::<u64>()
    }
}

const READY: usize = 0;

pub struct ProducerPage {
    words: &'static [AtomicU64],
}

impl ProducerPage {
    const RETURNED: usize = 1;
    const LIMIT: usize = 2;
    const FAILED: usize = 3;

    pub fn returned(&self) -> u64 {
        self.words[Self::RETURNED].load(Acquire)
    }

    /// Invariant 2.
    pub fn count(&self, returned: u64) {
        self.words[Self::RETURNED].store(returned, Release);
    }

    /// The put of this number failed: it is not a committed message.
    pub fn fail(&self, number: u64) {
        let failed = self.words[Self::FAILED].load(Relaxed) as usize;
        if failed < MOST_FAILED {
            self.words[Self::FAILED + 1 + failed].store(number, Relaxed);
            self.words[Self::FAILED].store(failed as u64 + 1, Release);
        }
    }

    pub fn failed(&self) -> Vec<u64> {
        let failed = self.words[Self::FAILED].load(Acquire) as usize;
        self.words[Self::FAILED + 1..][..failed.min(MOST_FAILED)].iter().map(|number| number.load(Relaxed)).collect()
    }

    /// The producer goes on while its messages are fewer.
    pub fn limit(&self) -> u64 {
        self.words[Self::LIMIT].load(Acquire)
    }

    pub fn allow(&self, limit: u64) {
        self.words[Self::LIMIT].store(limit, Release);
    }
}

pub struct ConsumerPage {
    words: &'static [AtomicU64],
    taken: &'static [AtomicU8],
}

impl ConsumerPage {
    const NOTED: usize = 1;
    const ASKING: usize = 2;
    const LAST: usize = 3;
    const TORN: usize = 5;
    const AGAIN: usize = 6;

    /// Invariant 3.
    pub fn ask(&self, asking: bool) {
        self.words[Self::ASKING].store(asking.into(), Release);
    }

    pub fn was_asking(&self) -> bool {
        self.words[Self::ASKING].load(Acquire) != 0
    }

    /// Notes a message by the sum of its words. `again`: the queue says that an earlier consumer
    /// may have had it, and died.
    pub fn note(&self, sum: u64, again: bool) {
        match parcel(sum) {
            Parcel::Torn => self.add(Self::TORN),
            Parcel::Message { producer, number } => {
                let taken = &self.taken[producer * MESSAGES as usize + number as usize];
                if again {
                    self.add(Self::AGAIN);
                    taken.fetch_max(1, AcqRel);
                } else {
                    taken.fetch_add(1, AcqRel);
                }
                self.words[Self::LAST + producer].store(number + 1, Relaxed);
                self.add(Self::NOTED);
            }
        }
    }

    /// Messages of a producer that came before this number were taken earlier, or by others.
    pub fn last(&self, producer: usize) -> u64 {
        self.words[Self::LAST + producer].load(Relaxed)
    }

    pub fn noted(&self) -> u64 {
        self.words[Self::NOTED].load(Acquire)
    }

    pub fn torn(&self) -> u64 {
        self.words[Self::TORN].load(Acquire)
    }

    pub fn again(&self) -> u64 {
        self.words[Self::AGAIN].load(Acquire)
    }

    /// One writer: no read-modify-write is needed.
    fn add(&self, at: usize) {
        self.words[at].store(self.words[at].load(Relaxed) + 1, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_the_sum_of_its_words() {
        for (producer, number) in [(0, 0), (1, 0), (0, MESSAGES - 1), (1, 12_345)] {
            assert_eq!(parcel(stamp(producer, number).wrapping_mul(WORDS)), Parcel::Message { producer, number });
        }
    }

    #[test]
    fn a_mixture_of_two_messages_is_torn() {
        for number in 0..1000 {
            for words in 1..WORDS {
                let (this, next) = (stamp(0, number), stamp(0, number + 2));
                assert_eq!(parcel(this * words + next * (WORDS - words)), Parcel::Torn, "{number} and the next but one, {words}");
            }
        }
        assert_eq!(parcel(0), Parcel::Torn, "a message of zeroes");
    }

    #[test]
    fn texts_and_failed_puts_are_kept_until_the_ledger_is_cleared() {
        let ledger = Ledger::new().expect("a ledger");
        ledger.went_wrong(Role::Consumer(1), "first");
        ledger.went_wrong(Role::Consumer(1), "second");
        ledger.producer(1).fail(7);
        assert_eq!(ledger.wrong(Role::Consumer(1)).as_deref(), Some("first"));
        assert_eq!((ledger.wrong(Role::Producer(0)), ledger.producer(1).failed()), (None, vec![7]));
        ledger.clear();
        assert_eq!((ledger.wrong(Role::Consumer(1)), ledger.producer(1).failed()), (None, vec![]));
    }
}
