//! What a waiting caller does before it sleeps: spin, yield, or neither.

/// How a blocked call of this handle waits: for how long it spins before it sleeps in the kernel.
///
/// A spinning waiter answers within 0.1 - 0.2 us but occupies a core; waking a sleeper costs 25 -
/// 50 us on a virtual machine. Spinning beside more runnable processes than cores costs all of them
/// a factor of 4 or so. Each strategy keeps deadlines, and probes for dead processes ten times a
/// second.
///
/// ```
/// use shmq::{Queue, WaitStrategy};
///
/// let strategy = WaitStrategy::Custom { spins: 1000, yields: 0 };
/// let queue = Queue::<u64>::builder().capacity(1).wait_strategy(strategy).create()?;
/// assert!(queue.get_timeout(std::time::Duration::from_millis(1)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Never sleep: the lowest latency, one core per waiter.
    Spin,
    /// A few spins, then a few yields, then sleep; as long as the handle's recent waits mostly
    /// ended so, and no other process needs the core, it stays awake for some 40 us before that,
    /// about what a sleep and its wake cost. Where waits are longer it learns within a few of them
    /// to sleep early, and tries again each 64th time. Right for almost all programs.
    #[default]
    Adaptive,
    /// Sleep at once.
    Block,
    /// Check `spins` times with a pause between, then `yields` times with a yield between, then
    /// sleep.
    Custom {
        /// Checks with a processor pause between.
        spins: u32,
        /// Checks with a scheduler yield between.
        yields: u32,
    },
}
