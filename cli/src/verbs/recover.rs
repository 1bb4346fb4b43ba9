//! `shmq recover`: frees what dead processes hold.

use crate::arguments::Recover;
use crate::attach;
use crate::failure::Failure;
use crate::json;
use crate::stdio;
use crate::units;
use serde_json::json;
use shmq::inspect::{self, Snapshot};

pub fn run(arguments: &Recover) -> Result<u8, Failure> {
    // Attaching may repair what a dead process left in the entry that it takes, so the numbers are
    // differences.
    let before = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.snapshot();
    let operator = attach::open_any(&arguments.name, &arguments.allowed)?;
    let report = operator.recover();
    let after = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.snapshot();
    let came_back = after.came_back.saturating_sub(before.came_back).max(report.redelivered);
    let aborted = after.stats.aborted.saturating_sub(before.stats.aborted).max(report.aborted);
    let dead_subscribers =
        |seen: &Snapshot| seen.topic.iter().flat_map(|topic| &topic.subscribers).filter(|one| !one.is_alive).count() as u64;
    let subscribers = dead_subscribers(&before).saturating_sub(dead_subscribers(&after)).max(report.subscribers);
    let dead = before.participants.iter().filter(|participant| !participant.alive).count();
    if arguments.json {
        let value = json!({
            "dead_participants": dead,
            "redelivered": came_back,
            "aborted": aborted,
            "sides": report.sides_repaired,
            "subscribers": subscribers,
        });
        stdio::print(&json::text(&value))?;
    } else {
        let all_sides = if after.topic.is_some() { 1 } else { 2 };
        let sides = match report.sides_repaired {
            checked if checked == all_sides => "",
            _ => "; a side that a process holds could not be checked",
        };
        let freed = match after.topic {
            Some(_) => format!("{} freed", units::plural(subscribers, "subscriber was", "subscribers were")),
            None => format!("{} came back", units::messages(came_back)),
        };
        stdio::print(&format!(
            "{}: {freed}, {} aborted{sides}\n",
            units::plural(dead as u64, "dead process", "dead processes"),
            units::plural(aborted, "loan was", "loans were"),
        ))?;
    }
    Ok(0)
}
