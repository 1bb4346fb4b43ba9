//! [`Waiting`]: what a future keeps while it waits, and its poll.
//!
//! ```text
//!   poll --done--> Ready, the node removed: what it answered for is handed on
//!        --nothing--> register, try once more --done--> Ready
//!                                             --nothing--> Pending
//!   drop           --> the node removed: nothing was taken; what it answered for is handed on
//!   in a child     --> Inherited: nothing of the parent's is touched
//! ```

use super::nodes::{Key, Want};
use super::registry::{Reactor, Subject, incarnation};
use super::room::Room;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    static READY: Cell<u32> = const { Cell::new(0) };
}

/// The node of a future, if it has one.
pub(crate) struct Waiting(State);

enum State {
    Idle,
    At(Node),
    /// It waited in the parent of this process.
    Inherited,
}

struct Node {
    room: Arc<Room>,
    key: Key,
    incarnation: u32,
}

impl Waiting {
    pub const fn new() -> Waiting {
        Waiting(State::Idle)
    }

    /// Polls: tries, and waits if there is nothing. What is tried commits only where it returns
    /// `Done`, and the poll then returns Ready.
    pub fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        subject: &Subject<'_>,
        want: Want,
        spins: u32,
        mut attempt: impl FnMut() -> Tried<R>,
    ) -> Poll<Result<R, CannotWait>> {
        if self.is_inherited() {
            return Poll::Ready(Err(CannotWait::Inherited));
        }
        if READY.get() >= READY_IN_A_ROW {
            READY.set(0);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut tried = attempt();
        for _ in 0..spins {
            if !matches!(tried, Tried::Nothing) {
                break;
            }
            std::hint::spin_loop();
            tried = attempt();
        }
        if let Tried::Done(result) = tried {
            return self.ready(result);
        }
        if let Err(refused) = self.register(context, subject, want) {
            return Poll::Ready(Err(CannotWait::NoThread(refused)));
        }
        match attempt() {
            Tried::Done(result) => return self.ready(result),
            Tried::Nothing => self.with_room(Room::note_open),
            Tried::Busy => self.with_room(Room::note_contended),
        }
        READY.set(0);
        Poll::Pending
    }

    fn ready<R>(&mut self, result: R) -> Poll<Result<R, CannotWait>> {
        READY.set(READY.get() + 1);
        self.end(true);
        Poll::Ready(Ok(result))
    }

    fn register(&mut self, context: &mut Context<'_>, subject: &Subject<'_>, want: Want) -> io::Result<()> {
        let waker = context.waker().clone();
        if let State::At(node) = &self.0 {
            node.room.register(Some(node.key), waker, want, subject.share);
        } else {
            let (room, key) = Reactor::register(subject, waker, want)?;
            self.0 = State::At(Node { room, key, incarnation: incarnation()? });
        }
        Ok(())
    }

    fn with_room(&self, act: impl FnOnce(&Room)) {
        if let State::At(node) = &self.0 {
            act(&node.room);
        }
    }

    /// Did it wait in the parent of this process? Then nothing of the parent's is touched, whose
    /// locks may be held for ever.
    pub fn is_inherited(&mut self) -> bool {
        if matches!(&self.0, State::At(node) if incarnation().ok() != Some(node.incarnation)) {
            std::mem::forget(std::mem::replace(&mut self.0, State::Inherited));
        }
        matches!(self.0, State::Inherited)
    }

    /// Waits no more.
    fn end(&mut self, took: bool) {
        if self.is_inherited() {
            return;
        }
        if let State::At(node) = std::mem::replace(&mut self.0, State::Idle) {
            node.room.end(node.key, took);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.0 {
            State::Idle => "Idle",
            State::At(_) => "Waiting",
            State::Inherited => "Inherited",
        })
    }
}
