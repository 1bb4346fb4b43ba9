//! Workers that the system refuses: how many is reported to the program, and a supervisor that has
//! none at all gives up in time.

use crate::pool::report::{Refusal, Report};
use std::time::{Duration, Instant};

/// How long a supervisor without a worker tries to start one: the first supervisor the first time,
/// while `build` waits; and later.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LATER_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Shortage {
    /// How many workers were last reported missing, and why.
    reported: Option<(u32, Refusal)>,
    /// Since when there is no worker, and none can be started.
    refused_since: Option<Instant>,
    /// The supervisor was the standby of another.
    is_successor: bool,
}

impl Shortage {
    pub fn new(is_successor: bool) -> Shortage {
        Shortage { reported: None, refused_since: None, is_successor }
    }

    /// Notes whether the system refused the last worker: a report of how many are missing if that
    /// has changed, and why the supervisor gives up, if it has had none for too long.
    pub fn note(
        &mut self,
        refusal: Option<Refusal>,
        missing: u32,
        has_none: bool,
        is_ready: bool,
    ) -> (Option<Report>, Option<Refusal>) {
        let short = refusal.map(|why| (missing, why));
        let mut report = None;
        if short.map(|(missing, _)| missing) != self.reported.map(|(missing, _)| missing) {
            let change = short.or(self.reported.map(|(_, why)| (0, why)));
            report = change.map(|(missing, why)| Report::Short { missing, why });
            self.reported = short;
        }
        if refusal.is_none() || !has_none {
            self.refused_since = None;
            return (report, None);
        }
        let wait = if is_ready || self.is_successor { LATER_WAIT } else { FIRST_WAIT };
        let gave_up = refusal.filter(|_| self.refused_since.get_or_insert_with(Instant::now).elapsed() >= wait);
        (report, gave_up)
    }
}
