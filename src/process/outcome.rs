//! What a closure may return, and which exit code it becomes.

use std::fmt;

/// What the closure of a [`Process`](crate::Process) may return, and which exit code it becomes.
///
/// | returned | exit code |
/// |---|---|
/// | `()`, `Ok(())` | 0 |
/// | `Err(e)` | 1, after `Error: {e:?}` on stderr |
/// | an `i32` | its low 8 bits, as the kernel keeps no more |
/// | nothing (`!`): it calls `std::process::exit` | the one passed there |
/// | nothing: it panicked | 101, after the panic's message on stderr |
///
/// ```
/// let child = shmq::Process::spawn(|| 7)?;
/// assert_eq!(child.join()?.code(), Some(7));
/// // Prints `Error: ParseIntError { kind: InvalidDigit }`.
/// let child = shmq::Process::spawn(|| "twelve".parse::<i32>().map(drop))?;
/// assert_eq!(child.join()?.code(), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Other values are sent by a queue, or by [`Pool::apply`](crate::Pool::apply):
///
/// ```compile_fail,E0277
/// shmq::Process::spawn(|| "text".to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outcome of a process",
    label = "the closure returns `{Self}`",
    note = "a process ends with an exit code; send values by a queue, or use `Pool::apply`"
)]
pub trait Outcome: sealed::Sealed {
    /// Prints an error, if it is one, and returns the exit code.
    #[doc(hidden)]
    fn exit_code(self) -> i32;
    /// The text of the failure; `None` if it is a success.
    #[doc(hidden)]
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn exit_code(self) -> i32 {
        0
    }

    fn failure(self) -> Option<String> {
        None
    }
}

impl Outcome for i32 {
    fn exit_code(self) -> i32 {
        self
    }

    fn failure(self) -> Option<String> {
        (self != 0).then(|| format!("it returned {self}"))
    }
}

/// For closures that never return.
impl Outcome for sealed::Never {
    fn exit_code(self) -> i32 {
        self
    }

    fn failure(self) -> Option<String> {
        self
    }
}

impl<E: fmt::Debug> Outcome for Result<(), E> {
    fn exit_code(self) -> i32 {
        match self {
            Ok(()) => 0,
            Err(error) => {
                super::print_error(format_args!("Error: {error:?}"));
                1
            }
        }
    }

    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("{error:?}"))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for i32 {}
    impl<E: super::fmt::Debug> Sealed for Result<(), E> {}
    impl Sealed for Never {}

    /// The type `!`, which stable Rust allows only as the end of a function type.
    pub type Never = <fn() -> ! as Returns>::Type;
    pub trait Returns {
        type Type;
    }
    impl<T> Returns for fn() -> T {
        type Type = T;
    }
}
