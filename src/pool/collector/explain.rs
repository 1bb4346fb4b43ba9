//! Why a chunk's worker died: one worker says that it did, and the keeper says how, in whichever order.

use super::Shared;
use crate::pool::job::Job;
use crate::pool::message::ResultHead;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a task that has failed waits for the keeper's report of how its worker ended.
pub(super) const EXPLANATION: Duration = Duration::from_secs(5);

/// A chunk whose worker died, as another one has said, and the keeper has not yet.
pub(super) struct Unexplained {
    pub head: ResultHead,
    pub pid: u32,
    pub since: Instant,
}

impl Shared {
    /// Fails the chunks of workers whose ends are known by now, or were waited for as long as that.
    pub(super) fn explain(&self, wait: Duration, woken: &mut Vec<Arc<Job>>) {
        let mut state = self.lock();
        let (settled, rest) = std::mem::take(&mut state.unexplained)
            .into_iter()
            .partition(|death| death.pid == 0 || state.roster.end_of(death.pid).is_some() || death.since.elapsed() >= wait);
        state.unexplained = rest;
        let settled: Vec<Unexplained> = settled;
        let job_and_status =
            |death: &Unexplained| (state.jobs.get(&death.head.job).map(Arc::clone), state.roster.end_of(death.pid).flatten());
        let known: Vec<_> = settled.iter().map(job_and_status).collect();
        drop(state);
        for (death, (job, status)) in settled.into_iter().zip(known) {
            let Some(job) = job else { continue };
            let accepted = job.accept_death(death.head, (death.pid != 0).then_some(death.pid), status);
            self.settle(death.head.job, job, accepted, woken);
        }
    }
}
