//! Processes that died, and what they held.

use super::finding::{Finding, notice, trouble};
use super::observation::Observation;
use crate::terms;
use crate::text::capitalised;
use shmq::inspect::{Hold, State};

impl Observation<'_> {
    pub(super) fn dead(&self, findings: &mut Vec<Finding>) {
        if self.now.state == State::Stale {
            return;
        }
        let name = self.argument();
        let mut pids: Vec<u32> = self.now.participants.iter().filter(|p| !p.alive).map(|p| p.pid).collect();
        pids.extend(self.now.holdings.iter().filter(|held| !held.alive).map(|held| held.pid));
        let topic = self.now.topic.as_ref();
        pids.extend(topic.iter().flat_map(|topic| &topic.subscribers).filter(|one| !one.is_alive).map(|one| one.pid));
        pids.sort_unstable();
        pids.dedup();
        for pid in pids {
            let held = self.all_of(pid);
            let process = self.pid_in_words(pid);
            if held.is_empty() {
                findings.push(notice(
                    "died",
                    format!("{pid} died"),
                    format!("{} died without leaving (killed, or ended by `_exit`). It holds nothing.", capitalised(&process)),
                    match terms::has_messages(self.about.kind) {
                        true => format!("Nothing to do; its entry is used again. `shmq recover {name}` forgets it now."),
                        false => "Nothing to do; its entry is used again.".to_owned(),
                    },
                ));
                continue;
            }
            if !terms::has_messages(self.about.kind) {
                findings.push(trouble(
                    "died-holding",
                    format!("{pid} died holding {held}"),
                    format!(
                        "{} died (killed, or crashed) while it held {held}. What that guards may be half changed.",
                        capitalised(&process)
                    ),
                    "The next process that locks it takes it over, and is told that its holder died.".to_owned(),
                ));
                continue;
            }
            if topic.is_some() && self.now.holdings.iter().all(|it| it.pid != pid || it.what == Hold::Sample) {
                findings.push(self.died_subscribed(pid, &held));
                continue;
            }
            if self.now.holdings.iter().all(|it| it.pid != pid || it.what == Hold::View) {
                findings.push(notice(
                    "died-viewing",
                    format!("{pid} died with views"),
                    format!(
                        "{} died (killed, or crashed) while it held {held}. What they show was done before: nothing is lost, and \
                         nothing is delivered again. A put that needs their room frees it.",
                        capitalised(&process)
                    ),
                    format!("Nothing to do. `shmq recover {name}` frees the room now."),
                ));
                continue;
            }
            let leases = self.count_of(pid, Hold::Lease);
            let headline = match leases {
                0 => format!("{pid} died holding {held}"),
                1 => format!("{pid} died with a lease"),
                n => format!("{pid} died with {n} leases"),
            };
            // A lease concerns consumers only; anything else that the dead hold blocks both sides.
            let only_leases = self.now.holdings.iter().all(|held| held.pid != pid || held.what == Hold::Lease);
            let heirs = match (only_leases, topic) {
                (true, _) => "in a get",
                (false, None) => "in a get or a put",
                (false, Some(_)) => "in a read or a publish",
            };
            let redelivery = match leases {
                0 => "",
                1 => " Its message is not lost: it is delivered again, before newer ones.",
                _ => " None of its messages is lost: they are delivered again, before newer ones.",
            };
            findings.push(trouble(
                "died-holding",
                headline,
                format!(
                    "{} died (killed, or crashed) while it held {held}.{redelivery} A process that waits {heirs} takes over \
                     within 0.1 s; that it is still held means that none waits there.",
                    capitalised(&process)
                ),
                if leases == 0 {
                    let other = if topic.is_some() { "a publisher" } else { "a consumer" };
                    format!("Start it again, or {other}; or `shmq recover {name}` frees what it holds at once.")
                } else {
                    format!(
                        "Start a consumer: it takes over by itself, and may be the second to work on such a message. `shmq recover {name}` \
                         puts {} back into the queue at once. See what {pid} died of.",
                        if leases == 1 { "it" } else { "them" }
                    )
                },
            ));
        }
    }
}
