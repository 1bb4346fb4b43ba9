//! A room: the waiting tasks of one thing, what they wait for, and the words that the reactor
//! sleeps on for them.
//!
//! ```text
//!   empty --first node--> in use --last node goes--> empty, and what was awaited is let go at once:
//!                                                    the reactor keeps only its words mapped
//! ```
//!
//! Invariant: the lock is held for a few instructions. While it is, no waker is cloned, called or
//! dropped, nothing awaited is dropped, and no thread sleeps.

use super::nodes::{Call, Key, Nodes};
use super::thread::Shard;
use super::wants::{Available, Fitting, Want};
use crate::lock::KeptCondvar;
use crate::os::now_ns;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What of a queue or a primitive tasks wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Aspect {
    /// A message.
    Message,
    /// Room for a message.
    Room,
    /// That all messages are finished.
    Finished,
    /// That the queue is closed.
    Closed,
    /// What a primitive gives: permits, or that an event is set.
    Given,
    /// That a stop is set.
    Stopped,
}

/// Queues and primitives, as tasks wait for them.
pub(crate) trait Awaited: Send + Sync {
    /// The words to sleep on; `None` where this process cannot, and naps.
    fn condvar(&self, aspect: Aspect) -> Option<KeptCondvar>;

    /// The barrier between registering and checking. `false`: what was committed just before may
    /// not be visible yet.
    fn heavy_barrier(&self) -> bool;

    /// Checks without a lock what there is.
    fn available(&self, aspect: Aspect) -> Available;

    /// Is there room for so much, as far as can be seen? Of an event: was it set since it had
    /// changed so often?
    fn has_room(&self, _units: u64) -> bool {
        true
    }

    /// The ticket of the large message that goes first; 0: none.
    fn first_ticket(&self) -> u64 {
        0
    }

    /// The probe for dead processes that is due once a slice. Waits for no lock.
    fn probe(&self, aspect: Aspect);

    /// Wakes one waiter of any process, if something is there to take (Invariant 5).
    fn pass_on(&self, aspect: Aspect);
}

/// See the module.
pub(super) struct Room {
    pub shard: &'static Shard,
    pub aspect: Aspect,
    /// Something has changed that the reactor must see.
    pub has_news: AtomicBool,
    state: Mutex<State>,
}

pub(super) struct State {
    pub nodes: Nodes,
    pub awaited: Option<Arc<dyn Awaited>>,
    /// The reactor is registered, or will check after it has registered (Invariant 2).
    pub is_watched: bool,
    /// The last task went without having been notified: the reactor is to leave.
    pub has_left: bool,
}

/// What a task's end leaves to do, outside the lock.
pub(super) struct Ended {
    waker: Option<Waker>,
    /// Set if it answered for something, and now nobody does.
    unanswered: Option<Arc<dyn Awaited>>,
    let_go: Option<Arc<dyn Awaited>>,
    must_tell: bool,
}

impl Room {
    pub fn new(shard: &'static Shard, aspect: Aspect) -> Room {
        let state = State { nodes: Nodes::new(), awaited: None, is_watched: false, has_left: false };
        Room { shard, aspect, has_news: AtomicBool::new(false), state: Mutex::new(state) }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // No code that runs under it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the reactor check this room.
    pub fn tell_reactor(&self) {
        self.has_news.store(true, Release);
        self.shard.wake();
    }

    /// As [`Room::tell_reactor`], by the reactor itself.
    pub fn note_news(&self) {
        self.has_news.store(true, Release);
    }

    /// Takes the news.
    pub fn take_news(&self) -> bool {
        // AcqRel: what the task changed before it told the reactor is seen after this.
        self.has_news.load(std::sync::atomic::Ordering::Relaxed) && self.has_news.swap(false, AcqRel)
    }

    /// The task waits from now on (Invariant 2): it checks once more after this.
    pub fn register(&self, key: Option<Key>, waker: Waker, want: Want, awaited: &dyn Fn() -> Arc<dyn Awaited>) -> Key {
        let mut state = self.lock();
        if state.awaited.is_none() {
            state.awaited = Some(awaited());
        }
        let found_less = key.is_some_and(|key| state.nodes.answers_for_several(key));
        let (key, old) = state.nodes.register(key, waker, want);
        // What it answered for and did not find enough of may be enough for others (Invariant 3).
        let must_tell = !state.is_watched || found_less;
        drop(state);
        if must_tell {
            self.tell_reactor();
        }
        // The last step, here and in `finish`: a waker's drop may panic.
        drop(old);
        key
    }

    /// The task found the side contended.
    pub fn note_contended(&self) {
        self.lock().nodes.note_contended(now_ns());
        self.tell_reactor();
    }

    /// The task found the side open.
    pub fn note_open(&self) {
        let released = self.lock().nodes.note_open();
        if released {
            self.tell_reactor();
        }
    }

    /// The task waits no more.
    pub fn end(&self, key: Key, took: bool) {
        let mut state = self.lock();
        let removed = state.nodes.remove(key, took);
        let was_held_off = took && state.nodes.release();
        let let_go = if removed.was_last { state.awaited.take() } else { None };
        let unanswered = removed.answered.then(|| state.awaited.clone().or_else(|| let_go.clone())).flatten();
        // A task that was notified leaves the reactor as it is: it has left, or stays on purpose.
        let has_left = state.is_watched && removed.waited && !state.nodes.has_waiting() && self.aspect != Aspect::Stopped;
        if has_left {
            // The next task tells the reactor again.
            (state.is_watched, state.has_left) = (false, true);
        }
        let must_tell = has_left || (was_held_off && state.nodes.has_waiting());
        drop(state);
        self.finish(Ended { waker: removed.waker, unanswered, let_go, must_tell });
    }

    fn finish(&self, ended: Ended) {
        if ended.must_tell {
            self.tell_reactor();
        }
        if let Some(awaited) = ended.unanswered {
            self.hand_on(&*awaited);
        }
        drop(ended.let_go);
        drop(ended.waker);
    }

    /// A task that answered for something has ended: if something is there for which no task
    /// answers, the next one does, or one waiter of any process is woken (Invariant 3).
    fn hand_on(&self, awaited: &dyn Awaited) {
        let mut calls = Vec::new();
        loop {
            let available = awaited.available(self.aspect);
            if available == Available::NOTHING {
                return;
            }
            let fitting = self.fitting(awaited);
            let left_over = self.lock().nodes.serve(available, fitting, 1, now_ns, &mut calls);
            if calls.is_empty() {
                if left_over {
                    awaited.pass_on(self.aspect);
                }
                return;
            }
            if self.call(&mut calls) {
                return;
            }
        }
    }

    /// Which of the waiting tasks can have what they want. Finding out may walk a ring, and is done
    /// without the lock.
    pub fn fitting(&self, awaited: &dyn Awaited) -> Fitting {
        if !matches!(self.aspect, Aspect::Room | Aspect::Given) {
            return Fitting::ALL;
        }
        let sizes = self.lock().nodes.sizes();
        sizes.fitting(|units| awaited.has_room(units), awaited.first_ticket())
    }

    /// Calls the wakers. `false`: one has panicked, and what its task answered for is open again.
    pub fn call(&self, calls: &mut Vec<Call>) -> bool {
        let mut all_called = true;
        for Call { key, turn, waker } in calls.drain(..) {
            let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake()));
            if let Err(panic) = called {
                std::mem::forget(panic); // its drop might panic
                self.lock().nodes.note_panic(key, turn);
                all_called = false;
            }
        }
        all_called
    }
}
