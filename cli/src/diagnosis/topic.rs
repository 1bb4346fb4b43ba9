//! What is wrong with a topic: a gate that is shut, and subscribers that died, stopped or were
//! evicted.

use super::finding::{Finding, GATED, Severity, notice};
use super::observation::{LONG, Observation};
use crate::terms;
use crate::text::capitalised;
use crate::units::{self, messages};
use shmq::inspect::{Gate, Participant, ProcessState, TopicSnapshot};
use shmq::{SubscriberInfo, SubscriberKind};
use std::time::Duration;

impl Observation<'_> {
    /// Publishers find no room. A dead process that keeps it is another finding.
    pub(super) fn gate(&self, findings: &mut Vec<Finding>) {
        let Some(topic) = &self.now.topic else { return };
        let flows = self.moved(|seen| seen.stats.puts) == Some(true);
        let waiting: Vec<&Participant> = self.now.participants.iter().filter(|one| one.put_waits.is_some()).collect();
        let longest = waiting.iter().filter_map(|one| one.put_waits).map(|waits| waits.since).max();
        let severity = match longest {
            Some(longest) if longest >= LONG && !flows => Severity::Trouble,
            // A topic at full speed is shut for a moment again and again.
            None if flows => return,
            _ => Severity::Notice,
        };
        let waits = match waiting.len() {
            0 => "a publish finds no room".to_owned(),
            1 => format!("{} waits in publish", self.process(waiting[0])),
            n => format!("{n} processes wait in publish ({})", self.processes(&waiting)),
        };
        let since = longest.map_or(String::new(), |longest| format!(", {} at the longest", units::duration(longest)));
        let waits = waits + &since;
        match topic.gate {
            Gate::Subscriber(id) => {
                let Some(holder) = topic.subscribers.iter().find(|one| one.id == id) else { return };
                findings.push(self.gated(holder, severity, longest, &waits, flows));
            }
            Gate::Loan { pid } => findings.push(Finding {
                severity,
                code: "behind-loan",
                headline: headline(longest, &format!("for a loan of {pid}")),
                explanation: format!(
                    "{} has had a message on loan for a whole lap of the ring, and has neither committed nor dropped it: nothing is \
                     published over it, and {waits}.",
                    capitalised(&self.pid_in_words(pid))
                ),
                advice: format!("See what process {pid} does. If it is killed, its loan is aborted."),
            }),
            _ => {}
        }
    }

    fn gated(&self, holder: &SubscriberInfo, severity: Severity, longest: Option<Duration>, waits: &str, flows: bool) -> Finding {
        let (id, pid) = (holder.id, holder.pid);
        let process = self.now.participants.iter().find(|one| one.pid == pid && one.alive).map(|one| one.process);
        let is_stopped = process == Some(ProcessState::Stopped);
        let evict = format!("`shmq evict {} {id}`", self.argument());
        let kills = format!("`kill -CONT {pid}`, or `kill -KILL {pid}`, which frees the gate");
        let (cause, advice) = match (holder.is_alive, is_stopped, holder.has_sample) {
            (false, ..) => (
                "It is dead: a publisher that waits frees the gate within 0.1 s.".to_owned(),
                format!("`shmq recover {}` frees it at once.", self.argument()),
            ),
            (_, true, true) => (
                "It is stopped while it reads a message in place, which nobody may overwrite: evicting it does not help before it drops \
                 that message."
                    .to_owned(),
                format!("{}.", capitalised(&kills)),
            ),
            (_, true, false) => ("It is stopped.".to_owned(), format!("{}; or {evict} lets publishers go on without it.", capitalised(&kills))),
            (_, false, true) if holder.kind == SubscriberKind::Evicted => (
                "It was evicted, but it reads a message in place: publishers wait until it drops that Sample.".to_owned(),
                format!("See what process {pid} does with its Sample."),
            ),
            (_, false, true) => (
                "It reads a message in place, and takes no other before it drops that Sample.".to_owned(),
                format!("See what process {pid} does with its Sample. {evict} takes effect when it is dropped."),
            ),
            (_, false, false) if flows => (
                "Messages flow: it is slower than the publisher.".to_owned(),
                format!("Nothing, if it must miss no message. Otherwise {evict}, or a lossy subscriber in its place."),
            ),
            (_, false, false) => (
                "It does not read now.".to_owned(),
                format!(
                    "See what process {pid} does. {evict} lets publishers go on without it, and it learns that it misses messages; the \
                     option max_lag_before_evict of the topic does so by itself."
                ),
            ),
        };
        Finding {
            severity,
            code: GATED,
            headline: headline(longest, &format!("for {id} of {pid}")),
            explanation: format!(
                "Subscriber {id} of {} is {} behind{}, and {waits}. {cause}",
                self.pid_in_words(pid),
                messages(holder.lag),
                if self.about.capacity.is_some() { ", a whole capacity" } else { ", which fill the ring" }
            ),
            advice,
        }
    }

    /// Subscribers that were evicted and have not learned of it.
    pub(super) fn evicted(&self, findings: &mut Vec<Finding>) {
        let Some(topic) = &self.now.topic else { return };
        for one in topic.subscribers.iter().filter(|one| one.is_alive && one.kind == SubscriberKind::Evicted) {
            let in_place = match one.has_sample {
                true => " It reads a message in place: publishers wait until it drops that Sample.",
                false => "",
            };
            findings.push(notice(
                "evicted",
                format!("{} of {} was evicted", one.id, one.pid),
                format!(
                    "Subscriber {} of {} was evicted: publishers wait for it no more. It has not called since, so it does not know.{in_place}",
                    one.id,
                    self.pid_in_words(one.pid)
                ),
                format!(
                    "See what process {} does. Its next call returns Evicted, and it goes on as a lossy subscriber.",
                    one.pid
                ),
            ));
        }
    }

    /// A dead process that holds nothing but subscribers.
    pub(super) fn died_subscribed(&self, pid: u32, held: &str) -> Finding {
        notice(
            "died-subscribed",
            format!("{pid} died with {held}"),
            format!(
                "{} died (killed, or crashed) with {held}. It keeps no publisher waiting for longer than 0.1 s.",
                capitalised(&self.pid_in_words(pid))
            ),
            format!(
                "Start it again, if its messages are to be read. The first publisher that waits frees what it left, and so does `shmq recover \
                 {}`.",
                self.argument()
            ),
        )
    }

    /// What it means to a topic that this process is stopped.
    pub(super) fn stopped_in_topic(&self, pid: u32) -> String {
        let its = |topic: &TopicSnapshot| terms::subscribers_of(pid, topic).cloned().collect::<Vec<_>>();
        let its = self.now.topic.as_ref().map(its).unwrap_or_default();
        if its.iter().any(|one| one.has_sample) {
            return " Publishers wait for it once they are a whole capacity ahead, and evicting it does not help while that message is open."
                .to_owned();
        }
        match its.iter().filter(|one| one.kind == SubscriberKind::Gating).map(|one| one.lag).max() {
            Some(lag) => format!(" It is {} behind; publishers wait for it once it is a whole capacity behind.", messages(lag)),
            None => String::new(),
        }
    }

    /// Subscribers have read all, and wait.
    pub(super) fn idle(&self, waiting: &[&Participant], longest: Duration) -> Finding {
        notice(
            "idle",
            format!("idle: a read waits {}", units::duration(longest)),
            format!(
                "Nothing is left to read, and {} for the next message, which is no fault of the topic's.",
                match waiting {
                    [one] => format!("{} waits", self.process(one)),
                    _ => format!("{} wait", self.processes(waiting)),
                }
            ),
            "If there should be messages: check the processes that publish them.".to_owned(),
        )
    }

    pub(super) fn subscriber_table(&self, findings: &mut Vec<Finding>) {
        let Some(topic) = &self.now.topic else { return };
        let (used, most) = (topic.subscribers.len(), self.about.max_subscribers as usize);
        if used * 10 >= most * 9 && most > 3 {
            findings.push(notice(
                "subscribers",
                format!("{used} of {most} subscribers"),
                format!("There are {used} subscribers; the topic has room for {most}."),
                "Create it with a larger max_subscribers.".to_owned(),
            ));
        }
    }
}

/// `gated: publish waits 41s for 0.1 of 4711`
fn headline(longest: Option<Duration>, for_what: &str) -> String {
    match longest {
        Some(longest) => format!("gated: publish waits {} {for_what}", units::duration(longest)),
        None => format!("gated: no room, {for_what}"),
    }
}
