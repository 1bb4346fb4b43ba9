//! Creating: built under a temporary name, complete when published, never seen before.

use super::descriptors::{Conflict, Descriptor};
use super::ended::{self, Predecessor};
use super::header::{NONCE_OFFSET, SegmentInfo};
use super::mapping::{Mapping, reserve};
use super::names::{self, Place};
use super::open::{self, Attempt, IfEnded};
use super::owners::Owners;
use super::refusal::{About, RENAME, RENAME_TO_FREE, check_to_create};
use super::stale::{self, Found, Sweep};
use super::{Expect, Retry, Segment, Spec, SyscallError, place_of};
use crate::atomic::Ordering;
use crate::error::{CreateError, OpenError, Subject};
use crate::os;
use crate::shm::layout::{Head, kind, segment_state, structure_offset};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;
use std::time::Duration;

/// The entry of a creator.
const FIRST_ENTRY: u32 = 0;
/// A build starts over when a sweep took its temporary, which takes a process stopped for ten seconds at the worst moment.
const BUILD_ATTEMPTS: u32 = 16;
/// What `shared_memory` gives, and no `mode` takes away: a forked child must be able to open its own segment.
pub(super) const OWNER_MODE: u32 = 0o600;
pub(super) const MODE_BITS: u32 = 0o666;
/// How long the builds of others get on before one that found no space beside them looks again.
const BETWEEN_BUILDS: Duration = Duration::from_millis(2);
/// How long it waits for them: some gigabytes are populated within it, and a builder that was stopped holds nobody up for longer.
const OTHERS_BUILD: Duration = Duration::from_secs(10);

impl Segment {
    /// Makes a segment and gives it the name, which nobody alive may have, nor anybody dead who asked to keep it.
    /// Returns it with the entry whose liveness lock is ours. `init` may run several times, each time on a new segment full of zeros.
    pub fn create(name: &str, spec: &Spec, init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        let place = place_of(&spec.directory, name).map_err(|(name, why)| CreateError::BadName { name, why })?;
        check_to_create(&place)
            .and_then(|()| Segment::create_at(&place, spec, init))
            .map_err(|error| error.about(Subject::of(spec.kind, name), &place))
    }

    fn create_at(place: &Place, spec: &Spec, mut init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        stale::if_due(Sweep::Temporaries, &spec.directory);
        // Looked at before anything is built: a name that is taken should not cost its memory first.
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
        // The build may have taken longer than our retry with others.
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

    /// Makes a segment under a name that nobody has, after clearing away what killed users of others left.
    pub fn create_anonymous(spec: &Spec, init: impl FnMut(&Segment)) -> Result<(Segment, u32), CreateError> {
        let place = Place::published(&spec.directory, &names::anonymous()?);
        let create = || {
            stale::if_due(Sweep::All, &spec.directory);
            Segment::create_at(&place, spec, init)
        };
        check_to_create(&place).and_then(|()| create()).map_err(|error| error.about(Subject::of(spec.kind, ""), &place))
    }

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
            .map_err(|error| error.about(Subject::of(spec.kind, name), &place))
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
            let dead = match look(place, spec, expect, &mut retry)? {
                Sight::Attached(segment, entry) => return Ok((segment, entry, false)),
                Sight::Nothing => None,
                Sight::Ended(claim, predecessor) => Some((claim, predecessor)),
                Sight::Changing => {
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
                stale::if_due(Sweep::Temporaries, &spec.directory);
                building = match Building::start(place, spec, &mut init) {
                    Ok(built) => Some(built),
                    Err(error @ CreateError::NoSpace { .. }) if was_dead => {
                        match look(place, spec, expect, &mut retry)? {
                            Sight::Attached(segment, entry) => return Ok((segment, entry, false)),
                            Sight::Ended(claim, predecessor) => {
                                gone = if makes_room(&claim, &error) { clear_away(place, claim, predecessor) } else { None };
                                if gone.is_none() {
                                    return Err(error);
                                }
                            }
                            Sight::Nothing | Sight::Changing => {}
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
enum Sight {
    Nothing,
    Attached(Segment, u32),
    /// A dead segment whose life has ended, and the right to replace it.
    Ended(stale::Claim, Predecessor),
    /// Somebody is at work on the name.
    Changing,
}

fn look(place: &Place, spec: &Spec, expect: &Expect, retry: &mut Retry) -> Result<Sight, CreateError> {
    if !kind::is_ring(spec.kind) {
        // Before anything else: attached to, a dead one would look alive.
        match stale::attempt(place, &spec.owners) {
            // What it is that cannot be opened is told below.
            Err(_) => {}
            Ok(stale::Attempt::Foreign(foreign)) => return Err(foreign.into()),
            Ok(stale::Attempt::Nothing) => return Ok(Sight::Nothing),
            Ok(stale::Attempt::Claimed(claim)) => {
                if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                    return Ok(Sight::Ended(claim, predecessor));
                }
            }
            Ok(stale::Attempt::Conflict(Conflict::Name) | stale::Attempt::Again) => return Ok(Sight::Changing),
            Ok(stale::Attempt::Conflict(Conflict::Liveness)) => {}
        }
    }
    match open::attempt(place, expect, retry, IfEnded::Report) {
        Ok(Attempt::Attached(segment, entry)) => return Ok(Sight::Attached(segment, entry)),
        Ok(Attempt::Elsewhere) => return Ok(Sight::Changing),
        Err(OpenError::NotFound { .. }) => return Ok(Sight::Nothing),
        // Not to be used as it is. Is anybody using it?
        Ok(Attempt::TakesNoMore) | Err(OpenError::Mismatch { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match stale::inspect(place, &spec.owners, retry)? {
        Found::Nothing => return Ok(Sight::Nothing),
        Found::Foreign(foreign) => return Err(foreign.into()),
        Found::InUse => {}
        Found::Dead(claim) => {
            if let Some(predecessor) = ended::judge(&claim, place, spec, expect) {
                return Ok(Sight::Ended(claim, predecessor));
            }
        }
    }
    // Anew, since another segment may have taken its place meanwhile.
    match open::attempt(place, expect, retry, IfEnded::Attach) {
        Ok(Attempt::Attached(segment, entry)) => Ok(Sight::Attached(segment, entry)),
        Ok(Attempt::Elsewhere | Attempt::TakesNoMore) => Ok(Sight::Changing),
        Err(OpenError::NotFound { .. }) => Ok(Sight::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Would there be space for a segment, for which there is none, once the dead one is gone? Its messages
/// are not thrown away for nothing.
fn makes_room(dead: &stale::Claim, error: &CreateError) -> bool {
    match (error, dead.bytes()) {
        (CreateError::NoSpace { needed_bytes, free_bytes, by_cgroup: false, .. }, Ok(bytes)) => {
            free_bytes.saturating_add(bytes) >= *needed_bytes
        }
        _ => false,
    }
}

/// Takes away the name, and with it the memory, of a dead segment for which there is no room beside its successor. `None`: it was refused.
fn clear_away(place: &Place, dead: stale::Claim, predecessor: Predecessor) -> Option<Predecessor> {
    place.unlink().ok()?;
    dead.mark(segment_state::UNLINKED);
    // Told with no lock held.
    drop(dead);
    predecessor.tell(place.name());
    Some(predecessor)
}

fn kept_changing(call: &'static str) -> CreateError {
    CreateError::Os { what: Subject::default(), call, source: io::ErrorKind::WouldBlock.into() }
}

/// `Ok(None)`: nothing has the name. An error if it is in use, or wanted by nobody alive but persisted.
fn replaceable(place: &Place, owners: &Owners, retry: &mut Retry) -> Result<Option<stale::Claim>, CreateError> {
    match stale::inspect(place, owners, retry)? {
        Found::Nothing => Ok(None),
        Found::Foreign(foreign) => Err(foreign.into()),
        Found::InUse => Err(CreateError::AlreadyExists { what: Subject::default(), in_use: true }),
        Found::Dead(claim) if claim.header().is_some_and(|header| header.is_persisted()) => {
            Err(CreateError::AlreadyExists { what: Subject::default(), in_use: false })
        }
        Found::Dead(claim) => claim.check_replaced(owners).map(|()| Some(claim)),
    }
}

/// No space, or no room for one more file, in the file system.
fn is_full(error: &CreateError) -> bool {
    match error {
        CreateError::NoSpace { .. } => true,
        CreateError::Os { source: error, .. } => error.raw_os_error() == Some(libc::ENOSPC),
        _ => false,
    }
}

/// A complete segment under a temporary name, its liveness lock held.
struct Building {
    temporary: Temporary,
    segment: Segment,
}

/// The temporary name, taken away at drop unless it became a published one.
struct Temporary {
    place: Place,
    published: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // A sweep may have been here before us.
            let _ = self.place.unlink();
        }
    }
}

impl Temporary {
    /// Opens the file and takes the first liveness lock, which keeps sweeps off for as long as building takes.
    /// `Ok(None)`: a sweep was faster.
    fn open_and_hold(&self) -> Result<Option<Descriptor>, CreateError> {
        let refused = |call| move |error| CreateError::from(SyscallError { call, error });
        let open = || Descriptor::open(self.place.path());
        let opened = open().or_else(|error| match error.kind() {
            // A umask took the rights of the owner away as well.
            io::ErrorKind::PermissionDenied => {
                std::fs::set_permissions(self.place.path(), Permissions::from_mode(OWNER_MODE))?;
                open()
            }
            _ => Err(error),
        });
        let descriptor = match opened {
            Ok(descriptor) => descriptor,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("open")(error)),
        };
        let held = descriptor.lock_liveness(FIRST_ENTRY).map_err(refused("fcntl(F_OFD_SETLK)"))?;
        // A sweep unlinks with the whole file locked: once our liveness lock is held, a link that is still there will stay.
        let linked = descriptor.metadata().map_err(refused("fstat"))?.nlink() > 0;
        Ok((held && linked).then_some(descriptor))
    }
}

impl Building {
    fn start(place: &Place, spec: &Spec, init: &mut dyn FnMut(&Segment)) -> Result<Building, CreateError> {
        let mut has_swept = false;
        for _ in 0..BUILD_ATTEMPTS {
            match Building::attempt(place, spec, init) {
                Ok(Some(building)) => return Ok(building),
                Ok(None) => {}
                // What the dead left may be all that is missing.
                Err(error) if !has_swept && is_full(&error) => {
                    has_swept = true;
                    if stale::now(&spec.directory) == 0 {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(kept_changing("create (the temporary kept disappearing)"))
    }

    /// `Ok(None)`: a sweep took the temporary.
    fn attempt(place: &Place, spec: &Spec, init: &mut dyn FnMut(&Segment)) -> Result<Option<Building>, CreateError> {
        let info = SegmentInfo::of_spec(spec, names::random()?);
        let bytes = info.total_bytes().ok_or_else(|| kept_changing("create (too many bytes)"))?;
        let temporary = Place::temporary(&spec.directory)?;
        let Some(mapping) = Mapping::create(&temporary, bytes)? else { return Ok(None) };
        let temporary = Temporary { place: temporary, published: false };
        let Some(descriptor) = temporary.open_and_hold()? else { return Ok(None) };
        let refused = |call| move |error| CreateError::from(SyscallError { call, error });
        if !descriptor.keep_name().map_err(refused("fcntl(F_OFD_SETLK)"))? {
            return Ok(None);
        }
        reserve(&descriptor, bytes)?;
        // Written through the descriptor, read through the mapping: both lead to the same file.
        descriptor.write_at(&info.nonce.to_ne_bytes(), NONCE_OFFSET).map_err(refused("write"))?;
        if mapping.bytes() != bytes || mapping.nonce() != Some(info.nonce) {
            return Ok(None);
        }
        mapping.advise(spec.huge_pages);
        if spec.lock_memory {
            mapping.lock_in_memory().map_err(CreateError::from)?;
        }
        if let Some(mode) = spec.mode {
            descriptor.set_mode(OWNER_MODE | (mode & MODE_BITS)).map_err(refused("fchmod"))?;
        }
        // SAFETY: Invariant 6 of the module above: the file was sized by its info, holds zeros and a nonce, and nobody else
        // maps it yet, so that the reference is the only one.
        let head = unsafe { mapping.base().cast::<Head>().as_mut() };
        info.write(&mut head.header);
        if let Some(structure) = &info.structure {
            // Through the descriptor, as the nonce above.
            let offset = structure_offset(info.max_participants);
            descriptor.write_at(structure.text().as_bytes(), offset).map_err(refused("write"))?;
        }
        if let Some(dead_letters) = &info.dead_letters {
            descriptor.write_at(dead_letters.as_bytes(), info.dead_letters_offset()).map_err(refused("write"))?;
        }
        head.header.state.store(segment_state::BUILDING, Ordering::Relaxed);
        head.header.persisted.store(u32::from(spec.persist), Ordering::Relaxed);
        let segment = Segment::over(mapping, descriptor, place.clone(), info, spec.lock_memory);
        crate::shm::participant::raise_generation(&segment.entries()[FIRST_ENTRY as usize]);
        init(&segment);
        // Release: whoever sees ALIVE through a mapping sees all that was initialised.
        segment.head().header.state.store(segment_state::ALIVE, Ordering::Release);
        Ok(Some(Building { temporary, segment }))
    }

    /// Publishes under a name that nobody has. `Ok(false)`: somebody has it. `gone`: a dead segment that had it, and was cleared away for this one.
    fn publish_to_free(&self, place: &Place, gone: Option<Predecessor>) -> Result<bool, CreateError> {
        Predecessor::write(gone, &self.segment.head().header);
        match self.temporary.place.rename_to_free(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(SyscallError { call: RENAME_TO_FREE, error }.into()),
        }
    }

    /// Publishes in the place of a dead segment.
    fn publish_over(&self, place: &Place, dead: stale::Claim, predecessor: Predecessor) -> Result<(), CreateError> {
        // Before the name changes: whoever finds the new segment finds what it replaced.
        Predecessor::write(Some(predecessor), &self.segment.head().header);
        self.temporary.place.rename_over(place).map_err(|error| SyscallError { call: RENAME, error })?;
        dead.mark(segment_state::DEAD);
        // Told with no lock held.
        drop(dead);
        predecessor.tell(place.name());
        Ok(())
    }

    /// The segment, after it was published.
    fn published(self) -> (Segment, u32) {
        let Building { mut temporary, segment } = self;
        temporary.published = true;
        (segment, FIRST_ENTRY)
    }
}
