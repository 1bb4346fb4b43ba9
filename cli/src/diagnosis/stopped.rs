//! Processes that are stopped.

use super::finding::{Finding, Severity};
use super::observation::Observation;
use crate::terms;
use crate::text::capitalised;
use crate::units::messages_wait;
use shmq::inspect::ProcessState;

impl Observation<'_> {
    pub(super) fn stopped(&self, findings: &mut Vec<Finding>) {
        let stopped = self.now.participants.iter().filter(|p| p.alive && p.process == ProcessState::Stopped);
        for participant in stopped {
            let pid = participant.pid;
            let role = terms::role(participant, self.now);
            let held = self.all_of(pid);
            let holds = if held.is_empty() { "It holds nothing.".to_owned() } else { format!("It holds {held}.") };
            let does = match role {
                "" => String::new(),
                role => format!(" {}", part_in_words(role)),
            };
            let consequence = match role {
                _ if self.now.topic.is_some() => self.stopped_in_topic(pid),
                role if role.contains("get") || role.contains("consumer") => {
                    format!(" {} for it, or for another consumer.", messages_wait(self.now.messages))
                }
                _ => String::new(),
            };
            findings.push(Finding {
                severity: if role.is_empty() && held.is_empty() { Severity::Notice } else { Severity::Trouble },
                code: "stopped",
                headline: format!("{} is stopped", short(role, pid)),
                explanation: format!(
                    "{} is stopped (SIGSTOP, Ctrl-Z, or a debugger): it is alive, so it keeps what it holds, and it does not run. \
                     {holds}{does}{consequence}",
                    capitalised(&self.process(participant))
                ),
                advice: format!(
                    "Let it go on: `kill -CONT {pid}` (a debugger may hold it still). Or end it: `kill -KILL {pid}`{}.",
                    match (held.is_empty(), &self.now.topic) {
                        (true, _) => "; start another in its place",
                        (false, None) => "; what it holds then comes back by itself",
                        (false, Some(_)) => "; what it holds is freed then by itself",
                    }
                ),
            });
        }
    }
}

fn part_in_words(role: &str) -> &'static str {
    match role {
        "publisher" => "It owns the put side: no other process can publish.",
        "publish" => "It publishes to this topic.",
        "subscriber" => "It subscribes to this topic.",
        "publisher+subscriber" | "publish+subscriber" => "It publishes to this topic, and subscribes to it.",
        "put" => "It puts into this queue.",
        "get" => "It gets from this queue.",
        "producer" => "It owns the put side: no other process can put.",
        "consumer" => "It owns the get side: no other process can get.",
        "producer+consumer" => "It owns both sides: no other process can put or get.",
        _ => "It puts into this queue and gets from it.",
    }
}

/// `consumer 4711`, `producer 4711`, `4711`
fn short(role: &str, pid: u32) -> String {
    match role {
        "put" | "producer" => format!("producer {pid}"),
        "get" | "consumer" => format!("consumer {pid}"),
        "publisher" | "publish" => format!("publisher {pid}"),
        "subscriber" => format!("subscriber {pid}"),
        _ => pid.to_string(),
    }
}
