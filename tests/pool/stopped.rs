//! Nothing outlives the program: not where its helpers are stopped, nor where tasks change the
//! user.

use crate::cases;
use crate::support::harness::{Case, skip};
use crate::support::process::{
    children_of, fork_with_code, parent_of, send_signal, shared_words, state_and_group, wait_for_count,
};
use crate::support::wait_until;
use shmq::{Pool, Process};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        a_program_killed_beside_its_stopped_supervisor_takes_all_with_it,
        a_program_killed_beside_its_stopped_standby_takes_all_with_it,
        a_program_that_ends_beside_its_stopped_standby_takes_all_with_it,
        a_worker_that_has_been_another_user_dies_with_its_supervisor,
        a_worker_that_its_supervisor_may_not_signal_ends_with_the_pool,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with the program of a case: made before it is forked.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(4))
}

const READY: usize = 0;
const GO: usize = 1;

/// Waits for the ends of orphaned processes, which are children of the case.
fn reap_orphans() {
    wait_until(
        "the ends of all orphans",
        || {
            // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
            while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
            // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) == -1 }
        },
        || format!("children: {:?}", children_of(std::process::id())),
    );
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = children_of(pid);
    children.iter().copied().chain(children.iter().flat_map(|&child| descendants(child))).collect()
}

/// Runs a program until it is ready and kills it, or lets it end. All its processes must end.
fn expect_end_of_all(killed: bool, run: fn()) {
    words();
    let program = fork_with_code("a program", move || {
        run();
        words()[READY].store(1, SeqCst);
        wait_for_count("the case's go", &words()[GO], 1);
        // SAFETY: this process was forked from one without threads, so `exit` may run its handlers.
        unsafe { libc::exit(0) }
    });
    wait_for_count("a program that is ready", &words()[READY], 1);
    let all = descendants(program.pid());
    assert!(all.len() >= 2, "{all:?}");
    if killed {
        program.kill();
    } else {
        words()[GO].store(1, SeqCst);
        program.expect_success();
    }
    reap_orphans();
    assert!(all.iter().all(|&pid| state_and_group(pid as i32).is_none()), "{all:?}");
}

/// Stops a process once it has that many children.
fn stop(pid: u32, children: usize) {
    wait_until("its children", || children_of(pid).len() == children, || format!("{:?}", children_of(pid)));
    send_signal(pid as i32, libc::SIGSTOP);
    let is_stopped = || state_and_group(pid as i32).is_some_and(|(state, _)| state == 'T');
    wait_until("a stopped helper", is_stopped, String::new);
}

fn a_program_killed_beside_its_stopped_supervisor_takes_all_with_it() {
    expect_end_of_all(true, || {
        let pool = Pool::new(2).unwrap();
        stop(parent_of(pool.worker_pids()[0]), 3);
        std::mem::forget(pool);
    });
}

/// Starts a fork server and a daemon, and stops the standby.
fn stop_the_standby() {
    shmq::process::init().unwrap();
    std::mem::forget(
        Process::call_daemon(
            |()| loop {
                std::thread::park()
            },
            (),
        )
        .unwrap(),
    );
    stop(children_of(std::process::id())[0], 1);
}

fn a_program_killed_beside_its_stopped_standby_takes_all_with_it() {
    expect_end_of_all(true, stop_the_standby);
}

fn a_program_that_ends_beside_its_stopped_standby_takes_all_with_it() {
    expect_end_of_all(false, stop_the_standby);
}

/// For cases that only root can run.
fn skip_unless_root() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        skip("not root: it cannot become another user");
    }
}

const USER: u32 = 4242;

fn a_worker_that_has_been_another_user_dies_with_its_supervisor() {
    skip_unless_root();
    // Changes the effective user and changes it back, for which the kernel clears the parent-death
    // signal.
    let task = |()| {
        // SAFETY: seteuid takes a number.
        assert_eq!(unsafe { (libc::seteuid(USER), libc::seteuid(0)) }, (0, 0));
        std::process::id()
    };
    let pool = Pool::new(1).unwrap();
    let worker = pool.apply(task, ()).unwrap();
    send_signal(parent_of(worker) as i32, libc::SIGKILL);
    wait_until("its end", || state_and_group(worker as i32).is_none_or(|(state, _)| state == 'Z'), String::new);
    assert_ne!(pool.apply(task, ()).unwrap(), worker);
    pool.terminate();
    pool.join().unwrap();
    reap_orphans();
}

/// Takes from this process, and those that it forks, the right to signal other users' processes.
fn drop_right_to_kill() {
    const VERSION_3: u32 = 0x2008_0522;
    const KILL: u32 = 5;
    let mut header = [VERSION_3, 0];
    let mut sets = [0u32; 6];
    // SAFETY: the header has two words and the data two times three; all outlive the calls.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()), 0);
        sets[..3].iter_mut().for_each(|set| *set &= !(1 << KILL));
        assert_eq!(libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_ptr()), 0);
    }
}

fn a_worker_that_its_supervisor_may_not_signal_ends_with_the_pool() {
    skip_unless_root();
    words();
    drop_right_to_kill();
    let become_another = |()| {
        // SAFETY: setuid takes a number.
        assert_eq!(unsafe { libc::setuid(USER) }, 0);
    };
    let pool = Pool::builder().workers(1).initializer(become_another, ()).build().unwrap();
    let task = |()| {
        words()[READY].store(1, SeqCst);
        wait_for_count("a word that never comes", &words()[GO], 1);
    };
    let never = pool.apply_async(task, ()).unwrap();
    wait_for_count("the task", &words()[READY], 1);
    let worker = pool.worker_pids()[0];
    drop(pool);
    assert!(never.get().is_err());
    assert!(state_and_group(worker as i32).is_none_or(|(state, _)| state == 'Z'));
    reap_orphans();
}
