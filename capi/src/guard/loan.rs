//! `shmq_loan`: a message that is being written.

use crate::border::{Out, guarded};
use crate::failure::{Failed, shmq_error};
use crate::of_error::inherited;
use crate::slots;
use shmq_rs::{DynLoan, DynTopicLoan};
use std::ffi::c_void;

/// A message of a queue, or of a topic, that is being written in place.
///
/// In a forked child it is the parent's: its calls return `SHMQ_ERROR_INHERITED`, and to write
/// through its pointer there would change the parent's message.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_loan {
    _private: [u8; 0],
}

/// Of either.
pub enum AnyLoan {
    OfQueue(DynLoan<'static>),
    OfTopic(DynTopicLoan<'static>),
}

slots::handled!(shmq_loan, AnyLoan, 5, c"the handle is no loan: it is null, has ended, or is of another kind");

impl AnyLoan {
    /// Hands a new loan out.
    #[inline]
    pub fn give(mut self, to: Out<*mut shmq_loan>, data: Out<*mut c_void>) -> Result<(), Failed> {
        let bytes = match &mut self {
            AnyLoan::OfQueue(loan) => loan.as_mut_ptr(),
            AnyLoan::OfTopic(loan) => loan.as_mut_ptr(),
        };
        to.set(slots::insert(self)?);
        data.set(bytes.cast());
        Ok(())
    }

    fn is_inherited(&self) -> bool {
        match self {
            AnyLoan::OfQueue(loan) => loan.is_inherited(),
            AnyLoan::OfTopic(loan) => loan.is_inherited(),
        }
    }
}

/// Puts the message. The loan has ended, whatever is returned.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - If this process dies: the message was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_loan_commit(loan: *mut shmq_loan) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        match unsafe { slots::take::<AnyLoan>(loan) }? {
            AnyLoan::OfQueue(loan) => loan.commit()?,
            AnyLoan::OfTopic(loan) => loan.commit()?,
        }
        Ok(())
    })
}

/// Puts the first `length` bytes of a slice or an encoded object. The loan has ended, whatever is
/// returned; after an error the message was never there.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - If this process dies: the message was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_loan_commit_length(loan: *mut shmq_loan, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        let loan = unsafe { slots::take::<AnyLoan>(loan) }?;
        // The crate's calls may not read the length of an inherited loan.
        if loan.is_inherited() {
            return Err(inherited());
        }
        match loan {
            AnyLoan::OfQueue(loan) => loan.commit_len(length)?,
            AnyLoan::OfTopic(loan) => loan.commit_len(length)?,
        }
        Ok(())
    })
}

/// Ends the loan: the message was never there.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - If this process dies: the message was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_loan_abort(loan: *mut shmq_loan) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        let loan = unsafe { slots::take::<AnyLoan>(loan) }?;
        if loan.is_inherited() { Err(inherited()) } else { Ok(()) }
    })
}
