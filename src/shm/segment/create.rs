//! Creating a segment: it is built under a temporary name and published when complete.

use super::attached::Segment;
use super::building::{Building, kept_changing};
use super::claim::{self, Claim, Occupant};
use super::deferred::{Due, retry_deferred};
use super::ended;
use super::names::{self, Place, place_of};
use super::owners::Owners;
use super::predecessor::Predecessor;
use super::refusal::{About, check_to_create};
use super::retry::Retry;
use super::spec::Spec;
use super::spilled::clean_up_claimed;
use super::stale::{self, Scope};
use crate::error::{CreateError, Subject};
use crate::shm::layout::segment_state;

impl Segment {
    /// Creates a segment of that name, unless a live one or a persisted dead one has it. Returns it
    /// with the entry whose liveness lock this process holds. `init` may run several times, each
    /// time on a new segment full of zeros.
    pub fn create(name: &str, spec: &Spec, init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        let place = place_of(&spec.directory, name).map_err(|(name, why)| CreateError::BadName { name, why })?;
        check_to_create(&place)
            .and_then(|()| Segment::create_at(&place, spec, init))
            .map_err(|error| error.about(Subject::of(Some(spec.kind.subject()), name), &place))
    }

    fn create_at(place: &Place, spec: &Spec, mut init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        retry_deferred(Due::Now);
        stale::remove_if_due(Scope::Temporaries, &spec.directory);
        // Checked before anything is built: a name that is taken should not cost the memory first.
        let is_dead = replaceable(place, &spec.owners, &mut Retry::new())?.is_some();
        let mut gone = None;
        let building = match Building::start(place, spec, &mut init) {
            Err(error @ CreateError::NoSpace { .. }) if is_dead => {
                let dead = replaceable(place, &spec.owners, &mut Retry::new())?;
                if let Some(claim) = dead.filter(|claim| makes_room(claim, &error)) {
                    let predecessor = ended::replaced_by_create(&claim, place, spec);
                    gone = clear_away(place, claim, predecessor);
                }
                if gone.is_none() {
                    return Err(error);
                }
                Building::start(place, spec, &mut init)?
            }
            built => built?,
        };
        // The build may have taken longer than the first `retry` allows.
        let mut retry = Retry::new();
        loop {
            if building.publish_to_free(place, gone)? {
                return Ok(building.published());
            }
            if let Some(claim) = replaceable(place, &spec.owners, &mut retry)? {
                let predecessor = ended::replaced_by_create(&claim, place, spec);
                building.publish_over(place, claim, predecessor)?;
                return Ok(building.published());
            }
            if retry.ends() {
                return Err(kept_changing("create (the name kept changing hands)"));
            }
        }
    }

    /// Creates a segment under a random name, after removing stale anonymous segments of killed
    /// processes.
    pub fn create_anonymous(spec: &Spec, init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        let place = Place::published(&spec.directory, &names::anonymous()?);
        let create = || {
            stale::remove_if_due(Scope::All, &spec.directory);
            Segment::create_at(&place, spec, init)
        };
        check_to_create(&place)
            .and_then(|()| create())
            .map_err(|error| error.about(Subject::of(Some(spec.kind.subject()), ""), &place))
    }
}

/// Would removing the dead segment make enough space for the new one? Its messages are not thrown
/// away for nothing.
pub(super) fn makes_room(dead: &Claim, error: &CreateError) -> bool {
    match (error, dead.bytes()) {
        (CreateError::NoSpace { needed_bytes, free_bytes, by_cgroup: false, .. }, Ok(bytes)) => {
            free_bytes.saturating_add(bytes) >= *needed_bytes
        }
        _ => false,
    }
}

/// Removes the name, and with it the memory, of a dead segment for which there is no room beside
/// its successor. `None`: that was refused.
pub(super) fn clear_away(place: &Place, dead: Claim, predecessor: Predecessor) -> Option<Predecessor> {
    place.unlink().ok()?;
    dead.mark(segment_state::UNLINKED);
    clean_up_claimed(&dead, place.directory());
    // Traced with no lock held.
    drop(dead);
    predecessor.trace(place.name());
    Some(predecessor)
}

/// The dead segment of that name, which may be replaced. `Ok(None)`: the name is free. An error if
/// the segment is in use or persisted.
fn replaceable(place: &Place, owners: &Owners, retry: &mut Retry) -> Result<Option<Claim>, CreateError> {
    match claim::inspect(place, owners, retry)? {
        Occupant::Nothing => Ok(None),
        Occupant::Foreign(foreign) => Err(foreign.into()),
        Occupant::InUse => Err(CreateError::AlreadyExists { what: Subject::default(), in_use: true }),
        Occupant::Dead(claim) if claim.header().is_some_and(|header| header.is_persisted()) => {
            Err(CreateError::AlreadyExists { what: Subject::default(), in_use: false })
        }
        Occupant::Dead(claim) => claim.check_replaced(owners).map(|()| Some(claim)),
    }
}
