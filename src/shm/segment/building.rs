//! A segment that is being built: under a temporary name, complete when it is published.

use super::attached::Segment;
use super::claim::Claim;
use super::descriptors::Descriptor;
use super::header::NONCE_OFFSET;
use super::mapping::Mapping;
use super::names::{self, Place};
use super::predecessor::Predecessor;
use super::refusal::{RENAME, RENAME_TO_FREE};
use super::space::reserve;
use super::spec::{OWNER_MODE, Spec, mode_bits};
use super::stale;
use super::syscall_error::SyscallError;
use crate::atomic::Ordering;
use crate::error::{CreateError, Subject};
use crate::shm::id::raise_generation;
use crate::shm::layout::{Head, segment_state, structure_offset};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// The entry of a creator.
const FIRST_ENTRY: u32 = 0;

/// A build starts over when a sweep took its temporary, which takes a process stopped for ten seconds at the worst moment.
const BUILD_ATTEMPTS: u32 = 16;

/// A complete segment under a temporary name, its liveness lock held.
pub(super) struct Building {
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
    pub(super) fn start(place: &Place, spec: &Spec, init: &mut dyn FnMut(&Segment)) -> Result<Building, CreateError> {
        let mut has_swept = false;
        for _ in 0..BUILD_ATTEMPTS {
            match Building::attempt(place, spec, init) {
                Ok(Some(building)) => return Ok(building),
                Ok(None) => {}
                // What the dead left may be all that is missing.
                Err(error) if !has_swept && is_full(&error) => {
                    has_swept = true;
                    if stale::remove_now(&spec.directory) == 0 {
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
        let info = spec.info(names::random()?);
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
            descriptor.set_mode(mode_bits(mode)).map_err(refused("fchmod"))?;
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
        raise_generation(&segment.entries()[FIRST_ENTRY as usize]);
        init(&segment);
        // Release: whoever sees ALIVE through a mapping sees all that was initialised.
        segment.head().header.state.store(segment_state::ALIVE, Ordering::Release);
        Ok(Some(Building { temporary, segment }))
    }

    /// Publishes under a name that nobody has. `Ok(false)`: somebody has it. `gone`: a dead segment that had it, and was cleared away for this one.
    pub(super) fn publish_to_free(&self, place: &Place, gone: Option<Predecessor>) -> Result<bool, CreateError> {
        Predecessor::write(gone, &self.segment.head().header);
        match self.temporary.place.rename_to_free(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(SyscallError { call: RENAME_TO_FREE, error }.into()),
        }
    }

    /// Publishes in the place of a dead segment.
    pub(super) fn publish_over(&self, place: &Place, dead: Claim, predecessor: Predecessor) -> Result<(), CreateError> {
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
    pub(super) fn published(self) -> (Segment, u32) {
        let Building { mut temporary, segment } = self;
        temporary.published = true;
        (segment, FIRST_ENTRY)
    }
}

/// No space, or no room for one more file, in the file system.
pub(super) fn is_full(error: &CreateError) -> bool {
    match error {
        CreateError::NoSpace { .. } => true,
        CreateError::Os { source: error, .. } => error.raw_os_error() == Some(libc::ENOSPC),
        _ => false,
    }
}

pub(super) fn kept_changing(call: &'static str) -> CreateError {
    CreateError::Os { what: Subject::default(), call, source: io::ErrorKind::WouldBlock.into() }
}
