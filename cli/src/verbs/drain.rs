//! `shmq drain`: takes the messages of a queue and throws them away.

use crate::arguments::Drain;
use crate::attach;
use crate::failure::Failure;
use crate::json;
use crate::stdio;
use crate::units;
use serde_json::json;

pub fn run(arguments: &Drain) -> Result<u8, Failure> {
    let drained = attach::open_any(&arguments.name, &arguments.allowed)?.drain(arguments.number.unwrap_or(u64::MAX))?;
    if arguments.json {
        stdio::print(&json::text(&json!({ "drained": drained })))?;
    } else {
        stdio::print(&format!("{} thrown away\n", units::messages(drained)))?;
    }
    Ok(0)
}
