//! Waiting for several things at once.

use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word};
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Event, Pipe, Semaphore};
use shmq::{GetError, Process, Queue, WaitError, Waitable, try_wait_any, wait_any, wait_any_deadline, wait_any_timeout};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_lowest_that_is_ready_is_named,
        nothing_to_wait_for_is_an_error,
        waiting_gives_up_in_time_and_never_early,
        each_form_gives_up_in_its_way,
        one_scan_finds_what_is_ready_at_each_moment,
        each_kind_wakes_a_sleeper,
        a_closed_queue_is_ready,
        a_set_that_was_cleared_meanwhile_counts,
        the_end_of_a_process_is_noticed_alone_and_beside_a_queue,
        a_process_that_was_joined_is_ready,
        more_than_the_kernel_takes_at_once_works_too,
        messages_are_never_lost_on_the_way_to_sleep,
        a_wake_that_is_not_used_is_passed_on,
        an_end_of_a_pipe_wakes_a_sleeper,
        a_consumer_wakes_a_sleeper,
        a_consumer_gets_what_wait_any_reported_and_sleeps_again,
        an_inherited_consumer_is_ready_with_its_refusal,
        #[cfg(feature = "object")]
        a_queue_of_objects_wakes_a_sleeper,
    ]
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn the_lowest_that_is_ready_is_named() {
    let (queue, event, semaphore) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap(), Semaphore::new(0).unwrap());
    let (pipe, other_end) = Pipe::<u32, u32>::new(1).unwrap();
    let all: [&dyn Waitable; 4] = [&queue, &event, &semaphore, &pipe];
    assert_eq!(wait_any(&all, Instant::now()), Err(WaitError::Timeout));
    other_end.put(&1).unwrap();
    assert_eq!(wait_any(&all, None), Ok(3));
    semaphore.release().unwrap();
    assert_eq!(wait_any(&all, None), Ok(2));
    event.set();
    assert_eq!(wait_any(&all, Instant::now()), Ok(1));
    queue.put(&1).unwrap();
    assert_eq!(wait_any(&all, None), Ok(0));
    assert_eq!((queue.try_get().unwrap(), semaphore.value()), (1, 1));
    assert_eq!(wait_any(&all, None), Ok(1));
}

fn nothing_to_wait_for_is_an_error() {
    assert_eq!(wait_any(&[], None), Err(WaitError::Empty));
    assert_eq!(wait_any(&[], soon()), Err(WaitError::Empty));
}

fn waiting_gives_up_in_time_and_never_early() {
    let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
    let process = Process::spawn(|| std::thread::sleep(PATIENCE)).unwrap();
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(250)] {
        for waitables in [&[&queue as &dyn Waitable, &event] as &[&dyn Waitable], &[&event], &[&process], &[&process, &queue]] {
            let result = gives_up_in_time(timeout, || wait_any(waitables, Instant::now() + timeout));
            assert_eq!(result, Err(WaitError::Timeout));
        }
    }
    process.kill().unwrap();
    process.join().unwrap();
}

/// One queue or the other holds a message at each moment, so one scan of both finds one, however
/// the message moves meanwhile.
fn one_scan_finds_what_is_ready_at_each_moment() {
    let queues = [Queue::<u32>::new(4).unwrap(), Queue::<u32>::new(4).unwrap()];
    // Scanning these gives the message time to move.
    let between: Vec<_> = (0..30).map(|_| Queue::<u32>::new(1).unwrap()).collect();
    let [moves, stop] = [shared_word(), shared_word()];
    queues[0].put(&0).unwrap();
    let mover = fork("a process that moves a message", || {
        for here in [0, 1].into_iter().cycle() {
            queues[1 - here].put(&1).unwrap();
            match here {
                0 => assert_eq!(queues[0].get().unwrap() & !1, 0),
                _ => queues[1].lease().unwrap().release(),
            }
            moves.fetch_add(1, Relaxed);
            if stop.load(Relaxed) != 0 {
                break;
            }
        }
    });
    let mut all: Vec<&dyn Waitable> = vec![&queues[0]];
    all.extend(between.iter().map(|queue| queue as &dyn Waitable));
    all.push(&queues[1]);
    let deadline = Instant::now() + PATIENCE;
    let mut polls = 0;
    while moves.load(Relaxed) < 200_000 {
        assert!(wait_any(&all, Instant::now()).is_ok(), "poll {polls} found neither ready");
        assert!(Instant::now() < deadline, "{} moves only", moves.load(Relaxed));
        polls += 1;
    }
    stop.store(1, Relaxed);
    mover.expect_success();
}

fn each_kind_wakes_a_sleeper() {
    for kind in 0..3 {
        for _ in 0..5 {
            let (queue, event, semaphore) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap(), Semaphore::new(0).unwrap());
            let mut sleeper = fork("a sleeper", || {
                let all: [&dyn Waitable; 3] = [&queue, &event, &semaphore];
                assert_eq!(wait_any(&all, soon()), Ok(kind));
            });
            sleeper.wait_until_asleep();
            match kind {
                0 => queue.put(&1).unwrap(),
                1 => event.set(),
                _ => semaphore.release().unwrap(),
            }
            sleeper.expect_success();
        }
    }
}

fn a_closed_queue_is_ready() {
    let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
    let mut sleeper = fork("a sleeper", || assert_eq!(wait_any(&[&event, &queue], soon()), Ok(1)));
    sleeper.wait_until_asleep();
    queue.close();
    sleeper.expect_success();
}

fn a_set_that_was_cleared_meanwhile_counts() {
    let (first, second) = (Event::new().unwrap(), Event::new().unwrap());
    let mut sleepers: Vec<Child> =
        (0..2).map(|_| fork("a sleeper", || assert_eq!(wait_any(&[&first, &second], soon()), Ok(1)))).collect();
    sleepers.iter_mut().for_each(Child::wait_until_asleep);
    second.set();
    second.clear();
    expect_all_succeed(sleepers);
}

fn the_end_of_a_process_is_noticed_alone_and_beside_a_queue() {
    let queue = Queue::<u32>::new(4).unwrap();
    for _ in 0..5 {
        let (long, short) =
            (Process::spawn(|| std::thread::sleep(PATIENCE)).unwrap(), Process::spawn(|| std::thread::sleep(SHORT)).unwrap());
        assert_eq!(wait_any(&[&long, &short], soon()), Ok(1));
        assert_eq!(wait_any(&[&long, &queue, &short], soon()), Ok(2));
        // The wait only checked it: the status is still there.
        assert!(short.join().unwrap().success());
        long.kill().unwrap();
        assert_eq!(wait_any(&[&queue, &long], soon()), Ok(1));
        assert!(!long.join().unwrap().success());
    }
}

fn a_process_that_was_joined_is_ready() {
    let process = Process::spawn(|| ()).unwrap();
    process.join().unwrap();
    assert_eq!(wait_any(&[&process], Instant::now()), Ok(0));
}

fn more_than_the_kernel_takes_at_once_works_too() {
    // As on a kernel without futex_waitv: in short slices.
    let name = Event::new().unwrap();
    let events: Vec<Event> = (0..140).map(|_| name.clone()).collect();
    let queue = Queue::<u32>::new(1).unwrap();
    let mut all: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    all.push(&queue);
    assert_eq!(gives_up_in_time(SHORT, || wait_any(&all, Instant::now() + SHORT)), Err(WaitError::Timeout));
    let mut sleeper = fork("a sleeper", || assert_eq!(wait_any(&all, soon()), Ok(140)));
    sleeper.wait_until_asleep();
    queue.put(&1).unwrap();
    sleeper.expect_success();
}

fn messages_are_never_lost_on_the_way_to_sleep() {
    const ROUNDS: u64 = 3_000;
    let (left, right, back) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    let echo = fork("an echo", || {
        for _ in 0..ROUNDS {
            let number = match wait_any(&[&left, &right], soon()).unwrap() {
                0 => left.try_get().unwrap(),
                _ => right.try_get().unwrap(),
            };
            back.put(&number).unwrap();
        }
    });
    for number in 0..ROUNDS {
        if number % 2 == 0 {
            left.put(&number).unwrap()
        } else {
            right.put(&number).unwrap()
        }
        assert_eq!(back.get_timeout(PATIENCE).unwrap(), number);
    }
    echo.expect_success();
}

fn a_wake_that_is_not_used_is_passed_on() {
    let (first, second) = (Queue::<u64>::new(4).unwrap(), Queue::<u64>::new(4).unwrap());
    for _ in 0..5 {
        let mut chooser = fork("one who waits for both", || {
            // Takes from the first. The wake of the second may have come to this process
            // nevertheless; it puts back what it takes from there.
            let ready = wait_any(&[&first, &second], soon()).unwrap();
            // Unless the getter was faster, which probes ten times a second by itself.
            let taken = if ready == 1 { second.try_get().ok() } else { None };
            first.get_timeout(PATIENCE).unwrap();
            if let Some(taken) = taken {
                second.put(&taken).unwrap();
            }
        });
        chooser.wait_until_asleep();
        let mut getter = fork("a getter of the second", || assert!(second.get_timeout(PATIENCE).is_ok()));
        getter.wait_until_asleep();
        second.put(&1).unwrap();
        first.put(&1).unwrap();
        expect_all_succeed(vec![chooser, getter]);
        assert!(first.is_empty() && second.is_empty());
    }
}

fn an_end_of_a_pipe_wakes_a_sleeper() {
    let (ours, theirs) = Pipe::<u32, u64>::new(1).unwrap();
    let event = Event::new().unwrap();
    let mut sleeper = fork("a sleeper", || {
        assert_eq!(wait_any(&[&event, &theirs], soon()), Ok(1));
        theirs.put(&u64::from(theirs.try_get().unwrap())).unwrap();
    });
    sleeper.wait_until_asleep();
    ours.put(&7).unwrap();
    assert_eq!(wait_any(&[&event, &ours], soon()), Ok(1));
    assert_eq!(ours.try_get().unwrap(), 7);
    sleeper.expect_success();
}

fn a_consumer_wakes_a_sleeper() {
    for by_endpoint in [false, true] {
        let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
        let mut sleeper = fork("a sleeper", || {
            let consumer = queue.consumer().unwrap();
            assert_eq!(wait_any(&[&event, &consumer], soon()), Ok(1));
            assert_eq!(consumer.try_get().unwrap(), 7);
            assert_eq!(wait_any(&[&event, &consumer], soon()), Ok(1));
            assert!(matches!(consumer.get(), Err(GetError::Closed)));
        });
        sleeper.wait_until_asleep();
        if by_endpoint {
            queue.producer().unwrap().put(&7).unwrap();
        } else {
            queue.put(&7).unwrap();
        }
        sleeper.wait_until_asleep();
        queue.close();
        sleeper.expect_success();
    }
}

fn a_consumer_gets_what_wait_any_reported_and_sleeps_again() {
    const ROUNDS: u64 = 2_000;
    let (queue, back, stop) = (Queue::<u64>::new(2).unwrap(), Queue::<u64>::new(1).unwrap(), Event::new().unwrap());
    let echo = fork("an echo", || {
        let consumer = queue.consumer().unwrap();
        while wait_any(&[&consumer, &stop], soon()) == Ok(0) {
            back.put(&consumer.try_get().unwrap()).unwrap();
        }
    });
    for number in 0..ROUNDS {
        queue.put(&number).unwrap();
        assert_eq!(back.get_timeout(PATIENCE).unwrap(), number);
    }
    stop.set();
    echo.expect_success();
}

fn an_inherited_consumer_is_ready_with_its_refusal() {
    let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
    let consumer = queue.consumer().unwrap();
    assert_eq!(wait_any(&[&event, &consumer], Instant::now()), Err(WaitError::Timeout));
    let child = fork("a child", || {
        assert_eq!(wait_any(&[&event, &consumer], soon()), Ok(1));
        assert!(matches!(consumer.get(), Err(GetError::Inherited)));
    });
    child.expect_success();
}

#[cfg(feature = "object")]
fn a_queue_of_objects_wakes_a_sleeper() {
    let (objects, event) = (shmq::ObjectQueue::<String>::new(4).unwrap(), Event::new().unwrap());
    let mut sleeper = fork("a sleeper", || {
        assert_eq!(wait_any(&[&event, &objects], soon()), Ok(1));
        assert_eq!(objects.try_get().unwrap(), "news");
    });
    sleeper.wait_until_asleep();
    objects.put(&"news".to_string()).unwrap();
    sleeper.expect_success();
}

fn each_form_gives_up_in_its_way() {
    let (queue, event) = (Queue::<u32>::new(4).unwrap(), Event::new().unwrap());
    let both: [&dyn Waitable; 2] = [&queue, &event];
    assert_eq!(try_wait_any(&both), Err(WaitError::WouldBlock));
    assert_eq!(try_wait_any(&[]), Err(WaitError::Empty));
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(250)] {
        assert_eq!(gives_up_in_time(timeout, || wait_any_timeout(&both, timeout)), Err(WaitError::Timeout));
        assert_eq!(gives_up_in_time(timeout, || wait_any_deadline(&both, Instant::now() + timeout)), Err(WaitError::Timeout));
    }
    let setter = fork("one who sets it", || event.set());
    assert_eq!(wait_any_timeout(&both, PATIENCE), Ok(1));
    setter.expect_success();
    assert_eq!((try_wait_any(&both), wait_any_timeout(&both, Duration::MAX)), (Ok(1), Ok(1)));
}
