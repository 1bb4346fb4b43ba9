//! What a subscriber reads next, and whether what it read counts.
//!
//! ```text
//!   at its place --header--> Record --copy--> counts? --yes--> the place behind it
//!                   |                            \--no: lapped--> another place, some missed
//!                   \--> Nothing | Loan | Skipped (a filler, an aborted loan) | Lapped
//! ```

use super::TopicRing;
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::ring::{Corrupted, Header, Memory, State};
use crate::shm::geometry::CellIndex;

/// Places of a lapped subscriber that were overwritten as well, before it gives up for now.
const ATTEMPTS: u32 = 16;

/// Where a subscriber is: its own copy of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub position: u64,
    /// Of the record there (Invariant 8).
    pub number: u64,
}

/// What is at a subscriber's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A message of that many bytes, and the place behind it.
    Record { cell: CellIndex, length: usize, next: Place },
    /// No record yet.
    Nothing,
    /// An open loan.
    Loan(Header),
    /// A filler, or an aborted loan: the place behind it.
    Skipped(Place),
    /// The record was overwritten, or may have been.
    Lapped,
}

/// Where a lapped subscriber goes on, by how many copies in a row were torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// The newest message.
    Found(Place),
    /// There is none from the asked place on.
    None,
    /// It was overwritten while it was searched.
    Lapped,
}

impl<M: Memory> TopicRing<'_, M> {
    /// Reads what is at `place`. `gates` is asked after the header: does the line still gate, so
    /// that the header counts whatever reclaim says?
    pub fn look(&self, place: Place, gates: impl Fn() -> bool) -> Result<Seen, Corrupted> {
        let geometry = &self.ring.geometry;
        let Place { position, number } = place;
        let cell = self.ring.cell(position)?;
        let header = self.ring.load_header(cell);
        if !self.counts(position, &gates) {
            return Ok(Seen::Lapped);
        }
        Ok(match header.state() {
            Some(State::Free) => Seen::Nothing,
            Some(State::Claimed) => Seen::Loan(header),
            Some(State::Ready) => {
                let length = header.length() as u64;
                let fits = if geometry.sized { length == geometry.message_bytes } else { length <= geometry.max_message_bytes() };
                if !fits {
                    return Err(Corrupted);
                }
                let next = Place { position: self.ring.after(position, header)?, number: number.wrapping_add(1) };
                Seen::Record { cell, length: length as usize, next }
            }
            Some(State::Done) => {
                let position_behind = self.ring.after(position, header)?;
                // A filler has the number of the record behind it.
                let number_behind = self.number_at(position_behind)?;
                if !self.counts(position, &gates) {
                    return Ok(Seen::Lapped);
                }
                Seen::Skipped(Place { position: position_behind, number: number_behind })
            }
            Some(State::Leased | State::Returned | State::Read) | None => return Err(Corrupted),
        })
    }

    /// Does what the caller has just read at `position` count (Invariants 4 and 5)?
    #[inline(always)]
    pub fn counts(&self, position: u64, gates: &impl Fn() -> bool) -> bool {
        fence(Acquire);
        gates() || self.words.reclaim.load(Relaxed) <= position
    }

    /// Where a subscriber goes on that was lapped at `place`: at the oldest record, after a torn
    /// copy at one about half a ring later, after two at the newest. `None`: these were overwritten
    /// too.
    pub fn after_lapped(&self, place: Place, torn: u32) -> Result<Option<Place>, Corrupted> {
        for attempt in 0..ATTEMPTS {
            let position = match torn.saturating_add(attempt / 4) {
                0 => self.words.reclaim.load(Acquire),
                1 => self.words.middle.load(Acquire).max(self.words.reclaim.load(Acquire)),
                _ => match self.newest_from(place)? {
                    Newest::Found(newest) => newest.position,
                    Newest::None => self.tail(),
                    Newest::Lapped => continue,
                },
            };
            let number = self.number_at(position)?;
            if self.is_intact(position) && position >= place.position {
                return Ok(Some(Place { position, number }));
            }
        }
        Ok(None)
    }

    /// The newest message from `place` on.
    pub fn newest_from(&self, place: Place) -> Result<Newest, Corrupted> {
        let reclaim = self.words.reclaim.load(Acquire);
        let hint = match self.ring.geometry.sized {
            true => self.before_tail(),
            false => self.ring.memory.put_side().newest.load(Acquire),
        };
        // The middle is a start of a record as well, if the hint is too old.
        let middle = self.words.middle.load(Acquire);
        let mut at = [hint, middle].into_iter().find(|&start| start >= reclaim).unwrap_or(reclaim).max(place.position);
        let mut newest = Newest::None;
        for _ in 0..=self.ring.geometry.cells {
            let header = self.ring.load_header(self.ring.cell(at)?);
            let number = self.number_at(at)?;
            if !self.is_intact(at) {
                return Ok(Newest::Lapped);
            }
            match header.state() {
                Some(State::Free) => break,
                Some(State::Ready) => newest = Newest::Found(Place { position: at, number }),
                Some(State::Done | State::Claimed) => {}
                _ => return Err(Corrupted),
            }
            at = self.ring.after(at, header)?;
        }
        Ok(newest)
    }

    /// The position of the newest READY record of a topic of messages of one size, as far as that
    /// can be seen at once; otherwise reclaim.
    fn before_tail(&self) -> u64 {
        let (geometry, oldest) = (&self.ring.geometry, self.words.reclaim.load(Acquire));
        let mut at = self.linear(self.tail());
        for _ in 0..geometry.cells {
            at = at.wrapping_sub(1);
            let position = geometry.position(at);
            let Some(cell) = geometry.cell(position).filter(|_| position >= oldest) else { break };
            if self.ring.load_header(cell).state() == Some(State::Ready) {
                return position;
            }
        }
        oldest
    }

    /// A publisher, or a loan's commit, has published the record at `position`: a hint for
    /// [`newest_from`](TopicRing::newest_from) in a topic of slices.
    pub fn note_newest(&self, position: u64) {
        self.ring.memory.put_side().newest.fetch_max(position, Release);
    }
}
