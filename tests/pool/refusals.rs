//! Bad input: clear errors, nothing hangs, nothing forks for ever.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::shared_words;
use serde::{Deserialize, Serialize, Serializer};
use shmq::{Pool, PoolError, Queue, SpawnError, TaskError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        a_pool_of_no_workers_is_an_error,
        a_chunk_size_of_0_is_an_error,
        reading_no_chunk_ahead_is_an_error,
        workers_of_no_tasks_are_an_error,
        too_many_retries_are_an_error,
        join_of_an_open_pool_is_an_error,
        an_argument_that_cannot_be_encoded_is_an_error_at_its_place,
        a_result_that_cannot_be_encoded_is_an_error_at_its_place,
        a_result_that_cannot_be_decoded_is_an_error,
        arguments_and_results_that_never_fit_are_errors,
        a_handle_whose_queue_is_gone_is_an_argument_error,
        a_failing_initializer_fails_the_pool_and_forks_no_more,
        a_panicking_initializer_fails_the_pool,
        an_exiting_initializer_fails_the_pool_and_forks_no_more,
        an_initializer_argument_that_cannot_be_encoded_is_an_error,
        a_threaded_program_gets_the_function_to_call,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

fn a_pool_of_no_workers_is_an_error() {
    let error = Pool::new(0).unwrap_err();
    assert!(matches!(error, PoolError::OutOfRange { option: "workers", asked: 0, min: 1, .. }), "{error:?}");
    assert!(matches!(Pool::new(100_000), Err(PoolError::OutOfRange { option: "workers", asked: 100_000, .. })));
}

fn a_chunk_size_of_0_is_an_error() {
    let pool = Pool::new(1).unwrap();
    let zero = || TaskError::OutOfRange { option: "chunk_size", asked: 0, min: 1, max: usize::MAX };
    let batch = pool.batch().chunk_size(0);
    assert_eq!(batch.map(square, 0..10), Err(zero()));
    assert_eq!(batch.map_async(square, 0..10).err(), Some(zero()));
    assert_eq!(batch.imap(square, 0..10).err(), Some(zero()));
    assert_eq!(batch.imap_unordered(square, 0..10).err(), Some(zero()));
    assert_eq!(zero().to_string(), "chunk_size 0 cannot be used: it must be 1 or more");
}

fn reading_no_chunk_ahead_is_an_error() {
    let pool = Pool::new(1).unwrap();
    let zero = TaskError::OutOfRange { option: "read_ahead", asked: 0, min: 1, max: usize::MAX };
    let batch = pool.batch().read_ahead(0);
    assert_eq!(batch.imap(square, 0..10).err(), Some(zero.clone()));
    assert_eq!(batch.imap_unordered(square, 0..10).err(), Some(zero));
}

fn workers_of_no_tasks_are_an_error() {
    let error = Pool::builder().workers(1).max_tasks_per_worker(0).build().unwrap_err();
    assert!(matches!(error, PoolError::OutOfRange { option: "max_tasks_per_worker", asked: 0, min: 1, .. }), "{error:?}");
}

fn too_many_retries_are_an_error() {
    let error = Pool::builder().workers(1).retries(251).build().unwrap_err();
    assert_eq!(error.to_string(), "retries 251 cannot be used: it must be from 0 to 250");
    assert!(Pool::builder().workers(1).retries(250).build().is_ok());
}

fn join_of_an_open_pool_is_an_error() {
    let pool = Pool::new(1).unwrap();
    assert!(matches!(pool.join(), Err(PoolError::StillOpen)));
    assert_eq!(pool.apply(square, 2), Ok(4));
}

#[derive(Deserialize, Debug, PartialEq)]
struct Picky(u64);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 % 3 == 2 { Err(serde::ser::Error::custom(format!("not {}", self.0))) } else { self.0.serialize(to) }
    }
}

fn an_argument_that_cannot_be_encoded_is_an_error_at_its_place() {
    let pool = Pool::new(2).unwrap();
    for size in [1, 2, 4] {
        let results: Vec<_> = pool.batch().chunk_size(size).imap(|n: Picky| n.0, (0..6).map(Picky)).unwrap().collect();
        let refused = |n: u64| Err(TaskError::Argument { why: format!("not {n}") });
        assert_eq!(results, [Ok(0), Ok(1), refused(2), Ok(3), Ok(4), refused(5)], "chunks of {size}");
    }
    assert!(matches!(pool.apply(|n: Picky| n.0, Picky(2)), Err(TaskError::Argument { .. })));
    assert!(matches!(pool.map(|n: Picky| n.0, [Picky(2)]), Err(TaskError::Argument { .. })));
}

fn a_result_that_cannot_be_encoded_is_an_error_at_its_place() {
    let pool = Pool::new(2).unwrap();
    let results: Vec<_> = pool.batch().chunk_size(2).imap(Picky, 0..3).unwrap().collect();
    assert_eq!(results, [Ok(Picky(0)), Ok(Picky(1)), Err(TaskError::Result { why: "not 2".into() })]);
}

fn a_result_that_cannot_be_decoded_is_an_error() {
    #[derive(Serialize, Debug)]
    struct OneWay(u64);
    impl<'de> Deserialize<'de> for OneWay {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("one way only"))
        }
    }
    let pool = Pool::new(1).unwrap();
    let error = pool.apply(OneWay, 1).unwrap_err();
    assert_eq!(error, TaskError::Result { why: "one way only".into() });
}

fn arguments_and_results_that_never_fit_are_errors() {
    let pool = Pool::builder().workers(1).capacity_bytes(64 << 10).build().unwrap();
    let length = |bytes: Vec<u8>| bytes.len();
    assert!(matches!(pool.apply(length, vec![1; 100_000]), Err(TaskError::TooLarge { .. })));
    let results: Vec<_> = pool.imap(length, [vec![1; 10], vec![1; 100_000], vec![1; 20]]).unwrap().collect();
    assert!(matches!(results[..], [Ok(10), Err(TaskError::TooLarge { .. }), Ok(20)]), "{results:?}");
    let long = |n: usize| vec![1u8; n];
    let results: Vec<_> = pool.batch().chunk_size(3).imap(long, [10, 100_000, 20]).unwrap().map(|r| r.map(|v| v.len())).collect();
    assert!(matches!(results[..], [Ok(10), Err(TaskError::Result { .. }), Ok(20)]), "{results:?}");
}

fn a_handle_whose_queue_is_gone_is_an_argument_error() {
    let pool = Pool::new(1).unwrap();
    #[derive(Serialize, Deserialize)]
    struct Stale(#[serde(serialize_with = "stale")] Queue<u8>);
    fn stale<S: Serializer>(_: &Queue<u8>, to: S) -> Result<S::Ok, S::Error> {
        // A ticket, and a wait strategy.
        let transit = (None::<(u32, u64)>, (0u8, 0u32, 0u32));
        ("no segment has this name", 1u64, None::<&str>, None::<&str>, transit).serialize(to)
    }
    let error = pool.apply(|_: Stale| (), Stale(Queue::new(1).unwrap())).unwrap_err();
    assert!(matches!(&error, TaskError::Argument { why } if why.contains("no queue \"")), "{error:?}");
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Counts the workers that were forked.
fn count_start() {
    WORDS.get().expect("set before the pool was built")[0].fetch_add(1, SeqCst);
}

fn forks() -> u64 {
    WORDS.get().expect("set before the pool was built")[0].load(SeqCst)
}

fn a_failing_initializer_fails_the_pool_and_forks_no_more() {
    WORDS.get_or_init(|| shared_words(1));
    let initializer = |why: String| {
        count_start();
        Err::<(), _>(why)
    };
    let pool = Pool::builder().workers(3).initializer(initializer, "no database".into()).build().unwrap();
    let failed = TaskError::Initializer { message: "\"no database\"".into() };
    assert_eq!(pool.map(square, 0..10), Err(failed.clone()));
    assert_eq!(pool.apply(square, 1), Err(failed.clone()));
    match pool.join() {
        Err(PoolError::Failed(error)) => assert_eq!(error, failed),
        other => panic!("{other:?}"),
    }
    assert!(forks() <= 6, "{} workers were forked", forks());
}

fn a_panicking_initializer_fails_the_pool() {
    let pool = Pool::builder().workers(2).initializer(|n: u32| assert_eq!(n, 2, "in the initializer"), 1).build().unwrap();
    let error = pool.apply(square, 1).unwrap_err();
    assert!(matches!(&error, TaskError::Initializer { message } if message.contains("in the initializer")), "{error:?}");
}

fn an_exiting_initializer_fails_the_pool_and_forks_no_more() {
    WORDS.get_or_init(|| shared_words(1));
    let initializer = |code: i32| -> () {
        count_start();
        // SAFETY: _exit has no preconditions; it ends the process in any state.
        unsafe { libc::_exit(code) }
    };
    let pool = Pool::builder().workers(2).initializer(initializer, 3).build().unwrap();
    let error = pool.apply(square, 1).unwrap_err();
    assert!(matches!(&error, TaskError::Initializer { message } if message.contains("exit status: 3")), "{error:?}");
    assert!(pool.join().is_err());
    assert!(forks() <= 30, "{} workers were forked", forks());
}

fn an_initializer_argument_that_cannot_be_encoded_is_an_error() {
    let refused = Pool::builder().workers(1).initializer(|_: Picky| (), Picky(2)).build();
    assert!(matches!(&refused, Err(PoolError::Argument { why }) if why == "not 2"), "{refused:?}");
}

fn a_threaded_program_gets_the_function_to_call() {
    let refused = std::thread::scope(|scope| scope.spawn(|| Pool::new(1).map(drop)).join().unwrap());
    let error = refused.unwrap_err();
    assert!(matches!(error, PoolError::Spawn(SpawnError::Threaded { threads: 2 })), "{error:?}");
    assert!(error.to_string().contains("shmq::process::init()"), "{error}");
}
