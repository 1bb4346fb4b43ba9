//! Attaching to the segment of a name, or creating it.

use super::attached::Segment;
use super::building::{Building, is_full, kept_changing};
use super::claim::{self, Claim, Occupant};
use super::create::{clear_away, makes_room};
use super::deferred::{Due, retry_deferred};
use super::ended;
use super::expect::Expect;
use super::locks::Conflict;
use super::names::{Place, place_of};
use super::open::{self, Attempt, IfEnded};
use super::predecessor::Predecessor;
use super::refusal::{About, check_to_create};
use super::retry::Retry;
use super::spec::Spec;
use super::stale::{self, Scope};
use crate::error::{CreateError, OpenError, Subject};
use crate::os;
use std::thread;
use std::time::Duration;

/// Pause before a process that found no space, while others build, tries again.
const BETWEEN_BUILDS: Duration = Duration::from_millis(2);

/// How long it waits for other builders: they populate some gigabytes in that time, and a stopped
/// one delays no process for longer.
const OTHERS_BUILD: Duration = Duration::from_secs(10);

impl Segment {
    /// Attaches to the segment of that name, dead or alive, or creates it; a dead one that has
    /// [ended](super::ended) is replaced. The last value is true if it was created.
    pub fn open_or_create(
        name: &str,
        spec: &Spec,
        expect: &Expect,
        init: impl FnMut(&Segment),
    ) -> Result<(Segment, u32, bool), CreateError> {
        let place = place_of(&spec.directory, name).map_err(|(name, why)| CreateError::BadName { name, why })?;
        check_to_create(&place)
            .and_then(|()| Segment::open_or_create_at(&place, spec, expect, init))
            .map_err(|error| error.about(Subject::of(Some(spec.kind.subject()), name), &place))
    }

    fn open_or_create_at(
        place: &Place,
        spec: &Spec,
        expect: &Expect,
        mut init: impl FnMut(&Segment),
    ) -> Result<(Segment, u32, bool), CreateError> {
        retry_deferred(Due::Now);
        let mut building = None;
        let mut retry = Retry::new();
        let (mut was_alone, builds_end) = (false, os::Deadline::after(OTHERS_BUILD));
        // The dead segment that was removed to make room for its successor.
        let mut gone = None;
        loop {
            let dead = match probe(place, spec, expect, &mut retry)? {
                Probe::Attached(segment, entry) => return Ok((segment, entry, false)),
                Probe::Nothing => None,
                Probe::Ended(claim, predecessor) => Some((claim, predecessor)),
                Probe::Changing => {
                    Retry::pause();
                    if retry.ends() {
                        return Err(kept_changing("open_or_create (the name kept changing hands)"));
                    }
                    continue;
                }
            };
            let Some(built) = building.take() else {
                // The claim is dropped before the build, so that no process waits for it; the name
                // is probed again afterwards.
                let was_dead = dead.is_some();
                drop(dead);
                stale::remove_if_due(Scope::Temporaries, &spec.directory);
                building = match Building::start(place, spec, &mut init) {
                    Ok(built) => Some(built),
                    Err(error @ CreateError::NoSpace { .. }) if was_dead => {
                        match probe(place, spec, expect, &mut retry)? {
                            Probe::Attached(segment, entry) => return Ok((segment, entry, false)),
                            Probe::Ended(claim, predecessor) => {
                                gone = if makes_room(&claim, &error) { clear_away(place, claim, predecessor) } else { None };
                                if gone.is_none() {
                                    return Err(error);
                                }
                            }
                            Probe::Nothing | Probe::Changing => {}
                        }
                        None
                    }
                    // Other builders may have the memory; one of them is about to publish, or has
                    // just done so.
                    Err(error) if is_full(&error) => {
                        let is_alone = !stale::sees_builders(&spec.directory) || builds_end.has_passed();
                        if is_alone && was_alone {
                            return Err(error);
                        }
                        was_alone = is_alone;
                        thread::sleep(BETWEEN_BUILDS);
                        None
                    }
                    Err(error) => return Err(error),
                };
                retry = Retry::new();
                continue;
            };
            let published = match dead {
                Some((claim, predecessor)) => {
                    built.publish_over(place, claim, predecessor)?;
                    true
                }
                None => built.publish_to_free(place, gone)?,
            };
            if published {
                let (segment, entry) = built.published();
                return Ok((segment, entry, true));
            }
            building = Some(built);
            if retry.ends() {
                return Err(kept_changing("open_or_create (the name kept changing hands)"));
            }
        }
    }
}

/// What a process that wants to attach or create finds behind a name.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Probe {
    Nothing,
    Attached(Segment, u32),
    /// A dead segment that has ended, and the right to replace it.
    Ended(Claim, Predecessor),
    /// Another process is changing the name.
    Changing,
}

fn probe(place: &Place, spec: &Spec, expect: &Expect, retry: &mut Retry) -> Result<Probe, CreateError> {
    if !spec.kind.has_ring() {
        // Before anything else: once this process has attached, a dead one would look alive.
        match claim::attempt(place, &spec.owners) {
            // `open` below reports why it cannot be opened.
            Err(_) => {}
            Ok(claim::ClaimAttempt::Foreign(foreign)) => return Err(foreign.into()),
            Ok(claim::ClaimAttempt::Nothing) => return Ok(Probe::Nothing),
            Ok(claim::ClaimAttempt::Claimed(claim)) => {
                if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                    return Ok(Probe::Ended(claim, predecessor));
                }
            }
            Ok(claim::ClaimAttempt::Conflict(Conflict::Name) | claim::ClaimAttempt::Again) => return Ok(Probe::Changing),
            Ok(claim::ClaimAttempt::Conflict(Conflict::Liveness)) => {}
        }
    }
    match open::attempt(place, expect, retry, IfEnded::Report) {
        Ok(Attempt::Attached(segment, entry)) => return Ok(Probe::Attached(segment, entry)),
        Ok(Attempt::Elsewhere) => return Ok(Probe::Changing),
        Err(OpenError::NotFound { .. }) => return Ok(Probe::Nothing),
        // It cannot be used as it is. Is it in use?
        Ok(Attempt::TakesNoMore) | Err(OpenError::Mismatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match claim::inspect(place, &spec.owners, retry)? {
        Occupant::Nothing => return Ok(Probe::Nothing),
        Occupant::Foreign(foreign) => return Err(foreign.into()),
        Occupant::InUse => {}
        Occupant::Dead(claim) => {
            if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                return Ok(Probe::Ended(claim, predecessor));
            }
        }
    }
    // Again, since another segment may have taken its place meanwhile.
    match open::attempt(place, expect, retry, IfEnded::Attach) {
        Ok(Attempt::Attached(segment, entry)) => Ok(Probe::Attached(segment, entry)),
        Ok(Attempt::Elsewhere | Attempt::TakesNoMore) => Ok(Probe::Changing),
        Err(OpenError::NotFound { .. }) => Ok(Probe::Nothing),
        Err(error) => Err(error.into()),
    }
}
