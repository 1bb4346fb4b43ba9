//! `shmq drain`, `close`, `create`, `rm`, `recover`.

use crate::arguments::{Close, Create, Drain, Recover, Rm, Whose};
use crate::bytes::is_stale;
use crate::failure::{self, Failure};
use crate::json;
use crate::words;
use serde_json::json;
use shmq::inspect::{self, Operator, Removal};
use shmq::{CreateError, OpenError, Queue};

/// Attaches to a queue of any type.
fn operator(name: &str, whose: &Whose) -> Result<Operator, Failure> {
    let is_stale = is_stale(name);
    let operator = Operator::open_of(name, &whose.owners()).map_err(|error| Failure::open(name, &error))?;
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
        words::print(&format!("{drained} messages thrown away\n"))?;
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

pub fn rm(arguments: &Rm) -> Result<u8, Failure> {
    let owners = arguments.whose.owners();
    if !arguments.stale {
        for name in &arguments.names {
            inspect::unlink_of(name, &owners).map_err(|error| Failure::open(name, &error))?;
        }
        return Ok(0);
    }
    let all = arguments.names.is_empty();
    let names = if all { inspect::list()?.into_iter().map(|found| found.name).collect() } else { arguments.names.clone() };
    let mut code = 0;
    for name in names {
        match inspect::remove_stale_of(&name, arguments.persisted, &owners) {
            Ok(Removal::Removed) => words::print(&format!("removed {}\n", words::escaped(&name)))?,
            // Others' are none of our business, unless they were asked for by name.
            Ok(_) | Err(OpenError::NotFound { .. } | OpenError::PermissionDenied { .. } | OpenError::ForeignOwner { .. })
                if all => {}
            Ok(kept) => {
                let why = match kept {
                    Removal::InUse => "somebody uses it",
                    Removal::Persisted => "somebody asked to keep it (--persisted removes it)",
                    _ => "it is no segment of this version (`shmq rm` without --stale removes it)",
                };
                words::complain(&format!("{} is left alone: {why}", words::quoted(&name)));
                code = failure::OTHER;
            }
            Err(error) => return Err(Failure::open(&name, &error)),
        }
    }
    Ok(code)
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
        words::print(&format!("{dead} dead processes: {came_back} messages came back, {aborted} loans were aborted{sides}\n"))?;
    }
    Ok(0)
}
