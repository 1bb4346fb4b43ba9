//! Names: unrelated programs meet by them, and what is there is checked when it is opened.

use crate::support::harness::{Case, skip};
use crate::support::process::{Child, exit_now, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, segment_exists, shm_files, unique_name};
use shmq::{CreateError, OpenError, Queue, Start, Topic};
use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_unrelated_program_subscribes_and_publishes,
        a_name_goes_with_its_last_user,
        create_open_and_open_or_create,
        openers_wait_for_a_creator,
        a_queue_is_no_topic_and_a_topic_no_queue,
        another_type_is_refused_in_words,
        what_was_persisted_is_found_again,
        a_persisted_full_topic_goes_on,
        an_unlinked_topic_goes_on_for_those_who_have_it,
        modes_let_others_in,
        a_created_topic_replaces_a_dead_one,
    ]
}

/// First argument of this binary when it plays an unrelated program.
pub const UNRELATED: &str = "--unrelated-program";

/// An unrelated program: it answers each question by twice its value, until the end.
pub fn unrelated_program(name: &str) -> ExitCode {
    let answer = || -> Result<(), Box<dyn Error>> {
        let answers = Topic::<u64>::open(format!("{name}-answers"))?;
        let questions = Topic::<u64>::open(name)?.subscribe()?;
        let publisher = answers.publisher()?;
        for question in &questions {
            publisher.publish_timeout(&(question? * 2), PATIENCE)?;
        }
        answers.close();
        Ok(())
    };
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the unrelated program: {error}");
            ExitCode::FAILURE
        }
    }
}

fn an_unrelated_program_subscribes_and_publishes() {
    let name = unique_name("questions");
    let questions = Topic::<u64>::create(&name, 4).unwrap();
    let answers = Topic::<u64>::create(format!("{name}-answers"), 4).unwrap();
    let every = answers.subscribe().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut program = Command::new(&this).args([UNRELATED, &name]).spawn().unwrap();
    questions.wait_subscribers(1, PATIENCE).unwrap();
    assert_eq!(questions.subscribers()[0].pid, program.id());
    for n in 0..300 {
        questions.publish_timeout(&n, PATIENCE).unwrap();
        assert_eq!(every.next_timeout(PATIENCE).unwrap(), n * 2);
    }
    questions.close();
    assert!(every.next_timeout(PATIENCE).unwrap_err().is_closed());
    assert!(program.wait().unwrap().success());
    // It left in good order.
    assert!(questions.subscribers().is_empty());
    assert_eq!(questions.recover().dead_participants, 0);
    let status = Command::new(this).args([UNRELATED, &unique_name("nowhere")]).status().unwrap();
    assert_eq!(status.code(), Some(1), "there is no such topic");
}

fn a_name_goes_with_its_last_user() {
    let name = unique_name("last");
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    let every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    assert!(segment_exists(&name) && topic.has_name() && topic.name() == name);
    drop(topic);
    publisher.publish(&1).unwrap();
    drop(publisher);
    assert!(segment_exists(&name), "a subscriber is a user");
    assert_eq!(every.next().unwrap(), 1);
    drop(every);
    assert!(!segment_exists(&name));
    let anonymous = Topic::<u64>::new(4).unwrap();
    drop(anonymous);
    assert!(shm_files(&format!("shmq.{}", crate::support::prefix())).is_empty());
}

fn create_open_and_open_or_create() {
    let name = unique_name("topic");
    let error = Topic::<u64>::open(&name).unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains(&format!("topic {name:?}")), "{error}");
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    let error = Topic::<u64>::create(&name, 4).unwrap_err();
    assert!(matches!(error, CreateError::AlreadyExists { in_use: true, .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("topic {name:?}")), "{error}");
    let second = Topic::<u64>::open_or_create(&name, 4).unwrap();
    let third = Topic::<u64>::open(&name).unwrap();
    let (one, two) = (second.subscribe().unwrap(), third.subscribe().unwrap());
    topic.publish(&7).unwrap();
    assert_eq!((one.next().unwrap(), two.next().unwrap()), (7, 7));
    assert!(matches!(Topic::<u64>::create("a/b", 4), Err(CreateError::BadName { .. })));
    assert!(matches!(Topic::<u64>::open("a/b"), Err(OpenError::BadName { .. })));
    let error = Topic::<u64>::open_timeout(unique_name("never"), Duration::from_millis(5)).unwrap_err();
    let OpenError::Timeout { what, .. } = &error else { panic!("{error:?}") };
    assert_eq!(what.kind(), "topic");
}

fn openers_wait_for_a_creator() {
    let name = unique_name("late");
    let words = shared_words(2);
    let openers: Vec<Child> = (0..3)
        .map(|_| {
            fork("an opener", || {
                words[0].fetch_add(1, Release);
                let topic = Topic::<u64>::open_timeout(&name, PATIENCE).unwrap();
                assert_eq!(topic.subscribe().unwrap().next_timeout(PATIENCE).unwrap(), 5);
            })
        })
        .collect();
    wait_for_count("the openers", &words[0], 3);
    let topic = Topic::<u64>::create(&name, 8).unwrap();
    topic.wait_subscribers(3, PATIENCE).unwrap();
    topic.publish(&5).unwrap();
    expect_all_succeed(openers);
}

/// The two sides of a mismatch, in words.
fn mismatch(error: OpenError) -> (String, String) {
    match error {
        OpenError::Mismatch { ours, theirs, .. } => (ours, theirs),
        error => panic!("{error:?}"),
    }
}

fn a_queue_is_no_topic_and_a_topic_no_queue() {
    let (name, other) = (unique_name("topic"), unique_name("queue"));
    let (topic, queue) = (Topic::<u64>::create(&name, 4).unwrap(), Queue::<u64>::create(&other, 4).unwrap());
    let error = Queue::<u64>::open(&name).unwrap_err();
    assert!(error.to_string().contains("topic"), "{error}");
    let (ours, theirs) = mismatch(error);
    assert!(!ours.contains("topic") && theirs.contains("topic"), "ours: {ours}, theirs: {theirs}");
    let error = Topic::<u64>::open(&other).unwrap_err();
    assert!(error.to_string().contains("topic"), "{error}");
    let (ours, theirs) = mismatch(error);
    assert!(ours.contains("topic") && !theirs.contains("topic"), "ours: {ours}, theirs: {theirs}");
    for error in [
        Topic::<u64>::create(&other, 4).map(drop).unwrap_err(),
        Queue::<u64>::create(&name, 4).map(drop).unwrap_err(),
        Topic::<u64>::open_or_create(&other, 4).map(drop).unwrap_err(),
        Queue::<u64>::open_or_create(&name, 4).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, CreateError::AlreadyExists { .. } | CreateError::Mismatch { .. }), "{error:?}");
    }
    // Slices likewise.
    let slices = unique_name("slices");
    let _slices = Topic::<[u8]>::builder().name(&slices).capacity_bytes(4096).create().unwrap();
    assert!(matches!(Queue::<[u8]>::open(&slices), Err(OpenError::Mismatch { .. })));
    assert!(matches!(Topic::<u8>::open(&slices), Err(OpenError::Mismatch { .. })));
    // Neither was harmed.
    topic.publish(&1).unwrap();
    queue.put(&1).unwrap();
    assert_eq!((queue.get().unwrap(), topic.stats().published), (1, 1));
}

fn another_type_is_refused_in_words() {
    let name = unique_name("type");
    let _topic = Topic::<[u32; 4]>::create(&name, 4).unwrap();
    let (ours, theirs) = mismatch(Topic::<u64>::open(&name).unwrap_err());
    assert!(ours.contains("u64") && theirs.contains("[u32; 4]"), "ours: {ours}, theirs: {theirs}");
    let (ours, theirs) = mismatch(Topic::<[u32]>::open(&name).unwrap_err());
    assert!(ours.contains("slices of type u32"), "ours: {ours}, theirs: {theirs}");
    assert!(matches!(Topic::<i64>::open_or_create(&name, 4), Err(CreateError::Mismatch { .. })));
    let schema = unique_name("schema");
    let _first = Topic::<u64>::builder().name(&schema).capacity(4).schema("v1").create().unwrap();
    let (ours, theirs) = mismatch(Topic::<u64>::builder().name(&schema).schema("v2").open().unwrap_err());
    assert!(ours.contains("v2") && theirs.contains("v1"), "ours: {ours}, theirs: {theirs}");
    // One of the same size is the same with the same schema.
    Topic::<i64>::builder().name(&schema).schema("v1").open().unwrap();
}

fn what_was_persisted_is_found_again() {
    let name = unique_name("persisted");
    fork("a first life", || {
        let topic = Topic::<u64>::create(&name, 16).unwrap();
        topic.persist();
        let every = topic.subscribe().unwrap();
        (0..100).for_each(|n| {
            topic.publish(&n).unwrap();
            every.next().unwrap();
        });
        drop((every, topic));
    })
    .expect_success();
    assert!(segment_exists(&name));
    for life in 0..3u64 {
        let topic = Topic::<u64>::open(&name).unwrap();
        assert!(topic.subscribers().is_empty() && topic.stats().published == 100 + life);
        let oldest = topic.subscribe_from(Start::Oldest).unwrap();
        assert!(oldest.lag() >= 8);
        let first = 100 + life - oldest.lag();
        let all: Vec<u64> = std::iter::from_fn(|| oldest.try_next().ok()).collect();
        assert!(all.iter().copied().eq(first..100 + life), "{all:?} from {first}");
        let live = topic.subscribe_lossy().unwrap();
        topic.publish(&(100 + life)).unwrap();
        assert_eq!((oldest.next().unwrap(), live.next().unwrap()), (100 + life, 100 + life));
    }
    Topic::<u64>::unlink(&name).unwrap();
    assert!(!segment_exists(&name));
}

/// Cursors do not survive their process: whoever gated in the last life gates no more.
fn a_persisted_full_topic_goes_on() {
    let name = unique_name("full");
    fork("a first life that ends with a full topic", || {
        let topic = Topic::<[u8]>::builder().name(&name).capacity_bytes(4096).create().unwrap();
        topic.persist();
        std::mem::forget(topic.subscribe().unwrap());
        while topic.try_publish(&[1; 200]).is_ok() {}
    })
    .expect_success();
    let topic = Topic::<[u8]>::open(&name).unwrap();
    #[cfg(shmq_portable_sync)]
    let _ = topic.recover();
    (0..100).for_each(|_| topic.publish_timeout(&[2; 200], PATIENCE).unwrap());
    let every = topic.subscribe_from(Start::Oldest).unwrap();
    assert_eq!(every.next().unwrap(), [2; 200]);
    Topic::<[u8]>::unlink(&name).unwrap();
}

fn an_unlinked_topic_goes_on_for_those_who_have_it() {
    let name = unique_name("unlinked");
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    let every = topic.subscribe().unwrap();
    Topic::<u64>::unlink(&name).unwrap();
    assert!(!topic.has_name() && !segment_exists(&name));
    assert!(Topic::<u64>::open(&name).unwrap_err().is_not_found());
    let second = Topic::<u64>::create(&name, 4).unwrap();
    let other = second.subscribe().unwrap();
    topic.publish(&1).unwrap();
    second.publish(&2).unwrap();
    assert_eq!((every.next().unwrap(), other.next().unwrap()), (1, 2));
    drop((topic, every));
    assert!(second.has_name(), "the name of the other one stays");
}

/// Forks a child of another user.
fn as_another_user(what: &'static str, run: impl FnOnce()) -> Child {
    fork(what, || {
        // SAFETY: setgid and setuid take numbers; setgroups reads no list, since its length is 0.
        let changed =
            unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(65_534) == 0 && libc::setuid(65_534) == 0 };
        if !changed {
            exit_now(78);
        }
        run();
    })
}

fn modes_let_others_in() {
    let (private, public) = (unique_name("private"), unique_name("public"));
    let closed = Topic::<u64>::create(&private, 4).unwrap();
    let open = Topic::<u64>::builder().name(&public).capacity(4).mode(0o666).create().unwrap();
    let mode = |name: &str| std::fs::metadata(format!("/dev/shm/shmq.{name}")).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&private), mode(&public)), (0o600, 0o666));
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        drop((closed, open));
        skip("only root can become another user");
    }
    let every = open.subscribe().unwrap();
    as_another_user("another user", || {
        assert!(matches!(Topic::<u64>::open(&private), Err(OpenError::PermissionDenied { .. })));
        let topic = Topic::<u64>::builder().name(&public).allow_owner(0).open().unwrap();
        let own = topic.subscribe().unwrap();
        topic.publish(&9).unwrap();
        assert_eq!(own.next().unwrap(), 9);
    })
    .expect_success();
    assert_eq!(every.next().unwrap(), 9);
    assert_eq!(closed.stats().published, 0);
}

#[cfg_attr(shmq_portable_sync, allow(unused))]
fn a_created_topic_replaces_a_dead_one() {
    let name = unique_name("dead");
    fork("a creator that leaves without a drop", || {
        let topic = Topic::<u64>::create(&name, 4).unwrap();
        topic.publish(&1).unwrap();
        std::mem::forget(topic.subscribe().unwrap());
        std::mem::forget(topic);
    })
    .expect_success();
    let topic = Topic::<u64>::create(&name, 8).unwrap();
    assert_eq!((topic.capacity(), topic.stats().published), (8, 0));
    assert!(topic.subscribers().is_empty());
}
