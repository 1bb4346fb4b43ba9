//! A verb ends after a signal, also while it reads, waits, or writes to an output that does not
//! move.

use crate::command::{Name, Running, bytes, run, shmq, wait_for};
use crate::support::process::is_asleep;
use crate::support::wait_until;
use shmq::inspect::Inspector;
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

const SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT];
/// A file to put.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors, which are ours to close.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from(OwnedFd::from_raw_fd(ends[0])), File::from(OwnedFd::from_raw_fd(ends[1])))
    }
}

/// A name in the file system that is a FIFO, until it is dropped.
struct Fifo(std::path::PathBuf);

impl Fifo {
    fn new(what: &str) -> Fifo {
        let path = std::env::temp_dir().join(format!("shmq-{}-{what}", std::process::id()));
        let text = CString::new(path.to_str().expect("text")).expect("no NUL");
        // SAFETY: a path that ends in a NUL byte.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        Fifo(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits until it sleeps, for a while at least: in whatever it waits for.
fn wait_until_it_waits(running: &Running) {
    let mut in_a_row = 0;
    let still = || {
        std::thread::sleep(Duration::from_millis(5));
        in_a_row = if is_asleep(running.pid() as i32) { in_a_row + 1 } else { 0 };
        in_a_row >= 40
    };
    wait_until("it to wait", still, || "it runs".to_owned());
}

#[track_caller]
fn ends(mut running: Running, signal: i32, what: &str) {
    wait_until_it_waits(&running);
    running.send(signal);
    let status = running.wait();
    use std::os::unix::process::ExitStatusExt;
    // By its own exit code, or by the default action.
    assert!(status.code() == Some(128 + signal) || status.signal() == Some(signal), "{what}: {status:?}");
}

#[test]
fn verbs_that_wait_end_by_a_signal() {
    for signal in SIGNALS {
        let name = Name::new("ending");
        let queue = bytes(&name, 4096);
        let start = |arguments: &[&str]| {
            let command = &mut shmq(arguments);
            Running::of(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"))
        };
        for arguments in [
            &["get", &*name][..],
            &["get", &name, "--follow", "-t", "1e19"],
            &["stat", &name, "-i", "1e19"],
            &["doctor", &name, "-i", "1000"],
        ] {
            ends(start(arguments), signal, &format!("{arguments:?}"));
        }
        // With an input without a byte.
        for mode in ["--lines", "--null", "--block=4K"] {
            let (from, _to) = pipe();
            let child = shmq(&["put", &name, mode]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts");
            ends(Running::of(child), signal, mode);
        }
        // With no room.
        while queue.try_put(&[7]).is_ok() {}
        for mode in ["--lines", "--null", "--block=4K"] {
            let (from, mut to) = pipe();
            let child = shmq(&["put", &name, mode]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts");
            to.write_all(&[&[b'x'; 1000][..], b"\n\0"].concat().repeat(3)).expect("a pipe");
            ends(Running::of(child), signal, mode);
        }
        ends(start(&["put", &name, "-f", FILE, "-t", "1e19"]), signal, "put --file");
    }
}

#[test]
fn a_put_of_a_pipe_by_name_ends_by_a_signal() {
    for signal in SIGNALS {
        let name = Name::new("fifo");
        let fifo = Fifo::new(&name);
        let path = fifo.0.to_str().expect("text");
        let start = || Running::of(shmq(&["put", &name, "-f", path]).stdin(Stdio::null()).spawn().expect("it starts"));
        // Without a writer.
        ends(start(), signal, "no writer");
        // With a writer that stops in the middle.
        let running = start();
        let mut writer = File::options().write(true).open(&fifo.0).expect("it reads");
        writer.write_all(b"half a message").expect("it reads");
        ends(running, signal, "a silent writer");
        drop(writer);
        assert_eq!(Inspector::open(&*name).expect("made").snapshot().messages, 0, "half a file is no message");
        // The whole file is one message.
        let running = start();
        std::fs::write(&fifo.0, b"a message").expect("it reads");
        running.expect(0);
        assert_eq!(run(&["get", &name, "-t", "0"]).expect(0).out, b"a message");
    }
}

#[test]
fn many_lines_have_one_last_chance_together() {
    let name = Name::new("last-will");
    let queue = bytes(&name, 4096);
    while queue.try_put(&[7]).is_ok() {}
    let (from, mut to) = pipe();
    let mut running = Running::of(shmq(&["put", &name, "--lines"]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts"));
    to.write_all(&[b'x', b'\n'].repeat(20_000)).expect("a pipe");
    wait_for(&name, "a put that waits", || {
        Inspector::open(&*name).expect("there").snapshot().participants.iter().any(|p| p.put_waits.is_some())
    });
    running.send(libc::SIGTERM);
    // Room comes, but slowly: for each line in time, for all of them not in an hour.
    wait_until(
        "its end",
        || {
            let _ = queue.try_get();
            std::thread::sleep(Duration::from_millis(200));
            running.has_ended()
        },
        || "it goes on".to_owned(),
    );
    assert_eq!(running.wait().code(), Some(128 + libc::SIGTERM));
}
