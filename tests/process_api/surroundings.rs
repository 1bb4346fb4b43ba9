//! Containers and kernels: PID namespaces, process 1, and system calls that are not there.

use crate::calls::forever;
use crate::cases;
use crate::signals::end_ours;
use crate::support::harness::{self, Case};
use crate::support::process::{Exit, fork_with_code, own_children, send_signal, shared_words, state_and_group, wait_for_count};
use crate::support::wait_until;
use shmq::process::{active_children, init};
use shmq::{Process, Queue};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        children_in_a_pid_namespace_work,
        a_kernel_that_cannot_wait_for_pidfds_is_no_error,
        a_kernel_without_pidfds_is_no_error,
        a_normal_end_leaves_no_zombie,
    ]
}

fn children_in_a_pid_namespace_work() {
    // SAFETY: unshare takes a flag. Later children of this process are in the new namespace.
    if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
        harness::skip("no right to make a PID namespace");
    }
    let first = Process::spawn(|| forever(())).unwrap();
    let queue = Queue::<u64>::new(8).unwrap();
    let work = || {
        queue.put(&7).unwrap();
        // SAFETY: getppid has no preconditions.
        assert_eq!(unsafe { libc::getppid() }, 0);
    };
    let works = |child: Process, what: &str| {
        let status = child.join_timeout(Duration::from_secs(60)).unwrap().expect("its end");
        assert_eq!((status.code(), queue.try_get().ok()), (Some(0), Some(7)), "{what}: {status}");
    };
    works(Process::spawn_daemon(work).unwrap(), "a daemon");
    works(Process::spawn(work).unwrap(), "a plain one");
    init().unwrap();
    let put = |queue: Queue<u64>| queue.put(&7);
    works(Process::call(put, queue.clone()).unwrap(), "a called one");
    works(Process::call_daemon(put, queue.clone()).unwrap(), "a called daemon");
    let nested = |queue: Queue<u64>| {
        let child = Process::call_daemon(|queue: Queue<u64>| queue.put(&7), queue).unwrap();
        child.join().unwrap().code().unwrap()
    };
    works(Process::call(nested, queue.clone()).unwrap(), "a daemon of a called one");
    // Its pid is that of this namespace, and the end of its parent is noticed.
    let child = Process::call(forever, ()).unwrap();
    assert!(matches!(state_and_group(child.pid() as i32), Some((state, _)) if state != 'Z'));
    send_signal(child.pid() as i32, libc::SIGTERM);
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
    // All processes in the namespace end with its first one, which has not ended completely before
    // its standby, a child of this process, is reaped.
    first.kill().unwrap();
    assert!(first.join_timeout(Duration::from_secs(60)).unwrap().is_some());
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

/// From now on a system call fails for this process and its children: one whose first argument is
/// `argument`, if that is given.
fn refuse(call: libc::c_long, argument: Option<u32>, errno: i32) {
    let statement = |code: u32, yes: u8, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
    let load = |at: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let unless = |value: u32, skip: u8| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let answer = |k: u32| statement(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    // The words of seccomp_data: the number of the call at 0, its first argument at 16.
    let mut filter = vec![load(0), unless(call as u32, if argument.is_some() { 3 } else { 1 })];
    if let Some(argument) = argument {
        filter.extend([load(16), unless(argument, 1)]);
    }
    filter.extend([answer(libc::SECCOMP_RET_ERRNO | errno as u32), answer(libc::SECCOMP_RET_ALLOW)]);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the filter program lives during the calls; the kernel copies it.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if !refused {
        harness::skip("no seccomp filters");
    }
}

/// Children are joined and signalled, whichever process forks them.
fn children_are_joined_and_signalled() {
    let check = |start: &dyn Fn(i32) -> Process| {
        let child = start(7);
        assert_eq!(child.join().unwrap().code(), Some(7));
        child.kill().unwrap();
        let child = start(0);
        assert!(child.is_alive());
        assert_eq!(child.join_timeout(Duration::from_millis(5)).unwrap(), None);
        child.terminate().unwrap();
        assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(active_children(), []);
    };
    let run = |n: i32| if n == 0 { forever(()) } else { std::process::exit(n) };
    check(&|n| Process::spawn(|| run(n)).unwrap());
    check(&|n| Process::spawn_daemon(|| run(n)).unwrap());
    init().unwrap();
    check(&|n| Process::call(run, n).unwrap());
    check(&|n| Process::call_daemon(run, n).unwrap());
    end_ours();
}

fn a_kernel_that_cannot_wait_for_pidfds_is_no_error() {
    refuse(libc::SYS_waitid, Some(libc::P_PIDFD), libc::EINVAL);
    children_are_joined_and_signalled();
}

fn a_kernel_without_pidfds_is_no_error() {
    refuse(libc::SYS_pidfd_open, None, libc::ENOSYS);
    assert!(Process::spawn(|| ()).unwrap().sentinel().is_none());
    children_are_joined_and_signalled();
}

fn a_normal_end_leaves_no_zombie() {
    // This case acts like process 1 of a container: it adopts orphans, and it waits for its own
    // child only.
    for round in 0..5 {
        let words = shared_words(1);
        let mut program = fork_with_code("a program", move || {
            init().unwrap();
            assert_eq!(Process::call(|n: i32| n, 5).unwrap().join().unwrap().code(), Some(5));
            // Runs the exit handlers, like a program that returns from main.
            if round % 2 == 1 {
                std::thread::spawn(|| forever(()));
            }
            words[0].store(1, SeqCst);
            std::process::exit(3)
        });
        wait_for_count("a program", &words[0], 1);
        assert_eq!(program.wait(), Exit::Code(3));
        assert_eq!(own_children(), [], "round {round}");
    }
}
