//! `put` and `get`: byte for byte, and nothing lost, whichever process ends first.

use crate::command::{Name, Running, bytes, feed, run, shmq, wait_for};
use crate::peers;
use crate::support::{Rng, pattern, segment_exists, wait_until};
use shmq::Queue;
use shmq::inspect::{Inspector, Participant, Waiting};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

const BLOCK: usize = 64 << 10;

fn random(purpose: &str, length: usize) -> Vec<u8> {
    let mut rng = Rng::new(purpose);
    (0..length.div_ceil(8)).flat_map(|_| rng.draw().to_ne_bytes()).take(length).collect()
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors, which are ours to close.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from(OwnedFd::from_raw_fd(ends[0])), File::from(OwnedFd::from_raw_fd(ends[1])))
    }
}

fn messages(name: &str) -> u64 {
    Inspector::open(name).map_or(0, |inspector| inspector.snapshot().messages)
}

#[test]
fn blocks_come_out_as_they_went_in() {
    let name = Name::new("blocks");
    let input = random("blocks", 10 * BLOCK + 1234);
    feed(&["put", &name], &input).expect(0);
    assert_eq!(messages(&name), 11, "whole blocks and a rest");
    run(&["close", &name]).expect(0);
    assert!(run(&["get", &name, "--follow"]).expect(0).out == input);
    run(&["get", &name]).expect(6);
}

#[test]
fn a_stream_goes_through_a_small_queue() {
    let name = Name::new("stream");
    run(&["create", &name, "--capacity-bytes", "300K"]).expect(0);
    let input = random("stream", 20 << 20);
    let out = std::thread::scope(|scope| {
        let get = scope.spawn(|| run(&["get", &name, "--follow"]).expect(0).out);
        feed(&["put", &name], &input).expect(0);
        run(&["close", &name]).expect(0);
        get.join().expect("it ends")
    });
    assert!(out == input, "{} of {} bytes", out.len(), input.len());
}

#[test]
fn lines_strings_and_files_are_messages() {
    let name = Name::new("modes");
    feed(&["put", &name, "--lines"], b"one\n\nthree\nlast").expect(0);
    assert_eq!(messages(&name), 4);
    assert_eq!(run(&["get", &name]).expect(0).out, b"one", "one message without a count");
    assert_eq!(run(&["get", &name, "-n", "3", "--lines"]).expect(0).out, b"\nthree\nlast\n");
    feed(&["put", &name, "--null"], b"a\nb\0c\0").expect(0);
    assert_eq!(run(&["get", &name, "-n", "2", "--null"]).expect(0).out, b"a\nb\0c\0");
    let path = std::env::temp_dir().join(format!("shmq-{}-file", std::process::id()));
    let content = random("file", 200_000);
    std::fs::write(&path, &content).expect("written");
    let path = path.to_str().expect("text");
    let put = run(&["put", &name, "--file", path, "--file", path]);
    std::fs::remove_file(path).expect("removed");
    put.expect(0);
    assert_eq!(messages(&name), 2);
    assert!(run(&["get", &name]).expect(0).out == content);
    assert!(run(&["put", &name, "--file", path]).expect(1).err.contains(path));
    // An empty input is no message.
    feed(&["put", &name], b"").expect(0);
    feed(&["put", &name, "--lines"], b"").expect(0);
    assert_eq!((messages(&name), Queue::<[u8]>::open(&*name).unwrap().stats().aborted), (1, 0));
}

#[test]
fn put_and_get_leave_what_is_there_as_it_is() {
    // A dead queue of another type keeps its messages.
    let name = Name::new("not-ours");
    peers::start_and_see("owner", &name, |seen, _| seen.messages == 3).kill();
    run(&["get", &name, "-t", "0"]).expect(7);
    feed(&["put", &name], b"text").expect(7);
    assert_eq!(Queue::<u64>::open(&*name).expect("it is there").len(), 3);
    // A queue in use goes with its users, also after the command used it.
    let name = Name::new("not-to-stay");
    let queue = Queue::<[u8]>::builder().name(&*name).capacity_bytes(4096).create().expect("created");
    feed(&["put", &name], b"text").expect(0);
    assert_eq!(queue.get().expect("put"), b"text");
    drop(queue);
    run(&["ls", &name]).expect(3);
}

#[test]
fn put_starts_over_where_a_closed_queue_was_left() {
    let name = Name::new("over");
    let closer = peers::start_and_see("closer", &name, |seen, _| seen.closed);
    feed(&["put", &name], b"text").expect(6);
    closer.kill();
    run(&["get", &name, "-t", "0"]).expect(6);
    let closer = peers::start_and_see("closer", &name, |seen, _| seen.closed);
    closer.kill();
    feed(&["put", &name], b"text").expect(0);
    assert_eq!(run(&["get", &name, "-t", "0"]).expect(0).text(), "text");
}

#[test]
fn put_makes_a_queue_that_stays() {
    let name = Name::new("made");
    feed(&["put", &name, "--lines"], b"kept\n").expect(0);
    assert_eq!(run(&["get", &name, "--timeout", "0"]).expect(0).out, b"kept");
    assert!(run(&["get", &name, "--timeout", "0"]).expect(5).err.contains("no message"));
}

#[test]
fn only_put_and_create_make_a_queue() {
    let name = Name::new("typo");
    for verb in [
        &["get", &*name, "-t", "0"][..],
        &["get", &name, "--follow"],
        &["peek", &name],
        &["stat", &name],
        &["schema", &name],
        &["drain", &name],
        &["close", &name],
        &["recover", &name],
        &["ls", &name],
        &["doctor", &name],
        &["rm", &name],
        &["rm", "--stale", &name],
    ] {
        let ran = run(verb).expect(3);
        assert!(ran.err.contains("there is none of that name") && ran.err.contains(&*name), "{verb:?}: {}", ran.err);
        assert!(!segment_exists(&name), "{verb:?}");
    }
    // A put without input does not create it either.
    let missing = format!("/tmp/{}", &*name);
    assert!(run(&["put", &name, "-f", "Cargo.toml", "-f", &missing]).expect(1).err.contains(&missing));
    assert!(run(&["put", &name, "-f", "Cargo.toml", "-f", "/"]).expect(1).err.contains("directory"));
    assert!(!segment_exists(&name));
}

#[test]
fn a_getter_waits_and_a_full_queue_times_out() {
    let name = Name::new("waits");
    run(&["create", &name, "--capacity-bytes", "64K"]).expect(0);
    std::thread::scope(|scope| {
        let get = scope.spawn(|| run(&["get", &name, "-n", "2"]).expect(0).out);
        wait_for(&name, "a consumer", || {
            Inspector::open(&*name).is_ok_and(|i| i.snapshot().participants.iter().any(|p| p.get_waits.is_some()))
        });
        feed(&["put", &name, "--lines"], b"x\n").expect(0);
        feed(&["put", &name, "--lines"], b"y\n").expect(0);
        assert_eq!(get.join().expect("it ends"), b"xy");
    });
    let small = Name::new("small");
    run(&["create", &small, "--capacity-bytes", "1K", "--capacity", "2"]).expect(0);
    let full = feed(&["put", &small, "--lines", "--timeout", "0.2"], b"1\n2\n3\n4\n").expect(5);
    assert!(full.err.contains("not put"), "{}", full.err);
    assert_eq!(messages(&small), 2);
    assert!(feed(&["put", &small, "--lines", "--timeout", "0"], &[b'x'; 10_000]).expect(1).err.contains("larger"));
}

#[test]
fn what_was_read_before_an_error_of_the_input_is_reported() {
    let name = Name::new("reported");
    let (mut to, mut from) = UnixStream::pair().expect("a pair");
    from.write_all(b"unread").expect("room");
    to.write_all(b"line\nhalf").expect("room");
    let mut command = shmq(&["put", &name, "--lines"]);
    command.stdin(OwnedFd::from(from.try_clone().expect("cloned"))).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut errors = child.stderr.take().expect("piped");
    let running = Running::of(child);
    wait_until("a line", || Inspector::open(&*name).is_ok_and(|queue| queue.snapshot().messages == 1), || "none".to_owned());
    // A socket that is closed with unread bytes is an error at the other end.
    drop(to);
    running.expect(1);
    let mut printed = String::new();
    errors.read_to_string(&mut printed).expect("text");
    assert!(printed.contains("standard input") && printed.contains("4 bytes that were read are not put"), "{printed}");
    assert_eq!(run(&["get", &name]).expect(0).out, b"line");
}

/// Starts `shmq get` of `name`, with the returned pipe as its output.
fn getter(name: &str) -> (Running, File) {
    let (from, to) = pipe();
    let child = shmq(&["get", name, "--follow"]).stdin(Stdio::null()).stdout(to).spawn().expect("it starts");
    (Running::of(child), from)
}

/// What is left in the queue, in order: every message must be a whole one of `size` bytes and
/// follow the one before.
#[track_caller]
fn rest(name: &str, size: usize) -> Vec<usize> {
    let queue = Queue::<[u8]>::open(name).expect("it is there");
    let mut numbers = Vec::new();
    while let Ok(message) = queue.try_get() {
        let number = u64::from_ne_bytes(message[..8].try_into().expect("8 bytes")) as usize;
        assert!(message == numbered(number, size), "message {number} came back changed");
        numbers.push(number);
    }
    numbers
}

fn numbered(number: usize, size: usize) -> Vec<u8> {
    let mut message = pattern(number as u64, size);
    message[..8].copy_from_slice(&(number as u64).to_ne_bytes());
    message
}

/// A queue of numbered messages.
fn numbered_queue(name: &str, count: usize, size: usize) -> Queue<[u8]> {
    let queue = bytes(name, (size + 64) * (count + 2));
    queue.persist();
    (0..count).for_each(|number| queue.put(&numbered(number, size)).expect("room"));
    queue
}

#[test]
fn what_a_signal_finds_unwritten_is_given_back() {
    for (signal, size) in [(libc::SIGTERM, BLOCK), (libc::SIGINT, BLOCK), (libc::SIGHUP, 100), (libc::SIGTERM, 300_000)] {
        let name = Name::new("signalled");
        // More than a pipe holds.
        let count = (8 << 20) / size;
        let queue = numbered_queue(&name, count, size);
        let (mut running, mut from) = getter(&name);
        // It has filled the pipe, and blocks in a write with messages on lease.
        wait_for(&name, "a consumer that is stuck", || {
            let seen = queue.stats();
            let stuck = crate::support::process::is_asleep(running.pid() as i32) && seen.gets > 0;
            std::thread::sleep(std::time::Duration::from_millis(20));
            stuck && seen.gets == queue.stats().gets
        });
        running.send(signal);
        assert_eq!(running.wait().code(), Some(128 + signal));
        let mut written = Vec::new();
        from.read_to_end(&mut written).expect("a pipe");
        for (number, message) in written.chunks(size).enumerate() {
            assert!(message == &numbered(number, size)[..message.len()], "message {number} was written changed");
        }
        let whole = written.len() / size;
        assert!(whole < count);
        let left = rest(&name, size);
        assert_eq!(left, (whole..count).collect::<Vec<_>>(), "signal {signal}, {size} bytes, {} written", written.len());
    }
}

#[test]
fn what_a_reader_that_leaves_did_not_get_stays() {
    for size in [BLOCK, 1000] {
        let name = Name::new("sigpipe");
        let count = (8 << 20) / size;
        let _queue = numbered_queue(&name, count, size);
        let (mut running, mut from) = getter(&name);
        let mut read = vec![0; 3 * BLOCK + 7];
        from.read_exact(&mut read).expect("there is more");
        // What lies in the pipe was written, and goes with its reader.
        // SAFETY: F_GETPIPE_SZ takes no pointers.
        let pipe_bytes = unsafe { libc::fcntl(from.as_raw_fd(), libc::F_GETPIPE_SZ) } as usize;
        drop(from);
        assert_eq!(running.wait().code(), Some(128 + libc::SIGPIPE));
        let left = rest(&name, size);
        let first = left[0];
        assert_eq!(left, (first..count).collect::<Vec<_>>(), "no gap");
        assert!(first >= read.len() / size && first * size <= read.len() + pipe_bytes, "{first} of {size} bytes");
    }
}

#[test]
fn a_killed_getter_loses_nothing() {
    let name = Name::new("killed");
    let count = 100;
    let queue = numbered_queue(&name, count, BLOCK);
    let (running, mut from) = getter(&name);
    wait_for(&name, "a lease", || queue.stats().gets > 0);
    running.kill();
    let mut written = Vec::new();
    from.read_to_end(&mut written).expect("a pipe");
    run(&["recover", &name]).expect(0);
    let left = rest(&name, BLOCK);
    let whole = written.len() / BLOCK;
    // By lease, at least once: if `get` is killed between a write and the release, a message comes
    // twice, but it is never lost.
    assert!(left[0] <= whole, "{} of {whole}", left[0]);
    assert_eq!(left, (left[0]..count).collect::<Vec<_>>());
}

#[test]
fn what_put_has_read_is_put_when_a_signal_ends_it() {
    for (signal, first) in [(libc::SIGTERM, 10_000), (libc::SIGINT, 3 * BLOCK + 500), (libc::SIGTERM, 0)] {
        let name = Name::new("put-signal");
        let (from, mut to) = pipe();
        let mut unread = from.try_clone().expect("cloned");
        let child = shmq(&["put", &name]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts");
        let mut running = Running::of(child);
        wait_until("the queue", || Inspector::open(&*name).is_ok(), || "none".to_owned());
        let input = random("put-signal", first);
        to.write_all(&input).expect("a pipe");
        // All that was written is being put: the last block waits for more, and is cut off by the
        // signal or the pause.
        let pending = || {
            let seen = Inspector::open(&*name).expect("there").snapshot();
            seen.bytes + seen.on_loan * BLOCK as u64
        };
        wait_for(&name, "the input to be read", || pending() >= first as u64);
        running.send(signal);
        assert_eq!(running.wait().code(), Some(128 + signal));
        drop(to);
        let mut left = Vec::new();
        unread.read_to_end(&mut left).expect("a pipe");
        let queue = Queue::<[u8]>::open(&*name).expect("it stays");
        let mut out: Vec<u8> = std::iter::from_fn(|| queue.try_get().ok()).flatten().collect();
        out.extend(left);
        assert!(out == input, "{} of {} bytes", out.len(), input.len());
    }
}

#[test]
fn a_put_that_waits_for_room_has_read_nothing_that_it_would_lose() {
    let name = Name::new("put-full");
    let queue = bytes(&name, 4 * BLOCK);
    queue.persist();
    let input = random("put-full", 12 * BLOCK);
    let (from, mut to) = pipe();
    let mut unread = from.try_clone().expect("cloned");
    let child = shmq(&["put", &name]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts");
    let mut running = Running::of(child);
    let out = std::thread::scope(|scope| {
        // The pipe fills up behind it.
        scope.spawn(|| to.write_all(&input).expect("it is read"));
        wait_for(&name, "a put that waits", || {
            Inspector::open(&*name).expect("there").snapshot().participants.iter().any(|p| p.put_waits.is_some())
        });
        running.send(libc::SIGTERM);
        assert_eq!(running.wait().code(), Some(128 + libc::SIGTERM));
        let mut out: Vec<u8> = std::iter::from_fn(|| queue.try_get().ok()).flatten().collect();
        while out.len() < input.len() {
            let mut more = vec![0; BLOCK];
            let count = unread.read(&mut more).expect("a pipe");
            out.extend(&more[..count]);
        }
        out
    });
    assert!(out == input, "{} of {} bytes", out.len(), input.len());
}

#[test]
fn a_pause_in_the_input_ends_a_block() {
    let name = Name::new("pause");
    let (from, mut to) = pipe();
    let child = shmq(&["put", &name]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts");
    let running = Running::of(child);
    for (number, text) in [&b"first"[..], b"second"].into_iter().enumerate() {
        to.write_all(text).expect("a pipe");
        wait_for(&name, "what was written", || messages(&name) == number as u64 + 1);
    }
    drop(to);
    running.expect(0);
    assert_eq!(run(&["get", &name, "-n", "2", "--lines"]).expect(0).out, b"first\nsecond\n");
}

#[test]
fn putters_that_share_an_input_do_not_wait_for_it_with_a_loan() {
    let name = Name::new("shared-input");
    let queue = bytes(&name, 8 * BLOCK);
    let (from, mut to) = pipe();
    let start = |_| {
        let from = from.try_clone().expect("cloned");
        Running::of(shmq(&["put", &name]).stdin(from).stdout(Stdio::null()).spawn().expect("it starts"))
    };
    let putters: Vec<Running> = (0..3).map(start).collect();
    drop(from);
    let sample = || Inspector::open(&*name).expect("there").snapshot();
    wait_for(&name, "the producers", || sample().participants.len() == 4);
    for _ in 0..12 {
        // All three see the input, and one reads it; of two that read at once, one may get its
        // first byte.
        to.write_all(b"text").expect("a pipe");
        let mut got = 0;
        while got < 4 {
            got += queue.get_timeout(Duration::from_secs(20)).expect("no loan stands in the way").len();
        }
        assert_eq!(got, 4);
        wait_for(&name, "all loans to end", || sample().on_loan == 0);
    }
    drop(to);
    putters.into_iter().for_each(|putter| putter.expect(0));
}

#[test]
fn one_wait_is_one_wait_however_long_and_ended_by_a_signal_is_no_timeout() {
    /// A wait cut into slices would never be seen to last this long.
    const LONG: Duration = Duration::from_millis(700);
    let name = Name::new("long-wait");
    let queue = bytes(&name, 4 * BLOCK);
    let waits_long = |waits: fn(&Participant) -> Option<Waiting>| {
        let seen = Inspector::open(&*name).expect("there").snapshot();
        seen.participants.iter().filter_map(waits).any(|waits| waits.since >= LONG)
    };
    let (mut getter, _from) = getter(&name);
    wait_for(&name, "a consumer that has waited for long", || waits_long(|p| p.get_waits));
    getter.send(libc::SIGINT);
    assert_eq!(getter.wait().code(), Some(128 + libc::SIGINT));
    while queue.try_put(&[7; BLOCK / 2]).is_ok() {}
    for mode in ["--lines", "--block=64K"] {
        let (from, mut to) = pipe();
        let mut putter = Running::of(shmq(&["put", &name, mode]).stdin(from).spawn().expect("it starts"));
        // A line for which there is no room.
        to.write_all(&[&[b'x'; BLOCK / 2 + 1][..], b"\n"].concat()).expect("a pipe");
        wait_for(&name, "a producer that has waited for long", || waits_long(|p| p.put_waits));
        putter.send(libc::SIGTERM);
        assert_eq!(putter.wait().code(), Some(128 + libc::SIGTERM), "{mode}");
    }
    let stats = queue.stats();
    assert_eq!((stats.get_timeouts, stats.blocked_gets), (0, 1), "{stats:?}");
    // With lines, what was read is still put after the signal, until a deadline.
    assert_eq!((stats.put_timeouts, stats.blocked_puts), (1, 3), "{stats:?}");
}
