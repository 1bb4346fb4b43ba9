//! SIGINT, SIGTERM and SIGHUP: handled between messages, and inside system calls that block.
//!
//! ```text
//!   signal --handler--> RECEIVED, starts a timer --SIGALRM every 20 ms--> each blocked system
//!                 |                                                       call returns EINTR
//!                 \--> a `Stop`: calls of the library return Interrupted
//!                       (the second signal: a second one, for what is put after the first)
//! ```
//!
//! The timer closes the gap between a check of RECEIVED and the system call after it. SIGPIPE is
//! ignored (as Rust does), so that a reader that goes away is an error of `write`, after which
//! messages can still be given back. SIGXFSZ is ignored for the same reason: a limit on the size of
//! files is an error of `write`, too.
//!
//! While a verb waits for messages it writes nothing, so a thread waits for the end of its reader,
//! and records that as SIGPIPE.

use crate::poll;
use shmq::Stop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
const ALARM_PERIOD_US: libc::suseconds_t = 20_000;

static STOPS: OnceLock<[Stop; 2]> = OnceLock::new();

fn stops() -> &'static [Stop; 2] {
    STOPS.get_or_init(Default::default)
}

/// Set by the first signal.
pub fn first() -> &'static Stop {
    &stops()[0]
}

/// Set by the second signal.
pub fn second() -> &'static Stop {
    &stops()[1]
}

extern "C" fn on_signal(signal: libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
    let is_first = COUNT.fetch_add(1, Ordering::Relaxed) == 0;
    if let Some([first, second]) = STOPS.get() {
        if is_first { first } else { second }.set();
    }
    interrupt_blocked_calls();
}

/// From now on, a blocked system call returns `EINTR` after 20 ms at the latest.
pub fn interrupt_blocked_calls() {
    let every = libc::timeval { tv_sec: 0, tv_usec: ALARM_PERIOD_US };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the call reads `timer`, which lives until it returns, and accepts a null pointer for
    // the old value.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

extern "C" fn on_alarm(_: libc::c_int) {}

/// Installs the handlers: signals are recorded from now on.
pub fn install() {
    stops();
    let handlers: [(libc::c_int, extern "C" fn(libc::c_int)); 4] =
        [(libc::SIGALRM, on_alarm), (libc::SIGINT, on_signal), (libc::SIGTERM, on_signal), (libc::SIGHUP, on_signal)];
    for (signal, handler) in handlers {
        // SAFETY: sigaction is plain integers, and zeros are an empty mask and no flags: without
        // SA_RESTART, blocked calls return EINTR. The handlers store to atomics, set a stop and make
        // a system call, all of which a handler may do.
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
    // SAFETY: SIG_IGN installs no handler, so there is no code that could be unsafe in one.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// From now on the end of the reader of standard output is recorded as SIGPIPE, also while nothing
/// is written. If no thread can be started, the next write finds it.
pub fn watch_for_closed_reader() {
    let watch = || {
        // SAFETY: sigset_t is plain integers, and sigfillset fills it before it is read. The mask
        // is for the signals to reach the thread that waits in a queue.
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

/// Did a second signal come? Then the verb ends without finishing what it began.
pub fn came_twice() -> bool {
    COUNT.load(Ordering::Relaxed) > 1
}

/// The signal that asked this process to end, if one came.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}
