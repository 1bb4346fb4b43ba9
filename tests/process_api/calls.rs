//! Calls: processes of programs with threads, through the fork server.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{
    self, children_of, fork_with_code, own_children, parent_of, send_signal, shared_word, shared_words, state_and_group,
    wait_for_count,
};
use crate::support::{Rng, wait_until};
use serde::{Deserialize, Serialize};
use shmq::process::{active_children, init};
use shmq::{ObjectQueue, Process, Queue, SpawnError};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_call_without_init_works_where_there_are_no_threads,
        a_call_without_init_is_refused_with_threads_and_names_what_to_call,
        a_call_works_from_any_thread_after_init,
        a_call_works_under_tokio_after_init,
        init_is_refused_where_there_are_threads,
        init_twice_is_one_fork_server,
        a_call_sees_the_program_as_it_was_at_init,
        any_serde_argument_travels,
        every_form_of_a_function_travels,
        an_argument_that_cannot_be_encoded_is_an_error,
        an_argument_that_cannot_be_decoded_is_an_exit_code,
        a_called_process_is_joined_timed_out_and_killed_like_any_other,
        a_panic_in_a_call_is_an_exit_status,
        the_sentinel_of_a_called_process_can_be_polled,
        called_processes_leave_no_zombies,
        many_threads_call_at_once,
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
        called_processes_have_the_signals_of_the_program,
        a_called_process_may_call,
    ]
}

/// The standby, which is a child of this process, and the fork server, which is the standby's
/// child.
fn fork_servers() -> (u32, u32) {
    let standby = own_children().first().copied().unwrap_or_else(|| panic!("no standby among {:?}", own_children()));
    wait_until("a fork server", || children_of(standby).len() == 1, || format!("{:?}", children_of(standby)));
    (standby, children_of(standby)[0])
}

/// Ends both. They would end with this process, but a moment too late for the harness.
fn end_fork_server() {
    process::end_fork_server(fork_servers().0);
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

fn code_of(n: i32) -> i32 {
    n
}

fn forever(_: ()) {
    loop {
        std::thread::park();
    }
}

fn in_a_thread<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    std::thread::spawn(run).join().unwrap()
}

fn a_call_without_init_works_where_there_are_no_threads() {
    assert_eq!(Process::call(code_of, 7).unwrap().join().unwrap().code(), Some(7));
    assert_eq!(Process::call(|(a, b): (i32, i32)| a + b, (3, 4)).unwrap().join().unwrap().code(), Some(7));
}

fn a_call_without_init_is_refused_with_threads_and_names_what_to_call() {
    let error = in_a_thread(|| Process::call(code_of, 7)).unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
    assert!(error.to_string().contains("call shmq::process::init() first in main"), "{error}");
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

fn init_is_refused_where_there_are_threads() {
    let error = in_a_thread(init).unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
}

fn init_twice_is_one_fork_server() {
    init().unwrap();
    in_a_thread(init).unwrap();
    assert_eq!(own_children().len(), 1);
    end_fork_server();
}

fn a_call_sees_the_program_as_it_was_at_init() {
    static GLOBAL: AtomicU32 = AtomicU32::new(1);
    GLOBAL.store(2, SeqCst);
    init().unwrap();
    GLOBAL.store(3, SeqCst);
    assert_eq!(Process::call(|()| GLOBAL.load(SeqCst) as i32, ()).unwrap().join().unwrap().code(), Some(2));
    end_fork_server();
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Argument {
    Number(i64),
    Map(BTreeMap<String, Vec<u8>>),
}

fn any_serde_argument_travels() {
    init().unwrap();
    let argument = || Argument::Map(BTreeMap::from([("key".to_string(), vec![1; 3_000_000]), (String::new(), vec![])]));
    let check = |(got, numbers): (Argument, Vec<i128>)| {
        let expected = Argument::Map(BTreeMap::from([("key".to_string(), vec![1; 3_000_000]), (String::new(), vec![])]));
        assert!(got == expected && numbers == [-1]);
    };
    let status = Process::call(check, (argument(), vec![-1i128])).unwrap().join().unwrap();
    assert!(status.success());
    end_fork_server();
}

#[derive(Deserialize)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for this"))
    }
}

/// The functions are chosen at run time, which the type of a closure cannot express.
fn every_form_of_a_function_travels() {
    fn same<T>(value: T) -> T {
        value
    }
    fn double(n: i32) -> i32 {
        n * 2
    }
    struct Code(i32);
    let code = |child: Process| child.join().unwrap().code();
    for by_init in [false, true] {
        if by_init {
            init().unwrap();
        }
        for (place, right) in [5, 10, 6].into_iter().enumerate() {
            let chosen = [same, double, |n| n + 1][place];
            assert_eq!(code(Process::call(chosen, 5).unwrap()), Some(right));
        }
        assert_eq!(code(Process::call(|(a, b): (i32, i32)| a - b, (9, 4)).unwrap()), Some(5));
        assert_eq!(code(Process::call(|text: String| text.len() as i32, "four".to_owned()).unwrap()), Some(4));
        assert_eq!(code(Process::call(|n| Code(n).0, 3).unwrap()), Some(3));
        assert_eq!(code(Process::call(|n: i32| std::process::exit(n), 7).unwrap()), Some(7));
        assert_eq!(code(Process::call_daemon(double, 4).unwrap()), Some(8));
    }
    process::end_fork_server(fork_servers().0);
    wait_until("its end", || own_children().is_empty(), String::new);
}

fn an_argument_that_cannot_be_encoded_is_an_error() {
    for _ in 0..2 {
        let error = Process::call(|_: Refusing| (), Refusing).unwrap_err();
        assert!(matches!(error, SpawnError::Encode { .. }), "{error:?}");
        assert!(error.to_string().contains("no words for this"), "{error}");
        init().unwrap();
    }
    end_fork_server();
}

fn an_argument_that_cannot_be_decoded_is_an_exit_code() {
    let gone = Queue::<u8>::new(1).unwrap();
    init().unwrap();
    // A handle whose queue is gone when it arrives.
    #[derive(Serialize, Deserialize)]
    struct Stale(#[serde(serialize_with = "stale")] Queue<u8>);
    fn stale<S: serde::Serializer>(_: &Queue<u8>, to: S) -> Result<S::Ok, S::Error> {
        ("no segment has this name", 1u64, None::<&str>).serialize(to)
    }
    let status = Process::call(|_: Stale| (), Stale(gone)).unwrap().join().unwrap();
    assert_eq!(status.code(), Some(1));
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
