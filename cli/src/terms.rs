//! The words for what `shmq::inspect` returns: states, holds, roles, participants.

use crate::text;
use crate::units::{self, messages};
use shmq::inspect::{About, Hold, Participant, Predecessor, ProcessState, Snapshot, State};

pub fn state_word(state: State) -> &'static str {
    match state {
        State::InUse => "in use",
        State::Closed => "closed",
        State::Persisted => "kept",
        State::Stale => "stale",
        State::Poisoned => "poisoned",
        _ => "unknown",
    }
}

pub fn process_word(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "running",
        ProcessState::Sleeping => "sleeping",
        ProcessState::Stopped => "stopped",
        ProcessState::Zombie => "zombie",
        _ => "unknown",
    }
}

pub fn hold_word(hold: Hold) -> &'static str {
    match hold {
        Hold::Loan => "loan",
        Hold::Lease => "lease",
        Hold::PutLock => "put lock",
        Hold::GetLock => "get lock",
        Hold::Producer => "producer",
        Hold::Consumer => "consumer",
        _ => "other",
    }
}

/// What a process does with the queue: `producer`, `consumer`, `put`, `get`, `put+get`, what it holds
/// (`sender`, `receiver`), or empty.
pub fn role(participant: &Participant, seen: &Snapshot) -> &'static str {
    let holds = |what| seen.holdings.iter().any(|held| held.what == what && held.pid == participant.pid);
    match (participant.puts || participant.put_waits.is_some(), participant.gets || participant.get_waits.is_some()) {
        _ if holds(Hold::Producer) && holds(Hold::Consumer) => "producer+consumer",
        _ if holds(Hold::Producer) => "producer",
        _ if holds(Hold::Consumer) => "consumer",
        (true, true) => "put+get",
        (true, false) => "put",
        (false, true) => "get",
        // Not seen at work yet: what it holds.
        (false, false) => match (participant.sends, participant.receives) {
            (true, true) => "sender+receiver",
            (true, false) => "sender",
            (false, true) => "receiver",
            (false, false) => "",
        },
    }
}

/// `4711 worker get STOPPED`
pub fn participant_in_words(participant: &Participant, seen: &Snapshot) -> String {
    let mut words = participant.pid.to_string();
    if let Some(program) = &participant.program {
        words = format!("{words} {}", text::escaped(program));
    }
    let role = role(participant, seen);
    if !role.is_empty() {
        words = format!("{words} {role}");
    }
    let state = match participant.process {
        _ if !participant.alive => " DEAD",
        ProcessState::Stopped => " STOPPED",
        _ => "",
    };
    words + state
}

pub fn capacity(about: &About) -> String {
    about.capacity.map_or_else(|| units::bytes(about.capacity_bytes as f64), |messages| messages.to_string())
}

/// `a dead one, closed and drained; 0 messages went with it`
pub fn predecessor_in_words(predecessor: &Predecessor) -> String {
    let went = predecessor.messages.map_or("an unknown number of messages".to_owned(), messages);
    format!("a dead one, {}; {went} went with it", predecessor.why.in_words())
}
