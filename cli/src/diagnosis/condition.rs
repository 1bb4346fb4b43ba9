//! What is wrong with the segment as a whole: damage, dead users, a lost name, a predecessor, a
//! full participant table.

use super::finding::{Finding, REPLACED, Severity, notice, trouble};
use super::observation::Observation;
use crate::terms::{has_messages, predecessor_in_words};
use crate::text::capitalised;
use crate::units::{self, messages, messages_wait};
use shmq::inspect::{Participant, State};

impl Observation<'_> {
    pub(super) fn condition(&self, findings: &mut Vec<Finding>) {
        let name = self.argument();
        if self.now.damaged {
            findings.push(trouble(
                "damaged",
                "damaged",
                "The segment holds values that no user of this library writes: another program, or a bug, wrote into it. Its users get \
                 the error Corrupted.",
                format!("Stop its users, remove it (`shmq rm {name}`), and let them create it anew. Its messages are lost."),
            ));
        }
        match self.now.state {
            State::Poisoned => findings.push(trouble(
                "poisoned",
                "poisoned",
                "A process was taken for dead while it was still at work (it had closed file descriptors that were not its own, as some \
                 daemons do). The order of the messages can no longer be trusted, so every call fails with Poisoned.",
                format!("Stop its users, remove it (`shmq rm {name}`), and start them again. Open queues after daemonising."),
            )),
            State::Stale => findings.push(trouble(
                "stale",
                format!(
                    "stale{}: {} died",
                    if self.now.closed { " and closed" } else { "" },
                    users_in_words(self.now.participants.len())
                ),
                format!(
                    "No process is attached: all of its users were killed, or ended by `_exit`. {} still in it.{}",
                    messages(match &self.now.topic {
                        Some(topic) => topic.kept,
                        None => self.now.messages + self.now.on_lease,
                    }),
                    if self.now.closed { " It was closed: it takes no more." } else { "" }
                ),
                format!(
                    "The next `open` goes on with its messages, the next `create` replaces it{}.{} `shmq rm {name}` or \
                     `shmq rm --stale` removes it{}.",
                    self.open_or_create_does(),
                    self.what_takes_them(&name),
                    if has_messages(self.about.kind) { " with its messages" } else { "" }
                ),
            )),
            State::Closed if self.is_queue() && self.now.messages != 0 && self.consumers().is_empty() => findings.push(notice(
                "closed",
                format!("closed, {} left", messages(self.now.messages)),
                "It was closed, and no consumer is attached to take what is left.".to_owned(),
                format!("Start a consumer, or throw them away: `shmq drain {name}`."),
            )),
            State::Persisted if self.is_queue() && self.now.messages != 0 => findings.push(notice(
                "kept",
                format!("kept: {}", messages_wait(self.now.messages)),
                "No live process is attached. The queue is persistent, and its messages wait for the next process that opens it.".to_owned(),
                format!("Start a consumer, if they are wanted. `shmq rm {name}` would throw them away for good."),
            )),
            _ => {}
        }
    }

    fn is_queue(&self) -> bool {
        self.about.kind.is_queue()
    }

    /// What takes the messages of a stale segment.
    fn what_takes_them(&self, name: &str) -> String {
        if self.about.is_bytes() {
            format!(" `shmq get {name} --follow` takes them;")
        } else if self.about.kind.is_topic() {
            " A subscriber that begins with the oldest reads them;".to_owned()
        } else if self.is_queue() {
            format!(" A program of yours takes them; `shmq drain {name}` throws them away;")
        } else {
            String::new()
        }
    }

    /// What the next `open_or_create` does with a stale segment.
    fn open_or_create_does(&self) -> &'static str {
        match self.now.messages + self.now.on_lease {
            _ if !has_messages(self.about.kind) => ", and so does `open_or_create`",
            0 if self.now.closed => ", and so does `open_or_create`, since it is closed and drained",
            _ if self.now.closed => "; `open_or_create` opens it to be drained, and replaces it once it is",
            _ => ", and `open_or_create` opens it if its messages are of the same type",
        }
    }

    pub(super) fn lost_name(&self, findings: &mut Vec<Finding>) {
        if self.now.has_name {
            return;
        }
        let users: Vec<&Participant> = self.now.participants.iter().filter(|p| p.alive).collect();
        let users = if users.is_empty() { "a process that has it open".to_owned() } else { self.processes(&users) };
        let how = if self.now.unlinked {
            "It was unlinked (`unlink`, `shmq rm`)"
        } else {
            "Its file was removed by hand, or by systemd-logind, which removes a user's shared memory at the last logout (RemoveIPC)"
        };
        findings.push(Finding {
            severity: if self.now.unlinked { Severity::Notice } else { Severity::Trouble },
            code: "nameless",
            headline: "lost its name".to_owned(),
            explanation: format!(
                "{how}, and is still in use: {users}. They go on with each other, and their puts are Ok; a process that opens the name now gets another \
                 queue, or none."
            ),
            advice: "Start its users again, so that they meet under the name. If logind did it: RemoveIPC=no in /etc/systemd/logind.conf, \
                     `loginctl enable-linger USER`, or a system user for the service."
                .to_owned(),
        });
    }

    pub(super) fn predecessor(&self, findings: &mut Vec<Finding>) {
        let Some(predecessor) = &self.about.predecessor else { return };
        let lost = predecessor.messages != Some(0);
        findings.push(notice(
            if lost { "replaced-with-messages" } else { REPLACED },
            match predecessor.messages {
                Some(0) => "replaced a dead one".to_owned(),
                Some(count) => format!("replaced a dead one: {} lost", messages(count)),
                None => "replaced a dead one".to_owned(),
            },
            format!(
                "{} ago it took the place of a dead one of the same name: {}.",
                capitalised(&units::duration(units::age(self.about.created))),
                predecessor_in_words(predecessor)
            ),
            if lost {
                "Messages that must outlive all users are for a queue that is persisted; drain a queue before its message type changes.".to_owned()
            } else {
                "Nothing.".to_owned()
            },
        ));
    }

    pub(super) fn table(&self, findings: &mut Vec<Finding>) {
        let alive = self.now.participants.iter().filter(|p| p.alive).count();
        if alive * 10 >= self.about.max_participants as usize * 9 && self.about.max_participants > 3 {
            findings.push(notice(
                "table",
                format!("{alive} of {} participants", self.about.max_participants),
                format!("{alive} processes are attached; the queue has room for {}.", self.about.max_participants),
                "Create it with a larger max_participants.".to_owned(),
            ));
        }
    }
}

fn users_in_words(count: usize) -> String {
    match count {
        // `recover` has freed their entries.
        0 => "all its users".to_owned(),
        1 => "its user".to_owned(),
        _ => format!("all {count} users"),
    }
}
