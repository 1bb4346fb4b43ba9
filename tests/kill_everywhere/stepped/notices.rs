//! Killed while it waits for a notice, gives one, or hands on that of a dead process: a live waiter
//! gets it all the same.

use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::{Child, fork};
use crate::support::{BY_ITSELF, unique_name, wait_until};
use shmq::sync::{Condvar, ReentrantLock};
use std::cell::RefCell;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![killed_in_a_wait_for_a_notice, killed_in_a_notice_of_two, killed_where_it_hands_a_notice_on]
}

struct World {
    lock: ReentrantLock,
    condvar: Condvar,
    /// Processes that wait for a notice, the oldest first.
    waiters: RefCell<Vec<Child>>,
}

impl World {
    fn with_waiters(count: usize) -> World {
        let lock = ReentrantLock::create(unique_name("lock")).unwrap();
        let condvar = Condvar::create(unique_name("condvar")).unwrap();
        let world = World { lock, condvar, waiters: RefCell::default() };
        for waiting in 1..=count {
            let child = fork("a waiter", || world.wait_twice_locked());
            wait_until("a waiter", || world.condvar.waiting() == waiting, String::new);
            world.waiters.borrow_mut().push(child);
        }
        world
    }

    /// Waits for a notice with two levels of the lock.
    fn wait_twice_locked(&self) {
        (0..2).for_each(|_| assert!(self.lock.acquire().is_ok()));
        // A holder may have died: that is reported with the lock.
        drop(self.condvar.wait_notified(&self.lock));
        assert_eq!(self.lock.levels(), 2);
        (0..2).for_each(|_| self.lock.release().unwrap());
    }

    fn notify(&self, count: u32) -> u32 {
        self.lock.acquire().unwrap();
        let notified = self.condvar.notify(count);
        self.lock.release().unwrap();
        notified
    }

    /// The lock can be had, all that still wait are woken by as many notices, and none is left.
    fn check_the_rest(&self, killed: Killed) -> Finding {
        let died = self.lock.try_acquire().expect("it is free, or its holder is dead").owner_died;
        assert!(!(died && killed.done));
        self.lock.mark_repaired();
        self.lock.release().unwrap();
        let mut waiters = self.waiters.take();
        let waiting = self.condvar.waiting();
        assert!(waiting <= waiters.len());
        assert_eq!(self.condvar.notify(8) as usize, waiting);
        waiters.drain(..).for_each(|waiter| waiter.expect_success_within(BY_ITSELF));
        assert_eq!((self.condvar.waiting(), self.condvar.notify(1)), (0, 0));
        Finding { stage: None, repaired: died }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Those of a world that was only traced.
        for waiter in self.waiters.take() {
            let _ = waiter.kill_if_running();
        }
    }
}

fn attach(world: &World) {
    world.lock.acquire().unwrap();
    world.lock.release().unwrap();
    world.condvar.waiting();
}

fn killed_in_a_wait_for_a_notice() {
    let operation = Operation {
        what: "condvar: wait_notified",
        world: &|| World::with_waiters(1),
        body: &|world, begin| {
            attach(world);
            begin();
            world.wait_twice_locked();
        },
        // For both: what the dead does not use is the other's, or of no use.
        wake: Some(&|world| assert_eq!(world.notify(2), 2)),
        recovery: None,
        check: &|world, killed, _| {
            if killed.woken {
                world.waiters.borrow_mut().remove(0).expect_success_within(BY_ITSELF);
            }
            world.check_the_rest(killed)
        },
    };
    operation.sweep();
}

fn killed_in_a_notice_of_two() {
    let operation = Operation {
        what: "condvar: notify of two, one dead",
        world: &|| {
            let world = World::with_waiters(3);
            world.waiters.borrow_mut().remove(1).kill();
            world
        },
        body: &|world, begin| {
            attach(world);
            begin();
            assert_eq!(world.condvar.notify(2), 2);
        },
        wake: None,
        recovery: None,
        check: &|world, killed, _| {
            if killed.done {
                world.waiters.take().into_iter().for_each(|waiter| waiter.expect_success_within(BY_ITSELF));
            }
            world.check_the_rest(killed)
        },
    };
    operation.sweep();
}

fn killed_where_it_hands_a_notice_on() {
    let operation = Operation {
        what: "condvar: handing a notice on",
        world: &|| {
            let world = World::with_waiters(2);
            // It lives, and does not probe: so the tracee does.
            world.waiters.borrow_mut()[1].stop_asleep();
            world
        },
        body: &|world, begin| {
            attach(world);
            begin();
            world.lock.acquire().unwrap();
            let longer_than_a_slice = Duration::from_millis(120);
            assert!(world.condvar.wait_notified_timeout(&world.lock, longer_than_a_slice).unwrap().1.timed_out());
            world.lock.release().unwrap();
        },
        // The oldest has the notice, and dies before it has the lock.
        wake: Some(&|world| {
            world.lock.acquire().unwrap();
            assert_eq!(world.condvar.notify(1), 1);
            world.waiters.borrow_mut().remove(0).kill();
            world.lock.release().unwrap();
        }),
        recovery: None,
        check: &|world, killed, _| {
            world.waiters.borrow().last().expect("the other waiter").go_on();
            if killed.woken {
                world.waiters.borrow_mut().remove(0).expect_success_within(BY_ITSELF);
            }
            world.check_the_rest(killed)
        },
    };
    operation.sweep();
}
