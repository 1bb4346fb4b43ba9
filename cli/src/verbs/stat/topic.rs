//! What `stat` says of a topic only.

use super::per_second;
use crate::rates::Rates;
use crate::table;
use crate::table::TableCell;
use crate::terms;
use crate::units::{self, messages, plural};
use shmq::SubscriberInfo;
use shmq::inspect::{About, Snapshot, TopicSnapshot};

/// The lines behind those that queues and topics have in common.
pub fn lines(about: &About, now: &Snapshot, topic: &TopicSnapshot, rates: Option<&Rates>, mut line: impl FnMut(&str, String)) {
    let stats = &topic.stats;
    line("subscribers", format!("{} of {}", topic.subscribers.len(), about.max_subscribers));
    if about.history != 0 {
        line("history", format!("a subscriber begins {} back", messages(about.history)));
    }
    if about.max_lag_before_evict != 0 {
        line("evicts", format!("a gating subscriber that lags {}", messages(about.max_lag_before_evict)));
    }
    line("gate", terms::gate_in_words(topic));
    line("slowest lags", format!("{}, {}", messages(now.messages), units::bytes(now.bytes as f64)));
    line("kept", format!("{} can be read still", messages(topic.kept)));
    line("in place, loan", format!("{}, {}", now.on_lease, now.on_loan));
    let published = per_second(rates.map(|rates| (rates.puts, rates.bytes_put)));
    line("published", format!("{}, {}{published}", stats.published, units::bytes(stats.bytes_published as f64)));
    let received = rates.map(|rates| format!("   {}/s", units::count(rates.gets))).unwrap_or_default();
    line("received", format!("{}, by the subscribers of now together{received}", now.stats.gets));
    line("positions", format!("tail {}, gated from {}, reclaimed to {}", topic.tail, topic.gated_from, topic.reclaimed_to));
    let altogether = |time| format!("{} altogether", units::duration(time));
    line("blocked publishes", format!("{}, {}", stats.blocked_publishes, altogether(stats.blocked_publish_time)));
    line("blocked reads", format!("{}, {}", stats.blocked_reads, altogether(stats.blocked_read_time)));
    line("refused publishes", stats.refused_publishes.to_string());
    line("timeouts", format!("publish {}, read {}", stats.publish_timeouts, stats.read_timeouts));
    line("wakes", stats.wakes.to_string());
    line("recoveries", format!("{} ({} aborted)", stats.recoveries, plural(stats.aborted, "loan", "loans")));
    line("evictions", stats.evictions.to_string());
}

/// A table of the subscribers.
pub fn subscribers(topic: &TopicSnapshot) -> String {
    if topic.subscribers.is_empty() {
        return "\nThere are no subscribers.\n".to_owned();
    }
    let row = |one: &SubscriberInfo| {
        vec![
            TableCell::plain(one.id.to_string()),
            TableCell::plain(if one.pid == 0 { "gone".to_owned() } else { one.pid.to_string() }),
            TableCell::plain(if one.is_alive { "alive" } else { "DEAD" }),
            TableCell::plain(one.kind.to_string()),
            TableCell::plain(one.lag.to_string()),
            TableCell::plain(one.received.to_string()),
            TableCell::plain(one.missed.to_string()),
            TableCell::plain(units::duration(one.age)),
            TableCell::plain(if one.has_sample { "reads in place" } else { "" }),
        ]
    };
    let rows: Vec<Vec<TableCell>> = topic.subscribers.iter().map(row).collect();
    let head = ["SUBSCRIBER", "PID", "", "KIND", "LAG", "RECEIVED", "MISSED", "AGE", ""];
    format!("\n{}", table::columns(&head, &[1, 4, 5, 6, 7], &rows))
}
