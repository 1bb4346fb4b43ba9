//! What every call from C passes: no panic goes out, and no pointer comes in unchecked.

use crate::failure::{Failed, SHMQ_OK, shmq_error};
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a call. A panic ends here, as an error: what it interrupted is as the crate leaves it in a
/// panic, which its guards allow for.
#[inline(always)]
pub fn guarded(call: impl FnOnce() -> Result<(), Failed>) -> shmq_error {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => SHMQ_OK,
        Ok(Err(Failed(code))) => code,
        Err(payload) => Failed::panic(payload).0,
    }
}

/// Where a result goes.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// The pointer is null, or may be written.
    #[inline(always)]
    pub unsafe fn new(to: *mut T) -> Result<Out<T>, Failed> {
        if to.is_null() { Err(Failed::argument(c"the pointer for the result is null")) } else { Ok(Out(to)) }
    }

    #[inline(always)]
    pub fn set(self, value: T) {
        // SAFETY: it is not null, and the caller of `new` says that it may be written.
        unsafe { self.0.write(value) };
    }
}

/// Stores a result that the caller may not want.
///
/// # Safety
/// The pointer is null, or may be written.
#[inline(always)]
pub unsafe fn set_if_wanted<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: as the caller says.
        unsafe { to.write(value) };
    }
}

/// Bytes to read.
///
/// # Safety
/// There are `length` bytes, or the pointer is null.
#[inline(always)]
pub unsafe fn bytes<'a>(at: *const c_void, length: usize) -> Result<&'a [u8], Failed> {
    if at.is_null() || length > isize::MAX as usize {
        return no_bytes(length).map(|()| &[][..]);
    }
    // SAFETY: as the caller says, and no slice is longer.
    Ok(unsafe { std::slice::from_raw_parts(at.cast(), length) })
}

/// A buffer to write. Its bytes may be uninitialized: the crate only writes them.
///
/// # Safety
/// There are `capacity` bytes, or the pointer is null.
#[inline(always)]
pub unsafe fn buffer<'a>(at: *mut c_void, capacity: usize) -> Result<&'a mut [u8], Failed> {
    if at.is_null() || capacity > isize::MAX as usize {
        return no_bytes(capacity).map(|()| &mut [][..]);
    }
    // SAFETY: as the caller says, and no slice is longer.
    Ok(unsafe { std::slice::from_raw_parts_mut(at.cast(), capacity) })
}

/// Null is the address of no bytes.
#[cold]
fn no_bytes(length: usize) -> Result<(), Failed> {
    if length == 0 { Ok(()) } else { Err(Failed::argument(c"the pointer to the bytes is null, or there are more than 2^63")) }
}

/// A text, or none.
///
/// # Safety
/// The pointer is null, or leads to a string that ends.
pub unsafe fn text_if_given<'a>(text: *const c_char) -> Result<Option<&'a str>, Failed> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    match unsafe { CStr::from_ptr(text) }.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failed::argument(c"a text is not UTF-8")),
    }
}

/// A text.
///
/// # Safety
/// As of [`text_if_given`].
pub unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Failed> {
    // SAFETY: as the caller says.
    match unsafe { text_if_given(text) }? {
        Some(text) => Ok(text),
        None => Err(Failed::argument(c"the name is null")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{last, last_text, shmq_error::*};

    #[test]
    fn a_panic_ends_at_the_border() {
        assert_eq!(guarded(|| panic!("no {}", "way")), SHMQ_ERROR_PANIC);
        // SAFETY: the text of the error above.
        let text = unsafe { CStr::from_ptr(last_text()) }.to_str().unwrap();
        assert_eq!((last(), text), (SHMQ_ERROR_PANIC, "a fault of the library: no way"));
        struct PanicsAgain;
        impl Drop for PanicsAgain {
            fn drop(&mut self) {
                panic!("in the payload");
            }
        }
        assert_eq!(guarded(|| std::panic::panic_any(PanicsAgain)), SHMQ_ERROR_PANIC);
        assert_eq!(guarded(|| Ok(())), SHMQ_OK);
    }

    #[test]
    fn null_is_the_address_of_no_bytes() {
        // SAFETY: null.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 0).unwrap(), []);
            assert_eq!(bytes(std::ptr::null(), 1).unwrap_err().0, SHMQ_ERROR_ARGUMENT);
            assert_eq!(buffer(std::ptr::null_mut(), usize::MAX).unwrap_err().0, SHMQ_ERROR_ARGUMENT);
            assert_eq!(text_if_given(std::ptr::null()).unwrap(), None);
            assert_eq!(text(c"\xff".as_ptr()).unwrap_err().0, SHMQ_ERROR_ARGUMENT);
        }
    }
}
