//! `#[shmq::message]` with names in the program that could clash.

use super::queue;
use shmq::{Message, Queue};

/// Names as macros like to make them, and a type with the name of a primitive type.
mod names {
    #![allow(non_upper_case_globals, non_camel_case_types, dead_code)]

    pub const __VALUE_0: u8 = 9;
    pub const __VALUE_1: u8 = 0;
    pub const __VALUE_2: u8 = 3;
    pub const values: u8 = 6;
    pub const found: u8 = 7;

    macro_rules! hidden {
        () => {
            __VALUE_1 + 10
        };
    }

    #[shmq::message]
    #[derive(Debug, PartialEq)]
    #[repr(u8)]
    pub enum Named {
        A = __VALUE_1 + 1,
        B = 5,
        C = values,
        D = found,
    }

    #[shmq::message]
    #[derive(Debug, PartialEq)]
    #[repr(u8)]
    pub enum Hidden {
        A = hidden!(),
        B = 5,
        C,
    }

    #[shmq::message]
    #[derive(Debug, PartialEq)]
    #[repr(u8)]
    pub enum Sized {
        A([super::Byte; __VALUE_2 as usize], __Shape_B),
        B(bool, [super::Byte; 3]),
        C([super::Byte; 4]) = 200,
    }

    #[shmq::message]
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct __Shape_B(pub bool);

    pub mod aliased {
        pub type u8 = u32;

        #[shmq::message]
        #[derive(Debug, PartialEq)]
        #[repr(u8)]
        pub enum Bare {
            A = 1,
            B = 2,
        }
    }
}

type Byte = u8;

/// Which bytes at `at` give a valid value, if another program puts them with different types.
fn values_at<T: Message<Owned = T>, const N: usize>(mut bytes: [u8; N], at: usize) -> Vec<u8> {
    let name = crate::support::unique_name("bits");
    let checked = Queue::<T>::builder().name(&name).capacity(1).schema("bits").create().unwrap();
    let raw = Queue::<[u8; N]>::builder().name(&name).schema("bits").open().unwrap();
    let valid = (0..=255).filter(|&byte| {
        bytes[at] = byte;
        raw.put(&bytes).unwrap();
        checked.try_get().is_ok()
    });
    valid.collect()
}

#[test]
fn names_of_the_program_mean_what_they_mean_there() {
    use names::{__Shape_B, Hidden, Named, Sized};
    assert_eq!(Named::schema(), "enum u8 {A=1, B=5, C=6, D=7}");
    assert_eq!(values_at::<Named, 1>([0], 0), [1, 5, 6, 7]);
    assert_eq!(Hidden::schema(), "enum u8 {A=10, B=5, C=6}");
    assert_eq!(values_at::<Hidden, 1>([0], 0), [5, 6, 10]);
    let sized = "enum u8 {A=0 {0@1: [u8; 3], 1@4: {0@0: bool}}, B=1 {0@1: bool, 1@2: [u8; 3]}, C=200 {0@1: [u8; 4]}}";
    assert_eq!(Sized::schema(), sized);
    assert_eq!(values_at::<Sized, 5>([0; 5], 0), [0, 1, 200]);
    assert_eq!(values_at::<Sized, 5>([0; 5], 4), [0, 1]);
    let sent = queue(1);
    for value in [Sized::A([1, 2, 3], __Shape_B(true)), Sized::B(true, [4, 5, 6]), Sized::C([7; 4])] {
        sent.put(&value).unwrap();
        assert_eq!(sent.get().unwrap(), value);
    }
}

#[test]
fn an_integer_is_the_languages_whatever_the_program_calls_so() {
    use names::aliased::Bare;
    assert_eq!(Bare::schema(), "enum u8 {A=1, B=2}");
    assert_eq!(values_at::<Bare, 1>([0], 0), [1, 2]);
}

/// The exports of a crate that re-exports this one under its own path.
pub mod roof {
    pub use shmq as ipc;
}

macro_rules! message_of {
    ($name:ident, $path:path) => {
        #[shmq::message(crate = $crate::attribute::roof::ipc)]
        #[derive(Debug, PartialEq)]
        struct $name {
            at: u64,
        }

        mod other {
            #[shmq::message(crate = $path)]
            #[derive(Debug, PartialEq)]
            pub struct $name(pub u64);
        }
    };
}

#[test]
fn a_macro_names_the_crate_by_where_it_stands() {
    message_of!(Here, crate::attribute::roof::ipc);
    let sent = queue(1);
    sent.put(&Here { at: 3 }).unwrap();
    assert_eq!(sent.get().unwrap(), Here { at: 3 });
    let sent = queue(1);
    sent.put(&other::Here(4)).unwrap();
    assert_eq!(sent.get().unwrap(), other::Here(4));
}
