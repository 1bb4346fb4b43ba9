//! Children that are killed after so many instructions.
//!
//! On x86-64 a child steps itself: it sets the trap flag, and its handler of SIGTRAP counts instructions and kills it when its time has
//! come. That is ten times faster than a tracer, which costs two switches between processes an instruction, and is what other
//! processors get.

use super::process::{Exit, fork, shared_word};
use std::sync::atomic::Ordering::SeqCst;

/// Where a stepped child ended up.
pub enum Stepped {
    /// It had done what it was asked to, after so many instructions.
    Done(u64),
    Killed,
}

/// Takes a child `steps` instructions far through `act`, which `prepare` precedes at full speed, and kills it there.
pub fn step_through(prepare: impl FnOnce(), act: impl FnOnce(), steps: u64) -> Stepped {
    backend::step_through(prepare, act, steps)
}

#[cfg(target_arch = "x86_64")]
mod backend {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    /// In the child, from before its first step on.
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static STEPS: AtomicU64 = AtomicU64::new(0);

    /// Uses nothing that the stepped code might be in the middle of.
    extern "C" fn on_step(_: libc::c_int) {
        if TAKEN.fetch_add(1, Relaxed) + 1 >= STEPS.load(Relaxed) {
            kill_self();
        }
    }

    fn kill_self() {
        // SAFETY: takes numbers; does not return, as nothing blocks SIGKILL.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }

    pub fn step_through(prepare: impl FnOnce(), act: impl FnOnce(), steps: u64) -> Stepped {
        let done = shared_word();
        let mut child = fork("a stepped child", || {
            prepare();
            STEPS.store(steps, SeqCst);
            // SAFETY: an all-zero sigaction is one without flags and with an empty mask; the handler makes async-signal-safe calls only.
            let installed = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_step as extern "C" fn(libc::c_int) as usize;
                action.sa_flags = libc::SA_RESTART;
                libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut())
            };
            assert_eq!(installed, 0, "sigaction: {}", std::io::Error::last_os_error());
            if steps == 0 {
                kill_self();
            }
            // SAFETY: sets the trap flag and leaves the stack as it was; the handler is in place.
            unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
            act();
            done.store(TAKEN.load(Relaxed), SeqCst);
            kill_self();
        });
        let exit = child.wait();
        assert_eq!(exit, Exit::Signal(libc::SIGKILL), "the child failed in its preparation or on the way");
        match done.load(SeqCst) {
            0 => Stepped::Killed,
            taken => Stepped::Done(taken),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod backend {
    use super::*;
    use crate::support::harness::skip;
    use crate::support::process::{exit_now, send_signal};
    use std::io;

    /// Exit code of a child that may not be traced.
    const NOT_TRACED: i32 = 79;

    fn ptrace(request: libc::c_uint, pid: libc::pid_t) -> io::Result<()> {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: these requests use no memory of ours; `pid` is 0 or a child that asked to be traced.
        match unsafe { libc::ptrace(request, pid, none, none) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    pub fn step_through(prepare: impl FnOnce(), act: impl FnOnce(), steps: u64) -> Stepped {
        let done = shared_word();
        let mut child = fork("a stepped child", || {
            prepare();
            if ptrace(libc::PTRACE_TRACEME, 0).is_err() {
                exit_now(NOT_TRACED);
            }
            send_signal(std::process::id() as libc::pid_t, libc::SIGSTOP);
            act();
            done.store(1, SeqCst);
        });
        let pid = child.pid() as libc::pid_t;
        if !child.wait_for_stop() {
            assert_eq!(child.wait(), Exit::Code(NOT_TRACED), "the child ended in its preparation");
            skip("ptrace is not permitted here");
        }
        let mut taken = 0;
        while taken < steps && done.load(SeqCst) == 0 {
            ptrace(libc::PTRACE_SINGLESTEP, pid).unwrap();
            assert!(child.wait_for_stop(), "the child ended after {taken} steps: {:?}", child.wait());
            taken += 1;
        }
        let was_done = done.load(SeqCst) != 0;
        child.kill();
        if was_done { Stepped::Done(taken) } else { Stepped::Killed }
    }
}
