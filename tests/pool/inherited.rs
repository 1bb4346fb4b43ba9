//! What a forked child has of its parent's pool: copies that return errors at once, and that it may
//! drop.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{shared_word, wait_for_count};
use shmq::{Pool, Process, TaskError};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![a_child_drops_its_copy_beside_threads_of_its_own, results_and_iterators_of_the_parent_answer_at_once]
}

fn square(n: u64) -> u64 {
    n * n
}

static GO: OnceLock<&AtomicU64> = OnceLock::new();

fn wait_for_go(n: u64) -> u64 {
    wait_for_count("the case's go", GO.get().expect("set before the pool was built"), 1);
    n
}

/// The child's thread is likely to lie in memory that the parent's collector uses: detached by
/// mistake, that thread would be joined after its memory was reused.
fn a_child_drops_its_copy_beside_threads_of_its_own() {
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(square, 3), Ok(9));
    let child = Process::spawn(move || {
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            let first = scope.spawn(|| wait_for_count("the drop", &done, 1));
            drop(pool);
            done.store(1, SeqCst);
            // Long enough for it to have ended; the result does not depend on that.
            thread::sleep(Duration::from_millis(100));
            let others: Vec<_> = (0..50).map(|_| scope.spawn(|| thread::sleep(Duration::from_millis(20)))).collect();
            others.into_iter().for_each(|other| other.join().unwrap());
            first.join().unwrap();
        });
        let pool = Pool::new(1).unwrap();
        assert_eq!(pool.apply(square, 4), Ok(16));
    })
    .unwrap();
    let status = child.join().unwrap();
    assert!(status.success(), "{status}");
    // The child kept the names of the pool's queues when they were dropped here: they go with the
    // next call.
    drop(shmq::Queue::<u8>::new(1).unwrap());
}

fn results_and_iterators_of_the_parent_answer_at_once() {
    GO.get_or_init(shared_word);
    let pool = Pool::new(2).unwrap();
    let ready = pool.apply_async(square, 3).unwrap();
    ready.wait();
    let mut halfway = pool.batch().chunk_size(2).imap(square, 0..6).unwrap();
    assert_eq!(halfway.next(), Some(Ok(0)));
    let later = pool.apply_async(wait_for_go, 3).unwrap();
    let many = pool.map_async(wait_for_go, 0..3).unwrap();
    let read = Cell::new(0);
    let input = (0..).inspect(|_| read.set(read.get() + 1));
    let mut items = pool.batch().read_ahead(2).imap(wait_for_go, input).unwrap();
    let mut unordered = pool.imap_unordered(wait_for_go, 0..3).unwrap();
    let batch = pool.batch();
    let child = Process::spawn(|| {
        for result in [&later, &ready] {
            result.wait();
            assert!(result.is_ready() && result.wait_timeout(Duration::MAX));
            assert_eq!((result.get(), result.get_timeout(Duration::MAX)), (Err(TaskError::Inherited), Err(TaskError::Inherited)));
            assert_eq!(result.is_successful(), Some(false));
        }
        assert_eq!(many.get(), Err(TaskError::Inherited));
        let before = read.get();
        assert_eq!(items.by_ref().collect::<Vec<_>>(), [Err(TaskError::Inherited)]);
        assert_eq!((items.next(), read.get()), (None, before));
        assert_eq!([unordered.next(), unordered.next()], [Some(Err(TaskError::Inherited)), None]);
        assert_eq!([halfway.next(), halfway.next()], [Some(Err(TaskError::Inherited)), None]);
        assert!(matches!(batch.map_async(square, 0..3), Err(TaskError::Inherited)));
        assert!(matches!(pool.imap(square, 0..), Err(TaskError::Inherited)));
        assert_eq!(pool.map(square, [1]), Err(TaskError::Inherited));
        let reported = pool.apply_async_then(square, 1, |_| panic!("nothing was sent"));
        assert!(matches!(reported, Err(TaskError::Inherited)));
        assert!(pool.join().is_err() && pool.worker_pids().is_empty());
        let _ = format!("{pool:?} {later:?} {batch:?}");
    })
    .unwrap();
    let status = child.join().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(halfway.by_ref().map(Result::unwrap).collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
    GO.get().unwrap().store(1, SeqCst);
    assert_eq!((later.get(), items.next(), unordered.count()), (Ok(3), Some(Ok(0)), 3));
}
