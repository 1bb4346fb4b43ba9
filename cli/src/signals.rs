//! SIGINT, SIGTERM and SIGHUP: noticed between messages, and inside system calls that block.
//!
//! ```text
//!   signal --handler--> noted, a timer started --SIGALRM every 20 ms--> whatever blocks returns EINTR, and looks at the note
//!                \-> INTERRUPT: who sleeps in the library wakes by the same EINTR, and is told Timeout
//! ```
//!
//! The timer closes the gap between a look at the note and the system call after it. SIGPIPE is ignored (as Rust does), so that a
//! reader who goes away is an error of `write`, after which messages can still be given back. So is SIGXFSZ: a limit on the size of
//! files is an error of `write`, too.
//!
//! A verb that waits for messages learns by a thread that its reader has gone: for that, it is noted as SIGPIPE.

use crate::poll;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
const ALARM_PERIOD_US: libc::suseconds_t = 20_000;

/// Whoever waits in a queue gives up once this is set: see [`Queue::interrupt_by`](shmq::Queue::interrupt_by).
pub static INTERRUPT: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(signal: libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
    COUNT.fetch_add(1, Ordering::Relaxed);
    INTERRUPT.store(true, Ordering::Relaxed);
    interrupt_blocked_calls();
}

/// From here on, whatever blocks returns `EINTR` every 20 ms.
pub fn interrupt_blocked_calls() {
    let every = libc::timeval { tv_sec: 0, tv_usec: ALARM_PERIOD_US };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: a system call that reads `timer`, which lives until it returns. Nothing else in this program uses the timer.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

extern "C" fn on_alarm(_: libc::c_int) {}

/// From here on signals are noted.
pub fn install() {
    let handlers: [(libc::c_int, extern "C" fn(libc::c_int)); 4] =
        [(libc::SIGALRM, on_alarm), (libc::SIGINT, on_signal), (libc::SIGTERM, on_signal), (libc::SIGHUP, on_signal)];
    for (signal, handler) in handlers {
        // SAFETY: sigaction is plain integers, and zeros are an empty mask and no flags: without SA_RESTART, blocked calls return
        // EINTR. The handlers store to an atomic and make a system call, which is all that a handler may do.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            // A program started with a signal ignored (`nohup`) keeps ignoring it.
            if libc::sigaction(signal, std::ptr::null(), &mut old) == 0 && old.sa_sigaction != libc::SIG_IGN {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    }
    // SAFETY: an ignored signal has no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// From here on the end of whoever reads standard output is noted as SIGPIPE, also while nothing is written. Where no thread can be
/// started, the next write finds out.
pub fn watch_for_closed_reader() {
    let watch = || {
        // SAFETY: sigset_t is plain integers, filled before it is read. Signals are for the thread that waits in a queue.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        }
        if poll::wait_for_hang_up(libc::STDOUT_FILENO) {
            on_signal(libc::SIGPIPE);
        }
    };
    let _ = std::thread::Builder::new().name("reader".to_owned()).spawn(watch);
}

/// Waits are possible again, until a second signal comes.
pub fn allow_waits_again() {
    INTERRUPT.store(false, Ordering::Relaxed);
}

/// Did a second one come? Then its sender has no patience left.
pub fn came_twice() -> bool {
    COUNT.load(Ordering::Relaxed) > 1
}

/// The signal that asked us to end, if one did.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}
