//! Attaching to what has the name, or making it.

use super::attached::Segment;
use super::building::{Building, is_full, kept_changing};
use super::claim::{self, Claim, Found};
use super::create::{clear_away, makes_room};
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

/// How long the builds of others get on before one that found no space beside them looks again.
const BETWEEN_BUILDS: Duration = Duration::from_millis(2);

/// How long it waits for them: some gigabytes are populated within it, and a builder that was stopped holds nobody up for longer.
const OTHERS_BUILD: Duration = Duration::from_secs(10);

impl Segment {
    /// Attaches to the segment of that name, dead or alive, or makes it; a dead one whose life has [ended](super::ended) it replaces.
    /// The last value is true if it was made.
    pub fn open_or_create(
        name: &str,
        spec: &Spec,
        expect: &Expect,
        init: impl FnMut(&Segment),
    ) -> Result<(Segment, u32, bool), CreateError> {
        let place = place_of(&spec.directory, name).map_err(|(name, why)| CreateError::BadName { name, why })?;
        check_to_create(&place)
            .and_then(|()| Segment::open_or_create_at(&place, spec, expect, init))
            .map_err(|error| error.about(Subject::of(Some(spec.kind), name), &place))
    }

    fn open_or_create_at(
        place: &Place,
        spec: &Spec,
        expect: &Expect,
        mut init: impl FnMut(&Segment),
    ) -> Result<(Segment, u32, bool), CreateError> {
        let mut building = None;
        let mut retry = Retry::new();
        let (mut was_alone, builds_end_ns) = (false, os::deadline_after(OTHERS_BUILD));
        // What went to make room for its successor.
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
                // Built with no claim in our hand: nobody is to wait for it. What lies there then is looked at anew.
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
                    // Those that build at the same time have the memory, and one of them is about to publish, or has done so a moment ago.
                    Err(error) if is_full(&error) => {
                        let is_alone = !stale::sees_builders(&spec.directory) || os::now_ns() >= builds_end_ns;
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

/// What one who would attach, or create, finds behind a name.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Probe {
    Nothing,
    Attached(Segment, u32),
    /// A dead segment whose life has ended, and the right to replace it.
    Ended(Claim, Predecessor),
    /// Somebody is at work on the name.
    Changing,
}

fn probe(place: &Place, spec: &Spec, expect: &Expect, retry: &mut Retry) -> Result<Probe, CreateError> {
    if !spec.kind.is_queue() {
        // Before anything else: attached to, a dead one would look alive.
        match claim::attempt(place, &spec.owners) {
            // What it is that cannot be opened is told below.
            Err(_) => {}
            Ok(claim::Attempt::Foreign(foreign)) => return Err(foreign.into()),
            Ok(claim::Attempt::Nothing) => return Ok(Probe::Nothing),
            Ok(claim::Attempt::Claimed(claim)) => {
                if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                    return Ok(Probe::Ended(claim, predecessor));
                }
            }
            Ok(claim::Attempt::Conflict(Conflict::Name) | claim::Attempt::Again) => return Ok(Probe::Changing),
            Ok(claim::Attempt::Conflict(Conflict::Liveness)) => {}
        }
    }
    match open::attempt(place, expect, retry, IfEnded::Report) {
        Ok(Attempt::Attached(segment, entry)) => return Ok(Probe::Attached(segment, entry)),
        Ok(Attempt::Elsewhere) => return Ok(Probe::Changing),
        Err(OpenError::NotFound { .. }) => return Ok(Probe::Nothing),
        // Not to be used as it is. Is anybody using it?
        Ok(Attempt::TakesNoMore) | Err(OpenError::Mismatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match claim::inspect(place, &spec.owners, retry)? {
        Found::Nothing => return Ok(Probe::Nothing),
        Found::Foreign(foreign) => return Err(foreign.into()),
        Found::InUse => {}
        Found::Dead(claim) => {
            if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                return Ok(Probe::Ended(claim, predecessor));
            }
        }
    }
    // Anew, since another segment may have taken its place meanwhile.
    match open::attempt(place, expect, retry, IfEnded::Attach) {
        Ok(Attempt::Attached(segment, entry)) => Ok(Probe::Attached(segment, entry)),
        Ok(Attempt::Elsewhere | Attempt::TakesNoMore) => Ok(Probe::Changing),
        Err(OpenError::NotFound { .. }) => Ok(Probe::Nothing),
        Err(error) => Err(error.into()),
    }
}
