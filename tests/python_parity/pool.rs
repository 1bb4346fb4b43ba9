//! `Pool`.
//!
//! - `Pool(processes)`
//!   - `python_parity::pool::a_pool_has_the_workers_that_were_asked_for`
//! - `initializer`, `initargs`
//!   - `pool::tasks::initializer_runs_once_in_each_worker`
//! - `maxtasksperchild`
//!   - `pool::tasks::max_tasks_per_worker_replaces_workers`
//! - `apply`, `apply_async`
//!   - `pool::tasks::apply_runs_in_another_process_and_returns`
//!   - `pool::tasks::apply_async_get_wait_ready_successful`
//! - `map`, `map_async`, `starmap`, chunk sizes
//!   - `pool::tasks::map_keeps_the_order`
//!   - `pool::tasks::map_async_does_not_wait_for_room`
//!   - `pool::tasks::tuples_serve_for_starmap`
//!   - `pool::tasks::map_with_every_chunk_size`
//! - `imap`, `imap_unordered`, chunk sizes
//!   - `pool::tasks::imap_yields_in_order_and_errors_at_their_position`
//!   - `pool::tasks::imap_unordered_yields_as_they_come`
//!   - `pool::tasks::imap_with_chunks`
//! - tasks are functions and closures that capture nothing
//!   - `python_parity::pool::tasks_are_functions_and_closures_that_capture_nothing`
//! - arguments and results of any type that serde can encode
//!   - `pool::tasks::any_serde_argument_and_result_travels`
//!   - `pool::refusals::a_result_that_cannot_be_encoded_is_an_error_at_its_place`
//! - `AsyncResult.get(timeout)`, `wait`, `ready`, `successful`; `get` twice
//!   - `pool::tasks::get_timeout_is_never_early_and_the_task_goes_on`
//!   - `pool::tasks::apply_async_get_wait_ready_successful`
//!   - `pool::tasks::get_twice_works`
//! - `map` raises the first error to finish, after all chunks end
//!   - `pool::tasks::map_raises_the_first_error_to_finish_after_all_chunks_end`
//! - `imap` raises it at its position
//!   - `pool::tasks::imap_yields_in_order_and_errors_at_their_position`
//! - an exception comes back with its message; an `Err` is just a value
//!   - `pool::tasks::a_panic_is_an_error_with_its_message_and_costs_no_worker`
//!   - `pool::tasks::an_err_in_the_result_is_just_a_value`
//! - callbacks, with result or error; one that panics leaves the pool alive
//!   - `pool::tasks::callbacks_are_called_once_with_result_or_error`
//!   - `pool::tasks::a_panicking_callback_is_reported_and_the_pool_lives`
//! - `close` then `join` finishes queued work; submit after `close` is an error
//!   - `pool::tasks::close_then_join_finishes_queued_work`
//! - the end of `with` terminates
//!   - `pool::tasks::drop_terminates`
//!   - `pool::tasks::terminate_gives_up_what_is_queued`
//! - a killed worker's task fails or is retried; a new worker starts; the pool goes on
//!   - `pool::deaths::a_killed_workers_task_fails_with_worker_died_and_a_new_worker_is_started`
//!   - `pool::deaths::a_killed_workers_task_is_retried_if_asked`
//!   - `pool::storm::a_storm_of_kills_with_every_task_accounted_for`
//! - all idle workers killed: the pool goes on, `terminate` does not hang
//!   - `pool::deaths::all_workers_killed_while_idle`
//!   - `pool::deaths::workers_killed_during_terminate`
//! - a failing initializer fails the pool, and forks no more
//!   - `pool::refusals::a_failing_initializer_fails_the_pool_and_forks_no_more`
//!   - `pool::refusals::a_panicking_initializer_fails_the_pool`
//! - `imap` reads its input ahead by a bound
//!   - `pool::tasks::imap_reads_ahead_by_a_bound`
//!   - `pool::tasks::imap_of_an_endless_input_can_be_dropped`
//! - a chunk size of 0 is an error
//!   - `pool::refusals::a_chunk_size_of_0_is_an_error`

use crate::cases;
use crate::support::harness::Case;
use crate::support::wait_until;
use shmq::Pool;
use std::collections::BTreeSet;

pub fn cases() -> Vec<Case> {
    cases![a_pool_has_the_workers_that_were_asked_for, tasks_are_functions_and_closures_that_capture_nothing]
}

fn a_pool_has_the_workers_that_were_asked_for() {
    for workers in [1, 3] {
        let pool = Pool::new(workers).unwrap();
        wait_until("all workers", || pool.worker_pids().len() == workers, || format!("{:?}", pool.worker_pids()));
        let known: BTreeSet<u32> = pool.worker_pids().into_iter().collect();
        let at_work: BTreeSet<u32> = pool.map(|_: u32| std::process::id(), 0..100).unwrap().into_iter().collect();
        assert!(at_work.is_subset(&known) && !at_work.contains(&std::process::id()), "{at_work:?} of {known:?}");
    }
}

fn tasks_are_functions_and_closures_that_capture_nothing() {
    fn double(n: i64) -> i64 {
        2 * n
    }
    // One that captures does not compile: see the examples of `Pool` and of `Process::call`.
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(double, 4), Ok(8));
    assert_eq!(pool.apply(|n: i64| -n, 4), Ok(-4));
    assert_eq!(pool.apply(i64::abs, -4), Ok(4));
    assert_eq!(pool.map(|(a, b): (i64, i64)| double(a) + b, [(1, 2), (3, 4)]), Ok(vec![4, 10]));
}
