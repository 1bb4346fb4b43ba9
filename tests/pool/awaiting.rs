//! Results of pools that are awaited: on tokio and on `futures::executor`, dropped in the middle,
//! cancelled, beside forks.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{shared_words, wait_for_count};
use crate::support::{Rng, wait_until};
use futures::future::{Either, join_all, select};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, pin_mut};
use shmq::future::{ImapStream, JoinAsync, TaskFuture};
use shmq::{AsyncResult, Pool, TaskError};
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        results_are_awaited,
        many_tasks_await_results,
        a_future_that_is_dropped_leaves_its_task_running,
        a_future_is_woken_by_a_cancellation_a_limit_and_an_end,
        a_future_is_woken_behind_the_callback,
        a_future_that_is_dropped_leaves_no_waker,
        a_waker_that_panics_costs_nothing,
        a_future_that_is_forgotten_keeps_nothing_from_ending,
        results_are_streamed_in_order_or_as_they_come,
        a_stream_waits_for_room,
        a_stream_that_is_dropped_or_cancelled_keeps_no_room,
        a_stream_yields_its_inputs_panic_at_its_place,
        a_stream_that_is_always_ready_yields_to_others,
        futures_and_streams_of_the_parent_answer_at_once,
        a_storm_of_futures_that_are_dropped,
    ]
}

/// They may be part of a future that `tokio::spawn` takes.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<AsyncResult<u64>>();
    is_send_and_sync::<TaskFuture<u64>>();
    is_send::<ImapStream<'static, std::ops::Range<u64>, String>>();
    is_send::<JoinAsync<'static>>();
};

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Words that the workers share: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(16))
}

const GO: usize = 0;
const BEGUN: usize = 1;
const PID: usize = 3;

fn square(n: u64) -> u64 {
    n * n
}

/// Counts itself in, and waits until the case says so.
fn wait_for_go(n: u64) -> u64 {
    words()[PID].store(u64::from(std::process::id()), SeqCst);
    words()[BEGUN].fetch_add(1, SeqCst);
    wait_for_count("the case's go", &words()[GO], 1);
    n
}

/// Runs a case on each executor, with a pool of two workers. Runtimes have threads, so they come
/// after it.
fn on_each_executor(run: impl AsyncFn(&Pool)) {
    words();
    let executors: [Executor; 3] = [
        |case| futures::executor::block_on(case),
        |case| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case),
        |case| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(case),
    ];
    for executor in executors {
        words()[GO].store(0, SeqCst);
        words()[BEGUN].store(0, SeqCst);
        let pool = Pool::new(2).unwrap();
        let case = run(&pool);
        pin_mut!(case);
        executor(case);
    }
}

/// Runs a future to its end.
type Executor = fn(Pin<&mut dyn Future<Output = ()>>);

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn results_are_awaited() {
    on_each_executor(async |pool| {
        assert_eq!(pool.apply_async(square, 3).unwrap().await, Ok(9));
        assert_eq!(pool.map_async(square, 0..4).unwrap().await, Ok(vec![0, 1, 4, 9]));
        let result = pool.apply_async(square, 4).unwrap();
        for _ in 0..3 {
            assert_eq!((&result).await, Ok(16));
        }
        assert_eq!(result.get(), Ok(16));
        let failed = pool.apply_async(|n: u64| 10 / n, 0).unwrap().await;
        assert!(matches!(failed, Err(TaskError::Panicked { .. })));
        let died = pool.apply_async(|()| std::process::abort(), ()).unwrap().await;
        assert!(matches!(died, Err::<(), _>(TaskError::WorkerDied { .. })));
    });
}

fn many_tasks_await_results() {
    words();
    let pool = Arc::new(Pool::new(3).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let one = Arc::new(pool.apply_async(wait_for_go, 7).unwrap());
        let readers: Vec<_> = (0..200)
            .map(|_| {
                let one = Arc::clone(&one);
                tokio::spawn(async move { (&*one).await })
            })
            .collect();
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move { pool.apply_async(square, n).unwrap().await })
            })
            .collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Ok(n * n));
        }
        words()[GO].store(1, SeqCst);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), Ok(7));
        }
    });
}

fn a_future_that_is_dropped_leaves_its_task_running() {
    on_each_executor(async |pool| {
        let running = pool.apply_async(wait_for_go, 7).unwrap();
        let other = pool.apply_async(square, 3).unwrap();
        match select((&running).into_future(), other.into_future()).await {
            Either::Right((result, _)) => assert_eq!(result, Ok(9)),
            Either::Left(_) => panic!("it was not told to go"),
        }
        wait_for_count("the task", &words()[BEGUN], 1);
        words()[GO].store(1, SeqCst);
        assert_eq!(running.await, Ok(7));
        assert_eq!(words()[BEGUN].load(SeqCst), 1);
    });
}

fn a_future_is_woken_by_a_cancellation_a_limit_and_an_end() {
    on_each_executor(async |pool| {
        let running: Vec<_> = (0..2).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
        wait_for_count("two tasks", &words()[BEGUN], 2);
        let waiting = Arc::new(pool.apply_async(square, 5).unwrap());
        let (first, second) = ((&*waiting).into_future(), (&running[0]).into_future());
        // From another thread, when this one waits.
        let there = Arc::clone(&waiting);
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            assert!(there.cancel());
        });
        assert_eq!(first.await, Err(TaskError::Cancelled));
        canceller.join().unwrap();
        assert!(running[0].kill());
        assert_eq!(second.await, Err(TaskError::Cancelled));
        let late = pool.batch().task_timeout(Duration::from_millis(20)).map_async(wait_for_go, [9]).unwrap();
        assert!(matches!(late.await, Err(TaskError::TimedOut { .. })));
        let last = (&running[1]).into_future();
        pool.terminate();
        assert_eq!(last.await, Err(TaskError::Terminated));
    });
}

fn a_future_is_woken_behind_the_callback() {
    on_each_executor(async |pool| {
        let seen = Arc::new(AtomicU64::new(0));
        let called = Arc::clone(&seen);
        let callback = move |result: Result<u64, TaskError>| {
            std::thread::sleep(Duration::from_millis(30));
            called.store(result.unwrap(), SeqCst);
        };
        let result = pool.apply_async_then(square, 3, callback).unwrap();
        assert_eq!(result.await, Ok(9));
        assert_eq!(seen.load(SeqCst), 9);
    });
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Arc<Count>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

fn a_future_that_is_dropped_leaves_no_waker() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = pool.apply_async(wait_for_go, 7).unwrap();
    let waker = Arc::new(Count::default());
    for _ in 0..5 {
        let mut future = (&running).into_future();
        assert!(poll_once(&mut future, &waker).is_pending());
        assert!(poll_once(&mut future, &waker).is_pending());
        assert_eq!(Arc::strong_count(&waker), 2, "one waker of it is kept");
        drop(future);
        assert_eq!(Arc::strong_count(&waker), 1);
    }
    let mut stream = pool.imap(square, 0..3).unwrap().into_stream();
    assert!(poll_once(&mut stream.next(), &waker).is_pending());
    drop(stream);
    assert_eq!(Arc::strong_count(&waker), 1);
    let mut future = (&running).into_future();
    assert!(poll_once(&mut future, &waker).is_pending());
    words()[GO].store(1, SeqCst);
    running.wait();
    wait_until("its wake", || waker.0.load(SeqCst) == 1, || format!("{:?}", waker.0));
    assert_eq!(poll_once(&mut future, &waker), Poll::Ready(Ok(7)));
    wait_until("its waker dropped", || Arc::strong_count(&waker) == 1, String::new);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

fn a_waker_that_panics_costs_nothing() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = pool.apply_async(wait_for_go, 7).unwrap();
    let mut first = (&running).into_future();
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
    let waker = Arc::new(Count::default());
    let mut second = (&running).into_future();
    assert!(poll_once(&mut second, &waker).is_pending());
    words()[GO].store(1, SeqCst);
    wait_until("the wake of the second", || waker.0.load(SeqCst) == 1, String::new);
    assert_eq!(running.get(), Ok(7));
    assert_eq!(pool.apply(square, 3), Ok(9));
}

fn a_future_that_is_forgotten_keeps_nothing_from_ending() {
    words();
    let pool = Pool::new(1).unwrap();
    let running = pool.apply_async(wait_for_go, 7).unwrap();
    let waker = Arc::new(Count::default());
    let mut future = (&running).into_future();
    assert!(poll_once(&mut future, &waker).is_pending());
    std::mem::forget(future);
    words()[GO].store(1, SeqCst);
    assert_eq!(running.get(), Ok(7));
    pool.close();
    pool.join().unwrap();
    assert_eq!(waker.0.load(SeqCst), 1);
}

fn results_are_streamed_in_order_or_as_they_come() {
    on_each_executor(async |pool| {
        let all: Result<Vec<u64>, _> = pool.batch().chunk_size(3).imap(square, 0..50).unwrap().into_stream().try_collect().await;
        assert_eq!(all.unwrap(), (0..50).map(square).collect::<Vec<_>>());
        let endless = pool.imap_unordered(square, 0..).unwrap().into_stream();
        let mut some: Vec<u64> = endless.take(20).map(Result::unwrap).collect().await;
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 20);
        let failing = pool.imap(|n: u64| 10 / n, 0..3).unwrap().into_stream();
        let results: Vec<_> = failing.collect().await;
        assert!(matches!(results[..], [Err(TaskError::Panicked { .. }), Ok(10), Ok(5)]), "{results:?}");
        // The second task is still running when the stream is given up.
        let hanging = pool.imap(wait_for_go, 0..2).unwrap().into_stream();
        let until = pool.apply_async(|ms| std::thread::sleep(Duration::from_millis(ms)), 1).unwrap();
        wait_for_count("two tasks", &words()[BEGUN], 2);
        words()[GO].store(1, SeqCst);
        let left = hanging.take_until(until.into_future()).count().await;
        assert!(left <= 2);
        assert_eq!(pool.apply(square, 3), Ok(9));
    });
}

fn a_stream_waits_for_room() {
    words();
    let pool = Pool::builder().workers(2).max_pending(3).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pending: Vec<_> = (0..3).map(|n| pool.apply_async(wait_for_go, n).unwrap()).collect();
        let mut first = pool.imap(square, 0..40).unwrap().into_stream();
        let mut second = pool.batch().chunk_size(2).imap_unordered(square, 0..40).unwrap().into_stream();
        assert!(tokio::time::timeout(Duration::from_millis(20), first.next()).await.is_err(), "there is no room");
        // Cancelled: there is room at once, and what waits for it is woken.
        wait_for_count("two tasks", &words()[BEGUN], 2);
        let waker = Arc::new(Count::default());
        assert!(poll_once(&mut second.next(), &waker).is_pending() && waker.0.load(SeqCst) == 0);
        assert!(pending[2].cancel());
        assert_eq!(waker.0.load(SeqCst), 1);
        words()[GO].store(1, SeqCst);
        let (ordered, unordered) = futures::join!(first.try_collect::<Vec<u64>>(), second.try_collect::<Vec<u64>>());
        assert_eq!(ordered.unwrap().len(), 40);
        assert_eq!(unordered.unwrap().len(), 40);
        assert_eq!(join_all(pending[..2].iter().map(IntoFuture::into_future)).await, [Ok(0), Ok(1)]);
    });
    wait_until("room for three", || has_room_for(&pool, 3), String::new);
}

/// Whether so many tasks have room: they are done then.
fn has_room_for(pool: &Pool, tasks: usize) -> bool {
    let sent: Vec<_> = (0..tasks as u64).map_while(|n| pool.try_apply_async(square, n).ok()).collect();
    sent.iter().for_each(|result| assert!(result.get().is_ok()));
    sent.len() == tasks
}

fn a_stream_that_is_dropped_or_cancelled_keeps_no_room() {
    words();
    let pool = Pool::builder().workers(2).max_pending(4).build().unwrap();
    futures::executor::block_on(async {
        for n in 0..40 {
            let mut stream = pool.batch().chunk_size(n % 3 + 1).imap(square, 0..).unwrap().into_stream();
            assert_eq!(stream.next().await, Some(Ok(0)));
            if n % 2 == 0 {
                stream.cancel();
                let rest: Vec<_> = stream.collect().await;
                assert!(rest.iter().all(|item| matches!(item, Ok(_) | Err(TaskError::Cancelled))), "{rest:?}");
            }
        }
    });
    wait_until("room for four", || has_room_for(&pool, 4), String::new);
}

fn a_stream_yields_its_inputs_panic_at_its_place() {
    on_each_executor(async |pool| {
        let input = (0..10).inspect(|&n| assert!(n != 5, "in the input"));
        let mut stream = pool.batch().chunk_size(2).imap(square, input).unwrap().into_stream();
        for n in 0..5 {
            assert_eq!(stream.next().await, Some(Ok(n * n)));
        }
        let panic = AssertUnwindSafe(stream.next()).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"in the input"));
        assert_eq!(stream.next().await, None);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(stream))).is_ok());
    });
}

fn a_stream_that_is_always_ready_yields_to_others() {
    words();
    let pool = Pool::new(1).unwrap();
    // One chunk: all of its results are there at once.
    let mut stream = pool.batch().chunk_size(1000).imap(square, 0..1000).unwrap().into_stream();
    assert_eq!(futures::executor::block_on(stream.next()), Some(Ok(0)));
    let waker = Arc::new(Count::default());
    let (mut items, mut yields) = (1, 0);
    loop {
        let waker_of_poll = Waker::from(Arc::clone(&waker));
        match Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker_of_poll)) {
            Poll::Ready(Some(item)) => items += u64::from(item.is_ok()),
            Poll::Ready(None) => break,
            Poll::Pending => {
                yields += 1;
                assert_eq!(waker.0.load(SeqCst), yields, "it yields, and does not sleep");
            }
        }
    }
    assert_eq!(items, 1000);
    assert!((5..=9).contains(&yields), "{yields}");
}

fn futures_and_streams_of_the_parent_answer_at_once() {
    words();
    let pool = Pool::new(2).unwrap();
    let running = pool.apply_async(wait_for_go, 7).unwrap();
    let done = pool.apply_async(square, 3).unwrap();
    done.wait();
    let waker = Arc::new(Count::default());
    let mut future = (&running).into_future();
    assert!(poll_once(&mut future, &waker).is_pending());
    let mut stream = pool.imap(wait_for_go, 0..3).unwrap().into_stream();
    assert!(poll_once(&mut stream.next(), &waker).is_pending());
    // The child takes its copies out, which stay in the parent.
    let mut held = Some((future, stream, running));
    let child = shmq::Process::spawn(|| {
        let (mut future, mut stream, running) = held.take().unwrap();
        assert_eq!(poll_once(&mut future, &waker), Poll::Ready(Err(TaskError::Inherited)));
        assert_eq!(poll_once(&mut (&done).into_future(), &waker), Poll::Ready(Err(TaskError::Inherited)));
        assert_eq!(poll_once(&mut stream.next(), &waker), Poll::Ready(Some(Err(TaskError::Inherited))));
        assert_eq!(poll_once(&mut stream.next(), &waker), Poll::Ready(None));
        drop((future, stream, running));
        // One of its own.
        let own = Pool::new(1).unwrap();
        assert_eq!(futures::executor::block_on(own.apply_async(square, 4).unwrap().into_future()), Ok(16));
    });
    assert!(child.unwrap().join().unwrap().success());
    words()[GO].store(1, SeqCst);
    let (future, stream, _running) = held.unwrap();
    assert_eq!(futures::executor::block_on(future), Ok(7));
    assert_eq!(futures::executor::block_on(stream.try_collect::<Vec<_>>()), Ok(vec![0, 1, 2]));
}

/// Each task has one outcome, whatever is dropped, cancelled or killed meanwhile.
fn a_storm_of_futures_that_are_dropped() {
    const TASKS: u64 = 3000;
    words();
    let pool = Arc::new(Pool::builder().workers(3).max_pending(500).retries(200).build().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    let work = |n: u64| {
        std::thread::sleep(Duration::from_micros(n % 5 * 50));
        n
    };
    let counts = runtime.block_on(async {
        let mut tasks = Vec::new();
        let mut rng = Rng::new("dropped futures");
        for n in 0..TASKS {
            let (choice, wait) = (rng.below(5), rng.duration_below(Duration::from_millis(3)));
            if rng.chance(1) {
                let pids = pool.worker_pids();
                if let Some(&pid) = pids.first() {
                    send_signal_if_there(pid);
                }
            }
            let result: AsyncResult<u64> = loop {
                match pool.try_apply_async(work, n) {
                    Ok(result) => break result,
                    Err(refused) => assert!(refused.error.is_full()),
                }
                tokio::time::sleep(Duration::from_micros(100)).await;
            };
            tasks.push(tokio::spawn(async move {
                let mut was_ended = false;
                for round in 0..choice {
                    let soon = tokio::time::timeout(wait, (&result).into_future()).await;
                    if soon.is_err() && round == 2 {
                        was_ended |= result.cancel();
                    } else if soon.is_err() && round == 3 {
                        was_ended |= result.kill();
                    }
                }
                match result.await {
                    Ok(value) => {
                        assert!(value == n && !was_ended, "{n}");
                        0
                    }
                    Err(TaskError::Cancelled) => {
                        assert!(was_ended, "{n}");
                        1
                    }
                    Err(other) => panic!("{n}: {other}"),
                }
            }));
        }
        let mut counts = [0u64; 2];
        for task in tasks {
            counts[task.await.unwrap()] += 1;
        }
        counts
    });
    assert_eq!(counts[0] + counts[1], TASKS);
    assert!(counts[0] > 0, "{counts:?}");
    wait_until("room for all", || has_room_for(&pool, 500), String::new);
}

fn send_signal_if_there(pid: u32) {
    // SAFETY: kill takes two numbers. The pool has not reaped this worker, or has just done so: no
    // other process gets its pid so soon.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}
