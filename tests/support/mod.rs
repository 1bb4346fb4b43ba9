//! Shared parts of the tests: names that no other run uses, randomness that can be repeated,
//! waiting for states, forked children, and a harness for binaries whose `main` stays
//! single-threaded, so that it may fork.
//!
//! `SHMQ_TEST_SEED=n` repeats a run's random choices; the seed is printed.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

pub mod harness;
pub mod process;
pub mod sandbox;
pub mod signals;
pub mod stalled;
pub mod threads;

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest wait for a state that must come. Far longer than any healthy run needs: a loaded
/// machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Bound on what must come by itself, without help from another process. If it expires, the state
/// did not come. Less than [`PATIENCE`], which is how long a call sleeps that is never woken, and
/// far more than a starved process needs until it runs again.
pub const BY_ITSELF: Duration = Duration::from_secs(60);

static PREFIX: OnceLock<String> = OnceLock::new();
static NAMES: AtomicU64 = AtomicU64::new(0);

/// The prefix of every queue name of this process.
pub fn prefix() -> &'static str {
    PREFIX.get_or_init(|| format!("t{}-", std::process::id()))
}

/// Sets the prefix, before the first name is made. Forked children inherit it.
pub fn set_prefix(prefix: String) {
    assert!(PREFIX.set(prefix).is_ok(), "the prefix is set once, before any name is made");
}

/// A queue name that is used nowhere else.
pub fn unique_name(what: &str) -> String {
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    format!("{}{number}-{what}", prefix())
}

/// The seed of this run's random choices: `SHMQ_TEST_SEED`, or from the clock.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var("SHMQ_TEST_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SHMQ_TEST_SEED={text:?} is not a number")),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64 ^ u64::from(std::process::id()) << 40),
    })
}

/// Random numbers that a seed repeats (xorshift64*).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Numbers for one purpose of a test: other purposes and tests draw others from the same seed.
    pub fn new(purpose: &str) -> Rng {
        let seed = seed();
        eprintln!("seed of {purpose}: SHMQ_TEST_SEED={seed}");
        let mut hash = 0xcbf2_9ce4_8422_2325u64 ^ seed;
        for byte in purpose.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Rng::from_state(hash)
    }

    /// Numbers that depend on `state` alone.
    pub fn from_state(state: u64) -> Rng {
        let mut rng = Rng(state | 1);
        for _ in 0..8 {
            rng.draw();
        }
        rng
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.draw() >> 16) % end
    }

    /// True in `percent` of 100 draws.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time below `end`.
    pub fn duration_below(&mut self, end: Duration) -> Duration {
        Duration::from_nanos(self.below(end.as_nanos() as u64))
    }

    /// Another generator, for another process or thread.
    pub fn split(&mut self) -> Rng {
        Rng::from_state(self.draw())
    }
}

/// Waits until `met`, at most [`PATIENCE`]. A wait that expires fails the test and prints `state`.
#[track_caller]
pub fn wait_until(what: &str, met: impl FnMut() -> bool, state: impl FnOnce() -> String) {
    wait_at_most(PATIENCE, what, met, state);
}

/// Waits until `met`, at most `bound`. A wait that expires fails the test and prints `state`.
#[track_caller]
pub fn wait_at_most(bound: Duration, what: &str, mut met: impl FnMut() -> bool, state: impl FnOnce() -> String) {
    let end = Instant::now() + bound;
    let mut polls = 0u32;
    while !met() {
        if Instant::now() >= end {
            if met() {
                return;
            }
            panic!("waited {bound:?} for: {what}; state: {}", state());
        }
        polls += 1;
        if polls < 64 { std::thread::yield_now() } else { std::thread::sleep(Duration::from_micros(200)) }
    }
}

/// Bytes that identify their message: computed from `tag` alone, different at every position.
pub fn pattern(tag: u64, length: usize) -> Vec<u8> {
    (0..length).map(|place| pattern_byte(tag, place)).collect()
}

/// Are these the bytes of [`pattern`]?
pub fn matches_pattern(tag: u64, bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(place, &byte)| byte == pattern_byte(tag, place))
}

fn pattern_byte(tag: u64, place: usize) -> u8 {
    (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).wrapping_add(place as u64 * 7) as u8
}

/// Segments and temporaries in `/dev/shm` whose names start with that. Empty where there is no
/// `/dev/shm`.
pub fn shm_files(starting_with: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/dev/shm") else { return Vec::new() };
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(starting_with))
        .collect();
    found.sort();
    found
}

/// Is there a segment of that queue name?
pub fn segment_exists(name: &str) -> bool {
    shm_files(&format!("shmq.{name}")).iter().any(|file| *file == format!("shmq.{name}"))
}

/// The words of a segment's sides, notices and locks, in readable form. `src/shm/layout/mod.rs`
/// describes where they are.
pub fn describe_segment(path: &str) -> String {
    let mut text = format!("  {path}, words that are not 0:\n");
    let mut bytes = [0u8; 0xf00];
    let read = File::open(path).and_then(|mut segment| segment.read(&mut bytes)).unwrap_or(0);
    for (place, word) in bytes[..read].chunks_exact(8).enumerate().skip(0x200 / 8) {
        let word = u64::from_le_bytes(word.try_into().expect("a chunk of 8"));
        if word != 0 {
            text += &format!("    {:#05x}: {word:#018x}\n", place * 8);
        }
    }
    text
}
