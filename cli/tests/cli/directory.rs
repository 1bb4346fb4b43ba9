//! The command in another directory than `/dev/shm`.

use crate::command::{Ran, run_with, shmq};
use crate::support::unique_name;
use shmq::Queue;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

#[test]
fn every_verb_searches_the_directory_that_the_environment_names() {
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
    for verb in [&["stat", &name, "-i", "0"][..], &["ls"], &["doctor"], &["rm", "--stale"]] {
        let mut command = shmq(verb);
        command.env("SHMQ_DIR", &missing);
        let ran = run_with(command, b"");
        let names_it = ran.err.contains(missing.to_str().expect("text"));
        assert!(ran.code == 1 && names_it && ran.err.contains("does not exist"), "{verb:?}: {ran:?}");
    }
    drop(queue);
    let left = std::fs::read_dir(&folder).expect("it is there").count();
    std::fs::remove_dir_all(&folder).expect("it is ours");
    assert_eq!(left, 0);
}

#[test]
fn a_program_with_more_rights_than_its_caller_ignores_the_environment() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can become another user");
        return;
    }
    // Copied by another process, whose descriptor no forked child of another test inherits.
    let program = std::env::temp_dir().join(unique_name("set-id"));
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_shmq")).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).expect("our own file");
    let name = unique_name("set-id-queue");
    let queue = Queue::<[u8]>::builder().name(&name).capacity(10).mode(0o600).create().expect("it is free");
    let of_nobody = |variable: &str| {
        let mut command = std::process::Command::new(&program);
        command.args(["stat", &name, "-i", "0"]).env(variable, "/nowhere").uid(65534).gid(65534);
        command
    };
    if of_nobody("OTHER").output().is_ok_and(|ran| ran.status.success()) {
        run_with(of_nobody("SHMQ_DIR"), b"").expect(0);
    } else {
        eprintln!("skipped: set-user-ID programs do not work in {}", std::env::temp_dir().display());
    }
    std::fs::remove_file(&program).expect("removed");
    drop(queue);
}
