//! The queue: what it must be to be carried.

use crate::failure::Failure;
use crate::queue;
use crate::settings::OutSettings;
use shmq::inspect::Inspector;
use shmq::{DynConsumer, DynQueue, GetError};

/// Opens the queue, and finds that it can be carried.
///
/// # Errors
/// [`Failure::Queue`].
pub(super) fn open(settings: &OutSettings) -> Result<DynQueue, Failure> {
    let name = &settings.queue;
    let refused = |why: &str| Err(Failure::Queue { queue: name.clone(), why: why.to_owned() });
    let queue = queue::open(name)?;
    let inspector = Inspector::open(name).map_err(|error| Failure::open(name, &error))?;
    if inspector.about().max_deliveries != 0 {
        return refused(
            "it has max_deliveries, which the bridge's own deaths would use up: messages would be given up that no consumer has seen. \
             Create it without; the consumers at the other end may have such a limit",
        );
    }
    Ok(queue)
}

/// Takes the get side, for the bridge's life.
///
/// # Errors
/// [`Failure::Held`] while another consumer has it.
pub(super) fn consumer(queue: &DynQueue, settings: &OutSettings) -> Result<DynConsumer, Failure> {
    let named = || settings.queue.clone();
    queue.consumer().map_err(|error| match error {
        GetError::Held { pid } => {
            let why = format!(
                "process {pid} holds its get side: another bridge, or a Consumer. While a queue is carried, nothing else gets from it"
            );
            Failure::Held { queue: named(), why }
        }
        error => Failure::Queue { queue: named(), why: error.to_string() },
    })
}
