//! Forked children whose status must be checked, words that they share, and a description of what a
//! process is doing.

use super::{PATIENCE, wait_at_most, wait_until};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// Exit code of a child whose closure panicked, as of a Rust program.
pub const PANICKED: i32 = 101;

/// A child of this process. Dropping one that was not waited for fails the test.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    what: &'static str,
    exit: Option<Exit>,
}

/// Forks a child that runs `run` and exits with 0, or with [`PANICKED`]. The child drops what `run`
/// owns, but not what it borrows. The child dies with its parent.
pub fn fork(what: &'static str, run: impl FnOnce()) -> Child {
    fork_with_code(what, || {
        run();
        0
    })
}

/// Like [`fork`], for a child that returns its own exit code.
pub fn fork_with_code(what: &'static str, run: impl FnOnce() -> i32) -> Child {
    let parent = std::process::id();
    fork_orphan(what, || {
        die_with(parent);
        run()
    })
}

/// Like [`fork_with_code`], for a child that survives its parent.
pub fn fork_orphan(what: &'static str, run: impl FnOnce() -> i32) -> Child {
    std::io::stdout().flush().expect("stdout takes what was printed");
    // SAFETY: the caller's process is single-threaded (the harness forks each case from a
    // single-threaded main, and cases start no threads before they fork), so the child may do
    // whatever its parent could.
    match unsafe { libc::fork() } {
        -1 => panic!("fork of {what}: {}", std::io::Error::last_os_error()),
        0 => {
            register_pid();
            let code = catch_unwind(AssertUnwindSafe(run)).unwrap_or(PANICKED);
            exit_now(code)
        }
        pid => Child { pid, what, exit: None },
    }
}

/// Ends this process. It drops nothing that its parent left on the stack, and runs no exit
/// handlers.
pub fn exit_now(code: i32) -> ! {
    let _ = std::io::stdout().flush();
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// The kernel kills this process when its parent ends.
pub fn die_with(parent: u32) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: PR_SET_PDEATHSIG takes a signal number; getppid has no preconditions.
        let orphaned = unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::getppid() as u32 != parent
        };
        if orphaned {
            exit_now(PANICKED);
        }
    }
    let _ = parent;
}

/// Orphans among this process's descendants become its children.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a flag.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
    };
}

/// What `waitpid` reports about a process without waiting: `None` while it runs.
pub fn poll_exit(pid: libc::pid_t) -> Option<Exit> {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write.
    match unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } {
        0 => None,
        -1 => panic!("waitpid({pid}): {}", std::io::Error::last_os_error()),
        _ => Some(exit_of(status)),
    }
}

fn exit_of(status: libc::c_int) -> Exit {
    if libc::WIFSIGNALED(status) { Exit::Signal(libc::WTERMSIG(status)) } else { Exit::Code(libc::WEXITSTATUS(status)) }
}

/// Sends a signal to a process that this process started, or to its own group.
pub fn send_signal(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill takes two numbers.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "kill({pid}, {signal}): {}", std::io::Error::last_os_error());
}

impl Child {
    /// A child that another process forked and this process has inherited (see [`adopt_orphans`]).
    pub fn adopted(what: &'static str, pid: u32) -> Child {
        Child { pid: pid as libc::pid_t, what, exit: None }
    }

    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Has it ended? Its status is kept.
    pub fn has_ended(&mut self) -> bool {
        if self.exit.is_none() {
            self.exit = poll_exit(self.pid);
        }
        self.exit.is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> Exit {
        self.wait_at_most(PATIENCE)
    }

    /// Waits for its end, which must come within `bound`.
    #[track_caller]
    pub fn wait_at_most(&mut self, bound: Duration) -> Exit {
        let (pid, what) = (self.pid, self.what);
        wait_at_most(bound, &format!("the end of {what} (process {pid})"), || self.has_ended(), || describe_process(pid));
        self.exit.expect("it has ended")
    }

    /// Waits for its end, which must be exit code 0.
    #[track_caller]
    pub fn expect_success(mut self) {
        let exit = self.wait();
        assert_eq!(exit, Exit::Code(0), "{} (process {})", self.what, self.pid);
    }

    /// Waits for its end, which must be exit code 0 within `bound`.
    #[track_caller]
    pub fn expect_success_within(mut self, bound: Duration) {
        let exit = self.wait_at_most(bound);
        assert_eq!(exit, Exit::Code(0), "{} (process {})", self.what, self.pid);
    }

    /// Kills it with SIGKILL and waits until it is gone. It must not have ended before by itself.
    #[track_caller]
    pub fn kill(mut self) {
        assert!(!self.has_ended(), "{} (process {}) ended by itself: {:?}", self.what, self.pid, self.exit);
        send_signal(self.pid, libc::SIGKILL);
        let exit = self.wait();
        assert_eq!(exit, Exit::Signal(libc::SIGKILL), "{} (process {})", self.what, self.pid);
    }

    /// Kills it, unless it has already ended with success. `true`: it was killed.
    #[track_caller]
    pub fn kill_if_running(mut self) -> bool {
        if !self.has_ended() {
            send_signal(self.pid, libc::SIGKILL);
        }
        self.killed_or_succeeded()
    }

    /// Waits for its end, which must be success or a SIGKILL that it sent itself. `true`: it was
    /// killed.
    #[track_caller]
    pub fn killed_or_succeeded(mut self) -> bool {
        match self.wait() {
            Exit::Signal(libc::SIGKILL) => true,
            Exit::Code(0) => false,
            other => panic!("{} (process {}) ended with {other:?}", self.what, self.pid),
        }
    }

    /// Stops it, wherever it is, and waits until it stands still.
    #[track_caller]
    pub fn stop(&mut self) {
        send_signal(self.pid, libc::SIGSTOP);
        assert!(self.wait_for_stop(), "{} (process {}) ended instead of stopping: {:?}", self.what, self.pid, self.exit);
    }

    /// Waits until it stands still, stopped or traced. `false`: it has ended.
    pub fn wait_for_stop(&mut self) -> bool {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        let found = unsafe { libc::waitpid(self.pid, &mut status, libc::WUNTRACED) };
        assert_eq!(found, self.pid, "waitpid: {}", std::io::Error::last_os_error());
        if !libc::WIFSTOPPED(status) {
            self.exit = Some(exit_of(status));
        }
        self.exit.is_none()
    }

    /// Has a traced child stopped? It must not have ended.
    #[track_caller]
    pub fn has_stopped(&mut self) -> bool {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        let found = unsafe { libc::waitpid(self.pid, &mut status, libc::WUNTRACED | libc::WNOHANG) };
        assert_ne!(found, -1, "waitpid: {}", std::io::Error::last_os_error());
        if found != 0 && !libc::WIFSTOPPED(status) {
            self.exit = Some(exit_of(status));
            panic!("{} (process {}) ended by itself: {:?}", self.what, self.pid, self.exit);
        }
        found != 0
    }

    /// Continues it.
    pub fn go_on(&self) {
        send_signal(self.pid, libc::SIGCONT);
    }

    /// Waits until it sleeps in the kernel, like a blocked call that has stopped spinning.
    #[track_caller]
    pub fn wait_until_asleep(&mut self) {
        let (pid, what) = (self.pid, self.what);
        let mut sleep = OneSleep::of(format!("/proc/{pid}"));
        wait_until(
            &format!("{what} (process {pid}) to sleep"),
            || {
                assert!(!self.has_ended(), "{what} (process {pid}) ended: {:?}", self.exit);
                sleep.is_long()
            },
            || describe_process(pid),
        );
    }

    /// Stops it in its sleep: a sleeper that is awake for a probe would be stopped while it holds a
    /// lock.
    #[track_caller]
    pub fn stop_asleep(&mut self) {
        for _ in 0..1000 {
            self.wait_until_asleep();
            self.stop();
            if was_in_a_futex_wait(self.pid).unwrap_or(true) {
                return;
            }
            self.go_on();
        }
        panic!("{} (process {}) is always awake: {}", self.what, self.pid, describe_process(self.pid));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // SAFETY: a child of this process that was not waited for, so the pid is still its own.
            // The status pointer is null, which is permitted.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
            assert!(std::thread::panicking(), "no code waited for {} (process {})", self.what, self.pid);
        }
    }
}

/// Waits for all of them, which must exit with 0.
#[track_caller]
pub fn expect_all_succeed(children: Vec<Child>) {
    for child in children {
        child.expect_success();
    }
}

/// Zeroed words that this process and the children that it forks later share.
pub fn shared_words(count: usize) -> &'static [AtomicU64] {
    let bytes = count * size_of::<AtomicU64>();
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let start = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANON, -1, 0)
    };
    assert_ne!(start, libc::MAP_FAILED, "mmap of {bytes} bytes: {}", std::io::Error::last_os_error());
    // SAFETY: zeroed, aligned to a page, `bytes` long, never unmapped; zeroes are atomics of 0.
    unsafe { std::slice::from_raw_parts(start.cast(), count) }
}

/// One shared word.
pub fn shared_word() -> &'static AtomicU64 {
    &shared_words(1)[0]
}

/// Waits until a shared word holds `value` or more.
#[track_caller]
pub fn wait_for_count(what: &str, word: &AtomicU64, value: u64) {
    wait_until(what, || word.load(Ordering::Acquire) >= value, || format!("{} of {value}", word.load(Ordering::Acquire)));
}

/// Pids of a case and its children, whose temporaries must not stay.
static PIDS: std::sync::OnceLock<&'static [AtomicU64]> = std::sync::OnceLock::new();

/// Makes the table; the first word is the count.
pub fn keep_pids() {
    PIDS.get_or_init(|| shared_words(1 << 16));
}

/// Records this process.
pub fn register_pid() {
    if let Some(table) = PIDS.get() {
        let place = table[0].fetch_add(1, Ordering::Relaxed) as usize + 1;
        if let Some(entry) = table.get(place) {
            entry.store(u64::from(std::process::id()), Ordering::Relaxed);
        }
    }
}

/// Takes all recorded pids.
pub fn take_pids() -> Vec<u32> {
    let Some(table) = PIDS.get() else { return Vec::new() };
    let count = (table[0].swap(0, Ordering::Relaxed) as usize).min(table.len() - 1);
    table[1..=count].iter().map(|entry| entry.swap(0, Ordering::Relaxed) as u32).collect()
}

/// The state letter and the process group that the kernel reports.
pub fn state_and_group(pid: libc::pid_t) -> Option<(char, libc::pid_t)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((state, group))
}

/// The parent of a process; 0 if it is gone.
pub fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.map_or(0, |pid| pid.trim().parse().expect("a pid"))
}

/// The children of a process, zombies included.
pub fn children_of(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
}

/// The children of this process, including the helpers of the crate, which `active_children` does
/// not list. It reaps those that have ended.
pub fn own_children() -> Vec<u32> {
    shmq::process::active_children();
    children_of(std::process::id())
}

/// Ends a fork server's standby, which is a child of this process, and the fork server, which would
/// take its place.
pub fn end_fork_server(standby: u32) {
    let fork_server = || children_of(standby).first().copied();
    wait_until("a fork server", || fork_server().is_some(), || format!("{standby}"));
    let fork_server = fork_server().expect("there is one");
    send_signal(fork_server as libc::pid_t, libc::SIGSTOP);
    send_signal(standby as libc::pid_t, libc::SIGKILL);
    wait_until("the fork server to be an orphan", || parent_of(fork_server) == std::process::id(), || format!("{fork_server}"));
    let reaped_late = children_of(fork_server);
    Child::adopted("the fork server", fork_server).kill();
    // Children that the stopped fork server did not reap are children of this process.
    for pid in reaped_late {
        // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
        unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// Does it sleep in the kernel?
pub fn is_asleep(pid: libc::pid_t) -> bool {
    matches!(state_and_group(pid), Some(('S', _)))
}

/// Does it, or this thread, sleep on a futex, or on several?
pub fn is_asleep_on_a_futex(pid: libc::pid_t) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split_whitespace().next().and_then(|number| number.parse().ok());
    matches!(number, Some(libc::SYS_futex | libc::SYS_futex_waitv))
}

/// Was it asleep on a futex when it was stopped? `None`: the kernel does not report it.
fn was_in_a_futex_wait(pid: libc::pid_t) -> Option<bool> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = call.split_whitespace();
    // A process that was stopped in its own code is in no call: -1.
    let number: libc::c_long = words.next()?.parse().ok()?;
    let operation = words.nth(1).and_then(|word| i32::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let waits = operation.is_some_and(|operation| {
        matches!(operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME), libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET)
    });
    Some(number == libc::SYS_futex_waitv || (number == libc::SYS_futex && waits))
}

/// Watches a process or thread until it has stayed in one and the same sleep for a while, or was
/// asleep at every probe for longer. Before it gets there it may sleep for short times (a page
/// fault, a contended lock, a name that another process holds). Once there, it may sleep in short
/// slices (a mutex of the portable locks).
pub struct OneSleep {
    of: String,
    /// The number of its sleeps when it was first seen in this one, and the time of that probe.
    seen: Option<(u64, Instant)>,
    /// The number of probes in a row that found it asleep, and the time of the first.
    row: Option<(u32, Instant)>,
}

impl OneSleep {
    /// Longer than a short sleep on the way, and shorter than one of the portable locks (1 ms).
    const LONG: Duration = Duration::from_micros(500);
    /// Probes in a row, and the time between them.
    const ROW: (u32, Duration) = (4, Duration::from_millis(2));

    /// The process or thread that the directory in `/proc` describes.
    pub fn of(directory: String) -> OneSleep {
        OneSleep { of: directory, seen: None, row: None }
    }

    pub fn is_long(&mut self) -> bool {
        let status = std::fs::read_to_string(format!("{}/status", self.of)).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_asleep = field("State:").is_some_and(|state| state.starts_with('S'));
        let Some(sleeps) = field("voluntary_ctxt_switches:").and_then(|count| count.parse().ok()).filter(|_| is_asleep) else {
            (self.seen, self.row) = (None, None);
            return false;
        };
        let now = Instant::now();
        let (polls, first) = self.row.map_or((1, now), |(polls, first)| (polls + 1, first));
        self.row = Some((polls, first));
        let since = self.seen.filter(|&(same, _)| same == sleeps).map_or(now, |(_, since)| since);
        self.seen = Some((sleeps, since));
        now - since >= Self::LONG || (polls >= Self::ROW.0 && now - first >= Self::ROW.1)
    }
}

/// What a process is doing, in readable form.
pub fn describe_process(pid: libc::pid_t) -> String {
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default().trim().replace('\n', " < ");
    match state_and_group(pid) {
        None => format!("process {pid}: gone"),
        Some((state, _)) => {
            format!(
                "process {pid}: state {state}, wchan {:?}, syscall {:?}, stack {:?}",
                read("wchan"),
                read("syscall"),
                read("stack")
            )
        }
    }
}

/// Keeps a processor busy until a word is set.
pub fn burn_until(stop: &AtomicU64) {
    let end = Instant::now() + 4 * PATIENCE;
    while stop.load(Ordering::Relaxed) == 0 && Instant::now() < end {
        std::hint::spin_loop();
    }
}
