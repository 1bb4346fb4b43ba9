//! The queue that messages are put into, with the timeout and the time of grace after a signal.

use crate::failure::Failure;
use crate::signals;
use crate::text;
use shmq::{Loan, PutError, Queue};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// After a signal, what was read is still put if there is room within this time, for all of it
/// together.
const GRACE: Duration = Duration::from_millis(500);

pub struct Target<'q> {
    /// Waits until the first signal.
    pub queue: &'q Queue<[u8]>,
    /// Waits until the second one.
    pub after_signal: &'q Queue<[u8]>,
    pub timeout: Option<Duration>,
    /// [`GRACE`] after the signal, once one came.
    pub grace_ends: Cell<Option<Instant>>,
}

impl<'q> Target<'q> {
    /// Makes a call that may wait. After a signal it is made once more if `within_grace`, and waits
    /// until [`GRACE`] is over. `None`: a signal came, and there was no room.
    pub fn unless_signalled<R>(
        &self,
        within_grace: bool,
        mut call: impl FnMut(&'q Queue<[u8]>, Duration) -> Result<R, PutError>,
    ) -> Result<Option<R>, Failure> {
        let started = Instant::now();
        if signals::received().is_none() {
            match call(self.queue, self.timeout.unwrap_or(Duration::MAX)) {
                Err(PutError::Timeout | PutError::Interrupted) if signals::received().is_some() => {}
                result => return Ok(Some(result?)),
            }
        }
        if !within_grace || signals::came_twice() {
            return Ok(None);
        }
        let end = self.grace_ends.get().unwrap_or_else(|| Instant::now() + GRACE);
        self.grace_ends.set(Some(end));
        let grace = end.saturating_duration_since(Instant::now());
        let left = self.timeout.map_or(grace, |timeout| timeout.saturating_sub(started.elapsed()).min(grace));
        match call(self.after_signal, left) {
            Err(PutError::Timeout | PutError::Interrupted) => Ok(None),
            result => Ok(Some(result?)),
        }
    }

    pub fn loan(&self, bytes: usize) -> Result<Option<Loan<'q, [u8]>>, Failure> {
        if signals::received().is_some() {
            return Ok(None);
        }
        self.unless_signalled(false, |queue, timeout| queue.loan_len_timeout(bytes, timeout))
    }

    /// `behind`: how many bytes were read after this piece.
    pub fn put_piece(&self, piece: &[u8], behind: usize) -> Result<(), Failure> {
        match self.unless_signalled(true, |queue, timeout| queue.put_timeout(piece, timeout)) {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(not_put(piece.len() + behind)),
            Err(failure) => Err(failure.with_bytes_not_put(piece.len() + behind)),
        }
    }
}

pub fn signal_or_sigint() -> i32 {
    signals::received().unwrap_or(libc::SIGINT)
}

impl Failure {
    pub fn about(self, what: &str) -> Failure {
        Failure { text: self.text.map(|text| format!("{}: {text}", text::escaped(what))), ..self }
    }

    /// Adds how many bytes that were read are not put.
    pub fn with_bytes_not_put(self, bytes: usize) -> Failure {
        let named = |text| match bytes {
            0 => text,
            1 => format!("{text} (1 byte that was read is not put)"),
            bytes => format!("{text} ({bytes} bytes that were read are not put)"),
        };
        Failure { text: self.text.map(named), ..self }
    }
}

/// The failure after a signal with the queue still full.
pub fn not_put(bytes: usize) -> Failure {
    let signal = signal_or_sigint();
    let text = format!("ended by signal {signal} with the queue full: {bytes} bytes that were read are not put");
    Failure { text: Some(text), ..Failure::of_signal(signal) }
}
