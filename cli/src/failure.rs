//! Why a verb failed: a text and an exit code.

use crate::stdio;
use crate::text;
use shmq::inspect::Inspector;
use shmq::{CreateError, GetError, OpenError, PutError};
use std::io;
use std::path::Path;

pub const OTHER: u8 = 1;
/// The code that clap uses for wrong usage.
pub const USAGE: u8 = 2;
pub const NOT_FOUND: u8 = 3;
pub const DENIED: u8 = 4;
pub const TIMEOUT: u8 = 5;
pub const CLOSED: u8 = 6;
pub const UNUSABLE: u8 = 7;
pub const UNWELL: u8 = 8;
/// The code for a signal is this plus its number.
pub const SIGNAL_BASE: u8 = 128;

#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// `None`: there is nothing to report, as when the reader of the output went away.
    pub text: Option<String>,
    /// The name belongs to a file of another kind (a directory, a link): no verb removes it.
    pub is_no_file: bool,
}

impl Failure {
    pub fn new(code: u8, text: impl Into<String>) -> Failure {
        Failure { code, text: Some(text.into()), is_no_file: false }
    }

    /// Names the queue, unless the text does already.
    fn of_queue(name: &str, failure: Failure) -> Failure {
        let name = text::quoted(name);
        let named = |text: String| if text.contains(&name) { text } else { format!("queue {name}: {text}") };
        Failure { text: failure.text.map(named), ..failure }
    }

    pub fn of_signal(signal: i32) -> Failure {
        Failure { code: SIGNAL_BASE.saturating_add(signal as u8), text: None, is_no_file: false }
    }

    pub fn report(&self) {
        if let Some(text) = &self.text {
            stdio::complain(text);
        }
    }

    /// The directory of shared memory could not be read. The library names it when any name in it
    /// is opened; SHMQ_DIR may name another one, because a set-user-ID program ignores it.
    pub fn unlisted(error: &io::Error) -> Failure {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { DENIED } else { OTHER };
        let text = match Inspector::open("any") {
            Err(OpenError::Directory { directory, why, .. }) => {
                let directory = text::escaped(&directory.to_string_lossy());
                format!("the directory of shared memory, {directory}, cannot be used: {why}")
            }
            _ => format!("the directory of shared memory cannot be read: {error}"),
        };
        Failure::new(code, text)
    }

    /// A queue could not be opened.
    pub fn open(name: &str, error: &OpenError) -> Failure {
        Failure::of_queue(name, Failure::unreadable(error))
    }

    /// A queue of bytes could not be opened.
    pub fn open_bytes(name: &str, error: &OpenError) -> Failure {
        match error {
            OpenError::NotFound { .. } => Failure::new(
                NOT_FOUND,
                format!(
                    "queue {}: there is none of that name (`shmq ls` lists them); `shmq put` and `shmq create` make one",
                    text::quoted(name)
                ),
            ),
            OpenError::Mismatch { theirs, .. } => Failure::of_other_type(name, theirs),
            error => Failure::open(name, error),
        }
    }

    fn of_other_type(name: &str, theirs: &str) -> Failure {
        if Inspector::open(name).is_ok_and(|inspector| inspector.about().kind.is_topic()) {
            let text = "each of its subscribers sees every message, so nothing is put to it or got from it here: publish and subscribe in a \
                        program. `shmq peek` shows its newest messages";
            return Failure::new(UNUSABLE, format!("{} is {theirs}; {text}", text::quoted(name)));
        }
        let text = format!("it carries {theirs}; only a queue of bytes, [u8], can be put to and got from here");
        Failure::new(UNUSABLE, format!("queue {}: {text}", text::quoted(name)))
    }

    /// As [`open`](Failure::open), without the name.
    pub fn unreadable(error: &OpenError) -> Failure {
        let (code, text) = match error {
            OpenError::BadName { why, .. } => (USAGE, format!("the name cannot be used: {why}")),
            OpenError::NotFound { .. } => (NOT_FOUND, "there is none of that name (`shmq ls` lists them)".to_owned()),
            OpenError::PermissionDenied { why, .. } => (DENIED, format!("permission denied: {why}")),
            OpenError::NoSegment { is, path, .. } => (UNUSABLE, no_segment_in_words(is, path)),
            OpenError::ForeignOwner { owner_uid, .. } => (DENIED, foreign_in_words(*owner_uid)),
            OpenError::Corrupted { .. } => (UNUSABLE, DAMAGED_IN_WORDS.to_owned()),
            OpenError::Mismatch { ours, theirs, .. } => (UNUSABLE, format!("it is {theirs}, this command knows {ours}")),
            error => (OTHER, error.to_string()),
        };
        Failure { is_no_file: matches!(error, OpenError::NoSegment { .. }), ..Failure::new(code, text) }
    }

    /// A queue of bytes could neither be opened nor created.
    pub fn create(name: &str, error: &CreateError) -> Failure {
        let (code, text) = match error {
            CreateError::BadName { why, .. } => (USAGE, format!("the name cannot be used: {why}")),
            CreateError::OutOfRange { .. } => (USAGE, error.to_string()),
            CreateError::PermissionDenied { why, .. } => (DENIED, format!("permission denied: {why}")),
            CreateError::NoSegment { is, path, .. } => (UNUSABLE, no_segment_in_words(is, path)),
            CreateError::ForeignOwner { owner_uid, .. } => (DENIED, foreign_in_words(*owner_uid)),
            CreateError::Corrupted { .. } => (UNUSABLE, DAMAGED_IN_WORDS.to_owned()),
            CreateError::Mismatch { theirs, .. } => return Failure::of_other_type(name, theirs),
            error => (OTHER, error.to_string()),
        };
        Failure::of_queue(name, Failure::new(code, text))
    }
}

const DAMAGED_IN_WORDS: &str = "no segment of this library, or a damaged one";

fn no_segment_in_words(is: &str, path: &Path) -> String {
    format!("it is {is}, and no segment; to be removed by hand: {}", text::escaped(&path.to_string_lossy()))
}

fn foreign_in_words(uid: u32) -> String {
    format!(
        "permission denied: it belongs to another user (uid {uid}), which could read and change its messages; `--owner {uid}` acts on it all the same"
    )
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Failure {
        let code = match error {
            PutError::Full | PutError::Timeout | PutError::Busy => TIMEOUT,
            PutError::Closed => CLOSED,
            PutError::Poisoned | PutError::Corrupted => UNUSABLE,
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<GetError> for Failure {
    fn from(error: GetError) -> Failure {
        let code = match error {
            GetError::Empty | GetError::Timeout | GetError::Busy => TIMEOUT,
            GetError::Closed => CLOSED,
            GetError::Poisoned | GetError::Corrupted => UNUSABLE,
            _ => OTHER,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::of_signal(libc::SIGPIPE);
        }
        Failure::new(OTHER, error.to_string())
    }
}
