//! [`Waiting`]: what a future keeps while it waits, and its poll.
//!
//! ```text
//!   poll --done--> Ready, the node removed: what it answered for is handed on
//!        --nothing--> register, try once more --done--> Ready
//!                                             --nothing--> Pending
//!   drop           --> the node removed: nothing was taken; what it answered for is handed on
//!   in a child     --> Inherited: nothing of the parent's is touched
//! ```

use super::nodes::Key;
use super::registry::{Reactor, Subject, incarnation};
use super::room::Room;
use super::stop;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What one try came to.
pub(crate) enum Tried<R> {
    Done(R),
    /// There is nothing to take, or no room.
    Nothing,
    /// The side's lock is contended: its holder is stopped, or starved.
    Busy,
}

/// Why a task cannot wait.
#[derive(Debug)]
pub(crate) enum CannotWait {
    /// The future was polled in the parent of this process.
    Inherited,
    /// The reactor's thread could not be started.
    NoThread(io::Error),
}

/// Ready polls of one thread in a row, until one yields to other tasks: an executor with one thread
/// would run nothing else beside a loop over a queue that is never empty.
const READY_IN_A_ROW: u32 = 128;

thread_local! {
    /// Ready polls that are left to this thread.
    static LEFT: Cell<u32> = const { Cell::new(READY_IN_A_ROW) };
}

/// The node of a future, if it has one.
pub(crate) struct Waiting(State);

enum State {
    Idle,
    At(Node),
    /// In the room of the stop of its handle as well.
    AtBoth(Node, Node),
    /// It waited in the parent of this process.
    Inherited,
}

struct Node {
    room: Arc<Room>,
    key: Key,
    incarnation: u32,
}

impl Node {
    fn new(waker: Waker, subject: &Subject<'_>) -> io::Result<Node> {
        let (room, key) = Reactor::register(subject, waker)?;
        Ok(Node { room, key, incarnation: incarnation()? })
    }

    fn register(&self, waker: Waker, subject: &Subject<'_>) {
        self.room.register(Some(self.key), waker, subject.want.get(), subject.share);
    }

    fn end(self, took: bool) {
        self.room.end(self.key, took);
    }
}

impl Waiting {
    pub const fn new() -> Waiting {
        Waiting(State::Idle)
    }

    /// Polls: tries, and waits if there is nothing. What is tried commits only where it returns
    /// `Done`, and the poll then returns Ready.
    #[inline]
    pub fn poll<R: From<CannotWait>>(
        &mut self,
        context: &mut Context<'_>,
        subject: &Subject<'_>,
        mut attempt: impl FnMut() -> Tried<R>,
    ) -> Poll<R> {
        let has_tried = self.may_try();
        if has_tried {
            if let Tried::Done(result) = attempt() {
                Waiting::note_ready();
                return Poll::Ready(result);
            }
        }
        self.poll_slowly(context, subject, has_tried, &mut attempt)
    }

    /// May this poll try before anything else? Not if it is the turn of other tasks.
    #[inline]
    pub fn may_try(&self) -> bool {
        self.is_idle() && LEFT.get() > 0
    }

    /// The first try of a poll that [may try](Waiting::may_try) was Ready.
    #[inline]
    pub fn note_ready() {
        // What was tried may have polled futures itself.
        LEFT.set(LEFT.get().saturating_sub(1));
    }

    /// The rest of a poll.
    #[cold]
    #[inline(never)]
    pub fn poll_slowly<R: From<CannotWait>>(
        &mut self,
        context: &mut Context<'_>,
        subject: &Subject<'_>,
        has_tried: bool,
        attempt: &mut dyn FnMut() -> Tried<R>,
    ) -> Poll<R> {
        if self.is_inherited() {
            return Poll::Ready(CannotWait::Inherited.into());
        }
        let left = LEFT.get();
        if left == 0 {
            LEFT.set(READY_IN_A_ROW);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        for spun in u32::from(has_tried)..=subject.spins {
            if spun > 0 {
                std::hint::spin_loop();
            }
            match attempt() {
                Tried::Done(result) => return self.ready(result, left),
                Tried::Busy => break,
                Tried::Nothing => {}
            }
        }
        if let Err(refused) = self.register(context, subject) {
            return Poll::Ready(CannotWait::NoThread(refused).into());
        }
        match attempt() {
            Tried::Done(result) => return self.ready(result, left),
            Tried::Nothing => self.with_room(Room::note_open),
            Tried::Busy => self.with_room(Room::note_contended),
        }
        LEFT.set(READY_IN_A_ROW);
        Poll::Pending
    }

    fn ready<R>(&mut self, result: R, left: u32) -> Poll<R> {
        LEFT.set(left.saturating_sub(1));
        self.end(true);
        Poll::Ready(result)
    }

    fn register(&mut self, context: &mut Context<'_>, subject: &Subject<'_>) -> io::Result<()> {
        let waker = || context.waker().clone();
        match &self.0 {
            State::At(node) => node.register(waker(), subject),
            State::AtBoth(node, stopped) => {
                node.register(waker(), subject);
                let stop = |stop| stop::with_subject(stop, |subject| stopped.register(waker(), subject));
                subject.stop.map(stop);
            }
            State::Idle | State::Inherited => {
                let node = Node::new(waker(), subject)?;
                let stopped = subject.stop.and_then(|stop| stop::with_subject(stop, |subject| Node::new(waker(), subject)));
                self.0 = match stopped {
                    None => State::At(node),
                    Some(Ok(stopped)) => State::AtBoth(node, stopped),
                    Some(Err(refused)) => {
                        node.end(false);
                        return Err(refused);
                    }
                };
            }
        }
        Ok(())
    }

    fn with_room(&self, act: impl FnOnce(&Room)) {
        if let Some(node) = self.node() {
            act(&node.room);
        }
    }

    fn node(&self) -> Option<&Node> {
        match &self.0 {
            State::At(node) | State::AtBoth(node, _) => Some(node),
            State::Idle | State::Inherited => None,
        }
    }

    /// Did it wait in the parent of this process? Then nothing of the parent's is touched, whose
    /// locks may be held for ever.
    pub fn is_inherited(&mut self) -> bool {
        if self.node().is_some_and(|node| incarnation().ok() != Some(node.incarnation)) {
            std::mem::forget(std::mem::replace(&mut self.0, State::Inherited));
        }
        matches!(self.0, State::Inherited)
    }

    /// Has it never waited, or not since it was last Ready?
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.0, State::Idle)
    }

    /// Waits no more.
    #[cold]
    fn end(&mut self, took: bool) {
        if self.is_inherited() {
            return;
        }
        match std::mem::replace(&mut self.0, State::Idle) {
            State::At(node) => node.end(took),
            State::AtBoth(node, stopped) => {
                stopped.end(false);
                node.end(took);
            }
            State::Idle | State::Inherited => {}
        }
    }
}

impl Drop for Waiting {
    #[inline]
    fn drop(&mut self) {
        if !self.is_idle() {
            self.end(false);
        }
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            State::Idle => "Idle",
            State::At(_) | State::AtBoth(..) => "Waiting",
            State::Inherited => "Inherited",
        })
    }
}
