//! `Readiness`: a descriptor that is readable when a `try_` verb is worth a call.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, unique_name};
use shmq::future::{Readiness, ReadinessError};
use shmq::{GetError, PutError, Queue};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let mut cases = cases![
        a_put_of_another_process_makes_it_readable,
        rearm_says_what_came_in_between,
        room_for_some_is_not_room_for_yours,
        a_message_that_never_fits_is_ready,
        closing_makes_all_readable,
        one_message_wakes_one_of_two,
        one_that_is_not_rearmed_keeps_no_message,
        one_that_is_dropped_hands_on,
        it_outlives_its_handle,
        an_inherited_one_touches_nothing,
        the_descriptor_is_closed_at_exec,
        endpoints_have_it_too,
        thousands_of_round_trips_lose_no_wake,
    ];
    #[cfg(not(shmq_portable_sync))]
    cases.extend(cases![
        what_a_dead_process_held_makes_it_readable,
        a_side_that_is_taken_makes_it_readable,
        nothing_is_lost_when_putters_are_killed,
    ]);
    cases
}

/// Is the descriptor readable, at once or before the time is over?
fn is_readable_within(readiness: &Readiness, time: Duration) -> bool {
    let mut polled = libc::pollfd { fd: readiness.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one `pollfd`.
    match unsafe { libc::poll(&mut polled, 1, time.as_millis() as libc::c_int) } {
        0 => false,
        1 => polled.revents == libc::POLLIN,
        _ => panic!("{}", std::io::Error::last_os_error()),
    }
}

fn is_readable(readiness: &Readiness) -> bool {
    is_readable_within(readiness, Duration::ZERO)
}

#[track_caller]
fn wait_until_readable(readiness: &Readiness) {
    assert!(is_readable_within(readiness, BY_ITSELF), "it did not become readable: {readiness:?}");
}

/// Takes one message, waiting by the descriptor.
fn get_by(readiness: &mut Readiness, queue: &Queue<u64>) -> Result<u64, GetError> {
    loop {
        match queue.try_get() {
            Err(GetError::Empty) if !readiness.rearm()? => wait_until_readable(readiness),
            Err(GetError::Empty | GetError::Busy) => {}
            over => return over,
        }
    }
}

fn a_put_of_another_process_makes_it_readable() {
    let queue = Queue::<u64>::new(4).unwrap();
    let words = shared_words(1);
    let there = queue.clone();
    let putter = fork("a putter", move || {
        for n in 0..3 {
            wait_for_count("the word to put", &words[0], n + 1);
            there.put(&n).unwrap();
        }
    });
    let mut readiness = queue.readable().unwrap();
    for n in 0..3 {
        assert!(!is_readable(&readiness));
        words[0].store(n + 1, Release);
        wait_until_readable(&readiness);
        assert_eq!(queue.try_get().unwrap(), n);
        assert!(!readiness.rearm().unwrap());
    }
    putter.expect_success();
}

fn rearm_says_what_came_in_between() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(&1).unwrap();
    let mut readiness = queue.readable().unwrap();
    assert!(is_readable(&readiness), "a message that was there before");
    assert!(readiness.rearm().unwrap());
    assert!(is_readable(&readiness), "it said true");
    queue.try_get().unwrap();
    assert!(!readiness.rearm().unwrap());
    assert!(!is_readable(&readiness), "it said false");
    queue.put(&2).unwrap();
    assert!(readiness.rearm().unwrap());
    assert!(is_readable(&readiness));
    queue.try_get().unwrap();
    assert!(!readiness.rearm().unwrap());
}

fn room_for_some_is_not_room_for_yours() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let small = [1; 100];
    while queue.try_put(&small).is_ok() {}
    let (mut large, mut little) = (queue.writable_for(1000).unwrap(), queue.writable_for(100).unwrap());
    assert!(!is_readable(&large) && !is_readable(&little));
    assert_eq!(queue.get().unwrap(), small);
    wait_until_readable(&little);
    assert!(!large.rearm().unwrap(), "there is room for 100 bytes, not for 1,000");
    assert!(little.rearm().unwrap());
    let mut taken = 1;
    while !large.rearm().unwrap() {
        assert!(matches!(queue.try_put(&[2; 1000]), Err(PutError::Full)));
        queue.get().unwrap();
        taken += 1;
    }
    assert!(taken >= 1000 / 116, "{taken} messages of 100 bytes made room for one of 1,000");
    wait_until_readable(&large);
    queue.try_put(&[2; 1000]).unwrap();
    assert!(!large.rearm().unwrap());
}

fn a_message_that_never_fits_is_ready() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let mut readiness = queue.writable_for(1 << 40).unwrap();
    assert!(is_readable(&readiness) && readiness.rearm().unwrap());
}

fn closing_makes_all_readable() {
    let queue = Queue::<u64>::new(1).unwrap();
    let full = Queue::<u64>::new(1).unwrap();
    full.put(&1).unwrap();
    let (there, full_there, word) = (queue.clone(), full.clone(), &shared_words(1)[0]);
    let closer = fork("a closer", move || {
        wait_for_count("the word to close", word, 1);
        there.close();
        full_there.close();
    });
    let readable = [queue.readable().unwrap(), queue.readable().unwrap()];
    let mut writable = full.writable().unwrap();
    word.store(1, Release);
    for mut readiness in readable {
        wait_until_readable(&readiness);
        assert!(readiness.rearm().unwrap(), "it stays closed");
    }
    wait_until_readable(&writable);
    assert!(matches!(full.try_put(&2), Err(PutError::Closed)));
    assert!(writable.rearm().unwrap());
    closer.expect_success();
}

fn one_message_wakes_one_of_two() {
    let queue = Queue::<u64>::new(8).unwrap();
    let both = [queue.readable().unwrap(), queue.readable().unwrap()];
    let count = || both.iter().filter(|one| is_readable(one)).count();
    queue.put(&1).unwrap();
    let started = Instant::now();
    while count() == 0 {
        assert!(started.elapsed() < BY_ITSELF);
        std::thread::yield_now();
    }
    // The other follows when the first has not come for 0.1 s, and not before.
    let seen = count();
    assert!(seen == 1 || started.elapsed() >= Duration::from_millis(90), "{seen} were woken for one message");
}

fn one_that_is_not_rearmed_keeps_no_message() {
    let queue = Queue::<u64>::new(8).unwrap();
    let [first, mut second] = [queue.readable().unwrap(), queue.readable().unwrap()];
    queue.put(&1).unwrap();
    wait_until_readable(&first);
    // Nobody takes the message.
    wait_until_readable(&second);
    queue.try_get().unwrap();
    assert!(!second.rearm().unwrap());
}

fn one_that_is_dropped_hands_on() {
    let queue = Queue::<u64>::new(8).unwrap();
    // By itself: each takes its turn at being woken and dropped.
    let mut all: Vec<_> = (0..50).map(|_| queue.readable().unwrap()).collect();
    queue.put(&1).unwrap();
    let started = Instant::now();
    for readiness in all.drain(..) {
        wait_until_readable(&readiness);
        drop(readiness);
    }
    assert!(started.elapsed() < Duration::from_millis(50 * 90), "each waited for a slice: {:?}", started.elapsed());
}

fn it_outlives_its_handle() {
    let name = unique_name("outlived");
    let queue = Queue::<u64>::create(&name, 4).unwrap();
    let mut readiness = queue.readable().unwrap();
    drop(queue);
    let again = Queue::<u64>::open(&name).unwrap();
    again.put(&1).unwrap();
    wait_until_readable(&readiness);
    assert!(readiness.rearm().unwrap());
}

fn an_inherited_one_touches_nothing() {
    let queue = Queue::<u64>::new(4).unwrap();
    // Before any thread: the reactor is started by the first one that waits.
    let idle = {
        queue.put(&1).unwrap();
        queue.readable().unwrap()
    };
    queue.get().unwrap();
    let mut armed = queue.readable().unwrap();
    let (there, mut inherited) = (queue.clone(), Some((idle, armed)));
    let child = fork("a child", || {
        let (mut idle, mut armed) = inherited.take().unwrap();
        for readiness in [&mut idle, &mut armed] {
            assert!(matches!(readiness.rearm(), Err(ReadinessError::Inherited)));
        }
        drop((idle, armed));
        // One of its own works, with a reactor of its own.
        let mut own = there.readable().unwrap();
        assert!(!own.rearm().unwrap());
        there.put(&7).unwrap();
        wait_until_readable(&own);
        assert!(own.rearm().unwrap());
    });
    let _idle;
    (_idle, armed) = inherited.unwrap();
    wait_until_readable(&armed);
    child.expect_success();
    assert_eq!(get_by(&mut armed, &queue).unwrap(), 7);
    queue.put(&8).unwrap();
    assert_eq!(get_by(&mut armed, &queue).unwrap(), 8);
}

fn the_descriptor_is_closed_at_exec() {
    let queue = Queue::<u64>::new(4).unwrap();
    let readiness = queue.readable().unwrap();
    let flags = |command| {
        // SAFETY: a question about an open descriptor.
        unsafe { libc::fcntl(readiness.as_raw_fd(), command) }
    };
    assert_eq!(flags(libc::F_GETFD) & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(flags(libc::F_GETFL) & libc::O_NONBLOCK, libc::O_NONBLOCK);
}

fn endpoints_have_it_too() {
    let queue = Queue::<u64>::new(1).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (mut readable, mut writable) = (consumer.readable().unwrap(), producer.writable().unwrap());
    assert!(!is_readable(&readable) && is_readable(&writable));
    producer.try_put(&1).unwrap();
    assert!(!writable.rearm().unwrap());
    wait_until_readable(&readable);
    assert_eq!(consumer.try_get().unwrap(), 1);
    assert!(!readable.rearm().unwrap());
    wait_until_readable(&writable);
}

/// Both sides wait by descriptors. A wake that is lost costs a slice of 0.1 s.
fn thousands_of_round_trips_lose_no_wake() {
    const TRIPS: u64 = 5_000;
    let (there, back) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    let (to, from) = (there.clone(), back.clone());
    let child = fork("the other side", move || {
        let mut readiness = to.readable().unwrap();
        for n in 0..TRIPS {
            assert_eq!(get_by(&mut readiness, &to).unwrap(), n);
            from.put(&n).unwrap();
        }
    });
    let mut readiness = back.readable().unwrap();
    let mut late = 0;
    for n in 0..TRIPS {
        let begun = Instant::now();
        there.put(&n).unwrap();
        assert_eq!(get_by(&mut readiness, &back).unwrap(), n);
        late += u64::from(begun.elapsed() >= Duration::from_millis(90));
    }
    child.expect_success();
    // A busy machine delays some.
    assert!(late < TRIPS / 50, "{late} of {TRIPS} round trips took a slice");
}

#[cfg(not(shmq_portable_sync))]
fn what_a_dead_process_held_makes_it_readable() {
    let queue = Queue::<u64>::new(4).unwrap();
    queue.put(&5).unwrap();
    let (there, word) = (queue.clone(), &shared_words(1)[0]);
    let holder = fork("a holder", move || {
        let _lease = there.lease().unwrap();
        word.store(1, Release);
        std::thread::park_timeout(Duration::from_secs(600));
    });
    wait_for_count("the lease", word, 1);
    let mut readiness = queue.readable().unwrap();
    assert!(!is_readable(&readiness));
    holder.kill();
    wait_until_readable(&readiness);
    assert_eq!(queue.try_get().unwrap(), 5);
    assert!(!readiness.rearm().unwrap());
}

#[cfg(not(shmq_portable_sync))]
fn a_side_that_is_taken_makes_it_readable() {
    let queue = Queue::<u64>::new(4).unwrap();
    let mut readiness = queue.readable().unwrap();
    assert!(!is_readable(&readiness));
    let consumer = queue.consumer().unwrap();
    wait_until_readable(&readiness);
    assert!(matches!(queue.try_get(), Err(GetError::Held { .. })));
    assert!(readiness.rearm().unwrap(), "held still");
    drop(consumer);
    assert!(!readiness.rearm().unwrap());
    queue.put(&1).unwrap();
    assert_eq!(get_by(&mut readiness, &queue).unwrap(), 1);
}

#[cfg(not(shmq_portable_sync))]
fn nothing_is_lost_when_putters_are_killed() {
    let queue = Queue::<u64>::new(8).unwrap();
    let words = shared_words(1);
    let mut last = 0;
    for round in 1..=30u64 {
        let there = queue.clone();
        let putter = fork("a putter", move || {
            for n in 1.. {
                there.put(&(round << 32 | n)).unwrap();
                words[0].store(round << 32 | n, Release);
            }
        });
        let mut readiness = queue.readable().unwrap();
        for _ in 0..100 {
            let got = get_by(&mut readiness, &queue).unwrap();
            assert!(got == last + 1 || (got >> 32 == round && got & u64::from(u32::MAX) == 1), "{got:#x} after {last:#x}");
            last = got;
        }
        putter.kill();
        // What it said that it had put.
        while last < words[0].load(Acquire) {
            let got = get_by(&mut readiness, &queue).unwrap();
            assert_eq!(got, last + 1);
            last = got;
        }
        while let Ok(got) = queue.try_get() {
            last = got;
        }
    }
}
