//! The reactor of this process: its rooms and threads, made at the first task that waits.
//!
//! ```text
//!   none --first Pending--> of incarnation n --fork--> parent: as before
//!                                                  \-> child: another incarnation, so none: the
//!                                                      inherited one is leaked, in whatever state
//! ```
//!
//! Invariants:
//! 1. A reactor is used only in the incarnation in which it was made. Its locks may have been held
//!    by other threads at a fork: a child touches nothing of it.
//! 2. Reactors and their threads are never freed: a task may still know a room.
//! 3. The lock of the rooms is taken before that of a room.

use super::nodes::Key;
use super::room::{Aspect, Awaited, Room};
use super::thread::Shard;
use super::wants::Want;
use crate::os::Incarnation;
use crate::wait::Stop;
use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What is awaited, by the address of its condition variable's words, or of a subscriber's line in
/// the same mapping, and which aspect of it. A reactor that stays registered keeps them mapped:
/// until it has left, no others have the address.
type RoomKey = (usize, Aspect);

pub(super) struct Reactor {
    incarnation: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rooms: HashMap<RoomKey, Arc<Room>>,
    shards: Vec<&'static Shard>,
}

static CURRENT: AtomicPtr<Reactor> = AtomicPtr::new(std::ptr::null_mut());

/// The incarnation of this process, for futures to remember.
pub(super) fn incarnation() -> io::Result<u32> {
    Ok(Incarnation::word()?.current())
}

impl Reactor {
    /// The reactor of this process, made now if there is none (Invariant 1).
    fn of_this_process() -> io::Result<&'static Reactor> {
        let now = incarnation()?;
        let known = CURRENT.load(Acquire);
        // SAFETY: null, or a reactor that is never freed (Invariant 2).
        if let Some(reactor) = unsafe { known.as_ref() } {
            if reactor.incarnation == now {
                return Ok(reactor);
            }
        }
        let made = Box::into_raw(Box::new(Reactor { incarnation: now, state: Mutex::default() }));
        // Release pairs with the Acquire above: the reactor's fields come with its address.
        match CURRENT.compare_exchange(known, made, Release, Acquire) {
            // SAFETY: just made, and never freed.
            Ok(_) => Ok(unsafe { &*made }),
            Err(_) => {
                // SAFETY: made above, and seen by no other thread.
                drop(unsafe { Box::from_raw(made) });
                Reactor::of_this_process()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a task wait in the room of what it awaits, which is made if there is none.
    pub fn register(awaited: &Subject<'_>, waker: Waker) -> io::Result<(Arc<Room>, Key)> {
        let reactor = Reactor::of_this_process()?;
        let at = (awaited.address, awaited.aspect);
        let mut state = reactor.lock();
        let room = match state.rooms.get(&at) {
            Some(room) => Arc::clone(room),
            None => {
                let shard = state.shards.iter().copied().find(|shard| shard.has_place());
                let shard = match shard {
                    Some(shard) => shard,
                    None => {
                        let shard = Shard::start(retire)?;
                        state.shards.push(shard);
                        shard
                    }
                };
                let room = Arc::new(Room::new(shard, awaited.aspect));
                shard.add(Arc::clone(&room));
                state.rooms.insert(at, Arc::clone(&room));
                room
            }
        };
        // Under the lock of the rooms: a room is retired only while it is empty.
        let key = room.register(None, waker, awaited.want.get(), awaited.share);
        drop(state);
        Ok((room, key))
    }
}

/// What a task awaits.
pub(crate) struct Subject<'a> {
    /// Of the condition variable's words, or of what else stands for it.
    pub address: usize,
    pub aspect: Aspect,
    /// Read when the task registers, after a try: a try may draw a ticket.
    pub want: &'a Cell<Want>,
    /// Checks with a pause between, before it waits.
    pub spins: u32,
    /// Ends the wait, if the handle has one.
    pub stop: Option<&'a Stop>,
    /// Another reference to it.
    pub share: &'a dyn Fn() -> Arc<dyn Awaited>,
}

/// Forgets a room that has been empty for a while. Called by the thread that watches it.
fn retire(room: &Arc<Room>) -> bool {
    let Ok(reactor) = Reactor::of_this_process() else { return false };
    let mut state = reactor.lock();
    if !room.lock().nodes.is_empty() {
        return false;
    }
    state.rooms.retain(|_, known| !Arc::ptr_eq(known, room));
    true
}
