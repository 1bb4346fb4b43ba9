//! Dead letters that their queue does not take.

use super::finding::{Finding, trouble};
use super::observation::Observation;
use crate::text::{self, capitalised};
use crate::units::messages;
use shmq::OpenError;
use shmq::inspect::{Inspector, Participant};

impl Observation<'_> {
    pub(super) fn dead_letters(&self, findings: &mut Vec<Finding>) {
        let Some(name) = &self.about.dead_letters else { return };
        let keepers: Vec<&Participant> = self.now.participants.iter().filter(|participant| participant.keeps_letters).collect();
        if keepers.is_empty() {
            return;
        }
        let shown = text::escaped(name);
        let (why, advice) = what_is_wrong_with(name);
        findings.push(trouble(
            "dead-letters",
            format!("dead letters: {shown} {why}"),
            format!(
                "{} on lease what was given up, since the queue for dead letters, {shown}, {why}. It keeps its room until then. Attempts that failed: {}.",
                if keepers.len() == 1 {
                    format!("{} has", capitalised(&self.process(keepers[0])))
                } else {
                    format!("{} processes ({}) have", keepers.len(), self.processes(&keepers))
                },
                self.now.stats.dead_letters_refused
            ),
            advice,
        ));
    }
}

/// What is wrong, as the end of a sentence that begins with the name, and what to do.
fn what_is_wrong_with(name: &str) -> (String, String) {
    let create = "Create it (`shmq::DeadLetters::create`): it is tried again by itself.".to_owned();
    let seen = match Inspector::open(name) {
        Ok(inspector) => inspector,
        Err(OpenError::NotFound { .. }) => return ("is missing".to_owned(), create),
        Err(error) => return (format!("cannot be opened ({error})"), "Give these processes the right to open it.".to_owned()),
    };
    let about = seen.about();
    if !about.is_dead_letters() {
        return (
            format!("is a queue of another kind ({})", about.type_in_words()),
            "Give that queue another name, and create one for dead letters.".to_owned(),
        );
    }
    let now = seen.snapshot();
    if now.closed {
        return ("is closed".to_owned(), "Unlink it, and create it anew.".to_owned());
    }
    (
        format!("is full, or too small for them ({} in it)", messages(now.messages)),
        "Take letters out of it, or replace it by a larger one.".to_owned(),
    )
}
