//! Calls: processes of programs with threads, through the spawner.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{fork_with_code, shared_words, state_and_group};
use crate::support::wait_until;
use serde::{Deserialize, Serialize};
use shmq::process::{active_children, init};
use shmq::{ObjectQueue, Process, Queue, SpawnError};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    cases![
        a_call_without_init_works_where_there_are_no_threads,
        a_call_without_init_is_refused_where_there_are_and_told_what_to_call,
        a_call_works_from_any_thread_after_init,
        a_call_works_under_tokio_after_init,
        init_is_refused_where_there_are_threads,
        init_twice_is_one_spawner,
        a_call_sees_the_program_as_it_was_at_init,
        any_serde_argument_travels,
        an_argument_that_cannot_be_encoded_is_an_error,
        an_argument_that_cannot_be_decoded_is_an_exit_code,
        a_called_process_is_joined_timed_out_and_killed_like_any_other,
        a_panic_in_a_call_is_an_exit_status,
        the_sentinel_of_a_called_process_can_be_polled,
        called_processes_leave_no_zombies,
        many_threads_call_at_once,
        a_called_daemon_dies_with_the_killed_program_and_the_spawner_too,
        a_called_process_outlives_the_killed_program,
        a_killed_spawner_is_an_error_and_hangs_nobody,
        a_called_process_may_call,
    ]
}

/// Ends the spawner, which would end with this process, but a moment too late for the harness.
fn end_spawner() {
    for pid in active_children() {
        // SAFETY: our own child, not reaped.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    }
    wait_until("no children", || active_children().is_empty(), || format!("{:?}", active_children()));
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

fn a_call_without_init_is_refused_where_there_are_and_told_what_to_call() {
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
    end_spawner();
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
            let mut child = call.await.unwrap();
            let status = tokio::task::spawn_blocking(move || child.join()).await.unwrap();
            assert!(status.unwrap().success());
        }
        let mut said: Vec<String> = (0..3).map(|_| queue.try_get().unwrap()).collect();
        said.sort();
        said
    });
    assert_eq!(said, ["from 0", "from 1", "from 2"]);
    drop(runtime);
    end_spawner();
}

fn init_is_refused_where_there_are_threads() {
    let error = in_a_thread(init).unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
}

fn init_twice_is_one_spawner() {
    init().unwrap();
    in_a_thread(init).unwrap();
    assert_eq!(active_children().len(), 1);
    end_spawner();
}

fn a_call_sees_the_program_as_it_was_at_init() {
    static GLOBAL: AtomicU32 = AtomicU32::new(1);
    GLOBAL.store(2, SeqCst);
    init().unwrap();
    GLOBAL.store(3, SeqCst);
    assert_eq!(Process::call(|()| GLOBAL.load(SeqCst) as i32, ()).unwrap().join().unwrap().code(), Some(2));
    end_spawner();
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
    end_spawner();
}

#[derive(Deserialize)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for this"))
    }
}

fn an_argument_that_cannot_be_encoded_is_an_error() {
    for _ in 0..2 {
        let error = Process::call(|_: Refusing| (), Refusing).unwrap_err();
        assert!(matches!(error, SpawnError::Encode { .. }), "{error:?}");
        assert!(error.to_string().contains("no words for this"), "{error}");
        init().unwrap();
    }
    end_spawner();
}

fn an_argument_that_cannot_be_decoded_is_an_exit_code() {
    let gone = Queue::<u8>::new(1).unwrap();
    init().unwrap();
    // A handle whose queue is gone when it arrives.
    #[derive(Serialize, Deserialize)]
    struct Stale(#[serde(serialize_with = "stale")] Queue<u8>);
    fn stale<S: serde::Serializer>(_: &Queue<u8>, to: S) -> Result<S::Ok, S::Error> {
        ("nobody has this name", 1u64, None::<&str>).serialize(to)
    }
    let status = Process::call(|_: Stale| (), Stale(gone)).unwrap().join().unwrap();
    assert_eq!(status.code(), Some(1));
    end_spawner();
}

fn a_called_process_is_joined_timed_out_and_killed_like_any_other() {
    init().unwrap();
    let mut child = Process::call(forever, ()).unwrap();
    let start = Instant::now();
    assert_eq!(child.join_timeout(Duration::from_millis(30)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(child.is_alive() && active_children().contains(&child.pid()));
    child.kill().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
    assert!(!child.is_alive() && !active_children().contains(&child.pid()));
    child.kill().unwrap();
    let mut child = Process::call(forever, ()).unwrap();
    child.terminate().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGTERM));
    end_spawner();
}

fn a_panic_in_a_call_is_an_exit_status() {
    init().unwrap();
    let mut child = Process::call(|what: String| -> () { panic!("no {what}") }, "paper".to_string()).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(101));
    let mut child = Process::call(|what: String| Err::<(), _>(what), "no".to_string()).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(1));
    end_spawner();
}

fn the_sentinel_of_a_called_process_can_be_polled() {
    init().unwrap();
    let mut child = Process::call(forever, ()).unwrap();
    let mut ended = libc::pollfd { fd: child.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd, on an open descriptor.
    assert_eq!(unsafe { libc::poll(&mut ended, 1, 0) }, 0);
    child.kill().unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::poll(&mut ended, 1, 30_000) }, 1);
    child.join().unwrap();
    end_spawner();
}

fn called_processes_leave_no_zombies() {
    init().unwrap();
    let pids: Vec<u32> = (0..5).map(|n| Process::call(code_of, n).unwrap().pid()).collect(); // dropped at once
    let left = || pids.iter().filter(|&&pid| state_and_group(pid as i32).is_some()).count();
    wait_until("the spawner to reap them", || left() == 0, || format!("{} left", left()));
    end_spawner();
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
    end_spawner();
}

/// A program with a spawner and one called process, killed: pids of the spawner and the process.
fn killed_program(daemon: bool) -> [u32; 2] {
    let words = shared_words(2);
    let program = fork_with_code("a program", move || {
        init().unwrap();
        let [spawner] = active_children()[..] else { panic!("one spawner") };
        let child = if daemon { Process::call_daemon(forever, ()) } else { Process::call(forever, ()) };
        words[0].store(u64::from(spawner), SeqCst);
        words[1].store(u64::from(child.unwrap().pid()), SeqCst);
        forever(());
        0
    });
    wait_until("the program's children", || words[1].load(SeqCst) != 0, String::new);
    program.kill();
    [words[0].load(SeqCst) as u32, words[1].load(SeqCst) as u32]
}

/// They were orphaned, so they are children of the case now.
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

fn a_called_daemon_dies_with_the_killed_program_and_the_spawner_too() {
    let [spawner, child] = killed_program(true);
    assert_eq!(reap(spawner), 0);
    assert_eq!(reap(child), libc::SIGKILL);
}

fn a_called_process_outlives_the_killed_program() {
    let [spawner, child] = killed_program(false);
    assert_eq!(reap(spawner), 0);
    assert!(matches!(state_and_group(child as i32), Some((state, _)) if state != 'Z'));
    // SAFETY: an orphan of ours, not reaped.
    unsafe { libc::kill(child as i32, libc::SIGKILL) };
    assert_eq!(reap(child), libc::SIGKILL);
}

fn a_killed_spawner_is_an_error_and_hangs_nobody() {
    init().unwrap();
    let [spawner] = active_children()[..] else { panic!("one spawner") };
    let mut child = Process::call(forever, ()).unwrap();
    // SAFETY: our own child, not reaped.
    unsafe { libc::kill(spawner as i32, libc::SIGKILL) };
    wait_until("the spawner's end", || !active_children().contains(&spawner), || format!("{:?}", active_children()));
    let error = Process::call(code_of, 1).unwrap_err();
    assert!(matches!(error, SpawnError::SpawnerDied { pid } if pid == spawner), "{error:?}");
    let error = child.join().unwrap_err();
    assert!(error.to_string().contains("spawner"), "{error}");
    // It can still be signalled. Its status is the case's to take, which adopts orphans.
    child.kill().ok();
    let pid = child.pid();
    // SAFETY: an orphan of ours, not reaped.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    assert_eq!(reap(pid), libc::SIGKILL);
}

fn a_called_process_may_call() {
    init().unwrap();
    let nested = |n: i32| -> i32 { Process::call(code_of, n + 1).unwrap().join().unwrap().code().unwrap() };
    assert_eq!(Process::call(nested, 5).unwrap().join().unwrap().code(), Some(6));
    end_spawner();
}
