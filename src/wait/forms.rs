//! The forms of a verb that waits: for ever, not at all, for a while, until an instant.

/// Defines the forms of one verb, which are thin and share one body. The body sees how long to
/// wait under the name that the caller gives it.
///
/// With `try_name` and `none:` (the error of a verb that finds nothing) there are four forms.
/// Without, the `try_` form is written by hand. Optional: `for [generics]` before the arguments,
/// and `[where ...]` behind the result. `|&mut self, wait|` makes forms that take `&mut self`.
macro_rules! blocking_forms {
    (
        $(#[$doc:meta])*
        $name:ident, $try_name:ident, $timeout_name:ident, $deadline_name:ident, none: $none:literal,
        $($rest:tt)*
    ) => {
        $crate::wait::blocking_forms! { $(#[$doc])* $name, $timeout_name, $deadline_name, $($rest)* }
        $crate::wait::blocking_forms! { @try $name, $try_name, $none, $($rest)* }
    };

    (
        @try $name:ident, $try_name:ident, $none:literal, $(for [$($generics:tt)*])?
        |$(&$mutable:ident)? $this:ident, $wait:ident $(, $arg:ident: $ty:ty)*| -> $result:ty $([$($bound:tt)*])? $body:block
    ) => {
        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), ") without waiting: `", $none, "` at once.")]
        #[doc = ""]
        #[doc = "Returns `Busy` if a lock stays contended for about 1 ms (its holder is stopped or starved)."]
        #[doc = "If the holder is dead, the call repairs what it left and continues."]
        #[doc = ""]
        #[doc = "In a signal handler only `try_put` of a queue or a pipe may be called:"]
        #[doc = "see [signal handlers](crate::sync#signal-handlers)."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`", $none, "`, `Busy`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $try_name $(<$($generics)*>)? (&$($mutable)? $this $(, $arg: $ty)*) -> $result $($($bound)*)? {
            let $wait = $crate::wait::Wait::Never;
            $body
        }
    };

    (
        $(#[$doc:meta])*
        $name:ident, $timeout_name:ident, $deadline_name:ident, $(for [$($generics:tt)*])?
        |$(&$mutable:ident)? $this:ident, $wait:ident $(, $arg:ident: $ty:ty)*| -> $result:ty $([$($bound:tt)*])? $body:block
    ) => {
        $(#[$doc])*
        #[doc = ""]
        #[doc = "Neither this nor its forms with a timeout or a deadline may be called in a signal handler:"]
        #[doc = "see [signal handlers](crate::sync#signal-handlers)."]
        #[inline]
        pub fn $name $(<$($generics)*>)? (&$($mutable)? $this $(, $arg: $ty)*) -> $result $($($bound)*)? {
            let $wait = $crate::wait::Wait::FOREVER;
            $body
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), "), but gives up with `Timeout` after `timeout`,")]
        #[doc = "never earlier. Zero means one try; a timeout too long to add to now means for ever."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`Timeout`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $timeout_name $(<$($generics)*>)? (&$($mutable)? $this $(, $arg: $ty)*, timeout: std::time::Duration) -> $result $($($bound)*)? {
            let $wait = $crate::wait::Wait::Until($crate::os::Deadline::after(timeout));
            $body
        }

        #[doc = concat!("Like [`", stringify!($name), "`](Self::", stringify!($name), "), but gives up with `Timeout` at `deadline`,")]
        #[doc = "never earlier. A deadline in the past means one try."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = concat!("`Timeout`, or as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[inline]
        pub fn $deadline_name $(<$($generics)*>)? (&$($mutable)? $this $(, $arg: $ty)*, deadline: std::time::Instant) -> $result $($($bound)*)? {
            let $wait = $crate::wait::Wait::Until($crate::os::Deadline::at(deadline));
            $body
        }
    };
}

pub(crate) use blocking_forms;
