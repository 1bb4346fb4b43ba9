//! [`TaskFuture`]: awaiting the result of a task.

use super::error::TaskError;
use super::job::Job;
use super::result::AsyncResult;
use crate::process::wakers::Place;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Awaits the result of a task, or of many: the future that `.await` of an
/// [`AsyncResult`] makes. It returns what [`AsyncResult::get`] would.
///
/// **Dropping it leaves the task running**, as dropping the `AsyncResult` does. To end the task when
/// the future is dropped (a `select!`, a timeout), await the result by reference and
/// [`cancel`](AsyncResult::cancel) or [`kill`](AsyncResult::kill) it then; or set a
/// [`task_timeout`](crate::PoolBuilder::task_timeout).
///
/// Cancel safe: it takes nothing. Several tasks may await one result by reference, each decodes it
/// anew. It is woken by the pool's own thread, behind the callback; no thread is started for it.
/// After a fork it is [`TaskError::Inherited`] in the child.
///
/// ```
/// use shmq::{Pool, TaskError};
///
/// let pool = Pool::new(2)?;
/// futures::executor::block_on(async {
///     assert_eq!(pool.apply_async(|n: u64| n + 1, 1)?.await?, 2);
///
///     let slow = pool.apply_async(|()| std::thread::park(), ())?;
///     let soon = pool.apply_async(|n: u64| n * n, 3)?;
///     match futures::future::select((&slow).into_future(), soon.into_future()).await {
///         futures::future::Either::Right((square, _)) => assert_eq!(square, Ok(9)),
///         _ => panic!("the slow one first"),
///     }
///     slow.kill(); // its future was dropped, and the task ran on
///     assert_eq!(slow.await, Err(TaskError::Cancelled));
///     Ok::<(), TaskError>(())
/// })?;
/// # use std::future::IntoFuture;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled; the task runs in any case"]
pub struct TaskFuture<T> {
    job: Arc<Job>,
    take: fn(&Job) -> Result<T, TaskError>,
    place: Option<Place>,
}

impl<T> Future for TaskFuture<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let TaskFuture { job, take, place } = &mut *self;
        if job.is_inherited() {
            return Poll::Ready(Err(TaskError::Inherited));
        }
        job.poll_over(place, context).map(|()| take(job))
    }
}

impl<T> IntoFuture for AsyncResult<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = TaskFuture<T>;

    /// Awaits the result: see [`TaskFuture`].
    fn into_future(self) -> TaskFuture<T> {
        (&self).into_future()
    }
}

impl<T> IntoFuture for &AsyncResult<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = TaskFuture<T>;

    /// Awaits the result, and keeps it: see [`TaskFuture`].
    fn into_future(self) -> TaskFuture<T> {
        TaskFuture { job: Arc::clone(&self.job), take: self.take, place: None }
    }
}

impl<T> Drop for TaskFuture<T> {
    fn drop(&mut self) {
        self.job.leave(self.place.take());
    }
}

impl<T> fmt::Debug for TaskFuture<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("TaskFuture").field(&self.job).finish()
    }
}
