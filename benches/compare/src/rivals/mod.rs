//! The rivals: what a program could use instead of shmq.
//! How to add one is in `CONTRIBUTING.md`, "Add a rival to the bench".

#[cfg(feature = "aeron")]
pub mod aeron;
pub mod boost;
pub mod bytes;
pub mod cloudtoid;
pub mod disruptor;
pub mod faulty;
pub mod file;
pub mod iceoryx;
pub mod ipc;
pub mod mq;
pub mod pipe;
pub mod plain_ring;
pub mod python;
pub mod registry;
pub mod ringfire;
pub mod rings;
pub mod seqpacket;
pub mod shaq;
#[cfg(feature = "tachyon")]
pub mod tachyon;
pub mod threads;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Before the fork: settles the names that this process and its workers share.
pub fn prepare() {
    iceoryx::prepare();
    cloudtoid::prepare();
}

/// After the run: removes what rivals keep for others to come.
pub fn clean() {
    iceoryx::clean();
    cloudtoid::clean();
}

/// How an end of a ring waits: it polls where each process has a core; gives way after some polls,
/// or sleeps, where several share one.
pub const SPINS: u8 = 0;
pub const YIELDS: u8 = 1;
pub const SLEEPS: u8 = 2;

/// Longest wait of one side for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Repeats `attempt` until it succeeds.
pub fn until<R>(what: &str, mut attempt: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A file by which two processes meet.
pub fn meeting_point(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("shmq-compare-{name}"))
}
