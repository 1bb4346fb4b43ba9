//! Puts that wait for room.

use super::finding::{Finding, Severity};
use super::observation::{LONG, Observation};
use crate::units::{self, messages};
use shmq::inspect::{Hold, Holding, Participant, ProcessState};

impl Observation<'_> {
    pub(super) fn full(&self, findings: &mut Vec<Finding>) {
        // A topic is full by its gate.
        if self.now.topic.is_some() {
            return;
        }
        let waiting: Vec<&Participant> = self.now.participants.iter().filter(|p| p.put_waits.is_some()).collect();
        let Some(longest) = waiting.iter().filter_map(|p| p.put_waits).map(|waits| waits.since).max() else { return };
        let flows = self.moved(|seen| seen.stats.gets + seen.stats.puts) == Some(true);
        let severity = if flows || longest < LONG { Severity::Notice } else { Severity::Trouble };
        let consumers = self.consumers();
        let stopped: Vec<&Participant> = consumers.iter().copied().filter(|p| p.process == ProcessState::Stopped).collect();
        let leased = self.now.holdings.iter().find(|held| held.what == Hold::Lease);
        let is_all_leased = self.now.messages == 0 && leased.is_some();
        let (cause, advice) = if let Some(view) = self.view_in_the_way() {
            (
                format!(
                    "Its room is held by views of {}: the oldest message in it is done, but still read, and room is freed in order.",
                    self.pid_in_words(view.pid)
                ),
                format!("See what process {} does: it is to drop its views, or to copy what it keeps.", view.pid),
            )
        } else if flows && !is_all_leased {
            ("Messages flow: the consumers are slower than the producers.".to_owned(), "Nothing, or more consumers.".to_owned())
        } else if consumers.is_empty() {
            let dead: Vec<&Participant> = self.now.participants.iter().filter(|p| !p.alive && p.gets).collect();
            let died = if dead.is_empty() { String::new() } else { format!(": {} died", self.processes(&dead)) };
            (
                format!("No consumer is attached{died}."),
                format!(
                    "Start a consumer. (`shmq drain {}` would throw {} away for good.)",
                    self.argument(),
                    messages(self.now.messages)
                ),
            )
        } else if !stopped.is_empty() {
            let pids: Vec<String> = stopped.iter().map(|participant| participant.pid.to_string()).collect();
            let go_on = format!("Let it go on: `kill -CONT {}`; or start another consumer.", pids.join(" "));
            (format!("Its consumer is stopped: {}.", self.processes(&stopped)), go_on)
        } else if let Some(lease) = leased.filter(|_| self.now.messages == 0) {
            (
                format!("All its room is on lease; the oldest is held by {}.", self.pid_in_words(lease.pid)),
                format!("See what process {} does.", lease.pid),
            )
        } else {
            let doing = |consumer: &&Participant| match self.held_by(consumer.pid) {
                held if held.is_empty() => self.process(consumer),
                held => format!("{}, with {held}", self.process(consumer)),
            };
            let doing: Vec<String> = consumers.iter().map(doing).collect();
            (
                format!("The attached consumers do not get now: {}.", doing.join("; ")),
                "See what they do: they are busy, or wait for something else than this queue (a `shmq get` for the reader of \
                 its output)."
                    .to_owned(),
            )
        };
        let room = match self.about.capacity {
            Some(capacity) => format!("{} of {capacity} messages", self.now.messages),
            None => format!(
                "{}, which with their headers fill {}",
                messages(self.now.messages),
                units::bytes(self.about.capacity_bytes as f64)
            ),
        };
        let viewed = if self.now.viewed == 0 { String::new() } else { format!(", {} kept by views", self.now.viewed) };
        findings.push(Finding {
            severity,
            code: "full",
            headline: format!(
                "full: put waits {}{}",
                units::duration(longest),
                if consumers.is_empty() { ", no consumer" } else { "" }
            ),
            explanation: format!(
                "The queue is full ({room}, {} on lease{viewed}), and {} in put, {} at the longest. {cause}",
                self.now.on_lease,
                if waiting.len() == 1 {
                    format!("{} waits", self.process(waiting[0]))
                } else {
                    format!("{} processes wait ({})", waiting.len(), self.processes(&waiting))
                },
                units::duration(longest)
            ),
            advice,
        });
    }

    /// The view that keeps the room of a queue with fewer messages than it has room for.
    fn view_in_the_way(&self) -> Option<&Holding> {
        let has_fewer = self.about.capacity.map_or(self.now.messages == 0, |capacity| self.now.messages < capacity);
        let in_place = |held: &&Holding| matches!(held.what, Hold::Lease | Hold::View | Hold::Loan);
        // From the oldest on.
        self.now.holdings.iter().find(in_place).filter(|oldest| has_fewer && oldest.what == Hold::View)
    }
}
