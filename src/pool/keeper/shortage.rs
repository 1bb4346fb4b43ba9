//! Workers that the system refuses: the program is told how many, and a keeper that has none at all gives up in time.

use super::Keeper;
use crate::pool::report::{Refusal, Report};
use std::time::{Duration, Instant};

/// How long a keeper without a worker tries to start one: the first keeper the first time, while `build` waits; and later.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

impl Keeper<'_> {
    /// Tells the program how many workers the system refuses, if that has changed. Some: it has refused all of them for too long.
    pub(super) fn note_shortage(&mut self, refusal: Option<Refusal>) -> Option<Refusal> {
        let missing = self.wanted.saturating_sub(self.workers.len()) as u32;
        let short = refusal.map(|why| (missing, why));
        if short.map(|(missing, _)| missing) != self.short.map(|(missing, _)| missing) {
            if let Some((missing, why)) = short.or(self.short.map(|(_, why)| (0, why))) {
                self.reports.push_back(Report::Short { missing, why });
            }
            self.short = short;
        }
        if refusal.is_none() || !self.workers.is_empty() {
            self.refused_since = None;
            return None;
        }
        let wait = if self.is_ready || self.is_successor { PATIENCE } else { FIRST_PATIENCE };
        refusal.filter(|_| self.refused_since.get_or_insert_with(Instant::now).elapsed() >= wait)
    }
}
