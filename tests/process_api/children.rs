//! Children by fork: what they share, how they end, and what their parent learns about it.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{
    burn_until, expect_all_succeed, fork, fork_with_code, is_asleep, shared_word, shared_words, state_and_group, wait_for_count,
};
use crate::support::{unique_name, wait_until};
use shmq::process::active_children;
use shmq::{Process, Queue, SpawnError};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        globals_are_separate,
        exit_codes_are_what_the_closure_returned,
        an_error_is_printed_on_stderr,
        a_panic_is_printed_on_stderr_and_sets_the_exit_status,
        join_timeout_is_never_early_and_zero_is_one_check,
        the_status_of_a_killed_child_has_the_signal,
        terminate_can_be_handled_and_kill_cannot,
        signals_after_the_end_reach_no_process,
        is_alive_until_the_end_joined_or_not,
        the_sentinel_can_be_polled_before_and_after_join,
        a_dropped_process_runs_on_and_leaves_no_zombie,
        active_children_are_those_that_run,
        a_daemon_dies_with_its_parent,
        a_daemon_dies_with_its_parent_killed,
        a_plain_child_outlives_its_parent,
        a_daemon_whose_parent_lives_on_is_left_alone,
        a_fresh_program_opens_a_queue_by_name,
        a_program_that_is_not_there_is_an_error,
        a_threaded_program_is_refused_with_the_function_to_call,
        a_joined_thread_does_not_prevent_a_fork,
        a_copy_of_a_process_in_a_child_is_inert,
    ]
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}

fn globals_are_separate() {
    static GLOBAL: AtomicU32 = AtomicU32::new(1);
    let child = Process::spawn(|| {
        GLOBAL.fetch_add(10, SeqCst);
        GLOBAL.load(SeqCst) as i32
    })
    .unwrap();
    assert_eq!(child.join().unwrap().code(), Some(11));
    assert_eq!(GLOBAL.load(SeqCst), 1);
}

fn exit_codes_are_what_the_closure_returned() {
    assert_eq!(Process::spawn(|| ()).unwrap().join().unwrap().code(), Some(0));
    assert_eq!(Process::spawn(|| 42).unwrap().join().unwrap().code(), Some(42));
    assert_eq!(Process::spawn(|| Ok::<(), String>(())).unwrap().join().unwrap().code(), Some(0));
    assert_eq!(Process::spawn(|| Err::<(), _>("no")).unwrap().join().unwrap().code(), Some(1));
    assert_eq!(Process::spawn(|| -> () { std::process::exit(9) }).unwrap().join().unwrap().code(), Some(9));
}

/// What a child writes to stderr, and how it ends.
fn stderr_of(run: impl FnOnce() -> Result<(), String>) -> (String, std::process::ExitStatus) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors that the call writes.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let child = Process::spawn(|| {
        // SAFETY: dup2 takes numbers; both descriptors are open.
        unsafe { libc::dup2(ends[1], libc::STDERR_FILENO) };
        run()
    })
    .unwrap();
    // SAFETY: this process owns both descriptors. The first goes to the `File`; the second is
    // closed and not used again.
    let mut reader = unsafe {
        libc::close(ends[1]);
        File::from_raw_fd(ends[0])
    };
    let status = child.join().unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    (said, status)
}

fn an_error_is_printed_on_stderr() {
    let (said, status) = stderr_of(|| Err("the disk is full".to_string()));
    assert_eq!((said.as_str(), status.code()), ("Error: \"the disk is full\"\n", Some(1)));
}

fn a_panic_is_printed_on_stderr_and_sets_the_exit_status() {
    let (said, status) = stderr_of(|| panic!("no more {}", "paper"));
    assert!(said.contains("no more paper"), "{said}");
    assert_eq!(status.code(), Some(101));
}

fn join_timeout_is_never_early_and_zero_is_one_check() {
    let child = Process::spawn(|| forever()).unwrap();
    assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), None);
    let start = Instant::now();
    assert_eq!(child.join_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(30));
    child.kill().unwrap();
    let status = child.join_timeout(Duration::MAX).unwrap().unwrap();
    assert_eq!(child.join_timeout(Duration::ZERO).unwrap(), Some(status));
    assert_eq!(child.join().unwrap(), status);
}

fn the_status_of_a_killed_child_has_the_signal() {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGABRT] {
        let child = Process::spawn(|| forever()).unwrap();
        // SAFETY: kill takes two numbers. The child has not been reaped, so its pid is still its
        // own.
        unsafe { libc::kill(child.pid() as i32, signal) };
        let status = child.join().unwrap();
        assert_eq!((status.signal(), status.code()), (Some(signal), None));
    }
}

fn terminate_can_be_handled_and_kill_cannot() {
    let ready = shared_word();
    let child = Process::spawn(|| {
        // SAFETY: SIG_IGN installs no handler, so no code runs in one.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        ready.store(1, SeqCst);
        forever()
    })
    .unwrap();
    wait_for_count("the child to ignore SIGTERM", ready, 1);
    child.terminate().unwrap();
    assert_eq!(child.join_timeout(Duration::from_millis(20)).unwrap(), None);
    child.kill().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
}

fn signals_after_the_end_reach_no_process() {
    let child = Process::spawn(|| ()).unwrap();
    child.join().unwrap();
    child.terminate().unwrap();
    child.kill().unwrap();
    assert!(child.join().unwrap().success());
}

fn is_alive_until_the_end_joined_or_not() {
    let go = shared_word();
    let child = Process::spawn(|| wait_for_count("the parent's word", go, 1)).unwrap();
    assert!(child.is_alive());
    go.store(1, SeqCst);
    wait_until("the end of the child", || !child.is_alive(), String::new);
    assert!(child.join().unwrap().success());
    assert!(!child.is_alive());
}

fn is_ready(sentinel: BorrowedFd<'_>, longest_ms: i32) -> bool {
    let mut ended = libc::pollfd { fd: sentinel.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, on an open descriptor.
    unsafe { libc::poll(&mut ended, 1, longest_ms) == 1 }
}

fn the_sentinel_can_be_polled_before_and_after_join() {
    let child = Process::spawn(|| forever()).unwrap();
    assert!(!is_ready(child.as_fd(), 0));
    child.kill().unwrap();
    assert!(is_ready(child.as_fd(), 30_000));
    child.join().unwrap();
    assert!(is_ready(child.sentinel().unwrap(), 0));
}

fn state_of(pid: u32) -> Option<char> {
    state_and_group(pid as libc::pid_t).map(|(state, _)| state)
}

fn a_dropped_process_runs_on_and_leaves_no_zombie() {
    let go = shared_word();
    let child = Process::spawn(|| wait_for_count("the parent's word", go, 1)).unwrap();
    let pid = child.pid();
    drop(child);
    assert!(matches!(state_of(pid), Some(state) if state != 'Z'));
    assert_eq!(active_children(), [pid]);
    go.store(1, SeqCst);
    wait_until("the zombie", || state_of(pid) == Some('Z'), || format!("{:?}", state_of(pid)));
    drop(Process::spawn(|| ()).unwrap()); // any later spawn or drop reaps it
    assert_eq!(state_of(pid), None);
    // Dropped after its end, it is reaped at once. Until then the last one is there, too.
    let ended = Process::spawn(|| ()).unwrap();
    let pid = ended.pid();
    wait_until("the zombie", || state_of(pid) == Some('Z'), || format!("{:?}", state_of(pid)));
    drop(ended);
    assert_eq!(state_of(pid), None);
    wait_until("no children", || active_children().is_empty(), || format!("{:?}", active_children()));
}

fn active_children_are_those_that_run() {
    assert_eq!(active_children(), []);
    let mut children: Vec<Process> = (0..3).map(|_| Process::spawn(|| forever()).unwrap()).collect();
    let mut pids: Vec<u32> = children.iter().map(Process::pid).collect();
    assert_eq!(active_children(), pids);
    children[1].kill().unwrap();
    wait_until("one to be gone", || active_children().len() == 2, || format!("{:?}", active_children()));
    pids.remove(1);
    assert_eq!(active_children(), pids);
    // The check reaped it, and its status is still available.
    assert_eq!(children[1].join().unwrap().signal(), Some(libc::SIGKILL));
    let inside = Process::spawn(|| active_children().len() as i32).unwrap();
    assert_eq!(inside.join().unwrap().code(), Some(0), "a child's children are not its parent's");
    for child in &mut children {
        child.kill().unwrap();
        child.join().unwrap();
    }
}

/// Orphans of a parent that has ended become children of the case.
fn reap_orphan(pid: u32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write.
    wait_until(
        "the orphan's end",
        || unsafe { libc::waitpid(pid as i32, &mut status, libc::WNOHANG) } == pid as i32,
        || format!("{:?}", state_of(pid)),
    );
    status
}

fn parent_of_a_daemon(reported: &'static AtomicU64, end: impl FnOnce()) -> crate::support::process::Child {
    fork_with_code("the daemon's parent", move || {
        let child = Process::spawn_daemon(|| forever()).unwrap();
        reported.store(u64::from(child.pid()), SeqCst);
        end();
        0
    })
}

fn a_daemon_dies_with_its_parent() {
    let reported = shared_word();
    parent_of_a_daemon(reported, || ()).expect_success();
    assert_eq!(reap_orphan(reported.load(SeqCst) as u32), libc::SIGKILL);
}

fn a_daemon_dies_with_its_parent_killed() {
    let reported = shared_word();
    let parent = parent_of_a_daemon(reported, || forever());
    wait_until("the daemon", || reported.load(SeqCst) != 0, String::new);
    parent.kill();
    assert_eq!(reap_orphan(reported.load(SeqCst) as u32), libc::SIGKILL);
}

fn a_plain_child_outlives_its_parent() {
    let words = shared_words(2);
    let parent = fork_with_code("a parent", move || {
        let child = Process::spawn(|| wait_for_count("the word", &words[1], 1)).unwrap();
        words[0].store(u64::from(child.pid()), SeqCst);
        forever()
    });
    wait_until("the child", || words[0].load(SeqCst) != 0, String::new);
    parent.kill();
    let pid = words[0].load(SeqCst) as u32;
    assert!(matches!(state_of(pid), Some(state) if state != 'Z'));
    words[1].store(1, SeqCst);
    assert_eq!(reap_orphan(pid), 0);
}

fn a_daemon_whose_parent_lives_on_is_left_alone() {
    let child = Process::spawn_daemon(|| forever()).unwrap();
    wait_until("the daemon to sleep", || is_asleep(child.pid() as i32), || format!("{child:?}"));
    assert!(child.is_alive());
    child.kill().unwrap();
    child.join().unwrap();
}

pub const FRESH: &str = "--fresh-program";

pub fn fresh_program(name: &str) -> ExitCode {
    let queue = Queue::<u64>::open(name).expect("the parent's queue is there");
    let asked = queue.get().expect("a question");
    queue.put(&(asked + 1)).expect("room for the answer");
    ExitCode::from(5)
}

fn a_fresh_program_opens_a_queue_by_name() {
    let name = unique_name("fresh");
    let queue = Queue::<u64>::create(&name, 1).unwrap();
    queue.put(&41).unwrap();
    let child = Process::command(Command::new(std::env::current_exe().unwrap()).args([FRESH, &name])).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(5));
    assert_eq!(queue.get().unwrap(), 42);
}

fn a_program_that_is_not_there_is_an_error() {
    let refused = Process::command(&mut Command::new("/no/such/program"));
    assert!(matches!(refused, Err(SpawnError::Os { .. })), "{refused:?}");
    assert_eq!(active_children(), []);
}

fn a_threaded_program_is_refused_with_the_function_to_call() {
    let refused = std::thread::scope(|scope| scope.spawn(|| Process::spawn(|| ())).join().unwrap());
    let error = refused.unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
    assert!(error.to_string().contains("shmq::process::init()"), "{error}");
    // The thread is gone, so now it works.
    assert!(Process::spawn(|| ()).unwrap().join().unwrap().success());
}

fn a_joined_thread_does_not_prevent_a_fork() {
    // More load than processors: a joined thread has to be scheduled once more before it is off the
    // kernel's list.
    let stop = shared_word();
    let load: Vec<_> = (0..8).map(|_| fork("load", || burn_until(stop))).collect();
    for round in 0..50 {
        std::thread::spawn(|| ()).join().unwrap();
        let child = Process::spawn(|| ()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(child.join().unwrap().success());
    }
    stop.store(1, SeqCst);
    expect_all_succeed(load);
}

fn a_copy_of_a_process_in_a_child_is_inert() {
    let first = Process::spawn(|| forever()).unwrap();
    let second = Process::spawn(|| {
        assert!(first.kill().is_err());
        assert!(first.join().is_err());
        assert!(!first.is_alive());
        drop(first);
    })
    .unwrap();
    assert!(second.join().unwrap().success());
    let [pid] = active_children()[..] else { panic!("{:?}", active_children()) };
    // SAFETY: kill takes two numbers. The child has not been reaped, so its pid is still its own.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    wait_until("no children", || active_children().is_empty(), || format!("{:?}", active_children()));
}
