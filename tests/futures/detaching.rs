//! A queue for which tasks wait is in use. One whose futures are gone is not, whatever the reactor
//! does at that moment.

use crate::polling::{poll, wait_for_a_reactor};
use crate::support::harness::Case;
use crate::support::unique_name;
use shmq::Queue;
use shmq::sync::Semaphore;
use std::task::Waker;

pub fn cases() -> Vec<Case> {
    crate::cases![tasks_that_wait_are_in_the_way, a_reactor_at_work_is_not_in_the_way]
}

fn tasks_that_wait_are_in_the_way() {
    let queue = Queue::<u64>::create(unique_name("awaited"), 4).unwrap();
    let mut gets = queue.clone().into_stream();
    let mut second = queue.clone().into_stream();
    let poll_next = |stream: &mut shmq::future::Messages<_>| {
        let mut context = std::task::Context::from_waker(Waker::noop());
        assert!(futures::Stream::poll_next(std::pin::Pin::new(stream), &mut context).is_pending());
    };
    poll_next(&mut gets);
    poll_next(&mut second);
    wait_for_a_reactor();
    let refused = queue.detach().unwrap_err();
    // Two handles, and what the reactor waits for.
    assert_eq!(refused.to_string(), "not detached: this process still has 3 other handles");
    drop((gets, second));
    refused.into_handle().detach().unwrap();

    let semaphore = Semaphore::new(0).unwrap();
    let other = semaphore.clone();
    let mut permit = other.permit_async();
    assert!(poll(&mut permit, Waker::noop()).is_pending());
    let refused = semaphore.detach().unwrap_err();
    assert_eq!(refused.in_use().other_handles, 2);
    drop(permit);
    drop(other);
    refused.into_handle().detach().unwrap();
}

fn a_reactor_at_work_is_not_in_the_way() {
    let busy: Queue<u64> = Queue::new(4).unwrap();
    let worker = std::thread::spawn({
        let busy = busy.clone();
        move || while futures::executor::block_on(busy.get_async()).is_ok() {}
    });
    for round in 0..500 {
        busy.put(&round).unwrap();
        let own = Queue::<u64>::open(busy.name()).unwrap();
        let mut get = own.get_async();
        let was_ready = poll(&mut get, Waker::noop()).is_ready();
        busy.put(&round).unwrap();
        let _ = was_ready || poll(&mut get, Waker::noop()).is_ready();
        drop(get);
        if let Err(refused) = own.detach() {
            panic!("round {round}: {refused}");
        }
    }
    busy.close();
    worker.join().unwrap();
}
