//! What the tests of the bridge share: real servers, links that can be cut, machines that are
//! network namespaces, processes that are killed, and a ledger of what became of each message.
//!
//! ```text
//!   case (a process of the harness in tests/support)
//!     |-- Server      nats-server on a port of its own, its store in the case's folder
//!     |-- Proxy       a TCP relay in a thread: delays, holds back, cuts, heals
//!     |-- Machine     a network namespace with a /dev/shm of its own, and the link to it
//!     |-- Running     a bridge, a producer, a worker: killed when it is dropped
//!     `-- Ledger      files of the case's folder that producers and workers write to
//! ```
//!
//! Nothing outlives a case: each child has PR_SET_PDEATHSIG, is killed by its pid on drop (also
//! while the case panics), and the harness fails a case that leaves a child. Each wait has a bound.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

pub mod admin;
pub mod ledger;
pub mod machine;
pub mod proxy;
pub mod roles;
pub mod running;
pub mod server;

pub use admin::{Admin, work_queue};
pub use ledger::{Ledger, Log, Note};
pub use machine::{Machine, Network};
pub use proxy::Proxy;
pub use running::{Running, bridge};
pub use server::{Server, Settings};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bound on what a healthy server or bridge does within a second.
pub const SOON: Duration = Duration::from_secs(60);

/// A folder that is removed with all that is in it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("shmq-bridge-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("SHMQ_KEEP").is_some() {
            eprintln!("kept: {}", self.0.display());
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The last lines of a log, for a failure's text.
pub fn end_of(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    format!("{}:\n{}", log.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
}
