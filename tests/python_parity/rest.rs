//! The rest of the module.
//!
//! - `Manager().Queue()` with a `Pool`: handles serialise
//!   - `pool::tasks::queues_travel_as_arguments`
//!   - `examples::pool_workers_share_a_queue`
//! - `Value`
//!   - `sync::values::updates_of_many_processes_are_all_counted`
//!   - `sync::deaths::one_killed_in_an_update_leaves_the_value_as_it_was`
//! - `Array`
//!   - `sync::mutexes::an_array_is_shared_and_locked_as_a_whole`
//! - `Lock`
//!   - `sync::mutexes::a_mutex_lets_one_process_in_at_a_time`
//!   - `sync::deaths::a_dead_holder_is_reported_to_every_locker_until_one_repairs`
//!   - `sync::locks::another_thread_and_another_process_may_release`
//!   - `sync::locks::a_release_too_many_is_refused`
//!   - `sync::locks::a_dead_holder_is_reported_until_one_repairs`
//! - `RLock`
//!   - `sync::reentrant::a_thread_acquires_a_reentrant_lock_a_thousand_times`
//!   - `sync::reentrant::only_the_thread_that_has_it_may_release_it`
//!   - `sync::reentrant::a_dead_holder_of_a_reentrant_lock_is_reported`
//! - `RLock`, by a `Mutex`: locking twice times out, and a function takes what is guarded
//!   - `python_parity::rest::a_function_that_takes_what_is_guarded_serves_for_rlock`
//!   - `sync::mutexes::a_thread_that_locks_twice_times_out`
//! - `Semaphore`
//!   - `sync::semaphores::no_more_processes_are_inside_than_there_are_permits`
//! - `BoundedSemaphore`: a release too many is refused, and a permit as a guard is released once
//!   - `sync::semaphores::a_bounded_semaphore_refuses_a_release_too_many`
//!   - `python_parity::rest::permits_serve_for_bounded_semaphore`
//! - `Event`
//!   - `sync::events::setting_releases_all_waiters`
//! - `Condition`
//!   - `sync::condvars::a_bounded_buffer_of_two_condvars_loses_nothing`
//!   - `sync::condvars::notify_all_releases_all_waiters`
//!   - `sync::notices::notify_wakes_as_many_as_it_says`
//!   - `sync::notices::only_a_notice_ends_a_wait_for_a_notice`
//!   - `sync::notices::no_notice_is_spent_on_killed_sleepers`
//! - `Barrier`
//!   - `sync::barriers::no_party_is_a_phase_ahead_and_each_phase_has_one_leader`
//!   - `sync::barriers::a_timeout_breaks_it_for_the_others`
//! - all of them by name, and inherited
//!   - `python_parity::rest::each_is_inherited_or_opened_by_name`
//!   - `sync::handles::programs_meet_by_name`
//! - `Pipe`
//!   - `sync::pipes::both_ends_talk_and_closing_drains`
//!   - `sync::pipes::an_end_can_be_sent`
//! - `connection.wait`
//!   - `sync::wait_any::each_kind_wakes_a_sleeper`
//!   - `python_parity::rest::wait_any_waits_for_results_and_for_the_ends_of_workers`

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Array, Event, Mutex, Semaphore, SyncError, Value};
use shmq::{ObjectQueue, Process, Waitable, wait_any};
use std::time::Instant;

pub fn cases() -> Vec<Case> {
    cases![
        a_function_that_takes_what_is_guarded_serves_for_rlock,
        permits_serve_for_bounded_semaphore,
        each_is_inherited_or_opened_by_name,
        wait_any_waits_for_results_and_for_the_ends_of_workers,
    ]
}

fn a_function_that_takes_what_is_guarded_serves_for_rlock() {
    fn deposit(balance: &mut u64, amount: u64) {
        *balance += amount;
    }
    fn deposit_all(balance: &mut u64, amounts: &[u64]) {
        // In Python this would acquire the RLock again.
        amounts.iter().for_each(|&amount| deposit(balance, amount));
    }
    let account = Mutex::new(0u64).unwrap();
    let child = fork("a depositor", || deposit_all(&mut account.lock().unwrap(), &[1, 2, 3]));
    child.expect_success();
    deposit(&mut account.lock().unwrap(), 4);
    assert_eq!(*account.lock().unwrap(), 10);
}

fn permits_serve_for_bounded_semaphore() {
    let semaphore = Semaphore::new(1).unwrap();
    let permit = semaphore.permit().unwrap();
    assert!(matches!(semaphore.try_permit(), Err(SyncError::WouldBlock)));
    drop(permit); // the only way to give it back, and it is gone then
    assert_eq!(semaphore.value(), 1);
}

fn each_is_inherited_or_opened_by_name() {
    let name = unique_name("counter");
    let (named, inherited) = (Value::create(&name, 0u64).unwrap(), Array::new([0u8; 3]).unwrap());
    let child = fork("a child", || {
        Value::<u64>::open(&name).unwrap().update(|n| *n += 5).unwrap();
        inherited.lock().unwrap()[2] = 7;
    });
    child.expect_success();
    assert_eq!(named.get().unwrap(), 5);
    assert_eq!(*inherited.lock().unwrap(), [0, 0, 7]);
}

fn wait_any_waits_for_results_and_for_the_ends_of_workers() {
    let (results, stop) = (ObjectQueue::<String>::new(4).unwrap(), Event::new().unwrap());
    let worker = Process::spawn(|| {
        results.put(&"done".to_string()).unwrap();
        stop.wait().unwrap();
    })
    .unwrap();
    let soon = || Instant::now() + PATIENCE;
    let all: [&dyn Waitable; 2] = [&results, &worker];
    assert_eq!(wait_any(&all, soon()), Ok(0));
    assert_eq!(results.try_get().unwrap(), "done");
    stop.set();
    assert_eq!(wait_any(&all, soon()), Ok(1));
    assert!(worker.join().unwrap().success());
}
