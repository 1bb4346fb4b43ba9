//! Attaching to queues as a guest: a queue that outlived its users is not removed when the command
//! leaves it.

use crate::arguments::AllowedOwners;
use crate::failure::Failure;
use crate::signals;
use crate::stdio;
use crate::text;
use shmq::inspect::{Inspector, Operator, State};
use shmq::{OpenError, Queue};

/// Opens a queue of bytes as it is; its waits end at a signal. If all its users are dead, its name is left for the next one.
pub fn open_bytes(name: &str, allowed: &AllowedOwners) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let settings = allowed.apply_to(Queue::<[u8]>::builder().name(name));
    let queue = settings.open().map_err(|error| Failure::open_bytes(name, &error))?;
    // Its users may die while this command is at work.
    queue.be_guest(is_stale);
    Ok(queue.with_stop(signals::first()))
}

/// Opens a queue of bytes as it is, or creates one that stays; its waits end at a signal. A queue of another type is left
/// alone, stale or not: its messages belong to another program. A stale queue of this user that is
/// closed and drained is created anew, as the start of a program would.
pub fn open_or_create_bytes(name: &str, capacity_bytes: usize, allowed: &AllowedOwners) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let is_drained = is_stale && is_own_and_drained(name);
    let settings = || allowed.apply_to(Queue::<[u8]>::builder().name(name).capacity_bytes(capacity_bytes));
    let there = match settings().open() {
        // Dropped here by its last user, it loses its name.
        Ok(_) if is_drained => None,
        Ok(queue) => Some(queue),
        Err(OpenError::NotFound { .. }) => None,
        Err(error) => return Err(Failure::create(name, &error.into())),
    };
    let leaves_name = is_stale && there.is_some();
    let queue = match there {
        Some(queue) => queue,
        None => settings().persist(true).open_or_create().map_err(|error| Failure::create(name, &error))?,
    };
    queue.be_guest(leaves_name);
    Ok(queue.with_stop(signals::first()))
}

/// Are all users of the queue dead, apart from guests such as this command? Then a process that
/// attaches is the last user, and removes the queue with all messages when it leaves, unless it is
/// a guest that leaves the name.
pub fn is_stale(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    let seen = inspector.estimate();
    let mut alive = seen.participants.iter().filter(|participant| participant.alive).peekable();
    match seen.state {
        State::Stale => true,
        // In use without a live participant: a forked child has it open.
        State::InUse | State::Closed if alive.peek().is_none() => false,
        _ => !seen.persisted && alive.all(|participant| participant.leaves_name),
    }
}

/// Does the queue belong to this user, and is it closed and drained?
fn is_own_and_drained(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    // SAFETY: geteuid has no preconditions and cannot fail.
    let is_own = inspector.about().owner_uid == unsafe { libc::geteuid() };
    let seen = inspector.snapshot();
    is_own && seen.closed && !seen.damaged && seen.messages + seen.on_lease == 0
}

/// Attaches to a queue of any type.
pub fn open_any(name: &str, allowed: &AllowedOwners) -> Result<Operator, Failure> {
    let is_stale = is_stale(name);
    let operator = Operator::open_of(name, &allowed.owners()).map_err(|error| Failure::open(name, &error))?;
    // A stale queue would go when this process, its last user, leaves.
    operator.be_guest(is_stale);
    if is_stale {
        stdio::complain(&format!("all users of {} are dead: it stays for the next, or until `shmq rm`", text::quoted(name)));
    }
    Ok(operator)
}
