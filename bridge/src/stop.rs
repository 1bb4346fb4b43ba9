//! [`Stop`]: asks the directions of a bridge to end.

use std::sync::Arc;
use tokio::sync::watch;

/// Asks the directions of a bridge to end: each finishes what is under way, and returns. Clones are
/// the same stop.
///
/// ```
/// let stop = shmq_bridge::stop::Stop::new();
/// stop.clone().set();
/// assert!(stop.is_set());
/// ```
#[derive(Clone, Debug)]
pub struct Stop {
    is_set: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// One that is not set.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Stop {
        Stop { is_set: Arc::new(watch::Sender::new(false)) }
    }

    /// Sets it, for good.
    pub fn set(&self) {
        self.is_set.send_replace(true);
    }

    /// Was it set?
    pub fn is_set(&self) -> bool {
        *self.is_set.borrow()
    }

    /// Waits until it is set.
    pub async fn wait(&self) {
        // The sender lives as long as this.
        let _ = self.is_set.subscribe().wait_for(|&is_set| is_set).await;
    }
}
