//! Panics in code of the program's: their texts, and running such code in the pool's thread.

use crate::process::print_error;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic.
pub(super) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    };
    std::mem::forget(panic); // its drop might panic
    text
}

/// Code that the program gave to a job. It may panic when it is called, and also when what it
/// captured is dropped, which happens in the pool's thread as a rule: the panic is printed on
/// stderr, and changes nothing here.
pub(super) struct Guarded<T> {
    what: &'static str,
    /// Until it is taken, or dropped.
    code: Option<T>,
}

impl<T> Guarded<T> {
    pub fn new(what: &'static str, code: T) -> Guarded<T> {
        Guarded { what, code: Some(code) }
    }

    pub fn run(&self, run: impl FnOnce(&T)) {
        if let Some(code) = &self.code {
            run_guarded(self.what, || run(code));
        }
    }

    pub fn run_once(mut self, run: impl FnOnce(T)) {
        if let Some(code) = self.code.take() {
            run_guarded(self.what, || run(code));
        }
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        if let Some(code) = self.code.take() {
            run_guarded(self.what, || drop(code));
        }
    }
}

/// A panic is printed on stderr, by its hook too, and changes nothing here.
fn run_guarded(what: &str, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        print_error(format_args!("a pool's {what} panicked: {}", panic_text(panic)));
    }
}
