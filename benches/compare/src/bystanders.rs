//! Bystanders: processes that are attached and do nothing, beside the two that move messages.

use crate::shmq_ways::{ADAPTIVE, ByQueue};
use crate::{
    flows::{self, Transport},
    forked::{
        Case, Host, Seat,
        kernel::{self, futex_wake},
    },
};
use shmq::Queue;
use std::{
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::{Duration, Instant},
};

/// Attaching must not take longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

type Ours = ByQueue<8, ADAPTIVE>;

/// A flow of 64 B messages through a `Queue` to which `bystanders` more processes are attached.
struct WithBystanders {
    flow: Box<dyn Case>,
    bystanders: usize,
}

struct Attached {
    host: Box<dyn Host>,
    bystanders: Vec<libc::pid_t>,
}

pub fn flow_beside(capacity: usize, bystanders: usize) -> Box<dyn Case> {
    let flow = flows::flow_through::<Ours>(capacity);
    Box::new(WithBystanders { flow, bystanders })
}

/// One process that puts a message and gets it, again and again; the party's other member does
/// nothing.
struct Alone {
    capacity: usize,
}

/// As [`flow_beside`], of one process that puts and gets.
pub fn alone(capacity: usize, bystanders: usize) -> Box<dyn Case> {
    Box::new(WithBystanders { flow: Box::new(Alone { capacity }), bystanders })
}

impl Case for Alone {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(Ours::create(name, self.capacity))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let queue = Ours::sender(name);
        seat.serve(|share, moved| {
            if seat.produces() {
                for stamp in 0..share {
                    Ours::send(&queue, stamp..stamp + 1);
                    assert_eq!(Ours::receive(&queue, 1), stamp * Ours::WORDS as u64);
                }
            }
            moved.store(share, Relaxed);
            0
        });
    }
}

impl Case for WithBystanders {
    fn create(&self, name: &str) -> Box<dyn Host> {
        let host = self.flow.create(name);
        let attached: &'static AtomicU32 = kernel::share();
        let stand_by = || {
            let Ok(queue) = Queue::<[u64; 8]>::open(name) else { return 1 };
            attached.fetch_add(1, Release);
            futex_wake(attached);
            loop {
                // SAFETY: no pointers; sleeps until a signal ends the process, also that of its
                // parent's death.
                unsafe { libc::pause() };
                std::hint::black_box(&queue);
            }
        };
        let bystanders = (0..self.bystanders).map(|_| kernel::fork(stand_by)).collect();
        let host = Attached { host, bystanders };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = attached.load(Acquire);
            if seen as usize == self.bystanders {
                return Box::new(host);
            }
            assert!(Instant::now() < deadline, "{seen} of {} bystanders attached within {PATIENCE:?}", self.bystanders);
            kernel::futex_wait(attached, seen, Some(Duration::from_millis(50)));
        }
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        self.flow.play(seat, name);
    }
}

impl Host for Attached {
    fn unlink(&self) {
        self.host.unlink();
    }

    fn state(&self) -> String {
        format!("{}, {} bystanders", self.host.state(), self.bystanders.len())
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        for &pid in &self.bystanders {
            kernel::kill(pid);
            kernel::ended(pid, true);
        }
    }
}
