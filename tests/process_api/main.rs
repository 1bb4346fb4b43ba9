//! What `Process` promises: forked children, daemons, the fork server, and fresh programs.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`), so a case may start
//! threads and then check what the API does.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
#[cfg(feature = "async")]
mod awaiting;
mod calls;
mod children;
mod deaths;
mod descriptors;
mod guards;
mod init;
mod objects;
mod refused;
mod signals;
mod surroundings;

use std::process::ExitCode;
use support::harness::Lanes;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name] = &arguments[..] {
        if role == children::FRESH {
            return children::fresh_program(name);
        }
    }
    let cases = [
        children::cases(),
        calls::cases(),
        arguments::cases(),
        init::cases(),
        deaths::cases(),
        guards::cases(),
        objects::cases(),
        refused::cases(),
        signals::cases(),
        descriptors::cases(),
        surroundings::cases(),
    ]
    .concat();
    #[cfg(feature = "async")]
    let cases = [cases, awaiting::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
