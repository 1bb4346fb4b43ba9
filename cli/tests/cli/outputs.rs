//! Standard streams that are closed, full, or gone: no message is lost in one, and no verb waits
//! for one.

use crate::command::{Name, Ran, Running, bytes, feed, run, run_with, shmq, wait_for};
use crate::support::process::is_asleep;
use shmq::Queue;
use shmq::inspect::{Inspector, Snapshot};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn snapshot(name: &str) -> Snapshot {
    Inspector::open(name).expect("there").snapshot()
}

/// Runs it with a standard output that it gets from `change`, made in the child.
fn run_into(arguments: &[&str], change: fn() -> i32) -> Ran {
    let mut command = shmq(arguments);
    // SAFETY: `change` only makes system calls.
    unsafe {
        command.pre_exec(move || if change() == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) });
    }
    run_with(command, b"")
}

fn open_as_output(path: &std::ffi::CStr, flags: i32) -> i32 {
    // SAFETY: system calls on a path that ends in a NUL byte.
    unsafe { libc::dup2(libc::open(path.as_ptr(), flags), libc::STDOUT_FILENO) }
}

/// How a standard output is made, what it is like, and how the command ends.
type Broken = (&'static str, fn() -> i32, i32);

/// Standard outputs that take nothing.
const BROKEN: [Broken; 5] = [
    // SAFETY: close takes a number.
    ("closed", || unsafe { libc::close(libc::STDOUT_FILENO) }, 1),
    ("full", || open_as_output(c"/dev/full", libc::O_WRONLY), 1),
    ("only for reading", || open_as_output(c"/dev/null", libc::O_RDONLY), 1),
    ("a directory", || open_as_output(c"/", libc::O_RDONLY), 1),
    (
        "a pipe without a reader",
        || {
            let mut ends = [0; 2];
            // SAFETY: the array has room for the two descriptors.
            unsafe {
                libc::pipe(ends.as_mut_ptr());
                libc::close(ends[0]);
                libc::dup2(ends[1], libc::STDOUT_FILENO)
            }
        },
        128 + libc::SIGPIPE,
    ),
];

#[test]
fn an_output_that_takes_nothing_costs_no_message() {
    let name = Name::new("broken-output");
    feed(&["put", &name, "--lines"], b"one\ntwo\n").expect(0);
    for (what, change, code) in BROKEN {
        for arguments in [&["get", &*name][..], &["get", &name, "--follow"], &["get", &name, "--lines", "-n", "2", "-t", "0"]] {
            let ran = run_into(arguments, change);
            assert_eq!(ran.code, code, "{what}: {ran:?}");
            assert!(ran.err.contains("standard output") || code != 1, "{what}: {ran:?}");
            assert_eq!((snapshot(&name).messages, snapshot(&name).on_lease), (2, 0), "{what}");
        }
        for arguments in
            [&["ls"][..], &["stat", &name, "-i", "0"], &["peek", &name], &["peek", &name, "--raw"], &["doctor", "-i", "0"]]
        {
            let ran = run_into(arguments, change);
            assert_eq!(ran.code, code, "{what}: {arguments:?}: {ran:?}");
            assert!(ran.err.contains("standard output") || code != 1, "{what}: {arguments:?}: {ran:?}");
        }
    }
    assert_eq!(run(&["get", &name, "-n", "2"]).expect(0).out, b"onetwo");
}

#[test]
fn a_get_that_fails_is_no_delivery() {
    let name = Name::new("uncounted");
    let queue = Queue::<[u8]>::builder().name(&*name).capacity_bytes(4096).max_deliveries(2).create().expect("created");
    ["one", "two", "three"].iter().for_each(|text| queue.put(text.as_bytes()).expect("room"));
    for (what, change, code) in BROKEN {
        assert_eq!(run_into(&["get", &name, "--number", "3"], change).code, code, "{what}");
    }
    assert_eq!((snapshot(&name).messages, snapshot(&name).stats.given_up), (3, 0));
    let lease = queue.lease().expect("a message");
    assert_eq!((&*lease, lease.deliveries()), (&b"one"[..], 1));
    lease.give_back();
    // A process that is killed has one of them on lease.
    let (reader, mut writer) = UnixStream::pair().expect("a pair");
    writer.set_nonblocking(true).expect("set");
    while writer.write(&[0; 4096]).is_ok() {}
    writer.set_nonblocking(false).expect("set");
    let command = &mut shmq(&["get", &name, "--follow"]);
    let getter = Running::of(command.stdin(Stdio::null()).stdout(OwnedFd::from(writer)).spawn().expect("it starts"));
    wait_for(&name, "a lease", || snapshot(&name).on_lease > 0 && is_asleep(getter.pid() as i32));
    assert_eq!((snapshot(&name).on_lease, snapshot(&name).messages), (1, 2));
    drop((getter, reader));
}

#[test]
fn an_empty_message_is_not_lost_in_a_broken_output_either() {
    let name = Name::new("empty-message");
    feed(&["put", &name, "--lines"], b"\n").expect(0);
    for (what, change, code) in BROKEN {
        // For messages without a byte, only these failures are known before a write.
        if !matches!(what, "closed" | "a pipe without a reader") {
            continue;
        }
        assert_eq!(run_into(&["get", &name], change).code, code, "{what}");
        assert_eq!(snapshot(&name).messages, 1, "{what}");
    }
    assert_eq!(run(&["get", &name, "-t", "0"]).expect(0).out, b"");
    assert_eq!(snapshot(&name).messages, 0);
}

#[test]
fn what_acts_does_so_whatever_becomes_of_its_words() {
    let (first, second) = (Name::new("words-1"), Name::new("words-2"));
    for (what, change, code) in BROKEN {
        for name in [&first, &second] {
            feed(&["put", name], b"x").expect(0);
        }
        assert_eq!(run_into(&["rm", "--stale", "--persisted", &first, &second], change).code, code, "{what}");
        run(&["ls", &first]).expect(3);
        run(&["ls", &second]).expect(3);
    }
}

#[test]
fn a_limit_on_files_is_an_error_that_costs_no_message() {
    let name = Name::new("fsize");
    feed(&["put", &name, "--block", "64K"], &[7; 300_000]).expect(0);
    let path = std::env::temp_dir().join(format!("shmq-{}-fsize", std::process::id()));
    let mut command = shmq(&["get", &name, "--follow"]);
    let limit = || {
        let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
        // SAFETY: it reads the limit, which lives until the call returns.
        if unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: `limit` only makes a system call.
    unsafe { command.pre_exec(limit) };
    let out = File::create(&path).expect("a file");
    let child = command.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut running = Running::of(child);
    let code = running.wait().code();
    let written = std::fs::read(&path).expect("a file").len();
    std::fs::remove_file(&path).expect("removed");
    assert_eq!((code, written), (Some(1), 100_000));
    // One message went, and a part of the next, which is back whole.
    assert_eq!((snapshot(&name).bytes, snapshot(&name).on_lease), (300_000 - 65_536, 0));
}

#[test]
fn put_without_standard_input_says_so() {
    let name = Name::new("no-input");
    let mut command = shmq(&["put", &name]);
    let close = || {
        // SAFETY: close takes a number.
        unsafe { libc::close(libc::STDIN_FILENO) };
        Ok(())
    };
    // SAFETY: `close` only makes a system call.
    unsafe { command.pre_exec(close) };
    assert!(run_with(command, b"").expect(1).err.contains("standard input is closed"));
    run(&["ls", &name]).expect(3);
}

/// Both ends of each kind of reader.
fn readers() -> Vec<(&'static str, Box<dyn Send>, Stdio)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors, which are ours to close.
    let (from, to) = unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        use std::os::fd::FromRawFd;
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    let (ours, theirs) = UnixStream::pair().expect("a socket");
    let (person, program) = crate::terminal::terminal(120);
    vec![
        ("a pipe", Box::new(from), Stdio::from(to)),
        ("a socket", Box::new(ours), Stdio::from(OwnedFd::from(theirs))),
        ("a terminal", Box::new(person), Stdio::from(program)),
    ]
}

#[test]
fn a_getter_notices_that_its_reader_has_gone_while_no_message_comes() {
    for arguments in [&["--follow"][..], &["-n", "5"], &["--follow", "--timeout", "1e19"]] {
        for (what, reader, output) in readers() {
            let name = Name::new("reader-gone");
            let _queue = bytes(&name, 4096);
            let mut command = shmq(&[&["get", &*name], arguments].concat());
            let child = command.stdin(Stdio::null()).stdout(output).spawn().expect("it starts");
            // The command keeps the end that the child has.
            drop(command);
            let mut running = Running::of(child);
            wait_for(&name, "a consumer", || snapshot(&name).participants.iter().any(|p| p.get_waits.is_some()));
            drop(reader);
            assert_eq!(running.wait().code(), Some(128 + libc::SIGPIPE), "{what}, {arguments:?}");
            assert_eq!(snapshot(&name).participants.len(), 1, "it has left");
        }
    }
}

#[test]
fn head_ends_a_getter() {
    let name = Name::new("head");
    let _queue = bytes(&name, 1 << 16);
    feed(&["put", &name, "--lines"], b"1\n2\n3\n4\n5\n").expect(0);
    let mut command = shmq(&["get", &name, "--follow", "--lines"]);
    let mut getter = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let out = getter.stdout.take().expect("piped");
    let head = Command::new("head").args(["-n", "3"]).stdin(out).output().expect("it runs");
    assert_eq!(head.stdout, b"1\n2\n3\n");
    assert_eq!(Running::of(getter).wait().code(), Some(128 + libc::SIGPIPE));
}
