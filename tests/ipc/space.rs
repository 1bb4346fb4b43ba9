//! A full `/dev/shm` is an error at creation, never a signal at the first access.

use crate::support::harness::{Case, skip};
use crate::support::process::{Child, exit_now, expect_all_succeed, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, segment_exists, shm_files, unique_name};
use shmq::{CreateError, OpenError, Queue};
use std::ffi::CString;
use std::io;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_queue_larger_than_the_file_system_is_refused,
        a_full_file_system_is_reported,
        a_full_file_system_is_cleared_of_stale_files_at_once,
        many_that_create_at_once_need_memory_for_one,
        messages_are_not_thrown_away_for_nothing,
        a_copy_with_holes_is_filled_or_refused,
    ]
}

/// Size and free space of `/dev/shm`, in bytes.
fn size_and_free() -> (u64, u64) {
    let path = CString::new("/dev/shm").unwrap();
    // SAFETY: `statvfs` consists of plain integers, for which zeroes are valid.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a NUL-terminated path, and a struct that the call may write.
    let result = unsafe { libc::statvfs(path.as_ptr(), &mut found) };
    assert_eq!(result, 0, "statvfs: {}", io::Error::last_os_error());
    (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
}

#[track_caller]
fn expect_no_space<T: ?Sized>(result: Result<Queue<T>, CreateError>, at_least: u64, size: u64) {
    match result {
        Err(CreateError::NoSpace { needed_bytes, free_bytes, .. }) => {
            assert!(needed_bytes >= at_least, "needs {needed_bytes}, at least {at_least}");
            assert!(free_bytes <= size && free_bytes < needed_bytes, "{free_bytes} of {size} free, {needed_bytes} needed");
        }
        other => panic!("{:?}", other.map(|_| "made")),
    }
}

fn a_queue_larger_than_the_file_system_is_refused() {
    let (size, _) = size_and_free();
    // Larger than the whole file system, so that the kernel refuses without allocating: other
    // programs need the space.
    let wanted = size + (64 << 20);
    if size == 0 || wanted > 1 << 45 {
        skip("/dev/shm has no bound here");
    }
    let name = unique_name("too-large");
    expect_no_space(Queue::<[u8]>::builder().name(&name).capacity_bytes(wanted as usize).create(), wanted, size);
    expect_no_space(Queue::<[u8]>::builder().name(&name).capacity_bytes(wanted as usize).open_or_create(), wanted, size);
    expect_no_space(Queue::<u64>::create(&name, (wanted / 8) as usize), wanted, size);
    expect_no_space(Queue::<[u8]>::builder().capacity_bytes(wanted as usize).create(), wanted, size);
    assert!(!segment_exists(&name));
    assert_eq!(shm_files(&format!(".shmq-{}-", std::process::id())), Vec::<String>::new());
    // The name can still be used.
    Queue::<u64>::create(&name, 3).unwrap();
}

/// A small `/dev/shm` that only this process sees.
pub fn enter_small_shm(bytes: u64) -> io::Result<()> {
    enter_small_shm_with(bytes, 0)
}

/// The same, with at most that many files and folders; 0 for no bound.
fn enter_small_shm_with(bytes: u64, files: u64) -> io::Result<()> {
    let text = |text: &str| CString::new(text).expect("no NUL");
    let (none, root, tmpfs, shm, options) =
        (text("none"), text("/"), text("tmpfs"), text("/dev/shm"), text(&format!("size={bytes},nr_inodes={files},mode=1777")));
    // SAFETY: unshare takes a number; mount takes NUL-terminated strings that outlive the calls.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 && libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) != 0 {
            return Err(io::Error::last_os_error());
        }
        let private = libc::MS_REC | libc::MS_PRIVATE;
        if libc::mount(none.as_ptr(), root.as_ptr(), std::ptr::null(), private, std::ptr::null()) != 0
            || libc::mount(tmpfs.as_ptr(), shm.as_ptr(), tmpfs.as_ptr(), 0, options.as_ptr().cast()) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn a_full_file_system_is_reported() {
    const SIZE: u64 = 2 << 20;
    if let Err(error) = enter_small_shm(SIZE) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    let everything = || shm_files("");
    assert_eq!(everything(), Vec::<String>::new());
    expect_no_space(Queue::<[u8]>::builder().capacity_bytes(4 << 20).create(), 4 << 20, SIZE);
    assert_eq!(everything(), Vec::<String>::new(), "nothing is left of a failed attempt");
    let name = unique_name("small");
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(1 << 20).create().unwrap();
    // The next one does not fit next to it.
    expect_no_space(Queue::<[u8]>::builder().capacity_bytes(1 << 20).create(), 1 << 20, SIZE);
    assert_eq!(everything(), [format!("shmq.{name}")]);
    // Others take all the remaining space: what was allocated stays allocated, to its last byte.
    let hog = vec![1u8; size_and_free().1 as usize];
    std::fs::write("/dev/shm/hog", &hog).unwrap();
    assert_eq!(size_and_free().1, 0);
    for fill in 0..4 {
        let message = vec![fill; queue.max_len()];
        queue.put(&message).unwrap();
        queue.put(&[fill; 100]).unwrap();
        assert!(queue.get().unwrap() == message && queue.get().unwrap() == [fill; 100]);
    }
    expect_no_space(Queue::<u64>::new(1), 1, SIZE);
    assert_eq!(everything(), ["hog".to_string(), format!("shmq.{name}")]);
    std::fs::remove_file("/dev/shm/hog").unwrap();
    Queue::<u64>::new(1).unwrap();
    drop(queue);
    assert_eq!(everything(), Vec::<String>::new());
}

/// Leaves an anonymous segment, as a killed user does.
fn leave_anonymous(number: u64, bytes: usize) -> String {
    let name = format!("anon-{number:016x}");
    fork("a user that ends without a word", || {
        std::mem::forget(Queue::<[u8]>::builder().name(&name).capacity_bytes(bytes).create().unwrap());
        exit_now(0);
    })
    .expect_success();
    name
}

fn a_full_file_system_is_cleared_of_stale_files_at_once() {
    if let Err(error) = enter_small_shm(4 << 20) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    // This process removed stale files a moment ago.
    Queue::<u64>::new(1).unwrap();
    for turn in 0..3 {
        let left = leave_anonymous(turn, 3 << 20);
        let live = Queue::<[u8]>::builder().name(unique_name("live")).capacity_bytes(1 << 18).create().unwrap();
        let name = unique_name("large");
        let builder = || Queue::<[u8]>::builder().capacity_bytes(2 << 20);
        let made = match turn {
            0 => builder().create().unwrap(),
            1 => builder().name(&name).create().unwrap(),
            _ => builder().name(&name).open_or_create().unwrap(),
        };
        assert!(!segment_exists(&left) && segment_exists(live.name()) && segment_exists(made.name()));
        // The remaining segments are in use: the error says so, and their users are not disturbed.
        expect_no_space(builder().create(), 2 << 20, 4 << 20);
        live.put(b"alive").unwrap();
    }
    // There is enough memory, but no room for one more file.
    drop(shm_files(""));
    if let Err(error) = enter_small_shm_with(4 << 20, 4) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    let left: Vec<String> = (0..3).map(|number| leave_anonymous(100 + number, 4096)).collect();
    Queue::<u64>::new(1).unwrap();
    assert!(left.iter().all(|name| !segment_exists(name)));
    let live: Vec<Queue<u64>> = (0..3).map(|_| Queue::new(1).unwrap()).collect();
    match Queue::<u64>::new(1) {
        Err(CreateError::Os { source: error, .. }) => assert_eq!(error.raw_os_error(), Some(libc::ENOSPC)),
        other => panic!("{other:?}"),
    }
    drop(live);
}

fn many_that_create_at_once_need_memory_for_one() {
    if let Err(error) = enter_small_shm(24 << 20) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    for round in 0..10 {
        let name = unique_name("large");
        let (go, attached, leave) = (shared_word(), shared_word(), shared_word());
        let children: Vec<Child> = (0..8)
            .map(|_| {
                fork("one of many", || {
                    wait_for_count("the start", go, 1);
                    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(16 << 20).open_or_create();
                    attached.fetch_add(1, Release);
                    wait_for_count("the end", leave, 1);
                    queue.unwrap().put(b"here").unwrap();
                })
            })
            .collect();
        go.store(1, Release);
        wait_for_count("all", attached, 8);
        assert!(segment_exists(&name), "round {round}");
        let queue = Queue::<[u8]>::open(&name).unwrap();
        leave.store(1, Release);
        expect_all_succeed(children);
        assert_eq!(queue.len(), 8, "round {round}");
    }
    // Without competing creators, the error comes at once.
    let _most = Queue::<[u8]>::builder().capacity_bytes(16 << 20).create().unwrap();
    let began = std::time::Instant::now();
    expect_no_space(
        Queue::<[u8]>::builder().name(unique_name("more")).capacity_bytes(16 << 20).open_or_create(),
        16 << 20,
        24 << 20,
    );
    assert!(began.elapsed() < BY_ITSELF);
}

fn a_copy_with_holes_is_filled_or_refused() {
    if let Err(error) = enter_small_shm(4 << 20) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    let name = unique_name("sparse");
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(2 << 20).persist(true).create().unwrap();
    queue.put(b"first").unwrap();
    drop(queue);
    // As `cp --sparse` does it: zeroes become holes.
    let path = format!("/dev/shm/shmq.{name}");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..1 << 16]).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(whole.len() as u64).unwrap();
    std::fs::write("/dev/shm/hog", vec![1u8; 3 << 20]).unwrap();
    match Queue::<[u8]>::open(&name) {
        Err(OpenError::Os { call: "fallocate", source: error, .. }) => assert_eq!(error.raw_os_error(), Some(libc::ENOSPC)),
        other => panic!("{other:?}"),
    }
    std::fs::remove_file("/dev/shm/hog").unwrap();
    let queue: Queue<[u8]> = Queue::open(&name).unwrap();
    assert_eq!(queue.get().unwrap(), b"first");
    queue.put(&vec![7; queue.max_len()]).unwrap();
    Queue::<u8>::unlink(&name).unwrap();
}

/// A dead queue makes room for its successor, unless that would not fit even then.
fn messages_are_not_thrown_away_for_nothing() {
    if let Err(error) = enter_small_shm(4 << 20) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    let name = unique_name("left");
    let child = fork("one that leaves a message", || {
        let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(2 << 20).create().unwrap();
        queue.put(b"still here").unwrap();
        exit_now(0);
    });
    expect_all_succeed(vec![child]);
    let builder = |bytes| Queue::<[u8]>::builder().name(&name).capacity_bytes(bytes);
    expect_no_space(builder(8 << 20).create(), 8 << 20, 4 << 20);
    let other = Queue::<[u32]>::builder().name(&name).capacity_bytes(8 << 20);
    expect_no_space(other.open_or_create(), 8 << 20, 4 << 20);
    assert_eq!(builder(2 << 20).open().unwrap().try_get().unwrap(), b"still here");
}
