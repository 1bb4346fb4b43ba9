//! `Queue`, `SimpleQueue`, `JoinableQueue`.
//!
//! - `put` waits for room; `Full` at once, `Timeout` after the whole timeout
//!   - `object_queue::verbs::put_waits_fails_or_times_out_when_full_and_get_when_empty`
//!   - `queue::timeouts::a_blocked_put_goes_on_when_there_is_room`
//!   - `queue::timeouts::no_deadline_is_early_at_any_phase_of_the_second`
//! - `get` waits for a message; `Empty` at once, `Timeout` after the whole timeout
//!   - `queue::timeouts::try_forms_are_full_or_empty`
//!   - `queue::timeouts::a_blocked_get_takes_what_comes_in_time`
//!   - `queue::timeouts::no_deadline_is_early_under_load`
//! - `timeout=0` is one immediate try
//!   - `python_parity::queue::zero_timeout_is_one_try`
//!   - `queue::timeouts::a_zero_timeout_and_a_past_deadline_are_one_try`
//! - the bound counts messages, exactly; 0 is an error; a bound in bytes beside it
//!   - `python_parity::queue::a_bound_counts_messages_exactly`
//!   - `python_parity::queue::a_bound_of_0_is_an_error`
//!   - `queue::bounds::a_queue_holds_exactly_its_capacity`
//!   - `queue::bounds::a_slice_queue_bounded_in_bytes_says_so`
//! - `full`, `qsize`, `empty` are exact at the instant they read
//!   - `python_parity::queue::len_is_empty_and_is_full_are_exact_at_once_and_in_every_process`
//!   - `queue::counting::len_counts_committed_messages_that_are_not_taken`
//! - plain data by value or in place
//!   - `queue::types::checked_types_travel`
//!   - `queue::in_place::a_committed_loan_is_a_message_in_the_place_that_it_took`
//! - any object, encoded inside `put`
//!   - `object_queue::types::plain_types_travel_with_both_codecs`
//!   - `object_queue::types::message_pack_carries_untagged_flattened_tagged_and_skipped`
//!   - `object_queue::encoding::an_object_changed_after_put_arrives_as_it_was`
//! - an object that cannot be encoded is an error of `put`, and nothing is enqueued
//!   - `object_queue::encoding::an_unencodable_object_is_an_error_to_its_putter_and_not_enqueued`
//! - no feeder: a put that returned is in shared memory
//!   - `python_parity::queue::what_a_process_put_outlives_it_however_it_ends`
//! - no buffer without bound
//!   - `python_parity::queue::puts_of_megabytes_cost_their_process_no_memory`
//! - nothing to flush: a process ends before what it put is read
//!   - `python_parity::queue::join_before_drain_does_not_deadlock`
//! - one order of all puts, each producer's own included
//!   - `ipc::traffic::puts_are_in_one_order`
//!   - `process_api::objects::objects_keep_the_order_of_each_of_many_writers`
//! - `close` holds for all processes: putters wake, getters drain; idempotent
//!   - `ipc::waiting::close_wakes_all_waiters_in_every_process`
//!   - `queue::closing::a_closed_queue_drains_and_then_says_closed`
//!   - `queue::closing::close_is_idempotent_and_for_every_handle`
//! - handles are inherited across fork
//!   - `ipc::forking::a_handle_works_on_both_sides_of_a_fork`
//! - handles are reopened by name
//!   - `ipc::naming::an_unrelated_program_opens_by_name`
//! - handles travel into pool arguments and into other queues
//!   - `pool::tasks::queues_travel_as_arguments`
//!   - `object_queue::handles::handles_of_every_queue_travel_through_queues`
//!   - `process_api::objects::a_queue_sent_through_a_queue_works_in_another_process`
//! - `SimpleQueue`: put, get, empty, close of the same queue
//!   - `python_parity::queue::a_simple_queue_is_the_same_queue`
//! - `task_done` too often is an error
//!   - `queue::counting::task_done_cannot_outnumber_the_messages_taken`
//! - `join` waits for all, at once if nothing was put
//!   - `queue::counting::join_waits_for_task_done_of_each_copy`
//!   - `queue::counting::join_returns_at_once_if_nothing_was_put`
//!   - `ipc::forking::a_task_is_done_by_another_process`
//! - with leases a release is the `task_done`, and the dead do not hang `join`
//!   - `queue::counting::join_waits_for_leases_and_not_for_dropped_loans`
//!   - `ipc::deaths::join_does_not_hang_on_a_dead_holder`
//! - by copy they do: `join_timeout`
//!   - `python_parity::queue::a_copy_that_died_before_task_done_is_reported_by_join_timeout`
//! - a process killed in `get` or `put` hangs no other, and timeouts hold
//!   - `python_parity::queue::a_process_killed_in_get_hangs_no_other`
//!   - `python_parity::queue::a_process_killed_in_put_hangs_no_other`
//! - no message is lost that was not taken, and an unfinished lease comes back
//!   - `storm::storms::a_storm_of_kills_loses_no_message`
//!   - `process_api::objects::a_leased_object_comes_back_when_its_holder_is_killed`
//!   - `ipc::deaths::a_dead_holders_messages_come_back_in_order_before_newer_ones`

use crate::cases;
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
#[cfg(not(shmq_portable_sync))]
use crate::support::{
    Rng,
    process::{Child, expect_all_succeed},
};
use shmq::{CreateError, GetError, ObjectQueue, Process, PutError, Queue};
#[cfg(not(shmq_portable_sync))]
use shmq::{JoinError, Postcard};
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        zero_timeout_is_one_try,
        a_bound_counts_messages_exactly,
        a_bound_of_0_is_an_error,
        len_is_empty_and_is_full_are_exact_at_once_and_in_every_process,
        what_a_process_put_outlives_it_however_it_ends,
        puts_of_megabytes_cost_their_process_no_memory,
        join_before_drain_does_not_deadlock,
        a_simple_queue_is_the_same_queue,
        // The portable locks do not promise to survive deaths.
        #[cfg(not(shmq_portable_sync))]
        a_copy_that_died_before_task_done_is_reported_by_join_timeout,
        #[cfg(not(shmq_portable_sync))]
        a_process_killed_in_get_hangs_no_other,
        #[cfg(not(shmq_portable_sync))]
        a_process_killed_in_put_hangs_no_other,
    ]
}

const MIB: usize = 1 << 20;

fn zero_timeout_is_one_try() {
    let queue = ObjectQueue::<String>::new(1).unwrap();
    let text = "text".to_string();
    assert!(matches!(queue.get_timeout(Duration::ZERO), Err(GetError::Timeout)));
    queue.put_timeout(&text, Duration::ZERO).unwrap();
    assert!(matches!(queue.put_timeout(&text, Duration::ZERO), Err(PutError::Timeout)));
    assert_eq!(queue.get_timeout(Duration::ZERO).unwrap(), text);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    queue.try_put(&text).unwrap();
    assert!(matches!(queue.try_put(&text), Err(PutError::Full)));
}

fn a_bound_counts_messages_exactly() {
    let queue = ObjectQueue::<String>::builder().capacity(3).capacity_bytes(MIB).create().unwrap();
    for lengths in [[0, 1, 2], [100_000, 0, 100_000], [7, 65_536, 300]] {
        for length in lengths {
            assert!(!queue.is_full());
            queue.try_put(&"x".repeat(length)).unwrap();
        }
        assert!(queue.is_full());
        assert!(matches!(queue.try_put(&String::new()), Err(PutError::Full)));
        lengths.iter().for_each(|&length| assert_eq!(queue.get().unwrap().len(), length));
    }
}

fn a_bound_of_0_is_an_error() {
    assert!(matches!(Queue::<u64>::new(0), Err(CreateError::OutOfRange { asked: 0, .. })));
    assert!(matches!(ObjectQueue::<String>::new(0), Err(CreateError::OutOfRange { asked: 0, .. })));
}

fn len_is_empty_and_is_full_are_exact_at_once_and_in_every_process() {
    const ROUNDS: u64 = 500;
    let queue = ObjectQueue::<u64>::new(1).unwrap();
    let assert_len = |len: usize| assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (len, len == 0, len == 1));
    let turn = shared_word();
    let getter = fork("a getter", || {
        for round in 0..ROUNDS {
            wait_for_count("the getter's turn", turn, 2 * round + 1);
            assert_len(1);
            assert_eq!(queue.try_get().unwrap(), round);
            assert_len(0);
            turn.store(2 * round + 2, Release);
        }
    });
    for round in 0..ROUNDS {
        wait_for_count("the putter's turn", turn, 2 * round);
        assert_len(0);
        queue.try_put(&round).unwrap();
        assert_len(1);
        turn.store(2 * round + 1, Release);
    }
    getter.expect_success();
}

fn what_a_process_put_outlives_it_however_it_ends() {
    let queue = ObjectQueue::<(String, String)>::builder().capacity_bytes(8 * MIB).create().unwrap();
    let put = |how: &str| queue.put(&(how.to_string(), "x".repeat(MIB))).unwrap();
    Process::spawn(|| put("returns")).unwrap().join().unwrap();
    let exit = || -> () {
        put("exits");
        std::process::exit(1)
    };
    Process::spawn(exit).unwrap().join().unwrap();
    let mut ends = vec!["returns", "exits"];
    if cfg!(not(shmq_portable_sync)) {
        let kill = || {
            put("is killed");
            // SAFETY: kill takes two numbers; SIGKILL ends this process at once.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        };
        Process::spawn(kill).unwrap().join().unwrap();
        ends.push("is killed");
    }
    for end in ends {
        assert_eq!(queue.try_get().unwrap(), (end.to_string(), "x".repeat(MIB)));
    }
}

/// Private memory of this process.
fn private_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a kernel that reports it");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn puts_of_megabytes_cost_their_process_no_memory() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4 * MIB).create().unwrap();
    let getter = fork("a getter", || (0..200).for_each(|_| assert_eq!(queue.get().unwrap().len(), MIB)));
    let megabyte = vec![7; MIB];
    let before = private_kib();
    (0..200).for_each(|_| queue.put(&megabyte).unwrap());
    let grown = private_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB");
    getter.expect_success();
}

fn join_before_drain_does_not_deadlock() {
    let queue = ObjectQueue::<String>::builder().capacity_bytes(8 * MIB).create().unwrap();
    let putter = Process::spawn(|| queue.put(&"x".repeat(MIB))).unwrap();
    assert!(putter.join_timeout(PATIENCE).unwrap().expect("it ends").success());
    assert_eq!(queue.get().unwrap(), "x".repeat(MIB));
}

fn a_simple_queue_is_the_same_queue() {
    let queue = ObjectQueue::<Option<String>>::new(4).unwrap();
    assert!(queue.is_empty());
    queue.put(&None).unwrap();
    assert!(!queue.is_empty());
    assert_eq!(queue.get().unwrap(), None);
    queue.close();
    assert!(matches!(queue.put(&None), Err(PutError::Closed)) && matches!(queue.get(), Err(GetError::Closed)));
}

#[cfg(not(shmq_portable_sync))]
fn a_copy_that_died_before_task_done_is_reported_by_join_timeout() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put("a").unwrap();
    queue.put("b").unwrap();
    let worker = fork("a worker", || {
        queue.get().unwrap();
        queue.task_done().unwrap();
        queue.get().unwrap(); // and not done
    });
    worker.expect_success();
    let timeout = Duration::from_millis(30);
    assert!(matches!(queue.join_timeout(timeout), Err(JoinError::Timeout { left: 1 })));
    // A process that knows about the death calls task_done in place of the dead one.
    queue.task_done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
}

/// Kills a process at a random moment of an operation that it repeats for ever.
#[cfg(not(shmq_portable_sync))]
fn kill_amid(rng: &mut Rng, what: &'static str, act: impl Fn()) {
    let begun = shared_word();
    let child: Child = fork(what, || {
        loop {
            act();
            begun.store(1, Release);
        }
    });
    wait_for_count(what, begun, 1);
    std::thread::sleep(rng.duration_below(Duration::from_millis(3)));
    child.kill();
}

#[cfg(not(shmq_portable_sync))]
const KILLS: usize = 60;

#[cfg(not(shmq_portable_sync))]
fn a_process_killed_in_get_hangs_no_other() {
    let mut rng = Rng::new("kills in get");
    let queue = ObjectQueue::<String, Postcard>::new(4).unwrap();
    for _ in 0..KILLS {
        kill_amid(&mut rng, "a getter", || {
            let _ = queue.get_timeout(Duration::from_micros(50));
        });
        queue.put(&"next".to_string()).unwrap();
        assert_eq!(queue.get_timeout(PATIENCE).unwrap(), "next");
        assert!(matches!(queue.get_timeout(Duration::from_millis(1)), Err(GetError::Timeout)));
    }
    // Also while it sleeps.
    let mut sleeper = fork("a sleeping getter", || drop(queue.get()));
    sleeper.wait_until_asleep();
    sleeper.kill();
    let mut getters: Vec<Child> =
        (0..2).map(|_| fork("a getter", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), "last"))).collect();
    getters.iter_mut().for_each(Child::wait_until_asleep);
    (0..2).for_each(|_| queue.put(&"last".to_string()).unwrap());
    expect_all_succeed(getters);
}

#[cfg(not(shmq_portable_sync))]
fn a_process_killed_in_put_hangs_no_other() {
    let mut rng = Rng::new("kills in put");
    let queue = ObjectQueue::<String>::builder().capacity(4).capacity_bytes(MIB).create().unwrap();
    for round in 0..KILLS {
        let object = ["x", "y", "z"][round % 3].repeat([10, 100_000][round % 2]);
        kill_amid(&mut rng, "a putter", || {
            let _ = queue.put_timeout(&object, Duration::from_micros(50));
        });
        // The messages that it put are complete, and no more than the bound.
        let mut there = 0;
        while let Ok(got) = queue.get_timeout(Duration::ZERO) {
            assert!(got == object);
            there += 1;
        }
        assert!(there <= 4, "{there} messages");
        assert!(matches!(queue.get_timeout(Duration::from_millis(1)), Err(GetError::Timeout)));
        for _ in 0..4 {
            queue.put_timeout(&object, PATIENCE).unwrap();
        }
        assert!(matches!(queue.put_timeout(&object, Duration::from_millis(1)), Err(PutError::Timeout)));
        (0..4).for_each(|_| assert!(queue.get_timeout(PATIENCE).unwrap() == object));
    }
}
