//! Arrays for other libraries, by DLPack 1.0: `__dlpack__` and `__dlpack_device__`.
//!
//! ```text
//!   capsule "dltensor", "dltensor_versioned" --taken--> "used_...": the consumer calls the deleter
//!                                            \--dropped--> we do
//! ```
//!
//! Invariants:
//! 1. A tensor that was exported counts as an export of its array until its deleter has run, once.

use super::array::{Array, Memory};
use super::message::Description;
use pyo3::exceptions::{PyBufferError, PyRuntimeError};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_void};
use std::ptr;

const CPU: i32 = 1;
const READ_ONLY: u64 = 1;
const IS_COPIED: u64 = 2;

#[repr(C)]
struct Device {
    kind: i32,
    id: i32,
}

#[repr(C)]
struct DataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: Device,
    dimensions: i32,
    data_type: DataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

#[repr(C)]
struct Version {
    major: u32,
    minor: u32,
}

#[repr(C)]
struct ManagedVersioned {
    version: Version,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut ManagedVersioned)>,
    flags: u64,
    tensor: Tensor,
}

/// What a tensor leads to; its address is the tensor's context.
struct Exported {
    array: Py<Array>,
    shape: Box<[i64]>,
    /// In elements.
    strides: Box<[i64]>,
}

impl Exported {
    /// Counts as an export from now on.
    fn of(array: &Bound<'_, Array>) -> PyResult<Box<Exported>> {
        array.get().export()?;
        let description = array.get().description();
        let size = description.element.size() as i64;
        let shape = description.shape.iter().map(|&length| length as i64).collect();
        let strides = description.strides.iter().map(|&step| step as i64 / size).collect();
        Ok(Box::new(Exported { array: array.clone().unbind(), shape, strides }))
    }

    fn tensor(&mut self, data_type: DataType) -> Tensor {
        Tensor {
            data: self.array.get().elements().cast(),
            device: Device { kind: CPU, id: 0 },
            dimensions: self.shape.len() as i32,
            data_type,
            shape: self.shape.as_mut_ptr(),
            strides: self.strides.as_mut_ptr(),
            byte_offset: 0,
        }
    }

    /// Ends the export, on whatever thread.
    ///
    /// # Safety
    /// `context` is of a tensor that has not ended yet.
    unsafe fn end(context: *mut c_void) {
        // An interpreter that has ended frees nothing any more.
        let _ = Python::try_attach(|_| {
            // SAFETY: it came of a box, and this is its one end (Invariant 1).
            let exported = unsafe { Box::from_raw(context.cast::<Exported>()) };
            exported.array.get().unexport();
        });
    }
}

/// A tensor in the memory of a C library: both forms.
trait Form: Sized {
    const NAME: &'static CStr;
    fn new(tensor: Tensor, context: *mut c_void, flags: u64) -> Self;
    fn context(&self) -> *mut c_void;
    /// # Safety
    /// `this` is of a box, and has not ended.
    unsafe extern "C" fn delete(this: *mut Self) {
        // SAFETY: as the caller says.
        let this = unsafe { Box::from_raw(this) };
        // SAFETY: its context has not ended either.
        unsafe { Exported::end(this.context()) };
    }
    /// Of a capsule that is dropped: one that was taken has another name.
    unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
        // SAFETY: a capsule that is being dropped; with that name it has a tensor that nobody took.
        unsafe {
            if ffi::PyCapsule_IsValid(capsule, Self::NAME.as_ptr()) == 1 {
                Self::delete(ffi::PyCapsule_GetPointer(capsule, Self::NAME.as_ptr()).cast());
            }
        }
    }
}

impl Form for Managed {
    const NAME: &'static CStr = c"dltensor";

    fn new(tensor: Tensor, context: *mut c_void, _flags: u64) -> Managed {
        Managed { tensor, context, deleter: Some(<Managed as Form>::delete) }
    }

    fn context(&self) -> *mut c_void {
        self.context
    }
}

impl Form for ManagedVersioned {
    const NAME: &'static CStr = c"dltensor_versioned";

    fn new(tensor: Tensor, context: *mut c_void, flags: u64) -> ManagedVersioned {
        let version = Version { major: 1, minor: 0 };
        ManagedVersioned { version, context, deleter: Some(<ManagedVersioned as Form>::delete), flags, tensor }
    }

    fn context(&self) -> *mut c_void {
        self.context
    }
}

fn capsule<'py, F: Form>(array: &Bound<'py, Array>, data_type: DataType, flags: u64) -> PyResult<Bound<'py, PyAny>> {
    let mut exported = Exported::of(array)?;
    let tensor = exported.tensor(data_type);
    let managed = Box::into_raw(Box::new(F::new(tensor, Box::into_raw(exported).cast(), flags)));
    // SAFETY: the name is static; the destructor takes what is passed here.
    let capsule = unsafe { ffi::PyCapsule_New(managed.cast(), F::NAME.as_ptr(), Some(F::drop_capsule)) };
    if capsule.is_null() {
        // SAFETY: nothing else has it.
        unsafe { F::delete(managed) };
    }
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(array.py(), capsule) }
}

/// A copy of it in memory of its own, which may be written to.
fn copied<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, Array>> {
    const ALIGN: usize = 64;
    let this = array.get();
    this.export()?;
    let mut description: Description = this.description().clone();
    description.is_read_only = false;
    let bytes = description.bytes();
    let mut memory = Vec::<u8>::with_capacity(bytes + ALIGN);
    let begin = memory.as_ptr().align_offset(ALIGN);
    memory.resize(begin, 0);
    // SAFETY: the array has so many bytes, which the export keeps; the vector has room for them behind
    // `begin`, and is no part of the array.
    unsafe {
        ptr::copy_nonoverlapping(this.elements(), memory.as_mut_ptr().add(begin), bytes);
        memory.set_len(begin + bytes);
    }
    this.unexport();
    let elements = memory[begin..].as_mut_ptr();
    Bound::new(array.py(), Array::of(description, elements, Memory::Own(memory)))
}

#[pymethods]
impl Array {
    /// __dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None): a capsule with the array.
    ///
    /// Without max_version >= (1, 0) the consumer cannot know that an array is read-only, and one that is
    /// raises BufferError. torch ignores that an array is read-only: do not write to its tensor.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if stream.is_some() {
            return Err(PyRuntimeError::new_err("an array in main memory has no stream"));
        }
        if dl_device.is_some_and(|device| device != (CPU, 0)) {
            return Err(PyBufferError::new_err("the array is in main memory, and no other device"));
        }
        let Some((code, bits)) = slf.get().description().element.dlpack() else {
            let format = String::from_utf8_lossy(slf.get().description().element.text()).into_owned();
            return Err(PyBufferError::new_err(format!("DLPack has no elements of {format:?}")));
        };
        let data_type = DataType { code, bits, lanes: 1 };
        let copy = copy.unwrap_or(false);
        let array = if copy { copied(slf)? } else { slf.clone() };
        let is_read_only = array.get().description().is_read_only;
        if max_version.is_some_and(|(major, _)| major >= 1) {
            let flags = if is_read_only { READ_ONLY } else { 0 } | if copy { IS_COPIED } else { 0 };
            return capsule::<ManagedVersioned>(&array, data_type, flags);
        }
        if is_read_only {
            return Err(PyBufferError::new_err("the array is read-only, which DLPack says since version 1.0 only: max_version"));
        }
        capsule::<Managed>(&array, data_type, 0)
    }

    /// __dlpack_device__(): main memory.
    fn __dlpack_device__(&self) -> (i32, i32) {
        (CPU, 0)
    }
}
