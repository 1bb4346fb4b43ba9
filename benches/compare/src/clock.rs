//! A clock cheap enough to time single round trips of 100 ns: the time-stamp counter where there is
//! one, else the monotonic clock.

use crate::forked::kernel::now_nanos;
use std::{sync::OnceLock, time::Duration};

/// Nanoseconds of a tick; set before the workers are forked, so that they share it.
static NANOS_PER_TICK: OnceLock<f64> = OnceLock::new();
/// What two readings in a row are apart: subtracted from each round trip.
static READING_TICKS: OnceLock<u64> = OnceLock::new();

#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has the instruction.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    now_nanos()
}

/// Takes 20 ms.
pub fn calibrate() {
    let (from_ticks, from_nanos) = (ticks(), now_nanos());
    std::thread::sleep(Duration::from_millis(20));
    let (to_ticks, to_nanos) = (ticks(), now_nanos());
    let nanos = (to_nanos - from_nanos) as f64 / (to_ticks - from_ticks) as f64;
    NANOS_PER_TICK.get_or_init(|| nanos);
    let mut readings: Vec<u64> = (0..1000).map(|_| ticks().abs_diff(ticks())).collect();
    readings.sort_unstable();
    READING_TICKS.get_or_init(|| readings[readings.len() / 2]);
}

/// A round trip between two readings, without the reading itself.
pub fn nanos_between(from: u64, to: u64) -> f64 {
    let reading = READING_TICKS.get().copied().unwrap_or(0);
    to.wrapping_sub(from).saturating_sub(reading) as f64 * NANOS_PER_TICK.get().copied().unwrap_or(1.0)
}

/// Keeps the processor busy.
pub fn work(nanos: u64) {
    if nanos > 0 {
        let until = ticks() + (nanos as f64 / NANOS_PER_TICK.get().copied().unwrap_or(1.0)) as u64;
        while ticks() < until {
            std::hint::spin_loop();
        }
    }
}

/// Ticks of a sample as nanoseconds.
pub fn nanos(ticks: u32) -> f64 {
    nanos_between(0, u64::from(ticks))
}
