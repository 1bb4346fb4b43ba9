//! `open_timeout`: programs that start in any order, where one of them creates.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng, unique_name};
use shmq::sync::{Event, Mutex};
use shmq::{OpenError, Queue};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        openers_wait_for_a_creator_in_another_process,
        a_queue_that_is_never_created_is_a_timeout,
        what_waiting_does_not_mend_is_an_error_at_once,
        what_killed_creators_leave_is_waited_through.leaves_temporaries(),
        a_name_that_changes_hands_is_opened_in_the_end,
        primitives_and_object_queues_are_waited_for,
    ]
}

fn openers_wait_for_a_creator_in_another_process() {
    let name = unique_name("late");
    let words = shared_words(2);
    let openers: Vec<Child> = (0..3)
        .map(|i| {
            fork("an opener", || {
                words[0].fetch_add(1, Relaxed);
                let queue = if i == 0 {
                    Queue::<u64>::open_deadline(&name, Instant::now() + PATIENCE).unwrap()
                } else {
                    Queue::<u64>::open_timeout(&name, PATIENCE).unwrap()
                };
                queue.put(&1).unwrap();
            })
        })
        .collect();
    wait_for_count("the openers", &words[0], 3);
    std::thread::sleep(Duration::from_millis(50));
    let creator = fork("the creator", || {
        let queue = Queue::<u64>::create(&name, 8).unwrap();
        for _ in 0..3 {
            assert_eq!(queue.get_timeout(BY_ITSELF).unwrap(), 1);
        }
        wait_for_count("the openers to end", &words[1], 1);
    });
    expect_all_succeed(openers);
    words[1].store(1, Release);
    creator.expect_success();
}

fn a_queue_that_is_never_created_is_a_timeout() {
    let name = unique_name("never");
    for asked in [0, 1, 3, 25, 60].map(Duration::from_millis) {
        let began = Instant::now();
        let error = Queue::<u64>::open_timeout(&name, asked).unwrap_err();
        let took = began.elapsed();
        assert!(took >= asked && took < asked + BY_ITSELF, "asked {asked:?}, took {took:?}");
        let text = error.to_string();
        assert!(error.is_timeout() && !error.is_not_found());
        let OpenError::Timeout { what, waited } = error else { panic!("{text}") };
        assert_eq!((what.kind(), what.name()), ("queue", Some(&*name)));
        assert!(waited >= asked && waited <= took);
        assert!(text.contains(&name) && text.contains("start the program"), "{text}");
    }
    let past = Instant::now() - Duration::from_secs(1);
    assert!(Queue::<u64>::open_deadline(&name, past).unwrap_err().is_timeout());
    // It waits asleep.
    let used = || {
        // SAFETY: rusage is plain integers, which the call fills.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let time = |of: libc::timeval| of.tv_sec as u64 * 1_000_000 + of.tv_usec as u64;
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    let before_us = used();
    assert!(Queue::<u64>::open_timeout(&name, Duration::from_millis(500)).unwrap_err().is_timeout());
    let us = used() - before_us;
    assert!(us < 100_000, "{us} us of processor time in half a second of waiting");
}

fn what_waiting_does_not_mend_is_an_error_at_once() {
    let name = unique_name("other");
    let _other = Queue::<f32>::create(&name, 4).unwrap();
    let began = Instant::now();
    assert!(matches!(Queue::<u64>::open_timeout(&name, PATIENCE), Err(OpenError::Mismatch { .. })));
    assert!(matches!(Queue::<u64>::open_timeout("a/b", PATIENCE), Err(OpenError::BadName { .. })));
    let builder = Queue::<u64>::builder().directory("/nonexistent/shmq").name(&name);
    assert!(matches!(builder.open_timeout(PATIENCE), Err(OpenError::Directory { .. })));
    assert!(matches!(Queue::<u64>::builder().open_timeout(PATIENCE), Err(OpenError::BadName { .. })));
    assert!(began.elapsed() < BY_ITSELF);
}

fn what_killed_creators_leave_is_waited_through() {
    let name = unique_name("killed");
    let mut rng = Rng::new("kills of creators");
    let began = shared_words(1);
    let opener = fork("an opener", || {
        began[0].store(1, Release);
        let queue = Queue::<[u8]>::open_timeout(&name, PATIENCE).unwrap();
        assert_eq!(queue.get_timeout(BY_ITSELF).unwrap(), b"whole");
    });
    wait_for_count("the opener", &began[0], 1);
    let create = || Queue::<[u8]>::builder().name(&name).capacity_bytes(32 << 20).create();
    let mut killed = 0;
    for _ in 0..20 {
        let creator = fork("a creator that is killed", || {
            // It never reaches the end of this: the time is that of a part of it.
            let _queue = create();
            std::process::abort();
        });
        std::thread::sleep(rng.duration_below(Duration::from_micros(1500)));
        creator.kill_if_running();
        // Whole, it would be opened as a dead queue is.
        if crate::support::segment_exists(&name) {
            break;
        }
        killed += 1;
    }
    eprintln!("{killed} creators were killed before the queue was whole");
    // A dead one that was whole may be there by now, and open with the opener.
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(32 << 20).open_or_create().unwrap();
    queue.put(b"whole").unwrap();
    opener.expect_success();
    assert!(killed > 0, "no creator was killed in time");
}

fn a_name_that_changes_hands_is_opened_in_the_end() {
    let name = unique_name("hands");
    let stop = shared_words(1);
    let creator = fork("a creator, again and again", || {
        while stop[0].load(Relaxed) == 0 {
            let queue = Queue::<u64>::create(&name, 1000);
            std::thread::sleep(Duration::from_micros(100));
            drop(queue);
        }
    });
    for _ in 0..200 {
        let queue = Queue::<u64>::open_timeout(&name, PATIENCE).unwrap();
        queue.put(&1).unwrap();
    }
    stop[0].store(1, Release);
    creator.expect_success();
}

fn primitives_and_object_queues_are_waited_for() {
    let (event, mutex, words, sized) = (unique_name("event"), unique_name("mutex"), unique_name("words"), unique_name("sized"));
    #[cfg(not(feature = "object"))]
    let _ = &words;
    let late = || std::thread::sleep(Duration::from_millis(20));
    let done = shared_words(1);
    let creator = fork("the creator", || {
        late();
        let event = Event::create(&event).unwrap();
        late();
        let _mutex = Mutex::create(&mutex, 7u64).unwrap();
        late();
        #[cfg(feature = "object")]
        let _words = {
            let words = shmq::ObjectQueue::<String>::create(&words, 4).unwrap();
            words.put("hello").unwrap();
            words
        };
        late();
        let _sized = Queue::<u64>::builder().name(&sized).capacity(3).create().unwrap();
        event.set();
        wait_for_count("the opener to end", &done[0], 1);
    });
    let event = Event::open_timeout(&event, PATIENCE).unwrap();
    assert_eq!(*Mutex::<u64>::open_deadline(&mutex, Instant::now() + PATIENCE).unwrap().lock().unwrap(), 7);
    #[cfg(feature = "object")]
    assert_eq!(shmq::ObjectQueue::<String>::open_timeout(&words, PATIENCE).unwrap().get().unwrap(), "hello");
    assert_eq!(Queue::<u64>::builder().name(&sized).open_timeout(PATIENCE).unwrap().capacity(), 3);
    event.wait_timeout(BY_ITSELF).unwrap();
    let opened = Event::builder().name(event.name()).open_timeout(Duration::ZERO).unwrap();
    assert!(opened.is_set());
    done[0].store(1, Release);
    creator.expect_success();
    let error = Mutex::<u64>::open_timeout(unique_name("none"), Duration::ZERO).unwrap_err();
    let OpenError::Timeout { what, .. } = error else { panic!("{error}") };
    assert_eq!(what.kind(), "mutex");
}
