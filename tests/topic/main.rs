//! Topics, seen from outside: every subscriber sees every message, and none can stop the others.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`): a case forks its
//! children before it starts a thread. The portable locks do not promise to survive crashes: under
//! `--cfg shmq_portable_sync` those chapters are left out.

#[path = "../support/mod.rs"]
mod support;

mod basics;
mod capacity;
mod closing;
#[cfg(not(shmq_portable_sync))]
mod deaths;
mod evicting;
mod forking;
mod forms;
mod hindered;
mod history;
mod inspecting;
mod joining;
mod large;
mod loans;
mod lossy;
mod many;
mod model;
mod naming;
#[cfg(feature = "object")]
mod objects;
mod options;
mod owned;
mod shapes;
mod sleeping;
mod stops;
mod traffic;
mod waiting_for_several;

use shmq::{Message, Topic};
use std::process::ExitCode;
use support::harness::Lanes;

/// What is printed of a topic when a wait for it expires.
fn describe<T: ?Sized + Message>(topic: &Topic<T>) -> String {
    format!("{topic:?} {:?} {:?}", topic.subscribers(), topic.stats())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name] = &arguments[..] {
        if role == naming::UNRELATED {
            return naming::unrelated_program(name);
        }
    }
    let cases = [
        basics::cases(),
        forms::cases(),
        capacity::cases(),
        loans::cases(),
        large::cases(),
        history::cases(),
        lossy::cases(),
        evicting::cases(),
        closing::cases(),
        stops::cases(),
        hindered::cases(),
        shapes::cases(),
        forking::cases(),
        naming::cases(),
        #[cfg(feature = "object")]
        objects::cases(),
        options::cases(),
        owned::cases(),
        inspecting::cases(),
        waiting_for_several::cases(),
        many::cases(),
        sleeping::cases(),
        joining::cases(),
        traffic::cases(),
        model::cases(),
    ]
    .concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, deaths::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
