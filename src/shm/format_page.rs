//! `docs/format.md` against the code: each table of that page has every field of its struct, at the
//! offset and of the size that the compiler gives it, and every number and state has its value.

use crate::ring::Header;
use crate::ring::topic::LineWord;
use crate::shm::kind::Kind;
use crate::shm::layout::*;
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../docs/format.md");

/// The rows of the table under a heading: first column, second and third without their code marks.
fn rows(heading: &str) -> Vec<[&'static str; 3]> {
    let title = format!("### {heading}");
    let section = PAGE.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.starts_with('#'));
    let rows = section.filter(|line| line.starts_with('|')).skip(2).map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
        std::array::from_fn(|_| cells.next().unwrap_or_else(|| panic!("too few cells: {line}")))
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty(), "docs/format.md has no table under {title:?}");
    rows
}

fn number(text: &str) -> u64 {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// The value of each name of a table whose first two columns are these.
fn values(heading: &str) -> BTreeMap<&'static str, u64> {
    rows(heading).into_iter().map(|[value, name, _]| (name, number(value))).collect()
}

/// Bytes of a type as the page writes it: `u32`, `u64[3]`, or the name of another table's struct.
fn bytes_of(ty: &str) -> u64 {
    let (element, count) = ty.split_once('[').map_or((ty, 1), |(element, rest)| (element, number(rest.trim_end_matches(']'))));
    let bytes = match element {
        "u8" => 1,
        "u32" => 4,
        "u64" => 8,
        other => *SIZES.iter().find(|(name, _)| *name == other).map_or_else(|| panic!("no type {other:?}"), |(_, bytes)| bytes),
    };
    bytes * count
}

const SIZES: [(&str, u64); 9] = [
    ("SegmentHeader", size_of::<SegmentHeader>() as u64),
    ("PutSide", size_of::<PutSide>() as u64),
    ("GetSide", size_of::<GetSide>() as u64),
    ("CondvarWords", size_of::<CondvarWords>() as u64),
    ("PutNotice", size_of::<PutNotice>() as u64),
    ("GetNotice", size_of::<GetNotice>() as u64),
    ("Rare", size_of::<Rare>() as u64),
    ("InTransit", size_of::<InTransit>() as u64),
    ("SpillWords", size_of::<SpillWords>() as u64),
];

/// Compares a table with a struct: name, offset and size of each field. The list of fields is
/// complete, or the pattern does not compile.
macro_rules! check {
    ($heading:literal, $struct:ident { $($field:ident),* $(,)? }) => {{
        fn bytes_of_field<T>(_: impl Fn(&$struct) -> &T) -> u64 {
            size_of::<T>() as u64
        }
        let _complete = |value: &$struct| { let $struct { $($field: _),* } = value; };
        let of_code = [$((
            stringify!($field),
            std::mem::offset_of!($struct, $field) as u64,
            bytes_of_field(|value| &value.$field),
        )),*];
        compare($heading, &of_code);
    }};
}

fn compare(heading: &str, of_code: &[(&str, u64, u64)]) {
    let of_page: Vec<(&str, u64, u64)> =
        rows(heading).into_iter().map(|[offset, ty, name]| (name, number(offset), bytes_of(ty))).collect();
    assert_eq!(of_page, of_code, "left: docs/format.md, {heading}: (name, offset, bytes); right: the code");
}

#[test]
fn each_table_of_the_page_is_the_struct_of_that_name() {
    check!(
        "SegmentHeader",
        SegmentHeader {
            magic,
            format,
            pointer_bits,
            state,
            lock_kind,
            nonce,
            total_bytes,
            cells,
            cell_bytes,
            kind,
            max_participants,
            message_bytes,
            message_align,
            capacity,
            max_deliveries,
            persisted,
            created_unix_s,
            type_name_len,
            schema_len,
            structure_hash,
            structure_len,
            predecessor,
            predecessor_messages,
            type_name,
            schema,
            full_fence,
            dead_letters_len,
            close_when_unused,
            max_subscribers,
            bounded,
            history,
            max_lag,
            max_spilled_bytes,
        }
    );
    check!(
        "PutSide",
        PutSide {
            lock,
            owner,
            busy,
            reserved,
            tail,
            reclaim,
            head_seen,
            ticket_until_ns,
            ticket,
            tickets,
            taken_back,
            bytes_put,
            loans,
            retreats,
            settled,
            refused,
            newest,
        }
    );
    check!(
        "GetSide",
        GetSide {
            lock,
            owner,
            busy,
            yields,
            head,
            copies,
            leases,
            bytes_got,
            redelivered,
            given_up,
            dead_letters,
            dead_letters_refused,
        }
    );
    check!("CondvarWords", CondvarWords { waiters, sequence, reserved });
    check!("PutNotice", PutNotice { not_empty, closed, closing });
    check!("GetNotice", GetNotice { not_full, returned });
    check!(
        "Rare",
        Rare {
            all_done,
            task_dones,
            large_copies,
            aborted,
            recoveries,
            blocked_puts,
            blocked_put_ns,
            blocked_gets,
            blocked_get_ns,
            put_timeouts,
            get_timeouts,
            wakes,
            high_water,
            poisoned,
            had_roles,
            role_changes,
        }
    );
    check!("SpillWords", SpillWords { pages, objects, reserved });
    check!("GivenUp", GivenUp { noted, forgotten_before, positions });
    check!(
        "Entry",
        Entry {
            generation,
            pid,
            attached_unix_s,
            roles,
            put_sleepers,
            get_sleepers,
            join_sleepers,
            put_asleep_ns,
            get_asleep_ns,
            producer_ns,
            consumer_ns,
        }
    );
    check!(
        "TopicWords",
        TopicWords {
            reclaim,
            middle,
            marks,
            reserved,
            gate,
            joins,
            joins_seen,
            others,
            laggard,
            wake_at,
            laggard_line,
            lines_end,
            evictions,
        }
    );
    check!("SubscriberLine", SubscriberLine { state, cursor, pin, reserved, number, start, missed, joined_ns });
    check!("MutexWords", MutexWords { needs_repair });
    check!("ValueWords", ValueWords { changes });
    check!("EventWords", EventWords { changes });
    check!("SemaphoreWords", SemaphoreWords { total, takes, holders_end });
    check!("BarrierWords", BarrierWords { phase, broken_phases, arrived, reserved });
    check!("PlacesWords", PlacesWords { orders, places_end });
    check!("CondvarPlace", CondvarPlace { state, order, bound, condvar });
    check!("LockWords", LockWords { hold, levels, tid, needs_repair });
    // A tuple struct; and the head, whose fields are padded to cache lines.
    compare("InTransit", &[("slots", 0, size_of::<InTransit>() as u64)]);
    assert_eq!(rows("Head").len(), 10);
    for ([offset, _, name], at) in rows("Head").into_iter().zip([
        std::mem::offset_of!(Head, header),
        std::mem::offset_of!(Head, put),
        std::mem::offset_of!(Head, get),
        std::mem::offset_of!(Head, put_notice),
        std::mem::offset_of!(Head, get_notice),
        std::mem::offset_of!(Head, rare),
        std::mem::offset_of!(Head, portable),
        std::mem::offset_of!(Head, in_transit),
        std::mem::offset_of!(Head, spilled),
        std::mem::offset_of!(Head, given_up),
    ]) {
        assert_eq!(number(offset), at as u64, "{name}");
    }
}

#[test]
fn each_number_of_the_page_is_that_of_the_code() {
    let of_code = [
        ("MAGIC", MAGIC),
        ("FORMAT", u64::from(FORMAT)),
        ("ENTRIES_OFFSET", ENTRIES_OFFSET),
        ("ENTRY_BYTES", ENTRY_BYTES),
        ("MAX_PARTICIPANTS", u64::from(MAX_PARTICIPANTS)),
        ("MAX_SUBSCRIBERS", u64::from(MAX_SUBSCRIBERS)),
        ("PAGE_BYTES", PAGE_BYTES),
        ("TYPE_NAME_BYTES", TYPE_NAME_BYTES as u64),
        ("SCHEMA_BYTES", SCHEMA_BYTES as u64),
        ("STRUCTURE_BYTES", STRUCTURE_BYTES as u64),
        ("NAME_BYTES", NAME_BYTES as u64),
        ("TRANSIT_SLOTS", TRANSIT_SLOTS as u64),
        ("GIVEN_UP_KEPT", GIVEN_UP_KEPT as u64),
        ("PRIMITIVE_DATA_OFFSET", PRIMITIVE_DATA_OFFSET),
        ("CONDVAR_PLACES", u64::from(CONDVAR_PLACES)),
        ("HOLDERS_BYTES", HOLDERS_BYTES),
    ];
    assert_eq!(values("Numbers"), of_code.into_iter().collect());
}

#[test]
fn states_kinds_and_bits_of_the_page_are_those_of_the_code() {
    let states = [
        ("BUILDING", segment_state::BUILDING),
        ("ALIVE", segment_state::ALIVE),
        ("UNLINKED", segment_state::UNLINKED),
        ("DEAD", segment_state::DEAD),
    ];
    assert_eq!(values("Segment states"), states.map(|(name, value)| (name, u64::from(value))).into_iter().collect());
    let kinds = values("Kinds");
    for value in 0..64 {
        let of_code = Kind::of_header(value).map(|kind| format!("{kind:?}"));
        let of_page = kinds.iter().find(|(_, number)| **number == u64::from(value)).map(|(name, _)| (*name).to_owned());
        assert_eq!(of_page, of_code, "kind {value}");
    }
    let records = values("Record states");
    assert_eq!(records.len(), 7);
    for (name, value) in records {
        let state = Header::from_bits(value << 61).state().map(|state| format!("{state:?}").to_uppercase());
        assert_eq!(state.as_deref(), Some(name));
    }
    let standings = values("Standings");
    assert!(standings.len() == 6 && LineWord::from_bits(6).standing().is_none());
    for (name, value) in standings {
        assert_eq!(format!("{:?}", LineWord::from_bits(value).standing()), format!("Some({name})"));
    }
    let bits: BTreeMap<&str, (u32, u32)> = rows("The header word")
        .into_iter()
        .map(|[bits, name, _]| {
            let (high, low) = bits.split_once("..").expect("two numbers");
            (name, (number(high) as u32, number(low) as u32))
        })
        .collect();
    let word = |name: &str, value: u64| {
        let (high, low) = bits[name];
        assert!(value < 1 << (high - low + 1), "{name}");
        value << low
    };
    let made = word("state", 3) | word("spilled", 1) | word("generation", 0x2a5) | word("entry", 0x133);
    let header = Header::from_bits(made | word("deliveries", 0x77) | word("length", 0x1234_5678));
    assert_eq!((header.state(), header.is_spilled()), (Some(crate::ring::State::Leased), true));
    assert_eq!((header.owner().generation_low(), header.owner().entry()), (0x2a5, 0x133));
    assert_eq!((header.deliveries(), header.length()), (0x77, 0x1234_5678));
    assert_eq!(bits.values().map(|(high, low)| high - low + 1).sum::<u32>(), 64);
}
