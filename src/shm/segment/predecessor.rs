//! What a segment says of the dead one whose place it took.

use crate::atomic::Ordering;
use crate::shm::layout::{SegmentHeader, predecessor};

/// A dead segment that another one took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Predecessor {
    /// One of [`predecessor`], not `NONE`.
    pub why: u32,
    /// Messages that went with it; `None` where they could not be counted.
    pub messages: Option<u64>,
}

impl Predecessor {
    /// As a header tells of it.
    pub(crate) fn read(header: &SegmentHeader) -> Option<Predecessor> {
        let (why, messages) = (header.predecessor.load(Ordering::Relaxed), header.predecessor_messages.load(Ordering::Relaxed));
        let messages = Some(messages).filter(|&messages| messages != predecessor::UNCOUNTED);
        (predecessor::CREATED_ANEW..=predecessor::PRIMITIVE).contains(&why).then_some(Predecessor { why, messages })
    }

    /// Writes it, or that there is none, into a header that is not published yet.
    pub(super) fn write(this: Option<Predecessor>, header: &SegmentHeader) {
        let (why, messages) =
            this.map_or((predecessor::NONE, 0), |this| (this.why, this.messages.unwrap_or(predecessor::UNCOUNTED)));
        header.predecessor.store(why, Ordering::Relaxed);
        header.predecessor_messages.store(messages, Ordering::Relaxed);
    }

    /// Tells who listens. With no lock held.
    pub(super) fn tell(self, name: &str) {
        #[cfg(feature = "tracing")]
        match self.messages {
            Some(0) => {
                tracing::info!(target: "shmq", queue = name, why = self.in_words(), messages = 0, "replaced a dead segment")
            }
            Some(messages) => {
                tracing::warn!(target: "shmq", queue = name, why = self.in_words(), messages, "replaced a dead segment");
            }
            None => tracing::warn!(target: "shmq", queue = name, why = self.in_words(), "replaced a dead segment"),
        }
        #[cfg(not(feature = "tracing"))]
        let _ = name;
    }

    #[cfg(feature = "tracing")]
    fn in_words(self) -> &'static str {
        match self.why {
            predecessor::DRAINED => "closed and drained",
            predecessor::OTHER_TYPE => "of another type",
            predecessor::POISONED => "poisoned",
            predecessor::PRIMITIVE => "its users are dead",
            _ => "created anew",
        }
    }
}
