//! `shmq recover`: frees what dead processes hold.

use crate::arguments::Recover;
use crate::attach;
use crate::failure::Failure;
use crate::json;
use crate::stdio;
use crate::units;
use serde_json::json;
use shmq::inspect;

pub fn run(arguments: &Recover) -> Result<u8, Failure> {
    // Attaching may repair what a dead process left in the entry that it takes, so the numbers are
    // differences.
    let before = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.snapshot();
    let operator = attach::open_any(&arguments.name, &arguments.allowed)?;
    let report = operator.recover();
    let after = inspect::Inspector::open(&arguments.name).map_err(|error| Failure::open(&arguments.name, &error))?.snapshot();
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
        stdio::print(&json::text(&value))?;
    } else {
        let sides = match report.sides_repaired {
            2 => "",
            _ => "; a side that a process holds could not be checked",
        };
        stdio::print(&format!(
            "{}: {} came back, {} aborted{sides}\n",
            units::plural(dead as u64, "dead process", "dead processes"),
            units::messages(came_back),
            units::plural(aborted, "loan was", "loans were"),
        ))?;
    }
    Ok(0)
}
