//! How a future waits: a room of waiting tasks, and the one thread of the process that sleeps for
//! them.
//!
//! ```text
//!   task      poll --nothing--> register in the room --check again, nothing--> Pending
//!              ^ \--took one--> leave the room                         | waker called, or dropped
//!              +---------------------------------------------------- polled
//!
//!   node      absent --register--> waiting --its waker is taken--> notified --a slice--> late
//!                                     ^------ polled, nothing there ----+-------------------+
//!             notified --dropped, or took one--> absent; still a message there: passed on
//!
//!   reactor   +-> read the control word
//!             |   each queue whose tasks wait, unless registered in this sequence and epoch:
//!             |     read the sequence, register, heavy barrier
//!             |   check; notify a task for each message that has none; leave the word if no task
//!             |     waits any more; pass on what no task here can take
//!             +-- sleep on the control word and those of all registered queues, a slice at most
//! ```
//!
//! A **room** is what a process keeps of its waiting tasks, under a lock of its own that is held
//! for a few instructions and never while a waker is cloned, called or dropped.
//!
//! Each subscriber of a topic has a room of its own (`raw/topic/awaited.rs`): no task of another
//! one answers for its message. Those of one topic sleep on the same words.
//!
//! Invariants:
//! 1. The reactor is one waiter of each queue for all tasks of its process: it reads the sequence,
//!    registers, runs the heavy barrier, checks, then sleeps on that sequence (lock, Invariant 3).
//!    A putter pays for tasks what it pays for blocked callers: one load.
//! 2. A task registers in the room and then checks once more. Either the reactor is registered
//!    already, and a message that came before the task's check is seen by it, or one that comes
//!    later wakes the reactor, which sees the task; or it is not, and the task raises the control
//!    word, under the room's lock, and the reactor checks after it has registered. The reactor
//!    reads the control word before the room. (The second check saves time alone: while a room is
//!    watched, each message is answered for, or its wake is still to come.)
//! 3. A notified task answers for one message until it has polled. No other task is notified for
//!    that message. A task that answers and ends, dropped or with a message, checks after its node
//!    has gone: if there is a message for which no notified task answers, it notifies a waiting
//!    task of this process, or wakes one waiter of any process. A task that polled and found
//!    nothing passes nothing on: it registers and checks again (Invariant 2). If it wanted more
//!    than one unit (of room, of permits) it may have found less: then the reactor checks for the
//!    others.
//! 4. The reactor takes the count of messages first and that of notified tasks then, under the
//!    room's lock. In this order a task that takes a message meanwhile is one wake too many. In the
//!    other, a task that has taken one message would answer for the next, until the wake of that
//!    one comes.
//! 5. The reactor leaves a word when the last task of that queue goes that was not notified, or
//!    when a wake comes and no task waits. After the last waiting task was notified it may linger:
//!    it stays registered for a task that waits again at once. When it leaves a word that has fired
//!    since it registered, the wake may have been consumed by its sleep: after it has left, it
//!    wakes one other waiter if there is a message for which no task here answers, or if it cannot
//!    know, since the queue's last task has gone. Since it leaves first, no wake comes back to it,
//!    and none circulates. It lingers for a slice at most, and keeps the words mapped meanwhile.
//! 6. One return of the sleep may have consumed a wake of each word: the reactor checks all. Where
//!    it stays registered it reads the sequence first and compares the epoch then: a notifier that
//!    begins an epoch after that raises the sequence once more. It registers anew if the epoch has
//!    changed. A raise that it finds so counts as a wake, which may come while it sleeps on the new
//!    sequence.
//! 7. A task that was notified in one slice and has not polled when the next one ends is late and
//!    answers for nothing. At once the next waiting task is notified, and one wake is passed on, so
//!    that late tasks do not cost other processes as long each. A waker that panics makes its task
//!    late at once.
//! 8. Nothing but speed rests on the count of waiters, and a process that dies with a wake costs
//!    the others at most one slice (lock, Invariant 4; wait, Invariant 1). A notified task that
//!    does not poll costs others two slices, and the tasks of its own process as long again for
//!    each more.

#[cfg(test)]
mod model;
mod nodes;
mod registry;
mod room;
#[cfg_attr(shmq_portable_sync, path = "napping.rs")]
mod sleep;
mod stop;
mod thread;
mod waiting;
mod wants;

pub(crate) use registry::Subject;
pub(crate) use room::{Aspect, Awaited};
pub(crate) use waiting::{CannotWait, Tried, Waiting};
pub(crate) use wants::{Available, Want};
