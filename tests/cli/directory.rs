//! The command in another directory than `/dev/shm`.

use crate::command::{Ran, run_with, shmq};
use crate::support::unique_name;
use shmq::Queue;

#[test]
fn every_verb_looks_into_the_directory_that_the_environment_names() {
    let folder = std::env::temp_dir().join(unique_name("folder"));
    std::fs::create_dir(&folder).expect("it is new");
    let there = |arguments: &[&str], input: &[u8]| -> Ran {
        let mut command = shmq(arguments);
        command.env("SHMQ_DIR", &folder);
        run_with(command, input)
    };
    let name = unique_name("elsewhere");
    let queue = Queue::<[u8]>::builder().directory(&folder).name(&name).capacity(10).create().expect("it is free");
    there(&["put", &name], b"hello\n").expect(0);
    assert_eq!(queue.get().expect("it was put"), b"hello\n");
    queue.put(b"answer").expect("there is room");
    assert!(there(&["ls"], b"").expect(0).text().contains(&name));
    assert!(there(&["stat", &name, "-i", "0"], b"").expect(0).text().contains(&name));
    assert!(there(&["get", &name, "--timeout", "0"], b"").expect(0).text().contains("answer"));
    // It is nowhere else.
    run_with(shmq(&["stat", &name, "-i", "0"]), b"").expect(3);
    let missing = folder.join("missing");
    let mut command = shmq(&["stat", &name, "-i", "0"]);
    command.env("SHMQ_DIR", &missing);
    let told = run_with(command, b"");
    assert!(
        told.code != 0 && told.err.contains(missing.to_str().expect("text")) && told.err.contains("does not exist"),
        "{told:?}"
    );
    drop(queue);
    let left = std::fs::read_dir(&folder).expect("it is there").count();
    std::fs::remove_dir_all(&folder).expect("it is ours");
    assert_eq!(left, 0);
}
