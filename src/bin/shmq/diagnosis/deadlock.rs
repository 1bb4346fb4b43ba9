//! Processes that hold all the room of a queue on lease, and wait in it for one message more.

use super::{Finding, LONG, Severity, Sight, capitalised};
use crate::words::{self, messages};
use shmq::inspect::{Hold, Holding, Participant};
use std::time::Duration;

impl Sight<'_> {
    /// Was one found?
    pub(super) fn deadlock(&self, findings: &mut Vec<Finding>) -> bool {
        let leases: Vec<&Holding> = self.now.holdings.iter().filter(|held| held.what == Hold::Lease).collect();
        if leases.is_empty() || self.now.messages != 0 || self.now.on_loan != 0 || self.now.closed {
            return false;
        }
        let Some(stuck) = self.stuck_for(&leases) else { return false };
        let mut holders: Vec<&Participant> = Vec::new();
        for lease in &leases {
            let holder = self.now.participants.iter().find(|participant| participant.pid == lease.pid && participant.alive);
            match holder {
                Some(holder) if self.waits_for_more(holder) => holders.push(holder),
                // One that works may end its lease, and what a dead one holds comes back.
                _ => return false,
            }
        }
        holders.dedup_by_key(|holder| holder.pid);
        let are_one = holders.len() == 1;
        let putters: Vec<&Participant> = self.now.participants.iter().filter(|p| p.put_waits.is_some()).collect();
        let behind = if putters.is_empty() {
            "no put finds room".to_owned()
        } else {
            format!("{} {} in put for room", self.people(&putters), if putters.len() == 1 { "waits" } else { "wait" })
        };
        let holders_in_words = self.people(&holders);
        let (them, hold, wait) = if are_one { ("it", "holds", "waits") } else { ("they", "hold", "wait") };
        findings.push(Finding {
            severity: Severity::Trouble,
            code: "deadlock",
            headline: format!("deadlock: {} {hold} all, {wait} for more", pids(&holders)),
            explanation: format!(
                "A deadlock. All the room of the queue is on lease: {} {hold} {}, {wait} in get for one more, and give{} none back \
                 meanwhile; {behind}, and has waited {}. Neither goes on before the other, unless another thread of {holders_in_words} \
                 ends a lease.",
                capitalised(&holders_in_words),
                messages(self.now.on_lease),
                if are_one { "s" } else { "" },
                words::duration(stuck),
            ),
            advice: format!(
                "Let {them} release (or copy) what {them} {hold} before {them} {wait} for more, or create the queue with room for more \
                 messages than {them} ever {hold}. Now: end {} (`kill {}`): the messages come back and are delivered again.",
                if are_one { "it" } else { "one of them" },
                pids(&holders),
            ),
        });
        true
    }

    /// For how long there has been no room beside these leases. `None`: there is, or it may yet be found.
    fn stuck_for(&self, leases: &[&Holding]) -> Option<Duration> {
        let waits = self.now.participants.iter().filter_map(|p| p.put_waits).map(|waits| waits.since).max();
        let are_all = self.about.capacity.is_some_and(|capacity| self.now.on_lease >= capacity);
        let getters_wait = self.now.participants.iter().filter_map(|p| p.get_waits).map(|waits| waits.since).max();
        let stuck = match (waits, are_all) {
            (Some(puts), _) => puts.max(getters_wait.unwrap_or_default()),
            (None, true) => getters_wait.unwrap_or_default(),
            (None, false) => return None,
        };
        // The same all the time between two looks is as good as a long wait.
        let was = |lease: &&Holding| {
            let is_it = |other: &Holding| (other.what, other.pid, other.position) == (lease.what, lease.pid, lease.position);
            self.before.is_some_and(|before| before.holdings.iter().any(is_it))
        };
        let are_same = self.before.is_none() || leases.iter().all(was);
        (stuck >= LONG && are_same).then_some(stuck)
    }

    /// Does it sleep in get, or ask again and again?
    fn waits_for_more(&self, participant: &Participant) -> bool {
        participant.get_waits.is_some() || self.moved(|seen| seen.stats.get_timeouts) == Some(true)
    }
}

fn pids(participants: &[&Participant]) -> String {
    participants.iter().map(|participant| participant.pid.to_string()).collect::<Vec<_>>().join(" ")
}
