//! [`Keep`]: handles that a child is to count before it uses them.

use super::sealed::Sealed;
use super::{Queue, Receiver, Sender};
use crate::raw::KeptHandle;

/// A handle that [`ProcessBuilder::keep`](crate::ProcessBuilder::keep) can name: of a queue, plain
/// or of objects, or a sender or receiver of one. Sealed.
///
/// ```
/// use shmq::{Keep, Process, ProcessBuilder, Queue};
///
/// fn worker(handles: &[&dyn Keep]) -> ProcessBuilder {
///     handles.iter().fold(Process::builder(), |builder, handle| builder.keep(*handle))
/// }
///
/// let queue = Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
/// let sender = queue.sender();
/// let child = worker(&[&sender]).spawn(move || sender.put(&1))?;
/// assert_eq!(queue.get()?, 1);
/// # child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Keep: Sealed {
    #[doc(hidden)]
    fn kept(&self) -> KeptHandle;
}

impl<T: ?Sized> Sealed for Sender<T> {}

impl<T: ?Sized> Keep for Queue<T> {
    fn kept(&self) -> KeptHandle {
        self.raw.kept()
    }
}

impl<T: ?Sized> Keep for Sender<T> {
    fn kept(&self) -> KeptHandle {
        self.raw.kept()
    }
}

impl<T: ?Sized> Keep for Receiver<T> {
    fn kept(&self) -> KeptHandle {
        self.raw.kept()
    }
}
