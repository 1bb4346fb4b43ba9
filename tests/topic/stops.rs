//! `Stop`: waiting publishers, subscribers, and those who wait for subscribers end when it is set.

use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use crate::support::signals::stop_by_sigint;
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, Stop, Topic, WaitStrategy, WaitSubscribersError};
use std::fmt::Debug;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_signal_ends_each_wait_of_a_publisher,
        a_signal_ends_each_wait_of_a_subscriber,
        a_set_stop_ends_sleeping_threads,
        what_need_not_wait_succeeds_with_a_set_stop,
        an_interruption_is_no_timeout,
        handles_without_the_stop_go_on_waiting,
    ]
}

#[track_caller]
fn put_ends<R: Debug>(result: Result<R, PutError>) {
    assert!(matches!(result, Err(PutError::Interrupted)), "{result:?}");
}

#[track_caller]
fn get_ends<R: Debug>(result: Result<R, GetError>) {
    assert!(matches!(result, Err(GetError::Interrupted)), "{result:?}");
}

/// Runs a verb in a process that sleeps in it, and gets a signal.
fn interrupt(verb: impl FnOnce(&'static Stop)) {
    let mut child = fork("a process that waits for a signal", || verb(stop_by_sigint()));
    child.wait_until_asleep();
    send_signal(child.pid() as libc::pid_t, libc::SIGINT);
    child.expect_success_within(BY_ITSELF);
}

fn a_signal_ends_each_wait_of_a_publisher() {
    for strategy in [WaitStrategy::Adaptive, WaitStrategy::Block] {
        let topic = Topic::<u64>::builder().capacity(1).wait_strategy(strategy).create().unwrap();
        let slow = topic.subscribe().unwrap();
        topic.publish(&1).unwrap();
        let verbs: [fn(&Topic<u64>); 7] = [
            |topic| put_ends(topic.publish(&2)),
            |topic| put_ends(topic.publish_timeout(&2, 2 * PATIENCE)),
            |topic| put_ends(topic.publish_deadline(&2, Instant::now() + 2 * PATIENCE)),
            |topic| put_ends(topic.publish_slice(&[2, 3])),
            |topic| put_ends(topic.loan().map(drop)),
            |topic| put_ends(topic.publisher().unwrap().publish(&2)),
            |topic| put_ends(topic.publisher().unwrap().loan().map(drop)),
        ];
        for verb in verbs {
            interrupt(|stop| verb(&topic.with_stop(stop)));
        }
        interrupt(|stop| put_ends(topic.publisher().unwrap().with_stop(stop).publish_slice(&[2])));
        interrupt(|stop| {
            let result = topic.with_stop(stop).wait_subscribers(5, 2 * PATIENCE);
            assert!(matches!(result, Err(WaitSubscribersError::Interrupted)), "{result:?}");
        });
        assert_eq!((topic.stats().published, slow.next().unwrap()), (1, 1));
        topic.try_publish(&2).unwrap();
    }
}

fn a_signal_ends_each_wait_of_a_subscriber() {
    for strategy in [WaitStrategy::Adaptive, WaitStrategy::Block] {
        let topic = Topic::<u64>::builder().capacity(1).wait_strategy(strategy).create().unwrap();
        let verbs: [fn(&mut shmq::Subscriber<u64>); 6] = [
            |every| get_ends(every.next()),
            |every| get_ends(every.next_timeout(2 * PATIENCE)),
            |every| get_ends(every.next_slice(&mut [0; 3])),
            |every| get_ends(every.next_boxed()),
            |every| get_ends(every.read().map(drop)),
            |every| {
                let mut all = every.iter();
                get_ends(all.next().expect("the error is an item"));
                assert!(all.next().is_none());
            },
        ];
        for verb in verbs {
            interrupt(|stop| verb(&mut topic.with_stop(stop).subscribe().unwrap()));
            interrupt(|stop| verb(&mut topic.subscribe().unwrap().with_stop(stop)));
        }
        interrupt(|stop| get_ends(topic.subscribe_lossy().unwrap().with_stop(stop).next()));
        // Those processes ended without dropping what they had.
        topic.recover();
        topic.publish(&1).unwrap();
    }
}

fn a_set_stop_ends_sleeping_threads() {
    let topic = Topic::<u64>::new(1).unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    let stop = Stop::new();
    let (publishing, late) = (topic.with_stop(&stop), topic.with_stop(&stop).subscribe().unwrap());
    let publisher = start_and_wait_until_asleep("a publisher", move || publishing.publish(&2));
    let subscriber = start_and_wait_until_asleep("a subscriber", move || late.next());
    stop.set();
    put_ends(publisher.join());
    get_ends(subscriber.join());
    assert_eq!(slow.next().unwrap(), 1);
}

fn what_need_not_wait_succeeds_with_a_set_stop() {
    let (topic, stop) = (Topic::<u64>::new(2).unwrap(), Stop::new());
    stop.set();
    let set = topic.with_stop(&stop);
    let mut every = set.subscribe().unwrap();
    set.publish(&1).unwrap();
    assert_eq!(set.publish_slice(&[2, 3, 4]).unwrap(), 1, "as many as there is room for");
    put_ends(set.publish(&5));
    assert!(set.try_publish(&5).unwrap_err().is_full());
    assert_eq!((every.next().unwrap(), *every.read().unwrap()), (1, 2));
    get_ends(every.next());
    assert!(every.try_next().unwrap_err().is_empty());
    set.wait_subscribers(1, PATIENCE).unwrap();
    set.close();
    assert!(every.next().unwrap_err().is_closed(), "the end is known without waiting");
}

fn an_interruption_is_no_timeout() {
    let (topic, stop) = (Topic::<u64>::new(1).unwrap(), Stop::new());
    stop.set();
    let set = topic.with_stop(&stop);
    let every = set.subscribe().unwrap();
    get_ends(every.next_timeout(Duration::from_millis(1)));
    set.publish(&1).unwrap();
    put_ends(set.publish_timeout(&2, Duration::from_millis(1)));
    assert_eq!((topic.stats().read_timeouts, topic.stats().publish_timeouts), (0, 0));
}

fn handles_without_the_stop_go_on_waiting() {
    let (topic, stop) = (Topic::<u64>::new(1).unwrap(), Stop::new());
    let plain = topic.subscribe().unwrap();
    let with_another = topic.subscribe().unwrap().with_stop(&Stop::new());
    let waiting = [
        start_and_wait_until_asleep("a subscriber without a stop", move || plain.next()),
        start_and_wait_until_asleep("a subscriber with another stop", move || with_another.next()),
    ];
    stop.set();
    get_ends(topic.with_stop(&stop).subscribe().unwrap().next());
    std::thread::sleep(Duration::from_millis(150));
    assert!(waiting.iter().all(|subscriber| !subscriber.has_finished()));
    topic.publish(&1).unwrap();
    waiting.into_iter().for_each(|subscriber| assert_eq!(subscriber.join().unwrap(), 1));
}
