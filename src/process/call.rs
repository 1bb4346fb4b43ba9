//! [`Process::call`]: a function and its argument, in a process that the spawner forks, or that we fork ourselves where we may.

use super::outcome::Outcome;
use super::travel::{Entry, Task};
use super::{How, Process, SpawnError, lock_children, spawner, tell_stderr};
use crate::object::{Codec, MessagePack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Descriptors that came with the call that this process was made for.
static HANDED_OVER: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

pub(super) fn hand_over(fds: Vec<OwnedFd>) {
    *HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner) = fds;
}

/// Takes them.
pub(crate) fn take_handed_over() -> Vec<OwnedFd> {
    std::mem::take(&mut *HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs `entry` in a new process: through the spawner where there is one, else by a fork of our own if we have no threads.
pub(crate) fn start(entry: Entry<i32>, argument: Vec<u8>, fds: Vec<OwnedFd>, mut how: How) -> Result<Process, SpawnError> {
    how.check()?;
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    if !spawner::is_there() {
        if let Some(kept) = &mut how.keep_fds {
            kept.extend(numbers);
        }
        return Process::fork_alone(
            move || {
                hand_over(fds);
                entry(&argument)
            },
            &how,
        );
    }
    let child = spawner::request(entry, &argument, &numbers, &how)?;
    Ok(Process::listed(child, &mut lock_children()))
}

/// Runs the function whose distance the bytes begin with.
fn run<A, R>(bytes: &[u8]) -> i32
where
    A: DeserializeOwned,
    R: Outcome,
{
    let Some((distance, mut argument)) = bytes.split_first_chunk::<8>() else { return 1 };
    match MessagePack::decode::<A>(&mut argument) {
        Ok(argument) => {
            // SAFETY: `call_as` put the distance of an `fn(A) -> R` there.
            let function = unsafe { Task::at::<A, R>(i64::from_ne_bytes(*distance)) };
            function(argument).exit_code()
        }
        Err(error) => {
            tell_stderr(format_args!("Error: the argument of a call cannot be decoded: {error}"));
            1
        }
    }
}

impl Process {
    /// Runs `function(argument)` in a new process: like [`spawn`](Self::spawn), but it works in programs with threads, from any thread and
    /// under async runtimes, once [`process::init`](crate::process::init) was called at the top of `main`.
    ///
    /// The process is then a copy of the program as it was at `init`, not as it is now, so
    /// everything that the function needs travels in its argument, encoded by serde: handles of
    /// queues, too. The function is a `fn(A) -> R`: a `fn` item, a closure that captures nothing,
    /// or one of several that is chosen at run time. A closure that captures something, be it
    /// without a size, does not compile. (A function of a library that was loaded after `init` is
    /// not there.) Without `init`, in a program without threads, the process is a fork of the
    /// program as it is now.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Threaded`] if the program has threads and did not call `init`; [`SpawnError::Encode`] if the argument cannot be
    /// encoded; [`SpawnError::RightsChanged`] if the program has other users or groups than at `init`;
    /// [`SpawnError::SpawnerDied`]; [`SpawnError::Os`].
    ///
    /// ```
    /// use shmq::{Process, Queue};
    ///
    /// fn square((n, answers): (u64, Queue<u64>)) -> Result<(), shmq::PutError> {
    ///     answers.put(&(n * n))
    /// }
    ///
    /// let answers = Queue::<u64>::new(4)?;
    /// let child = Process::call(square, (7, answers.clone()))?;
    /// assert_eq!(answers.get()?, 49);
    /// assert!(child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```compile_fail,E0308
    /// let captured = 3;
    /// let child = shmq::Process::call(move |n: i32| n + captured, 4); // the 3 would have to travel in the argument
    /// ```
    ///
    /// ```compile_fail,E0308
    /// #[derive(Clone, Copy)]
    /// struct Initialised; // exists only where something was set up: not in the other process
    ///
    /// let token = Initialised;
    /// let child = shmq::Process::call(move |n: i32| { let _proof = token; n }, 4);
    /// ```
    pub fn call<A, R>(function: fn(A) -> R, argument: A) -> Result<Process, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Outcome,
    {
        call_as(function, &argument, How::default())
    }

    /// [`call`](Self::call) for a process that does not outlive this one, however this one ends (Python's `daemon=True`). It also ends when
    /// the spawner is killed.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    ///
    /// ```
    /// let child = shmq::Process::call_daemon(|n: i32| n, 3)?;
    /// assert_eq!(child.join()?.code(), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call_daemon<A, R>(function: fn(A) -> R, argument: A) -> Result<Process, SpawnError>
    where
        A: Serialize + DeserializeOwned,
        R: Outcome,
    {
        call_as(function, &argument, How::daemon())
    }
}

pub(super) fn call_as<A, R>(function: fn(A) -> R, argument: &A, how: How) -> Result<Process, SpawnError>
where
    A: Serialize + DeserializeOwned,
    R: Outcome,
{
    let mut encoded = Task::distance(function).to_ne_bytes().to_vec();
    MessagePack::encode(argument, &mut encoded).map_err(|source| SpawnError::Encode { source })?;
    start(run::<A, R>, encoded, Vec::new(), how)
}
