//! The system calls of the benches: fork, wait, futex, affinity, the clock.
use std::{fs, io, mem, ptr, sync::atomic::AtomicU32, time::Duration};

/// Sleeps while `word` is `seen`, at most `limit`; may wake early, so callers check again.
pub fn futex_wait(word: &AtomicU32, seen: u32, limit: Option<Duration>) {
    let limit = limit.map(|d| libc::timespec { tv_sec: d.as_secs() as _, tv_nsec: d.subsec_nanos() as _ });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: FUTEX_WAIT reads the word, which outlives the call, and a timespec that is null or a
    // local of this frame.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, limit) };
}

/// Wakes every sleeper on `word`.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE uses the address as a key only; the word outlives the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Nanoseconds of the monotonic clock, which all processes share.
pub fn now_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local timespec, which the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds that this process has spent on processors, in user mode and in the kernel.
pub fn cpu_nanos() -> u64 {
    cpu_nanos_of(libc::RUSAGE_SELF)
}

/// As [`cpu_nanos`], of the calling thread alone.
pub fn thread_cpu_nanos() -> u64 {
    cpu_nanos_of(libc::RUSAGE_THREAD)
}

/// How often threads of this process have left a processor for another thread, or to sleep.
pub fn switches() -> u64 {
    let usage = usage_of(libc::RUSAGE_SELF);
    (usage.ru_nvcsw + usage.ru_nivcsw) as u64
}

fn cpu_nanos_of(whom: libc::c_int) -> u64 {
    let usage = usage_of(whom);
    let nanos = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

fn usage_of(whom: libc::c_int) -> libc::rusage {
    // SAFETY: a rusage is plain numbers, for which zero is valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a local, which the call fills.
    unsafe { libc::getrusage(whom, &mut usage) };
    usage
}

/// Zeroed memory that forked children share; never unmapped.
pub fn share<T>() -> &'static T {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping; nothing is replaced.
    let at = unsafe { libc::mmap(ptr::null_mut(), mem::size_of::<T>(), access, kind, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    // SAFETY: page-aligned, large enough, never unmapped; callers ask for structures of atomics,
    // for which zero is valid.
    unsafe { &*at.cast::<T>() }
}

/// Forks; the child runs `body`, ends with the status that it returns, and dies with its parent.
pub fn fork(body: impl FnOnce() -> i32) -> libc::pid_t {
    assert_eq!(threads(), 1, "a threaded process cannot fork safely");
    let parent = std::process::id();
    // SAFETY: the process has one thread, so the child inherits no lock that is held.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: two calls without pointers; then _exit, which runs no destructors of the
            // parent's.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let orphaned = libc::getppid() as u32 != parent; // it died before the line above
                libc::_exit(if orphaned { 1 } else { body() })
            }
        }
        pid => pid,
    }
}

/// The status of a child that has ended: its exit code, or its signal negated. Waits for it if
/// `wait`.
pub fn ended(pid: libc::pid_t, wait: bool) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the pointer is to a local.
    let got = unsafe { libc::waitpid(pid, &mut status, if wait { 0 } else { libc::WNOHANG }) };
    assert!(got >= 0, "waitpid {pid}: {}", io::Error::last_os_error());
    (got == pid).then(|| if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) })
}

/// Kills a child that we forked and have not waited for.
pub fn kill(pid: libc::pid_t) {
    // SAFETY: no pointers; the child is not reaped, so the pid is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Yields the rest of the time slice.
pub fn give_way() {
    std::thread::yield_now();
}

/// Restricts this thread to `cpus`, and those that it starts from now on.
pub fn run_on(cpus: &[usize]) {
    restrict(0, cpus);
}

/// Restricts all threads of this process to `cpus`: also those that an earlier case has left, as
/// the reactor of futures.
pub fn run_process_on(cpus: &[usize]) {
    restrict(0, cpus);
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        if let Ok(thread) = thread.file_name().to_string_lossy().parse() {
            restrict(thread, cpus);
        }
    }
}

fn restrict(thread: libc::pid_t, cpus: &[usize]) {
    // SAFETY: a cpu_set_t is plain bits, for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &cpu in cpus {
        // SAFETY: the set is a local; the numbers come from `allowed`, which stays below its size.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: 0 is this thread; the set is a local of the size given.
    let failed = unsafe { libc::sched_setaffinity(thread, mem::size_of_val(&set), &set) };
    assert_eq!(failed, 0, "sched_setaffinity {cpus:?}: {}", io::Error::last_os_error());
}

/// The processors that this process may use.
pub fn allowed() -> Vec<usize> {
    // SAFETY: a cpu_set_t is plain bits, for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: pid 0 is this thread; the set is a local of the size given.
    let failed = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) };
    assert_eq!(failed, 0, "sched_getaffinity: {}", io::Error::last_os_error());
    // SAFETY: the numbers stay below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// One allowed processor of each core: hyperthreads of one core share its caches and would improve
/// every result.
pub fn separate_cores() -> Vec<usize> {
    let mut seen = Vec::new();
    let mut cpus = allowed();
    cpus.retain(|cpu| {
        let siblings = fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
        let siblings = siblings.unwrap_or_else(|_| cpu.to_string());
        let new = !seen.contains(&siblings);
        seen.push(siblings);
        new
    });
    cpus
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// What a process is doing, by the kernel: its state and, if asleep, where.
pub fn activity(pid: libc::pid_t) -> String {
    let state = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = state.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("gone").trim().to_owned();
    let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    if place.len() < 2 { state } else { format!("{state} in {place}") }
}
