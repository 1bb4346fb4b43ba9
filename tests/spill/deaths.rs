//! Processes that are killed beside an object of their own file.

use crate::support::harness::Case;
use crate::support::process::{Child, exit_now, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, unique_name, wait_at_most};
use crate::{Bytes, Files, RING, large, queue};
use shmq::ObjectQueue;
use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_putter_killed_while_it_encodes_leaves_nothing,
        an_object_on_lease_to_the_dead_comes_back,
        one_that_kills_its_holders_is_dropped_with_its_file,
        a_dead_queue_is_recovered_with_its_objects,
        bytes_of_the_dead_are_free_for_a_put_that_waits,
        an_unlinked_queue_of_the_dead_goes_with_the_next_sweep,
    ]
}

/// A child that is killed once it says so.
fn victim(what: &'static str, run: impl FnOnce(&dyn Fn())) -> Child {
    let here = shared_word();
    let child = fork(what, || {
        run(&|| {
            here.store(1, Release);
            loop {
                std::thread::park();
            }
        })
    });
    wait_for_count("the victim is there", here, 1);
    child
}

/// Bytes that stop the process which encodes them for the second time: in their file.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Blob {
    bytes: Bytes,
    #[serde(skip)]
    stops: Option<&'static AtomicU64>,
    #[serde(skip)]
    passes: Cell<u32>,
}

impl Blob {
    fn new(tag: u64) -> Blob {
        Blob { bytes: large(tag), stops: None, passes: Cell::new(0) }
    }
}

impl serde::Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.passes.set(self.passes.get() + 1);
        if let (2, Some(here)) = (self.passes.get(), self.stops) {
            here.store(1, Release);
            loop {
                std::thread::park();
            }
        }
        serializer.serialize_bytes(&self.bytes)
    }
}

/// A process that has claimed room for an object and made its file, and is killed there.
fn kill_a_putter(queue: &ObjectQueue<Blob>) {
    let here = shared_word();
    let putter = putter(queue, here);
    wait_for_count("the putter has made its file", here, 1);
    putter.kill();
}

fn putter(queue: &ObjectQueue<Blob>, here: &'static AtomicU64) -> Child {
    fork("a putter", || queue.put(&Blob { stops: Some(here), ..Blob::new(7) }).unwrap())
}

fn blobs(max_bytes: u64) -> ObjectQueue<Blob> {
    let builder = ObjectQueue::builder().name(unique_name("blobs")).capacity_bytes(RING);
    builder.max_spilled_bytes(max_bytes).create().unwrap()
}

fn a_putter_killed_while_it_encodes_leaves_nothing() {
    let queue = blobs(8 << 20);
    let files = Files::of(queue.name());
    queue.put(&Blob::new(1)).unwrap();
    kill_a_putter(&queue);
    assert_eq!(files.objects().len(), 2);
    queue.put(&Blob::new(2)).unwrap();
    for tag in [1, 2] {
        assert!(queue.get_timeout(PATIENCE).unwrap().bytes == large(tag));
    }
    assert_eq!((files.objects().len(), queue.stats().aborted), (0, 1));
    queue.recover();
    assert_eq!(queue.stats().spilled_bytes, 0);
}

fn an_object_on_lease_to_the_dead_comes_back() {
    let queue = queue("getter");
    let files = Files::of(queue.name());
    queue.put(&large(1)).unwrap();
    for deliveries in 1..4 {
        victim("a consumer", |wait| {
            let lease = queue.lease_timeout(PATIENCE).unwrap();
            assert!(*lease == large(1) && lease.deliveries() == deliveries);
            wait();
        })
        .kill();
        assert_eq!(files.objects().len(), 1);
    }
    let lease = queue.lease_timeout(PATIENCE).unwrap();
    assert!(*lease == large(1) && lease.deliveries() == 4);
    lease.release();
    assert_eq!(files.objects(), [""; 0]);
}

fn one_that_kills_its_holders_is_dropped_with_its_file() {
    let builder = ObjectQueue::<Bytes>::builder().name(unique_name("worn")).capacity_bytes(RING);
    let queue = builder.max_deliveries(2).create().unwrap();
    let files = Files::of(queue.name());
    queue.put(&large(1)).unwrap();
    for _ in 0..2 {
        victim("a consumer", |wait| {
            let _lease = queue.lease_timeout(PATIENCE).unwrap();
            wait();
        })
        .kill();
        queue.recover();
    }
    assert_eq!((queue.stats().given_up, files.objects().len(), queue.stats().spilled_bytes), (1, 0, 0));
}

fn a_dead_queue_is_recovered_with_its_objects() {
    let name = unique_name("dead");
    let builder = || ObjectQueue::<Bytes>::builder().name(&name).capacity_bytes(RING);
    victim("the only process", |wait| {
        let queue = builder().create().unwrap();
        (0..3).for_each(|tag| queue.put(&large(tag)).unwrap());
        let _lease = queue.lease().unwrap();
        wait();
    })
    .kill();
    let files = Files::of(&name);
    let queue = builder().open_or_create().unwrap();
    assert!(queue.get_batch(3).unwrap() == [large(0), large(1), large(2)]);
    assert_eq!(files.objects(), [""; 0]);
    drop(queue);
    ObjectQueue::<Bytes>::unlink(&name).unwrap_or_default();
    assert_eq!(files.all(), [""; 0]);
}

fn bytes_of_the_dead_are_free_for_a_put_that_waits() {
    let queue = blobs(1 << 20);
    // At once: each process that attaches repairs what the dead left.
    let here: Vec<_> = (0..3).map(|_| shared_word()).collect();
    let putters: Vec<_> = here.iter().map(|&here| putter(&queue, here)).collect();
    here.iter().for_each(|&here| wait_for_count("each has made its file", here, 1));
    putters.into_iter().for_each(Child::kill);
    assert_eq!(Files::of(queue.name()).objects().len(), 3);
    queue.put_timeout(&Blob::new(1), BY_ITSELF).unwrap();
    assert_eq!(Files::of(queue.name()).objects().len(), 1);
    assert!(queue.get_timeout(PATIENCE).unwrap().bytes == large(1));
}

fn an_unlinked_queue_of_the_dead_goes_with_the_next_sweep() {
    let name = unique_name("swept");
    let child = victim("the only process", |wait| {
        let queue = ObjectQueue::<Bytes>::builder().name(&name).capacity_bytes(RING).create().unwrap();
        queue.put(&large(1)).unwrap();
        wait();
    });
    let files = Files::of(&name);
    ObjectQueue::<Bytes>::unlink(&name).unwrap();
    assert_eq!(files.all().len(), 2);
    child.kill();
    fork("a process that creates a queue", || {
        drop(ObjectQueue::<Bytes>::new(4).unwrap());
        exit_now(0);
    })
    .expect_success();
    wait_at_most(BY_ITSELF, "the sweep", || files.all().is_empty(), || format!("{:?}", files.all()));
}
