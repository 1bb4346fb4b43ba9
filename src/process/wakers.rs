//! Tasks that wait for an event that comes to all of them: a process has ended, a result is there.
//!
//! Their owner keeps them under a lock of its own, and no waker is cloned, called or dropped under
//! that: it may run code of any kind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

/// A task's place, from when it first waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// The tasks that wait.
#[derive(Default)]
pub(crate) struct Wakers {
    waiting: Vec<(Place, Waker)>,
}

/// Of the whole process: a task keeps its place when its list is made anew.
static PLACES: AtomicU64 = AtomicU64::new(0);

impl Wakers {
    /// Has a task wait, again or for the first time: then it has a `place` from now on. Returns what
    /// the caller drops without the lock.
    #[must_use = "dropped without the lock"]
    pub fn add(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| Place(PLACES.fetch_add(1, Relaxed)));
        match self.waiting.iter_mut().find(|(other, _)| *other == place) {
            Some((_, known)) if known.will_wake(&waker) => Some(waker),
            Some((_, known)) => Some(std::mem::replace(known, waker)),
            None => {
                self.waiting.push((place, waker));
                None
            }
        }
    }

    /// A task waits no more. Returns what the caller drops without the lock.
    #[must_use = "dropped without the lock"]
    pub fn remove(&mut self, place: Place) -> Option<Waker> {
        let at = self.waiting.iter().position(|(other, _)| *other == place)?;
        Some(self.waiting.swap_remove(at).1)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those that wait, to be [woken](wake_all) without the lock. They keep their places.
    #[must_use = "woken without the lock"]
    pub fn take(&mut self) -> Vec<Waker> {
        self.waiting.drain(..).map(|(_, waker)| waker).collect()
    }
}

/// Wakes tasks. A waker that panics keeps none of the others from being woken.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            std::mem::forget(panic); // its drop might panic
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }

    #[test]
    fn a_task_waits_at_one_place_under_its_last_waker() {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (mut wakers, mut place) = (Wakers::default(), None);
        assert!(wakers.add(&mut place, Waker::from(Arc::clone(&first))).is_none());
        assert!(wakers.add(&mut place, Waker::from(Arc::clone(&first))).is_some());
        assert!(wakers.add(&mut place, Waker::from(Arc::clone(&second))).is_some());
        let mut other = None;
        assert!(wakers.add(&mut other, Waker::from(Arc::clone(&first))).is_none());
        assert!(wakers.remove(other.unwrap()).is_some() && wakers.remove(other.unwrap()).is_none());
        wake_all(wakers.take());
        assert!(wakers.is_empty());
        assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_waker_that_panics_keeps_none_from_being_woken() {
        let (mut wakers, last) = (Wakers::default(), Arc::new(Count::default()));
        drop(wakers.add(&mut None, Waker::from(Arc::new(Panics))));
        drop(wakers.add(&mut None, Waker::from(Arc::clone(&last))));
        wake_all(wakers.take());
        assert_eq!(last.0.load(SeqCst), 1);
    }
}
