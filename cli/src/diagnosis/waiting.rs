//! Processes that wait for messages, or for the end of their work.

use super::finding::{Finding, notice};
use super::observation::{LONG, Observation};
use crate::text::capitalised;
use crate::units::{self, messages};
use shmq::inspect::{Participant, Snapshot};

impl Observation<'_> {
    pub(super) fn waiting_consumers(&self, findings: &mut Vec<Finding>) {
        let waiting: Vec<&Participant> = self.now.participants.iter().filter(|p| p.get_waits.is_some()).collect();
        let longest = waiting.iter().filter_map(|p| p.get_waits).map(|waits| waits.since).max().unwrap_or_default();
        if longest < LONG || self.now.messages != 0 || self.now.closed || self.now.on_loan != 0 {
            return;
        }
        if self.now.topic.is_some() {
            findings.push(self.idle(&waiting, longest));
            return;
        }
        findings.push(notice(
            "empty",
            format!("empty: get waits {}", units::duration(longest)),
            format!(
                "The queue is empty, and {} in get: it waits for work, which is no fault of the queue's.",
                self.processes(&waiting)
            ),
            "If there should be messages: check the processes that put them.".to_owned(),
        ));
    }

    /// A join does not end while copies are unfinished, and a process may have died with one.
    pub(super) fn joins(&self, findings: &mut Vec<Finding>) {
        let count = self.now.unmarked;
        let joins = |seen: &Snapshot, pid: u32| seen.participants.iter().any(|p| p.pid == pid && p.join_threads != 0);
        let waited = |participant: &&Participant| self.before.is_none_or(|before| joins(before, participant.pid));
        let moved =
            self.moved(|seen| seen.stats.gets) == Some(true) || self.before.is_some_and(|before| before.unmarked != count);
        if count == 0 || moved {
            return;
        }
        for participant in self.now.participants.iter().filter(|p| p.alive && p.join_threads != 0).filter(waited) {
            let were = if count == 1 { "was" } else { "were" };
            findings.push(notice(
                "join",
                format!("{} waits in join", participant.pid),
                format!(
                    "{} waits in join: {} {were} got by copy and not marked by task_done.",
                    capitalised(&self.process(participant)),
                    messages(count)
                ),
                "Nothing is wrong if they are still worked on. Call `task_done` after each message that was got by copy, or get by lease: \
                 one that is released is done. What a killed process got by copy is never marked."
                    .to_owned(),
            ));
        }
    }
}
