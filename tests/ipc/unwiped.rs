//! Systems where `MADV_WIPEONFORK` is accepted but does nothing, as under user-mode emulators and
//! in some sandboxes: a seccomp filter answers it with success.

use crate::roles::{expect_end, expect_open, pair};
use crate::support::harness::{Case, skip};
use crate::support::process::{Exit, fork, poll_exit, send_signal, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, wait_at_most};
use shmq::{GetError, PutError, Queue};
use std::cell::RefCell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_killed_child_of_a_fork_is_distinguished_from_its_parent,
        a_killed_child_of_a_raw_fork_is_distinguished_from_its_parent,
        what_a_child_inherits_is_inert_where_nothing_is_wiped,
        an_inherited_sender_counts_where_nothing_is_wiped,
        finding_out_disturbs_no_other_process,
    ]
}

/// From now on the advice is accepted and does nothing, in this process and its children.
fn accept_the_advice_and_do_nothing() {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const UNLESS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut steps = [
        step(LOAD, 0, 0), // the call's number
        step(UNLESS_EQUAL, 3, libc::SYS_madvise as u32),
        step(LOAD, 0, if cfg!(target_endian = "little") { 32 } else { 36 }), // its third argument
        step(UNLESS_EQUAL, 1, libc::MADV_WIPEONFORK as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO), // "0"
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the filter outlives the calls, which only read it.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if !installed {
        skip("no filter can be installed here");
    }
}

fn a_killed_child_of_a_fork_is_distinguished_from_its_parent() {
    accept_the_advice_and_do_nothing();
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let held = shared_word();
    let child = fork("a child to be killed", || {
        let _lease = queue.lease().unwrap();
        held.store(1, Release);
        std::thread::sleep(PATIENCE);
    });
    wait_for_count("the lease", held, 1);
    child.kill();
    let lease = queue.lease_timeout(BY_ITSELF).expect("the child is dead, and its parent another");
    assert_eq!((*lease, lease.deliveries()), (1, 2));
}

/// The exit of a child that was forked directly.
fn end_of(pid: libc::pid_t) -> Exit {
    let mut exit = None;
    let ended = || {
        exit = poll_exit(pid);
        exit.is_some()
    };
    wait_at_most(PATIENCE, "a raw-forked child", ended, || format!("process {pid}"));
    exit.expect("it has ended")
}

/// A fork that runs no handlers.
fn raw_fork(run: impl FnOnce()) -> libc::pid_t {
    // SAFETY: this process has one thread, and the child uses only what is safe after a fork of a
    // single-threaded process.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t } {
        0 => {
            run();
            // SAFETY: _exit has no preconditions; it ends the child.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    }
}

fn a_killed_child_of_a_raw_fork_is_distinguished_from_its_parent() {
    accept_the_advice_and_do_nothing();
    let queue: Queue<u64> = Queue::new(3).unwrap();
    for round in 0..3 {
        queue.put(&round).unwrap();
        let child = raw_fork(|| {
            let _lease = queue.lease().unwrap();
            // SAFETY: raise takes a number; SIGKILL ends this process.
            unsafe { libc::raise(libc::SIGKILL) };
        });
        assert_eq!(end_of(child), Exit::Signal(libc::SIGKILL));
        let lease = queue.lease_timeout(BY_ITSELF).expect("the child is dead, and its parent another");
        assert_eq!((*lease, lease.deliveries()), (round, 2));
        lease.release();
    }
}

fn what_a_child_inherits_is_inert_where_nothing_is_wiped() {
    accept_the_advice_and_do_nothing();
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    let lease = RefCell::new(Some(queue.lease().unwrap()));
    let producer = RefCell::new(Some(queue.producer().unwrap()));
    fork("a child", || {
        drop(lease.take());
        assert!(matches!(producer.take().unwrap().put(&2), Err(PutError::Inherited)));
        assert!(matches!(queue.put(&2), Err(PutError::Held { .. })));
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    })
    .expect_success();
    producer.take().unwrap().put(&3).unwrap();
    lease.take().unwrap().give_back();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 3));
}

fn an_inherited_sender_counts_where_nothing_is_wiped() {
    accept_the_advice_and_do_nothing();
    let (sender, receiver) = pair(3);
    let child = raw_fork(|| {
        sender.put(&1).unwrap();
        std::thread::sleep(PATIENCE);
    });
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    drop(sender);
    expect_open(&receiver);
    send_signal(child, libc::SIGKILL);
    assert_eq!(end_of(child), Exit::Signal(libc::SIGKILL));
    expect_end(&receiver);
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

fn finding_out_disturbs_no_other_process() {
    accept_the_advice_and_do_nothing();
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGCHLD, count_signal as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    let go = shared_word();
    let child = raw_fork(|| {
        while go.load(Relaxed) == 0 {
            std::hint::spin_loop();
        }
    });
    // The crate forks, to find out.
    let queue: Queue<u64> = Queue::new(3).unwrap();
    queue.put(&1).unwrap();
    assert_eq!(SIGNALS.load(Relaxed), 0, "no child has ended");
    // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
    assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, 0, "the only child is at work");
    go.store(1, Relaxed);
    assert_eq!(end_of(child), Exit::Code(0));
    assert_eq!(SIGNALS.load(Relaxed), 1);
}
