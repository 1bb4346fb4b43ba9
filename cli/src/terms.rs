//! The words for what `shmq::inspect` returns: states, holds, roles, participants.

use crate::text;
use crate::units::{self, messages};
use shmq::inspect::{About, Gate, Hold, Kind, Participant, Predecessor, ProcessState, Snapshot, State, TopicSnapshot};
use shmq::{SubscriberInfo, SubscriberKind};

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
        Hold::View => "view",
        Hold::PutLock => "put lock",
        Hold::GetLock => "get lock",
        Hold::Producer => "producer",
        Hold::Consumer => "consumer",
        Hold::Publisher => "publisher",
        Hold::Sample => "sample",
        Hold::Lock => "lock",
        _ => "other",
    }
}

/// Has it messages, as queues and topics have?
pub fn has_messages(kind: Kind) -> bool {
    kind.is_queue() || kind.is_topic()
}

/// What a process does with the queue: `producer`, `consumer`, `put`, `get`, `put+get`, what it holds
/// (`sender`, `receiver`), or empty. With a topic: `publisher`, `publish`, `subscriber`, or both.
pub fn role(participant: &Participant, seen: &Snapshot) -> &'static str {
    let holds = |what| seen.holdings.iter().any(|held| held.what == what && held.pid == participant.pid);
    if let Some(topic) = &seen.topic {
        let publishes = participant.puts || participant.put_waits.is_some();
        return match subscribers_of(participant.pid, topic).next().is_some() {
            true if holds(Hold::Publisher) => "publisher+subscriber",
            false if holds(Hold::Publisher) => "publisher",
            true if publishes => "publish+subscriber",
            false if publishes => "publish",
            true => "subscriber",
            false => "",
        };
    }
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
    if let Some(topic) = &seen.topic {
        words += &subscribers_in_words(participant.pid, topic);
    }
    let state = match participant.process {
        _ if !participant.alive => " DEAD",
        ProcessState::Stopped => " STOPPED",
        _ => "",
    };
    words + state
}

pub fn subscribers_of(pid: u32, topic: &TopicSnapshot) -> impl Iterator<Item = &SubscriberInfo> {
    topic.subscribers.iter().filter(move |one| one.pid == pid)
}

/// ` 0.1 (lag 12)`, ` 0.1 (lossy, lag 3)`, ` (3, most lag 12)`, or empty.
fn subscribers_in_words(pid: u32, topic: &TopicSnapshot) -> String {
    let most = subscribers_of(pid, topic).map(|one| one.lag).max().unwrap_or(0);
    match (subscribers_of(pid, topic).count(), subscribers_of(pid, topic).next()) {
        (1, Some(one)) if one.kind == SubscriberKind::Gating => format!(" {} (lag {})", one.id, one.lag),
        (1, Some(one)) => format!(" {} ({}, lag {})", one.id, one.kind, one.lag),
        (0, _) | (_, None) => String::new(),
        (count, _) => format!(" ({count}, most lag {most})"),
    }
}

/// `open`, or what shuts it: `shut by subscriber 0.1 of process 4711`.
pub fn gate_in_words(topic: &TopicSnapshot) -> String {
    match topic.gate {
        Gate::Open => "open".to_owned(),
        Gate::Subscriber(id) => {
            let pid = topic.subscribers.iter().find(|one| one.id == id).map_or(0, |one| one.pid);
            format!("shut by subscriber {id} of process {pid}")
        }
        Gate::Loan { pid } => format!("shut by an open loan of process {pid}"),
        _ => "shut".to_owned(),
    }
}

pub fn capacity(about: &About) -> String {
    about.capacity.map_or_else(|| units::bytes(about.capacity_bytes as f64), |messages| messages.to_string())
}

/// `a dead one, closed and drained; 0 messages went with it`
pub fn predecessor_in_words(predecessor: &Predecessor) -> String {
    let went = predecessor.messages.map_or("an unknown number of messages".to_owned(), messages);
    format!("a dead one, {}; {went} went with it", predecessor.why.in_words())
}
