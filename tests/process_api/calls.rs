//! Calls: processes of programs with threads, through the fork server.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{self, children_of, own_children, state_and_group};
use crate::support::wait_until;
use shmq::process::{active_children, init};
use shmq::{ObjectQueue, Process, Queue};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_call_works_from_any_thread_after_init,
        a_call_works_under_tokio_after_init,
        a_called_process_is_joined_timed_out_and_killed_like_any_other,
        a_panic_in_a_call_is_an_exit_status,
        the_sentinel_of_a_called_process_can_be_polled,
        called_processes_leave_no_zombies,
        many_threads_call_at_once,
        called_processes_have_the_signals_of_the_program,
        a_called_process_may_call,
    ]
}

/// The standby, which is a child of this process, and the fork server, which is the standby's
/// child.
pub fn fork_servers() -> (u32, u32) {
    let standby = own_children().first().copied().unwrap_or_else(|| panic!("no standby among {:?}", own_children()));
    wait_until("a fork server", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
    (standby, children_of(standby)[0])
}

/// Ends both. They would end with this process, but a moment too late for the harness.
pub fn end_fork_server() {
    process::end_fork_server(fork_servers().0);
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

pub fn code_of(n: i32) -> i32 {
    n
}

pub fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

pub fn in_a_thread<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(run).join().unwrap()
}

fn a_call_works_from_any_thread_after_init() {
    init().unwrap();
    let queue = Queue::<u64>::new(4).unwrap();
    let theirs = queue.clone();
    let status =
        in_a_thread(move || Process::call(|(n, queue): (u64, Queue<u64>)| queue.put(&(n * 2)), (21, theirs)).unwrap().join());
    assert!(status.unwrap().success());
    assert_eq!(queue.get().unwrap(), 42);
    end_fork_server();
}

fn a_call_works_under_tokio_after_init() {
    init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let queue = ObjectQueue::<String>::new(4).unwrap();
    let theirs = queue.clone();
    let said = runtime.block_on(async move {
        let calls = (0..3).map(|n| {
            let theirs = theirs.clone();
            tokio::spawn(async move {
                Process::call(|(n, to): (u32, ObjectQueue<String>)| to.put(&format!("from {n}")), (n, theirs)).unwrap()
            })
        });
        for call in calls.collect::<Vec<_>>() {
            let child = call.await.unwrap();
            let status = tokio::task::spawn_blocking(move || child.join()).await.unwrap();
            assert!(status.unwrap().success());
        }
        let mut said: Vec<String> = (0..3).map(|_| queue.try_get().unwrap()).collect();
        said.sort();
        said
    });
    assert_eq!(said, ["from 0", "from 1", "from 2"]);
    drop(runtime);
    end_fork_server();
}

fn a_called_process_is_joined_timed_out_and_killed_like_any_other() {
    init().unwrap();
    let child = Process::call(forever, ()).unwrap();
    let start = Instant::now();
    assert_eq!(child.join_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(child.is_alive() && active_children().contains(&child.pid()));
    child.kill().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
    assert!(!child.is_alive() && !active_children().contains(&child.pid()));
    child.kill().unwrap();
    let child = Process::call(forever, ()).unwrap();
    child.terminate().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
    end_fork_server();
}

fn a_panic_in_a_call_is_an_exit_status() {
    init().unwrap();
    let child = Process::call(|what: String| -> () { panic!("no {what}") }, "paper".to_string()).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(101));
    let child = Process::call(|what: String| Err::<(), _>(what), "no".to_string()).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(1));
    end_fork_server();
}

fn the_sentinel_of_a_called_process_can_be_polled() {
    init().unwrap();
    let child = Process::call(forever, ()).unwrap();
    let mut ended = libc::pollfd { fd: child.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, on an open descriptor.
    assert_eq!(unsafe { libc::poll(&mut ended, 1, 0) }, 0);
    child.kill().unwrap();
    // SAFETY: one pollfd, which the call may write; the child still owns the open descriptor.
    assert_eq!(unsafe { libc::poll(&mut ended, 1, 30_000) }, 1);
    child.join().unwrap();
    end_fork_server();
}

fn called_processes_leave_no_zombies() {
    init().unwrap();
    let pids: Vec<u32> = (0..5).map(|n| Process::call(code_of, n).unwrap().pid()).collect(); // dropped at once
    let left = || pids.iter().filter(|&&pid| state_and_group(pid as i32).is_some()).count();
    wait_until("the fork server to reap them", || left() == 0, || format!("{} left", left()));
    end_fork_server();
}

fn many_threads_call_at_once() {
    init().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..10).for_each(|n| {
                    let code = thread * 10 + n;
                    assert_eq!(Process::call(code_of, code).unwrap().join().unwrap().code(), Some(code));
                })
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    end_fork_server();
}

fn called_processes_have_the_signals_of_the_program() {
    // A program that ignores SIGCHLD: the statuses of called processes are reported all the same.
    // SAFETY: SIG_IGN installs no handler, so no code runs in one.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    init().unwrap();
    let reported = |()| {
        // SAFETY: a sigset_t consists of plain words, which the call fills before they are read.
        unsafe {
            let mut blocked: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut blocked);
            let ignored = libc::signal(libc::SIGCHLD, libc::SIG_DFL) == libc::SIG_IGN;
            i32::from(ignored) + 2 * libc::sigismember(&blocked, libc::SIGCHLD)
        }
    };
    assert_eq!(Process::call(reported, ()).unwrap().join().unwrap().code(), Some(1));
    // SAFETY: SIG_DFL installs no handler, so no code runs in one.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    end_fork_server();
}

fn a_called_process_may_call() {
    init().unwrap();
    let nested = |n: i32| -> i32 { Process::call(code_of, n + 1).unwrap().join().unwrap().code().unwrap() };
    assert_eq!(Process::call(nested, 5).unwrap().join().unwrap().code(), Some(6));
    end_fork_server();
}
