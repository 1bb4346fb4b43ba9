//! Starting a pool: its supervisor, the first workers, and the program's own thread for it.

use super::Pool;
use super::collector::collect;
use super::error::{PoolError, TaskError};
use super::state::Shared;
use super::supervisor;
use crate::os::{open_pidfd, own_pid};
use crate::process::{Process, SpawnError, SpawnOptions, start};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long this waits until the supervisor has started the workers, or been refused. If it takes
/// longer it is stopped, or the machine is: the pool is as good as one whose supervisor is stopped
/// later.
const FIRST_REPORTS: Duration = Duration::from_secs(10);
/// How long the processes of a refused pool have to end by themselves.
const LAST_REPORTS: Duration = Duration::from_secs(2);

/// Starts a pool: `settings` are encoded for its supervisor, which has the other end of the socket.
pub(super) fn start_pool(shared: Shared, settings: Vec<u8>, socket: OwnedFd, options: SpawnOptions) -> Result<Pool, PoolError> {
    // By a descriptor of the program its processes see it end, in any PID namespace.
    let program = open_pidfd(own_pid());
    let handed_over = [Some(socket), program].into_iter().flatten().collect();
    let mut supervisor = start(supervisor::entry, settings, handed_over, options)?;
    let shared = Arc::new(shared);
    match wait_until_started(&shared).and_then(|()| start_collector(&shared)) {
        Ok((collector, hand_over)) => {
            let _ = hand_over.send(supervisor);
            Ok(Pool { shared, collector: Mutex::new(Some(collector)) })
        }
        Err(error) => {
            end_refused(&shared, &mut supervisor);
            Err(error)
        }
    }
}

/// An error of the system while a pool is started.
pub(super) fn os_error(call: &'static str) -> impl FnOnce(std::io::Error) -> PoolError {
    move |source| PoolError::Spawn(SpawnError::Os { call, source })
}

/// Waits until the supervisor has started the workers, or at least one. An error: it cannot.
fn wait_until_started(shared: &Shared) -> Result<(), PoolError> {
    shared.receive_reports_until(FIRST_REPORTS, |state| state.roster.is_ready || state.roster.gave_up.is_some());
    let gave_up = shared.lock().roster.gave_up;
    if let Some(why) = gave_up {
        return Err(os_error(why.call())(why.error()));
    }
    if !shared.receive_reports() && !shared.lock().roster.is_ready {
        return Err(PoolError::Failed(TaskError::Broken {
            why: "its supervisor died before it had started a worker".to_owned(),
        }));
    }
    Ok(())
}

/// Starts the pool's thread. It begins when it gets the supervisor, which so stays ours to end if
/// there is no thread.
fn start_collector(shared: &Arc<Shared>) -> Result<(JoinHandle<()>, mpsc::Sender<Process>), PoolError> {
    let (hand_over, handed_over) = mpsc::channel();
    let shared = Arc::clone(shared);
    let collector = thread::Builder::new().name("shmq-pool".into()).spawn(move || {
        if let Ok(supervisor) = handed_over.recv() {
            collect(&shared, supervisor);
        }
    });
    Ok((collector.map_err(os_error("starting a thread"))?, hand_over))
}

/// Ends the processes of a pool that cannot be built.
fn end_refused(shared: &Shared, supervisor: &mut Process) {
    shared.terminate();
    shared.receive_reports_until(LAST_REPORTS, |_| false);
    shared.kill_supervisors();
    let _ = supervisor.kill();
    let _ = supervisor.join_timeout(LAST_REPORTS);
}
