//! What every handle can do: be opened, cloned, sent, kept and unlinked.

/// The common part of a handle with a field `primitive: Arc<Primitive>` and an associated function
/// `over(primitive)`.
macro_rules! handle {
    ($what:literal, new: $new:literal, path: $path:literal, [$($generics:tt)*] $type:ty, $shape:expr
        $(, guards: |$this:ident, $in_use:ident| $count:expr)?) => {
        impl<$($generics)*> $type {
            #[doc = concat!("Opens the ", $what, " that another process created. One whose users are all dead is opened too, as they left it.")]
            ///
            /// # Errors
            /// [`OpenError`](crate::OpenError); nothing was changed. `Mismatch` names both sides if
            /// something else has that name. Does not wait for it to be created: that does
            /// [`open_timeout`](Self::open_timeout).
            ///
            /// ```
            #[doc = concat!("let first = ", $new, ";")]
            #[doc = concat!("let second = ", $path, "::open(first.name())?;")]
            /// assert_eq!(first.name(), second.name());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn open(name: impl AsRef<str>) -> Result<Self, crate::OpenError> {
                Self::open_by(name.as_ref(), None)
            }

            /// Like [`open`](Self::open), but waits for it to be created, for `timeout` at most and
            /// never less. As [`Queue::open_timeout`](crate::Queue::open_timeout).
            ///
            /// # Errors
            /// [`OpenError::Timeout`](crate::OpenError::Timeout) if there was none all the time; what
            /// waiting does not mend at once, as by [`open`](Self::open).
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let first = ", $new, ";")]
            #[doc = concat!("let second = ", $path, "::open_timeout(first.name(), Duration::from_secs(5))?;")]
            /// assert_eq!(first.name(), second.name());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn open_timeout(name: impl AsRef<str>, timeout: std::time::Duration) -> Result<Self, crate::OpenError> {
                Self::open_by(name.as_ref(), Some(crate::os::Deadline::after(timeout)))
            }

            /// Like [`open_timeout`](Self::open_timeout), until `deadline`. One in the past means one
            /// try.
            ///
            /// # Errors
            /// As [`open_timeout`](Self::open_timeout).
            ///
            /// ```
            /// use std::time::Instant;
            ///
            #[doc = concat!("let first = ", $new, ";")]
            #[doc = concat!("let second = ", $path, "::open_deadline(first.name(), Instant::now())?;")]
            /// assert_eq!(first.name(), second.name());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn open_deadline(name: impl AsRef<str>, deadline: std::time::Instant) -> Result<Self, crate::OpenError> {
                Self::open_by(name.as_ref(), Some(crate::os::Deadline::at(deadline)))
            }

            fn open_by(name: &str, until: Option<crate::os::Deadline>) -> Result<Self, crate::OpenError> {
                let (directory, owners, asked) = Default::default();
                let opened = crate::sync::primitive::Primitive::open(name, &$shape, directory, owners, asked, until)?;
                Ok(Self::over(opened))
            }

            /// Removes a name. Processes that use what it led to continue with it; no process can
            /// open it any more.
            ///
            /// # Errors
            /// [`OpenError::NotFound`](crate::OpenError::NotFound) if there is no such name,
            /// [`OpenError::PermissionDenied`](crate::OpenError::PermissionDenied) or
            /// [`OpenError::ForeignOwner`](crate::OpenError::ForeignOwner) if it is another user's.
            ///
            /// ```
            #[doc = concat!("let kept = ", $new, ";")]
            #[doc = concat!($path, "::unlink(kept.name())?;")]
            #[doc = concat!("assert!(", $path, "::open(kept.name()).is_err());")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn unlink(name: impl AsRef<str>) -> Result<(), crate::OpenError> {
                crate::shm::segment::Segment::unlink(name.as_ref())
            }

            /// A handle whose waits end with [`SyncError::Interrupted`](crate::sync::SyncError::Interrupted)
            /// once `stop` is set, in place of the stop that this one may have. See
            /// [`Stop`](crate::Stop).
            ///
            /// ```
            /// let stop = shmq::Stop::new();
            #[doc = concat!("let first = ", $new, ";")]
            /// let interruptible = first.with_stop(&stop);
            /// assert_eq!(interruptible.name(), first.name());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use = "the handle that it is called on stays as it is"]
            pub fn with_stop(&self, stop: &crate::Stop) -> Self {
                Self::over(self.primitive.with_stop(stop))
            }

            /// Keeps the segment when its last participant leaves, until it is
            /// [unlinked](Self::unlink).
            ///
            /// ```
            #[doc = concat!("let first = ", $new, ";")]
            /// let name = first.name().to_owned();
            /// first.persist();
            /// drop(first);
            #[doc = concat!("let again = ", $path, "::open(&name)?;")]
            #[doc = concat!($path, "::unlink(again.name())?;")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn persist(&self) {
                self.primitive.segment().persist();
            }

            /// Does the name still lead to it? If not, no process can open it any more, and opening
            /// the name gives another. As [`Queue::has_name`](crate::Queue::has_name).
            ///
            /// ```
            #[doc = concat!("let it = ", $new, ";")]
            /// assert!(it.has_name());
            #[doc = concat!($path, "::unlink(it.name())?;")]
            /// assert!(!it.has_name());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn has_name(&self) -> bool {
                self.primitive.segment().has_name()
            }

            /// What its builder asked for and it has otherwise, because it existed already. As
            /// [`Queue::unapplied_options`](crate::Queue::unapplied_options).
            ///
            /// ```
            #[doc = concat!("assert!((", $new, ").unapplied_options().is_empty());")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn unapplied_options(&self) -> &[crate::UnappliedOption] {
                self.primitive.segment().unapplied()
            }

            /// Leaves the segment now, if nothing else of this process uses it by the same
            /// attachment. As [`Queue::detach`](crate::Queue::detach): after `Ok` this process is
            /// no participant of it any more, and where it was the last one, the name is removed.
            ///
            /// # Errors
            /// [`DetachError`](crate::DetachError), with the handle: it names other handles, and
            /// guards that are open or forgotten.
            ///
            /// ```
            #[doc = concat!("let first = ", $new, ";")]
            /// let second = first.clone();
            /// let first = first.detach().unwrap_err().into_handle(); // `second` is in the way
            /// let name = first.name().to_owned();
            /// drop(second);
            /// first.detach()?;
            #[doc = concat!("assert!(", $path, "::open(&name).is_err());")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn detach(self) -> Result<(), crate::DetachError<Self>> {
                let count = |_in_use: &mut crate::InUse| {
                    $(
                        let ($this, $in_use) = (&self, _in_use);
                        $count;
                    )?
                };
                match crate::attachment::withdraw(&[&self.primitive], count) {
                    Ok(()) => {
                        drop(self);
                        Ok(())
                    }
                    Err(in_use) => Err(crate::DetachError::new(self, in_use)),
                }
            }

            /// The name by which other processes open it. An anonymous one has a name too.
            ///
            /// ```
            #[doc = concat!("assert!(!(", $new, ").name().is_empty());")]
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn name(&self) -> &str {
                self.primitive.segment().name()
            }
        }

        impl<$($generics)*> Clone for $type {
            /// Another handle of the same attachment. Cheap.
            fn clone(&self) -> Self {
                Self::over(std::sync::Arc::clone(&self.primitive))
            }
        }

        impl<$($generics)*> serde::Serialize for $type {
            /// Name (with its directory, if that is not `/dev/shm`) and nonce. The receiver needs a
            /// live participant, or a persisted segment, to open it.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (self.primitive.segment().address(), self.primitive.segment().nonce()).serialize(serializer)
            }
        }

        impl<'de, $($generics)*> serde::Deserialize<'de> for $type {
            /// Opens it, through the mapping that this process may have already. The error is that
            /// of `open`, or `Replaced` if another took the name since.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (address, nonce) = <(String, u64)>::deserialize(deserializer)?;
                let primitive = crate::sync::primitive::Primitive::reopen(&address, nonce, &$shape).map_err(serde::de::Error::custom)?;
                Ok(Self::over(primitive))
            }
        }
    };
}

pub(super) use handle;
