//! What a caller does between looking and sleeping.

/// How a blocked call of this handle waits: how long it looks again before it sleeps in the kernel.
///
/// A spinning waiter answers within 0.1 - 0.2 us but occupies a core; waking a sleeper costs 25 - 50 us on a virtual machine.
/// Spinning beside more runnable processes than cores costs everybody a factor of 4 or so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Never sleep: the lowest latency, one core per waiter.
    Spin,
    /// A few growing spins, then a few yields, then sleep (the shape of `crossbeam_utils::Backoff`). Right for almost everybody.
    #[default]
    Adaptive,
    /// Sleep at once.
    Block,
    /// Look `spins` times with a pause between, then `yields` times with a yield between, then sleep.
    Custom {
        /// Looks with a processor pause between.
        spins: u32,
        /// Looks with a scheduler yield between.
        yields: u32,
    },
}
