//! What a word is (bytes between space, \t, \n, \v, \f and \r, as in Python's `bytes.split()`), and
//! finding them fast.

/// Longer words are counted under a stand-in of bounded length.
pub const LONG_WORD_BYTES: usize = 256;
/// Bytes of a long word that its stand-in shows.
const SHOWN_BYTES: usize = 32;

pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Newlines in `text`: sums of bytes, which the compiler turns into vector instructions.
pub fn count_lines(text: &[u8]) -> u64 {
    text.chunks(128).map(|chunk| u64::from(chunk.iter().map(|&byte| u8::from(byte == b'\n')).sum::<u8>())).sum()
}

/// Calls `each` with the place of every word in `text`: where it starts, and where it ends.
pub fn for_each_word(text: &[u8], mut each: impl FnMut(usize, usize)) {
    let mut start = None;
    let mut before_is_space = 1;
    let mut find = |at: usize, spaces: u64| {
        // A bit wherever a word begins or ends; the two take turns.
        let mut edges = spaces ^ (spaces << 1 | before_is_space);
        before_is_space = spaces >> 63;
        while edges != 0 {
            let edge = at + edges.trailing_zeros() as usize;
            match start.take() {
                None => start = Some(edge),
                Some(start) => each(start, edge),
            }
            edges &= edges - 1;
        }
    };
    let mut chunks = text.chunks_exact(64);
    let mut at = 0;
    for chunk in &mut chunks {
        find(at, spaces_of(chunk));
        at += 64;
    }
    let mut last = [b' '; 64];
    last[..text.len() - at].copy_from_slice(chunks.remainder());
    find(at, spaces_of(&last));
    // Without a remainder, `last` still ends a word at the end of the text.
}

/// One bit for each of 64 bytes: is it a space? Eight bytes at a time, without branches.
fn spaces_of(chunk: &[u8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let mut spaces = 0;
    for (i, eight) in chunk.chunks_exact(8).enumerate() {
        let eight = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        let low = eight & !HIGH;
        let blank = !(((eight ^ (0x20 * ONES)) & !HIGH) + 0x7f * ONES);
        let from_tab = low + (0x80 - 0x09) * ONES;
        let past_return = low + (0x80 - 0x0e) * ONES;
        let flags = (blank | (from_tab & !past_return)) & !eight & HIGH;
        // Gathers the eight flags in the top byte.
        spaces |= ((flags >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    spaces
}

/// The stand-in of a word that is too long to be counted under its own bytes. It has spaces in it,
/// so no word is mistaken for it.
pub fn stand_in(word: &[u8]) -> Option<Vec<u8>> {
    if word.len() <= LONG_WORD_BYTES {
        return None;
    }
    let mut long = LongWord::default();
    long.extend(word);
    Some(long.stand_in())
}

/// A long word, met piece by piece and not kept.
#[derive(Default)]
pub struct LongWord {
    shown: Vec<u8>,
    bytes: u64,
    hash: u64,
}

impl LongWord {
    pub fn extend(&mut self, piece: &[u8]) {
        self.shown.extend(piece.iter().take(SHOWN_BYTES - self.shown.len()));
        self.bytes += piece.len() as u64;
        self.hash =
            piece.iter().fold(self.hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3).rotate_left(5));
    }

    pub fn stand_in(&self) -> Vec<u8> {
        [&self.shown[..], format!("... ({} bytes, hash {:016x})", self.bytes, self.hash).as_bytes()].concat()
    }
}
