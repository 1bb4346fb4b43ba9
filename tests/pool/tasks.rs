//! Tasks and their results, by every verb.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{shared_words, wait_for_count};
use crate::support::wait_until;
use serde::{Deserialize, Serialize};
use shmq::{ObjectQueue, Pool, Queue, TaskError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        apply_runs_in_another_process_and_returns,
        apply_async_get_wait_ready_successful,
        get_twice_works,
        get_timeout_is_never_early_and_the_task_goes_on,
        map_keeps_the_order,
        map_of_nothing_is_nothing,
        map_with_every_chunk_size,
        map_raises_the_first_error_to_finish_after_all_chunks_end,
        map_async_does_not_wait_for_room,
        tuples_serve_for_starmap,
        imap_yields_in_order_and_errors_at_their_position,
        imap_reads_ahead_by_a_bound,
        imap_of_an_endless_input_can_be_dropped,
        imap_unordered_yields_as_they_come,
        imap_with_chunks,
        callbacks_are_called_once_with_result_or_error,
        a_panicking_callback_is_reported_and_the_pool_lives,
        progress_is_reported_after_each_chunk,
        a_panic_is_an_error_with_its_message_and_costs_no_worker,
        an_err_in_the_result_is_just_a_value,
        any_serde_argument_and_result_travels,
        every_form_of_a_task_travels,
        queues_travel_as_arguments,
        initializer_runs_once_in_each_worker,
        max_tasks_per_worker_replaces_workers,
        large_arguments_and_results_travel,
        close_then_join_finishes_queued_work,
        terminate_gives_up_what_is_queued,
        drop_terminates,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

fn pid_of(_: ()) -> u32 {
    std::process::id()
}

/// Words that the workers share with the case: set before the pool is built, inherited by fork.
static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

fn words() -> &'static [AtomicU64] {
    WORDS.get().expect("set before the pool was built")
}

fn share_words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16))
}

fn wait_for_go(n: u64) -> u64 {
    wait_for_count("the case's go", &words()[0], 1);
    n
}

fn apply_runs_in_another_process_and_returns() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.apply(square, 7).unwrap(), 49);
    let pid = pool.apply(pid_of, ()).unwrap();
    assert_ne!(pid, std::process::id());
    wait_until("the workers' pids", || pool.worker_pids().contains(&pid), || format!("{:?}", pool.worker_pids()));
    assert_eq!(pool.apply(|text: String| text.len(), "four".to_string()).unwrap(), 4);
}

fn apply_async_get_wait_ready_successful() {
    share_words();
    let pool = Pool::new(1).unwrap();
    let result = pool.apply_async(wait_for_go, 5).unwrap();
    assert!(!result.is_ready());
    assert_eq!(result.is_successful(), None);
    assert!(!result.wait_timeout(Duration::from_millis(10)));
    words()[0].store(1, SeqCst);
    result.wait();
    assert!(result.is_ready() && result.wait_timeout(Duration::MAX));
    assert_eq!(result.is_successful(), Some(true));
    assert_eq!(result.get().unwrap(), 5);
    let failing = pool.apply_async(|n: u64| 1 / n, 0).unwrap();
    failing.wait();
    assert_eq!(failing.is_successful(), Some(false));
}

fn get_twice_works() {
    let pool = Pool::new(1).unwrap();
    let result = pool.apply_async(|n: u64| vec![n; 3], 5).unwrap();
    assert_eq!(result.get().unwrap(), [5, 5, 5]);
    assert_eq!(result.get().unwrap(), [5, 5, 5]);
    assert_eq!(result.get_timeout(Duration::ZERO).unwrap(), [5, 5, 5]);
    let failing = pool.apply_async(|n: u64| 1 / n, 0).unwrap();
    assert_eq!(failing.get(), failing.get());
    assert!(failing.get().is_err());
}

fn get_timeout_is_never_early_and_the_task_goes_on() {
    share_words();
    let pool = Pool::new(1).unwrap();
    let result = pool.apply_async(wait_for_go, 5).unwrap();
    let start = Instant::now();
    assert_eq!(result.get_timeout(Duration::from_millis(30)), Err(TaskError::Timeout));
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(result.get_timeout(Duration::ZERO), Err(TaskError::Timeout));
    words()[0].store(1, SeqCst);
    assert_eq!(result.get(), Ok(5));
}

fn map_keeps_the_order() {
    let pool = Pool::new(3).unwrap();
    let expected: Vec<u64> = (0..1000).map(square).collect();
    assert_eq!(pool.map(square, 0..1000).unwrap(), expected);
    // An input of unknown length.
    assert_eq!(
        pool.map(square, (0..1000u64).filter(|n| n % 10 == 0)).unwrap(),
        (0..100).map(|n| square(n * 10)).collect::<Vec<_>>()
    );
}

fn map_of_nothing_is_nothing() {
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(square, []).unwrap(), []);
    assert_eq!(pool.map_async(square, []).unwrap().get().unwrap(), []);
    assert_eq!(pool.imap(square, []).unwrap().count(), 0);
    assert_eq!(pool.imap_unordered(square, []).unwrap().count(), 0);
}

fn map_with_every_chunk_size() {
    let pool = Pool::new(2).unwrap();
    let expected: Vec<u64> = (0..100).map(square).collect();
    for size in [1, 2, 3, 7, 99, 100, 101, usize::MAX] {
        assert_eq!(pool.batch().chunk_size(size).map(square, 0..100).unwrap(), expected, "chunks of {size}");
    }
}

fn map_raises_the_first_error_to_finish_after_all_chunks_end() {
    let done = &share_words()[1];
    let pool = Pool::new(1).unwrap();
    let task = |n: u64| {
        words()[1].fetch_add(1, SeqCst);
        assert!(n % 4 != 3, "three at {n}");
        n
    };
    let error = pool.batch().chunk_size(2).map(task, 0..10).unwrap_err();
    assert_eq!(error, TaskError::Panicked { message: "three at 3".into() });
    assert_eq!(done.load(SeqCst), 10, "all ran");
}

fn map_async_does_not_wait_for_room() {
    share_words();
    let pool = Pool::builder().workers(1).capacity_bytes(8192).build().unwrap();
    let blocker = pool.apply_async(wait_for_go, 0).unwrap();
    let many = pool.batch().chunk_size(1).map_async(square, 0..10_000).unwrap();
    assert!(!many.is_ready());
    words()[0].store(1, SeqCst);
    assert_eq!(many.get().unwrap().len(), 10_000);
    assert_eq!(blocker.get(), Ok(0));
}

fn tuples_serve_for_starmap() {
    let pool = Pool::new(2).unwrap();
    let pairs = (0..50u32).map(|n| (n, format!("{n}")));
    let joined = pool.map(|(n, text): (u32, String)| format!("{text}-{n}"), pairs).unwrap();
    assert_eq!(joined[49], "49-49");
}

fn imap_yields_in_order_and_errors_at_their_position() {
    let pool = Pool::new(3).unwrap();
    let task = |n: u64| {
        assert!(n % 10 != 7, "seven at {n}");
        n
    };
    let results: Vec<_> = pool.imap(task, 0..100).unwrap().collect();
    assert_eq!(results.len(), 100);
    for (n, result) in results.into_iter().enumerate() {
        let n = n as u64;
        if n % 10 == 7 {
            assert_eq!(result, Err(TaskError::Panicked { message: format!("seven at {n}") }));
        } else {
            assert_eq!(result, Ok(n));
        }
    }
}

fn imap_reads_ahead_by_a_bound() {
    let pool = Pool::new(2).unwrap();
    let read = AtomicU64::new(0);
    let input = (0..1000u64).inspect(|_| {
        read.fetch_add(1, SeqCst);
    });
    let mut results = pool.batch().read_ahead(5).imap(square, input).unwrap();
    assert_eq!(read.load(SeqCst), 5);
    for taken in 1..=1000 {
        assert_eq!(results.next(), Some(Ok(square(taken - 1))));
        assert!(read.load(SeqCst) <= (taken + 5).min(1000), "{} read when {taken} were taken", read.load(SeqCst));
    }
    assert_eq!(results.next(), None);
    assert_eq!(results.next(), None);
    drop(results);
    read.store(0, SeqCst);
    let input = (0..1000u64).inspect(|_| {
        read.fetch_add(1, SeqCst);
    });
    let mut results = pool.batch().read_ahead(2).chunk_size(10).imap_unordered(square, input).unwrap();
    assert!(results.next().is_some());
    assert!(read.load(SeqCst) <= 30, "{}", read.load(SeqCst));
}

fn imap_of_an_endless_input_can_be_dropped() {
    let pool = Pool::new(2).unwrap();
    let sum: u64 = pool.imap(square, 0..).unwrap().take(10).map(Result::unwrap).sum();
    assert_eq!(sum, (0..10).map(square).sum());
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn imap_unordered_yields_as_they_come() {
    share_words();
    let pool = Pool::new(2).unwrap();
    // The first waits until the last was yielded.
    let task = |n: u64| if n == 0 { wait_for_go(n) } else { n };
    let mut seen = BTreeSet::new();
    for result in pool.batch().read_ahead(3).imap_unordered(task, 0..20).unwrap() {
        seen.insert(result.unwrap());
        if seen.len() == 19 {
            assert!(!seen.contains(&0));
            words()[0].store(1, SeqCst);
        }
    }
    assert_eq!(seen, (0..20).collect());
}

fn imap_with_chunks() {
    let pool = Pool::new(2).unwrap();
    for size in [2, 7, 1000] {
        let results: Result<Vec<u64>, _> = pool.batch().chunk_size(size).imap(square, 0..100).unwrap().collect();
        assert_eq!(results.unwrap(), (0..100).map(square).collect::<Vec<_>>());
        let mut results: Vec<u64> =
            pool.batch().chunk_size(size).imap_unordered(square, 0..100).unwrap().map(Result::unwrap).collect();
        results.sort();
        assert_eq!(results, (0..100).map(square).collect::<Vec<_>>());
    }
}

fn callbacks_are_called_once_with_result_or_error() {
    let pool = Pool::new(2).unwrap();
    let (sender, reported) = mpsc::channel();
    let one = sender.clone();
    pool.apply_async_then(square, 3, move |result| one.send(format!("{result:?}")).unwrap()).unwrap();
    assert_eq!(reported.recv().unwrap(), "Ok(9)");
    let many = sender.clone();
    pool.batch().map_async_then(square, 0..3, move |result| many.send(format!("{result:?}")).unwrap()).unwrap();
    assert_eq!(reported.recv().unwrap(), "Ok([0, 1, 4])");
    pool.apply_async_then(|n: u64| 1 / n, 0, move |result| sender.send(format!("{result:?}")).unwrap()).unwrap();
    assert!(reported.recv().unwrap().contains("divide by zero"));
    assert!(reported.recv().is_err(), "each was called once, and dropped");
}

fn a_panicking_callback_is_reported_and_the_pool_lives() {
    let pool = Pool::new(1).unwrap();
    let result = pool.apply_async_then(square, 3, |_| panic!("in the callback")).unwrap();
    assert_eq!(result.get(), Ok(9));
    let hooked = pool.batch().progress(|_| panic!("in the hook")).map(square, 0..3);
    assert_eq!(hooked, Ok(vec![0, 1, 4]));
    assert_eq!(pool.apply(square, 4), Ok(16));
}

fn progress_is_reported_after_each_chunk() {
    let pool = Pool::new(2).unwrap();
    let reported = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&reported);
    pool.batch().chunk_size(10).progress(move |p| hook.lock().unwrap().push((p.done, p.total))).map(square, 0..35).unwrap();
    let reported = reported.lock().unwrap();
    assert_eq!(reported.len(), 4);
    assert!(reported.windows(2).all(|pair| pair[0].0 < pair[1].0), "{reported:?}");
    assert_eq!(*reported.last().unwrap(), (35, Some(35)));
}

fn a_panic_is_an_error_with_its_message_and_costs_no_worker() {
    let pool = Pool::new(1).unwrap();
    let before = pool.apply(pid_of, ()).unwrap();
    let error = pool.apply(|what: String| -> u8 { panic!("no {what} left") }, "paper".to_string()).unwrap_err();
    assert_eq!(error, TaskError::Panicked { message: "no paper left".into() });
    assert_eq!(
        pool.apply(|_: ()| -> u8 { std::panic::panic_any(5) }, ()).unwrap_err(),
        TaskError::Panicked { message: "a panic without a message".into() }
    );
    assert_eq!(pool.apply(pid_of, ()).unwrap(), before);
}

fn an_err_in_the_result_is_just_a_value() {
    let pool = Pool::new(1).unwrap();
    let parse = |text: String| text.parse::<u8>().map_err(|error| error.to_string());
    assert_eq!(pool.apply(parse, "7".to_string()).unwrap(), Ok(7));
    assert_eq!(pool.apply(parse, "x".to_string()).unwrap(), Err("invalid digit found in string".to_string()));
    let all = pool.map(parse, ["1", "y"].map(String::from)).unwrap();
    assert!(all[0].is_ok() && all[1].is_err());
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(untagged)]
enum Value {
    Number(i64),
    Text(String),
    Map(BTreeMap<String, Value>),
}

fn any_serde_argument_and_result_travels() {
    let pool = Pool::new(2).unwrap();
    let value = Value::Map(BTreeMap::from([("a".into(), Value::Number(-1)), ("b".into(), Value::Text("x".into()))]));
    assert_eq!(pool.apply(|value: Value| value, value.clone()).unwrap(), value);
    assert_eq!(
        pool.apply(|(a, b): (i128, Vec<Option<char>>)| (b, a), (i128::MIN, vec![None, Some('ß')])).unwrap(),
        (vec![None, Some('ß')], i128::MIN)
    );
    assert_eq!(pool.map(|_: ()| (), [(); 100]).unwrap().len(), 100);
}

fn every_form_of_a_task_travels() {
    fn same<T>(value: T) -> T {
        value
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct New(u64);
    static CHOSEN: AtomicU64 = AtomicU64::new(0);
    let initializers: [fn(u64); 2] = [|n| CHOSEN.store(n, SeqCst), |n| CHOSEN.store(n * 2, SeqCst)];
    for (initializer, right) in initializers.into_iter().zip([4, 8]) {
        let pool = Pool::builder().workers(1).initializer(initializer, 4).build().unwrap();
        assert_eq!(pool.apply(|()| CHOSEN.load(SeqCst), ()), Ok(right));
        for (task, right) in [square as fn(u64) -> u64, same, |n| n + 1].into_iter().zip([25, 5, 6]) {
            assert_eq!(pool.apply(task, 5), Ok(right));
            assert_eq!(pool.apply_async(task, 5).unwrap().get(), Ok(right));
            assert_eq!(pool.map(task, [5]), Ok(vec![right]));
            assert_eq!(pool.map_async(task, [5, 5]).unwrap().get(), Ok(vec![right, right]));
            assert_eq!(pool.imap(task, [5]).unwrap().next(), Some(Ok(right)));
            assert_eq!(pool.imap_unordered(task, [5]).unwrap().next(), Some(Ok(right)));
        }
        assert_eq!(pool.map(New, [1]), Ok(vec![New(1)]));
        assert_eq!(pool.map(same, [1u8]), Ok(vec![1]));
        assert_eq!(pool.map(|n| n + 1, 0..3u32), Ok(vec![1, 2, 3]));
        assert_eq!(pool.map(|s: String| s.len(), ["a".to_owned()]), Ok(vec![1]));
    }
}

fn queues_travel_as_arguments() {
    let pool = Pool::new(3).unwrap();
    let (plain, objects) = (Queue::<u64>::new(100).unwrap(), ObjectQueue::<String>::new(100).unwrap());
    let task = |(n, plain, objects): (u64, Queue<u64>, ObjectQueue<String>)| {
        plain.put(&n).unwrap();
        objects.put(&format!("from {n}")).unwrap();
    };
    pool.map(task, (0..20).map(|n| (n, plain.clone(), objects.clone()))).unwrap();
    let numbers: BTreeSet<u64> = (0..20).map(|_| plain.get().unwrap()).collect();
    assert_eq!(numbers, (0..20).collect());
    assert_eq!(objects.len(), 20);
}

fn initializer_runs_once_in_each_worker() {
    static BASE: AtomicU64 = AtomicU64::new(0);
    let started = &share_words()[2];
    let initializer = |base: u64| {
        BASE.fetch_add(base, SeqCst);
        words()[2].fetch_add(1, SeqCst);
    };
    let pool = Pool::builder().workers(3).initializer(initializer, 1000).build().unwrap();
    let sums = pool.batch().chunk_size(1).map(|n: u64| BASE.load(SeqCst) + n, 0..50).unwrap();
    assert_eq!(sums, (1000..1050).collect::<Vec<_>>());
    wait_for_count("all workers to start", started, 3);
    pool.close();
    pool.join().unwrap();
    assert_eq!(started.load(SeqCst), 3);
    assert_eq!(BASE.load(SeqCst), 0);
}

fn max_tasks_per_worker_replaces_workers() {
    let pool = Pool::builder().workers(2).max_tasks_per_worker(3).build().unwrap();
    let pids = pool.batch().chunk_size(1).map(pid_of, [(); 30]).unwrap();
    let mut counts = BTreeMap::new();
    pids.iter().for_each(|pid| *counts.entry(pid).or_insert(0) += 1);
    assert!(counts.values().all(|&count| count <= 3), "{counts:?}");
    assert!(counts.len() >= 10, "{counts:?}");
}

fn large_arguments_and_results_travel() {
    let pool = Pool::new(2).unwrap();
    let text = "x".repeat(1_500_000);
    let twice = pool.map(|text: String| text.replace('x', "y"), [text.clone(), text.clone(), text]).unwrap();
    assert!(twice.iter().all(|text| text.len() == 1_500_000 && text.starts_with('y')));
    // Many results of a chunk that together are larger than the ring.
    let many = pool.batch().chunk_size(100).map(|n: u8| vec![n; 100_000], 0..100).unwrap();
    assert!(many.iter().enumerate().all(|(n, bytes)| bytes.len() == 100_000 && bytes[0] == n as u8));
}

fn close_then_join_finishes_queued_work() {
    let done = &share_words()[3];
    let pool = Pool::builder().workers(2).capacity_bytes(8192).build().unwrap();
    let task = |n: u64| {
        words()[3].fetch_add(1, SeqCst);
        n
    };
    let results = pool.batch().chunk_size(1).map_async(task, 0..2000).unwrap();
    pool.close();
    pool.close();
    assert_eq!(pool.apply(square, 1), Err(TaskError::Closed));
    assert!(matches!(pool.map_async(square, 0..3), Err(TaskError::Closed)));
    pool.join().unwrap();
    pool.join().unwrap();
    assert_eq!(done.load(SeqCst), 2000);
    assert_eq!(results.get().unwrap().len(), 2000);
    assert_eq!(pool.worker_pids(), []);
}

fn terminate_gives_up_what_is_queued() {
    share_words();
    let pool = Pool::new(2).unwrap();
    let running: Vec<_> = (0..2).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
    let queued = pool.map_async(square, 0..1000).unwrap();
    pool.terminate();
    assert_eq!(queued.get(), Err(TaskError::Terminated));
    assert!(running.iter().all(|result| result.get() == Err(TaskError::Terminated)));
    pool.terminate();
    pool.close();
    pool.join().unwrap();
    assert_eq!(pool.apply(square, 1), Err(TaskError::Terminated));
}

fn drop_terminates() {
    share_words();
    let pool = Pool::new(2).unwrap();
    let running = pool.apply_async(wait_for_go, 1).unwrap();
    drop(pool);
    assert_eq!(running.get(), Err(TaskError::Terminated));
    // Dropped at once, before a worker exists.
    drop(Pool::new(4).unwrap());
}
