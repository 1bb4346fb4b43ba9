//! [`Segment`]: words that outlive the bridge, in a persisted segment beside the queue.
//!
//! Invariants:
//! 1. The segment is made with all words 0, whole, and is persisted from its first moment: a bridge
//!    that finds it finds what its predecessor wrote, and one that makes it knows that there was
//!    none.
//! 2. One process at a time has the lock, from before it reads a word until its end. The kernel
//!    gives the lock of a dead one back. So a word has one writer, and a second bridge of the same
//!    name is refused while the first lives.
//! 3. Words are atomics. A process can be killed between any two stores, and stores become visible
//!    to its successor in the order of Release: what a cursor covers is written before the cursor.

use crate::failure::Failure;
use shmq::inspect::Inspector;
use shmq::sync::{Array, LockError, MutexGuard};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;

/// Words that outlive the bridge, for one bridge at a time.
#[derive(Debug)]
pub struct Segment {
    name: String,
    /// Keeps the lock, and the words mapped.
    _guard: MutexGuard<'static, [u64]>,
    first: NonNull<AtomicU64>,
    count: usize,
}

impl Segment {
    /// Opens the segment of that name, or makes one of `words` words, all 0.
    ///
    /// # Errors
    /// [`Failure::Held`] while another bridge has it; `queue` is the queue that the text names.
    /// [`Failure::Journal`] if it cannot be used.
    pub fn open(name: &str, words: usize, queue: &str) -> Result<Segment, Failure> {
        let refused = |why: String| Failure::Journal { segment: name.to_owned(), why };
        let opened = Array::builder(vec![0; words]).name(name).persist(true).open_or_create();
        let array = opened.map_err(|error| refused(error.to_string()))?;
        if array.len() != words {
            return Err(refused(format!("it has {} words, and this version of the bridge needs {words}", array.len())));
        }
        let mut guard = match array.try_lock_owned() {
            Ok(guard) => guard,
            // The last bridge was killed. Its words are in order after each store (Invariant 3).
            Err(LockError::OwnerDied(mut guard)) => {
                guard.mark_repaired();
                guard
            }
            Err(LockError::Failed(error)) if error.is_would_block() => {
                let why =
                    format!("another bridge of this name runs{}; give this one another --name, or end that one", pids_of(name));
                return Err(Failure::Held { queue: queue.to_owned(), why });
            }
            Err(LockError::Failed(error)) => return Err(refused(error.to_string())),
            Err(error) => return Err(refused(error.to_string())),
        };
        let all: &mut [u64] = &mut guard;
        let (first, count) = (NonNull::from(&mut *all).cast(), all.len());
        Ok(Segment { name: name.to_owned(), _guard: guard, first, count })
    }

    /// Was it not used before? Each bridge makes the first word one that is not 0 once it has
    /// written what it needs.
    pub fn is_new(&self) -> bool {
        self.words()[0].load(Acquire) == 0
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the guard's words are mapped for writing, aligned, and stay where they are while
        // the guard lives, which `self` owns and never dereferences. No other process writes them
        // (Invariant 2), and this one by these atomics only.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

/// ", process 7" for those that are attached to the segment beside this one.
fn pids_of(name: &str) -> String {
    let Ok(inspector) = Inspector::open(name) else { return String::new() };
    let me = std::process::id();
    let pids: Vec<String> = inspector
        .snapshot()
        .participants
        .iter()
        .filter(|each| each.alive && each.pid != me)
        .map(|each| each.pid.to_string())
        .collect();
    if pids.is_empty() { String::new() } else { format!(" (process {})", pids.join(", ")) }
}
