//! Whose files there are, and when they go: with the message, and with the queue.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::sandbox;
use crate::support::unique_name;
use crate::{Bytes, Files, LARGE, RING, large, queue};
use shmq::inspect::Inspector;
use shmq::{CreateError, GetError, ObjectQueue, PutError};
use std::fs;
use std::os::unix::fs::MetadataExt;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_queue_that_holds_no_such_object_has_no_files,
        the_last_one_that_leaves_removes_all,
        an_unlinked_queue_goes_on_and_leaves_nothing,
        a_queue_that_is_unlinked_first_takes_them_too,
        an_unused_queue_is_unlinked_with_its_files,
        a_queue_is_unlinked_where_no_file_has_room,
        a_persisted_queue_keeps_them,
        what_replaces_a_dead_queue_removes_its_files,
        a_child_that_keeps_the_name_keeps_the_files,
        a_file_that_is_gone_is_an_error_in_words,
        a_file_of_garbage_is_an_error_in_words,
        a_file_that_one_process_cannot_see_is_not_lost,
        a_file_has_the_group_of_its_segment,
        they_are_no_segments,
        other_users_may_open_an_anchored_segment,
        another_directory,
    ]
}

fn a_queue_that_holds_no_such_object_has_no_files() {
    let queue = queue("small");
    queue.put(&vec![1; 100]).unwrap();
    assert_eq!(Files::of(queue.name()).all(), [""; 0]);
}

fn the_last_one_that_leaves_removes_all() {
    let queue = queue("last");
    let files = Files::of(queue.name());
    (0..3).for_each(|tag| queue.put(&large(tag)).unwrap());
    assert_eq!(files.all().len(), 4);
    fork("one that leaves first", || drop(ObjectQueue::<Bytes>::open(queue.name()).unwrap())).expect_success();
    assert_eq!(files.all().len(), 4);
    drop(queue);
    assert_eq!(files.all(), [""; 0]);
}

fn an_unlinked_queue_goes_on_and_leaves_nothing() {
    let queue = queue("unlinked");
    let files = Files::of(queue.name());
    queue.put(&large(1)).unwrap();
    let child = fork("another user", || {
        let same = ObjectQueue::<Bytes>::open(queue.name()).unwrap();
        ObjectQueue::<Bytes>::unlink(queue.name()).unwrap();
        same.put(&large(2)).unwrap();
        drop(same);
    });
    child.expect_success();
    assert!(ObjectQueue::<Bytes>::open(queue.name()).is_err());
    queue.put(&large(3)).unwrap();
    assert!(queue.get_batch(2).unwrap() == [large(1), large(2)]);
    assert_eq!(files.objects().len(), 1);
    drop(queue);
    assert_eq!(files.all(), [""; 0]);
}

fn a_queue_that_is_unlinked_first_takes_them_too() {
    let queue = queue("first");
    let files = Files::of(queue.name());
    ObjectQueue::<Bytes>::unlink(queue.name()).unwrap();
    queue.put(&large(1)).unwrap();
    assert!(queue.get().unwrap() == large(1));
    queue.put(&large(2)).unwrap();
    drop(queue);
    assert_eq!(files.all(), [""; 0]);
}

fn an_unused_queue_is_unlinked_with_its_files() {
    let queue = queue("unused");
    let (name, files) = (queue.name().to_owned(), Files::of(queue.name()));
    queue.persist();
    queue.put(&large(1)).unwrap();
    drop(queue);
    assert_eq!(files.objects().len(), 1);
    ObjectQueue::<Bytes>::unlink(&name).unwrap();
    assert_eq!(files.all(), [""; 0]);
}

/// Then above all: a link takes an inode of a tmpfs.
fn a_queue_is_unlinked_where_no_file_has_room() {
    let child = fork("a process with a small /dev/shm", || {
        if !sandbox::own_mounts() {
            return;
        }
        sandbox::mount_tmpfs(c"/dev/shm", 0, c"nr_inodes=40");
        let queue = queue("no-inode");
        let mut fillers = (0..).map(|nth| fs::File::create(format!("/dev/shm/filler-{nth}")));
        assert!(fillers.any(|made| made.is_err()));
        ObjectQueue::<Bytes>::unlink(queue.name()).unwrap();
        assert!(matches!(queue.put(&large(1)), Err(PutError::Os { .. })));
        queue.put(&vec![2]).unwrap();
        assert_eq!(queue.get().unwrap(), [2]);
    });
    child.expect_success();
}

fn a_persisted_queue_keeps_them() {
    let queue = queue("persisted");
    let (name, files) = (queue.name().to_owned(), Files::of(queue.name()));
    queue.persist();
    (0..2).for_each(|tag| queue.put(&large(tag)).unwrap());
    drop(queue);
    fork("one that comes later", || {
        // A scan for what the dead left, too.
        drop(ObjectQueue::<Bytes>::new(4).unwrap());
        assert!(ObjectQueue::<Bytes>::open(&name).unwrap().get().unwrap() == large(0));
    })
    .expect_success();
    assert_eq!(files.objects().len(), 1);
    let queue = ObjectQueue::<Bytes>::open(&name).unwrap();
    assert!(queue.get().unwrap() == large(1));
    ObjectQueue::<Bytes>::unlink(&name).unwrap();
    drop(queue);
    assert_eq!(files.all(), [""; 0]);
}

fn what_replaces_a_dead_queue_removes_its_files() {
    let name = unique_name("replaced");
    let builder = || ObjectQueue::<Bytes>::builder().name(&name).capacity_bytes(RING);
    fork("a process that is killed", || {
        let queue = builder().create().unwrap();
        queue.put(&large(1)).unwrap();
        std::mem::forget(queue);
        crate::support::process::exit_now(0);
    })
    .expect_success();
    let files = Files::of(&name);
    assert_eq!(files.all().len(), 2);
    let queue = builder().create().unwrap();
    assert_eq!(files.all(), [""; 0]);
    assert!(queue.is_empty() && matches!(builder().create(), Err(CreateError::AlreadyExists { .. })));
}

fn a_child_that_keeps_the_name_keeps_the_files() {
    let queue = queue("child");
    let files = Files::of(queue.name());
    queue.put(&large(1)).unwrap();
    queue.put(&large(2)).unwrap();
    let (go, name) = (crate::support::process::shared_word(), queue.name().to_owned());
    let queue = std::cell::Cell::new(Some(queue));
    let child = fork("a child that comes to use it", || {
        crate::support::process::wait_for_count("its parent has left", go, 1);
        assert!(queue.take().unwrap().get().unwrap() == large(1));
    });
    drop(queue.take());
    assert_eq!(files.objects().len(), 2, "{name}");
    go.store(1, std::sync::atomic::Ordering::Release);
    child.expect_success();
    assert_eq!(files.all(), [""; 0]);
}

fn a_file_that_is_gone_is_an_error_in_words() {
    let queue = queue("gone");
    queue.put(&large(1)).unwrap();
    queue.put(&vec![2]).unwrap();
    let file = Files::of(queue.name()).objects().pop().unwrap();
    fs::remove_file(format!("/dev/shm/{file}")).unwrap();
    let error = queue.get().unwrap_err();
    assert!(matches!(error, GetError::Os { .. }) && error.to_string().contains("lost"), "{error}");
    assert_eq!(queue.get().unwrap(), [2], "the queue goes on behind it");
}

/// A consumer that has another `/dev/shm` by now: the message is there for the others.
fn a_file_that_one_process_cannot_see_is_not_lost() {
    let queue = queue("unseen");
    queue.put(&large(1)).unwrap();
    let consumer = fork("a process with mounts of its own", || {
        let same = ObjectQueue::<Bytes>::open(queue.name()).unwrap();
        if !sandbox::own_mounts() {
            return;
        }
        sandbox::mount_tmpfs(c"/dev/shm", 0, c"");
        let error = same.get().unwrap_err();
        assert!(matches!(error, GetError::Os { .. }) && !error.to_string().contains("lost"), "{error}");
        assert_eq!(same.len(), 1);
    });
    consumer.expect_success();
    assert!(queue.get().unwrap() == large(1));
}

/// Users that share a segment by its group read its objects by it too.
fn a_file_has_the_group_of_its_segment() {
    if !sandbox::is_root() {
        return;
    }
    const GROUP: u32 = 4242;
    let builder = ObjectQueue::<Bytes>::builder().name(unique_name("group")).capacity_bytes(RING).mode(0o660);
    let queue = builder.create().unwrap();
    std::os::unix::fs::chown(format!("/dev/shm/shmq.{}", queue.name()), None, Some(GROUP)).unwrap();
    queue.put(&large(1)).unwrap();
    let file = Files::of(queue.name()).objects().pop().unwrap();
    let found = fs::metadata(format!("/dev/shm/{file}")).unwrap();
    assert_eq!((found.gid(), found.mode() & 0o777), (GROUP, 0o660));
}

fn a_file_of_garbage_is_an_error_in_words() {
    let queue = queue("garbage");
    for (tag, garbage) in [Vec::new(), vec![0xab; 100], vec![0xab; 1 << 20]].iter().enumerate() {
        queue.put(&large(tag as u64)).unwrap();
        let file = Files::of(queue.name()).objects().pop().unwrap();
        fs::write(format!("/dev/shm/{file}"), garbage).unwrap();
        let error = queue.lease().map(drop).unwrap_err();
        assert!(error.to_string().contains("lost"), "{error}");
        assert!(queue.is_empty() && Files::of(queue.name()).objects().is_empty());
    }
}

fn they_are_no_segments() {
    let queue = queue("listed");
    queue.put(&large(1)).unwrap();
    let listed: Vec<String> = shmq::inspect::list().unwrap().into_iter().map(|found| found.name).collect();
    assert!(listed.contains(&queue.name().to_owned()));
    assert!(!listed.iter().any(|name| name.contains("spill")), "{listed:?}");
    let inspector = Inspector::open(queue.name()).unwrap();
    let now = inspector.snapshot();
    assert_eq!((now.stats.spilled, now.stats.spilled_bytes >= LARGE as u64), (1, true));
    assert_eq!(inspector.about().max_message_bytes as usize, queue.max_len());
    let peeked = inspector.peek(5, 1000);
    assert_eq!((peeked.len(), peeked[0].bytes.len()), (1, 1000));
    // Behind the codec's head.
    assert!(peeked[0].length > LARGE as u64);
    let head = peeked[0].length as usize - LARGE;
    assert!(peeked[0].bytes[head..] == large(1)[..1000 - head]);
}

fn other_users_may_open_an_anchored_segment() {
    let builder = || ObjectQueue::<Bytes>::builder().name(unique_name("mode")).capacity_bytes(RING).mode(0o660);
    let queue = builder().create().unwrap();
    queue.put(&large(1)).unwrap();
    let same = ObjectQueue::<Bytes>::open(queue.name()).unwrap();
    assert!(same.get().unwrap() == large(1));
    // A name that another user made is none of ours.
    let (name, other) = (queue.name().to_owned(), unique_name("link"));
    fs::hard_link(format!("/dev/shm/shmq.{name}"), format!("/dev/shm/shmq.{other}")).unwrap();
    assert!(ObjectQueue::<Bytes>::open(&name).is_err());
    fs::remove_file(format!("/dev/shm/shmq.{other}")).unwrap();
    ObjectQueue::<Bytes>::open(&name).unwrap();
}

fn another_directory() {
    let directory = std::env::temp_dir().join(unique_name("directory"));
    fs::create_dir(&directory).unwrap();
    let builder = ObjectQueue::<Bytes>::builder().name("there").directory(&directory).capacity_bytes(RING);
    let queue = builder.create().unwrap();
    queue.put(&large(1)).unwrap();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);
    assert!(queue.get().unwrap() == large(1));
    drop(queue);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    fs::remove_dir(&directory).unwrap();
}
