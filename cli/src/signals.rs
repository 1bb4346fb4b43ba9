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
//!
//! All of this is the process's, which may be another program's: a [`Session`] is one run of the
//! command, and gives back what was there before it.

use crate::poll;
use shmq::Stop;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);
const ALARM_PERIOD_US: libc::suseconds_t = 20_000;

/// Those of this run, or null before the first. Never freed: a handler may read them at any time.
static STOPS: AtomicPtr<[Stop; 2]> = AtomicPtr::new(std::ptr::null_mut());

fn stops() -> &'static [Stop; 2] {
    // SAFETY: null, or made by `begin`, which leaks them.
    unsafe { STOPS.load(Ordering::Acquire).as_ref() }.expect("a session has begun")
}

/// What the process had before the handlers of a run.
#[derive(Default)]
struct Before {
    actions: Vec<(libc::c_int, libc::sigaction)>,
    timer: Option<libc::itimerval>,
}

static BEFORE: Mutex<Before> = Mutex::new(Before { actions: Vec::new(), timer: None });
/// Handlers that have begun, in any thread, and have not started the timer yet.
static HANDLING: AtomicU32 = AtomicU32::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// One run of the command: no signal has come at its beginning. Dropped, the handlers and the timer of
/// the process are what they were.
pub struct Session {
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl Session {
    /// Waits for the end of a run in another thread.
    pub fn begin() -> Session {
        let one_at_a_time = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        RECEIVED.store(0, Ordering::Relaxed);
        COUNT.store(0, Ordering::Relaxed);
        // SAFETY: as in `stops`.
        let earlier = unsafe { STOPS.load(Ordering::Acquire).as_ref() };
        if earlier.is_none_or(|stops| stops.iter().any(Stop::is_set)) {
            STOPS.store(Box::leak(Box::default()), Ordering::Release);
        }
        Session { _one_at_a_time: one_at_a_time }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let before = std::mem::take(&mut *BEFORE.lock().unwrap_or_else(PoisonError::into_inner));
        // The handlers start the timer, so they go first.
        for (signal, action) in before.actions.iter().filter(|(signal, _)| *signal != libc::SIGALRM) {
            // SAFETY: an action that the process had, which lives until the call returns.
            unsafe { libc::sigaction(*signal, action, std::ptr::null_mut()) };
        }
        while HANDLING.load(Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
        if let Some(timer) = before.timer {
            // SAFETY: the call reads `timer`, which lives until it returns.
            unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
        }
        for (signal, action) in before.actions.iter().filter(|(signal, _)| *signal == libc::SIGALRM) {
            // SAFETY: SIG_IGN drops an alarm of ours that is still pending; the rest as above.
            unsafe {
                libc::signal(*signal, libc::SIG_IGN);
                libc::sigaction(*signal, action, std::ptr::null_mut());
            }
        }
    }
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
    HANDLING.fetch_add(1, Ordering::Acquire);
    RECEIVED.store(signal, Ordering::Relaxed);
    let is_first = COUNT.fetch_add(1, Ordering::Relaxed) == 0;
    // SAFETY: as in `stops`.
    if let Some([first, second]) = unsafe { STOPS.load(Ordering::Acquire).as_ref() } {
        if is_first { first } else { second }.set();
    }
    interrupt_blocked_calls();
    HANDLING.fetch_sub(1, Ordering::Release);
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

/// Installs the handlers: signals are recorded from now on, until the end of the session.
pub fn install() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: plain integers, which the call fills.
    before.timer = unsafe {
        let mut timer: libc::itimerval = std::mem::zeroed();
        (libc::getitimer(libc::ITIMER_REAL, &mut timer) == 0).then_some(timer)
    };
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
                before.actions.push((signal, old));
            }
        }
    }
    // SAFETY: SIG_IGN installs no handler, so there is no code that could be unsafe in one; zeros are
    // an action without flags.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_IGN;
        if libc::sigaction(libc::SIGXFSZ, &action, &mut old) == 0 {
            before.actions.push((libc::SIGXFSZ, old));
        }
    }
}

/// The thread that waits for the end of the reader. It ends with this.
pub struct ReaderWatch {
    thread: Option<JoinHandle<()>>,
    end: Option<UnixStream>,
}

impl Drop for ReaderWatch {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// From now on the end of the reader of standard output is recorded as SIGPIPE, also while nothing
/// is written. If no thread can be started, the next write finds it.
pub fn watch_for_closed_reader() -> ReaderWatch {
    let Ok((end, other_end)) = UnixStream::pair() else { return ReaderWatch { thread: None, end: None } };
    let watch = move || {
        // SAFETY: sigset_t is plain integers, and sigfillset fills it before it is read. The mask
        // is for the signals to reach the thread that waits in a queue.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        }
        if poll::wait_for_hang_up(libc::STDOUT_FILENO, other_end.as_raw_fd()) {
            on_signal(libc::SIGPIPE);
        }
    };
    let thread = std::thread::Builder::new().name("reader".to_owned()).spawn(watch).ok();
    ReaderWatch { thread, end: Some(end) }
}

/// Did a second signal come? Then the verb ends without finishing what it began.
pub fn came_twice() -> bool {
    COUNT.load(Ordering::Relaxed) > 1
}

/// The signal that asked this process to end, if one came.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}
