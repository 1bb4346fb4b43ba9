//! A pool in a service: signals to the process group, descriptors that the program closes, and what
//! becomes of workers that a signal ends nevertheless.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{end_fork_server, own_children, send_signal, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, wait_at_most, wait_until};
use shmq::{Pool, TaskError};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        tasks_are_finished_after_a_signal_to_the_process_group,
        tasks_are_finished_after_a_signal_to_the_process_group_with_a_fork_server,
        workers_have_the_programs_signals_if_asked,
        a_dead_worker_is_reported_with_its_pid_and_status,
        a_worker_that_died_with_its_supervisor_is_reported_with_its_pid,
        a_pipe_ends_though_a_pool_lives,
        a_pipe_ends_though_a_pool_lives_with_a_fork_server,
        workers_have_the_descriptors_that_are_kept,
        workers_have_the_descriptors_that_are_kept_with_a_fork_server,
    ]
}

static WORDS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Shared with the workers: set before the pool is built, inherited by fork.
fn words() -> &'static [AtomicU64] {
    WORDS.get_or_init(|| shared_words(4))
}

const GO: usize = 0;
const RUNNING: usize = 1;

fn wait_for_go(n: u64) -> u64 {
    words()[RUNNING].fetch_add(1, SeqCst);
    wait_for_count("the case's go", &words()[GO], 1);
    n
}

extern "C" fn ignore(_: libc::c_int) {}

fn set_signal(signal: libc::c_int, disposition: libc::sighandler_t) {
    // SAFETY: the disposition is SIG_DFL, SIG_IGN, or a handler that does nothing.
    unsafe { libc::signal(signal, disposition) };
}

/// The program handles the signal and goes on. Running and waiting tasks are finished without being
/// retried.
fn signal_the_group() {
    for disposition in [ignore as *const () as libc::sighandler_t, libc::SIG_IGN] {
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT] {
            set_signal(signal, disposition);
            words().iter().for_each(|word| word.store(0, SeqCst));
            let pool = Pool::new(2).unwrap();
            let work = pool.batch().chunk_size(1).map_async(wait_for_go, 0..6).unwrap();
            wait_for_count("two tasks to run", &words()[RUNNING], 2);
            // SAFETY: kill takes two numbers; 0 is the case's own process group.
            assert_eq!(unsafe { libc::kill(0, signal) }, 0);
            words()[GO].store(1, SeqCst);
            assert_eq!(work.get(), Ok(vec![0, 1, 2, 3, 4, 5]), "signal {signal}");
            pool.close();
            pool.join().unwrap();
            assert_eq!(pool.stats().died, 0, "signal {signal}");
            set_signal(signal, libc::SIG_DFL);
        }
    }
}

fn tasks_are_finished_after_a_signal_to_the_process_group() {
    words();
    signal_the_group();
}

/// Runs a case in a program with a fork server.
fn with_a_fork_server(case: fn()) {
    words();
    shmq::process::init().unwrap();
    case();
    let [standby] = own_children()[..] else { panic!("only the fork server's standby: {:?}", own_children()) };
    end_fork_server(standby);
    wait_until("its end", || own_children().is_empty(), String::new);
}

fn tasks_are_finished_after_a_signal_to_the_process_group_with_a_fork_server() {
    with_a_fork_server(signal_the_group);
}

/// The outcome for a worker that sends itself a signal.
fn raise(signal: i32) -> i32 {
    // SAFETY: kill takes two numbers; the signal goes to this process.
    unsafe { libc::kill(libc::getpid(), signal) };
    signal
}

fn workers_have_the_programs_signals_if_asked() {
    set_signal(libc::SIGHUP, libc::SIG_IGN);
    set_signal(libc::SIGTERM, ignore as *const () as libc::sighandler_t);
    let endings = [libc::SIGTERM, libc::SIGQUIT, libc::SIGINT];
    let pool = Pool::builder().workers(1).build().unwrap();
    for signal in endings.into_iter().chain([libc::SIGHUP]) {
        assert_eq!(pool.apply(raise, signal), Ok(signal), "a worker ignores it");
    }
    let pool = Pool::builder().workers(1).program_signals(true).build().unwrap();
    assert_eq!(pool.apply(raise, libc::SIGHUP), Ok(libc::SIGHUP), "the program ignores it");
    for signal in endings {
        let ended = pool.apply(raise, signal);
        let Err(TaskError::WorkerDied { status: Some(status), .. }) = ended else {
            panic!("signal {signal} does not end the worker: {ended:?}")
        };
        assert_eq!(status.signal(), Some(signal), "a handler of the program's becomes the default");
    }
}

fn a_dead_worker_is_reported_with_its_pid_and_status() {
    let pool = Pool::new(2).unwrap();
    let exit = |code: i32| -> i32 { std::process::exit(code) };
    for code in [0, 3] {
        let before = pool.worker_pids();
        let error = pool.apply(exit, code).unwrap_err();
        let TaskError::WorkerDied { attempts: 1, pid: Some(pid), status: Some(status) } = error else { panic!("{error:?}") };
        assert_eq!(status.code(), Some(code));
        assert!(before.contains(&pid), "{pid} of {before:?}");
        assert!(
            error.to_string().contains(&format!("process {pid}")) && error.to_string().contains(&format!("{status}")),
            "{error}"
        );
        wait_until("another", || pool.worker_pids().len() == 2 && !pool.worker_pids().contains(&pid), String::new);
    }
    // The last of several attempts, and each task of a chunk.
    let pool = Pool::builder().workers(1).retries(2).build().unwrap();
    let first = pool.worker_pids()[0];
    let results: Vec<_> = pool.batch().chunk_size(2).imap(raise, [libc::SIGKILL, 0]).unwrap().collect();
    for result in &results {
        let Err(TaskError::WorkerDied { attempts: 3, pid: Some(pid), status: Some(status) }) = result else {
            panic!("{result:?}")
        };
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        assert_ne!(*pid, first);
    }
    assert_eq!((results.len(), pool.stats().died), (2, 3));
}

/// The supervisor would have reported how the worker ended. The pid is reported nevertheless, and
/// nothing waits for ever.
fn a_worker_that_died_with_its_supervisor_is_reported_with_its_pid() {
    words();
    let pool = Pool::new(1).unwrap();
    let worker = pool.worker_pids()[0];
    let work = pool.apply_async(wait_for_go, 1).unwrap();
    wait_for_count("the task to run", &words()[RUNNING], 1);
    send_signal(crate::support::process::parent_of(worker) as i32, libc::SIGKILL);
    assert_eq!(work.get_timeout(BY_ITSELF), Err(TaskError::WorkerDied { attempts: 1, pid: Some(worker), status: None }));
    drop(pool);
    // Its standby was orphaned, and is a child of this process.
    wait_until(
        "the end of all orphans",
        || {
            // SAFETY: the status pointer is null, which is permitted; the call writes nothing.
            while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
            own_children().is_empty()
        },
        || format!("{:?}", own_children()),
    );
}

/// A reader sees the end of what a program writes, whatever processes the program's pool has.
fn pipe_ends() {
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.apply(|n: u64| n, 1), Ok(1));
    writer.write_all(b"text").unwrap();
    drop(writer);
    reader.set_nonblocking(true).unwrap();
    let mut said = Vec::new();
    let mut is_over = || match reader.read_to_end(&mut said) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    };
    wait_at_most(BY_ITSELF, "the end of the stream", &mut is_over, || "it is still open".to_owned());
    assert_eq!(said, b"text");
    drop(pool);
}

fn a_pipe_ends_though_a_pool_lives() {
    pipe_ends();
}

fn a_pipe_ends_though_a_pool_lives_with_a_fork_server() {
    with_a_fork_server(pipe_ends);
}

fn write_to(number: i32) -> bool {
    // SAFETY: the number is the worker's copy of the descriptor, or /dev/null in its place.
    // `ManuallyDrop` keeps it open.
    let mut file = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(number) });
    file.write_all(b"from a worker").is_ok()
}

fn kept_descriptors() {
    let [(mut reader, writer), (dropped_reader, dropped)] = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
    let pool = Pool::builder().workers(1).keep_fds([writer.as_raw_fd()]).build().unwrap();
    assert_eq!(pool.apply(write_to, writer.as_raw_fd()), Ok(true));
    let mut said = [0; 13];
    reader.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"from a worker");
    // The other descriptor leads elsewhere.
    let _ = pool.apply(write_to, dropped.as_raw_fd());
    dropped_reader.set_nonblocking(true).unwrap();
    assert_eq!((&dropped_reader).read(&mut said).unwrap_err().kind(), ErrorKind::WouldBlock);
    // A replacement worker has it, too.
    assert!(pool.apply(|code: i32| -> i32 { std::process::exit(code) }, 1).is_err());
    assert_eq!(pool.apply(write_to, writer.as_raw_fd()), Ok(true));
}

fn workers_have_the_descriptors_that_are_kept() {
    kept_descriptors();
}

fn workers_have_the_descriptors_that_are_kept_with_a_fork_server() {
    with_a_fork_server(kept_descriptors);
}
