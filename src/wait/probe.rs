//! When it is time to probe for dead processes.

use super::SLICE_NS;
use crate::os::coarse_now_ns;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// When a caller of this process last probed for dead processes: once in a slice, however many
/// calls there are.
#[derive(Debug, Default)]
pub(crate) struct ProbeTimer(AtomicU64);

impl ProbeTimer {
    /// Has no caller probed for a slice?
    #[inline]
    pub fn is_due(&self) -> bool {
        coarse_now_ns().saturating_sub(self.0.load(Relaxed)) >= SLICE_NS
    }

    /// The same, and then the caller is the one that probes now.
    pub fn take(&self) -> bool {
        let now = coarse_now_ns();
        let probed = self.0.load(Relaxed);
        now.saturating_sub(probed) >= SLICE_NS && self.0.compare_exchange(probed, now, Relaxed, Relaxed).is_ok()
    }

    /// The caller probes now.
    pub fn note(&self) {
        self.0.store(coarse_now_ns(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_callers_probes_in_a_slice() {
        let timer = ProbeTimer::default();
        assert!(timer.is_due() && timer.take(), "no caller has yet");
        assert!(!timer.is_due() && !timer.take());
        timer.0.store(coarse_now_ns() - SLICE_NS, Relaxed);
        timer.note();
        assert!(!timer.take());
    }
}
