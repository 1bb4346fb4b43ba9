//! Arguments as the standard module takes them.

use pyo3::prelude::*;

/// A flag: whatever is true or false. `get(0)` is `get(False)`.
#[inline]
pub fn truth(argument: &Bound<'_, PyAny>) -> PyResult<bool> {
    argument.is_truthy()
}
