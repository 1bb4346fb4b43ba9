//! Every field of a queue's segment, taken from the byte map itself, and values that it should not
//! have.
//!
//! Left out are the padding between the parts, the words of the portable locks (`Head::portable`),
//! which belong to `raw_sync`, and the two texts behind the entries (structure and name of the
//! queue for dead letters), whose lengths are in the list. Words of primitives are not part of a
//! queue.

use crate::layout::{
    CondvarWords, ENTRIES_OFFSET, ENTRY_BYTES, Entry, GetNotice, GetSide, Head, PutNotice, PutSide, Rare, SegmentHeader,
    TRANSIT_SLOTS, cells_offset,
};
use crate::support::Rng;
use std::mem::offset_of;

/// A word of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub bytes: usize,
}

macro_rules! fields {
    ($list:ident: $($part:ident of $kind:ty { $($field:ident)* })*) => {
        $($(
            let word = offset_of!($kind, $field);
            $list.push(Field {
                name: concat!(stringify!($part), ".", stringify!($field)),
                offset: offset_of!(Head, $part) + word,
                bytes: width::<$kind, _>(|part| &part.$field),
            });
        )*)*
    };
}

fn width<S, F>(_: impl Fn(&S) -> &F) -> usize {
    size_of::<F>()
}

/// The words of a head, of `participants` entries, and the first words of cells near the cursors of
/// `image`.
pub fn of(image: &[u8]) -> Vec<Field> {
    let mut list = Vec::new();
    fields! { list:
        header of SegmentHeader {
            magic format pointer_bits state lock_kind nonce total_bytes cells cell_bytes kind max_participants message_bytes
            message_align capacity max_deliveries persisted created_unix_s type_name_len schema_len structure_hash structure_len
            predecessor predecessor_messages type_name schema full_fence dead_letters_len close_when_unused
            max_subscribers history max_lag
        }
        put of PutSide {
            lock owner busy reserved tail reclaim head_seen ticket_until_ns ticket tickets taken_back bytes_put loans
            retreats settled refused newest
        }
        get of GetSide { lock owner busy yields head copies leases bytes_got redelivered given_up dead_letters dead_letters_refused }
        put_notice of PutNotice { closed }
        get_notice of GetNotice { returned }
        rare of Rare {
            task_dones large_copies aborted recoveries blocked_puts blocked_put_ns blocked_gets blocked_get_ns
            put_timeouts get_timeouts wakes high_water poisoned had_roles role_changes
        }
    }
    for (part, start) in [
        ("not_empty", offset_of!(Head, put_notice) + offset_of!(PutNotice, not_empty)),
        ("not_full", offset_of!(Head, get_notice) + offset_of!(GetNotice, not_full)),
        ("all_done", offset_of!(Head, rare) + offset_of!(Rare, all_done)),
    ] {
        list.push(Field { name: part, offset: start + offset_of!(CondvarWords, waiters), bytes: 8 });
        list.push(Field { name: part, offset: start + offset_of!(CondvarWords, sequence), bytes: 4 });
    }
    for slot in 0..TRANSIT_SLOTS {
        list.push(Field { name: "in_transit", offset: offset_of!(Head, in_transit) + slot * 8, bytes: 8 });
    }
    let shape = Shape::of(image);
    for entry in 0..shape.participants {
        let start = (ENTRIES_OFFSET + u64::from(entry) * ENTRY_BYTES) as usize;
        for (name, word, bytes) in [
            ("entry.generation", offset_of!(Entry, generation), 4),
            ("entry.pid", offset_of!(Entry, pid), 4),
            ("entry.attached_unix_s", offset_of!(Entry, attached_unix_s), 8),
            ("entry.roles", offset_of!(Entry, roles), 4),
            ("entry.put_sleepers", offset_of!(Entry, put_sleepers), 4),
            ("entry.get_sleepers", offset_of!(Entry, get_sleepers), 4),
            ("entry.join_sleepers", offset_of!(Entry, join_sleepers), 4),
            ("entry.put_asleep_ns", offset_of!(Entry, put_asleep_ns), 8),
            ("entry.get_asleep_ns", offset_of!(Entry, get_asleep_ns), 8),
            ("entry.producer_ns", offset_of!(Entry, producer_ns), 8),
            ("entry.consumer_ns", offset_of!(Entry, consumer_ns), 8),
        ] {
            list.push(Field { name, offset: start + word, bytes });
        }
    }
    for cell in shape.cells_of_interest(image) {
        list.push(Field { name: "header", offset: shape.cell(cell), bytes: 8 });
        if shape.cell_bytes >= 16 {
            list.push(Field { name: "sequence, or the payload's first word", offset: shape.cell(cell) + 8, bytes: 8 });
        }
    }
    list
}

/// What an image says about its ring. This program made the images, so nothing is checked.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub participants: u32,
    pub cells: u64,
    pub cell_bytes: u64,
    pub message_bytes: u64,
    pub texts_len: u32,
    pub subscribers: u32,
}

const TAIL: usize = offset_of!(Head, put) + offset_of!(PutSide, tail);
const RECLAIM: usize = offset_of!(Head, put) + offset_of!(PutSide, reclaim);
const HEAD_SEEN: usize = offset_of!(Head, put) + offset_of!(PutSide, head_seen);
const HEAD: usize = offset_of!(Head, get) + offset_of!(GetSide, head);
const CURSORS: [usize; 4] = [TAIL, RECLAIM, HEAD_SEEN, HEAD];

impl Shape {
    pub fn of(image: &[u8]) -> Shape {
        Shape {
            participants: read(image, offset_of!(Head, header) + offset_of!(SegmentHeader, max_participants), 4) as u32,
            cells: read(image, offset_of!(Head, header) + offset_of!(SegmentHeader, cells), 8),
            cell_bytes: read(image, offset_of!(Head, header) + offset_of!(SegmentHeader, cell_bytes), 8),
            message_bytes: read(image, offset_of!(Head, header) + offset_of!(SegmentHeader, message_bytes), 8),
            texts_len: [offset_of!(SegmentHeader, structure_len), offset_of!(SegmentHeader, dead_letters_len)]
                .map(|length| read(image, offset_of!(Head, header) + length, 4) as u32)
                .iter()
                .sum(),
            subscribers: read(image, offset_of!(Head, header) + offset_of!(SegmentHeader, max_subscribers), 4) as u32,
        }
    }

    pub fn cell(self, cell: u64) -> usize {
        (cells_offset(self.participants, self.texts_len, self.subscribers) + cell * self.cell_bytes) as usize
    }

    fn index(self, position: u64) -> u64 {
        (position & (self.cells.next_power_of_two() - 1)) % self.cells
    }

    /// The two ends of the ring, and some cells near each cursor.
    fn cells_of_interest(self, image: &[u8]) -> Vec<u64> {
        let near = |offset: usize| {
            let at = self.index(read(image, offset, 8));
            (0..5).map(move |ahead| (at + ahead) % self.cells)
        };
        let mut cells = vec![0, self.cells - 1];
        cells.extend([RECLAIM, HEAD, TAIL].into_iter().flat_map(near));
        cells.sort_unstable();
        cells.dedup();
        cells
    }
}

pub fn read(image: &[u8], offset: usize, bytes: usize) -> u64 {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(&image[offset..offset + bytes]);
    u64::from_le_bytes(word)
}

/// A value to be written to an offset.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "what it is in words is for people")]
pub struct Flip {
    pub what: &'static str,
    pub offset: usize,
    pub bytes: usize,
    pub value: u64,
}

impl Flip {
    pub fn to_image(self, image: &mut [u8]) {
        image[self.offset..self.offset + self.bytes].copy_from_slice(&self.value.to_le_bytes()[..self.bytes]);
    }
}

/// Writes a different value into one field.
pub fn flip(field: Field, image: &[u8], rng: &mut Rng) -> Flip {
    // Of a text, eight bytes at a random offset.
    let bytes = field.bytes.min(8);
    let offset = field.offset + rng.below((field.bytes - bytes) as u64 + 1) as usize;
    let was = read(image, offset, bytes);
    let shape = Shape::of(image);
    let value = match (field.name, rng.below(4)) {
        (_, 0 | 1) => was ^ 1 << rng.below(bytes as u64 * 8),
        ("header", _) => header(shape, rng),
        ("put.lock" | "get.lock", _) => id(rng) << 1 | rng.below(2),
        ("put.owner" | "get.owner", _) => id(rng),
        ("put.ticket", _) => id(rng) << 32 | rng.below(100),
        ("put.tail" | "put.reclaim" | "put.head_seen" | "get.head", 2) => cursor(shape, rng),
        _ => boundary(was, shape, rng),
    };
    Flip { what: field.name, offset, bytes, value }
}

/// Moves all cursors at once to a position that no ring has reached yet.
pub fn far_cursors(image: &[u8], rng: &mut Rng) -> Vec<Flip> {
    let shape = Shape::of(image);
    let start = cursor(shape, rng);
    CURSORS
        .into_iter()
        .map(|offset| {
            let value = start.wrapping_add(rng.below(3 * shape.cells)).wrapping_sub(rng.below(shape.cells));
            Flip { what: "a cursor", offset, bytes: 8, value }
        })
        .collect()
}

fn boundary(was: u64, shape: Shape, rng: &mut Rng) -> u64 {
    let lap = shape.cells.next_power_of_two();
    let values = [
        0,
        1,
        u64::MAX,
        u64::MAX - rng.below(3 * lap),
        1 << 63,
        u64::from(u32::MAX),
        u64::from(u32::MAX) + 1,
        was.wrapping_add(1),
        was.wrapping_sub(1),
        was.wrapping_add(lap),
        was.wrapping_sub(lap),
        was.wrapping_mul(2),
        was.rotate_right(32),
        rng.draw(),
    ];
    values[rng.below(values.len() as u64) as usize]
}

fn cursor(shape: Shape, rng: &mut Rng) -> u64 {
    let lap = shape.cells.next_power_of_two();
    match rng.below(4) {
        0 => u64::MAX - rng.below(2 * lap),
        1 => u64::MAX.wrapping_sub(lap).wrapping_add(rng.below(16)).wrapping_sub(rng.below(16)),
        2 => (1u64 << 63).wrapping_add(rng.below(2 * lap)).wrapping_sub(lap),
        _ => rng.below(4 * lap),
    }
}

/// An id that may well belong to a participant: low entries and generations.
fn id(rng: &mut Rng) -> u64 {
    let generation = if rng.chance(10) { rng.below(1 << 21) } else { rng.below(5) };
    let entry = if rng.chance(20) { rng.below(1 << 10) } else { rng.below(5) };
    generation << 10 | entry
}

fn header(shape: Shape, rng: &mut Rng) -> u64 {
    let ring = shape.cells * shape.cell_bytes;
    let lengths = [
        0,
        1,
        shape.message_bytes,
        shape.message_bytes + 1,
        ring / 2,
        ring / 2 - shape.cell_bytes,
        ring / 2 - 2 * shape.cell_bytes,
        ring / 2 - 2 * shape.cell_bytes + 1,
        ring,
        ring - shape.cell_bytes,
        u64::from(u32::MAX),
        rng.below(ring),
    ];
    let length = lengths[rng.below(lengths.len() as u64) as usize] & u64::from(u32::MAX);
    let (state, deliveries) = (rng.below(8), rng.below(256) >> rng.below(9));
    state << 61 | (id(rng) & ((1 << 21) - 1)) << 40 | deliveries << 32 | length
}
