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

/// Does the name still lead to the queue that is bridged? One that is removed goes on for those that
/// have it open: a bridge would fill what no worker can open any more, or empty what no producer
/// fills.
#[derive(Debug)]
pub struct Named {
    inspector: Inspector,
}

impl Named {
    /// Of the queue of that name: made before the queue is opened. If the name changes hands in
    /// between, the next [`check`](Self::check) says so.
    ///
    /// # Errors
    /// [`Failure::Queue`] if there is none.
    pub fn of(name: &str) -> Result<Named, Failure> {
        Ok(Named { inspector: Inspector::open(name).map_err(|error| Failure::open(name, &error))? })
    }

    /// Checks it.
    ///
    /// # Errors
    /// [`Failure::Queue`] once the queue has lost its name.
    pub fn check(&self) -> Result<(), Failure> {
        if self.inspector.has_name() {
            return Ok(());
        }
        let why = "it was removed while it was bridged, and its name leads to another queue by now, or to none. What was in it is lost with \
                   it; start the bridge again to go on with the new one";
        Err(Failure::Queue { queue: self.inspector.name().to_owned(), why: why.to_owned() })
    }
}

fn check_persisted(name: &str) -> Result<(), Failure> {
    let inspector = Inspector::open(name).map_err(|error| Failure::open(name, &error))?;
    if inspector.snapshot().persisted {
        return Ok(());
    }
    let why = "it is not persisted: it would end, with its messages, when its last user leaves; create it with persist(true), or call persist() once";
    Err(Failure::Queue { queue: name.to_owned(), why: why.to_owned() })
}
