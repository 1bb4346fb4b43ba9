//! Messages and locks that live processes hold for long.

use super::finding::{Finding, GATED, notice, trouble};
use super::observation::{LONG, Observation};
use crate::terms;
use crate::text::capitalised;
use crate::units::{self, messages};
use shmq::inspect::{Hold, Holding, ProcessState};

impl Observation<'_> {
    pub(super) fn open_loan(&self, findings: &mut Vec<Finding>) {
        let blocked = self.now.participants.iter().filter_map(|p| p.get_waits).any(|waits| waits.since >= LONG);
        let Some(loan) = self.now.holdings.iter().find(|held| held.what == Hold::Loan && held.alive) else { return };
        let behind = match &self.now.topic {
            Some(topic) => topic.subscribers.iter().map(|one| one.lag).max().unwrap_or(0).saturating_sub(1),
            None => self.now.messages,
        };
        if !blocked || behind == 0 || self.moved(|seen| seen.stats.gets) == Some(true) {
            return;
        }
        findings.push(trouble(
            "open-loan",
            format!("{} holds a loan open", loan.pid),
            format!(
                "{} has a message on loan that it has neither committed nor dropped; the {} behind it cannot be read before.",
                capitalised(&self.pid_in_words(loan.pid)),
                messages(behind)
            ),
            format!("See what process {} does. If it is killed, its loan is aborted.", loan.pid),
        ));
    }

    /// Messages and locks that the same running process held in both snapshots.
    pub(super) fn long_held(&self, findings: &mut Vec<Finding>) {
        let Some(before) = self.before else { return };
        let apart = units::duration(self.now.at.saturating_duration_since(before.at));
        let runs = |pid: u32| self.now.participants.iter().any(|p| p.pid == pid && p.alive && p.process != ProcessState::Stopped);
        let same = |held: &&Holding| {
            let was = |other: &Holding| (other.what, other.pid, other.position) == (held.what, held.pid, held.position);
            // A lock may have been free in between.
            let lasts = !matches!(held.what, Hold::Producer | Hold::Consumer | Hold::Publisher | Hold::Lock);
            lasts && runs(held.pid) && before.holdings.iter().any(was)
        };
        let mut pids: Vec<(u32, Hold)> = self.now.holdings.iter().filter(same).map(|held| (held.pid, held.what)).collect();
        pids.dedup();
        for (pid, what) in pids {
            // A sample that shuts the gate is another finding.
            if what == Hold::Sample && findings.iter().any(|finding| finding.code == GATED) {
                continue;
            }
            let moved = what == Hold::PutLock && self.moved(|seen| seen.stats.puts) == Some(true)
                || what == Hold::GetLock && self.moved(|seen| seen.stats.gets) == Some(true)
                // This may be a new loan in the position of one that was dropped.
                || what == Hold::Loan && self.moved(|seen| seen.stats.aborted) == Some(true);
            if moved {
                continue;
            }
            findings.push(notice(
                "held",
                match what {
                    Hold::Sample => format!("{pid} reads in place"),
                    what => format!("{pid} holds a {}", terms::hold_word(what)),
                },
                format!("{} has held {} for {apart} at least.", capitalised(&self.pid_in_words(pid)), self.held_by(pid)),
                match self.now.topic {
                    None => "Nothing is wrong if its work takes that long. (A `shmq get` waits for the reader of its output.)"
                        .to_owned(),
                    Some(_) => "Nothing is wrong if its work takes that long.".to_owned(),
                },
            ));
        }
    }
}
