//! The last check before bits are used as a value in place.

use super::Plain;

/// Stops the compiler where not all bits are a value of `T`. For each place that relies on
/// [`Plain`], in a `const` block.
///
/// The attribute implements `Plain` for structs of plain fields, by bounds that it names through
/// the crate's path. With `crate = path` a program may substitute other traits for these, without
/// `unsafe`. The layout comes from the fields themselves and cannot be substituted.
pub(crate) const fn assert_plain<T: ?Sized + Plain>() {
    assert!(!T::LAYOUT.is_checked, "not all bits are a value of this type: it cannot be read or written in place");
}

/// A program with a type that is `Plain` by mistake.
#[cfg(all(doctest, feature = "derive"))]
macro_rules! with_a_false_plain {
    ($($test:ident: $kind:literal $use:literal)*) => {
        $(
            #[doc = concat!(
                "```standalone_crate,", $kind, "\n", // `crate` is to be that program
                "mod fake {\n",
                "    pub use shmq::{Message, Plain};\n",
                "    pub mod __private {\n",
                "        pub use shmq::__private::*;\n",
                "        pub struct Later<'a, T: ?Sized>(std::marker::PhantomData<(&'a (), *const T)>);\n",
                "        pub trait IsPlain {}\n",
                "        impl<T: ?Sized> IsPlain for Later<'_, T> {}\n",
                "    }\n",
                "}\n",
                "#[shmq::message(crate = crate::fake)]\n",
                "struct Flag { on: bool }\n",
                "fn is_plain<T: shmq::Plain>() {}\n",
                "fn main() {\n",
                "    is_plain::<Flag>();\n",
                $use, "\n",
                "}\n",
                "```"
            )]
            struct $test;
        )*
    };
}

// The first compiles, so each of the others fails because of what it does more.
#[cfg(all(doctest, feature = "derive"))]
with_a_false_plain! {
    Copied: "" "let queue = shmq::Queue::<Flag>::new(1).unwrap(); queue.put(&Flag { on: true }).unwrap(); assert!(queue.get().unwrap().on);"
    Leased: "compile_fail,E0080" "let queue = shmq::Queue::<Flag>::new(1).unwrap(); let _ = queue.try_lease();"
    LeasedMut: "compile_fail,E0080" "let queue = shmq::Queue::<Flag>::new(1).unwrap(); let _ = queue.try_lease_mut();"
    LeasedByEndpoint: "compile_fail,E0080" "let queue = shmq::Queue::<Flag>::new(1).unwrap(); let _ = queue.consumer().unwrap().try_lease();"
    Lent: "compile_fail,E0080" "let queue = shmq::Queue::<Flag>::new(1).unwrap(); let _ = queue.try_loan();"
    Slice: "compile_fail,E0080" "let _ = shmq::Queue::<[Flag]>::builder().capacity_bytes(64).create();"
    SliceOfArrays: "compile_fail,E0080" "let _ = shmq::Queue::<[[Flag; 2]]>::open(\"name\");"
    InValue: "compile_fail,E0080" "let _ = shmq::sync::Value::new(Flag { on: true });"
    InMutex: "compile_fail,E0080" "let _ = shmq::sync::Mutex::new(Flag { on: true });"
    InArray: "compile_fail,E0080" "let _ = shmq::sync::Array::new(vec![Flag { on: true }]);"
}
