//! The queues that a verb is asked about, and what was read of each.

use crate::failure::{self, Failure};
use crate::terms;
use shmq::OpenError;
use shmq::inspect::{self, About, Found, Inspector, Snapshot};

/// A name, and the segment that it leads to or the reason why that cannot be read.
pub struct Row {
    pub name: String,
    pub owner_uid: u32,
    pub seen: Result<(About, Snapshot), Failure>,
    /// The segment has lost its name: it was found through its users.
    pub nameless: bool,
}

impl Row {
    fn of(found: Found, nameless: bool) -> Row {
        let Found { name, owner_uid, inspector, .. } = found;
        let seen = match &inspector {
            Ok(inspector) => Ok((inspector.about(), inspector.snapshot())),
            Err(error) => Err(Failure::unreadable(error)),
        };
        Row { name, owner_uid, seen, nameless }
    }

    pub fn state_word(&self) -> &'static str {
        match &self.seen {
            Ok((_, seen)) if seen.damaged => "damaged",
            Ok((_, seen)) => terms::state_word(seen.state),
            Err(failure) if failure.code == failure::DENIED => "denied",
            Err(_) => "unusable",
        }
    }
}

/// The queues that were found.
pub struct Rows {
    pub rows: Vec<Row>,
    /// Exit code for the first name that was not found; 0 if all were.
    pub code: u8,
}

/// The queues of these names, or all; also those that have lost their name. A name that is not
/// found is reported, and the others are read all the same.
pub fn find_and_report(names: &[String]) -> Result<Rows, Failure> {
    let (rows, missing) = find(names)?;
    let mut code = 0;
    for failure in missing {
        failure.report();
        code = if code == 0 { failure.code } else { code };
    }
    Ok(Rows { rows, code })
}

/// The rows, and a failure for each name that was not found.
pub fn find(names: &[String]) -> Result<(Vec<Row>, Vec<Failure>), Failure> {
    let found = inspect::list().map_err(|error| Failure::unlisted(&error))?;
    // Without access to /proc, segments that lost their name are left out.
    let nameless = inspect::nameless().unwrap_or_default();
    let is_missing = |name: &&String| !found.iter().chain(&nameless).any(|found| found.name == **name);
    let missing = names.iter().filter(is_missing).map(|name| match Inspector::open(name) {
        Err(error) => Failure::open(name, &error),
        // It was created between the list and this open.
        Ok(_) => Failure::open(name, &OpenError::NotFound { what: shmq::Subject::default() }),
    });
    let missing = missing.collect();
    let wanted = |found: &Found| names.is_empty() || names.contains(&found.name);
    let named = found.into_iter().filter(wanted).map(|found| Row::of(found, false));
    Ok((named.chain(nameless.into_iter().filter(wanted).map(|found| Row::of(found, true))).collect(), missing))
}
