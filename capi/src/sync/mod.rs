//! Primitives: what processes agree by, beside queues.

mod event;
mod mutex;
mod permit;
mod semaphore;

use crate::border;
use crate::failure::Failed;
use crate::options::{BOUNDED, OF_PRIMITIVES, check_flags, shmq_primitive_options};
use crate::until::Until;
use shmq_rs::sync::PrimitiveBuilder;
use std::ffi::c_char;
use std::time::Duration;

/// What making or opening does with a builder.
#[derive(Clone, Copy)]
enum How {
    Create,
    OpenOrCreate,
    Open(u64),
}

/// Makes or opens a primitive by what the options say.
///
/// # Safety
/// The texts end.
unsafe fn make<P>(
    builder: PrimitiveBuilder<P>,
    name: *const c_char,
    options: &shmq_primitive_options,
    is_semaphore: bool,
    how: How,
) -> Result<P, Failed> {
    check_flags(options.flags, OF_PRIMITIVES | if is_semaphore { BOUNDED } else { 0 })?;
    // SAFETY: as the caller says.
    let (mut builder, name) = unsafe { (options.set(builder)?, border::text_if_given(name)?) };
    match (name, how) {
        (Some(name), _) => builder = builder.name(name),
        (None, How::Create) => {}
        (None, _) => return Err(Failed::argument(c"the name is null")),
    }
    Ok(match how {
        How::Create => builder.create()?,
        How::OpenOrCreate => builder.open_or_create()?,
        How::Open(until) => match Until::of(until) {
            Until::Try => builder.open()?,
            Until::Forever => builder.open_timeout(Duration::MAX)?,
            Until::Left(left) => builder.open_timeout(left)?,
        },
    })
}

/// Removes the name of a primitive of any kind.
///
/// # Safety
/// The texts end.
unsafe fn unlink<P>(builder: PrimitiveBuilder<P>, name: *const c_char, options: &shmq_primitive_options) -> Result<(), Failed> {
    // SAFETY: as the caller says.
    let (builder, name) = unsafe { (options.set(builder)?, border::text(name)?) };
    Ok(builder.name(name).unlink()?)
}
