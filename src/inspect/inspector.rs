//! A segment, mapped read-only.

use super::about::{About, Kind};
use crate::error::OpenError;
use crate::raw::Mapped;
use crate::ring::Ring;
use crate::shm::segment::View;
use std::fmt;
use std::ptr::NonNull;
use std::time::{Duration, UNIX_EPOCH};

/// A segment, mapped read-only: see the [module](super).
///
/// The mapping stays valid when the segment loses its name or is replaced. If a process truncates
/// the file meanwhile, reading it ends the inspecting process with `SIGBUS`, as it does the users
/// of the segment.
pub struct Inspector {
    pub(super) ring: Ring<Mapped>,
    pub(super) view: View,
}

impl Inspector {
    /// Finds the segment of that name.
    ///
    /// # Errors
    /// [`OpenError::NotFound`]; [`OpenError::PermissionDenied`] for another user's;
    /// [`OpenError::Corrupted`] for a file that is no segment; [`OpenError::Mismatch`] for a
    /// segment of another version, lock backend or pointer width.
    pub fn open(name: impl AsRef<str>) -> Result<Inspector, OpenError> {
        Ok(Inspector::over(View::open(name.as_ref())?))
    }

    pub(super) fn over(view: View) -> Inspector {
        let geometry = view.geometry();
        let memory = Mapped::new(NonNull::from(view.head()), view.cells(), &geometry);
        Inspector { ring: Ring { memory, geometry }, view }
    }

    /// The name by which it was found.
    pub fn name(&self) -> &str {
        self.view.name()
    }

    /// Does the name still lead to this segment?
    pub fn has_name(&self) -> bool {
        self.view.has_name()
    }

    pub(super) fn kind(&self) -> Kind {
        self.view.info().kind
    }

    /// What never changes.
    pub fn about(&self) -> About {
        let (info, geometry) = (self.view.info(), self.view.geometry());
        About {
            kind: self.kind(),
            type_name: info.type_name.clone(),
            schema: info.schema.clone(),
            structure: info.structure.as_ref().map(|structure| structure.text().to_owned()),
            predecessor: self.view.predecessor(),
            unit_bytes: geometry.message_bytes,
            unit_align: geometry.message_align,
            capacity: (geometry.capacity != u64::MAX).then_some(geometry.capacity),
            capacity_bytes: geometry.ring_bytes(),
            max_message_bytes: geometry.max_message_bytes(),
            max_spilled_bytes: info.max_spilled_bytes,
            segment_bytes: self.view.bytes(),
            max_participants: info.max_participants,
            max_deliveries: info.max_deliveries,
            closes_when_unused: info.close_when_unused,
            dead_letters: info.dead_letters.clone(),
            max_subscribers: info.topic.map_or(0, |shape| shape.max_subscribers),
            history: info.topic.map_or(0, |shape| shape.history),
            max_lag_before_evict: info.topic.map_or(0, |shape| shape.max_lag),
            created: UNIX_EPOCH + Duration::from_secs(self.view.created_unix_s().min(u32::MAX as u64)),
            owner_uid: self.view.owner_uid(),
            mode: self.view.mode(),
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inspector").field("name", &self.name()).field("about", &self.about()).finish_non_exhaustive()
    }
}
