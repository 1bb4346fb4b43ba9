//! The operations, and how each is swept.

mod barriers;
mod bursts;
mod contents;
mod copies;
mod events;
#[cfg(feature = "async")]
mod futures;
mod held_off;
mod holds;
mod in_place;
mod letters;
mod locks;
mod machine;
mod meetings;
mod names;
mod notices;
mod roles;
mod semaphores;
#[cfg(feature = "object")]
mod spilled;
mod sweep;
mod topics;
mod tracee;
mod views;
mod waits;

use crate::support::harness::{Case, Lanes, asks_for_ignored, run, unlinked_file};
use std::process::ExitCode;
use std::time::Duration;

/// How long the whole sweep of an operation may take.
const WHOLE_BOUND: Duration = Duration::from_secs(3600);

pub fn main() -> ExitCode {
    sweep::collect_reports(unlinked_file(&format!("kills-{}-", std::process::id())));
    let mut cases = copies::cases();
    cases.extend(bursts::cases());
    cases.extend(in_place::cases());
    cases.extend(views::cases());
    cases.extend(held_off::cases());
    cases.extend(waits::cases());
    cases.extend(names::cases());
    cases.extend(locks::cases());
    cases.extend(holds::cases());
    cases.extend(notices::cases());
    cases.extend(semaphores::cases());
    cases.extend(events::cases());
    cases.extend(barriers::cases());
    cases.extend(letters::cases());
    cases.extend(roles::cases());
    cases.extend(meetings::cases());
    cases.extend(topics::cases());
    #[cfg(feature = "object")]
    cases.extend(spilled::cases());
    #[cfg(feature = "async")]
    cases.extend(futures::cases());
    if asks_for_ignored() {
        // The same cases: with `--ignored` they sweep every instruction.
        cases = cases.into_iter().map(|case| Case { ignored: true, bound: WHOLE_BOUND, ..case }).collect();
    }
    let code = run(Lanes::Processors, &cases);
    sweep::print_reports();
    code
}
