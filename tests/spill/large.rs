//! Objects of a gigabyte through a ring of a megabyte.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::unique_name;
use crate::{Bytes, Files};
use shmq::ObjectQueue;
use std::time::Instant;

pub fn cases() -> Vec<Case> {
    crate::cases![objects_of_64_mib_pass_through_one_mib, objects_of_a_gigabyte_pass_through_one_mib]
}

/// A byte in each page says which object it is.
fn marked(tag: u8, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    bytes.iter_mut().step_by(4096).for_each(|byte| *byte = tag);
    bytes
}

fn pass(length: usize, count: u8) {
    let builder = ObjectQueue::<Bytes>::builder().name(unique_name("large")).capacity_bytes(1 << 20);
    let queue = builder.max_spilled_bytes(length as u64 + (1 << 20)).create().unwrap();
    let files = Files::of(queue.name());
    let consumer = fork("the consumer", || {
        for tag in 0..count {
            let bytes = queue.get().unwrap();
            assert!(bytes.len() == length && bytes.iter().step_by(4096).all(|&byte| byte == tag), "{tag}");
        }
    });
    let began = Instant::now();
    (0..count).for_each(|tag| queue.put(&marked(tag, length)).unwrap());
    consumer.expect_success();
    println!("{count} objects of {} MiB: {:.1?}", length >> 20, began.elapsed());
    assert_eq!(files.objects().len(), 0);
}

fn objects_of_64_mib_pass_through_one_mib() {
    pass(64 << 20, 4);
}

/// Where memory allows: the value, its file, and the two copies of a consumer.
fn objects_of_a_gigabyte_pass_through_one_mib() {
    let kib = |name: &str| {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB")?.trim().parse::<u64>().ok());
        line.unwrap_or(0)
    };
    if kib("MemAvailable:") < 6 << 20 || std::env::var_os("SHMQ_TEST_GIGABYTES").is_none() {
        println!("skipped: it takes 6 GiB of memory, and SHMQ_TEST_GIGABYTES=1");
        return;
    }
    pass(1 << 30, 2);
}
