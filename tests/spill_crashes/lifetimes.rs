//! What is left of the files of a queue that is unlinked, persisted, replaced, or whose processes
//! are all killed.

use crate::deaths::{builder, die, queue_of};
use crate::objects::{Before, Object, sweep};
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{segment_exists, unique_name};
use shmq::inspect::{Removal, remove_stale};
use shmq::sync::Event;
use shmq::{ObjectQueue, OpenError};

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_last_one_that_leaves_removes_the_files,
        an_unlinked_queue_goes_on_until_the_last_one_leaves,
        an_unlinked_queue_whose_processes_are_killed_is_swept,
        an_unlinked_queue_spills_its_first_object_later,
        a_dead_queue_keeps_its_objects_for_the_next_process,
        a_persisted_queue_keeps_its_objects,
        a_persisted_queue_that_is_unlinked_leaves_nothing,
        a_replaced_queue_leaves_nothing,
        a_queue_that_is_removed_as_stale_leaves_nothing,
        a_process_that_exits_leaves_nothing,
        a_child_that_never_called_leaves_nothing,
    ]
}

fn get(queue: &ObjectQueue<Object>, number: u64) {
    assert_eq!(queue.try_get().unwrap().number, number);
}

fn the_last_one_that_leaves_removes_the_files() {
    let (before, queue) = queue_of("left", &[10, 11]);
    fork("another", || get(&ObjectQueue::open(queue.name()).unwrap(), 10)).expect_success();
    assert_eq!(before.since().len(), 2, "an object and the anchor");
    drop(queue);
    before.expect_none_left();
}

fn an_unlinked_queue_goes_on_until_the_last_one_leaves() {
    let (before, name) = (Before::now(), unique_name("unlinked"));
    let [made, ready, go] = [(); 3].map(|()| Event::new().unwrap());
    let other = fork("another", || {
        made.wait().unwrap();
        let queue = ObjectQueue::<Object>::open(&name).unwrap();
        get(&queue, 10);
        ready.set();
        go.wait().unwrap();
        get(&queue, 11);
        queue.put(&Object::new(12)).unwrap();
        get(&queue, 12);
        queue.put(&Object::new(13)).unwrap();
        assert_eq!(before.objects_since().len(), 1);
        drop(queue);
        before.expect_none_left();
    });
    let queue = builder(&name).create().unwrap();
    [10, 11].into_iter().for_each(|number| queue.put(&Object::new(number)).unwrap());
    made.set();
    ready.wait().unwrap();
    ObjectQueue::<Object>::unlink(&name).unwrap();
    drop(queue);
    sweep();
    assert_eq!(before.objects_since().len(), 1);
    go.set();
    other.expect_success();
    before.expect_none_left();
}

fn an_unlinked_queue_whose_processes_are_killed_is_swept() {
    let before = Before::now();
    let name = unique_name("orphans");
    die("the only one", || {
        let queue = builder(&name).create().unwrap();
        [10, 11].into_iter().for_each(|number| queue.put(&Object::new(number)).unwrap());
        ObjectQueue::<Object>::unlink(&name).unwrap();
        std::mem::forget(queue);
    });
    assert_eq!(before.since().len(), 3, "two objects and the anchor");
    sweep();
    before.expect_none_left();
}

fn an_unlinked_queue_spills_its_first_object_later() {
    let (before, queue) = queue_of("later", &[1]);
    assert_eq!(before.since(), [""; 0], "a queue of small objects has no anchor");
    ObjectQueue::<Object>::unlink(queue.name()).unwrap();
    queue.put(&Object::new(10)).unwrap();
    fork("a child", || queue.put(&Object::new(11)).unwrap()).expect_success();
    get(&queue, 1);
    get(&queue, 10);
    drop(queue);
    before.expect_none_left();
}

fn a_dead_queue_keeps_its_objects_for_the_next_process() {
    let before = Before::now();
    let name = unique_name("dead");
    die("the only one", || {
        let queue = builder(&name).create().unwrap();
        [10, 11, 12].into_iter().for_each(|number| queue.put(&Object::new(number)).unwrap());
        std::mem::forget(queue.try_lease().unwrap());
        std::mem::forget(queue);
    });
    sweep();
    let queue = ObjectQueue::<Object>::open_or_create(&name, 4).unwrap();
    queue.recover();
    [10, 11, 12].into_iter().for_each(|number| get(&queue, number));
    drop(queue);
    before.expect_none_left();
}

fn a_persisted_queue_keeps_its_objects() {
    let (before, queue) = queue_of("persisted", &[10, 11]);
    let name = queue.name().to_owned();
    queue.persist();
    drop(queue);
    sweep();
    assert_eq!(before.objects_since().len(), 2);
    die("the next one", || {
        let queue = ObjectQueue::<Object>::open(&name).unwrap();
        get(&queue, 10);
        std::mem::forget(queue);
    });
    sweep();
    let queue = ObjectQueue::<Object>::open(&name).unwrap();
    get(&queue, 11);
    queue.put(&Object::new(12)).unwrap();
    drop(queue);
    // Of a queue that no process is attached to.
    ObjectQueue::<Object>::unlink(&name).unwrap();
    before.expect_none_left();
}

fn a_persisted_queue_that_is_unlinked_leaves_nothing() {
    for exits in [false, true] {
        let (before, queue) = queue_of("persisted", &[10]);
        queue.persist();
        ObjectQueue::<Object>::unlink(queue.name()).unwrap();
        if exits {
            let heir = fork("the last one", || {
                get(&queue, 10);
                queue.put(&Object::new(11)).unwrap();
                // SAFETY: nothing else of this process runs.
                unsafe { libc::exit(0) };
            });
            heir.expect_success();
        }
        drop(queue);
        before.expect_none_left();
    }
}

fn a_replaced_queue_leaves_nothing() {
    let before = Before::now();
    let name = unique_name("replaced");
    for lap in 0..3 {
        die("one after the other", || {
            let queue = builder(&name).create().unwrap();
            assert_eq!(before.objects_since(), [""; 0]);
            [10, 11].into_iter().for_each(|number| queue.put(&Object::new(number + lap)).unwrap());
            std::mem::forget(queue);
        });
        assert_eq!(before.since().len(), 3);
    }
    let queue = builder(&name).create().unwrap();
    before.expect_none_left();
    queue.put(&Object::new(10)).unwrap();
    get(&queue, 10);
}

fn a_queue_that_is_removed_as_stale_leaves_nothing() {
    let before = Before::now();
    let name = unique_name("stale");
    die("the only one", || {
        let queue = builder(&name).create().unwrap();
        queue.put(&Object::new(10)).unwrap();
        std::mem::forget(queue);
    });
    assert!(segment_exists(&name));
    assert_eq!(remove_stale(&name, false).unwrap(), Removal::Removed);
    before.expect_none_left();
    assert!(matches!(ObjectQueue::<Object>::open(&name), Err(OpenError::NotFound { .. })));
}

fn a_process_that_exits_leaves_nothing() {
    let before = Before::now();
    // Also one that never had such an object: `unlink` makes an anchor for those that may come.
    for (unlinks, numbers) in [(false, &[10, 11][..]), (true, &[10, 11]), (true, &[1])] {
        let name = unique_name("exits");
        let last = fork("the only one", || {
            let queue = builder(&name).create().unwrap();
            numbers.iter().for_each(|&number| queue.put(&Object::new(number)).unwrap());
            if unlinks {
                ObjectQueue::<Object>::unlink(&name).unwrap();
            }
            // SAFETY: nothing else of this process runs.
            unsafe { libc::exit(0) };
        });
        last.expect_success();
        before.expect_none_left();
    }
}

/// It keeps the name, and the files with it, until it ends.
fn a_child_that_never_called_leaves_nothing() {
    for unlinks in [false, true] {
        let (before, queue) = queue_of("kept", &[10]);
        let go = Event::new().unwrap();
        let child = fork("a child", || {
            go.wait().unwrap();
            // SAFETY: nothing else of this process runs.
            unsafe { libc::exit(0) };
        });
        if unlinks {
            ObjectQueue::<Object>::unlink(queue.name()).unwrap();
        }
        drop(queue);
        go.set();
        child.expect_success();
        // The parent retries what it left to its child.
        let end = std::time::Instant::now() + crate::support::BY_ITSELF;
        while !before.since().is_empty() && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(2));
            drop(Event::new().unwrap());
        }
        before.expect_none_left();
    }
}
