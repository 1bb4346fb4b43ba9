//! One try of a verb: what it finds at the subscriber's place, and where that goes on.
//!
//! ```text
//!   learn of an eviction --> look --Record--> read, counts? --yes--> the place behind it
//!                             |                        \--no--> look again
//!                             |--Skipped--> missed, on      |--Nothing, Loan--> nothing yet
//!                             \--Lapped--> another place; Lagged, if messages were missed
//! ```

use super::subscriber::RawSubscriber;
use crate::error::GetError;
use crate::ring::Corrupted;
use crate::ring::topic::{Newest, Place, Seen};

/// Tries to find a newest message that is not overwritten before it is read.
const ATTEMPTS: u32 = 64;

impl From<Corrupted> for GetError {
    fn from(_: Corrupted) -> GetError {
        GetError::Corrupted
    }
}

/// A result, or nothing yet.
pub(super) type Tried<R> = Result<Option<R>, GetError>;

impl RawSubscriber {
    /// Does no record begin at its place?
    pub(super) fn is_at_end(&self) -> bool {
        let seen = self.raw.as_topic().look(self.place.get(), || self.gates_now());
        seen == Ok(Seen::Nothing)
    }

    /// One try to read by `read(from, length)`, which may be called several times.
    pub(super) fn step<R>(&self, read: &mut dyn FnMut(*const u8, usize) -> Result<R, GetError>) -> Tried<R> {
        let raw = &*self.raw;
        let topic = raw.as_topic();
        let gates = || self.gates_now();
        let tail = topic.tail();
        for _ in 0..=raw.geometry().cells {
            self.learn()?;
            let place = self.place.get();
            match topic.look(place, gates)? {
                Seen::Nothing | Seen::Loan(_) => return Ok(None),
                Seen::Skipped(next) => self.skip_to(next),
                // Evicted meanwhile: it learns that first.
                Seen::Lapped if self.is_gating() => {}
                Seen::Lapped if !self.go_on_after_lapped()? => return Ok(None),
                Seen::Lapped => {}
                Seen::Record { cell, length, next } => {
                    let got = read(raw.ring.memory.payload(cell), length);
                    if topic.counts(place.position, &gates) {
                        let got = got?;
                        self.torn.set(0);
                        self.move_past(next);
                        return Ok(Some(got));
                    }
                    self.note_torn();
                }
            }
        }
        self.nothing_after_a_lap(tail)
    }

    /// Passes fillers, which have no number of their own, and aborted loans.
    pub(super) fn skip_to(&self, next: Place) {
        self.miss(next.number.wrapping_sub(self.place.get().number));
        self.move_to(next);
    }

    /// Goes on elsewhere. The error says how many it missed, unless it missed none. `false`: every
    /// place that was tried was overwritten at once, since this process hardly runs; for now there
    /// is nothing.
    fn go_on_after_lapped(&self) -> Result<bool, GetError> {
        let place = self.place.get();
        let Some(next) = self.raw.as_topic().after_lapped(place, self.torn.get())? else { return Ok(false) };
        let missed = next.number.wrapping_sub(place.number);
        self.skip_to(next);
        if missed == 0 { Ok(true) } else { Err(GetError::Lagged { missed }) }
    }

    /// The newest message that it has not passed; what lies before it is missed.
    pub(super) fn latest_with<R>(&self, read: &mut dyn FnMut(*const u8, usize) -> Result<R, GetError>) -> Result<R, GetError> {
        self.check()?;
        let raw = &*self.raw;
        let topic = raw.as_topic();
        let gates = || self.gates_now();
        for _ in 0..ATTEMPTS {
            self.learn()?;
            if raw.is_poisoned() {
                return Err(GetError::Poisoned);
            }
            let is_final = raw.is_closed() && raw.put_side_is_quiet(self.me);
            match topic.newest_from(self.place.get())? {
                Newest::Lapped => continue,
                Newest::None => {
                    // Not before them: a gating subscriber would keep their room.
                    self.pass_skipped()?;
                    return Err(if is_final && self.is_at_end() { GetError::Closed } else { GetError::Empty });
                }
                Newest::Found(newest) => {
                    if let Seen::Record { cell, length, next } = topic.look(newest, gates)? {
                        let got = read(raw.ring.memory.payload(cell), length);
                        if topic.counts(newest.position, &gates) {
                            let got = got?;
                            self.miss(newest.number.wrapping_sub(self.place.get().number));
                            self.move_past(next);
                            return Ok(got);
                        }
                    }
                }
            }
        }
        Err(GetError::Busy)
    }

    /// After a whole ring of places without a message: nothing yet, if publishers made more of them
    /// meanwhile (loans that they drop); otherwise the ring is garbage.
    pub(super) fn nothing_after_a_lap<R>(&self, tail: u64) -> Tried<R> {
        if self.raw.as_topic().tail() == tail { Err(GetError::Corrupted) } else { Ok(None) }
    }

    /// Goes on behind a message, and in a topic of slices behind what follows it and is none: a
    /// gating subscriber would keep the room of a filler until its next call.
    pub(super) fn move_past(&self, next: Place) {
        self.move_to(next);
        if !self.raw.geometry().sized {
            // Garbage is reported by the next call.
            let _ = self.pass_skipped();
        }
    }

    /// Passes fillers and aborted loans at its place.
    pub(super) fn pass_skipped(&self) -> Result<(), GetError> {
        for _ in 0..=self.raw.geometry().cells {
            match self.raw.as_topic().look(self.place.get(), || self.gates_now())? {
                Seen::Skipped(next) => self.skip_to(next),
                _ => break,
            }
        }
        Ok(())
    }
}
