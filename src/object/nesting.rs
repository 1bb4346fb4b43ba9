//! How deep a value may be nested, on its way in and out alike, and what a codec of ours refuses.

use std::error::Error;
use std::fmt;
use std::io;

/// Values inside values, at most: structs, sequences, maps, variants, newtypes and `Some` count one
/// each.
///
/// Each level takes stack, in the process that puts and in the one that gets, whose stack is
/// perhaps smaller, and whose build is perhaps a debug build. Measured in such a build, of linked
/// structs (two levels each): up to 0.75 KiB a level to encode; to decode up to 2 KiB where they
/// have two words, up to 4 KiB where they have 200 bytes. So the deepest of the latter just fits
/// the usual 2 MiB of a thread.
pub(super) const MAX_DEPTH: u32 = 384;

/// How deep a codec is in a value.
#[derive(Debug, Default)]
pub(super) struct Depth(u32);

impl Depth {
    #[inline]
    pub fn enter(&mut self) -> Result<(), Refused> {
        if self.0 == MAX_DEPTH {
            return Err(too_deep());
        }
        self.0 += 1;
        Ok(())
    }

    #[inline]
    pub fn leave(&mut self) {
        self.0 -= 1;
    }
}

#[cold]
fn too_deep() -> Refused {
    Refused::Other(format!("depth limit exceeded: values are nested more than {MAX_DEPTH} deep"))
}

/// Why a value was not encoded or decoded.
#[derive(Debug)]
pub(super) enum Refused {
    Io(io::Error),
    Other(String),
}

impl Refused {
    #[cold]
    pub fn because(why: &str) -> Refused {
        Refused::Other(why.to_owned())
    }

    #[cold]
    pub fn cut_off() -> Refused {
        Refused::because("the message ends in the middle of a value")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Io(error) => error.fmt(out),
            Refused::Other(why) => out.write_str(why),
        }
    }
}

impl Error for Refused {}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused::Other(why.to_string())
    }
}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Refused {
        Refused::Other(why.to_string())
    }
}
