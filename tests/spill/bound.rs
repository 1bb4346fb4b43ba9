//! `max_spilled_bytes`: what it counts, and who waits for it.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, pattern, unique_name};
use crate::{Bytes, Files, LARGE, RING, large};
use shmq::{ObjectQueue, PutError};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        without_files_an_object_is_too_large,
        an_object_beyond_the_bound_is_too_large,
        a_put_that_finds_the_bytes_taken_is_refused_or_waits,
        a_ring_that_is_full_of_descriptors_is_full,
        a_wrong_count_is_counted_anew,
        a_process_without_descriptors_does_not_count_anew,
        putters_share_the_bound,
        an_opener_learns_of_another_bound,
        #[cfg(feature = "async")]
        a_task_waits_for_the_bytes,
    ]
}

fn bounded(bytes: u64) -> ObjectQueue<Bytes> {
    ObjectQueue::builder().name(unique_name("bound")).capacity_bytes(RING).max_spilled_bytes(bytes).create().unwrap()
}

fn without_files_an_object_is_too_large() {
    let queue = bounded(0);
    let max = queue.max_len();
    match queue.put(&large(1)) {
        Err(PutError::TooLarge { len, max: most }) => assert!(len >= LARGE && most == max),
        other => panic!("{other:?}"),
    }
    assert_eq!(Files::of(queue.name()).all(), [""; 0]);
}

/// It cannot list the files, which is not the same as that there are none.
fn a_process_without_descriptors_does_not_count_anew() {
    let queue = bounded(1 << 20);
    (0..3).for_each(|tag| queue.put(&large(tag)).unwrap());
    let counted = queue.stats().spilled_bytes;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure outlives the calls, which fill or read it.
    let set = |limit: &libc::rlimit| assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    set(&libc::rlimit { rlim_cur: 0, ..limit });
    let refused = queue.try_put(&large(3));
    queue.recover();
    set(&limit);
    assert!(matches!(refused, Err(PutError::Full)), "{refused:?}");
    assert_eq!(queue.stats().spilled_bytes, counted);
}

fn an_object_beyond_the_bound_is_too_large() {
    let queue = bounded(1 << 20);
    queue.put(&pattern(1, (1 << 20) - 100)).unwrap();
    let PutError::TooLarge { len, max } = queue.try_put(&pattern(2, 1 << 20)).unwrap_err() else { panic!("it never fits") };
    assert!(len > 1 << 20 && max == (1 << 20) - 64);
    assert!(queue.get().unwrap() == pattern(1, (1 << 20) - 100));
}

fn a_put_that_finds_the_bytes_taken_is_refused_or_waits() {
    let queue = bounded(1 << 20);
    (0..3).for_each(|tag| queue.put(&large(tag)).unwrap());
    assert!(matches!(queue.try_put(&large(3)), Err(PutError::Full)));
    assert!(queue.put_timeout(&large(3), Duration::from_millis(20)).unwrap_err().is_timeout());
    queue.try_put(&vec![1]).unwrap();
    let waiting = fork("a putter that waits for bytes", || queue.put_timeout(&large(4), PATIENCE).unwrap());
    let mut waiting = waiting;
    waiting.wait_until_asleep();
    assert!(queue.get().unwrap() == large(0));
    waiting.expect_success();
    for expected in [large(1), large(2), vec![1], large(4)] {
        assert!(queue.get().unwrap() == expected);
    }
    let stats = queue.stats();
    assert_eq!((stats.spilled, stats.spilled_bytes, stats.refused_puts, stats.put_timeouts), (4, 0, 1, 1));
}

fn a_ring_that_is_full_of_descriptors_is_full() {
    let builder = ObjectQueue::<Bytes>::builder().name(unique_name("two")).capacity(2).capacity_bytes(RING);
    let queue = builder.create().unwrap();
    (0..2).for_each(|tag| queue.put(&large(tag)).unwrap());
    assert!(matches!(queue.try_put(&large(3)), Err(PutError::Full)));
    assert_eq!(Files::of(queue.name()).objects().len(), 2, "a put without room makes no file");
    assert!(queue.get().unwrap() == large(0));
    queue.try_put(&large(4)).unwrap();
    assert!(queue.get_batch(2).unwrap() == [large(1), large(4)]);
}

/// What a process leaves that is killed between the two.
fn a_wrong_count_is_counted_anew() {
    let queue = bounded(1 << 20);
    queue.put(&large(1)).unwrap();
    let files = Files::of(queue.name());
    // A file whose message is finished, of a position before head.
    queue.put(&large(2)).unwrap();
    let second = files.objects().pop().unwrap();
    let path = format!("/dev/shm/{second}");
    let copy = std::fs::read(&path).unwrap();
    assert!(queue.get().unwrap() == large(1) && queue.get().unwrap() == large(2));
    std::fs::write(&path, copy).unwrap();
    assert_eq!(files.objects(), [second]);
    (3..6).for_each(|tag| queue.put(&large(tag)).unwrap());
    assert_eq!(files.objects().len(), 4);
    assert!(queue.try_put(&large(6)).unwrap_err().is_full());
    assert_eq!(files.objects().len(), 3, "the put that found no room removed what is finished");
    assert!(queue.get_batch(3).unwrap() == [large(3), large(4), large(5)]);
}

fn putters_share_the_bound() {
    const EACH: u64 = 40;
    let queue = bounded(1 << 20);
    let files = Files::of(queue.name());
    let putters: Vec<_> =
        (0..3).map(|who| fork("a putter", || (0..EACH).for_each(|n| queue.put(&large(who * EACH + n)).unwrap()))).collect();
    let mut next = [0, EACH, 2 * EACH];
    for _ in 0..3 * EACH {
        // Three fit. A getter and a count that meet at one finished file both lower the count, for a
        // moment, and let one more in.
        assert!(files.objects().len() <= 4, "{:?}", files.objects());
        let value = queue.get_timeout(PATIENCE).unwrap();
        let which = next.iter().position(|&tag| value == large(tag)).expect("the next of one of them");
        next[which] += 1;
    }
    putters.into_iter().for_each(|putter| putter.expect_success());
    assert_eq!((files.objects().len(), queue.stats().spilled_bytes), (0, 0));
}

fn an_opener_learns_of_another_bound() {
    let queue = bounded(1 << 20);
    let builder = ObjectQueue::<Bytes>::builder().name(queue.name()).max_spilled_bytes(5);
    let same = builder.open().unwrap();
    let unapplied = same.unapplied_options();
    assert!(unapplied.len() == 1 && unapplied[0].option == "max_spilled_bytes", "{unapplied:?}");
    assert_eq!((unapplied[0].asked.as_str(), unapplied[0].actual.as_str()), ("5", "1048576"));
}

#[cfg(feature = "async")]
fn a_task_waits_for_the_bytes() {
    use futures::executor::block_on;
    use futures::future::join;

    let queue = bounded(1 << 20);
    (0..3).for_each(|tag| queue.put(&large(tag)).unwrap());
    let value = large(3);
    let (put, got) = block_on(join(queue.put_async(&value), async {
        // After the put has begun to wait.
        queue.get_async().await
    }));
    put.unwrap();
    assert!(got.unwrap() == large(0));
    assert!(queue.get_batch(3).unwrap() == [large(1), large(2), large(3)]);
}
