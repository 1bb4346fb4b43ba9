//! [`Process::call`]: a function and its argument, in a process that the fork server forks, or that
//! we fork ourselves if we may.

use super::fn_address::{Entry, Task};
use super::forkserver::{handle, request};
use super::options::SpawnOptions;
use super::outcome::Outcome;
use super::{Process, SpawnError, children, handed_over, print_error};
use crate::object::{Codec, MessagePack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Runs `entry` in a new process: through the fork server if there is one, else by a fork of our
/// own if we have no threads.
pub(crate) fn start(
    entry: Entry<i32>,
    argument: Vec<u8>,
    fds: Vec<OwnedFd>,
    mut options: SpawnOptions,
) -> Result<Process, SpawnError> {
    options.check()?;
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    if !handle::is_there() {
        if let Some(kept) = &mut options.keep_fds {
            kept.extend(numbers);
        }
        return Process::fork_alone(
            move || {
                handed_over::set(fds);
                entry(&argument)
            },
            &options,
        );
    }
    let child = request(entry, &argument, &numbers, &options)?;
    Ok(Process::listed(child, &mut children::lock()))
}

/// Runs the function whose offset the bytes begin with.
fn run<A, R>(bytes: &[u8]) -> i32
where
    A: DeserializeOwned,
    R: Outcome,
{
    let Some((offset, mut argument)) = bytes.split_first_chunk::<8>() else { return 1 };
    match MessagePack::decode::<A>(&mut argument) {
        Ok(argument) => {
            // SAFETY: `call_as` wrote the offset of an `fn(A) -> R` there, in a copy of this
            // program.
            let function = unsafe { Task::at::<A, R>(i64::from_ne_bytes(*offset)) };
            function(argument).exit_code()
        }
        Err(error) => {
            print_error(format_args!("Error: the argument of a call cannot be decoded: {error}"));
            1
        }
    }
}

impl Process {
    /// Runs `function(argument)` in a new process: like [`spawn`](Self::spawn), but it works in
    /// programs with threads, from any thread and under async runtimes, once
    /// [`process::init`](crate::process::init) was called at the top of `main`.
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
    /// [`SpawnError::Threaded`] if the program has threads and did not call `init`;
    /// [`SpawnError::Encode`] if the argument cannot be encoded; [`SpawnError::RightsChanged`] if
    /// the program has other users or groups than at `init`; [`SpawnError::ForkServerDied`];
    /// [`SpawnError::Os`].
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
    /// // The 3 would have to travel in the argument.
    /// let child = shmq::Process::call(move |n: i32| n + captured, 4);
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
        call_as(function, &argument, SpawnOptions::default())
    }

    /// [`call`](Self::call) for a process that does not outlive this one, however this one ends
    /// (Python's `daemon=True`). It also ends when the fork server is killed.
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
        call_as(function, &argument, SpawnOptions::daemon())
    }
}

pub(super) fn call_as<A, R>(function: fn(A) -> R, argument: &A, options: SpawnOptions) -> Result<Process, SpawnError>
where
    A: Serialize + DeserializeOwned,
    R: Outcome,
{
    let mut encoded = Task::offset(function).to_ne_bytes().to_vec();
    MessagePack::encode(argument, &mut encoded).map_err(|source| SpawnError::Encode { source })?;
    start(run::<A, R>, encoded, Vec::new(), options)
}
