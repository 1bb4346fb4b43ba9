//! Prefetches: hints to the processor to bring a cache line near before it is needed.

/// Prefetches the cache line at `address` for writing. Any address will do.
#[inline(always)]
pub(crate) fn prefetch_write(address: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads and writes nothing that the program can see, and
    // cannot fault.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch is a hint: it reads and writes nothing that the program can see, and
    // cannot fault.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
    let _ = address;
}

/// Prefetches the cache line at `address` for reading. Any address will do.
#[inline(always)]
pub(crate) fn prefetch_read(address: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint: it reads nothing that the program can see, and cannot fault.
    unsafe {
        std::arch::asm!("prefetcht0 [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch is a hint: it reads nothing that the program can see, and cannot fault.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
    };
    let _ = address;
}
