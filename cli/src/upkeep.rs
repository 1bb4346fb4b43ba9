//! `shmq drain`, `close`, `create`, `rm`, `recover`.

use crate::arguments::{Close, Create, Drain, Recover, Rm, Whose};
use crate::bytes::is_stale;
use crate::failure::{self, Failure};
use crate::json;
use crate::words;
use serde_json::json;
use shmq::inspect::{self, Operator, Owners, Removal};
use shmq::{CreateError, OpenError, Queue};

/// Attaches to a queue of any type.
fn operator(name: &str, whose: &Whose) -> Result<Operator, Failure> {
    let is_stale = is_stale(name);
    let operator = Operator::open_of(name, &whose.owners()).map_err(|error| Failure::open(name, &error))?;
    operator.be_guest();
    if is_stale {
        // This process, its last user, would otherwise take it along.
        operator.leave_name();
        words::complain(&format!("all users of {} are dead: it stays for the next, or until `shmq rm`", words::quoted(name)));
    }
    Ok(operator)
}

pub fn drain(arguments: &Drain) -> Result<u8, Failure> {
    let drained = operator(&arguments.name, &arguments.whose)?.drain(arguments.number.unwrap_or(u64::MAX))?;
    if arguments.json {
        words::print(&json::text(&json!({ "drained": drained })))?;
    } else {
        words::print(&format!("{} thrown away\n", words::messages(drained)))?;
    }
    Ok(0)
}

pub fn close(arguments: &Close) -> Result<u8, Failure> {
    operator(&arguments.name, &arguments.whose)?.close();
    Ok(0)
}

pub fn create(arguments: &Create) -> Result<u8, Failure> {
    let mut builder = Queue::<[u8]>::builder()
        .name(&arguments.name)
        .capacity_bytes(arguments.capacity_bytes)
        .mode(arguments.mode)
        .persist(true);
    if let Some(capacity) = arguments.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(schema) = &arguments.schema {
        builder = builder.schema(schema);
    }
    match arguments.whose.apply_to(builder).create() {
        Ok(_) => Ok(0),
        Err(CreateError::AlreadyExists { in_use, .. }) => {
            let why = if in_use { "somebody uses it" } else { "it is kept; `shmq rm` removes it" };
            let name = words::quoted(&arguments.name);
            Err(Failure::new(failure::OTHER, format!("there is a queue {name} already, and {why}")))
        }
        Err(error) => Err(Failure::create(&arguments.name, &error)),
    }
}

/// Removes each queue that it can: what stands in the way of one is told, and the others are removed all the same.
pub fn rm(arguments: &Rm) -> Result<u8, Failure> {
    let owners = arguments.whose.owners();
    let all = arguments.names.is_empty();
    let names = if all { names_in_use()? } else { arguments.names.clone() };
    let mut removed = String::new();
    let mut code = 0;
    for name in names {
        match rm_one(&name, arguments, &owners) {
            Ok(true) if arguments.stale => removed += &format!("removed {}\n", words::escaped(&name)),
            Ok(_) => {}
            Err(failure) => {
                failure.tell();
                code = if code == 0 { failure.code } else { code };
            }
        }
    }
    // What cannot be told is done all the same.
    words::print(&removed)?;
    Ok(code)
}

/// `false`: left alone, and nobody asked for it by name.
fn rm_one(name: &str, arguments: &Rm, owners: &Owners) -> Result<bool, Failure> {
    if !arguments.stale {
        inspect::unlink_of(name, owners).map_err(|error| Failure::open(name, &error))?;
        return Ok(true);
    }
    let why = match inspect::remove_stale_of(name, arguments.persisted, owners) {
        Ok(Removal::Removed) => return Ok(true),
        // Others' are none of our business, unless they were asked for by name.
        Ok(_) | Err(OpenError::NotFound { .. } | OpenError::PermissionDenied { .. } | OpenError::ForeignOwner { .. })
            if arguments.names.is_empty() =>
        {
            return Ok(false);
        }
        Ok(Removal::InUse) => "somebody uses it",
        Ok(Removal::Persisted) => "somebody asked to keep it (--persisted removes it)",
        Ok(_) => "it is no segment of this version (`shmq rm` without --stale removes it)",
        Err(error) => return Err(Failure::open(name, &error)),
    };
    Err(Failure::new(failure::OTHER, format!("{} is left alone: {why}", words::quoted(name))))
}

fn names_in_use() -> Result<Vec<String>, Failure> {
    let found = inspect::list().map_err(|error| Failure::unlisted(&error))?;
    Ok(found.into_iter().map(|found| found.name).collect())
}

pub fn recover(arguments: &Recover) -> Result<u8, Failure> {
    // Attaching may have repaired already what a dead one left in the entry that is taken: counted by the difference.
    let before = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.look();
    let operator = operator(&arguments.name, &arguments.whose)?;
    let report = operator.recover();
    let after = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.look();
    let came_back = after.came_back.saturating_sub(before.came_back).max(report.redelivered);
    let aborted = after.stats.aborted.saturating_sub(before.stats.aborted).max(report.aborted);
    let dead = before.participants.iter().filter(|participant| !participant.alive).count();
    if arguments.json {
        let value = json!({
            "dead_participants": dead,
            "redelivered": came_back,
            "aborted": aborted,
            "sides": report.sides_repaired,
        });
        words::print(&json::text(&value))?;
    } else {
        let sides = match report.sides_repaired {
            2 => "",
            _ => "; a side that somebody holds could not be looked at",
        };
        words::print(&format!(
            "{}: {} came back, {} aborted{sides}\n",
            words::plural(dead as u64, "dead process", "dead processes"),
            words::messages(came_back),
            words::plural(aborted, "loan was", "loans were"),
        ))?;
    }
    Ok(0)
}
