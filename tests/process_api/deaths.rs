//! Kills of a program, of its fork server and of the standby: what becomes of called processes.

use crate::calls::{code_of, end_fork_server, forever, fork_servers};
use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{
    self, children_of, fork_with_code, own_children, parent_of, send_signal, shared_word, shared_words, state_and_group,
    wait_for_count,
};
use crate::support::{Rng, wait_until};
use shmq::process::init;
use shmq::{Process, SpawnError};
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        a_called_daemon_dies_with_the_killed_program_and_the_fork_server_too,
        a_called_process_outlives_the_killed_program,
        a_killed_fork_server_is_replaced,
        a_killed_standby_is_replaced,
        processes_of_a_killed_fork_server_are_joined_as_ever,
        a_called_daemon_dies_with_the_killed_fork_server,
        orphans_of_a_killed_fork_server_leave_no_zombies,
        calls_beside_killed_fork_servers_run_once,
        calls_beside_a_killed_standby_run_once,
        after_replacements_all_end_with_the_killed_program,
        fork_server_and_standby_killed_at_once_are_an_error_and_hang_no_caller,
    ]
}

/// A program with a fork server and one called process is killed. Returns the pids of the standby
/// and of the process.
fn killed_program(daemon: bool) -> [u32; 2] {
    let words = shared_words(2);
    let program = fork_with_code("a program", move || {
        init().unwrap();
        let [standby] = own_children()[..] else { panic!("one standby") };
        let child = if daemon { Process::call_daemon(forever, ()) } else { Process::call(forever, ()) };
        words[0].store(u64::from(standby), SeqCst);
        words[1].store(u64::from(child.unwrap().pid()), SeqCst);
        forever(());
        0
    });
    wait_until("the program's children", || words[1].load(SeqCst) != 0, String::new);
    program.kill();
    [words[0].load(SeqCst) as u32, words[1].load(SeqCst) as u32]
}

/// Orphaned processes are children of the case now.
fn reap(pid: u32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is an int that the call may write.
    wait_until(
        "an orphan's end",
        || unsafe { libc::waitpid(pid as i32, &mut status, libc::WNOHANG) } == pid as i32,
        || format!("{:?}", state_and_group(pid as i32)),
    );
    status
}

fn a_called_daemon_dies_with_the_killed_program_and_the_fork_server_too() {
    let [standby, child] = killed_program(true);
    assert_eq!(reap(standby), 0);
    // Reaped by the standby perhaps, or by this process.
    reap_all();
    assert_eq!(state_and_group(child as i32), None);
}

fn a_called_process_outlives_the_killed_program() {
    let [standby, child] = killed_program(false);
    assert_eq!(reap(standby), 0);
    assert!(matches!(state_and_group(child as i32), Some((state, _)) if state != 'Z'));
    // SAFETY: kill takes two numbers. The child is an orphan that this process adopted and has not
    // reaped, so its pid is still its own.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
    assert_eq!(reap(child), libc::SIGKILL);
}

fn kill(pid: u32) {
    send_signal(pid as i32, libc::SIGKILL);
}

fn a_killed_fork_server_is_replaced() {
    init().unwrap();
    for n in 0..5 {
        let (standby, fork_server) = fork_servers();
        kill(fork_server);
        assert_eq!(Process::call(code_of, n).unwrap().join().unwrap().code(), Some(n));
        assert_eq!(own_children(), [standby]);
        assert_ne!(fork_servers().1, fork_server);
    }
    end_fork_server();
}

fn a_killed_standby_is_replaced() {
    init().unwrap();
    let (mut standby, mut fork_server) = fork_servers();
    for n in 0..5 {
        kill(standby);
        assert_eq!(Process::call(code_of, n).unwrap().join().unwrap().code(), Some(n));
        if n == 0 {
            // The child of this process is gone, and not a zombie.
            wait_until("its end", || !own_children().contains(&standby), || format!("{:?}", own_children()));
            assert_eq!(state_and_group(standby as i32), None);
        } else {
            assert_eq!(reap(standby), libc::SIGKILL);
        }
        // The fork server becomes the standby of a new one that it forks.
        standby = fork_server;
        wait_until("a fork server", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
        fork_server = children_of(standby)[0];
    }
    assert_eq!(own_children(), [standby], "adopted by the case");
    process::end_fork_server(standby);
    assert_eq!(reap(standby), libc::SIGKILL);
}

/// Ends with that code once the case stores the word.
fn end_at_word(code: i32) -> i32 {
    wait_for_count("the word to end", &words()[0], 1);
    code
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with called processes: made before `init`, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(4))
}

fn processes_of_a_killed_fork_server_are_joined_as_ever() {
    words();
    init().unwrap();
    let ends = Process::call(end_at_word, 7).unwrap();
    let killed = Process::call(forever, ()).unwrap();
    let ended = Process::call(code_of, 8).unwrap();
    wait_until("its end", || !ended.is_alive(), String::new);
    for _ in 0..2 {
        kill(fork_servers_with_orphans().1);
        assert_eq!(Process::call(code_of, 9).unwrap().join().unwrap().code(), Some(9));
    }
    assert!(ends.is_alive() && killed.is_alive());
    killed.kill().unwrap();
    assert_eq!(killed.join().unwrap().signal(), Some(libc::SIGKILL));
    assert_eq!(ended.join().unwrap().code(), Some(8));
    assert_eq!(ends.join_timeout(Duration::ZERO).unwrap(), None);
    words()[0].store(1, SeqCst);
    assert_eq!(ends.join().unwrap().code(), Some(7));
    end_fork_server();
}

/// Like `fork_servers`, where the standby has adopted others: the fork server is the youngest.
fn fork_servers_with_orphans() -> (u32, u32) {
    let standby = own_children()[0];
    // Once a call was answered, the current fork server is the one that answered it.
    let child = Process::call(forever, ()).unwrap();
    let fork_server = parent_of(child.pid());
    child.kill().unwrap();
    child.join().unwrap();
    (standby, fork_server)
}

fn a_called_daemon_dies_with_the_killed_fork_server() {
    init().unwrap();
    let daemon = Process::call_daemon(forever, ()).unwrap();
    kill(fork_servers().1);
    assert_eq!(daemon.join().unwrap().signal(), Some(libc::SIGKILL));
    end_fork_server();
}

fn orphans_of_a_killed_fork_server_leave_no_zombies() {
    words();
    init().unwrap();
    let mut pids: Vec<u32> = (0..3).map(|n| Process::call(end_at_word, n).unwrap().pid()).collect(); // dropped at once
    // A child of a called process, which becomes an orphan that the program never joins.
    let leave = |()| {
        let child = Process::spawn(|| end_at_word(0)).unwrap();
        words()[1].store(u64::from(child.pid()), SeqCst);
    };
    assert!(Process::call(leave, ()).unwrap().join().unwrap().success());
    pids.push(words()[1].load(SeqCst) as u32);
    let (standby, fork_server) = fork_servers_with_orphans();
    kill(fork_server);
    words()[0].store(1, SeqCst);
    let left = || pids.iter().filter(|&&pid| state_and_group(pid as i32).is_some()).count();
    wait_until("the standby to reap them", || left() == 0, || format!("{} left", left()));
    wait_until("only a fork server", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
    end_fork_server();
}

fn calls_beside_killed_fork_servers_run_once() {
    const CALLS: u64 = 60;
    words();
    init().unwrap();
    let mut rng = Rng::new("kills of fork servers");
    let callers: Vec<_> = (0..2)
        .map(|caller| {
            std::thread::spawn(move || {
                for n in 0..CALLS {
                    let code = ((caller * CALLS + n) % 100) as i32;
                    let count = |(code, _): (i32, Vec<u8>)| {
                        words()[0].fetch_add(1, SeqCst);
                        words()[1].store(u64::from(parent_id()), SeqCst);
                        code
                    };
                    // Large enough for a kill in the middle of it.
                    let child = Process::call(count, (code, vec![1; 10_000])).unwrap();
                    assert_eq!(child.join().unwrap().code(), Some(code));
                }
            })
        })
        .collect();
    let (standby, _) = fork_servers_with_orphans();
    let mut kills = 0;
    while !callers.iter().all(|caller| caller.is_finished()) {
        let fork_server = words()[1].swap(0, SeqCst) as u32;
        if parent_of(fork_server) == standby {
            // SAFETY: kill takes two numbers. The pid is that of a fork server, which an earlier
            // kill may just have ended: no other process gets its pid so soon.
            kills += i32::from(unsafe { libc::kill(fork_server as i32, libc::SIGKILL) } == 0);
        }
        std::thread::sleep(rng.duration_below(Duration::from_millis(6)));
    }
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!(words()[0].load(SeqCst), 2 * CALLS);
    assert!(kills > 0);
    // The last kill may have been a moment ago: the fork server to be ended is not the one that was
    // killed, but the next.
    fork_servers_with_orphans();
    end_fork_server();
}

fn calls_beside_a_killed_standby_run_once() {
    let mut rng = Rng::new("kills of standbys");
    for _ in 0..10 {
        let (done, pause) = (shared_word(), rng.duration_below(Duration::from_millis(3)));
        let program = fork_with_code("a program", || {
            init().unwrap();
            let (standby, _) = fork_servers();
            let caller = std::thread::spawn(move || {
                for n in 0..20 {
                    let code = Process::call(code_of, n).unwrap().join().unwrap().code();
                    assert_eq!(code, Some(n));
                    done.fetch_add(1, SeqCst);
                }
            });
            std::thread::sleep(pause);
            kill(standby);
            caller.join().unwrap();
            0
        });
        program.expect_success();
        assert_eq!(done.load(SeqCst), 20);
    }
    reap_all();
}

fn after_replacements_all_end_with_the_killed_program() {
    let words = shared_words(4);
    let program = fork_with_code("a program", move || {
        init().unwrap();
        kill(fork_servers().1);
        let (standby, fork_server) = fork_servers_with_orphans();
        kill(standby);
        let plain = Process::call(forever, ()).unwrap();
        let daemon = Process::call_daemon(forever, ()).unwrap();
        let pids = [fork_server, parent_of(daemon.pid()), plain.pid(), daemon.pid()];
        pids.iter().zip(words).for_each(|(&pid, word)| word.store(u64::from(pid), SeqCst));
        forever(());
        0
    });
    wait_for_count("the program's processes", &words[3], 1);
    program.kill();
    let [standby, fork_server, plain, daemon] = [0, 1, 2, 3].map(|place: usize| words[place].load(SeqCst) as u32);
    let gone = |pid: u32| state_and_group(pid as i32).is_none_or(|(state, _)| state == 'Z');
    for pid in [standby, fork_server, daemon] {
        wait_until("its end", || gone(pid), || format!("{:?}", state_and_group(pid as i32)));
    }
    wait_until("an orphan", || parent_of(plain) == std::process::id(), || format!("of {}", parent_of(plain)));
    assert!(!gone(plain));
    kill(plain);
    assert_eq!(reap(plain), libc::SIGKILL);
    reap_all();
}

/// Reaps all remaining children.
fn reap_all() {
    // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
    let reaped = || while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {};
    let none = || {
        reaped();
        children_of(std::process::id()).is_empty()
    };
    wait_until("the ends of all", none, || format!("{:?}", children_of(std::process::id())));
}

fn fork_server_and_standby_killed_at_once_are_an_error_and_hang_no_caller() {
    init().unwrap();
    let (standby, _) = fork_servers();
    let child = Process::call(forever, ()).unwrap();
    end_fork_server_pair(standby);
    let error = Process::call(code_of, 1).unwrap_err();
    assert!(matches!(error, SpawnError::ForkServerDied { pid } if pid == standby), "{error:?}");
    let error = child.join().unwrap_err();
    assert!(error.to_string().contains("fork server"), "{error}");
    // It can still be signalled. The case adopts orphans, so it takes the status.
    child.kill().ok();
    let pid = child.pid();
    kill(pid);
    assert_eq!(reap(pid), libc::SIGKILL);
}

fn end_fork_server_pair(standby: u32) {
    process::end_fork_server(standby);
    wait_until("the standby's end", || !own_children().contains(&standby), || format!("{:?}", own_children()));
}
