//! `ptrace`, and where a program's instructions are and how to stop it at one, for each machine.

use std::io;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{break_at, place, program_counter, step_back, step_over, stop_here, with_breakpoint};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{break_at, place, program_counter, step_back, step_over, stop_here, with_breakpoint};

pub fn ptrace(request: libc::c_uint, pid: libc::pid_t, address: usize, data: usize) -> io::Result<i64> {
    // SAFETY: the requests of this module read and write no memory of this process but their
    // arguments. `pid` is 0, or a child that asked to be traced and stands still.
    match unsafe { libc::ptrace(request, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::ptrace;
    use std::mem::offset_of;

    const RIP: usize = offset_of!(libc::user, regs) + offset_of!(libc::user_regs_struct, rip);
    const DEBUG_REGISTERS: usize = offset_of!(libc::user, u_debugreg);
    /// The register that says which breakpoints are on.
    const CONTROL: usize = DEBUG_REGISTERS + 7 * size_of::<u64>();
    /// The first one, at the execution of an instruction, for this thread alone.
    const FIRST_IS_ON: usize = 1;
    const INT3: u64 = 0xcc;

    /// Stops a traced program right here.
    #[inline(always)]
    pub fn stop_here() {
        // SAFETY: a breakpoint changes nothing; the tracer continues after it.
        unsafe { std::arch::asm!("int3", options(nomem, nostack, preserves_flags)) };
    }

    pub fn program_counter(pid: libc::pid_t) -> std::io::Result<usize> {
        // The result is the value: an address of user space is never -1.
        Ok(ptrace(libc::PTRACE_PEEKUSER, pid, RIP, 0)? as usize)
    }

    /// Program counter and stack pointer.
    pub fn place(pid: libc::pid_t) -> std::io::Result<(usize, usize)> {
        // SAFETY: `user_regs_struct` consists of plain integers, for which zeroes are valid.
        let mut all: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut all as usize)?;
        Ok((all.rip as usize, all.rsp as usize))
    }

    /// Makes one thread stop before it executes the instruction at an address, or takes that back.
    pub fn break_at(pid: libc::pid_t, address: Option<usize>) -> std::io::Result<()> {
        let Some(address) = address else { return ptrace(libc::PTRACE_POKEUSER, pid, CONTROL, 0).map(drop) };
        ptrace(libc::PTRACE_POKEUSER, pid, DEBUG_REGISTERS, address)?;
        ptrace(libc::PTRACE_POKEUSER, pid, CONTROL, FIRST_IS_ON).map(drop)
    }

    /// The program counter stands after a breakpoint that was met: moves it back before it.
    pub fn step_back(pid: libc::pid_t, to: usize) -> std::io::Result<()> {
        ptrace(libc::PTRACE_POKEUSER, pid, RIP, to).map(drop)
    }

    /// The program counter already stands after the breakpoint at which the program stopped itself.
    pub fn step_over(_: libc::pid_t) -> std::io::Result<()> {
        Ok(())
    }

    pub fn with_breakpoint(word: u64) -> u64 {
        word & !0xff | INT3
    }
}

/// Compiled, but not run so far.
#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use super::ptrace;
    use std::mem::offset_of;

    const BRK: u64 = 0xd420_0000;
    const NT_PRSTATUS: usize = 1;

    /// Stops a traced program right here.
    #[inline(always)]
    pub fn stop_here() {
        // SAFETY: a breakpoint changes nothing; the tracer continues after it.
        unsafe { std::arch::asm!("brk #0", options(nomem, nostack, preserves_flags)) };
    }

    fn registers(pid: libc::pid_t, request: libc::c_uint, registers: &mut libc::user_regs_struct) -> std::io::Result<()> {
        let mut vector =
            libc::iovec { iov_base: std::ptr::from_mut(registers).cast(), iov_len: size_of::<libc::user_regs_struct>() };
        ptrace(request, pid, NT_PRSTATUS, &raw mut vector as usize).map(drop)
    }

    fn all_registers(pid: libc::pid_t) -> std::io::Result<libc::user_regs_struct> {
        // SAFETY: `user_regs_struct` consists of plain integers, for which zeroes are valid.
        let mut all: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        registers(pid, libc::PTRACE_GETREGSET, &mut all)?;
        Ok(all)
    }

    pub fn program_counter(pid: libc::pid_t) -> std::io::Result<usize> {
        Ok(all_registers(pid)?.pc as usize)
    }

    /// Program counter and stack pointer.
    pub fn place(pid: libc::pid_t) -> std::io::Result<(usize, usize)> {
        all_registers(pid).map(|all| (all.pc as usize, all.sp as usize))
    }

    /// Not written for this machine: single steps take its place.
    pub fn break_at(_: libc::pid_t, _: Option<usize>) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// The program counter stands at a breakpoint that was met: there is nothing to do.
    pub fn step_back(_: libc::pid_t, _: usize) -> std::io::Result<()> {
        Ok(())
    }

    /// Moves the program counter after the breakpoint at which the program stopped itself.
    pub fn step_over(pid: libc::pid_t) -> std::io::Result<()> {
        let mut all = all_registers(pid)?;
        all.pc += 4;
        registers(pid, libc::PTRACE_SETREGSET, &mut all)
    }

    pub fn with_breakpoint(word: u64) -> u64 {
        word & !0xffff_ffff | BRK
    }

    const _: () = assert!(offset_of!(libc::user_regs_struct, pc) % 8 == 0);
}
