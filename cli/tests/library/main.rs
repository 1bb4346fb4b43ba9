//! The command as a function: [`shmq_cli::run`] more than once in one process, which stays what it was.

#[path = "../../../tests/support/mod.rs"]
mod support;

use crate::support::harness::Lanes;
use crate::support::process::{Exit, fork_with_code, send_signal};
use crate::support::{BY_ITSELF, unique_name, wait_until};
use shmq::Queue;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let cases = crate::cases![a_host_runs_the_command_again_and_again, the_end_of_a_reader_between_two_runs_is_not_remembered,];
    support::harness::run(Lanes::Waits, &cases)
}

static ALARMS: AtomicU32 = AtomicU32::new(0);
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

extern "C" fn on_alarm(_: libc::c_int) {
    ALARMS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn on_interrupt(_: libc::c_int) {
    INTERRUPTS.fetch_add(1, Ordering::Relaxed);
}

fn install(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the handlers add to atomics.
    unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
}

fn handler_of(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: plain integers, which the call fills.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        action.sa_sigaction
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Standard output is that pipe from now on, in a process of the test's own.
fn write_to(pipe: &File) {
    // SAFETY: two descriptors that are open.
    assert_eq!(unsafe { libc::dup2(pipe.as_raw_fd(), libc::STDOUT_FILENO) }, libc::STDOUT_FILENO);
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors, which are ours to close.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from(OwnedFd::from_raw_fd(ends[0])), File::from(OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Two runs that a signal ends and some that end by themselves: each as the first, and the process has
/// its own handlers, timer, threads and descriptors again.
fn a_host_runs_the_command_again_and_again() {
    let name = unique_name("library");
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(4096).create().unwrap();
    let (mut from, to) = pipe();
    let mut host = fork_with_code("a host", || {
        write_to(&to);
        install(libc::SIGALRM, on_alarm);
        install(libc::SIGINT, on_interrupt);
        let had = [libc::SIGALRM, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGXFSZ].map(handler_of);
        let ran = (threads(), descriptors());
        for round in 0..2 {
            // Messages that are there.
            queue.put(format!("message {round}").as_bytes()).unwrap();
            assert_eq!(shmq_cli::run(["shmq", "get", "--lines", &name]), 0);
            // None comes, and no signal of an earlier run is remembered.
            let began = Instant::now();
            assert_ne!(shmq_cli::run(["shmq", "get", "--timeout", "0.2", &name]), 0);
            assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
            // A signal ends a wait, with its code.
            let pid = std::process::id() as libc::pid_t;
            let sender = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(150));
                send_signal(pid, libc::SIGINT);
            });
            assert_eq!(shmq_cli::run(["shmq", "get", "--follow", &name]), 128 + libc::SIGINT as u8);
            sender.join().unwrap();
            assert_eq!([libc::SIGALRM, libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGXFSZ].map(handler_of), had);
            // Wrong usage, help, and a name that is none.
            assert_eq!(shmq_cli::run(["shmq", "get", "--no-such-option"]), 2);
            assert_ne!(shmq_cli::run(["shmq", "stat", "no-such-queue"]), 0);
        }
        wait_until("the threads to end", || (threads(), descriptors()) == ran, || format!("{:?}", (threads(), descriptors())));
        // The timer of the runs has ended: no alarm comes to the host's handler.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!((ALARMS.load(Ordering::Relaxed), INTERRUPTS.load(Ordering::Relaxed)), (0, 0));
        send_signal(std::process::id() as libc::pid_t, libc::SIGINT);
        wait_until("its own handler", || INTERRUPTS.load(Ordering::Relaxed) == 1, || "no signal".to_owned());
        7
    });
    drop(to);
    let ended = host.wait_at_most(BY_ITSELF);
    let mut out = String::new();
    from.read_to_string(&mut out).unwrap();
    assert_eq!(ended, Exit::Code(7), "{out}");
    assert_eq!(out, "message 0\nmessage 1\n");
}

/// The thread that watches the reader of one run's output does not outlive it: the end of the reader
/// later on is no signal of a later run.
fn the_end_of_a_reader_between_two_runs_is_not_remembered() {
    let name = unique_name("library-reader");
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(4096).create().unwrap();
    let host = fork_with_code("a host", || {
        let (from, to) = pipe();
        write_to(&to);
        queue.put(b"one").unwrap();
        assert_eq!(shmq_cli::run(["shmq", "get", &name]), 0);
        drop(from);
        std::thread::sleep(Duration::from_millis(50));
        let (from, to) = pipe();
        write_to(&to);
        queue.put(b"two").unwrap();
        assert_eq!(shmq_cli::run(["shmq", "get", &name]), 0);
        assert!(queue.is_empty());
        // And the end of a reader in a run is one.
        drop(to);
        drop(from);
        queue.put(b"three").unwrap();
        assert_ne!(shmq_cli::run(["shmq", "get", &name]), 0);
        assert_eq!(queue.len(), 1);
        0
    });
    host.expect_success_within(BY_ITSELF);
}
