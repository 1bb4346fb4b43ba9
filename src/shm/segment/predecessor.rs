//! What a segment records of the dead one that it replaced.

use crate::atomic::Ordering;
use crate::shm::layout::{SegmentHeader, predecessor};

/// A dead segment that was replaced, and what was lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Predecessor {
    /// Why it was replaced.
    pub why: WhyReplaced,
    /// Messages that were in it, or on lease to the dead; `None` if they could not be counted.
    pub messages: Option<u64>,
}

/// Why a dead segment was replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyReplaced {
    /// By `create`, which replaces segments that no process uses, unless they are persisted.
    CreatedAnew,
    /// It was closed, and drained.
    Drained,
    /// It was for messages of another type, schema or structure, or another kind of segment.
    OtherType,
    /// It was poisoned.
    Poisoned,
    /// It was a primitive of [`sync`](crate::sync), which ends with its users.
    UsersDead,
}

impl WhyReplaced {
    /// `closed and drained`
    pub fn in_words(self) -> &'static str {
        match self {
            WhyReplaced::CreatedAnew => "created anew",
            WhyReplaced::Drained => "closed and drained",
            WhyReplaced::OtherType => "of another type",
            WhyReplaced::Poisoned => "poisoned",
            WhyReplaced::UsersDead => "without living users",
        }
    }
}

impl WhyReplaced {
    /// `None`: nothing was replaced, or the word is garbage.
    fn of(word: u32) -> Option<WhyReplaced> {
        Some(match word {
            predecessor::CREATED_ANEW => WhyReplaced::CreatedAnew,
            predecessor::DRAINED => WhyReplaced::Drained,
            predecessor::OTHER_TYPE => WhyReplaced::OtherType,
            predecessor::POISONED => WhyReplaced::Poisoned,
            predecessor::PRIMITIVE => WhyReplaced::UsersDead,
            _ => return None,
        })
    }

    fn word(self) -> u32 {
        match self {
            WhyReplaced::CreatedAnew => predecessor::CREATED_ANEW,
            WhyReplaced::Drained => predecessor::DRAINED,
            WhyReplaced::OtherType => predecessor::OTHER_TYPE,
            WhyReplaced::Poisoned => predecessor::POISONED,
            WhyReplaced::UsersDead => predecessor::PRIMITIVE,
        }
    }
}

impl Predecessor {
    /// Reads it from a header.
    pub(crate) fn read(header: &SegmentHeader) -> Option<Predecessor> {
        let (why, messages) = (header.predecessor.load(Ordering::Relaxed), header.predecessor_messages.load(Ordering::Relaxed));
        let messages = Some(messages).filter(|&messages| messages != predecessor::UNCOUNTED);
        Some(Predecessor { why: WhyReplaced::of(why)?, messages })
    }

    /// Writes it, or that there is none, into the header of a segment that is not published yet.
    pub(super) fn write(this: Option<Predecessor>, header: &SegmentHeader) {
        let (why, messages) =
            this.map_or((predecessor::NONE, 0), |this| (this.why.word(), this.messages.unwrap_or(predecessor::UNCOUNTED)));
        header.predecessor.store(why, Ordering::Relaxed);
        header.predecessor_messages.store(messages, Ordering::Relaxed);
    }

    /// Traces the replacement. With no lock held.
    pub(super) fn trace(self, name: &str) {
        #[cfg(feature = "tracing")]
        {
            let why = self.why.in_words();
            match self.messages {
                Some(0) => tracing::info!(target: "shmq", queue = name, why, messages = 0, "replaced a dead segment"),
                Some(messages) => tracing::warn!(target: "shmq", queue = name, why, messages, "replaced a dead segment"),
                None => tracing::warn!(target: "shmq", queue = name, why, "replaced a dead segment"),
            }
        }
        #[cfg(not(feature = "tracing"))]
        let _ = name;
    }
}
