//! The executors that run the same cases.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An executor with more than one thread, or with one, and its timer.
pub trait Executor: 'static {
    /// Runs a future to its end in this thread.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Runs a task beside the caller's. A panic in it is one of what awaits it.
    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T>;

    fn sleep(time: Duration) -> Boxed<()>;
}

/// Cases for each executor, named after both.
#[macro_export]
macro_rules! on_every_executor {
    ($($function:ident),* $(,)?) => {
        vec![
            $($crate::support::harness::Case::new(
                concat!("tokio_", stringify!($function)), $function::<$crate::executors::Tokio>),)*
            $($crate::support::harness::Case::new(
                concat!("tokio_of_one_thread_", stringify!($function)), $function::<$crate::executors::TokioOfOneThread>),)*
            $($crate::support::harness::Case::new(
                concat!("smol_", stringify!($function)), $function::<$crate::executors::Smol>),)*
            $($crate::support::harness::Case::new(
                concat!("futures_", stringify!($function)), $function::<$crate::executors::Futures>),)*
        ]
    };
}

pub struct Tokio;

impl Executor for Tokio {
    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        let task = tokio::spawn(task);
        Box::pin(async { task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) })
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Box::pin(async move { tokio::time::sleep(time).await })
    }
}

/// Everything in the thread that calls `block_on`.
pub struct TokioOfOneThread;

impl Executor for TokioOfOneThread {
    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        Tokio::spawn(task)
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Tokio::sleep(time)
    }
}

pub struct Smol;

impl Executor for Smol {
    fn block_on<F: Future>(future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        Box::pin(smol::spawn(task))
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Box::pin(async move {
            {
                smol::Timer::after(time).await;
            }
        })
    }
}

/// The pool of `futures::executor`, which has no timer: a thread for each sleep.
pub struct Futures;

impl Futures {
    fn pool() -> &'static futures::executor::ThreadPool {
        static POOL: OnceLock<futures::executor::ThreadPool> = OnceLock::new();
        POOL.get_or_init(|| futures::executor::ThreadPool::builder().pool_size(2).create().unwrap())
    }
}

impl Executor for Futures {
    fn block_on<F: Future>(future: F) -> F::Output {
        futures::executor::block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        use futures::task::SpawnExt;
        Box::pin(Futures::pool().spawn_with_handle(task).unwrap())
    }

    fn sleep(time: Duration) -> Boxed<()> {
        let (sender, receiver) = futures::channel::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            let _ = sender.send(()); // the sleeper may be gone
        });
        Box::pin(async { receiver.await.expect("the thread sends") })
    }
}

/// Yields to the executor once.
pub async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future once, in the task of the caller. `None`: it waits.
pub async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let poll = |context: &mut Context<'_>| Poll::Ready(Pin::new(&mut *future).poll(context));
    match std::future::poll_fn(poll).await {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// Awaits a future for that time at most. `None`: the time was up, and the future was dropped.
pub async fn within<E: Executor, F: Future>(time: Duration, future: F) -> Option<F::Output> {
    use futures::future::{Either, select};
    match select(std::pin::pin!(future), E::sleep(time)).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}
