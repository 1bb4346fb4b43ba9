//! `shmq drain`: takes the messages of a queue and throws them away.

use crate::arguments::Drain;
use crate::attach;
use crate::failure::{self, Failure};
use crate::json;
use crate::stdio;
use crate::text;
use crate::units;
use serde_json::json;
use shmq::inspect::Inspector;

pub fn run(arguments: &Drain) -> Result<u8, Failure> {
    let name = &arguments.name;
    if Inspector::open(name).is_ok_and(|inspector| inspector.about().kind.is_topic()) {
        let why = "there is nothing to drain: each subscriber reads for itself, and publishers overwrite what is old. `shmq evict` ends \
                   their wait for a slow subscriber";
        return Err(Failure::new(failure::UNUSABLE, format!("topic {}: {why}", text::quoted(name))));
    }
    let drained = attach::open_any(name, &arguments.allowed)?.drain(arguments.number.unwrap_or(u64::MAX))?;
    if arguments.json {
        stdio::print(&json::text(&json!({ "drained": drained })))?;
    } else {
        stdio::print(&format!("{} thrown away\n", units::messages(drained)))?;
    }
    Ok(0)
}
