//! What the system refuses: descriptors, locked memory, other users' files, files that others cut.
//! Each is an error, leaves nothing behind and disturbs no other process.

use crate::support::harness::{Case, skip};
use crate::support::process::{exit_now, fork, shared_word, wait_for_count};
use crate::support::{segment_exists, shm_files, unique_name};
use shmq::sync::{Array, Event};
use shmq::{CreateError, GetError, OpenError, PutError, Queue};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_file_of_another_length_is_refused,
        another_users_queue_is_refused_in_words,
        memory_that_may_not_be_locked_is_reported,
        no_descriptors_for_a_queue_is_reported,
        no_descriptors_after_a_fork_is_reported,
        a_queue_takes_two_descriptors,
        a_limit_on_the_size_of_files_is_reported,
        no_signal_of_a_limit_on_files_reaches_a_user_of_what_is_there,
    ]
}

fn path_of(name: &str) -> String {
    format!("/dev/shm/shmq.{name}")
}

/// Checks that a failed attempt by this process left nothing.
#[track_caller]
fn expect_nothing_left(name: &str) {
    assert!(!segment_exists(name));
    assert_eq!(shm_files(&format!(".shmq-{}-", std::process::id())), Vec::<String>::new());
}

fn a_file_of_another_length_is_refused() {
    let name = unique_name("cut");
    let queue = Queue::<u64>::builder().name(&name).capacity(100).persist(true).create().unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    drop(queue);
    let whole = fs::read(path_of(&name)).unwrap();
    let lengths = [0, 1, 8, 0x1ff, 0x200, 0xeff, 0xf00, 4096, whole.len() - 1, whole.len() + 1, whole.len() + 4096];
    for length in lengths {
        File::options().write(true).open(path_of(&name)).unwrap().set_len(length as u64).unwrap();
        assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::Corrupted { .. })), "{length} bytes");
        assert!(matches!(Queue::<u64>::open_or_create(&name, 3), Err(CreateError::Corrupted { .. })), "{length} bytes");
        assert!(matches!(Queue::<[u8]>::open(&name), Err(OpenError::Corrupted { .. })), "{length} bytes");
        // The original contents: no process has changed the rest of it.
        fs::write(path_of(&name), &whole).unwrap();
        let again: Queue<u64> = Queue::open(&name).unwrap();
        assert_eq!(again.len(), 3, "{length} bytes");
    }
    // Extended while it is in use; its users never access the part behind the end.
    let queue: Queue<u64> = Queue::open(&name).unwrap();
    let file = File::options().write(true).open(path_of(&name)).unwrap();
    file.set_len(whole.len() as u64 + 4096).unwrap();
    assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::Corrupted { .. })));
    assert!(matches!(Queue::<u64>::create(&name, 3), Err(CreateError::AlreadyExists { in_use: true, .. })));
    queue.put(&4).unwrap();
    file.set_len(whole.len() as u64).unwrap();
    let mut all = [0; 9];
    assert_eq!(Queue::<u64>::open(&name).unwrap().get_slice(&mut all).unwrap(), 4);
    assert_eq!(all[..4], [1, 2, 3, 4]);
    drop(queue);
    // A file cut to nothing belongs to no segment, and is replaced. A name that leads to such a
    // file can be removed.
    file.set_len(0).unwrap();
    assert_eq!(Queue::<u64>::create(&name, 7).unwrap().capacity(), 7);
    assert!(!segment_exists(&name));
    fs::write(path_of(&name), &whole[..4096]).unwrap();
    assert!(matches!(Queue::<u64>::create(&name, 3), Err(CreateError::AlreadyExists { in_use: false, .. })), "it was kept");
    Queue::<u64>::unlink(&name).unwrap();
    expect_nothing_left(&name);
}

/// Makes this process one of another user. Ends it if that is refused.
pub fn become_user(number: u32) {
    // SAFETY: setgid and setuid take numbers; setgroups reads no list, since its length is 0.
    let changed = unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(number) == 0 && libc::setuid(number) == 0 };
    if !changed {
        exit_now(78);
    }
}

pub fn needs_root() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        skip("only root can become another user, or one whose memory is limited");
    }
}

fn another_users_queue_is_refused_in_words() {
    needs_root();
    let name = unique_name("foreign");
    let (ready, done) = (shared_word(), shared_word());
    let owner = fork("an owner", || {
        become_user(65_534);
        let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
        queue.put(&1).unwrap();
        ready.store(1, Release);
        wait_for_count("the stranger", done, 1);
        // Undisturbed: no participant joined, and nothing is missing.
        assert_eq!((queue.len(), queue.get().unwrap(), queue.recover().dead_participants), (1, 1, 0));
    });
    wait_for_count("the queue", ready, 1);
    let stranger = fork("a stranger", || {
        become_user(65_533);
        let reported = [
            Queue::<u64>::open(&name).unwrap_err().to_string(),
            Queue::<u64>::unlink(&name).unwrap_err().to_string(),
            Queue::<u64>::open_or_create(&name, 3).unwrap_err().to_string(),
            Queue::<u64>::create(&name, 3).unwrap_err().to_string(),
        ];
        for words in reported {
            assert!(words.contains("permission denied") && words.contains("another user"), "{words}");
        }
        expect_nothing_of(std::process::id());
    });
    stranger.expect_success();
    done.store(1, Release);
    owner.expect_success();
    assert!(!segment_exists(&name));
}

fn expect_nothing_of(pid: u32) {
    assert_eq!(shm_files(&format!(".shmq-{pid}-")), Vec::<String>::new());
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: setrlimit reads a struct that outlives the call.
    let done = unsafe { libc::setrlimit(resource, &limit) };
    assert_eq!(done, 0, "setrlimit: {}", io::Error::last_os_error());
}

fn memory_that_may_not_be_locked_is_reported() {
    needs_root();
    let name = unique_name("locked");
    let shared = Queue::<u64>::builder().capacity(100_000).max_participants(2).mode(0o666).create().unwrap();
    fork("a user with little memory to lock", || {
        become_user(65_534);
        limit(libc::RLIMIT_MEMLOCK, 256 << 10);
        let settings = || Queue::<u64>::builder().name(&name).lock_memory(true);
        for _ in 0..3 {
            match settings().capacity(100_000).create() {
                Err(CreateError::Os { call, .. }) => assert!(call.contains("RLIMIT_MEMLOCK"), "{call}"),
                other => panic!("{other:?}"),
            }
            expect_nothing_left(&name);
            match settings().capacity(100_000).open_or_create() {
                Err(CreateError::Os { call, .. }) => assert!(call.contains("RLIMIT_MEMLOCK"), "{call}"),
                other => panic!("{other:?}"),
            }
            expect_nothing_left(&name);
            match Queue::<u64>::builder().name(shared.name()).lock_memory(true).open() {
                Err(OpenError::Os { call, .. }) => assert!(call.contains("RLIMIT_MEMLOCK"), "{call}"),
                other => panic!("{other:?}"),
            }
        }
        // The one free entry was not used up.
        Queue::<u64>::open(shared.name()).unwrap().put(&1).unwrap();
        let small = settings().capacity(100).create().unwrap();
        small.put(&7).unwrap();
        // A forked child has to lock the memory anew, which it may not: it gets an error, and its
        // parent goes on.
        fork("a child that may lock nothing", || {
            limit(libc::RLIMIT_MEMLOCK, 0);
            match small.try_get() {
                Err(GetError::Os { call, .. }) => assert!(call.contains("RLIMIT_MEMLOCK"), "{call}"),
                other => panic!("{other:?}"),
            }
        })
        .expect_success();
        assert_eq!((small.get().unwrap(), small.recover().dead_participants), (7, 0));
    })
    .expect_success();
    assert_eq!(shared.get().unwrap(), 1);
}

fn a_limit_on_the_size_of_files_is_reported() {
    let name = unique_name("large");
    for ignored in [false, true] {
        fork("a program that may make small files only", || {
            if ignored {
                // Like Python: the call fails, and there is no signal. SAFETY: SIG_IGN installs no
                // handler, so no code runs in one.
                unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
            }
            limit(libc::RLIMIT_FSIZE, 64 << 10);
            let settings = || Queue::<[u8]>::builder().capacity_bytes(1 << 20);
            let made = [
                settings().create().map(drop),
                settings().name(&name).create().map(drop),
                settings().name(&name).persist(true).open_or_create().map(drop),
                Array::new([0u8; 1 << 20]).map(drop),
                Array::open_or_create(&name, [0u8; 1 << 20]).map(drop),
            ];
            for result in made {
                let error = result.expect_err("above the limit");
                assert!(error.to_string().contains("RLIMIT_FSIZE, ulimit -f"), "{error}");
                assert!(matches!(error, CreateError::Os { source: error, .. } if error.raw_os_error() == Some(libc::EFBIG)));
                expect_nothing_left(&name);
            }
            // A size that fits is created.
            let queue = Queue::<u64>::create(&name, 100).unwrap();
            queue.put(&1).unwrap();
            assert_eq!(queue.get().unwrap(), 1);
        })
        .expect_success();
    }
}

fn no_signal_of_a_limit_on_files_reaches_a_user_of_what_is_there() {
    let (name, dead) = (unique_name("there"), unique_name("dead"));
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(1 << 20).create().unwrap();
    fork("a user that is killed", || {
        std::mem::forget(Queue::<u64>::create(&dead, 3).unwrap());
        exit_now(0);
    })
    .expect_success();
    fork("a program that may write to no file at all", || {
        limit(libc::RLIMIT_FSIZE, 0);
        let same = Queue::<[u8]>::open(&name).unwrap();
        same.put(b"through memory").unwrap();
        assert_eq!(queue.get().unwrap(), b"through memory");
        // Names are removed, and the files behind them are written to.
        Queue::<u8>::unlink(&dead).unwrap();
        Queue::<u8>::unlink(&name).unwrap();
        assert!(matches!(Queue::<u64>::create(&name, 3), Err(CreateError::Os { source: error, .. }) if error.raw_os_error() == Some(libc::EFBIG)));
        expect_nothing_left(&name);
    })
    .expect_success();
    queue.put(b"still").unwrap();
    assert_eq!(queue.get().unwrap(), b"still");
}

/// Takes descriptors until there are no more.
fn take_all_descriptors() -> Vec<OwnedFd> {
    let mut taken = Vec::with_capacity(256);
    loop {
        match File::open("/dev/null") {
            Ok(file) => taken.push(OwnedFd::from(file)),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                return taken;
            }
        }
    }
}

fn expect_no_descriptor(what: &str, error: &io::Error) {
    assert!(what.contains("two descriptors") && what.contains("RLIMIT_NOFILE, ulimit -n"), "{what}");
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{what}: {error}");
}

fn no_descriptors_for_a_queue_is_reported() {
    let (name, other) = (unique_name("none"), unique_name("others"));
    let theirs = Queue::<u64>::builder().name(&other).capacity(3).max_participants(2).create().unwrap();
    fork("a program without descriptors", || {
        limit(libc::RLIMIT_NOFILE, 100);
        let mut taken = take_all_descriptors();
        let (mut made, mut refused) = (0, 0);
        // With no descriptor left, with one, with two: whichever of several opens fails.
        for _ in 0..8 {
            for anonymous in [false, true] {
                let settings = Queue::<u64>::builder().capacity(3);
                let created = if anonymous { settings.create() } else { settings.name(&name).create() };
                match created {
                    Ok(queue) => {
                        queue.put(&1).unwrap();
                        made += 1;
                    }
                    Err(CreateError::Os { source: error, call, .. }) => {
                        expect_no_descriptor(call, &error);
                        refused += 1;
                    }
                    Err(error) => panic!("create: {error:?}"),
                }
                expect_nothing_left(&name);
            }
            match Queue::<u64>::open_or_create(&name, 3) {
                Ok(queue) => drop(queue),
                Err(CreateError::Os { source: error, call, .. }) => expect_no_descriptor(call, &error),
                Err(error) => panic!("open_or_create: {error:?}"),
            }
            expect_nothing_left(&name);
            match Queue::<u64>::open(&other) {
                Ok(queue) => queue.put(&1).map(|()| drop(queue.get())).unwrap(),
                Err(OpenError::Os { source: error, call, .. }) => expect_no_descriptor(call, &error),
                Err(error) => panic!("open: {error:?}"),
            }
            match Queue::<u64>::unlink(&name) {
                Err(OpenError::NotFound { .. }) => {}
                Err(OpenError::Os { source: error, call, .. }) => expect_no_descriptor(call, &error),
                other => panic!("unlink: {other:?}"),
            }
            drop(taken.pop());
        }
        assert!(made >= 2 && refused >= 2, "{made} made, {refused} refused");
    })
    .expect_success();
    theirs.put(&1).unwrap();
    assert_eq!((theirs.get().unwrap(), theirs.recover().dead_participants), (1, 0));
}

fn a_queue_takes_two_descriptors() {
    const LIMIT: usize = 200;
    limit(libc::RLIMIT_NOFILE, LIMIT as u64);
    // One is the directory's. Descriptors inherited beyond the limit take no room below it.
    let number = |entry: &fs::DirEntry| entry.file_name().to_str().unwrap().parse::<usize>().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| number(entry.as_ref().unwrap()) < LIMIT).count() - 1;
    for what in ["a queue", "an event"] {
        let mut queues: Vec<Queue<u64>> = Vec::new();
        let mut events = Vec::new();
        let error = loop {
            let made = match what {
                "a queue" => Queue::new(1).map(|queue| queues.push(queue)),
                _ => Event::new().map(|event| events.push(event)),
            };
            match made {
                Ok(()) => {}
                Err(CreateError::Os { call, source: error, .. }) => break (call, error),
                Err(error) => panic!("{error:?}"),
            }
        };
        expect_no_descriptor(error.0, &error.1);
        assert_eq!(queues.len() + events.len(), (LIMIT - open) / 2, "{what}");
    }
}

fn no_descriptors_after_a_fork_is_reported() {
    let queue = Queue::<u64>::builder().capacity(3).max_participants(2).create().unwrap();
    queue.put(&1).unwrap();
    for closed_before in [0, 1, 2] {
        fork("a child of a program without descriptors", || {
            limit(libc::RLIMIT_NOFILE, 100);
            let mut taken = take_all_descriptors();
            taken.truncate(taken.len() - closed_before);
            fork("its child", || {
                let mut mine = take_all_descriptors();
                match queue.try_put(&2) {
                    // The fork handler was able to renew the descriptor.
                    Ok(()) => {}
                    Err(PutError::Os { source: error, call }) => {
                        expect_no_descriptor(call, &error);
                        assert!(matches!(queue.try_get(), Err(GetError::Os { .. })));
                        // With a descriptor it works, as if nothing had happened.
                        drop(mine.pop());
                        queue.try_put(&2).unwrap();
                    }
                    Err(error) => panic!("{error:?}"),
                }
            })
            .expect_success();
        })
        .expect_success();
        assert_eq!((queue.len(), queue.get().unwrap(), queue.get().unwrap()), (2, 1, 2));
        queue.put(&1).unwrap();
    }
}
