//! How a process is made: what it inherits, and whether it outlives the program.

use super::SpawnError;
#[cfg(feature = "object")]
use crate::os::begin_helper;
use crate::os::{Blocked, begin_process, closes_on_exec, put_null_over_all_but};
use crate::raw::KeptHandle;
use crate::shm::segment::descriptor_numbers;
use std::os::fd::RawFd;

/// How a process is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpawnOptions {
    /// The kernel kills it when the program ends, or the fork server that forked it.
    pub dies_with_parent: bool,
    /// One of the crate's own: it starts with all signals blocked and ignored, for
    /// [`give_back`](crate::os::give_back) in its children, and is not listed as a child.
    pub is_helper: bool,
    /// Handlers of TERM, HUP, QUIT and INT do not become the default.
    pub keep_handlers: bool,
    /// `/dev/null` is put over all descriptors but the standard ones, those of segments, and these.
    pub keep_fds: Option<Vec<RawFd>>,
    /// Handles that the forked child counts before the parent goes on.
    pub kept: Vec<KeptHandle>,
}

impl SpawnOptions {
    pub fn daemon() -> SpawnOptions {
        SpawnOptions { dies_with_parent: true, ..SpawnOptions::default() }
    }

    /// A process of the crate's own, which ends by itself when the program ends.
    #[cfg(feature = "object")]
    pub fn helper(keep_fds: Vec<RawFd>) -> SpawnOptions {
        SpawnOptions { is_helper: true, keep_fds: Some(keep_fds), ..SpawnOptions::default() }
    }

    /// Checks that the descriptors to keep are open.
    pub fn check(&self) -> Result<(), SpawnError> {
        for &number in self.keep_fds.iter().flatten() {
            closes_on_exec(number).map_err(|source| SpawnError::Os { call: "a descriptor to keep", source })?;
        }
        Ok(())
    }

    /// In the forked child.
    pub fn apply(&self, blocked: Blocked) {
        if let Some(kept) = &self.keep_fds {
            drop_descriptors_but(kept);
        }
        #[cfg(feature = "object")]
        if self.is_helper {
            return begin_helper(blocked);
        }
        begin_process(blocked, self.keep_handlers);
    }
}

/// Puts `/dev/null` over the descriptors that this process inherited, but for these and those of
/// segments.
pub(super) fn drop_descriptors_but(kept: &[RawFd]) {
    let mut all = descriptor_numbers();
    all.extend(kept);
    put_null_over_all_but(&all);
}
