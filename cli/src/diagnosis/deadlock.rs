//! A deadlock: processes that hold all the room of a queue on lease, and wait for another message.

use super::finding::{Finding, Severity};
use super::observation::{LONG, Observation};
use crate::text::capitalised;
use crate::units::{self, messages};
use shmq::inspect::{Hold, Holding, Participant, Waiting};
use std::time::Duration;

impl Observation<'_> {
    /// Returns whether there is one.
    pub(super) fn deadlock(&self, findings: &mut Vec<Finding>) -> bool {
        let leases: Vec<&Holding> = self.now.holdings.iter().filter(|held| held.what == Hold::Lease).collect();
        if leases.is_empty() || self.now.messages != 0 || self.now.on_loan != 0 || self.now.closed {
            return false;
        }
        let Some(stuck) = self.stuck_for() else { return false };
        let are_same = leases.iter().all(|lease| self.was_held_before(lease));
        let mut holders: Vec<&Participant> = Vec::new();
        for lease in &leases {
            let holder = self.now.participants.iter().find(|participant| participant.pid == lease.pid && participant.alive);
            match holder {
                Some(holder) if self.waits_for_more(holder, are_same) => holders.push(holder),
                // A process that works may end its lease, and the leases of a dead process come
                // back.
                _ => return false,
            }
        }
        holders.dedup_by_key(|holder| holder.pid);
        let one = holders.len() == 1;
        let producers: Vec<&Participant> = self.now.participants.iter().filter(|p| p.put_waits.is_some()).collect();
        let behind = match producers.len() {
            0 => "no put would find room".to_owned(),
            1 => format!("{} waits in put for room", self.processes(&producers)),
            _ => format!("{} wait in put for room", self.processes(&producers)),
        };
        let processes = self.processes(&holders);
        let all = messages(self.now.on_lease);
        let does = if one {
            format!("{} holds {all}, waits in get for one more, and gives none back meanwhile", capitalised(&processes))
        } else {
            format!("{} hold {all}, wait in get for one more, and give none back meanwhile", capitalised(&processes))
        };
        findings.push(Finding {
            // A process that collects messages may stop waiting and go on with those it has.
            severity: if stuck >= LONG && (are_same || self.before.is_none()) { Severity::Trouble } else { Severity::Notice },
            code: "deadlock",
            headline: if one {
                format!("deadlock: {} holds all, waits for more", pids(&holders))
            } else {
                format!("deadlock: {} hold all, wait for more", pids(&holders))
            },
            explanation: format!(
                "A deadlock: all the room of the queue is on lease. {does}; {behind}. So it has been for {}, and neither goes on before the other, \
                 unless a get ends by its timeout, or another thread ends a lease.",
                units::duration(stuck),
            ),
            advice: format!(
                "Let {} release its leases (or copy the messages) before it waits for more, or create the queue with room for more messages than \
                 are ever on lease at once. Now: `kill {}`; what {} held comes back and is delivered again.",
                if one { "it" } else { "each" },
                pids(&holders),
                if one { "it" } else { "they" },
            ),
        });
        true
    }

    /// The longest wait, if there is no room beside the leases. `None`: there is room, or there may
    /// be.
    fn stuck_for(&self) -> Option<Duration> {
        let longest = |waits: &dyn Fn(&Participant) -> Option<Waiting>| {
            self.now.participants.iter().filter_map(waits).map(|waits| waits.since).max()
        };
        let (puts, gets) = (longest(&|p| p.put_waits), longest(&|p| p.get_waits));
        let are_all = self.about.capacity.is_some_and(|capacity| self.now.on_lease >= capacity);
        (puts.is_some() || are_all).then(|| puts.max(gets).unwrap_or_default())
    }

    fn was_held_before(&self, lease: &Holding) -> bool {
        let is_it = |other: &Holding| (other.what, other.pid, other.position) == (lease.what, lease.pid, lease.position);
        self.before.is_some_and(|before| before.holdings.iter().any(is_it))
    }

    /// Does it sleep in get, or poll, with fewer threads left than it has leases?
    fn waits_for_more(&self, holder: &Participant, are_same: bool) -> bool {
        let asleep = holder.get_waits.map_or(0, |waits| waits.threads);
        let asks_again = are_same && self.moved(|seen| seen.stats.get_timeouts) == Some(true);
        if asleep == 0 && !asks_again {
            return false;
        }
        let leases = self.now.holdings.iter().filter(|held| held.what == Hold::Lease && held.pid == holder.pid).count();
        threads_of(holder).is_none_or(|threads| threads.saturating_sub(asleep.max(1) as usize) < leases)
    }
}

/// Number of threads of a process. `None`: the process is not visible here.
fn threads_of(participant: &Participant) -> Option<usize> {
    // Without a program name, the process id may be that of another process here.
    participant.program.as_ref()?;
    Some(std::fs::read_dir(format!("/proc/{}/task", participant.pid)).ok()?.count())
}

fn pids(participants: &[&Participant]) -> String {
    participants.iter().map(|participant| participant.pid.to_string()).collect::<Vec<_>>().join(" ")
}
