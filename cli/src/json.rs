//! The JSON output. Its schema is `docs/shmq.schema.json`; a field that does not apply is `null`,
//! never left out.

use crate::diagnosis::{Finding, Severity};
use crate::rates::Rates;
use crate::rows::Row;
use crate::terms;
use crate::units;
use serde_json::{Value, json};
use shmq::inspect::{About, Gate, Holding, Participant, Snapshot, TopicSnapshot, Waiting};
use shmq::{Stats, SubscriberInfo};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub fn text(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn seconds(time: Option<Duration>) -> Value {
    time.map_or(Value::Null, |time| json!(time.as_secs_f64()))
}

/// A queue. It always has the same fields. `rates` need two snapshots.
pub fn queue(row: &Row, rates: Option<&Rates>) -> Value {
    match &row.seen {
        Ok((about, snapshot)) => {
            let mut value = about_value(about);
            merge(&mut value, snapshot_value(snapshot));
            merge(&mut value, json!({ "topic": snapshot.topic.as_ref().map(|topic| topic_value(about, topic)) }));
            merge(&mut value, json!({ "name": row.name, "error": null, "rates": rates.map(rates_value) }));
            value
        }
        Err(failure) => {
            let mut value: Value = NULL_IF_UNREADABLE.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
            let known = json!({
                "name": row.name,
                "state": row.state_word(),
                "owner_uid": row.owner_uid,
                "error": { "code": failure.code, "text": failure.text },
            });
            merge(&mut value, known);
            value
        }
    }
}

/// Fields of a queue that are `null` if its segment could not be read.
const NULL_IF_UNREADABLE: [&str; 33] = [
    "mode",
    "kind",
    "type",
    "schema",
    "structure",
    "predecessor",
    "unit_bytes",
    "capacity",
    "capacity_bytes",
    "max_message_bytes",
    "max_spilled_bytes",
    "segment_bytes",
    "max_participants",
    "max_deliveries",
    "dead_letters",
    "created_unix_s",
    "age_s",
    "persisted",
    "has_name",
    "closed",
    "damaged",
    "messages",
    "bytes",
    "on_lease",
    "viewed",
    "on_loan",
    "came_back",
    "most_deliveries",
    "participants",
    "holdings",
    "stats",
    "topic",
    "rates",
];

fn rates_value(rates: &Rates) -> Value {
    json!({
        "interval_s": rates.interval.as_secs_f64(),
        "puts_per_s": rates.puts,
        "gets_per_s": rates.gets,
        "bytes_put_per_s": rates.bytes_put,
        "bytes_got_per_s": rates.bytes_got,
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn about_value(about: &About) -> Value {
    json!({
        "owner_uid": about.owner_uid,
        "mode": format!("{:03o}", about.mode),
        "kind": about.kind.in_words(),
        "type": about.type_name,
        "schema": about.schema,
        "structure": about.structure,
        "predecessor": about.predecessor.map(|predecessor| json!({
            "why": predecessor.why.in_words(),
            "messages": predecessor.messages,
        })),
        "unit_bytes": about.unit_bytes,
        "capacity": about.capacity,
        "capacity_bytes": about.capacity_bytes,
        "max_message_bytes": about.max_message_bytes,
        "max_spilled_bytes": about.max_spilled_bytes,
        "segment_bytes": about.segment_bytes,
        "max_participants": about.max_participants,
        "max_deliveries": about.max_deliveries,
        "dead_letters": about.dead_letters,
        "created_unix_s": unix_seconds(about.created),
        "age_s": units::age(about.created).as_secs(),
    })
}

fn snapshot_value(seen: &Snapshot) -> Value {
    json!({
        "state": if seen.damaged { "damaged" } else { terms::state_word(seen.state) },
        "persisted": seen.persisted,
        "has_name": seen.has_name,
        "closed": seen.closed,
        "damaged": seen.damaged,
        "messages": seen.messages,
        "bytes": seen.bytes,
        "on_lease": seen.on_lease,
        "viewed": seen.viewed,
        "on_loan": seen.on_loan,
        "came_back": seen.came_back,
        "most_deliveries": seen.most_deliveries,
        "participants": seen.participants.iter().map(participant).collect::<Vec<_>>(),
        "holdings": seen.holdings.iter().map(holding).collect::<Vec<_>>(),
        "stats": stats(&seen.stats),
    })
}

fn topic_value(about: &About, topic: &TopicSnapshot) -> Value {
    let (gate, subscriber, pid) = match topic.gate {
        Gate::Open => ("open", None, None),
        Gate::Subscriber(id) => {
            ("subscriber", Some(id.to_string()), topic.subscribers.iter().find(|one| one.id == id).map(|one| one.pid))
        }
        Gate::Loan { pid } => ("loan", None, Some(pid)),
        _ => ("other", None, None),
    };
    json!({
        "max_subscribers": about.max_subscribers,
        "history": about.history,
        "max_lag_before_evict": about.max_lag_before_evict,
        "gate": { "shut_by": Some(gate).filter(|gate| *gate != "open"), "subscriber": subscriber, "pid": pid },
        "sleeping_publishers": topic.sleeping_publishers,
        "kept": topic.kept,
        "tail": topic.tail,
        "gated_from": topic.gated_from,
        "reclaimed_to": topic.reclaimed_to,
        "evictions": topic.stats.evictions,
        "subscribers": topic.subscribers.iter().map(subscriber_value).collect::<Vec<_>>(),
    })
}

fn subscriber_value(subscriber: &SubscriberInfo) -> Value {
    json!({
        "id": subscriber.id.to_string(),
        "pid": subscriber.pid,
        "alive": subscriber.is_alive,
        "kind": subscriber.kind.to_string(),
        "lag": subscriber.lag,
        "missed": subscriber.missed,
        "received": subscriber.received,
        "reads_in_place": subscriber.has_sample,
        "age_s": subscriber.age.as_secs_f64(),
    })
}

fn participant(participant: &Participant) -> Value {
    let waits = |waits: Option<Waiting>| seconds(waits.map(|waits| waits.since));
    json!({
        "pid": participant.pid,
        "alive": participant.alive,
        "program": participant.program,
        "process": terms::process_word(participant.process),
        "attached_unix_s": unix_seconds(participant.attached),
        "puts": participant.puts,
        "gets": participant.gets,
        "put_waits_s": waits(participant.put_waits),
        "get_waits_s": waits(participant.get_waits),
        "join_threads": participant.join_threads,
        "keeps_letters": participant.keeps_letters,
        "sends": participant.sends,
        "receives": participant.receives,
    })
}

fn holding(holding: &Holding) -> Value {
    json!({
        "what": terms::hold_word(holding.what),
        "pid": holding.pid,
        "alive": holding.alive,
        "position": holding.position,
        "bytes": holding.bytes,
        "deliveries": holding.deliveries,
        "since_s": seconds(holding.since),
    })
}

fn stats(stats: &Stats) -> Value {
    json!({
        "puts": stats.puts,
        "gets": stats.gets,
        "bytes_put": stats.bytes_put,
        "bytes_got": stats.bytes_got,
        "redelivered": stats.redelivered,
        "aborted": stats.aborted,
        "given_up": stats.given_up,
        "dead_letters": stats.dead_letters,
        "dead_letters_refused": stats.dead_letters_refused,
        "recoveries": stats.recoveries,
        "blocked_puts": stats.blocked_puts,
        "blocked_gets": stats.blocked_gets,
        "blocked_put_s": stats.blocked_put_time.as_secs_f64(),
        "blocked_get_s": stats.blocked_get_time.as_secs_f64(),
        "refused_puts": stats.refused_puts,
        "spilled": stats.spilled,
        "spilled_bytes": stats.spilled_bytes,
        "put_timeouts": stats.put_timeouts,
        "get_timeouts": stats.get_timeouts,
        "wakes": stats.wakes,
        "high_water": stats.high_water,
    })
}

pub fn finding(finding: &Finding) -> Value {
    json!({
        "severity": match finding.severity { Severity::Trouble => "trouble", Severity::Notice => "notice" },
        "code": finding.code,
        "headline": finding.headline,
        "explanation": finding.explanation,
        "advice": finding.advice,
    })
}
