//! In C++: as in C, with types of its own for enums. `shmq.hpp` finds the text by the type.

use super::c::{Dialect, body, quoted};
use super::{Declaration, names};

pub fn declare(it: &Declaration) -> String {
    let mut text =
        format!("// The messages of {}: {} bytes each. Written by `shmq schema --cpp`.\n", quoted(&it.segment), it.bytes);
    text += "#include <cstdint>\n#include \"shmq.hpp\"\n\n";
    text += &body(it, &Dialect { name: |item| names::in_camel_case(&item.path), is_cpp: true });
    text += &format!("// shmq::queue<{}> finds the text by the type.\n", names::in_camel_case(std::slice::from_ref(&it.name)));
    text
}
