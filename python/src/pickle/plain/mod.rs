//! Pickles of plain objects, written and read without the pickle module: `None`, `bool`, `int`,
//! `float`, `str`, `bytes`, and lists, tuples and dicts of these. They are ordinary pickles of
//! protocol 5, which any Python reads; for small messages this takes a third of the module's time.
//!
//! ```text
//!   write --not plain, deep, or large--> None: the module writes it      (write.rs)
//!   read  --any other opcode-----------> None: the module reads it       (read.rs)
//! ```
//!
//! Invariants:
//! 1. Only objects of exactly these types are written: a subclass may say how it is pickled.
//! 2. An object that is in a message twice is one object again when it is read, as by the module:
//!    containers with more than one reference are remembered, others cannot be there twice.

mod keys;
mod read;
mod write;

pub use read::Reader;
pub use write::write;

const PROTO: u8 = 0x80;
const PROTOCOL: u8 = 5;

/// Opcodes, as the module `pickletools` names them.
mod op {
    pub const MARK: u8 = b'(';
    pub const STOP: u8 = b'.';
    pub const NONE: u8 = b'N';
    pub const NEWTRUE: u8 = 0x88;
    pub const NEWFALSE: u8 = 0x89;
    pub const BININT: u8 = b'J';
    pub const BININT1: u8 = b'K';
    pub const BININT2: u8 = b'M';
    pub const LONG1: u8 = 0x8a;
    pub const BINFLOAT: u8 = b'G';
    pub const SHORT_BINUNICODE: u8 = 0x8c;
    pub const BINUNICODE: u8 = b'X';
    pub const SHORT_BINBYTES: u8 = b'C';
    pub const BINBYTES: u8 = b'B';
    pub const EMPTY_TUPLE: u8 = b')';
    pub const TUPLE1: u8 = 0x85;
    pub const TUPLE2: u8 = 0x86;
    pub const TUPLE3: u8 = 0x87;
    pub const TUPLE: u8 = b't';
    pub const EMPTY_LIST: u8 = b']';
    pub const APPENDS: u8 = b'e';
    pub const EMPTY_DICT: u8 = b'}';
    pub const SETITEMS: u8 = b'u';
    pub const MEMOIZE: u8 = 0x94;
    pub const BINGET: u8 = b'h';
}
