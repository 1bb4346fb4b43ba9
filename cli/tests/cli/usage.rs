//! Names, numbers and lists of names: what is refused, with which code, and what is done anyway.

use crate::command::{Name, bytes, feed, run};
use crate::support::segment_exists;

#[test]
fn a_bad_name_is_wrong_usage() {
    let long = "x".repeat(201);
    for (name, why) in [("a/b", "slash"), ("", "empty"), (&long, "200 bytes"), ("../x", "slash")] {
        for verb in [
            &["create", name, "--capacity-bytes", "4K"][..],
            &["put", name],
            &["get", name, "-t", "0"],
            &["peek", name],
            &["stat", name],
            &["schema", name],
            &["drain", name],
            &["close", name],
            &["recover", name],
            &["ls", name],
            &["doctor", name],
            &["rm", name],
            &["rm", "--stale", name],
        ] {
            let ran = feed(verb, b"x").expect(2);
            assert!(ran.err.contains(why) && ran.err.contains(&format!("{name:?}")), "{verb:?}: {}", ran.err);
        }
    }
    assert!(run(&["create", "q", "--capacity-bytes", "4K", "--schema", &long]).expect(2).err.contains("64 bytes"));
    assert!(run(&["create", "q", "--capacity-bytes", "4K", "--capacity", "0"]).expect(2).err.contains("capacity"));
}

#[test]
fn numbers_are_taken_or_refused_and_never_too_much() {
    let name = Name::new("numbers");
    let _queue = bytes(&name, 4096);
    feed(&["put", &name, "--lines", "-t", "1e19"], b"1\n2\n3\n").expect(0);
    let most = u64::MAX.to_string();
    for taken in [
        &["get", &*name, "-t", "1e19"][..],
        &["get", &name, "-t", "inf", "-n", "1"],
        &["get", &name, "-n", "0"],
        &["get", &name, "-n", "0", "-t", "0"],
        &["peek", &name, "-n", &most, "--bytes", "15E"],
        &["peek", &name, "-n", &most, "--bytes", &most],
        &["peek", &name, "-n", "0"],
        &["peek", &name, "-n", &most, "--json"],
        &["peek", &name, "-n", &most, "--raw"],
        &["stat", &name, "-i", "1e-19"],
        &["doctor", &name, "-i", "1e-300"],
        &["put", &name, "--block", &most],
        &["put", &name, "--block", "1", "-t", "1e300"],
        &["drain", &name, "-n", "0"],
        &["drain", &name, "-n", &most],
    ] {
        let ran = feed(taken, b"x");
        assert!(ran.code == 0 || ran.code == 2 && ran.err.contains("size"), "{taken:?}: {ran:?}");
    }
    let more = format!("{most}0");
    for refused in [
        &["get", &*name, "-t", "-1"][..],
        &["get", &name, "-t", "nan"],
        &["get", &name, "-t", "1s"],
        &["get", &name, "-n", "-1"],
        &["get", &name, "-n", &more],
        &["get", &name, "-n", "1e3"],
        &["put", &name, "-t", "-0.5"],
        &["put", &name, "--block", "0"],
        &["put", &name, "--block", &more],
        &["put", &name, "--capacity-bytes", "99999999999G"],
        &["peek", &name, "-n", &more],
        &["peek", &name, "--bytes", "-1"],
        &["drain", &name, "-n", &more],
        &["stat", &name, "-i", "-1"],
        &["doctor", &name, "-i", "NaN"],
        &["top", "-i", "-1"],
        &["top", "-i", "x"],
        &["create", &name, "--capacity-bytes", "0"],
        &["create", &name, "--capacity-bytes", "4K", "--mode", "9"],
        &["create", &name, "--capacity-bytes", "4K", "--mode", "7777"],
        &["create", &name, "--capacity-bytes", "4K", "--capacity", &more],
        &["rm", &name, "--owner", "4294967296"],
    ] {
        let ran = feed(refused, b"x").expect(2);
        assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{refused:?}: {ran:?}");
    }
    // The largest numbers that can be given, which are more than there is.
    let other = Name::new("too-large");
    run(&["create", &other, "--capacity-bytes", "4K", "--capacity", &most]).expect(0);
    run(&["rm", &other]).expect(0);
    for (bytes, capacity) in [(&*most, "1"), ("16000000000G", "1"), ("8589934591G", &*most)] {
        let ran = run(&["create", &other, "--capacity-bytes", bytes, "--capacity", capacity]);
        assert!(matches!(ran.code, 1 | 2) && !ran.err.contains("panicked") && !ran.err.is_empty(), "{bytes} {capacity}: {ran:?}");
        assert!(!segment_exists(&other));
    }
}

#[test]
fn one_name_that_is_missing_does_not_keep_the_others() {
    let (missing, other, first, second) = (Name::new("gone-1"), Name::new("gone-2"), Name::new("here-1"), Name::new("here-2"));
    let make = || {
        for name in [&first, &second] {
            feed(&["put", name, "--lines"], b"x\n").expect(0);
        }
    };
    make();
    let names = [&*missing, &first, &other, &second];
    for verb in
        [&["ls"][..], &["doctor", "-i", "0"], &["doctor", "-i", "0.01"], &["ls", "--json"], &["doctor", "--json", "-i", "0"]]
    {
        let ran = run(&[verb, &names].concat()).expect(3);
        assert!(ran.text().contains(&*first) && ran.text().contains(&*second), "{verb:?}: {ran:?}");
        for name in [&missing, &other] {
            assert_eq!(ran.err.matches(&**name).count(), 1, "{verb:?}: {}", ran.err);
        }
    }
    for verb in [&["rm"][..], &["rm", "--stale", "--persisted"]] {
        make();
        let ran = run(&[verb, &names].concat()).expect(3);
        assert!(!segment_exists(&first) && !segment_exists(&second), "{verb:?}");
        assert!(ran.err.contains(&*missing) && ran.err.contains(&*other), "{verb:?}: {}", ran.err);
    }
    // The code is that of the first.
    make();
    run(&["rm", "a/b", &missing, &first]).expect(2);
    run(&["rm", &missing, "a/b", &second]).expect(3);
    assert!(!segment_exists(&first) && !segment_exists(&second));
}
