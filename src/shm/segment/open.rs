//! Opening: from a name to an attached segment, and from an inherited segment to an attached one.

use super::attached::Segment;
use super::claim::read_header;
use super::deferred::{Due, retry_deferred};
use super::descriptors::Descriptor;
use super::directory::Directory;
use super::ended::takes_no_more;
use super::enter::Entrance;
use super::expect::Expect;
use super::file_id::FileId;
use super::header::SegmentInfo;
use super::mapping::Mapping;
use super::names::{Place, place_of};
use super::owners::Owners;
use super::refusal::{OPEN, about_open, check_to_open, locate};
use super::retry::Retry;
use super::space::{fill_holes, missing_bytes};
use super::spilled::is_anchored;
use super::syscall_error::{SyscallError, corrupted};
use crate::atomic::Ordering;
use crate::error::{OpenError, Subject};
use crate::os::Deadline;
use crate::shm::layout::segment_state;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Bits of a mode: the group, or every user, may read or write.
const OTHERS_MAY_ENTER: u32 = 0o066;
/// Naps of a caller that waits for a creator, each twice as long as the one before. An attempt is an
/// `open` that fails.
const FIRST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(10);
const NO_RIGHTS: &str =
    "open, in a child of a process that had given up the rights to do so itself (fork before that; threads can use the handle)";
impl Segment {
    /// Attaches to a published segment, dead or alive. Returns the entry whose liveness lock this
    /// process holds.
    pub fn open(name: &str, expect: &Expect) -> Result<(Segment, u32), OpenError> {
        Segment::open_patiently(name, expect, Retry::new())
    }

    /// The same with a short wait for processes that are changing the name, for callers that retry.
    pub fn open_soon(name: &str, expect: &Expect) -> Result<(Segment, u32), OpenError> {
        Segment::open_patiently(name, expect, Retry::short())
    }

    /// The same as [`open`](Segment::open), for a caller that waits until there is such a segment. A
    /// name leads only to complete segments (Invariant 1), so that is all there is to wait for.
    pub fn open_until(name: &str, expect: &Expect, deadline: Deadline) -> Result<(Segment, u32), OpenError> {
        let began = Instant::now();
        let mut nap = FIRST_NAP;
        loop {
            // The clock first: what was created before the deadline is found behind it.
            let time_is_up = deadline.has_passed();
            match Segment::open_soon(name, expect) {
                Err(OpenError::NotFound { what } | OpenError::NotReady { what }) if time_is_up => {
                    return Err(OpenError::Timeout { what, waited: began.elapsed() });
                }
                Err(OpenError::NotFound { .. } | OpenError::NotReady { .. }) => {}
                opened => return opened,
            }
            std::thread::sleep(nap.min(deadline.left()));
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    fn open_patiently(name: &str, expect: &Expect, retry: Retry) -> Result<(Segment, u32), OpenError> {
        let place = place_of(&expect.directory, name).map_err(|(name, why)| OpenError::BadName { name, why })?;
        check_to_open(&place)
            .and_then(|()| Segment::open_at(&place, expect, retry))
            .map_err(|error| about_open(error, Some(expect.kind), &place))
    }

    fn open_at(place: &Place, expect: &Expect, mut retry: Retry) -> Result<(Segment, u32), OpenError> {
        retry_deferred(Due::Now);
        loop {
            if let Attempt::Attached(segment, entry) = attempt(place, expect, &mut retry, IfEnded::Attach)? {
                return Ok((segment, entry));
            }
            if retry.ends() {
                return Err(OpenError::NotReady { what: Subject::default() });
            }
            Retry::pause();
        }
    }

    /// Options that can take effect on an existing segment do; the others are recorded as
    /// unapplied.
    fn apply(&mut self, expect: &Expect) {
        if expect.asked.persist == Some(true) {
            self.persist();
        }
        let mode = self.descriptor.metadata().map_or(0, |file| file.mode() & 0o777);
        let schema = expect.schema.as_deref();
        self.unapplied = expect.asked.unapplied(schema, &self.info, mode, self.is_persisted());
    }

    /// Makes a forked child a participant, with a description, a liveness lock and page tables of
    /// its own. Once per incarnation, by one thread at a time.
    pub fn reattach(&self) -> Result<u32, AttachError> {
        let os_error = |call| {
            move |error| {
                let SyscallError { call, error } = SyscallError { call, error }.explained();
                AttachError::Os { call, source: error }
            }
        };
        // The fork handler opened a description for the child, unless the parent could no longer
        // open the file or no handler ran.
        let opened = self.descriptor.renew(self.place.path()).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => os_error(NO_RIGHTS)(error),
            _ => os_error(OPEN)(error),
        })?;
        if !opened {
            return Err(AttachError::Replaced);
        }
        if self.lock_memory {
            self.mapping.lock_in_memory().map_err(|SyscallError { call, error }| AttachError::Os { call, source: error })?;
        }
        // Before the liveness lock: populating a gigabyte takes long, and no process counts as
        // attached until it is done.
        self.mapping.advise(false);
        let max = self.info.max_participants;
        // A segment that has lost its name stays in use by its participants, this child among them.
        let entry = match self.enter(&mut Retry::new(), || false).map_err(os_error("fcntl(F_OFD_SETLK)"))? {
            Entrance::As(entry) => entry,
            Entrance::Full => return Err(AttachError::Full { max }),
            Entrance::TooLate => return Err(os_error("fcntl(F_OFD_SETLK)")(io::ErrorKind::WouldBlock.into())),
        };
        if self.head().header.state.load(Ordering::Acquire) == segment_state::DEAD {
            self.undo_enter(entry);
            return Err(AttachError::Replaced);
        }
        Ok(entry)
    }
}

/// What to do with a dead queue that takes no more messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfEnded {
    Attach,
    Report,
}

/// What an attempt to attach came to.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Attempt {
    /// With the entry whose liveness lock this process holds.
    Attached(Segment, u32),
    /// The queue is closed or poisoned, and not persisted: it was left untouched.
    TakesNoMore,
    /// The name led elsewhere by the time the entry was taken.
    Elsewhere,
}

pub(super) fn attempt(place: &Place, expect: &Expect, retry: &mut Retry, ended: IfEnded) -> Result<Attempt, OpenError> {
    let descriptor = locate(Descriptor::open(place.path()))?;
    let info = examine(&descriptor, place.directory(), &expect.owners)?;
    expect.check(&info)?;
    let Some(mapping) = map_same(place, descriptor.file(), &info)? else { return Ok(Attempt::Elsewhere) };
    if expect.lock_memory {
        mapping.lock_in_memory().map_err(OpenError::from)?;
    }
    let max = info.max_participants;
    let refused = |error| SyscallError { call: "fcntl(F_OFD_SETLK)", error };
    let mut segment = Segment::over(mapping, descriptor, place.clone(), info, expect.lock_memory);
    if ended == IfEnded::Report && takes_no_more(segment.head()) && !segment.is_persisted() {
        return Ok(Attempt::TakesNoMore);
    }
    // Before the liveness lock, as in `reattach`.
    segment.mapping.advise(expect.huge_pages);
    // Invariant 5 of `segment`: all that can fail has been done.
    let has_lost_its_name = || {
        let has_anchor = segment.max_spilled_bytes() != 0;
        let is_nameless = |links| links == 0 || (links == 1 && has_anchor && !place.leads_to(segment.descriptor.file()));
        segment.descriptor.metadata().is_ok_and(|file| is_nameless(file.nlink()))
    };
    let entry = match segment.enter(retry, has_lost_its_name).map_err(refused)? {
        Entrance::As(entry) => entry,
        Entrance::Full => return Err(OpenError::TooManyParticipants { what: Subject::default(), max }),
        Entrance::TooLate => return Ok(Attempt::Elsewhere),
    };
    // While this process keeps the name, no other removes it or judges the segment dead: a name
    // that leads here now led here at the time of attaching.
    let state = segment.head().header.state.load(Ordering::Acquire);
    let led_here = place.leads_to(segment.descriptor.file());
    if led_here && state == segment_state::ALIVE {
        segment.apply(expect);
        return Ok(Attempt::Attached(segment, entry));
    }
    // There is no name to remove: it is another segment's, or was made by hand (Invariants 1 and 3
    // of `segment`).
    segment.undo_enter(entry);
    segment.clean_up();
    if led_here { Err(corrupted()) } else { Ok(Attempt::Elsewhere) }
}

/// Reads the header through the descriptor: a file that is too short gives an error there, and
/// SIGBUS in a mapping.
fn examine(descriptor: &Descriptor, directory: &Directory, owners: &Owners) -> Result<SegmentInfo, OpenError> {
    let refused = |call| move |error| OpenError::from(SyscallError { call, error });
    let file = descriptor.metadata().map_err(refused("fstat"))?;
    owners.check(descriptor, &file)?;
    let header = match read_header(descriptor) {
        Ok(header) => header,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(corrupted()),
        Err(error) => return Err(refused("read")(error)),
    };
    // No segment is published under two names. A second one, a hard link made by another user,
    // could lead this caller and its messages to a segment meant for something else. An anchor is
    // no name of a segment.
    if file.nlink() > 1 && file.mode() & OTHERS_MAY_ENTER != 0 {
        let is_anchored = || is_anchored(directory, header.nonce(), descriptor.file());
        if file.nlink() > 2 || !header.spills() || !is_anchored() {
            return Err(SyscallError { call: OPEN, error: io::Error::from_raw_os_error(libc::EMLINK) }.into());
        }
    }
    let info = header.info(file.len())?.with_text(|bytes, offset| descriptor.read_at(bytes, offset))?;
    let missing = missing_bytes(&file);
    if missing > 0 {
        // A published segment has no holes; a copy made by hand may have some.
        fill_holes(descriptor, file.len(), missing).map_err(refused("fallocate"))?;
    }
    Ok(info)
}

/// Maps the file. `Ok(None)`: the name leads to another by now.
pub(super) fn map_same(place: &Place, file: FileId, info: &SegmentInfo) -> Result<Option<Mapping>, OpenError> {
    let mapping = Mapping::open(place, file, info)?;
    Ok(mapping.filter(|mapping| mapping.nonce() == Some(info.nonce)))
}

/// Why a forked child could not attach.
#[derive(Debug)]
pub(crate) enum AttachError {
    /// Live processes have all entries.
    Full {
        max: u32,
    },
    /// Another segment has the name, and this one is out of reach or was declared dead.
    Replaced,
    Os {
        call: &'static str,
        source: io::Error,
    },
}
