//! Which owners' segments are opened: this user's and root's, and others' only if the builder
//! allows it. Three users and root.

use super::limits::{become_user, needs_root};
use crate::support::harness::{Case, skip};
use crate::support::process::{Exit, exit_now, fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, segment_exists, unique_name};
use shmq::inspect::{self, Inspector, Operator, Owners, Removal};
use shmq::sync::{Event, Mutex};
use shmq::{CreateError, OpenError, PutError, Queue};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Release;

const OWNER: u32 = 1001;
const OTHER: u32 = 1002;
const THIRD: u32 = 1003;
const ROOT: u32 = 0;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_segment_of_another_user_is_refused_unless_it_is_allowed,
        a_dead_segment_of_another_user_is_not_replaced,
        rights_that_were_dropped_count_no_more,
        an_inherited_handle_outlives_the_rights_it_was_opened_with,
        a_umask_does_not_apply,
        links_lead_nowhere,
        users_that_a_namespace_does_not_know_are_distinguished,
    ]
}

fn path_of(name: &str) -> String {
    format!("/dev/shm/shmq.{name}")
}

fn become_if_not_root(uid: u32) {
    if uid != ROOT {
        become_user(uid);
    }
}

fn builder(name: &str) -> shmq::QueueBuilder<Queue<u64>> {
    Queue::<u64>::builder().name(name).capacity(8)
}

#[track_caller]
fn expect_foreign_open<T>(result: Result<T, OpenError>, uid: u32) {
    let error = result.map(drop).expect_err("another user's");
    let words = error.to_string();
    assert!(words.contains("permission denied") && words.contains(&format!("uid {uid}")), "{words}");
    assert!(matches!(error, OpenError::ForeignOwner { owner_uid, .. } if owner_uid == uid), "{error:?}");
}

#[track_caller]
fn expect_foreign_create<T>(result: Result<T, CreateError>, uid: u32) {
    let error = result.map(drop).expect_err("another user's");
    let words = error.to_string();
    assert!(words.contains("permission denied") && words.contains(&format!("uid {uid}")), "{words}");
    assert!(matches!(error, CreateError::ForeignOwner { owner_uid, .. } if owner_uid == uid), "{error:?}");
}

#[track_caller]
fn expect_foreign_handle<T>(result: serde_json::Result<T>, uid: u32) {
    let words = result.map(drop).expect_err("another user's").to_string();
    assert!(words.contains(&format!("uid {uid}")), "{words}");
}

#[cfg(feature = "object")]
fn expect_foreign_objects(name: &str, handle: &str) {
    use shmq::ObjectQueue;
    expect_foreign_open(ObjectQueue::<String>::open(name), OWNER);
    expect_foreign_create(ObjectQueue::<String>::open_or_create(name, 3), OWNER);
    expect_foreign_create(ObjectQueue::<String>::builder().name(name).create(), OWNER);
    expect_foreign_handle(serde_json::from_str::<ObjectQueue<String>>(handle), OWNER);
    let allowed = ObjectQueue::<String>::builder().name(name).allow_owner(OWNER).open().unwrap();
    allowed.put(&"seen".to_owned()).unwrap();
    let any = ObjectQueue::<String>::builder().name(name).allow_any_owner().open_or_create().unwrap();
    assert_eq!(any.get().unwrap(), "seen");
}

fn a_segment_of_another_user_is_refused_unless_it_is_allowed() {
    needs_root();
    let [queue_name, event_name, mutex_name, object_name] = ["queue", "event", "mutex", "object"].map(unique_name);
    let (ready, done) = (shared_word(), shared_word());
    // Root's segment: every user may use it.
    let post_name = unique_name("post");
    let post = Queue::<[u8]>::builder().name(&post_name).mode(0o666).capacity_bytes(4096).create().unwrap();
    let owner = fork("a user that takes names", || {
        become_user(OWNER);
        let post = Queue::<[u8]>::open(&post_name).unwrap();
        let queue = builder(&queue_name).mode(0o666).create().unwrap();
        let event = Event::builder().name(&event_name).mode(0o666).create().unwrap();
        let _mutex = Mutex::builder(7u64).name(&mutex_name).mode(0o666).create().unwrap();
        #[cfg(feature = "object")]
        let objects = shmq::ObjectQueue::<String>::builder().name(&object_name).mode(0o666).create().unwrap();
        post.put(serde_json::to_string(&queue).unwrap().as_bytes()).unwrap();
        post.put(serde_json::to_string(&event).unwrap().as_bytes()).unwrap();
        #[cfg(feature = "object")]
        post.put(serde_json::to_string(&objects).unwrap().as_bytes()).unwrap();
        ready.store(1, Release);
        wait_for_count("the others", done, 1);
        assert_eq!((queue.len(), queue.recover().dead_participants), (0, 0), "no other process attached");
        assert!(!event.is_set());
    });
    wait_for_count("the names", ready, 1);
    let text = || String::from_utf8(post.get_timeout(PATIENCE).unwrap()).unwrap();
    let (queue_handle, event_handle) = (text(), text());
    #[cfg(feature = "object")]
    let object_handle = text();
    for uid in [OTHER, THIRD, ROOT] {
        fork("another user", || {
            become_if_not_root(uid);
            expect_foreign_open(Queue::<u64>::open(&queue_name), OWNER);
            expect_foreign_create(Queue::<u64>::open_or_create(&queue_name, 8), OWNER);
            expect_foreign_create(Queue::<u64>::create(&queue_name, 8), OWNER);
            expect_foreign_handle(serde_json::from_str::<Queue<u64>>(&queue_handle), OWNER);
            expect_foreign_open(Queue::<u64>::unlink(&queue_name), OWNER);
            // The contents make no difference, and the error does not reveal them.
            expect_foreign_open(Queue::<[u8]>::open(&queue_name), OWNER);
            expect_foreign_open(builder(&queue_name).allow_owner(if uid == OTHER { THIRD } else { OTHER }).open(), OWNER);

            expect_foreign_open(Event::open(&event_name), OWNER);
            expect_foreign_create(Event::open_or_create(&event_name), OWNER);
            expect_foreign_create(Event::builder().name(&event_name).create(), OWNER);
            expect_foreign_handle(serde_json::from_str::<Event>(&event_handle), OWNER);
            expect_foreign_open(Event::unlink(&event_name), OWNER);
            expect_foreign_open(Mutex::<u64>::open(&mutex_name), OWNER);
            expect_foreign_create(Mutex::open_or_create(&mutex_name, 1u64), OWNER);

            expect_foreign_open(Operator::open(&queue_name), OWNER);
            expect_foreign_open(Operator::open_of(&queue_name, &Owners::default().allow_owner(THIRD)), OWNER);
            expect_foreign_open(inspect::remove_stale(&queue_name, true), OWNER);
            expect_foreign_open(inspect::unlink_of(&queue_name, &Owners::default()), OWNER);
            // Inspecting is permitted, since it changes nothing.
            let seen = Inspector::open(&queue_name).unwrap();
            assert_eq!((seen.about().owner_uid, seen.snapshot().messages), (OWNER, 0));

            #[cfg(feature = "object")]
            expect_foreign_objects(&object_name, &object_handle);

            // Where it was allowed, it works.
            let named = builder(&queue_name).allow_owner(THIRD).allow_owner(OWNER).open().unwrap();
            let any = builder(&queue_name).allow_any_owner().open_or_create().unwrap();
            named.put(&u64::from(uid)).unwrap();
            assert_eq!(any.get().unwrap(), u64::from(uid));
            // A segment that is attached already is used.
            let same = serde_json::from_str::<Queue<u64>>(&queue_handle).unwrap();
            same.put(&1).unwrap();
            let operator = Operator::open_of(&queue_name, &Owners::default().allow_any_owner()).unwrap();
            assert_eq!(operator.drain(9).unwrap(), 1);
            assert!(!Event::builder().name(&event_name).allow_owner(OWNER).open().unwrap().is_set());
            Event::builder().name(&event_name).allow_any_owner().open_or_create().unwrap();
            assert_eq!(*Mutex::builder(0u64).name(&mutex_name).allow_owner(OWNER).open().unwrap().lock().unwrap(), 7);
            assert_eq!(
                inspect::remove_stale_of(&queue_name, true, &Owners::default().allow_owner(OWNER)).unwrap(),
                Removal::InUse
            );
        })
        .expect_success();
    }
    done.store(1, Release);
    owner.expect_success();
    for name in [&queue_name, &event_name, &mutex_name, &object_name] {
        assert!(!segment_exists(name), "{name}");
    }
}

fn a_dead_segment_of_another_user_is_not_replaced() {
    needs_root();
    let (name, anonymous) = (unique_name("left"), format!("anon-{:016x}", std::process::id()));
    fork("a user that leaves without a word", || {
        become_user(OWNER);
        std::mem::forget(builder(&name).mode(0o666).create().unwrap());
        std::mem::forget(builder(&anonymous).mode(0o666).create().unwrap());
        exit_now(0);
    })
    .expect_success();
    let owner_of = |name: &str| std::fs::metadata(path_of(name)).unwrap().uid();
    for uid in [OTHER, ROOT] {
        fork("another user", || {
            become_if_not_root(uid);
            expect_foreign_create(Queue::<u64>::create(&name, 8), OWNER);
            expect_foreign_create(Queue::<u64>::open_or_create(&name, 8), OWNER);
            // A create that removes stale files leaves those of other users.
            Queue::<u64>::new(1).unwrap();
            assert!(segment_exists(&anonymous));
        })
        .expect_success();
    }
    assert_eq!(owner_of(&name), OWNER);
    let replaced = builder(&name).allow_owner(OWNER).create().unwrap();
    assert_eq!(owner_of(&name), ROOT);
    // Root's segment is opened by every user that its mode lets in, and replaced by root only.
    replaced.persist();
    drop(replaced);
    fork("a user that may not enter", || {
        become_user(OTHER);
        assert!(matches!(Queue::<u64>::open(&name), Err(OpenError::PermissionDenied { .. })));
    })
    .expect_success();
    Queue::<u64>::unlink(&name).unwrap();
    fork("root, that leaves without a word", || {
        std::mem::forget(builder(&name).mode(0o666).create().unwrap());
        exit_now(0);
    })
    .expect_success();
    fork("a user", || {
        become_user(OTHER);
        expect_foreign_create(Queue::<u64>::create(&name, 8), ROOT);
        let queue = Queue::<u64>::open(&name).unwrap();
        queue.put(&1).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
    })
    .expect_success();
    drop(Queue::<u64>::create(&name, 8).unwrap());
    assert!(!segment_exists(&name));
    assert_eq!(inspect::remove_stale_of(&anonymous, false, &Owners::default().allow_owner(OWNER)).unwrap(), Removal::Removed);
}

fn rights_that_were_dropped_count_no_more() {
    needs_root();
    let (name, private_name, theirs_name) = (unique_name("roots"), unique_name("private"), unique_name("theirs"));
    let shared = builder(&name).mode(0o666).create().unwrap();
    let private = builder(&private_name).create().unwrap();
    let handles = [&shared, &private].map(|queue| serde_json::to_string(queue).unwrap());
    let post = Queue::<[u8]>::builder().mode(0o666).capacity_bytes(4096).create().unwrap();
    let done = shared_word();
    let child = fork("a child that drops its rights", || {
        // Attached as root, used as another user.
        private.put(&1).unwrap();
        become_user(OWNER);
        assert_eq!(private.get().unwrap(), 1);
        shared.put(&2).unwrap();
        // A handle of an attached segment leads to the same attachment. By name the mode decides,
        // whichever user owns it.
        for (handle, queue) in handles.iter().zip([&shared, &private]) {
            let same: Queue<u64> = serde_json::from_str(handle).unwrap();
            same.put(&3).unwrap();
            assert_eq!(queue.len(), same.len());
        }
        assert_eq!(Queue::<u64>::open(&name).unwrap().len(), 2);
        assert!(matches!(Queue::<u64>::open(&private_name), Err(OpenError::PermissionDenied { .. })));
        let theirs = builder(&theirs_name).mode(0o666).create().unwrap();
        post.put(serde_json::to_string(&theirs).unwrap().as_bytes()).unwrap();
        wait_for_count("the parent", done, 1);
        assert_eq!(theirs.get().unwrap(), 4);
    });
    let handle = String::from_utf8(post.get_timeout(PATIENCE).unwrap()).unwrap();
    // Its parent kept its rights, and does not trust segments of the less privileged user.
    expect_foreign_handle(serde_json::from_str::<Queue<u64>>(&handle), OWNER);
    let opened = builder(&theirs_name).allow_owner(OWNER).open().unwrap();
    let same: Queue<u64> = serde_json::from_str(&handle).unwrap();
    same.put(&4).unwrap();
    done.store(1, Release);
    child.expect_success();
    drop((opened, same));
    // The last user to leave, if it is not the owner, removes the name only if it is root.
    assert!(!segment_exists(&theirs_name));

    fork("a program that is another user for a while", || {
        // SAFETY: seteuid takes a number.
        let become_user_for_now = |uid| assert_eq!(unsafe { libc::seteuid(uid) }, 0);
        become_user_for_now(OTHER);
        let made = builder(&theirs_name).create().unwrap();
        assert_eq!(Queue::<u64>::open(&theirs_name).unwrap().len(), 0);
        let handle = serde_json::to_string(&made).unwrap();
        become_user_for_now(0);
        expect_foreign_open(Queue::<u64>::open(&theirs_name), OTHER);
        // It goes on using what it has attached.
        made.put(&1).unwrap();
        assert_eq!(serde_json::from_str::<Queue<u64>>(&handle).unwrap().get().unwrap(), 1);
    })
    .expect_success();
    assert!(!segment_exists(&theirs_name));
}

fn an_inherited_handle_outlives_the_rights_it_was_opened_with() {
    needs_root();
    let queue = Queue::<u64>::builder().capacity(8).create().unwrap();
    queue.put(&1).unwrap();
    let event = Event::new().unwrap();
    fork("a child that gives up its rights before it uses anything", || {
        become_user(OTHER);
        assert_eq!(queue.get().unwrap(), 1);
        queue.put(&2).unwrap();
        event.set();
        // It never had the rights, and gets that error.
        fork("its child", || assert!(matches!(queue.try_put(&3), Err(PutError::Os { .. })))).expect_success();
    })
    .expect_success();
    assert!(event.is_set());
    assert_eq!(queue.get().unwrap(), 2);
}

fn a_umask_does_not_apply() {
    needs_root();
    let name = unique_name("umask");
    fork("a user with a strict umask", || {
        become_user(OTHER);
        // SAFETY: umask takes a number and cannot fail.
        unsafe { libc::umask(0o777) };
        let queue = builder(&name).mode(0o640).create().unwrap();
        assert_eq!(std::fs::metadata(path_of(&name)).unwrap().mode() & 0o7777, 0o640);
        Queue::<u64>::open(&name).unwrap().put(&1).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
        let private = Queue::<u64>::new(1).unwrap();
        assert_eq!(std::fs::metadata(path_of(private.name())).unwrap().mode() & 0o7777, 0o600);
    })
    .expect_success();
}

fn links_lead_nowhere() {
    let (name, linked) = (unique_name("target"), unique_name("linked"));
    let queue = builder(&name).mode(0o660).create().unwrap();
    std::os::unix::fs::symlink(path_of(&name), path_of(&linked)).unwrap();
    assert!(matches!(Queue::<u64>::open(&linked), Err(OpenError::NoSegment { .. })));
    assert!(matches!(Queue::<u64>::open_or_create(&linked, 8), Err(CreateError::NoSegment { .. })));
    std::fs::remove_file(path_of(&linked)).unwrap();
    // A second name for a queue that others were let into would divert messages to it that were
    // meant for this user only.
    std::fs::hard_link(path_of(&name), path_of(&linked)).unwrap();
    assert!(matches!(Queue::<u64>::open(&linked), Err(OpenError::NoSegment { .. })));
    assert!(matches!(Queue::<u64>::open_or_create(&linked, 8), Err(CreateError::NoSegment { .. })));
    std::fs::remove_file(path_of(&linked)).unwrap();
    Queue::<u64>::open(&name).unwrap().put(&1).unwrap();
    assert_eq!(queue.get().unwrap(), 1);
}

fn users_that_a_namespace_does_not_know_are_distinguished() {
    needs_root();
    const UNKNOWN: u32 = 65_534;
    let (mine, theirs) = (unique_name("mine"), unique_name("theirs"));
    let (ready, done) = (shared_word(), shared_word());
    let owner = fork("a user that takes a name", || {
        become_user(OWNER);
        let _queue = builder(&theirs).mode(0o666).create().unwrap();
        ready.store(1, Release);
        wait_for_count("the other", done, 1);
    });
    wait_for_count("the name", ready, 1);
    let mut other = fork("a user in a namespace that knows no user", || {
        become_user(OTHER);
        let queue = builder(&mine).mode(0o666).create().unwrap();
        // SAFETY: unshare takes a number.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
            exit_now(78);
        }
        // SAFETY: geteuid has no preconditions.
        assert_eq!(unsafe { libc::geteuid() }, UNKNOWN);
        // All users have the same number here, and are still different users.
        queue.put(&1).unwrap();
        assert_eq!(Queue::<u64>::open(&mine).unwrap().get().unwrap(), 1);
        expect_foreign_open(Queue::<u64>::open(&theirs), UNKNOWN);
        builder(&theirs).allow_owner(UNKNOWN).open().unwrap();
    });
    let exit = other.wait();
    done.store(1, Release);
    owner.expect_success();
    if exit == Exit::Code(78) {
        let _ = std::fs::remove_file(path_of(&mine));
        skip("no user namespace here");
    }
    assert_eq!(exit, Exit::Code(0));
}
