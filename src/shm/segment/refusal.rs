//! Why a call was refused: explains the errno from the state of the directory and the file.
//!
//! ```text
//!   EACCES, EPERM, EROFS   making or renaming a file:  the directory's mode, mount, sticky bit ..
//!                          opening one:                its mode, or the directory's
//!                          else:                       so a filter or a security module does
//!   ENOENT                 the directory is missing, or the name is free
//!   EISDIR, ELOOP, ENXIO   another kind of file has the name
//! ```
//!
//! Checked after the fact, by name: what is found may have changed meanwhile. It goes into error
//! texts and decides nothing.

use super::directory::{Directory, own_uid, refusal_of_access};
use super::names::Place;
use super::syscall_error::SyscallError;
use crate::error::{A_DIRECTORY, CreateError, OpenError, Subject};
use crate::shm::kind::Kind;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// Calls that create, rename or remove files.
pub(super) const MAKE: &str = "shm_open, or mmap of a new segment";
pub(super) const RENAME: &str = "rename";
pub(super) const RENAME_TO_FREE: &str = "renameat2(RENAME_NOREPLACE)";
pub(super) const UNLINK: &str = "unlink";
/// Calls that open an existing file.
pub(super) const OPEN: &str = "open";
pub(super) const MAP: &str = "shm_open, or mmap of a segment";

const FILTERED: &str = "the modes of the file and its directory allow it: a seccomp filter, or a security module (Landlock, SELinux, AppArmor), forbids it";

/// The cause of a refusal.
enum Cause {
    Directory(String),
    Denied(String),
    NoSegment(&'static str),
}

/// `None`: the errno says it all.
fn cause(call: &str, error: &io::Error, place: &Place) -> Option<Cause> {
    let directory = place.directory();
    let (makes, opens) = (matches!(call, MAKE | RENAME | RENAME_TO_FREE | UNLINK), matches!(call, OPEN | MAP));
    match error.raw_os_error()? {
        libc::EMLINK if opens => Some(Cause::NoSegment("one of several names of a file (a hard link)")),
        libc::EISDIR | libc::ELOOP | libc::ENXIO if opens => kind_of_file(place).map(Cause::NoSegment),
        libc::EISDIR | libc::ENOTEMPTY | libc::ENOTDIR if makes => kind_of_file(place).map(Cause::NoSegment),
        libc::ENOENT | libc::EROFS | libc::ENOTDIR if makes => directory.why_not_writable().map(Cause::Directory),
        libc::EACCES | libc::EPERM if makes => Some(match directory.why_not_writable() {
            Some(why) => Cause::Directory(why),
            None => Cause::Denied(format!("{call}: {error}: {}", why_not_replaced(directory, place))),
        }),
        libc::EACCES | libc::EPERM | libc::EROFS if opens => Some(match directory.why_not_searchable() {
            Some(why) => Cause::Directory(why),
            None => Cause::Denied(format!("{call}: {error}: {}", why_not_opened(place))),
        }),
        // For mlock the call's name mentions the limit already.
        libc::EACCES | libc::EPERM if !call.starts_with("mlock") => Some(Cause::Denied(format!("{call}: {error}: {FILTERED}"))),
        _ => None,
    }
}

fn why_not_replaced(directory: &Directory, place: &Place) -> String {
    match fs::symlink_metadata(place.path()) {
        Ok(file) if directory.is_sticky_against(file.uid()) => {
            format!(
                "{} is sticky, and only user {}, the owner of the file, may replace or remove it",
                directory.path().display(),
                file.uid()
            )
        }
        _ => FILTERED.to_owned(),
    }
}

fn why_not_opened(place: &Place) -> String {
    let Ok(file) = fs::symlink_metadata(place.path()) else { return FILTERED.to_owned() };
    if refusal_of_access(place.path(), libc::R_OK | libc::W_OK).is_none() {
        return FILTERED.to_owned();
    }
    let (uid, mode) = (file.uid(), file.mode() & 0o7777);
    if uid == own_uid() {
        return format!("its mode {mode:04o} keeps its own user out: chmod u+rw {}", place.path().display());
    }
    format!(
        "it belongs to another user (uid {uid}), and its mode {mode:04o} does not let user {} read and write it (its creator can widen that with QueueBuilder::mode)",
        own_uid()
    )
}

/// The kind of file that has the name, unless it is a regular one.
pub(super) fn kind_of_file(place: &Place) -> Option<&'static str> {
    let kind = fs::symlink_metadata(place.path()).ok()?.file_type();
    Some(match kind {
        kind if kind.is_dir() => A_DIRECTORY,
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_file() => return None,
        _ => "a device",
    })
}

/// An error that does not say yet which segment it is about.
pub(super) trait About {
    /// Adds the segment, and the cause of a refusal where it can be found.
    fn about(self, what: Subject, place: &Place) -> Self;
}

macro_rules! impl_about {
    ($error:ident: $($named:ident),*) => {
        impl About for $error {
            fn about(mut self, what: Subject, place: &Place) -> Self {
                match &mut self {
                    $($error::$named { what: blank, .. } if blank.is_blank() => *blank = what,)*
                    _ => {}
                }
                let (directory, path) = (|| place.directory().path().to_owned(), || place.path().to_owned());
                match self {
                    $error::Os { what, call, source: error } => match cause(call, &error, place) {
                        Some(Cause::Directory(why)) => $error::Directory { what, directory: directory(), why },
                        Some(Cause::Denied(why)) => $error::PermissionDenied { what, why },
                        Some(Cause::NoSegment(is)) => $error::NoSegment { what, path: path(), is },
                        None => $error::Os { what, call, source: error },
                    },
                    error => error,
                }
            }
        }
    };
}
impl_about!(CreateError: AlreadyExists, NoSpace, Mismatch, Directory, ForeignOwner, Corrupted, TooManyParticipants, Os);
impl_about!(OpenError: NotFound, NotReady, Mismatch, Replaced, Directory, ForeignOwner, Corrupted, TooManyParticipants, Os);

/// As [`About::about`], for callers that only open: a name in a missing directory is not just free.
pub(super) fn about_open(error: OpenError, kind: Option<Kind>, place: &Place) -> OpenError {
    match (error.about(Subject::of(kind.map(Kind::subject), place.name()), place), place.directory().why_not_searchable()) {
        (OpenError::NotFound { what }, Some(why)) => {
            OpenError::Directory { what, directory: place.directory().path().to_owned(), why }
        }
        (error, _) => error,
    }
}

/// Checks that the directory may be used, as far as that is known before a call is refused.
pub(super) fn check_to_create(place: &Place) -> Result<(), CreateError> {
    Ok(check_to_open(place)?)
}

/// The same.
pub(super) fn check_to_open(place: &Place) -> Result<(), OpenError> {
    match place.directory().fault() {
        None => Ok(()),
        Some(why) => Err(OpenError::Directory { what: Subject::default(), directory: place.directory().path().to_owned(), why }),
    }
}

/// Maps the error of an attempt to open a name.
pub(super) fn locate<D>(opened: io::Result<D>) -> Result<D, OpenError> {
    opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => OpenError::NotFound { what: Subject::default() },
        _ => SyscallError { call: OPEN, error }.into(),
    })
}
