//! From what is seen to what is wrong: the rules of `shmq doctor`, of which `ls` and `top` show the first that applies.
//!
//! Findings come in the order of how surely they are the cause of others: a stopped process before the full queue that follows from it.

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
mod waiting;

pub use finding::{Finding, Severity};
pub use observation::Observation;

/// All findings, those that trouble first.
pub fn diagnose(observed: &Observation<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    observed.condition(&mut findings);
    observed.lost_name(&mut findings);
    observed.stopped(&mut findings);
    observed.dead(&mut findings);
    observed.dead_letters(&mut findings);
    observed.open_loan(&mut findings);
    let is_deadlocked = observed.deadlock(&mut findings);
    // Which is why.
    if !is_deadlocked {
        observed.full(&mut findings);
    }
    observed.came_back(&mut findings);
    if !is_deadlocked {
        observed.waiting_getters(&mut findings);
        observed.long_held(&mut findings);
    }
    observed.joins(&mut findings);
    observed.table(&mut findings);
    observed.predecessor(&mut findings);
    findings.sort_by_key(|finding| finding.severity);
    findings
}
