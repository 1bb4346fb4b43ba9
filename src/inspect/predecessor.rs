//! What a segment says about the dead one that it took the place of.

use crate::shm::layout::predecessor;
use crate::shm::segment::{self, View};

/// A dead segment that another one took the place of, and what went with it.
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
    /// By `create`, which replaces what nobody uses and nobody asked to keep.
    CreatedAnew,
    /// It was closed, and drained.
    Drained,
    /// It was for messages of another type, schema or structure, or another kind of segment.
    OtherType,
    /// It was poisoned.
    Poisoned,
    /// It was an object of [`sync`](crate::sync), which ends with its users.
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

impl Predecessor {
    pub(super) fn of(view: &View) -> Option<Predecessor> {
        let segment::Predecessor { why, messages } = view.predecessor()?;
        let why = match why {
            predecessor::CREATED_ANEW => WhyReplaced::CreatedAnew,
            predecessor::DRAINED => WhyReplaced::Drained,
            predecessor::OTHER_TYPE => WhyReplaced::OtherType,
            predecessor::POISONED => WhyReplaced::Poisoned,
            predecessor::PRIMITIVE => WhyReplaced::UsersDead,
            _ => return None,
        };
        Some(Predecessor { why, messages })
    }
}
