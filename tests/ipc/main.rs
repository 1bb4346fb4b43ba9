//! What the queue promises between processes: forked ones, unrelated ones, stopped ones and dead
//! ones.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). The portable locks do
//! not promise to survive crashes: under `--cfg shmq_portable_sync` those chapters are left out.

#[path = "../support/mod.rs"]
mod support;

mod checks;
mod checks_inside;
mod denied;
mod directory;
mod ends;
mod executing;
mod forking;
#[cfg(not(shmq_portable_sync))]
mod identity;
mod interruptions;
mod limits;
mod naming;
mod opening;
mod owners;
mod rights;
mod roles;
#[cfg(feature = "object")]
mod roles_sent;
mod space;
mod spawning;
#[cfg(feature = "object")]
mod topics_sent;
mod topics_unused;
mod traffic;
mod waiting;

#[cfg(not(shmq_portable_sync))]
mod acks;
#[cfg(not(shmq_portable_sync))]
mod backlog;
#[cfg(not(shmq_portable_sync))]
mod cgroup;
#[cfg(not(shmq_portable_sync))]
mod deaths;
#[cfg(not(shmq_portable_sync))]
mod detaching;
#[cfg(not(shmq_portable_sync))]
mod fences;
#[cfg(not(shmq_portable_sync))]
mod inspecting;
#[cfg(not(shmq_portable_sync))]
mod leftovers;
#[cfg(not(shmq_portable_sync))]
mod letters;
#[cfg(not(shmq_portable_sync))]
mod readers;
#[cfg(not(shmq_portable_sync))]
mod renames;
#[cfg(not(shmq_portable_sync))]
mod restarts;
#[cfg(not(shmq_portable_sync))]
mod roles_deaths;
#[cfg(not(shmq_portable_sync))]
mod stops;
#[cfg(not(shmq_portable_sync))]
mod topics;
#[cfg(not(shmq_portable_sync))]
mod unwiped;
#[cfg(not(shmq_portable_sync))]
mod views;

use std::process::ExitCode;
use support::harness::Lanes;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name] = &arguments[..] {
        if role == naming::UNRELATED {
            return naming::unrelated_program(name);
        }
        if role == directory::CHOSEN {
            return directory::program_in_a_chosen_directory(name);
        }
        if role == ends::ENDING {
            return ends::ending_program(name);
        }
    }
    let cases = [
        traffic::cases(),
        forking::cases(),
        #[cfg(not(shmq_portable_sync))]
        identity::cases(),
        ends::cases(),
        executing::cases(),
        waiting::cases(),
        checks::cases(),
        checks_inside::cases(),
        interruptions::cases(),
        naming::cases(),
        opening::cases(),
        space::cases(),
        spawning::cases(),
        limits::cases(),
        owners::cases(),
        rights::cases(),
        roles::cases(),
        #[cfg(feature = "object")]
        roles_sent::cases(),
        topics_unused::cases(),
        #[cfg(feature = "object")]
        topics_sent::cases(),
        denied::cases(),
        directory::cases(),
    ]
    .concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [
        cases,
        cgroup::cases(),
        leftovers::cases(),
        readers::cases(),
        unwiped::cases(),
        views::cases(),
        renames::cases(),
        restarts::cases(),
        deaths::cases(),
        detaching::cases(),
        roles_deaths::cases(),
        acks::cases(),
        fences::cases(),
        backlog::cases(),
        letters::cases(),
        stops::cases(),
        topics::cases(),
        inspecting::cases(),
    ]
    .concat();
    support::harness::run(Lanes::Waits, &cases)
}
