//! Opening a queue or a topic that is to be bridged.

use crate::failure::Failure;
use shmq::inspect::Inspector;
use shmq::{DynQueue, DynTopic};

/// Opens a queue that is persisted.
///
/// # Errors
/// [`Failure::Queue`] if there is none, if it is something else, or if it is not persisted: then a
/// clean exit of its last participant would end it, with all that is in it.
pub fn open(name: &str) -> Result<DynQueue, Failure> {
    let queue = DynQueue::open(name).map_err(|error| Failure::open(name, &error))?;
    check_persisted(name)?;
    Ok(queue)
}

/// Opens a topic.
///
/// # Errors
/// [`Failure::Queue`] if there is none, or if it is something else.
pub fn open_topic(name: &str) -> Result<DynTopic, Failure> {
    DynTopic::open(name).map_err(|error| Failure::open(name, &error))
}

fn check_persisted(name: &str) -> Result<(), Failure> {
    let inspector = Inspector::open(name).map_err(|error| Failure::open(name, &error))?;
    if inspector.snapshot().persisted {
        return Ok(());
    }
    let why = "it is not persisted: it would end, with its messages, when its last user leaves; create it with persist(true), or call persist() once";
    Err(Failure::Queue { queue: name.to_owned(), why: why.to_owned() })
}
