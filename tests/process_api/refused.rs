//! Helpers that the system refuses something, that are stopped, or that have rights which the
//! program has given up.

use crate::cases;
use crate::support::harness::{Case, skip};
use crate::support::process::{
    children_of, end_fork_server, own_children, send_signal, shared_words, state_and_group, wait_for_count,
};
use crate::support::{BY_ITSELF, wait_until};
use shmq::process::init;
use shmq::{Pool, PoolError, Process, SpawnError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        ends_are_reported_and_calls_refused_while_no_fork_server_can_be_forked,
        a_join_sleeps_though_a_helper_has_ended_and_is_not_reaped,
        calls_are_refused_while_the_program_has_other_rights_than_at_init,
    ]
}

/// Any user but root, which is exempt from the limit of processes.
const USER: u32 = 4242;

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with called processes: made before `init`, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(4))
}

/// Ends with that code once the case stores the word.
fn end_at_word(code: i32) -> i32 {
    wait_for_count("the word to end", &words()[0], 1);
    code
}

/// The standby, which is a child of this process, and the fork server, which is the standby's
/// child.
fn fork_servers() -> (u32, u32) {
    let standby = own_children()[0];
    wait_until("a fork server", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
    (standby, children_of(standby)[0])
}

fn descendants(pid: u32) -> Vec<u32> {
    let children = children_of(pid);
    children.iter().copied().chain(children.iter().flat_map(|&child| descendants(child))).collect()
}

/// Ends both. They would end with this process, but a moment too late for the harness.
fn end_ours(standby: u32) {
    let all = || descendants(standby);
    wait_until("a fork server and no other", || all().len() == 1, || format!("{:?}", all()));
    end_fork_server(standby);
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Allows the process to fork, or forbids it.
fn allow_forks(pid: u32, allowed: bool) {
    // SAFETY: the first call fills `limit`, and the second reads it.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::prlimit(pid as i32, libc::RLIMIT_NPROC, std::ptr::null(), &mut limit), 0);
        limit.rlim_cur = if allowed { limit.rlim_max } else { 0 };
        assert_eq!(libc::prlimit(pid as i32, libc::RLIMIT_NPROC, &limit, std::ptr::null_mut()), 0);
    }
}

fn ends_are_reported_and_calls_refused_while_no_fork_server_can_be_forked() {
    words();
    if is_root() {
        // SAFETY: setuid takes a number.
        assert_eq!(unsafe { libc::setuid(USER) }, 0);
    }
    init().unwrap();
    let (standby, fork_server) = fork_servers();
    let children = [7, 8].map(|code| Process::call(end_at_word, code).unwrap());
    allow_forks(standby, false);
    send_signal(fork_server as i32, libc::SIGKILL);
    wait_until("orphans", || !children_of(standby).contains(&fork_server), || format!("{:?}", children_of(standby)));
    match Process::call(end_at_word, 9) {
        Err(SpawnError::Os { source, .. }) => assert_eq!(source.raw_os_error(), Some(libc::EAGAIN)),
        other => panic!("{other:?}"),
    }
    words()[0].store(1, SeqCst);
    for (child, code) in children.iter().zip([7, 8]) {
        let status = child.join_timeout(BY_ITSELF).unwrap();
        assert_eq!(status.and_then(|status| status.code()), Some(code));
    }
    wait_until("no zombies", || children_of(standby).is_empty(), || format!("{:?}", children_of(standby)));
    allow_forks(standby, true);
    let again = || Process::call(end_at_word, 5).is_ok_and(|child| child.join().unwrap().code() == Some(5));
    wait_until("a fork server again", again, String::new);
    end_ours(standby);
}

/// Processor time of this process.
fn worked() -> Duration {
    // SAFETY: a timespec consists of plain integers, for which zeroes are valid; the call fills it.
    let mut used: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the call may write `used`, which outlives it.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut used) }, 0);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn a_join_sleeps_though_a_helper_has_ended_and_is_not_reaped() {
    words();
    init().unwrap();
    let (standby, fork_server) = fork_servers();
    let child = Process::call(end_at_word, 3).unwrap();
    let pool = Pool::new(1).unwrap();
    let supervisor = children_of(fork_server).into_iter().find(|pid| *pid != child.pid()).unwrap();
    send_signal(fork_server as i32, libc::SIGSTOP);
    send_signal(supervisor as i32, libc::SIGKILL);
    let is_zombie = || state_and_group(supervisor as i32).is_some_and(|(state, _)| state == 'Z');
    wait_until("a zombie", is_zombie, String::new);
    let before = worked();
    assert_eq!(child.join_timeout(Duration::from_secs(2)).unwrap(), None);
    let spent = worked() - before;
    assert!(spent < Duration::from_millis(700), "{spent:?} of two seconds");
    send_signal(fork_server as i32, libc::SIGCONT);
    words()[0].store(1, SeqCst);
    assert_eq!(child.join().unwrap().code(), Some(3));
    drop(pool);
    end_ours(standby);
}

fn calls_are_refused_while_the_program_has_other_rights_than_at_init() {
    if !is_root() {
        skip("not root: it cannot become another user");
    }
    words()[0].store(1, SeqCst);
    init().unwrap();
    let (standby, _) = fork_servers();
    let works = || Process::call(end_at_word, 3).is_ok_and(|child| child.join().unwrap().code() == Some(3));
    let expect_refusal = || {
        let refused = Process::call(end_at_word, 3).unwrap_err();
        assert!(matches!(refused, SpawnError::RightsChanged), "{refused:?}");
        assert!(refused.to_string().contains("drop rights before init()"), "{refused}");
        assert!(matches!(Pool::new(1), Err(PoolError::Spawn(SpawnError::RightsChanged))));
        assert!(matches!(init(), Err(SpawnError::RightsChanged)));
    };
    assert!(works());
    // SAFETY: seteuid and setegid take numbers; setgroups reads a list of one element, `USER`.
    unsafe {
        assert_eq!(libc::seteuid(USER), 0);
        expect_refusal();
        assert_eq!(libc::seteuid(0), 0);
        assert!(works());
        assert_eq!(libc::setegid(USER), 0);
        expect_refusal();
        assert_eq!(libc::setegid(0), 0);
        assert!(works());
        assert_eq!(libc::setgroups(1, &USER), 0);
    }
    expect_refusal();
    end_ours(standby);
}
