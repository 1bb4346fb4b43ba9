//! [`CreateError`] and [`OpenError`]: why a segment was not created or opened.

use super::Subject;
use super::range::{number, range_text};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// An error of creating or opening: the variants of its own, and those that both have.
macro_rules! segment_error {
    ($(#[$meta:meta])* pub enum $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            /// The name cannot name a segment.
            #[error("the name {name:?} cannot be used: {why}")]
            BadName {
                /// The name as given.
                name: String,
                /// What is wrong with it.
                why: &'static str,
            },
            $($own)*
            /// The system does not let this process have the segment, or make or rename a file for
            /// one.
            #[error("{what}: permission denied: {why}")]
            PermissionDenied {
                /// What was to be created or opened.
                what: Subject,
                /// The reason, as far as it can be known, and what can be done.
                why: String,
            },
            /// This process cannot use the directory of shared memory: it is missing, read-only,
            /// another user's, may not be searched ..
            #[error("{what}: the directory of shared memory, {}, cannot be used: {why}", directory.display())]
            Directory {
                /// What was to be created or opened.
                what: Subject,
                /// The directory.
                directory: PathBuf,
                /// What is wrong with it.
                why: String,
            },
            /// The file of that name is no segment: a directory, a symbolic link, a FIFO ..
            #[error("{what}: {} is {is}, and no segment; {}", path.display(), advice(is))]
            NoSegment {
                /// What was to be created or opened.
                what: Subject,
                /// The file.
                path: PathBuf,
                /// What kind of file it is, with its article.
                is: &'static str,
            },
            /// The segment belongs to a user other than this process's effective user and root, and
            /// was not allowed: its owner could read and change all messages. See
            /// [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
            #[error(
                "permission denied: {what} belongs to another user (uid {owner_uid}), which could read and change all that is in it; if that is wanted, use allow_owner({owner_uid})"
            )]
            ForeignOwner {
                /// What was to be created or opened.
                what: Subject,
                /// The user that owns the segment.
                owner_uid: u32,
            },
            /// Every entry of the participant table is taken by a live process.
            #[error("all {max} participant entries of {what} are in use; create it with a larger max_participants")]
            TooManyParticipants {
                /// What was to be opened.
                what: Subject,
                /// Size of the participant table.
                max: u32,
            },
            /// The operating system refused a call.
            #[error("{what}: {call}: {source}")]
            Os {
                /// What was to be created or opened.
                what: Subject,
                /// The call that failed.
                call: &'static str,
                /// What the operating system said.
                r#source: io::Error,
            },
        }
    };
}

segment_error! {
    /// Why a queue, or a primitive of [`sync`](crate::sync), was not created. Nothing was changed.
    ///
    /// ```
    /// let refused = shmq::Queue::<u64>::new(0).unwrap_err();
    /// let shmq::CreateError::OutOfRange { option, asked, min, .. } = refused else {
    ///     panic!("{refused}")
    /// };
    /// assert_eq!((option, asked, min), ("capacity", 0, 1));
    /// ```
    pub enum CreateError {
        /// A [`DynQueue`](crate::DynQueue) or [`DynTopic`](crate::DynTopic) was to be created, and
        /// its builder was given no [`MessageLayout`](crate::MessageLayout). Only opening reads one
        /// from the segment.
        #[error("what is created needs a layout of its messages: give the builder one; only opening reads it from the segment")]
        NoLayout,
        /// A number is out of its range: the capacity is zero, or needs more memory than can be
        /// addressed; too many participants or deliveries; a mode with more than permissions in it.
        #[error("{option} {} cannot be used: it must be {}", number(option, *asked), range_text(option, *min, *max))]
        OutOfRange {
            /// The option, as the builder's method is called: `capacity`, `capacity_bytes`, `len`,
            /// `parties`, `max_participants`, `max_deliveries`, `mode` ..
            option: &'static str,
            /// What was asked for.
            asked: usize,
            /// The smallest number that can be used.
            min: usize,
            /// The largest number that can be used, for this message type.
            max: usize,
        },
        /// A barrier of more parties than processes may attach to it could never be passed.
        #[error(
            "a barrier of {parties} parties could never be passed: {max_participants} processes may attach to it; ask for max_participants({parties}) (1023 at most)"
        )]
        TooManyParties {
            /// Parties that were asked for.
            parties: usize,
            /// How many processes could attach.
            max_participants: u32,
        },
        /// No segment can hold values of this type.
        #[error("values of {bytes} bytes, aligned to {align}, cannot be used: they may have 4 GiB, and be aligned to 4096, at most")]
        BadMessage {
            /// Size of a message, or of one element.
            bytes: usize,
            /// Its alignment.
            align: usize,
        },
        /// A segment of that name exists already: in use, or persisted.
        #[error("{what} exists already ({}); open it, choose another name, or unlink it first", if *in_use { "in use" } else { "persisted, no process is attached" })]
        AlreadyExists {
            /// What was to be created.
            what: Subject,
            /// Whether a live process is attached to it.
            in_use: bool,
        },
        /// The directory of shared memory has not enough free space, or the memory cgroup of this
        /// process has not: beyond its limit the kernel would kill this process.
        #[error("{what}: {needed_bytes} bytes of shared memory are needed, {free_bytes} are free{}", in_bound(*by_cgroup))]
        NoSpace {
            /// What was to be created.
            what: Subject,
            /// Size of the segment, in bytes.
            needed_bytes: u64,
            /// Free space that the file system reported, in bytes; or what is left of the memory
            /// cgroup's limit.
            free_bytes: u64,
            /// Whether the bound is the memory cgroup of this process (of its container, or its
            /// service).
            by_cgroup: bool,
        },
        /// `open_or_create` found a segment made for another type, format or kind of segment.
        #[error("{what} exists and holds {theirs}; this program wants {ours}")]
        Mismatch {
            /// What was to be opened.
            what: Subject,
            /// What this program was built for.
            ours: String,
            /// What the segment holds.
            theirs: String,
        },
        /// `open_or_create` found a file that is no segment of this crate, or one whose words hold
        /// impossible values.
        #[error("{what} is corrupted, or no segment of shmq at all: its words hold impossible values; unlink it")]
        Corrupted {
            /// What was to be opened.
            what: Subject,
        },
    }
}

segment_error! {
    /// Why a queue, or a primitive of [`sync`](crate::sync), was not opened. Nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-open-error-{}", std::process::id());
    /// let refused = shmq::Queue::<u64>::open(&name).unwrap_err();
    /// assert!(matches!(refused, shmq::OpenError::NotFound { .. }));
    /// ```
    pub enum OpenError {
        /// No segment has that name. Its creator has not started yet, or the last participant has
        /// left.
        #[error("no {what} exists (not created yet, or its last user has left)")]
        NotFound {
            /// What was to be opened.
            what: Subject,
        },
        /// The name kept changing hands (created, replaced, removed) until the attempt was given
        /// up. Try again.
        #[error("{what} was being replaced or removed the whole time; try again")]
        NotReady {
            /// What was to be opened.
            what: Subject,
        },
        /// `open_timeout`, or `open_deadline`: no process created it in time. Never reported early.
        #[error(
            "no {what} was created within {}.{:03} s; start the program that creates it, or check its name and directory (`shmq ls` lists what there is)",
            waited.as_secs(), waited.subsec_millis()
        )]
        Timeout {
            /// What was to be opened.
            what: Subject,
            /// How long the call waited.
            waited: Duration,
        },
        /// The segment was made for another type, format or kind of segment.
        #[error("{what} holds {theirs}; this program wants {ours}")]
        Mismatch {
            /// What was to be opened.
            what: Subject,
            /// What this program was built for.
            ours: String,
            /// What the segment holds.
            theirs: String,
        },
        /// The serialised handle names a segment that another one of the same name has replaced.
        #[error("another {} has taken this name since the handle of {what} was sent", what.kind())]
        Replaced {
            /// What was to be opened.
            what: Subject,
        },
        /// The file is not a segment of this crate, or its words hold impossible values.
        #[error("{what} is corrupted, or no segment of shmq at all")]
        Corrupted {
            /// What was to be opened.
            what: Subject,
        },
    }
}

fn in_bound(by_cgroup: bool) -> &'static str {
    if by_cgroup { " in its memory cgroup (memory.max)" } else { "" }
}

/// How to remove a file that is no segment.
fn advice(is: &str) -> &'static str {
    if is == A_DIRECTORY { "remove it (rmdir), or choose another name" } else { "remove it (rm), or choose another name" }
}

/// What [`NoSegment`](OpenError::NoSegment) calls a directory.
pub(crate) const A_DIRECTORY: &str = "a directory";

impl From<OpenError> for CreateError {
    /// For `open_or_create`, which opens first.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadName { name, why } => CreateError::BadName { name, why },
            OpenError::Mismatch { what, ours, theirs } => CreateError::Mismatch { what, ours, theirs },
            OpenError::PermissionDenied { what, why } => CreateError::PermissionDenied { what, why },
            OpenError::Directory { what, directory, why } => CreateError::Directory { what, directory, why },
            OpenError::NoSegment { what, path, is } => CreateError::NoSegment { what, path, is },
            OpenError::ForeignOwner { what, owner_uid } => CreateError::ForeignOwner { what, owner_uid },
            OpenError::Corrupted { what } => CreateError::Corrupted { what },
            OpenError::TooManyParticipants { what, max } => CreateError::TooManyParticipants { what, max },
            OpenError::Os { what, call, source: error } => CreateError::Os { what, call, source: error },
            OpenError::NotFound { what }
            | OpenError::NotReady { what }
            | OpenError::Timeout { what, .. }
            | OpenError::Replaced { what } => CreateError::Os {
                what,
                call: "open_or_create (the name kept changing hands)",
                source: io::Error::from(io::ErrorKind::WouldBlock),
            },
        }
    }
}
