//! What the crate notices on its slow paths, by the module `logging`: deaths, redelivery, segments that
//! were replaced.
//!
//! ```text
//!   the crate --event--> this thread's NOTED --the call returns, attached--> shmq._events.log
//! ```
//!
//! Invariants:
//! 1. An event is noted without the interpreter, and without a lock: the crate may hold one. It is logged
//!    where its thread is attached, and in no call of the crate.
//! 2. A thread notes MOST events at a time; more are counted alone.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

const MOST: usize = 100;

/// The levels of `logging`.
const INFO: u32 = 20;
const WARNING: u32 = 30;

thread_local! {
    static IS_NOTED: Cell<bool> = const { Cell::new(false) };
    static NOTED: RefCell<Vec<(u32, String)>> = const { RefCell::new(Vec::new()) };
}

fn note(level: u32, text: String) {
    // At the end of a thread, or in the middle of `emit`, it is dropped.
    let _ = NOTED.try_with(|noted| {
        let Ok(mut noted) = noted.try_borrow_mut() else { return };
        if noted.len() < MOST {
            noted.push((level, text));
        } else if noted.len() == MOST {
            noted.push((WARNING, "more events, which were not kept".to_string()));
        }
        IS_NOTED.set(true);
    });
}

pub fn warn(text: String) {
    note(WARNING, text);
}

/// Logs what this thread has noted. Called where a call of the crate has returned.
#[inline]
pub fn emit(py: Python<'_>) {
    if IS_NOTED.get() {
        emit_noted(py);
    }
}

#[cold]
fn emit_noted(py: Python<'_>) {
    static LOG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Logging may come here again.
    IS_NOTED.set(false);
    let noted = NOTED.take();
    for (level, text) in noted {
        let logged = LOG.import(py, "shmq._events", "log").and_then(|log| log.call1((level, text)));
        match logged {
            Ok(_) => {}
            // What the call has taken or put is not to be lost: the next check raises it.
            // SAFETY: the thread is attached.
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => unsafe { ffi::PyErr_SetInterrupt() },
            Err(error) => error.write_unraisable(py, Some(intern!(py, "shmq").as_any())),
        }
    }
}

/// Takes the crate's events.
struct Notes;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => {
                let message = format!("{value:?}");
                self.0.insert_str(0, &message);
                Ok(())
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl Subscriber for Notes {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "shmq" && *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<tracing::metadata::LevelFilter> {
        Some(tracing::metadata::LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        note(if *event.metadata().level() <= Level::WARN { WARNING } else { INFO }, text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Called once, when the module is imported.
pub fn install() {
    // Refused where it was done: a second interpreter.
    let _ = tracing::subscriber::set_global_default(Notes);
}
