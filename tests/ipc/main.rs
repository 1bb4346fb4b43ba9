//! What the queue promises between processes: forked ones, unrelated ones, stopped ones and dead
//! ones.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). The portable locks do
//! not promise to survive crashes: under `--cfg shmq_portable_sync` those chapters are left out.

#[path = "../support/mod.rs"]
mod support;

mod denied;
mod directory;
mod ends;
mod executing;
mod forking;
mod limits;
mod naming;
mod owners;
mod rights;
mod space;
mod spawning;
mod traffic;
mod waiting;

#[cfg(not(shmq_portable_sync))]
mod backlog;
#[cfg(not(shmq_portable_sync))]
mod cgroup;
#[cfg(not(shmq_portable_sync))]
mod deaths;
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
mod stops;
#[cfg(not(shmq_portable_sync))]
mod unwiped;

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
    let mut cases = traffic::cases();
    cases.extend(forking::cases());
    cases.extend(ends::cases());
    cases.extend(executing::cases());
    cases.extend(waiting::cases());
    cases.extend(naming::cases());
    cases.extend(space::cases());
    cases.extend(spawning::cases());
    cases.extend(limits::cases());
    cases.extend(owners::cases());
    cases.extend(rights::cases());
    cases.extend(denied::cases());
    cases.extend(directory::cases());
    #[cfg(not(shmq_portable_sync))]
    {
        cases.extend(cgroup::cases());
        cases.extend(leftovers::cases());
        cases.extend(readers::cases());
        cases.extend(unwiped::cases());
        cases.extend(renames::cases());
        cases.extend(restarts::cases());
        cases.extend(deaths::cases());
        cases.extend(fences::cases());
        cases.extend(backlog::cases());
        cases.extend(letters::cases());
        cases.extend(stops::cases());
        cases.extend(inspecting::cases());
    }
    support::harness::run(Lanes::Waits, &cases)
}
