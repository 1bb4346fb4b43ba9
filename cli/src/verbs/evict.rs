//! `shmq evict`: publishers of a topic wait for a subscriber no more.

use crate::arguments::Evict;
use crate::attach;
use crate::failure::{self, Failure};
use crate::json;
use crate::stdio;
use crate::text;
use serde_json::json;
use shmq::SubscriberKind;
use shmq::inspect::Inspector;

pub fn run(arguments: &Evict) -> Result<u8, Failure> {
    let (name, asked) = (&arguments.name, &arguments.subscriber);
    let quoted = text::quoted(name);
    let inspector = Inspector::open(name).map_err(|error| Failure::open(name, &error))?;
    if !inspector.about().kind.is_topic() {
        let text = format!("{quoted} is no topic: only a topic has subscribers");
        return Err(Failure::new(failure::UNUSABLE, text));
    }
    let operator = attach::open_any(name, &arguments.allowed)?;
    let found = operator.subscribers().into_iter().find(|one| one.id.to_string() == *asked);
    let Some(found) = found else {
        let text = format!("topic {quoted}: there is no subscriber {} (`shmq stat` lists them)", text::escaped(asked));
        return Err(Failure::new(failure::NOT_FOUND, text));
    };
    // It may have left, or been evicted, since it was found.
    let evicted = found.kind == SubscriberKind::Gating && operator.evict(found.id)?;
    if arguments.json {
        stdio::print(&json::text(
            &json!({ "evicted": evicted, "pid": found.pid, "lag": found.lag, "reads_in_place": found.has_sample }),
        ))?;
        return Ok(0);
    }
    let subscriber = format!("subscriber {} of process {}", found.id, found.pid);
    stdio::print(&match (evicted, found.has_sample) {
        (false, _) => format!("{subscriber} does not gate: publishers do not wait for it\n"),
        (true, false) => format!("{subscriber} was evicted: publishers wait for it no more\n"),
        (true, true) => {
            format!("{subscriber} was evicted: publishers wait for it until it drops the message that it reads in place\n")
        }
    })?;
    Ok(0)
}
