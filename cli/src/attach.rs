//! Attaching to queues as a guest, who takes no queue along when it leaves.

use crate::arguments::AllowedOwners;
use crate::failure::Failure;
use crate::signals;
use crate::stdio;
use crate::text;
use shmq::inspect::{Inspector, Operator, State};
use shmq::{OpenError, Queue};

/// Opens the queue as it is. One whose users are all dead is left for the next.
pub fn open_bytes(name: &str, allowed: &AllowedOwners) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let settings = allowed.apply_to(Queue::<[u8]>::builder().name(name));
    let queue = settings.open().map_err(|error| Failure::open_bytes(name, &error))?;
    // Its users may die while this command is at work.
    queue.be_guest();
    if is_stale {
        queue.leave_name();
    }
    queue.interrupt_by(&signals::INTERRUPT);
    Ok(queue)
}

/// Opens the queue as it is, or creates it so that it stays. A queue of another type is left alone,
/// dead or not: its messages are not ours to throw away. A dead one of this user's that is closed
/// and drained is created anew, as a program's own start would.
pub fn open_or_create_bytes(name: &str, capacity_bytes: usize, allowed: &AllowedOwners) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let is_drained = is_stale && is_own_and_drained(name);
    let settings = || allowed.apply_to(Queue::<[u8]>::builder().name(name).capacity_bytes(capacity_bytes));
    let there = match settings().open() {
        // Its name goes with us, its last user.
        Ok(_) if is_drained => None,
        Ok(queue) => Some(queue),
        Err(OpenError::NotFound { .. }) => None,
        Err(error) => return Err(Failure::create(name, &error.into())),
    };
    let queue = match there {
        Some(queue) => {
            if is_stale {
                queue.leave_name();
            }
            queue
        }
        None => settings().persist(true).open_or_create().map_err(|error| Failure::create(name, &error))?,
    };
    queue.be_guest();
    queue.interrupt_by(&signals::INTERRUPT);
    Ok(queue)
}

/// Did all users of the queue die, but for such as this command? Then whoever attaches would be its
/// last user, and take the name and all messages along when it leaves, unless it says that it
/// leaves the name.
pub fn is_stale(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    let seen = inspector.look_briefly();
    let mut alive = seen.participants.iter().filter(|participant| participant.alive).peekable();
    match seen.state {
        State::Stale => true,
        // Without one that lives, a forked child keeps it.
        State::InUse | State::Closed if alive.peek().is_none() => false,
        _ => !seen.persisted && alive.all(|participant| participant.leaves_name),
    }
}

/// Is it this user's, closed and drained?
fn is_own_and_drained(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    // SAFETY: geteuid has no preconditions and cannot fail.
    let is_own = inspector.about().owner_uid == unsafe { libc::geteuid() };
    let seen = inspector.look();
    is_own && seen.closed && !seen.damaged && seen.messages + seen.on_lease == 0
}

/// Attaches to a queue of any type.
pub fn open_any(name: &str, allowed: &AllowedOwners) -> Result<Operator, Failure> {
    let is_stale = is_stale(name);
    let operator = Operator::open_of(name, &allowed.owners()).map_err(|error| Failure::open(name, &error))?;
    operator.be_guest();
    if is_stale {
        // This process, its last user, would otherwise take it along.
        operator.leave_name();
        stdio::complain(&format!("all users of {} are dead: it stays for the next, or until `shmq rm`", text::quoted(name)));
    }
    Ok(operator)
}
