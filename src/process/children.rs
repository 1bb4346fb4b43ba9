//! The list of children of this program.

use super::child::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Children that were not seen to have ended (Invariant 1 of the parent module).
static CHILDREN: Mutex<Vec<Arc<Child>>> = Mutex::new(Vec::new());

pub(super) fn lock() -> MutexGuard<'static, Vec<Arc<Child>>> {
    // The list is in order at every point where its user might panic.
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reaps those that have ended.
pub(super) fn reap_ended() {
    lock().retain(|child| child.is_running());
}

/// Process ids of the children of this program that still run: those of every
/// [`Process`](crate::Process), dropped or not, that it started. The crate's own processes (the
/// fork server of [`init`](super::init), those of a pool) are not among them. Children that have
/// ended are reaped. (A child may end, and its pid be given to another process, right after this
/// call.)
///
/// ```
/// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
/// assert_eq!(shmq::process::active_children(), [child.pid()]);
/// child.kill()?;
/// child.join()?;
/// assert!(shmq::process::active_children().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn active_children() -> Vec<u32> {
    let mut children = lock();
    children.retain(|child| child.is_running());
    children.iter().filter(|child| !child.is_helper()).map(|child| child.pid()).collect()
}
