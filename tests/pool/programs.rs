//! Values and closures that a program gives to its pool panic, when called or when dropped: the
//! pool goes on.

use crate::cases;
use crate::support::harness::Case;
use crate::support::{BY_ITSELF, wait_at_most};
use serde::{Deserialize, Serialize};
use shmq::{Pool, Process, TaskError};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        hooks_and_callbacks_may_panic_where_they_are_dropped,
        a_callback_may_panic_while_stderr_is_a_closed_pipe,
        a_result_that_panics_where_it_is_dropped_costs_no_worker,
        an_error_has_its_exit_code_while_stderr_is_a_closed_pipe,
    ]
}

fn square(n: u64) -> u64 {
    n * n
}

static BOMBS: AtomicU64 = AtomicU64::new(0);

#[derive(Serialize, Deserialize, Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        BOMBS.fetch_add(1, SeqCst);
        panic!("in a drop");
    }
}

/// Checks that the pool works, and ends when it is asked to.
fn check(pool: Pool) {
    let later = pool.map_async(square, 0..10).unwrap();
    assert_eq!(later.get_timeout(BY_ITSELF).map(|squares| squares[9]), Ok(81));
    pool.close();
    pool.join().unwrap();
}

fn hooks_and_callbacks_may_panic_where_they_are_dropped() {
    let pool = Pool::new(1).unwrap();
    let went_off = |count: u64| {
        wait_at_most(BY_ITSELF, "the drop", || BOMBS.load(SeqCst) == count, || format!("{BOMBS:?} of {count}"));
    };
    // A hook is dropped together with its job: here the pool's thread does it last.
    let bomb = Bomb;
    let hook = move |_| {
        let _ = &bomb;
    };
    drop(pool.batch().progress(hook).map_async(square, 0..1).unwrap());
    went_off(1);
    // Here the caller does it.
    let bomb = Bomb;
    let hook = move |_| {
        let _ = &bomb;
    };
    let result = pool.batch().progress(hook).map_async(square, 0..1).unwrap();
    assert_eq!(result.get_timeout(BY_ITSELF), Ok(vec![0]));
    drop(result);
    went_off(2);
    // A callback, dropped after it has returned.
    let bomb = Bomb;
    let callback = move |_| {
        let _ = &bomb;
    };
    assert_eq!(pool.apply_async_then(square, 3, callback).unwrap().get_timeout(BY_ITSELF), Ok(9));
    went_off(3);
    // Everything that is given up with a pool.
    let others = Pool::new(1).unwrap();
    let bombs = [Bomb, Bomb, Bomb];
    for bomb in bombs {
        let hook = move |_| {
            let _ = &bomb;
        };
        drop(
            others
                .batch()
                .progress(hook)
                .map_async(|n: u64| std::thread::park_timeout(std::time::Duration::from_secs(n)), [9999])
                .unwrap(),
        );
    }
    others.terminate();
    assert!(others.join().is_ok());
    went_off(6);
    check(pool);
}

/// From now on every write of this process to stderr fails.
fn break_stderr() {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors, which this process then owns.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        libc::close(ends[0]);
        assert_eq!(libc::dup2(ends[1], libc::STDERR_FILENO), libc::STDERR_FILENO);
        libc::close(ends[1]);
    }
}

/// In a child, so that a failure of the case itself is reported.
fn a_callback_may_panic_while_stderr_is_a_closed_pipe() {
    let child = Process::spawn(|| {
        let pool = Pool::new(1).unwrap();
        break_stderr();
        let result = pool.apply_async_then(square, 3, |_| panic!("in the callback")).unwrap();
        assert_eq!(result.get_timeout(BY_ITSELF), Ok(9));
        let hooked = pool.batch().progress(|_| panic!("in the hook")).map_async(square, 0..3).unwrap();
        assert_eq!(hooked.get_timeout(BY_ITSELF), Ok(vec![0, 1, 4]));
        check(pool);
    })
    .unwrap();
    let status = child.join().unwrap();
    assert!(status.success(), "{status}");
}

fn a_result_that_panics_where_it_is_dropped_costs_no_worker() {
    let pool = Pool::new(1).unwrap();
    let before = pool.apply(|()| std::process::id(), ()).unwrap();
    let result: Result<u64, _> = pool.apply(|()| Bomb, ()).map(std::mem::forget).map(|()| 0);
    assert_eq!(result, Err(TaskError::Panicked { message: "in a drop".to_owned() }));
    assert_eq!(pool.apply(|()| std::process::id(), ()), Ok(before));
    check(pool);
}

fn an_error_has_its_exit_code_while_stderr_is_a_closed_pipe() {
    let child = Process::spawn(|| {
        break_stderr();
        Err::<(), _>("no")
    })
    .unwrap();
    assert_eq!(child.join().unwrap().code(), Some(1));
}
