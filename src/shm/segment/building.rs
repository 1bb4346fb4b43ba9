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
use super::spilled::clean_up_claimed;
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

/// A build starts over when another process removed its temporary as stale, which takes a stop of
/// ten seconds at the worst moment.
const BUILD_ATTEMPTS: u32 = 16;

/// A complete segment under a temporary name, its liveness lock held.
pub(super) struct Building {
    temporary: Temporary,
    segment: Segment,
}

/// The temporary name, removed at drop unless the segment was published.
struct Temporary {
    place: Place,
    published: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // Another process may have removed it as stale.
            let _ = self.place.unlink();
        }
    }
}

impl Temporary {
    /// Opens the file and takes the first liveness lock: while it is held, no process takes the
    /// temporary for stale. `Ok(None)`: one had removed it already.
    fn open_and_hold(&self) -> Result<Option<Descriptor>, CreateError> {
        let refused = |call| move |error| CreateError::from(SyscallError { call, error });
        let open = || Descriptor::open(self.place.path());
        let opened = open().or_else(|error| match error.kind() {
            // The umask removed the owner's own permissions too.
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
        // A stale file is unlinked with the whole file locked: once our liveness lock is held, a
        // link that is still there will stay.
        let linked = descriptor.metadata().map_err(refused("fstat"))?.nlink() > 0;
        Ok((held && linked).then_some(descriptor))
    }
}

impl Building {
    pub(super) fn start(place: &Place, spec: &Spec, init: &mut dyn FnMut(&Segment)) -> Result<Building, CreateError> {
        let mut has_removed_stale = false;
        for _ in 0..BUILD_ATTEMPTS {
            match Building::attempt(place, spec, init) {
                Ok(Some(building)) => return Ok(building),
                Ok(None) => {}
                // Removing what dead processes left may make the room.
                Err(error) if !has_removed_stale && is_full(&error) => {
                    has_removed_stale = true;
                    if stale::remove_now(&spec.directory) == 0 {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(kept_changing("create (the temporary kept disappearing)"))
    }

    /// `Ok(None)`: another process removed the temporary as stale.
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
        // SAFETY: Invariant 6 of `segment`: the file was sized for this header, holds zeros and a
        // nonce, and no other process maps it yet, so this is the only reference.
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
        // Release: a process that reads ALIVE through its mapping sees everything initialised.
        segment.head().header.state.store(segment_state::ALIVE, Ordering::Release);
        Ok(Some(Building { temporary, segment }))
    }

    /// Publishes under a free name. `Ok(false)`: the name is taken. `gone`: the dead segment that
    /// had it, and was removed for this one.
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
        // Before the name changes: an opener of the new segment sees what it replaced.
        Predecessor::write(Some(predecessor), &self.segment.head().header);
        self.temporary.place.rename_over(place).map_err(|error| SyscallError { call: RENAME, error })?;
        dead.mark(segment_state::DEAD);
        clean_up_claimed(&dead, place.directory());
        // Traced with no lock held.
        drop(dead);
        predecessor.trace(place.name());
        Ok(())
    }

    /// The segment, after it was published.
    pub(super) fn published(self) -> (Segment, u32) {
        let Building { mut temporary, segment } = self;
        temporary.published = true;
        (segment, FIRST_ENTRY)
    }
}

/// Is the file system out of space, or of room for one more file?
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
