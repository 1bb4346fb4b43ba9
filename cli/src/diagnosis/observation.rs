//! A queue at one or two moments, and the questions that the rules ask about it.

use crate::terms;
use crate::text;
use shmq::inspect::{About, Hold, Participant, Snapshot};
use std::time::Duration;

/// A shorter wait is normal.
pub const LONG: Duration = Duration::from_secs(1);

/// A queue: what never changes, the snapshot of now, and an earlier one if there is one.
pub struct Observation<'a> {
    pub name: &'a str,
    pub about: &'a About,
    pub before: Option<&'a Snapshot>,
    pub now: &'a Snapshot,
}

impl Observation<'_> {
    /// The queue's name as an argument of a shell command.
    pub fn argument(&self) -> String {
        text::shell_argument(self.name)
    }

    pub fn process(&self, participant: &Participant) -> String {
        self.pid_in_words(participant.pid)
    }

    /// `process 4711 (worker)`
    pub fn pid_in_words(&self, pid: u32) -> String {
        let known = self.now.participants.iter().find(|participant| participant.pid == pid);
        match known.and_then(|participant| participant.program.as_deref()) {
            Some(program) => format!("process {pid} ({})", text::escaped(program)),
            None if pid == 0 => "a process that is gone".to_owned(),
            None => format!("process {pid}"),
        }
    }

    pub fn held_by(&self, pid: u32) -> String {
        let of_it = |what| self.now.holdings.iter().filter(|held| held.pid == pid && held.what == what).count();
        let mut parts = Vec::new();
        for what in [Hold::Producer, Hold::Publisher, Hold::Consumer, Hold::PutLock, Hold::GetLock, Hold::Lock] {
            if of_it(what) != 0 {
                parts.push(match what {
                    Hold::Producer => "the put side (as its Producer)".to_owned(),
                    Hold::Publisher => "the put side (as its Publisher)".to_owned(),
                    Hold::Consumer => "the get side (as its Consumer)".to_owned(),
                    other => format!("the {}", terms::hold_word(other)),
                });
            }
        }
        let in_place =
            [(Hold::Lease, "on lease"), (Hold::View, "kept by views"), (Hold::Loan, "on loan"), (Hold::Sample, "open in place")];
        for (what, where_) in in_place {
            match of_it(what) {
                0 => {}
                1 => parts.push(format!("1 message {where_}")),
                n => parts.push(format!("{n} messages {where_}")),
            }
        }
        parts.join(", ")
    }

    /// The same, with its subscribers.
    pub fn all_of(&self, pid: u32) -> String {
        let held = self.held_by(pid);
        let subscribers = match self.now.topic.iter().flat_map(|topic| terms::subscribers_of(pid, topic)).count() {
            0 => return held,
            1 => "a subscriber".to_owned(),
            n => format!("{n} subscribers"),
        };
        if held.is_empty() { subscribers } else { format!("{subscribers}, {held}") }
    }

    /// Did the counter change between the two snapshots? `None`: there is one snapshot.
    pub fn moved(&self, counter: impl Fn(&Snapshot) -> u64) -> Option<bool> {
        self.before.map(|before| counter(before) != counter(self.now))
    }

    pub fn consumers(&self) -> Vec<&Participant> {
        let gets = |participant: &&Participant| participant.alive && terms::role(participant, self.now).contains("get");
        let consumes = |participant: &&Participant| participant.alive && terms::role(participant, self.now).contains("consumer");
        self.now.participants.iter().filter(|participant| gets(participant) || consumes(participant)).collect()
    }

    pub fn processes(&self, participants: &[&Participant]) -> String {
        participants.iter().map(|participant| self.process(participant)).collect::<Vec<_>>().join(", ")
    }

    pub fn count_of(&self, pid: u32, what: Hold) -> usize {
        self.now.holdings.iter().filter(|held| held.pid == pid && held.what == what).count()
    }
}
