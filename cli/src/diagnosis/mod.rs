//! What is wrong with a queue or a topic: the rules of `shmq doctor`. `ls` and `top` show the first finding.
//!
//! The rules run in an order in which causes come before their effects: a stopped process before
//! the full queue that follows from it.

mod condition;
mod dead;
mod dead_letters;
mod deadlock;
mod finding;
mod full;
mod holding;
mod observation;
mod redelivery;
mod stopped;
mod topic;
mod waiting;

pub use finding::{Finding, Severity};
pub use observation::Observation;

/// All findings, those of severity `Trouble` first.
pub fn diagnose(observed: &Observation<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    observed.condition(&mut findings);
    observed.lost_name(&mut findings);
    observed.stopped(&mut findings);
    observed.dead(&mut findings);
    observed.dead_letters(&mut findings);
    observed.open_loan(&mut findings);
    let is_deadlocked = observed.deadlock(&mut findings);
    // The queue is full because of the deadlock.
    if !is_deadlocked {
        observed.full(&mut findings);
    }
    observed.gate(&mut findings);
    observed.evicted(&mut findings);
    observed.came_back(&mut findings);
    if !is_deadlocked {
        observed.waiting_consumers(&mut findings);
        observed.long_held(&mut findings);
    }
    observed.joins(&mut findings);
    observed.table(&mut findings);
    observed.subscriber_table(&mut findings);
    observed.predecessor(&mut findings);
    findings.sort_by_key(|finding| finding.severity);
    findings
}
