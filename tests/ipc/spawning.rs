//! `Process`: how a child ended, which process may ask for it, and what becomes of children that
//! are never joined.

use crate::support::harness::Case;
use crate::support::process::{PANICKED, fork, state_and_group};
use crate::support::wait_until;
#[cfg(not(shmq_portable_sync))]
use shmq::Queue;
use shmq::{Process, PutError, SpawnError};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_process_says_how_it_ended,
        a_process_is_waited_for_until_the_deadline,
        a_dropped_process_is_reaped_by_a_later_spawn,
        an_inherited_process_is_inert,
        a_threaded_program_is_refused,
        #[cfg(not(shmq_portable_sync))]
        a_killed_process_gives_its_lease_back,
    ]
}

fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

fn a_process_says_how_it_ended() {
    let code = |process: Process| {
        let status = process.join().unwrap();
        assert_eq!((process.exit_status().unwrap(), process.is_alive()), (Some(status), false), "the same again");
        status.code().unwrap_or_else(|| panic!("{status}"))
    };
    assert_eq!(code(Process::spawn(|| ()).unwrap()), 0);
    assert_eq!(code(Process::spawn(|| Ok::<(), PutError>(())).unwrap()), 0);
    assert_eq!(code(Process::spawn(|| Err::<(), _>(PutError::Full)).unwrap()), 1);
    assert_eq!(code(Process::spawn(|| 7).unwrap()), 7);
    assert_eq!(
        code(
            Process::spawn(|| if true {
                panic!("as asked")
            })
            .unwrap()
        ),
        PANICKED
    );
    for (signal, send) in [(libc::SIGKILL, Process::kill as fn(&Process) -> _), (libc::SIGTERM, Process::terminate)] {
        let process = Process::spawn(sleep_for_ever).unwrap();
        assert!(process.is_alive() && process.exit_status().unwrap().is_none());
        send(&process).unwrap();
        assert_eq!(process.join().unwrap().signal(), Some(signal));
        send(&process).expect("no child is there any more, which is fine");
    }
}

fn a_process_is_waited_for_until_the_deadline() {
    let process = Process::spawn(sleep_for_ever).unwrap();
    for asked in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(12)] {
        let started = Instant::now();
        assert!(process.join_timeout(asked).unwrap().is_none());
        assert!(started.elapsed() >= asked, "asked {asked:?}");
    }
    process.kill().unwrap();
    assert_eq!(process.join_timeout(Duration::MAX).unwrap().unwrap().signal(), Some(libc::SIGKILL));
}

fn a_dropped_process_is_reaped_by_a_later_spawn() {
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let process = Process::spawn(|| {
        let mut byte = [0];
        let _ = std::io::Read::read(&mut &reader, &mut byte);
    })
    .unwrap();
    let pid = process.pid() as libc::pid_t;
    drop(process);
    assert!(state_and_group(pid).is_some_and(|(state, _)| state != 'Z'), "dropping waits for no child and kills none");
    std::io::Write::write_all(&mut &writer, b"x").unwrap();
    let state = || format!("{:?}", state_and_group(pid));
    wait_until("the orphan to end", || state_and_group(pid).is_some_and(|(state, _)| state == 'Z'), state);
    let next = Process::spawn(|| ()).unwrap();
    assert_eq!(state_and_group(pid), None, "reaped");
    assert!(next.join().unwrap().success());
}

fn an_inherited_process_is_inert() {
    let process = Process::spawn(sleep_for_ever).unwrap();
    let copy = fork("one with a copy", || {
        let unsupported = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        unsupported(process.join().unwrap_err());
        unsupported(process.exit_status().unwrap_err());
        unsupported(process.kill().unwrap_err());
        unsupported(process.terminate().unwrap_err());
        assert!(!process.is_alive());
    });
    copy.expect_success();
    assert!(process.is_alive(), "the copy could not kill it");
    process.kill().unwrap();
    process.join().unwrap();
}

fn a_threaded_program_is_refused() {
    let (end, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv());
    let refused = Process::spawn(|| ());
    assert!(matches!(refused, Err(SpawnError::Threaded { threads: 2 })), "{refused:?}");
    drop(end);
    thread.join().unwrap().unwrap_err();
    assert!(Process::spawn(|| ()).unwrap().join().unwrap().success(), "the thread is gone");
}

#[cfg(not(shmq_portable_sync))]
fn a_killed_process_gives_its_lease_back() {
    let (tasks, taken): (Queue<u64>, Queue<u64>) = (Queue::new(2).unwrap(), Queue::new(2).unwrap());
    tasks.put(&5).unwrap();
    let worker = Process::spawn(|| {
        let lease = tasks.lease().unwrap();
        taken.put(&lease).unwrap();
        sleep_for_ever();
    })
    .unwrap();
    assert_eq!(taken.get_timeout(crate::support::PATIENCE).unwrap(), 5);
    worker.kill().unwrap();
    worker.join().unwrap();
    let again = tasks.lease_timeout(crate::support::PATIENCE).unwrap();
    assert_eq!((*again, again.deliveries()), (5, 2));
}
