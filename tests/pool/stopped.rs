//! Nothing outlives the program: not where its helpers are stopped, nor where tasks change the user.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{
    children_of, fork_with_code, parent_of, send_signal, shared_words, state_and_group, wait_for_count,
};
use crate::support::wait_until;
use shmq::{Pool, Process};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        a_program_killed_beside_its_stopped_keeper_takes_all_with_it,
        a_program_killed_beside_its_stopped_guardian_takes_all_with_it,
        a_program_that_ends_beside_its_stopped_guardian_takes_all_with_it,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with the program of a case: made before it is forked.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(4))
}

const READY: usize = 0;
const GO: usize = 1;

/// Processes that were orphaned are children of the case: waits for their ends.
fn reap_orphans() {
    wait_until(
        "the ends of all orphans",
        || {
            // SAFETY: no status is asked for.
            while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
            // SAFETY: as above.
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) == -1 }
        },
        || format!("children: {:?}", children_of(std::process::id())),
    );
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = children_of(pid);
    children.iter().copied().chain(children.iter().flat_map(|&child| descendants(child))).collect()
}

/// Runs a program until it is ready and kills it, or lets it end: all its processes end.
fn expect_end_of_all(killed: bool, run: fn()) {
    words();
    let program = fork_with_code("a program", move || {
        run();
        words()[READY].store(1, SeqCst);
        wait_for_count("the case's go", &words()[GO], 1);
        // SAFETY: this process was forked of one without threads: an `exit` with its handlers.
        unsafe { libc::exit(0) }
    });
    wait_for_count("a program that is ready", &words()[READY], 1);
    let all = descendants(program.pid());
    assert!(all.len() >= 2, "{all:?}");
    if killed {
        program.kill();
    } else {
        words()[GO].store(1, SeqCst);
        program.expect_success();
    }
    reap_orphans();
    assert!(all.iter().all(|&pid| state_and_group(pid as i32).is_none()), "{all:?}");
}

/// Stops a process that has so many children.
fn stop(pid: u32, children: usize) {
    wait_until("its children", || children_of(pid).len() == children, || format!("{:?}", children_of(pid)));
    send_signal(pid as i32, libc::SIGSTOP);
    let is_stopped = || state_and_group(pid as i32).is_some_and(|(state, _)| state == 'T');
    wait_until("a stopped helper", is_stopped, String::new);
}

fn a_program_killed_beside_its_stopped_keeper_takes_all_with_it() {
    expect_end_of_all(true, || {
        let pool = Pool::new(2).unwrap();
        stop(parent_of(pool.worker_pids()[0]), 3);
        std::mem::forget(pool);
    });
}

/// Starts a spawner and a daemon, and stops the guardian.
fn stop_the_guardian() {
    shmq::process::init().unwrap();
    std::mem::forget(
        Process::call_daemon(
            |()| loop {
                std::thread::park()
            },
            (),
        )
        .unwrap(),
    );
    stop(children_of(std::process::id())[0], 1);
}

fn a_program_killed_beside_its_stopped_guardian_takes_all_with_it() {
    expect_end_of_all(true, stop_the_guardian);
}

fn a_program_that_ends_beside_its_stopped_guardian_takes_all_with_it() {
    expect_end_of_all(false, stop_the_guardian);
}
