//! One blocking path, four thin forms of each verb: wait for ever, not at all, for a while, until then.

/// Defines the four forms of a verb. The body sees `wait` under the name that the caller gives it.
macro_rules! verbs {
    (
        $(#[$doc:meta])*
        $name:ident, $try_name:ident, $timeout_name:ident, $deadline_name:ident, none: $none:literal,
        |$this:ident, $wait:ident $(, $arg:ident: $ty:ty)*| -> Result<$ok:ty, $error:ty> $([$($bound:tt)*])? $body:block
    ) => {
        $(#[$doc])*
        #[doc = ""]
        #[doc = "Not in a signal handler, nor are its forms with a time-out or a deadline: see [there](crate::sync#signal-handlers)."]
        #[inline]
        pub fn $name(&$this $(, $arg: $ty)*) -> Result<$ok, $error> $($($bound)*)? {
            let $wait = crate::raw::Wait::FOREVER;
            $body
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), ") without waiting: `", $none, "` at once.")]
        #[doc = ""]
        #[doc = "A contended lock is not that: after about 1 ms of it (its holder is stopped or starved) the error is `Busy`."]
        #[doc = "A dead holder is none: the call repairs what it left, and goes on."]
        #[doc = ""]
        #[doc = "In a signal handler only `try_put` of a queue or a pipe: see [there](crate::sync#signal-handlers)."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`", $none, "`, `Busy`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $try_name(&$this $(, $arg: $ty)*) -> Result<$ok, $error> $($($bound)*)? {
            let $wait = crate::raw::Wait::Never;
            $body
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), "), but gives up with `Timeout` after `timeout`, never")]
        #[doc = "earlier. Zero means one try; one too long to add to now means for ever."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`Timeout`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $timeout_name(&$this $(, $arg: $ty)*, timeout: std::time::Duration) -> Result<$ok, $error> $($($bound)*)? {
            let $wait = crate::raw::Wait::Until(crate::os::deadline_after(timeout));
            $body
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), "), but gives up with `Timeout` at `deadline`, never earlier.")]
        #[doc = "A deadline in the past means one try."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`Timeout`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $deadline_name(&$this $(, $arg: $ty)*, deadline: std::time::Instant) -> Result<$ok, $error> $($($bound)*)? {
            let $wait = crate::raw::Wait::Until(crate::os::deadline_at(deadline));
            $body
        }
    };
}

pub(crate) use verbs;
