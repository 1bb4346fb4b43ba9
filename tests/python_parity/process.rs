//! `Process`.
//!
//! - globals are separate
//!   - `process_api::children::globals_are_separate`
//!   - `examples::globals_are_not_shared`
//! - `start`, `join`
//!   - `python_parity::process::a_process_runs_beside_its_parent_and_is_joined`
//! - `join(timeout)`
//!   - `process_api::children::join_timeout_is_never_early_and_zero_is_one_check`
//! - `is_alive`
//!   - `process_api::children::is_alive_until_the_end_joined_or_not`
//! - `pid`
//!   - `python_parity::process::pid_is_the_childs_own`
//! - `exitcode`: 0, n, the signal
//!   - `process_api::children::exit_codes_are_what_the_closure_returned`
//!   - `process_api::children::the_status_of_a_killed_child_has_the_signal`
//! - `terminate`, `kill`
//!   - `process_api::children::terminate_can_be_handled_and_kill_cannot`
//!   - `process_api::children::signals_after_the_end_reach_no_process`
//! - `close`: dropped, it runs on, and leaves no zombie
//!   - `process_api::children::a_dropped_process_runs_on_and_leaves_no_zombie`
//!   - `process_api::calls::called_processes_leave_no_zombies`
//! - `daemon`: dies with its parent, killed or not
//!   - `process_api::children::a_daemon_dies_with_its_parent`
//!   - `process_api::children::a_daemon_dies_with_its_parent_killed`
//!   - `process_api::deaths::a_called_daemon_dies_with_the_killed_program_and_the_fork_server_too`
//! - `sentinel` can be polled
//!   - `process_api::children::the_sentinel_can_be_polled_before_and_after_join`
//!   - `process_api::calls::the_sentinel_of_a_called_process_can_be_polled`
//! - an uncaught exception: its message on stderr, an exit code that is not 0
//!   - `process_api::children::a_panic_is_printed_on_stderr_and_sets_the_exit_status`
//!   - `process_api::children::an_error_is_printed_on_stderr`
//! - `active_children`
//!   - `process_api::children::active_children_are_those_that_run`
//! - fork of a threaded program is refused with an error that names what to call
//!   - `process_api::children::a_threaded_program_is_refused_with_the_function_to_call`
//!   - `process_api::init::a_call_without_init_is_refused_with_threads_and_names_what_to_call`
//! - after `init` threads may start processes, under tokio too
//!   - `process_api::calls::a_call_works_from_any_thread_after_init`
//!   - `process_api::calls::a_call_works_under_tokio_after_init`
//!   - `process_api::calls::many_threads_call_at_once`
//! - a killed fork server is replaced; what it forked is joined as ever
//!   - `process_api::deaths::a_killed_fork_server_is_replaced`
//!   - `process_api::deaths::a_killed_standby_is_replaced`
//!   - `process_api::deaths::processes_of_a_killed_fork_server_are_joined_as_ever`
//!   - `process_api::deaths::calls_beside_killed_fork_servers_run_once`
//! - an `unsafe` fork for programs that know it to be safe
//!   - `python_parity::process::an_unsafe_fork_is_available_beside_threads`
//! - a fresh program (`spawn`)
//!   - `process_api::children::a_fresh_program_opens_a_queue_by_name`

use crate::cases;
use crate::support::harness::Case;
use shmq::{Process, Queue, SpawnError};
use std::sync::mpsc;

pub fn cases() -> Vec<Case> {
    cases![a_process_runs_beside_its_parent_and_is_joined, pid_is_the_childs_own, an_unsafe_fork_is_available_beside_threads,]
}

fn a_process_runs_beside_its_parent_and_is_joined() {
    let (there, back) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    let child = Process::spawn(|| back.put(&(there.get().unwrap() + 1))).unwrap();
    there.put(&1).unwrap();
    assert_eq!(back.get().unwrap(), 2);
    assert!(child.join().unwrap().success());
}

fn pid_is_the_childs_own() {
    let pids = Queue::<u32>::new(2).unwrap();
    let mut children: Vec<Process> = (0..2).map(|_| Process::spawn(|| pids.put(&std::process::id())).unwrap()).collect();
    let mut received: Vec<u32> = (0..2).map(|_| pids.get().unwrap()).collect();
    let mut known: Vec<u32> = children.iter().map(Process::pid).collect();
    received.sort();
    known.sort();
    assert_eq!(received, known);
    assert!(children.iter_mut().all(|child| child.join().unwrap().success()));
}

fn an_unsafe_fork_is_available_beside_threads() {
    let (go, wait) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    assert!(matches!(Process::spawn(|| 3), Err(SpawnError::Threaded { threads: 2 })));
    // SAFETY: the other thread only waits, and the child uses nothing that it might hold.
    let child = unsafe { Process::spawn_unchecked(|| 3) }.unwrap();
    assert_eq!(child.join().unwrap().code(), Some(3));
    go.send(()).unwrap();
    thread.join().unwrap().unwrap();
}
