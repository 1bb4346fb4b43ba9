//! What the segment of a primitive is made with.

use crate::shm::segment::Directory;

/// Processes that may be attached to one primitive at a time, if not set otherwise.
const DEFAULT_PARTICIPANTS: usize = 250;

/// What the segment is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrimitiveSettings {
    pub mode: Option<u32>,
    pub max_participants: Option<usize>,
    pub persist: Option<bool>,
    pub directory: Option<Directory>,
    pub full_fence: bool,
    /// Of a semaphore.
    pub bounded: Option<bool>,
}

impl PrimitiveSettings {
    pub fn participants(&self) -> usize {
        self.max_participants.unwrap_or(DEFAULT_PARTICIPANTS)
    }
}
