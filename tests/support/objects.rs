//! Objects that are larger than their ring, and the files of such objects.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a ring that holds a few small objects and no large one.
pub const RING_BYTES: usize = 1024;
/// An object is small below this number, and goes into a file of its own from it on.
pub const FIRST_LARGE: u64 = 10;
/// From this number on, an object is so large that it is encoded in place.
pub const FIRST_HUGE: u64 = 1 << 40;
/// And from this one on, small again.
pub const FIRST_SMALL: u64 = 1 << 50;
const LARGE_BYTES: usize = 2000;
const HUGE_BYTES: usize = 70_000;

/// What happens where a huge object is encoded in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Succeeds,
    Fails,
    /// The process is killed.
    Dies,
}

/// An object whose every byte follows from its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    pub number: u64,
    pub encoding: Encoding,
}

/// How often huge objects were encoded: they are measured first.
static ENCODED: AtomicU32 = AtomicU32::new(0);

impl Object {
    pub const fn new(number: u64) -> Object {
        Object { number, encoding: Encoding::Succeeds }
    }

    fn text(number: u64) -> String {
        let length = match number {
            FIRST_LARGE..FIRST_HUGE => LARGE_BYTES + (number % 7) as usize,
            FIRST_HUGE..FIRST_SMALL => HUGE_BYTES,
            _ => 0,
        };
        // By copies of blocks: of few instructions, in a debug build too.
        let filler = char::from(b'a' + (number % 26) as u8).to_string();
        number.to_string() + " " + &filler.repeat(length)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if (FIRST_HUGE..FIRST_SMALL).contains(&self.number) && ENCODED.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            match self.encoding {
                Encoding::Succeeds => {}
                Encoding::Fails => return Err(S::Error::custom("it fails in place")),
                Encoding::Dies => crate::support::process::send_signal(std::process::id() as libc::pid_t, libc::SIGKILL),
            }
        }
        Object::text(self.number).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.split(' ').next().and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| D::Error::custom("no number"))?;
        match Object::text(number) == text {
            true => Ok(Object::new(number)),
            false => Err(D::Error::custom(format!("object {number} is torn"))),
        }
    }
}

/// Files of objects, and anchors, of the whole directory.
pub fn spill_files() -> Vec<String> {
    crate::support::shm_files("shmq-spill.")
}

/// The files of objects and anchors that there were at one moment.
pub struct Before(Vec<String>);

impl Before {
    pub fn now() -> Before {
        Before(spill_files())
    }

    /// Those that have come since.
    pub fn since(&self) -> Vec<String> {
        let mut files = spill_files();
        files.retain(|file| !self.0.contains(file));
        files
    }

    /// Those of objects.
    pub fn objects_since(&self) -> Vec<String> {
        let mut files = self.since();
        files.retain(|file| !file.ends_with(".anchor"));
        files
    }

    #[track_caller]
    pub fn expect_none_left(&self) {
        assert_eq!(self.since(), [""; 0], "files are left");
    }
}

/// Removes what killed processes left, as the next create of another process would: this one may
/// have scanned already, but of another directory not.
pub fn sweep() {
    let elsewhere = std::env::temp_dir().join(format!("shmq-elsewhere-{}", std::process::id()));
    std::fs::create_dir_all(&elsewhere).expect("a directory");
    let builder = || shmq::Queue::<u64>::builder().capacity(1).max_participants(1);
    drop(builder().directory(&elsewhere).name("x").create().expect("a queue elsewhere"));
    drop(builder().name(crate::support::unique_name("sweeps")).create().expect("a queue"));
    let _ = std::fs::remove_dir(&elsewhere);
}
