//! What an error calls a subscriber of a topic.

use std::fmt;

/// Which subscriber of a topic: unique in the topic's life. Not a process id, since one process may
/// have several subscribers, and since the ids of two PID namespaces mean different processes.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(4)?;
/// let subscriber = topic.subscribe()?;
/// assert_eq!(topic.subscribers()[0].id, subscriber.id());
/// println!("subscriber {}", subscriber.id()); // 0.1
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId {
    pub(crate) line: u32,
    pub(crate) generation: u32,
    pub(crate) participant: u32,
}

/// `line.generation`, as `shmq stat` shows it.
impl fmt::Display for SubscriberId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.line, self.generation)
    }
}
