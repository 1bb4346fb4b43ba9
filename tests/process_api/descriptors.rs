//! Descriptors: those that a child keeps, and too few of them.

use crate::calls::forever;
use crate::cases;
use crate::signals::{end_ours, pipe};
use crate::support::harness::Case;
use crate::support::process::shared_words;
use crate::support::wait_until;
use shmq::process::init;
use shmq::{Process, Queue, SpawnError};
use std::io::{self, Read};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        an_exhausted_fork_server_says_the_errno_and_recovers,
        a_program_without_free_numbers_gets_an_error_and_nothing_begins,
        a_spawned_process_keeps_the_descriptors_that_it_shall_and_no_others,
        a_called_process_gets_descriptors_of_the_call_at_their_numbers,
        a_descriptor_to_keep_that_is_not_open_is_an_error,
    ]
}

fn limit_numbers(most: u64) -> u64 {
    // SAFETY: an rlimit consists of plain integers; the first call fills `limit`.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        let before = limit.rlim_cur;
        limit.rlim_cur = most.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

fn errno_of(error: &SpawnError) -> Option<i32> {
    match error {
        SpawnError::Os { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

fn an_exhausted_fork_server_says_the_errno_and_recovers() {
    let before = limit_numbers(24);
    init().unwrap();
    limit_numbers(before);
    for round in 0..2 {
        let mut children = Vec::new();
        let refused = loop {
            assert!(children.len() < 24, "the fork server has no room for so many");
            match Process::call_daemon(forever, ()) {
                Ok(child) => children.push(child),
                Err(error) => break error,
            }
        };
        assert_eq!(errno_of(&refused), Some(libc::EMFILE), "{refused:?}");
        assert!(children.len() > 4, "{}", children.len());
        // Also where a call brings more descriptors than there is room for.
        let (_pipe, end) = pipe();
        let refused = Process::builder().keep_fds([end]).call(forever, ()).unwrap_err();
        assert_eq!(errno_of(&refused), Some(libc::EMFILE), "{refused:?}");
        // SAFETY: this process owns the descriptor, and does not use it again.
        unsafe { libc::close(end) };
        for child in &children {
            assert!(child.sentinel().is_some(), "round {round}");
            child.kill().unwrap();
            assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
        }
        drop(children);
        let again = || Process::call(|()| 7, ()).is_ok_and(|child| child.join().unwrap().code() == Some(7));
        wait_until("room again", again, String::new);
    }
    end_ours();
}

fn a_program_without_free_numbers_gets_an_error_and_nothing_begins() {
    let words = shared_words(1);
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    BEGUN.store(words.as_ptr() as u64, SeqCst);
    init().unwrap();
    let begin = |()| {
        // SAFETY: the address is that of the shared word above, which was mapped before init and is
        // never unmapped.
        unsafe { &*(BEGUN.load(SeqCst) as *const AtomicU64) }.fetch_add(1, SeqCst);
    };
    let highest = {
        let (_reader, end) = pipe();
        // SAFETY: this process owns the descriptor, and does not use it again.
        unsafe { libc::close(end) };
        end as u64
    };
    let mut begun = 0;
    // From no free descriptor at all to enough.
    for room in 0..10 {
        let before = limit_numbers(highest + room);
        let answer = Process::call(begin, ());
        limit_numbers(before);
        match answer {
            Ok(child) => {
                assert!(child.sentinel().is_some(), "room {room}");
                assert!(child.join().unwrap().success());
                begun += 1;
            }
            Err(error) => assert_eq!(errno_of(&error), Some(libc::EMFILE), "{error:?}, room {room}"),
        }
    }
    assert!(begun > 0 && begun < 10, "{begun}");
    assert_eq!(words[0].load(SeqCst), begun);
    end_ours();
}

/// Which of these descriptors are pipes, as bits.
fn pipes_among(numbers: &[RawFd]) -> i32 {
    let is_pipe = |number: &RawFd| {
        std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|path| path.to_string_lossy().starts_with("pipe:"))
    };
    (0..).zip(numbers).filter(|(_, number)| is_pipe(number)).map(|(place, _)| 1 << place).sum()
}

fn a_spawned_process_keeps_the_descriptors_that_it_shall_and_no_others() {
    let queue = Queue::<u64>::new(8).unwrap();
    let ((mut reader, end), (_other_reader, other)) = (pipe(), pipe());
    let child = Process::builder().keep_fds([other]).spawn(|| {
        queue.put(&pipes_among(&[end, other]).unsigned_abs().into()).unwrap();
        forever(())
    });
    let child = child.unwrap();
    assert_eq!(queue.get().unwrap(), 2, "the kept one is the second, and queues work");
    // SAFETY: this process owns the descriptor, and does not use it again.
    unsafe { libc::close(end) };
    // Not `WouldBlock`: no process holds the other end, though the child lives.
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    assert!(child.is_alive());
    child.kill().unwrap();
    child.join().unwrap();
    let (_reader, end) = pipe();
    let child = Process::spawn(|| pipes_among(&[end, other])).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(3), "not asked for, nothing is let go of");
}

fn a_called_process_gets_descriptors_of_the_call_at_their_numbers() {
    let (_reader, before_init) = pipe();
    init().unwrap();
    let (_reader, first) = pipe();
    let (_reader, second) = pipe();
    // SAFETY: fcntl and dup2 take numbers. The new numbers are far above those of the fork server,
    // and one among its own.
    let (far, low) = unsafe { (libc::fcntl(first, libc::F_DUPFD_CLOEXEC, 500), libc::dup2(second, before_init)) };
    let reported = |numbers: [RawFd; 4]| pipes_among(&numbers);
    let numbers = [before_init, first, second, far];
    let child = Process::builder().keep_fds([far, low, second]).call(reported, numbers).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(0b1101));
    // They are the descriptors of the call: what the child writes there arrives here.
    let (mut reader, end) = pipe();
    let write = |number: RawFd| {
        // SAFETY: the descriptor was kept for this purpose, and no other code in the child owns it.
        let mut end = unsafe { std::fs::File::from_raw_fd(number) };
        io::Write::write_all(&mut end, b"from the child")
    };
    let child = Process::builder().keep_fds([end]).call(write, end).unwrap();
    assert!(child.join().unwrap().success());
    let mut said = [0; 32];
    let count = reader.read(&mut said).unwrap();
    assert_eq!(&said[..count], b"from the child");
    // The close-on-exec flag is unchanged. SAFETY: F_GETFD takes any number; an unknown one is an
    // error.
    let closes = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) };
    for number in [far, end] {
        let code = Process::builder().keep_fds([number]).call(closes, number).unwrap().join().unwrap().code();
        assert_eq!(code, Some(i32::from(number == far)));
    }
    let child = Process::call(reported, numbers).unwrap();
    assert_eq!(child.join().unwrap().code(), Some(1), "those that were open at init");
    end_ours();
}

fn a_descriptor_to_keep_that_is_not_open_is_an_error() {
    for with_init in [false, true] {
        if with_init {
            init().unwrap();
        }
        let refused = [
            Process::builder().keep_fds([999]).spawn(|| ()),
            Process::builder().keep_fds([999]).call(|()| (), ()),
            // SAFETY: there are no other threads.
            unsafe { Process::builder().keep_fds([999]).spawn_unchecked(|| ()) },
        ];
        for refused in refused {
            assert_eq!(errno_of(&refused.unwrap_err()), Some(libc::EBADF));
        }
    }
    end_ours();
}
