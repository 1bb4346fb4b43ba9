//! `shmq rm`: removes queues.

use crate::arguments::Rm;
use crate::failure::{self, Failure};
use crate::stdio;
use crate::text;
use shmq::OpenError;
use shmq::inspect::{self, Owners, Removal};

/// Removes each queue that it can; reports the others and goes on.
pub fn run(arguments: &Rm) -> Result<u8, Failure> {
    let owners = arguments.allowed.owners();
    let all = arguments.names.is_empty();
    let names = if all { names_in_use()? } else { arguments.names.clone() };
    let mut removed = String::new();
    let mut code = 0;
    for name in names {
        match rm_one(&name, arguments, &owners) {
            Ok(true) if arguments.stale => removed += &format!("removed {}\n", text::escaped(&name)),
            Ok(_) => {}
            Err(failure) => {
                failure.report();
                code = if code == 0 { failure.code } else { code };
            }
        }
    }
    if all && arguments.stale {
        match inspect::remove_remains().map_err(|error| Failure::unlisted(&error))? {
            0 => {}
            queues => removed += &format!("removed what was left of {queues} without a name\n"),
        }
    }
    // The queues are removed even if this cannot be written.
    stdio::print(&removed)?;
    Ok(code)
}

/// `false`: left alone, and not asked for by name.
fn rm_one(name: &str, arguments: &Rm, owners: &Owners) -> Result<bool, Failure> {
    if !arguments.stale {
        inspect::unlink_of(name, owners).map_err(|error| Failure::open(name, &error))?;
        return Ok(true);
    }
    let why = match inspect::remove_stale_of(name, arguments.persisted, owners) {
        Ok(Removal::Removed) => return Ok(true),
        // Other users' queues are skipped, unless they were asked for by name.
        Ok(_) | Err(OpenError::NotFound { .. } | OpenError::PermissionDenied { .. } | OpenError::ForeignOwner { .. })
            if arguments.names.is_empty() =>
        {
            return Ok(false);
        }
        Ok(Removal::InUse) => "a process uses it",
        Ok(Removal::Persisted) => "it is persistent (--persisted removes it)",
        Ok(_) => "it is no segment of this version (`shmq rm` without --stale removes it)",
        Err(error) => return Err(Failure::open(name, &error)),
    };
    Err(Failure::new(failure::OTHER, format!("{} is left alone: {why}", text::quoted(name))))
}

fn names_in_use() -> Result<Vec<String>, Failure> {
    let found = inspect::list().map_err(|error| Failure::unlisted(&error))?;
    Ok(found.into_iter().map(|found| found.name).collect())
}
