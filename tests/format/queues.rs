//! Queues: typed, of slices, encoded; records in every state, of the living and of the dead.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::unique_name;
use crate::{check_common, number, read, read_by, text};
use serde_json::Value;
use shmq::Queue;
use shmq::inspect::{Hold, Inspector};
use std::fs;
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    let cases = crate::cases![
        a_typed_queue_with_records_in_every_state,
        records_and_participants_of_a_process_that_was_killed,
        a_queue_of_slices_over_the_end_of_its_ring,
        large_values_begin_on_a_cache_line,
        texts_of_every_length_come_before_the_cells,
        messages_that_were_given_up_and_their_letters,
        a_page_with_another_offset_is_found_out,
    ];
    #[cfg(feature = "object")]
    let cases = [cases, crate::cases![an_encoded_queue_with_an_object_in_a_file_of_its_own]].concat();
    cases
}

/// Compares a queue's figures with those of the crate, and each record with what holds it.
#[track_caller]
fn check_queue(report: &Value, name: &str) {
    check_common(report, name);
    let seen = Inspector::open(name).expect("it is there").snapshot();
    let of_reader = |what: &str| number(report, &format!("/queue/{what}"));
    assert_eq!(of_reader("messages"), seen.messages, "messages");
    assert_eq!(of_reader("on_lease"), seen.on_lease, "on lease");
    assert_eq!(of_reader("on_loan"), seen.on_loan, "on loan");
    assert_eq!(of_reader("viewed"), seen.viewed, "in views");
    assert_eq!((of_reader("puts"), of_reader("gets")), (seen.stats.puts, seen.stats.gets), "puts and gets");
    assert_eq!(number(report, "/rare/aborted"), seen.stats.aborted);
    assert_eq!(number(report, "/rare/recoveries"), seen.stats.recoveries);
    assert_eq!(number(report, "/get/redelivered"), seen.stats.redelivered);
    assert_eq!(number(report, "/get/given_up"), seen.stats.given_up);
    assert_eq!(number(report, "/put/refused"), seen.stats.refused_puts);
    assert_eq!(number(report, "/spilled/objects"), seen.stats.spilled);
    let records = report["queue"]["records"].as_array().expect("a list");
    for held in seen.holdings.iter().filter(|held| matches!(held.what, Hold::Loan | Hold::Lease | Hold::View)) {
        let state = match held.what {
            Hold::Loan => "CLAIMED",
            Hold::Lease => "LEASED",
            _ => "READ",
        };
        let record = records.iter().find(|record| record["position"] == held.position).expect("the record is in the walk");
        assert_eq!((text(record, "/state"), number(record, "/length")), (state, held.bytes));
        assert_eq!(number(record, "/deliveries"), u64::from(held.deliveries));
        let owner = &report["participants"].as_array().expect("a list");
        let owner = owner.iter().find(|one| one["number"] == record["entry"]).expect("its owner has an entry");
        assert_eq!(number(owner, "/pid"), u64::from(held.pid));
        assert_eq!(number(owner, "/generation") & 0x3ff, number(record, "/generation"));
        assert_eq!(owner["alive"] == true, held.alive);
    }
    let states = |state: &str| records.iter().filter(|record| record["state"] == state).count() as u64;
    assert_eq!(states("CLAIMED") + states("LEASED") + states("READ"), seen.on_loan + seen.on_lease + seen.viewed);
}

/// Words of the records that are in the state, as the reader found them.
fn payloads(report: &Value, state: &str) -> Vec<u64> {
    let records = report["queue"]["records"].as_array().expect("a list").iter();
    let word = |record: &Value| {
        let bytes: Vec<u8> =
            (0..8).map(|at| u8::from_str_radix(&text(record, "/payload")[2 * at..2 * at + 2], 16).unwrap()).collect();
        u64::from_ne_bytes(bytes.try_into().unwrap())
    };
    records.filter(|record| record["state"] == state).map(word).collect()
}

fn a_typed_queue_with_records_in_every_state() {
    let name = unique_name("typed");
    let queue = Queue::<[u64; 3]>::builder().name(&name).capacity(12).max_deliveries(9).persist(true).create().unwrap();
    check_queue(&read(&name), &name);
    // Twice around the ring, so that positions are of a later lap.
    for number in 0..30 {
        queue.put(&[number; 3]).unwrap();
        queue.get().unwrap();
    }
    (100..107).for_each(|number| queue.put(&[number; 3]).unwrap());
    assert!(queue.put(&[107; 3]).is_ok());
    let (lease, view, back) = (queue.lease().unwrap(), queue.lease().unwrap().into_view().unwrap(), queue.lease().unwrap());
    assert_eq!(back[0], 102);
    back.give_back();
    assert_eq!(queue.lease().unwrap()[0], 102);
    queue.lease().unwrap().give_back();
    let mut loan = queue.loan().unwrap();
    loan[0] = 200;
    queue.put(&[201; 3]).unwrap();
    let report = read(&name);
    check_queue(&report, &name);
    assert_eq!((payloads(&report, "LEASED"), payloads(&report, "READ")), (vec![lease[0]], vec![view[0]]));
    assert_eq!((payloads(&report, "RETURNED"), payloads(&report, "CLAIMED")), (vec![103], vec![200]));
    assert_eq!(payloads(&report, "READY"), [104, 105, 106, 107, 201]);
    assert_eq!(number(&report, "/queue/messages"), queue.len() as u64);
    loan.commit().unwrap();
    drop(lease);
    drop(view);
    queue.close();
    let report = read(&name);
    check_queue(&report, &name);
    assert!(report["closed"] == true && number(&report, "/queue/messages") == 7);
    let (_producer, _consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let (report, pid) = (read(&name), u64::from(std::process::id()));
    assert_eq!((number(&report, "/holders/put_owner"), number(&report, "/holders/get_owner")), (pid, pid));
    drop(queue);
    Queue::<[u64; 3]>::unlink(&name).unwrap();
}

fn records_and_participants_of_a_process_that_was_killed() {
    let name = unique_name("killed");
    let queue = Queue::<u64>::create(&name, 8).unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    let ready = shared_word();
    let child = fork("holder", || {
        let queue = Queue::<u64>::open(&name).unwrap();
        let lease = queue.lease().unwrap();
        let mut loan = queue.loan().unwrap();
        *loan = 7;
        let _producer = queue.producer();
        ready.store(1, Relaxed);
        std::mem::forget((lease, loan));
        loop {
            std::thread::park();
        }
    });
    wait_for_count("a lease and a loan", ready, 1);
    let report = read(&name);
    check_queue(&report, &name);
    let alive = report["participants"].as_array().unwrap().iter().filter(|one| one["alive"] == true).count();
    assert_eq!(alive, 2);
    child.kill();
    let report = read(&name);
    check_queue(&report, &name);
    let alive = report["participants"].as_array().unwrap().iter().filter(|one| one["alive"] == true).count();
    assert_eq!((alive, number(&report, "/queue/on_lease"), number(&report, "/queue/on_loan")), (1, 1, 1));
    let recovered = queue.recover();
    assert_eq!((recovered.redelivered, recovered.aborted), (1, 1));
    let report = read(&name);
    check_queue(&report, &name);
    assert_eq!(payloads(&report, "RETURNED"), [1]);
}

fn a_queue_of_slices_over_the_end_of_its_ring() {
    let name = unique_name("slices");
    let queue = Queue::<[u32]>::builder().name(&name).capacity_bytes(1024).capacity(20).create().unwrap();
    let elements: Vec<u32> = (0..100).collect();
    let mut crosses_the_end = false;
    for length in (1..60).chain(1..60) {
        queue.put(&elements[..length]).unwrap();
        if length % 5 != 0 {
            assert_eq!(queue.get().unwrap(), elements[..length]);
            continue;
        }
        let report = read(&name);
        check_queue(&report, &name);
        let record = report["queue"]["records"].as_array().unwrap().iter().find(|record| record["state"] == "READY").unwrap();
        assert_eq!(number(record, "/length"), 4 * length as u64);
        assert!(
            text(record, "/payload").starts_with("00000000") && number(record, "/number") == number(&report, "/queue/puts") - 1
        );
        crosses_the_end |= number(&report, "/put/reclaim") >> 6 != number(&report, "/put/tail") >> 6;
        assert_eq!(queue.get().unwrap(), elements[..length]);
    }
    assert!(crosses_the_end, "no walk went from one lap to the next");
}

fn large_values_begin_on_a_cache_line() {
    let name = unique_name("large");
    let queue = Queue::<[u64; 1000]>::create(&name, 3).unwrap();
    let mut loan = queue.loan().unwrap();
    loan.fill(5);
    loan.commit().unwrap();
    let report = read(&name);
    check_queue(&report, &name);
    assert_eq!((payloads(&report, "READY"), number(&report, "/header/cell_bytes") % 64), (vec![5], 0));
}

fn texts_of_every_length_come_before_the_cells() {
    for (structure, letters) in [(0, 0), (10, 0), (0, 9), (4096, 200), (2000, 1), (4000, 97)] {
        let name = unique_name("texts");
        let mut builder = Queue::<u8>::builder().name(&name).capacity(3).max_participants(20).schema("words/1");
        if structure != 0 {
            builder = builder.structure("x".repeat(structure));
        }
        if letters != 0 {
            builder = builder.max_deliveries(2).dead_letters("d".repeat(letters));
        }
        let queue = builder.create().unwrap();
        queue.put(&7).unwrap();
        let report = read(&name);
        check_queue(&report, &name);
        assert_eq!(text(&report, "/queue/records/0/payload"), "07");
    }
}

fn messages_that_were_given_up_and_their_letters() {
    let (name, letters) = (unique_name("given-up"), unique_name("letters"));
    let taken = shmq::DeadLetters::create(&letters, 4096).unwrap();
    let queue = Queue::<u64>::builder().name(&name).capacity(8).max_deliveries(2).dead_letters(&letters).create().unwrap();
    queue.put(&0x0102).unwrap();
    (0..2).for_each(|_| queue.lease().unwrap().give_back());
    queue.recover();
    let report = read(&name);
    check_queue(&report, &name);
    assert_eq!((number(&report, "/get/dead_letters"), number(&report, "/given_up/noted")), (1, 1));
    let report = read(&letters);
    check_queue(&report, &letters);
    let letter = &report["queue"]["records"][0]["letter"];
    assert_eq!((number(letter, "/version"), number(letter, "/reason"), number(letter, "/deliveries")), (1, 1, 2));
    assert_eq!((text(letter, "/queue"), text(letter, "/type_name")), (name.as_str(), "u64"));
    assert_eq!(text(letter, "/message"), "0201000000000000");
    assert_eq!(taken.get().unwrap().bytes, 0x0102u64.to_ne_bytes());
    shmq::DeadLetters::unlink(&letters).unwrap();
}

fn a_page_with_another_offset_is_found_out() {
    let name = unique_name("other");
    let queue = Queue::<u64>::create(&name, 8).unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    queue.get().unwrap();
    let page = fs::read_to_string(crate::PAGE).unwrap();
    let by_changed_page = |from: &str, to: &str| {
        let path = std::env::temp_dir().join(format!("shmq-format-{}.md", std::process::id()));
        assert_eq!(page.matches(from).count(), 1, "{from}");
        fs::write(&path, page.replace(from, to)).unwrap();
        let found = read_by(&path, &name);
        fs::remove_file(&path).unwrap();
        found
    };
    let refused = by_changed_page("| 8 | `FORMAT` |", "| 9 | `FORMAT` |").unwrap_err();
    assert!(refused.contains("a segment of format 8"), "{refused}");
    let other = by_changed_page("| 0x18 | u64 | `reclaim` |", "| 0x10 | u64 | `reclaim` |");
    assert!(other.is_err() || number(&other.unwrap(), "/queue/messages") != queue.len() as u64);
    let other = by_changed_page("| 5 | `DONE` |", "| 7 | `DONE` |");
    assert!(other.is_err() || text(&other.unwrap(), "/queue/records/0/state") == "garbage");
    check_queue(&read(&name), &name);
}

#[cfg(feature = "object")]
fn an_encoded_queue_with_an_object_in_a_file_of_its_own() {
    let name = unique_name("encoded");
    let queue = shmq::ObjectQueue::<Vec<u8>>::builder().name(&name).capacity_bytes(1 << 14).create().unwrap();
    queue.put(&vec![1; 10]).unwrap();
    queue.put(&vec![2; 100_000]).unwrap();
    let report = read(&name);
    check_queue(&report, &name);
    let object = &report["queue"]["records"][1]["object"];
    assert!(object["is_checked"] == true && number(object, "/length") >= 100_000, "{object}");
    assert_eq!(number(object, "/file_bytes"), Inspector::open(&name).unwrap().snapshot().stats.spilled_bytes);
    assert_eq!((queue.get().unwrap(), queue.get().unwrap().len()), (vec![1; 10], 100_000));
    check_queue(&read(&name), &name);
}
