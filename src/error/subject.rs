//! What an error is about.

use std::fmt;

/// What an error is about: a queue, a mutex, and so on, and its name. Displayed as `queue "jobs"`,
/// or as `queue` where it has no name.
///
/// ```
/// use shmq::{OpenError, Queue};
///
/// # let name = format!("doc-subject-{}", std::process::id());
/// let error = Queue::<u64>::open(&name).unwrap_err();
/// let OpenError::NotFound { what } = error else { panic!("{error}") };
/// assert_eq!((what.kind(), what.name()), ("queue", Some(&*name)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    kind: Option<&'static str>,
    name: Option<String>,
}

impl Subject {
    /// `kind` as [`kind`](Subject::kind) returns it; `None` is a segment of unknown kind.
    pub(crate) fn of(kind: Option<&'static str>, name: &str) -> Subject {
        Subject { kind, name: Some(name).filter(|name| !name.is_empty()).map(str::to_owned) }
    }

    /// Is it still without kind and name?
    pub(crate) fn is_blank(&self) -> bool {
        *self == Subject::default()
    }

    /// What it is, in a word or two: `queue`, `mutex`, `condition variable` ..; `segment` if
    /// unknown.
    ///
    /// ```
    /// # let name = format!("doc-subject-kind-{}", std::process::id());
    /// let error = shmq::sync::Event::open(&name).unwrap_err();
    /// let shmq::OpenError::NotFound { what } = error else { panic!("{error}") };
    /// assert_eq!(what.kind(), "event");
    /// ```
    pub fn kind(&self) -> &'static str {
        self.kind.unwrap_or("segment")
    }

    /// Its name, as given by the caller; an anonymous one has none.
    ///
    /// ```
    /// # let name = format!("doc-subject-name-{}", std::process::id());
    /// let error = shmq::Queue::<u64>::open(&name).unwrap_err();
    /// let shmq::OpenError::NotFound { what } = error else { panic!("{error}") };
    /// assert_eq!(what.name(), Some(&*name));
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for Subject {
    /// The name is escaped: it may go to a terminal.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(out, "{} {name:?}", self.kind()),
            None => out.write_str(self.kind()),
        }
    }
}
