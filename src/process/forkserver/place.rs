//! Descriptors that come to a child by a socket, put at the numbers that the program has them at.

use super::wire::FdNumber;
use crate::os::{descriptor_limit, duplicate_above, duplicate_to, no_free_descriptor};
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// Moves each of `fds` to its number, and `others` out of the way. What stood there, a copy of what
/// the program had at `init`, is closed.
pub(super) fn place(fds: Vec<OwnedFd>, numbers: &[FdNumber], others: &mut [OwnedFd]) -> io::Result<()> {
    let above: RawFd = numbers.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
    for other in others.iter_mut() {
        *other = duplicate_above(other, above)?;
    }
    // All of them first: one may stand where another belongs.
    let raised: Vec<OwnedFd> = fds.iter().map(|fd| duplicate_above(fd, above)).collect::<io::Result<_>>()?;
    drop(fds);
    for (fd, &(number, close_on_exec)) in raised.iter().zip(numbers) {
        // SAFETY: what stood there belongs to no code that runs in this process, as the program
        // asks for the number to be this descriptor.
        unsafe { duplicate_to(fd, number, close_on_exec)? };
    }
    Ok(())
}

/// Checks that a child of this process can have all of these numbers.
pub(super) fn check_numbers(numbers: &[FdNumber]) -> io::Result<()> {
    let Some(highest) = numbers.iter().map(|&(number, _)| number as u64).max() else { return Ok(()) };
    // `place` moves all of them above the highest once.
    match highest + 2 * numbers.len() as u64 + 2 < descriptor_limit() {
        true => Ok(()),
        false => Err(no_free_descriptor()),
    }
}
