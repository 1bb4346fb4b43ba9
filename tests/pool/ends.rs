//! How calls and pools end: after the caller's own input panicked, with a call that was not read to
//! its end, callbacks before results, and the errors of later calls.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{shared_words, wait_for_count};
use shmq::{Pool, TaskError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        a_pool_ends_as_asked_after_its_input_panicked,
        a_pool_ends_as_asked_beside_an_imap_that_is_not_read_to_its_end,
        a_call_after_the_end_gets_the_error_of_that_end,
        imap_yields_what_came_before_its_inputs_panic,
        a_callback_has_returned_before_get_does,
        too_large_results_and_arguments_say_what_to_set,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

/// The sixth item panics.
fn input() -> impl Iterator<Item = u64> {
    (0..10).inspect(|&n| assert!(n != 5, "in the input"))
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast_ref::<&str>()
        .map_or_else(|| panic.downcast_ref::<String>().cloned().unwrap_or_default(), |text| (*text).to_owned())
}

fn a_pool_ends_as_asked_after_its_input_panicked() {
    for size in [1, 3, 100] {
        let pool = Pool::new(2).unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| pool.batch().chunk_size(size).map(square, input()))).unwrap_err();
        assert_eq!(message(panic), "in the input");
        assert!(catch_unwind(AssertUnwindSafe(|| pool.batch().chunk_size(size).map_async(square, input()).map(drop))).is_err());
        assert_eq!(pool.apply(square, 3), Ok(9));
        pool.close();
        pool.join().unwrap();
    }
}

fn a_pool_ends_as_asked_beside_an_imap_that_is_not_read_to_its_end() {
    let pool = Pool::new(2).unwrap();
    let mut ordered = pool.batch().read_ahead(4).imap(square, 0..1000).unwrap();
    let mut unordered = pool.batch().read_ahead(4).imap_unordered(square, 0..1000).unwrap();
    assert_eq!(ordered.next(), Some(Ok(0)));
    assert!(matches!(unordered.next(), Some(Ok(_))));
    pool.close();
    pool.join().unwrap();
    // The tasks that were sent are done. The rest is not begun, which is reported once.
    let rest: Vec<_> = ordered.collect();
    let done = rest.iter().take_while(|result| result.is_ok()).count();
    assert!((1..1000).contains(&done) && rest[done..] == [Err(TaskError::Closed)], "{done} of {rest:?}");
    assert!(rest[..done].iter().zip(1..).all(|(result, n)| *result == Ok(square(n))));
    let rest: Vec<_> = unordered.collect();
    assert_eq!(rest.iter().filter(|result| **result == Err(TaskError::Closed)).count(), 1, "{rest:?}");
    assert_eq!(rest.iter().filter(|result| result.is_err()).count(), 1, "{rest:?}");
}

fn a_call_after_the_end_gets_the_error_of_that_end() {
    let pool = Pool::new(1).unwrap();
    pool.close();
    assert_eq!(pool.apply(square, 1), Err(TaskError::Closed));
    pool.join().unwrap();
    assert_eq!(pool.apply(square, 1), Err(TaskError::Closed));
    assert!(matches!(pool.imap(square, 0..3), Err(TaskError::Closed)));
    let pool = Pool::new(1).unwrap();
    pool.terminate();
    pool.join().unwrap();
    assert_eq!(pool.apply(square, 1), Err(TaskError::Terminated));
}

/// All results of an iterator, and the message of the panic that it ends with.
fn read<T>(results: impl Iterator<Item = T>) -> (Vec<T>, String) {
    let (mut results, mut read) = (results, Vec::new());
    loop {
        match catch_unwind(AssertUnwindSafe(|| results.next())) {
            Ok(Some(result)) => read.push(result),
            Ok(None) => panic!("it ended without a panic after {} results", read.len()),
            Err(panic) => {
                assert!(results.next().is_none(), "after its panic it is at its end");
                return (read, message(panic));
            }
        }
    }
}

fn imap_yields_what_came_before_its_inputs_panic() {
    let pool = Pool::new(2).unwrap();
    for size in [1, 2, 100] {
        for ahead in [1, 3, 64] {
            let batch = pool.batch().chunk_size(size).read_ahead(ahead);
            let (results, panic) = read(batch.imap(square, input()).unwrap());
            assert_eq!((results, panic.as_str()), ([0, 1, 4, 9, 16].map(Ok).to_vec(), "in the input"), "{size} {ahead}");
            let (mut results, panic) = read(batch.imap_unordered(square, input()).unwrap());
            results.sort_by_key(|result| result.clone().unwrap());
            assert_eq!((results, panic.as_str()), ([0, 1, 4, 9, 16].map(Ok).to_vec(), "in the input"), "{size} {ahead}");
        }
    }
    pool.close();
    pool.join().unwrap();
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

fn a_callback_has_returned_before_get_does() {
    WORDS.get_or_init(|| shared_words(1));
    let pool = Pool::new(2).unwrap();
    for _ in 0..5 {
        let has_returned = Arc::new(AtomicBool::new(false));
        let callback = |has_returned: &Arc<AtomicBool>| {
            let has_returned = Arc::clone(has_returned);
            move || {
                std::thread::sleep(Duration::from_millis(30));
                has_returned.store(true, SeqCst);
            }
        };
        let call = callback(&has_returned);
        let result = pool.apply_async_then(square, 3, move |_| call()).unwrap();
        assert_eq!(result.get(), Ok(9));
        assert!(has_returned.swap(false, SeqCst), "get of one");
        let call = callback(&has_returned);
        let result = pool.batch().map_async_then(square, 0..3, move |_| call()).unwrap();
        result.wait();
        assert!(has_returned.swap(false, SeqCst), "wait of many");
        assert!(result.is_ready());
        // An error is a result, too.
        let task = |n: u64| {
            wait_for_count("for ever", &WORDS.get().unwrap()[0], u64::MAX);
            n
        };
        let others = Pool::new(1).unwrap();
        let call = callback(&has_returned);
        let result = others.apply_async_then(task, 3, move |_| call()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| others.terminate());
            assert_eq!(result.get(), Err(TaskError::Terminated));
            assert!(has_returned.load(SeqCst), "get of what was given up");
        });
    }
}

/// The number behind "capacity_bytes of".
fn capacity_in(error: &TaskError) -> usize {
    let text = error.to_string();
    let (_, rest) = text.split_once("capacity_bytes of ").unwrap_or_else(|| panic!("{text}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn too_large_results_and_arguments_say_what_to_set() {
    let build = |bytes: usize| Pool::builder().workers(1).capacity_bytes(bytes).build().unwrap();
    let (length, long) = (|text: String| text.len(), |n: usize| "x".repeat(n));
    let small = build(64 << 10);
    for n in [40_000, 1_000_000] {
        let error = small.apply(long, n).unwrap_err();
        assert!(matches!(error, TaskError::Result { .. }) && error.to_string().contains(&n.to_string()[..2]), "{error}");
        assert_eq!(build(capacity_in(&error)).apply(long, n).map(|text| text.len()), Ok(n));
        let error = small.apply(length, "x".repeat(n)).unwrap_err();
        assert!(matches!(error, TaskError::TooLarge { .. }), "{error:?}");
        assert_eq!(build(capacity_in(&error)).apply(length, "x".repeat(n)), Ok(n));
    }
    // The long message of a panic is cut to the available room.
    let error = small.apply(|n: usize| -> u8 { panic!("{}", "y".repeat(n)) }, 100_000).unwrap_err();
    assert!(matches!(&error, TaskError::Panicked { message } if message.starts_with("yyy")), "{error:?}");
}
