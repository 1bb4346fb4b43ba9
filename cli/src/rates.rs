//! How fast a queue moves: the difference of two snapshots.

use shmq::inspect::Snapshot;
use std::time::Duration;

/// What moved between two snapshots, per second.
pub struct Rates {
    pub interval: Duration,
    pub puts: f64,
    pub gets: f64,
    pub bytes_put: f64,
    pub bytes_got: f64,
}

impl Rates {
    pub fn between(before: &Snapshot, now: &Snapshot) -> Rates {
        let interval = now.at.saturating_duration_since(before.at);
        let seconds = interval.as_secs_f64().max(1e-9);
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        let (was, is) = (&before.stats, &now.stats);
        Rates {
            interval,
            puts: rate(was.puts, is.puts),
            gets: rate(was.gets, is.gets),
            bytes_put: rate(was.bytes_put, is.bytes_put),
            bytes_got: rate(was.bytes_got, is.bytes_got),
        }
    }
}
