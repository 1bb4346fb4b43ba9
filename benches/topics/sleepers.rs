//! How many system calls a publish makes that wakes eight sleeping subscribers: counted by ptrace,
//! in the publisher's process.

use super::{Bound, Figure};
use crate::forked::kernel;
use shmq::{Topic, WaitStrategy};
use std::{
    hint::spin_loop,
    ptr,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
    time::{Duration, Instant},
};

const SLEEPERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);

/// Zeroed memory that all processes share: counts of messages.
struct Counts {
    /// That the publisher may publish, and has published.
    allowed: AtomicU64,
    published: AtomicU64,
    /// That each subscriber has received, and one more.
    received: [AtomicU64; SLEEPERS],
}

pub fn figures(publishes: u64) -> Vec<Figure> {
    let name = format!("bench-{}-sleepers", std::process::id());
    let topic = Topic::<u64>::create(&name, 64).expect("create a topic");
    let counts: &'static Counts = kernel::share();
    let receivers = counts.received.iter();
    let sleepers: Vec<libc::pid_t> = receivers.map(|received| kernel::fork(|| receive(&name, received, publishes))).collect();
    topic.wait_subscribers(SLEEPERS, PATIENCE).expect("subscribers");
    let publisher = Traced(kernel::fork(|| publish(&name, counts, publishes)));
    publisher.begin();
    let mut calls = Vec::new();
    for at in 0..publishes {
        until_asleep(&sleepers, counts, at);
        counts.allowed.store(at + 1, Release);
        let mut stops = 0;
        while counts.published.load(Acquire) == at {
            stops += u64::from(publisher.go_on().is_some());
        }
        // Where a call begins, and where it ends.
        calls.push((stops / 2) as f64);
    }
    publisher.end();
    for pid in sleepers {
        assert_eq!(kernel::ended(pid, true), Some(0), "subscriber {pid} ended with this status");
    }
    Topic::<u64>::unlink(&name).expect("unlink the topic");
    vec![Figure::new("a publish that wakes 8 sleeping subscribers", "system calls", calls, Some(Bound::AtMost(1.0)))]
}

fn receive(name: &str, received: &AtomicU64, publishes: u64) -> i32 {
    let topic = Topic::<u64>::builder().name(name).wait_strategy(WaitStrategy::Block).open().expect("open the topic");
    let subscriber = topic.subscribe().expect("subscribe");
    for at in 0..publishes {
        assert_eq!(subscriber.next().expect("next"), at);
        received.store(at + 1, Release);
    }
    0
}

/// Stops once, for its tracer; then makes no system call but those of `publish`, between what is
/// allowed and what is published.
fn publish(name: &str, counts: &Counts, publishes: u64) -> i32 {
    let publisher = Topic::<u64>::open(name).expect("open the topic").publisher().expect("become the publisher");
    // SAFETY: no pointer is read; and a signal to itself, which its tracer waits for.
    unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, NONE, NONE);
        libc::raise(libc::SIGSTOP);
    }
    for at in 0..publishes {
        while counts.allowed.load(Acquire) == at {
            spin_loop();
        }
        publisher.publish(&at).expect("publish");
        counts.published.store(at + 1, Release);
    }
    0
}

/// All have received `at` messages, and sleep.
fn until_asleep(sleepers: &[libc::pid_t], counts: &Counts, at: u64) {
    let deadline = Instant::now() + PATIENCE;
    let sleeps = |pid: &libc::pid_t| kernel::activity(*pid).starts_with('S');
    while !(counts.received.iter().all(|received| received.load(Acquire) == at) && sleepers.iter().all(sleeps)) {
        assert!(Instant::now() < deadline, "the subscribers do not sleep after {at} messages");
        std::thread::sleep(Duration::from_micros(100));
    }
}

const NONE: *mut libc::c_void = ptr::null_mut();

/// A child that this process traces, and that stops where a system call begins and where it ends.
struct Traced(libc::pid_t);

impl Traced {
    /// Waits for the child's own stop, and lets it run to the next system call.
    fn begin(&self) {
        assert!(self.wait(0).is_some_and(|status| libc::WIFSTOPPED(status)), "the publisher stops for its tracer");
        self.run();
    }

    /// If it has stopped, lets it run, and returns its status.
    fn go_on(&self) -> Option<libc::c_int> {
        let status = self.wait(libc::WNOHANG)?;
        assert!(libc::WIFSTOPPED(status), "the publisher has ended with {status:#x}");
        self.run();
        Some(status)
    }

    /// Lets it run until it has ended.
    fn end(&self) {
        while let Some(status) = self.wait(0).filter(|&status| libc::WIFSTOPPED(status)) {
            assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP, "the publisher got a signal");
            self.run();
        }
    }

    fn run(&self) {
        // SAFETY: no pointer is read; the child is stopped.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, self.0, NONE, NONE) };
    }

    fn wait(&self, options: libc::c_int) -> Option<libc::c_int> {
        let mut status = 0;
        // SAFETY: the pointer is to a local; the child is ours, and waited for here only.
        let pid = unsafe { libc::waitpid(self.0, &mut status, options) };
        assert!(pid >= 0, "waitpid: {}", std::io::Error::last_os_error());
        (pid != 0).then_some(status)
    }
}
